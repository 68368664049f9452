/* Arrays near a device's largest buffer, run where that is small (POCL_MEMORY_LIMIT=1): chunks one row below, at and
 * above it; rows and results of exactly that size. Most of the memory is never written and so takes none: all elements
 * are 0 except for marks where rows and chunks meet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "support.h"

enum { MARK = 5, MAX_MARKS = 16 };
static const size_t limit = (size_t)1 << 30; /* a larger buffer would take minutes */
static rowpool *pool;
static size_t largest; /* bytes of the largest buffer */
static int8_t *data;   /* a little more than two largest buffers */
static size_t marks[MAX_MARKS], n_marks;

static void *fresh_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail_msg("no %zu bytes of address space", bytes);
    return memory;
}

/* Marks the bytes around a boundary, on both sides of it. */
static void mark_around(size_t at)
{
    assert_true(n_marks + 5 <= MAX_MARKS);
    for (size_t i = at - 2; i < at + 3; i++) {
        data[i] = MARK;
        marks[n_marks++] = i;
    }
}

static void unmark(void)
{
    while (n_marks > 0)
        data[marks[--n_marks]] = 0;
}

static uint64_t marks_between(size_t begin, size_t end)
{
    uint64_t n = 0;
    for (size_t i = 0; i < n_marks; i++)
        n += begin <= marks[i] && marks[i] < end;
    return n;
}

/* The device did everything itself, and no chunk had to be tried again. */
static void check_device(void)
{
    rowpool_device first;
    rowpool_error error;
    size_t count;
    assert_ok(rowpool_devices(pool, &first, 1, &count, &error), error);
    assert_int_equal(first.failures, 0);
}

/* Counts the marks in every row. */
static void check(const rowpool_rows *rows)
{
    rowpool_error error;
    size_t wrong = 0, bytes = rows->count * sizeof(uint32_t);
    uint32_t *counts = fresh_memory(bytes);
    memset(counts, 0xff, bytes);
    assert_ok(rowpool_range_count(pool, rows, NULL, 0, counts, &error), error);
    for (size_t i = 0; i < rows->count; i++) {
        size_t begin = rows->offsets != NULL ? (size_t)rows->offsets[i] : i * rows->width;
        size_t end = rows->offsets != NULL ? (size_t)rows->offsets[i + 1] : begin + rows->width;
        wrong += counts[i] != marks_between(begin, end);
    }
    assert_int_equal(wrong, 0);
    check_device();
    munmap(counts, bytes);
}

/* ---- Chunks ----------------------------------------------------------------------------------------------------- */

/* Only the largest buffer splits the rows: it holds a whole number of rows, or that and a fraction. */
TEST(rows_that_fill_the_largest_buffer)
{
    static const size_t widths[] = {4096, 4099};
    for (size_t w = 0; w < COUNT_OF(widths); w++) {
        size_t fit = largest / widths[w];
        for (size_t count = fit - 1; count <= fit + 1; count++) {
            mark_around((fit - 1) * widths[w]);
            mark_around(fit * widths[w]);
            check(&(rowpool_rows){.data = data, .dtype = ROWPOOL_INT8, .count = count, .width = widths[w]});
            unmark();
        }
    }
}

TEST(one_row_as_long_as_the_largest_buffer)
{
    for (size_t width = largest - 1; width <= largest + 1; width++) {
        mark_around(2);
        mark_around(width - 3);
        mark_around(width + 2);
        for (size_t count = 1; count <= 2; count++)
            check(&(rowpool_rows){.data = data, .dtype = ROWPOOL_INT8, .count = count, .width = width});
        unmark();
    }
}

/* A row ends one element before, at, and after the largest buffer, with short rows before and after it. */
TEST(ragged_rows_that_meet_at_the_largest_buffer)
{
    for (size_t end = largest - 1; end <= largest + 1; end++) {
        const int64_t before[] = {0, 7, 7, (int64_t)end - 100, (int64_t)end, (int64_t)end, (int64_t)end + 100};
        const int64_t across[] = {0, 7, (int64_t)end, (int64_t)end + 1, (int64_t)end + 1, (int64_t)largest + 5000};
        mark_around(7);
        mark_around(end);
        check(&(rowpool_rows){.data = data, .dtype = ROWPOOL_INT8, .count = COUNT_OF(before) - 1, .offsets = before});
        check(&(rowpool_rows){.data = data, .dtype = ROWPOOL_INT8, .count = COUNT_OF(across) - 1, .offsets = across});
        unmark();
    }
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

/* Enough ranges that the results of a few rows fill the largest buffer. */
TEST(results_as_large_as_the_largest_buffer)
{
    enum { RANGES = 4096, WIDTH = 2 };
    const size_t fit = largest / (RANGES * sizeof(uint32_t));
    static rowpool_range ranges[RANGES];
    for (int64_t k = 0; k < RANGES; k++)
        ranges[k] = rowpool_range_i64(k % 3, MARK - k % 2); /* an even k has 5 in its range, a multiple of 3 has 0 */
    for (size_t count = fit - 1; count <= fit + 1; count++) {
        rowpool_error error;
        rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = count, .width = WIDTH};
        size_t bytes = count * RANGES * sizeof(uint32_t), wrong = 0;
        uint32_t *counts = fresh_memory(bytes);
        mark_around((fit - 1) * WIDTH);
        assert_ok(rowpool_range_count(pool, &rows, ranges, RANGES, counts, &error), error);
        for (size_t i = 0; i < count; i++) {
            uint32_t fives = (uint32_t)marks_between(i * WIDTH, (i + 1) * WIDTH);
            for (size_t k = 0; k < RANGES; k++)
                wrong += counts[i * RANGES + k] != (k % 2 == 0 ? fives : 0) + (k % 3 == 0 ? WIDTH - fives : 0);
        }
        assert_int_equal(wrong, 0);
        check_device();
        munmap(counts, bytes);
        unmark();
    }
}

/* ----------------------------------------------------------------------------------------------------------------- */

/* The largest buffer of the first device of its type; 0: there is no such device. */
static size_t open_first(const char *device)
{
    rowpool_options options = {.size = sizeof options, .device = device, .chunk_bytes = SIZE_MAX};
    rowpool_device first;
    size_t count;
    if (rowpool_open(&pool, &options, NULL) != ROWPOOL_OK)
        return 0;
    if (rowpool_devices(pool, &first, 1, &count, NULL) != ROWPOOL_OK)
        return 0;
    printf("on %s, %s, largest buffer %llu bytes\n", first.index, first.name, (unsigned long long)first.largest_buffer);
    return (size_t)first.largest_buffer;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_fill_the_largest_buffer),
        cmocka_unit_test(one_row_as_long_as_the_largest_buffer),
        cmocka_unit_test(ragged_rows_that_meet_at_the_largest_buffer),
        cmocka_unit_test(results_as_large_as_the_largest_buffer),
    };
    largest = open_first("cpu");
    if (largest == 0 || largest > limit) {
        printf("skipped: no device with a largest buffer of at most %zu bytes\n", limit);
        rowpool_close(pool);
        return TEST_SKIPPED;
    }
    data = fresh_memory(2 * largest + 10000);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    munmap(data, 2 * largest + 10000);
    rowpool_close(pool);
    return failures;
}
