/* The slots of a device whose workers are processes: a task comes and goes, whatever kind they are of.
 *
 * Workers are started at open, not with the first map: an application opens its pool before it loads its data, and what
 * it has not loaded yet is neither copied into the page tables of forks nor again on the first write afterwards; and a
 * machine that gives no process says so at the door. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/descriptor.h"
#include "base/log.h"
#include "base/thread.h"
#include "device/workers/workers.h"

/* ---- Submit and finish ------------------------------------------------------------------------------------------ */

static bool lacks_workers(const rp_workers *state, const rp_workers_map *operation)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state == RP_WORKERS_EMPTY || !rp_workers_serves(&state->slots[i], operation))
            return true;
    return false;
}

/* Makes a task one of its map's; on loan until leave_map. */
static rowpool_status enter(rp_workers *state, rp_workers_flight *flight, rowpool_error *error)
{
    pthread_mutex_lock(&state->lock);
    flight->operation = rp_workers_enter_map(state, flight->task->operation);
    pthread_mutex_unlock(&state->lock);
    return flight->operation != NULL ? ROWPOOL_OK : rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
}

rowpool_status rp_workers_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_workers *state = device->state;
    rp_workers_flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    flight->task = task;
    rowpool_status status = enter(state, flight, error);
    if (status != ROWPOOL_OK) {
        free(flight);
        return status;
    }
    task->state = flight;
    rp_workers_list done;
    rp_workers_list_init(&done);

    pthread_mutex_lock(&state->lock);
    flight->number = ++state->numbers;
    rp_workers_list_push(&state->queue, flight);
    rp_workers_dispatch(state, &done);
    if (lacks_workers(state, flight->operation))
        rp_workers_wake(state);
    pthread_mutex_unlock(&state->lock);
    rp_workers_deliver(&done);
    return ROWPOOL_OK;
}

rowpool_status rp_workers_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_workers *state = device->state;
    rp_workers_flight *flight = task->state;
    if (task->status == ROWPOOL_OK && flight->buffer != NULL && rp_workers_result_bytes(task) > 0)
        memcpy(task->results, flight->buffer->region.base, rp_workers_result_bytes(task));
    pthread_mutex_lock(&state->lock);
    if (flight->buffer != NULL)
        rp_workers_give_buffer(state, flight->buffer);
    rp_workers_leave_map(state, flight->operation);
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

