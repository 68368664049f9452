/* The pool, inside: its devices, the runs on them, the dispatcher. */
#ifndef RP_POOL_H
#define RP_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "base/floating.h"
#include "core/builtin.h"

/* ---- choose.c: which devices ------------------------------------------------------------------------------------ */

enum { RP_HELPER_DEVICES = 256 };

typedef struct {
    rp_device *items; /* those in use first */
    size_t count, used;
    bool automatic;                         /* nobody named a device: small maps may run on the host */
    bool isolate;                           /* OpenCL is that of helper processes */
    char helper_devices[RP_HELPER_DEVICES]; /* the devices that they are asked for; "": the helper's own choice */
} rp_device_list;

/* Finds every device and marks those that `words` asks for, each with the reason. The list is freed with free(items).
 * EINVAL: a word that means nothing; ENODEVICE: a device that is not there. afresh: drivers are asked again. */
rowpool_status rp_choose(const char *words, rowpool_isolate isolate, bool afresh, rp_device_list *list,
                         rowpool_error *error);

/* Before a device that is not in use is shown: completes what is said of it. */
void rp_look(rp_device *device);

/* Chooses once more, automatically, without a device that could not be opened. */
rowpool_status rp_choose_without(rp_device_list *list, rp_device *failed, const char *why, rowpool_error *error);

/* ---- cgroup.c: what control groups allow ------------------------------------------------------------------------- */

enum { RP_CGROUP_FOLDER = 4096 + 64 };

/* A control group's folder, in which there may be no file at all. unified: its files are those of version 2. */
typedef void rp_cgroup_visit(const char *folder, bool unified, void *context);

/* Visits the groups of this process that a controller may have limited. */
void rp_cgroup_each(const char *controller, rp_cgroup_visit *visit, void *context);

typedef struct rp_run rp_run;

/* ---- pool.c ----------------------------------------------------------------------------------------------------- */

typedef struct {
    pthread_t thread;
    rp_queue queue; /* of tasks; one without a device is the beginning of a job, or, without an owner, the end */
    bool started;
    /* The dispatcher's own: */
    size_t running;               /* jobs begun and not complete */
    rowpool_job *first_waiting;   /* jobs that begin when others are complete, */
    rowpool_job **end_of_waiting; /* in the order in which they came */
} rp_dispatcher;

struct rowpool {
    pid_t pid;
    rp_device_list devices;
    rp_backend_options options; /* for devices that are opened later */
    const rp_cpu *cpu;          /* which form of the built-in functions runs on the host and in processes */
    bool strict;                /* a device that fails ends the map */
    rp_device *host;            /* one of the devices: small maps, and what nobody else can do */
    pthread_mutex_t lock;       /* everything below, the counters of devices[].info, and opening devices later */
    pthread_cond_t idle;
    size_t active;       /* calls and jobs in flight */
    rp_run *runs;        /* begun, or waiting to */
    rowpool_data *data;  /* open handles */
    unsigned references; /* the caller's, and those of handles */
    rp_dispatcher dispatcher;
};

/* EINVAL for NULL, EFORKED in a child of the process that made the handle. Takes no lock. */
rowpool_status rp_check_handle(const void *handle, const char *what, pid_t pid, rowpool_error *error);

/* Around everything that uses the pool's devices: close waits for it. */
void rp_pool_enter(rowpool *pool);
void rp_pool_leave(rowpool *pool);

/* The same, after one chunk of so many rows on a device, which is counted: a small map takes the lock no more often. */
void rp_pool_leave_with(rowpool *pool, rp_device *device, size_t rows);

/* Gives up a reference; with the last one goes the memory. The lock is not held. */
void rp_pool_release(rowpool *pool);

/* The pool's worker processes, started now where nobody has asked for them before. */
rowpool_status rp_pool_processes(rowpool *pool, rp_device **device, rowpool_error *error);

/* Adds to what a device did. */
void rp_pool_count(rowpool *pool, rp_device *device, size_t rows, size_t chunks, size_t failures);

