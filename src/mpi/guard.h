/* The guard: a process that removes a file if this process is killed. */
#ifndef RP_MPI_GUARD_H
#define RP_MPI_GUARD_H

#include "rowpool.h"

/* Guards the file from the return of this call until rowpool_process_close, even if the whole process group is killed.
 * The calling thread must live until then. path must lie in memory that both processes share, since the guard reads it
 * when this process has ended; "": there is no file. */
rowpool_status rp_mpi_guard(rowpool_process **guard, const char *path, rowpool_error *error);

#endif
