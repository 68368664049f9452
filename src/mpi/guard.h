/* A process that removes a file when this one is killed. */
#ifndef RP_MPI_GUARD_H
#define RP_MPI_GUARD_H

#include "rowpool.h"

/* Guards the file from the return of this call until rowpool_process_close, even where the whole process group is
 * killed. The calling thread lives until then. path is read when this process has ended, so it lies in memory that
 * both processes share; "": there is no file. */
rowpool_status rp_mpi_guard(rowpool_process **guard, const char *path, rowpool_error *error);

#endif
