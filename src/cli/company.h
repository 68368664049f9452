/* Those who map one file together, each its own part of the rows: the program alone, or several of its processes. All
 * of them take the same steps in the same order, so that none waits for one that does not come. */
#ifndef ROWPOOL_CLI_COMPANY_H
#define ROWPOOL_CLI_COMPANY_H

#include <stdbool.h>
#include <stddef.h>

#include "output.h"
#include "replace.h"
#include "rowpool.h"

/* Consecutive rows. */
typedef struct {
    rowpool_rows rows;
    size_t first;      /* the number of the first of them */
    bool begins, ends; /* whether they are the first ones, and the last ones: one part is, even where it has no row */
} row_part;

/* A device that did something, and in which process. */
typedef struct {
    size_t rank;
    rowpool_device device;
} worker;
typedef struct {
    worker *items;
    size_t count;
} worker_list;

typedef struct {
    bool several;

    /* Whether all have done it; else each one leaves, after one message of the first of those who have not. */
    bool (*agree)(bool done);
    size_t (*most)(size_t own);

    rowpool_status (*open_pool)(rowpool **pool, const rowpool_options *options, rowpool_error *error);
    void (*close_pool)(rowpool *pool);
    rowpool_status (*share)(row_part *own, const rowpool_rows *all, rowpool_error *error);

    /* Makes one list of all of them for the one that speaks, and an empty one for the others. */
    rowpool_status (*gather_workers)(worker_list *list, rowpool_error *error);

    /* Writes the first `rows` rows of all to standard output. */
    rowpool_status (*print)(write_table *write, const result_table *own, size_t rows, rowpool_error *error);

    /* Looks whether the file can be written, and begins it as far as that is possible; writes all rows, in the format
     * that the path asks for, and completes it. */
    rowpool_status (*begin_file)(replacement *file, const char *path, rowpool_error *error);
    rowpool_status (*end_file)(replacement *file, const char *path, const result_table *own, size_t rows,
                               rowpool_error *error);
} company;

/* A program that is not told otherwise is alone. */
const company *the_company(void);
void join_company(const company *which);

#endif
