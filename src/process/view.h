/* In a worker process: the parent's memory, as mappings that are kept and as copies. Async-signal-safe throughout. */
#ifndef RP_PROCESS_VIEW_H
#define RP_PROCESS_VIEW_H

#include <sys/types.h>

#include "process/reach.h"

/* ---- Mappings --------------------------------------------------------------------------------------------------- */

/* One kept mapping, of a whole region (id) or of a whole file (device and inode). The file's inode lives as long as the
 * mapping, so it cannot become another file's. */
typedef struct {
    char *base; /* NULL: none */
    size_t length;
    uint64_t id, device, inode;
    bool writable;
    uint64_t used; /* the table's clock at the last use */
} rp_view;

enum { RP_VIEWS = 64 };

/* Zeroed before use. */
typedef struct {
    rp_view views[RP_VIEWS];
    uint64_t clock;
} rp_view_table;

/* A place of kind RP_REACH_REGION or RP_REACH_FILE, mapped: from `descriptor`, or from the file at `path` if that is
 * still the same file. NULL: it cannot be mapped. An address is valid until RP_VIEWS other places have been mapped. */
char *rp_view_map(rp_view_table *table, const rp_place *place, int descriptor, const char *path, bool writable);

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

/* Where the copies come from. */
typedef struct {
    pid_t pid;
    int memory;   /* its /proc/self/mem, or -1 */
    bool refused; /* process_vm_readv is not allowed */
} rp_view_parent;

/* Copies from the parent: 0, EFAULT when part of the range is unreadable, EPERM when the parent's memory may not be
 * read at all. */
int rp_view_copy(rp_view_parent *parent, void *into, uint64_t address, size_t bytes);

/* Copies n parts of `bytes` each, which begin `stride` bytes apart in the parent, end to end. */
int rp_view_gather(rp_view_parent *parent, void *into, uint64_t address, size_t bytes, size_t stride, size_t n);

/* Memory for copies, from mmap. */
typedef struct {
    char *base;
    size_t length;
} rp_view_scratch;

/* At least `bytes` of scratch memory, with any contents; NULL: there is none. */
char *rp_view_scratch_of(rp_view_scratch *scratch, size_t bytes);

#endif
