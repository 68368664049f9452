/* Worker processes: forks of this one, or programs, that answer messages on a socket. This covers their start and end;
 * the layers above define the messages. */
#ifndef RP_PROCESS_WORKER_H
#define RP_PROCESS_WORKER_H

#include <sys/types.h>

#include "base/error.h"

/* ---- In the parent ---------------------------------------------------------------------------------------------- */

typedef struct {
    pid_t pid;
    int pidfd; /* readable once the worker has ended; -1: the kernel has no pidfds, and only the socket shows the end */
    int socket; /* keeps message boundaries; neither reads nor writes block */
} rp_worker;

/* What a worker knows of itself and its parent. */
typedef struct {
    pid_t parent;
    int socket;
    int memory; /* the parent's /proc/self/mem, or -1 */
    void *context;
} rp_worker_self;

/* What a worker does: async-signal-safe calls only, until it calls a function of the user's. The worker exits with 0
 * when this returns. */
typedef void rp_worker_run(const rp_worker_self *self);

/* Forks a worker; context is for run. The worker dies with the calling *thread*. ESYSTEM: no process or descriptor is
 * available. */
rowpool_status rp_worker_start(rp_worker *worker, rp_worker_run *run, void *context, rowpool_error *error);

/* Starts a program as a worker, which shares no memory and no library with this process. `words` are its arguments from
 * argv[2] on, `shared` is one more descriptor that it gets. It dies with the calling thread, too. */
enum { RP_WORKER_WORDS = 2 };
rowpool_status rp_worker_spawn(rp_worker *worker, const char *path, const char *const words[RP_WORKER_WORDS],
                               int shared, rowpool_error *error);

enum { RP_WORKER_DESCRIPTORS = 9 }; /* max in one message */

/* Sends one message, all of it or nothing; 0 or the errno. EPIPE or ECONNRESET: the worker has ended, or is ending. */
int rp_worker_send(const rp_worker *worker, const void *message, size_t bytes, const int *descriptors, size_t n);

/* Takes one message that has come. Returns its bytes, at most `capacity`; 0: no more will come; -1: none is there
 * now. */
ssize_t rp_worker_receive(const rp_worker *worker, void *message, size_t capacity);

/* Tells it to end: no further message will come. */
void rp_worker_dismiss(const rp_worker *worker);
void rp_worker_kill(const rp_worker *worker);

/* Sends a signal to it. With a pidfd it cannot hit another process that has its id by now. */
void rp_worker_signal(const rp_worker *worker, int number);

/* Makes a worker, without a socket, of a child that was forked elsewhere. */
void rp_worker_adopt(rp_worker *worker, pid_t pid);

/* Whether it is stopped by a signal now. */
bool rp_worker_is_stopped(const rp_worker *worker);

/* How a worker ended. */
typedef struct {
    bool known; /* false: the application ignores SIGCHLD, or waits for any child */
    bool signalled;
    int value; /* exit status or signal */
} rp_worker_end;

/* Collects a worker that has ended, so that no zombie remains; wait: waits for its end. False: it has not ended. */
bool rp_worker_reap(const rp_worker *worker, bool wait, rp_worker_end *end);

/* "was killed by signal 9 (SIGKILL)", "ended with exit status 3", ... */
enum { RP_WORKER_END_TEXT = 160 };
void rp_worker_end_text(const rp_worker_end *end, char text[RP_WORKER_END_TEXT]);

/* Closes the descriptors. Does not touch the process. */
void rp_worker_release(rp_worker *worker);

/* Forks. The child has every signal blocked until rp_worker_reset_signals: a handler of the application's could wait
 * there for ever, for a lock that another thread held. exit() in the child runs `last`, if not NULL, but no handlers
 * and no destructors, and writes no stream. */
pid_t rp_worker_fork(void (*last)(void));

/* ---- In the worker ---------------------------------------------------------------------------------------------- */

/* The first call of a program that rp_worker_spawn started. False: it was started otherwise. */
bool rp_worker_become(rp_worker_self *self, int *shared, int argc, char **argv);

/* Resets every signal handler and unblocks every signal. ignore_keyboard: ignores Ctrl-C and Ctrl-\, which reach the
 * whole process group: the parent decides when its workers end. */
void rp_worker_reset_signals(bool ignore_keyboard);

/* Waits for a message. Returns its bytes; 0: the worker is to end. descriptors: those that came with it, for the caller
 * to close, then -1. */
size_t rp_worker_next(const rp_worker_self *self, void *message, size_t capacity,
                      int descriptors[RP_WORKER_DESCRIPTORS]);

/* Sends an answer. False: the parent has ended. */
bool rp_worker_answer(const rp_worker_self *self, const void *message, size_t bytes);

#endif
