/* The supervisor: the thread that starts the workers (they die with it), takes their answers and notices their ends.
 *
 * A worker can end at any moment: its rows then go back to whoever submitted them. The oldest of its tasks is the one
 * that it worked on, and is blamed; the others only waited. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/builtin.h"
#include "device/workers/workers.h"

enum {
    STOPPED_LOOKS = 8,          /* a worker found stopped so many times in a row, 250 ms apart, is given up, */
    UNWANTED_LOOKS = 5,         /* grace period at an unwanted task, in the same looks: about 1.25 s, */
    SUBMITTING_LOOKS = 40,      /* and 10 s while a driver may be compiling: it would begin anew for the next call */
    DISMISS_MS = 1000,          /* what a worker has to end when it is told to, */
    DISMISS_PROGRAM_MS = 10000, /* and a program, which has to complete what it compiles */
    GREETING_S = 30,            /* drivers may take a while to find their devices */
    EVENTS = 64,
    ROWS_TEXT = 96
};

static void rows_text(const rp_task *task, char text[ROWS_TEXT])
{
    const rp_chunk *chunk = &task->chunk;
    const size_t row = rp_operation_index(task->operation, chunk);
    if (chunk->partial)
        snprintf(text, ROWS_TEXT, "elements %zu to %zu of row %zu", chunk->begin, chunk->end - 1, row);
    else if (chunk->rows == 1)
        snprintf(text, ROWS_TEXT, "row %zu", row);
    else
        snprintf(text, ROWS_TEXT, "rows %zu to %zu", row, row + chunk->rows - 1);
}

/* ---- Listening -------------------------------------------------------------------------------------------------- */

typedef enum { SOCKET, PIDFD } source;

static bool listen_to(const rp_workers *state, size_t slot, source what, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 2 * slot + what};
    return descriptor < 0 || epoll_ctl(state->events, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* Closing alone would not do: a process that the application forked may hold the same socket open. */
static void stop_listening(const rp_workers *state, int descriptor)
{
    if (descriptor >= 0)
        epoll_ctl(state->events, EPOLL_CTL_DEL, descriptor, NULL);
}

static void vacate(rp_workers *state, rp_workers_slot *slot)
{
    stop_listening(state, slot->worker.socket);
    stop_listening(state, slot->worker.pidfd);
    rp_worker_release(&slot->worker);
    slot->state = RP_WORKERS_EMPTY;
    slot->stopped = 0;
    slot->unwanted = 0;
    slot->greeted = false;
    slot->overdue = false;
    slot->interrupted = false;
    slot->broken = false;
}

/* ---- Starting workers ------------------------------------------------------------------------------------------- */

static size_t index_of(const rp_workers *state, const rp_workers_slot *slot)
{
    return (size_t)(slot - state->slots);
}

static void make_ready(rp_workers *state, rp_workers_slot *slot)
{
    slot->state = RP_WORKERS_READY;
    slot->greeted = true;
    rp_log(RP_LOG_WORKER, "worker process %d started, %zu of %zu", (int)slot->worker.pid, index_of(state, slot) + 1,
           state->workers);
}

static rowpool_status start(rp_workers *state, size_t index)
{
    rp_workers_slot *slot = &state->slots[index];
    rp_worker worker;
    rowpool_error error;
    atomic_store(&state->marks[index].initialising, false);
    atomic_store(&state->marks[index].submitting, false);
    pthread_mutex_unlock(&state->lock);
    uint64_t libraries = rp_workers_libraries(); /* before: one that is loaded meanwhile may be missing */
    rowpool_status status = state->kind->start(state, index, &worker, &error);
    pthread_mutex_lock(&state->lock);
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
        vacate(state, slot);
        return status;
    }
    if (state->kind->greet == NULL) {
        make_ready(state, slot);
        return ROWPOOL_OK;
    }
    slot->deadline = rp_clock_after_ms(GREETING_S * 1000);
    rp_workers_watch(state);
    return ROWPOOL_OK;
}

