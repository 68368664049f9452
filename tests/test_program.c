/* The program, run on .npy files in a folder of its own: what it prints, what it refuses, what it leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#include "interrupt.h"
#include "npy.h"
#include "replace.h"

/* ---- Making files ----------------------------------------------------------------------------------------------- */

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

/* Three rows of five elements: with the default range 4..8 the counts are 2, 5 and 0. */
static const int32_t SMALL[15] = {0, 4, 8, 9, 3, 4, 5, 6, 7, 8, -4, 9, 1, 2, 3};
#define SMALL_COUNTS "2\n5\n0\n"

static void write_small(const char *path)
{
    write_npy(path, "<i4", false, "(3, 5)", SMALL, sizeof SMALL);
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

/* Prints the bound as an argument that is exactly its value. */
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

/* Counts rows.npy, which holds the rows, with options for the ranges. device NULL: the default. */
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
    outcome result = run_with(device != NULL ? &DEFAULTS : &DEFAULT_DEVICE, arguments);
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

/* Too many elements for the host shortcut. */
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

TEST(applies_the_closure)
{
    write_small("small.npy");
    assert_prints(RUN("count", "--closed", "both", "small.npy"), "2\n5\n0\n");
    assert_prints(RUN("count", "--closed", "left", "small.npy"), "1\n4\n0\n");
    assert_prints(RUN("count", "--closed", "right", "small.npy"), "1\n4\n0\n");
    assert_prints(RUN("count", "--closed", "neither", "small.npy"), "0\n3\n0\n");
}

/* Writes one row and counts a range in it. */
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
    check_range("1e-400", ".5e1", "1\n");          /* rounds to 0, which the range includes */
    check_range("010", "9007199254740992", "1\n"); /* decimal, even with a leading 0 */

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

TEST(refuses_invalid_bounds)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "is empty"},
        {"abc", "not a number"},
        {"nan", "NaN"},
        {"NaN", "NaN"},
        {"-nan", "NaN"},
        {"nan(1)", "not a number"},
        {" 4", "not a number"},
        {"\t4.5", "not a number"},
        {"4 ", "not a number"},
        {"4.5 ", "not a number"},
        {"4,5", "not a number"},
        {"4x", "not a number"},
        {"0x", "not a number"},
        {"--4", "not a number"},
        {"+", "not a number"},
        {"-", "not a number"},
        {".", "not a number"},
        {"e5", "not a number"},
        {"1e", "not a number"},
        {"1_000", "not a number"},
        {"infinit", "not a number"},
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

enum { MAX_RANGES = 40 };

static void check_ranges(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges, const char *device,
                         bool async)
{
    char list[MAX_RANGES * 130];
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
    rowpool_range ranges[MAX_RANGES];
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
    rowpool_range ranges[MAX_RANGES];
    test_array array = test_array_make(&random, ROWPOOL_FLOAT32, TEST_DENSE, 6000, 7, 0);
    write_rows("rows.npy", &array.rows);
    make_ranges(ranges, MAX_RANGES, &random, &array.rows, ROWPOOL_CLOSED_RIGHT);
    for (int async = 0; async < 2; async++)
        check_ranges(&array.rows, ranges, MAX_RANGES, NULL, async != 0);
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

TEST(applies_the_closure_to_all_ranges)
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

/* As long as one argument can be. */
TEST(counts_long_lists_of_ranges)
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
        {"--ranges", ":", "lower end of range 1 '' is not a number: it is empty"},
        {"--ranges", "4:", "upper end of range 1 '' is not a number: it is empty"},
        {"--ranges", ":4", "lower end of range 1 '' is not a number: it is empty"},
        {"--ranges", "4:5,", "range 2 '' is not LO:HI"},
        {"--ranges", ",4:5", "range 1 '' is not LO:HI"},
        {"--ranges", "4:5,,6:7", "range 2 '' is not LO:HI"},
        {"--ranges", "4:5, 6:7", "lower end of range 2 ' 6' is not a number"},
        {"--ranges", "4:5;6:7", "upper end of range 1 '5;6:7' is not a number"},
        {"--ranges", "4:5:6", "upper end of range 1 '5:6' is not a number"},
        {"--ranges", "a:b", "lower end of range 1 'a' is not a number"},
        {"--ranges", "0:1,4:b", "upper end of range 2 'b' is not a number"},
        {"--ranges", "nan:4", "lower end of range 1 'nan' cannot be a bound: nothing lies above or below a NaN"},
        {"--ranges", "4:NaN", "upper end of range 1 'NaN' cannot be a bound"},
        {"--ranges", "0:18446744073709551616", "is beyond int64 and uint64"},
        {"--bins", "", "edge 1 '' is not a number: it is empty"},
        {"--bins", "4", "'4' is a single edge"},
        {"--bins", "4,", "edge 2 '' is not a number: it is empty"},
        {"--bins", ",4", "edge 1 '' is not a number: it is empty"},
        {"--bins", "4,,8", "edge 2 '' is not a number: it is empty"},
        {"--bins", "4:8", "edge 1 '4:8' is not a number"},
        {"--bins", "0,4,b", "edge 3 'b' is not a number"},
        {"--bins", "0,nan", "edge 2 'nan' cannot be a bound"},
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
        check_refuses(run_with(&DEFAULTS, arguments), 2, begin, cases[i].message, __LINE__);
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

TEST(reads_fortran_order_and_foreign_byte_order)
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

/* Rows of more than 2^32 - 1 elements: a file with a hole, so that it takes no disk space. */
TEST(counts_rows_too_wide_for_uint32)
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

/* Runs the program with input from a pipe, written in two parts. */
/* Until the pipe is empty or nobody reads it. */
static void wait_until_read(int end)
{
    struct pollfd reader = {.fd = end};
    int bytes = 1;
    while (bytes > 0 && poll(&reader, 1, 1) == 0 && ioctl(end, FIONREAD, &bytes) == 0)
        ;
}

static outcome run_on_pipe(const char *path, const char *const *arguments)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    struct stat entry;
    assert_int_equal(fstat(file, &entry), 0);
    char *bytes = test_read_all(file);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        (void)close(ends[0]);
        (void)!write(ends[1], bytes, 7);
        wait_until_read(ends[1]);
        (void)!write(ends[1], bytes + 7, (size_t)entry.st_size - 7);
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    circumstances with = DEFAULTS;
    with.standard_input = ends[0];
    outcome result = run_with(&with, arguments);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(file), 0);
    (void)test_wait(writer);
    free(bytes);
    return result;
}

TEST(reads_standard_input)
{
    write_small("small.npy");
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "-")), SMALL_COUNTS);
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "/dev/stdin")), SMALL_COUNTS);
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("count", "--device", "fork", "-")), SMALL_COUNTS);

    circumstances with = DEFAULTS;
    with.standard_input = open("small.npy", O_RDONLY);
    assert_prints(RUN_WITH(&with, "count", "-"), SMALL_COUNTS);
    assert_prints(RUN_WITH(&with, "count", "-"), SMALL_COUNTS); /* mapped, not read */
    assert_int_equal(close(with.standard_input), 0);

    assert_fails(RUN("count", "-"), "rowpool: standard input: ", "is empty");
    write_file("text", "hello, world", 12);
    assert_fails(run_on_pipe("text", ARGUMENTS("count", "-")), "rowpool: standard input: ", "not a .npy file");
}

