/* Chunks computed by worker processes, started when the device is opened and kept.
 *
 * They are started at open, not with the first map: an application opens its pool before it loads its data, and what it
 * has not loaded yet is neither copied into the workers' page tables nor again on the first write afterwards; and a
 * machine that gives no process says so at the door. */
#include "backend/fork.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/thread.h"
#include "core/builtin.h"

enum {
    CHUNK_BYTES = 4 << 20,   /* a task costs some 20 microseconds besides its work, this much of it 300 or so */
    REACH_FILES = 1 << 20,   /* arrays from this size on are looked up in /proc/self/maps: smaller ones are copied
                                in the time that takes */
    BUFFER_LEAST = 64 << 10, /* bytes */
    BUFFER_KEPT = 16 << 20,  /* larger ones are not kept, */
    BUFFERS_KEPT = RP_FORK_DEPTH + 1, /* nor more of them for each slot: one waits for finish */
    STOP_CHECK_MS = 250
};
_Static_assert(RP_WORK_INLINE + PATH_MAX <= RP_WORK_TAIL, "the tail holds what is mostly sent in it");
_Static_assert(2 * ROWPOOL_MOST_INPUTS + 1 <= RP_WORKER_DESCRIPTORS, "a descriptor for each array");

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

void rp_fork_list_init(rp_fork_list *list)
{
    *list = (rp_fork_list){.last = &list->first};
}

void rp_fork_list_push(rp_fork_list *list, rp_fork_flight *flight)
{
    flight->next = NULL;
    *list->last = flight;
    list->last = &flight->next;
}

rp_fork_flight *rp_fork_list_pop(rp_fork_list *list)
{
    rp_fork_flight *flight = list->first;
    if (flight != NULL) {
        list->first = flight->next;
        if (list->first == NULL)
            list->last = &list->first;
    }
    return flight;
}

/* ---- Libraries --------------------------------------------------------------------------------------------------- */

static int note_additions(struct dl_phdr_info *info, size_t size, void *additions)
{
    (void)size;
    *(uint64_t *)additions = info->dlpi_adds;
    return 1;
}

uint64_t rp_fork_libraries(void)
{
    uint64_t additions = 0;
    dl_iterate_phdr(note_additions, &additions);
    return additions;
}

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

static void find_arrays(rp_fork_map *known)
{
    const rp_map *map = known->map;
    rp_chunk whole = {.rows = map->inputs->count};
    rowpool_block block = rp_map_block(map, &whole);
    for (size_t i = 0; i < map->code.n_inputs; i++) {
        const rp_rows *rows = &map->inputs[i];
        size_t data = rp_chunk_span(rows, &whole) * rows->dtype->size;
        size_t offsets = rows->offsets == NULL ? 0 : (rows->count + 1) * sizeof *rows->offsets;
        rp_reach_find(block.input[i].data, data, data >= REACH_FILES, &known->data[i]);
        rp_reach_find(block.input[i].offsets, offsets, offsets >= REACH_FILES, &known->offsets[i]);
    }
    size_t results = map->results == NULL ? 0 : whole.rows * rp_map_row_bytes(map);
    rp_reach_find(map->results, results, false, &known->results);
}

/* The entry of a map, made when this is its first task. The lock is held. NULL: out of memory. */
static rp_fork_map *enter_map(rp_fork_state *state, const rp_map *map)
{
    rp_fork_map *known = state->maps;
    while (known != NULL && known->map != map)
        known = known->next;
    if (known == NULL) {
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return NULL;
        known->map = map;
        known->number = ++state->numbers;
        known->source_size = state->kind->program ? strlen(map->function->source) + 1 : 0;
        known->libraries = state->kind->program || rp_is_builtin(map->function) ? 0 : rp_fork_libraries();
        find_arrays(known);
        known->next = state->maps;
        state->maps = known;
    }
    known->tasks++;
    return known;
}

