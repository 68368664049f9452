/* From the queue to the workers: a task becomes a message to the worker that has the fewest tasks. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

#include "base/checked.h"
#include "device/workers/workers.h"

enum {
    MIN_BUFFER = 64 << 10, /* bytes */
    MAX_KEPT = 16 << 20,   /* bytes: larger buffers are not kept */
    LOOK_MS = 250
};
_Static_assert(RP_MESSAGE_ARGUMENTS + PATH_MAX <= RP_MESSAGE_TAIL, "the tail holds arguments and one long path");
_Static_assert(2 * ROWPOOL_MOST_INPUTS + 1 <= RP_WORKER_DESCRIPTORS, "a descriptor for each array");

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

void rp_workers_list_init(rp_workers_list *list)
{
    *list = (rp_workers_list){.last = &list->first};
}

void rp_workers_list_push(rp_workers_list *list, rp_workers_task *own)
{
    own->next = NULL;
    *list->last = own;
    list->last = &own->next;
}

rp_workers_task *rp_workers_list_pop(rp_workers_list *list)
{
    rp_workers_task *own = list->first;
    if (own != NULL) {
        list->first = own->next;
        if (list->first == NULL)
            list->last = &list->first;
    }
    return own;
}

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

/* Gives a task a buffer for its results: one that its slot has kept, or a new one. */
static rowpool_status take_buffer(rp_workers_slot *slot, rp_workers_task *own, rowpool_error *error)
{
    const size_t bytes = rp_workers_result_bytes(own->task);
    size_t size = MIN_BUFFER;
    for (size_t i = 0; i < slot->n_kept; i++)
        if (slot->kept[i].length >= bytes) {
            own->buffer = slot->kept[i];
            slot->kept[i] = slot->kept[--slot->n_kept];
            return ROWPOOL_OK;
        }
    while (size < bytes && size < MAX_KEPT)
        size *= 2;
    return rp_region_open(&own->buffer, rp_max(size, bytes), error);
}

