/* Maps as calls that wait, and as jobs that do not. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/floating.h"
#include "base/log.h"
#include "base/self.h"
#include "base/thread.h"
#include "pool/pool.h"

/* ---- Small maps ------------------------------------------------------------------------------------------------- */

/* A device's round trip takes longer than the host needs for so few elements (or results, where rows are short). On two
 * cores PoCL and the host were level at 20,000 to 100,000 elements in means and the like, in counts, which the host
 * does several at once, at 500,000; at 4 MB where rows are so wide that the host counts as fast as the cache gives. */
enum { SMALL_MAP = 20000, SMALL_COUNT = 200000, SMALL_WIDE_BYTES = 4 << 20, WIDE_ROW = 32 };

static bool counts(const rp_map *map)
{
    return map->function->ranges && rp_is_builtin(map->function);
}

static size_t most_of_small(const rp_map *map, size_t elements)
{
    if (!counts(map))
        return SMALL_MAP;
    const bool wide = elements / WIDE_ROW >= map->inputs->count;
    return rp_max(SMALL_COUNT, wide ? SMALL_WIDE_BYTES / map->inputs->dtype->size : 0);
}

static bool is_small(const rowpool *pool, const rp_map *map)
{
    size_t elements = rp_map_elements(map), rows = map->inputs->count;
    size_t largest = rp_max(elements, rows), most = most_of_small(map, elements);
    return rows > 0 && pool->devices.automatic && map->host && map->results != NULL && rp_code_is_there(&map->code) &&
           map->columns <= most && largest <= most / map->columns;
}

static void compute_small(const rp_map *map)
{
    const rp_chunk whole = {.rows = map->inputs->count};
    rp_map_compute(map, &whole, map->results);
}

static rowpool_status run_small(rowpool *pool, const rp_map *map)
{
    rp_pool_enter(pool);
    compute_small(map);
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: on the host: done", map->name,
           map->inputs->count, rp_map_elements(map), map->inputs->dtype->name, map->columns);
    rp_pool_leave_with(pool, pool->host, map->inputs->count);
    return ROWPOOL_OK;
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

static rowpool_status run_large(rowpool *pool, const rp_map *map, const rp_stream *stream, rowpool_error *error)
{
    rp_pool_enter(pool);
    rp_run run;
    rowpool_status status = rp_run_init(&run, pool, map, stream, NULL, error);
    if (status == ROWPOOL_OK) {
        status = rp_run_whole(&run, error);
        rp_run_destroy(&run);
    }
    rp_pool_leave(pool);
    return status;
}

