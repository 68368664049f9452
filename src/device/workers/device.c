/* A device whose workers are processes: open, submit, finish, close.
 *
 * Workers are started at open, not with the first map: applications mostly open a pool before they load data, so forks
 * need not copy that data's page tables, and its first writes copy no pages. Also, open can report that no process can
 * be started. */
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

/* Wakes the supervisor: there is work for a slot without a worker, or the supervisor must stop. */
static void wake_supervisor(const rp_workers *state)
{
    eventfd_write(state->wake, 1);
}

static bool needs_worker(const rp_workers *state, const rp_workers_operation *operation)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state == RP_WORKERS_EMPTY || !rp_workers_serves(&state->slots[i], operation))
            return true;
    return false;
}

rowpool_status rp_workers_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_workers *state = device->state;
    rp_workers_task *own = calloc(1, sizeof *own);
    rp_workers_list done;
    if (own != NULL)
        own->operation = rp_workers_enter(state, task->operation);
    if (own == NULL || own->operation == NULL) {
        free(own);
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    }
    own->task = task;
    task->state = own;
    rp_workers_list_init(&done);
    rp_lock(&state->lock);
    own->number = ++state->numbers;
    rp_workers_list_push(&state->queue, own);
    rp_workers_dispatch(state, &done);
    if (needs_worker(state, own->operation))
        wake_supervisor(state);
    rp_unlock(&state->lock);
    rp_workers_deliver(&done);
    return ROWPOOL_OK;
}

rowpool_status rp_workers_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_workers *state = device->state;
    rp_workers_task *own = task->state;
    if (task->status == ROWPOOL_OK && own->buffer.base != NULL && rp_workers_result_bytes(task) > 0)
        memcpy(task->results, own->buffer.base, rp_workers_result_bytes(task));
    if (own->buffer.base != NULL) {
        rp_lock(&state->lock);
        rp_workers_give_buffer(state, own);
        rp_unlock(&state->lock);
    }
    rp_workers_leave(state, own->operation);
    free(own);
    task->state = NULL;
    if (task->status != ROWPOOL_OK && error != NULL)
        *error = task->error;
    return task->status;
}

/* ---- Open and close --------------------------------------------------------------------------------------------- */

static void free_state(rp_workers *state)
{
    for (size_t i = 0; state->slots != NULL && i < state->workers; i++)
        while (state->slots[i].n_kept > 0)
            rp_region_close(&state->slots[i].kept[--state->slots[i].n_kept]);
    rp_descriptor_close(state->events);
    rp_descriptor_close(state->wake);
    rp_descriptor_close(state->timer);
    pthread_cond_destroy(&state->begun);
    rp_mutex_destroy(&state->lock);
    rp_region_close(&state->shared);
    free(state->slots);
    free(state->context);
    free(state);
}

