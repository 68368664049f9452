/* The supervisor: the thread that starts the workers, takes their answers and notices their ends. Workers die with it.
 * It holds the lock except while it waits, starts a worker or delivers tasks. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "device/workers/workers.h"

enum {
    /* Looks are 250 ms apart. */
    STOPPED_LOOKS = 8,     /* a worker that is found stopped this many times in a row is killed */
    UNWANTED_LOOKS = 5,    /* grace period at an unwanted task: about 1.25 s */
    SUBMITTING_LOOKS = 40, /* 10 s while a driver may be compiling: after a kill the next map would compile again */
    GREETING_S = 30,       /* drivers may take a while to find their devices */
    EVENTS = 64
};

/* ---- Listening -------------------------------------------------------------------------------------------------- */

typedef enum { SOCKET, PIDFD } source;

static bool listen_to(const rp_workers *state, size_t slot, source what, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 2 * slot + what};
    return descriptor < 0 || epoll_ctl(state->events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* Closing is not enough: a process that the application forked may hold the same socket open. */
static void stop_listening(const rp_workers *state, int descriptor)
{
    if (descriptor >= 0)
        epoll_ctl(state->events, EPOLL_CTL_DEL, descriptor, NULL);
}

/* Forgets the worker of a slot. */
static void vacate_slot(rp_workers *state, rp_workers_slot *slot)
{
    stop_listening(state, slot->worker.socket);
    stop_listening(state, slot->worker.pidfd);
    rp_worker_release(&slot->worker);
    rp_workers_slot empty = {.worker = slot->worker, .n_kept = slot->n_kept};
    memcpy(empty.kept, slot->kept, sizeof empty.kept);
    *slot = empty;
    rp_workers_list_init(&slot->sent);
}

/* ---- Starting workers ------------------------------------------------------------------------------------------- */

static void worker_is_ready(rp_workers *state, rp_workers_slot *slot)
{
    slot->state = RP_WORKERS_READY;
    slot->greeted = true;
    rp_log(RP_LOG_WORKER, "worker process %d started, %zu of %zu", (int)slot->worker.pid,
           rp_workers_index(state, slot) + 1, state->workers);
}

static rowpool_status start_worker(rp_workers *state, size_t index)
{
    rp_workers_slot *slot = &state->slots[index];
    rp_worker worker;
    rowpool_error error;
    atomic_store(&state->marks[index].initialising, false);
    atomic_store(&state->marks[index].submitting, false);
    rp_unlock(&state->lock);
    uint64_t libraries = rp_workers_libraries(); /* before: one that is loaded meanwhile may be missing */
    rowpool_status status = state->kind->start(state, index, &worker, &error);
    rp_lock(&state->lock);
    if (status != ROWPOOL_OK) {
        state->last_error = error;
        rp_log(RP_LOG_WORKER, "%s", error.message);
        return status;
    }
    slot->worker = worker;
    slot->libraries = libraries;
    slot->state = RP_WORKERS_STARTING;
    if (!listen_to(state, index, SOCKET, worker.socket) || !listen_to(state, index, PIDFD, worker.pidfd)) {
        status = rp_fail(&state->last_error, ROWPOOL_ESYSTEM, "cannot watch a worker process: %s", strerror(errno));
        rp_worker_end end;
        rp_worker_kill(&worker);
        rp_worker_reap(&worker, true, &end);
        vacate_slot(state, slot);
        return status;
    }
    if (state->kind->greet == NULL) {
        worker_is_ready(state, slot);
        return ROWPOOL_OK;
    }
    slot->deadline = rp_clock_after_ms(GREETING_S * 1000);
    rp_workers_watch(state);
    return ROWPOOL_OK;
}

/* Takes a program's first message, if it has come. False: none will come, or an unusable one came. */
static bool take_greeting(rp_workers *state, rp_workers_slot *slot)
{
    memset(&state->hello, 0, sizeof state->hello);
    ssize_t bytes = rp_worker_receive(&slot->worker, &state->hello, sizeof state->hello);
    if (bytes < 0)
        return true;
    if (bytes < (ssize_t)offsetof(rp_hello, status)) /* the part that all versions share */
        return false;
    slot->broken = state->kind->greet(state, rp_workers_index(state, slot), &state->last_error) != ROWPOOL_OK;
    if (!slot->broken)
        worker_is_ready(state, slot);
    return !slot->broken;
}

static bool too_many_losses(const rp_workers *state)
{
    return state->losses > state->kind->losses_per_worker * state->workers + state->kind->losses_besides;
}

static void fill_slots(rp_workers *state)
{
    size_t i = 0;
    while (i < state->workers && !state->stopping && !too_many_losses(state) &&
           (state->slots[i].state != RP_WORKERS_EMPTY || start_worker(state, i) == ROWPOOL_OK))
        i++;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

/* A program ended before it was ready: its first message, if any, has the reason. */
static void lose_program(rp_workers *state, rp_workers_slot *slot, const rp_worker_end *end)
{
    char how[RP_WORKER_END_TEXT];
    rp_worker_end_text(end, how);
    if (slot->overdue)
        snprintf(how, sizeof how, "was killed after %d seconds of silence (a driver hangs),", GREETING_S);
    if (!slot->broken)
        rp_fail(&state->last_error, ROWPOOL_EDEVICE, "the helper process %d %s before it had a device",
                (int)slot->worker.pid, how);
    rp_log(RP_LOG_WORKER, "%s", state->last_error.message);
    state->refused = true;
    vacate_slot(state, slot);
}

/* Collects a worker that has ended; wait: one that is about to end. */
static void reap_worker(rp_workers *state, rp_workers_slot *slot, bool wait, rp_workers_list *done)
{
    rp_worker_end end;
    if (slot->state == RP_WORKERS_EMPTY || !rp_worker_reap(&slot->worker, wait, &end))
        return;
    if (slot->state == RP_WORKERS_STARTING)
        take_greeting(state, slot);
    if (!slot->greeted) {
        lose_program(state, slot, &end);
        return;
    }
    rp_workers_take_answers(state, slot, done); /* those that it sent before its end count */
    char text[RP_WORKER_END_TEXT], how[RP_WORKER_END_TEXT + 64];
    rp_worker_end_text(&end, text);
    if (slot->overdue)
        snprintf(text, sizeof text, "stayed stopped by a signal and was therefore killed");
    if (slot->interrupted)
        snprintf(text, sizeof text, "was killed because its work was no longer wanted");
    bool initialising = atomic_load(&state->marks[rp_workers_index(state, slot)].initialising);
    snprintf(how, sizeof how, "worker process %d %s%s", (int)slot->worker.pid, text,
             initialising ? " in its initialiser" : "");
    rp_log(RP_LOG_WORKER, "%s; it had %zu tasks", how, slot->tasks);
    rp_trace_instant("fork", "worker lost", how);
    rp_fail(&state->last_error, ROWPOOL_EWORKER, "%s", how);
    rp_workers_lose_tasks(state, slot, how, done);
    vacate_slot(state, slot);
}

/* Gives up a worker that sends nothing more, or nothing valid. */
static void hang_up(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    slot->state = RP_WORKERS_LEAVING;
    stop_listening(state, slot->worker.socket);
    rp_worker_kill(&slot->worker); /* no effect where it has ended */
    if (slot->worker.pidfd < 0)
        reap_worker(state, slot, true, done);
}

/* Counts the looks that found a worker at the same unwanted task. True: its grace period is over. */
static bool outstays(const rp_workers *state, rp_workers_slot *slot)
{
    const bool submitting = atomic_load(&state->marks[rp_workers_index(state, slot)].submitting);
    const rp_workers_task *oldest = slot->sent.first;
    if (slot->looked_at != oldest->number)
        slot->unwanted = 0;
    slot->looked_at = oldest->number;
    slot->unwanted = rp_workers_is_unwanted(oldest->task) ? slot->unwanted + 1 : 0;
    return slot->unwanted >= (submitting ? SUBMITTING_LOOKS : UNWANTED_LOOKS);
}

/* Kills a worker that is stopped, hangs or works on a cancelled task. Looks are counted, not seconds: there are none
 * while this process is stopped together with its workers. */
static void look_at(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    if (slot->state == RP_WORKERS_STARTING && rp_clock_seconds(rp_clock_now(), slot->deadline) <= 0) {
        slot->overdue = true;
        hang_up(state, slot, done);
    }
    if (slot->tasks == 0 || slot->state == RP_WORKERS_EMPTY)
        return;
    if (slot->worker.pidfd < 0) /* the socket may not show the end: see stop_listening */
        reap_worker(state, slot, false, done);
    if (slot->state != RP_WORKERS_READY)
        return;
    if (!rp_workers_take_answers(state, slot, done)) { /* answers that have come count first */
        hang_up(state, slot, done);
        return;
    }
    if (slot->tasks == 0)
        return;
    slot->stopped = rp_worker_is_stopped(&slot->worker) ? slot->stopped + 1 : 0;
    const bool stays_stopped = slot->stopped >= STOPPED_LOOKS, goes_on = outstays(state, slot);
    if (!stays_stopped && !goes_on)
        return;
    slot->overdue |= stays_stopped;
    slot->interrupted |= goes_on;
    slot->state = RP_WORKERS_LEAVING;
    rp_worker_kill(&slot->worker);
}

/* ---- Replacing workers ------------------------------------------------------------------------------------------ */

/* Where no worker is left and none could be started, the tasks in the queue fail. */
static void fail_queue(rp_workers *state, rp_workers_list *done)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state != RP_WORKERS_EMPTY)
            return;
    rowpool_error error = state->last_error;
    if (too_many_losses(state))
        rp_fail(&error, ROWPOOL_ESYSTEM, "%zu %s: %s", state->losses, state->kind->losses_text,
                state->last_error.message);
    state->losses = 0; /* reported: the next map may try again */
    for (rp_workers_task *own; (own = rp_workers_list_pop(&state->queue)) != NULL;) {
        own->task->status = error.status;
        own->task->error = error;
        rp_workers_list_push(done, own);
    }
}

