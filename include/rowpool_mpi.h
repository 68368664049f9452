/* rowpool over MPI: maps over rows that are distributed over the ranks of a communicator. Each rank has a pool.
 *
 *     rowpool_mpi *cluster;
 *     rowpool_error error;
 *     MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
 *     if (rowpool_mpi_open(&cluster, MPI_COMM_WORLD, NULL, &error)) ...error.message names the rank...
 *     rowpool_mpi_file *file;
 *     rowpool_mpi_file_open(&file, cluster, "rows.npy", NULL, &error);
 *     rowpool_mpi_range_count(cluster, rowpool_mpi_file_rows(file), &range, 1, counts, &error);
 *     rowpool_mpi_file_close(file);
 *     rowpool_mpi_close(cluster);
 *
 * Collective    Such a call is made by every rank of the communicator, in the same order as its other collective calls.
 *               Every rank gets the same status and message.
 * Errors        As in rowpool.h. A rank's own error reaches all: its message begins with "rank R (HOST): ". A
 *               failure of MPI itself is ROWPOOL_ESYSTEM with MPI's text, on the ranks where MPI reports it.
 * Threads       Only the calling thread calls MPI: MPI_THREAD_FUNNELED is enough on the main thread. One thread at a
 *               time uses a cluster; any number may use its pool.
 * Fork          In a forked child every call returns ROWPOOL_EFORKED and leaves MPI alone.
 * Ownership     Close handles before MPI_Finalize; NULL is fine. Arrays are borrowed until the call returns.
 * Sizes         In bytes or rows, 64-bit, also beyond what MPI counts in an int.
 */
#ifndef ROWPOOL_MPI_H
#define ROWPOOL_MPI_H

#include <mpi.h>

#include "rowpool.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The cluster ------------------------------------------------------------------------------------------------ */

typedef struct rowpool_mpi rowpool_mpi; /* a pool on each rank of a communicator */

/* Collective. Opens a pool on each rank. comm is duplicated; an intercommunicator is refused. options: each rank's own,
 * as for rowpool_open; NULL: the defaults. After a failure *cluster is NULL on all ranks. The ranks of a node share it:
 *
 *   cores     ranks whose affinity masks overlap divide those cores; the pool's threads and processes keep to the
 *             share, the calling thread to what it had. Ranks bound to cores of their own keep them. With more ranks
 *             than cores some share one. Threads of an OpenCL driver that was in use before keep what they had.
 *   devices   where a pool would use several OpenCL devices, local rank r of L takes those at r, r + L, ...; where
 *             there are fewer than L, the one at r modulo their number
 *
 * ROWPOOL_LOG=device shows it. ROWPOOL_TEST=mpi-piece-bytes=N: max bytes sent or written at once, by default 2^30.
 * EINVAL: comm, an option or a variable is wrong, or MPI is not in use; and as rowpool_open. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_open(rowpool_mpi **cluster, MPI_Comm comm,
                                                            const rowpool_options *options, rowpool_error *error);

/* Collective. Closes each rank's pool, as rowpool_close does. */
ROWPOOL_API void rowpool_mpi_close(rowpool_mpi *cluster);

/* Not collective. This rank's pool, closed with the cluster. NULL for NULL. */
ROWPOOL_API rowpool *rowpool_mpi_pool(const rowpool_mpi *cluster);

