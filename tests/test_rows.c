/* Rows as a caller passes them: which are refused, with which member and index, and which are accepted. */
#include <stdio.h>
#include <string.h>

#include "core/rows.h"
#include "support.h"

static int32_t numbers[16];
static const uint64_t any = UINT64_MAX; /* max elements of a row */

static rowpool_rows dense(size_t count, size_t width)
{
    return (rowpool_rows){.data = numbers, .dtype = ROWPOOL_INT32, .count = count, .width = width};
}

static rowpool_rows ragged(const int64_t *offsets, size_t count)
{
    return (rowpool_rows){.data = numbers, .dtype = ROWPOOL_INT32, .count = count, .offsets = offsets};
}

static void refused(const rowpool_rows *given, uint64_t longest, const char *text)
{
    rp_rows rows;
    rowpool_error error;
    assert_refused(rp_rows_check(given, longest, &rows, &error), ROWPOOL_EINVAL, error, text);
    assert_int_equal(rp_rows_check(given, longest, &rows, NULL), ROWPOOL_EINVAL);
}

static rp_rows taken(const rowpool_rows *given, uint64_t longest)
{
    rp_rows rows;
    rowpool_error error;
    assert_ok(rp_rows_check(given, longest, &rows, &error), error);
    assert_ptr_equal(rows.data, given->data);
    assert_ptr_equal(rows.offsets, given->offsets);
    assert_ptr_equal(rows.dtype, rp_dtype_of(given->dtype));
    assert_int_equal(rows.dtype_id, given->dtype);
    assert_int_equal(rows.count, given->count);
    return rows;
}

TEST(dtypes_have_names_and_sizes)
{
    for (int d = 0; d < TEST_DTYPES; d++) {
        assert_string_equal(rowpool_dtype_name((rowpool_dtype)d), test_name((rowpool_dtype)d));
        assert_int_equal(rowpool_dtype_size((rowpool_dtype)d), test_size((rowpool_dtype)d));
    }
    static const int none[] = {-1, TEST_DTYPES, 1000};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_null(rowpool_dtype_name((rowpool_dtype)none[i]));
        assert_int_equal(rowpool_dtype_size((rowpool_dtype)none[i]), 0);
        assert_null(rp_dtype_of((rowpool_dtype)none[i]));
    }
}

TEST(null_rows_are_refused)
{
    refused(NULL, any, "rows is NULL");
}

TEST(an_unknown_dtype_is_refused)
{
    rowpool_rows given = dense(2, 3);
    given.dtype = (rowpool_dtype)TEST_DTYPES;
    refused(&given, any, "rows.dtype is 11");
    given.dtype = (rowpool_dtype)-1;
    refused(&given, any, "rows.dtype");
}

TEST(dense_rows_are_accepted)
{
    rowpool_rows given = dense(5, 3);
    rp_rows rows = taken(&given, any);
    assert_int_equal(rows.width, 3);
    assert_int_equal(rows.stride, 3);
    assert_int_equal(rows.elements, 15);
    assert_int_equal(rp_rows_width(&rows, 4), 3);
    assert_int_equal(rp_rows_begin(&rows, 4), 12);
}

TEST(strided_rows_are_accepted)
{
    rowpool_rows given = dense(3, 3);
    given.stride = 5;
    rp_rows rows = taken(&given, any);
    assert_int_equal(rows.width, 3);
    assert_int_equal(rows.stride, 5);
    assert_int_equal(rows.elements, 9);
    assert_int_equal(rp_rows_begin(&rows, 2), 10);
    given.stride = 3;
    assert_int_equal(taken(&given, any).stride, 3);
}

TEST(a_stride_below_the_width_is_refused)
{
    rowpool_rows given = dense(3, 5);
    given.stride = 4;
    refused(&given, any, "rows.stride is 4");
    given.count = 0;
    refused(&given, any, "rows.stride is 4");
}

TEST(ragged_rows_are_accepted)
{
    static const int64_t offsets[] = {2, 2, 5, 5, 12, 12};
    rowpool_rows given = ragged(offsets, 5);
    rp_rows rows = taken(&given, any);
    static const size_t widths[] = {0, 3, 0, 7, 0};
    for (size_t i = 0; i < COUNT_OF(widths); i++) {
        assert_int_equal(rp_rows_width(&rows, i), widths[i]);
        assert_int_equal(rp_rows_begin(&rows, i), offsets[i]);
    }
    assert_int_equal(rp_rows_begin(&rows, 5), 12);
    assert_int_equal(rows.elements, 10);
    assert_int_equal(rows.width, 0);
    assert_int_equal(rows.stride, 0);
}

