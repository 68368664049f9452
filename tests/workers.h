/* What tests look at in a device whose workers are processes. */
#ifndef TEST_WORKERS_H
#define TEST_WORKERS_H

#include "device/workers/workers.h"

/* The pids of the workers, at most `capacity` of them. Returns how many workers there are. */
static inline size_t test_worker_pids(rp_device *device, pid_t *pids, size_t capacity)
{
    rp_workers *state = device->state;
    size_t n = 0;
    rp_lock(&state->lock);
    for (size_t i = 0; i < state->workers; i++)
        if (state->slots[i].state != RP_WORKERS_EMPTY && state->slots[i].greeted) {
            if (n < capacity)
                pids[n] = state->slots[i].worker.pid;
            n++;
        }
    rp_unlock(&state->lock);
    return n;
}

#endif
