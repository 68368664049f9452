/* Devices whose workers are processes.
 *
 *   device.c       open, submit, finish, close
 *   dispatch.c     from the queue to the workers
 *   operations.c   where the arrays of the operations in flight are
 *   supervisor.c   the thread that starts workers, takes their answers and notices their ends
 *   answer.c       what an answer or the end of a worker means for its tasks
 *   serve.c        in the worker: what it does with a task
 *
 * Two backends use them: fork.c, whose workers are forks of this process, and isolated.c, whose workers are programs
 * with OpenCL in them. Their differences are in rp_workers_kind.
 *
 * Submitted tasks wait in a queue. rp_workers_dispatch sends them to the workers with the fewest tasks, in the thread
 * that brought the task or made room. Only the supervisor completes tasks that were sent. */
#ifndef RP_BACKEND_WORKERS_H
#define RP_BACKEND_WORKERS_H

#include "base/lock.h"
#include "device/device.h"
#include "device/workers/message.h"
#include "process/memory.h"

enum {
    RP_WORKERS_DEPTH = 2,                     /* tasks sent to one worker: the next is there when it ends one */
    RP_WORKERS_BUFFERS = RP_WORKERS_DEPTH + 1 /* kept for each slot: one waits for finish */
};

/* An operation with tasks in flight, and how workers reach its arrays. It is forgotten with its last task: the caller
 * may then unmap the arrays, and map something else at their addresses. */
typedef struct rp_workers_operation {
    struct rp_workers_operation *next;
    const rp_operation *operation;
    uint64_t number;
    size_t tasks;       /* in flight */
    size_t source_size; /* bytes of the function's text; 0: workers have the function itself */
    rp_reach data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results;
    uint64_t libraries; /* of this process: workers forked before these were loaded do not have the function */
} rp_workers_operation;

/* The backend's part of a task, from submit to finish. */
typedef struct rp_workers_task {
    struct rp_workers_task *next; /* in one list: the queue, a slot's, or those completed */
    rp_task *task;
    rp_workers_operation *operation;
    uint64_t number;
    size_t slot;      /* whose worker has it */
    rp_region buffer; /* for its results; base NULL: not sent yet, or the worker writes to task->results itself */
} rp_workers_task;

typedef struct {
    rp_workers_task *first, **last;
} rp_workers_list;

typedef enum {
    RP_WORKERS_EMPTY,    /* no worker */
    RP_WORKERS_STARTING, /* a program that has not reported its device yet */
    RP_WORKERS_READY,    /* takes tasks */
    RP_WORKERS_LEAVING   /* its socket is closed, or it was killed: its end will be noticed */
} rp_workers_slot_state;

/* The place of one worker, and of those that replace it. All below `kept` is the worker's. */
typedef struct {
    rp_workers_list sent; /* oldest first: the worker is at that one */
    size_t tasks;         /* in `sent` */
    size_t n_kept;
    rp_region kept[RP_WORKERS_BUFFERS]; /* buffers for the next tasks: the worker has them mapped */
    rp_workers_slot_state state;
    rp_worker worker;
    unsigned stopped;         /* consecutive looks that found it stopped */
    unsigned unwanted;        /* consecutive looks that found it at the same unwanted task */
    uint64_t looked_at;       /* the number of the task that was last looked at */
    struct timespec deadline; /* for the first message of a program */
    bool greeted;             /* it was ready once */
    bool overdue;             /* killed because it stayed stopped, or was not ready in time */
    bool interrupted;         /* killed because its tasks were cancelled, or to be replaced */
    bool broken;              /* it sent an invalid message: nothing more is believed */
    uint64_t libraries;       /* of this process when the worker was forked */
} rp_workers_slot;

typedef struct rp_workers rp_workers;

/* The differences between the backends. */
typedef struct {
    /* Starts the worker of a slot. Called by the supervisor, which holds no lock. */
    rowpool_status (*start)(rp_workers *state, size_t slot, rp_worker *worker, rowpool_error *error);

    /* Takes the first message of a slot's worker, state->hello. Called by the supervisor, which holds the lock. A
     * failure ends the worker. NULL: workers are ready as soon as they are started. */
    rowpool_status (*greet)(rp_workers *state, size_t slot, rowpool_error *error);

    /* Max workers that end in a row before they begin a task: for each slot, plus a constant. */
    size_t losses_per_worker, losses_besides;
    const char *losses_text; /* "N ...": the message when there are more */

    size_t chunk_bytes; /* max bytes of data in a task, by default */
    int dismiss_ms;     /* how long a worker may take to end when it is told to */
    bool program;       /* workers get the function's text; they fail with errors of their own, such as a driver's */
} rp_workers_kind;

