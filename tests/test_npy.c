/* The reader and writer of .npy files: every header that NumPy writes, and every kind of invalid file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

#include "npy.h"

/* ---- Making files ----------------------------------------------------------------------------------------------- */

typedef struct {
    unsigned char bytes[8192];
    size_t size;
} file_bytes;

static void append(file_bytes *file, const void *bytes, size_t size)
{
    assert_true(file->size + size <= sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

/* A file of this version with the header as given, unpadded, so that the data may begin at any address. */
static file_bytes make_file(int version, const char *header, const void *data, size_t data_bytes)
{
    file_bytes file = {.size = 0};
    size_t length = strlen(header);
    append(&file, "\x93NUMPY", 6);
    append(&file, (unsigned char[]){(unsigned char)version, 0}, 2);
    append(&file, (unsigned char[]){length & 255, (length >> 8) & 255, 0, 0}, version == 1 ? 2 : 4);
    append(&file, header, length);
    append(&file, data, data_bytes);
    return file;
}

/* The header padded with blanks so that the data begins at a multiple of 64. */
static file_bytes make_padded_file(const char *header, const void *data, size_t data_bytes)
{
    char padded[512];
    size_t end = (10 + strlen(header) + 1 + 63) / 64 * 64 - 10;
    assert_true(end < sizeof padded);
    (void)snprintf(padded, sizeof padded, "%-*s\n", (int)end - 1, header);
    return make_file(1, padded, data, data_bytes);
}

/* A copy that ends at the end of readable memory: a read past it faults in every build. */
typedef struct {
    unsigned char *pages;
    size_t pages_size;
    unsigned char *bytes;
} fenced;

static fenced fence(const void *bytes, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t used = (size + page - 1) / page * page;
    fenced copy = {.pages_size = used + page};
    copy.pages = mmap(NULL, copy.pages_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(copy.pages != MAP_FAILED);
    assert_int_equal(mprotect(copy.pages + used, page, PROT_NONE), 0);
    copy.bytes = copy.pages + used - size;
    memcpy(copy.bytes, bytes, size);
    return copy;
}

static void unfence(fenced *copy)
{
    assert_int_equal(munmap(copy->pages, copy->pages_size), 0);
}

/* Reads every element that the array claims to have. */
static unsigned touch(const npy_array *array)
{
    unsigned sum = 0;
    const unsigned char *bytes = array->data;
    for (size_t i = 0; i < array->header.data_bytes; i++)
        sum += bytes[i];
    return sum;
}

static const int32_t SMALL[6] = {1, 2, 3, 4, 5, 6};
#define GOOD_HEADER "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }"

/* ---- Valid headers ---------------------------------------------------------------------------------------------- */

TEST(reads_every_form_of_header)
{
    static const char *const headers[] = {
        GOOD_HEADER,
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"descr\": \"<i4\", \"fortran_order\": False, \"shape\": (2, 3)}\n",
        "  {  'shape'  :  (  2  ,  3  ,  )  ,  'fortran_order'  :  False  ,  'descr'  :  '<i4'  }  \t\r\n",
        "{'fortran_order':False,'shape':(2,3),'descr':'<i4'}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2L, 3L), }",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (0002, 3), }",
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        for (int version = 1; version <= 3; version++) {
            file_bytes file = make_file(version, headers[i], SMALL, sizeof SMALL);
            fenced copy = fence(file.bytes, file.size);
            npy_array array;
            rowpool_error error;
            assert_ok(npy_open_bytes(&array, copy.bytes, file.size, &error), error);
            assert_int_equal(array.header.dtype, ROWPOOL_INT32);
            assert_int_equal(array.header.rows, 2);
            assert_int_equal(array.header.width, 3);
            assert_memory_equal(array.data, SMALL, sizeof SMALL);
            npy_close(&array);
            npy_close(&array);
            unfence(&copy);
        }
    }
}

/* Two elements of increasing bytes, and their values in memory. */
static void check_dtype(const char *descr, rowpool_dtype dtype, bool swapped, bool boolean)
{
    const size_t size = test_size(dtype);
    unsigned char stored[16];
    unsigned char expected[16];
    for (size_t byte = 0; byte < sizeof stored; byte++) {
        stored[byte] = (unsigned char)(byte + 1);
        expected[swapped ? byte / size * size + size - 1 - byte % size : byte] = boolean ? 1 : stored[byte];
    }
    char header[128];
    (void)snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (1, 2), }", descr);
    file_bytes file = make_padded_file(header, stored, 2 * size);
    npy_array array;
    rowpool_error error;
    assert_ok(npy_open_bytes(&array, file.bytes, file.size, &error), error);
    assert_int_equal(array.header.dtype, dtype);
    assert_int_equal(array.header.boolean, boolean);
    assert_memory_equal(array.data, expected, 2 * size);
    if (size == 1 && !boolean) /* one byte has no order to change */
        assert_null(array.memory);
    npy_close(&array);
}

TEST(reads_every_dtype_in_both_byte_orders)
{
    static const struct {
        const char *code, *letters;
        rowpool_dtype dtype;
    } known[] = {
        {"i1", "b", ROWPOOL_INT8},    {"i2", "h", ROWPOOL_INT16},    {"i4", "i", ROWPOOL_INT32},
        {"i8", "lqp", ROWPOOL_INT64}, {"u1", "B", ROWPOOL_UINT8},    {"u2", "H", ROWPOOL_UINT16},
        {"u4", "I", ROWPOOL_UINT32},  {"u8", "LQP", ROWPOOL_UINT64}, {"f2", "e", ROWPOOL_FLOAT16},
        {"f4", "f", ROWPOOL_FLOAT32}, {"f8", "d", ROWPOOL_FLOAT64},  {"b1", "?", ROWPOOL_UINT8},
    };
    static const char *const orders[] = {"<", ">", "=", "|", ""};
    const uint16_t one = 1;
    const bool little = *(const unsigned char *)&one == 1;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        const bool boolean = known[i].code[0] == 'b';
        for (size_t order = 0; order < COUNT_OF(orders); order++) {
            const bool swapped = orders[order][0] == (little ? '>' : '<');
            char descr[8];
            (void)snprintf(descr, sizeof descr, "%s%s", orders[order], known[i].code);
            check_dtype(descr, known[i].dtype, swapped, boolean);
            for (const char *letter = known[i].letters; *letter != '\0'; letter++) {
                (void)snprintf(descr, sizeof descr, "%s%c", orders[order], *letter);
                check_dtype(descr, known[i].dtype, swapped, boolean);
            }
        }
    }
}

