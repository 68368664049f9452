/* The builder: a thread of a device's that builds programs while others do their work. It is there only as long as there
 * is something to build, and is waited for before its device is closed and before the process ends, for one that ends
 * while a driver compiles crashes. */
#include "device/opencl/opencl.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/thread.h"

static void *work(void *argument)
{
    rp_device *device = argument;
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    while (state->stops == 0 && rp_cl_build_next(device))
        ;
    state->builds = false;
    pthread_cond_broadcast(&state->built);
    rp_unlock(&state->lock);
    return NULL;
}

/* Waits until the builder, if there is one, has done what it is at. The device's lock is held, and given up meanwhile. */
static void stop(rp_cl_device *state)
{
    state->stops++;
    while (state->builds)
        rp_wait(&state->built, &state->lock);
    state->stops--;
    if (state->started)
        pthread_join(state->builder, NULL);
    state->started = false;
}

/* ---- The end of the process --------------------------------------------------------------------------------------
 *
 * exit() runs the C++ thread_local destructors of the calling thread, then the exit handlers, latest first. A compiler
 * registers exit handlers while it builds, which destroy what every build needs: so no build may run when they start.
 * exit() is detected in two ways: by a thread destructor in each watched thread (the one that loads the library, and each
 * that opens a device or orders a build), and by an exit handler that is added after each build. An exit() in another
 * thread during the first build is not detected. A thread that merely ends runs the destructors of its keys next, which
 * exit() does not: then builds may begin again. The first launches of kernels, outside the builder, are not counted. */

static struct {
    rp_mutex lock; /* taken after a device's */
    pthread_cond_t changed;
    unsigned builds; /* under way */
    unsigned ends;   /* threads that are ending or have called exit(): while there are any, no build begins */
    pthread_key_t key;
} gate = {.lock = RP_MUTEX(RP_LOCK_CL_BUILDS)};

static _Atomic pid_t owner;
static _Thread_local bool builds_here, watched, ends_here;
static _Thread_local bool counted; /* among gate.ends */

/* Waits for builds of other threads: a compiler that fails may call exit itself. Not without end: a driver may hang. */
static void wait_for_builds(void)
{
    enum { PATIENCE_MS = 30000 };
    const struct timespec deadline = rp_clock_after_ms(PATIENCE_MS);
    int late = 0;
    while (gate.builds > builds_here && late == 0)
        late = rp_wait_until(&gate.changed, &gate.lock, &deadline);
}

static void process_ends(void)
{
    ends_here = true;
    if (atomic_load(&owner) != rp_self()) /* a child of a fork, in which nothing is built */
        return;
    rp_lock(&gate.lock);
    gate.ends++;
    wait_for_builds();
    rp_unlock(&gate.lock);
}

static void thread_ends(void *unused)
{
    (void)unused;
    counted = atomic_load(&owner) == rp_self();
    process_ends();
}

/* The destructor of the key. */
static void thread_has_ended(void *unused)
{
    (void)unused;
    if (!counted || atomic_load(&owner) != rp_self())
        return;
    counted = false;
    rp_lock(&gate.lock);
    gate.ends--;
    pthread_cond_broadcast(&gate.changed);
    rp_unlock(&gate.lock);
}

/* In a new process, before it has another thread: those of the other, and their builds, are not here. */
static void begin_process(void)
{
    rp_mutex_init(&gate.lock, RP_LOCK_CL_BUILDS);
    rp_cond_init(&gate.changed);
    gate.builds = gate.ends = 0;
    builds_here = counted = false;
    atomic_store(&owner, rp_self());
}

void rp_cl_watch_thread(void)
{
    if (watched)
        return;
    watched = true;
    (void)pthread_setspecific(gate.key, &gate);
    (void)rp_thread_at_end(thread_ends);
}

__attribute__((constructor)) static void watch_loader(void)
{
    begin_process();
    if (pthread_key_create(&gate.key, thread_has_ended) != 0 || pthread_atfork(NULL, NULL, begin_process) != 0)
        return; /* out of memory as the program begins */
    rp_cl_watch_thread();
}

bool rp_cl_build_begin(bool waits)
{
    enum { PATIENCE_MS = 1000 }; /* a thread that ends takes less, once the builds that it waits for are done */
    struct timespec deadline = rp_clock_after_ms(PATIENCE_MS);
    int late = 0;
    rp_lock(&gate.lock);
    while (gate.ends > 0 && waits && late == 0) {
        const bool others_build = gate.builds > 0;
        late = rp_wait_until(&gate.changed, &gate.lock, &deadline);
        if (others_build) {
            late = 0;
            deadline = rp_clock_after_ms(PATIENCE_MS);
        }
    }
    builds_here = gate.ends == 0;
    gate.builds += builds_here;
    rp_unlock(&gate.lock);
    return builds_here;
}

void rp_cl_build_adopt(void)
{
    builds_here = true;
}

void rp_cl_build_end(bool built)
{
    if (built)
        (void)atexit(process_ends); /* before what this build has added */
    rp_lock(&gate.lock);
    builds_here = false;
    gate.builds--;
    pthread_cond_broadcast(&gate.changed);
    rp_unlock(&gate.lock);
}

bool rp_cl_thread_ends(void)
{
    return ends_here;
}

/* ---- A device ---------------------------------------------------------------------------------------------------- */

rowpool_status rp_cl_builder_start(rp_device *device)
{
    rp_cl_device *state = device->state;
    rp_cl_watch_thread();
    if (state->builds)
        return ROWPOOL_OK;
    stop(state);
    state->started = rp_thread_start(&state->builder, "rowpool-build", work, device, NULL) == ROWPOOL_OK;
    state->builds = state->started;
    return state->started ? ROWPOOL_OK : ROWPOOL_ESYSTEM;
}

void rp_cl_builder_end(rp_cl_device *state)
{
    rp_lock(&state->lock);
    stop(state);
    rp_unlock(&state->lock);
}
