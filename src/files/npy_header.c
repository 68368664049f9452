/* The header of a .npy file: magic, version and length, then a Python dictionary with three keys. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "find_word.h"
#include "npy.h"

#define MALFORMED "the header is malformed: "
#define DTYPES_READ "rowpool reads int8 to int64, uint8 to uint64, float16 to float64 and bool"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ORDER '<'
#define FOREIGN_ORDER '>'
#else
#define NATIVE_ORDER '>'
#define FOREIGN_ORDER '<'
#endif

/* ---- The preamble ----------------------------------------------------------------------------------------------- */

enum { MAGIC_BYTES = sizeof NPY_MAGIC - 1 };

bool npy_begins(const void *bytes, size_t size)
{
    return size >= MAGIC_BYTES && memcmp(bytes, NPY_MAGIC, MAGIC_BYTES) == 0;
}

rowpool_status npy_read_preamble(size_t *data_offset, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    if (size == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the file is empty; a .npy file was expected");
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return rp_fail(error, ROWPOOL_EINVAL, "the file is compressed by gzip; give it a name that ends in .gz");
    if (memcmp(bytes, NPY_MAGIC, size < MAGIC_BYTES ? size : MAGIC_BYTES) != 0)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "not a .npy file: it does not begin with \\x93NUMPY; for any other format give --format");
    unsigned major = size > 7 ? bytes[6] : 1;
    unsigned minor = size > 7 ? bytes[7] : 0;
    if (major < 1 || major > 3 || minor != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "version %u.%u of the .npy format is unknown; 1.0, 2.0 and 3.0 are read",
                       major, minor);
    size_t length_bytes = major == 1 ? 2 : 4;
    if (size < 8 + length_bytes)
        return rp_fail(error, ROWPOOL_EINVAL, "the file ends inside its header");
    size_t header_length = 0;
    for (size_t i = length_bytes; i-- > 0;)
        header_length = header_length << 8 | bytes[8 + i];
    if (header_length > NPY_MAX_HEADER)
        return rp_fail(error, ROWPOOL_EINVAL, "the file claims a header of %zu bytes; the max is %d", header_length,
                       NPY_MAX_HEADER);
    *data_offset = 8 + length_bytes + header_length;
    return ROWPOOL_OK;
}

/* ---- Literals: `at` points to the unread text -------------------------------------------------------------------- */

static rowpool_status malformed(rowpool_error *error, const char *what)
{
    return rp_fail(error, ROWPOOL_EINVAL, MALFORMED "%s", what);
}

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t\n\r");
}

static bool accept(const char **at, char expected)
{
    skip_space(at);
    const bool found = **at == expected;
    *at += found;
    return found;
}

/* 'text' or "text", without escapes. */
static bool accept_string(const char **at, const char **string, int *length)
{
    skip_space(at);
    const char quote = **at;
    const char *close = quote == '\'' || quote == '"' ? strchr(*at + 1, quote) : NULL;
    if (close == NULL)
        return false;
    *string = *at + 1;
    *length = (int)(close - *string);
    *at = close + 1;
    return true;
}

static rowpool_status read_fortran_order(npy_header *header, const char **at, rowpool_error *error)
{
    skip_space(at);
    header->fortran_order = strncmp(*at, "True", strlen("True")) == 0;
    if (!header->fortran_order && strncmp(*at, "False", strlen("False")) != 0)
        return malformed(error, "'fortran_order' is neither True nor False");
    *at += strlen(header->fortran_order ? "True" : "False");
    return ROWPOOL_OK;
}

static rowpool_status read_length(size_t *length, const char **at, rowpool_error *error)
{
    const bool negative = accept(at, '-');
    skip_space(at);
    if (**at < '0' || **at > '9')
        return malformed(error, "'shape' is not a tuple of integers");
    if (negative)
        return rp_fail(error, ROWPOOL_EINVAL, "the shape has a negative length");
    char *end;
    errno = 0;
    *length = strtoull(*at, &end, 10);
    if (errno != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "a length of the shape is beyond 64 bits");
    *at = end + (*end == 'L'); /* Python 2 wrote long integers so */
    return ROWPOOL_OK;
}

