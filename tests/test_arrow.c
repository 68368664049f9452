/* Arrow arrays as rows: structs made by hand, valid and invalid ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rowpool/arrow.h>

#include "support.h"

/* ---- Arrays made by hand ---------------------------------------------------------------------------------------- */

/* An array of lists and its elements. It contains pointers to its own members: do not move it. */
typedef struct {
    struct ArrowSchema schema, element_schema, *schemas[1];
    struct ArrowArray array, elements, *arrays[1];
    const void *buffers[2], *element_buffers[2]; /* validity first */
} made;

static void release_schema(struct ArrowSchema *schema)
{
    (void)schema;
    fail_msg("a schema was released");
}

static void release_array(struct ArrowArray *array)
{
    (void)array;
    fail_msg("an array was released");
}

static void make(made *m, const char *format, const char *element_format, int64_t length, int64_t element_length)
{
    *m = (made){.schema = {.format = format,
                           .name = "",
                           .flags = ARROW_FLAG_NULLABLE,
                           .n_children = 1,
                           .children = m->schemas,
                           .release = release_schema},
                .element_schema = {.format = element_format, .name = "item", .release = release_schema},
                .array = {.length = length,
                          .n_buffers = strncmp(format, "+w:", 3) == 0 ? 1 : 2,
                          .n_children = 1,
                          .buffers = m->buffers,
                          .children = m->arrays,
                          .release = release_array},
                .elements = {
                    .length = element_length, .n_buffers = 2, .buffers = m->element_buffers, .release = release_array}};
    m->schemas[0] = &m->element_schema;
    m->arrays[0] = &m->elements;
}

static const int16_t numbers[] = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110};
enum { NUMBERS = COUNT_OF(numbers) };

/* 4 rows of 3. */
static void make_dense(made *m)
{
    make(m, "+w:3", "s", 4, NUMBERS);
    m->element_buffers[1] = numbers;
}

/* Rows of 2, 0, 7 and 3. */
static const int32_t offsets_32[] = {0, 2, 2, 9, 12};
static const int64_t offsets_64[] = {0, 2, 2, 9, 12};

static void make_list(made *m, const char *format, const void *offsets)
{
    make(m, format, "s", 4, NUMBERS);
    m->buffers[1] = offsets;
    m->element_buffers[1] = numbers;
}

/* Copies, so that a sanitizer detects a read past the end. */
static void *copy_of(const void *from, size_t bytes)
{
    void *copy = malloc(bytes);
    assert_non_null(copy);
    return memcpy(copy, from, bytes);
}

/* ---- Expectations ----------------------------------------------------------------------------------------------- */

static rowpool_arrow *taken(const made *m)
{
    const made before = *m;
    rowpool_arrow *arrow;
    rowpool_error error;
    assert_ok(rowpool_arrow_open(&arrow, &m->schema, &m->array, &error), error);
    assert_memory_equal(&before, m, sizeof before);
    return arrow;
}

static void refused(const made *m, const char *text)
{
    const made before = *m;
    rowpool_arrow *arrow = (rowpool_arrow *)&arrow;
    rowpool_error error;
    assert_refused(rowpool_arrow_open(&arrow, &m->schema, &m->array, &error), ROWPOOL_EINVAL, error, text);
    assert_null(arrow);
    assert_int_equal(rowpool_arrow_open(&arrow, &m->schema, &m->array, NULL), ROWPOOL_EINVAL);
    assert_memory_equal(&before, m, sizeof before);
}

/* expected: the elements of all rows, with -1 after each row. */
static void assert_rows(const made *m, const int *expected)
{
    rowpool_arrow *arrow = taken(m);
    const rowpool_rows *rows = rowpool_arrow_rows(arrow);
    const int16_t *data = rows->data;
    assert_int_equal(rows->dtype, ROWPOOL_INT16);
    assert_int_equal(rows->stride, 0);
    assert_int_equal(rows->count, m->array.length);
    for (size_t row = 0; row < rows->count; row++) {
        size_t begin = rows->offsets != NULL ? (size_t)rows->offsets[row] : row * rows->width;
        size_t end = rows->offsets != NULL ? (size_t)rows->offsets[row + 1] : begin + rows->width;
        for (size_t i = begin; i < end; i++)
            assert_int_equal(data[i], *expected++);
        assert_int_equal(*expected++, -1);
    }
    rowpool_arrow_close(arrow);
}

