/* A map, waited for or not, and where its results lie. */
#ifndef ROWPOOL_CLI_CALL_H
#define ROWPOOL_CLI_CALL_H

#include <stdbool.h>

#include "output.h"
#include "progress.h"
#include "rowpool.h"

/* Room for `columns` results of the dtype for each row, in memory that every worker reaches. */
rowpool_status allocate_results(row_results *results, size_t rows, size_t columns, rowpool_dtype dtype,
                                rowpool_error *error);
void free_results(row_results *results);

/* Maps: synchronously, or as an asynchronous job of which the completion callback and the end are awaited. */
rowpool_status run_call(rowpool *pool, const rowpool_call *call, bool async, rowpool_error *error);

/* Maps as a job whose progress is shown, and which an interruption that is noted cancels. callback: also awaits its
 * completion callback. */
rowpool_status run_watched(rowpool *pool, const rowpool_call *call, bool callback, progress_bar *bar,
                           rowpool_error *error);

/* Seconds on a clock that is never set. */
double seconds_now(void);

#endif
