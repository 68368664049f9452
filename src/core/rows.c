#include "core/rows.h"

#include "base/checked.h"

/* The bits of all lengths, and of all offsets but the first, or-ed. */
typedef struct {
    uint64_t lengths, offsets;
} seen_bits;

static seen_bits see(const int64_t *offsets, size_t count, seen_bits seen)
{
    for (size_t i = 0; i < count; i++) {
        seen.lengths |= (uint64_t)offsets[i + 1] - (uint64_t)offsets[i];
        seen.offsets |= (uint64_t)offsets[i + 1];
    }
    return seen;
}

/* Whether any of count + 1 offsets is less than the one before it, or makes a row longer than `longest`. Exact where
 * `longest` is 2^k - 1, since only a longer row then has a higher bit; else there may be false alarms. If no offset
 * is negative, a length is negative exactly where offsets decrease. This pass runs in one thread, so it prefetches. */
static bool are_wrong(const int64_t *offsets, size_t count, uint64_t longest)
{
    enum { LINE = 64 / sizeof *offsets, AHEAD = 4096 }; /* see RP_AHEAD in kernels/fold.cl */
    const uint64_t negative = UINT64_C(1) << 63;
    seen_bits seen = {0};
    size_t i = 0;
    for (; i + LINE <= count; i += LINE) {
        __builtin_prefetch((const void *)((uintptr_t)(offsets + i) + AHEAD), 0, 2);
        seen = see(offsets + i, LINE, seen);
    }
    seen = see(offsets + i, count - i, seen);
    return (seen.lengths & ~longest) != 0 || ((seen.lengths | seen.offsets) & negative) != 0;
}

static rowpool_status check_ragged(const rowpool_rows *given, uint64_t longest, rp_rows *rows, rowpool_error *error)
{
    const int64_t *offsets = given->offsets;
    if ((uintptr_t)offsets % _Alignof(int64_t) != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.offsets is not aligned to %zu bytes", _Alignof(int64_t));
    if (given->stride != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.stride is %zu; it must be 0 where there are offsets",
                       given->stride);
    if (given->count > PTRDIFF_MAX / sizeof *offsets - 1)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.count is %zu: more than memory can hold offsets for", given->count);
    if (offsets[0] < 0)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.offsets[0] is %lld: it must not be negative",
                       (long long)offsets[0]);
    const bool wrong = are_wrong(offsets, given->count, longest); /* if so, the place is searched for */
    for (size_t i = 0; wrong && i < given->count; i++) {
        if (offsets[i + 1] < offsets[i])
            return rp_fail(error, ROWPOOL_EINVAL,
                           "rows.offsets[%zu] is %lld, less than the %lld before it: offsets must not decrease", i + 1,
                           (long long)offsets[i + 1], (long long)offsets[i]);
        if ((uint64_t)(offsets[i + 1] - offsets[i]) > longest)
            return rp_fail(error, ROWPOOL_EINVAL,
                           "row %zu has %lld elements, more than a uint32 can count: use the uint64 form", i,
                           (long long)(offsets[i + 1] - offsets[i]));
    }
    size_t end = (size_t)offsets[given->count];
    if (given->width != 0 && end > given->width) {
        size_t i = 0;
        while ((size_t)offsets[i] <= given->width)
            i++;
        return rp_fail(error, ROWPOOL_EINVAL, "rows.offsets[%zu] is %lld, past the end: data holds %zu elements", i,
                       (long long)offsets[i], given->width);
    }
    if (end > PTRDIFF_MAX / rows->dtype->size)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.offsets[%zu] is %zu: more %s elements than memory can hold",
                       given->count, end, rows->dtype->name);
    rows->offsets = offsets;
    rows->elements = end - (size_t)offsets[0];
    return ROWPOOL_OK;
}

static rowpool_status check_regular(const rowpool_rows *given, uint64_t longest, rp_rows *rows, rowpool_error *error)
{
    rows->width = given->width;
    rows->stride = given->stride == 0 ? given->width : given->stride;
    if (rows->stride < rows->width)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.stride is %zu, less than rows.width, %zu: rows must not overlap",
                       rows->stride, rows->width);
    if (rows->count > 0 && rows->width > longest)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "rows of %zu elements are more than a uint32 can count: use the uint64 form", rows->width);
    size_t span = 0, bytes = 0;
    bool fits = rows->count == 0 || rows->width == 0 ||
                (rp_mul(rows->count - 1, rows->stride, &span) && rp_add(span, rows->width, &span));
    if (!fits || !rp_mul(span, rows->dtype->size, &bytes) || bytes > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "%zu rows of %zu elements, %zu apart, are more than memory can hold",
                       rows->count, rows->width, rows->stride);
    rows->elements = rows->count * rows->width;
    return ROWPOOL_OK;
}

rowpool_status rp_rows_check(const rowpool_rows *given, uint64_t longest, rp_rows *rows, rowpool_error *error)
{
    if (given == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "rows is NULL");
    *rows = (rp_rows){
        .data = given->data, .dtype = rp_dtype_of(given->dtype), .dtype_id = given->dtype, .count = given->count};
    if (rows->dtype == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.dtype is %u, which is none of ROWPOOL_INT8 ... ROWPOOL_FLOAT64",
                       (unsigned)given->dtype);
    RP_TRY((given->offsets != NULL ? check_ragged : check_regular)(given, longest, rows, error));
    if (rows->elements > 0 && rows->data == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.data is NULL, but the rows have %zu elements", rows->elements);
    if (rows->elements > 0 && (uintptr_t)rows->data % rows->dtype->size != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.data is not aligned to its element type, %s (%zu bytes)",
                       rows->dtype->name, rows->dtype->size);
    return ROWPOOL_OK;
}
