/* The dispatcher: the one thread on which the pool's jobs go on and their callbacks run. It sleeps on a queue that
 * drivers' callbacks, worker processes and submitting threads push to. */
#include <stddef.h>

#include "base/thread.h"
#include "pool/pool.h"

/* The pool whose dispatcher this thread is. */
static _Thread_local const rowpool *mine;

static void *dispatch(void *argument)
{
    rowpool *pool = argument;
    mine = pool;
    for (;;) {
        rp_slot *slot = (rp_slot *)rp_queue_pop(&pool->dispatcher.queue);
        if (slot->task.device != NULL)
            rp_job_advance(slot);
        else if (slot->task.owner != NULL)
            rp_job_begin(slot->task.owner);
        else
            return NULL;
    }
}

rowpool_status rp_dispatcher_start(rowpool *pool, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    pthread_mutex_lock(&pool->lock);
    if (!pool->dispatcher.started) {
        rp_queue_init(&pool->dispatcher.queue);
        pool->dispatcher.end_of_waiting = &pool->dispatcher.first_waiting;
        status = rp_thread_start(&pool->dispatcher.thread, "rowpool", dispatch, pool, error);
        pool->dispatcher.started = status == ROWPOOL_OK;
        if (status != ROWPOOL_OK)
            rp_queue_destroy(&pool->dispatcher.queue);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void rp_dispatcher_stop(rowpool *pool)
{
    if (!pool->dispatcher.started)
        return;
    rp_slot last = {0};
    rp_queue_push(&pool->dispatcher.queue, &last.task.link);
    pthread_join(pool->dispatcher.thread, NULL);
    rp_queue_destroy(&pool->dispatcher.queue);
}

bool rp_dispatcher_is_me(const rowpool *pool)
{
    return mine == pool;
}
