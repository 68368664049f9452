#include "npy.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

static const char MAGIC[6] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y'};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static const char FOREIGN_ORDER = '>';
#define NATIVE_ORDER "<"
#else
static const char FOREIGN_ORDER = '<';
#define NATIVE_ORDER ">"
#endif

static const char DTYPES_READ[] = "rowpool reads int8 to int64, uint8 to uint64, float16 to float64 and bool";

/* ---- The preamble: magic, version, length of the header --------------------------------------------------------- */

static rowpool_status ends_in_header(rowpool_error *error)
{
    return fail(error, ROWPOOL_EINVAL, "the file ends inside its header");
}

rowpool_status npy_read_preamble(size_t *data_offset, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    if (size == 0)
        return fail(error, ROWPOOL_EINVAL, "the file is empty; a .npy file was expected");
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return fail(error, ROWPOOL_EINVAL,
                    "the file is compressed by gzip; the programs read that where its name ends in .gz");
    if (memcmp(bytes, MAGIC, size < sizeof MAGIC ? size : sizeof MAGIC) != 0)
        return fail(error, ROWPOOL_EINVAL,
                    "not a .npy file: it does not begin with \\x93NUMPY; --format says what else it may be");
    if (size < 8)
        return ends_in_header(error);
    unsigned major = bytes[6];
    unsigned minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0)
        return fail(error, ROWPOOL_EINVAL, "version %u.%u of the .npy format is unknown; 1.0, 2.0 and 3.0 are read",
                    major, minor);
    size_t length_bytes = major == 1 ? 2 : 4;
    size_t header_begin = 8 + length_bytes;
    if (size < header_begin)
        return ends_in_header(error);
    size_t header_length = 0;
    for (size_t i = length_bytes; i-- > 0;)
        header_length = header_length << 8 | bytes[8 + i];
    if (header_length > NPY_MAX_HEADER)
        return fail(error, ROWPOOL_EINVAL, "the file claims a header of %zu bytes; more than %d are not believed",
                    header_length, NPY_MAX_HEADER);
    *data_offset = header_begin + header_length;
    return ROWPOOL_OK;
}

/* ---- The header: a Python dictionary with three keys ------------------------------------------------------------ */

/* What is left of the header's text. */
typedef struct {
    const char *at, *end;
} reader;

typedef struct {
    const char *text;
    size_t length;
} slice;

