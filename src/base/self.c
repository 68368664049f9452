#include "base/self.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* The pid, in a page that the kernel zeroes in every child, also where no fork handler runs, but not in a child that
 * shares this memory (vfork). NULL: no such page; rp_self calls getpid. */
static atomic_int *_Atomic self;

static void watch(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *place = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED)
        return;
    if (madvise(place, page, MADV_WIPEONFORK) != 0) { /* a kernel before 4.14 */
        munmap(place, page);
        return;
    }
    atomic_int *known = place;
    atomic_store(known, getpid());
    atomic_store(&self, known);
}

void rp_self_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}

pid_t rp_self(void)
{
    atomic_int *known = atomic_load_explicit(&self, memory_order_acquire);
    if (known == NULL)
        return getpid();
    pid_t pid = atomic_load_explicit(known, memory_order_relaxed);
    if (pid == 0) {
        pid = getpid();
        atomic_store_explicit(known, pid, memory_order_relaxed);
    }
    return pid;
}