/* ---- data.c: rows that stay on devices -------------------------------------------------------------------------- */

/* A part of the rows: what one device keeps a copy of. */
typedef struct {
    rp_chunk chunk;
    size_t bytes;              /* of a copy */
    rp_device *device;         /* that has it or is about to; NULL: none. This and the rest under the pool's lock */
    const rp_backend *backend; /* the device's */
    rp_kept *copy;             /* NULL: not yet */
} rp_tile;

struct rowpool_data {
    pid_t pid;
    rowpool *pool;
    rowpool_data *next; /* among the pool's open ones */
    rowpool_rows given;
    rp_rows rows;
    unsigned references; /* the caller's, and those of runs; under the pool's lock */
    bool parts;          /* some tiles are parts of rows */
    rp_tile *tiles;      /* all rows, in their order */
    size_t n_tiles;
};

/* The open handle of just these rows, with a reference to be given up by rp_data_release; NULL: there is none. whole:
 * one with parts of rows will not do. */
rowpool_data *rp_data_find(rowpool *pool, const rp_rows *rows, bool whole);
void rp_data_release(rowpool_data *data);

/* How much a device would rather have one tile than another: the least first. The pool's lock is held. most: bytes of
 * the largest tile that it may take for itself. */
typedef enum {
    RP_TILE_HAS,    /* its own */
    RP_TILE_KEEPS,  /* nobody's: it would be its own */
    RP_TILE_COMING, /* its own, but the copy is still on its way */
    RP_TILE_FREE,   /* nobody's, */
    RP_TILE_OTHERS  /* or another's: it can only be streamed */
} rp_tile_rank;
rp_tile_rank rp_tile_rank_for(const rp_tile *tile, const rp_device *device, size_t most);

/* What a task on a device needs to know of one input: where its copy is, or that it is to make one. */
rp_resident rp_data_lend(rowpool_data *data, rp_device *device, const rp_chunk *chunk, size_t most);

/* After that task's submit, and after its end: notes the copy that was made, or that none was. */
void rp_data_note_copy(rowpool_data *data, rp_resident *resident);
void rp_data_note_end(rowpool_data *data, rp_resident *resident, rowpool_status status);

/* The pool closes: its handles have no copies any more. Its lock is held. */
void rp_data_leave_pool(rowpool *pool);

/* ---- pieces.c: what of a map is still to be handed out ---------------------------------------------------------- */

/* A piece of a map that is to be done (again). */
typedef struct {
    rp_chunk chunk;
    unsigned deaths; /* workers that died on it */
} rp_piece;

/* Pieces that came back; then rows off a cursor or, where rows stay on devices, off tiles, each with its own cursor. */
typedef struct {
    const rp_map *map;
    rp_piece *again;
    size_t n_again, capacity;
    rp_cursor cursor;
    rowpool_data *data; /* whose tiles they are; NULL: no tiles */
    rp_cursor *tiles;
    size_t first_tile; /* before it nothing is left, */
    bool in_order;     /* and nothing is taken after it */
} rp_pieces;

/* How much a device may take. */
typedef struct {
    const rp_device *device;
    rp_split_limits limits;
    size_t most_kept;  /* bytes of the largest tile that it may take for itself */
    bool brings_whole; /* a tile that it is to keep it takes all of at once, */
    bool takes_whole;  /* and one that it has */
} rp_taking;

/* data NULL: none of the rows stay anywhere. ENOMEM. */
rowpool_status rp_pieces_init(rp_pieces *pieces, const rp_map *map, rowpool_data *data, bool in_order,
                              rowpool_error *error);
void rp_pieces_destroy(rp_pieces *pieces);

/* Takes the next piece for a device; false when nothing is left. */
bool rp_pieces_next(rp_pieces *pieces, const rp_taking *how, rp_piece *piece);

/* Takes a piece back. False: out of memory. */
bool rp_pieces_give_back(rp_pieces *pieces, const rp_piece *piece);