TEST(decreasing_offsets_are_refused_by_index)
{
    int64_t offsets[] = {0, 3, 2, 9, 9};
    rowpool_rows given = ragged(offsets, 4);
    refused(&given, any, "rows.offsets[2] is 2");
    offsets[2] = 3;
    offsets[4] = 8;
    refused(&given, any, "rows.offsets[4] is 8");
    offsets[4] = -1;
    refused(&given, any, "rows.offsets[4] is -1");
    offsets[4] = INT64_MIN;
    refused(&given, any, "rows.offsets[4] is -9223372036854775808");
    offsets[0] = 4;
    refused(&given, any, "rows.offsets[1] is 3"); /* the first wrong one */
}

/* The check reads many offsets at a time; the index must still be the first wrong one, wherever it is. */
TEST(a_wrong_offset_is_found_at_any_index)
{
    enum { ROWS = 70 };
    int64_t offsets[ROWS + 1];
    for (size_t wrong = 1; wrong <= ROWS; wrong++) {
        for (size_t i = 0; i <= ROWS; i++)
            offsets[i] = i < wrong ? 9 : i == wrong ? 8 : 10;
        rowpool_rows given = ragged(offsets, ROWS);
        char text[64];
        snprintf(text, sizeof text, "rows.offsets[%zu] is 8", wrong);
        refused(&given, any, text);
        given.count = wrong - 1;
        taken(&given, any);
    }
}

TEST(a_negative_first_offset_is_refused)
{
    static const int64_t offsets[] = {-1, 3}, extremes[] = {INT64_MIN, INT64_MAX};
    rowpool_rows given = ragged(offsets, 1);
    refused(&given, any, "rows.offsets[0] is -1");
    given.offsets = extremes;
    refused(&given, any, "rows.offsets[0]");
    given.count = 0;
    refused(&given, any, "rows.offsets[0]");
}

/* The difference of two extreme offsets wraps around. */
TEST(a_negative_offset_after_the_largest_is_refused)
{
    static const int64_t extremes[] = {0, INT64_MAX, INT64_MIN}, back[] = {0, INT64_MAX, INT64_MIN, INT64_MAX},
                         less[] = {0, INT64_MAX, 0};
    const int64_t *const wrong[] = {extremes, back, less};
    for (size_t i = 0; i < 3; i++) {
        rowpool_rows given = ragged(wrong[i], i == 1 ? 3 : 2);
        refused(&given, any, "less than the 9223372036854775807 before it");
    }
}

TEST(width_is_the_capacity_of_ragged_rows)
{
    static const int64_t offsets[] = {0, 4, 4, 9, 16};
    rowpool_rows given = ragged(offsets, 4);
    given.width = 16;
    assert_int_equal(taken(&given, any).elements, 16);
    given.width = 15;
    refused(&given, any, "rows.offsets[4] is 16");
    given.width = 9; /* offsets[3] is exactly the end */
    refused(&given, any, "rows.offsets[4] is 16");
    given.width = 8;
    refused(&given, any, "rows.offsets[3] is 9");
    given.width = 3;
    refused(&given, any, "rows.offsets[1] is 4");
    given.width = 0;
    taken(&given, any);
}

TEST(a_stride_with_offsets_is_refused)
{
    static const int64_t offsets[] = {0, 4};
    rowpool_rows given = ragged(offsets, 1);
    given.stride = 4;
    refused(&given, any, "rows.stride is 4");
}

TEST(misaligned_offsets_are_refused)
{
    static const int64_t offsets[3];
    rowpool_rows given = ragged((const int64_t *)(const void *)((const char *)offsets + 4), 1);
    refused(&given, any, "rows.offsets is not aligned");
}

TEST(misaligned_data_is_refused)
{
    static const union {
        char bytes[64];
        int64_t words[8];
    } memory;
    for (int d = 0; d < TEST_DTYPES; d++)
        for (size_t shift = 0; shift < 8; shift++) {
            rowpool_rows given = {.data = memory.bytes + shift, .dtype = (rowpool_dtype)d, .count = 2, .width = 2};
            if (shift % test_size((rowpool_dtype)d) == 0)
                taken(&given, any);
            else
                refused(&given, any, "rows.data is not aligned");
        }
}

TEST(no_elements_need_no_data)
{
    static const int64_t offsets[] = {7, 7, 7}, one[] = {7, 7, 8};
    rowpool_rows cases[] = {dense(0, 5), dense(5, 0), dense(0, 0), ragged(offsets, 2), ragged(offsets, 0)};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cases[i].data = NULL;
        assert_int_equal(taken(&cases[i], any).elements, 0);
    }
    rowpool_rows given = dense(1, 1);
    given.data = NULL;
    refused(&given, any, "rows.data is NULL");
    given = ragged(one, 2);
    given.data = NULL;
    refused(&given, any, "rows.data is NULL");
}

