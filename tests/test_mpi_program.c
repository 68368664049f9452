/* rowpool-mpi on ROWPOOL_TEST_RANKS ranks: what it prints and writes equals what rowpool gives, byte for byte; it
 * reports each error once; if any rank is killed all end and leave nothing behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

static const char *launcher, *over_mpi;
static const char *ranks;

/* ---- Running both programs -------------------------------------------------------------------------------------- */

enum { MAX_ARGUMENTS = 64 };

static size_t append(const char **to, size_t used, const char *const *arguments)
{
    for (; *arguments != NULL; arguments++)
        to[used++] = *arguments;
    to[used] = NULL;
    return used;
}

/* The command that starts it on `n` ranks; returns its length. */
static size_t launch(const char **command, const char *n)
{
    static const char *const bind[] = {"--bind-to", "-bind-to"};
    const bool mpich = strstr(launcher, "mpich") != NULL;
    return append(command, 0, ARGUMENTS(bind[mpich], "none", "-n", n, over_mpi));
}

static outcome run_ranks(const char *n, const circumstances *with, const char *const *arguments)
{
    const char *command[MAX_ARGUMENTS];
    (void)append(command, launch(command, n), arguments);
    circumstances launched = *with;
    launched.program = launcher;
    return run_with(&launched, command);
}
#define RUN_RANKS(...) run_ranks(ranks, &DEFAULTS, ARGUMENTS(__VA_ARGS__))

static char *read_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fail_msg("%s does not exist", path);
    struct stat entry;
    assert_int_equal(fstat(fd, &entry), 0);
    char *bytes = malloc((size_t)entry.st_size + 1);
    assert_non_null(bytes);
    *size = 0;
    for (ssize_t got; (got = read(fd, bytes + *size, (size_t)entry.st_size - *size)) > 0;)
        *size += (size_t)got;
    assert_int_equal(*size, entry.st_size);
    assert_int_equal(close(fd), 0);
    return bytes;
}

static void check_same_bytes(const char *path, const char *expected, int line)
{
    size_t size, expected_size;
    char *bytes = read_file(path, &size), *expected_bytes = read_file(expected, &expected_size);
    if (size != expected_size || memcmp(bytes, expected_bytes, size) != 0)
        fail_msg("line %d: %s, %zu bytes, is not %s, %zu bytes", line, path, size, expected, expected_size);
    free(bytes);
    free(expected_bytes);
}
#define assert_same_bytes(path, expected) check_same_bytes(path, expected, __LINE__)

static void check_same_file(const char *path, const char *expected, int line)
{
    check_same_bytes(path, expected, line);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(expected), 0);
    assert_int_equal(leftovers(), 0);
}

/* Expects the same from both; output: the file that they write, or NULL. */
static void check_same(const circumstances *with, const char *output, const char *const *arguments, int line)
{
    char expected_path[64] = "", path[64] = "";
    const char *command[MAX_ARGUMENTS];
    size_t used = append(command, 0, arguments);
    if (output != NULL) {
        (void)snprintf(expected_path, sizeof expected_path, "expected-%s", output);
        (void)snprintf(path, sizeof path, "found-%s", output);
        used = append(command, used, ARGUMENTS("--output", expected_path));
    }
    outcome expected = run_with(with, command);
    if (output != NULL)
        command[used - 1] = path;
    outcome found = run_ranks(ranks, with, command);
    if (expected.exit_status != 0 || found.exit_status != 0 || strcmp(found.out, expected.out) != 0 ||
        found.err[0] != '\0') {
        show(&expected, line);
        show(&found, line);
        fail_msg("line %d: rowpool and rowpool-mpi differ", line);
    }
    release(&expected);
    release(&found);
    if (output != NULL)
        check_same_file(path, expected_path, line);
}
#define assert_same(...) check_same(&DEFAULTS, NULL, ARGUMENTS(__VA_ARGS__), __LINE__)
#define assert_same_file(output, ...) check_same(&DEFAULTS, output, ARGUMENTS(__VA_ARGS__), __LINE__)

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static const char *const CODES[] = {"|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"};

static void write_array(const char *path, rowpool_dtype dtype, const void *data, size_t rows, size_t width)
{
    char shape[64];
    (void)snprintf(shape, sizeof shape, "(%zu, %zu)", rows, width);
    write_npy(path, CODES[dtype], false, shape, data, rows * width * test_size(dtype));
}

