/* The program with input and output formats other than .npy, its JSON for other programs, and what it shows to people:
 * progress, colours, interruption by Ctrl-C. */
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fail_msg("%s does not exist", path);
    char *text = test_read_all(fd);
    assert_int_equal(close(fd), 0);
    return text;
}

/* Expects a complete file with this content, then removes it. */
static void check_file(const char *path, const char *expected, int line)
{
    char *text = read_file(path);
    if (strcmp(text, expected) != 0)
        fail_msg("line %d: %s is '%s', not '%s'", line, path, text, expected);
    free(text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(leftovers(), 0);
}
#define assert_file(path, expected) check_file(path, expected, __LINE__)

/* Runs the program with this text as its standard input. */
static outcome run_on_input(const char *text, const char *const *arguments)
{
    circumstances with = DEFAULTS;
    with.standard_input = test_open_nameless();
    assert_int_equal(write(with.standard_input, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(with.standard_input, 0, SEEK_SET), 0);
    outcome result = run_with(&with, arguments);
    assert_int_equal(close(with.standard_input), 0);
    return result;
}

/* ---- Input ------------------------------------------------------------------------------------------------------ */

static const char WEATHER[] = "day,low,high\nmon,4,8\ntue,-1,5\nwed,9,12\n";

TEST(recognises_formats_by_file_name)
{
    write_text("weather.csv", WEATHER);
    write_text("weather.TSV", "day\tlow\thigh\nmon\t4\t8\n");
    write_text("weather.tab", "4\t5\n");
    write_file("rows.bin", "\4\0\5\0\6\0\7\0\0\0\1\0", 12);
    assert_prints(RUN("count", "weather.csv"), "2\n1\n0\n");
    assert_prints(RUN("count", "weather.TSV"), "2\n");
    assert_prints(RUN("count", "weather.tab"), "2\n");
    assert_prints(RUN("count", "--type", "int16", "--shape", "2:3", "rows.bin"), "3\n1\n");
    assert_prints(RUN("count", "--format", "raw", "--type", "uint8", "--shape", "1:12", "rows.bin"), "4\n");
    assert_prints(RUN("map", "--function", "max", "weather.csv"), "8\n5\n12\n");
    assert_prints(RUN("map", "--function", "sum", "--ragged", "--skip", "day", "weather.csv"), "12\n4\n21\n");
    assert_fails(RUN("count", "--format", "npy", "weather.csv"), "rowpool: weather.csv: ", "not a .npy file");
    assert_fails(RUN("count", "--format", "npz", "weather.csv"), "rowpool: weather.csv: ", "Not a zip archive");
    assert_fails(RUN("count", "nowhere.csv"), "rowpool: nowhere.csv: ", "No such file or directory");
    assert_int_equal(mkdir("folder.csv", 0777), 0);
    assert_fails(RUN("count", "folder.csv"), "rowpool: folder.csv: ", "Is a directory");
    assert_int_equal(mkdir("folder.npz", 0777), 0);
    assert_fails(RUN("count", "folder.npz"), "rowpool: folder.npz: ", "Is a directory");
}

TEST(warns_of_skipped_columns)
{
    write_text("words.csv", "day,low,sky\nmon,4,grey\ntue,9,blue\n");
    outcome result = RUN("count", "words.csv");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.out, "1\n0\n");
    assert_string_equal(result.err, "rowpool: warning: words.csv: column 3 (sky) holds words and is left out\n");
    release(&result);
    assert_prints(RUN("count", "--skip", "sky", "words.csv"), "1\n0\n");
}

TEST(reads_other_formats_from_standard_input)
{
    assert_prints(run_on_input(WEATHER, ARGUMENTS("count", "--format", "csv", "-")), "2\n1\n0\n");
    assert_prints(run_on_input("\4\5\6", ARGUMENTS("count", "--type", "int8", "--shape", "1:3", "-")), "3\n");
    assert_fails(run_on_input(WEATHER, ARGUMENTS("count", "-")), "rowpool: standard input: ", "not a .npy file");
    assert_fails(run_on_input("1\nx\n", ARGUMENTS("count", "--format", "csv", "-")),
                 "rowpool: standard input: ", "line 2, column 1: 'x' is not a number");
    assert_fails(run_on_input("", ARGUMENTS("count", "--format", "npz", "-")), "rowpool: standard input: ", "is empty");
}

TEST(counts_no_rows)
{
    write_text("header.csv", "a,b\n");
    assert_prints(RUN("count", "header.csv"), "");
    assert_prints(RUN("count", "--ragged", "header.csv"), "");
    assert_prints(RUN("count", "header.csv", "--output", "out.csv"), "");
    assert_file("out.csv", "row,count\n");
    assert_prints(RUN("map", "--function", "mean", "header.csv"), "");
    write_text("empty.csv", "");
    assert_fails(RUN("count", "empty.csv", "--output", "out.csv"), "rowpool: empty.csv: ", "is empty");
    assert_no_output("out.csv");
}

TEST(refuses_options_of_other_formats)
{
    write_text("weather.csv", WEATHER);
    assert_usage(RUN("count", "--format", "xls", "weather.csv"),
                 "--format 'xls' is not one of npy, npz, csv, tsv, txt, raw");
    assert_usage(RUN("count", "--member", "a", "weather.csv"), "--member cannot be given for csv");
    assert_usage(RUN("count", "--ragged", "x.npy"), "--ragged cannot be given for npy");
    assert_usage(RUN("count", "--offsets", "o.npy", "weather.csv"), "--offsets cannot be given for csv");
    assert_usage(RUN("count", "--offsets", "o.npy", "--format", "tsv", "x"), "--offsets cannot be given for tsv");
    assert_usage(RUN("count", "--offsets", "o.npy", "--ragged", "x.npy"), "--ragged cannot be given for npy");
    assert_usage(RUN("count", "--offsets", "o.npy", "--ragged", "x.csv"), "--offsets cannot be given for csv");
    assert_usage(RUN("map", "--function", "sum", "--skip", "1", "x.npz"), "--skip cannot be given for npz");
    assert_usage(RUN("count", "--type", "int8", "x.npy"), "--type cannot be given for npy");
    assert_usage(RUN("count", "--shape", "1:1", "--format", "csv", "x"), "--shape cannot be given for csv");
    assert_usage(RUN("count", "--shape", "1:1", "x.bin"), "--type is missing");
    assert_usage(RUN("count", "--format", "raw", "--type", "int8", "x"), "--shape is missing");
    assert_usage(RUN("count", "--type", "int", "weather.csv"), "--type 'int' is not one of");
    assert_usage(RUN("count", "--header", "maybe", "weather.csv"), "--header 'maybe' is not one of auto, yes, no");
    static const char *const shapes[] = {
        "", "3", "3:", ":3", "3:4:5", "-1:3", "3x4", "1e3:1", "18446744073709551616:1"};
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        assert_usage(RUN("count", "--type", "int8", "--shape", shapes[i], "x"), "is not R:C, two whole numbers");
    static const char *const delimiters[] = {"", ",,", "\"", "\n", "7", "-", ".", "\xc3\xa9"};
    for (size_t i = 0; i < COUNT_OF(delimiters); i++)
        assert_usage(RUN("count", "--delimiter", delimiters[i], "weather.csv"), "neither space nor a single character");
    assert_usage(RUN("count", "--decimal", ";", "weather.csv"), "--decimal ';' is neither a comma nor a point");
    assert_usage(RUN("count", "--quote", "x", "weather.csv"), "--quote 'x' is not none");
    assert_usage(RUN("count", "--comment", "//", "weather.csv"),
                 "--comment '//' is neither none nor a single character");
    assert_usage(RUN("count", "--decimal", ",", "x.npy"), "--decimal cannot be given for npy");
    assert_usage(RUN("count", "--missing", "skip", "weather.csv"), "--missing 'skip' is not a number");
    assert_usage(RUN("count", "--missing", "", "weather.csv"), "--missing '' is not a number");
    assert_usage(RUN("count", "--missing", "?", "weather.csv"), "--missing '?' is not a number");
    assert_usage(RUN("count", "--missing", "1.5", "--decimal", ",", "--delimiter", ";", "weather.csv"),
                 "--missing '1.5' is not a number");
    assert_usage(RUN("count", "--missing", "abc", "--type", "float32", "weather.csv"),
                 "--missing 'abc' is not float32");
    assert_usage(RUN("count", "--type", "int64", "--missing", "nan", "weather.csv"), "--missing 'nan' is not int64");
    assert_usage(RUN("count", "--missing", "128", "--type", "int8", "weather.csv"), "--missing '128' is beyond int8");
    assert_usage(RUN("count", "--missing", "9223372036854775808", "weather.csv"), "is beyond int64");
    assert_usage(RUN("count", "--missing", "-1e400", "weather.csv"), "--missing '-1e400' is beyond float64");
    assert_usage(RUN("count", "--comment", "%", "x.npz"), "--comment cannot be given for npz");
}

/* ---- Offsets ---------------------------------------------------------------------------------------------------- */

static const int32_t ELEMENTS[] = {3, 4, 5, 8, 9, 6, 7};

static void write_offsets(const int64_t *offsets, size_t count)
{
    char shape[32];
    (void)snprintf(shape, sizeof shape, "(%zu,)", count);
    write_npy("offsets.npy", "<i8", false, shape, offsets, count * sizeof *offsets);
}
#define WRITE_OFFSETS(...) \
    write_offsets((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

TEST(splits_one_row_into_ragged_rows)
{
    write_npy("elements.npy", "<i4", false, "(7,)", ELEMENTS, sizeof ELEMENTS);
    write_file("elements.bin", ELEMENTS, sizeof ELEMENTS);
    WRITE_OFFSETS(0, 3, 3, 4, 7);
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy"), "2\n0\n1\n2\n");
    assert_prints(RUN("count", "--offsets", "offsets.npy", "--type", "int32", "--shape", "1:7", "elements.bin"),
                  "2\n0\n1\n2\n");
    assert_prints(RUN("map", "--function", "sum", "--offsets", "offsets.npy", "elements.npy"), "12\n0\n8\n22\n");
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy", "--bins", "3,5,9", "--output", "out.csv"),
                  "");
    assert_file("out.csv", "row,count 3:5,count 5:9\n0,2,1\n1,0,0\n2,0,1\n3,0,3\n");
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy", "--output", "out.npy"), "");
    assert_prints(RUN("map", "--function", "max", "out.npy"), "2\n"); /* one dimension */
    assert_int_equal(unlink("out.npy"), 0);

    outcome result = RUN("count", "--offsets", "offsets.npy", "elements.npy", "--verbose");
    check_tells(result.err, "4 rows of at most 3 int32, 28 bytes");
    release(&result);
    result = RUN("count", "--offsets", "offsets.npy", "elements.npy", "--json");
    check_tells(result.out, "\"width\": 3, \"ragged\": true");
    release(&result);

    WRITE_OFFSETS(0, 7);
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy"), "5\n");
    write_npy("elements.npy", "<i4", false, "(0,)", "", 0);
    WRITE_OFFSETS(0, 0, 0);
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy"), "0\n0\n");
    WRITE_OFFSETS(0);
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy"), "");
}

/* As NumPy stores them on machines of the other byte order. */
TEST(reads_offsets_in_foreign_byte_order)
{
    write_npy("elements.npy", "<i4", false, "(7,)", ELEMENTS, sizeof ELEMENTS);
    static const unsigned char offsets[24] = {[15] = 2, [23] = 7};
    write_npy("offsets.npy", ">i8", false, "(3,)", offsets, sizeof offsets);
    assert_prints(RUN("count", "--offsets", "offsets.npy", "elements.npy"), "1\n4\n");
}

static void check_offsets_refused(const char *path, const char *message, int line)
{
    check_refuses(RUN("count", "--offsets", path, "elements.npy", "--output", "out.npy"), 1,
                  "rowpool: elements.npy: ", message, line);
    assert_no_output("out.npy");
}
#define assert_offsets_refused(message) check_offsets_refused("offsets.npy", message, __LINE__)

TEST(refuses_wrong_offsets)
{
    write_npy("elements.npy", "<i4", false, "(7,)", ELEMENTS, sizeof ELEMENTS);
    check_offsets_refused("nowhere.npy", "--offsets nowhere.npy: No such file or directory", __LINE__);
    write_file("offsets.npy", "0 3 7", 5);
    assert_offsets_refused("--offsets offsets.npy: not a .npy file");
    write_npy("offsets.npy", "<u4", false, "(2,)", (const uint32_t[]){0, 7}, 8);
    assert_offsets_refused("--offsets offsets.npy: it holds uint32, but offsets are int64 or int32");
    write_npy("offsets.npy", "<i4", false, "(3,)", (const int32_t[]){0, -1, 7}, 12);
    assert_offsets_refused("--offsets offsets.npy: offset 1 is -1, but the array has 7 elements");
    write_npy("offsets.npy", "<f8", false, "(2,)", (const double[]){0, 7}, 16);
    assert_offsets_refused("--offsets offsets.npy: it holds float64, but offsets are int64 or int32");
    write_npy("offsets.npy", "<i8", false, "(2, 1)", (const int64_t[]){0, 7}, 16);
    assert_offsets_refused("--offsets offsets.npy: it has 2 axes, but offsets have one");
    write_npy("offsets.npy", "<i8", false, "(2,)", (const int64_t[]){0, 7}, 15);
    assert_offsets_refused("--offsets offsets.npy: the file is cut short");
    write_npy("offsets.npy", "<i8", false, "(0,)", "", 0);
    assert_offsets_refused("it is empty; there must be one offset more than there are rows");
    WRITE_OFFSETS(1, 7);
    assert_offsets_refused("offset 0 is 1, but the first row begins at 0");
    WRITE_OFFSETS(-1, 7);
    assert_offsets_refused("offset 0 is -1, but the first row begins at 0");
    WRITE_OFFSETS(0, 3, 6);
    assert_offsets_refused("offset 2, the last, is 6, but the array has 7 elements");
    WRITE_OFFSETS(0, 3, 8);
    assert_offsets_refused("offset 2, the last, is 8, but the array has 7 elements");
    WRITE_OFFSETS(0, 3, -7);
    assert_offsets_refused("offset 2, the last, is -7, but the array has 7 elements");
    WRITE_OFFSETS(0, 3, 5, 4, 7);
    assert_offsets_refused("--offsets offsets.npy: offset 3 is 4, less than the 5 before it");
    WRITE_OFFSETS(0, 3, -1, 4, 7);
    assert_offsets_refused("offset 2 is -1, but the array has 7 elements");
    WRITE_OFFSETS(0, 3, 8, 4, 7);
    assert_offsets_refused("offset 2 is 8, but the array has 7 elements");
    WRITE_OFFSETS(0, INT64_MIN, INT64_MAX, 7);
    assert_offsets_refused("offset 1 is -9223372036854775808, but the array has 7 elements");

    write_npy("elements.npy", "<i4", false, "(2, 3)", ELEMENTS, 24);
    WRITE_OFFSETS(0, 6);
    assert_offsets_refused("it has 2 rows; --offsets needs an array of one row");
    write_npy("elements.npy", "<i4", false, "(0, 6)", "", 0);
    assert_offsets_refused("it has 0 rows; --offsets needs an array of one row");
    write_file("elements.bin", ELEMENTS, sizeof ELEMENTS);
    assert_fails(RUN("count", "--offsets", "offsets.npy", "--type", "int8", "--shape", "7:4", "elements.bin"),
                 "rowpool: elements.bin: ", "it has 7 rows; --offsets needs an array of one row");
}

/* ---- Files of results ------------------------------------------------------------------------------------------- */

TEST(writes_text_tables)
{
    write_text("weather.csv", WEATHER);
    assert_prints(RUN("count", "weather.csv", "--output", "out.csv"), "");
    assert_file("out.csv", "row,day,count\n0,mon,2\n1,tue,1\n2,wed,0\n");
    assert_prints(RUN("count", "weather.csv", "--output", "out.tsv"), "");
    assert_file("out.tsv", "row\tday\tcount\n0\tmon\t2\n1\ttue\t1\n2\twed\t0\n");
    assert_prints(RUN("count", "weather.csv", "--output", "out.txt"), "");
    assert_file("out.txt", "2\n1\n0\n");
    assert_prints(RUN("count", "weather.csv", "--bins", "0,4.5,10", "--output", "out.csv"), "");
    assert_file("out.csv", "row,day,count 0:4.5,count 4.5:10\n0,mon,1,1\n1,tue,0,1\n2,wed,0,1\n");
    assert_prints(RUN("map", "--function", "mean", "--skip", "1", "weather.csv", "--output", "out.CSV"), "");
    assert_file("out.CSV", "row,mean\n0,6\n1,2\n2,10.5\n");
    assert_prints(RUN("count", "--header", "no", "--labels", "1", "--type", "float64", "--missing", "nan", "--skip",
                      "2,3", "weather.csv", "--output", "out.csv", "--ragged"),
                  "");
    assert_file("out.csv", "row,label,count\n0,day,0\n1,mon,0\n2,tue,0\n3,wed,0\n");
    write_npy("small.npy", "|i1", false, "(2, 2)", "\4\5\6\0", 4);
    assert_prints(RUN("count", "small.npy", "--output", "out.csv", "--head", "1"), "2\n");
    assert_file("out.csv", "row,count\n0,2\n1,1\n");
}

/* A name with an unknown suffix is a .npy file; a name of another known format is refused. */
TEST(refuses_output_names_of_other_formats)
{
    static const char *const foreign[] = {"o.npz",     "o.gz", "o.npy.gz", "o.CSV.bz2", "o.xlsx", "o.XLS",   "o.ods",
                                          "o.parquet", "o.h5", "o.mat",    "o.pkl",     "o.raw",  "o.jsonl", "o.new"};
    static const char *const plain[] = {"o", "o.out", "o.dat", "o.npz.npy", "./.o"};
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        char message[128];
        (void)snprintf(
            message, sizeof message,
            "--output '%s': rowpool cannot write %s files; the name must end in .csv, .tsv, .tab, .txt, .json or .npy",
            foreign[i], strrchr(foreign[i], '.'));
        assert_usage(RUN("count", "nowhere.csv", "--output", foreign[i]), message);
    }
    write_text("weather.csv", WEATHER);
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        assert_prints(RUN("count", "weather.csv", "--output", plain[i]), "");
        assert_prints(RUN("count", "--format", "npy", plain[i]), "0\n");
        assert_int_equal(unlink(plain[i]), 0);
    }
}

