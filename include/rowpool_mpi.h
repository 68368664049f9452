/* rowpool over MPI: maps over rows that are distributed over the ranks of a communicator, each rank's by a pool of its own.
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
 * Collective    Every rank of the communicator makes the call, in the same order as its other collective calls, as MPI
 *               asks. Said of each such call below. Every rank gets the same status from it, and the same message.
 * Errors        As in rowpool.h. A rank's own error reaches all: its message begins with "rank R (HOST): ". What MPI
 *               itself refuses is ROWPOOL_ESYSTEM with MPI's text, on the ranks that MPI tells.
 * Threads       MPI is called by the calling thread alone, so MPI_THREAD_FUNNELED is enough where that is the main
 *               thread. One thread at a time uses a cluster; its pool may be used by any number.
 * Fork          In a forked child every call returns ROWPOOL_EFORKED without a word to MPI.
 * Ownership     Handles are the caller's, closed before MPI_Finalize. Arrays are borrowed until the call returns.
 * Sizes         In bytes or rows, 64-bit, beyond what MPI counts in an int too.
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

/* Collective. Opens a pool on each rank. comm is duplicated, so that nothing of rowpool's is mixed up with the
 * application's messages; it is no intercommunicator. options: each rank's own, as for rowpool_open; NULL: the defaults.
 * *cluster is NULL after a failure, which is one on all ranks.
 *
 * The ranks of a node share it:
 *   cores     those of ranks whose affinity masks overlap are divided among these; the threads and processes of the pool
 *             keep to the share, the calling thread to what it had. Ranks that mpirun has bound to cores of their own
 *             keep them. More ranks than cores: several have the same one. Threads of an OpenCL driver that was in use
 *             before keep to what they had.
 *   devices   where a pool would use several OpenCL devices, local rank r of L takes those at r, r + L, ..., or, of
 *             fewer than L, the one at r modulo their number
 * ROWPOOL_LOG=device tells. ROWPOOL_TEST=mpi-piece-bytes=N: the max bytes that are sent or written at once, by default
 * 2^30.
 * EINVAL: comm, an option or a variable is wrong, or MPI is not in use; and as rowpool_open. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_open(rowpool_mpi **cluster, MPI_Comm comm,
                                                            const rowpool_options *options, rowpool_error *error);

/* Collective. Closes each rank's pool, as rowpool_close does. NULL is fine. */
ROWPOOL_API void rowpool_mpi_close(rowpool_mpi *cluster);

/* This rank's own pool, for all that rowpool.h has; closed with the cluster. NULL for NULL. Not collective. */
ROWPOOL_API rowpool *rowpool_mpi_pool(const rowpool_mpi *cluster);

/* Collective. Makes one outcome of the ranks' own: ROWPOOL_OK where every rank gives that; else, on every rank, the status
 * and message of the lowest rank that failed, which the message names with its host. error: in, what a status other than
 * ROWPOOL_OK is about (NULL: nothing is known); out, the outcome where it is a failure. Every collective call that can
 * fail ends with this. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_agree(rowpool_mpi *cluster, rowpool_status status,
                                                             rowpool_error *error);

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* Collective. Maps each rank's own rows to its own results; the calls differ in these at most. Functions see the indexes
 * that the rows would have if those of all ranks, in the order of the ranks, were one array, counted from call.first_row.
 * A rank may have no rows. Results are unspecified after a failure. Errors: as rowpool_map. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_map(rowpool_mpi *cluster, const rowpool_call *call,
                                                           rowpool_error *error);

/* Collective. rowpool_range_count over each rank's own rows, and its uint64 form. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_range_count(rowpool_mpi *cluster, const rowpool_rows *rows,
                                                                   const rowpool_range *ranges, size_t n_ranges,
                                                                   uint32_t *counts, rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_range_count_u64(rowpool_mpi *cluster, const rowpool_rows *rows,
                                                                       const rowpool_range *ranges, size_t n_ranges,
                                                                       uint64_t *counts, rowpool_error *error);

/* ---- Rows that every rank reaches ------------------------------------------------------------------------------- */

/* Those of all rows that are this rank's: consecutive, in the order of the ranks, perhaps none. Dense and strided rows are
 * divided by their number, ragged ones by elements, where a row counts as one more. *first: the index of the first; NULL
 * is fine. Not collective, and touches no data, of the offsets but a few. EINVAL: the rows are wrong, as far as that was
 * seen. Thread safe. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_share(const rowpool_mpi *cluster, const rowpool_rows *all,
                                                             rowpool_rows *own, size_t *first, rowpool_error *error);

typedef struct rowpool_mpi_file rowpool_mpi_file; /* a .npy file, and which of its rows are this rank's */

/* Collective. A .npy file that every rank can read. Its rows are those of the last axis; or, where offsets is not NULL,
 * ragged rows of its only axis: offsets is the path of a .npy file of the one axis of int64 or int32 offsets, in elements, one
 * more than there are rows. Each rank maps the file and touches its own rows alone; an array in Fortran order, of the other
 * byte order or of bool is read whole, and converted in memory where necessary: any bool byte but 0 becomes 1. A file of several
 * arrays is refused. The file must not change while it is open.
 * EINVAL: no such file or array, or offsets, the first wrong one named, or not the same file on all ranks; ESYSTEM: it
 * cannot be read; ENOMEM. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_file_open(rowpool_mpi_file **file, rowpool_mpi *cluster,
                                                                 const char *path, const char *offsets,
                                                                 rowpool_error *error);

/* This rank's rows, the index of the first among all, and how many there are in all; valid as long as the handle is.
 * NULL, 0 and 0 for NULL. Not collective. */
ROWPOOL_API const rowpool_rows *rowpool_mpi_file_rows(const rowpool_mpi_file *file);
ROWPOOL_API size_t rowpool_mpi_file_first(const rowpool_mpi_file *file);
ROWPOOL_API size_t rowpool_mpi_file_count(const rowpool_mpi_file *file);

/* Gives the handle back. NULL is fine. Not collective. */
ROWPOOL_API void rowpool_mpi_file_close(rowpool_mpi_file *file);

/* ---- Results ---------------------------------------------------------------------------------------------------- */

/* Collective. Brings the bytes of every rank, in the order of the ranks, into `all` on the rank root; there all_bytes is
 * what they are together, elsewhere all is NULL and all_bytes 0. root is the same on all ranks.
 * EINVAL: an argument is wrong; all_bytes is another number. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_gather(rowpool_mpi *cluster, const void *own, size_t bytes,
                                                              int root, void *all, size_t all_bytes,
                                                              rowpool_error *error);

/* Collective. Writes a file of `head`, which rank 0 alone gives (elsewhere NULL, 0), and the bytes of every rank, in the
 * order of the ranks, by MPI-IO. path is rank 0's, in a folder that every rank reaches; a symbolic link stays, and what
 * it leads to is replaced. The file appears under its name once all is on disk: after a failure, or where a rank is killed,
 * what was there before is there, and nothing else: a process that outlives rank 0 removes the temporary file. (Where a
 * batch system kills that one, too, it stays, as .rowpool-XXXXXX.) The owner and mode of a file that is there are kept;
 * where that, or replacing it, is refused (it is a mount point), rank 0 copies the whole file into it.
 * EINVAL: an argument is wrong, or path is no regular file; ESYSTEM: it cannot be written. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_mpi_write(rowpool_mpi *cluster, const char *path, const void *head,
                                                             size_t head_bytes, const void *own, size_t bytes,
                                                             rowpool_error *error);

#ifdef __cplusplus
}
#endif

#endif