/* Nothing is left; makes it so. */
bool rp_pieces_are_done(const rp_pieces *pieces);
void rp_pieces_finish(rp_pieces *pieces);

/* ---- run.c: one map on the pool's devices ----------------------------------------------------------------------- */

/* A place for one task in flight. */
typedef struct rp_slot {
    rp_task task; /* first: the queue's link is the slot's */
    struct rp_slot *next;
    rp_piece piece;
    struct rp_delivery *own; /* where the results go when not straight to the caller's array */
    bool cold;               /* its time says nothing: it waited for a copy, or was noticed late */
    struct timespec begin;
} rp_slot;

/* Results on their way: of rows, for the callback of a stream; or accumulators of a part of a row. */
typedef struct rp_delivery {
    struct rp_delivery *next; /* in the order of rows and elements */
    rp_chunk chunk;
    _Alignas(64) char bytes[]; /* rp_map_chunk_bytes */
} rp_delivery;

/* A device's part in a run. */
typedef struct {
    rp_device *device;
    bool aside;    /* it failed: it gets nothing more */
    bool building; /* it waits for a compiler: it gets nothing yet */
    size_t in_flight;
    size_t pending;             /* bytes of its chunks in flight */
    size_t most;                /* bytes of a chunk: less than the device's when its memory ran out */
    size_t most_kept;           /* bytes of the largest tile that it may now take for itself */
    double rate;                /* bytes a second: as measured of late; before that, in earlier runs; 0: not known */
    double left_out;            /* seconds of earlier runs since it last did something */
    double bytes, busy;         /* done of late, and the seconds that it took: what is older counts for less */
    struct timespec busy_since; /* while in_flight > 0: from then on, `busy` does not say */
} rp_participant;

/* Where the results of a stream go; each NULL: to the map's array instead. */
typedef struct {
    rowpool_each *each;
    rowpool_order order;
    void *payload;
} rp_stream;

struct rp_run {
    rp_run *next, **link; /* among the pool's */
    rowpool *pool;
    rp_map map;
    rp_stream stream;
    rp_floating callers; /* the environment in which the stream's callback runs; all else runs in the default one */
    rp_queue *queue;     /* where completed tasks arrive */
    bool waits;          /* one device whose finish waits: nothing needs to call back */
    rp_patience patience;
    int64_t begun; /* in rp_clock_ns: what a message counts the time from */
    atomic_size_t rows_done;

    /* Used by one thread at a time, the one that drives the run: */
    rp_participant *participants; /* those that can run the function; then the host, if it may stand in for them */
    size_t n_participants;
    bool has_reserve, stands_in;             /* there is the host; it also does what others cannot do yet, */
    size_t stood_in;                         /* and did so many bytes of late */
    rowpool_data *data[ROWPOOL_MOST_INPUTS]; /* of inputs that stay on devices; else NULL */
    rp_pieces pieces;
    rp_slot *slots, *free_slots;
    size_t n_slots, in_flight;
    rp_delivery *parts;          /* of split rows, until they are whole */
    rp_delivery *waiting;        /* to be delivered */
    size_t n_waiting, delivered; /* chunks to be delivered; rows that were */
    size_t left;                 /* bytes of elements not yet handed out */
    bool filled;                 /* chunks were handed out */
    size_t chunks, deaths; /* deaths: of workers, for which rows are to blame; */
    size_t barren;         /* and of them, those since a chunk was last done */
    bool stop;             /* no more chunks */
    rowpool_status status; /* the first failure */
    rowpool_error error;
};

/* Prepares a run; queue NULL for one that is driven by rp_run_whole. map and stream are copied. ENODEVICE: no device of
 * the pool can run the function. */
rowpool_status rp_run_init(rp_run *run, rowpool *pool, const rp_map *map, const rp_stream *stream, rp_queue *queue,
                           rowpool_error *error);
void rp_run_destroy(rp_run *run);