/* Ends idle workers that do not have the function of the next task, since its library was loaded after their fork. */
static void dismiss_outdated(rp_workers *state, rp_workers_list *done)
{
    for (size_t i = 0; state->queue.first != NULL && i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        if (slot->state != RP_WORKERS_READY || slot->tasks > 0 ||
            rp_workers_serves(slot, state->queue.first->operation))
            continue;
        rp_log(RP_LOG_WORKER, "worker process %d does not have a library that was loaded since: another replaces it",
               (int)slot->worker.pid);
        slot->interrupted = true;
        hang_up(state, slot, done);
        reap_worker(state, slot, true, done);
    }
}

/* Called only when there is work, so that idle workers that are killed over and over are not replaced each time. */
static void replace_workers(rp_workers *state, rp_workers_list *done)
{
    dismiss_outdated(state, done);
    if (!state->refused) /* a new one would fail in the same way, over and over */
        fill_slots(state);
    rp_workers_dispatch(state, done);
    if (state->queue.first != NULL)
        fail_queue(state, done);
}

/* ---- The thread ------------------------------------------------------------------------------------------------- */

static void handle_wake(rp_workers *state, rp_workers_list *done)
{
    uint64_t times;
    if (read(state->wake, &times, sizeof times) < 0 && errno != EAGAIN)
        rp_warn("cannot read an eventfd: %s", strerror(errno));
    if (read(state->timer, &times, sizeof times) != sizeof times)
        return;
    state->watching = false;
    bool starting = false;
    for (size_t i = 0; i < state->workers; i++) {
        look_at(state, &state->slots[i], done);
        starting |= state->slots[i].state == RP_WORKERS_STARTING;
    }
    if (state->sent > 0 || starting)
        rp_workers_watch(state);
}

