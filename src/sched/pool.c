#include "sched/pool.h"

#include <stdlib.h>

#include "base/self.h"

rowpool_status rp_check_handle(const void *handle, const char *what, pid_t pid, rowpool_error *error)
{
    if (handle == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is NULL", what);
    if (pid != rp_self())
        return rp_fail(error, ROWPOOL_EFORKED,
                       "this %s belongs to process %ld, the parent of this one: open a pool of your own here", what,
                       (long)pid);
    return ROWPOOL_OK;
}

void rp_pool_enter(rowpool *pool)
{
    rp_lock(&pool->lock);
    pool->active++;
    rp_unlock(&pool->lock);
}

void rp_pool_leave(rowpool *pool, rp_device *device, size_t rows)
{
    rp_lock(&pool->lock);
    if (device != NULL) {
        device->info.rows += rows;
        device->info.chunks++;
    }
    if (--pool->active == 0)
        pthread_cond_broadcast(&pool->idle);
    rp_unlock(&pool->lock);
}

void rp_pool_count(rowpool *pool, rp_device *device, size_t rows, size_t chunks, size_t failures)
{
    rp_lock(&pool->lock);
    device->info.rows += rows;
    device->info.chunks += chunks;
    device->info.failures += failures;
    rp_unlock(&pool->lock);
}

rowpool_status rp_pool_processes(rowpool *pool, rp_device **device, rowpool_error *error)
{
    rp_device *processes = pool->devices.items;
    while (processes->backend != &rp_backend_fork)
        processes++;
    *device = processes;
    rp_lock(&pool->opening);
    rowpool_status status = ROWPOOL_OK;
    if (processes->queue_depth == 0)
        status = processes->backend->open(processes, &pool->options, error);
    rp_unlock(&pool->opening);
    return status;
}

void rp_pool_release(rowpool *pool)
{
    if (pool->pid != rp_self()) { /* the locks may be held by threads that are not in this child */
        if (--pool->references == 0)
            free(pool);
        return;
    }
    rp_lock(&pool->lock);
    bool last = --pool->references == 0;
    rp_unlock(&pool->lock);
    if (!last)
        return;
    pthread_cond_destroy(&pool->idle);
    rp_mutex_destroy(&pool->lock);
    rp_mutex_destroy(&pool->opening);
    free(pool);
}
