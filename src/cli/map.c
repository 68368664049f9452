#include "map.h"

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <time.h>

#include "message.h"

rowpool_status allocate_counts(row_counts *counts, const rowpool_rows *rows, size_t columns, rowpool_error *error)
{
    *counts = (row_counts){.wide = rows->width > UINT32_MAX, .rows = rows->count, .columns = columns};
    if (__builtin_mul_overflow(rows->count, columns, &counts->bytes) ||
        __builtin_mul_overflow(counts->bytes, counts->wide ? sizeof(uint64_t) : sizeof(uint32_t), &counts->bytes))
        return fail(error, ROWPOOL_ENOMEM, "no memory for the counts of %zu rows, %zu of each", rows->count, columns);
    if (counts->bytes == 0)
        return ROWPOOL_OK;
    rowpool_error refusal;
    counts->values = rowpool_alloc(counts->bytes, &refusal);
    if (counts->values == NULL)
        return fail(error, refusal.status, "no memory for the counts of %zu rows, %zu of each: %s", rows->count,
                    columns, refusal.message);
    return ROWPOOL_OK;
}

void free_counts(row_counts *counts)
{
    rowpool_free(counts->values);
    counts->values = NULL;
}

/* The completion callback; it runs on the pool's own thread. */
static void announce(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    (void)job;
    (void)status;
    (void)error;
    (void)sem_post(payload);
}

static rowpool_status submit(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges, row_counts *counts,
                             sem_t *done, rowpool_job **job, rowpool_error *error)
{
    if (counts->wide)
        return rowpool_range_count_u64_async(pool, rows, ranges, counts->columns, counts->values, announce, done, job,
                                             error);
    return rowpool_range_count_async(pool, rows, ranges, counts->columns, counts->values, announce, done, job, error);
}

static rowpool_status count_rows_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                       row_counts *counts, rowpool_error *error)
{
    sem_t done;
    if (sem_init(&done, 0, 0) != 0)
        return fail_errno(error);
    rowpool_job *job;
    rowpool_status status = submit(pool, rows, ranges, counts, &done, &job, error);
    if (status == ROWPOOL_OK) {
        status = rowpool_job_wait(job, -1, error);
        rowpool_job_release(job);
        /* The job's end does not wait for its callback, which still needs the semaphore. */
        while (sem_wait(&done) != 0 && errno == EINTR)
            continue;
    }
    (void)sem_destroy(&done);
    return status;
}

rowpool_status count_rows(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges, bool async,
                          row_counts *counts, rowpool_error *error)
{
    if (async)
        return count_rows_async(pool, rows, ranges, counts, error);
    if (counts->wide)
        return rowpool_range_count_u64(pool, rows, ranges, counts->columns, counts->values, error);
    return rowpool_range_count(pool, rows, ranges, counts->columns, counts->values, error);
}

double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
