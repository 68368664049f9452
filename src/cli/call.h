/* A map as a job, and the memory of its results. */
#ifndef ROWPOOL_CLI_CALL_H
#define ROWPOOL_CLI_CALL_H

#include <stdbool.h>

#include "output.h"
#include "progress.h"
#include "rowpool.h"

/* Allocates `columns` results of the dtype for each row, in memory that every worker reaches without a copy. */
rowpool_status allocate_results(row_results *results, size_t rows, size_t columns, rowpool_dtype dtype,
                                rowpool_error *error);
void free_results(row_results *results);

/* Runs the map as an asynchronous job: shows its progress, and cancels it when an interruption is noted. callback: also
 * waits for the completion callback. */
rowpool_status run_job(rowpool *pool, const rowpool_call *call, bool callback, progress_bar *bar, rowpool_error *error);

/* Seconds of the monotonic clock. */
double seconds_now(void);

#endif
