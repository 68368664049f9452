/* From the queue to the workers: a task becomes a message to the worker that has the fewest. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "base/checked.h"
#include "device/workers/workers.h"

enum {
    BUFFER_LEAST = 64 << 10, /* bytes */
    BUFFER_KEPT = 16 << 20,  /* larger ones are not kept */
    LOOK_MS = 250
};
_Static_assert(RP_WORK_INLINE + PATH_MAX <= RP_WORK_TAIL, "the tail holds what is mostly sent in it");
_Static_assert(2 * ROWPOOL_MOST_INPUTS + 1 <= RP_WORKER_DESCRIPTORS, "a descriptor for each array");

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

void rp_workers_list_init(rp_workers_list *list)
{
    *list = (rp_workers_list){.last = &list->first};
}

void rp_workers_list_push(rp_workers_list *list, rp_workers_flight *flight)
{
    flight->next = NULL;
    *list->last = flight;
    list->last = &flight->next;
}

rp_workers_flight *rp_workers_list_pop(rp_workers_list *list)
{
    rp_workers_flight *flight = list->first;
    if (flight != NULL) {
        list->first = flight->next;
        if (list->first == NULL)
            list->last = &list->first;
    }
    return flight;
}

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

void rp_workers_free_buffer(rp_workers_buffer *buffer)
{
    rp_region_close(&buffer->region);
    free(buffer);
}

static rp_workers_buffer *make_buffer(size_t slot, size_t bytes, rowpool_error *error)
{
    size_t size = BUFFER_LEAST;
    while (size < bytes && size < BUFFER_KEPT)
        size *= 2;
    rp_workers_buffer *buffer = malloc(sizeof *buffer);
    if (buffer == NULL) {
        rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
        return NULL;
    }
    *buffer = (rp_workers_buffer){.slot = slot};
    if (rp_region_open(&buffer->region, rp_max(size, bytes), error) != ROWPOOL_OK) {
        free(buffer);
        return NULL;
    }
    return buffer;
}

/* A buffer that a slot's worker can write `bytes` of results to. */
static rp_workers_buffer *take_buffer(rp_workers_slot *slot, size_t index, size_t bytes, rowpool_error *error)
{
    rp_workers_buffer **link = &slot->buffers;
    while (*link != NULL && (*link)->region.length < bytes)
        link = &(*link)->next;
    rp_workers_buffer *buffer = *link;
    if (buffer == NULL)
        return make_buffer(index, bytes, error);
    *link = buffer->next;
    slot->n_buffers--;
    return buffer;
}

