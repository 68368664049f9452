/* Writing the bytes of all ranks into one file, which appears complete or not at all. */
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/log.h"
#include "files/replace.h"
#include "mpi/cluster.h"
#include "mpi/guard.h"

/* A rank's part of the file. */
typedef struct {
    const char *head, *own;
    size_t head_bytes, bytes;
} part;

static rowpool_status check_part(const rowpool_mpi *cluster, const part *given, rowpool_error *error)
{
    if (given->head == NULL && given->head_bytes > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "head is NULL, but head_bytes is %zu", given->head_bytes);
    if (cluster->rank > 0 && (given->head != NULL || given->head_bytes > 0))
        return rp_fail(error, ROWPOOL_EINVAL,
                       "only rank 0 may pass head; here it must be NULL and head_bytes 0, not %zu", given->head_bytes);
    if (given->own == NULL && given->bytes > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "own is NULL, but bytes is %zu", given->bytes);
    return ROWPOOL_OK;
}

/* ---- On rank 0: the name ---------------------------------------------------------------------------------------- */

/* The replacement is in memory shared with the guard, which finds the temporary name there. */
typedef struct {
    replacement *file;
    rowpool_process *guard;
} target;

static rowpool_status begin_target(target *to, const char *path, rowpool_error *error)
{
    if (path == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "path is NULL");
    to->file = mmap(NULL, sizeof *to->file, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (to->file == MAP_FAILED) {
        to->file = NULL;
        return rp_fail(error, ROWPOOL_ENOMEM, "%s: out of memory for a name", path);
    }
    to->file->fd = -1;
    RP_TRY(rp_mpi_guard(&to->guard, to->file->temporary, error));
    RP_TRY(rp_mpi_name_file(path, replace_begin_named(to->file, path, error), error));
    if (to->file->kind == REPLACE_DIRECTLY)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: MPI-IO writes regular files only", path);
    return ROWPOOL_OK;
}

static rowpool_status commit_target(const target *to, const char *path, rowpool_error *error)
{
    RP_TRY(rp_mpi_name_file(path, replace_commit(to->file, error), error));
    if (to->file->note != NULL)
        rp_log(RP_LOG_RUN, "%s: copied, not replaced: %s", path, to->file->note);
    return ROWPOOL_OK;
}

/* Removes the temporary file unless it was committed. */
static void end_target(const target *to)
{
    if (to->file != NULL)
        replace_discard(to->file);
    rowpool_process_close(to->guard);
    if (to->file != NULL)
        munmap(to->file, sizeof *to->file);
}

/* ---- On every rank: the bytes ----------------------------------------------------------------------------------- */

static rowpool_status write_at(const rowpool_mpi *cluster, MPI_File file, uint64_t offset, const char *bytes,
                               size_t size, rowpool_error *error)
{
    for (size_t at = 0, n; at < size; at += n) {
        MPI_Status status;
        int written = 0;
        n = rp_min(size - at, cluster->piece);
        RP_MPI(MPI_File_write_at(file, (MPI_Offset)(offset + at), bytes + at, (int)n, MPI_BYTE, &status));
        RP_MPI(MPI_Get_count(&status, MPI_BYTE, &written));
        if (written < 0 || (size_t)written != n)
            return rp_fail(error, ROWPOOL_ESYSTEM, "only %d of %zu bytes could be written: is the disk full?", written,
                           n);
    }
    return ROWPOOL_OK;
}

static rowpool_status write_part(const rowpool_mpi *cluster, MPI_File file, const part *given, rowpool_error *error)
{
    uint64_t before;
    RP_TRY(rp_mpi_sum_before(cluster, (uint64_t)given->head_bytes + given->bytes, &before, error));
    if (before > INT64_MAX - given->head_bytes || before + given->head_bytes > INT64_MAX - given->bytes)
        return rp_fail(error, ROWPOOL_EINVAL, "the file would exceed 2^63 - 1 bytes");
    RP_TRY(write_at(cluster, file, before, given->head, given->head_bytes, error));
    return write_at(cluster, file, before + given->head_bytes, given->own, given->bytes, error);
}

/* Every rank makes every MPI call, even after a failure, since they are collective. */
static rowpool_status write_all(rowpool_mpi *cluster, const char *temporary, const part *given, rowpool_error *error)
{
    MPI_File file;
    rowpool_error closing;
    rowpool_status status = rp_mpi_check(MPI_File_open(cluster->comm, temporary, MPI_MODE_WRONLY, MPI_INFO_NULL, &file),
                                         "MPI_File_open", error);
    RP_TRY(rowpool_mpi_agree(cluster, status, error));
    status = write_part(cluster, file, given, error);
    rowpool_status synced = rp_mpi_check(MPI_File_sync(file), "MPI_File_sync", &closing);
    const int closed = MPI_File_close(&file);
    if (synced == ROWPOOL_OK)
        synced = rp_mpi_check(closed, "MPI_File_close", &closing);
    if (status == ROWPOOL_OK && synced != ROWPOOL_OK)
        status = rp_fail(error, synced, "%s", closing.message);
    return rowpool_mpi_agree(cluster, status, error);
}

static rowpool_status fill_target(rowpool_mpi *cluster, const target *to, const char *path, const part *given,
                                  rowpool_error *error)
{
    char temporary[PATH_MAX] = "";
    if (to->file != NULL)
        strcpy(temporary, to->file->temporary);
    RP_MPI(MPI_Bcast(temporary, PATH_MAX, MPI_CHAR, 0, cluster->comm));
    RP_TRY(write_all(cluster, temporary, given, error));
    return rowpool_mpi_agree(cluster, to->file != NULL ? commit_target(to, path, error) : ROWPOOL_OK, error);
}

rowpool_status rowpool_mpi_write(rowpool_mpi *cluster, const char *path, const void *head, size_t head_bytes,
                                 const void *own, size_t bytes, rowpool_error *error)
{
    const part given = {head, own, head_bytes, bytes};
    target to = {NULL, NULL};
    rowpool_error mine;
    RP_TRY(rp_mpi_enter(cluster, &error, &mine));
    rowpool_status status = check_part(cluster, &given, error);
    if (status == ROWPOOL_OK && cluster->rank == 0)
        status = begin_target(&to, path, error);
    status = rowpool_mpi_agree(cluster, status, error);
    if (status == ROWPOOL_OK)
        status = fill_target(cluster, &to, path, &given, error);
    end_target(&to);
    return status;
}
