#include "sched/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "sched/pool.h"

/* ---- Who takes part --------------------------------------------------------------------------------------------- */

void rp_run_set_state(rp_run *run, rp_participant *participant, rp_participant_state state)
{
    if (participant != run->host) {
        run->n_in[participant->state]--;
        run->n_in[state]++;
    }
    participant->state = state;
}

static rp_participant *add_participant(rp_run *run, rp_device *device)
{
    const rp_operation *operation = &run->operation;
    rp_participant *participant = &run->participants[run->n_participants];
    *participant = (rp_participant){.device = device,
                                    .limits = {.buffer = (size_t)rp_min(device->info.largest_buffer, SIZE_MAX),
                                               .rows = operation->chunk_rows > 0 ? operation->chunk_rows : SIZE_MAX,
                                               .result = rp_operation_row_bytes(operation),
                                               .whole = !rp_operation_splits(operation)},
                                    .max_chunk = device->chunk_bytes};
    run->n_tasks += device->queue_depth;
    return participant;
}

static void add_device(rp_run *run, rp_device *device)
{
    add_participant(run, device);
    run->n_participants++;
    run->n_in[RP_PARTICIPANT_READY]++;
    run->keeps_copies |= device->keeps > 0;
}

/* The host stands behind the last participant and is not counted. Where nobody named the devices it stands in while they
 * build. */
static void add_host(rp_run *run)
{
    run->host = add_participant(run, run->pool->host);
    for (size_t i = 0; run->pool->devices.automatic && i < run->n_participants; i++)
        if (run->participants[i].device->backend->ready != NULL)
            rp_run_set_state(run, &run->participants[i], RP_PARTICIPANT_BUILDING);
}

static rowpool_status nobody_can(const rp_run *run, rowpool_error *error)
{
    const rp_device_list *list = &run->pool->devices;
    const rp_device *device = list->used > 0 ? &list->items[0] : run->pool->host;
    return rp_fail(error, ROWPOOL_ENODEVICE, "device %s cannot run %s: %s", device->info.index, run->operation.name,
                   device->backend->unsupported_reason(device, &run->operation));
}

/* The pool's devices that can run the function. Where none can, and nobody named the devices, worker processes are
 * started for it. */
