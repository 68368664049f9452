/* A process that removes a file when this one is killed. */
#ifndef RP_MPI_GUARD_H
#define RP_MPI_GUARD_H

#include "rowpool.h"

/* Works from the return of this call until rp_mpi_unguard, even if the whole process group is killed. The calling thread
 * lives until then. path is read only when this process has ended, and so lies in memory that both processes share;
 * "": there is no file. */
rowpool_status rp_mpi_guard(rowpool_process **guard, const char *path, rowpool_error *error);

/* The file is left alone from here on. NULL is fine. */
void rp_mpi_unguard(rowpool_process *guard);

#endif