static void skip_blanks(reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

/* The next character that is not blank, or 0 at the end. */
static char peek(reader *in)
{
    skip_blanks(in);
    return in->at < in->end ? *in->at : '\0';
}

static bool accept(reader *in, char expected)
{
    if (peek(in) != expected)
        return false;
    in->at++;
    return true;
}

/* 'text' or "text"; no header that means something needs an escape. */
static bool accept_string(reader *in, slice *string)
{
    char quote = peek(in);
    if (quote != '\'' && quote != '"')
        return false;
    const char *begin = in->at + 1;
    const char *close = memchr(begin, quote, (size_t)(in->end - begin));
    if (close == NULL)
        return false;
    *string = (slice){begin, (size_t)(close - begin)};
    in->at = close + 1;
    return true;
}

static bool slice_is(slice text, const char *expected)
{
    return text.length == strlen(expected) && memcmp(text.text, expected, text.length) == 0;
}

/* True or False. */
static bool accept_bool(reader *in, bool *value)
{
    skip_blanks(in);
    size_t left = (size_t)(in->end - in->at);
    *value = left >= 4 && memcmp(in->at, "True", 4) == 0;
    if (!*value && (left < 5 || memcmp(in->at, "False", 5) != 0))
        return false;
    in->at += *value ? 4 : 5;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* At most this much of a header is quoted in a message. */
enum { QUOTED = 40 };

static int quoted_length(slice text)
{
    return text.length < QUOTED ? (int)text.length : QUOTED;
}

static rowpool_status malformed(rowpool_error *error, const char *what)
{
    return fail(error, ROWPOOL_EINVAL, "the header is malformed: %s", what);
}

/* What the kinds of NumPy that cannot be mapped hold. */
static const char *unmappable(char kind)
{
    switch (kind) {
    case 'O':
        return "Python objects";
    case 'S':
    case 'a':
    case 'U':
        return "strings";
    case 'V':
        return "raw or structured records";
    case 'c':
        return "complex numbers";
    case 'M':
        return "dates";
    case 'm':
        return "time spans";
    default:
        return NULL;
    }
}

/* What numpy.dtype takes: codes, with or without a byte order before them, and names, which have none. The sizes of C's
 * types are those of 64-bit Linux. */
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

/* Whether the text is one of the words, between which there is a space. */
static bool is_among(slice text, const char *words)
{
    for (const char *end; *words != '\0'; words = *end != '\0' ? end + 1 : end) {
        end = strchrnul(words, ' ');
        if (text.length == (size_t)(end - words) && memcmp(text.text, words, text.length) == 0)
            return true;
    }
    return false;
}

static bool find_dtype(npy_header *header, slice descr, slice code)
{
    int found = 0;
    while (found < SPELLED && !is_among(code, SPELLINGS[found].codes) && !is_among(descr, SPELLINGS[found].names))
        found++;
    header->boolean = found == BOOLEAN;
    header->dtype = header->boolean ? ROWPOOL_UINT8 : (rowpool_dtype)found;
    return found < SPELLED;
}

static rowpool_status read_descr(npy_header *header, reader *in, rowpool_error *error)
{
    if (peek(in) == '[' || peek(in) == '(')
        return fail(error, ROWPOOL_EINVAL, "a structured dtype cannot be mapped; %s", DTYPES_READ);
    slice descr;
    if (!accept_string(in, &descr))
        return malformed(error, "'descr' is no string");
    slice code = descr;
    bool has_order = code.length > 0 && memchr("<>=|", code.text[0], 4) != NULL;
    if (has_order)
        code = (slice){code.text + 1, code.length - 1};
    if (find_dtype(header, descr, code)) {
        header->foreign_order = has_order && descr.text[0] == FOREIGN_ORDER && rowpool_dtype_size(header->dtype) > 1;
        return ROWPOOL_OK;
    }
    const char *content = code.length > 0 ? unmappable(code.text[0]) : NULL;
    if (content != NULL)
        return fail(error, ROWPOOL_EINVAL, "dtype '%.*s' holds %s, which cannot be mapped; %s", quoted_length(descr),
                    descr.text, content, DTYPES_READ);
    return fail(error, ROWPOOL_EINVAL, "dtype '%.*s' is unknown; %s", quoted_length(descr), descr.text, DTYPES_READ);
}

static rowpool_status read_length(size_t *length, reader *in, rowpool_error *error)
{
    bool negative = accept(in, '-');
    skip_blanks(in);
    if (in->at == in->end || !is_digit(*in->at))
        return malformed(error, "'shape' is no tuple of integers");
    if (negative)
        return fail(error, ROWPOOL_EINVAL, "the shape has a negative length");
    *length = 0;
    for (; in->at < in->end && is_digit(*in->at); in->at++) {
        if (__builtin_mul_overflow(*length, (size_t)10, length) ||
            __builtin_add_overflow(*length, (size_t)(*in->at - '0'), length))
            return fail(error, ROWPOOL_EINVAL, "a length of the shape is beyond 64 bits");
    }
    /* Python 2 wrote long integers so. */
    if (in->at < in->end && *in->at == 'L')
        in->at++;
    return ROWPOOL_OK;
}

static rowpool_status read_shape(npy_header *header, reader *in, rowpool_error *error)
{
    if (!accept(in, '('))
        return malformed(error, "'shape' is no tuple");
    bool comma = true;
    header->dimensions = 0;
    while (!accept(in, ')')) {
        if (!comma)
            return malformed(error, "'shape' is no tuple of integers");
        if (header->dimensions == NPY_MAX_DIMENSIONS)
            return fail(error, ROWPOOL_EINVAL, "the shape has more than %d dimensions", NPY_MAX_DIMENSIONS);
        rowpool_status status = read_length(&header->shape[header->dimensions], in, error);
        if (status != ROWPOOL_OK)
            return status;
        header->dimensions++;
        comma = accept(in, ',');
    }
    if (header->dimensions == 1 && !comma)
        return malformed(error, "'shape' is an integer in brackets, not a tuple");
    return ROWPOOL_OK;
}

enum { KEY_DESCR = 1, KEY_FORTRAN_ORDER = 2, KEY_SHAPE = 4, KEYS_ALL = 7 };

static int key_of(slice name)
{
    if (slice_is(name, "descr"))
        return KEY_DESCR;
    if (slice_is(name, "fortran_order"))
        return KEY_FORTRAN_ORDER;
    return slice_is(name, "shape") ? KEY_SHAPE : 0;
}

static rowpool_status read_value(npy_header *header, int key, reader *in, rowpool_error *error)
{
    if (key == KEY_DESCR)
        return read_descr(header, in, error);
    if (key == KEY_SHAPE)
        return read_shape(header, in, error);
    if (!accept_bool(in, &header->fortran_order))
        return malformed(error, "'fortran_order' is neither True nor False");
    return ROWPOOL_OK;
}

static rowpool_status read_entry(npy_header *header, int *keys, reader *in, rowpool_error *error)
{
    slice name;
    if (!accept_string(in, &name))
        return malformed(error, "a key was expected");
    int key = key_of(name);
    if (key == 0)
        return fail(error, ROWPOOL_EINVAL, "the header is malformed: unexpected key '%.*s'", quoted_length(name),
                    name.text);
    if ((*keys & key) != 0)
        return fail(error, ROWPOOL_EINVAL, "the header is malformed: '%.*s' is there twice", quoted_length(name),
                    name.text);
    *keys |= key;
    if (!accept(in, ':'))
        return malformed(error, "a colon was expected after a key");
    return read_value(header, key, in, error);
}

static rowpool_status read_dictionary(npy_header *header, reader *in, rowpool_error *error)
{
    int keys = 0;
    bool comma = true;
    if (!accept(in, '{'))
        return malformed(error, "it is no dictionary");
    while (!accept(in, '}')) {
        if (!comma)
            return malformed(error, "a comma or the end of the dictionary was expected");
        rowpool_status status = read_entry(header, &keys, in, error);
        if (status != ROWPOOL_OK)
            return status;
        comma = accept(in, ',');
    }
    skip_blanks(in);
    if (in->at != in->end)
        return malformed(error, "something follows the dictionary");
    if (keys != KEYS_ALL)
        return fail(error, ROWPOOL_EINVAL, "the header is malformed: '%s' is missing",
                    (keys & KEY_DESCR) == 0   ? "descr"
                    : (keys & KEY_SHAPE) == 0 ? "shape"
                                              : "fortran_order");
    return ROWPOOL_OK;
}

/* Rows, width and bytes of the data; none of them wraps. */
static rowpool_status measure(npy_header *header, rowpool_error *error)
{
    if (header->dimensions == 0)
        return fail(error, ROWPOOL_EINVAL, "the array is a single value without rows (its shape is ())");
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
        return fail(error, ROWPOOL_EINVAL, "the shape is too large: its bytes are beyond 64 bits");
    if (header->dimensions == 1 || header->data_bytes == 0)
        header->fortran_order = false;
    return ROWPOOL_OK;
}

rowpool_status npy_read_header(npy_header *header, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    *header = (npy_header){0};
    rowpool_status status = npy_read_preamble(&header->data_offset, bytes, size, error);
    if (status != ROWPOOL_OK)
        return status;
    if (size < header->data_offset)
        return fail(error, ROWPOOL_EINVAL, "the file claims a header up to byte %zu but ends at byte %zu",
                    header->data_offset, size);
    size_t text_begin = bytes[6] == 1 ? 10 : 12;
    reader in = {(const char *)bytes + text_begin, (const char *)bytes + header->data_offset};
    status = read_dictionary(header, &in, error);
    return status == ROWPOOL_OK ? measure(header, error) : status;
}

/* ---- The data: as the library wants it -------------------------------------------------------------------------- */

/* Copies `count` elements of `size` bytes to adjacent places, reading one every `stride` elements. */
static inline void gather(unsigned char *to, const unsigned char *from, size_t stride, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * size, from + i * stride * size, size);
}

static void gather_elements(unsigned char *to, const unsigned char *from, size_t stride, size_t count, size_t size)
{
    switch (size) { /* a copy of constant size is one load and one store */
    case 1:
        gather(to, from, stride, count, 1);
        break;
    case 2:
        gather(to, from, stride, count, 2);
        break;
    case 4:
        gather(to, from, stride, count, 4);
        break;
    default:
        gather(to, from, stride, count, 8);
        break;
    }
}

static void swap_bytes(unsigned char *bytes, size_t count, size_t size)
{
    for (; count-- > 0; bytes += size) {
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char kept = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = kept;
        }
    }
}