TEST(reads_names_of_dtypes)
{
    static const struct {
        const char *name;
        rowpool_dtype dtype;
    } known[] = {
        {"int8", ROWPOOL_INT8},       {"byte", ROWPOOL_INT8},        {"int16", ROWPOOL_INT16},
        {"short", ROWPOOL_INT16},     {"int32", ROWPOOL_INT32},      {"intc", ROWPOOL_INT32},
        {"int64", ROWPOOL_INT64},     {"int", ROWPOOL_INT64},        {"int_", ROWPOOL_INT64},
        {"intp", ROWPOOL_INT64},      {"long", ROWPOOL_INT64},       {"longlong", ROWPOOL_INT64},
        {"uint8", ROWPOOL_UINT8},     {"ubyte", ROWPOOL_UINT8},      {"uint16", ROWPOOL_UINT16},
        {"ushort", ROWPOOL_UINT16},   {"uint32", ROWPOOL_UINT32},    {"uintc", ROWPOOL_UINT32},
        {"uint64", ROWPOOL_UINT64},   {"uint", ROWPOOL_UINT64},      {"uintp", ROWPOOL_UINT64},
        {"ulong", ROWPOOL_UINT64},    {"ulonglong", ROWPOOL_UINT64}, {"float16", ROWPOOL_FLOAT16},
        {"half", ROWPOOL_FLOAT16},    {"float32", ROWPOOL_FLOAT32},  {"single", ROWPOOL_FLOAT32},
        {"float64", ROWPOOL_FLOAT64}, {"double", ROWPOOL_FLOAT64},   {"float", ROWPOOL_FLOAT64},
        {"bool", ROWPOOL_UINT8},      {"bool_", ROWPOOL_UINT8},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        check_dtype(known[i].name, known[i].dtype, false, strncmp(known[i].name, "bool", 4) == 0);
}

TEST(rows_are_the_last_axis)
{
    static const struct {
        const char *shape;
        size_t rows, width, elements;
    } cases[] = {
        {"(6,)", 1, 6, 6},
        {"(0,)", 1, 0, 0},
        {"(2, 3)", 2, 3, 6},
        {"(6, 1)", 6, 1, 6},
        {"(0, 5)", 0, 5, 0},
        {"(5, 0)", 5, 0, 0},
        {"(1, 2, 3)", 2, 3, 6},
        {"(3, 1, 2)", 3, 2, 6},
        {"(0, 0)", 0, 0, 0},
        {"(2, 0, 3)", 0, 3, 0},
        {"(0, 9223372036854775807, 1)", 0, 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char header[160];
        (void)snprintf(header, sizeof header, "{'descr': '<i4', 'fortran_order': False, 'shape': %s, }",
                       cases[i].shape);
        file_bytes file = make_padded_file(header, SMALL, cases[i].elements * sizeof *SMALL);
        npy_array array;
        rowpool_error error;
        assert_ok(npy_open_bytes(&array, file.bytes, file.size, &error), error);
        assert_int_equal(array.header.rows, cases[i].rows);
        assert_int_equal(array.header.width, cases[i].width);
        assert_int_equal(array.header.data_bytes, cases[i].elements * sizeof *SMALL);
        assert_true((array.data == NULL) == (cases[i].elements == 0));
        npy_close(&array);
    }
}

/* Aligned data is used in place; other data is copied to an aligned address. */
TEST(copies_misaligned_data_only)
{
    for (size_t pad = 0; pad < 16; pad++) {
        char header[128];
        (void)snprintf(header, sizeof header, "%s%*s", GOOD_HEADER, (int)pad, "");
        file_bytes file = make_file(1, header, SMALL, sizeof SMALL);
        npy_array array;
        rowpool_error error;
        assert_ok(npy_open_bytes(&array, file.bytes, file.size, &error), error);
        const unsigned char *in_place = file.bytes + array.header.data_offset;
        assert_true((array.data == in_place) == ((uintptr_t)in_place % sizeof *SMALL == 0));
        assert_int_equal((uintptr_t)array.data % sizeof *SMALL, 0);
        assert_memory_equal(array.data, SMALL, sizeof SMALL);
        npy_close(&array);
    }
}

/* ---- Fortran order ---------------------------------------------------------------------------------------------- */

/* The position of a C-order index in a Fortran-order file. */
static size_t fortran_place(size_t index, const size_t *shape, size_t dimensions)
{
    size_t place = 0;
    size_t stride = 1;
    size_t strides[8];
    for (size_t i = 0; i < dimensions; i++) {
        strides[i] = stride;
        stride *= shape[i];
    }
    for (size_t i = dimensions; i-- > 0; index /= shape[i])
        place += index % shape[i] * strides[i];
    return place;
}

/* Element i of the array, in C order, holds i (modulo what fits). */
static void check_fortran(rowpool_dtype dtype, char kind, const size_t *shape, size_t dimensions)
{
    size_t elements = 1;
    char header[256];
    size_t size = test_size(dtype);
    size_t used = (size_t)snprintf(header, sizeof header, "{'descr': '>%c%zu', 'fortran_order': True, 'shape': (", kind,
                                   size);
    for (size_t i = 0; i < dimensions; i++) {
        elements *= shape[i];
        used += (size_t)snprintf(header + used, sizeof header - used, "%zu, ", shape[i]);
    }
    (void)snprintf(header + used, sizeof header - used, ")}");
    unsigned char *stored = malloc(elements * size + 1);
    assert_non_null(stored);
    for (size_t i = 0; i < elements; i++) {
        for (size_t byte = 0; byte < size; byte++) /* the most significant first */
            stored[fortran_place(i, shape, dimensions) * size + byte] = (unsigned char)(i >> 8 * (size - 1 - byte));
    }
    file_bytes head = make_padded_file(header, "", 0);
    unsigned char *file = malloc(head.size + elements * size);
    assert_non_null(file);
    memcpy(file, head.bytes, head.size);
    memcpy(file + head.size, stored, elements * size);

    npy_array array;
    rowpool_error error;
    assert_ok(npy_open_bytes(&array, file, head.size + elements * size, &error), error);
    for (size_t i = 0; i < elements; i++) {
        uint64_t expected = size == 8 ? i : i & (((uint64_t)1 << 8 * size) - 1);
        assert_int_equal(test_load(dtype, array.data, i), expected);
    }
    npy_close(&array);
    free(file);
    free(stored);
}

TEST(reads_fortran_order)
{
    static const struct {
        size_t dimensions;
        size_t shape[5];
    } cases[] = {
        {1, {9}},        {2, {3, 4}},     {2, {1, 5}},    {2, {5, 1}},       {2, {32, 32}},
        {2, {33, 65}},   {2, {100, 7}},   {2, {7, 100}},  {3, {2, 3, 4}},    {3, {4, 1, 3}},
        {3, {5, 7, 40}}, {3, {40, 7, 5}}, {3, {2, 3, 1}}, {4, {2, 3, 4, 5}}, {5, {3, 2, 4, 2, 33}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check_fortran(ROWPOOL_UINT8, 'u', cases[i].shape, cases[i].dimensions);
        check_fortran(ROWPOOL_UINT16, 'u', cases[i].shape, cases[i].dimensions);
        check_fortran(ROWPOOL_UINT32, 'u', cases[i].shape, cases[i].dimensions);
        check_fortran(ROWPOOL_UINT64, 'u', cases[i].shape, cases[i].dimensions);
    }
}

/* ---- Invalid headers -------------------------------------------------------------------------------------------- */

static void assert_file_refused(const file_bytes *file, const char *text)
{
    fenced copy = fence(file->bytes, file->size);
    npy_array array;
    rowpool_error error;
    assert_refused(npy_open_bytes(&array, copy.bytes, file->size, &error), ROWPOOL_EINVAL, error, text);
    assert_null(array.data);
    assert_null(array.memory);
    unfence(&copy);
}

#define WITH_SHAPE(shape) "{'descr': '<i4', 'fortran_order': False, 'shape': " shape ", }"
#define WITH_DESCR(descr) "{'descr': " descr ", 'fortran_order': False, 'shape': (2, 3), }"

TEST(refuses_malformed_headers)
{
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"", "not a dictionary"},
        {" ", "not a dictionary"},
        {"[1, 2]", "not a dictionary"},
        {"{", "a key was expected"},
        {"{'descr", "a key was expected"},
        {"{'descr'", "a colon was expected"},
        {"{'descr':", "'descr' is not a string"},
        {"{'descr': '<i4", "'descr' is not a string"},
        {"{'descr': '<i4' 'shape': (2, 3)}", "a comma or the end"},
        {"{'descr': '<i4',, 'shape': (2, 3)}", "a key was expected"},
        {"{}", "'descr' is missing"},
        {"{'descr': '<i4', 'fortran_order': False, }", "'shape' is missing"},
        {"{'descr': '<i4', 'shape': (2, 3), }", "'fortran_order' is missing"},
        {"{'fortran_order': False, 'shape': (2, 3), }", "'descr' is missing"},
        {"{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}", "'descr' appears twice"},
        {"{'colour': 'red'}", "unexpected key 'colour'"},
        {"{descr: '<i4'}", "a key was expected"},
        {"{'descr': '<i4', 'fortran_order': false, 'shape': (2, 3)}", "neither True nor False"},
        {"{'descr': '<i4', 'fortran_order': 0, 'shape': (2, 3)}", "neither True nor False"},
        {"{'descr': '<i4', 'shape': (2, 3), 'fortran_order': Fals", "neither True nor False"},
        {GOOD_HEADER " x", "something follows"},
        {GOOD_HEADER "}", "something follows"},
        {WITH_SHAPE("[2, 3]"), "'shape' is not a tuple"},
        {WITH_SHAPE("6"), "'shape' is not a tuple"},
        {WITH_SHAPE("(6)"), "an integer in parentheses"},
        {WITH_SHAPE("(2 3)"), "not a tuple of integers"},
        {WITH_SHAPE("(2,, 3)"), "not a tuple of integers"},
        {WITH_SHAPE("(2, 3.0)"), "not a tuple of integers"},
        {WITH_SHAPE("(2, None)"), "not a tuple of integers"},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3", "not a tuple of integers"},
        {WITH_SHAPE("()"), "a single value"},
        {WITH_SHAPE("(-2, 3)"), "a negative length"},
        {WITH_SHAPE("(2, -3)"), "a negative length"},
        {WITH_SHAPE("(-0,)"), "a negative length"},
        {WITH_SHAPE("(18446744073709551616,)"), "beyond 64 bits"},
        {WITH_SHAPE("(99999999999999999999999999, 3)"), "beyond 64 bits"},
        {WITH_SHAPE("(18446744073709551615,)"), "too large"},
        {WITH_SHAPE("(4611686018427387904, 4)"), "too large"},
        {WITH_SHAPE("(4611686018427387910,)"), "too large"}, /* 4 times that wraps to 24 */
        {WITH_SHAPE("(4294967296, 4294967296)"), "too large"},
        {WITH_SHAPE("(4294967296, 4294967296, 0)"), "too large"},
        {WITH_SHAPE("(2305843009213693951,)"), "too large"},
        {WITH_SHAPE("(2, 4)"), "cut short"},
        {WITH_SHAPE("(2305843009213, 3)"), "cut short"},
        {WITH_SHAPE("(2, 2)"), "stray bytes"},
        {WITH_SHAPE("(0, 3)"), "stray bytes"},
        {WITH_DESCR("'|O'"), "Python objects"},
        {WITH_DESCR("'<U4'"), "strings"},
        {WITH_DESCR("'|S4'"), "strings"},
        {WITH_DESCR("'|V8'"), "records"},
        {WITH_DESCR("'<c16'"), "complex"},
        {WITH_DESCR("'<M8[ns]'"), "dates"},
        {WITH_DESCR("'<m8[s]'"), "time spans"},
        {WITH_DESCR("'<f16'"), "dtype '<f16' is unknown"},
        {WITH_DESCR("'<i3'"), "dtype '<i3' is unknown"},
        {WITH_DESCR("'<i44'"), "dtype '<i44' is unknown"},
        {WITH_DESCR("'!i4'"), "dtype '!i4' is unknown"},
        {WITH_DESCR("'<'"), "dtype '<' is unknown"},
        {WITH_DESCR("'<float32'"), "dtype '<float32' is unknown"},
        {WITH_DESCR("'i4 i'"), "dtype 'i4 i' is unknown"},
        {WITH_DESCR("'i04'"), "dtype 'i04' is unknown"},
        {WITH_DESCR("'2i4'"), "dtype '2i4' is unknown"},
        {WITH_DESCR("'i4,i4'"), "dtype 'i4,i4' is unknown"},
        {WITH_DESCR("'Float32'"), "dtype 'Float32' is unknown"},
        {WITH_DESCR("''"), "dtype '' is unknown"},
        {WITH_DESCR("4"), "'descr' is not a string"},
        {WITH_DESCR("[('a', '<i4')]"), "structured dtype"},
        {WITH_DESCR("('<i4', (2,))"), "structured dtype"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int version = 1; version <= 3; version++) {
            file_bytes file = make_file(version, cases[i].header, SMALL, sizeof SMALL);
            assert_file_refused(&file, cases[i].message);
        }
    }
}

TEST(refuses_too_many_dimensions)
{
    char axes[256] = "";
    for (int i = 0; i < NPY_MAX_DIMENSIONS; i++)
        (void)strcat(axes, "1, ");
    char header[512];
    (void)snprintf(header, sizeof header, "{'descr': '<i4', 'fortran_order': False, 'shape': (%s)}", axes);
    file_bytes longest = make_padded_file(header, SMALL, 4);
    npy_array array;
    rowpool_error error;
    assert_ok(npy_open_bytes(&array, longest.bytes, longest.size, &error), error);
    assert_int_equal(array.header.dimensions, NPY_MAX_DIMENSIONS);
    npy_close(&array);

    (void)snprintf(header, sizeof header, "{'descr': '<i4', 'fortran_order': False, 'shape': (%s1)}", axes);
    file_bytes more = make_padded_file(header, SMALL, 4);
    assert_file_refused(&more, "more than 64 dimensions");
}

TEST(refuses_other_files)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
        {"", 0, "is empty"},
        {"PK\3\4 and so on, an archive", 26, "not a .npy file"},
        {"\x1f\x8b\10", 3, "compressed by gzip"},
        {"\x93NUMPX\1\0", 8, "not a .npy file"},
        {"\x93", 1, "ends inside its header"},
        {"\x93NUMPY", 6, "ends inside its header"},
        {"\x93NUMPY\1", 7, "ends inside its header"},
        {"\x93NUMPY\1\0\0", 9, "ends inside its header"},
        {"\x93NUMPY\2\0\0\0\0", 11, "ends inside its header"},
        {"\x93NUMPY\0\0\0\0\0\0", 12, "version 0.0"},
        {"\x93NUMPY\4\0\0\0\0\0", 12, "version 4.0"},
        {"\x93NUMPY\1\1\0\0\0\0", 12, "version 1.1"},
        {"\x93NUMPY\xff\xff\0\0\0\0", 12, "version 255.255"},
        {"\x93NUMPY\1\0\xff\xff{}", 12, "claims a header up to byte 65545 but ends at byte 12"},
        {"\x93NUMPY\2\0\xff\xff\xff\xff", 12, "claims a header of 4294967295 bytes"},
        {"\x93NUMPY\3\0\1\0\x10\0", 12, "claims a header of 1048577 bytes"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        file_bytes file = {.size = 0};
        append(&file, cases[i].bytes, cases[i].size);
        assert_file_refused(&file, cases[i].message);
    }
}