/* ---- Dense ------------------------------------------------------------------------------------------------------ */

static const int all_dense[] = {0, 10, 20, -1, 30, 40, 50, -1, 60, 70, 80, -1, 90, 100, 110, -1};

TEST(a_fixed_size_list_is_dense_rows_without_a_copy)
{
    made m;
    make_dense(&m);
    assert_rows(&m, all_dense);
    rowpool_arrow *arrow = taken(&m);
    assert_ptr_equal(rowpool_arrow_rows(arrow)->data, numbers);
    assert_int_equal(rowpool_arrow_rows(arrow)->width, 3);
    assert_null(rowpool_arrow_rows(arrow)->offsets);
    rowpool_arrow_close(arrow);
}

TEST(offsets_of_dense_rows_and_of_their_elements_add_up)
{
    made m;
    make_dense(&m);
    m.array.offset = 1;
    m.array.length = 2;
    assert_rows(&m, (int[]){30, 40, 50, -1, 60, 70, 80, -1});
    m.elements.offset = 2;
    m.elements.length = NUMBERS - 2;
    assert_rows(&m, (int[]){50, 60, 70, -1, 80, 90, 100, -1});
}

TEST(dense_rows_past_their_elements_are_refused)
{
    made m;
    make_dense(&m);
    m.elements.length = NUMBERS - 1;
    refused(&m, "4 rows of 3, from row 0 on, do not fit in its 11 elements");
    m.array.length = 3;
    assert_rows(&m, all_dense);
    m.array.offset = 1;
    refused(&m, "3 rows of 3, from row 1 on, do not fit in its 11 elements");
}

TEST(rows_without_elements_are_accepted)
{
    made m;
    make(&m, "+w:0", "s", 4, 0);
    assert_rows(&m, (int[]){-1, -1, -1, -1});
}

TEST(invalid_list_sizes_are_refused)
{
    static const char *const sizes[] = {"+w:", "+w:-1", "+w: 3", "+w:+3", "+w:3x", "+w:0x3", "+w:99999999999999999999"};
    made m;
    make_dense(&m);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        m.schema.format = sizes[i];
        refused(&m, "that is not the size of a list");
    }
    m.schema.format = "+w:9223372036854775807";
    refused(&m, "do not fit");
}

/* ---- Ragged ----------------------------------------------------------------------------------------------------- */

static const int all_ragged[] = {0, 10, -1, -1, 20, 30, 40, 50, 60, 70, 80, -1, 90, 100, 110, -1};

TEST(a_list_is_ragged_rows_with_offsets_of_its_own)
{
    made m;
    void *offsets = copy_of(offsets_32, sizeof offsets_32);
    make_list(&m, "+l", offsets);
    assert_rows(&m, all_ragged);
    rowpool_arrow *arrow = taken(&m);
    free(offsets); /* they are no longer needed */
    assert_ptr_equal(rowpool_arrow_rows(arrow)->data, numbers);
    assert_int_equal(rowpool_arrow_rows(arrow)->offsets[4], 12);
    rowpool_arrow_close(arrow);
}

TEST(a_large_list_is_ragged_rows_without_a_copy)
{
    made m;
    make_list(&m, "+L", offsets_64);
    assert_rows(&m, all_ragged);
    rowpool_arrow *arrow = taken(&m);
    assert_ptr_equal(rowpool_arrow_rows(arrow)->data, numbers);
    assert_ptr_equal(rowpool_arrow_rows(arrow)->offsets, offsets_64);
    rowpool_arrow_close(arrow);
}

TEST(offsets_of_ragged_rows_and_of_their_elements_add_up)
{
    static const struct {
        const char *format;
        const void *offsets;
    } both[] = {{"+l", offsets_32}, {"+L", offsets_64}};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        made m;
        make_list(&m, both[i].format, both[i].offsets);
        m.array.offset = 1;
        m.array.length = 2;
        assert_rows(&m, (int[]){-1, 20, 30, 40, 50, 60, 70, 80, -1});
        m.elements.offset = 3;
        m.elements.length = 9;
        assert_rows(&m, (int[]){-1, 50, 60, 70, 80, 90, 100, 110, -1});
        m.elements.length = 8;
        refused(&m, "the Arrow array: rows.offsets[2] is 9, past the end: data holds 8 elements");
    }
}

