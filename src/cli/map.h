/* One range count over all rows, waited for or not, and where its results lie. */
#ifndef ROWPOOL_CLI_MAP_H
#define ROWPOOL_CLI_MAP_H

#include <stdbool.h>

#include "output.h"
#include "rowpool.h"

/* Room for the counts of the rows, as wide as the widest possible count needs; in memory that every worker reaches. */
rowpool_status allocate_counts(row_counts *counts, const rowpool_rows *rows, rowpool_error *error);
void free_counts(row_counts *counts);

/* Counts synchronously, or as an asynchronous job of which the completion callback and the end are awaited. */
rowpool_status count_rows(rowpool *pool, const rowpool_rows *rows, const rowpool_range *range, bool async,
                          row_counts *counts, rowpool_error *error);

/* Seconds on a clock that is never set. */
double seconds_now(void);

#endif
