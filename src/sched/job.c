#include "sched/job.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/checked.h"
#include "base/floating.h"
#include "base/log.h"
#include "base/self.h"
#include "base/thread.h"
#include "base/trace.h"

/* ---- Small maps ------------------------------------------------------------------------------------------------- */

static bool is_small(const rowpool *pool, const rp_operation *operation)
{
    return pool->devices.automatic && operation->inputs->count > 0 && operation->results != NULL &&
           rp_operation_is_small(operation);
}

static void compute_small(const rp_operation *operation)
{
    const rp_chunk whole = {.rows = operation->inputs->count};
    rp_operation_compute(operation, &whole, operation->results);
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: on the host: done", operation->name,
           operation->inputs->count, rp_operation_elements(operation), operation->inputs->dtype->name,
           operation->columns);
}

static rowpool_status run_small(rowpool *pool, const rp_operation *operation)
{
    rp_pool_enter(pool);
    compute_small(operation);
    rp_pool_leave(pool, pool->host, operation->inputs->count);
    return ROWPOOL_OK;
}

/* ---- One task --------------------------------------------------------------------------------------------------- */

/* Whether one device does a map as a single task: submit and finish, and nothing else to decide. Logs and traces are
 * written by runs. */
static bool is_one_task(rowpool *pool, const rp_operation *operation, const rp_stream *stream)
{
    rp_device *device = &pool->devices.items[0];
    if (stream != NULL || pool->devices.used != 1 || !device->backend->waits || device->parallel != 1 ||
        device->keeps > 0 || operation->processes || operation->once || operation->chunk_rows > 0 ||
        operation->timeout_ms > 0 || rp_trace_on() || rp_log_on(RP_LOG_RUN))
        return false;
    const rp_split_limits limits = {.work = device->chunk_bytes,
                                    .buffer = (size_t)rp_min(device->info.largest_buffer, SIZE_MAX),
                                    .rows = SIZE_MAX,
                                    .result = rp_operation_row_bytes(operation),
                                    .whole = !rp_operation_splits(operation)};
    rp_cursor cursor = {0};
    rp_chunk chunk;
    return device->backend->unsupported_reason(device, operation) == NULL &&
           rp_split_next(operation->inputs, operation->code.n_inputs, &limits, &cursor, &chunk) &&
           chunk.rows == operation->inputs->count && !chunk.partial &&
           (!pool->devices.automatic || device->backend->ready == NULL || device->backend->ready(device, operation, 0));
}

static rowpool_status run_task(rp_task *task)
{
    const rp_backend *backend = task->device->backend;
    rp_floating callers;
    rp_floating_default(&callers);
    rowpool_status status = backend->submit(task->device, task, &task->error);
    if (status == ROWPOOL_OK)
        status = backend->finish(task->device, task, &task->error);
    rp_floating_restore(&callers);
    return status;
}

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

/* A whole run. failed: a task for all of it that failed already; NULL: there was none. */
static rowpool_status run_map(rowpool *pool, const rp_operation *operation, const rp_stream *stream,
                              const rp_task *failed, rowpool_error *error)
{
    rp_run run;
    RP_TRY(rp_run_init(&run, pool, operation, stream, NULL, error));
    if (failed != NULL) {
        rp_work_queue_drop(&run.work);
        run.left = 0;
        rp_retry(&run, run.participants, &failed->chunk, failed->blamed, &failed->error);
    }
    rowpool_status status = rp_run_whole(&run, error);
    rp_run_destroy(&run);
    return status;
}

rowpool_status rp_execute(rowpool *pool, const rp_operation *operation, const rp_stream *stream, rowpool_error *error)
{
    if (operation->inputs->count == 0)
        return ROWPOOL_OK;
    if (is_small(pool, operation))
        return run_small(pool, operation);
    rp_operation own = *operation;
    rp_task task = {.operation = &own, .chunk = {.rows = operation->inputs->count}, .results = operation->results};
    rp_pool_enter(pool);
    task.device = pool->devices.items;
    own.text_hash = rp_text_hash(operation->function->source);
    const bool alone = is_one_task(pool, &own, stream);
    if (alone && run_task(&task) == ROWPOOL_OK) {
        rp_pool_leave(pool, task.device, task.chunk.rows);
        return ROWPOOL_OK;
    }
    rowpool_status status = run_map(pool, &own, stream, alone ? &task : NULL, error);
    rp_pool_leave(pool, NULL, 0);
    return status;
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------- */

void rp_job_release(rowpool_job *job)
{
    rp_lock(&job->lock);
    unsigned left = --job->references;
    rp_unlock(&job->lock);
    if (left > 0)
        return;
    pthread_cond_destroy(&job->finished);
    rp_mutex_destroy(&job->lock);
    free(job->store.heap);
    free(job);
}

static void complete(rowpool_job *job)
{
    rowpool *pool = job->pool;
    rowpool_error error;
    rowpool_status status = rp_run_status(&job->run, &error);
    if (status == ROWPOOL_OK)
        atomic_store(&job->run.rows_done, job->rows);
    rp_run_release_data(&job->run); /* so that the copies of a closed handle are gone when the job is done */
    rp_lock(&job->lock);
    job->status = status;
    if (status != ROWPOOL_OK)
        job->error = error;
    job->is_done = true;
    if (job->descriptor >= 0)
        eventfd_write(job->descriptor, 1);
    pthread_cond_broadcast(&job->finished);
    rp_unlock(&job->lock);
    if (job->done != NULL) {
        rp_floating own;
        rp_assert_no_lock("a completion callback is called");
        rp_floating_default(&own);
        job->done(job->has_handle ? job : NULL, status, status == ROWPOOL_OK ? NULL : &error, job->payload);
        rp_floating_restore(&own); /* the callback may have changed it */
    }
    rp_run_destroy(&job->run);
    rp_job_release(job);
    rp_pool_leave(pool, NULL, 0);
}

static void start(rowpool_job *job)
{
    if (is_small(job->pool, &job->run.operation) && !rp_run_is_over(&job->run)) {
        compute_small(&job->run.operation);
        rp_pool_count(job->pool, job->pool->host, job->rows, 1, 0);
        rp_work_queue_drop(&job->run.work);
    }
    rp_run_fill(&job->run);
}

/* Completes a job when it is over, and begins jobs that waited for it. */
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
        complete(job); /* from here on the pool may be closed, unless another job is under way */
        if (next != NULL)
            start(next);
        job = next;
    }
}

