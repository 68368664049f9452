#include "together.h"

#include <fcntl.h>
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "company.h"
#include "message.h"
#include "pieces.h"
#include "rowpool_mpi.h"

/* What MPI itself refuses ends the job. */
static const MPI_Comm COMM = MPI_COMM_WORLD;
static int rank, size;
static bool parted;

static rowpool_mpi *cluster;

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void say_who_failed(void)
{
    char host[MPI_MAX_PROCESSOR_NAME];
    int length;
    char who[MPI_MAX_PROCESSOR_NAME + 32];
    (void)MPI_Get_processor_name(host, &length);
    (void)snprintf(who, sizeof who, "rank %d (%.*s)", rank, length, host);
    say_held(who);
}

static bool agree(bool done)
{
    int first = done ? size : rank;
    (void)MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, COMM);
    if (first == size)
        return true;
    parted = true;
    if (first == rank && rank > 0)
        say_who_failed();
    return false;
}

static size_t most(size_t own)
{
    unsigned long long all = own;
    (void)MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_UNSIGNED_LONG_LONG, MPI_MAX, COMM);
    return (size_t)all;
}

static rowpool_status open_pool(rowpool **pool, const rowpool_options *options, rowpool_error *error)
{
    rowpool_status status = rowpool_mpi_open(&cluster, COMM, options, error);
    *pool = rowpool_mpi_pool(cluster);
    return status;
}

static void close_pool(rowpool *pool)
{
    (void)pool;
    rowpool_mpi_close(cluster);
    cluster = NULL;
}

static rowpool_status share(row_part *own, const rowpool_rows *all, rowpool_error *error)
{
    own->begins = rank == 0;
    own->ends = rank == size - 1;
    return rowpool_mpi_share(cluster, all, &own->rows, &own->first, error);
}

/* ---- Workers ---------------------------------------------------------------------------------------------------- */

/* On rank 0: room for those of all ranks, and where those of each begin. False: out of memory. */
static bool make_room(worker_list *all, const int *bytes, int *begins)
{
    size_t sum = 0;
    for (int i = 0; i < size; i++) {
        begins[i] = (int)sum;
        sum += (size_t)bytes[i];
    }
    all->items = sum <= INT_MAX ? malloc(sum + 1) : NULL;
    all->count = sum / sizeof *all->items;
    return all->items != NULL;
}

static rowpool_status gather_workers(worker_list *list, rowpool_error *error)
{
    for (size_t i = 0; i < list->count; i++)
        list->items[i].rank = (size_t)rank;
    const int own = (int)(list->count * sizeof *list->items);
    worker_list all = {NULL, 0};
    int *bytes = rank == 0 ? calloc(2 * (size_t)size, sizeof *bytes) : NULL;
    int *begins = bytes != NULL ? bytes + size : NULL;
    int done = rank > 0 || bytes != NULL;
    (void)MPI_Bcast(&done, 1, MPI_INT, 0, COMM);
    if (done) {
        (void)MPI_Gather(&own, 1, MPI_INT, bytes, 1, MPI_INT, 0, COMM);
        done = rank > 0 || make_room(&all, bytes, begins);
        (void)MPI_Bcast(&done, 1, MPI_INT, 0, COMM);
    }
    if (done)
        (void)MPI_Gatherv(list->items, own, MPI_BYTE, all.items, bytes, begins, MPI_BYTE, 0, COMM);
    free(bytes);
    free(list->items);
    *list = all;
    return done ? ROWPOOL_OK : rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the devices of all ranks");
}

/* ---- Output ----------------------------------------------------------------------------------------------------- */

static rowpool_status print(write_table *write, const result_table *own, size_t rows, rowpool_error *error)
{
    return write_in_order(COMM, STDOUT_FILENO, write, own, rows, error);
}

/* A regular file is made at the end, all at once; what is none is open from here on, on rank 0. */
static rowpool_status begin_file(replacement *file, const char *path, rowpool_error *error)
{
    struct stat existing;
    if (rank > 0)
        return ROWPOOL_OK;
    const bool exists = stat(path, &existing) == 0;
    if (exists && !S_ISREG(existing.st_mode))
        return replace_begin(file, path, error);
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";
    if (slash != NULL)
        (void)snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    return (exists && access(path, W_OK) != 0) || access(folder, W_OK | X_OK) != 0 ? fail_errno(error) : ROWPOOL_OK;
}

/* Results as they are in memory need no copy. */
static rowpool_status write_values(const char *path, const result_table *own, size_t rows, rowpool_error *error)
{
    row_results none = *own->results;
    none.bytes = 0;
    result_table table = *own;
    table.results = &none;
    formatted head;
    rowpool_status status = format_table(&head, write_npy, &table, rows, error);
    status = rowpool_mpi_agree(cluster, status, error);
    if (status == ROWPOOL_OK)
        status = rowpool_mpi_write(cluster, path, head.bytes, head.size, own->results->values, own->results->bytes,
                                   error);
    free_formatted(&head);
    return status;
}

static rowpool_status write_texts(const char *path, write_table *write, const result_table *own, size_t rows,
                                  rowpool_error *error)
{
    formatted part;
    rowpool_status status = format_table(&part, write, own, rows, error);
    status = rowpool_mpi_agree(cluster, status, error);
    if (status == ROWPOOL_OK)
        status = rowpool_mpi_write(cluster, path, NULL, 0, part.bytes, part.size, error);
    free_formatted(&part);
    return status;
}

static rowpool_status end_file(replacement *file, const char *path, const result_table *own, size_t rows,
                               rowpool_error *error)
{
    write_table *write = output_format_of(path);
    int is_open = file->fd >= 0; /* on rank 0 */
    (void)MPI_Bcast(&is_open, 1, MPI_INT, 0, COMM);
    if (!is_open)
        return write == write_npy ? write_values(path, own, rows, error) : write_texts(path, write, own, rows, error);
    rowpool_status status = write_in_order(COMM, file->fd, write, own, rows, error);
    return status == ROWPOOL_OK && rank == 0 ? replace_commit(file, error) : status;
}

/* ---- The company ------------------------------------------------------------------------------------------------ */

static const company TOGETHER = {
    .several = true,
    .agree = agree,
    .most = most,
    .open_pool = open_pool,
    .close_pool = close_pool,
    .share = share,
    .gather_workers = gather_workers,
    .print = print,
    .begin_file = begin_file,
    .end_file = end_file,
};

void begin_together(void)
{
    (void)MPI_Comm_rank(COMM, &rank);
    (void)MPI_Comm_size(COMM, &size);
    join_company(&TOGETHER);
    if (rank == 0)
        return;
    hold_messages();
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        (void)dup2(nowhere, STDOUT_FILENO);
}

bool end_together(bool done)
{
    return done || parted || agree(false);
}