/* Collective. Makes one outcome of the ranks' statuses: ROWPOOL_OK where all are; else the status and message of the
 * lowest rank that failed, whose host the message names. error: on entry, this rank's failure (NULL: unknown); on
 * return, the outcome if it is a failure. Every collective call that can fail ends with this. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_agree(rowpool_mpi *cluster, rowpool_status status,
                                                             rowpool_error *error);

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* Collective. Maps each rank's rows to its results; only rows and results may differ between ranks. Rows are numbered
 * across all ranks, in the order of the ranks, from call.first_row on. A rank may have no rows. Errors: as
 * rowpool_map. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_map(rowpool_mpi *cluster, const rowpool_call *call,
                                                           rowpool_error *error);

/* Collective. rowpool_range_count over each rank's rows, and its uint64 form. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_range_count(rowpool_mpi *cluster, const rowpool_rows *rows,
                                                                   const rowpool_range *ranges, size_t n_ranges,
                                                                   uint32_t *counts, rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_range_count_u64(rowpool_mpi *cluster, const rowpool_rows *rows,
                                                                       const rowpool_range *ranges, size_t n_ranges,
                                                                       uint64_t *counts, rowpool_error *error);

/* ---- Rows that every rank reaches ------------------------------------------------------------------------------- */

/* Not collective; thread safe. This rank's share of all rows: consecutive, in the order of the ranks, perhaps none.
 * Dense and strided rows are divided by number, ragged ones by elements plus one for each row. *first: the index of the
 * first row; may be NULL. Reads no data, and few offsets, so it does not find all that may be wrong with the rows. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_share(const rowpool_mpi *cluster, const rowpool_rows *all,
                                                             rowpool_rows *own, size_t *first, rowpool_error *error);

typedef struct rowpool_mpi_file rowpool_mpi_file; /* a .npy file, and which of its rows are this rank's */

/* Collective. Opens a .npy file of one array that every rank can read and that does not change while it is open. Its
 * rows run along the last axis. offsets, unless NULL, is the path of a .npy file of int64 or int32 offsets in elements:
 * then the array has one axis, of ragged rows. Each rank maps the file and touches only its own rows. An array in
 * Fortran order, of the other byte order or of bool is read whole, and converted where necessary: a bool byte other
 * than 0 becomes 1. EINVAL: no such file or array; wrong offsets, of which the first is named; not the same file on all
 * ranks. ESYSTEM: cannot be read. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_file_open(rowpool_mpi_file **file, rowpool_mpi *cluster,
                                                                 const char *path, const char *offsets,
                                                                 rowpool_error *error);

/* Not collective. This rank's rows, the index of the first among all, and the number of all; valid as long as the
 * handle. NULL, 0 and 0 for NULL. */
ROWPOOL_API const rowpool_rows *rowpool_mpi_file_rows(const rowpool_mpi_file *file);
ROWPOOL_API size_t rowpool_mpi_file_first(const rowpool_mpi_file *file);
ROWPOOL_API size_t rowpool_mpi_file_count(const rowpool_mpi_file *file);

/* Not collective. */
ROWPOOL_API void rowpool_mpi_file_close(rowpool_mpi_file *file);

/* ---- Results ---------------------------------------------------------------------------------------------------- */

/* Collective. Gathers the bytes of every rank, in the order of the ranks, in `all` on rank root; all ranks pass the
 * same root. all_bytes is their total. On other ranks all is NULL and all_bytes 0. EINVAL also if the total differs. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_gather(rowpool_mpi *cluster, const void *own, size_t bytes,
                                                              int root, void *all, size_t all_bytes,
                                                              rowpool_error *error);

/* Collective. Writes a file by MPI-IO: `head`, which only rank 0 passes (the others NULL, 0), then the bytes of every
 * rank in the order of the ranks. path is rank 0's, in a folder that every rank reaches; a symbolic link is followed.
 * The file is replaced once all is on disk: after a failure, or when a rank is killed, the old one remains. A process
 * that outlives rank 0 removes the temporary file; if a batch system kills that process too, .rowpool-XXXXXX stays
 * behind. The owner and mode of an existing file are kept; where the system refuses that or the replacement (a mount
 * point), rank 0 copies the new contents into the old file. EINVAL: path is no regular file. ESYSTEM: it cannot be
 * written. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_write(rowpool_mpi *cluster, const char *path, const void *head,
                                                             size_t head_bytes, const void *own, size_t bytes,
                                                             rowpool_error *error);

#ifdef __cplusplus
}
#endif

#endif
