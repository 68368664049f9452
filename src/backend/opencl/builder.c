/* The builder: a thread of a device's that builds programs while others do their work. It is there only as long as there
 * is something to build, and is waited for before its device is closed and before the process ends, for one that ends
 * while a driver compiles crashes. */
#include "backend/opencl/opencl.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"

/* Devices that are open, for the end of the process. This lock is taken before a device's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rp_cl_device *first;
static pid_t owner;

static void *work(void *argument)
{
    rp_device *device = argument;
    rp_cl_device *state = device->state;
    pthread_mutex_lock(&state->lock);
    while (state->stops == 0 && rp_cl_build_next(device))
        ;
    state->builds = false;
    pthread_cond_broadcast(&state->built);
    pthread_mutex_unlock(&state->lock);
    return NULL;
}

/* Waits until the builder, if there is one, has done what it is at. The device's lock is held, and given up meanwhile. */
static void stop(rp_cl_device *state)
{
    state->stops++;
    while (state->builds)
        pthread_cond_wait(&state->built, &state->lock);
    state->stops--;
    if (state->started)
        pthread_join(state->builder, NULL);
    state->started = false;
}

/* ---- The end of the process -------------------------------------------------------------------------------------- */

/* Waits for what is being built now. */
static void wait_for_all(void)
{
    if (owner != getpid()) /* a forked child, which has no builder */
        return;
    pthread_mutex_lock(&lock);
    for (rp_cl_device *state = first; state != NULL; state = state->next) {
        pthread_mutex_lock(&state->lock);
        stop(state);
        pthread_mutex_unlock(&state->lock);
    }
    pthread_mutex_unlock(&lock);
}

static void thread_ends(void *unused)
{
    (void)unused;
    wait_for_all();
}

static void note_owner(void)
{
    owner = getpid();
    (void)atexit(wait_for_all);
}

/* Compilers set up, as they build their first program, what the process takes down at its end before it comes to the
 * handlers that were there already: atexit alone would be too late. What C++ has for the end of a thread comes first of
 * all where it is exit that ends it. So it is asked for in every thread that opens a device or orders a build; one that
 * merely ends waits for what is being built as well. */
extern int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *library) __attribute__((weak));
extern void *__dso_handle;

static void watch_end(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local bool watched;
    pthread_once(&once, note_owner);
    if (!watched && __cxa_thread_atexit_impl != NULL)
        watched = __cxa_thread_atexit_impl(thread_ends, NULL, &__dso_handle) == 0;
}

/* ---- A device ---------------------------------------------------------------------------------------------------- */

rowpool_status rp_cl_builder_start(rp_device *device)
{
    rp_cl_device *state = device->state;
    watch_end();
    if (state->builds)
        return ROWPOOL_OK;
    stop(state);
    state->started = rp_thread_start(&state->builder, "rowpool-build", work, device, NULL) == ROWPOOL_OK;
    state->builds = state->started;
    return state->started ? ROWPOOL_OK : ROWPOOL_ESYSTEM;
}

void rp_cl_builder_enlist(rp_cl_device *state)
{
    watch_end();
    pthread_mutex_lock(&lock);
    state->next = first;
    first = state;
    pthread_mutex_unlock(&lock);
}

void rp_cl_builder_end(rp_cl_device *state)
{
    pthread_mutex_lock(&lock);
    rp_cl_device **link = &first;
    while (*link != state)
        link = &(*link)->next;
    *link = state->next;
    pthread_mutex_unlock(&lock);
    pthread_mutex_lock(&state->lock);
    stop(state);
    pthread_mutex_unlock(&state->lock);
}
