/* The program rowpool-mpi: the commands of rowpool that map a file, run by all ranks of an MPI job. */
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command.h"
#include "group.h"
#include "message.h"
#include "rowpool_mpi.h"

/* If an MPI call on it fails, MPI ends the job. */
static const MPI_Comm COMM = MPI_COMM_WORLD;
static process_group ranks;
static rowpool_mpi *cluster;
static bool failed; /* a failure has been agreed on */

/* ---- Agreeing --------------------------------------------------------------------------------------------------- */

static bool agree_ranks(bool done)
{
    int first = done ? ranks.size : ranks.rank;
    (void)MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, COMM);
    failed |= first < ranks.size;
    if (first == ranks.rank && first > 0) {
        char host[MPI_MAX_PROCESSOR_NAME], who[MPI_MAX_PROCESSOR_NAME + 32];
        int length;
        (void)MPI_Get_processor_name(host, &length);
        (void)snprintf(who, sizeof who, "rank %d (%.*s)", first, length, host);
        say_held(who);
    }
    return first == ranks.size;
}

static size_t max_of_ranks(size_t own)
{
    unsigned long long all = own;
    (void)MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_UNSIGNED_LONG_LONG, MPI_MAX, COMM);
    return (size_t)all;
}

/* ---- The pool and the rows -------------------------------------------------------------------------------------- */

static rowpool_status open_cluster(rowpool **pool, const rowpool_options *options, rowpool_error *error)
{
    rowpool_status status = rowpool_mpi_open(&cluster, COMM, options, error);
    *pool = rowpool_mpi_pool(cluster);
    return status;
}

static void close_cluster(rowpool *pool)
{
    (void)pool;
    rowpool_mpi_close(cluster);
    cluster = NULL;
}

static rowpool_status share_rows(const rowpool_rows *all, rowpool_rows *own, size_t *first, rowpool_error *error)
{
    return rowpool_mpi_share(cluster, all, own, first, error);
}

static rowpool_status gather_bytes(void **bytes, size_t *size, rowpool_error *error)
{
    unsigned long long sum = *size, own = sum;
    (void)MPI_Reduce(&own, &sum, 1, MPI_UNSIGNED_LONG_LONG, MPI_SUM, 0, COMM);
    const size_t total = ranks.rank == 0 ? (size_t)sum : 0;
    void *all = ranks.rank == 0 ? malloc(total + 1) : NULL;
    if (ranks.rank == 0 && all == NULL)
        end_out_of_memory();
    rowpool_status status = rowpool_mpi_gather(cluster, *bytes, *size, 0, all, total, error);
    free(*bytes);
    *bytes = all;
    *size = status == ROWPOOL_OK ? total : 0;
    return status;
}

/* ---- Output ----------------------------------------------------------------------------------------------------- */

/* This rank's part of the output, in memory. */
typedef struct {
    void *bytes; /* NULL: none */
    size_t size;
} part;

static rowpool_status format_part(part *own, write_table *write, const result_table *table, size_t rows,
                                  rowpool_error *error)
{
    *own = (part){NULL, 0};
    int fd = memfd_create("rowpool-mpi", MFD_CLOEXEC);
    if (fd < 0)
        return fail_errno(error);
    rowpool_status status = write(fd, table, rows, error);
    const off_t size = status == ROWPOOL_OK ? lseek(fd, 0, SEEK_END) : 0;
    if (size > 0) {
        void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
            status = fail_errno(error);
        else
            *own = (part){bytes, (size_t)size};
    }
    (void)close(fd);
    return status;
}

static void free_part(part *own)
{
    if (own->bytes != NULL)
        (void)munmap(own->bytes, own->size);
}

/* Parts travel in pieces of this size; a shorter one is the last. */
enum { PIECE = 1 << 20 };

/* Synchronous, so that rank 0 never holds more than the piece it has received. */
static void send_part(const part *own)
{
    size_t at = 0;
    for (int bytes = PIECE; bytes == PIECE; at += (size_t)bytes) {
        bytes = own->size - at < PIECE ? (int)(own->size - at) : PIECE;
        (void)MPI_Ssend(bytes > 0 ? (const char *)own->bytes + at : "", bytes, MPI_BYTE, 0, 0, COMM);
    }
}

/* Receives the whole part, even if writing it has failed, since its sender waits. */
static rowpool_status receive_part(int fd, int from, rowpool_status status, rowpool_error *error)
{
    static char piece[PIECE];
    for (int bytes = PIECE; bytes == PIECE;) {
        MPI_Status received;
        (void)MPI_Recv(piece, PIECE, MPI_BYTE, from, 0, COMM, &received);
        (void)MPI_Get_count(&received, MPI_BYTE, &bytes);
        if (status == ROWPOOL_OK)
            status = write_bytes(fd, piece, (size_t)bytes, error);
    }
    return status;
}

