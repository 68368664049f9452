/* How a worker process, started earlier, reaches a range of this process's memory. */
#ifndef RP_PROCESS_REACH_H
#define RP_PROCESS_REACH_H

#include "base/error.h"

typedef enum {
    RP_REACH_COPY,   /* private: the worker copies it from this process */
    RP_REACH_REGION, /* memory of rowpool_alloc: mapped from its descriptor */
    RP_REACH_FILE    /* a shared mapping of a file: mapped by the file's path */
} rp_reach_kind;

/* Where a range is. Sent to workers as these bytes. */
typedef struct {
    rp_reach_kind kind;
    uint64_t address; /* in this process */
    uint64_t bytes;
    uint64_t offset; /* of the range in the region or the file */
    uint64_t id;     /* the region's; 0 for a file */
    uint64_t length; /* of the region */
    uint64_t device; /* the file's, from stat */
    uint64_t inode;  /* the file's */
} rp_place;

/* A place, and what else a worker needs to map it. Valid until the range is unmapped. */
typedef struct {
    rp_place place;
    int fd;     /* a duplicate of the region's, or -1 */
    char *path; /* the file's, or NULL */
} rp_reach;

/* Never fails: what is not known to be shared can be copied. files: look for mapped files, too, by reading
 * /proc/self/maps; that takes 20 to 100 microseconds. */
void rp_reach_find(const void *address, size_t bytes, bool files, rp_reach *reach);
void rp_reach_release(rp_reach *reach);

#endif
