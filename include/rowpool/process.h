/* Process objects: a function in a child process, joined later. rowpool.h includes this. */
#ifndef ROWPOOL_H
#include <rowpool.h>
#elif !defined(ROWPOOL_PROCESS_H)
#define ROWPOOL_PROCESS_H

/* A function that runs in a child process, with memory of its own, and is joined later. Needs no pool. The child is a
 * fork: it sees the caller's memory as it was; only its exit status and the bytes that it writes to its pipe come back.
 * In a program with several threads it may call only what is async-signal-safe. It must not use OpenCL. */
typedef struct rowpool_process rowpool_process;

/* What the child runs. The parent reads at rowpool_process_pipe what is written to pipe. Returns the exit status, 0 to
 * 255, or calls exit(). stdout and stderr are flushed afterwards; exit handlers are not run. */
typedef int rowpool_process_run(void *argument, int pipe);

typedef struct {
    size_t size; /* sizeof(rowpool_process_options) */

    /* Runs first in the child, with the same argument. A result other than 0 ends the child, as its exit status. */
    int (*init)(void *argument);
} rowpool_process_options;

typedef struct {
    bool alive;     /* it has not ended */
    bool known;     /* how it ended is known; not where the program ignores SIGCHLD or waits for any child */
    int exit_code;  /* 0 to 255, or -1 when a signal ended it */
    int end_signal; /* the signal that ended it, or 0 */
} rowpool_process_state;

/* Starts a process, with default signal handlers and an empty signal mask. stdout and stderr, no other streams, are
 * flushed before, unless another thread has them locked. options may be NULL. argument is the caller's; the child has a
 * copy of all memory. EINVAL: run is NULL. ESYSTEM: no process or descriptor is available. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_start(rowpool_process **process, rowpool_process_run *run,
                                                                 void *argument, const rowpool_process_options *options,
                                                                 rowpool_error *error);

/* Waits until the process has ended, in whatever way. timeout_ms < 0: for ever. ENOTREADY: it is still alive. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_join(rowpool_process *process, int timeout_ms,
                                                                rowpool_error *error);

/* Its state now, or only whether it is alive: false also for NULL and in a forked child. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_status(rowpool_process *process,
                                                                  rowpool_process_state *state, rowpool_error *error);
ROWPOOL_API bool rowpool_process_alive(rowpool_process *process);

/* Sends SIGTERM, or SIGKILL. Does nothing to a process that has ended; no other process can be hit in its place. */
ROWPOOL_API rowpool_status rowpool_process_terminate(rowpool_process *process, rowpool_error *error);
ROWPOOL_API rowpool_status rowpool_process_kill(rowpool_process *process, rowpool_error *error);

/* The process id, and the descriptor to read the child's bytes from. It reaches its end when the child closes its side,
 * and is closed with the handle. -1 for NULL. */
ROWPOOL_API long rowpool_process_id(const rowpool_process *process);
ROWPOOL_API int rowpool_process_pipe(const rowpool_process *process);

/* Gives the handle back. A process that is still alive is killed and waited for. */
ROWPOOL_API void rowpool_process_close(rowpool_process *process);

#endif