TEST(wrong_offsets_are_refused_by_their_index)
{
    static const int32_t falling[] = {0, 2, 1, 9, 12}, negative[] = {-1, 2, 2, 9, 12}, far[] = {0, 2, 2, 9, 13};
    static const int64_t falling_64[] = {0, 2, 2, 1, 12};
    made m;
    make_list(&m, "+l", falling);
    refused(&m, "rows.offsets[2] is 1, less than the 2 before it");
    make_list(&m, "+l", negative);
    refused(&m, "rows.offsets[0] is -1");
    make_list(&m, "+l", far);
    refused(&m, "rows.offsets[4] is 13, past the end: data holds 12 elements");
    make_list(&m, "+L", falling_64);
    refused(&m, "rows.offsets[3] is 1, less than the 2 before it");
    make_list(&m, "+L", NULL);
    refused(&m, "its offsets, buffers[1], are NULL");
}

TEST(offsets_need_elements)
{
    static const int64_t none[] = {0, 0, 0, 0, 0};
    made m;
    make_list(&m, "+L", none);
    m.elements.length = 0;
    assert_rows(&m, (int[]){-1, -1, -1, -1});
    make_list(&m, "+L", offsets_64);
    m.elements.length = 0;
    refused(&m, "rows.offsets[4] is 12, but it has no element");
}

/* ---- Zero rows -------------------------------------------------------------------------------------------------- */

TEST(arrays_without_rows_need_no_buffers)
{
    static const char *const formats[] = {"+w:3", "+l", "+L"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        made m;
        make(&m, formats[i], "s", 0, 0);
        assert_rows(&m, NULL);
    }
}

TEST(elements_need_a_buffer)
{
    made m;
    make_dense(&m);
    m.element_buffers[1] = NULL;
    refused(&m, "rows.data is NULL, but the rows have 12 elements");
    m.elements.offset = 4; /* adding this to NULL would give a non-null address */
    refused(&m, "rows.data is NULL, but the rows have 12 elements");
}

/* ---- Nulls ------------------------------------------------------------------------------------------------------ */

TEST(null_rows_are_refused)
{
    static const uint8_t third[] = {0xb}, none[] = {0xf};
    made m;
    make_dense(&m);
    m.buffers[0] = third;
    m.array.null_count = 1;
    refused(&m, "the Arrow array: row 2 is null");
    m.array.null_count = -1;
    refused(&m, "the Arrow array: row 2 is null");
    m.array.offset = 1;
    m.array.length = 3;
    refused(&m, "the Arrow array: row 1 is null");
    m.array.offset = 0;
    m.array.length = 2; /* the null lies outside the array */
    assert_rows(&m, all_dense);
    make_list(&m, "+l", offsets_32);
    m.array.null_count = -1;
    m.buffers[0] = none;
    assert_rows(&m, all_ragged);
    m.buffers[0] = third;
    refused(&m, "the Arrow array: row 2 is null");
}

TEST(null_elements_are_refused)
{
    static const uint8_t eleventh[] = {0xff, 0xfb}, none[] = {0xff, 0xff};
    made m;
    make_dense(&m);
    m.elements.null_count = -1;
    m.element_buffers[0] = none;
    assert_rows(&m, all_dense);
    m.element_buffers[0] = eleventh;
    refused(&m, "the Arrow array: element 1 of row 3 is null");
    m.array.offset = 2;
    m.array.length = 2;
    refused(&m, "the Arrow array: element 1 of row 1 is null");
    m.array.offset = 0;
    m.array.length = 3; /* the null lies in none of the array's rows */
    assert_rows(&m, all_dense);
    make_list(&m, "+L", offsets_64);
    m.elements.null_count = 1;
    m.element_buffers[0] = eleventh;
    refused(&m, "the Arrow array: element 1 of row 3 is null");
    m.elements.offset = 4; /* now it is element 6 of the array */
    m.elements.length = 8;
    m.array.length = 3;
    refused(&m, "rows.offsets[3] is 9, past the end");
    m.array.length = 2;
    assert_rows(&m, (int[]){40, 50, -1, -1});
    m.elements.offset = 3;
    m.elements.length = 9;
    m.array.length = 3;
    refused(&m, "the Arrow array: element 5 of row 2 is null");
}

