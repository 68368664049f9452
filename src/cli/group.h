/* The process group: the processes that map one file together, each its own part of the rows; by default this process
 * alone. Every function but share is collective: all processes call them in the same order. */
#ifndef ROWPOOL_CLI_GROUP_H
#define ROWPOOL_CLI_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "output.h"
#include "replace.h"
#include "rowpool.h"

typedef struct {
    bool mpi; /* the processes are the ranks of an MPI job, perhaps only one */
    int rank, size;

    /* Whether every process passes true. If not, the message of the lowest rank that passed false is printed. */
    bool (*agree)(bool done);
    size_t (*max)(size_t own);

    rowpool_status (*open_pool)(rowpool **pool, const rowpool_options *options, rowpool_error *error);
    void (*close_pool)(rowpool *pool);

    /* The rows of this process, and the index of the first. */
    rowpool_status (*share)(const rowpool_rows *all, rowpool_rows *own, size_t *first, rowpool_error *error);

    /* On rank 0 replaces *bytes, memory from malloc, by the bytes of all ranks, in the order of the ranks; on the others by
     * nothing. */
    rowpool_status (*gather)(void **bytes, size_t *size, rowpool_error *error);

    /* Writes the first `rows` rows of the whole to standard output. */
    rowpool_status (*print)(write_table *write, const result_table *own, size_t rows, rowpool_error *error);

    /* begin_file checks that the file can be written; end_file writes all rows in the format that the path asks for,
     * and completes the file. */
    rowpool_status (*begin_file)(replacement *file, const char *path, rowpool_error *error);
    rowpool_status (*end_file)(replacement *file, const char *path, const result_table *own, size_t rows,
                               rowpool_error *error);
} process_group;

const process_group *the_group(void);
void join_group(const process_group *group);

#endif
