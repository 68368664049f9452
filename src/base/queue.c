#include "base/queue.h"

#include <stddef.h>

#include "base/thread.h"

void rp_queue_init(rp_queue *queue)
{
    rp_mutex_init(&queue->lock, RP_LOCK_QUEUE);
    rp_cond_init(&queue->filled);
    queue->first = NULL;
    queue->last = &queue->first;
}

void rp_queue_destroy(rp_queue *queue)
{
    pthread_cond_destroy(&queue->filled);
    rp_mutex_destroy(&queue->lock);
}

void rp_queue_push(rp_queue *queue, rp_link *link)
{
    link->next = NULL;
    rp_lock(&queue->lock);
    *queue->last = link;
    queue->last = &link->next;
    /* Under the lock: the popper may destroy the queue as soon as it has the last item. */
    pthread_cond_signal(&queue->filled);
    rp_unlock(&queue->lock);
}

rp_link *rp_queue_pop(rp_queue *queue)
{
    rp_lock(&queue->lock);
    while (queue->first == NULL)
        rp_wait(&queue->filled, &queue->lock);
    rp_link *link = queue->first;
    queue->first = link->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    rp_unlock(&queue->lock);
    return link;
}