/* The row numbers that were written are read as labels, not as data. */
TEST(reads_its_own_tables)
{
    write_text("numbers.txt", "  1  2\n 30  4\n");
    assert_prints(RUN("map", "--function", "max", "numbers.txt", "--output", "out.csv"), "");
    char *written = read_file("out.csv");
    assert_string_equal(written, "row,max\n0,2\n1,30\n");
    free(written);
    outcome result = RUN("map", "--function", "sum", "out.csv", "--output", "again.tsv");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err,
                        "rowpool: warning: out.csv: column 1 (row) holds row numbers and is taken as labels; "
                        "--labels none takes it as numbers\n");
    release(&result);
    assert_int_equal(unlink("out.csv"), 0);
    assert_file("again.tsv", "row\trow\tsum\n0\t0\t2\n1\t1\t30\n");
}

/* Labels are read back as they were written. */
TEST(quotes_labels_where_needed)
{
    static const char text[] = "\"a \"\"name\"\"\",x\n\"b, c\",4\n\"d\ne\",5\n\" f \",6\ng h,7\nend;,8\n";
    write_text("labels.csv", text);
    assert_prints(RUN("map", "--function", "max", "labels.csv", "--output", "out.csv"), "");
    char *written = read_file("out.csv");
    assert_string_equal(written,
                        "row,\"a \"\"name\"\"\",max\n0,\"b, c\",4\n1,\"d\ne\",5\n2,\" f \",6\n3,g h,7\n4,end;,8\n");
    free(written);
    assert_prints(RUN("map", "--function", "max", "--labels", "2", "--skip", "row", "out.csv", "--output", "again.csv"),
                  "");
    assert_file("again.csv",
                "row,\"a \"\"name\"\"\",max\n0,\"b, c\",4\n1,\"d\ne\",5\n2,\" f \",6\n3,g h,7\n4,end;,8\n");
    assert_int_equal(unlink("out.csv"), 0);
}

