/* Between a process and its workers: a task as a message, its answer, and what a worker does with it. */
#ifndef RP_BACKEND_WORKERS_MESSAGE_H
#define RP_BACKEND_WORKERS_MESSAGE_H

#include <stdatomic.h>
#include <time.h>

#include "core/operation.h"
#include "process/reach.h"
#include "process/worker.h"

/* A worker's progress, in memory that it shares with its parent. Aligned, so that no two workers write to one cache
 * line. */
typedef struct {
    _Alignas(64) atomic_uint_least64_t number; /* of the task that it began last */
    atomic_bool initialising;                  /* it is in the user's initialiser */
    atomic_bool submitting;                    /* a driver has the task and may be compiling for it */
} rp_worker_mark;

enum {
    RP_MESSAGE_ARGUMENTS = 1024, /* max bytes of arguments in the message; longer ones are fetched */
    RP_MESSAGE_TAIL = 3 * 4096
};

/* A task on its way to a worker. All addresses are the parent's. */
typedef struct {
    uint64_t number;     /* the answer repeats it */
    uint64_t operation;  /* tasks of one operation share arguments and text */
    rp_code code;        /* valid in a fork, which has the function at the same address */
    rowpool_form form;   /* of the text */
    uint64_t source;     /* the function's text, for a program; 0: none */
    size_t source_size;  /* bytes of the text, with its final 0 */
    char name[64];       /* of the function, for messages */
    rowpool_block block; /* the chunk's rows */
    bool partial;        /* the block is a part of a row: its accumulators are wanted */
    size_t columns;      /* results of a row */
    rp_place data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results; /* of the chunk */
    uint64_t arguments;
    size_t arguments_size;
    size_t tail_size;
    _Alignas(16) char tail[RP_MESSAGE_TAIL]; /* short arguments, then the paths of files; sent up to tail_size */
} rp_task_message;

static inline size_t rp_task_message_size(const rp_task_message *message)
{
    return offsetof(rp_task_message, tail) + message->tail_size;
}

typedef enum {
    RP_ANSWER_DONE,
    RP_ANSWER_UNREADABLE, /* memory at `address` of the parent cannot be read */
    RP_ANSWER_REFUSED,    /* no memory of the parent can be read */
    RP_ANSWER_NO_MEMORY,
    RP_ANSWER_FAILED /* the error says how; it is sent only then */
} rp_answer_status;

typedef struct {
    uint64_t number;
    rp_answer_status status;
    bool cold; /* the task waited for a compiler */
    uint64_t address;
    struct timespec begin, end; /* for the trace */
    rowpool_error error;
} rp_answer;

static inline size_t rp_answer_size(const rp_answer *answer)
{
    return answer->status == RP_ANSWER_FAILED ? sizeof *answer : offsetof(rp_answer, error);
}

enum { RP_HELLO_OTHERS = 7 };

/* A program's first message: whether it has a device, and which. */
typedef struct {
    char version[16];
    size_t message_size; /* sizeof(rp_task_message): both ends have to agree */
    rowpool_status status;
    rowpool_device info;
    size_t n_others; /* other devices that were asked for: each takes a program of its own */
    char others[RP_HELLO_OTHERS][sizeof(((rowpool_device *)0)->index)];
    rowpool_error error;
} rp_hello;

/* ---- In the worker: serve.c ------------------------------------------------------------------------------------- */

/* The task that a worker is serving. */
typedef struct rp_served_task rp_served_task;

/* Computes a task. False: rp_served_fail was called, or another rp_served_ function returned false. */
typedef bool rp_serve_compute(rp_served_task *task, const rp_task_message *message, void *context);

/* Serves tasks until the worker is dismissed. */
void rp_serve_tasks(const rp_worker_self *self, rp_worker_mark *mark, rp_serve_compute *compute, void *context);

/* Computes a task by the function's address. */
bool rp_served_call(rp_served_task *task);

/* All rows of a task in memory that this process can read, mapped or copied; valid until the next task. */
typedef struct {
    rowpool_block block;
    const void *arguments;
    char *results;
} rp_served_view;
bool rp_served_rows(rp_served_task *task, rp_served_view *view);

/* The text of the task's function; valid until a task of another operation. */
bool rp_served_source(rp_served_task *task, const char **source);

void rp_served_was_cold(rp_served_task *task);
bool rp_served_fail(rp_served_task *task, const rowpool_error *error);

#endif