static void release_map(rp_fork_map *known)
{
    for (size_t i = 0; i < known->map->code.n_inputs; i++) {
        rp_reach_release(&known->data[i]);
        rp_reach_release(&known->offsets[i]);
    }
    rp_reach_release(&known->results);
    free(known);
}

static void leave_map(rp_fork_state *state, rp_fork_map *known)
{
    if (--known->tasks > 0)
        return;
    rp_fork_map **link = &state->maps;
    while (*link != known)
        link = &(*link)->next;
    *link = known->next;
    release_map(known);
}

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

static void free_buffer(rp_fork_buffer *buffer)
{
    rp_region_close(&buffer->region);
    free(buffer);
}

static rp_fork_buffer *make_buffer(size_t slot, size_t bytes, rowpool_error *error)
{
    size_t size = BUFFER_LEAST;
    while (size < bytes && size < BUFFER_KEPT)
        size *= 2;
    rp_fork_buffer *buffer = malloc(sizeof *buffer);
    if (buffer == NULL) {
        rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
        return NULL;
    }
    *buffer = (rp_fork_buffer){.slot = slot};
    if (rp_region_open(&buffer->region, rp_max(size, bytes), error) != ROWPOOL_OK) {
        free(buffer);
        return NULL;
    }
    return buffer;
}

/* A buffer that a slot's worker can write `bytes` of results to. */
static rp_fork_buffer *take_buffer(rp_fork_slot *slot, size_t index, size_t bytes, rowpool_error *error)
{
    rp_fork_buffer **link = &slot->buffers;
    while (*link != NULL && (*link)->region.length < bytes)
        link = &(*link)->next;
    rp_fork_buffer *buffer = *link;
    if (buffer == NULL)
        return make_buffer(index, bytes, error);
    *link = buffer->next;
    slot->n_buffers--;
    return buffer;
}

static void give_buffer(rp_fork_state *state, rp_fork_buffer *buffer)
{
    rp_fork_slot *slot = &state->slots[buffer->slot];
    if (slot->n_buffers >= BUFFERS_KEPT || buffer->region.length > BUFFER_KEPT) {
        free_buffer(buffer);
        return;
    }
    buffer->next = slot->buffers;
    slot->buffers = buffer;
    slot->n_buffers++;
}

/* ---- Copies that stay --------------------------------------------------------------------------------------------
 */

/* A tile of private rows, once more in shared memory: strided rows without the gaps between them, then offsets. */
struct rp_kept {
    rp_region region;
    size_t offsets_at;
};

static void copy_rows(char *into, const rp_rows *rows, const rp_chunk *tile)
{
    size_t size = rows->dtype->size, width = rows->width * size;
    const char *from = rows->data + rp_chunk_origin(rows, tile) * size;
    if (tile->partial || rows->stride == rows->width) { /* ragged rows have neither */
        memcpy(into, from, rp_chunk_span(rows, tile) * size);
        return;
    }
    for (size_t row = 0; row < tile->rows; row++)
        memcpy(into + row * width, from + row * rows->stride * size, width);
}

/* The lowest free number is given: the upper half of the descriptors stays the application's, and the workers'. */
static bool takes_too_many(int descriptor)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)descriptor >= limit.rlim_cur / 2;
}

static rowpool_status make_copy(const rp_rows *rows, const rp_chunk *tile, rp_kept **made, rowpool_error *error)
{
    size_t bytes = rp_chunk_elements(rows, tile) * rows->dtype->size;
    size_t offsets_at = rp_ceil_div(bytes, sizeof *rows->offsets) * sizeof *rows->offsets;
    bool ragged = rows->offsets != NULL && !tile->partial;
    size_t offset_bytes = ragged ? (tile->rows + 1) * sizeof *rows->offsets : 0;
    rp_kept *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    *copy = (rp_kept){.offsets_at = offsets_at};
    if (rp_region_open(&copy->region, offsets_at + offset_bytes, error) != ROWPOOL_OK) {
        free(copy);
        return ROWPOOL_ENOMEM; /* or descriptors: it can do without */
    }
    if (takes_too_many(copy->region.fd)) {
        rp_region_close(&copy->region);
        free(copy);
        return rp_fail(error, ROWPOOL_ENOMEM, "half of the files that may be open are");
    }
    if (bytes > 0)
        copy_rows(copy->region.base, rows, tile);
    if (ragged)
        memcpy(copy->region.base + offsets_at, rows->offsets + tile->row, offset_bytes);
    *made = copy;
    return ROWPOOL_OK;
}