static void handle_event(rp_workers *state, uint64_t what, rp_workers_list *done)
{
    if (what == UINT64_MAX) {
        handle_wake(state, done);
        return;
    }
    rp_workers_slot *slot = &state->slots[what / 2];
    if (slot->state == RP_WORKERS_EMPTY)
        return; /* collected by an earlier event of the same batch */
    if (what % 2 == PIDFD)
        reap_worker(state, slot, false, done);
    else if (slot->state == RP_WORKERS_STARTING ? !take_greeting(state, slot)
                                                : !rp_workers_take_answers(state, slot, done))
        hang_up(state, slot, done);
}

/* Waits until the deadline for a worker that was told to end. */
static bool ends_by_itself(const rp_worker *worker, struct timespec deadline, rp_worker_end *end)
{
    while (!rp_worker_reap(worker, false, end)) {
        double left = rp_clock_seconds(rp_clock_now(), deadline);
        if (left <= 0)
            return false;
        struct pollfd wait = {.fd = worker->pidfd, .events = POLLIN}; /* without a pidfd: for a moment */
        poll(&wait, 1, worker->pidfd >= 0 ? (int)(left * 1e3) + 1 : 1);
    }
    return true;
}

static void dismiss_workers(rp_workers *state)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state == RP_WORKERS_STARTING) /* a driver may hang in it */
            rp_worker_kill(&state->slots[i].worker);
        else if (state->slots[i].state != RP_WORKERS_EMPTY)
            rp_worker_dismiss(&state->slots[i].worker);
    struct timespec deadline = rp_clock_after_ms(state->kind->dismiss_ms);
    for (size_t i = 0; i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        rp_worker_end end;
        if (slot->state == RP_WORKERS_EMPTY)
            continue;
        if (!ends_by_itself(&slot->worker, deadline, &end)) {
            rp_worker_kill(&slot->worker);
            rp_worker_reap(&slot->worker, true, &end);
        }
        char text[RP_WORKER_END_TEXT];
        rp_worker_end_text(&end, text);
        rp_log(RP_LOG_WORKER, "worker process %d %s", (int)slot->worker.pid, text);
        vacate_slot(state, slot);
    }
}

