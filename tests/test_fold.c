/* The range count as the host and the worker processes compute it: every instance against the reference. */
#include <stdlib.h>
#include <string.h>

#include "core/function.h"
#include "core/range.h"
#include "core/rows.h"
#include "support.h"

enum { COLUMNS = 7 };

/* The argument structs of ranges, as they lie in memory: pairs of elements. */
static void arguments_of(const rowpool_range *ranges, size_t n, rowpool_dtype dtype, void *arguments)
{
    rowpool_error error;
    for (size_t k = 0; k < n; k++) {
        rp_interval interval;
        assert_ok(rp_range_normalise(&ranges[k], k, rp_dtype_of(dtype), &interval, &error), error);
        rp_interval_store(&interval, rp_dtype_of(dtype), (char *)arguments + k * 2 * test_size(dtype));
    }
}

static rp_block block_of(const rowpool_rows *given)
{
    rp_rows rows;
    rowpool_error error;
    assert_ok(rp_rows_check(given, UINT64_MAX, &rows, &error), error);
    return (rp_block){
        .data = rows.data, .count = rows.count, .width = rows.width, .stride = rows.stride, .offsets = rows.offsets};
}

/* Ranges, what they must count, and memory for the counts. */
typedef struct {
    test_array array;
    rowpool_range ranges[COLUMNS];
    size_t columns;
    uint64_t arguments[2 * COLUMNS];
    uint64_t *expected;
    test_counts counts;
    rp_fold *fold;
} fixture;

static fixture prepare(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result, size_t count,
                       size_t width)
{
    fixture f = {.columns = 1 + (size_t)test_below(random, COLUMNS), .fold = rp_range_count.fold[dtype][result]};
    f.array = test_array_make(random, dtype, layout, count, width, (size_t)test_below(random, 4));
    for (size_t k = 0; k < f.columns; k++)
        f.ranges[k] = test_range_for(random, &f.array.rows);
    arguments_of(f.ranges, f.columns, dtype, f.arguments);
    f.expected = malloc((count * f.columns + 1) * sizeof *f.expected);
    assert_non_null(f.expected);
    test_expect(&f.array.rows, f.ranges, f.columns, f.expected);
    f.counts = test_counts_make(count * f.columns, rp_result_size(result), (size_t)test_below(random, 4));
    return f;
}

static void finish(fixture *f, const char *what)
{
    assert_true(test_counts_right(&f->counts, f->expected, what, &f->array.rows, f->ranges, f->columns));
    test_counts_free(&f->counts);
    free(f->expected);
    test_array_free(&f->array);
}

/* Calls check for every dtype, layout and result type. */
static void for_each(test_random *random, size_t count, size_t width,
                     void (*check)(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result,
                                   size_t count, size_t width))
{
    for (int d = 0; d < TEST_DTYPES; d++)
        for (int layout = 0; layout < TEST_LAYOUTS; layout++)
            for (int result = 0; result < RP_RESULT_TOTAL; result++)
                check(random, (rowpool_dtype)d, (test_layout)layout, (rp_result)result, count, width);
}

static void check_all_rows(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result, size_t count,
                           size_t width)
{
    fixture f = prepare(random, dtype, layout, result, count, width);
    rp_block block = block_of(&f.array.rows);
    f.fold(&block, f.arguments, f.columns, f.counts.counts);
    finish(&f, "all rows");
}

TEST(every_shape)
{
    static const size_t counts[] = {0, 1, 2, 3, 17, 100}, widths[] = {0, 1, 2, 5, 8, 31, 64, 200};
    test_random random = test_random_begin(1);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t j = 0; j < COUNT_OF(widths); j++)
            for_each(&random, counts[i], widths[j], check_all_rows);
}

/* The fold goes through a long row slice by slice: below, at and past the slice's end. */
TEST(long_rows)
{
    static const size_t widths[] = {4095, 4096, 4097, 8192, 10000};
    test_random random = test_random_begin(2);
    for (size_t i = 0; i < COUNT_OF(widths); i++)
        for_each(&random, 2, widths[i], check_all_rows);
}