void rp_workers_give_buffer(rp_workers *state, rp_workers_buffer *buffer)
{
    rp_workers_slot *slot = &state->slots[buffer->slot];
    if (slot->n_buffers >= RP_WORKERS_BUFFERS || buffer->region.length > BUFFER_KEPT) {
        rp_workers_free_buffer(buffer);
        return;
    }
    buffer->next = slot->buffers;
    slot->buffers = buffer;
    slot->n_buffers++;
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

typedef struct {
    rp_work work;
    int descriptors[RP_WORKER_DESCRIPTORS];
    size_t n;
} outgoing;

static void append(rp_work *work, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(work->tail + work->tail_size, bytes, n);
    work->tail_size += n;
}

/* Says where bytes at `address`, a part of what `reach` is about, are to be had. */
static void put_place(outgoing *message, rp_place *place, const rp_reach *reach, const void *address, size_t bytes)
{
    *place = (rp_place){.kind = reach->kind, .address = (uintptr_t)address, .bytes = bytes};
    size_t path = reach->kind == RP_REACH_FILE ? strlen(reach->path) + 1 : 0;
    if (path > sizeof message->work.tail - message->work.tail_size || bytes == 0)
        place->kind = RP_REACH_COPY;
    if (place->kind == RP_REACH_COPY)
        return;
    place->offset = reach->offset + (place->address - reach->address);
    place->id = reach->id;
    place->length = reach->length;
    place->device = reach->device;
    place->inode = reach->inode;
    if (place->kind == RP_REACH_FILE)
        append(&message->work, reach->path, path);
    else
        message->descriptors[message->n++] = reach->fd;
}

static rp_reach reach_of(const rp_region *region)
{
    return (rp_reach){.kind = RP_REACH_REGION,
                      .address = (uintptr_t)region->base,
                      .bytes = region->length,
                      .id = region->id,
                      .length = region->length,
                      .fd = region->fd};
}

size_t rp_workers_result_bytes(const rp_task *task)
{
    return rp_operation_chunk_bytes(task->operation, &task->chunk);
}

/* Whether the worker can write to task->results itself. */
static bool in_place(const rp_workers_flight *flight)
{
    const rp_reach *reach = &flight->operation->results;
    uint64_t address = (uintptr_t)flight->task->results, bytes = rp_workers_result_bytes(flight->task);
    return reach->kind == RP_REACH_REGION && address >= reach->address && bytes <= reach->bytes &&
           address - reach->address <= reach->bytes - bytes;
}

static void write_message(outgoing *message, const rp_workers_flight *flight)
{
    const rp_task *task = flight->task;
    const rp_operation *operation = task->operation;
    rp_work *work = &message->work;
    *work = (rp_work){.number = flight->number,
                      .operation = flight->operation->number,
                      .code = operation->code,
                      .form = operation->function->form,
                      .block = rp_operation_block(operation, &task->chunk),
                      .partial = task->chunk.partial,
                      .columns = operation->columns,
                      .arguments = (uintptr_t)operation->arguments,
                      .arguments_size = operation->arguments_size};
    message->n = 0;
    if (flight->operation->source_size > 0) {
        snprintf(work->name, sizeof work->name, "%s", operation->name);
        work->source = (uintptr_t)operation->function->source;
        work->source_size = flight->operation->source_size;
    }
    if (operation->arguments_size <= RP_WORK_INLINE)
        append(work, operation->arguments, operation->arguments_size);
    for (size_t i = 0; i < operation->code.n_inputs; i++) {
        const rp_rows *rows = &operation->inputs[i];
        const rowpool_block_input *input = &work->block.input[i];
        size_t offsets = input->offsets == NULL ? 0 : (work->block.count + 1) * sizeof *input->offsets;
        put_place(message, &work->data[i], &flight->operation->data[i], input->data,
                  rp_chunk_span(rows, &task->chunk) * operation->code.element[i]);
        put_place(message, &work->offsets[i], &flight->operation->offsets[i], input->offsets, offsets);
    }
    if (flight->buffer != NULL) {
        const rp_region *region = &flight->buffer->region;
        rp_reach reach = reach_of(region);
        put_place(message, &work->results, &reach, region->base, rp_workers_result_bytes(task));
    } else {
        put_place(message, &work->results, &flight->operation->results, task->results, rp_workers_result_bytes(task));
    }
}

/* ---- Dispatching: from the queue to the workers ----------------------------------------------------------------- */

static rp_workers_slot *least_busy(const rp_workers *state, const rp_workers_map *operation)
{
    rp_workers_slot *least = NULL;
    for (size_t i = 0; i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        if (slot->state == RP_WORKERS_READY && slot->tasks < RP_WORKERS_DEPTH && rp_workers_serves(slot, operation) &&
            (least == NULL || slot->tasks < least->tasks))
            least = slot;
    }
    return least;
}

/* The timer, not a wait with a time-out: so the supervisor is not woken by every map. */
void rp_workers_watch(rp_workers *state)
{
    if (state->watching)
        return;
    struct itimerspec when = {.it_value.tv_nsec = LOOK_MS * 1000000};
    timerfd_settime(state->timer, 0, &when, NULL);
    state->watching = true;
}

typedef enum { SENT, NOT_NOW, NEVER } sending;

/* Sends the task at the head of the queue to a slot's worker. NEVER: task->error says why. */
static sending send_to(rp_workers *state, rp_workers_slot *slot, rp_workers_flight *flight)
{
    rp_task *task = flight->task;
    if (!in_place(flight)) {
        flight->buffer = take_buffer(slot, (size_t)(slot - state->slots), rp_workers_result_bytes(task), &task->error);
        if (flight->buffer == NULL)
            return NEVER;
    }
    outgoing message;
    write_message(&message, flight);
    int failure = rp_worker_send(&slot->worker, &message.work, rp_work_size(&message.work), message.descriptors,
                                 message.n);
    if (failure == 0)
        return SENT;
    if (flight->buffer != NULL)
        rp_workers_give_buffer(state, flight->buffer);
    flight->buffer = NULL;
    if (failure == EPIPE || failure == ECONNRESET) {
        slot->state = RP_WORKERS_LEAVING;
        return NOT_NOW;
    }
    if (slot->tasks > 0)
        return NOT_NOW; /* its answers make room */
    rp_fail(&task->error, ROWPOOL_ESYSTEM, "cannot send a task to worker process %d: %s", (int)slot->worker.pid,
            strerror(failure));
    return NEVER;
}

bool rp_workers_is_unwanted(const rp_task *task)
{
    const rp_cancellation *cancellation = task->cancellation;
    return cancellation != NULL &&
           (atomic_load(&cancellation->cancelled) || rp_is_past(atomic_load(&cancellation->deadline)));
}

/* Takes tasks whose results were no longer wanted before they were sent off the head of the queue. */
static void drop_unwanted(rp_workers *state, rp_workers_list *done)
{
    for (rp_task *task; state->queue.first != NULL;) {
        task = state->queue.first->task;
        if (!rp_workers_is_unwanted(task))
            return;
        task->status = rp_fail(&task->error, ROWPOOL_ECANCELED, "no longer wanted before a worker process had it");
        rp_workers_list_push(done, rp_workers_list_pop(&state->queue));
    }
}

void rp_workers_dispatch(rp_workers *state, rp_workers_list *done)
{
    rp_workers_slot *slot;
    drop_unwanted(state, done);
    while (state->queue.first != NULL && (slot = least_busy(state, state->queue.first->operation)) != NULL) {
        switch (send_to(state, slot, state->queue.first)) {
        case SENT:
            rp_workers_list_push(&slot->sent, rp_workers_list_pop(&state->queue));
            slot->tasks++;
            state->sent++;
            rp_workers_watch(state);
            break;
        case NEVER:
            state->queue.first->task->status = state->queue.first->task->error.status;
            rp_workers_list_push(done, rp_workers_list_pop(&state->queue));
            break;
        case NOT_NOW:
            if (slot->state == RP_WORKERS_READY)
                return;
            break; /* another worker may take it */
        }
        drop_unwanted(state, done);
    }
}

void rp_workers_deliver(rp_workers_list *done)
{
    for (rp_workers_flight *flight; (flight = rp_workers_list_pop(done)) != NULL;)
        rp_queue_push(flight->task->home,
                      &flight->task->message.link); /* it may be finished, and freed, from here on */
}

void rp_workers_wake(const rp_workers *state)
{
    eventfd_write(state->wake, 1);
}