/* One null at every position, for every offset. */
TEST(a_null_is_found_wherever_it_is)
{
    enum { ROWS = 40 };
    static int16_t data[ROWS];
    for (size_t begin = 0; begin < ROWS; begin++) {
        for (size_t null = 0; null < ROWS; null++) {
            uint8_t bits[ROWS / 8];
            char text[64];
            made m;
            memset(bits, 0xff, sizeof bits);
            bits[null / 8] &= (uint8_t) ~(1u << null % 8);
            make(&m, "+w:1", "s", (int64_t)(ROWS - begin), ROWS);
            m.array.offset = (int64_t)begin;
            m.array.null_count = -1;
            m.buffers[0] = bits;
            m.element_buffers[1] = data;
            if (null < begin) {
                rowpool_arrow_close(taken(&m));
                continue;
            }
            (void)snprintf(text, sizeof text, "row %zu is null", null - begin);
            refused(&m, text);
        }
    }
}

TEST(a_count_of_no_nulls_is_believed_and_one_without_a_bitmap_is_not)
{
    static const uint8_t unset[] = {0, 0};
    made m;
    make_dense(&m);
    m.buffers[0] = m.element_buffers[0] = unset;
    assert_rows(&m, all_dense);
    make_dense(&m);
    m.array.null_count = m.elements.null_count = -1;
    assert_rows(&m, all_dense);
    m.array.null_count = 2;
    refused(&m, "the Arrow array: null_count is 2, but there is no validity bitmap");
    m.array.null_count = 0;
    m.elements.null_count = 2;
    refused(&m, "the Arrow array's elements: null_count is 2, but there is no validity bitmap");
}

/* ---- Types ------------------------------------------------------------------------------------------------------ */

TEST(every_element_type_is_accepted)
{
    static const char *const formats[TEST_DTYPES] = {
        [ROWPOOL_INT8] = "c",    [ROWPOOL_INT16] = "s",   [ROWPOOL_INT32] = "i",   [ROWPOOL_INT64] = "l",
        [ROWPOOL_UINT8] = "C",   [ROWPOOL_UINT16] = "S",  [ROWPOOL_UINT32] = "I",  [ROWPOOL_UINT64] = "L",
        [ROWPOOL_FLOAT16] = "e", [ROWPOOL_FLOAT32] = "f", [ROWPOOL_FLOAT64] = "g",
    };
    static const int64_t data[4];
    for (size_t i = 0; i < TEST_DTYPES; i++) {
        made m;
        make(&m, "+w:2", formats[i], 1, 4);
        m.element_buffers[1] = data;
        m.array.offset = 1;
        rowpool_arrow *arrow = taken(&m);
        assert_int_equal(rowpool_arrow_rows(arrow)->dtype, i);
        assert_ptr_equal(rowpool_arrow_rows(arrow)->data, (const char *)data + 2 * test_size((rowpool_dtype)i));
        rowpool_arrow_close(arrow);
    }
}

TEST(other_element_types_are_refused_by_name)
{
    static const struct {
        const char *format, *text;
    } others[] = {
        {"n", "elements are of type null"},
        {"b", "elements are of type boolean"},
        {"u", "elements are of type utf8"},
        {"U", "elements are of type large utf8"},
        {"vu", "elements are of type utf8 view"},
        {"z", "elements are of type binary"},
        {"Z", "elements are of type large binary"},
        {"vz", "elements are of type binary view"},
        {"w:4", "elements are of type fixed-size binary"},
        {"d:9,2", "elements are of type decimal"},
        {"tdD", "elements are of type date"},
        {"ttu", "elements are of type time"},
        {"tsn:UTC", "elements are of type timestamp"},
        {"tDm", "elements are of type duration"},
        {"tiM", "elements are of type interval"},
        {"+l", "elements are of type list (\"+l\"): elements of rows are int8 ... int64"},
        {"+w:3", "elements are of type fixed-size list"},
        {"+s", "elements are of type struct"},
        {"", "elements are of type unknown"},
        {"?", "elements are of type unknown"},
        {"ss", "elements are of type unknown"},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        made m;
        make_dense(&m);
        m.element_schema.format = others[i].format;
        refused(&m, others[i].text);
    }
}