static void drop_copy(rp_device *device, rp_kept *copy)
{
    (void)device;
    rp_region_close(&copy->region);
    free(copy);
}

/* Makes the copies that are to stay: of what workers would otherwise copy themselves. */
static rowpool_status make_copies(const rp_fork_flight *flight, rowpool_error *error)
{
    rp_task *task = flight->task;
    for (size_t i = 0; i < task->map->code.n_inputs; i++) {
        rp_resident *resident = &task->resident[i];
        if (resident->keep && flight->map->data[i].kind == RP_REACH_COPY)
            RP_TRY(make_copy(&task->map->inputs[i], &resident->tile, &resident->copy, error));
    }
    return ROWPOOL_OK;
}

/* The chunk's rows as they lie in a copy: this process has it too, so that a worker that cannot map it can read it. */
static void look_in_copy(const rp_task *task, size_t i, rowpool_block_input *input)
{
    const rp_rows *rows = &task->map->inputs[i];
    const rp_resident *resident = &task->resident[i];
    char *base = resident->copy->region.base;
    const int64_t *offsets = (const void *)(base + resident->copy->offsets_at);
    input->data = base + rp_chunk_begin_in(rows, &resident->tile, &task->chunk) * rows->dtype->size;
    input->stride = rows->width;
    if (input->offsets != NULL)
        input->offsets = offsets + (task->chunk.row - resident->tile.row);
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

static size_t result_bytes(const rp_task *task)
{
    return rp_map_chunk_bytes(task->map, &task->chunk);
}

/* Whether the worker can write to task->results itself. */
static bool in_place(const rp_fork_flight *flight)
{
    const rp_reach *reach = &flight->map->results;
    uint64_t address = (uintptr_t)flight->task->results, bytes = result_bytes(flight->task);
    return reach->kind == RP_REACH_REGION && address >= reach->address && bytes <= reach->bytes &&
           address - reach->address <= reach->bytes - bytes;
}

static void write_message(outgoing *message, const rp_fork_flight *flight)
{
    const rp_task *task = flight->task;
    const rp_map *map = task->map;
    rp_work *work = &message->work;
    *work = (rp_work){.number = flight->number,
                      .map = flight->map->number,
                      .code = map->code,
                      .form = map->function->form,
                      .block = rp_map_block(map, &task->chunk),
                      .partial = task->chunk.partial,
                      .columns = map->columns,
                      .arguments = (uintptr_t)map->arguments,
                      .arguments_size = map->arguments_size};
    message->n = 0;
    if (flight->map->source_size > 0) {
        snprintf(work->name, sizeof work->name, "%s", map->name);
        work->source = (uintptr_t)map->function->source;
        work->source_size = flight->map->source_size;
    }
    if (map->arguments_size <= RP_WORK_INLINE)
        append(work, map->arguments, map->arguments_size);
    for (size_t i = 0; i < map->code.n_inputs; i++) {
        const rp_rows *rows = &map->inputs[i];
        const rp_kept *copy = task->resident[i].copy;
        rowpool_block_input *input = &work->block.input[i];
        if (copy != NULL)
            look_in_copy(task, i, input);
        rp_reach whole = copy != NULL ? reach_of(&copy->region) : (rp_reach){0};
        size_t elements = copy != NULL ? rp_chunk_elements(rows, &task->chunk) : rp_chunk_span(rows, &task->chunk);
        size_t offsets = input->offsets == NULL ? 0 : (work->block.count + 1) * sizeof *input->offsets;
        put_place(message, &work->data[i], copy != NULL ? &whole : &flight->map->data[i], input->data,
                  elements * map->code.element[i]);
        put_place(message, &work->offsets[i], copy != NULL ? &whole : &flight->map->offsets[i], input->offsets,
                  offsets);
    }
    if (flight->buffer != NULL) {
        const rp_region *region = &flight->buffer->region;
        rp_reach reach = reach_of(region);
        put_place(message, &work->results, &reach, region->base, result_bytes(task));
    } else {
        put_place(message, &work->results, &flight->map->results, task->results, result_bytes(task));
    }
}

/* ---- Dispatching: from the queue to the workers ----------------------------------------------------------------- */

static rp_fork_slot *least_busy(const rp_fork_state *state, const rp_fork_map *map)
{
    rp_fork_slot *least = NULL;
    for (size_t i = 0; i < state->workers; i++) {
        rp_fork_slot *slot = &state->slots[i];
        if (slot->state == RP_FORK_READY && slot->tasks < RP_FORK_DEPTH && rp_fork_serves(slot, map) &&
            (least == NULL || slot->tasks < least->tasks))
            least = slot;
    }
    return least;
}

/* The timer, not a wait with a time-out: so the supervisor is not woken by every map. */
void rp_fork_watch(rp_fork_state *state)
{
    if (state->watching)
        return;
    struct itimerspec when = {.it_value.tv_nsec = STOP_CHECK_MS * 1000000};
    timerfd_settime(state->timer, 0, &when, NULL);
    state->watching = true;
}

typedef enum { SENT, NOT_NOW, NEVER } sending;

/* Sends the task at the head of the queue to a slot's worker. NEVER: task->error says why. */
static sending send_to(rp_fork_state *state, rp_fork_slot *slot, rp_fork_flight *flight)
{
    rp_task *task = flight->task;
    if (!in_place(flight)) {
        flight->buffer = take_buffer(slot, (size_t)(slot - state->slots), result_bytes(task), &task->error);
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
        give_buffer(state, flight->buffer);
    flight->buffer = NULL;
    if (failure == EPIPE || failure == ECONNRESET) {
        slot->state = RP_FORK_LEAVING;
        return NOT_NOW;
    }
    if (slot->tasks > 0)
        return NOT_NOW; /* its answers make room */
    rp_fail(&task->error, ROWPOOL_ESYSTEM, "cannot send a task to worker process %d: %s", (int)slot->worker.pid,
            strerror(failure));
    return NEVER;
}

static bool is_unwanted(const rp_task *task)
{
    const rp_patience *patience = task->patience;
    return patience != NULL && (atomic_load(&patience->cancelled) || rp_is_past(atomic_load(&patience->deadline)));
}

/* Takes tasks whose results were no longer wanted before they were sent off the head of the queue. */
static void drop_unwanted(rp_fork_state *state, rp_fork_list *done)
{
    for (rp_task *task; state->queue.first != NULL;) {
        task = state->queue.first->task;
        if (!is_unwanted(task))
            return;
        task->status = rp_fail(&task->error, ROWPOOL_ECANCELED, "no longer wanted before a worker process had it");
        rp_fork_list_push(done, rp_fork_list_pop(&state->queue));
    }
}

void rp_fork_dispatch(rp_fork_state *state, rp_fork_list *done)
{
    rp_fork_slot *slot;
    drop_unwanted(state, done);
    while (state->queue.first != NULL && (slot = least_busy(state, state->queue.first->map)) != NULL) {
        switch (send_to(state, slot, state->queue.first)) {
        case SENT:
            rp_fork_list_push(&slot->sent, rp_fork_list_pop(&state->queue));
            slot->tasks++;
            state->sent++;
            rp_fork_watch(state);
            break;
        case NEVER:
            state->queue.first->task->status = state->queue.first->task->error.status;
            rp_fork_list_push(done, rp_fork_list_pop(&state->queue));
            break;
        case NOT_NOW:
            if (slot->state == RP_FORK_READY)
                return;
            break; /* another worker may take it */
        }
        drop_unwanted(state, done);
    }
}

void rp_fork_deliver(rp_fork_list *done)
{
    for (rp_fork_flight *flight; (flight = rp_fork_list_pop(done)) != NULL;)
        rp_queue_push(flight->task->home, &flight->task->link); /* it may be finished, and freed, from here on */
}

void rp_fork_wake(const rp_fork_state *state)
{
    eventfd_write(state->wake, 1);
}

/* ---- Submit and finish ------------------------------------------------------------------------------------------ */

static bool lacks_workers(const rp_fork_state *state, const rp_fork_map *map)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state == RP_FORK_EMPTY || !rp_fork_serves(&state->slots[i], map))
            return true;
    return false;
}