TEST(leaves_no_half_written_table)
{
    enum { ROWS = 40000 };
    FILE *file = fopen("many.csv", "w");
    assert_non_null(file);
    for (int i = 0; i < ROWS; i++)
        assert_true(fprintf(file, "%d\n", i) > 0);
    assert_int_equal(fclose(file), 0);
    write_text("old.csv", "precious");
    circumstances with = DEFAULTS;
    with.largest_file = 9 * ROWS; /* the numbers alone would still fit, even if a file in memory is counted */
    assert_fails(RUN_WITH(&with, "map", "--function", "max", "many.csv", "--output", "out.csv"),
                 "rowpool: out.csv: ", "File too large");
    assert_no_output("out.csv");
    assert_fails(RUN_WITH(&with, "map", "--function", "max", "many.csv", "--output", "old.csv"),
                 "rowpool: old.csv: ", "File too large");
    assert_file("old.csv", "precious");
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static json_t *parse(outcome result)
{
    json_error_t error;
    if (result.exit_status != 0)
        show(&result, __LINE__);
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    json_t *value = json_loads(result.out, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        fail_msg("%s at line %d, column %d of %.2000s", error.text, error.line, error.column, result.out);
    release(&result);
    return value;
}

/* Expects this value in the member. */
static void check_member(const json_t *object, const char *name, const char *expected, int line)
{
    char *text = json_dumps(json_object_get(object, name), JSON_ENCODE_ANY | JSON_COMPACT);
    if (text == NULL || strcmp(text, expected) != 0)
        fail_msg("line %d: %s is %s, not %s", line, name, text != NULL ? text : "missing", expected);
    free(text);
}
#define assert_member(object, name, expected) check_member(object, name, expected, __LINE__)

TEST(prints_results_as_json)
{
    write_text("weather.csv", WEATHER);
    json_t *found = parse(RUN("count", "--json", "weather.csv"));
    assert_member(found, "file", "\"weather.csv\"");
    assert_member(found, "rows", "3");
    assert_member(found, "width", "2");
    assert_member(found, "ragged", "false");
    assert_member(found, "dtype", "\"int64\"");
    assert_member(found, "bytes", "48");
    assert_member(found, "function", "\"count\"");
    assert_member(found, "ranges", "[{\"min\":4,\"max\":8,\"closed\":\"both\"}]");
    assert_member(found, "result_dtype", "\"uint32\"");
    assert_member(found, "labels", "[\"mon\",\"tue\",\"wed\"]");
    assert_member(found, "results", "[2,1,0]");
    assert_true(json_is_number(json_object_get(found, "seconds")));
    const json_t *device = json_array_get(json_object_get(found, "devices"), 0);
    assert_member(device, "index", "\"host\"");
    assert_member(device, "rows", "3");
    json_decref(found);

    found = parse(RUN("count", "--json", "--head", "2", "--ranges", "-inf:4.5,0:18446744073709551615", "--closed",
                      "left", "weather.csv"));
    assert_member(found, "ranges",
                  "[{\"min\":\"-inf\",\"max\":4.5,\"closed\":\"left\"},"
                  "{\"min\":0,\"max\":\"18446744073709551615\",\"closed\":\"left\"}]");
    assert_member(found, "labels", "[\"mon\",\"tue\"]");
    assert_member(found, "results", "[[1,2],[1,1]]");
    json_decref(found);

    found = parse(RUN("count", "--json", "weather.csv", "--output", "out.csv"));
    assert_member(found, "rows", "3");
    assert_null(json_object_get(found, "results"));
    json_decref(found);
    assert_file("out.csv", "row,day,count\n0,mon,2\n1,tue,1\n2,wed,0\n");
}

/* All that --json prints; parse() checks that nothing follows. */
TEST(writes_results_as_json)
{
    write_text("weather.csv", WEATHER);
    assert_prints(RUN("count", "weather.csv", "--output", "out.json", "--head", "1"), "2\n");
    char *text = read_file("out.json");
    json_t *found = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(found);
    assert_member(found, "file", "\"weather.csv\"");
    assert_member(found, "labels", "[\"mon\",\"tue\",\"wed\"]");
    assert_member(found, "results", "[2,1,0]");
    assert_member(json_array_get(json_object_get(found, "devices"), 0), "rows", "3");
    json_decref(found);
    free(text);
    assert_int_equal(unlink("out.json"), 0);
    found = parse(RUN("count", "--json", "weather.csv", "--output", "out.json"));
    assert_null(json_object_get(found, "results"));
    json_decref(found);
    assert_int_equal(unlink("out.json"), 0);
    assert_int_equal(leftovers(), 0);
}

/* The cache folder cannot be written, so that there is a fault to report. */
TEST(prints_the_findings_of_doctor_as_json)
{
    static const char *const surroundings[] = {"POCL_CACHE_DIR=/proc/nowhere", "ROWPOOL_WORKERS=1\n2", NULL};
    circumstances with = DEFAULTS;
    with.environment = surroundings;
    outcome result = RUN_WITH(&with, "doctor", "--json");
    json_t *found = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *findings = json_object_get(found, "findings");
    json_int_t wrong = 0;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *one = json_array_get(findings, i);
        bool is_wrong = strcmp(json_string_value(json_object_get(one, "kind")), "wrong") == 0;
        wrong += is_wrong;
        if (is_wrong)
            assert_true(json_string_length(json_object_get(one, "remedy")) > 0);
        assert_true(json_string_length(json_object_get(one, "subject")) > 0);
        assert_true(json_string_length(json_object_get(one, "text")) > 0);
    }
    assert_true(json_array_size(findings) >= 5);
    assert_int_equal(json_integer_value(json_object_get(found, "wrong")), wrong);
    assert_int_equal(result.exit_status, wrong > 0);
    json_decref(found);
    release(&result);

    result = RUN_WITH(&with, "environment", "--json");
    assert_int_equal(result.exit_status, 0);
    found = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
    const json_t *variables = json_object_get(found, "variables");
    rowpool_variable variable;
    size_t n = 0;
    for (; rowpool_variable_at(n, &variable); n++) {
        const json_t *one = json_array_get(variables, n);
        assert_string_equal(json_string_value(json_object_get(one, "name")), variable.name);
        assert_string_equal(json_string_value(json_object_get(one, "meaning")), variable.meaning);
        if (strcmp(variable.name, "ROWPOOL_WORKERS") == 0)
            assert_string_equal(json_string_value(json_object_get(one, "value")), "1\n2");
    }
    assert_int_equal(json_array_size(variables), n);
    json_decref(found);
    release(&result);
}

TEST(prints_odd_values_as_json)
{
    write_file("odd.csv", "\"a\"\"\n\",1\nM\xfcller,2\n\xc3\xa9t\xc3\xa9,3\n\x01,4\n", 29);
    json_t *found = parse(RUN("map", "--json", "--function", "max", "odd.csv"));
    assert_null(json_object_get(found, "ranges"));
    assert_member(found, "labels", "[\"a\\\"\\n\",\"M\xc3\xbcller\",\"\xc3\xa9t\xc3\xa9\",\"\\u0001\"]");
    assert_member(found, "results", "[1,2,3,4]");
    json_decref(found);

    write_text("floats.csv", "nan\ninf\n-inf\n1e300\n0.1\n");
    static const char *const types[] = {"float64", "float32", "float16"};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        write_text("floats.csv", i == 0 ? "nan\ninf\n-inf\n1e300\n0.5\n" : "nan\ninf\n-inf\n1e3\n0.5\n");
        found = parse(RUN("map", "--json", "--function", "max", "--type", types[i], "--header", "no", "--labels",
                          "none", "floats.csv"));
        const json_t *results = json_object_get(found, "results");
        assert_int_equal(json_array_size(results), 5);
        for (size_t row = 0; row < 3; row++)
            assert_true(row == 0 || json_is_null(json_array_get(results, row)));
        assert_true(json_number_value(json_array_get(results, 3)) == (i == 0 ? 1e300 : 1000));
        assert_true(json_number_value(json_array_get(results, 4)) == 0.5);
        json_decref(found);
    }

    write_text("large.csv", "18446744073709551615\n");
    outcome result = RUN("map", "--json", "--function", "max", "--type", "uint64", "large.csv");
    check_tells(result.out, "\"results\": [\n18446744073709551615]");
    release(&result);
}

