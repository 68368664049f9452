/* The loop of a run: next chunk, submit, complete, settle. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/floating.h"
#include "base/trace.h"
#include "sched/pool.h"

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
        /* Whole partitions suit a device that works on one chunk at a time and has not run out of memory. */
        take.whole_to_keep = device->parallel <= 1 && participant->max_chunk >= device->chunk_bytes;
        take.whole_if_kept = take.whole_to_keep && run->n_participants <= 1;
    }
    if (!rp_work_queue_next(&run->work, &take, chunk))
        return false;
    *bytes = rp_share_bytes(run, chunk);
    if (again)
        rp_run_trace_retry(run, participant, chunk);
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

/* Whether a task copied more rows than its own: then its time says nothing about its device's rate. */
static bool copied_more(const rp_run *run, const rp_task *task, size_t i)
{
    const rp_rows *rows = &run->operation.inputs[i];
    const rp_partition_use *use = &task->uses[i];
    return use->keep && use->copy != NULL &&
           rp_chunk_elements(rows, &use->partition) > rp_chunk_elements(rows, &task->chunk);
}

static void record_copies(rp_run *run, rp_task *task)
{
    for (size_t i = 0; i < run->operation.code.n_inputs; i++) {
        task->late |= copied_more(run, task, i);
        rp_data_copied(run->data[i], &task->uses[i]);
    }
}

/* After a task's end. True: there was no memory for a copy that was to stay; without it the chunk may fit. */
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
    if (run->queue == NULL) { /* tasks are waited for oldest first */
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
        rp_run_trace_task(run, task);
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

/* Asks devices that are building whether they are ready now. */
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

/* Gives the host the rest once every device is excluded, and a chunk while devices build and nothing is in flight. */
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
