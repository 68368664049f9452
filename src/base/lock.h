/* Locks: every mutex of the library has a rank, and a thread takes them in the order of the table below, outermost
 * first.
 *
 * Only the first two are held for long. Under any other lock nobody forks, reads /proc, releases device memory or calls
 * the user. A build with assertions (NDEBUG not defined) checks both rules and aborts on a violation. */
#ifndef RP_BASE_LOCK_H
#define RP_BASE_LOCK_H

#include <pthread.h>
#include <time.h>

/* clang-format off */
#define RP_LOCKS(X)                                                                                                  \
    X(OPENING)    /* rowpool.opening: devices that are opened or looked at after rowpool_open */                     \
    X(STARTING)   /* api/process.c: the pipe of a process that is started, which no other child may inherit */       \
    X(POOL)       /* rowpool.lock: calls in flight, runs, handles, rates and counters of devices */                  \
    X(JOB)        /* rowpool_job.lock: state and result of a job */                                                  \
    X(PROCESS)    /* rowpool_process.lock: the end of a process, which is collected once */                          \
    X(WORKERS)    /* rp_workers.lock: slots, queue and operations of a device with worker processes */               \
    X(CL_DEVICE)  /* rp_cl_device.lock: programs, kernels and queues of an OpenCL device */                          \
    X(CL_BUILDS)  /* opencl/exit.c: builds under way, and threads that end meanwhile */                           \
    X(CL_PROBE)   /* opencl/probe.c: what drivers said of their devices */                                           \
    X(CL_SIGNALS) /* opencl/signals.c: libraries that drivers have loaded */                                         \
    X(REGISTRY)   /* process/memory.c: regions of rowpool_alloc */                                                   \
    X(QUEUE)      /* rp_queue.lock: one queue */                                                                     \
    X(TRACE)      /* base/trace.c: the trace file */

typedef enum {
#define RP_LOCK_ENUM(NAME) RP_LOCK_##NAME,
    RP_LOCKS(RP_LOCK_ENUM)
#undef RP_LOCK_ENUM
    RP_LOCK_RANKS
} rp_lock_rank;
/* clang-format on */

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

/* Waits to be signalled; the mutex is unlocked meanwhile. Returns 0. */
static inline int rp_wait(pthread_cond_t *cond, rp_mutex *mutex)
{
    return pthread_cond_wait(cond, &mutex->mutex);
}

/* The same until a deadline of rp_clock, for a condition variable of rp_cond_init. Returns 0 or ETIMEDOUT. */
static inline int rp_wait_until(pthread_cond_t *cond, rp_mutex *mutex, const struct timespec *deadline)
{
    return pthread_cond_timedwait(cond, &mutex->mutex, deadline);
}

/* rp_lock and rp_unlock of a static mutex that a forked child must find free: a fork in another thread waits, and one
 * in this thread leaves the mutex unlocked in the child. One mutex for each rank. */
void rp_lock_against_forks(rp_mutex *mutex);
void rp_unlock_for_forks(rp_mutex *mutex);

#endif