TEST(prints_devices_and_the_demonstration_as_json)
{
    json_t *found = parse(RUN("devices", "--json"));
    const json_t *devices = json_object_get(found, "devices");
    bool host = false;
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        if (strcmp(json_string_value(json_object_get(device, "index")), "host") == 0) {
            assert_member(device, "type", "\"host\"");
            assert_member(device, "in_use", "true");
            host = true;
        }
    }
    assert_true(host);
    json_decref(found);

    found = parse(RUN("demo", "--json", "--rows", "1000", "--seed", "7"));
    assert_member(found, "rows", "1000");
    assert_member(found, "width", "5");
    assert_member(found, "seed", "7");
    assert_member(found, "all_right", "true");
    assert_member(found, "opencl", "false");
    assert_int_equal(json_array_size(json_object_get(found, "runs")), 4);
    assert_int_equal(json_array_size(json_object_get(found, "first_counts")), 10);
    assert_int_equal(json_array_size(json_object_get(found, "processes")), 2);
    json_decref(found);
}

TEST(notices_that_json_cannot_be_written)
{
    write_text("weather.csv", WEATHER);
    circumstances with = DEFAULTS;
    with.standard_output = open("/dev/full", O_WRONLY);
    assert_true(with.standard_output >= 0);
    static const char begin[] = "rowpool: standard output: ";
    static const char text[] = "No space left on device";
    assert_fails(RUN_WITH(&with, "count", "--json", "weather.csv"), begin, text);
    assert_fails(RUN_WITH(&with, "count", "--json", "weather.csv", "--output", "out.csv"), begin, text);
    assert_no_output("out.csv");
    assert_fails(RUN_WITH(&with, "devices", "--json"), begin, text);
    assert_fails(RUN_WITH(&with, "demo", "--json", "--rows", "10"), begin, text);
    assert_int_equal(close(with.standard_output), 0);
}

