/* Opening, closing, and how the ranks agree on an outcome. */
#include "mpi/cluster.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

rowpool_status rp_mpi_check(int code, const char *call, rowpool_error *error)
{
    char text[MPI_MAX_ERROR_STRING];
    int length;
    if (code == MPI_SUCCESS)
        return ROWPOOL_OK;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
        strcpy(text, "unknown error");
    return rp_fail(error, ROWPOOL_ESYSTEM, "%.*s: %s", (int)strcspn(call, "("), call, text);
}

rowpool_status rp_mpi_name_file(const char *path, rowpool_status status, rowpool_error *error)
{
    if (status == ROWPOOL_OK)
        return ROWPOOL_OK;
    const rowpool_error why = *error;
    return rp_fail(error, status, "%s: %.900s", path, why.message);
}

static rowpool_status check_in_use(rowpool_error *error)
{
    int begun, ended;
    RP_MPI(MPI_Initialized(&begun));
    RP_MPI(MPI_Finalized(&ended));
    if (!begun || ended)
        return rp_fail(error, ROWPOOL_EINVAL, "MPI is not in use: %s", ended ? "it has ended" : "call MPI_Init_thread");
    return ROWPOOL_OK;
}

rowpool_status rp_mpi_enter(const rowpool_mpi *cluster, rowpool_error **error, rowpool_error *own)
{
    if (*error == NULL)
        *error = own;
    if (cluster == NULL)
        return rp_fail(*error, ROWPOOL_EINVAL, "cluster is NULL");
    if (cluster->pid != getpid())
        return rp_fail(*error, ROWPOOL_EFORKED,
                       "this cluster belongs to process %ld, and a forked child cannot use MPI", (long)cluster->pid);
    return check_in_use(*error);
}

/* ---- Agreeing --------------------------------------------------------------------------------------------------- */

rowpool_status rowpool_mpi_agree(rowpool_mpi *cluster, rowpool_status status, rowpool_error *error)
{
    rowpool_error unknown, outcome = {.status = ROWPOOL_OK};
    (void)rp_fail(&unknown, status, "%s", rowpool_status_text(status));
    RP_TRY(rp_mpi_enter(cluster, &error, &unknown));
    const int failed = status != ROWPOOL_OK ? cluster->rank : INT_MAX;
    int lowest;
    RP_MPI(MPI_Allreduce(&failed, &lowest, 1, MPI_INT, MPI_MIN, cluster->comm));
    if (lowest == INT_MAX)
        return ROWPOOL_OK;
    if (lowest == cluster->rank)
        rp_fail(&outcome, status, "rank %d (%s): %s", cluster->rank, cluster->host, error->message);
    RP_MPI(MPI_Bcast(&outcome, (int)sizeof outcome, MPI_BYTE, lowest, cluster->comm));
    return rp_fail(error, outcome.status, "%s", outcome.message);
}

rowpool_status rp_mpi_same(const rowpool_mpi *cluster, const uint64_t *values, int n, bool *same, rowpool_error *error)
{
    uint64_t max[4], min[4];
    RP_MPI(MPI_Allreduce(values, max, n, MPI_UINT64_T, MPI_MAX, cluster->comm));
    RP_MPI(MPI_Allreduce(values, min, n, MPI_UINT64_T, MPI_MIN, cluster->comm));
    *same = memcmp(max, min, (size_t)n * sizeof *max) == 0;
    return ROWPOOL_OK;
}

rowpool_status rp_mpi_sum_before(const rowpool_mpi *cluster, uint64_t value, uint64_t *sum, rowpool_error *error)
{
    RP_MPI(MPI_Exscan(&value, sum, 1, MPI_UINT64_T, MPI_SUM, cluster->comm));
    if (cluster->rank == 0) /* MPI leaves it undefined on rank 0 */
        *sum = 0;
    return ROWPOOL_OK;
}

/* ---- Opening and closing ---------------------------------------------------------------------------------------- */

static rowpool_status join_comm(rowpool_mpi *cluster, MPI_Comm comm, rowpool_error *error)
{
    int inter, length;
    RP_MPI(MPI_Comm_test_inter(comm, &inter));
    if (inter)
        return rp_fail(error, ROWPOOL_EINVAL, "comm is an intercommunicator: merge it first");
    RP_MPI(MPI_Comm_dup(comm, &cluster->comm));
    RP_MPI(MPI_Comm_set_errhandler(cluster->comm, MPI_ERRORS_RETURN));
    RP_MPI(MPI_Comm_rank(cluster->comm, &cluster->rank));
    RP_MPI(MPI_Comm_size(cluster->comm, &cluster->size));
    RP_MPI(MPI_Get_processor_name(cluster->host, &length));
    return ROWPOOL_OK;
}

static void leave_comm(rowpool_mpi *cluster)
{
    rowpool_error own, *error = NULL;
    rowpool_close(cluster->pool);
    if (rp_mpi_enter(cluster, &error, &own) == ROWPOOL_OK)
        (void)MPI_Comm_free(&cluster->comm);
}

rowpool_status rowpool_mpi_open(rowpool_mpi **cluster, MPI_Comm comm, const rowpool_options *options,
                                rowpool_error *error)
{
    if (cluster == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "cluster is NULL: there is no place for the handle");
    *cluster = NULL;
    rowpool_mpi fresh = {.pid = getpid()};
    rp_test_setting test;
    rowpool_error own;
    RP_TRY(rp_mpi_enter(&fresh, &error, &own));
    if (comm == MPI_COMM_NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "comm is MPI_COMM_NULL");
    RP_TRY(join_comm(&fresh, comm, error));
    rowpool_mpi *place = malloc(sizeof *place);
    rowpool_status status = rp_mpi_open_pool(&fresh, options, error);
    if (status == ROWPOOL_OK)
        status = rp_setting_test(&test, error);
    if (status == ROWPOOL_OK)
        fresh.piece = test.mpi_piece_bytes;
    if (status == ROWPOOL_OK && place == NULL)
        status = rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a cluster");
    status = rowpool_mpi_agree(&fresh, status, error);
    if (status != ROWPOOL_OK) {
        leave_comm(&fresh);
        free(place);
        return status;
    }
    *place = fresh;
    *cluster = place;
    return ROWPOOL_OK;
}

void rowpool_mpi_close(rowpool_mpi *cluster)
{
    if (cluster == NULL)
        return;
    leave_comm(cluster);
    free(cluster);
}

rowpool *rowpool_mpi_pool(const rowpool_mpi *cluster)
{
    return cluster != NULL ? cluster->pool : NULL;
}
