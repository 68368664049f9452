/* Splitting: for any rows and limits, the chunks contain every element exactly once, in order, within the limits. */
#include <stdlib.h>
#include <string.h>

#include "core/split.h"
#include "support.h"

static rp_rows checked(const rowpool_rows *given)
{
    rp_rows rows;
    rowpool_error error;
    assert_ok(rp_rows_check(given, UINT64_MAX, &rows, &error), error);
    return rows;
}

/* Whether the whole rows [row, row + n) are within the limits, computed independently. */
static bool keeps(const rp_rows *rows, const rp_split_limits *limits, size_t row, size_t n)
{
    size_t size = rows->dtype->size, elements = 0;
    for (size_t i = row; i < row + n; i++)
        elements += rp_rows_width(rows, i);
    size_t last = row + n - 1;
    size_t span = rp_rows_begin(rows, last) + rp_rows_width(rows, last) - rp_rows_begin(rows, row);
    if (rows->offsets == NULL && rows->width == 0)
        span = 0;
    size_t offsets = rows->offsets != NULL ? (n + 1) * sizeof(int64_t) : 0, results = n * limits->result;
    return span * size <= limits->buffer && offsets <= limits->buffer && results <= limits->buffer &&
           elements * size + offsets + results <= limits->work;
}

static size_t part_limit(const rp_rows *rows, const rp_split_limits *limits)
{
    size_t bytes = limits->work < limits->buffer ? limits->work : limits->buffer;
    return bytes / rows->dtype->size != 0 ? bytes / rows->dtype->size : 1;
}

static void check_whole(const rp_rows *rows, const rp_split_limits *limits, const rp_chunk *chunk)
{
    assert_true(chunk->rows > 0);
    assert_true(chunk->row + chunk->rows <= rows->count);
    size_t begin = rp_rows_begin(rows, chunk->row), elements = 0;
    for (size_t i = chunk->row; i < chunk->row + chunk->rows; i++)
        elements += rp_rows_width(rows, i);
    assert_int_equal(rp_chunk_elements(rows, chunk), elements);
    assert_int_equal(rp_chunk_origin(rows, chunk), begin);
    if (rows->offsets != NULL || rows->stride == rows->width)
        assert_int_equal(rp_chunk_span(rows, chunk), elements);
    else if (elements > 0)
        assert_int_equal(rp_chunk_span(rows, chunk), (chunk->rows - 1) * rows->stride + rows->width);
    else
        assert_int_equal(rp_chunk_span(rows, chunk), 0);
    /* A single row may exceed the limits by its results and offsets, which cannot be split, but not by its elements. */
    if (chunk->rows == 1)
        assert_true(elements <= part_limit(rows, limits));
    else
        assert_true(keeps(rows, limits, chunk->row, chunk->rows));
    /* As large as possible: one more row would not fit. */
    if (chunk->row + chunk->rows < rows->count)
        assert_false(keeps(rows, limits, chunk->row, chunk->rows + 1));
}

static void check_part(const rp_rows *rows, const rp_split_limits *limits, const rp_chunk *chunk)
{
    assert_int_equal(chunk->rows, 1);
    assert_true(chunk->begin < chunk->end);
    assert_true(chunk->end <= rp_rows_width(rows, chunk->row));
    size_t elements = chunk->end - chunk->begin;
    assert_true(elements <= part_limit(rows, limits));
    assert_true(elements < rp_rows_width(rows, chunk->row)); /* a part is not the whole row */
    assert_int_equal(rp_chunk_elements(rows, chunk), elements);
    assert_int_equal(rp_chunk_span(rows, chunk), elements);
    assert_int_equal(rp_chunk_origin(rows, chunk), rp_rows_begin(rows, chunk->row) + chunk->begin);
}

static rp_split_limits random_limits(test_random *random)
{
    rp_split_limits limits = {
        .work = (size_t)1 << test_below(random, 14), .buffer = (size_t)1 << test_below(random, 14), .rows = SIZE_MAX};
    limits.work += (size_t)test_below(random, limits.work);
    return limits;
}

/* Splits everything; returns the number of chunks. random: different limits for each chunk, as devices differ; or NULL.
 */
