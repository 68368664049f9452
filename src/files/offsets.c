#include "offsets.h"

#include <stdbool.h>

#include "fail.h"

static rowpool_status check_offset_shape(const npy_array *offsets, size_t elements, rowpool_error *error)
{
    const npy_header *header = &offsets->header;
    if (offsets->more)
        return rp_fail(error, ROWPOOL_EINVAL, "another array follows the offsets");
    if (header->dtype != ROWPOOL_INT64)
        return rp_fail(error, ROWPOOL_EINVAL, "it holds %s, but offsets are int64 or int32",
                       rowpool_dtype_name(header->dtype));
    if (header->dimensions != 1)
        return rp_fail(error, ROWPOOL_EINVAL, "it has %zu axes, but offsets have one", header->dimensions);
    if (header->width == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "it is empty; there must be one offset more than there are rows");
    const int64_t *at = offsets->data;
    const size_t last = header->width - 1;
    if (at[0] != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "offset 0 is %lld, but the first row begins at 0", (long long)at[0]);
    if (at[last] < 0 || (uint64_t)at[last] != elements)
        return rp_fail(error, ROWPOOL_EINVAL, "offset %zu, the last, is %lld, but the array has %zu elements", last,
                       (long long)at[last], elements);
    return ROWPOOL_OK;
}

rowpool_status widen_offsets(npy_array *offsets, rowpool_error *error)
{
    if (offsets->header.dtype != ROWPOOL_INT32)
        return ROWPOOL_OK;
    const size_t count = offsets->header.data_bytes / sizeof(int32_t);
    npy_array wide = {.header = offsets->header, .more = offsets->more};
    wide.header.dtype = ROWPOOL_INT64;
    wide.header.data_bytes = count * sizeof(int64_t);
    rowpool_error refusal;
    if (count > 0 && (wide.memory = rowpool_alloc(wide.header.data_bytes, &refusal)) == NULL)
        return rp_fail(error, refusal.status, "no memory for %zu offsets: %s", count, refusal.message);
    const int32_t *from = offsets->data;
    int64_t *to = wide.memory;
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
    wide.data = to;
    npy_close(offsets);
    *offsets = wide;
    return ROWPOOL_OK;
}

rowpool_status open_offsets(npy_array *offsets, int fd, size_t elements, rowpool_error *error)
{
    rowpool_status status = npy_open(offsets, fd, error);
    if (status == ROWPOOL_OK)
        status = widen_offsets(offsets, error);
    if (status == ROWPOOL_OK)
        status = check_offset_shape(offsets, elements, error);
    if (status != ROWPOOL_OK)
        npy_close(offsets);
    return status;
}

static bool is_beyond(int64_t offset, size_t elements)
{
    return offset < 0 || (uint64_t)offset > elements;
}

static rowpool_status name_wrong_one(const int64_t *offsets, size_t first, size_t count, size_t elements,
                                     rowpool_error *error)
{
    size_t i = first;
    while (!is_beyond(offsets[i], elements) && (i == first || offsets[i] >= offsets[i - 1]) && i < first + count)
        i++;
    if (is_beyond(offsets[i], elements))
        return rp_fail(error, ROWPOOL_EINVAL, "offset %zu is %lld, but the array has %zu elements", i,
                       (long long)offsets[i], elements);
    return rp_fail(error, ROWPOOL_EINVAL, "offset %zu is %lld, less than the %lld before it", i, (long long)offsets[i],
                   (long long)offsets[i - 1]);
}

/* One pass that the compiler can vectorise; a second one finds the offset that is wrong. */
rowpool_status check_offsets(const int64_t *offsets, size_t first, size_t count, size_t elements, size_t *widest,
                             rowpool_error *error)
{
    bool wrong = is_beyond(offsets[first], elements);
    uint64_t max = 0;
    for (size_t i = first; i < first + count; i++) {
        const uint64_t width = (uint64_t)offsets[i + 1] - (uint64_t)offsets[i];
        wrong |= offsets[i + 1] < offsets[i] || is_beyond(offsets[i + 1], elements);
        max = width > max ? width : max;
    }
    *widest = (size_t)max;
    return wrong ? name_wrong_one(offsets, first, count, elements, error) : ROWPOOL_OK;
}