/* What was read earlier belongs to someone else; the data need not be aligned then. */
TEST(reads_standard_input_from_its_current_position)
{
    write_small("small.npy");
    int small = open("small.npy", O_RDONLY);
    char *bytes = test_read_all(small);
    struct stat entry;
    assert_int_equal(fstat(small, &entry), 0);
    FILE *file = fopen("shifted", "wb");
    assert_non_null(file);
    assert_int_equal(fwrite("abc", 1, 3, file), 3);
    assert_int_equal(fwrite(bytes, 1, (size_t)entry.st_size, file), entry.st_size);
    assert_int_equal(fclose(file), 0);
    circumstances with = DEFAULTS;
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

TEST(replaces_control_characters_in_file_names)
{
    assert_fails(RUN("count", "two\nlines\x1b"), "rowpool: two?lines?: ", "No such file");
}

TEST(refuses_results_larger_than_memory)
{
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 0)", "", 0);
    assert_fails(RUN("count", "bad.npy"), "rowpool: bad.npy: ", "no memory for the results");
    write_npy("bad.npy", "<i4", false, "(1152921504606846976, 1)", "", 0);
    assert_fails(run_on_pipe("bad.npy", ARGUMENTS("count", "-")), "rowpool: standard input: ", "");

    /* The number of counts, or of their bytes, would be 2^64. */
    write_npy("bad.npy", "<i4", false, "(4611686018427387904, 0)", "", 0);
    assert_fails(RUN("count", "--bins", "0,1,2,3,4", "bad.npy"), "rowpool: bad.npy: ", "no memory for the results");
    write_npy("bad.npy", "<i4", false, "(1152921504606846976, 0)", "", 0);
    assert_fails(RUN("count", "--ranges", "0:1,1:2,2:3,3:4", "--output", "out.npy", "bad.npy"),
                 "rowpool: bad.npy: ", "no memory for the results");
    assert_no_output("out.npy");
}

/* ---- Wrong usage ------------------------------------------------------------------------------------------------ */

TEST(refuses_wrong_usage)
{
    write_small("small.npy");
    assert_usage(run_with(&DEFAULTS, (const char *const[]){NULL}), "a command is missing; see rowpool --help");
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
    assert_usage(RUN("count", "small.npy", "--output", "out.csv.gz"), "--output 'out.csv.gz'");
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
    /* A well-formed device name may still name no device. */
    assert_fails(RUN("count", "--device", "99:0", "small.npy", "--output", "out.npy"), "rowpool: ", "");
    assert_fails(RUN("count", "--device", "99999999999999999999:0", "small.npy", "--output", "out.npy"),
                 "rowpool: ", "");
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("ROWPOOL_DEVICE=bogus");
    assert_fails(RUN_WITH(&with, "count", "small.npy", "--output", "out.npy"), "rowpool: ", "bogus");
    assert_no_output("out.npy");
}

TEST(the_log_says_where_a_small_map_ran)
{
    circumstances with = DEFAULT_DEVICE;
    with.environment = ARGUMENTS("ROWPOOL_DEVICE=", "ROWPOOL_LOG=run");
    write_small("small.npy");
    outcome result = RUN_WITH(&with, "count", "small.npy");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.err, "on the host: done");
    assert_null(strstr(result.err, "chunks: done"));
    release(&result);
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

static void check_array(const char *path, rowpool_dtype dtype, const void *values, const size_t *shape,
                        size_t dimensions)
{
    npy_array array;
    rowpool_error error;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_ok(npy_open(&array, fd, &error), error);
    assert_int_equal(close(fd), 0);
    assert_int_equal(array.header.dtype, dtype);
    assert_false(array.header.foreign_order);
    assert_int_equal(array.header.dimensions, dimensions);
    assert_memory_equal(array.header.shape, shape, dimensions * sizeof *shape);
    assert_int_equal(array.header.data_offset % 64, 0);
    if (array.data != NULL)
        assert_memory_equal(array.data, values, array.header.data_bytes);
    npy_close(&array);
    assert_int_equal(leftovers(), 0);
}

