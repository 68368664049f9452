/* The program, run on .npy files in a folder of its own: what it prints, what it refuses, what it leaves behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#include "npy.h"

/* ---- Running the program ---------------------------------------------------------------------------------------- */

static char program[PATH_MAX];
static char folder[] = "/tmp/rowpool-test-program-XXXXXX"; /* the working directory of every run */

/* What is not the same in every run; -1 and NULL are the usual. */
typedef struct {
    int standard_input, standard_output; /* descriptors; else nothing to read, and what is written is kept */
    bool close_standard_output;
    const char *const *environment; /* "NAME=VALUE" ..., NULL */
    rlim_t largest_file;            /* 0: no limit */
} circumstances;

/* On the host, which the folder's environment names: most of what is tried here has nothing to do with devices, and an
 * OpenCL driver takes its time to start. */
static const circumstances USUAL = {.standard_input = -1, .standard_output = -1};

/* On the devices that a user gets who asks for none. */
static const circumstances DEFAULT_DEVICE = {
    .standard_input = -1, .standard_output = -1, .environment = (const char *const[]){"ROWPOOL_DEVICE=", NULL}};

typedef struct {
    int exit_status; /* -1: it was killed */
    int signal;
    char *out, *err;
} outcome;

static char *read_all(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    char *text = malloc((size_t)file.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)file.st_size, 0), file.st_size);
    text[file.st_size] = '\0';
    return text;
}

static int open_nameless(void)
{
    char path[] = "/tmp/rowpool-test-output-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

/* In the child: becomes the program, or leaves with a status that the program never has. */
static void become_program(const char *const *arguments, const circumstances *with, int out, int err)
{
    int in = with->standard_input >= 0 ? with->standard_input : open("/dev/null", O_RDONLY);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    if (with->close_standard_output)
        (void)close(STDOUT_FILENO);
    for (const char *const *entry = with->environment; entry != NULL && *entry != NULL; entry++)
        (void)putenv(strdup(*entry));
    if (with->largest_file > 0)
        (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){with->largest_file, with->largest_file});
    const char *argv[32] = {"rowpool"};
    for (size_t i = 0; arguments[i] != NULL && i + 2 < COUNT_OF(argv); i++)
        argv[i + 1] = arguments[i];
    (void)execv(program, (char *const *)(uintptr_t)argv);
    _exit(111);
}

static pid_t start_program(const char *const *arguments, const circumstances *with, int out, int err)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_program(arguments, with, out, err);
    return child;
}

static outcome run_with(const circumstances *with, const char *const *arguments)
{
    int out = with->standard_output >= 0 ? with->standard_output : open_nameless();
    int err = open_nameless();
    pid_t child = start_program(arguments, with, out, err);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    outcome result = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                      .err = read_all(err)};
    result.out = with->standard_output >= 0 ? strdup("") : read_all(out);
    if (with->standard_output < 0)
        assert_int_equal(close(out), 0);
    assert_int_equal(close(err), 0);
    return result;
}

static void release(outcome *result)
{
    free(result->out);
    free(result->err);
}

#define ARGUMENTS(...)    \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define RUN(...) run_with(&USUAL, ARGUMENTS(__VA_ARGS__))
#define RUN_WITH(with, ...) run_with(with, ARGUMENTS(__VA_ARGS__))

/* ---- Judging a run ---------------------------------------------------------------------------------------------- */

static void show(const outcome *result, int line)
{
    print_error("line %d: exit status %d, signal %d\nstandard output: %.300s\nstandard error: %.2000s\n", line,
                result->exit_status, result->signal, result->out, result->err);
}

static bool is_one_line(const char *text)
{
    const char *end = strchr(text, '\n');
    return end != NULL && end[1] == '\0';
}

/* Exit status 0, this on standard output, nothing on standard error. */
static void check_prints(outcome result, const char *text, int line)
{
    if (result.exit_status != 0 || strcmp(result.out, text) != 0 || result.err[0] != '\0') {
        show(&result, line);
        fail_msg("line %d: expected: %.300s", line, text);
    }
    release(&result);
}

/* The exit status, one line on standard error that begins and goes on like this, and nothing on standard output. */
static void check_refuses(outcome result, int exit_status, const char *begin, const char *text, int line)
{
    if (result.exit_status != exit_status || result.out[0] != '\0' || !is_one_line(result.err) ||
        strncmp(result.err, begin, strlen(begin)) != 0 || strstr(result.err, text) == NULL) {
        show(&result, line);
        fail_msg("line %d: expected exit status %d and: %s...%s", line, exit_status, begin, text);
    }
    release(&result);
}

#define assert_prints(result, text) check_prints(result, text, __LINE__)
#define assert_fails(result, begin, text) check_refuses(result, 1, begin, text, __LINE__)
#define assert_usage(result, text) check_refuses(result, 2, "rowpool: ", text, __LINE__)

static bool exists(const char *path)
{
    struct stat entry;
    return lstat(path, &entry) == 0;
}

/* Temporary files in the working directory. */
static size_t leftovers(void)
{
    size_t found = 0;
    DIR *directory = opendir(".");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        found += strncmp(entry->d_name, ".rowpool", 8) == 0;
    assert_int_equal(closedir(directory), 0);
    return found;
}

static void assert_no_output(const char *path)
{
    assert_false(exists(path));
    assert_int_equal(leftovers(), 0);
}

/* ---- Making files ----------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A version 1.0 file as NumPy writes it. */
static void write_npy(const char *path, const char *descr, bool fortran, const char *shape, const void *data,
                      size_t bytes)
{
    char text[1024];
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                          fortran ? "True" : "False", shape);
    size_t end = ((size_t)length + 11 + 63) / 64 * 64 - 10;
    char header[2048];
    memcpy(header, "\x93NUMPY\1", 8);
    header[8] = (char)(end & 255);
    header[9] = (char)(end >> 8);
    (void)snprintf(header + 10, sizeof header - 10, "%-*s\n", (int)end - 1, text);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, 10 + end, file), 10 + end);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *descr_of(rowpool_dtype dtype)
{
    static const char *const little[] = {"|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"};
    static const char *const big[] = {"|i1", ">i2", ">i4", ">i8", "|u1", ">u2", ">u4", ">u8", ">f2", ">f4", ">f8"};
    const uint16_t one = 1;
    return (*(const unsigned char *)&one == 1 ? little : big)[dtype];
}

static void write_rows(const char *path, const rowpool_rows *rows)
{
    char shape[64];
    (void)snprintf(shape, sizeof shape, "(%zu, %zu)", rows->count, rows->width);
    write_npy(path, descr_of(rows->dtype), false, shape, rows->data,
              rows->count * rows->width * test_size(rows->dtype));
}

/* Three rows of five: with the default range 4..8 the counts are 2, 5 and 0. */
static const int32_t SMALL[15] = {0, 4, 8, 9, 3, 4, 5, 6, 7, 8, -4, 9, 1, 2, 3};
#define SMALL_COUNTS "2\n5\n0\n"