static rowpool_status read_lengths(npy_header *header, const char **at, rowpool_error *error)
{
    if (!accept(at, '('))
        return malformed(error, "'shape' is not a tuple");
    bool comma = true;
    for (header->dimensions = 0; !accept(at, ')'); header->dimensions++) {
        if (!comma)
            return malformed(error, "'shape' is not a tuple of integers");
        if (header->dimensions == NPY_MAX_DIMENSIONS)
            return rp_fail(error, ROWPOOL_EINVAL, "the shape has more than %d dimensions", NPY_MAX_DIMENSIONS);
        RP_TRY(read_length(&header->shape[header->dimensions], at, error));
        comma = accept(at, ',');
    }
    if (header->dimensions == 1 && !comma)
        return malformed(error, "'shape' is an integer in parentheses, not a tuple");
    return ROWPOOL_OK;
}

/* ---- The dtype -------------------------------------------------------------------------------------------------- */

/* What numpy.dtype accepts: codes, perhaps after a byte order, and names. Sizes of C types are those of 64-bit Linux. */
enum { BOOLEAN = ROWPOOL_FLOAT64 + 1, SPELLED };
static const struct {
    const char *codes, *names;
} SPELLINGS[SPELLED] = {
    [ROWPOOL_INT8] = {"i1 b", "int8 byte"},
    [ROWPOOL_INT16] = {"i2 h", "int16 short"},
    [ROWPOOL_INT32] = {"i4 i", "int32 intc"},
    [ROWPOOL_INT64] = {"i8 l q p", "int64 int int_ int0 intp long longlong"},
    [ROWPOOL_UINT8] = {"u1 B", "uint8 ubyte"},
    [ROWPOOL_UINT16] = {"u2 H", "uint16 ushort"},
    [ROWPOOL_UINT32] = {"u4 I", "uint32 uintc"},
    [ROWPOOL_UINT64] = {"u8 L Q P", "uint64 uint uint0 uintp ulong ulonglong"},
    [ROWPOOL_FLOAT16] = {"f2 e", "float16 half"},
    [ROWPOOL_FLOAT32] = {"f4 f", "float32 single"},
    [ROWPOOL_FLOAT64] = {"f8 d", "float64 double float float_"},
    [BOOLEAN] = {"b1 ?", "bool bool_ bool8"},
};

/* What an array of a NumPy kind that cannot be mapped contains; NULL: the kind is unknown. */
static const char *unmappable(char kind)
{
    static const struct {
        const char *kinds, *content;
    } known[] = {{"O", "Python objects"},  {"SaU", "strings"}, {"V", "raw or structured records"},
                 {"c", "complex numbers"}, {"M", "dates"},     {"m", "time spans"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strchr(known[i].kinds, kind) != NULL)
            return known[i].content;
    }
    return NULL;
}

static rowpool_status read_descr(npy_header *header, const char **at, rowpool_error *error)
{
    enum { QUOTED = 40 /* max bytes in a message */ };
    const char *descr;
    int length;
    skip_space(at);
    if (**at == '[' || **at == '(')
        return rp_fail(error, ROWPOOL_EINVAL, "a structured dtype cannot be mapped; " DTYPES_READ);
    if (!accept_string(at, &descr, &length))
        return malformed(error, "'descr' is not a string");
    const bool has_order = length > 0 && strchr("<>=|", descr[0]) != NULL;
    const char *code = descr + has_order;
    int found = 0;
    while (found < SPELLED && find_word(SPELLINGS[found].codes, code, (size_t)(length - has_order)) < 0 &&
           find_word(SPELLINGS[found].names, descr, (size_t)length) < 0)
        found++;
    if (found < SPELLED) {
        header->boolean = found == BOOLEAN;
        header->dtype = header->boolean ? ROWPOOL_UINT8 : (rowpool_dtype)found;
        header->foreign_order = descr[0] == FOREIGN_ORDER && rowpool_dtype_size(header->dtype) > 1;
        return ROWPOOL_OK;
    }
    const char *content = length > has_order ? unmappable(*code) : NULL;
    const int quoted = length < QUOTED ? length : QUOTED;
    if (content != NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "dtype '%.*s' holds %s, which cannot be mapped; " DTYPES_READ, quoted,
                       descr, content);
    return rp_fail(error, ROWPOOL_EINVAL, "dtype '%.*s' is unknown; " DTYPES_READ, quoted, descr);
}

/* ---- The dictionary --------------------------------------------------------------------------------------------- */