static void destroy(rp_workers *state)
{
    for (size_t i = 0; state->slots != NULL && i < state->workers; i++)
        while (state->slots[i].buffers != NULL) {
            rp_workers_buffer *buffer = state->slots[i].buffers;
            state->slots[i].buffers = buffer->next;
            rp_workers_free_buffer(buffer);
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

static bool listen_to(const rp_workers *state, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    return epoll_ctl(state->events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static rowpool_status create(const rp_workers_kind *kind, size_t workers, void *context, rp_workers **created,
                             rowpool_error *error)
{
    rp_workers *state = calloc(1, sizeof *state);
    if (state == NULL) {
        free(context);
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    }
    state->kind = kind;
    state->context = context;
    state->workers = workers;
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->begun, NULL);
    rp_workers_list_init(&state->queue);
    state->slots = calloc(workers, sizeof *state->slots);
    state->events = rp_descriptor_keep(epoll_create1(EPOLL_CLOEXEC));
    state->wake = rp_descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    state->timer = rp_descriptor_keep(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
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
    state->marks = (rp_work_mark *)(void *)state->shared.base;
    for (size_t i = 0; i < workers; i++) {
        state->slots[i].worker = (rp_worker){.pidfd = -1, .socket = -1};
        rp_workers_list_init(&state->slots[i].sent);
    }
    *created = state;
    return ROWPOOL_OK;
}

static void stop(rp_workers *state)
{
    pthread_mutex_lock(&state->lock);
    state->stopping = true;
    pthread_mutex_unlock(&state->lock);
    rp_workers_wake(state);
    pthread_join(state->supervisor, NULL);
}

/* So many workers that the application has descriptors left, too: each has a socket, a pidfd, and its buffers'. */
static size_t limit_workers(size_t asked)
{
    enum { EACH = 2 + RP_WORKERS_BUFFERS, SHARE = EACH + 3 };
    struct rlimit limit;
    size_t most = asked;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / SHARE < most)
        most = (size_t)limit.rlim_cur / SHARE;
    if (most < asked)
        rp_log(RP_LOG_WORKER, "%zu worker processes instead of %zu: the limit on open files is %zu", most, asked,
               (size_t)limit.rlim_cur);
    return rp_max(most, 1);
}

rowpool_status rp_workers_open(rp_device *device, const rp_workers_kind *kind, size_t workers, void *context,
                               const rp_backend_options *options, rowpool_error *error)
{
    rp_workers *state = NULL;
    size_t asked = limit_workers(workers);
    RP_TRY(create(kind, asked, context, &state, error));
    rowpool_status status = rp_thread_start(&state->supervisor, "rowpool-workers", rp_workers_supervise, state, error);
    if (status != ROWPOOL_OK) {
        destroy(state);
        return status;
    }
    pthread_mutex_lock(&state->lock);
    while (!state->opened)
        pthread_cond_wait(&state->begun, &state->lock);
    size_t started = state->workers;
    const size_t missing = state->missing;
    if (started == 0 || (missing > 0 && kind->program && !options->automatic)) /* each device was named */
        status = rp_fail(error, state->last_error.status, "%s", state->last_error.message);
    pthread_mutex_unlock(&state->lock);
    if (status != ROWPOOL_OK) {
        stop(state);
        destroy(state);
        return status;
    }
    if (missing > 0)
        rp_log(RP_LOG_WORKER, "only %zu of %zu worker processes could be started", started, started + missing);
    device->queue_depth = RP_WORKERS_DEPTH * started;
    device->parallel = started;
    device->chunk_bytes = options->chunk_bytes != 0 ? options->chunk_bytes : kind->chunk_bytes;
    device->state = state;
    return ROWPOOL_OK;
}

/* In a child of the process that opened the device. The supervisor is not here, nor may the workers, or what they and
 * the epoll know, be touched: they are shared with the parent. */
static void drop(rp_workers *state)
{
    /* Locked: another thread was changing the lists when the process was forked. They stay as they are, unused. */
    bool consistent = pthread_mutex_trylock(&state->lock) == 0;
    if (!consistent)
        return;
    for (size_t i = 0; i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        rp_worker_release(&slot->worker);
        for (rp_workers_flight *flight; (flight = rp_workers_list_pop(&slot->sent)) != NULL;) {
            if (flight->buffer != NULL)
                rp_workers_free_buffer(flight->buffer);
            free(flight);
        }
    }
    for (rp_workers_flight *flight; (flight = rp_workers_list_pop(&state->queue)) != NULL;)
        free(flight);
    while (state->maps != NULL) {
        rp_workers_map *operation = state->maps;
        state->maps = operation->next;
        rp_workers_release_map(operation);
    }
    pthread_mutex_unlock(&state->lock);
    destroy(state);
}

void rp_workers_close(rp_device *device, bool forked)
{
    rp_workers *state = device->state;
    device->state = NULL;
    if (forked) {
        drop(state);
        return;
    }
    stop(state);
    destroy(state);
}

size_t rp_workers_pids(rp_device *device, pid_t *pids, size_t capacity)
{
    rp_workers *state = device->state;
    size_t n = 0;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state != RP_WORKERS_EMPTY && state->slots[i].greeted) {
            if (n < capacity)
                pids[n] = state->slots[i].worker.pid;
            n++;
        }
    pthread_mutex_unlock(&state->lock);
    return n;
}

/* Every worker that has something to do is killed; its rows come back as those of one that ended in its sleep. What is
 * in the queue, or comes to it later, is not sent, since it was cancelled. */
void rp_workers_interrupt(rp_device *device)
{
    rp_workers *state = device->state;
    rp_workers_list done;
    rp_workers_list_init(&done);
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        if (slot->state == RP_WORKERS_READY && slot->tasks > 0) {
            slot->interrupted = true;
            rp_worker_kill(&slot->worker);
        }
    }
    rp_workers_dispatch(state, &done);
    pthread_mutex_unlock(&state->lock);
    rp_workers_deliver(&done);
}
