/* Rows that stay on devices, cut into partitions. One device may keep a copy of each partition. */
#ifndef RP_SCHED_DATA_H
#define RP_SCHED_DATA_H

#include "device/device.h"

typedef struct {
    rp_chunk chunk;
    size_t bytes;              /* of a copy */
    rp_device *device;         /* that keeps a copy, or is about to; NULL: none. Under the pool's lock from here on */
    const rp_backend *backend; /* the device's */
    rp_device_copy *copy;      /* NULL: not made yet */
} rp_partition;

struct rowpool_data {
    pid_t pid;
    rowpool *pool;
    rowpool_data *next; /* in the pool's list of open handles */
    rowpool_rows given;
    rp_rows rows;
    unsigned references;      /* the caller's, and those of runs; under the pool's lock */
    bool splits_rows;         /* some partitions are parts of a row */
    rp_partition *partitions; /* all rows, in order */
    size_t n_partitions;
};

/* Cuts the rows into partitions and adds the handle to the pool's list. ENOMEM. */
rowpool_status rp_data_open(rowpool_data **data, rowpool *pool, const rowpool_rows *given, const rp_rows *rows,
                            rowpool_error *error);

/* Removes the handle from the pool's list and drops the caller's reference. */
void rp_data_close(rowpool_data *data);

/* The open handle of exactly these rows, with a reference for rp_data_release; NULL: there is none. whole: only a
 * handle whose partitions are whole rows. */
rowpool_data *rp_data_find(rowpool *pool, const rp_rows *rows, bool whole);
void rp_data_release(rowpool_data *data);

/* How well a partition suits a device, best first. */
typedef enum {
    RP_PARTITION_HERE,         /* the device has a copy */
    RP_PARTITION_FREE_TO_KEEP, /* nobody has one, and the device would keep one */
    RP_PARTITION_COMING,       /* the device's copy is on its way */
    RP_PARTITION_FREE,         /* nobody has one, and the device cannot keep one */
    RP_PARTITION_ELSEWHERE     /* another device has the copy */
} rp_partition_rank;

/* The pool's lock is held. max: bytes of the largest partition that the device may keep from now on. */
rp_partition_rank rp_partition_rank_for(const rp_partition *partition, const rp_device *device, size_t max);

/* How one input of a task uses its partition: the device's copy, or one that the task is to make, or neither. */
rp_partition_use rp_data_use(rowpool_data *data, rp_device *device, const rp_chunk *chunk, size_t max);

/* After a task's submit, and after its end: records the copy that was made, or that none was. */
void rp_data_copied(rowpool_data *data, rp_partition_use *use);
void rp_data_task_ended(rowpool_data *data, rp_partition_use *use, rowpool_status status);

/* The pool closes: the copies of its open handles are released. */
void rp_data_leave_pool(rowpool *pool);

#endif
