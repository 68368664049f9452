/* Beginning and end of a run: which devices take part, the work queue, what is released. */
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
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

/* The host comes after the last participant and is not counted. If nobody named the devices, it stands in while they
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
            rp_log(RP_LOG_RUN, "%s: device %s took no part: %s", operation->name, device->info.index, reason);
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

/* Tasks, data that stays and the work queue. If several inputs stay on devices, the one with the most partitions
 * determines how the rows are cut. */
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