static void deliver_unlocked(rp_workers *state, rp_workers_list *done)
{
    rp_unlock(&state->lock);
    rp_workers_deliver(done);
    rp_lock(&state->lock);
}

/* Waits until something happens and handles it. */
static void handle_events(rp_workers *state)
{
    struct epoll_event events[EVENTS];
    rp_workers_list done;
    rp_workers_list_init(&done);
    rp_unlock(&state->lock);
    const int n = epoll_wait(state->events, events, EVENTS, -1);
    rp_lock(&state->lock);
    state->refused = false;
    for (int i = 0; i < n; i++)
        handle_event(state, events[i].data.u64, &done);
    rp_workers_dispatch(state, &done);
    const bool busy = state->queue.first != NULL || state->sent > 0 || done.first != NULL;
    deliver_unlocked(state, &done);
    if (!busy || state->stopping)
        return;
    replace_workers(state, &done);
    deliver_unlocked(state, &done);
}

/* Starts workers one after the other until one fails; the first program says how many are needed. Returns how many were
 * started. */
static size_t open_slots(rp_workers *state)
{
    size_t i = 0;
    for (; i < state->workers && start_worker(state, i) == ROWPOOL_OK; i++) {
        const rp_workers_slot *slot = &state->slots[i];
        while (slot->state != RP_WORKERS_READY && slot->state != RP_WORKERS_EMPTY)
            handle_events(state);
        if (slot->state == RP_WORKERS_EMPTY)
            break;
    }
    return i;
}

void *rp_workers_supervise(void *argument)
{
    rp_workers *state = argument;
    rp_lock(&state->lock);
    const size_t started = open_slots(state);
    state->missing = state->workers - started;
    state->workers = started; /* the missing ones are not tried again with every map */
    state->opened = true;
    pthread_cond_signal(&state->begun);
    while (!state->stopping)
        handle_events(state);
    dismiss_workers(state);
    rp_unlock(&state->lock);
    return NULL;
}