/* Walks the leading axes in the order of a Fortran file, where the first varies fastest. */
typedef struct {
    size_t position[NPY_MAX_DIMENSIONS];
    size_t stride[NPY_MAX_DIMENSIONS]; /* rows of the C-order array between neighbours on the axis */
    size_t row;                        /* of the C-order array */
} fortran_walk;

static void begin_walk(fortran_walk *walk, const npy_header *header)
{
    *walk = (fortran_walk){0};
    size_t stride = 1;
    for (size_t axis = header->dimensions - 1; axis-- > 0;) {
        walk->stride[axis] = stride;
        stride *= header->shape[axis];
    }
}

static void step(fortran_walk *walk, const npy_header *header)
{
    for (size_t axis = 0; axis + 1 < header->dimensions; axis++) {
        walk->row += walk->stride[axis];
        if (++walk->position[axis] < header->shape[axis])
            return;
        walk->row -= walk->stride[axis] * header->shape[axis];
        walk->position[axis] = 0;
    }
}

/* To C order. In the file, the elements of a row are header->rows apart and neighbours belong to different rows, so
 * tiles keep both sides within the cache. */
static void copy_fortran(unsigned char *to, const unsigned char *from, const npy_header *header)
{
    enum { TILE = 32 };
    const size_t size = rowpool_dtype_size(header->dtype);
    fortran_walk walk;
    begin_walk(&walk, header);
    size_t tile_rows[TILE];
    for (size_t first = 0; first < header->rows; first += TILE) {
        size_t height = header->rows - first < TILE ? header->rows - first : TILE;
        for (size_t i = 0; i < height; i++, step(&walk, header))
            tile_rows[i] = walk.row;
        for (size_t column = 0; column < header->width; column += TILE) {
            size_t breadth = header->width - column < TILE ? header->width - column : TILE;
            for (size_t i = 0; i < height; i++)
                gather_elements(to + (tile_rows[i] * header->width + column) * size,
                                from + (column * header->rows + first + i) * size, header->rows, breadth, size);
        }
    }
}

