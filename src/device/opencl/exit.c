/* Keeps builds and the end of the process apart: a process that ends while a driver compiles crashes.
 *
 * exit() runs the C++ thread_local destructors of the calling thread, then the exit handlers, latest first. A compiler
 * registers exit handlers while it builds, which destroy what every build needs: so no build may run when they start.
 * exit() is noticed in two ways: by a destructor of each watched thread (the one that loads the library, and each that
 * opens a device or orders a build), and by an exit handler that is added after each build. An exit() in another thread
 * during the first build goes unnoticed. A thread that merely ends runs the destructors of its keys next, which exit()
 * does not: then builds may begin again. The first launches of kernels, outside the builder, are not counted. */
#include "device/opencl/opencl.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/thread.h"

static struct {
    rp_mutex lock; /* taken after a device's, if at all */
    pthread_cond_t changed;
    unsigned builds; /* under way */
    unsigned ends;   /* threads that are ending or have called exit(): no build begins while there are any */
    pthread_key_t key;
} gate = {.lock = RP_MUTEX(RP_LOCK_CL_BUILDS)};

static _Atomic pid_t owner; /* the process that the gate belongs to */
static _Thread_local bool watched;
static _Thread_local bool builds_here; /* this thread runs one of gate.builds */
static _Thread_local bool ends_here;
static _Thread_local bool counted; /* among gate.ends */

/* Waits for builds of other threads only, since a compiler that fails may call exit itself; not for ever, since a
 * driver may hang. */
static void wait_for_builds(void)
{
    enum { MAX_WAIT_MS = 30000 };
    const struct timespec deadline = rp_clock_after_ms(MAX_WAIT_MS);
    int late = 0;
    while (gate.builds > builds_here && late == 0)
        late = rp_wait_until(&gate.changed, &gate.lock, &deadline);
}

static void process_ends(void)
{
    ends_here = true;
    if (atomic_load(&owner) != rp_self()) /* a child of clone or vfork: the builds are the parent's */
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

/* In a new process, which has one thread and no build. */
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
        return; /* out of memory */
    rp_cl_watch_thread();
}

bool rp_cl_build_begin(bool waits)
{
    enum { MAX_WAIT_MS = 1000 }; /* an ending thread takes less, once no build holds it up */
    struct timespec deadline = rp_clock_after_ms(MAX_WAIT_MS);
    int late = 0;
    rp_lock(&gate.lock);
    while (gate.ends > 0 && waits && late == 0) {
        const bool others_build = gate.builds > 0;
        late = rp_wait_until(&gate.changed, &gate.lock, &deadline);
        if (others_build) {
            late = 0;
            deadline = rp_clock_after_ms(MAX_WAIT_MS);
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
        (void)atexit(process_ends); /* runs before the handlers that this build has added */
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