static rowpool_status read_entry(npy_header *header, unsigned *seen, const char **at, rowpool_error *error)
{
    static rowpool_status (*const read[])(npy_header *, const char **,
                                          rowpool_error *) = {read_descr, read_fortran_order, read_lengths};
    const char *name;
    int length;
    if (!accept_string(at, &name, &length))
        return malformed(error, "a key was expected");
    const int key = find_word("descr fortran_order shape", name, (size_t)length);
    if (key < 0)
        return rp_fail(error, ROWPOOL_EINVAL, MALFORMED "unexpected key '%.*s'", length < 40 ? length : 40, name);
    if ((*seen & 1U << key) != 0)
        return rp_fail(error, ROWPOOL_EINVAL, MALFORMED "'%.*s' appears twice", length, name);
    *seen |= 1U << key;
    if (!accept(at, ':'))
        return malformed(error, "a colon was expected after a key");
    return read[key](header, at, error);
}

static rowpool_status read_dictionary(npy_header *header, const char *at, rowpool_error *error)
{
    unsigned seen = 0;
    bool comma = true;
    if (!accept(&at, '{'))
        return malformed(error, "it is not a dictionary");
    while (!accept(&at, '}')) {
        if (!comma)
            return malformed(error, "a comma or the end of the dictionary was expected");
        RP_TRY(read_entry(header, &seen, &at, error));
        comma = accept(&at, ',');
    }
    skip_space(&at);
    if (*at != '\0')
        return malformed(error, "something follows the dictionary");
    if (seen != 7)
        return rp_fail(error, ROWPOOL_EINVAL, MALFORMED "'%s' is missing",
                       (seen & 1) == 0   ? "descr"
                       : (seen & 4) == 0 ? "shape"
                                         : "fortran_order");
    return ROWPOOL_OK;
}

rowpool_status npy_measure(npy_header *header, rowpool_error *error)
{
    if (header->dimensions == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the array is a single value without rows (its shape is ())");
    header->width = header->shape[header->dimensions - 1];
    header->rows = 1;
    bool beyond = false;
    for (size_t i = 0; i + 1 < header->dimensions; i++)
        beyond |= __builtin_mul_overflow(header->rows, header->shape[i], &header->rows);
    size_t end;
    beyond |= __builtin_mul_overflow(header->rows, header->width, &header->data_bytes);
    beyond |= __builtin_mul_overflow(header->data_bytes, rowpool_dtype_size(header->dtype), &header->data_bytes);
    beyond |= __builtin_add_overflow(header->data_bytes, header->data_offset, &end);
    if (beyond || end > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "the shape is too large: its bytes are beyond 64 bits");
    if (header->dimensions == 1 || header->data_bytes == 0)
        header->fortran_order = false;
    return ROWPOOL_OK;
}

rowpool_status npy_read_header(npy_header *header, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    *header = (npy_header){0};
    RP_TRY(npy_read_preamble(&header->data_offset, bytes, size, error));
    if (size < header->data_offset)
        return rp_fail(error, ROWPOOL_EINVAL, "the file claims a header up to byte %zu but ends at byte %zu",
                       header->data_offset, size);
    const size_t begin = bytes[6] == 1 ? 10 : 12;
    const size_t length = header->data_offset - begin;
    char *text = strndup((const char *)bytes + begin, length);
    if (text == NULL)
        return fail_errno(error);
    rowpool_status status = strlen(text) == length ? read_dictionary(header, text, error)
                                                   : malformed(error, "it has a byte 0");
    free(text);
    return status == ROWPOOL_OK ? npy_measure(header, error) : status;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

size_t npy_format_header_of(char header[NPY_MAX_WRITTEN], rowpool_dtype dtype, const size_t *shape, size_t dimensions)
{
    const size_t begin = 10;
    const size_t element = rowpool_dtype_size(dtype);
    const char kind = dtype >= ROWPOOL_FLOAT16 ? 'f' : dtype >= ROWPOOL_UINT8 ? 'u' : 'i';
    size_t used = begin;
    used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used,
                             "{'descr': '%c%c%zu', 'fortran_order': False, 'shape': (",
                             element == 1 ? '|' : NATIVE_ORDER, kind, element);
    for (size_t i = 0; i < dimensions; i++)
        used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used, i == 0 ? "%zu" : ", %zu", shape[i]);
    used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used, "%s), }", dimensions == 1 ? "," : "");
    const size_t end = (used + 1 + NPY_ALIGNMENT - 1) / NPY_ALIGNMENT * NPY_ALIGNMENT;
    memset(header + used, ' ', end - used - 1);
    header[end - 1] = '\n';
    memcpy(header, NPY_MAGIC "\1\0", begin - 2);
    header[8] = (char)((end - begin) & 0xff);
    header[9] = (char)((end - begin) >> 8);
    return end;
}
