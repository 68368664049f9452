/* The range counts over all rows, waited for or not, and where their results lie. */
#ifndef ROWPOOL_CLI_MAP_H
#define ROWPOOL_CLI_MAP_H

#include <stdbool.h>

#include "output.h"
#include "rowpool.h"

/* Room for `columns` counts of each row, as wide as the widest possible count needs; in memory that every worker
 * reaches. */
rowpool_status allocate_counts(row_counts *counts, const rowpool_rows *rows, size_t columns, rowpool_error *error);
void free_counts(row_counts *counts);

/* Counts as many ranges as there are columns: synchronously, or as an asynchronous job of which the completion callback
 * and the end are awaited. */
rowpool_status count_rows(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges, bool async,
                          row_counts *counts, rowpool_error *error);

/* Seconds on a clock that is never set. */
double seconds_now(void);

#endif