static void write_small(const char *path)
{
    write_npy(path, "<i4", false, "(3, 5)", SMALL, sizeof SMALL);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

/* The bound as an argument that is exactly it. */
static void format_bound(char text[64], rowpool_number bound)
{
    if (bound.kind == ROWPOOL_NUMBER_I64)
        (void)snprintf(text, 64, "%" PRId64, bound.value.i64);
    else if (bound.kind == ROWPOOL_NUMBER_U64)
        (void)snprintf(text, 64, "%" PRIu64, bound.value.u64);
    else if (isinf(bound.value.f64))
        (void)snprintf(text, 64, "%s", bound.value.f64 < 0 ? "-inf" : "infinity");
    else
        (void)snprintf(text, 64, "%a", bound.value.f64);
}

static char *expected_text(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges)
{
    size_t size = rows->count * n_ranges;
    uint64_t *counts = calloc(size + 1, sizeof *counts);
    char *text = calloc(size + 1, 21);
    assert_non_null(counts);
    assert_non_null(text);
    test_expect(rows, ranges, n_ranges, counts);
    for (size_t i = 0, used = 0; i < size; i++)
        used += (size_t)sprintf(text + used, "%" PRIu64 "%c", counts[i], (i + 1) % n_ranges == 0 ? '\n' : ' ');
    free(counts);
    return text;
}

static const char *const CLOSED[] = {"both", "left", "right", "neither"};

/* Counts rows.npy, which holds the rows, with the options that ask for the ranges. device NULL: the default. */
static void check_options(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges,
                          const char *const *options, const char *device, bool async)
{
    const char *arguments[16] = {"count", "rows.npy"};
    size_t used = 2;
    for (; *options != NULL; options++)
        arguments[used++] = *options;
    if (device != NULL) {
        arguments[used++] = "--device";
        arguments[used++] = device;
    }
    if (async)
        arguments[used++] = "--async";
    outcome result = run_with(device != NULL ? &USUAL : &DEFAULT_DEVICE, arguments);
    char *expected = expected_text(rows, ranges, n_ranges);
    if (result.exit_status != 0 || strcmp(result.out, expected) != 0) {
        show(&result, __LINE__);
        for (size_t i = 1; i < used; i++)
            print_error("%s ", arguments[i]);
        fail_msg("%s on %s: expected %.200s", test_name(rows->dtype), device != NULL ? device : "the default device",
                 expected);
    }
    free(expected);
    release(&result);
}

static void check_counts(const rowpool_rows *rows, const rowpool_range *range, const char *device, bool async)
{
    char lo[64], hi[64];
    format_bound(lo, range->lo);
    format_bound(hi, range->hi);
    check_options(rows, range, 1, ARGUMENTS("--min", lo, "--max", hi, "--closed", CLOSED[range->closed]), device,
                  async);
}

TEST(counts_every_dtype_on_the_host)
{
    test_random random = test_random_begin(0x686f7374);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        test_array array = test_array_make(&random, (rowpool_dtype)dtype, TEST_DENSE, 37, 7, 0);
        write_rows("rows.npy", &array.rows);
        for (int i = 0; i < 8; i++) {
            rowpool_range range = test_range_for(&random, &array.rows);
            range.closed = (rowpool_closed)(i % 4);
            check_counts(&array.rows, &range, "host", i % 2 == 0);
        }
        test_array_free(&array);
    }
}

/* More elements than are counted in the program itself unless it is asked to. */
TEST(counts_every_dtype_on_the_default_device)
{
    test_random random = test_random_begin(0x64656661);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        test_array array = test_array_make(&random, (rowpool_dtype)dtype, TEST_DENSE, 6000, 7, 0);
        write_rows("rows.npy", &array.rows);
        rowpool_range range = test_range_for(&random, &array.rows);
        check_counts(&array.rows, &range, NULL, dtype % 2 == 0);
        test_array_free(&array);
    }
}

TEST(counts_on_processes)
{
    test_random random = test_random_begin(0x666f726b);
    test_array array = test_array_make(&random, ROWPOOL_INT16, TEST_DENSE, 5000, 9, 0);
    write_rows("rows.npy", &array.rows);
    for (int i = 0; i < 4; i++) {
        rowpool_range range = test_range_for(&random, &array.rows);
        check_counts(&array.rows, &range, i < 2 ? "fork" : "fork,host", i % 2 == 0);
    }
    test_array_free(&array);
}

TEST(counts_4_to_8_by_default)
{
    write_small("small.npy");
    assert_prints(RUN("count", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN_WITH(&DEFAULT_DEVICE, "count", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--", "./small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "small.npy", "--async"), SMALL_COUNTS);
    assert_prints(RUN("count", "--min", "5", "small.npy"), "1\n4\n0\n");
    assert_prints(RUN("count", "small.npy", "--max=4"), "1\n1\n0\n");
    assert_prints(RUN("count", "--min", "-4", "--max", "-4", "small.npy"), "0\n0\n1\n");
}

TEST(closes_the_range_as_asked)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--closed", "both", "small.npy"), "2\n5\n0\n");
    assert_prints(RUN("count", "--closed", "left", "small.npy"), "1\n4\n0\n");
    assert_prints(RUN("count", "--closed", "right", "small.npy"), "1\n4\n0\n");
    assert_prints(RUN("count", "--closed", "neither", "small.npy"), "0\n3\n0\n");
}

/* One row; the count of a range in it. */
static void check_range(const char *lo, const char *hi, const char *count)
{
    check_prints(RUN("count", "--device", "host", "--min", lo, "--max", hi, "row.npy"), count, __LINE__);
}

TEST(takes_integers_exactly)
{
    static const int64_t integers[] = {INT64_MIN,        INT64_MIN + 1, -1,       0, 9007199254740992, 9007199254740993,
                                       9007199254740994, INT64_MAX - 1, INT64_MAX};
    write_npy("row.npy", "<i8", false, "(9,)", integers, sizeof integers);
    check_range("9007199254740993", "9007199254740993", "1\n");
    check_range("9007199254740993", "9007199254740994", "2\n");
    check_range("+9007199254740993", "0x20000000000001", "1\n");
    check_range("9007199254740993.0", "9007199254740993.0", "1\n"); /* the double 9007199254740992 */
    check_range("9007199254740993.0", "9007199254740993", "2\n");
    check_range("9223372036854775807", "9223372036854775807", "1\n");
    check_range("9223372036854775807", "9223372036854775808", "1\n");
    check_range("9223372036854775806", "1e30", "2\n");
    check_range("-9223372036854775808", "-9223372036854775808", "1\n");
    check_range("-9223372036854775807", "-1", "2\n");
    check_range("-0x8000000000000000", "-0X1", "3\n");
    check_range("-1e30", "1e30", "9\n");
    check_range("-inf", "inf", "9\n");
    check_range("-Infinity", "INFINITY", "9\n");
    check_range("-0.5", "0.5", "1\n");
    check_range("-0", "0", "1\n");
    check_range("1e-400", ".5e1", "1\n");          /* rounds to 0, and 0 lies in it */
    check_range("010", "9007199254740992", "1\n"); /* decimal, whatever begins it */

    static const uint64_t naturals[] = {0, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    write_npy("row.npy", "<u8", false, "(5,)", naturals, sizeof naturals);
    check_range("18446744073709551615", "18446744073709551615", "1\n");
    check_range("18446744073709551614", "18446744073709551615", "2\n");
    check_range("9223372036854775808", "0xffffffffffffffff", "3\n");
    check_range("-5", "0", "1\n");
    check_range("18446744073709551615", "1e20", "1\n");
    check_range("18446744073709551616.0", "inf", "0\n");
}

TEST(takes_doubles_exactly)
{
    static const double reals[] = {-INFINITY, -1e30, -0.0, 0.0, 5e-324, 0.1, 1e30, 1e308, INFINITY, NAN};
    write_npy("row.npy", "<f8", false, "(10,)", reals, sizeof reals);
    check_range("1e30", "1e30", "1\n");
    check_range("1e30", "inf", "3\n");
    check_range("inf", "inf", "1\n");
    check_range("-inf", "inf", "9\n");
    check_range("0", "0", "2\n");
    check_range("-0.0", "-0.0", "2\n");
    check_range("0.1", "0.1", "1\n");
    check_range("5e-324", "0.1", "2\n");
    check_range("0x1.999999999999ap-4", "0.1", "1\n");
    check_range("0.10000000000000001", "1", "1\n");
}

TEST(refuses_what_is_no_bound)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is empty"},
        {"abc", "no number"},
        {"nan", "NaN"},
        {"NaN", "NaN"},
        {"-nan", "NaN"},
        {"nan(1)", "NaN"},
        {" 4", "no number"},
        {"\t4.5", "no number"},
        {"4 ", "no number"},
        {"4.5 ", "no number"},
        {"4,5", "no number"},
        {"4x", "no number"},
        {"0x", "no number"},
        {"--4", "no number"},
        {"+", "no number"},
        {"-", "no number"},
        {".", "no number"},
        {"e5", "no number"},
        {"1e", "no number"},
        {"1_000", "no number"},
        {"infinit", "no number"},
        {"1e400", "beyond double"},
        {"-1e400", "beyond double"},
        {"18446744073709551616", "beyond int64 and uint64"},
        {"-9223372036854775809", "beyond int64 and uint64"},
        {"0x10000000000000000", "beyond int64 and uint64"},
        {"123456789012345678901234567890", "beyond int64 and uint64"},
    };
    write_small("small.npy");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_usage(RUN("count", "--min", cases[i].text, "small.npy", "--output", "out.npy"), cases[i].message);
        assert_usage(RUN("count", "--max", cases[i].text, "small.npy", "--output", "out.npy"), cases[i].message);
    }
    assert_no_output("out.npy");
}

