#include "call.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "interrupt.h"
#include "message.h"

rowpool_status allocate_results(row_results *results, size_t rows, size_t columns, rowpool_dtype dtype,
                                rowpool_error *error)
{
    *results = (row_results){.dtype = dtype, .rows = rows, .columns = columns};
    if (__builtin_mul_overflow(rows, columns, &results->bytes) ||
        __builtin_mul_overflow(results->bytes, rowpool_dtype_size(dtype), &results->bytes))
        return rp_fail(error, ROWPOOL_ENOMEM, "no memory for the results of %zu rows, %zu for each", rows, columns);
    if (results->bytes == 0)
        return ROWPOOL_OK;
    rowpool_error refusal;
    results->values = rowpool_alloc(results->bytes, &refusal);
    if (results->values == NULL)
        return rp_fail(error, refusal.status, "no memory for the results of %zu rows, %zu for each: %s", rows, columns,
                       refusal.message);
    return ROWPOOL_OK;
}

void free_results(row_results *results)
{
    rowpool_free(results->values);
    results->values = NULL;
}

/* The completion callback; it runs on the pool's own thread. */
static void post_completion(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    (void)job;
    (void)status;
    (void)error;
    (void)sem_post(payload);
}

/* Shows the progress of the job until it is done, and cancels it when the user interrupts. */
static rowpool_status watch_job(rowpool_job *job, progress_bar *bar, rowpool_error *error)
{
    enum { LOOK_MS = 50 };
    bool canceled = false;
    for (;;) {
        rowpool_status status = rowpool_job_wait(job, LOOK_MS, error);
        if (status != ROWPOOL_ENOTREADY)
            return status;
        size_t done, rows;
        if (!canceled && rowpool_job_progress(job, &done, &rows, NULL) == ROWPOOL_OK)
            show_progress(bar, done, rows);
        if (!canceled && interruption_noted()) {
            canceled = true;
            end_progress(bar);
            say(NULL, "interrupted: waiting for the running chunks; interrupt again to stop at once");
            (void)rowpool_job_cancel(job, NULL);
        }
    }
}

rowpool_status run_job(rowpool *pool, const rowpool_call *call, bool callback, progress_bar *bar, rowpool_error *error)
{
    sem_t done;
    if (sem_init(&done, 0, 0) != 0)
        return fail_errno(error);
    rowpool_job *job;
    rowpool_status status = rowpool_map_async(pool, call, callback ? post_completion : NULL, &done, &job, error);
    if (status == ROWPOOL_ESYSTEM) {
        /* No thread can be started for a job: map synchronously, and let signals end the program. */
        end_noting_interruptions();
        status = rowpool_map(pool, call, error);
    } else if (status == ROWPOOL_OK) {
        status = watch_job(job, bar, error);
        rowpool_job_release(job);
        /* The end of the job does not wait for its callback, which still needs the semaphore. */
        while (callback && sem_wait(&done) != 0 && errno == EINTR)
            continue;
    }
    (void)sem_destroy(&done);
    if (status == ROWPOOL_OK && bar->choice == PROGRESS_YES && !interruption_noted()) {
        bar->next = 0;
        show_progress(bar, call->inputs->count, call->inputs->count);
    }
    end_progress(bar);
    return status;
}

double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