/* Writes the elements and the offsets. */
static void write_ragged(const rowpool_rows *rows)
{
    char shape[64];
    const size_t begin = (size_t)rows->offsets[0], elements = (size_t)rows->offsets[rows->count] - begin;
    const size_t size = test_size(rows->dtype);
    int64_t *offsets = calloc(rows->count + 1, sizeof *offsets);
    assert_non_null(offsets);
    for (size_t i = 0; i <= rows->count; i++)
        offsets[i] = rows->offsets[i] - rows->offsets[0];
    (void)snprintf(shape, sizeof shape, "(%zu,)", elements);
    write_npy("ragged.npy", CODES[rows->dtype], false, shape, (const char *)rows->data + begin * size, elements * size);
    (void)snprintf(shape, sizeof shape, "(%zu,)", rows->count + 1);
    write_npy("offsets.npy", "<i8", false, shape, offsets, (rows->count + 1) * sizeof *offsets);
    free(offsets);
}

TEST(counts_every_dtype)
{
    test_random random = test_random_begin(0x6d706931);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        test_array dense = test_array_make(&random, (rowpool_dtype)dtype, TEST_DENSE, 53, 7, 0);
        write_array("rows.npy", (rowpool_dtype)dtype, dense.rows.data, 53, 7);
        assert_same_file("counts.npy", "count", "rows.npy", "--ranges", "0:1,-1e9:2.5,3:inf", "--head", "50");
        test_array_free(&dense);
        test_array ragged = test_array_make(&random, (rowpool_dtype)dtype, TEST_RAGGED, 41, 9, 0);
        write_ragged(&ragged.rows);
        assert_same_file("counts.csv", "count", "ragged.npy", "--offsets", "offsets.npy", "--bins", "0,1,100", "--head",
                         "41");
        test_array_free(&ragged);
    }
}

static const int32_t SMALL[] = {4, 5, 6, 3, 9, 8, 7, 1, 4, 0, 2, 8};

TEST(counts_fewer_rows_than_ranks)
{
    static const struct {
        size_t rows, width;
    } shapes[] = {{1, 12}, {2, 6}, {3, 4}, {0, 4}, {4, 0}, {0, 0}};
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        write_array("rows.npy", ROWPOOL_INT32, SMALL, shapes[i].rows, shapes[i].width);
        assert_same_file("counts.npy", "count", "rows.npy");
        assert_same_file("counts.csv", "count", "rows.npy", "--head", "2");
    }
    write_npy("rows.npy", "<i4", false, "(12,)", SMALL, sizeof SMALL);
    assert_same_file("counts.npy", "count", "rows.npy", "--bins", "0,4,9");
    write_npy("offsets.npy", "<i8", false, "(1,)", (const int64_t[]){0}, 8);
    write_npy("none.npy", "<i4", false, "(0,)", "", 0);
    assert_same_file("counts.txt", "count", "none.npy", "--offsets", "offsets.npy");
    /* One row has all the elements. */
    write_npy("offsets.npy", "<i8", false, "(5,)", (const int64_t[]){0, 0, 12, 12, 12}, 40);
    assert_same("count", "rows.npy", "--offsets", "offsets.npy");
}

TEST(reads_and_writes_every_format)
{
    static const char table[] = "day,low,high\nmon,4,8\ntue,-1,5\n\"wed, \"\"late\"\"\",9,12\nthu,5,5\nfri,8,4\n";
    write_file("table.csv", table, strlen(table));
    write_file("ragged.tsv", "1\t2\t5\n\n4\n8\t7\n", 13);
    write_file("rows.bin", SMALL, sizeof SMALL);
    write_npy("order.npy", ">i4", true, "(4, 3)", SMALL, sizeof SMALL);
    /* From 1 to 4 ranks, each input is written in each format. */
    static const char *const outputs[] = {"out.csv", "out.tsv", "out.txt", "out.npy"};
    const size_t i = (size_t)atoi(ranks);
    assert_same_file(outputs[i % 4], "count", "table.csv", "--bins", "0,5,10");
    assert_same_file(outputs[(i + 1) % 4], "count", "ragged.tsv", "--ragged", "--head", "3");
    assert_same_file(outputs[(i + 2) % 4], "count", "rows.bin", "--type", "int32", "--shape", "4:3");
    assert_same_file(outputs[(i + 3) % 4], "map", "order.npy", "--function", "mean");
}

