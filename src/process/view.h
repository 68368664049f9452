/* In a worker process: the parent's memory, as mappings that are kept and as copies. Async-signal-safe throughout. */
#ifndef RP_PROCESS_VIEW_H
#define RP_PROCESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Mappings --------------------------------------------------------------------------------------------------- */

/* One kept mapping, of a whole region (id) or of a whole file (device and inode). */
typedef struct {
    char *base; /* NULL: none */
    size_t length;
    uint64_t id, device, inode;
    bool writable;
    uint64_t used; /* when: the least goes first */
} rp_view;

enum { RP_VIEWS = 64 };

/* Zeroed before use. */
typedef struct {
    rp_view views[RP_VIEWS];
    uint64_t clock;
} rp_view_table;

/* Byte `offset` of a region, which is `length` bytes long, mapped from its descriptor; NULL when it cannot be. The last
 * few addresses given out stay valid. */
char *rp_view_region(rp_view_table *table, uint64_t id, int descriptor, size_t length, size_t offset, bool writable);

/* Bytes [offset, offset + bytes) of a file, read only. NULL when the file at that path is another one by now, or
 * shorter, or cannot be mapped.
 *
 * A kept mapping is that of the right file: while it stands, its inode lives and cannot become another file's. */
char *rp_view_file(rp_view_table *table, uint64_t device, uint64_t inode, const char *path, size_t offset,
                   size_t bytes);

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

/* Where the copies come from. */
typedef struct {
    pid_t pid;
    int memory;   /* its /proc/self/mem, or -1 */
    bool refused; /* process_vm_readv is not allowed: do not ask again */
} rp_view_parent;

/* Copies from the parent: 0, EFAULT when the range is not all readable, EPERM when nothing may be read. */
int rp_view_copy(rp_view_parent *parent, void *into, uint64_t address, size_t bytes);

/* The same for n pieces of `bytes` each, `apart` bytes from one's beginning to the next's; they are laid end to end. */
int rp_view_gather(rp_view_parent *parent, void *into, uint64_t address, size_t bytes, size_t apart, size_t n);

/* Memory for copies, from mmap: at least `bytes`, which what was there does not survive. NULL: there is none. */
typedef struct {
    char *base;
    size_t length;
} rp_view_scratch;
char *rp_view_scratch_of(rp_view_scratch *scratch, size_t bytes);

#endif
