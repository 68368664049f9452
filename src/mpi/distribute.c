/* Which rows are a rank's own, and maps over them. */
#include <string.h>

#include "base/checked.h"
#include "mpi/cluster.h"

/* ---- The share of a rank ---------------------------------------------------------------------------------------- */

/* n * part / parts; the product may exceed 64 bits. */
static uint64_t fraction(uint64_t n, int part, int parts)
{
    const uint64_t p = (uint64_t)part, all = (uint64_t)parts;
    return n / all * p + n % all * p / all;
}

/* The work before row i: elements, plus one for each row, so that empty rows are divided too. */
static uint64_t work_before(const rowpool_rows *all, size_t i)
{
    return (uint64_t)all->offsets[i] - (uint64_t)all->offsets[0] + i;
}

/* The first row with at least that much work before it. Terminates even if the offsets are wrong. */
static size_t row_at(const rowpool_rows *all, uint64_t work)
{
    size_t low = 0, high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (work_before(all, middle) < work)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first row of a part; for part number `parts`, the end of all rows. */
static size_t begin_of(const rowpool_rows *all, int part, int parts)
{
    if (part == parts)
        return all->count;
    if (all->offsets == NULL)
        return fraction(all->count, part, parts);
    return row_at(all, fraction(work_before(all, all->count), part, parts));
}

static rowpool_status check_layout(const rowpool_rows *all, rowpool_error *error)
{
    size_t bytes;
    if (all == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "rows is NULL");
    if (rowpool_dtype_size(all->dtype) == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.dtype is %u, which is none of ROWPOOL_INT8 ... ROWPOOL_FLOAT64",
                       (unsigned)all->dtype);
    if (all->offsets != NULL)
        return ROWPOOL_OK;
    size_t stride = rp_max(all->stride, all->width);
    if (!rp_mul(all->count, stride, &bytes) || !rp_mul(bytes, rowpool_dtype_size(all->dtype), &bytes))
        return rp_fail(error, ROWPOOL_EINVAL, "%zu rows of %zu elements, %zu apart, are more than memory can hold",
                       all->count, all->width, stride);
    return ROWPOOL_OK;
}

rowpool_status rowpool_mpi_share(const rowpool_mpi *cluster, const rowpool_rows *all, rowpool_rows *own, size_t *first,
                                 rowpool_error *error)
{
    if (cluster == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "cluster is NULL");
    if (own == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "own is NULL: there is no place for this rank's rows");
    RP_TRY(check_layout(all, error));
    size_t begin = begin_of(all, cluster->rank, cluster->size), end = begin_of(all, cluster->rank + 1, cluster->size);
    if (end < begin)
        return rp_fail(error, ROWPOOL_EINVAL, "rows.offsets decrease between rows %zu and %zu", end, begin);
    *own = *all;
    own->count = end - begin;
    if (all->offsets != NULL)
        own->offsets = all->offsets + begin;
    else if (own->count > 0 && all->data != NULL)
        own->data = (const char *)all->data + begin * rp_max(all->stride, all->width) * rowpool_dtype_size(all->dtype);
    if (first != NULL)
        *first = begin;
    return ROWPOOL_OK;
}

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* Whether the call is valid enough to read its row count; if not, rowpool_map says why. */
static bool has_rows(const rowpool_call *call)
{
    return call != NULL && call->size >= offsetof(rowpool_call, first_row) && call->size <= sizeof *call &&
           call->inputs != NULL;
}

static rowpool_status map_own(const rowpool_mpi *cluster, const rowpool_call *call, rowpool_error *error)
{
    uint64_t before;
    RP_TRY(rp_mpi_sum_before(cluster, has_rows(call) ? call->inputs->count : 0, &before, error));
    if (!has_rows(call))
        return rowpool_map(cluster->pool, call, error);
    rowpool_call placed = {.size = 0};
    memcpy(&placed, call, call->size);
    placed.size = sizeof placed;
    if (!rp_add(placed.first_row, before, &placed.first_row))
        return rp_fail(error, ROWPOOL_EINVAL,
                       "call.first_row is %zu: with the %llu rows of lower ranks it exceeds 64 bits", call->first_row,
                       (unsigned long long)before);
    return rowpool_map(cluster->pool, &placed, error);
}

rowpool_status rowpool_mpi_map(rowpool_mpi *cluster, const rowpool_call *call, rowpool_error *error)
{
    rowpool_error own;
    RP_TRY(rp_mpi_enter(cluster, &error, &own));
    return rowpool_mpi_agree(cluster, map_own(cluster, call, error), error);
}

rowpool_status rowpool_mpi_range_count(rowpool_mpi *cluster, const rowpool_rows *rows, const rowpool_range *ranges,
                                       size_t n_ranges, uint32_t *counts, rowpool_error *error)
{
    rowpool_error own;
    RP_TRY(rp_mpi_enter(cluster, &error, &own));
    return rowpool_mpi_agree(cluster, rowpool_range_count(cluster->pool, rows, ranges, n_ranges, counts, error), error);
}

rowpool_status rowpool_mpi_range_count_u64(rowpool_mpi *cluster, const rowpool_rows *rows, const rowpool_range *ranges,
                                           size_t n_ranges, uint64_t *counts, rowpool_error *error)
{
    rowpool_error own;
    RP_TRY(rp_mpi_enter(cluster, &error, &own));
    return rowpool_mpi_agree(cluster, rowpool_range_count_u64(cluster->pool, rows, ranges, n_ranges, counts, error),
                             error);
}