/* ---- Terminals -------------------------------------------------------------------------------------------------- */

/* A terminal; the program gets one end of it. */
typedef struct {
    int ours, theirs;
} terminal;

static terminal open_terminal(unsigned short columns)
{
    terminal t = {.ours = posix_openpt(O_RDWR | O_NOCTTY)};
    assert_true(t.ours >= 0);
    assert_int_equal(grantpt(t.ours), 0);
    assert_int_equal(unlockpt(t.ours), 0);
    t.theirs = open(ptsname(t.ours), O_RDWR | O_NOCTTY);
    assert_true(t.theirs >= 0);
    assert_int_equal(ioctl(t.theirs, TIOCSWINSZ, &(struct winsize){.ws_row = 25, .ws_col = columns}), 0);
    return t;
}

/* Closes the terminal; returns what was written to it. */
static char *read_terminal(terminal *t)
{
    char *text = calloc(1, 65536);
    assert_non_null(text);
    assert_int_equal(close(t->theirs), 0);
    test_read_to_end(t->ours, text, 65536);
    assert_int_equal(close(t->ours), 0);
    return text;
}

/* What the program writes to standard error, or standard output, on a terminal. */
static char *show_on_terminal(bool output, const char *const *environment, const char *const *arguments)
{
    terminal t = open_terminal(80);
    circumstances with = DEFAULTS;
    with.environment = environment;
    if (output)
        with.standard_output = t.theirs;
    else
        with.standard_error = t.theirs;
    outcome result = run_with(&with, arguments);
    release(&result);
    return read_terminal(&t);
}