static rowpool_status choose_participants(rp_run *run, rowpool_error *error)
{
    rowpool *pool = run->pool;
    const rp_operation *operation = &run->operation;
    if (operation->inputs->count == 0)
        return ROWPOOL_OK; /* nobody is needed */
    for (size_t i = 0; i < pool->devices.used; i++) {
        rp_device *device = &pool->devices.items[i];
        const char *reason = device->backend->unsupported_reason(device, operation);
        if (reason == NULL)
            add_device(run, device);
        else
            rp_log(RP_LOG_RUN, "%s: device %s had no part: %s", operation->name, device->info.index, reason);
    }
    if (run->n_participants == 0 && rp_code_is_there(&operation->code) &&
        (operation->processes || pool->devices.automatic)) {
        rp_device *processes;
        RP_TRY(rp_pool_processes(pool, &processes, error));
        add_device(run, processes);
    }
    if (pool->host->backend->unsupported_reason(pool->host, operation) == NULL)
        add_host(run);
    return run->n_participants == 0 && run->host == NULL ? nobody_can(run, error) : ROWPOOL_OK;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

static rowpool_status no_memory(const rp_run *run, rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a map on %zu devices", run->pool->devices.used);
}

void rp_run_release_data(rp_run *run)
{
    for (size_t i = 0; i < run->operation.code.n_inputs; i++) {
        rp_data_release(run->data[i]);
        run->data[i] = NULL;
    }
}

/* Tasks, data that stays and the work queue. Of several inputs that stay on devices the one with the most partitions says
 * how the rows are cut. */
static rowpool_status prepare_work(rp_run *run, rowpool_error *error)
{
    const rp_operation *operation = &run->operation;
    rowpool_data *finest = NULL;
    run->tasks = calloc(rp_max(1, run->n_tasks), sizeof *run->tasks);
    if (run->tasks == NULL)
        return no_memory(run, error);
    for (size_t i = 0; i < run->n_tasks; i++) {
        run->tasks[i].next = run->free_tasks;
        run->free_tasks = &run->tasks[i];
    }
    for (size_t i = 0; run->keeps_copies && i < operation->code.n_inputs; i++) {
        run->data[i] = rp_data_find(run->pool, &operation->inputs[i], !rp_operation_splits(operation));
        if (run->data[i] != NULL && (finest == NULL || run->data[i]->n_partitions > finest->n_partitions))
            finest = run->data[i];
        run->has_data |= run->data[i] != NULL;
    }
    rowpool_status status = rp_work_queue_init(&run->work, operation, finest, run->in_order, error);
    if (status != ROWPOOL_OK)
        rp_run_release_data(run);
    return status;
}

static void join_pool(rp_run *run)
{
    rowpool *pool = run->pool;
    rp_lock(&pool->lock);
    run->link = &pool->runs;
    run->next = pool->runs;
    if (run->next != NULL)
        run->next->link = &run->next;
    pool->runs = run;
    for (size_t i = 0; i < run->n_participants; i++) {
        rp_participant *participant = &run->participants[i];
        participant->rate = participant->device->rate;
        participant->left_out = participant->device->left_out;
    }
    rp_unlock(&pool->lock);
}

rowpool_status rp_run_init(rp_run *run, rowpool *pool, const rp_operation *operation, const rp_stream *stream,
                           rp_queue *queue, rowpool_error *error)
{
    *run = (rp_run){.pool = pool, .operation = *operation, .queue = queue, .left = rp_operation_bytes(operation)};
    run->operation.text_hash = rp_text_hash(operation->function->source);
    run->is_stream = stream != NULL;
    run->in_order = run->is_stream && stream->order == ROWPOOL_IN_ORDER;
    if (run->is_stream)
        run->stream = *stream;
    run->begun = rp_clock_ns();
    run->cancellation.deadline = RP_NO_DEADLINE;
    if (operation->timeout_ms > 0)
        rp_run_timeout(run, operation->timeout_ms);
    run->participants = calloc(pool->devices.used + 2, sizeof *run->participants);
    rowpool_status status = run->participants == NULL ? no_memory(run, error) : choose_participants(run, error);
    if (status == ROWPOOL_OK)
        status = prepare_work(run, error);
    if (status != ROWPOOL_OK) {
        free(run->tasks);
        free(run->participants);
        return status;
    }
    join_pool(run);
    return ROWPOOL_OK;
}

void rp_run_destroy(rp_run *run)
{
    rp_lock(&run->pool->lock);
    *run->link = run->next;
    if (run->next != NULL)
        run->next->link = run->link;
    for (size_t i = 0; i < run->n_participants; i++)
        rp_share_remember(run, &run->participants[i]);
    rp_unlock(&run->pool->lock);
    if (run->parts != NULL || run->ready != NULL)
        rp_results_free(run);
    rp_work_queue_destroy(&run->work);
    if (run->has_data)
        rp_run_release_data(run);
    free(run->tasks);
    free(run->participants);
}

void rp_run_timeout(rp_run *run, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? RP_NO_DEADLINE : rp_clock_ns() + (int64_t)timeout_ms * 1000000;
    atomic_store(&run->cancellation.deadline, deadline);
}

void rp_run_record(rp_run *run, const rowpool_error *error)
{
    if (run->status == ROWPOOL_OK) {
        run->status = error->status;
        run->error = *error;
    }
}

void rp_run_stop(rp_run *run)
{
    run->stop = true;
    atomic_store(&run->cancellation.cancelled, true);
}

void rp_run_fail(rp_run *run, const rowpool_error *error)
{
    rp_run_record(run, error);
    rp_run_stop(run);
}

/* Rows whose results the caller has. */
static size_t rows_given(rp_run *run)
{
    return run->is_stream ? run->delivered : atomic_load(&run->rows_done);
}

bool rp_run_is_over(rp_run *run)
{
    if (run->stop || atomic_load_explicit(&run->cancellation.cancelled, memory_order_relaxed))
        return true;
    int64_t deadline = atomic_load_explicit(&run->cancellation.deadline, memory_order_relaxed);
    if (!rp_is_past(deadline) || rp_work_queue_is_empty(&run->work))
        return false;
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ETIMEDOUT, "the time of %lld ms is up after %zu of %zu rows",
            (long long)(deadline - run->begun) / 1000000, rows_given(run), run->operation.inputs->count);
    rp_run_fail(run, &error);
    return true;
}