/* Lets go of data that stays, once the run is over. */
void rp_run_release_data(rp_run *run);

/* Does the whole run in the calling thread, whose floating-point environment is the same afterwards. */
rowpool_status rp_run_whole(rp_run *run, rowpool_error *error);

/* Step by step: hands out chunks, until nothing is left or the devices are full, and delivers what a stream has ready;
 * takes one that completed. The run is over when, after rp_run_fill, in_flight is 0. The first rp_run_fill leaves the
 * thread in the default floating-point environment. */
void rp_run_fill(rp_run *run);
void rp_run_complete(rp_run *run, rp_slot *slot);

/* Sets its deadline, in place of any other: so many milliseconds from now; < 0: none. Thread safe. */
void rp_run_timeout(rp_run *run, int timeout_ms);

/* Whether the run is to hand out nothing more; notes why, where it is the time. */
bool rp_run_is_over(rp_run *run);

/* Says what became of it, once it is over. */
rowpool_status rp_run_status(rp_run *run, rowpool_error *error);

/* Whether the calling thread is in the callback of a stream of that pool's, however deep. Looks at the pointer only. */
bool rp_run_is_delivering(const rowpool *pool);

/* ---- share.c: how much each device gets ------------------------------------------------------------------------- */

enum { RP_LEAST_WORK = 64 << 10 }; /* bytes: less is not worth a task */
#define RP_MOST_SECONDS 5e-3       /* of a task among others: so few that a device whose rate falls holds up nobody */

/* What is known of a device when a run begins, and what a run that ends leaves for the next. Under the pool's lock. */
void rp_share_recall(rp_participant *participant);
void rp_share_remember(const rp_run *run, const rp_participant *participant);

/* Bytes of elements in a chunk. */
size_t rp_share_bytes(const rp_run *run, const rp_chunk *chunk);

/* Whether one more chunk for a device helps, and of how many bytes. */
bool rp_share_is_of_use(const rp_run *run, const rp_participant *participant);
size_t rp_share_work(const rp_run *run, const rp_participant *participant);

/* Bytes of the largest tile that a device may take for itself. It has to bring all of it, even when it gets to do only
 * a part: that pays for the fastest, and for one whose share of the rows is larger. */
size_t rp_share_most_to_keep(const rp_run *run, const rp_participant *participant);

/* Before a chunk is submitted to a device, and after it was done. */
void rp_share_begin(const rp_run *run, rp_participant *participant, const rp_chunk *chunk);
void rp_share_end(const rp_run *run, rp_participant *participant, const rp_task *task);

/* ---- dispatcher.c ----------------------------------------------------------------------------------------------- */

/* Starts the pool's dispatcher thread when there is none yet. */
rowpool_status rp_dispatcher_start(rowpool *pool, rowpool_error *error);
void rp_dispatcher_stop(rowpool *pool);

/* Whether the calling thread is that pool's dispatcher. Looks at the pointer only. */
bool rp_dispatcher_is_me(const rowpool *pool);

/* ---- job.c ------------------------------------------------------------------------------------------------------ */

/* The dispatcher's part of a job: begin it, and go on when a task of it completed. */
void rp_job_begin(rowpool_job *job);
void rp_job_advance(rp_slot *slot);

/* Arguments of a map: kept in place when they are few. Zeroed before use; released with free(heap). */
typedef struct {
    _Alignas(16) char inside[64];
    void *heap;
} rp_arguments_store;

/* Runs a map, waiting or not. The map is checked; store is moved into the job; stream NULL: none. */
rowpool_status rp_pool_run(rowpool *pool, const rp_map *map, const rp_stream *stream, rowpool_error *error);
rowpool_status rp_pool_submit(rowpool *pool, const rp_map *map, const rp_stream *stream, rp_arguments_store *store,
                              rowpool_done *done, void *payload, rowpool_job **job, rowpool_error *error);

/* ---- cpu.c: rowpool_cpu_count ----------------------------------------------------------------------------------- */

#endif
