/* Process objects, and memory that processes share. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/lock.h"
#include "base/self.h"
#include "base/thread.h"
#include "process/memory.h"
#include "process/worker.h"

struct rowpool_process {
    pid_t owner;      /* the process that made the object */
    rp_worker worker; /* pid and pidfd; there is no socket */
    int pipe;         /* the reading end */
    rp_mutex lock;    /* `end`: two threads may join at once */
    bool ended;
    rp_worker_end end;
};

/* ---- Standard streams ------------------------------------------------------------------------------------------- */

/* Flushes a stream. False: another thread has locked it, maybe for ever. */
static bool flush(FILE *stream)
{
    if (ftrylockfile(stream) != 0)
        return false;
    fflush_unlocked(stream);
    funlockfile(stream);
    return true;
}

/* At the end of a child. The application's other streams are not flushed: the parent writes what they hold. */
static void flush_both(void)
{
    flush(stdout);
    flush(stderr);
}

/* ---- Starting --------------------------------------------------------------------------------------------------- */

/* Held while this process has the write end of a pipe open. A child that was forked then would inherit it, and the
 * reader would not see the end before that child exits. The application's forks wait, too. */
static rp_mutex starting = RP_MUTEX(RP_LOCK_STARTING);

static _Noreturn void live(rowpool_process_run *run, void *argument, const rowpool_process_options *options, int pipe)
{
    rp_worker_reset_signals(false);
    int status = options->init != NULL ? options->init(argument) : 0;
    if (status == 0)
        status = run(argument, pipe);
    flush_both();
    _exit(status);
}

static rowpool_status refuse(rowpool_error *error, const char *what)
{
    return rp_fail(error, ROWPOOL_ESYSTEM, "cannot start a process: %s: %s", what, strerror(errno));
}

static rowpool_status fork_into(rowpool_process *process, rowpool_process_run *run, void *argument,
                                const rowpool_process_options *options, rowpool_error *error)
{
    /* Otherwise the parent and the child would both write what is buffered. */
    const bool out = flush(stdout), err = flush(stderr);
    int ends[2];
    rp_lock_against_forks(&starting);
    if (pipe2(ends, O_CLOEXEC) != 0 || !rp_descriptors_keep(ends)) {
        rp_unlock_for_forks(&starting);
        return refuse(error, "pipe");
    }
    pid_t pid = rp_worker_fork(flush_both);
    if (pid == 0) {
        if (!out)
            __fpurge(stdout); /* the thread that locked it, in the parent, writes it */
        if (!err)
            __fpurge(stderr);
        close(ends[0]);
        live(run, argument, options, ends[1]);
    }
    rowpool_status status = pid < 0 ? refuse(error, "fork") : ROWPOOL_OK;
    close(ends[1]);
    rp_unlock_for_forks(&starting);
    if (status != ROWPOOL_OK) {
        close(ends[0]);
        return status;
    }
    process->pipe = ends[0];
    rp_worker_adopt(&process->worker, pid);
    return ROWPOOL_OK;
}

rowpool_status rowpool_process_start(rowpool_process **process, rowpool_process_run *run, void *argument,
                                     const rowpool_process_options *options, rowpool_error *error)
{
    RP_NO_CANCEL;
    const rowpool_process_options usual = {.size = sizeof usual};
    if (process == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "process is NULL: there is no place for the handle");
    *process = NULL;
    if (run == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "run is NULL: there is nothing to run");
    if (options != NULL && options->size != sizeof *options)
        return rp_fail(error, ROWPOOL_EINVAL, "options.size is %zu; it must be sizeof(rowpool_process_options), %zu",
                       options->size, sizeof *options);
    rowpool_process *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a process");
    rowpool_status status = fork_into(fresh, run, argument, options != NULL ? options : &usual, error);
    if (status != ROWPOOL_OK) {
        free(fresh);
        return status;
    }
    fresh->owner = rp_self();
    rp_mutex_init(&fresh->lock, RP_LOCK_PROCESS);
    *process = fresh;
    return ROWPOOL_OK;
}

/* ---- Looking and waiting ---------------------------------------------------------------------------------------- */

static rowpool_status check(const rowpool_process *process, rowpool_error *error)
{
    if (process == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "process is NULL");
    if (process->owner != rp_self())
        return rp_fail(error, ROWPOOL_EFORKED, "this process object belongs to process %ld, the parent of this one",
                       (long)process->owner);
    return ROWPOOL_OK;
}