/* Makes a task one of its map's; on loan until leave_map. */
static rowpool_status enter(rp_fork_state *state, rp_fork_flight *flight, rowpool_error *error)
{
    pthread_mutex_lock(&state->lock);
    flight->map = enter_map(state, flight->task->map);
    pthread_mutex_unlock(&state->lock);
    if (flight->map == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    rowpool_status status = make_copies(flight, error);
    if (status != ROWPOOL_OK) {
        pthread_mutex_lock(&state->lock);
        leave_map(state, flight->map);
        pthread_mutex_unlock(&state->lock);
    }
    return status;
}

rowpool_status rp_fork_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_fork_state *state = device->state;
    rp_fork_flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    flight->task = task;
    rowpool_status status = enter(state, flight, error);
    if (status != ROWPOOL_OK) {
        free(flight);
        return status;
    }
    task->state = flight;
    rp_fork_list done;
    rp_fork_list_init(&done);

    pthread_mutex_lock(&state->lock);
    flight->number = ++state->numbers;
    rp_fork_list_push(&state->queue, flight);
    rp_fork_dispatch(state, &done);
    if (lacks_workers(state, flight->map))
        rp_fork_wake(state);
    pthread_mutex_unlock(&state->lock);
    rp_fork_deliver(&done);
    return ROWPOOL_OK;
}