TEST(a_row_too_long_for_its_count_is_refused)
{
    rowpool_rows given = dense(1, (size_t)UINT32_MAX + 1);
    given.dtype = ROWPOOL_INT8;
    refused(&given, UINT32_MAX, "uint64 form");
    taken(&given, UINT64_MAX);
    given.width = UINT32_MAX;
    taken(&given, UINT32_MAX);
    given.width = (size_t)UINT32_MAX + 1;
    given.count = 0; /* without rows no row is too long */
    taken(&given, UINT32_MAX);

    int64_t offsets[] = {0, 5, 5 + (int64_t)UINT32_MAX, 6 + 2 * (int64_t)UINT32_MAX};
    given = ragged(offsets, 3);
    given.dtype = ROWPOOL_UINT8;
    refused(&given, UINT32_MAX, "row 2 has 4294967296 elements");
    taken(&given, UINT64_MAX);
    offsets[3]--;
    taken(&given, UINT32_MAX);
}

TEST(sizes_that_overflow_are_refused)
{
    const size_t half = (size_t)1 << 32;
    static const char text[] = "more than memory can hold";
    rowpool_rows given = dense(half, half); /* the product is 2^64: it would wrap to 0 */
    refused(&given, any, text);
    given = dense(half, half / 2); /* 2^63 elements of 4 bytes: the bytes wrap */
    refused(&given, any, text);
    given = dense(half, half / 8); /* 2^61 elements of 4 bytes: one byte more than a pointer difference can hold */
    refused(&given, any, text);
    given = dense(SIZE_MAX, 1);
    refused(&given, any, text);
    given = dense(1, SIZE_MAX);
    refused(&given, any, text);
    given = dense(SIZE_MAX, SIZE_MAX);
    refused(&given, any, text);

    given = dense(3, 1); /* 2 strides and a row: the strides alone wrap, or only the row's end does */
    given.stride = SIZE_MAX / 2 + 1;
    refused(&given, any, text);
    given = dense(2, 2);
    given.stride = SIZE_MAX;
    refused(&given, any, text);
    given = dense(1, 2); /* with a single row the stride is not used */
    given.stride = SIZE_MAX;
    taken(&given, any);

    given = dense(PTRDIFF_MAX, 1);
    given.dtype = ROWPOOL_INT8;
    taken(&given, any);
    given.count++;
    refused(&given, any, text);
    given = dense(SIZE_MAX, 0); /* any number of empty rows fits */
    assert_int_equal(taken(&given, any).elements, 0);
}

TEST(offsets_that_overflow_are_refused)
{
    int64_t offsets[] = {0, INT64_MAX};
    rowpool_rows given = ragged(offsets, 1);
    given.dtype = ROWPOOL_INT8;
    taken(&given, any);
    given.dtype = ROWPOOL_INT16;
    refused(&given, any, "rows.offsets[1] is 9223372036854775807");
    offsets[0] = INT64_MAX; /* no element, yet an index that no array has */
    refused(&given, any, "rows.offsets[1]");
    offsets[0] = 0;
    given.count = PTRDIFF_MAX / sizeof(int64_t);
    refused(&given, any, "rows.count");
    given.count = SIZE_MAX; /* count + 1 wraps */
    refused(&given, any, "rows.count");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_names_and_sizes),
        cmocka_unit_test(null_rows_are_refused),
        cmocka_unit_test(an_unknown_dtype_is_refused),
        cmocka_unit_test(dense_rows_are_accepted),
        cmocka_unit_test(strided_rows_are_accepted),
        cmocka_unit_test(a_stride_below_the_width_is_refused),
        cmocka_unit_test(ragged_rows_are_accepted),
        cmocka_unit_test(decreasing_offsets_are_refused_by_index),
        cmocka_unit_test(a_wrong_offset_is_found_at_any_index),
        cmocka_unit_test(a_negative_first_offset_is_refused),
        cmocka_unit_test(a_negative_offset_after_the_largest_is_refused),
        cmocka_unit_test(width_is_the_capacity_of_ragged_rows),
        cmocka_unit_test(a_stride_with_offsets_is_refused),
        cmocka_unit_test(misaligned_offsets_are_refused),
        cmocka_unit_test(misaligned_data_is_refused),
        cmocka_unit_test(no_elements_need_no_data),
        cmocka_unit_test(a_row_too_long_for_its_count_is_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(offsets_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
