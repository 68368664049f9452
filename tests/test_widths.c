/* Programs built for the width of the rows, once rows of that width have come often enough: each width and element type
 * in a pool of its own, and other widths beside it. Who needs one waits for it (ROWPOOL_TEST=build-wait). */
#include <stdio.h>
#include <stdlib.h>

#include "base/settings.h"
#include "device/opencl/opencl.h"
#include "pools.h"
#include "sched/pool.h"
#include "support.h"

enum { MAX_ROWS = 20011, RANGES = 6 }; /* the kernel counts four ranges at a time */

static rowpool *open_pool(void)
{
    rowpool *pool;
    rowpool_options options = {.size = sizeof options, .device = "cpu"};
    return rowpool_open(&pool, &options, NULL) == ROWPOOL_OK ? pool : NULL;
}

/* Counts rows in the first n_ranges ranges and compares with the reference; returns how many are wrong. */
static size_t wrong_in_rows(rowpool *pool, rowpool_rows rows, size_t n_ranges)
{
    const rowpool_range ranges[RANGES] = {rowpool_range_i64(4, 8), rowpool_range_f64(-0.5, 5.5),
                                          rowpool_range_u64(7, 7), rowpool_range_i64(5, 5),
                                          rowpool_range_i64(0, 9), rowpool_range_f64(4.5, 1e9)};
    const size_t count = rows.count;
    uint32_t *counts = calloc(count * n_ranges + 1, sizeof *counts);
    uint64_t *expected = calloc(count * n_ranges + 1, sizeof *expected);
    rowpool_error error = {0};
    assert_true(counts != NULL && expected != NULL);
    counts[count * n_ranges] = 0xabcdef;
    if (rowpool_range_count(pool, &rows, ranges, n_ranges, counts, &error) != ROWPOOL_OK)
        fail_msg("%s", error.message);
    test_expect(&rows, ranges, n_ranges, expected);
    size_t wrong = counts[count * n_ranges] != 0xabcdef;
    for (size_t i = 0; i < count * n_ranges; i++)
        wrong += counts[i] != expected[i];
    free(counts);
    free(expected);
    return wrong;
}

/* The program for a width; NULL: not requested. */
static rp_cl_program *program_of(const rp_cl_device *device, size_t width)
{
    rp_cl_program *program = device->programs;
    while (program != NULL && program->width != width)
        program = program->next;
    return program;
}

static size_t programs_built(const rp_cl_device *device)
{
    size_t built = 0;
    for (const rp_cl_program *program = device->programs; program != NULL; program = program->next)
        built += program->state == RP_CL_BUILT;
    return built;
}

static size_t wrong_counts(rowpool *pool, rowpool_dtype dtype, void *data, size_t count, size_t width, size_t n_ranges)
{
    return wrong_in_rows(pool, (rowpool_rows){.data = data, .dtype = dtype, .count = count, .width = width}, n_ranges);
}

static size_t checked; /* widths and types since the test began */

/* Prints the number of cases since the test began, and resets it. */
static void conclude(void)
{
    size_t n = checked;
    checked = 0;
    if (n == 0)
        skip_since("ROWPOOL_TEST_DTYPES excludes all of its types");
}

static void check_width(rowpool_dtype dtype, size_t width)
{
    static const size_t counts[] = {1, 63, 64, 65, 127, 128, 1000, MAX_ROWS};
    if (!test_dtype_due(dtype))
        return;
    checked++;
    rowpool *pool = open_pool();
    char *data = malloc(MAX_ROWS * width * test_size(dtype));
    test_random random = test_random_begin(11 + width);
    size_t wrong = 0;
    assert_true(pool != NULL && data != NULL);
    for (size_t i = 0; i < MAX_ROWS * width; i++)
        test_store(dtype, data, i,
                   test_chance(&random, 4) ? test_element(&random, dtype)
                                           : test_small(dtype, (unsigned)test_below(&random, 10)));
    rp_cl_device *device = pool->devices.items[0].state;
    wrong += wrong_counts(pool, dtype, data, 100, width, 1);
    assert_int_equal(program_of(device, 0)->state, RP_CL_BUILT);
    assert_int_equal(program_of(device, width)->state, RP_CL_NOT_BUILT);
    program_of(device, width)->served = RP_CL_BUILD_PAYS;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t n_ranges = 1; n_ranges <= RANGES; n_ranges += RANGES - 1)
            wrong += wrong_counts(pool, dtype, data, counts[i], width, n_ranges);
    /* The kernel was built, and other widths still work beside it. */
    assert_int_equal(program_of(device, width)->state, RP_CL_BUILT);
    for (size_t other = 1; other < width; other += 3)
        wrong += wrong_counts(pool, dtype, data, 500, other, 1);
    assert_int_equal(programs_built(device), 2);
    printf("%s, width %zu: %zu wrong\n", test_name(dtype), width, wrong);
    assert_int_equal(wrong, 0);
    free(data);
    rowpool_close(pool);
}

