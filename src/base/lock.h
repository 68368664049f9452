/* Locks: every mutex of the library. A thread takes them in the order of this table, outermost first.
 *
 *   rank       mutex                     protects
 *   OPENING    rowpool.opening           devices that are opened or looked at after rowpool_open
 *   STARTING   api/process.c             pipes of processes being started: no other child may inherit them
 *   POOL       rowpool.lock              calls in flight, runs, handles, rates and counters of devices
 *   JOB        rowpool_job.lock          state and result of a job
 *   PROCESS    rowpool_process.lock      the end of a process, which is collected once
 *   WORKERS    rp_workers.lock           slots, queue and operations of a device with worker processes
 *   CL_DEVICE  rp_cl_device.lock         programs, kernels and queues of an OpenCL device
 *   CL_BUILDS  opencl/builder.c          builds under way against the end of the process
 *   CL_PROBE   opencl/probe.c            what drivers said of their devices
 *   CL_SIGNALS opencl/signals.c          signal handlers that drivers have replaced
 *   REGISTRY   process/memory.c          regions of rowpool_alloc
 *   QUEUE      rp_queue.lock             one queue
 *   TRACE      base/trace.c              the trace file
 *
 * Only the first two are held for long. Under any other lock nobody forks, reads /proc, releases device memory or calls
 * the user. A build with assertions (NDEBUG not defined) checks both rules and aborts on a violation. */
#ifndef RP_BASE_LOCK_H
#define RP_BASE_LOCK_H

#include <pthread.h>
#include <time.h>

typedef enum {
    RP_LOCK_OPENING,
    RP_LOCK_STARTING,
    RP_LOCK_POOL,
    RP_LOCK_JOB,
    RP_LOCK_PROCESS,
    RP_LOCK_WORKERS,
    RP_LOCK_CL_DEVICE,
    RP_LOCK_CL_BUILDS,
    RP_LOCK_CL_PROBE,
    RP_LOCK_CL_SIGNALS,
    RP_LOCK_REGISTRY,
    RP_LOCK_QUEUE,
    RP_LOCK_TRACE,
    RP_LOCK_RANKS
} rp_lock_rank;

typedef struct {
    pthread_mutex_t mutex;
    rp_lock_rank rank;
} rp_mutex;

#define RP_MUTEX(rank_)                                     \
    {                                                       \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_) \
    }

#ifdef NDEBUG
#define rp_lock_note_taken(mutex) ((void)0)
#define rp_lock_note_given(mutex) ((void)0)
#define rp_assert_no_lock(what) ((void)0)
#else
/* Called before a mutex is locked and before it is unlocked. */
void rp_lock_note_taken(const rp_mutex *mutex);
void rp_lock_note_given(const rp_mutex *mutex);

/* Aborts where the calling thread holds a lock that forbids `what`. */
void rp_assert_no_lock(const char *what);
#endif

static inline void rp_mutex_init(rp_mutex *mutex, rp_lock_rank rank)
{
    pthread_mutex_init(&mutex->mutex, NULL);
    mutex->rank = rank;
}

static inline void rp_mutex_destroy(rp_mutex *mutex)
{
    pthread_mutex_destroy(&mutex->mutex);
}

static inline void rp_lock(rp_mutex *mutex)
{
    rp_lock_note_taken(mutex);
    pthread_mutex_lock(&mutex->mutex);
}

static inline void rp_unlock(rp_mutex *mutex)
{
    rp_lock_note_given(mutex);
    pthread_mutex_unlock(&mutex->mutex);
}

/* Waits for a signal; the mutex is free meanwhile. 0. */
static inline int rp_wait(pthread_cond_t *cond, rp_mutex *mutex)
{
    return pthread_cond_wait(cond, &mutex->mutex);
}

/* The same until a deadline of rp_clock, for a condition variable of rp_cond_init. 0 or ETIMEDOUT. */
static inline int rp_wait_until(pthread_cond_t *cond, rp_mutex *mutex, const struct timespec *deadline)
{
    return pthread_cond_timedwait(cond, &mutex->mutex, deadline);
}

/* rp_lock and rp_unlock of a static mutex that a forked child must find free: a fork in another thread waits, and one in
 * this thread leaves the mutex unlocked in the child. One mutex for each rank. */
void rp_lock_against_forks(rp_mutex *mutex);
void rp_unlock_for_forks(rp_mutex *mutex);

#endif
