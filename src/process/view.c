#include "process/view.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/descriptor.h"

/* ---- Mappings --------------------------------------------------------------------------------------------------- */

static void unmap_view(rp_view *view)
{
    if (view->base != NULL)
        munmap(view->base, view->length);
    *view = (rp_view){0};
}

static rp_view *find_view(rp_view_table *table, const rp_place *place, bool writable)
{
    for (rp_view *view = table->views; view < table->views + RP_VIEWS; view++)
        if (view->base != NULL && view->id == place->id && view->device == place->device &&
            view->inode == place->inode && view->writable == writable)
            return view;
    return NULL;
}

static rp_view *least_recently_used(rp_view_table *table)
{
    rp_view *least = &table->views[0];
    for (size_t i = 1; i < RP_VIEWS; i++)
        if (table->views[i].used < least->used)
            least = &table->views[i];
    return least;
}

static bool reaches(size_t length, const rp_place *place)
{
    return place->bytes <= length && place->offset <= length - place->bytes;
}

static bool is_file_at(const struct stat *is, const rp_place *place)
{
    return S_ISREG(is->st_mode) && is->st_dev == place->device && is->st_ino == place->inode;
}

/* The file's descriptor, or -1. stat comes first: opening what is not a regular file may have side effects. */
static int open_place(const rp_place *place, const char *path, size_t *length)
{
    struct stat is;
    if (stat(path, &is) != 0 || !is_file_at(&is, place))
        return -1;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return -1;
    if (fstat(descriptor, &is) != 0 || !is_file_at(&is, place)) {
        close(descriptor);
        return -1;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE); /* the rest of the last page reads as zeros, as in the parent */
    *length = rp_ceil_div((size_t)is.st_size, page) * page;
    return descriptor;
}

static rp_view *map_view(rp_view_table *table, const rp_place *place, int descriptor, size_t length, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *base = MAP_FAILED;
    if (descriptor >= 0 && length > 0 && reaches(length, place))
        base = mmap(NULL, length, protection, MAP_SHARED, descriptor, 0);
    if (base == MAP_FAILED)
        return NULL;
    rp_view *view = least_recently_used(table);
    unmap_view(view);
    *view = (rp_view){.base = base,
                      .length = length,
                      .id = place->id,
                      .device = place->device,
                      .inode = place->inode,
                      .writable = writable};
    return view;
}

char *rp_view_map(rp_view_table *table, const rp_place *place, int descriptor, const char *path, bool writable)
{
    rp_view *view = find_view(table, place, writable);
    if (view != NULL && !reaches(view->length, place)) {
        unmap_view(view); /* the file has grown since */
        view = NULL;
    }
    if (view == NULL && place->kind == RP_REACH_REGION) {
        view = map_view(table, place, descriptor, place->length, writable);
    } else if (view == NULL) {
        size_t length = 0;
        int file = open_place(place, path, &length);
        view = map_view(table, place, file, length, writable);
        rp_descriptor_close(file);
    }
    if (view == NULL)
        return NULL;
    view->used = ++table->clock;
    return view->base + place->offset;
}

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

/* An address of the parent, in the type that the system call wants. */
static struct iovec part_at(uint64_t address, size_t bytes)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)address, .iov_len = bytes};
}

static ssize_t read_directly(const rp_view_parent *parent, const struct iovec *into, const struct iovec *from, size_t n)
{
    ssize_t got;
    do
        got = process_vm_readv(parent->pid, into, 1, from, n, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static int copy_by_file(const rp_view_parent *parent, char *into, uint64_t address, size_t bytes)
{
    while (bytes > 0) {
        if (parent->memory < 0)
            return EPERM;
        ssize_t got = pread(parent->memory, into, bytes, (off_t)address);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return EFAULT;
        into += got;
        address += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}

int rp_view_copy(rp_view_parent *parent, void *into, uint64_t address, size_t bytes)
{
    char *next = into;
    while (bytes > 0 && !parent->refused) {
        struct iovec to = {.iov_base = next, .iov_len = bytes}, from = part_at(address, bytes);
        ssize_t got = read_directly(parent, &to, &from, 1);
        if (got == 0 || (got < 0 && errno == EFAULT))
            return EFAULT;
        if (got < 0) {
            parent->refused = true;
            break;
        }
        next += got;
        address += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return copy_by_file(parent, next, address, bytes);
}

int rp_view_gather(rp_view_parent *parent, void *into, uint64_t address, size_t bytes, size_t stride, size_t n)
{
    enum { AT_ONCE = 256 };
    char *next = into;
    for (size_t first = 0, some; first < n; first += some) {
        struct iovec from[AT_ONCE];
        some = rp_min(n - first, AT_ONCE);
        for (size_t i = 0; i < some; i++)
            from[i] = part_at(address + (first + i) * stride, bytes);
        struct iovec to = {.iov_base = next, .iov_len = some * bytes};
        bool whole = !parent->refused && read_directly(parent, &to, from, some) == (ssize_t)(some * bytes);
        for (size_t i = 0; !whole && i < some; i++) { /* one by one, to find the error */
            int failure = rp_view_copy(parent, next + i * bytes, address + (first + i) * stride, bytes);
            if (failure != 0)
                return failure;
        }
        next += some * bytes;
    }
    return 0;
}

char *rp_view_scratch_of(rp_view_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->length)
        return scratch->base;
    if (scratch->base != NULL)
        munmap(scratch->base, scratch->length);
    *scratch = (rp_view_scratch){0};
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    *scratch = (rp_view_scratch){.base = base, .length = bytes};
    return scratch->base;
}