static void check_warns(const char *lo, const char *hi, const char *closed, bool warning)
{
    outcome result = RUN("count", "--min", lo, "--max", hi, "--closed", closed, "--head", "1", "zeros.npy");
    bool warned = strncmp(result.err, "rowpool: warning: ", 18) == 0 && is_one_line(result.err) &&
                  strstr(result.err, "every count is 0") != NULL && strcmp(result.out, "0\n") == 0;
    if (result.exit_status != 0 || warned != warning || (!warning && result.err[0] != '\0')) {
        show(&result, __LINE__);
        fail_msg("%s to %s closed %s: %s warning expected", lo, hi, closed, warning ? "a" : "no");
    }
    release(&result);
}

TEST(warns_of_an_empty_range)
{
    static const double zeros[4] = {0};
    write_npy("zeros.npy", "<f8", false, "(2, 2)", zeros, sizeof zeros);
    check_warns("9", "8", "both", true);
    check_warns("8", "8", "both", false);
    check_warns("8", "8", "left", true);
    check_warns("8", "8.0", "neither", true);
    check_warns("-1", "-2", "both", true);
    check_warns("-2", "-1", "both", false);
    check_warns("-1", "18446744073709551615", "both", false);
    check_warns("18446744073709551615", "-1", "both", true);
    check_warns("18446744073709551615", "1e19", "both", true);
    check_warns("18446744073709551615", "18446744073709551616.0", "both", false);
    check_warns("9007199254740993", "9007199254740992.0", "both", true);
    check_warns("9007199254740992.0", "9007199254740993", "left", false);
    check_warns("-9007199254740992.0", "-9007199254740993", "both", true);
    check_warns("8.5", "8", "both", true);
    check_warns("-8", "-8.5", "both", true);
    check_warns("-8.5", "-8", "both", false);
    check_warns("1e30", "-1e30", "both", true);
    check_warns("inf", "-inf", "both", true);
    check_warns("inf", "9223372036854775807", "both", true);
    check_warns("-9223372036854775808", "-inf", "both", true);
    outcome result = RUN("count", "--min", "9", "zeros.npy");
    assert_non_null(strstr(result.err, "above the maximum 8 (the default)"));
    release(&result);
}

/* ---- Several ranges --------------------------------------------------------------------------------------------- */

enum { MOST_RANGES = 40 };

static void check_ranges(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges, const char *device,
                         bool async)
{
    char list[MOST_RANGES * 130];
    size_t used = 0;
    for (size_t k = 0; k < n_ranges; k++) {
        char lo[64], hi[64];
        format_bound(lo, ranges[k].lo);
        format_bound(hi, ranges[k].hi);
        used += (size_t)sprintf(list + used, "%s%s:%s", k > 0 ? "," : "", lo, hi);
    }
    check_options(rows, ranges, n_ranges, ARGUMENTS("--ranges", list, "--closed", CLOSED[ranges->closed]), device,
                  async);
}

static void make_ranges(rowpool_range *ranges, size_t n_ranges, test_random *random, const rowpool_rows *rows,
                        rowpool_closed closed)
{
    for (size_t k = 0; k < n_ranges; k++) {
        ranges[k] = test_range_for(random, rows);
        ranges[k].closed = closed;
    }
}

TEST(counts_several_ranges_in_every_dtype)
{
    test_random random = test_random_begin(0x72616e6765);
    rowpool_range ranges[MOST_RANGES];
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        test_array array = test_array_make(&random, (rowpool_dtype)dtype, TEST_DENSE, 37, 7, 0);
        write_rows("rows.npy", &array.rows);
        for (size_t n_ranges = 1; n_ranges <= 9; n_ranges += 2) {
            make_ranges(ranges, n_ranges, &random, &array.rows, (rowpool_closed)(n_ranges / 2 % 4));
            check_ranges(&array.rows, ranges, n_ranges, n_ranges == 7 ? "fork" : "host", n_ranges % 4 == 1);
        }
        test_array_free(&array);
    }
}

/* More text than is written at once. */
TEST(counts_many_ranges_on_the_default_device)
{
    test_random random = test_random_begin(0x6d616e79);
    rowpool_range ranges[MOST_RANGES];
    test_array array = test_array_make(&random, ROWPOOL_FLOAT32, TEST_DENSE, 6000, 7, 0);
    write_rows("rows.npy", &array.rows);
    make_ranges(ranges, MOST_RANGES, &random, &array.rows, ROWPOOL_CLOSED_RIGHT);
    for (int async = 0; async < 2; async++)
        check_ranges(&array.rows, ranges, MOST_RANGES, NULL, async != 0);
    test_array_free(&array);
}

TEST(prints_the_counts_of_a_row_on_one_line)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--ranges", "0:4,4:8,8:12", "small.npy"), "3 2 2\n1 5 1\n3 0 1\n");
    assert_prints(RUN("count", "--ranges", "4:8", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--ranges", "8:12,0:4", "--async", "small.npy"), "2 3\n1 1\n1 3\n");
    assert_prints(RUN("count", "--ranges", "-4:-4,-0x5:+1,-inf:inf", "small.npy"), "0 1 5\n0 0 5\n1 2 5\n");
    assert_prints(RUN("count", "--ranges=3.5:4.5,.5e1:1e30", "small.npy"), "1 2\n1 4\n0 1\n");
    assert_prints(RUN("count", "--ranges", "0:4,4:8", "--head", "2", "small.npy"), "3 2\n1 5\n");
    assert_prints(RUN("count", "--bins", "0,4,8", "--head", "1", "--async", "small.npy"), "2 2\n");
}

TEST(closes_all_ranges_as_asked)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--ranges", "0:4,4:8,8:12", "--closed", "both", "small.npy"), "3 2 2\n1 5 1\n3 0 1\n");
    assert_prints(RUN("count", "--ranges", "0:4,4:8,8:12", "--closed", "left", "small.npy"), "2 1 2\n0 4 1\n3 0 1\n");
    assert_prints(RUN("count", "--closed", "right", "--ranges", "0:4,4:8,8:12", "small.npy"), "2 1 1\n1 4 0\n3 0 1\n");
    assert_prints(RUN("count", "--closed", "neither", "--ranges", "0:4,4:8,8:12", "small.npy"),
                  "1 0 1\n0 3 0\n3 0 1\n");
}

