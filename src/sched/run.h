/* A run: one map on the devices of a pool. Each device takes chunks from one work queue; a chunk that fails goes back
 * to it. The host does what no device can, if it may.
 *
 *     run          one call or job
 *     chunk        a range of rows, or a part of one long row
 *     task         a chunk on a device
 *     participant  a device's part in a run
 *     work queue   chunks and rows that are still to be handed out
 *     partition    a fixed cut of rows that stay on devices (data.h)
 *     results      buffers of what waits for a stream's callback, or for the other parts of a row
 */
#ifndef RP_SCHED_RUN_H
#define RP_SCHED_RUN_H

#include "base/floating.h"
#include "sched/work_queue.h"

typedef enum {
    RP_PARTICIPANT_READY,
    RP_PARTICIPANT_BUILDING, /* it waits for a compiler and gets nothing yet */
    RP_PARTICIPANT_EXCLUDED, /* it failed and gets nothing more in this run */
    RP_PARTICIPANT_STATES
} rp_participant_state;

typedef struct rp_participant {
    rp_device *device;
    rp_participant_state state;
    size_t in_flight;           /* tasks */
    size_t pending;             /* bytes of their elements */
    rp_split_limits limits;     /* of a chunk; `work` differs from chunk to chunk */
    size_t max_chunk;           /* bytes; halved when the device's memory runs out */
    size_t max_partition;       /* bytes of the largest partition that it may keep from now on */
    double rate;                /* bytes a second: recent, or else of earlier runs; 0: unknown */
    size_t rows, chunks;        /* done */
    double left_out;            /* seconds of earlier runs since it last took part */
    double bytes, busy;         /* recent work and the seconds it took; older work counts for less */
    struct timespec busy_since; /* while in_flight > 0: the start of the time that `busy` does not include yet */
} rp_participant;

/* Results that wait. */
typedef struct rp_result_buffer {
    struct rp_result_buffer *next; /* in the order of rows and elements */
    rp_chunk chunk;
    _Alignas(64) char bytes[]; /* rp_operation_chunk_bytes */
} rp_result_buffer;

/* Where the results of a stream go. each NULL: to the map's array instead. */
typedef struct {
    rowpool_each *each;
    rowpool_order order;
    void *payload;
} rp_stream;

typedef struct rp_run rp_run;
struct rp_run {
    rp_run *next, **link; /* among the pool's */
    rowpool *pool;
    rp_operation operation;
    rp_stream stream;
    bool is_stream, in_order;
    rp_floating callers; /* the floating-point environment of a stream's callback; all else runs in the default one */
    rp_queue *queue;     /* where complete tasks arrive; NULL: finish waits for them, in the order of submission */
    rp_cancellation cancellation;
    int64_t begun; /* in rp_clock_ns: messages count the time from it */
    atomic_size_t rows_done;

    /* The rest is used by one thread at a time, the one that drives the run. */
    rp_participant *participants; /* devices that can run the function; after the last, the host, if it may */
    size_t n_participants;
    size_t n_in[RP_PARTICIPANT_STATES]; /* how many of them are in each state */
    rp_participant *host;               /* does what no device can, and stands in while they build; NULL: it may not */
    size_t stood_in; /* bytes that the host did since devices were last asked whether they are ready */
    rowpool_data *data[ROWPOOL_MOST_INPUTS]; /* of inputs that stay on devices; NULL: of others */
    bool keeps_copies, has_data;             /* some device has memory for copies; some input is rows that stay */
    rp_work_queue work;
    size_t left; /* bytes of elements in the work queue that were never handed out */
    rp_task *tasks, *free_tasks;
    rp_task *first_submitted, **last_submitted; /* without a queue: in flight, oldest first */
    size_t n_tasks, in_flight;
    rp_result_buffer *parts;   /* of rows that are not whole yet */
    rp_result_buffer *ready;   /* of whole rows, for the stream's callback */
    size_t n_ready, delivered; /* buffers in `ready`; rows that the callback had */
    bool begun_filling;
    size_t chunks; /* done */
    size_t deaths; /* of workers that rows are to blame for */
    size_t barren; /* deaths since a chunk was last done */
    bool stop;     /* nothing more is handed out */
    rowpool_status status;
    rowpool_error error; /* the first failure */
};

/* ---- setup.c ---------------------------------------------------------------------------------------------------- */

/* Prepares a run; operation and stream are copied. queue NULL: for rp_run_whole. ENODEVICE: no device can run the
 * function. */
