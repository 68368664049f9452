/* Backends: how a chunk is computed. Each is one const struct; the layers above know nothing else of it. */
#ifndef RP_BACKEND_H
#define RP_BACKEND_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/queue.h"
#include "core/operation.h"
#include "core/split.h"

typedef struct rp_backend rp_backend;

/* A device that a backend found. */
typedef struct rp_device {
    /* Set by the backend's probe. */
    const rp_backend *backend;
    rowpool_device info;
    uintptr_t id[2];   /* the backend's own name for it */
    char identity[64]; /* equal for the same chip seen twice; "" when unknown */
    unsigned rank;     /* of several devices for one chip, the one with the highest rank is used */
    bool available;    /* false: info.reason says why not */
    bool looked;       /* look was called */

    /* Set by open. */
    size_t queue_depth; /* chunks that it wants in flight; 0: the device is not open */
    size_t parallel;    /* chunks that it works on at the same time */
    size_t chunk_bytes; /* max bytes of data in a chunk */
    size_t keeps;       /* max bytes of copies that may stay on it; 0: it needs none */
    void *state;        /* the backend's, until close */

    /* The pool's, under its lock. */
    double rate;     /* bytes a second in the last run; 0: not known */
    double left_out; /* seconds of runs since then that it took no part in */
    size_t kept;     /* bytes of copies on it, or on their way */
    bool full;       /* there was no memory for another copy */
} rp_device;

/* What opening a device may depend on. */
typedef struct {
    size_t workers;              /* 0: one for each CPU */
    size_t chunk_bytes;          /* 0: the backend's choice */
    int (*init)(void *argument); /* runs first in each worker process; NULL: nothing */
    void *init_argument;
    const char *helper_devices; /* devices for the helper process; "": its own choice */
    bool automatic;             /* nobody named a device: the helper's CPU code computes until kernels are built */
} rp_backend_options;

#define RP_NO_DEADLINE INT64_MAX

/* When a map's results are no longer wanted. Any thread may change it at any time. */
typedef struct {
    atomic_bool cancelled;
    _Atomic int64_t deadline; /* in rp_clock_ns, or RP_NO_DEADLINE */
} rp_cancellation;

static inline bool rp_is_past(int64_t deadline)
{
    return deadline != RP_NO_DEADLINE && rp_clock_ns() >= deadline;
}

/* The backend's copy of a partition on a device. */
typedef struct rp_device_copy rp_device_copy;

/* One input of a task whose rows belong to a partition. */
typedef struct {
    rp_chunk partition;   /* the task's chunk lies in it */
    rp_device_copy *copy; /* NULL: the device has none */

    /* The backend copies the whole partition. Submit or finish sets `copy`, as soon as other tasks may use it; NULL
     * after finish: no copy was needed. */
    bool keep;
} rp_partition_use;

/* The kinds of message in a scheduler's queue. Zero is a completed task. */
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
    void *results;  /* rp_operation_chunk_bytes: the chunk's rows x columns, or the accumulators of a part of a row */
    rp_queue *home; /* pushed here when complete; NULL: finish waits */
    const rp_cancellation *cancellation;        /* once cancelled, the task may end with ECANCELED; NULL: never */
    rp_partition_use uses[ROWPOOL_MOST_INPUTS]; /* all zero: the rows belong to no partition */

    /* The backend sets these. */
    rowpool_status status;
    rowpool_error error;
    bool cold;   /* it waited for a compiler or for other rows: its time does not count for the device's rate */
    bool blamed; /* with EWORKER: these rows killed the worker, not those of another task */
    void *state; /* submit to finish: the backend's */

    /* The scheduler's own. */
    struct rp_run *run;
    struct rp_participant *participant;
    struct rp_result_buffer *buffer; /* NULL: the results go straight to the caller's array */
    struct rp_task *next;            /* free tasks, or those in flight in the order of submission */
    struct timespec begin;
    size_t bytes; /* of the chunk's elements */
    bool late;    /* its end was noticed late, or it copied more than its rows: its time does not count for the rate */
} rp_task;

struct rp_backend {
    const char *name;

    /* The only device of the backend; NULL: probe finds its devices. */
    const rp_device *single;

    /* Required without `single`. Calls found(list, device) for each device, available or not. afresh: drivers are asked
     * again, whatever they answered before. */
    void (*probe)(bool afresh, void (*found)(void *list, const rp_device *device), void *list);

    /* Optional. Fills in what is costly to find out and needed only for devices that are used or shown: `available` and
     * info.units. Called before open, if at all. */
    void (*look)(rp_device *device);

    /* Required. Makes a device ready for submit. Called once, by one thread. */
    rowpool_status (*open)(rp_device *device, const rp_backend_options *options, rowpool_error *error);

    /* Required. Undoes open; nothing is in flight. forked: this is a child of the process that opened it, so drop
     * memory and descriptors and touch nothing else. */
    void (*close)(rp_device *device, bool forked);

    /* Required. Starts a task and returns. Thread safe; the caller holds no lock. After a failure the task is as it
     * was, except that copies that were made are in uses[].copy and belong to the pool. With task->home the task is
     * pushed there exactly once, possibly before submit returns, possibly from a driver's thread; its status and error
     * are set by then or by finish. */
    rowpool_status (*submit)(rp_device *device, rp_task *task, rowpool_error *error);

    /* Required. Ends a task: waits for it where task->home is NULL, brings the results to task->results, releases what
     * submit acquired. Returns the task's status. Called once for each submitted task: in the thread that called
     * submit, or after submit has returned. Until then submit may use the task, even if it is in task->home already. */
    rowpool_status (*finish)(rp_device *device, rp_task *task, rowpool_error *error);

    /* Required. Why the device cannot run an operation; NULL: it can. */
    const char *(*unsupported_reason)(const rp_device *device, const rp_operation *operation);

    /* Required where devices keep copies. Frees a copy that no task uses. Thread safe; the caller holds no lock. device
     * NULL: this is a child of the process that made it, so drop memory and descriptors and touch nothing else. */
    void (*drop)(rp_device *device, rp_device_copy *copy);

    /* Optional. Whether the device would begin a chunk of whole rows now; if not, it would wait for a compiler, and
     * others may take the rows. bytes: what others took since the last call, 0 at first. The backend starts a build
     * once these add up to enough. Thread safe. */
    bool (*ready)(rp_device *device, const rp_operation *operation, size_t bytes);

    /* Optional. Ends cancelled tasks soon: those in flight and those submitted later. Thread safe. */
    void (*interrupt)(rp_device *device);

    /* Whether finish can wait. If not, task->home is never NULL. */
    bool waits;
};

extern const rp_backend rp_backend_opencl; /* these two only where ROWPOOL_HAVE_OPENCL is defined */
extern const rp_backend rp_backend_isolated;
extern const rp_backend rp_backend_fork;
extern const rp_backend rp_backend_host;

#endif