/* A header may be as long as this; one byte more is in the table above. */
TEST(takes_the_longest_header)
{
    static const unsigned char preamble[] = "\x93NUMPY\3\0\0\0\x10";
    rowpool_error error;
    size_t data_offset;
    assert_ok(npy_read_preamble(&data_offset, preamble, NPY_PREAMBLE, &error), error);
    assert_int_equal(data_offset, NPY_PREAMBLE + NPY_MAX_HEADER);
}

/* ---- Damaged files ---------------------------------------------------------------------------------------------- */

TEST(refuses_every_truncation)
{
    file_bytes file = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
    for (size_t size = 0; size < file.size; size++) {
        file_bytes cut = {.size = 0};
        append(&cut, file.bytes, size);
        assert_file_refused(&cut, "");
    }
}

/* Any byte before the data may hold anything: the file is refused with a message, or read as what it then says. */
static void overwrite_each_byte(const file_bytes *file, size_t data_bytes)
{
    fenced copy = fence(file->bytes, file->size);
    for (size_t at = 0; at < file->size - data_bytes; at++) {
        unsigned char original = copy.bytes[at];
        for (int value = 0; value < 256; value++) {
            copy.bytes[at] = (unsigned char)value;
            npy_array array;
            rowpool_error error = {.message = ""};
            if (npy_open_bytes(&array, copy.bytes, file->size, &error) == ROWPOOL_OK) {
                const npy_header *header = &array.header;
                assert_int_equal(header->data_offset + header->data_bytes, file->size);
                assert_int_equal(header->rows * header->width * test_size(header->dtype), header->data_bytes);
                (void)touch(&array);
                npy_close(&array);
            } else {
                assert_int_equal(error.status, ROWPOOL_EINVAL);
                assert_true(strlen(error.message) > 0);
            }
        }
        copy.bytes[at] = original;
    }
    unfence(&copy);
}