rowpool_status rp_fork_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_fork_state *state = device->state;
    rp_fork_flight *flight = task->state;
    if (task->status == ROWPOOL_OK && flight->buffer != NULL && result_bytes(task) > 0)
        memcpy(task->results, flight->buffer->region.base, result_bytes(task));
    pthread_mutex_lock(&state->lock);
    if (flight->buffer != NULL)
        give_buffer(state, flight->buffer);
    leave_map(state, flight->map);
    pthread_mutex_unlock(&state->lock);
    free(flight);
    task->state = NULL;
    if (task->status != ROWPOOL_OK && error != NULL)
        *error = task->error;
    return task->status;
}

/* ---- Open and close --------------------------------------------------------------------------------------------- */

static void close_if_open(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

static void destroy(rp_fork_state *state)
{
    for (size_t i = 0; state->slots != NULL && i < state->workers; i++)
        while (state->slots[i].buffers != NULL) {
            rp_fork_buffer *buffer = state->slots[i].buffers;
            state->slots[i].buffers = buffer->next;
            free_buffer(buffer);
        }
    close_if_open(state->events);
    close_if_open(state->wake);
    close_if_open(state->timer);
    pthread_cond_destroy(&state->begun);
    pthread_mutex_destroy(&state->lock);
    rp_region_close(&state->shared);
    free(state->slots);
    free(state->context);
    free(state);
}

static bool listen_to(const rp_fork_state *state, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    return epoll_ctl(state->events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static rowpool_status create(const rp_fork_kind *kind, size_t workers, void *context, const rp_backend_options *options,
                             rp_fork_state **created, rowpool_error *error)
{
    rp_fork_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        free(context);
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    }
    state->kind = kind;
    state->context = context;
    state->workers = workers;
    state->init = options->init;
    state->init_argument = options->init_argument;
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->begun, NULL);
    rp_fork_list_init(&state->queue);
    state->slots = calloc(workers, sizeof *state->slots);
    state->events = epoll_create1(EPOLL_CLOEXEC);
    state->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    state->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    rowpool_status status = ROWPOOL_OK;
    if (state->slots == NULL || state->events < 0 || state->wake < 0 || state->timer < 0 ||
        !listen_to(state, state->wake) || !listen_to(state, state->timer))
        status = rp_fail(error, ROWPOOL_ESYSTEM, "cannot watch worker processes: %s", strerror(errno));
    if (status == ROWPOOL_OK)
        status = rp_region_open(&state->shared, workers * sizeof *state->marks, error);
    if (status != ROWPOOL_OK) {
        destroy(state);
        return status;
    }
    state->marks = (rp_fork_mark *)(void *)state->shared.base;
    for (size_t i = 0; i < workers; i++) {
        state->slots[i].worker = (rp_worker){.pidfd = -1, .socket = -1};
        rp_fork_list_init(&state->slots[i].sent);
    }
    *created = state;
    return ROWPOOL_OK;
}

static void stop(rp_fork_state *state)
{
    pthread_mutex_lock(&state->lock);
    state->stopping = true;
    pthread_mutex_unlock(&state->lock);
    rp_fork_wake(state);
    pthread_join(state->supervisor, NULL);
}

/* So many workers that the application has descriptors left, too: each has a socket, a pidfd, and its buffers'. */
static size_t limit_workers(size_t asked)
{
    enum { EACH = 2 + BUFFERS_KEPT, SHARE = EACH + 3 };
    struct rlimit limit;
    size_t most = asked;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / SHARE < most)
        most = (size_t)limit.rlim_cur / SHARE;
    if (most < asked)
        rp_log(RP_LOG_WORKER, "%zu worker processes instead of %zu: the limit on open files is %zu", most, asked,
               (size_t)limit.rlim_cur);
    return rp_max(most, 1);
}