/* A worker has a copy of some rows only: the data begin at the first of them, and origin says where that was. */
static void check_some_rows(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result,
                            size_t count, size_t width)
{
    fixture f = prepare(random, dtype, layout, result, count, width);
    rp_block all = block_of(&f.array.rows);
    for (size_t row = 0; row < count;) {
        rp_block some = all;
        some.count = 1 + (size_t)test_below(random, count - row);
        size_t begin = row * all.stride;
        if (all.offsets != NULL) {
            some.offsets = all.offsets + row;
            some.origin = all.offsets[row];
            begin = (size_t)some.origin;
        }
        some.data = all.data != NULL ? (const char *)all.data + begin * test_size(dtype) : NULL;
        f.fold(&some, f.arguments, f.columns, (char *)f.counts.counts + row * f.columns * rp_result_size(result));
        row += some.count;
    }
    finish(&f, "some rows at a time");
}

TEST(some_rows_at_a_time)
{
    test_random random = test_random_begin(3);
    for (size_t i = 0; i < 20; i++)
        for_each(&random, 1 + (size_t)test_below(&random, 40), (size_t)test_below(&random, 20), check_some_rows);
}

/* A row in parts, each going on from the results so far. */
static void check_resumed(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result, size_t count,
                          size_t width)
{
    if (layout == TEST_RAGGED) /* a part of a ragged row is a dense row */
        return;
    fixture f = prepare(random, dtype, layout, result, count, width);
    rp_block all = block_of(&f.array.rows);
    for (size_t from = 0; from < width;) {
        rp_block part = all;
        part.width = 1 + (size_t)test_below(random, width - from);
        part.data = (const char *)all.data + from * test_size(dtype);
        part.resume = from > 0;
        f.fold(&part, f.arguments, f.columns, f.counts.counts);
        from += part.width;
    }
    finish(&f, "rows in parts");
}

TEST(rows_in_parts)
{
    test_random random = test_random_begin(4);
    for_each(&random, 5, 9000, check_resumed);
    for_each(&random, 20, 20, check_resumed);
}

/* The same parts, each for itself and combined afterwards. */
static void check_combined(test_random *random, rowpool_dtype dtype, test_layout layout, rp_result result, size_t count,
                           size_t width)
{
    if (layout == TEST_RAGGED)
        return;
    fixture f = prepare(random, dtype, layout, result, count, width);
    rp_block part = block_of(&f.array.rows);
    size_t first = (size_t)test_below(random, width + 1);
    part.width = first;
    f.fold(&part, f.arguments, f.columns, f.counts.counts);
    test_counts second = test_counts_make(f.counts.n, f.counts.size, 0);
    part.data = (const char *)part.data + first * test_size(dtype);
    part.width = width - first;
    f.fold(&part, f.arguments, f.columns, second.counts);
    rp_range_count.combine[dtype][result](f.counts.counts, second.counts, f.counts.n);
    test_counts_free(&second);
    finish(&f, "parts combined");
}

TEST(parts_combined)
{
    test_random random = test_random_begin(5);
    for (size_t i = 0; i < 20; i++)
        for_each(&random, 1 + (size_t)test_below(&random, 20), 1 + (size_t)test_below(&random, 20), check_combined);
}

TEST(combining_is_a_sum_of_its_own_width)
{
    uint32_t into32[] = {1, UINT32_MAX - 5, 0, 77}, part32[] = {2, 5, 0, 99};
    rp_range_count.combine[ROWPOOL_INT8][RP_RESULT_UINT32](into32, part32, 3);
    assert_true(into32[0] == 3 && into32[1] == UINT32_MAX && into32[2] == 0 && into32[3] == 77);
    uint64_t into64[] = {UINT32_MAX, 1, 77}, part64[] = {UINT32_MAX, 2, 99};
    rp_range_count.combine[ROWPOOL_FLOAT64][RP_RESULT_UINT64](into64, part64, 2);
    assert_true(into64[0] == 2 * (uint64_t)UINT32_MAX && into64[1] == 3 && into64[2] == 77);
}

TEST(the_table_is_complete)
{
    for (int d = 0; d < TEST_DTYPES; d++)
        for (int result = 0; result < RP_RESULT_TOTAL; result++) {
            assert_non_null(rp_range_count.fold[d][result]);
            assert_non_null(rp_range_count.combine[d][result]);
        }
    assert_string_equal(rp_range_count.name, "range_count");
    assert_non_null(rp_range_count.source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_complete),
        cmocka_unit_test(every_shape),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(some_rows_at_a_time),
        cmocka_unit_test(rows_in_parts),
        cmocka_unit_test(parts_combined),
        cmocka_unit_test(combining_is_a_sum_of_its_own_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