struct rp_workers {
    const rp_workers_kind *kind;
    pthread_t supervisor;
    int events, wake, timer; /* epoll; eventfd; when to look at the workers */
    rp_workers_slot *slots;
    rp_region shared;      /* memory shared with the workers */
    rp_worker_mark *marks; /* in it; one for each slot */
    void *context;         /* the kind's own; freed with free() */
    rp_hello hello;        /* the supervisor's: a program's first message */
    bool refused;          /* the supervisor's: in the events at hand, a program ended before it was ready */

    rp_mutex lock; /* everything below, and the slots */
    pthread_cond_t begun;
    size_t workers; /* slots: as many as could be started at open */
    size_t missing; /* workers that could not be started then */
    bool opened, stopping;
    bool watching;         /* the timer runs */
    rp_workers_list queue; /* not sent yet */
    size_t sent;           /* tasks in all slots */
    rp_workers_operation *operations;
    uint64_t numbers; /* given to operations and tasks so far */
    size_t losses;    /* workers that ended through no fault of their rows, since a task completed or was blamed */
    size_t stops;     /* workers killed because they stayed stopped, since a task completed */
    rowpool_error last_error; /* why the last worker could not start, or how the last one ended */
};

/* ---- device.c --------------------------------------------------------------------------------------------------- */

/* Opens a device of any kind of workers. context is taken, even on failure. */
rowpool_status rp_workers_open(rp_device *device, const rp_workers_kind *kind, size_t workers, void *context,
                               const rp_backend_options *options, rowpool_error *error);
void rp_workers_close(rp_device *device, bool forked);
rowpool_status rp_workers_submit(rp_device *device, rp_task *task, rowpool_error *error);
rowpool_status rp_workers_finish(rp_device *device, rp_task *task, rowpool_error *error);
void rp_workers_interrupt(rp_device *device);

/* ---- supervisor.c ----------------------------------------------------------------------------------------------- */

/* The supervisor thread. */
void *rp_workers_supervise(void *state);

/* ---- answer.c: the lock is held --------------------------------------------------------------------------------- */

/* Takes the answers that have come from a slot's worker. False: no more will come, or an invalid one came. */
bool rp_workers_take_answers(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done);

/* The tasks of a worker that has ended fail; how: "worker process 12 was killed by signal 9 (SIGKILL)". */
void rp_workers_lose_tasks(rp_workers *state, rp_workers_slot *slot, const char *how, rp_workers_list *done);

/* ---- dispatch.c: the lock is held, but for rp_workers_deliver --------------------------------------------------- */

void rp_workers_list_init(rp_workers_list *list);
void rp_workers_list_push(rp_workers_list *list, rp_workers_task *task);
rp_workers_task *rp_workers_list_pop(rp_workers_list *list); /* NULL when empty */

/* Sends what can be sent; tasks that fail or are cancelled go to `done`. */
void rp_workers_dispatch(rp_workers *state, rp_workers_list *done);

/* Pushes completed tasks to their home queues. */
void rp_workers_deliver(rp_workers_list *done);

/* Whether a task's map was cancelled, or its time is up. */
bool rp_workers_is_unwanted(const rp_task *task);

/* Schedules the supervisor's next look for stopped workers and unwanted tasks. */
void rp_workers_watch(rp_workers *state);

size_t rp_workers_result_bytes(const rp_task *task);

/* Keeps a task's buffer, if it has one, for the next tasks of its slot, or frees it where there are enough. */
void rp_workers_give_buffer(rp_workers *state, rp_workers_task *task);

static inline size_t rp_workers_index(const rp_workers *state, const rp_workers_slot *slot)
{
    return (size_t)(slot - state->slots);
}

/* Whether a slot's worker has the libraries that an operation needs. */
static inline bool rp_workers_serves(const rp_workers_slot *slot, const rp_workers_operation *operation)
{
    return slot->libraries >= operation->libraries;
}

/* ---- operations.c: takes the lock where it needs it ------------------------------------------------------------- */

/* A number that grows with each library that is loaded. */
uint64_t rp_workers_libraries(void);

/* Counts one more task of an operation. NULL: out of memory. */
rp_workers_operation *rp_workers_enter(rp_workers *state, const rp_operation *operation);
void rp_workers_leave(rp_workers *state, rp_workers_operation *entry);
void rp_workers_free_operation(rp_workers_operation *entry);

#endif