static size_t check_with(const rp_rows *rows, rp_split_limits given, test_random *random)
{
    const rp_split_limits *limits = &given;
    rp_cursor cursor = {0, 0};
    rp_chunk chunk;
    size_t row = 0, element = 0, chunks = 0; /* where the next chunk must begin */
    while (rp_split_next(rows, 1, limits, &cursor, &chunk)) {
        chunks++;
        assert_int_equal(chunk.row, row);
        if (!chunk.partial) {
            assert_int_equal(element, 0);
            check_whole(rows, limits, &chunk);
            row += chunk.rows;
        } else {
            assert_int_equal(chunk.begin, element);
            check_part(rows, limits, &chunk);
            bool ends = chunk.end == rp_rows_width(rows, row);
            element = ends ? 0 : chunk.end;
            row += ends;
        }
        assert_int_equal(cursor.row, row);
        assert_int_equal(cursor.begin, element);
        if (random != NULL) {
            size_t result = given.result;
            given = random_limits(random);
            given.result = result;
        }
    }
    assert_int_equal(row, rows->count);
    assert_int_equal(element, 0);
    assert_false(rp_split_next(rows, 1, limits, &cursor, &chunk));
    return chunks;
}

static size_t check(const rp_rows *rows, const rp_split_limits *limits)
{
    return check_with(rows, *limits, NULL);
}

TEST(random_rows_and_limits)
{
    test_random random = test_random_begin(1);
    for (size_t i = 0; i < 20000; i++) {
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        test_layout layout = (test_layout)test_below(&random, TEST_LAYOUTS);
        test_array array = test_array_make(&random, dtype, layout, (size_t)test_below(&random, 40),
                                           (size_t)test_below(&random, 30), 0);
        rp_rows rows = checked(&array.rows);
        rp_split_limits limits = random_limits(&random);
        limits.result = (size_t)4 << test_below(&random, 5);
        check_with(&rows, limits, i % 2 != 0 ? &random : NULL);
        test_array_free(&array);
    }
}

static const rp_split_limits unlimited = {.work = SIZE_MAX, .buffer = SIZE_MAX, .rows = SIZE_MAX, .result = 4};

TEST(without_limits_there_is_one_chunk)
{
    test_random random = test_random_begin(2);
    for (int layout = 0; layout < TEST_LAYOUTS; layout++) {
        test_array array = test_array_make(&random, ROWPOOL_INT64, (test_layout)layout, 100, 10, 0);
        rp_rows rows = checked(&array.rows);
        assert_int_equal(check(&rows, &unlimited), 1);
        test_array_free(&array);
    }
}

TEST(no_rows_give_no_chunks)
{
    static const int64_t offset = 5;
    rowpool_rows given[] = {{.dtype = ROWPOOL_INT8, .width = 5}, {.dtype = ROWPOOL_INT8, .offsets = &offset}};
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        rp_rows rows = checked(&given[i]);
        assert_int_equal(check(&rows, &unlimited), 0);
    }
}

TEST(empty_rows_are_chunks_of_their_own)
{
    static const int64_t offsets[101];
    rowpool_rows given[] = {{.dtype = ROWPOOL_INT8, .count = 100},
                            {.dtype = ROWPOOL_INT8, .count = 100, .stride = 1000},
                            {.dtype = ROWPOOL_INT8, .count = 100, .offsets = offsets}};
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        rp_rows rows = checked(&given[i]);
        assert_int_equal(check(&rows, &unlimited), 1);
        rp_split_limits smallest = {.work = 1, .buffer = 1, .rows = SIZE_MAX, .result = 4};
        assert_int_equal(check(&rows, &smallest), 100);
    }
    /* Limited by results alone: 40 bytes of results are 10 rows. */
    rp_rows rows = checked(&given[0]);
    rp_split_limits limits = {.work = 40, .buffer = 1000, .rows = SIZE_MAX, .result = 4};
    assert_int_equal(check(&rows, &limits), 10);
    limits = (rp_split_limits){.work = 1000, .buffer = 40, .rows = SIZE_MAX, .result = 4};
    assert_int_equal(check(&rows, &limits), 10);
}