/* One pass that the compiler can vectorise. */
static bool are_truths(const unsigned char *bytes, size_t count)
{
    unsigned char any = 0;
    for (size_t i = 0; i < count; i++)
        any |= bytes[i];
    return any <= 1;
}

static void make_truths(unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = bytes[i] != 0;
}

/* Copies what the file holds into memory as the library wants it; the two may be the same but in Fortran order. */
static void convert(unsigned char *to, const unsigned char *from, const npy_header *header)
{
    const size_t size = rowpool_dtype_size(header->dtype);
    if (header->fortran_order)
        copy_fortran(to, from, header);
    else if (to != from)
        memcpy(to, from, header->data_bytes);
    if (header->foreign_order)
        swap_bytes(to, header->data_bytes / size, size);
    if (header->boolean)
        make_truths(to, header->data_bytes);
}

static rowpool_status allocate(void **memory, size_t bytes, rowpool_error *error)
{
    rowpool_error refusal;
    *memory = rowpool_alloc(bytes, &refusal);
    if (*memory == NULL)
        return fail(error, refusal.status, "no memory for %zu bytes of data: %s", bytes, refusal.message);
    return ROWPOOL_OK;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* "(200000, 5)", cut where it is long. */
static void describe_shape(char *text, size_t capacity, const npy_header *header)
{
    size_t used = 0;
    for (size_t i = 0; i < header->dimensions && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%zu", i == 0 ? "(" : ", ", header->shape[i]);
    if (used < capacity)
        (void)snprintf(text + used, capacity - used, "%s", header->dimensions == 1 ? ",)" : ")");
}

static void unmap(npy_array *array)
{
    if (array->mapping == NULL)
        return;
    (void)munmap(array->mapping, array->mapped_bytes);
    (void)close(array->fd);
    array->mapping = NULL;
}

static rowpool_status data_too_short(const npy_header *header, size_t found, rowpool_error *error)
{
    char shape[200];
    describe_shape(shape, sizeof shape, header);
    return fail(error, ROWPOOL_EINVAL, "the file is cut short: %zu bytes of data where shape %s of %s needs %zu", found,
                shape, rowpool_dtype_name(header->dtype), header->data_bytes);
}

static rowpool_status bytes_follow(const npy_header *header, rowpool_error *error)
{
    char shape[200];
    describe_shape(shape, sizeof shape, header);
    return fail(error, ROWPOOL_EINVAL, "stray bytes follow the data: shape %s of %s has %zu", shape,
                rowpool_dtype_name(header->dtype), header->data_bytes);
}

static bool usable_in_place(const npy_header *header, const void *data)
{
    return !header->fortran_order && !header->foreign_order &&
           (uintptr_t)data % rowpool_dtype_size(header->dtype) == 0 &&
           (!header->boolean || are_truths(data, header->data_bytes));
}

/* Whether these bytes, which follow the data, begin another array; a file without a header has but one. */
static bool is_array(const npy_header *header, const unsigned char *bytes, size_t size)
{
    return header->data_offset > 0 && size >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

/* Takes the data that the header announces from the bytes of the whole file. */
static rowpool_status take_bytes(npy_array *array, const npy_header *header, const unsigned char *bytes, size_t size,
                                 rowpool_error *error)
{
    size_t found = size - header->data_offset;
    if (found < header->data_bytes)
        return data_too_short(header, found, error);
    const unsigned char *data = bytes + header->data_offset;
    const bool more = is_array(header, data + header->data_bytes, found - header->data_bytes);
    if (found > header->data_bytes && !more)
        return bytes_follow(header, error);
    void *memory = NULL;
    if (header->data_bytes > 0 && !usable_in_place(header, data)) {
        rowpool_status status = allocate(&memory, header->data_bytes, error);
        if (status != ROWPOOL_OK)
            return status;
        convert(memory, data, header);
        data = memory;
    }
    *array = (npy_array){
        .header = *header, .data = header->data_bytes > 0 ? data : NULL, .more = more, .memory = memory};
    return ROWPOOL_OK;
}

rowpool_status npy_open_bytes(npy_array *array, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    *array = (npy_array){0};
    npy_header header;
    rowpool_status status = npy_read_header(&header, bytes, size, error);
    return status == ROWPOOL_OK ? take_bytes(array, &header, bytes, size, error) : status;
}

static rowpool_status read_stream_header(npy_header *header, const byte_stream *stream, rowpool_error *error)
{
    unsigned char preamble[NPY_PREAMBLE];
    size_t found;
    size_t data_offset;
    /* Version 1.0 may have no byte after its first 10 but the header's, and every header has more than 2. */
    rowpool_status status = read_stream(stream, preamble, sizeof preamble, &found, error);
    if (status == ROWPOOL_OK)
        status = npy_read_preamble(&data_offset, preamble, found, error);
    if (status != ROWPOOL_OK)
        return status;
    if (data_offset < found)
        return malformed(error, "it is no dictionary");
    unsigned char *bytes = malloc(data_offset);
    if (bytes == NULL)
        return fail_errno(error);
    memcpy(bytes, preamble, found);
    size_t rest;
    status = read_stream(stream, bytes + found, data_offset - found, &rest, error);
    if (status == ROWPOOL_OK)
        status = npy_read_header(header, bytes, found + rest, error);
    free(bytes);
    return status;
}

/* Reads the data, behind which the stream ends, or another array begins. */
static rowpool_status read_stream_data(void *memory, bool *more, const npy_header *header, const byte_stream *stream,
                                       rowpool_error *error)
{
    size_t found;
    rowpool_status status = read_stream(stream, memory, header->data_bytes, &found, error);
    if (status != ROWPOOL_OK)
        return status;
    if (found < header->data_bytes)
        return data_too_short(header, found, error);
    unsigned char next[sizeof MAGIC];
    status = read_stream(stream, next, sizeof next, &found, error);
    if (status != ROWPOOL_OK)
        return status;
    *more = is_array(header, next, found);
    return found == 0 || *more ? ROWPOOL_OK : bytes_follow(header, error);
}

/* Makes what was read into *memory usable: in place, or through a second memory where axes change places. */
static rowpool_status convert_memory(void **memory, const npy_header *header, rowpool_error *error)
{
    if (!header->fortran_order) {
        convert(*memory, *memory, header);
        return ROWPOOL_OK;
    }
    void *converted;
    rowpool_status status = allocate(&converted, header->data_bytes, error);
    if (status != ROWPOOL_OK)
        return status;
    convert(converted, *memory, header);
    rowpool_free(*memory);
    *memory = converted;
    return ROWPOOL_OK;
}

/* Takes the data that the header announces from what is left of the stream. */
static rowpool_status take_stream(npy_array *array, const npy_header *header, const byte_stream *stream,
                                  rowpool_error *error)
{
    void *memory = NULL;
    bool more = false;
    rowpool_status status = ROWPOOL_OK;
    if (header->data_bytes > 0)
        status = allocate(&memory, header->data_bytes, error);
    if (status == ROWPOOL_OK)
        status = read_stream_data(memory, &more, header, stream, error);
    if (status == ROWPOOL_OK && memory != NULL)
        status = convert_memory(&memory, header, error);
    if (status != ROWPOOL_OK) {
        rowpool_free(memory);
        return status;
    }
    *array = (npy_array){.header = *header, .data = memory, .more = more, .memory = memory};
    return ROWPOOL_OK;
}

/* known: the header of a file that has none; NULL: it begins with one. So is what follows. */
static rowpool_status open_stream(npy_array *array, const npy_header *known, const byte_stream *stream,
                                  rowpool_error *error)
{
    npy_header header;
    rowpool_status status = ROWPOOL_OK;
    if (known != NULL)
        header = *known;
    else
        status = read_stream_header(&header, stream, error);
    return status == ROWPOOL_OK ? take_stream(array, &header, stream, error) : status;
}

/* Takes the descriptor as well as the mapping. */
static rowpool_status open_mapping(npy_array *array, const npy_header *known, void *mapping, int fd,
                                   const struct stat *entry, size_t begin, rowpool_error *error)
{
    const size_t bytes = (size_t)entry->st_size;
    const unsigned char *file = (const unsigned char *)mapping + begin;
    rowpool_status status = known != NULL ? take_bytes(array, known, file, bytes - begin, error)
                                          : npy_open_bytes(array, file, bytes - begin, error);
    array->mapping = mapping;
    array->mapped_bytes = bytes;
    array->fd = fd;
    array->modified = entry->st_mtim;
    if (status == ROWPOOL_OK && array->memory != NULL) {
        bool changed;
        status = npy_check_mapping(array, &changed, error);
        unmap(array);
    }
    if (status != ROWPOOL_OK)
        npy_close(array);
    return status;
}

/* Standard input may have been read in part; everything else stands at its beginning. A directory refuses to be read.
 */
static rowpool_status open_descriptor(npy_array *array, const npy_header *known, int fd, rowpool_error *error)
{
    *array = (npy_array){0};
    struct stat file;
    if (fstat(fd, &file) != 0)
        return fail_errno(error);
    const byte_stream stream = {read_descriptor, &fd};
    off_t begin = S_ISREG(file.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (begin < 0 || begin >= file.st_size)
        return open_stream(array, known, &stream, error);
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    /* Shared, so that worker processes can map the same pages. */
    void *mapping = own >= 0 ? mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapping != MAP_FAILED)
        return open_mapping(array, known, mapping, own, &file, (size_t)begin, error);
    if (own >= 0)
        (void)close(own);
    return open_stream(array, known, &stream, error);
}

rowpool_status npy_open(npy_array *array, int fd, rowpool_error *error)
{
    return open_descriptor(array, NULL, fd, error);
}

rowpool_status npy_open_stream(npy_array *array, const byte_stream *stream, rowpool_error *error)
{
    *array = (npy_array){0};
    return open_stream(array, NULL, stream, error);
}

rowpool_status npy_open_headless(npy_array *array, rowpool_dtype dtype, size_t rows, size_t width, int fd,
                                 rowpool_error *error)
{
    npy_header header = {.dtype = dtype, .dimensions = 2, .shape = {rows, width}};
    *array = (npy_array){0};
    rowpool_status status = measure(&header, error);
    return status == ROWPOOL_OK ? open_descriptor(array, &header, fd, error) : status;
}

rowpool_status npy_check_mapping(const npy_array *array, bool *changed, rowpool_error *error)
{
    struct stat file;
    *changed = false;
    if (array->mapping == NULL)
        return ROWPOOL_OK;
    if (fstat(array->fd, &file) != 0)
        return fail_errno(error);
    if ((size_t)file.st_size < array->mapped_bytes)
        return fail(error, ROWPOOL_EINVAL, "the file was cut while it was read: it had %zu bytes, and has %lld",
                    array->mapped_bytes, (long long)file.st_size);
    *changed = file.st_mtim.tv_sec != array->modified.tv_sec || file.st_mtim.tv_nsec != array->modified.tv_nsec;
    return ROWPOOL_OK;
}

void npy_close(npy_array *array)
{
    unmap(array);
    rowpool_free(array->memory);
    *array = (npy_array){0};
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

size_t npy_format_header_of(char header[NPY_MAX_WRITTEN], rowpool_dtype dtype, const size_t *shape, size_t dimensions)
{
    const size_t begin = 10;
    const size_t element = rowpool_dtype_size(dtype);
    const char kind = dtype >= ROWPOOL_FLOAT16 ? 'f' : dtype >= ROWPOOL_UINT8 ? 'u' : 'i';
    size_t used = begin;
    used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used,
                             "{'descr': '%s%c%zu', 'fortran_order': False, 'shape': (",
                             element == 1 ? "|" : NATIVE_ORDER, kind, element);
    for (size_t i = 0; i < dimensions; i++)
        used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used, i == 0 ? "%zu" : ", %zu", shape[i]);
    used += (size_t)snprintf(header + used, NPY_MAX_WRITTEN - used, "%s), }", dimensions == 1 ? "," : "");

    size_t end = (used + 1 + NPY_ALIGNMENT - 1) / NPY_ALIGNMENT * NPY_ALIGNMENT;
    memset(header + used, ' ', end - used - 1);
    header[end - 1] = '\n';
    memcpy(header, MAGIC, sizeof MAGIC);
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)((end - begin) & 0xff);
    header[9] = (char)((end - begin) >> 8);
    return end;
}
