/* Folds on the host and in worker processes: the range count, every instance against the reference; and what a part of
 * a row knows about its position. */
#include <stdlib.h>
#include <string.h>

#include "core/builtin.h"
#include "core/operation.h"
#include "core/range.h"
#include "support.h"

enum { COLUMNS = 7 };

/* The argument structs of the ranges as they lie in memory: pairs of elements. */
static void arguments_of(const rowpool_range *ranges, size_t n, rowpool_dtype dtype, void *arguments)
{
    rowpool_error error;
    for (size_t k = 0; k < n; k++) {
        rp_interval interval;
        assert_ok(rp_range_normalise(&ranges[k], k, rp_dtype_of(dtype), &interval, &error), error);
        rp_interval_store(&interval, rp_dtype_of(dtype), (char *)arguments + k * 2 * test_size(dtype));
    }
}

static rowpool_block block_of(const rowpool_rows *given)
{
    rp_rows rows;
    rowpool_error error;
    assert_ok(rp_rows_check(given, UINT64_MAX, &rows, &error), error);
    rowpool_block block = {.count = rows.count};
    block.input[0] = (rowpool_block_input){
        .data = rows.data, .width = rows.width, .stride = rows.stride, .offsets = rows.offsets};
    return block;
}

/* Ranges, their expected counts, and memory for the counts. */
typedef struct {
    test_array array;
    rowpool_range ranges[COLUMNS];
    size_t columns;
    uint64_t arguments[2 * COLUMNS];
    uint64_t *expected;
    test_counts counts;
    const rowpool_compiled *fold;
} fixture;

static fixture prepare(test_random *random, rowpool_dtype dtype, test_layout layout, bool wide, size_t count,
                       size_t width)
{
    fixture f = {.columns = 1 + (size_t)test_below(random, COLUMNS),
                 .fold = (wide ? &rp_builtin_count64 : &rp_builtin_count)->compiled[dtype]};
    f.array = test_array_make(random, dtype, layout, count, width, (size_t)test_below(random, 4));
    for (size_t k = 0; k < f.columns; k++)
        f.ranges[k] = test_range_for(random, &f.array.rows);
    arguments_of(f.ranges, f.columns, dtype, f.arguments);
    f.expected = malloc((count * f.columns + 1) * sizeof *f.expected);
    assert_non_null(f.expected);
    test_expect(&f.array.rows, f.ranges, f.columns, f.expected);
    f.counts = test_counts_make(count * f.columns, f.fold->result_size, (size_t)test_below(random, 4));
    return f;
}

static void finish(fixture *f, const char *what)
{
    assert_true(test_counts_right(&f->counts, f->expected, what, &f->array.rows, f->ranges, f->columns));
    test_counts_free(&f->counts);
    free(f->expected);
    test_array_free(&f->array);
}

/* Calls `check` for every dtype, layout and result type. */
static void for_each(test_random *random, size_t count, size_t width,
                     void (*check)(test_random *random, rowpool_dtype dtype, test_layout layout, bool wide,
                                   size_t count, size_t width))
{
    for (int d = 0; d < TEST_DTYPES; d++)
        for (int layout = 0; layout < TEST_LAYOUTS; layout++)
            for (int wide = 0; wide <= 1; wide++)
                check(random, (rowpool_dtype)d, (test_layout)layout, wide != 0, count, width);
}