TEST(survives_every_overwritten_byte)
{
    file_bytes padded = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
    overwrite_each_byte(&padded, sizeof SMALL);
    for (int version = 1; version <= 3; version++) {
        file_bytes tight = make_file(version, "{'descr':'>i2','fortran_order':True,'shape':(2,2,3)}", SMALL,
                                     sizeof SMALL);
        overwrite_each_byte(&tight, sizeof SMALL);
    }
}

TEST(survives_random_damage)
{
    test_random random = test_random_begin(0x6e7079);
    for (int i = 0; i < 20000; i++) {
        file_bytes file = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
        for (uint64_t damage = test_below(&random, 6) + 1; damage-- > 0;) {
            size_t from = (size_t)test_below(&random, file.size);
            size_t to = (size_t)test_below(&random, file.size);
            file.bytes[to] = test_chance(&random, 2) ? file.bytes[from] : (unsigned char)test_next(&random);
        }
        if (test_chance(&random, 3))
            file.size = (size_t)test_below(&random, file.size + 1);
        fenced copy = fence(file.bytes, file.size);
        npy_array array;
        rowpool_error error;
        if (npy_open_bytes(&array, copy.bytes, file.size, &error) == ROWPOOL_OK) {
            (void)touch(&array);
            npy_close(&array);
        }
        unfence(&copy);
    }
}

