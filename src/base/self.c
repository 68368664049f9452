#include "base/self.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int self; /* 0: not watched */

static void note(void)
{
    atomic_store_explicit(&self, getpid(), memory_order_relaxed);
}

static void watch(void)
{
    if (pthread_atfork(NULL, NULL, note) == 0)
        note();
}

void rp_self_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}

pid_t rp_self(void)
{
    pid_t known = atomic_load_explicit(&self, memory_order_relaxed);
    return known != 0 ? known : getpid();
}
