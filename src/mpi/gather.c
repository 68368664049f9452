/* Gathering bytes of all ranks on one of them. */
#include <string.h>

#include "base/checked.h"
#include "mpi/cluster.h"

enum { TAG = 1 };

static rowpool_status check_gather(const rowpool_mpi *cluster, const void *own, size_t bytes, int root, const void *all,
                                   size_t all_bytes, rowpool_error *error)
{
    if (root < 0 || root >= cluster->size)
        return rp_fail(error, ROWPOOL_EINVAL, "root is %d: there are ranks 0 to %d", root, cluster->size - 1);
    if (own == NULL && bytes > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "own is NULL, but bytes is %zu", bytes);
    if (root != cluster->rank && (all != NULL || all_bytes > 0))
        return rp_fail(error, ROWPOOL_EINVAL,
                       "only rank %d may pass all; here it must be NULL and all_bytes 0, not %zu", root, all_bytes);
    if (root == cluster->rank && all == NULL && all_bytes > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "all is NULL, but all_bytes is %zu", all_bytes);
    return ROWPOOL_OK;
}

/* Collective. Whether the arguments of the ranks fit together. */
static rowpool_status check_together(const rowpool_mpi *cluster, size_t bytes, int root, size_t all_bytes,
                                     rowpool_error *error)
{
    const uint64_t own_root = (uint64_t)root;
    bool same;
    uint64_t total = bytes;
    RP_TRY(rp_mpi_same(cluster, &own_root, 1, &same, error));
    RP_MPI(MPI_Allreduce(MPI_IN_PLACE, &total, 1, MPI_UINT64_T, MPI_SUM, cluster->comm));
    if (!same)
        return rp_fail(error, ROWPOOL_EINVAL, "root is not the same on all ranks; here it is %d", root);
    if (root == cluster->rank && all_bytes != total)
        return rp_fail(error, ROWPOOL_EINVAL, "all_bytes is %zu: the ranks have %llu together", all_bytes,
                       (unsigned long long)total);
    return ROWPOOL_OK;
}

static rowpool_status send_bytes(const rowpool_mpi *cluster, const char *own, size_t bytes, int root,
                                 rowpool_error *error)
{
    const uint64_t size = bytes;
    RP_MPI(MPI_Send(&size, 1, MPI_UINT64_T, root, TAG, cluster->comm));
    for (size_t at = 0, n; at < bytes; at += n) {
        n = rp_min(bytes - at, cluster->piece);
        RP_MPI(MPI_Send(own + at, (int)n, MPI_BYTE, root, TAG, cluster->comm));
    }
    return ROWPOOL_OK;
}

static rowpool_status receive_bytes(const rowpool_mpi *cluster, char *all, int from, size_t *received,
                                    rowpool_error *error)
{
    uint64_t size;
    RP_MPI(MPI_Recv(&size, 1, MPI_UINT64_T, from, TAG, cluster->comm, MPI_STATUS_IGNORE));
    for (size_t at = 0, n; at < size; at += n) {
        n = rp_min(size - at, cluster->piece);
        RP_MPI(MPI_Recv(all + at, (int)n, MPI_BYTE, from, TAG, cluster->comm, MPI_STATUS_IGNORE));
    }
    *received = size;
    return ROWPOOL_OK;
}

static rowpool_status move_bytes(const rowpool_mpi *cluster, const void *own, size_t bytes, int root, char *all,
                                 rowpool_error *error)
{
    if (root != cluster->rank)
        return send_bytes(cluster, own, bytes, root, error);
    for (int rank = 0; rank < cluster->size; rank++) {
        size_t n = bytes;
        if (rank != root)
            RP_TRY(receive_bytes(cluster, all, rank, &n, error));
        else if (n > 0)
            memmove(all, own, n);
        if (n > 0)
            all += n;
    }
    return ROWPOOL_OK;
}

rowpool_status rowpool_mpi_gather(rowpool_mpi *cluster, const void *own, size_t bytes, int root, void *all,
                                  size_t all_bytes, rowpool_error *error)
{
    rowpool_error mine;
    RP_TRY(rp_mpi_enter(cluster, &error, &mine));
    RP_TRY(rowpool_mpi_agree(cluster, check_gather(cluster, own, bytes, root, all, all_bytes, error), error));
    RP_TRY(rowpool_mpi_agree(cluster, check_together(cluster, bytes, root, all_bytes, error), error));
    return rowpool_mpi_agree(cluster, move_bytes(cluster, own, bytes, root, all, error), error);
}