/* Whether it has ended; records how, once. */
static bool has_ended(rowpool_process *process)
{
    rp_lock(&process->lock);
    if (!process->ended)
        process->ended = rp_worker_reap(&process->worker, false, &process->end);
    bool ended = process->ended;
    rp_unlock(&process->lock);
    return ended;
}

/* Sleeps until the process ends or ms have passed. Without a pidfd it sleeps for MOMENT_MS at most. */
static void sleep_until_end(const rowpool_process *process, int ms)
{
    enum { MOMENT_MS = 5 };
    bool has_pidfd = process->worker.pidfd >= 0;
    struct pollfd wait = {.fd = process->worker.pidfd, .events = POLLIN};
    poll(&wait, has_pidfd, has_pidfd || (ms >= 0 && ms < MOMENT_MS) ? ms : MOMENT_MS);
}

rowpool_status rowpool_process_join(rowpool_process *process, int timeout_ms, rowpool_error *error)
{
    RP_NO_CANCEL;
    RP_TRY(check(process, error));
    struct timespec deadline = rp_clock_after_ms(timeout_ms < 0 ? 0 : timeout_ms);
    while (!has_ended(process)) {
        double left = rp_clock_seconds(rp_clock_now(), deadline);
        if (timeout_ms >= 0 && left <= 0)
            return rp_fail(error, ROWPOOL_ENOTREADY, "process %d is still alive", (int)process->worker.pid);
        sleep_until_end(process, timeout_ms < 0 ? -1 : (int)(left * 1e3) + 1);
    }
    return ROWPOOL_OK;
}

rowpool_status rowpool_process_status(rowpool_process *process, rowpool_process_state *state, rowpool_error *error)
{
    RP_NO_CANCEL;
    RP_TRY(check(process, error));
    if (state == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "state is NULL: there is no place for the result");
    bool ended = has_ended(process);
    const rp_worker_end *end = &process->end; /* does not change any more once it has ended */
    *state = (rowpool_process_state){.alive = !ended, .exit_code = -1};
    if (!ended)
        return ROWPOOL_OK;
    state->known = end->known;
    state->exit_code = end->known && !end->signalled ? end->value : -1;
    state->end_signal = end->signalled ? end->value : 0;
    return ROWPOOL_OK;
}

bool rowpool_process_alive(rowpool_process *process)
{
    RP_NO_CANCEL;
    return check(process, NULL) == ROWPOOL_OK && !has_ended(process);
}

/* ---- Signals, the rest ------------------------------------------------------------------------------------------ */

static rowpool_status send_signal(rowpool_process *process, int number, rowpool_error *error)
{
    RP_TRY(check(process, error));
    /* Under the lock the process cannot be reaped, so its id cannot be another's. */
    rp_lock(&process->lock);
    if (!process->ended)
        rp_worker_signal(&process->worker, number);
    rp_unlock(&process->lock);
    return ROWPOOL_OK;
}

rowpool_status rowpool_process_terminate(rowpool_process *process, rowpool_error *error)
{
    return send_signal(process, SIGTERM, error);
}

rowpool_status rowpool_process_kill(rowpool_process *process, rowpool_error *error)
{
    return send_signal(process, SIGKILL, error);
}

long rowpool_process_id(const rowpool_process *process)
{
    return process != NULL ? (long)process->worker.pid : -1;
}

int rowpool_process_pipe(const rowpool_process *process)
{
    return process != NULL ? process->pipe : -1;
}

void rowpool_process_close(rowpool_process *process)
{
    RP_NO_CANCEL;
    if (process == NULL)
        return;
    if (process->owner == rp_self()) {
        if (!has_ended(process)) {
            rp_worker_signal(&process->worker, SIGKILL);
            rp_worker_reap(&process->worker, true, &process->end);
        }
        rp_mutex_destroy(&process->lock);
    }
    close(process->pipe);
    rp_worker_release(&process->worker);
    free(process);
}

/* ---- Shared memory ---------------------------------------------------------------------------------------------- */

void *rowpool_alloc(size_t bytes, rowpool_error *error)
{
    return rp_shared_alloc(bytes, error);
}

void rowpool_free(void *memory)
{
    rp_shared_free(memory);
}