/* ---- Files and streams ------------------------------------------------------------------------------------------ */

/* Opens the bytes as a stream, through a pipe. */
static rowpool_status open_through_pipe(npy_array *array, const file_bytes *file, rowpool_error *error)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], file->bytes, file->size), file->size); /* a pipe holds as much */
    assert_int_equal(close(ends[1]), 0);
    rowpool_status status = npy_open(array, ends[0], error);
    assert_int_equal(close(ends[0]), 0);
    return status;
}

static rowpool_status open_through_file(npy_array *array, const file_bytes *file, rowpool_error *error)
{
    char path[] = "/tmp/rowpool-test-npy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file->bytes, file->size), file->size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    rowpool_status status = npy_open(array, fd, error);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    return status;
}

TEST(reads_files_and_streams_alike)
{
    static const char *const headers[] = {
        GOOD_HEADER,
        "{'descr': '>i4', 'fortran_order': False, 'shape': (2, 3), }",
        "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
        "{'descr': '>i4', 'fortran_order': True, 'shape': (2, 3), }",
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        for (int padded = 0; padded < 2; padded++) {
            file_bytes file = padded ? make_padded_file(headers[i], SMALL, sizeof SMALL)
                                     : make_file(1, headers[i], SMALL, sizeof SMALL);
            npy_array memory, mapped, stream;
            rowpool_error error;
            assert_ok(npy_open_bytes(&memory, file.bytes, file.size, &error), error);
            assert_ok(open_through_file(&mapped, &file, &error), error);
            assert_ok(open_through_pipe(&stream, &file, &error), error);
            assert_memory_equal(mapped.data, memory.data, sizeof SMALL);
            assert_memory_equal(stream.data, memory.data, sizeof SMALL);
            if (i == 0 && padded)
                assert_non_null(mapped.mapping);
            npy_close(&memory);
            npy_close(&mapped);
            npy_close(&stream);
        }
    }
}