TEST(counts_bins)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--bins", "0,4,8,12", "small.npy"), "2 1 2\n0 4 1\n3 0 1\n");
    assert_prints(RUN("count", "--bins", "0,4,8", "small.npy"), "2 2\n0 5\n3 0\n");
    assert_prints(RUN("count", "--bins", "4,8", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--bins", "-4,1,3.5,0x9", "small.npy"), "1 1 3\n0 0 5\n1 3 1\n");
    assert_prints(RUN("count", "--bins=-inf,0,inf", "small.npy"), "0 5\n0 5\n1 4\n");

    static const int64_t integers[] = {9007199254740992, 9007199254740993, 9007199254740994, INT64_MAX};
    write_npy("row.npy", "<i8", false, "(4,)", integers, sizeof integers);
    assert_prints(RUN("count", "--bins", "9007199254740992.0,9007199254740993,9007199254740994", "row.npy"), "1 2\n");
    assert_prints(RUN("count", "--bins", "0,9223372036854775807,9223372036854775808", "row.npy"), "3 1\n");
}

/* As long as one argument may be. */
TEST(counts_as_many_ranges_as_are_listed)
{
    enum { RANGES = 30000 };
    char *ranges = calloc(RANGES, 4);
    char *expected = calloc(3, 2 * RANGES);
    assert_non_null(ranges);
    assert_non_null(expected);
    for (size_t k = 0; k < RANGES; k++)
        memcpy(ranges + 4 * k, k % 3 == 0 ? "4:8," : "9:9,", 4);
    ranges[4 * RANGES - 1] = '\0';
    size_t used = 0;
    for (size_t row = 0; row < 3; row++) {
        for (size_t k = 0; k < RANGES; k++) {
            expected[used++] = (k % 3 == 0 ? "250" : "101")[row];
            expected[used++] = ' ';
        }
        expected[used - 1] = '\n';
    }
    write_small("small.npy");
    outcome result = RUN("count", "--ranges", ranges, "small.npy");
    assert_int_equal(result.exit_status, 0);
    assert_int_equal(strlen(result.out), used);
    assert_memory_equal(result.out, expected, used);
    release(&result);
    free(expected);
    free(ranges);
}

TEST(counts_ranges_of_empty_arrays)
{
    write_npy("a.npy", "<i4", false, "(0,)", "", 0);
    assert_prints(RUN("count", "--ranges", "0:4,4:8", "a.npy"), "0 0\n");
    write_npy("a.npy", "<i4", false, "(0, 5)", "", 0);
    assert_prints(RUN("count", "--bins", "0,4,8", "a.npy"), "");
    write_npy("a.npy", "<i4", false, "(2, 0)", "", 0);
    assert_prints(RUN("count", "--bins", "0,4,8", "--device", "fork", "a.npy"), "0 0\n0 0\n");
}

TEST(refuses_bad_lists)
{
    static const struct {
        const char *option, *list, *message;
    } cases[] = {
        {"--ranges", "", "range 1 '' is not LO:HI"},
        {"--ranges", "4", "range 1 '4' is not LO:HI"},
        {"--ranges", "4,8", "range 1 '4' is not LO:HI"},
        {"--ranges", ":", "lower end of range 1 '' is no number: it is empty"},
        {"--ranges", "4:", "upper end of range 1 '' is no number: it is empty"},
        {"--ranges", ":4", "lower end of range 1 '' is no number: it is empty"},
        {"--ranges", "4:5,", "range 2 '' is not LO:HI"},
        {"--ranges", ",4:5", "range 1 '' is not LO:HI"},
        {"--ranges", "4:5,,6:7", "range 2 '' is not LO:HI"},
        {"--ranges", "4:5, 6:7", "lower end of range 2 ' 6' is no number"},
        {"--ranges", "4:5;6:7", "upper end of range 1 '5;6:7' is no number"},
        {"--ranges", "4:5:6", "upper end of range 1 '5:6' is no number"},
        {"--ranges", "a:b", "lower end of range 1 'a' is no number"},
        {"--ranges", "0:1,4:b", "upper end of range 2 'b' is no number"},
        {"--ranges", "nan:4", "lower end of range 1 'nan' is no bound: nothing lies above or below a NaN"},
        {"--ranges", "4:NaN", "upper end of range 1 'NaN' is no bound"},
        {"--ranges", "0:18446744073709551616", "is beyond int64 and uint64"},
        {"--bins", "", "edge 1 '' is no number: it is empty"},
        {"--bins", "4", "'4' is a single edge"},
        {"--bins", "4,", "edge 2 '' is no number: it is empty"},
        {"--bins", ",4", "edge 1 '' is no number: it is empty"},
        {"--bins", "4,,8", "edge 2 '' is no number: it is empty"},
        {"--bins", "4:8", "edge 1 '4:8' is no number"},
        {"--bins", "0,4,b", "edge 3 'b' is no number"},
        {"--bins", "0,nan", "edge 2 'nan' is no bound"},
        {"--bins", "0,8,4", "edge 3, 4, is not above the edge before it, 8;"},
        {"--bins", "4,0,8", "edge 2, 0, is not above the edge before it, 4;"},
        {"--bins", "0,4,4", "edge 3, 4, is not above the edge before it, 4;"},
        {"--bins", "-0.0,0", "edge 2, 0, is not above the edge before it, -0.0;"},
        {"--bins", "9007199254740993,9007199254740992.0", "edge 2"},
        {"--bins", "9007199254740993.0,9007199254740992", "edge 2"},
        {"--bins", "inf,18446744073709551615", "edge 2"},
        {"--bins", "-inf,-1e999", "edge 2 '-1e999' is beyond double"},
    };
    write_small("small.npy");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const *arguments = ARGUMENTS("count", cases[i].option, cases[i].list, "small.npy", "--output",
                                                 "out.npy");
        char begin[64];
        (void)snprintf(begin, sizeof begin, "rowpool: %s", cases[i].option);
        check_refuses(run_with(&USUAL, arguments), 2, begin, cases[i].message, __LINE__);
    }
    assert_no_output("out.npy");
}

TEST(refuses_contradicting_ranges)
{
    write_small("small.npy");
    assert_usage(RUN("count", "--ranges", "4:8", "--min", "4", "small.npy"), "--ranges and --min cannot be given");
    assert_usage(RUN("count", "--max", "8", "--ranges", "4:8", "small.npy"), "--ranges and --max cannot be given");
    assert_usage(RUN("count", "--bins", "4,8", "--min", "4", "small.npy"), "--bins and --min cannot be given");
    assert_usage(RUN("count", "--max", "8", "--bins", "4,8", "small.npy"), "--bins and --max cannot be given");
    assert_usage(RUN("count", "--closed", "both", "--bins", "4,8", "small.npy"), "--bins and --closed cannot be given");
    assert_usage(RUN("count", "--bins", "4,8", "--ranges", "4:8", "small.npy"), "--bins and --ranges cannot be given");
    assert_usage(RUN("count", "small.npy", "--ranges"), "option '--ranges' needs a value");
    assert_usage(RUN("count", "small.npy", "--bins"), "option '--bins' needs a value");
}

TEST(warns_of_each_empty_range)
{
    write_small("small.npy");
    outcome result = RUN("count", "--ranges", "9:8,4:8,8:8,-1:-2", "--closed", "left", "small.npy");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.out, "0 1 0 0\n0 4 0 0\n0 0 0 0\n");
    assert_string_equal(result.err,
                        "rowpool: warning: range 1: the minimum 9 is above the maximum 8: every count is 0\n"
                        "rowpool: warning: range 3: nothing lies between 8 and itself: every count is 0\n"
                        "rowpool: warning: range 4: the minimum -1 is above the maximum -2: every count is 0\n");
    release(&result);
    result = RUN("count", "--ranges", "8:4", "small.npy");
    assert_string_equal(result.err,
                        "rowpool: warning: range 1: the minimum 8 is above the maximum 4: every count is 0\n");
    release(&result);
}

/* ---- Arrays of every shape and storage -------------------------------------------------------------------------- */

TEST(reads_every_shape)
{
    write_npy("a.npy", "<i4", false, "(15,)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy"), "7\n");
    write_npy("a.npy", "<i4", false, "(3, 5)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy"), "2\n5\n0\n");
    write_npy("a.npy", "<i4", false, "(15, 1)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy"), "0\n1\n1\n0\n0\n1\n1\n1\n1\n1\n0\n0\n0\n0\n0\n");
    write_npy("a.npy", "<i4", false, "(1, 3, 5)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy"), "2\n5\n0\n");
    write_npy("a.npy", "<i4", false, "(2, 2, 3)", SMALL, 12 * sizeof *SMALL);
    assert_prints(RUN("count", "a.npy"), "2\n1\n3\n1\n");
    write_npy("a.npy", "|b1", false, "(2, 2)", "\0\1\1\1", 4);
    assert_prints(RUN("count", "--min", "1", "--max", "1", "a.npy"), "1\n2\n");
}

TEST(reads_empty_arrays)
{
    static const char *const devices[] = {"auto", "host", "fork"};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        write_npy("a.npy", "<i4", false, "(0,)", "", 0);
        assert_prints(RUN("count", "--device", devices[i], "a.npy"), "0\n");
        write_npy("a.npy", "<i4", false, "(0, 5)", "", 0);
        assert_prints(RUN("count", "--device", devices[i], "a.npy"), "");
        assert_prints(RUN("count", "--device", devices[i], "--async", "a.npy"), "");
        write_npy("a.npy", "<i4", false, "(3, 0)", "", 0);
        assert_prints(RUN("count", "--device", devices[i], "a.npy"), "0\n0\n0\n");
        write_npy("a.npy", ">f8", true, "(2, 0, 3)", "", 0);
        assert_prints(RUN("count", "--device", devices[i], "a.npy"), "");
    }
}

TEST(reads_fortran_order_and_foreign_bytes)
{
    int32_t fortran[15];
    unsigned char big[60];
    unsigned char both[60];
    for (size_t i = 0; i < 15; i++) {
        size_t place = i % 5 * 3 + i / 5;
        fortran[place] = SMALL[i];
        for (size_t byte = 0; byte < 4; byte++) {
            big[i * 4 + byte] = (unsigned char)((uint32_t)SMALL[i] >> 8 * (3 - byte));
            both[place * 4 + byte] = big[i * 4 + byte];
        }
    }
    write_npy("a.npy", "<i4", true, "(3, 5)", fortran, sizeof fortran);
    assert_prints(RUN("count", "a.npy"), SMALL_COUNTS);
    write_npy("a.npy", ">i4", false, "(3, 5)", big, sizeof big);
    assert_prints(RUN("count", "a.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--device", "fork", "a.npy"), SMALL_COUNTS);
    write_npy("a.npy", ">i4", true, "(3, 5)", both, sizeof both);
    assert_prints(RUN("count", "a.npy"), SMALL_COUNTS);
}

