/* Each rank's own rows, as parts of one array. */
#include <string.h>

#include "base/checked.h"
#include "mpi/cluster.h"

/* Whether the call is valid as far as its rows; if not, rowpool_map says why. */
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
        return rp_fail(error, ROWPOOL_EINVAL, "call.first_row is %zu: beyond 64 bits with the %llu rows of other ranks",
                       call->first_row, (unsigned long long)before);
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
