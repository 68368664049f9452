/* Arrow arrays as rows. The interface does not give the sizes of buffers, so only what the structs say is checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rowpool/arrow.h>

#include "base/checked.h"
#include "core/rows.h"

struct rowpool_arrow {
    rowpool_rows rows;
    int64_t offsets[]; /* of a list with 32-bit ones */
};

/* ---- Types ------------------------------------------------------------------------------------------------------ */

/* Indices in the table: the elements come first, in the order of their dtypes. */
enum { FIXED_SIZE_LIST = RP_DTYPE_TOTAL, LIST, LARGE_LIST };

/* No format is a prefix of another one. */
static const struct {
    const char *format, *name;
} types[] = {
    [ROWPOOL_INT8] = {"c", "int8"},
    [ROWPOOL_INT16] = {"s", "int16"},
    [ROWPOOL_INT32] = {"i", "int32"},
    [ROWPOOL_INT64] = {"l", "int64"},
    [ROWPOOL_UINT8] = {"C", "uint8"},
    [ROWPOOL_UINT16] = {"S", "uint16"},
    [ROWPOOL_UINT32] = {"I", "uint32"},
    [ROWPOOL_UINT64] = {"L", "uint64"},
    [ROWPOOL_FLOAT16] = {"e", "float16"},
    [ROWPOOL_FLOAT32] = {"f", "float32"},
    [ROWPOOL_FLOAT64] = {"g", "float64"},
    [FIXED_SIZE_LIST] = {"+w:", "fixed-size list"},
    [LIST] = {"+l", "list"},
    [LARGE_LIST] = {"+L", "large list"},
    {"+vl", "list view"},
    {"+vL", "large list view"},
    {"+s", "struct"},
    {"+m", "map"},
    {"+u", "union"},
    {"+r", "run-end encoded"},
    {"n", "null"},
    {"b", "boolean"},
    {"z", "binary"},
    {"Z", "large binary"},
    {"vz", "binary view"},
    {"u", "utf8"},
    {"U", "large utf8"},
    {"vu", "utf8 view"},
    {"d:", "decimal"},
    {"w:", "fixed-size binary"},
    {"td", "date"},
    {"tt", "time"},
    {"ts", "timestamp"},
    {"tD", "duration"},
    {"ti", "interval"},
};
enum { TYPES = sizeof types / sizeof *types };

static size_t type_of(const char *format)
{
    size_t type = 0;
    while (type < TYPES && strncmp(format, types[type].format, strlen(types[type].format)) != 0)
        type++;
    /* Of the supported types only a fixed-size list has a parameter. */
    bool taken = type < FIXED_SIZE_LIST || type == LIST || type == LARGE_LIST;
    return taken && format[strlen(types[type].format)] != '\0' ? TYPES : type;
}

static const char *type_name(size_t type)
{
    return type < TYPES ? types[type].name : "unknown";
}

static rowpool_status read_list_size(const char *format, size_t *size, rowpool_error *error)
{
    const char *digits = format + strlen(types[FIXED_SIZE_LIST].format);
    char *end = NULL;
    errno = 0;
    long long number = strtoll(digits, &end, 10);
    if (strspn(digits, "0123456789") == 0 || *end != '\0' || errno != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the Arrow array's type is \"%.40s\": that is not the size of a list",
                       format);
    *size = (size_t)number;
    return ROWPOOL_OK;
}

/* ---- What holds for the lists and for their elements ------------------------------------------------------------ */

typedef struct {
    const char *what;
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    size_t type; /* its index in the table; TYPES: unknown */
} level;