TEST(results_are_limited_too)
{
    static const int8_t data[64];
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT8, .count = 64, .width = 1};
    rp_rows rows = checked(&given);
    rp_split_limits limits = {.work = SIZE_MAX, .buffer = 256, .rows = SIZE_MAX, .result = 64};
    assert_int_equal(check(&rows, &limits), 16);
    limits.result = 257; /* not even one row's results fit: still one row at a time */
    assert_int_equal(check(&rows, &limits), 64);
    limits.result = SIZE_MAX / 2; /* a product that overflows does not fit either */
    assert_int_equal(check(&rows, &limits), 64);
}

TEST(gaps_count_for_the_buffer_only)
{
    static const int8_t data[9 * 1000 + 1];
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT8, .count = 10, .width = 1, .stride = 1000};
    rp_rows rows = checked(&given);
    rp_split_limits limits = {.work = 50, .buffer = SIZE_MAX, .rows = SIZE_MAX, .result = 4};
    assert_int_equal(check(&rows, &limits), 1);
    limits.buffer = 3001; /* four rows and the three gaps between them */
    assert_int_equal(check(&rows, &limits), 3);
    limits.buffer = 3000;
    assert_int_equal(check(&rows, &limits), 4);
}

TEST(giant_rows_are_cut)
{
    enum { GIANT = 10000 };
    static const int16_t data[GIANT + 6];
    static const int64_t offsets[] = {0, 2, 2, 2 + GIANT, 2 + GIANT, 5 + GIANT, 6 + GIANT};
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT16, .count = 6, .offsets = offsets};
    rp_rows rows = checked(&given);
    rp_split_limits limits = {.work = 2000, .buffer = SIZE_MAX, .rows = SIZE_MAX, .result = 4};
    assert_int_equal(check(&rows, &limits), 1 + 10 + 1);
    limits = (rp_split_limits){
        .work = 1, .buffer = 1, .rows = SIZE_MAX, .result = 4}; /* less than one element: one element at a time */
    assert_int_equal(check(&rows, &limits), 2 + 1 + GIANT + 1 + 3 + 1);
}

TEST(a_row_that_just_fits_is_not_cut)
{
    static const int32_t data[100];
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT32, .count = 10, .width = 10};
    rp_rows rows = checked(&given);
    rp_split_limits limits = {.work = 44, .buffer = 40, .rows = SIZE_MAX, .result = 4};
    assert_int_equal(check(&rows, &limits), 10);
    limits.buffer = 39; /* nine elements, then one */
    assert_int_equal(check(&rows, &limits), 20);
}