static void log_participant(const rp_run *run, const rp_participant *participant)
{
    const char *name = run->operation.name, *device = participant->device->info.index;
    const double rate = 1e-9 * participant->rate;
    if (participant->chunks > 0)
        rp_log(RP_LOG_RUN, "%s: device %s did %zu rows in %zu chunks", name, device, participant->rows,
               participant->chunks);
    else if (participant->state == RP_PARTICIPANT_BUILDING)
        rp_log(RP_LOG_RUN, "%s: device %s had no part: its kernel is not built yet", name, device);
    else if (participant->state == RP_PARTICIPANT_READY && rate > 0)
        rp_log(RP_LOG_RUN, "%s: device %s had no part: at its rate, %.3g GB/s, it would hold up the others", name,
               device, rate);
}

static void log_run(const rp_run *run)
{
    const rp_rows *rows = run->operation.inputs;
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: %zu chunks: %s", run->operation.name,
           rows->count, rp_operation_elements(&run->operation), rows->dtype->name, run->operation.columns, run->chunks,
           run->status == ROWPOOL_OK ? "done" : run->error.message);
    for (size_t i = 0; i < run->n_participants; i++)
        log_participant(run, &run->participants[i]);
    if (run->host != NULL && run->host->chunks > 0)
        log_participant(run, run->host);
}

rowpool_status rp_run_status(rp_run *run, rowpool_error *error)
{
    const rp_rows *rows = run->operation.inputs;
    rowpool_error ending;
    if (run->status == ROWPOOL_OK && (!rp_work_queue_is_empty(&run->work) || run->ready != NULL)) {
        rp_fail(&ending, ROWPOOL_ECANCELED, "cancelled after %zu of %zu rows", rows_given(run), rows->count);
        rp_run_record(run, &ending);
    }
    size_t lost = run->status == ROWPOOL_EWORKER ? rows->count - rows_given(run) : 0;
    if (lost > 1) {
        ending = run->error;
        rp_fail(&run->error, ending.status, "%.900s; in all, %zu rows have no result", ending.message, lost);
    }
    if (rp_log_on(RP_LOG_RUN))
        log_run(run);
    if (run->status != ROWPOOL_OK && error != NULL)
        *error = run->error;
    return run->status;
}

/* ---- Trace ------------------------------------------------------------------------------------------------------ */

enum { CHUNK_TEXT = 256 };

static void describe_chunk(const rp_run *run, const rp_chunk *chunk, char text[CHUNK_TEXT])
{
    const size_t row = rp_operation_index(&run->operation, chunk);
    if (chunk->partial)
        snprintf(text, CHUNK_TEXT, "%s: elements %zu to %zu of row %zu", run->operation.name, chunk->begin,
                 chunk->end - 1, row);
    else
        snprintf(text, CHUNK_TEXT, "%s: rows %zu to %zu", run->operation.name, row, row + chunk->rows - 1);
}

static void trace_task(const rp_run *run, const rp_task *task)
{
    char text[CHUNK_TEXT];
    describe_chunk(run, &task->chunk, text);
    rp_trace_span(task->device->info.index, "chunk", task->begin, rp_clock_now(), text);
}

static void trace_retry(const rp_run *run, const rp_participant *participant, const rp_chunk *chunk)
{
    char text[CHUNK_TEXT];
    if (!rp_trace_on())
        return;
    describe_chunk(run, chunk, text);
    rp_trace_instant(participant->device->info.index, "retry", text);
}

/* ---- The next chunk --------------------------------------------------------------------------------------------- */

/* The next chunk for a participant, and the bytes of its elements. False: there is none, or not now. */
static bool next_chunk(rp_run *run, rp_participant *participant, rp_chunk *chunk, size_t *bytes)
{
    const rp_device *device = participant->device;
    const bool again = run->work.n_again > 0;
    if (rp_run_is_over(run))
        return false;
    if (!again && run->n_ready >= run->n_tasks) /* back-pressure: the stream's callback is slower than the devices */
        return false;
    rp_take take = {.device = device, .limits = participant->limits};
    take.limits.work = rp_share_work(run, participant);
    if (run->has_data) {
        participant->max_partition = take.max_partition = rp_share_max_partition(run, participant);
        /* Whole partitions suit a device that works on one chunk at a time and has the memory for any. */
        take.whole_to_keep = device->parallel <= 1 && participant->max_chunk >= device->chunk_bytes;
        take.whole_if_kept = take.whole_to_keep && run->n_participants <= 1;
    }
    if (!rp_work_queue_next(&run->work, &take, chunk))
        return false;
    *bytes = rp_share_bytes(run, chunk);
    if (again)
        trace_retry(run, participant, chunk);
    else
        run->left -= *bytes;
    return true;
}