static void check_all_rows(test_random *random, rowpool_dtype dtype, test_layout layout, bool wide, size_t count,
                           size_t width)
{
    fixture f = prepare(random, dtype, layout, wide, count, width);
    rowpool_block block = block_of(&f.array.rows);
    f.fold->rows(&block, f.arguments, f.columns, f.counts.counts);
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

/* The fold processes a long row in slices: widths below, at and above a slice's end. */
TEST(long_rows)
{
    static const size_t widths[] = {4095, 4096, 4097, 8192, 10000};
    test_random random = test_random_begin(2);
    for (size_t i = 0; i < COUNT_OF(widths); i++)
        for_each(&random, 2, widths[i], check_all_rows);
}

/* A worker has a copy of some rows only: its data begin at the first of them, and origin is that row's offset in the
 * array. */
static void check_some_rows(test_random *random, rowpool_dtype dtype, test_layout layout, bool wide, size_t count,
                            size_t width)
{
    fixture f = prepare(random, dtype, layout, wide, count, width);
    rowpool_block all = block_of(&f.array.rows);
    for (size_t row = 0; row < count;) {
        rowpool_block some = all;
        rowpool_block_input *input = &some.input[0];
        some.count = 1 + (size_t)test_below(random, count - row);
        size_t begin = row * input->stride;
        if (input->offsets != NULL) {
            input->offsets += row;
            input->origin = input->offsets[0];
            begin = (size_t)input->origin;
        }
        if (input->data != NULL)
            input->data = (const char *)input->data + begin * test_size(dtype);
        f.fold->rows(&some, f.arguments, f.columns, (char *)f.counts.counts + row * f.columns * f.fold->result_size);
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

/* A part of a row, from element `from` on. */
static rowpool_block part_of(const fixture *f, size_t row, size_t from, size_t width)
{
    const rowpool_rows *rows = &f->array.rows;
    size_t stride = rows->stride != 0 ? rows->stride : rows->width;
    size_t begin = rows->offsets != NULL ? (size_t)rows->offsets[row] : row * stride;
    rowpool_block part = {.count = 1, .row = row, .first = from};
    part.input[0].width = width;
    part.input[0].data = (const char *)rows->data + (begin + from) * test_size(rows->dtype);
    return part;
}

static size_t width_of(const rowpool_rows *rows, size_t row)
{
    return rows->offsets != NULL ? (size_t)(rows->offsets[row + 1] - rows->offsets[row]) : rows->width;
}

static void *new_accumulators(const fixture *f)
{
    void *accumulators = malloc(f->columns * f->fold->accumulator_size);
    assert_non_null(accumulators);
    f->fold->begin(f->arguments, f->columns, accumulators);
    return accumulators;
}

/* Each row in parts: some continue the row's accumulators, others are folded separately and merged. */
static void check_parts(test_random *random, rowpool_dtype dtype, test_layout layout, bool wide, size_t count,
                        size_t width)
{
    fixture f = prepare(random, dtype, layout, wide, count, width);
    for (size_t row = 0; row < count; row++) {
        size_t whole = width_of(&f.array.rows, row);
        void *so_far = new_accumulators(&f);
        for (size_t from = 0, n; from < whole; from += n) {
            n = 1 + (size_t)test_below(random, whole - from);
            rowpool_block part = part_of(&f, row, from, n);
            if (test_chance(random, 2)) {
                f.fold->part(&part, f.arguments, f.columns, so_far);
                continue;
            }
            void *own = new_accumulators(&f);
            f.fold->part(&part, f.arguments, f.columns, own);
            f.fold->merge(so_far, own, f.arguments, f.columns);
            free(own);
        }
        f.fold->end(so_far, whole, f.arguments, f.columns,
                    (char *)f.counts.counts + row * f.columns * f.fold->result_size);
        free(so_far);
    }
    finish(&f, "rows in parts");
}

TEST(rows_in_parts)
{
    test_random random = test_random_begin(4);
    for_each(&random, 3, 9000, check_parts);
    for (size_t i = 0; i < 5; i++)
        for_each(&random, 1 + (size_t)test_below(&random, 20), 1 + (size_t)test_below(&random, 20), check_parts);
}

/* A part knows its position in the row: the index of the smallest element is right and the first of several equal ones
 * wins, although the parts are folded separately. */
TEST(parts_know_their_position)
{
    static const int16_t row[] = {5, 3, 9, 3, 7, 3, 8, 2, 2, 4};
    enum { WIDTH = COUNT_OF(row) };
    const rowpool_compiled *fold = rp_builtin_argmin.compiled[ROWPOOL_INT16];
    const char none = 0;
    for (size_t end = 1; end <= WIDTH; end++)
        for (size_t cut = 0; cut <= end; cut++) {
            _Alignas(16) char left[64], right[64];
            assert_true(fold->accumulator_size <= sizeof left);
            fold->begin(&none, 1, left);
            fold->begin(&none, 1, right);
            rowpool_block first = {.count = 1, .input = {{.data = row, .width = cut}}};
            rowpool_block second = {.count = 1, .first = cut, .input = {{.data = row + cut, .width = end - cut}}};
            fold->part(&first, &none, 1, left);
            fold->part(&second, &none, 1, right);
            fold->merge(left, right, &none, 1);
            int64_t found = -2, expected = 0;
            fold->end(left, end, &none, 1, &found);
            for (size_t i = 1; i < end; i++)
                if (row[i] < row[expected])
                    expected = (int64_t)i;
            assert_int_equal(found, expected);
        }
}

TEST(merging_is_a_sum_of_its_own_width)
{
    const uint64_t range[4] = {0};
    uint32_t into32[] = {1, UINT32_MAX - 5, 0, 77}, part32[] = {2, 5, 0, 99};
    rp_builtin_count.compiled[ROWPOOL_INT8]->merge(into32, part32, range, 3);
    assert_true(into32[0] == 3 && into32[1] == UINT32_MAX && into32[2] == 0 && into32[3] == 77);
    uint64_t into64[] = {UINT32_MAX, 1, 77}, part64[] = {UINT32_MAX, 2, 99};
    rp_builtin_count64.compiled[ROWPOOL_FLOAT64]->merge(into64, part64, range, 2);
    assert_true(into64[0] == 2 * (uint64_t)UINT32_MAX && into64[1] == 3 && into64[2] == 77);
}

TEST(every_builtin_exists_for_every_dtype)
{
    size_t n = 0;
    for (const char *name; (name = rowpool_builtin_name(n)) != NULL; n++) {
        const rowpool_function *function = rowpool_builtin(name);
        assert_non_null(function);
        assert_string_equal(function->name, name);
        assert_non_null(function->source);
        assert_true(rp_is_builtin(function));
        for (int d = 0; d < TEST_DTYPES; d++) {
            const rowpool_compiled *compiled = function->compiled[d];
            assert_non_null(compiled);
            assert_true(compiled->rows != NULL && compiled->begin != NULL && compiled->part != NULL);
            assert_true(compiled->merge != NULL && compiled->end != NULL);
            assert_true(compiled->arguments_size > 0 && compiled->accumulator_size > 0 && compiled->result_size > 0);
        }
    }
    assert_true(n > 0);
    assert_null(rowpool_builtin("no such function"));
    assert_null(rowpool_builtin(NULL));
    rowpool_function copy = rp_builtin_sum;
    assert_false(rp_is_builtin(&copy));
}

extern const rowpool_function one_entries, some_longest_run; /* compiled for one dtype and for two */

TEST(functions_may_exist_for_some_dtypes_only)
{
    for (rowpool_dtype dtype = ROWPOOL_INT8; dtype <= ROWPOOL_FLOAT64; dtype++) {
        assert_int_equal(one_entries.compiled[dtype] != NULL, dtype == ROWPOOL_UINT8);
        assert_int_equal(some_longest_run.compiled[dtype] != NULL, dtype == ROWPOOL_INT32 || dtype == ROWPOOL_FLOAT32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_builtin_exists_for_every_dtype),
        cmocka_unit_test(every_shape),
        cmocka_unit_test(long_rows),
        cmocka_unit_test(some_rows_at_a_time),
        cmocka_unit_test(rows_in_parts),
        cmocka_unit_test(parts_know_their_position),
        cmocka_unit_test(merging_is_a_sum_of_its_own_width),
        cmocka_unit_test(functions_may_exist_for_some_dtypes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