TEST(every_dtype)
{
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++)
        check_width((rowpool_dtype)dtype, 5);
    conclude();
}

/* Near the size of a cache line and the bits of a word. */
TEST(widths_of_other_dtypes)
{
    check_width(ROWPOOL_INT8, 63);
    check_width(ROWPOOL_UINT8, 64);
    check_width(ROWPOOL_FLOAT16, 32);
    check_width(ROWPOOL_FLOAT64, 8);
    check_width(ROWPOOL_INT64, 63);
    conclude();
}

TEST(many_widths)
{
    static const size_t widths[] = {1, 2, 3, 4, 7, 8, 13, 31, RP_CL_MAX_BLOCK_WIDTH};
    for (size_t i = 0; i < COUNT_OF(widths); i++)
        check_width(ROWPOOL_INT32, widths[i]);
    conclude();
}

/* ---- Rows whose elements all count: narrow accumulators must not overflow --------------------------------------- */

/* Lengths around those at which a kernel moves on to the next vector, line, byte, word, lane or slice. EMPTY_BETWEEN
 * empty rows between any two of them make most rows short. */
enum { EMPTY_BETWEEN = 40 };
static const size_t lengths[] = {1,    3,    4,    5,    7,    8,     9,     15,    16,   17,   23,   24,
                                 31,   32,   33,   56,   57,   58,    63,    64,    65,   111,  112,  113,
                                 127,  128,  129,  254,  255,  256,   257,   503,   504,  505,  512,  513,
                                 1007, 1008, 1009, 1983, 1984, 1985,  2015,  2016,  2017, 2031, 2032, 2033,
                                 4095, 4096, 4097, 8191, 8193, 16383, 16384, 16385, 70000};

static void check_full_rows(rowpool_dtype dtype, size_t empty_between)
{
    enum { ROWS = COUNT_OF(lengths) * (EMPTY_BETWEEN + 1) };
    static int64_t offsets[ROWS + 1];
    rowpool *pool = open_pool();
    size_t count = 0, wrong = 0;
    offsets[0] = 1; /* misaligned for vectors */
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (size_t empty = 0; empty <= empty_between; empty++, count++)
            offsets[count + 1] = offsets[count] + (empty == 0 ? (int64_t)lengths[i] : 0);
    const size_t elements = (size_t)offsets[count];
    char *data = malloc(elements * test_size(dtype));
    assert_true(pool != NULL && data != NULL);
    for (size_t i = 0; i < elements; i++)
        test_store(dtype, data, i, test_small(dtype, 5));
    const rowpool_rows ragged = {.data = data, .dtype = dtype, .count = count, .offsets = offsets};
    for (size_t n_ranges = 1; n_ranges <= RANGES; n_ranges++)
        wrong += wrong_in_rows(pool, ragged, n_ranges);
    for (size_t i = 0; i < COUNT_OF(lengths) && empty_between == 0; i++)
        for (size_t n_ranges = 1; n_ranges <= RANGES; n_ranges += RANGES - 1)
            wrong += wrong_counts(pool, dtype, data + test_size(dtype), (elements - 1) / lengths[i] % 1000, lengths[i],
                                  n_ranges);
    printf("%s, full rows, %zu empty ones after each: %zu wrong\n", test_name(dtype), empty_between, wrong);
    assert_int_equal(wrong, 0);
    free(data);
    rowpool_close(pool);
}

TEST(full_rows)
{
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++) {
        if (!test_dtype_due((rowpool_dtype)dtype))
            continue;
        check_full_rows((rowpool_dtype)dtype, 0);
        check_full_rows((rowpool_dtype)dtype, EMPTY_BETWEEN);
        checked++;
    }
    conclude();
}

