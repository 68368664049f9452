/* Backends whose workers are processes: what any kind of them needs.
 *
 *   device.c       a task comes and goes; opening and closing
 *   dispatch.c     from the queue to the workers, by messages
 *   maps.c         where the arrays of the maps in flight are
 *   copies.c       rows that stay
 *   supervisor.c   the thread that starts workers, takes their answers, notices their ends
 *   work.c         in the worker: what it does with a chunk
 *
 * Two backends stand on them: fork.c, whose workers are forks of this process, and isolated.c, whose worker is a
 * program of its own, with OpenCL in it.
 *
 * A task is submitted into the queue; `rp_workers_dispatch` sends tasks from there to the workers that have the fewest,
 * in the thread of whoever made room or brought the task. Only the supervisor completes tasks that were sent. */
#ifndef RP_BACKEND_WORKERS_H
#define RP_BACKEND_WORKERS_H

#include <pthread.h>

#include "device/device.h"
#include "device/workers/work.h"
#include "process/memory.h"

enum {
    RP_WORKERS_DEPTH = 2,                     /* tasks sent to one worker: the next is there when it ends one */
    RP_WORKERS_BUFFERS = RP_WORKERS_DEPTH + 1 /* kept for each slot: one waits for finish */
};

/* A map with tasks in flight, and how workers reach its arrays. As long as a task is in flight the arrays are on loan:
 * what was found out about their addresses holds. With the last task it is forgotten, for the caller may then unmap
 * them, and map something else there before the next map. */
typedef struct rp_workers_map {
    struct rp_workers_map *next;
    const rp_operation *operation;
    uint64_t number;
    size_t tasks, source_size; /* bytes of the function's text */
    rp_reach data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results;
    uint64_t libraries; /* of this process: workers forked before these were loaded do not have the function */
} rp_workers_map;

/* Results on their way back, where they cannot be written in place. Each belongs to one worker's slot: the worker has
 * it mapped already, the second time. */
typedef struct rp_workers_buffer {
    struct rp_workers_buffer *next;
    rp_region region;
    size_t slot;
} rp_workers_buffer;

/* A task from submit to finish. */
typedef struct rp_workers_flight {
    struct rp_workers_flight *next; /* in one list: the queue, a slot's, or those completed */
    rp_task *task;
    rp_workers_map *operation;
    rp_workers_buffer *buffer; /* NULL: not sent yet, or the worker writes to task->results itself */
    uint64_t number;
} rp_workers_flight;

typedef struct {
    rp_workers_flight *first, **last;
} rp_workers_list;

typedef enum {
    RP_WORKERS_EMPTY,    /* no worker */
    RP_WORKERS_STARTING, /* a program that has not said yet what it has */
    RP_WORKERS_READY,    /* takes tasks */
    RP_WORKERS_LEAVING   /* its socket is closed, or it was killed: its end will be noticed */
} rp_workers_slot_state;

/* The place of one worker, and of those that replace it. */
typedef struct {
    rp_workers_slot_state state;
    rp_worker worker;
    rp_workers_list sent; /* oldest first: it is the one being worked on */
    size_t tasks;         /* in `sent` */
    rp_workers_buffer *buffers;
    size_t n_buffers;
    unsigned stopped;         /* consecutive looks that found it stopped */
    unsigned unwanted;        /* consecutive looks that found it at the same unwanted task */
    uint64_t looked_at;       /* the number of the task that was last looked at */
    struct timespec deadline; /* of a program that starts: for its greeting */
    bool greeted;             /* it was ready once */
    bool overdue;             /* killed because it stayed stopped, or was not ready in time, */
    bool interrupted;         /* or because the caller had enough */
    bool broken;              /* sent what is no answer, or no greeting that will do: nothing more is believed */
    uint64_t libraries;       /* as this process had them when the worker was forked */
} rp_workers_slot;

typedef struct rp_workers rp_workers;

/* What the workers of a backend are. */
typedef struct {
    /* Starts the worker of a slot, in the supervisor's thread, without the lock. */
    rowpool_status (*start)(rp_workers *state, size_t slot, rp_worker *worker, rowpool_error *error);

    /* Takes the first message of a slot's program, state->hello, in the supervisor's thread, with the lock. Another
     * status than ROWPOOL_OK: it is of no use, and ends. NULL: workers are ready as soon as they are started. */
    rowpool_status (*greet)(rp_workers *state, size_t slot, rowpool_error *error);

    /* Workers may end in a row before they even begin a task: so many for each, and these. */
    size_t losses_for_worker, losses_more;

    bool program;       /* not forks, but another program: functions are known by their text */
    size_t chunk_bytes; /* the most bytes of data in a task, where nobody says */
} rp_workers_kind;