void rp_run_return(rp_run *run, const rp_chunk *chunk)
{
    if (rp_work_queue_return(&run->work, chunk))
        return;
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for rows that are to run again");
    rp_run_fail(run, &error);
}

/* ---- Copies that stay ------------------------------------------------------------------------------------------- */

static void use_copies(rp_run *run, rp_task *task)
{
    for (size_t i = 0; i < run->operation.code.n_inputs; i++)
        if (run->data[i] != NULL)
            task->uses[i] = rp_data_use(run->data[i], task->device, &task->chunk, task->participant->max_partition);
}

/* Whether a task made a copy of more rows than its own: its time says nothing about its device's rate. */
static bool copied_more(const rp_run *run, const rp_task *task, size_t i)
{
    const rp_rows *rows = &run->operation.inputs[i];
    const rp_partition_use *use = &task->uses[i];
    return use->keep && use->copy != NULL &&
           rp_chunk_elements(rows, &use->tile) > rp_chunk_elements(rows, &task->chunk);
}

static void record_copies(rp_run *run, rp_task *task)
{
    for (size_t i = 0; i < run->operation.code.n_inputs; i++) {
        task->late |= copied_more(run, task, i);
        rp_data_copied(run->data[i], &task->uses[i]);
    }
}

/* After a task's end. True: there was no memory for rows that were to stay; without that they may fit. */
static bool settle_copies(rp_run *run, rp_task *task, rowpool_status status)
{
    bool without = false;
    for (size_t i = 0; i < run->operation.code.n_inputs; i++) {
        without |= task->uses[i].keep && status == ROWPOOL_ENOMEM;
        task->late |= copied_more(run, task, i);
        rp_data_task_ended(run->data[i], &task->uses[i], status);
    }
    return without;
}

/* ---- Submit and complete ---------------------------------------------------------------------------------------- */

static void free_task(rp_run *run, rp_task *task)
{
    free(task->buffer);
    task->buffer = NULL;
    task->next = run->free_tasks;
    run->free_tasks = task;
}

static void count_in(rp_run *run, rp_task *task)
{
    rp_participant *participant = task->participant;
    if (participant->in_flight == 0)
        participant->busy_since = task->begin;
    participant->pending += task->bytes;
    participant->in_flight++;
    run->in_flight++;
}

static void count_out(rp_run *run, rp_task *task)
{
    task->participant->pending -= task->bytes;
    task->participant->in_flight--;
    run->in_flight--;
}

/* A submit that took long, for a compiler or a copy, kept this thread from noticing the end of other tasks. */
static void mark_late_tasks(rp_run *run, const rp_task *submitted)
{
    if (rp_clock_seconds(submitted->begin, rp_clock_now()) <= RP_MAX_SECONDS)
        return;
    for (size_t i = 0; i < run->n_tasks; i++)
        run->tasks[i].late |= &run->tasks[i] != submitted;
}

/* A task that was not submitted, or that failed. */
static void task_failed(rp_run *run, rp_task *task, rowpool_status status, bool blamed, const rowpool_error *error)
{
    const rp_chunk chunk = task->chunk;
    const bool without_copies = settle_copies(run, task, status);
    free_task(run, task);
    if (without_copies)
        rp_run_return(run, &chunk);
    else
        rp_retry(run, task->participant, &chunk, blamed, error);
}

static void submit(rp_run *run, rp_participant *participant, const rp_chunk *chunk, size_t bytes)
{
    rp_device *device = participant->device;
    rp_task *task = run->free_tasks;
    rowpool_error error;
    run->free_tasks = task->next;
    *task = (rp_task){.operation = &run->operation,
                      .chunk = *chunk,
                      .device = device,
                      .home = run->queue,
                      .cancellation = &run->cancellation,
                      .run = run,
                      .participant = participant,
                      .begin = rp_clock_now(),
                      .bytes = bytes};
    if (!rp_results_place(run, task)) {
        free_task(run, task);
        return;
    }
    if (run->has_data)
        use_copies(run, task);
    count_in(run, task); /* before submit: the completion may already be there when it returns */
    rowpool_status status = device->backend->submit(device, task, &error);
    if (run->in_flight > 1)
        mark_late_tasks(run, task);
    if (status != ROWPOOL_OK) {
        count_out(run, task);
        task_failed(run, task, status, false, &error);
        return;
    }
    if (run->has_data)
        record_copies(run, task);
    if (run->queue == NULL) { /* the oldest is the next that is waited for */
        *(run->first_submitted == NULL ? &run->first_submitted : run->last_submitted) = task;
        run->last_submitted = &task->next;
        task->next = NULL;
    }
}

