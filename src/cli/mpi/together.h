/* The ranks of an MPI job as a company: each maps its own part of the rows, and rank 0 speaks. */
#ifndef ROWPOOL_CLI_MPI_TOGETHER_H
#define ROWPOOL_CLI_MPI_TOGETHER_H

#include <stdbool.h>

/* Between MPI_Init and MPI_Finalize. */
void begin_together(void);

/* Whether all have come so far; one that has left a command early says so here, to those who wait for it. */
bool end_together(bool done);

#endif