/* Every function is tested on one of 1 to 4 ranks. */
TEST(maps_every_built_in_function)
{
    test_random random = test_random_begin(0x6d706932);
    test_array array = test_array_make(&random, ROWPOOL_FLOAT32, TEST_DENSE, 29, 6, 0);
    write_array("rows.npy", ROWPOOL_FLOAT32, array.rows.data, 29, 6);
    const char *name;
    for (size_t i = (size_t)atoi(ranks) - 1; (name = rowpool_builtin_name(i)) != NULL; i += 4)
        assert_same_file("results.npy", "map", "rows.npy", "--function", name, "--head", "29");
    test_array_free(&array);
}

/* Functions see a row's number among all rows. */
TEST(numbers_rows_across_ranks)
{
    static const char text[] = "typedef struct { char nothing; } arguments_t;\ntypedef uint64_t result_t;\n"
                               "ROW_BODY { return index; }\n";
    rowpool *pool;
    if (rowpool_open(&pool, &(rowpool_options){.size = sizeof(rowpool_options), .device = "cpu"}, NULL) != ROWPOOL_OK)
        skip_since("there is no OpenCL CPU device");
    rowpool_close(pool);
    write_file("index.cl", text, strlen(text));
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    check_same(&DEFAULT_DEVICE, NULL,
               ARGUMENTS("map", "rows.npy", "--source", "index.cl", "--output-type", "uint64", "--device", "cpu"),
               __LINE__);
}

/* More than the ranks exchange in one message. */
TEST(prints_many_results)
{
    enum { ROWS = 2000000 };
    int8_t *data = malloc(ROWS);
    assert_non_null(data);
    for (size_t i = 0; i < ROWS; i++)
        data[i] = (int8_t)(i * 7919 % 11);
    write_array("rows.npy", ROWPOOL_INT8, data, ROWS, 1);
    free(data);
    assert_same("count", "rows.npy");
    assert_same("count", "rows.npy", "--head", "1999999");
    assert_same_file("counts.csv", "count", "rows.npy");
}

/* Sparse, so that it takes no disk space; the pages of holes in memory are reclaimed when needed. */
TEST(counts_more_than_4_gigabytes)
{
    enum { ROWS = 5 };
    static const off_t width = 1 << 30;
    if (strcmp(ranks, "2") != 0)
        skip_since("it runs on 2 ranks only");
    if (TEST_SANITIZED || test_setting("ROWPOOL_TEST_LARGE", 1) == 0)
        skip_since("it takes minutes: a sanitizer is active or ROWPOOL_TEST_LARGE is 0");
    if (test_memory() < 2 * (size_t)width)
        skip_since("this machine or control group has %zu bytes of memory; it takes %zu", test_memory(),
                   2 * (size_t)width);
    int fd = open("large.bin", O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    if (ftruncate(fd, ROWS * width) != 0)
        skip_since("cannot make a file of 5 GiB: %s", strerror(errno));
    for (off_t row = 0; row < ROWS; row++) {
        for (off_t i = 0; i <= row; i++)
            assert_int_equal(pwrite(fd, "\5", 1, (row + 1) * width - 1 - 1000 * i), 1);
    }
    struct stat entry;
    assert_int_equal(fstat(fd, &entry), 0);
    assert_int_equal(close(fd), 0);
    if (entry.st_blocks < (1 << 20)) { /* the file system supports holes */
        outcome result = RUN_RANKS("count", "large.bin", "--type", "int8", "--shape", "5:1073741824");
        assert_string_equal(result.err, "");
        assert_string_equal(result.out, "1\n2\n3\n4\n5\n");
        release(&result);
    }
    assert_int_equal(unlink("large.bin"), 0);
}

/* ---- Reports ---------------------------------------------------------------------------------------------------- */

/* The same object except for devices and times. */
TEST(prints_json)
{
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    outcome expected = RUN("count", "rows.npy", "--json", "--bins", "0,5,10");
    outcome found = RUN_RANKS("count", "rows.npy", "--json", "--bins", "0,5,10");
    const char *results = strstr(expected.out, "\"results\"");
    assert_non_null(results);
    check_tells(found.out, results);
    const size_t facts = (size_t)(strstr(expected.out, "\"seconds\"") - expected.out);
    assert_memory_equal(found.out, expected.out, facts);
    for (int rank = 0; rank < atoi(ranks) && rank < 6; rank++) {
        char text[64];
        (void)snprintf(text, sizeof text, "\"rank\": %d}", rank);
        check_tells(found.out, text);
    }
    release(&expected);
    release(&found);
    found = RUN_RANKS("count", "rows.npy", "--json", "--output", "out.npy");
    check_tells(found.out, "\"seconds\"");
    assert_null(strstr(found.out, "\"results\""));
    release(&found);
    assert_int_equal(unlink("out.npy"), 0);

    assert_prints(RUN_RANKS("count", "rows.npy", "--output", "out.json"), "");
    expected = RUN("count", "rows.npy", "--json");
    size_t size;
    char *written = read_file("out.json", &size);
    written[size] = '\0';
    check_tells(written, strstr(expected.out, "\"results\""));
    check_tells(written, "\"rank\": 0}");
    free(written);
    release(&expected);
    assert_int_equal(unlink("out.json"), 0);
}

TEST(reports_what_each_rank_did)
{
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    outcome result = RUN_RANKS("count", "rows.npy", "--verbose", "--min", "9", "--max", "1");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.err, "rowpool-mpi: 6 rows of 2 int32, 48 bytes, mapped\n");
    assert_ptr_equal(strstr(strstr(result.err, "rows of") + 1, "rows of"), NULL); /* once */
    check_tells(result.err, "rowpool-mpi: warning: ");
    for (int rank = 0; rank < atoi(ranks); rank++) {
        char text[64];
        (void)snprintf(text, sizeof text, "rowpool-mpi: rank %d, device host: ", rank);
        check_tells(result.err, text);
    }
    release(&result);
    result = RUN_RANKS("count", "rows.npy", "--progress");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.err, "100 %");
    release(&result);
}