rowpool_status rp_run_init(rp_run *run, rowpool *pool, const rp_operation *operation, const rp_stream *stream,
                           rp_queue *queue, rowpool_error *error);
void rp_run_destroy(rp_run *run);

/* Releases data that stays, once the run is over. */
void rp_run_release_data(rp_run *run);

/* Moves a participant to another state. */
void rp_run_set_state(rp_run *run, rp_participant *participant, rp_participant_state state);

/* ---- run.c: the loop -------------------------------------------------------------------------------------------- */

/* Does the whole run in the calling thread, whose floating-point environment is restored. */
rowpool_status rp_run_whole(rp_run *run, rowpool_error *error);

/* Step by step. rp_run_fill hands out chunks until nothing is left or the devices have enough, and delivers what a
 * stream has ready; rp_run_complete takes a task that completed. The run is over when in_flight is 0 after rp_run_fill.
 * The first rp_run_fill leaves the thread in the default floating-point environment. */
void rp_run_fill(rp_run *run);
void rp_run_complete(rp_run *run, rp_task *task);

/* Puts a chunk back, to run again. */
void rp_run_return(rp_run *run, const rp_chunk *chunk);

/* ---- status.c --------------------------------------------------------------------------------------------------- */

/* Sets the deadline anew: milliseconds from now; < 0: none. Thread safe. */
void rp_run_timeout(rp_run *run, int timeout_ms);

/* Whether nothing more is to be handed out; a deadline that has passed fails the run. */
bool rp_run_is_over(rp_run *run);

/* The outcome, once the run is over. */
rowpool_status rp_run_status(rp_run *run, rowpool_error *error);

/* Records a failure: the first is the run's. rp_run_fail also ends the run. */
void rp_run_record(rp_run *run, const rowpool_error *error);
void rp_run_fail(rp_run *run, const rowpool_error *error);

/* Hands out nothing more, and cancels what is in flight. */
void rp_run_stop(rp_run *run);

/* For the trace: a task that succeeded, and a chunk that runs again. */
void rp_run_trace_task(const rp_run *run, const rp_task *task);
void rp_run_trace_retry(const rp_run *run, const rp_participant *participant, const rp_chunk *chunk);

/* ---- results.c: parts of rows merged, streams delivered --------------------------------------------------------- */

/* Sets where a task's results go. False: out of memory, and the run has failed. */
bool rp_results_place(rp_run *run, rp_task *task);

/* Takes the buffer of a task that succeeded; returns the rows that are answered by it. */
size_t rp_results_take(rp_run *run, rp_task *task);

/* Calls the stream's callback with what is ready: all of it, or as far as it is next in order. */
void rp_results_deliver(rp_run *run);

void rp_results_free(rp_run *run);

/* Whether the calling thread is in a stream's callback of that pool, at any depth. Looks at the pointer only. */
bool rp_results_are_delivered(const rowpool *pool);

/* ---- retry.c: what becomes of a chunk that failed --------------------------------------------------------------- */

/* Puts the chunk back, in halves where that helps, or ends the run. blamed: it killed its worker. */
void rp_retry(rp_run *run, rp_participant *participant, const rp_chunk *chunk, bool blamed, const rowpool_error *error);

/* ---- share.c: how much each device gets ------------------------------------------------------------------------- */

enum { RP_MIN_WORK = 64 << 10 }; /* bytes: less is not worth a task */
#define RP_MAX_SECONDS 5e-3      /* of a task where several devices work: max delay by one whose rate falls */

/* Stores in a device what the next run needs: its rate, and for how long it was left out. The pool's lock is held. */
void rp_share_remember(const rp_run *run, const rp_participant *participant);

/* Bytes of elements in a chunk. */
size_t rp_share_bytes(const rp_run *run, const rp_chunk *chunk);

/* Whether one more chunk for a device helps, and of how many bytes. */
bool rp_share_helps(const rp_run *run, const rp_participant *participant);
size_t rp_share_work(const rp_run *run, const rp_participant *participant);

/* Bytes of the largest partition that a device may keep. A copy takes an upload of the whole partition, even if the
 * device then does only a part of it. That pays for the fastest device, and for one whose share of the rows is larger
 * than the partition. */
size_t rp_share_max_partition(const rp_run *run, const rp_participant *participant);

/* After a task: the participant's rate. */
void rp_share_end(rp_participant *participant, const rp_task *task);

#endif