static rowpool_status find_type(level *at, rowpool_error *error)
{
    const struct ArrowSchema *schema = at->schema;
    const struct ArrowArray *array = at->array;
    if (schema == NULL || array == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: the %s is NULL", at->what, schema == NULL ? "schema" : "array");
    if (schema->release == NULL || array->release == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: the %s has been released or moved", at->what,
                       schema->release == NULL ? "schema" : "array");
    if (schema->dictionary != NULL || array->dictionary != NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: dictionary-encoded: decode it first", at->what);
    if (schema->format == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: schema.format is NULL", at->what);
    at->type = type_of(schema->format);
    return ROWPOOL_OK;
}

static rowpool_status check_list_type(const level *lists, rowpool_error *error)
{
    const char *format = lists->schema->format;
    if (lists->type >= FIXED_SIZE_LIST && lists->type <= LARGE_LIST)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_EINVAL,
                   "the Arrow array's type is %s (\"%.40s\"): rows are a fixed-size list, a list or a large list%s",
                   type_name(lists->type), format,
                   strcmp(format, "+s") == 0 ? "; give one column of it, schema.children[i] and array.children[i]"
                                             : "");
}

static rowpool_status check_element_type(const level *elements, rowpool_error *error)
{
    if (elements->type < RP_DTYPE_TOTAL)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_EINVAL,
                   "the Arrow array's elements are of type %s (\"%.40s\"): elements of rows are int8 ... int64, "
                   "uint8 ... uint64, float16, float32 or float64",
                   type_name(elements->type), elements->schema->format);
}

/* After success length + offset does not overflow, nor does the size in bytes of that many elements of `size`. */
static rowpool_status check_shape(const level *at, int64_t buffers, int64_t children, size_t size, rowpool_error *error)
{
    const struct ArrowSchema *schema = at->schema;
    const struct ArrowArray *array = at->array;
    if (schema->n_children != children || array->n_children != children)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "%s: the schema has %" PRId64 " children and the array %" PRId64
                       "; for type \"%.40s\" it is %" PRId64,
                       at->what, schema->n_children, array->n_children, schema->format, children);
    if (children > 0 && (schema->children == NULL || array->children == NULL))
        return rp_fail(error, ROWPOOL_EINVAL, "%s: %s.children is NULL", at->what,
                       schema->children == NULL ? "schema" : "array");
    if (array->n_buffers != buffers || array->buffers == NULL)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "%s: the array has %" PRId64 " buffers; for type \"%.40s\" it is %" PRId64, at->what,
                       array->buffers == NULL ? 0 : array->n_buffers, schema->format, buffers);
    if (array->length < 0 || array->offset < 0 || array->null_count < -1)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "%s: length %" PRId64 ", offset %" PRId64 ", null_count %" PRId64
                       ": none may be negative, except a null_count of -1",
                       at->what, array->length, array->offset, array->null_count);
    size_t end, bytes;
    if (!rp_add((size_t)array->length, (size_t)array->offset, &end) || !rp_mul(end, size, &bytes) ||
        bytes > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "%s: length %" PRId64 " and offset %" PRId64 " are more than memory can hold", at->what,
                       array->length, array->offset);
    return ROWPOOL_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Sets width and count; *origin is the index of the first row's first element in the elements' buffer. */
static rowpool_status take_dense(const level *lists, const struct ArrowArray *elements, rowpool_rows *rows,
                                 size_t *origin, rowpool_error *error)
{
    const struct ArrowArray *array = lists->array;
    size_t end;
    RP_TRY(read_list_size(lists->schema->format, &rows->width, error));
    if (!rp_mul((size_t)(array->offset + array->length), rows->width, &end) || end > (size_t)elements->length)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "the Arrow array: %" PRId64 " rows of %zu, from row %" PRId64 " on, do not fit in its %" PRId64
                       " elements",
                       array->length, rows->width, array->offset, elements->length);
    rows->count = (size_t)array->length;
    *origin = (size_t)elements->offset + (size_t)array->offset * rows->width;
    return ROWPOOL_OK;
}

static const int64_t *widen(const int32_t *from, size_t count, int64_t *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
    return to;
}

/* Sets offsets, count and width. An array of no lists need not have offsets: then the rows are dense. */
static rowpool_status take_ragged(const struct ArrowArray *array, size_t offset_size, const struct ArrowArray *elements,
                                  rowpool_arrow *arrow, size_t *origin, rowpool_error *error)
{
    rowpool_rows *rows = &arrow->rows;
    const char *buffer = array->buffers[1];
    *origin = (size_t)elements->offset;
    if (array->length == 0)
        return ROWPOOL_OK;
    if (buffer == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "the Arrow array: its offsets, buffers[1], are NULL");
    if ((uintptr_t)buffer % offset_size != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the Arrow array: its offsets are not aligned to %zu bytes: copy it",
                       offset_size);
    const void *first = buffer + (size_t)array->offset * offset_size;
    rows->count = (size_t)array->length;
    rows->width = (size_t)elements->length;
    rows->offsets = offset_size == sizeof(int64_t) ? first : widen(first, rows->count + 1, arrow->offsets);
    /* rp_rows_check takes a width of 0 as unknown, and checks no offset against it. */
    if (rows->width == 0 && rows->offsets[rows->count] > 0)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "the Arrow array: rows.offsets[%zu] is %" PRId64 ", but it has no element", rows->count,
                       rows->offsets[rows->count]);
    return ROWPOOL_OK;
}

/* ---- Nulls ------------------------------------------------------------------------------------------------------ */

/* The first of the bits [begin, end) that is not set; end when all are. */
static size_t first_unset(const uint8_t *bits, size_t begin, size_t end)
{
    size_t i = begin;
    while (i < end && (bits[i / 8] >> i % 8 & 1) != 0)
        i += i % 8 == 0 && bits[i / 8] == 0xff ? 8 : 1;
    return rp_min(i, end);
}

