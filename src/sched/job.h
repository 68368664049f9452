/* Maps as calls that wait, and as jobs that do not. */
#ifndef RP_SCHED_JOB_H
#define RP_SCHED_JOB_H

#include "sched/pool.h"

/* Arguments of a map: kept in `inside` when they fit. Zeroed before use; released with free(heap). */
typedef struct {
    _Alignas(16) char inside[64];
    void *heap;
} rp_arguments_store;

struct rowpool_job {
    rp_message begin; /* first: tells the dispatcher to begin the job */
    pid_t pid;
    rowpool *pool;
    rp_run run;
    rowpool_job *next_waiting; /* among those that wait for others to complete */
    rp_arguments_store store;
    rowpool_done *done;
    void *payload;
    bool has_handle;
    size_t rows;
    rp_mutex lock; /* everything below */
    pthread_cond_t finished;
    unsigned references; /* the handle's and the dispatcher's */
    bool is_done;
    int descriptor; /* -1: nobody has asked for it */
    rowpool_status status;
    rowpool_error error;
};

/* Runs a map that is checked; stream NULL: none. */
rowpool_status rp_execute(rowpool *pool, const rp_operation *operation, const rp_stream *stream, rowpool_error *error);

/* The same as a job; store is moved into it. job NULL: nobody wants a handle. */
rowpool_status rp_submit(rowpool *pool, const rp_operation *operation, const rp_stream *stream,
                         rp_arguments_store *store, rowpool_done *done, void *payload, rowpool_job **job,
                         rowpool_error *error);

/* Drops a reference; the last one frees the memory. */
void rp_job_release(rowpool_job *job);

/* Ends the dispatcher, if there is one. */
void rp_dispatcher_stop(rowpool *pool);

/* Whether the calling thread is that pool's dispatcher. Looks at the pointer only. */
bool rp_dispatcher_is_me(const rowpool *pool);

#endif
