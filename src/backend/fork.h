/* Backends whose workers are processes, inside: the state that their files share.
 *
 *   fork.c              a task comes and goes; the vtable of workers that are forks of this process
 *   fork_supervisor.c   the thread that starts workers, takes their answers, notices their ends
 *   fork_work.c         what a worker does with a chunk
 *   isolated.c          the vtable of a worker that is a program of its own, with OpenCL in it
 *
 * A task is submitted into the queue; `rp_fork_dispatch` sends tasks from there to the workers that have the fewest, in
 * the thread of whoever made room or brought the task. Only the supervisor completes tasks that were sent. */
#ifndef RP_BACKEND_FORK_H
#define RP_BACKEND_FORK_H

#include <pthread.h>

#include "backend/backend.h"
#include "backend/fork_work.h"
#include "process/memory.h"

enum {
    RP_FORK_DEPTH = 2 /* tasks sent to one worker: the next is there when it ends one */
};

/* A map with tasks in flight, and how workers reach its arrays. As long as a task is in flight the arrays are on loan:
 * what was found out about their addresses holds. With the last task it is forgotten, for the caller may then unmap
 * them, and map something else there before the next map. */
typedef struct rp_fork_map {
    struct rp_fork_map *next;
    const rp_map *map;
    uint64_t number;
    size_t tasks, source_size; /* bytes of the function's text */
    rp_reach data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results;
    uint64_t libraries; /* of this process: workers forked before these were loaded do not have the function */
} rp_fork_map;

/* Results on their way back, where they cannot be written in place. Each belongs to one worker's slot: the worker has
 * it mapped already, the second time. */
typedef struct rp_fork_buffer {
    struct rp_fork_buffer *next;
    rp_region region;
    size_t slot;
} rp_fork_buffer;

/* A task from submit to finish. */
typedef struct rp_fork_flight {
    struct rp_fork_flight *next; /* in one list: the queue, a slot's, or those completed */
    rp_task *task;
    rp_fork_map *map;
    rp_fork_buffer *buffer; /* NULL: not sent yet, or the worker writes to task->results itself */
    uint64_t number;
} rp_fork_flight;

typedef struct {
    rp_fork_flight *first, **last;
} rp_fork_list;

typedef enum {
    RP_FORK_EMPTY,  /* no worker */
    RP_FORK_READY,  /* takes tasks */
    RP_FORK_LEAVING /* its socket is closed, or it was killed: its end will be noticed */
} rp_fork_slot_state;

/* The place of one worker, and of those that replace it. */
typedef struct {
    rp_fork_slot_state state;
    rp_worker worker;
    rp_fork_list sent; /* oldest first: it is the one being worked on */
    size_t tasks;      /* in `sent` */
    rp_fork_buffer *buffers;
    size_t n_buffers;
    unsigned stopped;    /* looks in a row that found it stopped */
    bool overdue;        /* killed because it stayed stopped, */
    bool interrupted;    /* or because the caller had enough */
    bool broken;         /* sent what is no answer: nothing more is believed */
    uint64_t libraries;  /* as this process had them when the worker was forked */
    rp_fork_start start; /* what the worker is given */
} rp_fork_slot;

typedef struct rp_fork_state rp_fork_state;

/* What the workers of a backend are. */
typedef struct {
    /* Starts the worker of a slot, in the supervisor's thread, without the lock. */
    rowpool_status (*start)(rp_fork_state *state, size_t slot, rp_worker *worker, rowpool_error *error);

    /* Workers may end in a row before they even begin a task: so many for each, and these. */
    size_t losses_for_worker, losses_more;

    bool program;       /* not forks, but another program: functions are known by their text */
    size_t chunk_bytes; /* the most bytes of data in a task, where nobody says */
} rp_fork_kind;

struct rp_fork_state {
    const rp_fork_kind *kind;
    pthread_t supervisor;
    int events, wake, timer; /* epoll; eventfd; the time to look for stopped workers */
    rp_fork_slot *slots;
    rp_region shared;    /* with the workers: */
    rp_fork_mark *marks; /* one for each slot */
    void *context;       /* the kind's own; freed with free() */
    rp_hello hello;      /* of a program: what it said last. The supervisor's, but for the first, after `begun` */
    int (*init)(void *argument);
    void *init_argument;

    pthread_mutex_t lock; /* everything below, and the slots. Never held during fork */
    pthread_cond_t begun;
    size_t workers; /* slots: as many as could be started at first */
    bool opened, stopping;
    bool watching;      /* the timer runs */
    rp_fork_list queue; /* not sent yet */
    size_t sent;        /* tasks in all slots */
    rp_fork_map *maps;
    uint64_t numbers; /* given to maps and tasks so far */
    size_t losses;    /* workers that ended for no fault of their rows, since a task was last done or given up */
    size_t stops;     /* of them, those that had been stopped */
    rowpool_error last_error; /* why the last worker could not start, or how the last one ended */
};

/* A backend's slots, for any kind of workers. context is taken, also where it fails. */
rowpool_status rp_fork_open(rp_device *device, const rp_fork_kind *kind, size_t workers, void *context,
                            const rp_backend_options *options, rowpool_error *error);
void rp_fork_close(rp_device *device, bool forked);
rowpool_status rp_fork_submit(rp_device *device, rp_task *task, rowpool_error *error);
rowpool_status rp_fork_finish(rp_device *device, rp_task *task, rowpool_error *error);
void rp_fork_interrupt(rp_device *device);

void rp_fork_list_init(rp_fork_list *list);
void rp_fork_list_push(rp_fork_list *list, rp_fork_flight *flight);
rp_fork_flight *rp_fork_list_pop(rp_fork_list *list); /* NULL when empty */

/* Sends what can be sent; what cannot ever be goes to `done`. The lock is held. */
void rp_fork_dispatch(rp_fork_state *state, rp_fork_list *done);

/* Pushes completed tasks to where their owners wait. The lock is not held: they go on at once. */
void rp_fork_deliver(rp_fork_list *done);

/* Has the supervisor look for stopped workers in a while. The lock is held. */
void rp_fork_watch(rp_fork_state *state);

/* The supervisor thread. */
void *rp_fork_supervise(void *state);

/* A number that changes with each library that is loaded. */
uint64_t rp_fork_libraries(void);

/* Whether a slot's worker has all that a map needs. */
static inline bool rp_fork_serves(const rp_fork_slot *slot, const rp_fork_map *map)
{
    return slot->libraries >= map->libraries;
}

/* Wakes the supervisor: there is work for a slot without a worker, or it is to stop. */
void rp_fork_wake(const rp_fork_state *state);

/* The pids of the workers there are, at most `capacity` of them; how many there are. */
size_t rp_fork_worker_pids(rp_device *device, pid_t *pids, size_t capacity);

#endif
