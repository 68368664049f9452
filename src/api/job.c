/* What a caller does with a job. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/self.h"
#include "base/thread.h"
#include "sched/job.h"

static rowpool_status check_job(const rowpool_job *job, rowpool_error *error)
{
    return rp_check_handle(job, "job", job != NULL ? job->pid : 0, error);
}

/* Under the lock. The job's own outcome, or ENOTREADY. */
static rowpool_status outcome(const rowpool_job *job, rowpool_error *error)
{
    if (!job->is_done)
        return rp_fail(error, ROWPOOL_ENOTREADY, "the job is not done yet: %zu of %zu rows",
                       atomic_load(&job->run.rows_done), job->rows);
    if (job->status != ROWPOOL_OK && error != NULL)
        *error = job->error;
    return job->status;
}

rowpool_status rowpool_job_wait(rowpool_job *job, int timeout_ms, rowpool_error *error)
{
    RP_NO_CANCEL;
    RP_TRY(check_job(job, error));
    struct timespec deadline = rp_clock_after_ms(timeout_ms < 0 ? 0 : timeout_ms);
    rp_lock(&job->lock);
    if (!job->is_done && rp_dispatcher_is_me(job->pool)) {
        rp_unlock(&job->lock);
        return rp_fail(error, ROWPOOL_EDEADLK,
                       "a callback waits for a job that only the same thread can complete: submit and return instead");
    }
    int late = 0;
    while (!job->is_done && late != ETIMEDOUT)
        late = timeout_ms < 0 ? rp_wait(&job->finished, &job->lock)
                              : rp_wait_until(&job->finished, &job->lock, &deadline);
    rowpool_status status = outcome(job, error);
    rp_unlock(&job->lock);
    return status;
}

rowpool_status rowpool_job_poll(rowpool_job *job, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    rp_lock(&job->lock);
    rowpool_status status = outcome(job, error);
    rp_unlock(&job->lock);
    return status;
}

rowpool_status rowpool_job_cancel(rowpool_job *job, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    atomic_store(&job->run.cancellation.cancelled, true);
    return ROWPOOL_OK;
}

rowpool_status rowpool_job_timeout(rowpool_job *job, int timeout_ms, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    rp_run_timeout(&job->run, timeout_ms);
    return ROWPOOL_OK;
}

rowpool_status rowpool_job_progress(rowpool_job *job, size_t *rows_done, size_t *rows, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    if (rows_done != NULL)
        *rows_done = atomic_load(&job->run.rows_done);
    if (rows != NULL)
        *rows = job->rows;
    return ROWPOOL_OK;
}

int rowpool_job_descriptor(rowpool_job *job, rowpool_error *error)
{
    RP_NO_CANCEL;
    if (check_job(job, error) != ROWPOOL_OK)
        return -1;
    rp_lock(&job->lock);
    if (job->descriptor < 0)
        job->descriptor = rp_descriptor_keep(eventfd(job->is_done, EFD_CLOEXEC | EFD_NONBLOCK));
    int descriptor = job->descriptor;
    if (descriptor < 0)
        rp_fail(error, ROWPOOL_ESYSTEM, "no descriptor for a job: %s", strerror(errno));
    rp_unlock(&job->lock);
    return descriptor;
}

static void close_descriptor(rowpool_job *job)
{
    if (job->descriptor >= 0)
        close(job->descriptor);
    job->descriptor = -1;
}

void rowpool_job_release(rowpool_job *job)
{
    RP_NO_CANCEL;
    if (job == NULL)
        return;
    if (job->pid != rp_self()) { /* the threads that shared it are in the parent; the lock may be held for ever */
        close_descriptor(job);
        free(job->store.heap);
        free(job);
        return;
    }
    rp_lock(&job->lock);
    close_descriptor(job);
    rp_unlock(&job->lock);
    rp_job_release(job);
}