TEST(prints_help)
{
    outcome result = RUN_RANKS("--help");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.out, "Usage: mpirun -n N rowpool-mpi COMMAND");
    assert_null(strstr(strstr(result.out, "Usage") + 1, "Usage")); /* once */
    release(&result);
    result = RUN_RANKS("map", "--help");
    check_tells(result.out, "Usage: mpirun -n N rowpool-mpi map --function NAME");
    assert_null(strstr(result.out, "FILE - is standard input"));
    release(&result);
    result = RUN_RANKS("--version");
    check_tells(result.out, "rowpool-mpi ");
    release(&result);
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

/* The program prints its message once; the launcher may add any number. */
static void check_refused(outcome result, const char *begin, const char *text, int line)
{
    size_t lines = 0;
    for (const char *at = result.err; (at = strstr(at, "rowpool-mpi: ")) != NULL; at++)
        lines += at == result.err || at[-1] == '\n';
    const char *message = strstr(result.err, "rowpool-mpi: ");
    if (result.exit_status <= 0 || result.out[0] != '\0' || lines != 1 || strncmp(message, begin, strlen(begin)) != 0 ||
        strstr(message, text) == NULL) {
        show(&result, line);
        fail_msg("line %d: expected one message, %s...%s", line, begin, text);
    }
    release(&result);
    assert_no_output("out.npy");
    assert_no_output("out.csv");
}
#define assert_refusal(result, begin, text) check_refused(result, "rowpool-mpi: " begin, text, __LINE__)

TEST(refuses_wrong_usage)
{
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    assert_refusal(RUN_RANKS("devices"), "unknown command 'devices'", "see rowpool-mpi --help");
    assert_refusal(RUN_RANKS("count"), "FILE is missing", "see rowpool-mpi count --help");
    assert_refusal(RUN_RANKS("count", "rows.npy", "--min", "x"), "", "see rowpool-mpi count --help");
    assert_refusal(RUN_RANKS("count", "-"), "FILE cannot be standard input", "every rank opens it");
    assert_refusal(RUN_RANKS("map", "rows.npy", "--function", "mode"), "unknown function 'mode'", "");
    assert_refusal(RUN_RANKS("map", "rows.npy", "--source", "none.cl", "--output-type", "int8"), "",
                   "none.cl: No such file");
    assert_refusal(RUN_RANKS("count", "rows.npy", "--device", "9:9", "--output", "out.npy"), "", "9:9");
}

