/* What the files of the library over MPI share. */
#ifndef RP_MPI_CLUSTER_H
#define RP_MPI_CLUSTER_H

#include <sys/types.h>

#include "base/error.h"
#include "rowpool_mpi.h"

struct rowpool_mpi {
    pid_t pid;     /* of the process that opened it */
    MPI_Comm comm; /* a duplicate of the caller's, with MPI_ERRORS_RETURN */
    int rank, size;
    size_t piece; /* the max bytes of one message or write; fits into an int */
    char host[MPI_MAX_PROCESSOR_NAME];
    rowpool *pool;
};

/* The result of an MPI call as a status. */
rowpool_status rp_mpi_check(int code, const char *call, rowpool_error *error);

/* Puts the path before the message of a failure; returns the status. */
rowpool_status rp_mpi_name_file(const char *path, rowpool_status status, rowpool_error *error);

/* Makes an MPI call. If it fails, fills `error` and returns from the function. */
#define RP_MPI(call) RP_TRY(rp_mpi_check(call, #call, error))

/* Begins each public call: checks the handle, and that this process may use MPI. If the caller gave no error, *error
 * becomes `own`, since rowpool_mpi_agree needs a message to send to the other ranks. */
rowpool_status rp_mpi_enter(const rowpool_mpi *cluster, rowpool_error **error, rowpool_error *own);

/* Collective. Whether all ranks pass the same n values; n is at most 4. */
rowpool_status rp_mpi_same(const rowpool_mpi *cluster, const uint64_t *values, int n, bool *same, rowpool_error *error);

/* Collective. The sum of the values that lower ranks pass: 0 on rank 0. */
rowpool_status rp_mpi_sum_before(const rowpool_mpi *cluster, uint64_t value, uint64_t *sum, rowpool_error *error);

/* Collective. Opens this rank's pool, on its share of the node's cores and devices. */
rowpool_status rp_mpi_open_pool(rowpool_mpi *cluster, const rowpool_options *options, rowpool_error *error);

#endif
