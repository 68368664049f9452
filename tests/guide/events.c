/* A job in an event loop: its descriptor becomes readable when it is done. */
#include <poll.h>
#include <rowpool.h>
#include <stdio.h>

enum { ROWS = 200000, WIDTH = 5 };

/* Goes round until the job is done; a program's own descriptors stand beside the job's. */
static rowpool_status watch(rowpool_job *job, rowpool_error *error)
{
    struct pollfd watched = {.fd = rowpool_job_descriptor(job, error), .events = POLLIN};
    if (watched.fd < 0)
        return error->status;
    while (poll(&watched, 1, 100) <= 0) {
        size_t done, rows;
        if (rowpool_job_progress(job, &done, &rows, NULL) == ROWPOOL_OK)
            fprintf(stderr, "%zu of %zu rows\n", done, rows);
    }
    return rowpool_job_wait(job, 0, error); /* the job's own status, at once */
}

int main(void)
{
    static int32_t data[ROWS][WIDTH];
    static uint32_t counts[ROWS];
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
    const rowpool_range range = rowpool_range_i64(4, 8);
    rowpool *pool = NULL;
    rowpool_job *job = NULL;
    rowpool_error error;
    rowpool_status status = rowpool_open(&pool, NULL, &error);

    data[0][1] = data[0][3] = 7;
    if (status == ROWPOOL_OK)
        status = rowpool_range_count_async(pool, &rows, &range, 1, counts, NULL, NULL, &job, &error);
    if (status == ROWPOOL_OK)
        status = watch(job, &error);
    if (status == ROWPOOL_OK)
        printf("the first of %d rows has %u\n", ROWS, counts[0]); /* 2 */
    else
        fprintf(stderr, "%s\n", error.message);
    rowpool_job_release(job);
    rowpool_close(pool);
    return status != ROWPOOL_OK;
}
