/* The fork backend's messages: one chunk of a map for a worker process, and its answer. */
#ifndef RP_BACKEND_FORK_WORK_H
#define RP_BACKEND_FORK_WORK_H

#include <stdatomic.h>

#include "core/function.h"
#include "process/reach.h"
#include "process/worker.h"

/* The number of the task that a worker began last, in memory that it shares with its parent. */
typedef struct {
    _Alignas(64) atomic_uint_least64_t number; /* no two workers write to one cache line */
} rp_fork_begun;

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
    RP_WORK_TAIL = 3 * 4096 /* them, and two paths */
};

typedef struct {
    uint64_t number;                      /* the answer says it again */
    uint64_t map;                         /* tasks with the same one have the same arguments */
    rp_fold *fold;                        /* a worker is a fork: the function is at the same address in it */
    rp_block block;                       /* as in the parent: data and offsets are addresses there */
    size_t element, columns, row_results; /* bytes of an element; results of a row, and bytes of them */
    rp_place data, offsets, results;
    uint64_t arguments; /* their address in the parent */
    size_t arguments_size, tail_size;
    _Alignas(16) char tail[RP_WORK_TAIL]; /* arguments if they fit, path of data, path of offsets; cut at tail_size */
} rp_work;

static inline size_t rp_work_size(const rp_work *work)
{
    return offsetof(rp_work, tail) + work->tail_size;
}

typedef enum {
    RP_ANSWER_DONE,
    RP_ANSWER_UNREADABLE, /* memory at `address` of the parent cannot be read */
    RP_ANSWER_REFUSED,    /* no memory of the parent can be read */
    RP_ANSWER_NO_MEMORY
} rp_answer_status;

typedef struct {
    uint64_t number;
    rp_answer_status status;
    uint64_t address;
} rp_answer;

/* A worker's life: works until it is dismissed. The context is its rp_fork_begun. */
rp_worker_run rp_fork_work;

#endif
