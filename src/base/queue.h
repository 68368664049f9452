/* A queue between threads: anyone pushes, one thread pops. Items are linked through a member of their own, so that a
 * push allocates nothing and cannot fail: drivers' callbacks push. */
#ifndef RP_BASE_QUEUE_H
#define RP_BASE_QUEUE_H

#include "base/lock.h"

typedef struct rp_link {
    struct rp_link *next;
} rp_link;

typedef struct {
    rp_mutex lock;
    pthread_cond_t filled;
    rp_link *first, **last;
} rp_queue;

void rp_queue_init(rp_queue *queue);
void rp_queue_destroy(rp_queue *queue);

/* Thread safe; holds the queue's own lock only. */
void rp_queue_push(rp_queue *queue, rp_link *link);

/* Waits for an item and takes the oldest. */
rp_link *rp_queue_pop(rp_queue *queue);

#endif