rowpool_status rp_pool_run(rowpool *pool, const rp_map *map, const rp_stream *stream, rowpool_error *error)
{
    if (map->inputs->count == 0)
        return ROWPOOL_OK;
    if (is_small(pool, map))
        return run_small(pool, map);
    return run_large(pool, map, stream, error);
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------- */

struct rowpool_job {
    pid_t pid;
    rowpool *pool;
    rp_run run;
    rp_slot begin;                    /* what the dispatcher's queue holds until the job begins, */
    struct rowpool_job *next_waiting; /* or waits for others to complete */
    rp_arguments_store store;
    rowpool_done *done;
    void *payload;
    bool has_handle;
    size_t rows;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    unsigned references; /* the handle's and the dispatcher's; under the lock, like the rest */
    bool is_done;
    int descriptor; /* -1: nobody has asked for it */
    rowpool_status status;
    rowpool_error error;
};

static void close_descriptor(rowpool_job *job)
{
    if (job->descriptor >= 0)
        close(job->descriptor);
    job->descriptor = -1;
}

static void destroy(rowpool_job *job)
{
    free(job->store.heap);
    free(job);
}

static void drop_reference(rowpool_job *job)
{
    pthread_mutex_lock(&job->lock);
    unsigned left = --job->references;
    pthread_mutex_unlock(&job->lock);
    if (left > 0)
        return;
    pthread_cond_destroy(&job->finished);
    pthread_mutex_destroy(&job->lock);
    destroy(job);
}

static void complete(rowpool_job *job)
{
    rowpool *pool = job->pool;
    rowpool_error error;
    rowpool_status status = rp_run_status(&job->run, &error);
    if (status == ROWPOOL_OK)
        atomic_store(&job->run.rows_done, job->rows);
    rp_run_release_data(&job->run); /* so that the copies of a closed handle are gone when the job is done */
    pthread_mutex_lock(&job->lock);
    job->status = status;
    if (status != ROWPOOL_OK)
        job->error = error;
    job->is_done = true;
    if (job->descriptor >= 0)
        eventfd_write(job->descriptor, 1);
    pthread_cond_broadcast(&job->finished);
    pthread_mutex_unlock(&job->lock);
    if (job->done != NULL) {
        rp_floating own;
        rp_floating_default(&own);
        job->done(job->has_handle ? job : NULL, status, status == ROWPOOL_OK ? NULL : &error, job->payload);
        rp_floating_restore(&own); /* whatever the callback did to it */
    }
    rp_run_destroy(&job->run);
    drop_reference(job);
    rp_pool_leave(pool);
}

static void start(rowpool_job *job)
{
    if (is_small(job->pool, &job->run.map) && !rp_run_is_over(&job->run)) {
        compute_small(&job->run.map);
        rp_pool_count(job->pool, job->pool->host, job->rows, 1, 0);
        rp_pieces_finish(&job->run.pieces);
    }
    rp_run_fill(&job->run);
}

/* Completes a job when it is over, and begins those that waited for that. */
static void settle(rowpool_job *job)
{
    rp_dispatcher *dispatcher = &job->pool->dispatcher;
    while (job != NULL && job->run.in_flight == 0) {
        rowpool_job *next = dispatcher->first_waiting;
        if (next != NULL) {
            dispatcher->first_waiting = next->next_waiting;
            if (next->next_waiting == NULL)
                dispatcher->end_of_waiting = &dispatcher->first_waiting;
        } else {
            dispatcher->running--;
        }
        complete(job); /* its pool may be closed from here on when nothing else is under way */
        if (next != NULL)
            start(next);
        job = next;
    }
}

/* Every job under way takes queues and memory of each device: thousands of them begin a few at a time. */
void rp_job_begin(rowpool_job *job)
{
    enum { MOST_RUNNING = 8 };
    rp_dispatcher *dispatcher = &job->pool->dispatcher;
    if (dispatcher->running >= MOST_RUNNING) {
        *dispatcher->end_of_waiting = job;
        dispatcher->end_of_waiting = &job->next_waiting;
        return;
    }
    dispatcher->running++;
    start(job);
    settle(job);
}

/* The run is the job's own: the one stands inside the other. */
static rowpool_job *job_of(rp_run *run)
{
    return (rowpool_job *)((char *)run - offsetof(rowpool_job, run));
}

void rp_job_advance(rp_slot *slot)
{
    rp_run *run = slot->task.owner;
    rp_run_complete(run, slot);
    rp_run_fill(run);
    settle(job_of(run));
}

rowpool_status rp_pool_submit(rowpool *pool, const rp_map *map, const rp_stream *stream, rp_arguments_store *store,
                              rowpool_done *done, void *payload, rowpool_job **job, rowpool_error *error)
{
    RP_TRY(rp_dispatcher_start(pool, error));
    rowpool_job *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a job");
    rp_map own = *map;
    fresh->store = *store;
    if (map->arguments == store->inside)
        own.arguments = fresh->store.inside;
    rowpool_status status = rp_run_init(&fresh->run, pool, &own, stream, &pool->dispatcher.queue, error);
    if (status != ROWPOOL_OK) {
        free(fresh);
        return status;
    }
    *store = (rp_arguments_store){0};
    fresh->descriptor = -1;
    fresh->pid = rp_self();
    fresh->pool = pool;
    fresh->done = done;
    fresh->payload = payload;
    fresh->has_handle = job != NULL;
    fresh->references = fresh->has_handle ? 2 : 1;
    fresh->rows = map->inputs->count;
    fresh->begin.task.owner = fresh;
    pthread_mutex_init(&fresh->lock, NULL);
    rp_cond_init(&fresh->finished);
    if (job != NULL)
        *job = fresh;
    rp_pool_enter(pool);
    rp_queue_push(&pool->dispatcher.queue, &fresh->begin.task.link);
    return ROWPOOL_OK;
}

/* ---- What a caller does with a job ------------------------------------------------------------------------------ */

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
    pthread_mutex_lock(&job->lock);
    if (!job->is_done && rp_dispatcher_is_me(job->pool)) {
        pthread_mutex_unlock(&job->lock);
        return rp_fail(error, ROWPOOL_EDEADLK,
                       "a callback waits for a job that only the same thread can complete: submit and return instead");
    }
    int late = 0;
    while (!job->is_done && late != ETIMEDOUT)
        late = timeout_ms < 0 ? pthread_cond_wait(&job->finished, &job->lock)
                              : pthread_cond_timedwait(&job->finished, &job->lock, &deadline);
    rowpool_status status = outcome(job, error);
    pthread_mutex_unlock(&job->lock);
    return status;
}

rowpool_status rowpool_job_poll(rowpool_job *job, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    pthread_mutex_lock(&job->lock);
    rowpool_status status = outcome(job, error);
    pthread_mutex_unlock(&job->lock);
    return status;
}

rowpool_status rowpool_job_cancel(rowpool_job *job, rowpool_error *error)
{
    RP_TRY(check_job(job, error));
    atomic_store(&job->run.patience.cancelled, true);
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
    pthread_mutex_lock(&job->lock);
    if (job->descriptor < 0)
        job->descriptor = rp_descriptor_keep(eventfd(job->is_done, EFD_CLOEXEC | EFD_NONBLOCK));
    int descriptor = job->descriptor;
    if (descriptor < 0)
        rp_fail(error, ROWPOOL_ESYSTEM, "no descriptor for a job: %s", strerror(errno));
    pthread_mutex_unlock(&job->lock);
    return descriptor;
}

void rowpool_job_release(rowpool_job *job)
{
    RP_NO_CANCEL;
    if (job == NULL)
        return;
    if (job->pid != rp_self()) { /* the threads that shared it stayed in the parent */
        close_descriptor(job);
        destroy(job);
        return;
    }
    pthread_mutex_lock(&job->lock);
    close_descriptor(job);
    pthread_mutex_unlock(&job->lock);
    drop_reference(job);
}