typedef rowpool_status open_way(npy_array *array, const file_bytes *file, rowpool_error *error);

static rowpool_status open_in_memory(npy_array *array, const file_bytes *file, rowpool_error *error)
{
    return npy_open_bytes(array, file->bytes, file->size, error);
}

static open_way *const WAYS[] = {open_in_memory, open_through_file, open_through_pipe};

TEST(any_byte_but_0_is_true)
{
    static const unsigned char stored[6] = {0, 1, 2, 128, 255, 0};
    static const unsigned char in_c_order[6] = {0, 1, 1, 1, 1, 0};
    static const unsigned char in_fortran_order[6] = {0, 1, 1, 1, 1, 0}; /* the rows 0 2 255 and 1 128 0 */
    static const unsigned char plain[6] = {0, 1, 1, 0, 0, 1};
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        for (int fortran = 0; fortran < 2; fortran++) {
            const char *header = fortran ? "{'descr': '|b1', 'fortran_order': True, 'shape': (2, 3), }"
                                         : "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }";
            file_bytes file = make_padded_file(header, stored, sizeof stored);
            npy_array array;
            rowpool_error error;
            assert_ok(WAYS[i](&array, &file, &error), error);
            assert_memory_equal(array.data, fortran ? in_fortran_order : in_c_order, sizeof stored);
            assert_null(array.mapping);
            npy_close(&array);
        }
        file_bytes file = make_padded_file("{'descr': '|b1', 'fortran_order': False, 'shape': (6,), }", plain, 6);
        npy_array array;
        rowpool_error error;
        assert_ok(WAYS[i](&array, &file, &error), error);
        assert_memory_equal(array.data, plain, sizeof plain);
        assert_true((array.mapping != NULL) == (WAYS[i] == open_through_file)); /* used in place */
        npy_close(&array);
    }
}

