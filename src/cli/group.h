/* The process group: the processes that map one file together, each its own part of the rows. By default it is this
 * process alone. All of them take the same steps in the same order: every function but share is collective. */
#ifndef ROWPOOL_CLI_GROUP_H
#define ROWPOOL_CLI_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "output.h"
#include "replace.h"
#include "rowpool.h"

typedef struct {
    bool mpi; /* they are the ranks of an MPI job, which may have only one */
    int rank, size;

    /* Whether every process gives true. If not, the lowest rank that gave false has printed its message. */
    bool (*agree)(bool done);
    size_t (*max)(size_t own);

    rowpool_status (*open_pool)(rowpool **pool, const rowpool_options *options, rowpool_error *error);
    void (*close_pool)(rowpool *pool);

    /* The rows of this process, and the index of the first. */
    rowpool_status (*share)(const rowpool_rows *all, rowpool_rows *own, size_t *first, rowpool_error *error);

    /* Replaces *bytes, memory from malloc, by the bytes of all ranks in their order; on ranks above 0 by nothing. */
    rowpool_status (*gather)(void **bytes, size_t *size, rowpool_error *error);

    /* Writes the first `rows` rows of all to standard output. */
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