TEST(prints_large_counts)
{
    enum { WIDTH = 1234567 };
    unsigned char *ones = malloc(WIDTH);
    assert_non_null(ones);
    memset(ones, 5, WIDTH);
    write_npy("a.npy", "|u1", false, "(1234567,)", ones, WIDTH);
    assert_prints(RUN("count", "a.npy"), "1234567\n");
    assert_prints(RUN_WITH(&DEFAULT_DEVICE, "count", "--async", "a.npy"), "1234567\n");
    free(ones);

    unsigned char below[11 * 11]; /* row i holds i zeros */
    for (size_t i = 0; i < COUNT_OF(below); i++)
        below[i] = i % 11 >= i / 11;
    write_npy("a.npy", "|u1", false, "(11, 11)", below, sizeof below);
    assert_prints(RUN("count", "--min", "0", "--max", "0", "a.npy"), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    assert_prints(RUN("count", "--bins", "0,1,2", "--head", "2", "a.npy"), "0 11\n1 10\n");
}

/* Rows of more than 2^32 - 1 elements: a file with a hole, so that it takes no disk. */
TEST(counts_wider_rows_than_uint32_holds)
{
    write_npy("wide.npy", "|i1", false, "(1, 4294967296)", "", 0);
    struct stat file;
    assert_int_equal(stat("wide.npy", &file), 0);
    assert_int_equal(truncate("wide.npy", file.st_size + 4294967296), 0);
    assert_fails(RUN("count", "wide.npy", "--output", "out.npy"), "rowpool: wide.npy: ", "uint32");
    assert_no_output("out.npy");
    if (test_setting("ROWPOOL_TEST_LARGE", 0) != 0) { /* reads 4 GiB each time */
        assert_prints(RUN("count", "--min", "0", "--max", "0", "wide.npy"), "4294967296\n");
        assert_prints(RUN("count", "--ranges", "0:0,1:2", "wide.npy"), "4294967296 0\n");
    }
    assert_int_equal(unlink("wide.npy"), 0);
}

/* ---- Standard input --------------------------------------------------------------------------------------------- */

/* Runs the program on what a pipe brings, in two pieces. */
static outcome run_on_pipe(const char *path, const char *const *arguments)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    struct stat entry;
    assert_int_equal(fstat(file, &entry), 0);
    char *bytes = read_all(file);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        (void)close(ends[0]);
        (void)!write(ends[1], bytes, 7);
        (void)usleep(20000);
        (void)!write(ends[1], bytes + 7, (size_t)entry.st_size - 7);
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    circumstances with = USUAL;
    with.standard_input = ends[0];
    outcome result = run_with(&with, arguments);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(file), 0);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    free(bytes);
    return result;
}

TEST(reads_standard_input)
{
    write_small("small.npy");
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "-")), SMALL_COUNTS);
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "/dev/stdin")), SMALL_COUNTS);
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "--device", "fork", "-")), SMALL_COUNTS);

    circumstances with = USUAL;
    with.standard_input = open("small.npy", O_RDONLY);
    assert_prints(RUN_WITH(&with, "count", "-"), SMALL_COUNTS);
    assert_prints(RUN_WITH(&with, "count", "-"), SMALL_COUNTS); /* it was mapped, not read */
    assert_int_equal(close(with.standard_input), 0);

    assert_fails(RUN("count", "-"), "rowpool: standard input: ", "is empty");
    write_file("text", "hello, world", 12);
    assert_fails(run_on_pipe("text", ARGUMENTS("count", "-")), "rowpool: standard input: ", "not a .npy file");
}

/* Whatever was read before belongs to someone else; the data need not be aligned then. */
TEST(reads_standard_input_from_where_it_stands)
{
    write_small("small.npy");
    int small = open("small.npy", O_RDONLY);
    char *bytes = read_all(small);
    struct stat entry;
    assert_int_equal(fstat(small, &entry), 0);
    FILE *file = fopen("shifted", "wb");
    assert_non_null(file);
    assert_int_equal(fwrite("abc", 1, 3, file), 3);
    assert_int_equal(fwrite(bytes, 1, (size_t)entry.st_size, file), entry.st_size);
    assert_int_equal(fclose(file), 0);
    circumstances with = USUAL;
    with.standard_input = open("shifted", O_RDONLY);
    assert_int_equal(lseek(with.standard_input, 3, SEEK_SET), 3);
    assert_prints(RUN_WITH(&with, "count", "-"), SMALL_COUNTS);
    assert_int_equal(close(with.standard_input), 0);
    assert_int_equal(close(small), 0);
    free(bytes);
}

/* ---- Bad files -------------------------------------------------------------------------------------------------- */

static void check_bad_file(const char *path, const char *message)
{
    char begin[128];
    (void)snprintf(begin, sizeof begin, "rowpool: %s: ", path);
    check_refuses(RUN("count", path, "--output", "out.npy"), 1, begin, message, __LINE__);
    check_refuses(RUN("count", "--verbose", path), 1, begin, message, __LINE__);
    assert_no_output("out.npy");
}