/* Where the first null of [begin, end) in the array's buffers is; end when there is none. */
static rowpool_status find_null(const level *at, size_t begin, size_t end, size_t *found, rowpool_error *error)
{
    const struct ArrowArray *array = at->array;
    const uint8_t *bits = array->buffers[0];
    *found = end;
    if (bits == NULL && array->null_count > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: null_count is %" PRId64 ", but there is no validity bitmap",
                       at->what, array->null_count);
    if (bits != NULL && array->null_count != 0)
        *found = first_unset(bits, begin, end);
    return ROWPOOL_OK;
}

#define NO_NULLS "there are no nulls in rows: fill or drop them first"

static rowpool_status refuse_null_rows(const level *lists, rowpool_error *error)
{
    size_t begin = (size_t)lists->array->offset, end = begin + (size_t)lists->array->length, null;
    RP_TRY(find_null(lists, begin, end, &null, error));
    return null == end ? ROWPOOL_OK
                       : rp_fail(error, ROWPOOL_EINVAL, "the Arrow array: row %zu is null; " NO_NULLS, null - begin);
}

/* Only the elements of these rows: a list may be a slice of a longer one. */
static rowpool_status refuse_null_elements(const level *elements, const rp_rows *rows, size_t origin,
                                           rowpool_error *error)
{
    size_t begin = origin + (rows->count > 0 ? rp_rows_begin(rows, 0) : 0), end = begin + rows->elements, null, row = 0;
    RP_TRY(find_null(elements, begin, end, &null, error));
    if (null == end)
        return ROWPOOL_OK;
    while (rp_rows_begin(rows, row) + rp_rows_width(rows, row) <= null - origin)
        row++;
    return rp_fail(error, ROWPOOL_EINVAL, "the Arrow array: element %zu of row %zu is null; " NO_NULLS,
                   null - origin - rp_rows_begin(rows, row), row);
}

/* ---- The calls -------------------------------------------------------------------------------------------------- */

/* A handle with room for `offsets` offsets; NULL: out of memory. */
static rowpool_arrow *make_handle(size_t offsets)
{
    size_t bytes;
    bool fits = rp_mul(offsets, sizeof(int64_t), &bytes) && rp_add(bytes, sizeof(rowpool_arrow), &bytes);
    return fits && bytes <= PTRDIFF_MAX ? malloc(bytes) : NULL;
}

static rowpool_status take_rows(const level *lists, const level *elements, rowpool_arrow *arrow, rowpool_error *error)
{
    rowpool_rows *rows = &arrow->rows;
    const char *buffer = elements->array->buffers[1];
    size_t origin = 0;
    if (lists->type == FIXED_SIZE_LIST)
        RP_TRY(take_dense(lists, elements->array, rows, &origin, error));
    else
        RP_TRY(take_ragged(lists->array, lists->type == LIST ? sizeof(int32_t) : sizeof(int64_t), elements->array,
                           arrow, &origin, error));
    if (buffer != NULL)
        rows->data = buffer + origin * rowpool_dtype_size(rows->dtype);
    rp_rows checked;
    rowpool_error inner;
    if (rp_rows_check(rows, UINT64_MAX, &checked, &inner) != ROWPOOL_OK)
        return rp_fail(error, inner.status, "the Arrow array: %.1000s", inner.message);
    RP_TRY(refuse_null_rows(lists, error));
    return refuse_null_elements(elements, &checked, origin, error);
}

rowpool_status rowpool_arrow_open(rowpool_arrow **arrow, const struct ArrowSchema *schema,
                                  const struct ArrowArray *array, rowpool_error *error)
{
    if (arrow == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "arrow is NULL: there is no place for the handle");
    *arrow = NULL;
    level lists = {"the Arrow array", schema, array, 0};
    RP_TRY(find_type(&lists, error));
    RP_TRY(check_list_type(&lists, error));
    RP_TRY(check_shape(&lists, lists.type == FIXED_SIZE_LIST ? 1 : 2, 1, sizeof(int64_t), error));
    level elements = {"the Arrow array's elements", schema->children[0], array->children[0], 0};
    RP_TRY(find_type(&elements, error));
    RP_TRY(check_element_type(&elements, error));
    rowpool_dtype dtype = (rowpool_dtype)elements.type;
    RP_TRY(check_shape(&elements, 2, 0, rowpool_dtype_size(dtype), error));
    rowpool_arrow *fresh = make_handle(lists.type == LIST ? (size_t)array->length + 1 : 0);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the offsets of %" PRId64 " rows", array->length);
    fresh->rows = (rowpool_rows){.dtype = dtype};
    rowpool_status status = take_rows(&lists, &elements, fresh, error);
    if (status == ROWPOOL_OK)
        *arrow = fresh;
    else
        free(fresh);
    return status;
}

const rowpool_rows *rowpool_arrow_rows(const rowpool_arrow *arrow)
{
    return arrow != NULL ? &arrow->rows : NULL;
}

void rowpool_arrow_close(rowpool_arrow *arrow)
{
    free(arrow);
}