TEST(arrays_that_are_not_lists_are_refused_by_name)
{
    static const struct {
        const char *format, *text;
    } others[] = {
        {"i", "type is int32 (\"i\"): rows are a fixed-size list, a list or a large list"},
        {"+vl", "type is list view"},
        {"+vL", "type is large list view"},
        {"+m", "type is map"},
        {"+ud:0,1", "type is union"},
        {"+r", "type is run-end encoded"},
        {"+s", "type is struct (\"+s\"): rows are a fixed-size list, a list or a large list; give one column of it"},
        {"+lx", "type is unknown"},
        {"", "type is unknown"},
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        made m;
        make_dense(&m);
        m.schema.format = others[i].format;
        refused(&m, others[i].text);
    }
}

TEST(dictionaries_are_refused)
{
    made m;
    make_dense(&m);
    m.element_schema.dictionary = &m.schema;
    refused(&m, "the Arrow array's elements: dictionary-encoded");
    make_dense(&m);
    m.array.dictionary = &m.elements;
    refused(&m, "the Arrow array: dictionary-encoded");
}

/* ---- Inconsistent structs --------------------------------------------------------------------------------------- */

TEST(null_pointers_are_refused)
{
    made m;
    rowpool_arrow *arrow;
    rowpool_error error;
    make_dense(&m);
    assert_refused(rowpool_arrow_open(NULL, &m.schema, &m.array, &error), ROWPOOL_EINVAL, error, "arrow is NULL");
    assert_refused(rowpool_arrow_open(&arrow, NULL, &m.array, &error), ROWPOOL_EINVAL, error, "the schema is NULL");
    assert_refused(rowpool_arrow_open(&arrow, &m.schema, NULL, &error), ROWPOOL_EINVAL, error, "the array is NULL");
    assert_null(rowpool_arrow_rows(NULL));
    rowpool_arrow_close(NULL);
}

TEST(released_structs_are_refused)
{
    made m;
    make_dense(&m);
    m.schema.release = NULL;
    refused(&m, "the Arrow array: the schema has been released or moved");
    make_dense(&m);
    m.array.release = NULL;
    refused(&m, "the Arrow array: the array has been released or moved");
    make_dense(&m);
    m.element_schema.release = NULL;
    refused(&m, "the Arrow array's elements: the schema has been released or moved");
    make_dense(&m);
    m.elements.release = NULL;
    refused(&m, "the Arrow array's elements: the array has been released or moved");
}

TEST(missing_members_are_refused)
{
    made m;
    make_dense(&m);
    m.schema.format = NULL;
    refused(&m, "schema.format is NULL");
    make_dense(&m);
    m.schema.n_children = 0;
    refused(&m, "the schema has 0 children and the array 1; for type \"+w:3\" it is 1");
    make_dense(&m);
    m.array.n_children = 2;
    refused(&m, "the schema has 1 children and the array 2");
    make_dense(&m);
    m.elements.n_children = 1;
    refused(&m, "the Arrow array's elements: the schema has 0 children and the array 1; for type \"s\" it is 0");
    make_dense(&m);
    m.schema.children = NULL;
    refused(&m, "schema.children is NULL");
    make_dense(&m);
    m.array.children = NULL;
    refused(&m, "array.children is NULL");
    make_dense(&m);
    m.schemas[0] = NULL;
    refused(&m, "the Arrow array's elements: the schema is NULL");
    make_dense(&m);
    m.arrays[0] = NULL;
    refused(&m, "the Arrow array's elements: the array is NULL");
    make_dense(&m);
    m.array.n_buffers = 2;
    refused(&m, "the array has 2 buffers; for type \"+w:3\" it is 1");
    make_dense(&m);
    m.elements.buffers = NULL;
    refused(&m, "the Arrow array's elements: the array has 0 buffers; for type \"s\" it is 2");
    make_list(&m, "+l", offsets_32);
    m.array.n_buffers = 1;
    refused(&m, "the array has 1 buffers; for type \"+l\" it is 2");
}