static void check_shown(const char *const *environment, const char *const *arguments, bool output, const char *with,
                        const char *without, int line)
{
    char *text = show_on_terminal(output, environment, arguments);
    if ((with != NULL && strstr(text, with) == NULL) || (without != NULL && strstr(text, without) != NULL))
        fail_msg("line %d: '%s' should contain '%s' and not '%s'", line, text, with != NULL ? with : "",
                 without != NULL ? without : "");
    free(text);
}

#define ESCAPE "\033["

TEST(uses_colours_on_terminals_only)
{
    const char *const *colours = ARGUMENTS("TERM=xterm", "NO_COLOR=");
    const char *const *refused = ARGUMENTS("TERM=xterm", "NO_COLOR=1");
    const char *const *dumb = ARGUMENTS("TERM=dumb", "NO_COLOR=");
    const char *const *wrong = ARGUMENTS("count", "nowhere.npy");
    check_shown(colours, wrong, false, ESCAPE "1;31mrowpool:" ESCAPE "0m nowhere.npy", NULL, __LINE__);
    check_shown(refused, wrong, false, "rowpool: nowhere.npy", ESCAPE, __LINE__);
    check_shown(dumb, wrong, false, "rowpool: nowhere.npy", ESCAPE, __LINE__);
    check_shown(colours, ARGUMENTS("frobnicate"), false, ESCAPE "1;31mrowpool:" ESCAPE "0m unknown", NULL, __LINE__);
    write_text("weather.csv", WEATHER);
    check_shown(colours, ARGUMENTS("count", "--min", "9", "weather.csv"), false,
                ESCAPE "1;33mrowpool:" ESCAPE "0m warning", NULL, __LINE__);
    check_shown(colours, ARGUMENTS("count", "--verbose", "weather.csv"), false, "rowpool: counting", ESCAPE, __LINE__);
    check_shown(colours, ARGUMENTS("devices"), true, ESCAPE "32m*  host", NULL, __LINE__);
    check_shown(refused, ARGUMENTS("devices"), true, "\n*  host", ESCAPE, __LINE__);
    circumstances with = DEFAULTS;
    with.environment = colours;
    assert_fails(run_with(&with, wrong), "rowpool: nowhere.npy", "");
}