static void check_output(const char *path, const uint32_t *counts, const size_t *shape, size_t dimensions)
{
    check_array(path, ROWPOOL_UINT32, counts, shape, dimensions);
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

    /* One row has one count: an array of no dimensions, which rowpool's own reader refuses. */
    write_npy("a.npy", "<i4", false, "(15,)", SMALL, sizeof SMALL);
    assert_prints(RUN("count", "a.npy", "--output", "out.npy"), "");
    int fd = open("out.npy", O_RDONLY);
    struct stat entry;
    assert_int_equal(fstat(fd, &entry), 0);
    assert_int_equal(entry.st_size, 128 + 4);
    char *bytes = test_read_all(fd);
    assert_non_null(strstr(bytes + 10, "'shape': (), }"));
    assert_memory_equal(bytes + 128, (const uint32_t[]){7}, 4);
    free(bytes);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(adds_an_axis_for_the_ranges)
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

TEST(sets_the_mode_of_the_file)
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

static void check_owner(const char *path, uid_t user, gid_t group, mode_t mode)
{
    struct stat entry;
    assert_int_equal(stat(path, &entry), 0);
    assert_int_equal(entry.st_uid, user);
    assert_int_equal(entry.st_gid, group);
    assert_int_equal(entry.st_mode & 07777, mode);
}

TEST(keeps_the_owner_of_a_file)
{
    enum { SOMEBODY = 12345, THEIR_GROUP = 23456 };
    if (geteuid() != 0)
        skip_since("only root may give files away");
    write_small("small.npy");
    write_file("out.npy", "old", 3);
    assert_int_equal(chown("out.npy", SOMEBODY, THEIR_GROUP), 0);
    assert_int_equal(chmod("out.npy", 0640), 0);
    assert_prints(RUN("count", "small.npy", "--output", "out.npy"), "");
    check_owner("out.npy", SOMEBODY, THEIR_GROUP, 0640);
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
    assert_int_equal(unlink("out.npy"), 0);
}

/* ---- Unfinished files with a name ------------------------------------------------------------------------------- */

static void begin_named(replacement *file)
{
    rowpool_error error;
    assert_ok(replace_begin_named(file, "named", &error), error);
    assert_int_equal(write(file->fd, "new", 3), 3);
    assert_true(exists(file->temporary));
    assert_int_equal(leftovers(), 1);
}

static void check_named(const char *content)
{
    int fd = open("named", O_RDONLY);
    char *bytes = test_read_all(fd);
    assert_string_equal(bytes, content);
    free(bytes);
    assert_int_equal(close(fd), 0);
    assert_int_equal(leftovers(), 0);
}

/* As on a file system without unnamed files, and with an output file that others write too. */
TEST(removes_unfinished_files)
{
    replacement file;
    rowpool_error error;
    write_file("named", "old", 3);
    begin_named(&file);
    replace_discard(&file);
    check_named("old");

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        watch_interruptions();
        begin_named(&file);
        (void)raise(SIGTERM);
        _exit(0);
    }
    const int status = test_wait(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    check_named("old");

    begin_named(&file);
    assert_ok(replace_commit(&file, &error), error);
    check_named("new");
    assert_int_equal(unlink("named"), 0);
}

/* ---- Files that cannot be replaced ------------------------------------------------------------------------------ */

/* Runs the scene in a child, which exits with what it returns: 0 if all is right, TEST_SKIPPED if it may not be tried
 * here. */
static void check_in_child(int (*scene)(void))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(scene());
    const int status = test_wait(child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == TEST_SKIPPED)
        skip_since("not permitted here");
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Counts to an existing file; `why` it cannot be replaced. Returns 0, or the number of the check that failed. */
static int copies_to(const char *path, const char *why)
{
    outcome result = RUN("count", "small.npy", "--output", path);
    char text[256];
    (void)snprintf(text, sizeof text,
                   "rowpool: warning: %s: the file could not be replaced, so it was overwritten: %s\n", path, why);
    if (result.exit_status != 0 || strcmp(result.err, text) != 0) {
        show(&result, __LINE__);
        return 1;
    }
    int fd = open(path, O_RDONLY);
    char *bytes = test_read_all(fd);
    struct stat entry;
    const bool right = fstat(fd, &entry) == 0 && entry.st_size == 128 + 12 &&
                       memcmp(bytes + 128, (const uint32_t[]){2, 5, 0}, 12) == 0 && leftovers() == 0;
    free(bytes);
    release(&result);
    (void)close(fd);
    return right ? 0 : 2;
}

/* Gives this process a private mount namespace; false if that is not allowed. */
static bool begin_mounts(void)
{
    const uid_t user = geteuid();
    if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    if (user != 0) {
        char map[32];
        const int length = snprintf(map, sizeof map, "0 %u 1", (unsigned)user);
        int fd = open("/proc/self/uid_map", O_WRONLY);
        if (fd < 0 || write(fd, map, (size_t)length) != length)
            return false;
        (void)close(fd);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* The same as copies_to for a temporary file with a name. */
static int copies_named(const char *path)
{
    replacement file;
    if (replace_begin_named(&file, path, NULL) != ROWPOOL_OK || write(file.fd, "new", 3) != 3 ||
        replace_commit(&file, NULL) != ROWPOOL_OK || file.note == NULL || leftovers() != 0)
        return 5;
    struct stat entry;
    return stat(path, &entry) == 0 && entry.st_size == 3 ? 0 : 6;
}

/* As docker run -v FILE:FILE. */
static int copy_to_mount_point(void)
{
    if (!begin_mounts() || mount("outside.npy", "mounted.npy", NULL, MS_BIND, NULL) != 0)
        return TEST_SKIPPED;
    int wrong = copies_named("mounted.npy");
    wrong = wrong != 0 ? wrong : copies_to("mounted.npy", "it is a mount point");
    wrong = wrong != 0 ? wrong : copies_to("mounted.npy", "it is a mount point");
    if (umount("mounted.npy") != 0)
        return 3;
    return wrong;
}

TEST(writes_to_a_mount_point)
{
    write_small("small.npy");
    write_file("mounted.npy", "inside", 6);
    char longer[1024] = {0};
    write_file("outside.npy", longer, sizeof longer);
    check_in_child(copy_to_mount_point);
    check_output("outside.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
}

/* As docker run --read-only -v FILE:FILE. */
static int copy_to_read_only_folder(void)
{
    if (!begin_mounts() || mount("fixed", "fixed", NULL, MS_BIND, NULL) != 0 ||
        mount("free.npy", "fixed/out.npy", NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, "fixed", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        return TEST_SKIPPED;
    outcome result = RUN("count", "small.npy", "--output", "fixed/new.npy");
    if (result.exit_status != 1 || strstr(result.err, "fixed/new.npy: Read-only file system") == NULL)
        return 4;
    return copies_to("fixed/out.npy", "its folder cannot be written");
}

TEST(writes_to_a_file_in_a_read_only_folder)
{
    write_small("small.npy");
    assert_int_equal(mkdir("fixed", 0777), 0);
    write_file("fixed/out.npy", "inside", 6);
    write_file("free.npy", "outside", 7);
    check_in_child(copy_to_read_only_folder);
    check_output("free.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
}

static int copy_as_another(void)
{
    enum { SOMEBODY = 12345 };
    if (geteuid() != 0 || setgroups(0, NULL) != 0 || setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0 ||
        access(getenv("ROWPOOL_PROGRAM"), X_OK) != 0 || access("shared.npy", W_OK) != 0)
        return TEST_SKIPPED;
    return copies_to("shared.npy", "a new file would have another owner");
}

TEST(writes_to_a_file_of_another_owner)
{
    write_small("small.npy");
    write_file("shared.npy", "old", 3);
    assert_int_equal(chmod("shared.npy", 0666), 0);
    assert_int_equal(chmod(".", 0777), 0);
    check_in_child(copy_as_another);
    check_owner("shared.npy", geteuid(), getegid(), 0666);
    check_output("shared.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
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

/* Makes a device file with the number of /dev/null or /dev/full. The machine's own are never used as output: as root, a
 * program that renames over them would break the system. False if it is not allowed. */
static bool make_device(const char *path, unsigned minor_number)
{
    if (mknod(path, S_IFCHR | 0600, makedev(1, minor_number)) != 0)
        return false;
    int fd = open(path, O_WRONLY);
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return fd >= 0;
}

TEST(writes_to_pipes_and_devices)
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

TEST(refuses_impossible_outputs)
{
    write_small("small.npy");
    assert_fails(RUN("count", "small.npy", "--output", "nowhere/out.npy"),
                 "rowpool: nowhere/out.npy: ", "No such file or directory");
    assert_fails(RUN("count", "small.npy", "--output", "small.npy/out.npy"),
                 "rowpool: small.npy/out.npy: ", "Not a directory");
    assert_fails(RUN("count", "small.npy", "--output", "."), "rowpool: .: ", "Is a directory");
    assert_int_equal(leftovers(), 0);
}

/* ---- Mapping built-in functions --------------------------------------------------------------------------------- */

/* Expects these results of a function for a file, on every kind of worker. */
static void check_function(const char *function, const char *path, const char *expected)
{
    static const char *const devices[] = {"host", "fork", "auto"};
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        check_prints(RUN("map", "--function", function, "--device", devices[i], path), expected, __LINE__);
}

static const struct {
    const char *function;
    const char *int8, *uint64, *float16, *float64;
} FUNCTIONS[] = {
    {"count", "1\n0\n", "1\n0\n", "1\n1\n0\n", "1\n1\n0\n"},
    {"count64", "1\n0\n", "1\n0\n", "1\n1\n0\n", "1\n1\n0\n"},
    {"any", "1\n0\n", "1\n0\n", "1\n1\n0\n", "1\n1\n0\n"},
    {"all", "0\n0\n", "0\n0\n", "0\n0\n0\n", "0\n0\n0\n"},
    {"fraction", "0.25\n0\n", "0.5\n0\n", "0.25\n0.25\n0\n", "0.25\n0.25\n0\n"},
    {"sum", "-122\n129\n", "2\n3\n", "6.0999755859375\n65511.5\nnan\n", "1e+300\n7.6\nnan\n"},
    {"mean", "-30.5\n32.25\n", "9.223372036854776e+18\n1.5\n", "1.524993896484375\n16377.875\nnan\n",
     "2.5e+299\n1.9\nnan\n"},
    {"min", "-128\n-1\n", "4\n0\n", "-0\n-0.5\ninf\n", "-1\n-0\n-inf\n"},
    {"max", "6\n127\n", "18446744073709551614\n3\n", "4\n65500\n-inf\n", "1e+300\n4.5\ninf\n"},
    {"argmin", "0\n3\n", "1\n0\n", "1\n2\n-1\n", "2\n0\n2\n"},
    {"argmax", "3\n0\n", "0\n1\n", "3\n1\n-1\n", "3\n2\n3\n"},
};

static void write_function_inputs(void)
{
    static const int8_t small[] = {-128, 0, 0, 6, 127, 3, 0, -1};
    static const uint64_t large[] = {UINT64_MAX - 1, 4, 0, 3};
    static const uint16_t halves[] = {0x2e66, 0x8000, 0x4000, 0x4400, 0x4500, 0x7bff,
                                      0xb800, 0x4200, 0x7e00, 0xfe00, 0x7c01, 0x7e00};
    static const double reals[] = {4, 0, -1, 1e300, -0.0, 3, 4.5, 0.1, NAN, 1, -INFINITY, INFINITY};
    write_npy("int8.npy", "|i1", false, "(2, 4)", small, sizeof small);
    write_npy("uint64.npy", "<u8", false, "(2, 2)", large, sizeof large);
    write_npy("float16.npy", "<f2", false, "(3, 4)", halves, sizeof halves);
    write_npy("float64.npy", "<f8", false, "(3, 4)", reals, sizeof reals);
}

TEST(maps_every_built_in_function)
{
    write_function_inputs();
    size_t known = 0;
    for (; rowpool_builtin_name(known) != NULL; known++) {
        assert_true(known < COUNT_OF(FUNCTIONS));
        assert_string_equal(FUNCTIONS[known].function, rowpool_builtin_name(known));
    }
    assert_int_equal(known, COUNT_OF(FUNCTIONS));
    for (size_t i = 0; i < COUNT_OF(FUNCTIONS); i++) {
        check_function(FUNCTIONS[i].function, "int8.npy", FUNCTIONS[i].int8);
        check_function(FUNCTIONS[i].function, "uint64.npy", FUNCTIONS[i].uint64);
        check_function(FUNCTIONS[i].function, "float16.npy", FUNCTIONS[i].float16);
        check_function(FUNCTIONS[i].function, "float64.npy", FUNCTIONS[i].float64);
    }
}

TEST(map_takes_the_options_of_count)
{
    write_small("small.npy");
    assert_prints(RUN("map", "--function", "sum", "small.npy"), "24\n30\n11\n");
    assert_prints(RUN("map", "--function=sum", "--async", "small.npy"), "24\n30\n11\n");
    assert_prints(RUN("map", "small.npy", "--function", "sum", "--head", "2"), "24\n30\n");
    assert_prints(run_on_pipe("small.npy", ARGUMENTS("map", "--function", "max", "-")), "9\n8\n9\n");
    assert_prints(RUN("map", "--function", "any", "--min", "9", "--max", "9", "small.npy"), "1\n0\n1\n");
    assert_prints(RUN("map", "--function", "fraction", "--max", "8", "--closed", "left", "small.npy"), "0.2\n0.8\n0\n");
    assert_prints(RUN("map", "--function", "fraction", "--ranges", "0:4,4:8", "small.npy"), "0.6 0.4\n0.2 1\n0.6 0\n");
    assert_prints(RUN("map", "--function", "fraction", "--bins", "0,4,8", "--async", "small.npy"),
                  "0.4 0.4\n0 1\n0.6 0\n");
    assert_prints(RUN("map", "--function", "all", "--bins", "0,4,9", "--head", "2", "small.npy"), "0 0\n0 1\n");
    write_npy("a.npy", "<i4", false, "(2, 0)", "", 0);
    assert_prints(RUN("map", "--function", "mean", "a.npy"), "nan\nnan\n");
    assert_prints(RUN("map", "--function", "max", "a.npy"), "-2147483648\n-2147483648\n");
    write_npy("a.npy", "<i4", false, "(0, 2)", "", 0);
    assert_prints(RUN("map", "--function", "mean", "a.npy"), "");
}

/* The values of a one-column file, one on each line: the largest element of each row. */
static char *print_values(const char *descr, const void *values, size_t count, size_t bytes)
{
    char shape[64];
    (void)snprintf(shape, sizeof shape, "(%zu, 1)", count);
    write_npy("a.npy", descr, false, shape, values, bytes);
    outcome result = RUN("map", "--function", "max", "a.npy");
    assert_int_equal(result.exit_status, 0);
    free(result.err);
    return result.out;
}

/* The number of digits from the first to the last non-zero digit. */
static size_t significant_digits(const char *text)
{
    size_t digits = 0, zeros = 0;
    for (; *text != '\n' && *text != 'e'; text++) {
        if (*text == '0' && digits > 0)
            zeros++;
        if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

static void check_shortest(const char *line, double value, bool single)
{
    char shortest[40];
    int digits = 1;
    for (; digits < 17; digits++) {
        (void)snprintf(shortest, sizeof shortest, "%.*g", digits, value);
        if ((single ? (double)strtof(shortest, NULL) : strtod(shortest, NULL)) == value)
            break;
    }
    double back = single ? (double)strtof(line, NULL) : strtod(line, NULL);
    if (memcmp(&back, &value, sizeof value) != 0 || significant_digits(line) > (size_t)digits)
        fail_msg("%a is printed as %.*s; %d digits are enough", value, (int)strcspn(line, "\n"), line, digits);
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    return end + 1;
}

TEST(prints_floats_with_the_fewest_digits)
{
    enum { VALUES = 20000 };
    static const double reals[] = {0.1, 1.0 / 3, 5e-324, -0.0, 1e23, 1e15, 1e16, INFINITY, -INFINITY, NAN};
    static const float floats[] = {0.1F, 1.0F / 3, 1e-45F, 16777216, 3.4028235e38F, -1e6F};
    static const uint16_t halves[] = {0x2e66, 0x3555, 0x0001, 0x7bff, 0x8000, 0xc500};
    char *text = print_values("<f8", reals, COUNT_OF(reals), sizeof reals);
    assert_string_equal(text, "0.1\n0.333333333333333"
                              "3\n5e-324\n-0\n1e+23\n1000000000000000\n1e+16\ninf\n-inf\n-inf\n");
    free(text);
    text = print_values("<f4", floats, COUNT_OF(floats), sizeof floats);
    assert_string_equal(text, "0.1\n0.33333334\n1e-45\n16777216\n3.4028235e+38\n-1000000\n");
    free(text);
    text = print_values("<f2", halves, COUNT_OF(halves), sizeof halves);
    assert_string_equal(text, "0.1\n0.3333\n6e-08\n65500\n-0\n-5\n");
    free(text);

    static double random_reals[VALUES];
    static float random_floats[VALUES];
    test_random random = test_random_begin(0x646967697473);
    for (size_t i = 0; i < VALUES; i++) {
        uint64_t bits = test_next(&random) & ~(UINT64_C(1) << 52); /* no NaN */
        bits = i % 4 == 0 ? bits & UINT64_C(0x800fffffffffffff) : bits;
        memcpy(&random_reals[i], &bits, sizeof bits);
        uint32_t half = (uint32_t)test_next(&random) & ~(UINT32_C(1) << 23);
        half = i % 4 == 0 ? half & UINT32_C(0x807fffff) : half;
        memcpy(&random_floats[i], &half, sizeof half);
    }
    text = print_values("<f8", random_reals, VALUES, sizeof random_reals);
    const char *line = text;
    for (size_t i = 0; i < VALUES; i++, line = next_line(line))
        check_shortest(line, random_reals[i], false);
    free(text);
    text = print_values("<f4", random_floats, VALUES, sizeof random_floats);
    line = text;
    for (size_t i = 0; i < VALUES; i++, line = next_line(line))
        check_shortest(line, (double)random_floats[i], true);
    free(text);
}

static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

/* Every float16: the printed number is closer to it than to its neighbours. */
TEST(prints_every_half)
{
    enum { INFINITE = 0x7c00 };
    static uint16_t halves[2 * INFINITE];
    for (size_t i = 0; i < COUNT_OF(halves); i++)
        halves[i] = (uint16_t)(i < INFINITE ? i : 0x8000 + i - INFINITE);
    char *text = print_values("<f2", halves, COUNT_OF(halves), sizeof halves);
    const char *line = text;
    for (size_t i = 0; i < COUNT_OF(halves); i++, line = next_line(line)) {
        uint16_t magnitude = halves[i] & 0x7fff;
        double value = half_value(magnitude);
        double below = magnitude == 0 ? 0 : (value + half_value((uint16_t)(magnitude - 1))) / 2;
        double above = (value + half_value((uint16_t)(magnitude + 1))) / 2;
        double printed = strtod(line, NULL);
        if (signbit(printed) != (halves[i] >> 15 != 0) || fabs(printed) < below || fabs(printed) > above ||
            significant_digits(line) > 5)
            fail_msg("half 0x%04x, %g, is printed as %.*s", halves[i], value, (int)strcspn(line, "\n"), line);
    }
    assert_string_equal(line, "");
    free(text);
}

TEST(writes_results_of_their_own_dtype)
{
    const size_t shape[] = {3};
    write_small("small.npy");
    const struct {
        const char *function;
        rowpool_dtype dtype;
        const void *values;
    } cases[] = {
        {"count", ROWPOOL_UINT32, (const uint32_t[]){2, 5, 0}},
        {"count64", ROWPOOL_UINT64, (const uint64_t[]){2, 5, 0}},
        {"any", ROWPOOL_UINT8, (const uint8_t[]){1, 1, 0}},
        {"fraction", ROWPOOL_FLOAT64, (const double[]){0.4, 1, 0}},
        {"sum", ROWPOOL_INT64, (const int64_t[]){24, 30, 11}},
        {"mean", ROWPOOL_FLOAT64, (const double[]){4.8, 6, 2.2}},
        {"min", ROWPOOL_INT32, (const int32_t[]){0, 4, -4}},
        {"argmax", ROWPOOL_INT64, (const int64_t[]){3, 4, 1}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_prints(RUN("map", "--function", cases[i].function, "small.npy", "--output", "out.npy"), "");
        check_array("out.npy", cases[i].dtype, cases[i].values, shape, 1);
    }

    write_npy("a.npy", "<f2", false, "(2, 1, 2)", (const uint16_t[]){0x3c00, 0x4000, 0x7e00, 0x8000}, 8);
    assert_prints(RUN("map", "--function", "max", "a.npy", "--output", "out.npy", "--head", "1"), "2\n");
    check_array("out.npy", ROWPOOL_FLOAT16, (const uint16_t[]){0x4000, 0x8000}, (const size_t[]){2, 1}, 2);
    assert_prints(RUN("map", "--function", "fraction", "small.npy", "--output", "out.npy", "--ranges", "0:4,4:8"), "");
    check_array("out.npy", ROWPOOL_FLOAT64, (const double[]){0.6, 0.4, 0.2, 1, 0.6, 0}, (const size_t[]){3, 2}, 2);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        static const uint64_t zeros[6];
        write_npy("a.npy", descr_of((rowpool_dtype)dtype), false, "(3, 2)", zeros, 6 * test_size((rowpool_dtype)dtype));
        assert_prints(RUN("map", "--function", "min", "a.npy", "--output", "out.npy"), "");
        check_array("out.npy", (rowpool_dtype)dtype, zeros, shape, 1);
    }
    assert_int_equal(unlink("out.npy"), 0);
}

TEST(reports_what_it_maps)
{
    write_small("small.npy");
    outcome result = RUN("map", "--verbose", "--function", "fraction", "--bins", "-1,4,8.5", "small.npy");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.err, "rowpool: mapping fraction, a built-in function, to float64\n");
    check_tells(result.err, "3 rows of 5 int32, 60 bytes, mapped");
    check_tells(result.err, "rowpool: range 2: within 4 <= x <= 8.5 (closed: both)\n");
    check_tells(result.err, "rowpool: device host: ");
    release(&result);
    result = RUN("map", "--function", "any", "--min", "9", "small.npy");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "rowpool: warning: the minimum 9 is above the maximum 8 (the default): no element "
                                    "lies in it\n");
    release(&result);
}

TEST(refuses_wrong_usage_of_map)
{
    write_small("small.npy");
    write_file("f.cl", "int x;\n", 7);
    assert_usage(RUN("map"), "FILE is missing; see rowpool map --help");
    assert_usage(RUN("map", "small.npy"), "--function or --source is missing");
    assert_usage(RUN("map", "--function", "sum", "small.npy", "f.cl"), "unexpected argument 'f.cl'");
    assert_usage(RUN("map", "--function", "median", "small.npy"),
                 "unknown function 'median'; there are count, count64, any, all, fraction, sum, mean, min, max, "
                 "argmin, argmax; see");
    assert_usage(RUN("map", "--function", "", "small.npy"), "unknown function ''");
    assert_usage(RUN("map", "--function", "sum", "--source", "f.cl", "small.npy"),
                 "--function and --source cannot be given together");
    assert_usage(RUN("map", "--function", "sum", "--output-type", "int8", "small.npy"),
                 "--function and --output-type cannot be given together");
    assert_usage(RUN("map", "--function", "sum", "--argument", "int8:1", "small.npy"),
                 "--function and --argument cannot be given together");
    assert_usage(RUN("map", "--source", "f.cl", "small.npy"), "--output-type is missing");
    assert_usage(RUN("map", "--source", "f.cl", "--output-type", "int", "small.npy"),
                 "--output-type 'int' is not one of");
    assert_usage(RUN("map", "--source", "f.cl", "--output-type", "int8", "--max", "3", "small.npy"),
                 "f.cl takes no ranges: --max cannot be given");
    static const char *const options[] = {"--min", "--max", "--closed", "--ranges", "--bins"};
    static const char *const values[] = {"4", "4", "left", "4:8", "4,8"};
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        char message[64];
        (void)snprintf(message, sizeof message, "mean takes no ranges: %s cannot be given", options[i]);
        assert_usage(RUN("map", "--function", "mean", options[i], values[i], "small.npy"), message);
    }
    assert_usage(RUN("map", "--function", "any", "--min", "x", "small.npy"),
                 "--min 'x' is not a number; see rowpool map --help");
    assert_usage(RUN("map", "--function", "any", "--bins", "4", "small.npy"), "see rowpool map --help");
    assert_usage(RUN("map", "--function", "any", "--device", "x", "small.npy"), "see rowpool map --help");
    assert_usage(RUN("map", "--function", "any", "--head", "x", "small.npy"), "see rowpool map --help");
    assert_usage(RUN("map", "--function", "any", "--output", "-", "small.npy"), "see rowpool map --help");
    assert_fails(RUN("map", "--function", "sum", "missing.npy"), "rowpool: missing.npy: ", "No such file");
    assert_no_output("out.npy");
}

TEST(refuses_bad_arguments)
{
    static const struct {
        const char *argument, *message;
    } cases[] = {
        {"", "is not TYPE:VALUE"},
        {"3", "is not TYPE:VALUE"},
        {"int8", "is not TYPE:VALUE"},
        {":3", "its type is not one of"},
        {"int:3", "its type is not one of"},
        {"int80:3", "its type is not one of"},
        {"int8 :3", "its type is not one of"},
        {"float16:3", "its type is not one of"},
        {"int8:", "'' is not int8"},
        {"int8: 3", "' 3' is not int8"},
        {"int8:3 ", "'3 ' is not int8"},
        {"int8:1.0", "'1.0' is not int8"},
        {"int8:nan", "'nan' is not int8"},
        {"int8:128", "'128' is beyond int8"},
        {"int8:-129", "'-129' is beyond int8"},
        {"int16:0x8000", "'0x8000' is beyond int16"},
        {"int32:-2147483649", "is beyond int32"},
        {"int64:9223372036854775808", "is beyond int64"},
        {"int64:-9223372036854775809", "is beyond int64"},
        {"uint8:256", "'256' is beyond uint8"},
        {"uint8:-1", "'-1' is beyond uint8"},
        {"uint64:18446744073709551616", "is beyond uint64"},
        {"float32:1e39", "'1e39' is beyond float32"},
        {"float32:", "'' is not float32"},
        {"float64:1e400", "'1e400' is beyond float64"},
        {"float64: 1", "' 1' is not float64"},
        {"float64:1,5", "'1,5' is not float64"},
    };
    write_small("small.npy");
    write_file("f.cl", "int x;\n", 7);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_usage(
            RUN("map", "--source", "f.cl", "--output-type", "int8", "--argument", cases[i].argument, "small.npy"),
            cases[i].message);
    enum { MANY = 1024 / 8 + 1 };
    const char *many[6 + 2 * MANY] = {"map", "--source", "f.cl", "--output-type", "int8"};
    for (size_t i = 0; i < MANY; i++) {
        many[5 + 2 * i] = "--argument";
        many[6 + 2 * i] = "int64:1";
    }
    assert_usage(run_with(&DEFAULTS, many), "at most 1024 bytes");
}

/* ---- Mapping functions that are read from a file ---------------------------------------------------------------- */

/* The sum of factor * x, plus an offset; the ROW_BODY and ROW_RANGES in comments are not code. */
static const char FOLD[] =
    "/* Not a ROW_BODY.\n"
    "#define ROW_RANGES */ // ROW_BODY \\\n"
    "ROW_BODY\n"
    "typedef struct {\n"
    "    int8_t shift;\n"
    "    int64_t factor;\n"
    "    float scale;\n"
    "    int16_t more;\n"
    "} arguments_t;\n"
    "typedef int64_t accumulator_t;\n"
    "typedef double result_t;\n"
    "static accumulator_t identity(arguments_t args) { return 0; }\n"
    "static accumulator_t element(accumulator_t a, element_t x, size_t index, arguments_t args)\n"
    "{\n"
    "    return a + (accumulator_t)x * args.factor;\n"
    "}\n"
    "static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t args)\n"
    "{\n"
    "    return a + b;\n"
    "}\n"
    "static result_t finish(accumulator_t a, size_t width, arguments_t args)\n"
    "{\n"
    "    return (double)(a + args.shift + args.more) * args.scale;\n"
    "}\n";
#define FOLD_ARGUMENTS \
    "--argument", "int8:-7", "--argument", "int64:10000000000", "--argument", "float32:0.5", "--argument", "int16:0x9"

/* Half of the last element, and the row's index. */
static const char BODY[] = "typedef uint8_t arguments_t;\n"
                           "typedef float result_t;\n"
                           "ROW_BODY { return width > 0 ? (float)ROW(width - 1) / 2 + index : -1; }\n";

static const char RUNS[] = "#  define ROW_RANGES /* here it is */\n"
                           "typedef struct { ordered_t lo, hi; } arguments_t;\n"
                           "typedef uint32_t result_t;\n"
                           "ROW_BODY\n"
                           "{\n"
                           "    uint32_t run = 0, longest = 0;\n"
                           "    for (size_t i = 0; i < width; i++) {\n"
                           "        run = args.lo <= ROW_ORDERED_AT(i) && ROW_ORDERED_AT(i) <= args.hi ? run + 1 : 0;\n"
                           "        longest = run > longest ? run : longest;\n"
                           "    }\n"
                           "    return longest;\n"
                           "}\n";

/* Skips the rest of the test unless there is an OpenCL CPU device. */
static void need_opencl(void)
{
    outcome result = RUN("devices", "--device", "cpu");
    bool there = result.exit_status == 0;
    release(&result);
    if (!there)
        skip_since("there is no OpenCL CPU device");
}

TEST(maps_text_from_a_file)
{
    need_opencl();
    write_small("small.npy");
    write_text("fold.cl", FOLD);
    write_text("body.cl", BODY);
    assert_prints(
        RUN("map", "--source", "fold.cl", "--output-type", "float64", FOLD_ARGUMENTS, "--device", "cpu", "small.npy"),
        "120000000001\n150000000001\n55000000001\n");
    assert_prints(
        RUN_WITH(&DEFAULT_DEVICE, "map", "--source", "body.cl", "--output-type", "float32", "--async", "small.npy"),
        "1.5\n5\n3.5\n");
    assert_prints(RUN("map", "--source", "./body.cl", "--output-type", "float32", "--device", "cpu", "small.npy",
                      "--output", "out.npy", "--head", "1"),
                  "1.5\n");
    check_array("out.npy", ROWPOOL_FLOAT32, (const float[]){1.5F, 5, 3.5F}, (const size_t[]){3}, 1);
    assert_int_equal(unlink("out.npy"), 0);
    outcome result = RUN("map", "--verbose", "--source", "body.cl", "--output-type", "float32", "--device", "cpu",
                         "small.npy");
    assert_int_equal(result.exit_status, 0);
    check_tells(result.err, "rowpool: mapping body.cl, a free body, to float32\n");
    release(&result);
}

TEST(maps_text_that_takes_ranges)
{
    need_opencl();
    static const uint16_t halves[] = {0x4400, 0x4880, 0x4500, 0x4500, 0x7e00, 0x4400};
    write_small("small.npy");
    write_npy("half.npy", "<f2", false, "(2, 3)", halves, sizeof halves);
    write_text("runs.cl", RUNS);
    assert_prints(RUN("map", "--source", "runs.cl", "--output-type", "uint32", "--device", "cpu", "small.npy"),
                  "2\n5\n0\n");
    assert_prints(
        RUN("map", "--source", "runs.cl", "--output-type", "uint32", "--device", "cpu", "--max", "4.5", "half.npy"),
        "1\n1\n");
    assert_prints(RUN("map", "--source", "runs.cl", "--output-type", "uint32", "--device", "cpu", "--bins", "0,4,8",
                      "--output", "out.npy", "small.npy"),
                  "");
    check_array("out.npy", ROWPOOL_UINT32, (const uint32_t[]){1, 2, 0, 5, 3, 0}, (const size_t[]){3, 2}, 2);
    assert_int_equal(unlink("out.npy"), 0);
    assert_usage(RUN("map", "--source", "runs.cl", "--output-type", "uint32", "--argument", "int8:1", "small.npy"),
                 "runs.cl takes ranges: --argument cannot be given");
}

TEST(includes_files_beside_the_text)
{
    need_opencl();
    write_small("small.npy");
    if (!exists("parts"))
        assert_int_equal(mkdir("parts", 0777), 0);
    write_text("whole.cl", "// #include \"missing.cl\"\n#include \"parts/first.cl\"\n");
    write_text("parts/first.cl", "/*\n#include \"missing.cl\" */\n #\tinclude \"second.cl\" // and nothing else");
    write_text("parts/second.cl", BODY);
    assert_prints(RUN("map", "--source", "whole.cl", "--output-type", "float32", "--device", "cpu", "small.npy"),
                  "1.5\n5\n3.5\n");
    write_text("whole.cl", "\n#include \"self.cl\"\n");
    write_text("self.cl", "#include \"self.cl\"\n");
    assert_fails(RUN("map", "--source", "whole.cl", "--output-type", "float32", "small.npy"),
                 "rowpool: self.cl:1: ", "includes itself");
    write_text("parts/second.cl", "\n\n#include \"missing.cl\"\n");
    write_text("whole.cl", "#include \"parts/first.cl\"\n");
    assert_fails(RUN("map", "--source", "whole.cl", "--output-type", "float32", "small.npy"),
                 "rowpool: parts/second.cl:3: ", "parts/missing.cl: No such file or directory");
}

/* A driver's compiler may print messages too: the last line is rowpool's. */
static void check_build_fails(outcome result, const char *begin, const char *text, int line)
{
    size_t length = strlen(result.err);
    const char *last = result.err + (length > 0 ? length - 1 : 0);
    while (last > result.err && last[-1] != '\n')
        last--;
    if (result.exit_status != 1 || result.out[0] != '\0' || strncmp(last, begin, strlen(begin)) != 0 ||
        strstr(last, text) == NULL) {
        show(&result, line);
        fail_msg("line %d: expected exit status 1 and: %s...%s", line, begin, text);
    }
    release(&result);
    assert_no_output("out.npy");
}
#define RUN_SOURCE(path, type, ...)                                                                            \
    RUN("map", "--source", path, "--output-type", type, "--device", "cpu", "small.npy", "--output", "out.npy", \
        __VA_ARGS__)
#define assert_build_fails(result, begin, text) check_build_fails(result, begin, text, __LINE__)

TEST(shows_the_line_of_an_error)
{
    need_opencl();
    write_small("small.npy");
    write_text("wrong.cl", "typedef uint8_t arguments_t;\ntypedef int result_t;\n\nROW_BODY { return undeclared; }\n");
    assert_build_fails(RUN_SOURCE("wrong.cl", "int32", "--async"), "rowpool: wrong.cl: ", "wrong.cl:4:");
    write_text("a \"quoted\\name.cl", "\nint x = ;\n");
    assert_build_fails(RUN_SOURCE("./a \"quoted\\name.cl", "int32", "--async"),
                       "rowpool: ./a \"quoted\\name.cl: ", "./a \"quoted\\name.cl:2:");
    write_text("second.cl", BODY);
    write_text("wrong.cl", "#include \"second.cl\"\n\nint x = ;");
    assert_build_fails(RUN_SOURCE("wrong.cl", "float32", "--async"), "rowpool: wrong.cl: ", "wrong.cl:3:");
    write_text("second.cl", "typedef uint8_t arguments_t;\n\nint x = ;");
    assert_build_fails(RUN_SOURCE("wrong.cl", "float32", "--async"), "rowpool: wrong.cl: ", "second.cl:3:");
}

TEST(refuses_text_of_other_types)
{
    need_opencl();
    static const char *const others[] = {"int8", "int32", "uint32", "float16", "float64"};
    write_small("small.npy");
    write_text("fold.cl", FOLD);
    write_text("body.cl", BODY);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char message[64];
        (void)snprintf(message, sizeof message, "its result_t is not what --output-type says, %s", others[i]);
        assert_build_fails(RUN_SOURCE("body.cl", others[i], "--async"), "rowpool: body.cl: ", message);
    }
    write_text("struct.cl", "typedef uint8_t arguments_t;\ntypedef struct { int x; } result_t;\n"
                            "ROW_BODY { result_t r = {1}; return r; }\n");
    assert_build_fails(RUN_SOURCE("struct.cl", "int32", "--async"),
                       "rowpool: struct.cl: ", "--output-type says, int32");
    assert_build_fails(RUN_SOURCE("fold.cl", "float64", "--async"),
                       "rowpool: fold.cl: ", "its arguments_t is not one byte; --argument gives its members");
    assert_build_fails(RUN_SOURCE("fold.cl", "float64", "--argument", "int8:1", "--argument", "int64:1"),
                       "rowpool: fold.cl: ", "its arguments_t is not of the 16 bytes that --argument gives");
    assert_build_fails(RUN_SOURCE("body.cl", "float32", "--argument", "int16:1"),
                       "rowpool: body.cl: ", "its arguments_t is not of the 2 bytes that --argument gives");
    write_text("runs.cl", "#define ROW_RANGES\ntypedef uint8_t arguments_t;\ntypedef int result_t;\n"
                          "ROW_BODY { return 1; }\n");
    assert_build_fails(RUN_SOURCE("runs.cl", "int32", "--async"),
                       "rowpool: runs.cl: ", "it takes ranges, but its arguments_t is not two ordered_t");
    write_text("member.cl",
               "typedef struct { doubel x; } arguments_t;\ntypedef int result_t;\nROW_BODY { return 1; }\n");
    assert_build_fails(RUN_SOURCE("member.cl", "int32", "--argument", "float64:1"),
                       "rowpool: member.cl: ", "member.cl:1:");
}

TEST(reads_a_half_as_two_bytes)
{
    need_opencl();
    write_small("small.npy");
    write_text("one.cl", "typedef uint8_t arguments_t;\ntypedef int16_t result_t;\nROW_BODY { return 0x3e00; }\n");
    assert_prints(RUN("map", "--source", "one.cl", "--output-type", "float16", "--device", "cpu", "small.npy"),
                  "1.5\n1.5\n1.5\n");
}

TEST(runs_text_on_opencl_devices_only)
{
    write_small("small.npy");
    write_text("body.cl", BODY);
    static const char *const devices[] = {"fork", "host", "fork,host"};
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        assert_fails(RUN("map", "--source", "body.cl", "--output-type", "float32", "--device", devices[i], "small.npy",
                         "--output", "out.npy"),
                     "rowpool: body.cl: device ", "; --source is for OpenCL devices");
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=nowhere/", "ROWPOOL_DEVICE=");
    assert_fails(
        RUN_WITH(&with, "map", "--source", "body.cl", "--output-type", "float32", "small.npy", "--output", "out.npy"),
        "rowpool: body.cl: device ", "; --source is for OpenCL devices");
    assert_no_output("out.npy");
}

TEST(refuses_source_that_is_not_text)
{
    write_small("small.npy");
    assert_fails(RUN("map", "--source", "missing.cl", "--output-type", "int8", "small.npy"),
                 "rowpool: ", "missing.cl: No such file or directory");
    assert_fails(RUN("map", "--source", ".", "--output-type", "int8", "small.npy"), "rowpool: ", "");
    assert_fails(RUN("map", "--source", "small.npy", "--output-type", "int8", "small.npy"),
                 "rowpool: ", "is not a text file");
    write_text("two.cl", "int x;\n# define  ROW_INPUTS 2\n");
    assert_fails(RUN("map", "--source", "two.cl", "--output-type", "int8", "small.npy"),
                 "rowpool: two.cl:2: ", "takes several arrays");
    assert_no_output("out.npy");
}

/* ---- Failing output --------------------------------------------------------------------------------------------- */

TEST(notices_a_full_disk)
{
    write_small("small.npy");
    circumstances with = DEFAULTS;
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

/* As on a disk that fills up while the output is written: the counts alone still fit, even if a file in memory is
 * counted. */
TEST(leaves_no_half_written_file)
{
    enum { ROWS = 65536 };
    char *zeros = calloc(ROWS, 1);
    assert_non_null(zeros);
    write_npy("rows.npy", "|i1", false, "(65536, 1)", zeros, ROWS);
    free(zeros);
    write_file("old.npy", "precious", 8);
    circumstances with = DEFAULTS;
    with.largest_file = ROWS * sizeof(uint32_t);
    assert_fails(RUN_WITH(&with, "count", "--device", "host", "rows.npy", "--output", "out.npy"),
                 "rowpool: out.npy: ", "File too large");
    assert_no_output("out.npy");
    assert_fails(RUN_WITH(&with, "count", "--device", "host", "rows.npy", "--output", "old.npy"),
                 "rowpool: old.npy: ", "File too large");
    int fd = open("old.npy", O_RDONLY);
    char *bytes = test_read_all(fd);
    assert_string_equal(bytes, "precious");
    assert_int_equal(close(fd), 0);
    free(bytes);
    assert_int_equal(leftovers(), 0);
}

/* As head does. */
static void check_ends_by_pipe(outcome result)
{
    if (result.signal != SIGPIPE || result.err[0] != '\0')
        show(&result, __LINE__);
    assert_int_equal(result.signal, SIGPIPE);
    assert_string_equal(result.err, "");
    release(&result);
}

TEST(ends_quietly_when_nobody_reads)
{
    write_small("small.npy");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    circumstances with = DEFAULTS;
    with.standard_output = ends[1];
    check_ends_by_pipe(RUN_WITH(&with, "count", "small.npy"));
    check_ends_by_pipe(RUN_WITH(&with, "count", "small.npy", "--head", "1", "--output", "out.npy"));
    check_ends_by_pipe(RUN_WITH(&with, "count", "--json", "small.npy"));
    check_ends_by_pipe(RUN_WITH(&with, "count", "--help"));
    check_ends_by_pipe(RUN_WITH(&with, "devices"));
    assert_no_output("out.npy");

    /* A program that ignores the signal wants the error. */
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    assert_fails(RUN_WITH(&with, "count", "small.npy"), "rowpool: standard output: ", "Broken pipe");
    assert_fails(RUN_WITH(&with, "count", "--help"), "rowpool: standard output: ", "Broken pipe");
    (void)signal(SIGPIPE, before);
    assert_int_equal(close(ends[1]), 0);
}

/* The next file that is opened would become standard output. */
TEST(notices_that_standard_output_is_closed)
{
    write_small("small.npy");
    circumstances with = DEFAULTS;
    with.close_standard_output = true;
    assert_fails(RUN_WITH(&with, "count", "small.npy"), "rowpool: standard output: ", "");
    assert_fails(RUN_WITH(&with, "count", "small.npy", "--head", "1", "--output", "out.npy"),
                 "rowpool: standard output: ", "");
    assert_no_output("out.npy");
    assert_prints(RUN_WITH(&with, "count", "small.npy", "--output", "out.npy"), "");
    check_output("out.npy", (const uint32_t[]){2, 5, 0}, (const size_t[]){3}, 1);
    assert_int_equal(unlink("out.npy"), 0);
}

/* The signal arrives while the program waits for a reader of its standard output; the output file is not yet in place.
 */
static void interrupt_with(int signal_number)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int err = test_open_nameless();
    pid_t child = start_program(
        ARGUMENTS("count", "--device", "host", "long.npy", "--head", "400000", "--output", "out.npy"), &DEFAULTS,
        ends[1], err);
    assert_int_equal(close(ends[1]), 0);
    char first;
    assert_int_equal(read(ends[0], &first, 1), 1); /* it prints, so the map is done */
    assert_int_equal(leftovers(), has_nameless_files() ? 0 : 1);
    assert_int_equal(kill(child, signal_number), 0);
    const int status = test_wait(child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal_number);
    assert_no_output("out.npy");
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(err), 0);
}

TEST(leaves_nothing_when_interrupted)
{
#if defined(__SANITIZE_THREAD__)
    skip_since("the thread sanitizer delays a signal until the blocked write returns, which is never");
#endif
    char *zeros = calloc(400000, 1);
    assert_non_null(zeros);
    write_npy("long.npy", "|i1", false, "(400000, 1)", zeros, 400000);
    free(zeros);
    interrupt_with(SIGTERM);
    interrupt_with(SIGINT);
    interrupt_with(SIGHUP);
    if (has_nameless_files())
        interrupt_with(SIGKILL);
}

/* ---- Failing input ---------------------------------------------------------------------------------------------- */

enum { CUT_ELEMENTS = 4 << 20 };

/* The program has mapped the file and waits for the offsets; then the file is truncated. */
static void check_cut(const char *device, off_t left)
{
    assert_int_equal(truncate("cut.npy", 128 + CUT_ELEMENTS), 0);
    int err = test_open_nameless();
    int out = test_open_nameless();
    circumstances with = DEFAULTS;
    pid_t child = start_program(
        ARGUMENTS("count", "--device", device, "cut.npy", "--offsets", "offsets", "--output", "out.npy"), &with, out,
        err);
    int offsets = open("offsets", O_WRONLY);
    assert_true(offsets >= 0);
    assert_int_equal(truncate("cut.npy", left), 0);
    const int64_t values[] = {0, CUT_ELEMENTS / 2, CUT_ELEMENTS};
    char header[NPY_MAX_WRITTEN];
    const size_t size = npy_format_header_of(header, ROWPOOL_INT64, (const size_t[]){3}, 1);
    assert_int_equal(write(offsets, header, size), size);
    assert_int_equal(write(offsets, values, sizeof values), sizeof values);
    assert_int_equal(close(offsets), 0);
    const int status = test_wait(child);
    outcome result = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                      .out = test_read_all(out),
                      .err = test_read_all(err)};
    assert_int_equal(close(out), 0);
    assert_int_equal(close(err), 0);
    assert_fails(result, "rowpool: cut.npy: ", "the file was truncated while it was read");
    assert_no_output("out.npy");
}

TEST(notices_that_its_input_is_cut)
{
    write_npy("cut.npy", "|i1", false, "(4194304,)", "", 0);
    assert_int_equal(mkfifo("offsets", 0600), 0);
    static const char *const devices[] = {"host", "fork", "fork,host", "auto"};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        check_cut(devices[i], 128 + CUT_ELEMENTS - 1); /* the missing part of the last page reads as zeros */
        check_cut(devices[i], 4096);                   /* a bus error */
    }
    assert_int_equal(unlink("offsets"), 0);
    assert_int_equal(unlink("cut.npy"), 0);
}

/* ---- Reports ---------------------------------------------------------------------------------------------------- */

TEST(prints_help)
{
    static const char *const commands[] = {"count", "map", "devices", "demo"};
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
        for (size_t name = 0; i == 1 && rowpool_builtin_name(name) != NULL; name++)
            check_tells(help.out, rowpool_builtin_name(name));
        release(&help);
    }
    release(&result);
    char version[64];
    (void)snprintf(version, sizeof version, "rowpool %d.%d.%d\n", ROWPOOL_VERSION_MAJOR, ROWPOOL_VERSION_MINOR,
                   ROWPOOL_VERSION_PATCH);
    assert_prints(RUN("--version"), version);
}

TEST(reports_what_it_did)
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
        check_tells(result.err, "B/s");
        release(&result);
    }
}

TEST(reports_every_range)
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
    circumstances with = DEFAULTS;
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=no-vendors/", "ROWPOOL_DEVICE=");
    result = RUN_WITH(&with, "devices");
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "");
    check_tells(result.out, "\n*  fork");
    check_tells(result.out, "\n   host");
    check_tells(result.out, "host is not used: ");
    release(&result);
}