TEST(the_number_of_rows_is_limited)
{
    static const int8_t data[64];
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT8, .count = 64, .width = 1};
    rp_rows rows = checked(&given);
    rp_split_limits limits = unlimited;
    limits.rows = 10;
    rp_cursor cursor = {0, 0};
    rp_chunk chunk;
    for (size_t row = 0; row < 64; row += chunk.rows) {
        assert_true(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
        assert_int_equal(chunk.row, row);
        assert_int_equal(chunk.rows, row < 60 ? 10 : 4);
    }
    assert_false(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
}

TEST(whole_rows_are_never_cut)
{
    static const int16_t data[1010];
    static const int64_t offsets[] = {0, 2, 1002, 1002, 1010};
    rowpool_rows given = {.data = data, .dtype = ROWPOOL_INT16, .count = 4, .offsets = offsets};
    rp_rows rows = checked(&given);
    const rp_split_limits limits = {.work = 100, .buffer = 100, .rows = SIZE_MAX, .result = 4, .whole = true};
    static const size_t expected[] = {1, 1, 2};
    rp_cursor cursor = {0, 0};
    rp_chunk chunk;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
        assert_int_equal(chunk.rows, expected[i]);
        assert_false(chunk.partial);
    }
    assert_false(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
}

/* With several inputs their work adds up, and each array must fit. */
TEST(inputs_are_split_together)
{
    static const int32_t narrow[100], broad[1000];
    static const int64_t offsets[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 100};
    rowpool_rows given[] = {{.data = narrow, .dtype = ROWPOOL_INT32, .count = 10, .width = 2},
                            {.data = broad, .dtype = ROWPOOL_INT32, .count = 10, .width = 100},
                            {.data = narrow, .dtype = ROWPOOL_INT32, .count = 10, .offsets = offsets}};
    rp_rows rows[] = {checked(&given[0]), checked(&given[1]), checked(&given[2])};
    static const struct {
        size_t inputs, work, buffer, first;
    } cases[] = {
        {1, 36, SIZE_MAX, 3}, /* 8 bytes of elements and 4 of results for each row */
        {2, 412, SIZE_MAX, 1},          {2, 823, SIZE_MAX, 1},
        {2, 824, SIZE_MAX, 2},          {2, SIZE_MAX, 1199, 2},
        {2, SIZE_MAX, 1200, 3},         {3, SIZE_MAX, SIZE_MAX, 10},
        {3, 412 + 4 + 16, SIZE_MAX, 1}, {3, 2 * 420 + 4 + 8, SIZE_MAX, 2},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const rp_split_limits limits = {
            .work = cases[i].work, .buffer = cases[i].buffer, .rows = SIZE_MAX, .result = 4, .whole = true};
        rp_cursor cursor = {0, 0};
        rp_chunk chunk;
        assert_true(rp_split_next(rows, cases[i].inputs, &limits, &cursor, &chunk));
        if (chunk.rows != cases[i].first)
            fail_msg("case %zu: %zu rows", i, chunk.rows);
    }
}

/* Nothing is allocated or visited for each row: this ends at once. */
TEST(sizes_beyond_memory_are_split)
{
    rowpool_rows given = {.data = (const void *)(uintptr_t)4096,
                          .dtype = ROWPOOL_INT8,
                          .count = (size_t)1 << 40,
                          .width = (size_t)1 << 20};
    rp_rows rows = checked(&given);
    rp_cursor cursor = {0, 0};
    rp_chunk chunk;
    rp_split_limits limits = {.work = (size_t)1 << 32, .buffer = (size_t)1 << 31, .rows = SIZE_MAX, .result = 8};
    assert_true(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
    assert_int_equal(chunk.rows, 1 << 11);
    cursor.row = rows.count - 1;
    assert_true(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
    assert_int_equal(chunk.rows, 1);
    assert_false(rp_split_next(&rows, 1, &limits, &cursor, &chunk));
}

/* In a copy without gaps. */
TEST(the_position_in_a_larger_chunk_is_known)
{
    static const int8_t data[100];
    const int64_t offsets[] = {3, 7, 7, 12, 20, 21, 30, 31};
    const rowpool_rows given[] = {
        {.data = data, .dtype = ROWPOOL_INT8, .count = 7, .width = 9},
        {.data = data, .dtype = ROWPOOL_INT8, .count = 7, .width = 9, .stride = 13},
        {.data = data, .dtype = ROWPOOL_INT8, .count = 7, .offsets = offsets},
    };
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        const rp_rows rows = checked(&given[i]);
        const rp_chunk outer = {.row = 2, .rows = 4},
                       part = {.row = 5, .rows = 1, .begin = 1, .end = 8, .partial = true};
        size_t before = rp_rows_width(&rows, 2) + rp_rows_width(&rows, 3), last = before + rp_rows_width(&rows, 4);
        assert_int_equal(rp_chunk_begin_in(&rows, &outer, &outer), 0);
        assert_int_equal(rp_chunk_begin_in(&rows, &outer, &(rp_chunk){.row = 4, .rows = 2}), before);
        assert_int_equal(rp_chunk_begin_in(&rows, &outer, &part), last + 1);
        rp_chunk inner = part;
        inner.begin = 6;
        assert_int_equal(rp_chunk_begin_in(&rows, &part, &inner), 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows_and_limits),
        cmocka_unit_test(without_limits_there_is_one_chunk),
        cmocka_unit_test(no_rows_give_no_chunks),
        cmocka_unit_test(empty_rows_are_chunks_of_their_own),
        cmocka_unit_test(results_are_limited_too),
        cmocka_unit_test(gaps_count_for_the_buffer_only),
        cmocka_unit_test(giant_rows_are_cut),
        cmocka_unit_test(a_row_that_just_fits_is_not_cut),
        cmocka_unit_test(the_number_of_rows_is_limited),
        cmocka_unit_test(whole_rows_are_never_cut),
        cmocka_unit_test(inputs_are_split_together),
        cmocka_unit_test(sizes_beyond_memory_are_split),
        cmocka_unit_test(the_position_in_a_larger_chunk_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