rowpool_status rp_fork_open(rp_device *device, const rp_fork_kind *kind, size_t workers, void *context,
                            const rp_backend_options *options, rowpool_error *error)
{
    rp_fork_state *state = NULL;
    size_t asked = limit_workers(workers);
    RP_TRY(create(kind, asked, context, options, &state, error));
    rowpool_status status = rp_thread_start(&state->supervisor, "rowpool-fork", rp_fork_supervise, state, error);
    if (status != ROWPOOL_OK) {
        destroy(state);
        return status;
    }
    pthread_mutex_lock(&state->lock);
    while (!state->opened)
        pthread_cond_wait(&state->begun, &state->lock);
    size_t started = state->workers;
    if (started == 0)
        status = rp_fail(error, state->last_error.status, "%s", state->last_error.message);
    pthread_mutex_unlock(&state->lock);
    if (status != ROWPOOL_OK) {
        stop(state);
        destroy(state);
        return status;
    }
    if (started < asked)
        rp_log(RP_LOG_WORKER, "only %zu of %zu worker processes could be started", started, asked);
    device->lanes = RP_FORK_DEPTH * started;
    device->parallel = started;
    device->chunk_bytes = options->chunk_bytes != 0 ? options->chunk_bytes : kind->chunk_bytes;
    device->state = state;
    return ROWPOOL_OK;
}

/* In a child of the process that opened the device. The supervisor is not here, nor may the workers, or what they and
 * the epoll know, be touched: they are shared with the parent. */
