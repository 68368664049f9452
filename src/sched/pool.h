/* The pool: its devices, the runs on them, the thread that runs its jobs. */
#ifndef RP_SCHED_POOL_H
#define RP_SCHED_POOL_H

#include <pthread.h>
#include <sys/types.h>

#include "core/builtin.h"
#include "device/choose.h"
#include "sched/run.h"

/* The one thread that runs the pool's jobs and their callbacks. */
typedef struct {
    pthread_t thread;
    rp_queue queue; /* of rp_message */
    bool started;
    /* The thread's own: */
    size_t running;               /* jobs begun and not complete */
    rowpool_job *first_waiting;   /* jobs that begin when others are complete, oldest first */
    rowpool_job **end_of_waiting; /* the link of the next job to wait */
} rp_dispatcher;

struct rowpool {
    pid_t pid;
    rp_device_list devices;
    rp_backend_options options; /* for devices that are opened later */
    const rp_cpu *cpu;          /* which form of the built-in functions runs on the host and in processes */
    bool strict;                /* a device that fails ends the map */
    rp_device *host;            /* one of the devices: does small maps, and what no other device can */
    rp_mutex opening;           /* devices that are opened, or looked at, later */
    rp_mutex lock;              /* everything below, and the counters of devices[].info */
    pthread_cond_t idle;
    size_t active;       /* calls and jobs in flight */
    rp_run *runs;        /* begun, or waiting to */
    rowpool_data *data;  /* open handles */
    unsigned references; /* the caller's, and those of handles */
    rp_dispatcher dispatcher;
};

/* EINVAL for NULL, EFORKED in a child of the process that made the handle. Takes no lock. */
rowpool_status rp_check_handle(const void *handle, const char *what, pid_t pid, rowpool_error *error);

/* Around everything that uses the pool's devices: rowpool_close waits for it. rp_pool_leave also counts one chunk of
 * `rows` rows for `device`, which saves a small map one lock; NULL: none. */
void rp_pool_enter(rowpool *pool);
void rp_pool_leave(rowpool *pool, rp_device *device, size_t rows);

/* Drops a reference; the last one frees the memory. The lock is not held. */
void rp_pool_release(rowpool *pool);

/* The pool's worker processes, started now if nobody has asked for them before. */
rowpool_status rp_pool_processes(rowpool *pool, rp_device **device, rowpool_error *error);

/* Adds to a device's counters. */
void rp_pool_count(rowpool *pool, rp_device *device, size_t rows, size_t chunks, size_t failures);

#endif
