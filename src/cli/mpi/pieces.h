/* What the ranks write, one after the other, into what rank 0 has open. */
#ifndef ROWPOOL_CLI_MPI_PIECES_H
#define ROWPOOL_CLI_MPI_PIECES_H

#include <mpi.h>
#include <stddef.h>

#include "output.h"
#include "rowpool.h"

/* What a table is as text, or whatever its format is. */
typedef struct {
    void *bytes; /* NULL where there are none */
    size_t size;
} formatted;

rowpool_status format_table(formatted *result, write_table *write, const result_table *table, size_t rows,
                            rowpool_error *error);
void free_formatted(formatted *result);

/* Collective. fd: rank 0's. A rank's own failure is its own alone; the caller brings them together. */
rowpool_status write_in_order(MPI_Comm comm, int fd, write_table *write, const result_table *own, size_t rows,
                              rowpool_error *error);

#endif