static void drop(rp_fork_state *state)
{
    /* Locked: another thread was changing the lists when the process was forked. They stay as they are, unused. */
    bool consistent = pthread_mutex_trylock(&state->lock) == 0;
    if (!consistent)
        return;
    for (size_t i = 0; i < state->workers; i++) {
        rp_fork_slot *slot = &state->slots[i];
        rp_worker_release(&slot->worker);
        for (rp_fork_flight *flight; (flight = rp_fork_list_pop(&slot->sent)) != NULL;) {
            if (flight->buffer != NULL)
                free_buffer(flight->buffer);
            free(flight);
        }
    }
    for (rp_fork_flight *flight; (flight = rp_fork_list_pop(&state->queue)) != NULL;)
        free(flight);
    while (state->maps != NULL) {
        rp_fork_map *map = state->maps;
        state->maps = map->next;
        release_map(map);
    }
    pthread_mutex_unlock(&state->lock);
    destroy(state);
}

void rp_fork_close(rp_device *device, bool forked)
{
    rp_fork_state *state = device->state;
    device->state = NULL;
    if (forked) {
        drop(state);
        return;
    }
    stop(state);
    destroy(state);
}

size_t rp_fork_worker_pids(rp_device *device, pid_t *pids, size_t capacity)
{
    rp_fork_state *state = device->state;
    size_t n = 0;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state != RP_FORK_EMPTY) {
            if (n < capacity)
                pids[n] = state->slots[i].worker.pid;
            n++;
        }
    pthread_mutex_unlock(&state->lock);
    return n;
}

/* Every worker that has something to do is killed; its rows come back as those of one that ended in its sleep. What is
 * in the queue, or comes to it later, is not sent, since it was cancelled. */
void rp_fork_interrupt(rp_device *device)
{
    rp_fork_state *state = device->state;
    rp_fork_list done;
    rp_fork_list_init(&done);
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++) {
        rp_fork_slot *slot = &state->slots[i];
        if (slot->state == RP_FORK_READY && slot->tasks > 0) {
            slot->interrupted = true;
            rp_worker_kill(&slot->worker);
        }
    }
    rp_fork_dispatch(state, &done);
    pthread_mutex_unlock(&state->lock);
    rp_fork_deliver(&done);
}

/* ---- Workers that are forks ------------------------------------------------------------------------------------- */

static void probe(void (*found)(void *list, const rp_device *device), void *list)
{
    rp_device device = {.backend = &rp_backend_fork, .available = true};
    device.info = (rowpool_device){.index = "fork",
                                   .name = "worker processes",
                                   .type = ROWPOOL_DEVICE_FORK,
                                   .shared_memory = true,
                                   .fp64 = true,
                                   .units = (uint32_t)rowpool_cpu_count(),
                                   .largest_buffer = PTRDIFF_MAX};
    found(list, &device);
}

static const char *lacks(const rp_device *device, const rp_map *map)
{
    (void)device;
    return rp_code_is_there(&map->code) ? NULL : "it has no C form";
}

static rowpool_status start_fork(rp_fork_state *state, size_t slot, rp_worker *worker, rowpool_error *error)
{
    rp_fork_start *start = &state->slots[slot].start;
    *start = (rp_fork_start){&state->marks[slot], state->init, state->init_argument};
    return rp_worker_start(worker, rp_fork_work, start, error);
}

/* For copies of rows that this process has already. */
static size_t quarter_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 4 * (size_t)page : 0;
}

static rowpool_status open_device(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    static const rp_fork_kind forks = {
        .start = start_fork, .losses_for_worker = 4, .losses_more = 16, .chunk_bytes = CHUNK_BYTES};
    RP_TRY(rp_fork_open(device, &forks, options->workers, NULL, options, error));
    device->info.units = (uint32_t)device->parallel;
    device->keeps = quarter_of_memory();
    return ROWPOOL_OK;
}

const rp_backend rp_backend_fork = {
    .name = "fork",
    .probe = probe,
    .open = open_device,
    .close = rp_fork_close,
    .submit = rp_fork_submit,
    .finish = rp_fork_finish,
    .lacks = lacks,
    .drop = drop_copy,
    .interrupt = rp_fork_interrupt,
    .waits = false,
};