/* A running job takes queues and memory on each device, so only a few run at a time, even if thousands were
 * submitted. */
static void begin_job(rowpool_job *job)
{
    enum { MAX_RUNNING = 8 };
    rp_dispatcher *dispatcher = &job->pool->dispatcher;
    if (dispatcher->running >= MAX_RUNNING) {
        *dispatcher->end_of_waiting = job;
        dispatcher->end_of_waiting = &job->next_waiting;
        return;
    }
    dispatcher->running++;
    start(job);
    settle(job);
}

static void advance_job(rp_task *task)
{
    rp_run *run = task->run;
    rowpool_job *job = (rowpool_job *)((char *)run -
                                       offsetof(rowpool_job, run)); /* every run with a queue is a job's */
    rp_run_complete(run, task);
    rp_run_fill(run);
    settle(job);
}

/* ---- The dispatcher --------------------------------------------------------------------------------------------- */

/* The pool whose dispatcher this thread is. */
static _Thread_local const rowpool *mine;

bool rp_dispatcher_is_me(const rowpool *pool)
{
    return mine == pool;
}

static void *dispatch(void *argument)
{
    rowpool *pool = argument;
    mine = pool;
    for (;;) {
        rp_message *message = (rp_message *)rp_queue_pop(&pool->dispatcher.queue);
        switch (message->kind) {
        case RP_MESSAGE_TASK:
            advance_job((rp_task *)message);
            break;
        case RP_MESSAGE_JOB:
            begin_job((rowpool_job *)message);
            break;
        case RP_MESSAGE_STOP:
            return NULL;
        }
    }
}

static rowpool_status start_dispatcher(rowpool *pool, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    rp_lock(&pool->lock);
    if (!pool->dispatcher.started) {
        rp_queue_init(&pool->dispatcher.queue);
        pool->dispatcher.end_of_waiting = &pool->dispatcher.first_waiting;
        status = rp_thread_start(&pool->dispatcher.thread, "rowpool", dispatch, pool, error);
        pool->dispatcher.started = status == ROWPOOL_OK;
        if (status != ROWPOOL_OK)
            rp_queue_destroy(&pool->dispatcher.queue);
    }
    rp_unlock(&pool->lock);
    return status;
}

void rp_dispatcher_stop(rowpool *pool)
{
    if (!pool->dispatcher.started)
        return;
    rp_message last = {.kind = RP_MESSAGE_STOP};
    rp_queue_push(&pool->dispatcher.queue, &last.link);
    pthread_join(pool->dispatcher.thread, NULL);
    rp_queue_destroy(&pool->dispatcher.queue);
}

/* ---- Submit ----------------------------------------------------------------------------------------------------- */

rowpool_status rp_submit(rowpool *pool, const rp_operation *operation, const rp_stream *stream,
                         rp_arguments_store *store, rowpool_done *done, void *payload, rowpool_job **job,
                         rowpool_error *error)
{
    RP_TRY(start_dispatcher(pool, error));
    rowpool_job *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a job");
    rp_operation own = *operation;
    own.text_hash = rp_text_hash(operation->function->source);
    fresh->store = *store;
    if (operation->arguments == store->inside)
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
    fresh->rows = operation->inputs->count;
    fresh->begin.kind = RP_MESSAGE_JOB;
    rp_mutex_init(&fresh->lock, RP_LOCK_JOB);
    rp_cond_init(&fresh->finished);
    if (job != NULL)
        *job = fresh;
    rp_pool_enter(pool);
    rp_queue_push(&pool->dispatcher.queue, &fresh->begin.link);
    return ROWPOOL_OK;
}
