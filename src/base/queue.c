#include "base/queue.h"

#include <stddef.h>

#include "base/thread.h"

void rp_queue_init(rp_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    rp_cond_init(&queue->filled);
    queue->first = NULL;
    queue->last = &queue->first;
}

void rp_queue_destroy(rp_queue *queue)
{
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

void rp_queue_push(rp_queue *queue, rp_link *link)
{
    link->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->last = link;
    queue->last = &link->next;
    /* Signalled under the lock: the popper may destroy the queue as soon as it has the last item. */
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

rp_link *rp_queue_pop(rp_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL)
        pthread_cond_wait(&queue->filled, &queue->lock);
    rp_link *link = queue->first;
    queue->first = link->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    pthread_mutex_unlock(&queue->lock);
    return link;
}