/* The list of devices prints_help to choose another. */
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
    size_t used = (size_t)sprintf(text, "counts of the first rows: ");
    for (int row = 0; row < 10; row++) {
        int count = 0;
        for (int i = 0; i < 5; i++) {
            double value = floor((double)(test_next(&random) >> 32) / 0x1p32 * 10);
            count += value >= 4 && value <= 8;
        }
        used += (size_t)sprintf(text + used, "%s%d", row == 0 ? "[" : ", ", count);
    }
    (void)sprintf(text + used, "]\n");
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
    check_tells(result.out, ": started and joined\n");
    assert_null(strstr(result.out, "WRONG"));
    release(&result);
}

TEST(runs_the_demonstration)
{
    char first[256];
    expect_first_counts(first);
    check_demo(RUN_WITH(&DEFAULT_DEVICE, "demo"), first);
    outcome all = RUN_WITH(&DEFAULT_DEVICE, "demo");
    assert_true((strstr(all.out, "no OpenCL device is in use") == NULL) ==
                (strstr(all.out, "(OpenCL in a helper process)") != NULL));
    release(&all);
    check_demo(RUN("demo", "--rows", "30", "--width", "5", "--seed", "100", "--device", "host"), first);
    circumstances with = DEFAULTS;
    assert_int_equal(mkdir("still-no-vendors", 0777), 0);
    with.environment = ARGUMENTS("OCL_ICD_VENDORS=still-no-vendors/", "ROWPOOL_DEVICE=");
    outcome result = RUN_WITH(&with, "demo");
    check_tells(result.out, "no OpenCL device is in use");
    check_demo(result, first);
    check_demo(RUN("demo", "--rows", "0"), "counts of the first rows: []\n");
    check_demo(RUN("demo", "--width", "0", "--rows", "2"), "counts of the first rows: [0, 0]\n");
    assert_fails(RUN("demo", "--rows", "18446744073709551615"), "rowpool: ", "no memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_dtype_on_the_host),
        cmocka_unit_test(counts_every_dtype_on_the_default_device),
        cmocka_unit_test(counts_on_processes),
        cmocka_unit_test(counts_4_to_8_by_default),
        cmocka_unit_test(applies_the_closure),
        cmocka_unit_test(takes_integers_exactly),
        cmocka_unit_test(takes_doubles_exactly),
        cmocka_unit_test(refuses_invalid_bounds),
        cmocka_unit_test(warns_of_an_empty_range),
        cmocka_unit_test(counts_several_ranges_in_every_dtype),
        cmocka_unit_test(counts_many_ranges_on_the_default_device),
        cmocka_unit_test(prints_the_counts_of_a_row_on_one_line),
        cmocka_unit_test(applies_the_closure_to_all_ranges),
        cmocka_unit_test(counts_bins),
        cmocka_unit_test(counts_long_lists_of_ranges),
        cmocka_unit_test(counts_ranges_of_empty_arrays),
        cmocka_unit_test(refuses_bad_lists),
        cmocka_unit_test(refuses_contradicting_ranges),
        cmocka_unit_test(warns_of_each_empty_range),
        cmocka_unit_test(reads_every_shape),
        cmocka_unit_test(reads_empty_arrays),
        cmocka_unit_test(reads_fortran_order_and_foreign_byte_order),
        cmocka_unit_test(prints_large_counts),
        cmocka_unit_test(counts_rows_too_wide_for_uint32),
        cmocka_unit_test(reads_standard_input),
        cmocka_unit_test(reads_standard_input_from_its_current_position),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(replaces_control_characters_in_file_names),
        cmocka_unit_test(refuses_results_larger_than_memory),
        cmocka_unit_test(refuses_wrong_usage),
        cmocka_unit_test(refuses_unknown_devices),
        cmocka_unit_test(the_log_says_where_a_small_map_ran),
        cmocka_unit_test(prints_the_first_rows),
        cmocka_unit_test(writes_the_leading_shape),
        cmocka_unit_test(adds_an_axis_for_the_ranges),
        cmocka_unit_test(writes_as_many_counts_as_there_are_rows),
        cmocka_unit_test(may_replace_its_own_input),
        cmocka_unit_test(sets_the_mode_of_the_file),
        cmocka_unit_test(keeps_the_owner_of_a_file),
        cmocka_unit_test(removes_unfinished_files),
        cmocka_unit_test(writes_to_a_mount_point),
        cmocka_unit_test(writes_to_a_file_in_a_read_only_folder),
        cmocka_unit_test(writes_to_a_file_of_another_owner),
        cmocka_unit_test(follows_links),
        cmocka_unit_test(writes_to_pipes_and_devices),
        cmocka_unit_test(refuses_impossible_outputs),
        cmocka_unit_test(maps_every_built_in_function),
        cmocka_unit_test(map_takes_the_options_of_count),
        cmocka_unit_test(prints_floats_with_the_fewest_digits),
        cmocka_unit_test(prints_every_half),
        cmocka_unit_test(writes_results_of_their_own_dtype),
        cmocka_unit_test(reports_what_it_maps),
        cmocka_unit_test(refuses_wrong_usage_of_map),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(maps_text_from_a_file),
        cmocka_unit_test(maps_text_that_takes_ranges),
        cmocka_unit_test(includes_files_beside_the_text),
        cmocka_unit_test(shows_the_line_of_an_error),
        cmocka_unit_test(refuses_text_of_other_types),
        cmocka_unit_test(reads_a_half_as_two_bytes),
        cmocka_unit_test(runs_text_on_opencl_devices_only),
        cmocka_unit_test(refuses_source_that_is_not_text),
        cmocka_unit_test(notices_a_full_disk),
        cmocka_unit_test(leaves_no_half_written_file),
        cmocka_unit_test(ends_quietly_when_nobody_reads),
        cmocka_unit_test(notices_that_standard_output_is_closed),
        cmocka_unit_test(leaves_nothing_when_interrupted),
        cmocka_unit_test(notices_that_its_input_is_cut),
        cmocka_unit_test(prints_help),
        cmocka_unit_test(reports_what_it_did),
        cmocka_unit_test(reports_every_range),
        cmocka_unit_test(lists_devices),
        cmocka_unit_test(lists_devices_even_when_the_wanted_one_is_missing),
        cmocka_unit_test(runs_the_demonstration),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