void rp_workers_give_buffer(rp_workers *state, rp_workers_task *own)
{
    rp_workers_slot *slot = &state->slots[own->slot];
    if (own->buffer.base == NULL)
        return;
    if (slot->n_kept < RP_WORKERS_BUFFERS && own->buffer.length <= MAX_KEPT)
        slot->kept[slot->n_kept++] = own->buffer;
    else
        rp_region_close(&own->buffer);
    own->buffer.base = NULL;
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

typedef struct {
    rp_task_message message;
    int descriptors[RP_WORKER_DESCRIPTORS];
    size_t n;
} outgoing;

static void append_to_tail(rp_task_message *message, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(message->tail + message->tail_size, bytes, n);
    message->tail_size += n;
}

/* Fills in the place of `bytes` bytes at `address`, a part of the range of `reach`. */
static void put_place(outgoing *out, rp_place *place, const rp_reach *reach, const void *address, size_t bytes)
{
    rp_task_message *message = &out->message;
    size_t path = reach->place.kind == RP_REACH_FILE ? strlen(reach->path) + 1 : 0;
    *place = reach->place;
    place->address = (uintptr_t)address;
    place->bytes = bytes;
    place->offset += place->address - reach->place.address;
    if (path > sizeof message->tail - message->tail_size || bytes == 0)
        place->kind = RP_REACH_COPY;
    if (place->kind == RP_REACH_FILE)
        append_to_tail(message, reach->path, path);
    else if (place->kind == RP_REACH_REGION)
        out->descriptors[out->n++] = reach->fd;
}

size_t rp_workers_result_bytes(const rp_task *task)
{
    return rp_operation_chunk_bytes(task->operation, &task->chunk);
}

/* Whether the worker can write to task->results itself. */
static bool is_in_place(const rp_workers_task *own)
{
    const rp_place *results = &own->operation->results.place;
    uint64_t address = (uintptr_t)own->task->results, bytes = rp_workers_result_bytes(own->task);
    return results->kind == RP_REACH_REGION && address >= results->address && bytes <= results->bytes &&
           address - results->address <= results->bytes - bytes;
}

static void put_results(outgoing *out, const rp_workers_task *own)
{
    rp_place *place = &out->message.results;
    const size_t bytes = rp_workers_result_bytes(own->task);
    if (own->buffer.base == NULL) {
        put_place(out, place, &own->operation->results, own->task->results, bytes);
        return;
    }
    const rp_region *region = &own->buffer;
    const rp_reach reach = {.place = {.kind = RP_REACH_REGION,
                                      .address = (uintptr_t)region->base,
                                      .id = region->id,
                                      .length = region->length},
                            .fd = region->fd};
    put_place(out, place, &reach, region->base, bytes);
}

static void write_message(outgoing *out, const rp_workers_task *own)
{
    const rp_task *task = own->task;
    const rp_operation *operation = task->operation;
    rp_task_message *message = &out->message;
    *message = (rp_task_message){.number = own->number,
                                 .operation = own->operation->number,
                                 .code = operation->code,
                                 .form = operation->function->form,
                                 .partial = task->chunk.partial,
                                 .columns = operation->columns,
                                 .arguments = (uintptr_t)operation->arguments,
                                 .arguments_size = operation->arguments_size};
    rp_operation_block(operation, &task->chunk, &message->block);
    out->n = 0;
    if (own->operation->source_size > 0) {
        snprintf(message->name, sizeof message->name, "%s", operation->name);
        message->source = (uintptr_t)operation->function->source;
        message->source_size = own->operation->source_size;
    }
    if (operation->arguments_size <= RP_MESSAGE_ARGUMENTS)
        append_to_tail(message, operation->arguments, operation->arguments_size);
    for (size_t i = 0; i < operation->code.n_inputs; i++) {
        const rp_rows *rows = &operation->inputs[i];
        const rowpool_block_input *input = &message->block.input[i];
        size_t offsets = input->offsets == NULL ? 0 : (message->block.count + 1) * sizeof *input->offsets;
        put_place(out, &message->data[i], &own->operation->data[i], input->data,
                  rp_chunk_span(rows, &task->chunk) * operation->code.element[i]);
        put_place(out, &message->offsets[i], &own->operation->offsets[i], input->offsets, offsets);
    }
    put_results(out, own);
}

/* ---- Dispatching ------------------------------------------------------------------------------------------------ */

static rp_workers_slot *least_busy(const rp_workers *state, const rp_workers_operation *operation)
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

/* Starts a timer. A wait with a time-out would have to wake the supervisor for every map. */
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
static sending send_to(rp_workers *state, rp_workers_slot *slot, rp_workers_task *own)
{
    rp_task *task = own->task;
    own->slot = rp_workers_index(state, slot);
    if (!is_in_place(own) && take_buffer(slot, own, &task->error) != ROWPOOL_OK)
        return NEVER;
    outgoing out;
    write_message(&out, own);
    int failure = rp_worker_send(&slot->worker, &out.message, rp_task_message_size(&out.message), out.descriptors,
                                 out.n);
    if (failure == 0)
        return SENT;
    rp_workers_give_buffer(state, own);
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

/* Removes the task at the head of the queue, as completed. */
static void end_first(rp_workers *state, rowpool_status status, rp_workers_list *done)
{
    rp_workers_task *own = rp_workers_list_pop(&state->queue);
    own->task->status = status;
    rp_workers_list_push(done, own);
}

static void drop_unwanted(rp_workers *state, rp_workers_list *done)
{
    while (state->queue.first != NULL && rp_workers_is_unwanted(state->queue.first->task)) {
        rowpool_error *error = &state->queue.first->task->error;
        end_first(state, rp_fail(error, ROWPOOL_ECANCELED, "cancelled before a worker process had it"), done);
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
            end_first(state, state->queue.first->task->error.status, done);
            break;
        case NOT_NOW:
            if (slot->state == RP_WORKERS_READY)
                return;
            break; /* another worker may take it */
        }
        drop_unwanted(state, done);
    }
}

/* A task's owner may finish and free it as soon as it is pushed. */
void rp_workers_deliver(rp_workers_list *done)
{
    for (rp_workers_task *own; (own = rp_workers_list_pop(done)) != NULL;)
        rp_queue_push(own->task->home, &own->task->message.link);
}