TEST(shows_progress_if_asked_to)
{
    write_text("weather.csv", WEATHER);
    outcome result = RUN("count", "--progress", "weather.csv");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.out, "2\n1\n0\n");
    check_tells(result.err, "100 % [############################] ");
    check_tells(result.err, "B/s\n");
    assert_null(strchr(result.err, '\r'));
    release(&result);
    assert_prints(RUN("count", "weather.csv"), "2\n1\n0\n");
    check_shown(NULL, ARGUMENTS("count", "--progress", "weather.csv"), false, "\r100 % [####", "\n", __LINE__);
    check_shown(NULL, ARGUMENTS("count", "--progress", "weather.csv"), false, "\r" ESCAPE "K", NULL, __LINE__);
    check_shown(NULL, ARGUMENTS("count", "--no-progress", "weather.csv"), false, NULL, "%", __LINE__);
    /* it ends too soon to show progress */
    check_shown(NULL, ARGUMENTS("count", "weather.csv"), false, NULL, "%", __LINE__);
    assert_prints(RUN("count", "--no-progress", "--progress", "--no-progress", "weather.csv"), "2\n1\n0\n");
    write_text("header.csv", "a,b\n");
    result = RUN("count", "--progress", "header.csv");
    check_tells(result.err, "100 % [####");
    release(&result);
}

TEST(gives_hints)
{
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=no-vendors/", "ROWPOOL_DEVICE=");
    outcome result = RUN_WITH(&with, "devices");
    check_tells(result.out, "OpenCL");
    const bool built_without = strstr(result.out, "built without OpenCL") != NULL;
    check_tells(result.out, built_without ? "this rowpool was built without OpenCL" : "pocl-opencl-icd");
    release(&result);
    result = RUN("devices", "--device", "host"); /* does not ask OpenCL */
    assert_null(strstr(result.out, "pocl-opencl-icd"));
    release(&result);
    write_text("weather.csv", WEATHER);
    write_text("width.cl",
               "typedef uchar arguments_t;\ntypedef uint result_t;\nROW_BODY { return (result_t)width; }\n");
    assert_fails(RUN_WITH(&with, "map", "--source", "width.cl", "--output-type", "uint32", "weather.csv"),
                 "rowpool: width.cl: ", "; --source is for OpenCL devices, which rowpool devices lists\n");
}

/* ---- Interruption ----------------------------------------------------------------------------------------------- */

enum { RANGES = TEST_SANITIZED ? 2000 : 20000 };

/* Rows and ranges that take longer than any test, unless cancelled. The file is one large hole. Returns the ranges. */
static char *write_long(void)
{
    write_npy("long.npy", "|i1", false, "(20, 100000000)", "", 0);
    struct stat entry;
    assert_int_equal(stat("long.npy", &entry), 0);
    assert_int_equal(truncate("long.npy", entry.st_size + 20 * 100000000L), 0);
    char *ranges = malloc(RANGES * 4);
    assert_non_null(ranges);
    for (size_t i = 0; i < RANGES; i++)
        memcpy(ranges + 4 * i, "0:1,", 4);
    ranges[4 * RANGES - 1] = '\0';
    return ranges;
}

/* Reads until the text appears; NULL: until the end. */
static char *read_until(int fd, const char *text)
{
    char *found = calloc(1, 65536);
    assert_non_null(found);
    size_t used = 0;
    for (ssize_t got; text == NULL || strstr(found, text) == NULL;) {
        got = read(fd, found + used, 65535 - used);
        assert_true(got >= 0);
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return found;
}

/* Interrupts a map after it has begun, once or twice; *messages is what it prints then. Returns the wait status. */
static int interrupt_map(const char *ranges, const char *chunk_bytes, int signal_number, bool twice, char **messages)
{
    char chunks[64];
    (void)snprintf(chunks, sizeof chunks, "ROWPOOL_CHUNK_BYTES=%s", chunk_bytes);
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS(chunks);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int out = test_open_nameless();
    pid_t child = start_program(ARGUMENTS("count", "--progress", "long.npy", "--ranges", ranges, "--output", "out.npy"),
                                &with, out, ends[1]);
    assert_int_equal(close(ends[1]), 0);
    free(read_until(ends[0], "%"));
    assert_int_equal(leftovers(), has_nameless_files() ? 0 : 1);
    assert_int_equal(kill(child, signal_number), 0);
    *messages = read_until(ends[0], twice ? "again" : NULL);
    if (twice)
        assert_int_equal(kill(child, signal_number), 0);
    const int status = test_wait(child);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(out), 0);
    assert_no_output("out.npy");
    return status;
}

/* The program ends by the signal itself: shells show 130 for Ctrl-C, and loops in scripts stop. */
TEST(cancels_when_interrupted)
{
    char *ranges = write_long();
    char *messages;
    const int status = interrupt_map(ranges, "100000", SIGINT, false, &messages);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    check_tells(messages, "rowpool: interrupted: ");
    assert_null(strstr(messages, "100 %"));
    free(messages);
    free(ranges);
}

