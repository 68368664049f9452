/* Shared memory: pages that a descriptor names, so that a worker process can map them after it was forked.
 *
 * rowpool_alloc and rowpool_free stand on it; they also keep a registry of what the caller has, to tell such memory
 * from any other by its address. */
#ifndef RP_PROCESS_MEMORY_H
#define RP_PROCESS_MEMORY_H

#include <sys/types.h>

#include "base/error.h"

typedef struct rp_region {
    char *base;
    size_t length; /* whole pages */
    uint64_t id;   /* never used twice; not 0 */
    int fd;
    pid_t owner;
    struct rp_region *next; /* in the registry */
} rp_region;

/* Maps at least `bytes` zeroed bytes, at least a page. */
rowpool_status rp_region_open(rp_region *region, size_t bytes, rowpool_error *error);

/* Unmaps. In the process that opened the region the pages go too, wherever else they are still mapped: a mapping that a
 * worker has kept must not hold them. */
void rp_region_close(rp_region *region);

/* rowpool_alloc and rowpool_free. */
void *rp_shared_alloc(size_t bytes, rowpool_error *error);
void rp_shared_free(void *memory);

/* Where a range of addresses lies in memory from rowpool_alloc; false when it does not. region->fd is a duplicate, the
 * caller's to close. */
bool rp_region_find(const void *address, size_t bytes, rp_region *region, size_t *offset);

#endif