static bool listen_without_slot(const rp_workers *state, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    return epoll_ctl(state->events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static rowpool_status new_state(const rp_workers_kind *kind, size_t workers, void *context, rp_workers **created,
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
    rp_mutex_init(&state->lock, RP_LOCK_WORKERS);
    pthread_cond_init(&state->begun, NULL);
    rp_workers_list_init(&state->queue);
    state->slots = calloc(workers, sizeof *state->slots);
    state->events = rp_descriptor_keep(epoll_create1(EPOLL_CLOEXEC));
    state->wake = rp_descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    state->timer = rp_descriptor_keep(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    rowpool_status status = ROWPOOL_OK;
    if (state->slots == NULL || state->events < 0 || state->wake < 0 || state->timer < 0 ||
        !listen_without_slot(state, state->wake) || !listen_without_slot(state, state->timer))
        status = rp_fail(error, ROWPOOL_ESYSTEM, "cannot watch worker processes: %s", strerror(errno));
    if (status == ROWPOOL_OK)
        status = rp_region_open(&state->shared, workers * sizeof *state->marks, error);
    if (status != ROWPOOL_OK) {
        free_state(state);
        return status;
    }
    state->marks = (rp_worker_mark *)(void *)state->shared.base;
    for (size_t i = 0; i < workers; i++) {
        state->slots[i].worker = (rp_worker){.pidfd = -1, .socket = -1};
        rp_workers_list_init(&state->slots[i].sent);
    }
    *created = state;
    return ROWPOOL_OK;
}

static void stop_supervisor(rp_workers *state)
{
    rp_lock(&state->lock);
    state->stopping = true;
    rp_unlock(&state->lock);
    wake_supervisor(state);
    pthread_join(state->supervisor, NULL);
}

/* Each worker has a socket, a pidfd and those of its buffers; the application needs descriptors, too. */
static size_t limit_workers(size_t asked)
{
    enum { EACH = 2 + RP_WORKERS_BUFFERS, SHARE = EACH + 3 };
    struct rlimit limit;
    size_t max = asked;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / SHARE < max)
        max = (size_t)limit.rlim_cur / SHARE;
    if (max < asked)
        rp_log(RP_LOG_WORKER, "%zu worker processes instead of %zu: the limit on open files is %zu", max, asked,
               (size_t)limit.rlim_cur);
    return rp_max(max, 1);
}

rowpool_status rp_workers_open(rp_device *device, const rp_workers_kind *kind, size_t workers, void *context,
                               const rp_backend_options *options, rowpool_error *error)
{
    rp_workers *state = NULL;
    size_t asked = limit_workers(workers);
    RP_TRY(new_state(kind, asked, context, &state, error));
    rowpool_status status = rp_thread_start(&state->supervisor, "rowpool-workers", rp_workers_supervise, state, error);
    if (status != ROWPOOL_OK) {
        free_state(state);
        return status;
    }
    rp_lock(&state->lock);
    while (!state->opened)
        rp_wait(&state->begun, &state->lock);
    size_t started = state->workers;
    const size_t missing = state->missing;
    if (started == 0 || (missing > 0 && kind->program && !options->automatic)) /* each device was named */
        status = rp_fail(error, state->last_error.status, "%s", state->last_error.message);
    rp_unlock(&state->lock);
    if (status != ROWPOOL_OK) {
        stop_supervisor(state);
        free_state(state);
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

static void free_list(rp_workers_list *list)
{
    for (rp_workers_task *own; (own = rp_workers_list_pop(list)) != NULL; free(own))
        rp_region_close(&own->buffer);
}

/* In a child of the process that opened the device: the supervisor is not here, and the workers, the epoll and the
 * sockets are shared with the parent. */
static void drop_in_child(rp_workers *state)
{
    if (pthread_mutex_trylock(&state->lock.mutex) != 0)
        return; /* another thread was changing the lists during the fork: their memory is not freed */
    for (size_t i = 0; i < state->workers; i++) {
        rp_worker_release(&state->slots[i].worker);
        free_list(&state->slots[i].sent);
    }
    free_list(&state->queue);
    while (state->operations != NULL) {
        rp_workers_operation *entry = state->operations;
        state->operations = entry->next;
        rp_workers_free_operation(entry);
    }
    pthread_mutex_unlock(&state->lock.mutex);
    free_state(state);
}

void rp_workers_close(rp_device *device, bool forked)
{
    rp_workers *state = device->state;
    device->state = NULL;
    if (forked) {
        drop_in_child(state);
        return;
    }
    stop_supervisor(state);
    free_state(state);
}

/* Kills every worker that has a task; nobody is blamed for that. Tasks in the queue, or submitted later, are not sent,
 * since they are cancelled. */
void rp_workers_interrupt(rp_device *device)
{
    rp_workers *state = device->state;
    rp_workers_list done;
    rp_workers_list_init(&done);
    rp_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        if (slot->state == RP_WORKERS_READY && slot->tasks > 0) {
            slot->interrupted = true;
            rp_worker_kill(&slot->worker);
        }
    }
    rp_workers_dispatch(state, &done);
    rp_unlock(&state->lock);
    rp_workers_deliver(&done);
}
