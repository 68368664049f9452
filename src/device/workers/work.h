/* Between a process and its workers: the messages, one chunk of a map and its answer; and what a worker does with one. */
#ifndef RP_BACKEND_WORKERS_WORK_H
#define RP_BACKEND_WORKERS_WORK_H

#include <stdatomic.h>
#include <time.h>

#include "core/operation.h"
#include "process/reach.h"
#include "process/worker.h"

/* What a worker tells as it goes, in memory that it shares with its parent. */
typedef struct {
    _Alignas(64)
        atomic_uint_least64_t number; /* of the task that it began last. No two workers write to one cache line */
    atomic_bool initialising;         /* it is in the user's initialiser */
    atomic_bool submitting;           /* a driver has the task and may be compiling for it */
} rp_work_mark;

/* Where an array of the chunk is: always by its address in the parent, and by a mapping where it can be mapped. */
typedef struct {
    rp_reach_kind kind;
    uint64_t address;       /* in the parent */
    uint64_t bytes;         /* of the chunk's part */
    uint64_t offset;        /* of that part in the region or the file */
    uint64_t id, length;    /* the region's; its descriptor comes with the message */
    uint64_t device, inode; /* the file's; its path, and a 0, are in the tail */
} rp_place;

enum {
    RP_WORK_INLINE = 1024,  /* arguments of up to so many bytes travel in the message */
    RP_WORK_TAIL = 3 * 4096 /* them, and paths, as far as they fit */
};

typedef struct {
    uint64_t number;     /* the answer says it again */
    uint64_t operation;  /* tasks with the same one have the same arguments */
    rp_code code;        /* a worker that is a fork has the function at the same address; */
    rowpool_form form;   /* a program of its own needs its text: */
    uint64_t source;     /* the address in the parent, 0: it has none, */
    size_t source_size;  /* and the bytes, with the 0 at the end */
    char name[64];       /* of the function, for messages */
    rowpool_block block; /* as in the parent: data and offsets are addresses there */
    bool partial;        /* the block is a part of a row: its accumulators are wanted */
    size_t columns;      /* results of a row */
    rp_place data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results;
    uint64_t arguments; /* their address in the parent */
    size_t arguments_size, tail_size;
    _Alignas(16) char tail[RP_WORK_TAIL]; /* arguments if they fit, then the paths of files; cut at tail_size */
} rp_work;

static inline size_t rp_work_size(const rp_work *work)
{
    return offsetof(rp_work, tail) + work->tail_size;
}

typedef enum {
    RP_ANSWER_DONE,
    RP_ANSWER_UNREADABLE, /* memory at `address` of the parent cannot be read */
    RP_ANSWER_REFUSED,    /* no memory of the parent can be read */
    RP_ANSWER_NO_MEMORY,
    RP_ANSWER_FAILED /* the error says how; only then it is sent */
} rp_answer_status;

typedef struct {
    uint64_t number;
    rp_answer_status status;
    bool cold; /* it waited for a compiler */
    uint64_t address;
    struct timespec begin, end; /* for the trace */
    rowpool_error error;
} rp_answer;

static inline size_t rp_answer_size(const rp_answer *answer)
{
    return answer->status == RP_ANSWER_FAILED ? sizeof *answer : offsetof(rp_answer, error);
}

enum { RP_HELLO_OTHERS = 7 };

/* What a program that is a worker says first: whether it has a device, and which. */
typedef struct {
    char version[16];
    size_t work_size; /* sizeof(rp_work): both ends have to agree */
    rowpool_status status;
    rowpool_device info;
    size_t n_others; /* devices that were asked for as well: each takes a program of its own */
    char others[RP_HELLO_OTHERS][sizeof(((rowpool_device *)0)->index)];
    rowpool_error error;
} rp_hello;

/* A chunk at hand in a worker. */
typedef struct rp_work_chunk rp_work_chunk;

/* Computes a chunk; false after rp_work_chunk_fail, or what it called did that. */
typedef bool rp_work_compute(rp_work_chunk *chunk, const rp_work *work, void *context);

/* A worker's life, whatever it computes with: works until it is dismissed. */
void rp_work_serve(const rp_worker_self *self, rp_work_mark *mark, rp_work_compute *compute, void *context);

/* Computes a chunk by the function's address, which a fork has in common with its parent. */
bool rp_work_chunk_call(rp_work_chunk *chunk);

/* All rows of a chunk where this process can read them, mapped or copied, with its arguments and where its results go.
 * They stay until the next chunk. */
typedef struct {
    rowpool_block block;
    const void *arguments;
    char *results;
} rp_work_rows;
bool rp_work_chunk_rows(rp_work_chunk *chunk, rp_work_rows *rows);

/* The text of the chunk's function; it stays as long as chunks of the same map come. */
bool rp_work_chunk_source(rp_work_chunk *chunk, const char **source);

/* How it ended, where that is not just well: it waited for a compiler, or failed. */
void rp_work_chunk_was_cold(rp_work_chunk *chunk);
bool rp_work_chunk_fail(rp_work_chunk *chunk, const rowpool_error *error);

#endif