/* Senders of these signals do not send them twice, or wait less than one chunk takes: here there is only one chunk. */
TEST(ends_at_once_when_terminated)
{
    char *ranges = write_long();
    static const int signals[] = {SIGTERM, SIGHUP};
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        char *messages;
        const int status = interrupt_map(ranges, "100000000", signals[i], false, &messages);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
        assert_null(strstr(messages, "interrupted"));
        free(messages);
    }
    free(ranges);
}

/* The first signal only ends the map between chunks, and here there is only one. */
TEST(ends_at_once_when_interrupted_twice)
{
    char *ranges = write_long();
    char *messages;
    const int status = interrupt_map(ranges, "100000000", SIGINT, true, &messages);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    free(messages);
    free(ranges);
}

/* As the first process of a container, whose own signals do not end it; checks the exit status that a shell shows. */
static void interrupt_first_process(const char *ranges, int signal_number, bool twice)
{
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("ROWPOOL_CHUNK_BYTES=100000000");
    int ends[2], ids[2], out = test_open_nameless();
    assert_true(pipe(ends) == 0 && pipe(ids) == 0);
    fflush(NULL);
    pid_t outside = fork();
    if (outside == 0) {
        int status;
        if (unshare(CLONE_NEWPID) != 0)
            _exit(77);
        pid_t inside = start_program(ARGUMENTS("count", "--progress", "long.npy", "--ranges", ranges), &with, out,
                                     ends[1]);
        if (write(ids[1], &inside, sizeof inside) != sizeof inside || waitpid(inside, &status, 0) != inside)
            _exit(78);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 79);
    }
    pid_t first;
    int status;
    assert_true(close(ends[1]) == 0 && close(ids[1]) == 0 && close(out) == 0);
    bool there = read(ids[0], &first, sizeof first) == sizeof first;
    if (there) {
        free(read_until(ends[0], "%"));
        assert_int_equal(kill(first, signal_number), 0);
        free(read_until(ends[0], twice ? "again" : NULL));
        if (twice)
            assert_int_equal(kill(first, signal_number), 0);
    }
    status = test_wait(outside);
    assert_true(close(ends[0]) == 0 && close(ids[0]) == 0);
    assert_true(WIFEXITED(status));
    if (!there && WEXITSTATUS(status) == 77)
        skip_since("a PID namespace is not permitted here");
    assert_int_equal(WEXITSTATUS(status), 128 + signal_number);
}

TEST(ends_as_the_first_process_of_a_container)
{
    char *ranges = write_long();
    interrupt_first_process(ranges, SIGTERM, false);
    interrupt_first_process(ranges, SIGINT, true);
    free(ranges);
}

/* Without --progress, progress appears on a terminal only, after a moment. */
TEST(shows_progress_of_long_maps_on_terminals_only)
{
    char *ranges = write_long();
    const char *const *arguments = ARGUMENTS("count", "long.npy", "--ranges", ranges);
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("ROWPOOL_CHUNK_BYTES=100000");
    int out = test_open_nameless(), err = test_open_nameless();
    terminal t = open_terminal(80);
    pid_t elsewhere = start_program(arguments, &with, out, err); /* started first, so at least as far as the other */
    pid_t child = start_program(arguments, &with, out, t.theirs);
    char *shown = read_until(t.ours, "%");
    assert_int_equal(kill(child, SIGKILL), 0);
    (void)test_wait(child);
    assert_int_equal(kill(elsewhere, SIGKILL), 0);
    (void)test_wait(elsewhere);
    assert_int_equal(close(t.ours), 0);
    assert_int_equal(close(t.theirs), 0);
    check_tells(shown, "\r  ");
    free(shown);
    shown = test_read_all(err);
    assert_string_equal(shown, "");
    free(shown);
    assert_int_equal(close(err), 0);
    assert_int_equal(close(out), 0);
    free(ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recognises_formats_by_file_name),
        cmocka_unit_test(warns_of_skipped_columns),
        cmocka_unit_test(reads_other_formats_from_standard_input),
        cmocka_unit_test(counts_no_rows),
        cmocka_unit_test(refuses_options_of_other_formats),
        cmocka_unit_test(splits_one_row_into_ragged_rows),
        cmocka_unit_test(reads_offsets_in_foreign_byte_order),
        cmocka_unit_test(refuses_wrong_offsets),
        cmocka_unit_test(writes_text_tables),
        cmocka_unit_test(refuses_output_names_of_other_formats),
        cmocka_unit_test(reads_its_own_tables),
        cmocka_unit_test(quotes_labels_where_needed),
        cmocka_unit_test(leaves_no_half_written_table),
        cmocka_unit_test(prints_results_as_json),
        cmocka_unit_test(writes_results_as_json),
        cmocka_unit_test(prints_odd_values_as_json),
        cmocka_unit_test(prints_the_findings_of_doctor_as_json),
        cmocka_unit_test(prints_devices_and_the_demonstration_as_json),
        cmocka_unit_test(notices_that_json_cannot_be_written),
        cmocka_unit_test(uses_colours_on_terminals_only),
        cmocka_unit_test(shows_progress_if_asked_to),
        cmocka_unit_test(gives_hints),
        cmocka_unit_test(shows_progress_of_long_maps_on_terminals_only),
        cmocka_unit_test(cancels_when_interrupted),
        cmocka_unit_test(ends_at_once_when_interrupted_twice),
        cmocka_unit_test(ends_at_once_when_terminated),
        cmocka_unit_test(ends_as_the_first_process_of_a_container),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