TEST(refuses_bad_files)
{
    check_bad_file("missing.npy", "No such file or directory");
    check_bad_file("missing/file.npy", "No such file or directory");
    assert_int_equal(mkdir("directory", 0777), 0);
    check_bad_file("directory", "Is a directory");
    write_file("bad.npy", "", 0);
    check_bad_file("bad.npy", "is empty");
    check_bad_file("/dev/null", "is empty");
    write_file("bad.npy", "\x93NUMP", 5);
    check_bad_file("bad.npy", "ends inside its header");
    write_file("bad.npy", "\x93NUMPY\7\0\0\0\0\0\0\0", 14);
    check_bad_file("bad.npy", "version 7.0");
    write_file("bad.npy", "\x93NUMPY\1\0\xff\xff{'descr'", 18);
    check_bad_file("bad.npy", "claims a header");
    write_npy("bad.npy", "<i4", false, "(-3, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "negative");
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "too large");
    write_npy("bad.npy", "<i4", false, "(99999999999999999999, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "beyond 64 bits");
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 4611686018427387904, 0)", "", 0);
    check_bad_file("bad.npy", "too large");
    write_npy("bad.npy", "<i4", false, "(3, 5)", SMALL, sizeof SMALL - 1);
    check_bad_file("bad.npy", "cut short");
    write_npy("bad.npy", "<i4", false, "(3000000000, 500)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "cut short");
    write_npy("bad.npy", "<i4", false, "(3, 4)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "stray bytes");
    write_npy("bad.npy", "|O", false, "(3, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "Python objects");
    write_npy("bad.npy", "<c8", false, "(3, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "complex");
    write_npy("bad.npy", "<i4", false, "()", SMALL, 4);
    check_bad_file("bad.npy", "single value");
    write_npy("bad.npy", "<\x1b[31m\n", false, "(3, 5)", SMALL, sizeof SMALL);
    check_bad_file("bad.npy", "unknown");
}

TEST(names_files_on_one_line)
{
    assert_fails(RUN("count", "two\nlines\x1b"), "rowpool: two?lines?: ", "No such file");
}

TEST(refuses_to_guess_huge_memory)
{
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 0)", "", 0);
    assert_fails(RUN("count", "bad.npy"), "rowpool: bad.npy: ", "no memory for the counts");
    write_npy("bad.npy", "<i4", false, "(1152921504606846976, 1)", "", 0);
    assert_fails(run_on_pipe("bad.npy", ARGUMENTS("count", "-")), "rowpool: standard input: ", "");

    /* Their counts, or the bytes of these, would be 2^64. */
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 0)", "", 0);
    assert_fails(RUN("count", "--bins", "0,1,2,3,4", "bad.npy"), "rowpool: bad.npy: ", "no memory for the counts");
    write_npy("bad.npy", "<i4", false, "(1152921504606846976, 0)", "", 0);
    assert_fails(RUN("count", "--ranges", "0:1,1:2,2:3,3:4", "--output", "out.npy", "bad.npy"),
                 "rowpool: bad.npy: ", "no memory for the counts");
    assert_no_output("out.npy");
}

/* ---- Wrong usage ------------------------------------------------------------------------------------------------ */

TEST(refuses_wrong_usage)
{
    write_small("small.npy");
    assert_usage(run_with(&USUAL, (const char *const[]){NULL}), "a command is missing; see rowpool --help");
    assert_usage(RUN("frobnicate"), "unknown command 'frobnicate'; see rowpool --help");
    assert_usage(RUN("--frobnicate"), "unknown option '--frobnicate'; see rowpool --help");
    assert_usage(RUN(""), "unknown command ''");
    assert_usage(RUN("count"), "FILE is missing; see rowpool count --help");
    assert_usage(RUN("count", "small.npy", "other.npy"), "unexpected argument 'other.npy'");
    assert_usage(RUN("count", "small.npy", "--frobnicate"), "unknown option '--frobnicate'");
    assert_usage(RUN("count", "small.npy", "-z"), "unknown option '-z'");
    assert_usage(RUN("count", "small.npy", "--min"), "option '--min' needs a value");
    assert_usage(RUN("count", "small.npy", "--async=yes"), "option '--async=yes' takes no value");
    assert_usage(RUN("count", "small.npy", "--closed", "open"), "--closed 'open'");
    assert_usage(RUN("count", "small.npy", "--head", "-1"), "--head '-1'");
    assert_usage(RUN("count", "small.npy", "--head", "ten"), "--head 'ten'");
    assert_usage(RUN("count", "small.npy", "--head", ""), "--head ''");
    assert_usage(RUN("count", "small.npy", "--head", "18446744073709551616"), "--head '18446744073709551616'");
    assert_usage(RUN("count", "small.npy", "--output", ""), "--output ''");
    assert_usage(RUN("count", "small.npy", "--output", "-"), "--output '-'");
    assert_usage(RUN("devices", "now"), "unexpected argument 'now'; see rowpool devices --help");
    assert_usage(RUN("demo", "--rows", "many"), "--rows 'many'");
    assert_usage(RUN("demo", "--width", "4294967296"), "--width is at most 4294967295");
    assert_int_equal(leftovers(), 0);
}

TEST(refuses_unknown_devices)
{
    static const char *const words[] = {
        "bogus", "", "cpu,", ",cpu", "cpu,,gpu", "0", "0:", ":0", "0:0x", "1:2:3", "CPU", "cpu gpu", "-1:0"};
    write_small("small.npy");
    for (size_t i = 0; i < COUNT_OF(words); i++)
        assert_usage(RUN("count", "--device", words[i], "small.npy", "--output", "out.npy"), "unknown device");
    assert_usage(RUN("devices", "--device", "bogus"), "unknown device 'bogus'");
    /* What reads like a device may still not be there. */
    assert_fails(RUN("count", "--device", "99:0", "small.npy", "--output", "out.npy"), "rowpool: ", "");
    assert_fails(RUN("count", "--device", "99999999999999999999:0", "small.npy", "--output", "out.npy"),
                 "rowpool: ", "");
    circumstances with = USUAL;
    with.environment = ARGUMENTS("ROWPOOL_DEVICE=bogus");
    assert_fails(RUN_WITH(&with, "count", "small.npy", "--output", "out.npy"), "rowpool: ", "bogus");
    assert_no_output("out.npy");
}

/* ---- --head and --output ---------------------------------------------------------------------------------------- */

TEST(prints_the_first_rows)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--head", "0", "small.npy"), "");
    assert_prints(RUN("count", "--head", "2", "small.npy"), "2\n5\n");
    assert_prints(RUN("count", "--head", "3", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--head", "18446744073709551615", "small.npy"), SMALL_COUNTS);
    assert_prints(RUN("count", "--head", "1", "small.npy", "--output", "out.npy"), "2\n");
    assert_true(exists("out.npy"));
    assert_int_equal(unlink("out.npy"), 0);
}

static void check_output(const char *path, const uint32_t *counts, const size_t *shape, size_t dimensions)
{
    npy_array array;
    rowpool_error error;
    assert_ok(npy_open(&array, path, &error), error);
    assert_int_equal(array.header.dtype, ROWPOOL_UINT32);
    assert_int_equal(array.header.dimensions, dimensions);
    assert_memory_equal(array.header.shape, shape, dimensions * sizeof *shape);
    assert_int_equal(array.header.data_offset % 64, 0);
    if (array.data != NULL)
        assert_memory_equal(array.data, counts, array.header.data_bytes);
    npy_close(&array);
    assert_int_equal(leftovers(), 0);
}

TEST(writes_the_leading_shape)
{
    write_small("a.npy");
    assert_prints(RUN("count", "a.npy", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
    write_npy("a.npy", "<i4", false, "(2, 2, 3)", SMALL, 12 * sizeof *SMALL);
    assert_prints(RUN("count", "a.npy", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){2, 1, 3, 1}, (const size_t[]){2, 2}, 2);
    write_npy("a.npy", "<i4", false, "(0, 7, 3)", "", 0);
    assert_prints(RUN("count", "a.npy", "--output", "out.npy"), "");
    check_output("out.npy", NULL, (const size_t[]){0, 7}, 2);

    /* One row has one count: an array of no dimension, which is more than our own reader takes. */
    write_npy("a.npy", "<i4", false, "(15,)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy", "--output", "out.npy"), "");
    int fd = open("out.npy", O_RDONLY);
    struct stat entry;
    assert_int_equal(fstat(fd, &entry), 0);
    assert_int_equal(entry.st_size, 128 + 4);
    char *bytes = read_all(fd);
    assert_non_null(strstr(bytes + 10, "'shape': (), }"));
    assert_memory_equal(bytes + 128, (const uint32_t[]){7}, 4);
    free(bytes);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(writes_an_axis_of_ranges)
{
    write_small("a.npy");
    assert_prints(RUN("count", "a.npy", "--ranges", "0:4,4:8", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){3, 2, 1, 5, 3, 0}, (const size_t[]){3, 2}, 2);
    assert_prints(RUN("count", "a.npy", "--ranges", "4:8", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3, 1}, 2);
    assert_prints(RUN("count", "a.npy", "--bins", "4,8", "--output", "out.npy", "--head", "2"), "2\n5\n");
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3, 1}, 2);
    write_npy("a.npy", "<i4", false, "(2, 2, 3)", SMALL, 12 * sizeof *SMALL);
    assert_prints(RUN("count", "a.npy", "--bins", "0,4,6,8", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){1, 1, 1, 1, 1, 0, 0, 1, 2, 0, 0, 1}, (const size_t[]){2, 2, 3}, 3);
    write_npy("a.npy", "<i4", false, "(0, 7, 3)", "", 0);
    assert_prints(RUN("count", "a.npy", "--bins", "0,4,8", "--output", "out.npy"), "");
    check_output("out.npy", NULL, (const size_t[]){0, 7, 2}, 3);
    write_npy("a.npy", "<i4", false, "(15,)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy", "--ranges", "4:8", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){7}, (const size_t[]){1}, 1);
    assert_prints(RUN("count", "a.npy", "--bins", "-4,4,8", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){6, 7}, (const size_t[]){2}, 1);
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(writes_as_many_counts_as_there_are_rows)
{
    test_random random = test_random_begin(0x6f7574);
    test_array array = test_array_make(&random, ROWPOOL_UINT8, TEST_DENSE, 300000, 3, 0);
    write_rows("rows.npy", &array.rows);
    rowpool_range range = rowpool_range_i64(4, 200);
    uint64_t *expected = calloc(array.rows.count, sizeof *expected);
    uint32_t *narrow = calloc(array.rows.count, sizeof *narrow);
    assert_non_null(expected);
    assert_non_null(narrow);
    test_expect(&array.rows, &range, 1, expected);
    for (size_t i = 0; i < array.rows.count; i++)
        narrow[i] = (uint32_t)expected[i];
    assert_prints(RUN("count", "--max", "200", "rows.npy", "--output", "out.npy"), "");
    check_output("out.npy", narrow, (const size_t[]){300000}, 1);
    check_counts(&array.rows, &range, NULL, false);
    free(narrow);
    free(expected);
    test_array_free(&array);
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(may_replace_its_own_input)
{
    write_small("same.npy");
    assert_prints(RUN("count", "same.npy", "--output", "same.npy"), "");
    check_output("same.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
}

static mode_t mode_of(const char *path)
{
    struct stat entry;
    assert_int_equal(stat(path, &entry), 0);
    return entry.st_mode & 07777;
}

TEST(gives_the_file_a_mode)
{
    write_small("small.npy");
    mode_t before = umask(027);
    assert_prints(RUN("count", "small.npy", "--output", "out.npy"), "");
    assert_int_equal(mode_of("out.npy"), 0640);
    assert_int_equal(chmod("out.npy", 0604), 0);
    assert_prints(RUN("count", "small.npy", "--output", "out.npy"), "");
    assert_int_equal(mode_of("out.npy"), 0604);
    (void)umask(before);
    if (geteuid() != 0) { /* root may write anything */
        assert_int_equal(chmod("out.npy", 0444), 0);
        assert_fails(RUN("count", "small.npy", "--output", "out.npy"), "rowpool: out.npy: ", "Permission denied");
    }
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(follows_links)
{
    struct stat entry;
    write_small("small.npy");
    assert_int_equal(mkdir("elsewhere", 0777), 0);
    assert_int_equal(symlink("elsewhere/link.npy", "first.npy"), 0);
    assert_int_equal(symlink("target.npy", "elsewhere/link.npy"), 0);
    for (int i = 0; i < 2; i++) { /* the target is created, then replaced */
        assert_prints(RUN("count", "small.npy", "--output", "first.npy"), "");
        assert_int_equal(lstat("first.npy", &entry), 0);
        assert_true(S_ISLNK(entry.st_mode));
        assert_int_equal(lstat("elsewhere/target.npy", &entry), 0);
        assert_true(S_ISREG(entry.st_mode));
        check_output("elsewhere/target.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
    }
    assert_int_equal(symlink("circle.npy", "circle.npy"), 0);
    assert_fails(RUN("count", "small.npy", "--output", "circle.npy"), "rowpool: circle.npy: ", "");
}

/* Makes a device of our own, with the number of /dev/null or /dev/full. The machine's are never named as an output: run
 * by root, a program that renames over them would break everything else. False where we may not have one. */
static bool make_device(const char *path, unsigned minor_number)
{
    if (mknod(path, S_IFCHR | 0600, makedev(1, minor_number)) != 0)
        return false;
    int fd = open(path, O_WRONLY);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return fd >= 0;
}

TEST(writes_to_what_is_no_file)
{
    struct stat entry;
    write_small("small.npy");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_prints(RUN("count", "small.npy", "--output", "fifo"), "");
    char bytes[256];
    assert_int_equal(read(reader, bytes, sizeof bytes), 128 + 12);
    assert_memory_equal(bytes + 128, ((const uint32_t[]){2, 5, 0}), 12);
    assert_int_equal(close(reader), 0);
    assert_int_equal(stat("fifo", &entry), 0);
    assert_true(S_ISFIFO(entry.st_mode));

    if (make_device("null", 3)) {
        assert_prints(RUN("count", "small.npy", "--output", "null"), "");
        assert_int_equal(stat("null", &entry), 0);
        assert_true(S_ISCHR(entry.st_mode));
    }
    if (make_device("full", 7)) {
        assert_fails(RUN("count", "small.npy", "--output", "full"), "rowpool: full: ", "No space left on device");
        assert_int_equal(stat("full", &entry), 0);
        assert_true(S_ISCHR(entry.st_mode));
    }
    assert_int_equal(leftovers(), 0);
}

TEST(refuses_outputs_that_cannot_be)
{
    write_small("small.npy");
    assert_fails(RUN("count", "small.npy", "--output", "nowhere/out.npy"),
                 "rowpool: nowhere/out.npy: ", "No such file or directory");
    assert_fails(RUN("count", "small.npy", "--output", "small.npy/out.npy"),
                 "rowpool: small.npy/out.npy: ", "Not a directory");
    assert_fails(RUN("count", "small.npy", "--output", "."), "rowpool: .: ", "Is a directory");
    assert_int_equal(leftovers(), 0);
}

/* ---- Output that fails ------------------------------------------------------------------------------------------ */

TEST(notices_a_full_disk)
{
    write_small("small.npy");
    circumstances with = USUAL;
    with.standard_output = open("/dev/full", O_WRONLY);
    assert_true(with.standard_output >= 0);
    static const char begin[] = "rowpool: standard output: ";
    static const char text[] = "No space left on device";
    assert_fails(RUN_WITH(&with, "count", "small.npy"), begin, text);
    assert_fails(RUN_WITH(&with, "count", "small.npy", "--head", "1", "--output", "out.npy"), begin, text);
    assert_no_output("out.npy");
    assert_fails(RUN_WITH(&with, "--help"), begin, text);
    assert_fails(RUN_WITH(&with, "--version"), begin, text);
    assert_fails(RUN_WITH(&with, "count", "--help"), begin, text);
    assert_fails(RUN_WITH(&with, "devices"), begin, text);
    assert_prints(RUN_WITH(&with, "count", "small.npy", "--head", "0"), "");
    assert_int_equal(close(with.standard_output), 0);
}

/* As a disk that fills up while the output is written: the counts alone still fit, also where memory is a file. */
TEST(leaves_no_half_written_file)
{
    enum { ROWS = 65536 };
    char *zeros = calloc(ROWS, 1);
    assert_non_null(zeros);
    write_npy("rows.npy", "|i1", false, "(65536, 1)", zeros, ROWS);
    free(zeros);
    write_file("old.npy", "precious", 8);
    circumstances with = USUAL;
    with.largest_file = ROWS * sizeof(uint32_t);
    assert_fails(RUN_WITH(&with, "count", "--device", "host", "rows.npy", "--output", "out.npy"),
                 "rowpool: out.npy: ", "File too large");
    assert_no_output("out.npy");
    assert_fails(RUN_WITH(&with, "count", "--device", "host", "rows.npy", "--output", "old.npy"),
                 "rowpool: old.npy: ", "File too large");
    int fd = open("old.npy", O_RDONLY);
    char *bytes = read_all(fd);
    assert_string_equal(bytes, "precious");
    assert_int_equal(close(fd), 0);
    free(bytes);
    assert_int_equal(leftovers(), 0);
}

TEST(notices_a_closed_pipe)
{
    write_small("small.npy");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    circumstances with = USUAL;
    with.standard_output = ends[1];
    assert_fails(RUN_WITH(&with, "count", "small.npy"), "rowpool: standard output: ", "Broken pipe");
    assert_fails(RUN_WITH(&with, "count", "--help"), "rowpool: standard output: ", "Broken pipe");
    assert_int_equal(close(ends[1]), 0);
}

/* The next file that is opened would become standard output. */
TEST(notices_that_standard_output_is_closed)
{
    write_small("small.npy");
    circumstances with = USUAL;
    with.close_standard_output = true;
    assert_fails(RUN_WITH(&with, "count", "small.npy"), "rowpool: standard output: ", "");
    assert_fails(RUN_WITH(&with, "count", "small.npy", "--head", "1", "--output", "out.npy"),
                 "rowpool: standard output: ", "");
    assert_no_output("out.npy");
    assert_prints(RUN_WITH(&with, "count", "small.npy", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
    assert_int_equal(unlink("out.npy"), 0);
}

static void sleep_a_moment(void)
{
    (void)usleep(10000);
}

/* The program waits for a reader of its standard output, with the output file not yet in place. */
static void interrupt_with(int signal_number)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int err = open_nameless();
    pid_t child = start_program(
        ARGUMENTS("count", "--device", "host", "long.npy", "--head", "400000", "--output", "out.npy"), &USUAL, ends[1],
        err);
    assert_int_equal(close(ends[1]), 0);
    char first;
    assert_int_equal(read(ends[0], &first, 1), 1); /* it prints, so it is past everything else */
    assert_int_equal(leftovers(), 1);
    sleep_a_moment();
    assert_int_equal(kill(child, signal_number), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal_number);
    assert_no_output("out.npy");
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(err), 0);
}

TEST(leaves_nothing_when_interrupted)
{
    char *zeros = calloc(400000, 1);
    assert_non_null(zeros);
    write_npy("long.npy", "|i1", false, "(400000, 1)", zeros, 400000);
    free(zeros);
    interrupt_with(SIGTERM);
    interrupt_with(SIGINT);
    interrupt_with(SIGHUP);
}

/* ---- What it tells ---------------------------------------------------------------------------------------------- */

static void check_tells(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is missing in:\n%s", part, text);
}

TEST(helps)
{
    static const char *const commands[] = {"count", "devices", "demo"};
    outcome result = RUN("--help");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        check_tells(result.out, commands[i]);
        outcome help = RUN(commands[i], "--help");
        char usage[64];
        (void)snprintf(usage, sizeof usage, "Usage: rowpool %s", commands[i]);
        assert_int_equal(help.exit_status, 0);
        assert_string_equal(help.err, "");
        check_tells(help.out, usage);
        release(&help);
    }
    release(&result);
    char version[64];
    (void)snprintf(version, sizeof version, "rowpool %d.%d.%d\n", ROWPOOL_VERSION_MAJOR, ROWPOOL_VERSION_MINOR,
                   ROWPOOL_VERSION_PATCH);
    assert_prints(RUN("--version"), version);
}

TEST(tells_what_it_did)
{
    write_small("small.npy");
    static const char *const devices[] = {"host", "fork"};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        outcome result = RUN("count", "--verbose", "--closed", "left", "--max", "8.5", "--device", devices[i],
                             "small.npy");
        char device[64];
        (void)snprintf(device, sizeof device, "rowpool: device %s: ", devices[i]);
        if (result.exit_status != 0)
            show(&result, __LINE__);
        assert_int_equal(result.exit_status, 0);
        assert_string_equal(result.out, SMALL_COUNTS);
        check_tells(result.err, "3 rows of 5 int32, 60 bytes, mapped");
        check_tells(result.err, "counting 4 <= x < 8.5 (closed: left)");
        check_tells(result.err, device);
        check_tells(result.err, " 3 rows in ");
        check_tells(result.err, " GB/s");
        release(&result);
    }
}

TEST(tells_every_range)
{
    write_small("small.npy");
    outcome result = RUN("count", "--verbose", "--bins", "-1,4,8.5", "small.npy");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.out, "2 2\n0 5\n3 0\n");
    check_tells(result.err, "rowpool: range 1: counting -1 <= x < 4 (closed: left)\n"
                            "rowpool: range 2: counting 4 <= x <= 8.5 (closed: both)\n");
    release(&result);
    result = RUN("count", "--verbose", "--ranges", "1:2", "--closed", "neither", "small.npy");
    check_tells(result.err, "rowpool: range 1: counting 1 < x < 2 (closed: neither)\n");
    release(&result);
}

TEST(lists_devices)
{
    outcome result = RUN_WITH(&DEFAULT_DEVICE, "devices");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    check_tells(result.out, "fork");
    check_tells(result.out, "host");
    check_tells(result.out, "\n*  ");
    release(&result);

    assert_int_equal(mkdir("no-vendors", 0777), 0);
    circumstances with = USUAL;
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=no-vendors/", "ROWPOOL_DEVICE=");
    result = RUN_WITH(&with, "devices");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    check_tells(result.out, "\n*  fork");
    check_tells(result.out, "\n   host");
    check_tells(result.out, "host is not used: ");
    release(&result);
}

/* The devices that are there help to choose another. */
TEST(lists_devices_even_when_the_wanted_one_is_missing)
{
    outcome result = RUN("devices", "--device", "99:0");
    assert_int_equal(result.exit_status, 1);
    assert_true(is_one_line(result.err));
    check_tells(result.out, "fork");
    release(&result);
}

static void expect_first_counts(char text[256])
{
    test_random random = {.state = 100};
    size_t used = (size_t)sprintf(text, "counts of the first rows: [");
    for (int row = 0; row < 10; row++) {
        int count = 0;
        for (int i = 0; i < 5; i++) {
            double value = floor((double)(test_next(&random) >> 32) / 0x1p32 * 10);
            count += value >= 4 && value <= 8;
        }
        used += (size_t)sprintf(text + used, "%d, ", count);
    }
    (void)sprintf(text + used, "...]\n");
}

static void check_demo(outcome result, const char *first_counts)
{
    if (result.exit_status != 0)
        show(&result, __LINE__);
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    check_tells(result.out, first_counts);
    check_tells(result.out, "SplitMix64, seed 100");
    check_tells(result.out, "\nserial loop ");
    check_tells(result.out, "\nsynchronous ");
    check_tells(result.out, "\nasynchronous ");
    check_tells(result.out, "\nprocesses ");
    check_tells(result.out, "all counts equal the serial loop's\n");
    check_tells(result.out, "\nprocess 0, id ");
    check_tells(result.out, "\nprocess 1, id ");
    assert_null(strstr(result.out, "WRONG"));
    release(&result);
}

TEST(demonstrates)
{
    char first[256];
    expect_first_counts(first);
    check_demo(RUN_WITH(&DEFAULT_DEVICE, "demo"), first);
    check_demo(RUN("demo", "--rows", "30", "--width", "5", "--seed", "100", "--device", "host"), first);
    circumstances with = USUAL;
    assert_int_equal(mkdir("still-no-vendors", 0777), 0);
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=still-no-vendors/", "ROWPOOL_DEVICE=");
    outcome result = RUN_WITH(&with, "demo");
    check_tells(result.out, "no OpenCL device is in use");
    check_demo(result, first);
    check_demo(RUN("demo", "--rows", "0"), "counts of the first rows: []\n");
    check_demo(RUN("demo", "--width", "0", "--rows", "2"), "counts of the first rows: [0, 0]\n");
    assert_fails(RUN("demo", "--rows", "18446744073709551615"), "rowpool: ", "no memory");
}

/* ---- The folder ------------------------------------------------------------------------------------------------- */

static int enter_folder(__attribute__((unused)) void **state)
{
    const char *given = getenv("ROWPOOL_PROGRAM");
    if (given == NULL || realpath(given, program) == NULL) {
        print_error("ROWPOOL_PROGRAM names no program\n");
        return -1;
    }
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    char cache[PATH_MAX];
    (void)snprintf(cache, sizeof cache, "%s/pocl-cache", folder);
    if (mkdir(cache, 0777) != 0 || setenv("POCL_CACHE_DIR", cache, 0) != 0)
        return -1;
    return setenv("ROWPOOL_DEVICE", "host", 1);
}

static int remove_entry(const char *path, __attribute__((unused)) const struct stat *entry,
                        __attribute__((unused)) int kind, __attribute__((unused)) struct FTW *place)
{
    return remove(path);
}

static int remove_folder(__attribute__((unused)) void **state)
{
    return chdir("/") == 0 ? nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_dtype_on_the_host),
        cmocka_unit_test(counts_every_dtype_on_the_default_device),
        cmocka_unit_test(counts_on_processes),
        cmocka_unit_test(counts_4_to_8_by_default),
        cmocka_unit_test(closes_the_range_as_asked),
        cmocka_unit_test(takes_integers_exactly),
        cmocka_unit_test(takes_doubles_exactly),
        cmocka_unit_test(refuses_what_is_no_bound),
        cmocka_unit_test(warns_of_an_empty_range),
        cmocka_unit_test(counts_several_ranges_in_every_dtype),
        cmocka_unit_test(counts_many_ranges_on_the_default_device),
        cmocka_unit_test(prints_the_counts_of_a_row_on_one_line),
        cmocka_unit_test(closes_all_ranges_as_asked),
        cmocka_unit_test(counts_bins),
        cmocka_unit_test(counts_as_many_ranges_as_are_listed),
        cmocka_unit_test(counts_ranges_of_empty_arrays),
        cmocka_unit_test(refuses_bad_lists),
        cmocka_unit_test(refuses_contradicting_ranges),
        cmocka_unit_test(warns_of_each_empty_range),
        cmocka_unit_test(reads_every_shape),
        cmocka_unit_test(reads_empty_arrays),
        cmocka_unit_test(reads_fortran_order_and_foreign_bytes),
        cmocka_unit_test(prints_large_counts),
        cmocka_unit_test(counts_wider_rows_than_uint32_holds),
        cmocka_unit_test(reads_standard_input),
        cmocka_unit_test(reads_standard_input_from_where_it_stands),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(names_files_on_one_line),
        cmocka_unit_test(refuses_to_guess_huge_memory),
        cmocka_unit_test(refuses_wrong_usage),
        cmocka_unit_test(refuses_unknown_devices),
        cmocka_unit_test(prints_the_first_rows),
        cmocka_unit_test(writes_the_leading_shape),
        cmocka_unit_test(writes_an_axis_of_ranges),
        cmocka_unit_test(writes_as_many_counts_as_there_are_rows),
        cmocka_unit_test(may_replace_its_own_input),
        cmocka_unit_test(gives_the_file_a_mode),
        cmocka_unit_test(follows_links),
        cmocka_unit_test(writes_to_what_is_no_file),
        cmocka_unit_test(refuses_outputs_that_cannot_be),
        cmocka_unit_test(notices_a_full_disk),
        cmocka_unit_test(leaves_no_half_written_file),
        cmocka_unit_test(notices_a_closed_pipe),
        cmocka_unit_test(notices_that_standard_output_is_closed),
        cmocka_unit_test(leaves_nothing_when_interrupted),
        cmocka_unit_test(helps),
        cmocka_unit_test(tells_what_it_did),
        cmocka_unit_test(tells_every_range),
        cmocka_unit_test(lists_devices),
        cmocka_unit_test(lists_devices_even_when_the_wanted_one_is_missing),
        cmocka_unit_test(demonstrates),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