/* Some ranks have left before the others begin to wait for them. */
TEST(ends_where_one_rank_has_another_command_line)
{
    if (strcmp(ranks, "2") != 0)
        skip_since("it runs on 2 ranks only");
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    const char *command[MAX_ARGUMENTS];
    size_t used = append(command, launch(command, "1"), ARGUMENTS("count", "rows.npy", ":", "-n", "2", over_mpi));
    (void)append(command, used, ARGUMENTS("count", "rows.npy", "--closed", "never"));
    circumstances with = DEFAULTS;
    with.program = launcher;
    assert_refusal(run_with(&with, command), "rank 1 (", "--closed 'never'");
}

TEST(refuses_bad_files)
{
    write_array("rows.npy", ROWPOOL_INT32, SMALL, 6, 2);
    assert_refusal(RUN_RANKS("count", "nowhere.npy", "--output", "out.npy"), "nowhere.npy: ", "No such file");
    write_file("bad.csv", "1,2\n3,x\n", 8);
    assert_refusal(RUN_RANKS("count", "bad.csv", "--output", "out.csv"), "bad.csv: line 2, column 2", "'x'");
    assert_refusal(RUN_RANKS("count", "rows.npy", "--output", "nowhere/out.npy"), "nowhere/out.npy: ", "No such file");
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_refusal(RUN_RANKS("count", "rows.npy", "--output", "folder"), "folder: ", "Is a directory");
    assert_refusal(RUN_RANKS("count", "rows.npy", "--output", "/proc/out.npy"), "/proc/out.npy: ", "");
    assert_refusal(RUN_RANKS("count", "rows.npy", "--output", "/dev/full"), "/dev/full: ", "No space left");
    assert_int_equal(rmdir("folder"), 0);
}

/* Only the rank that has the rows notices it. */
TEST(refuses_wrong_offsets_of_the_last_rank)
{
    write_npy("rows.npy", "<i4", false, "(12,)", SMALL, sizeof SMALL);
    write_npy("offsets.npy", "<i8", false, "(9,)", (const int64_t[]){0, 1, 3, 4, 6, 7, 11, 9, 12}, 72);
    char begin[32] = "rowpool-mpi: ";
    if (strcmp(ranks, "1") != 0)
        (void)snprintf(begin, sizeof begin, "rowpool-mpi: rank %d (", atoi(ranks) - 1);
    check_refused(RUN_RANKS("count", "rows.npy", "--offsets", "offsets.npy", "--output", "out.csv"), begin,
                  "rows.npy: --offsets offsets.npy: offset 7 is 9, less than the 11 before it", __LINE__);
}

static void write_short_file(rlim_t bytes)
{
    circumstances with = DEFAULTS;
    with.largest_file = bytes;
    outcome result = run_ranks(ranks, &with, ARGUMENTS("count", "rows.npy", "--output", "out.csv"));
    if (result.exit_status == 0 || strstr(result.err, "rowpool-mpi: out.csv: ") == NULL)
        show(&result, __LINE__);
    assert_int_not_equal(result.exit_status, 0);
    check_tells(result.err, "rowpool-mpi: out.csv: ");
    release(&result);
    assert_no_output("out.csv");
}

TEST(leaves_no_half_written_file)
{
    int32_t *data = calloc(2000000, sizeof *data);
    assert_non_null(data);
    write_array("rows.npy", ROWPOOL_INT32, data, 2000000, 1);
    free(data);
    write_short_file(18000000); /* out.csv has 18.9 MB; the shared memory of Open MPI 5, which fits, 16.8 */
    assert_int_equal(unlink("rows.npy"), 0);
}

/* ---- Signals ---------------------------------------------------------------------------------------------------- */

static size_t read_process(char *text, size_t size, const char *pid, const char *what)
{
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%s/%s", pid, what);
    FILE *file = fopen(path, "r");
    const size_t got = file != NULL ? fread(text, 1, size - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    text[got] = '\0';
    return got;
}

/* The processes that run the program and have the file mapped: they have passed MPI_Init. What a launcher does when it
 * loses a rank earlier is its own affair. */
static size_t find_ranks(pid_t *found, size_t capacity, const char *argument)
{
    static char text[1 << 20];
    size_t count = 0;
    DIR *processes = opendir("/proc");
    assert_non_null(processes);
    for (struct dirent *entry; (entry = readdir(processes)) != NULL && count < capacity;) {
        const pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && read_process(text, sizeof text, entry->d_name, "cmdline") > 0 && strcmp(text, over_mpi) == 0 &&
            read_process(text, sizeof text, entry->d_name, "maps") > 0 && strstr(text, argument) != NULL)
            found[count++] = pid;
    }
    assert_int_equal(closedir(processes), 0);
    return count;
}

