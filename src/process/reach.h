/* How a worker process, forked earlier, reaches a range of this process's memory. */
#ifndef RP_PROCESS_REACH_H
#define RP_PROCESS_REACH_H

#include "base/error.h"

typedef enum {
    RP_REACH_COPY,   /* private: the kernel copies it out of this process */
    RP_REACH_REGION, /* rowpool_alloc: mapped from its descriptor */
    RP_REACH_FILE    /* a shared mapping of a file: mapped by the file's path */
} rp_reach_kind;

/* The range stays the caller's; what is said here holds as long as it is not unmapped. */
typedef struct {
    rp_reach_kind kind;
    uint64_t address, bytes; /* the range */
    uint64_t offset;         /* of the range in the region or the file */
    uint64_t id, length;     /* the region's */
    int fd;                  /* a duplicate of the region's, or -1 */
    uint64_t device, inode;  /* the file's, as stat says them */
    char *path;              /* the file's, or NULL */
} rp_reach;

/* Finds out. Never fails: what is not known to be shared can be copied.
 * files: also look for mapped files, by reading /proc/self/maps: 20 to 100 microseconds. */
void rp_reach_find(const void *address, size_t bytes, bool files, rp_reach *reach);
void rp_reach_release(rp_reach *reach);

#endif