TEST(impossible_lengths_are_refused)
{
    made m;
    make_dense(&m);
    m.array.length = -1;
    refused(&m, "the Arrow array: length -1, offset 0, null_count 0");
    make_dense(&m);
    m.elements.offset = -1;
    refused(&m, "the Arrow array's elements: length 12, offset -1");
    make_dense(&m);
    m.array.null_count = -2;
    refused(&m, "null_count -2");
    static const char *const formats[] = {"+w:3", "+l", "+L"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        make_list(&m, formats[i], offsets_64);
        m.array.n_buffers = i == 0 ? 1 : 2;
        m.array.length = INT64_MAX;
        refused(&m, "more than memory can hold");
        m.array.offset = INT64_MAX;
        refused(&m, "more than memory can hold");
        m.array.length = 1;
        refused(&m, "more than memory can hold");
    }
    make_dense(&m);
    m.elements.length = INT64_MAX / 2 + 1;
    refused(&m, "the Arrow array's elements: length 4611686018427387904 and offset 0 are more than memory can hold");
    make_dense(&m);
    m.elements.offset = INT64_MAX;
    refused(&m, "are more than memory can hold");
    make_dense(&m);
    m.array.offset = INT64_MAX / 8 - 4;
    m.schema.format = "+w:4611686018427387904"; /* the product wraps */
    refused(&m, "do not fit");
}

TEST(misaligned_memory_is_refused)
{
    made m;
    char *bytes = calloc(NUMBERS + 1, sizeof *numbers);
    assert_non_null(bytes);
    make_dense(&m);
    m.element_buffers[1] = bytes + 1;
    refused(&m, "rows.data is not aligned to its element type, int16");
    m.element_buffers[1] = bytes + 2;
    rowpool_arrow_close(taken(&m));
    make_list(&m, "+l", (const char *)offsets_32 + 2);
    refused(&m, "its offsets are not aligned to 4 bytes");
    make_list(&m, "+L", (const char *)offsets_64 + 4);
    refused(&m, "its offsets are not aligned to 8 bytes");
    free(bytes);
}

/* ---- With a pool ------------------------------------------------------------------------------------------------ */

TEST(rows_of_arrow_arrays_are_counted)
{
    const rowpool_options options = {.size = sizeof options, .device = "host"};
    const rowpool_range range = rowpool_range_i64(20, 90);
    rowpool *pool;
    rowpool_error error;
    made m;
    make_list(&m, "+l", offsets_32);
    rowpool_arrow *arrow = taken(&m);
    uint32_t counts[4];
    assert_ok(rowpool_open(&pool, &options, &error), error);
    assert_ok(rowpool_range_count(pool, rowpool_arrow_rows(arrow), &range, 1, counts, &error), error);
    assert_memory_equal(counts, ((uint32_t[]){0, 0, 7, 1}), sizeof counts);
    rowpool_close(pool);
    rowpool_arrow_close(arrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_size_list_is_dense_rows_without_a_copy),
        cmocka_unit_test(offsets_of_dense_rows_and_of_their_elements_add_up),
        cmocka_unit_test(dense_rows_past_their_elements_are_refused),
        cmocka_unit_test(rows_without_elements_are_accepted),
        cmocka_unit_test(invalid_list_sizes_are_refused),
        cmocka_unit_test(a_list_is_ragged_rows_with_offsets_of_its_own),
        cmocka_unit_test(a_large_list_is_ragged_rows_without_a_copy),
        cmocka_unit_test(offsets_of_ragged_rows_and_of_their_elements_add_up),
        cmocka_unit_test(wrong_offsets_are_refused_by_their_index),
        cmocka_unit_test(offsets_need_elements),
        cmocka_unit_test(arrays_without_rows_need_no_buffers),
        cmocka_unit_test(elements_need_a_buffer),
        cmocka_unit_test(null_rows_are_refused),
        cmocka_unit_test(null_elements_are_refused),
        cmocka_unit_test(a_null_is_found_wherever_it_is),
        cmocka_unit_test(a_count_of_no_nulls_is_believed_and_one_without_a_bitmap_is_not),
        cmocka_unit_test(every_element_type_is_accepted),
        cmocka_unit_test(other_element_types_are_refused_by_name),
        cmocka_unit_test(arrays_that_are_not_lists_are_refused_by_name),
        cmocka_unit_test(dictionaries_are_refused),
        cmocka_unit_test(null_pointers_are_refused),
        cmocka_unit_test(released_structs_are_refused),
        cmocka_unit_test(missing_members_are_refused),
        cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(misaligned_memory_is_refused),
        cmocka_unit_test(rows_of_arrow_arrays_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