static void task_succeeded(rp_run *run, rp_task *task)
{
    if (run->has_data)
        (void)settle_copies(run, task, ROWPOOL_OK);
    rp_share_end(task->participant, task);
    if (rp_trace_on())
        trace_task(run, task);
    const size_t rows = task->buffer != NULL ? rp_results_take(run, task) : task->chunk.rows;
    task->participant->rows += rows;
    task->participant->chunks++;
    run->chunks++;
    run->barren = 0;
    atomic_fetch_add_explicit(&run->rows_done, rows, memory_order_relaxed);
    rp_pool_count(run->pool, task->device, rows, 1, 0);
    free_task(run, task);
}

void rp_run_complete(rp_run *run, rp_task *task)
{
    rp_device *device = task->device;
    rowpool_error error;
    rowpool_status status = device->backend->finish(device, task, &error);
    count_out(run, task);
    if (status == ROWPOOL_OK)
        task_succeeded(run, task);
    else
        task_failed(run, task, status, task->blamed, &error);
}

/* ---- The loop --------------------------------------------------------------------------------------------------- */

static bool has_work(rp_run *run)
{
    return !rp_run_is_over(run) && !rp_work_queue_is_empty(&run->work);
}

static void fill_participant(rp_run *run, rp_participant *participant)
{
    rp_chunk chunk;
    size_t bytes;
    while (participant->state == RP_PARTICIPANT_READY && participant->in_flight < participant->device->queue_depth &&
           (run->n_participants <= 1 || rp_share_helps(run, participant)) &&
           next_chunk(run, participant, &chunk, &bytes))
        submit(run, participant, &chunk, bytes);
}

/* Asks devices that wait for a compiler whether they are ready now. Nobody else waits for one. */
static void ask_builders(rp_run *run)
{
    for (size_t i = 0; i < run->n_participants; i++) {
        rp_participant *participant = &run->participants[i];
        rp_device *device = participant->device;
        if (participant->state == RP_PARTICIPANT_BUILDING &&
            device->backend->ready(device, &run->operation, run->stood_in))
            rp_run_set_state(run, participant, RP_PARTICIPANT_READY);
    }
    run->stood_in = 0;
}

/* What the host does: the rest, once every device is excluded; a chunk, while nobody is ready. */
static void fill_host(rp_run *run)
{
    const bool all_excluded = run->n_in[RP_PARTICIPANT_EXCLUDED] == run->n_participants;
    const bool stands_in = run->in_flight == 0 && run->n_in[RP_PARTICIPANT_BUILDING] > 0;
    const size_t before = run->left;
    if (run->host != NULL && (all_excluded || stands_in))
        fill_participant(run, run->host);
    else if (all_excluded && run->in_flight == 0 && has_work(run))
        rp_run_fail(run, &run->error);
    run->stood_in = stands_in ? before - run->left : 0;
}

void rp_run_fill(rp_run *run)
{
    if (!run->begun_filling)
        rp_floating_default(&run->callers);
    run->begun_filling = true;
    do { /* again when every submit failed: earlier devices may take what later ones gave back */
        if (run->n_in[RP_PARTICIPANT_BUILDING] > 0)
            ask_builders(run);
        for (size_t i = 0; i < run->n_participants; i++)
            fill_participant(run, &run->participants[i]);
        if (run->n_in[RP_PARTICIPANT_READY] == 0 || run->n_in[RP_PARTICIPANT_BUILDING] > 0)
            fill_host(run);
        if (run->is_stream)
            rp_results_deliver(run);
    } while (run->in_flight == 0 && has_work(run));
}

static rp_task *next_complete(rp_run *run)
{
    if (run->queue != NULL)
        return (rp_task *)rp_queue_pop(run->queue);
    rp_task *task = run->first_submitted;
    run->first_submitted = task->next;
    return task;
}

rowpool_status rp_run_whole(rp_run *run, rowpool_error *error)
{
    rp_queue queue;
    /* One device is waited for in the order of submission; several report to a queue. */
    if (run->n_participants > 1 || !run->participants[0].device->backend->waits) {
        rp_queue_init(&queue);
        run->queue = &queue;
    }
    rp_run_fill(run);
    while (run->in_flight > 0) {
        rp_run_complete(run, next_complete(run));
        rp_run_fill(run);
    }
    rp_floating_restore(&run->callers);
    if (run->queue != NULL)
        rp_queue_destroy(&queue);
    return rp_run_status(run, error);
}