/* Kills a rank, or signals the launcher, that long after all ranks have started. The file must appear complete or not
 * at all; returns whether it did not appear. */
static bool check_killed(const char *argument, int which, int signal_number, long ms)
{
    enum { MAX_RANKS = 16 };
    const char *command[MAX_ARGUMENTS];
    (void)append(command, launch(command, ranks),
                 ARGUMENTS("count", argument, "--bins", "0,1,2", "--output", "out.csv"));
    circumstances with = DEFAULTS;
    with.program = launcher;
    int out = test_open_nameless(), err = test_open_nameless();
    pid_t job = start_program(command, &with, out, err);
    (void)setpgid(job, job); /* a launcher may signal its whole process group */
    pid_t found[MAX_RANKS];
    size_t count = 0;
    while (count < (size_t)atoi(ranks)) {
        count = find_ranks(found, MAX_RANKS, argument);
        test_sleep_us(count < (size_t)atoi(ranks) ? 2000 : 1000 * (uint64_t)ms);
    }
    (void)kill(which < 0 ? job : found[which], signal_number);
    const int status = test_wait(job);
    char *messages = test_read_all(err);
    char *printed = test_read_all(out); /* MPICH's launcher reports it here */
    const bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!done && which >= 0 && messages[0] == '\0' && printed[0] == '\0')
        fail_msg("signal %d after %ld ms: no message", signal_number, ms);
    free(messages);
    free(printed);
    assert_int_equal(close(out), 0);
    assert_int_equal(close(err), 0);
    /* The process that removes the temporary file, and ranks that are ending, may outlive the launcher briefly. */
    while (leftovers() > 0 || find_ranks(found, MAX_RANKS, argument) > 0)
        test_sleep_us(10000);
    const bool written = exists("out.csv");
    assert_true(written || !done || which < 0);
    if (written)
        assert_same_bytes("out.csv", "expected.csv");
    (void)unlink("out.csv");
    return !written;
}

TEST(ends_when_a_rank_is_killed)
{
    enum { ROWS = 3000000, WIDTH = 8, MOMENTS = 6 };
    static const long moments[MOMENTS] = {0, 100, 250, 400, 600, 900};
    char name[64];
    (void)snprintf(name, sizeof name, "rows-%d.npy", (int)getpid());
    void *data = calloc(ROWS, WIDTH);
    assert_non_null(data);
    write_array(name, ROWPOOL_INT8, data, ROWS, WIDTH);
    free(data);
    assert_prints(RUN("count", name, "--bins", "0,1,2", "--output", "expected.csv"), "");
    size_t killed = 0;
    for (int i = 0; i < MOMENTS || killed == 0; i++) /* until one is killed in time */
        killed += check_killed(name, i % atoi(ranks), SIGKILL, moments[i % MOMENTS]);
    (void)check_killed(name, -1, SIGINT, 50);
    (void)check_killed(name, -1, SIGTERM, 0);
    assert_int_equal(unlink(name), 0);
}

static int begin(void **state)
{
    launcher = getenv("ROWPOOL_TEST_LAUNCHER");
    over_mpi = getenv("ROWPOOL_TEST_MPI_PROGRAM");
    ranks = getenv("ROWPOOL_TEST_RANKS");
    if (launcher == NULL || over_mpi == NULL || ranks == NULL)
        return -1;
    return enter_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_dtype),
        cmocka_unit_test(counts_fewer_rows_than_ranks),
        cmocka_unit_test(reads_and_writes_every_format),
        cmocka_unit_test(maps_every_built_in_function),
        cmocka_unit_test(numbers_rows_across_ranks),
        cmocka_unit_test(prints_many_results),
        cmocka_unit_test(counts_more_than_4_gigabytes),
        cmocka_unit_test(prints_json),
        cmocka_unit_test(reports_what_each_rank_did),
        cmocka_unit_test(prints_help),
        cmocka_unit_test(refuses_wrong_usage),
        cmocka_unit_test(ends_where_one_rank_has_another_command_line),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_wrong_offsets_of_the_last_rank),
        cmocka_unit_test(leaves_no_half_written_file),
        cmocka_unit_test(ends_when_a_rank_is_killed),
    };
    return cmocka_run_group_tests(tests, begin, remove_folder);
}