/* As repeated numpy.save writes them to one file. */
TEST(reads_the_first_of_several_arrays)
{
    file_bytes first = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
    for (int count = 2; count <= 3; count++) {
        file_bytes file = first;
        for (int i = 1; i < count; i++)
            append(&file, first.bytes, first.size);
        for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
            npy_array array;
            rowpool_error error;
            assert_ok(WAYS[i](&array, &file, &error), error);
            assert_true(array.more);
            assert_memory_equal(array.data, SMALL, sizeof SMALL);
            npy_close(&array);
            assert_ok(WAYS[i](&array, &first, &error), error);
            assert_false(array.more);
            npy_close(&array);
        }
    }
    append(&first, "\x93NUMP", 5);
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        npy_array array;
        rowpool_error error;
        assert_refused(WAYS[i](&array, &first, &error), ROWPOOL_EINVAL, error, "stray bytes");
    }
}

TEST(notices_what_happens_to_a_mapped_file)
{
    file_bytes file = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
    int fd = test_open_nameless();
    assert_int_equal(write(fd, file.bytes, file.size), file.size);
    const struct timespec before[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(futimens(fd, before), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    npy_array array;
    rowpool_error error;
    bool changed = true;
    assert_ok(npy_open(&array, fd, &error), error);
    assert_ok(npy_check_mapping(&array, &changed, &error), error);
    assert_false(changed);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)file.size - 1), 1);
    assert_ok(npy_check_mapping(&array, &changed, &error), error);
    assert_true(changed);
    assert_int_equal(ftruncate(fd, (off_t)file.size - 1), 0);
    assert_refused(npy_check_mapping(&array, &changed, &error), ROWPOOL_EINVAL, error,
                   "the file was truncated while it was read: it had 152 bytes, and has 151");
    npy_close(&array);
    assert_int_equal(close(fd), 0);
    assert_ok(npy_open_bytes(&array, file.bytes, file.size, &error), error);
    assert_ok(npy_check_mapping(&array, &changed, &error), error);
    npy_close(&array);
}

TEST(reads_empty_arrays_from_streams)
{
    file_bytes file = make_padded_file(WITH_SHAPE("(0, 3)"), "", 0);
    npy_array array;
    rowpool_error error;
    assert_ok(open_through_pipe(&array, &file, &error), error);
    assert_null(array.data);
    assert_int_equal(array.header.rows, 0);
    npy_close(&array);
    assert_ok(open_through_file(&array, &file, &error), error);
    assert_null(array.data);
    npy_close(&array);
}

