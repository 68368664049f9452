/* What a run still has to hand out: chunks that came back, then rows that were never handed out. */
#ifndef RP_SCHED_WORK_QUEUE_H
#define RP_SCHED_WORK_QUEUE_H

#include "sched/data.h"

typedef struct {
    const rp_operation *operation;
    rp_chunk *again; /* chunks to run again; they go first */
    size_t n_again, capacity;
    rp_cursor cursor;       /* where the next new chunk begins */
    rowpool_data *data;     /* rows that stay, taken partition by partition; NULL: none stay on devices */
    rp_cursor *partitions;  /* a cursor in each partition */
    size_t first_partition; /* the first in which rows are left */
    bool in_order;          /* take rows from the first partition only */
} rp_work_queue;

/* How much a device may take. */
typedef struct {
    const rp_device *device;
    rp_split_limits limits;
    size_t max_partition; /* bytes of the largest partition that it may keep from now on */
    bool whole_to_keep;   /* take all of a partition that the device is to copy and keep */
    bool whole_if_kept;   /* take all of a partition that the device has a copy of */
} rp_take;

/* data NULL: no rows stay on devices. ENOMEM. */
rowpool_status rp_work_queue_init(rp_work_queue *queue, const rp_operation *operation, rowpool_data *data,
                                  bool in_order, rowpool_error *error);
void rp_work_queue_destroy(rp_work_queue *queue);

/* Takes the next chunk for a device; false when nothing is left. */
bool rp_work_queue_next(rp_work_queue *queue, const rp_take *take, rp_chunk *chunk);

/* Puts a chunk back, to run again. False: out of memory. */
bool rp_work_queue_return(rp_work_queue *queue, const rp_chunk *chunk);

bool rp_work_queue_is_empty(const rp_work_queue *queue);

/* Drops all rows that were never handed out. */
void rp_work_queue_drop(rp_work_queue *queue);

#endif