/* Writes the parts of all ranks, in their order, to rank 0's fd. The status is this rank's own. */
static rowpool_status write_in_order(int fd, write_table *write, const result_table *own, size_t rows,
                                     rowpool_error *error)
{
    if (ranks.rank == 0) {
        rowpool_status status = write(fd, own, rows, error);
        for (int from = 1; from < ranks.size; from++)
            status = receive_part(fd, from, status, error);
        return status;
    }
    part mine;
    rowpool_status status = format_part(&mine, write, own, rows, error);
    send_part(&mine);
    free_part(&mine);
    return status;
}

static rowpool_status print_in_order(write_table *write, const result_table *own, size_t rows, rowpool_error *error)
{
    return write_in_order(STDOUT_FILENO, write, own, rows, error);
}

/* Checks that the file can be written; only a device or a FIFO stays open. A regular file is written by all ranks at the
 * end, so that until then there is no temporary file that a killed rank could leave. */
static rowpool_status begin_output_file(replacement *file, const char *path, rowpool_error *error)
{
    if (ranks.rank > 0)
        return ROWPOOL_OK;
    rowpool_status status = replace_begin_named(file, path, error);
    if (status == ROWPOOL_OK && file->kind != REPLACE_DIRECTLY)
        replace_discard(file);
    return status;
}

static rowpool_status end_output_file(replacement *file, const char *path, const result_table *own, size_t rows,
                                      rowpool_error *error)
{
    write_table *write = output_format_of(path);
    int is_open = file->fd >= 0; /* on rank 0 */
    (void)MPI_Bcast(&is_open, 1, MPI_INT, 0, COMM);
    if (is_open) {
        rowpool_status status = write_in_order(file->fd, write, own, rows, error);
        return status == ROWPOOL_OK && ranks.rank == 0 ? replace_commit(file, error) : status;
    }
    part mine;
    rowpool_status status = format_part(&mine, write, own, rows, error);
    status = rowpool_mpi_agree(cluster, status, error);
    if (status == ROWPOOL_OK)
        status = rowpool_mpi_write(cluster, path, NULL, 0, mine.bytes, mine.size, error);
    free_part(&mine);
    return status;
}

/* ---- The program ------------------------------------------------------------------------------------------------ */

static process_group ranks = {
    .mpi = true,
    .agree = agree_ranks,
    .max = max_of_ranks,
    .open_pool = open_cluster,
    .close_pool = close_cluster,
    .share = share_rows,
    .gather = gather_bytes,
    .print = print_in_order,
    .begin_file = begin_output_file,
    .end_file = end_output_file,
};

/* Rank 0 prints for all: the others hold their messages, and their standard output goes nowhere. */
static void join_ranks(void)
{
    (void)MPI_Comm_rank(COMM, &ranks.rank);
    (void)MPI_Comm_size(COMM, &ranks.size);
    join_group(&ranks);
    if (ranks.rank == 0)
        return;
    hold_messages();
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        (void)dup2(nowhere, STDOUT_FILENO);
}

static const program_command commands[] = {{"count", run_count}, {"map", run_map}, {NULL, NULL}};

static const char help[] =
    "Usage: mpirun -n N rowpool-mpi COMMAND [OPTION...]\n"
    "\n"
    "Maps a function over the rows of an array, which the ranks of an MPI job divide among them.\n"
    "\n" MAP_COMMANDS_HELP "\n"
    "  --help          show this text; rowpool-mpi COMMAND --help tells more\n"
    "  --version       show the version\n"
    "\n" EXIT_STATUS_HELP;

static const program rowpool_mpi_program = {
    .name = "rowpool-mpi",
    .start = "mpirun -n N rowpool-mpi",
    .help = help,
    .file_help =
        "\nEvery rank opens FILE, which cannot be standard input, and maps its own part of the rows on devices\n"
        "of its own. The folder of --output must be one that every rank can write. Rank 0 prints; --progress shows\n"
        "the progress of rank 0.\n",
    .commands = commands,
};

int main(int argc, char **argv)
{
    prepare_program();
    int provided;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return EXIT_FAILED;
    join_ranks();
    int status = run_program(&rowpool_mpi_program, argc, argv);
    /* If the command failed before its first agreement on this rank, the other ranks still wait for one. */
    if (status != EXIT_DONE && !failed)
        (void)agree_ranks(false);
    (void)MPI_Finalize();
    if (!close_standard_output() && status == EXIT_DONE)
        status = EXIT_FAILED;
    return status;
}