TEST(refuses_damaged_files_and_streams_alike)
{
    file_bytes whole = make_padded_file(GOOD_HEADER, SMALL, sizeof SMALL);
    npy_array array;
    rowpool_error error;
    for (size_t size = 0; size < whole.size; size++) {
        file_bytes cut = {.size = 0};
        append(&cut, whole.bytes, size);
        const char *text = size == 0 ? "is empty" : size < whole.size - sizeof SMALL ? "header" : "cut short";
        assert_refused(open_through_pipe(&array, &cut, &error), ROWPOOL_EINVAL, error, text);
        assert_refused(open_through_file(&array, &cut, &error), ROWPOOL_EINVAL, error, text);
    }
    append(&whole, "x", 1);
    assert_refused(open_through_pipe(&array, &whole, &error), ROWPOOL_EINVAL, error, "stray bytes");
    assert_refused(open_through_file(&array, &whole, &error), ROWPOOL_EINVAL, error, "stray bytes");
    file_bytes bare = make_file(1, "", "", 0);
    assert_refused(open_through_pipe(&array, &bare, &error), ROWPOOL_EINVAL, error, "not a dictionary");
    file_bytes short_header = make_file(1, "{", SMALL, sizeof SMALL);
    assert_refused(open_through_pipe(&array, &short_header, &error), ROWPOOL_EINVAL, error, "not a dictionary");
}

static rowpool_status open_path(const char *path, rowpool_error *error)
{
    npy_array array;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    rowpool_status status = npy_open(&array, fd, error);
    assert_int_equal(close(fd), 0);
    return status;
}

TEST(refuses_folders_and_missing_files)
{
    npy_array array;
    rowpool_error error;
    assert_refused(npy_open(&array, -1, &error), ROWPOOL_ESYSTEM, error, "Bad file descriptor");
    assert_refused(open_path("/tmp", &error), ROWPOOL_ESYSTEM, error, "Is a directory");
    assert_refused(open_path("/dev/null", &error), ROWPOOL_EINVAL, error, "is empty");
    assert_refused(open_path("/dev/zero", &error), ROWPOOL_EINVAL, error, "not a .npy file");
    assert_int_equal(npy_open(&array, -1, NULL), ROWPOOL_ESYSTEM);
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

TEST(writes_what_it_reads)
{
    size_t shape[NPY_MAX_DIMENSIONS];
    for (size_t dimensions = 1; dimensions <= NPY_MAX_DIMENSIONS; dimensions++) {
        for (size_t i = 0; i < dimensions; i++)
            shape[i] = i < 2 ? i + 2 : 1;
        char header[NPY_MAX_WRITTEN];
        size_t size = npy_format_header(header, shape, dimensions);
        assert_int_equal(size % NPY_ALIGNMENT, 0);
        assert_int_equal(header[size - 1], '\n');
        file_bytes file = {.size = 0};
        append(&file, header, size);
        append(&file, SMALL, dimensions == 1 ? 8 : 24);
        npy_array array;
        rowpool_error error;
        assert_ok(npy_open_bytes(&array, file.bytes, file.size, &error), error);
        assert_int_equal(array.header.dtype, ROWPOOL_UINT32);
        assert_false(array.header.foreign_order);
        assert_false(array.header.fortran_order);
        assert_int_equal(array.header.dimensions, dimensions);
        assert_memory_equal(array.header.shape, shape, dimensions * sizeof *shape);
        npy_close(&array);
    }
}

TEST(writes_the_longest_header)
{
    size_t shape[NPY_MAX_DIMENSIONS];
    for (size_t i = 0; i < NPY_MAX_DIMENSIONS; i++)
        shape[i] = SIZE_MAX;
    char header[NPY_MAX_WRITTEN];
    size_t size = npy_format_header(header, shape, NPY_MAX_DIMENSIONS);
    assert_in_range(size, 64 * 20, NPY_MAX_WRITTEN);
    assert_int_equal(header[size - 1], '\n');
    size = npy_format_header(header, NULL, 0);
    assert_int_equal(size, 128);
    assert_non_null(strstr(header + 10, "'shape': (), }"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form_of_header),
        cmocka_unit_test(reads_every_dtype_in_both_byte_orders),
        cmocka_unit_test(reads_names_of_dtypes),
        cmocka_unit_test(rows_are_the_last_axis),
        cmocka_unit_test(copies_misaligned_data_only),
        cmocka_unit_test(reads_fortran_order),
        cmocka_unit_test(refuses_malformed_headers),
        cmocka_unit_test(refuses_too_many_dimensions),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(takes_the_longest_header),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(survives_every_overwritten_byte),
        cmocka_unit_test(survives_random_damage),
        cmocka_unit_test(reads_files_and_streams_alike),
        cmocka_unit_test(any_byte_but_0_is_true),
        cmocka_unit_test(reads_the_first_of_several_arrays),
        cmocka_unit_test(notices_what_happens_to_a_mapped_file),
        cmocka_unit_test(reads_empty_arrays_from_streams),
        cmocka_unit_test(refuses_damaged_files_and_streams_alike),
        cmocka_unit_test(refuses_folders_and_missing_files),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(writes_the_longest_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
