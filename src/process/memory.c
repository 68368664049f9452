#include "process/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/descriptor.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/self.h"

/* ---- Regions ---------------------------------------------------------------------------------------------------- */

static bool whole_pages(size_t bytes, size_t *length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!rp_add(rp_max(bytes, 1), page - 1, length))
        return false;
    *length -= *length % page;
    return *length <= PTRDIFF_MAX;
}

/* Beyond this limit ftruncate raises SIGXFSZ. */
static bool within_file_limit(size_t length)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || length <= limit.rlim_cur;
}

rowpool_status rp_region_open(rp_region *region, size_t bytes, rowpool_error *error)
{
    static atomic_uint_fast64_t ids;
    *region = (rp_region){.fd = -1, .owner = rp_self()};
    if (!whole_pages(bytes, &region->length))
        return rp_fail(error, ROWPOOL_ENOMEM, "%zu bytes are more than memory can hold", bytes);
    if (!within_file_limit(region->length))
        return rp_fail(error, ROWPOOL_ENOMEM,
                       "cannot allocate %zu bytes of shared memory: the file size limit is lower; raise it (ulimit -f)",
                       bytes);
    region->fd = rp_descriptor_keep(memfd_create("rowpool", MFD_CLOEXEC));
    if (region->fd < 0)
        return rp_fail(error, errno == ENOMEM ? ROWPOOL_ENOMEM : ROWPOOL_ESYSTEM,
                       "cannot allocate %zu bytes of shared memory: memfd_create: %s", bytes, strerror(errno));
    void *base = MAP_FAILED;
    if (ftruncate(region->fd, (off_t)region->length) == 0)
        base = mmap(NULL, region->length, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);
    if (base == MAP_FAILED) {
        int failure = errno;
        close(region->fd);
        region->fd = -1;
        return rp_fail(error, ROWPOOL_ENOMEM, "cannot allocate %zu bytes of shared memory: %s", bytes,
                       strerror(failure));
    }
    region->base = base;
    region->id = atomic_fetch_add(&ids, 1) + 1;
    return ROWPOOL_OK;
}

void rp_region_close(rp_region *region)
{
    if (region->base == NULL)
        return;
    munmap(region->base, region->length);
    if (region->fd >= 0) {
        if (region->owner == rp_self() && ftruncate(region->fd, 0) != 0)
            rp_warn("cannot free %zu bytes of shared memory: %s", region->length, strerror(errno));
        close(region->fd);
    }
    region->base = NULL;
    region->fd = -1;
}

/* ---- The registry: rowpool_alloc's regions ---------------------------------------------------------------------- */

static rp_mutex registry_lock = RP_MUTEX(RP_LOCK_REGISTRY);
static rp_region *registry;

/* Memory without a descriptor, where a sandbox or a limit refuses one. Children forked later share it; workers that
 * exist already copy it. */
static bool open_without_descriptor(rp_region *region, size_t bytes)
{
    if (!whole_pages(bytes, &region->length))
        return false;
    void *base = mmap(NULL, region->length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (base != MAP_FAILED)
        region->base = base;
    return base != MAP_FAILED;
}

void *rp_shared_alloc(size_t bytes, rowpool_error *error)
{
    rowpool_error refusal;
    rp_region *region = malloc(sizeof *region);
    if (region == NULL) {
        rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
        return NULL;
    }
    if (rp_region_open(region, bytes, &refusal) != ROWPOOL_OK) {
        if (!open_without_descriptor(region, bytes)) {
            rp_fail(error, refusal.status, "%s", refusal.message);
            free(region);
            return NULL;
        }
        rp_log(RP_LOG_WORKER, "workers will copy these %zu bytes: %s", bytes, refusal.message);
    }
    rp_lock_against_forks(&registry_lock);
    region->next = registry;
    registry = region;
    rp_unlock_for_forks(&registry_lock);
    return region->base;
}

/* Removes the region that begins at an address from the registry; NULL: there is none. */
static rp_region *take_region(const void *base)
{
    rp_lock_against_forks(&registry_lock);
    rp_region **link = &registry;
    while (*link != NULL && (*link)->base != base)
        link = &(*link)->next;
    rp_region *region = *link;
    if (region != NULL)
        *link = region->next;
    rp_unlock_for_forks(&registry_lock);
    return region;
}

void rp_shared_free(void *memory)
{
    if (memory == NULL)
        return;
    rp_region *region = take_region(memory);
    if (region == NULL) {
        rp_warn("rowpool_free(%p): this is not memory from rowpool_alloc, or it was freed before: ignored", memory);
        return;
    }
    rp_region_close(region);
    free(region);
}

static bool region_holds(const rp_region *region, const char *address, size_t bytes)
{
    uintptr_t first = (uintptr_t)address, base = (uintptr_t)region->base;
    return first >= base && first - base <= region->length && bytes <= region->length - (first - base);
}

bool rp_region_find(const void *address, size_t bytes, rp_region *region, size_t *offset)
{
    rp_lock_against_forks(&registry_lock);
    const rp_region *known = registry;
    while (known != NULL && !region_holds(known, address, bytes))
        known = known->next;
    if (known != NULL) {
        *region = *known;
        *offset = (uintptr_t)address - (uintptr_t)known->base;
        region->fd = fcntl(known->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
    rp_unlock_for_forks(&registry_lock);
    return known != NULL && region->fd >= 0;
}
