#include "pieces.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "message.h"

enum { PIECE = 1 << 20 };

/* ---- In memory -------------------------------------------------------------------------------------------------- */

/* A file in memory is written to as any other. */
static rowpool_status map_written(formatted *result, int fd, rowpool_error *error)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return fail_errno(error);
    if (size == 0)
        return ROWPOOL_OK;
    void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return fail_errno(error);
    *result = (formatted){bytes, (size_t)size};
    return ROWPOOL_OK;
}

rowpool_status format_table(formatted *result, write_table *write, const result_table *table, size_t rows,
                            rowpool_error *error)
{
    *result = (formatted){NULL, 0};
    int fd = memfd_create("rowpool-mpi", MFD_CLOEXEC);
    if (fd < 0)
        return fail_errno(error);
    rowpool_status status = write(fd, table, rows, error);
    if (status == ROWPOOL_OK)
        status = map_written(result, fd, error);
    (void)close(fd);
    return status;
}

void free_formatted(formatted *result)
{
    if (result->bytes != NULL)
        (void)munmap(result->bytes, result->size);
    *result = (formatted){NULL, 0};
}

/* ---- From rank to rank ------------------------------------------------------------------------------------------ */

/* Each piece is asked for, so that rank 0 has but one; the first that is not full is the last. */
static rowpool_status take_part(MPI_Comm comm, int fd, int from, rowpool_status status, rowpool_error *error)
{
    static char piece[PIECE];
    for (int bytes = PIECE; bytes == PIECE;) {
        const int go_on = status == ROWPOOL_OK;
        (void)MPI_Send(&go_on, 1, MPI_INT, from, 0, comm);
        if (!go_on)
            break;
        MPI_Status received;
        (void)MPI_Recv(piece, PIECE, MPI_BYTE, from, 0, comm, &received);
        (void)MPI_Get_count(&received, MPI_BYTE, &bytes);
        status = write_bytes(fd, piece, (size_t)bytes, error);
    }
    return status;
}

static void give_part(MPI_Comm comm, const formatted *part)
{
    size_t at = 0;
    for (int bytes = PIECE; bytes == PIECE; at += (size_t)bytes) {
        int go_on;
        (void)MPI_Recv(&go_on, 1, MPI_INT, 0, 0, comm, MPI_STATUS_IGNORE);
        if (!go_on)
            break;
        bytes = part->size - at < PIECE ? (int)(part->size - at) : PIECE;
        (void)MPI_Send(bytes > 0 ? (const char *)part->bytes + at : "", bytes, MPI_BYTE, 0, 0, comm);
    }
}

rowpool_status write_in_order(MPI_Comm comm, int fd, write_table *write, const result_table *own, size_t rows,
                              rowpool_error *error)
{
    int rank, size;
    (void)MPI_Comm_rank(comm, &rank);
    (void)MPI_Comm_size(comm, &size);
    rowpool_status status;
    if (rank > 0) {
        formatted part;
        status = format_table(&part, write, own, rows, error);
        give_part(comm, &part);
        free_formatted(&part);
        return status;
    }
    status = write(fd, own, rows, error);
    for (int from = 1; from < size; from++)
        status = take_part(comm, fd, from, status, error);
    return status;
}
