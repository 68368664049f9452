/* Worker processes: forks of this one, or a program of its own, that answer messages on a socket. Here are their
 * beginning and their end; what the messages say is known above. */
#ifndef RP_PROCESS_WORKER_H
#define RP_PROCESS_WORKER_H

#include <sys/types.h>

#include "base/error.h"

/* ---- In the parent ---------------------------------------------------------------------------------------------- */

typedef struct {
    pid_t pid;
    int pidfd;  /* readable once the worker has ended; -1 where the kernel has none: then only the socket tells */
    int socket; /* keeps the borders of messages; reads never block, nor do writes */
} rp_worker;

/* What a worker has of its own. */
typedef struct {
    pid_t parent;
    int socket;
    int memory; /* the parent's /proc/self/mem, or -1 */
    void *context;
} rp_worker_self;

/* What a worker does: async-signal-safe calls only, until it calls a function of the user's. It ends with 0 when this
 * returns. */
typedef void rp_worker_run(const rp_worker_self *self);

/* Forks a worker; context is for run. It dies with the *thread* that called this, so that must be one that lives as
 * long as the worker should. ESYSTEM: no process, or no descriptor, is to be had. */
rowpool_status rp_worker_start(rp_worker *worker, rp_worker_run *run, void *context, rowpool_error *error);

/* Starts a program as a worker: no memory is copied, and no library of this process's is in it. `words` are its
 * arguments from argv[2] on, `shared` is a descriptor that it gets beside its own. It dies with the thread that called
 * this, too. */
enum { RP_WORKER_WORDS = 2 };
rowpool_status rp_worker_spawn(rp_worker *worker, const char *path, const char *const words[RP_WORKER_WORDS],
                               int shared, rowpool_error *error);

enum { RP_WORKER_DESCRIPTORS = 9 }; /* the most in one message */

/* Sends one message, all of it or nothing; 0 or the errno. EPIPE or ECONNRESET: the worker has gone, or is going. */
int rp_worker_send(const rp_worker *worker, const void *message, size_t bytes, const int *descriptors, size_t n);

/* Takes one message that has come: its bytes, at most `capacity` of them; 0 when none will come any more, -1 when none
 * is there now. */
ssize_t rp_worker_receive(const rp_worker *worker, void *message, size_t capacity);

/* Tells it to end: no further message will come. */
void rp_worker_dismiss(const rp_worker *worker);
void rp_worker_kill(const rp_worker *worker);

/* Sends a signal to it and, where there are pidfds, to no process that has got its id since. */
void rp_worker_signal(const rp_worker *worker, int number);

/* A child that was forked elsewhere, without a socket. */
void rp_worker_adopt(rp_worker *worker, pid_t pid);

/* Whether it is stopped by a signal now. */
bool rp_worker_is_stopped(const rp_worker *worker);

/* How a worker ended. Where the application ignores SIGCHLD, or waits for any child, the system may not tell. */
typedef struct {
    bool known, signalled;
    int value; /* exit status or signal */
} rp_worker_end;

/* Takes note of a worker's end, so that no zombie remains. False: it has not ended; never so with `wait`. */
bool rp_worker_reap(const rp_worker *worker, bool wait, rp_worker_end *end);

/* "was killed by signal 9 (SIGKILL)", "ended with exit status 3", ... */
enum { RP_WORKER_END_TEXT = 160 };
void rp_worker_end_text(const rp_worker_end *end, char text[RP_WORKER_END_TEXT]);

/* Gives the descriptors back. Does not touch the process. */
void rp_worker_release(rp_worker *worker);

/* Forks; the child has every signal blocked until rp_worker_reset_signals. One that came before would run a handler of
 * the application's in the child, where the locks of other threads stay locked for ever. exit() in the child runs `last`,
 * where that is not NULL, but neither handlers nor destructors, and writes no stream. */
pid_t rp_worker_fork(void (*last)(void));

/* ---- In the worker ---------------------------------------------------------------------------------------------- */

/* The first call of a program that rp_worker_spawn started. False: somebody else did. */
bool rp_worker_become(rp_worker_self *self, int *shared, int argc, char **argv);

/* Every handler back to the default, and no signal blocked: handlers of the application, or of a driver, have no
 * business in a child. ignore_keyboard: Ctrl-C and Ctrl-\ reach the whole process group, and it is the parent who
 * decides what becomes of its workers. */
void rp_worker_reset_signals(bool ignore_keyboard);

/* Waits for a message: its bytes, or 0 when the worker is to end. descriptors: those that came with it, which are the
 * callee's to close, then -1. */
size_t rp_worker_next(const rp_worker_self *self, void *message, size_t capacity,
                      int descriptors[RP_WORKER_DESCRIPTORS]);

/* False: the parent has gone. */
bool rp_worker_answer(const rp_worker_self *self, const void *message, size_t bytes);

#endif