/* Takes what a program says first, if it has come. False: nothing will come, or nothing that will do. */
static bool take_greeting(rp_workers *state, rp_workers_slot *slot)
{
    memset(&state->hello, 0, sizeof state->hello);
    ssize_t bytes = rp_worker_receive(&slot->worker, &state->hello, sizeof state->hello);
    if (bytes < 0)
        return true;
    if (bytes < (ssize_t)offsetof(rp_hello, status)) /* whichever version it is of */
        return false;
    slot->broken = state->kind->greet(state, index_of(state, slot), &state->last_error) != ROWPOOL_OK;
    if (!slot->broken)
        make_ready(state, slot);
    return !slot->broken;
}

static bool too_many_losses(const rp_workers *state)
{
    return state->losses > state->kind->losses_for_worker * state->workers + state->kind->losses_more;
}

static void fill_slots(rp_workers *state)
{
    size_t i = 0;
    while (i < state->workers && !state->stopping && !too_many_losses(state) &&
           (state->slots[i].state != RP_WORKERS_EMPTY || start(state, i) == ROWPOOL_OK))
        i++;
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

static void set_status(rp_task *task, const rp_answer *answer, pid_t pid)
{
    char rows[ROWS_TEXT];
    rows_text(task, rows);
    switch (answer->status) {
    case RP_ANSWER_DONE:
        task->status = ROWPOOL_OK;
        return;
    case RP_ANSWER_UNREADABLE:
        task->status = rp_fail(&task->error, ROWPOOL_EINVAL,
                               "%s cannot be read: at %#" PRIx64 " there is no readable memory", rows, answer->address);
        return;
    case RP_ANSWER_REFUSED:
        task->status = rp_fail(
            &task->error, ROWPOOL_ESYSTEM,
            "worker process %d is not allowed to read this process's memory, for %s: use memory from "
            "rowpool_alloc, or a shared mapping of a file; the device isolated needs the right to read",
            (int)pid, rows);
        return;
    case RP_ANSWER_FAILED:
        task->error = answer->error;
        task->error.message[sizeof task->error.message - 1] = '\0';
        task->status = answer->error.status;
        return;
    case RP_ANSWER_NO_MEMORY:
        break;
    }
    task->status = rp_fail(&task->error, ROWPOOL_ENOMEM, "worker process %d cannot map memory for %s", (int)pid, rows);
}

static void trace_answer(const rp_workers_slot *slot, const rp_task *task, const rp_answer *answer)
{
    char track[64], rows[ROWS_TEXT];
    if (!rp_trace_on())
        return;
    snprintf(track, sizeof track, "worker process %d", (int)slot->worker.pid);
    rows_text(task, rows);
    rp_trace_span(track, task->operation->name, answer->begin, answer->end, rows);
}

/* Takes the oldest of a slot's tasks off it. */
static rp_workers_flight *take_oldest(rp_workers *state, rp_workers_slot *slot)
{
    slot->tasks--;
    state->sent--;
    return rp_workers_list_pop(&slot->sent);
}

/* Whether what came is an answer: a function of the user's may write anything to any descriptor. Only a program fails
 * with an error of its own. */
static bool is_answer(const rp_workers *state, const rp_answer *answer, size_t bytes)
{
    if (bytes < offsetof(rp_answer, error) || answer->status > RP_ANSWER_FAILED || bytes != rp_answer_size(answer))
        return false;
    return answer->status != RP_ANSWER_FAILED || (state->kind->program && answer->error.status != ROWPOOL_OK);
}

/* Takes the answers that have come. False: no more will come, or none that makes sense. */
static bool take_answers(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    rp_answer answer;
    ssize_t bytes = 0;
    while (!slot->broken && (bytes = rp_worker_receive(&slot->worker, &answer, sizeof answer)) > 0) {
        const rp_workers_flight *oldest = slot->sent.first;
        slot->broken = !is_answer(state, &answer, (size_t)bytes) || oldest == NULL || oldest->number != answer.number;
        if (slot->broken)
            break;
        trace_answer(slot, oldest->task, &answer);
        set_status(oldest->task, &answer, slot->worker.pid);
        oldest->task->cold |= answer.cold;
        rp_workers_list_push(done, take_oldest(state, slot));
        state->losses = 0;
        state->stops = 0;
    }
    return !slot->broken && bytes < 0;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

static void lose_task(rp_workers_flight *flight, const char *how, bool blamed, bool oldest)
{
    rp_task *task = flight->task;
    char rows[ROWS_TEXT];
    rows_text(task, rows);
    task->blamed = blamed;
    task->status = rp_fail(&task->error, ROWPOOL_EWORKER, "%s %s %s", how,
                           oldest ? "while it had" : "before it came to", rows);
}

/* Whether the oldest of a worker's tasks is to blame for its end. */
static bool is_to_blame(const rp_workers *state, const rp_workers_slot *slot)
{
    /* One that ended before it came to its oldest task, in its sleep, was not ended by those rows. It may have gone
     * past them, its answer being lost or no answer; numbers only grow. */
    if (slot->tasks == 0 || atomic_load(&state->marks[index_of(state, slot)].number) < slot->sent.first->number ||
        rp_workers_is_unwanted(slot->sent.first->task))
        return false;
    const rp_operation *operation = slot->sent.first->operation->operation;
    if (slot->interrupted)
        return operation->once; /* it was killed for an earlier task, but had begun this one */
    if (state->kind->program && rp_is_builtin(operation->function)) /* it is the driver that ended the program */
        return false;
    /* Whoever stops a process is mostly someone outside, and the rows have nothing to do with it; but a row function
     * may stop its own process. So the rows are blamed when this is not the first time in a row. */
    return !slot->overdue || state->stops > 0 || operation->once;
}

static void lose_tasks(rp_workers *state, rp_workers_slot *slot, const char *how, rp_workers_list *done)
{
    bool blamed = is_to_blame(state, slot);
    if (blamed)
        state->losses = 0;
    else
        state->losses += !slot->interrupted;
    state->stops += slot->overdue;
    for (bool oldest = true; slot->tasks > 0; oldest = false) {
        rp_workers_flight *flight = take_oldest(state, slot);
        lose_task(flight, how, blamed && oldest, oldest);
        rp_workers_list_push(done, flight);
    }
}

/* A program that ended before it was ready; what it said, if anything, is the reason. */
static void lose_program(rp_workers *state, rp_workers_slot *slot, const rp_worker_end *end)
{
    char how[RP_WORKER_END_TEXT];
    rp_worker_end_text(end, how);
    if (slot->overdue)
        snprintf(how, sizeof how, "said nothing for %d seconds, so a driver hangs, and was killed", GREETING_S);
    if (!slot->broken)
        rp_fail(&state->last_error, ROWPOOL_EDEVICE, "the helper process %d %s before it had a device",
                (int)slot->worker.pid, how);
    rp_log(RP_LOG_WORKER, "%s", state->last_error.message);
    state->refused = true;
    vacate(state, slot);
}

/* Buries a worker that has ended; does nothing when it has not, unless it is to be waited for. */
static void bury(rp_workers *state, rp_workers_slot *slot, bool wait, rp_workers_list *done)
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
    take_answers(state, slot, done); /* those it sent before count */
    char text[RP_WORKER_END_TEXT], how[RP_WORKER_END_TEXT + 64];
    rp_worker_end_text(&end, text);
    if (slot->overdue)
        snprintf(text, sizeof text, "stayed stopped by a signal and was therefore killed");
    if (slot->interrupted)
        snprintf(text, sizeof text, "was killed because its work was no longer wanted");
    bool initialising = atomic_load(&state->marks[index_of(state, slot)].initialising);
    snprintf(how, sizeof how, "worker process %d %s%s", (int)slot->worker.pid, text,
             initialising ? " in its initialiser" : "");
    rp_log(RP_LOG_WORKER, "%s; it had %zu tasks", how, slot->tasks);
    rp_trace_instant("fork", "worker lost", how);
    rp_fail(&state->last_error, ROWPOOL_EWORKER, "%s", how);
    lose_tasks(state, slot, how, done);
    vacate(state, slot);
}

/* A worker that cannot be talked to any more is of no use, whether it has ended or, say, closed its socket. */
static void hang_up(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    slot->state = RP_WORKERS_LEAVING;
    stop_listening(state, slot->worker.socket);
    rp_worker_kill(&slot->worker); /* changes nothing for one that has ended */
    if (slot->worker.pidfd < 0)
        bury(state, slot, true, done);
}

/* Counts the looks that found a worker at the same unwanted task; true: it has had its time. */
static bool outstays(const rp_workers *state, rp_workers_slot *slot)
{
    const bool submitting = atomic_load(&state->marks[index_of(state, slot)].submitting);
    const rp_workers_flight *oldest = slot->sent.first;
    if (slot->looked_at != oldest->number)
        slot->unwanted = 0;
    slot->looked_at = oldest->number;
    slot->unwanted = rp_workers_is_unwanted(oldest->task) ? slot->unwanted + 1 : 0;
    return slot->unwanted >= (submitting ? SUBMITTING_LOOKS : UNWANTED_LOOKS);
}

static void look_at_start(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    if (rp_clock_seconds(rp_clock_now(), slot->deadline) > 0)
        return;
    slot->overdue = true;
    hang_up(state, slot, done);
}

/* Looks are counted, not seconds: while this process itself was stopped, with its workers, none passes. */
static void look_at(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    if (slot->state == RP_WORKERS_STARTING)
        look_at_start(state, slot, done);
    if (slot->tasks == 0 || slot->state == RP_WORKERS_EMPTY)
        return;
    if (slot->worker.pidfd < 0) /* the socket may not tell: see stop_listening */
        bury(state, slot, false, done);
    if (slot->state != RP_WORKERS_READY)
        return;
    if (!take_answers(state, slot, done)) { /* those that are there count before it is judged */
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

/* ---- Replacing workers --------------------------------------------------------------------------------------------
 */

/* Where there is no worker, and none is to be had, whoever waits is told. */
static void give_up(rp_workers *state, rp_workers_list *done)
{
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state != RP_WORKERS_EMPTY)
            return;
    rowpool_error error = state->last_error;
    const char *what = state->kind->program ? "helper processes ended one after the other"
                                            : "worker processes ended before they began a single row";
    if (too_many_losses(state))
        rp_fail(&error, ROWPOOL_ESYSTEM, "%zu %s: %s", state->losses, what, state->last_error.message);
    state->losses = 0; /* they are told of: the next map may try again */
    for (rp_workers_flight *flight; (flight = rp_workers_list_pop(&state->queue)) != NULL;) {
        flight->task->status = error.status;
        flight->task->error = error;
        rp_workers_list_push(done, flight);
    }
}

/* Workers without the function of the map that is next, which was loaded since, end after what they have. */
static void dismiss_outdated(rp_workers *state, rp_workers_list *done)
{
    for (size_t i = 0; state->queue.first != NULL && i < state->workers; i++) {
        rp_workers_slot *slot = &state->slots[i];
        if (slot->state != RP_WORKERS_READY || slot->tasks > 0 ||
            rp_workers_serves(slot, state->queue.first->operation))
            continue;
        rp_log(RP_LOG_WORKER, "worker process %d lacks a library that was loaded since: another takes its place",
               (int)slot->worker.pid);
        slot->interrupted = true;
        hang_up(state, slot, done);
        bury(state, slot, true, done);
    }
}

static void replace_workers(rp_workers *state, rp_workers_list *done)
{
    dismiss_outdated(state, done);
    if (!state->refused) /* else another one would be, again and again */
        fill_slots(state);
    rp_workers_dispatch(state, done);
    if (state->queue.first != NULL)
        give_up(state, done);
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

static void handle(rp_workers *state, uint64_t what, rp_workers_list *done)
{
    if (what == UINT64_MAX) {
        handle_wake(state, done);
        return;
    }
    rp_workers_slot *slot = &state->slots[what / 2];
    if (slot->state == RP_WORKERS_EMPTY)
        return; /* buried by an earlier event of the same batch */
    if (what % 2 == PIDFD)
        bury(state, slot, false, done);
    else if (slot->state == RP_WORKERS_STARTING ? !take_greeting(state, slot) : !take_answers(state, slot, done))
        hang_up(state, slot, done);
}

/* Waits, for a while, for a worker that was told to end. */
static bool ends_by_itself(const rp_worker *worker, struct timespec deadline, rp_worker_end *end)
{
    while (!rp_worker_reap(worker, false, end)) {
        double left = rp_clock_seconds(rp_clock_now(), deadline);
        if (left <= 0)
            return false;
        struct pollfd wait = {.fd = worker->pidfd, .events = POLLIN}; /* without a pidfd: just a moment */
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
    struct timespec deadline = rp_clock_after_ms(state->kind->program ? DISMISS_PROGRAM_MS : DISMISS_MS);
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
        vacate(state, slot);
    }
}

/* Waits until something happens, and takes it. True: there is work, or there was just now, so that workers which have
 * gone are needed. */
static bool handle_events(rp_workers *state)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(state->events, events, EVENTS, -1);
    rp_workers_list done;
    rp_workers_list_init(&done);
    pthread_mutex_lock(&state->lock);
    state->refused = false;
    for (int i = 0; i < n; i++)
        handle(state, events[i].data.u64, &done);
    rp_workers_dispatch(state, &done);
    bool busy = state->queue.first != NULL || state->sent > 0 || done.first != NULL;
    pthread_mutex_unlock(&state->lock);
    rp_workers_deliver(&done);
    return busy;
}

/* Workers are replaced when there is work, not before: to kill one that is idle, again and again, costs no process. */
static void handle_losses(rp_workers *state)
{
    rp_workers_list done;
    rp_workers_list_init(&done);
    pthread_mutex_lock(&state->lock);
    replace_workers(state, &done);
    pthread_mutex_unlock(&state->lock);
    rp_workers_deliver(&done);
}

static bool is_stopping(rp_workers *state)
{
    pthread_mutex_lock(&state->lock);
    bool stopping = state->stopping;
    pthread_mutex_unlock(&state->lock);
    return stopping;
}

/* One after the other, as far as they are to be had: the first program says how many there are to be. How many are. */
static size_t open_slots(rp_workers *state)
{
    size_t i = 0;
    for (; i < state->workers && start(state, i) == ROWPOOL_OK; i++) {
        const rp_workers_slot *slot = &state->slots[i];
        while (slot->state != RP_WORKERS_READY && slot->state != RP_WORKERS_EMPTY) {
            pthread_mutex_unlock(&state->lock);
            handle_events(state);
            pthread_mutex_lock(&state->lock);
        }
        if (slot->state == RP_WORKERS_EMPTY)
            break;
    }
    return i;
}

void *rp_workers_supervise(void *argument)
{
    rp_workers *state = argument;
    pthread_mutex_lock(&state->lock);
    const size_t started = open_slots(state);
    state->missing = state->workers - started;
    state->workers = started; /* do with those, rather than try for more again and again */
    state->opened = true;
    pthread_cond_signal(&state->begun);
    pthread_mutex_unlock(&state->lock);
    while (!is_stopping(state))
        if (handle_events(state))
            handle_losses(state);
    pthread_mutex_lock(&state->lock);
    dismiss_workers(state);
    pthread_mutex_unlock(&state->lock);
    return NULL;
}
