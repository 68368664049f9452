/* Shared memory: pages that a descriptor names, so that a worker process can map them after it was forked.
 *
 * rowpool_alloc and rowpool_free are built on it. They keep a registry of the caller's regions, so that such memory is
 * recognised by its address. */
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

/* Unmaps. In the process that opened the region it also frees the pages, which a worker may still have mapped. */
void rp_region_close(rp_region *region);

/* rowpool_alloc and rowpool_free. */
void *rp_shared_alloc(size_t bytes, rowpool_error *error);
void rp_shared_free(void *memory);

/* Finds the region of rowpool_alloc that holds a range; false: there is none. region->fd is a duplicate, for the caller
 * to close. */
bool rp_region_find(const void *address, size_t bytes, rp_region *region, size_t *offset);

#endif
