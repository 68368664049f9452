#include "base/thread.h"

#include <string.h>
#include <time.h>

#include "base/floating.h"

void rp_signals_block(sigset_t *before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, before);
}

void rp_signals_unblock(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Drivers run in these threads, so the stack has the default size, but at least LEAST_STACK. */
static void prepare_attributes(pthread_attr_t *attributes)
{
    enum { LEAST_STACK = 1 << 20 };
    size_t size;
    pthread_attr_init(attributes);
    if (pthread_attr_getstacksize(attributes, &size) == 0 && size < LEAST_STACK)
        pthread_attr_setstacksize(attributes, LEAST_STACK);
}

rowpool_status rp_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument,
                               rowpool_error *error)
{
    sigset_t before;
    rp_floating floating;
    pthread_attr_t attributes;
    prepare_attributes(&attributes);
    rp_signals_block(&before);
    rp_floating_default(&floating);
    int failure = pthread_create(thread, &attributes, run, argument);
    rp_floating_restore(&floating);
    rp_signals_unblock(&before);
    pthread_attr_destroy(&attributes);
    if (failure != 0)
        return rp_fail(error, ROWPOOL_ESYSTEM, "cannot start the thread %s: %s", name, strerror(failure));
    pthread_setname_np(*thread, name);
    return ROWPOOL_OK;
}

/* How C++ destroys thread_local objects: calls destroy(object) when the thread ends, if the library is still loaded. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library) __attribute__((weak));
extern void *__dso_handle;

bool rp_thread_at_end(void (*run)(void *unused))
{
    return __cxa_thread_atexit_impl != NULL && __cxa_thread_atexit_impl(run, NULL, &__dso_handle) == 0;
}

void rp_cancel_restore(const int *before)
{
    pthread_setcancelstate(*before, NULL);
}

void rp_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}
