/* Backends: how a chunk of a map is computed. One const struct for each; the pool knows nothing else of them. */
#ifndef RP_BACKEND_H
#define RP_BACKEND_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "core/operation.h"
#include "core/split.h"

typedef struct rp_backend rp_backend;

/* A device that a backend found. The backend fills it in probe and open; the pool counts in it what it did. */
typedef struct rp_device {
    const rp_backend *backend;
    rowpool_device info;
    uintptr_t id[2];    /* the backend's own name for it */
    char identity[64];  /* equal for the same chip seen twice; "" when unknown */
    unsigned rank;      /* of those, the one with the highest is used */
    bool available;     /* false: info.reason says why not */
    bool looked;        /* look was called */
    size_t queue_depth;       /* open: how many chunks it wants in flight, */
    size_t parallel;    /* and how many of them it works on at the same time */
    size_t chunk_bytes; /* and the most bytes in one */
    size_t keeps;       /* and the most bytes of copies that may stay on it; 0: it needs none */
    void *state;        /* open to close: the backend's */
    double rate;        /* the pool's, under its lock: bytes a second in the last run; 0: not known; */
    double left_out;    /* and how many seconds of runs it had no part in since then; */
    size_t kept;        /* bytes of copies that are on it, or on their way; */
    bool full;          /* for one more there was no memory */
} rp_device;

/* What opening a device may depend on. */
typedef struct {
    size_t workers;              /* 0: as many as there are CPUs when they start */
    size_t chunk_bytes;          /* 0: the backend's choice */
    int (*init)(void *argument); /* runs first in each worker process; NULL: nothing */
    void *init_argument;
    const char *helper_devices; /* those that a helper process is asked for; "": it chooses, */
    bool automatic;             /* and computes itself until kernels are built, since nobody named a device */
} rp_backend_options;

/* When a map's results are no longer wanted. Both may change at any time, in any thread. */
typedef struct {
    atomic_bool cancelled;
    _Atomic int64_t deadline; /* in rp_clock_ns; RP_NO_DEADLINE: none */
} rp_cancellation;

#define RP_NO_DEADLINE INT64_MAX

static inline bool rp_is_past(int64_t deadline)
{
    return deadline != RP_NO_DEADLINE && rp_clock_ns() >= deadline;
}

/* A copy of rows that stays on a device: the backend's. */
typedef struct rp_device_copy rp_device_copy;

/* One input of a task, where its rows are such as stay. */
typedef struct {
    rp_chunk tile;        /* the rows of the copy: the task's chunk is among them */
    rp_device_copy *copy; /* NULL: the device has none */
    bool keep; /* it has none and is to make one, of the whole tile: that stands in `copy` as soon as other tasks
                      may use it, after submit or after finish. NULL even then: there was no need of one */
} rp_partition_use;

/* What arrives in a queue of the scheduler. Zero: a task that is complete. */
typedef enum { RP_MESSAGE_TASK, RP_MESSAGE_JOB, RP_MESSAGE_STOP } rp_message_kind;

typedef struct {
    rp_link link;
    rp_message_kind kind;
} rp_message;

/* A chunk on a device. Zeroed before use. */
typedef struct rp_task {
    rp_message message; /* first: the queue's link is the task's */

    /* The scheduler sets these before submit. */
    const rp_operation *operation;
    rp_chunk chunk;
    rp_device *device;
    void *results;  /* rp_operation_chunk_bytes of them: rows x columns of the chunk; accumulators of a part of a row */
    rp_queue *home; /* pushed here when complete; NULL: nobody listens, finish waits */
    const rp_cancellation *cancellation; /* once it has ended, the task may end with ECANCELED; NULL: it never does */
    rp_partition_use uses[ROWPOOL_MOST_INPUTS]; /* all zero: the rows are the chunk's alone */

    /* The backend sets these. */
    rowpool_status status;
    rowpool_error error;
    bool cold;   /* it waited for a compiler, or for other rows too: its time says nothing about the device */
    bool blamed; /* with EWORKER: these rows, not those of another task, killed the worker */
    void *state; /* submit to finish: the backend's */

    /* The scheduler's own. */
    struct rp_run *run;
    struct rp_participant *participant;
    struct rp_result_buffer *buffer; /* where the results go when not straight to the caller's array */
    struct rp_task *next;            /* among those that are free, or in flight in the order of submission */
    struct timespec begin;
    size_t bytes; /* of the chunk's elements */
    bool late; /* its end was noticed late, or it copied more than its own rows: its time says nothing */
} rp_task;

struct rp_backend {
    const char *name;

    /* Required. Calls found(list, device) for each device there is, available or not. A backend may remember what its
     * drivers said before; afresh: they are asked again. */
    void (*probe)(bool afresh, void (*found)(void *list, const rp_device *device), void *list);

    /* Optional. Completes what probe left open since it costs time and only those who use the device, or show it, need
     * to know: whether it is available, and its units. Called before open, if at all. */
    void (*look)(rp_device *device);

    /* Required. Makes a device ready for submit. Called once, by one thread. */
    rowpool_status (*open)(rp_device *device, const rp_backend_options *options, rowpool_error *error);

    /* Required. Undoes open; nothing is in flight. forked: this is a child of the process that opened it, so drop
     * memory and descriptors and touch nothing else. */
    void (*close)(rp_device *device, bool forked);

    /* Required. Starts a task and returns. Thread safe; no lock of the caller's is held. After a failure the task is as
     * it was, but for copies that were made: they stand in resident[].copy, and are the pool's. With task->home the task
     * is pushed there exactly once, possibly before submit returns, possibly from a driver's thread; its status and
     * error are set by then or by finish. */
    rowpool_status (*submit)(rp_device *device, rp_task *task, rowpool_error *error);

    /* Required. Ends a task: waits for it where task->home is NULL, brings the results to task->results, gives back
     * what submit took. Returns the task's status. Called once for each submitted task. */
    rowpool_status (*finish)(rp_device *device, rp_task *task, rowpool_error *error);

    /* Required. Why the device cannot run a map's function at all; NULL: it can. */
    const char *(*unsupported_reason)(const rp_device *device, const rp_operation *operation);

    /* Frees a copy that no task uses any more; required of devices that keep some. Thread safe. device NULL: this is a
     * child of the process that made it, so drop memory and descriptors and touch nothing else. */
    void (*drop)(rp_device *device, rp_device_copy *copy);

    /* Optional. Whether the device would begin a chunk of whole rows now. If not, for it would wait for a compiler, others
     * may do the map meanwhile: `bytes` of it since the last time that they asked, 0 at first. Once that is worth it, the
     * backend sees to it by itself that the device will be ready. Thread safe. */
    bool (*ready)(rp_device *device, const rp_operation *operation, size_t bytes);

    /* Optional. Ends soon what is in flight or is submitted from now on, and was cancelled. Thread safe. */
    void (*interrupt)(rp_device *device);

    /* Whether finish can wait. If not, home is never NULL. */
    bool waits;
};

extern const rp_backend rp_backend_opencl; /* these two only where ROWPOOL_HAVE_OPENCL is defined */
extern const rp_backend rp_backend_isolated;
extern const rp_backend rp_backend_fork;
extern const rp_backend rp_backend_host;

#endif