struct rp_workers {
    const rp_workers_kind *kind;
    pthread_t supervisor;
    int events, wake, timer; /* epoll; eventfd; the time to look at the workers */
    rp_workers_slot *slots;
    rp_region shared;    /* with the workers: */
    rp_work_mark *marks; /* one for each slot */
    void *context;       /* the kind's own; freed with free() */
    rp_hello hello;      /* the supervisor's: what a program said first, */
    bool refused;        /* and whether, in the events at hand, one ended before it was ready */

    pthread_mutex_t lock; /* everything below, and the slots. Never held during fork */
    pthread_cond_t begun;
    size_t workers; /* slots: as many as could be started at first */
    size_t missing; /* workers that could not be started when the device was opened */
    bool opened, stopping;
    bool watching;         /* the timer runs */
    rp_workers_list queue; /* not sent yet */
    size_t sent;           /* tasks in all slots */
    rp_workers_map *maps;
    uint64_t numbers; /* given to maps and tasks so far */
    size_t losses;    /* workers that ended for no fault of their rows, since a task was last done or given up */
    size_t stops;     /* of them, those that had been stopped */
    rowpool_error last_error; /* why the last worker could not start, or how the last one ended */
};

/* ---- device.c --------------------------------------------------------------------------------------------------- */

/* A backend's slots, for any kind of workers. context is taken, also where it fails. */
rowpool_status rp_workers_open(rp_device *device, const rp_workers_kind *kind, size_t workers, void *context,
                               const rp_backend_options *options, rowpool_error *error);
void rp_workers_close(rp_device *device, bool forked);
rowpool_status rp_workers_submit(rp_device *device, rp_task *task, rowpool_error *error);
rowpool_status rp_workers_finish(rp_device *device, rp_task *task, rowpool_error *error);
void rp_workers_interrupt(rp_device *device);

/* The pids of the workers there are, at most `capacity` of them; how many there are. */
size_t rp_workers_pids(rp_device *device, pid_t *pids, size_t capacity);

/* ---- supervisor.c ----------------------------------------------------------------------------------------------- */

/* The supervisor thread. */
void *rp_workers_supervise(void *state);

/* ---- dispatch.c ------------------------------------------------------------------------------------------------- */

void rp_workers_list_init(rp_workers_list *list);
void rp_workers_list_push(rp_workers_list *list, rp_workers_flight *flight);
rp_workers_flight *rp_workers_list_pop(rp_workers_list *list); /* NULL when empty */

/* Sends what can be sent; what cannot ever be goes to `done`. The lock is held. */
void rp_workers_dispatch(rp_workers *state, rp_workers_list *done);

/* Whether nobody waits for a task's results any more: its map was cancelled, or its time is up. */
bool rp_workers_is_unwanted(const rp_task *task);

/* Pushes completed tasks to where their owners wait. The lock is not held: they go on at once. */
void rp_workers_deliver(rp_workers_list *done);

/* Has the supervisor look in a while for workers that are stopped, or at what nobody wants. The lock is held. */
void rp_workers_watch(rp_workers *state);

/* Whether a slot's worker has all that a map needs. */
static inline bool rp_workers_serves(const rp_workers_slot *slot, const rp_workers_map *operation)
{
    return slot->libraries >= operation->libraries;
}

/* Wakes the supervisor: there is work for a slot without a worker, or it is to stop. */
void rp_workers_wake(const rp_workers *state);

size_t rp_workers_result_bytes(const rp_task *task);

/* Keeps a buffer for the next task of its slot, where there are not enough yet. The lock is held. */
void rp_workers_give_buffer(rp_workers *state, rp_workers_buffer *buffer);
void rp_workers_free_buffer(rp_workers_buffer *buffer);

/* ---- maps.c ----------------------------------------------------------------------------------------------------- */

/* A number that changes with each library that is loaded. */
uint64_t rp_workers_libraries(void);

/* The entry of a map, made when this is its first task; it goes with its last. The lock is held. NULL: out of memory. */
rp_workers_map *rp_workers_enter_map(rp_workers *state, const rp_operation *operation);
void rp_workers_leave_map(rp_workers *state, rp_workers_map *known);
void rp_workers_release_map(rp_workers_map *known);

#endif
