/* Threads that leave the application's signals alone, and condition variables on the monotonic clock. */
#ifndef RP_BASE_THREAD_H
#define RP_BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/error.h"

/* Starts a thread in the default floating-point environment, with every signal blocked but those that a fault in it
 * raises. */
rowpool_status rp_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument,
                               rowpool_error *error);

/* Calls run(NULL) when the calling thread ends or calls exit(), before any exit handler. False: out of memory, or not
 * supported by the C library (musl). */
bool rp_thread_at_end(void (*run)(void *unused));

/* Blocks the same signals in the calling thread, so that threads started meanwhile by a driver inherit the mask. */
void rp_signals_block(sigset_t *before);
void rp_signals_unblock(const sigset_t *before);

/* Until the end of the block a pthread_cancel of the calling thread waits: others use what lies on its stack, and it
 * may hold locks. It is the first line of every public call that can wait. */
#define RP_NO_CANCEL                                                  \
    __attribute__((cleanup(rp_cancel_restore))) int rp_cancel_before; \
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &rp_cancel_before)
void rp_cancel_restore(const int *before);

/* A condition variable for rp_clock deadlines. Cannot fail on Linux. */
void rp_cond_init(pthread_cond_t *cond);

#endif