/* Rows count towards their own width only; a width that fails to build falls back without affecting the others. */
TEST(a_width_is_built_when_it_pays)
{
    rowpool *pool = open_pool();
    int8_t *data = calloc(MAX_ROWS * 7, 1);
    assert_true(pool != NULL && data != NULL);
    assert_int_equal(wrong_counts(pool, ROWPOOL_INT8, data, MAX_ROWS, 5, 1), 0);
    rp_cl_device *device = pool->devices.items[0].state;
    assert_int_equal(wrong_counts(pool, ROWPOOL_INT8, data, MAX_ROWS, 7, 1), 0);
    assert_int_equal(program_of(device, 7)->served, MAX_ROWS * 7);
    assert_int_equal(program_of(device, 5)->served, MAX_ROWS * 5);
    assert_int_equal(programs_built(device), 1);
    program_of(device, 7)->served = RP_CL_BUILD_PAYS - MAX_ROWS * 7;
    assert_int_equal(wrong_counts(pool, ROWPOOL_INT8, data, MAX_ROWS, 7, 1), 0);
    assert_int_equal(program_of(device, 7)->state, RP_CL_BUILT);
    assert_int_equal(programs_built(device), 2);

    program_of(device, 7)->state = RP_CL_FAILED;
    program_of(device, 7)->failure = calloc(1, sizeof(rowpool_error));
    assert_int_equal(wrong_counts(pool, ROWPOOL_INT8, data, MAX_ROWS, 7, 1), 0);
    assert_int_equal(wrong_counts(pool, ROWPOOL_INT8, data, MAX_ROWS, 3, 1), 0);
    assert_int_equal(programs_built(device), 1);
    assert_int_equal(pool->devices.items[0].info.failures, 0);
    free(data);
    rowpool_close(pool);
}

/* ---- Windows on the host's memory ------------------------------------------------------------------------------- */

static size_t windows, unaligned;

cl_mem __real_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code);
cl_mem __wrap_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code);

/* The linker redirects rowpool's calls here. */
cl_mem __wrap_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code)
{
    if (flags == (CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR)) {
        windows++;
        unaligned += (uintptr_t)host % 128 != 0;
    }
    return __real_clCreateBuffer(context, flags, size, host, code);
}

/* Drivers copy a window that begins at another address, which needs twice the memory. */
TEST(windows_begin_where_drivers_do_not_copy)
{
    enum { COUNT = 300, WIDTH = 7, MAX_SHIFT = 40 };
    static _Alignas(128) int64_t offsets[COUNT + MAX_SHIFT + 1];
    static _Alignas(128) char data[(COUNT * WIDTH + MAX_SHIFT) * sizeof(double)];
    static const rowpool_dtype dtypes[] = {ROWPOOL_INT8, ROWPOOL_INT16, ROWPOOL_FLOAT32, ROWPOOL_FLOAT64};
    rowpool *pool = open_pool();
    size_t wrong = 0;
    for (size_t d = 0; d < COUNT_OF(dtypes); d++)
        for (size_t shift = 0; shift <= MAX_SHIFT; shift += 13) {
            for (size_t i = 0; i < COUNT * WIDTH + MAX_SHIFT; i++)
                test_store(dtypes[d], data, i, test_small(dtypes[d], (unsigned)(i % 10)));
            for (size_t row = 0; row <= COUNT; row++)
                offsets[shift + row] = (int64_t)(row * WIDTH);
            rowpool_rows rows = {.data = data + shift * test_size(dtypes[d]), .dtype = dtypes[d], .count = COUNT};
            rows.width = WIDTH;
            wrong += wrong_in_rows(pool, rows, 1);
            rows.width = 0;
            rows.offsets = offsets + shift;
            wrong += wrong_in_rows(pool, rows, 1);
        }
    rowpool_close(pool);
    assert_int_equal(wrong, 0);
    assert_true(windows >= 3 * COUNT_OF(dtypes) * 4);
    assert_int_equal(unaligned, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype),
        cmocka_unit_test(widths_of_other_dtypes),
        cmocka_unit_test(many_widths),
        cmocka_unit_test(full_rows),
        cmocka_unit_test(a_width_is_built_when_it_pays),
        cmocka_unit_test(windows_begin_where_drivers_do_not_copy),
    };
    setenv("ROWPOOL_TEST", "build-wait", 1);
    rowpool *pool = open_pool();
    bool blocky = pool != NULL && ((const rp_cl_device *)pool->devices.items[0].state)->kind == RP_CL_CPU;
    rowpool_close(pool);
    if (!blocky) {
        printf("skipped: no OpenCL device builds programs for a width\n");
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
