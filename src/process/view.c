#include "process/view.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"

/* ---- Mappings --------------------------------------------------------------------------------------------------- */

static void forget(rp_view *view)
{
    if (view->base != NULL)
        munmap(view->base, view->length);
    *view = (rp_view){0};
}

static rp_view *find(rp_view_table *table, uint64_t id, uint64_t device, uint64_t inode, bool writable)
{
    for (size_t i = 0; i < RP_VIEWS; i++) {
        rp_view *view = &table->views[i];
        if (view->base != NULL && view->id == id && view->device == device && view->inode == inode &&
            view->writable == writable)
            return view;
    }
    return NULL;
}

/* The place for one more: the least used goes. */
static rp_view *vacate(rp_view_table *table)
{
    rp_view *least = &table->views[0];
    for (size_t i = 1; i < RP_VIEWS; i++)
        if (table->views[i].used < least->used)
            least = &table->views[i];
    forget(least);
    return least;
}

static rp_view *map(rp_view_table *table, int descriptor, size_t length, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *base = length == 0 ? MAP_FAILED : mmap(NULL, length, protection, MAP_SHARED, descriptor, 0);
    if (base == MAP_FAILED)
        return NULL;
    rp_view *view = vacate(table);
    *view = (rp_view){.base = base, .length = length, .writable = writable};
    return view;
}

static char *use(rp_view_table *table, rp_view *view, size_t offset)
{
    view->used = ++table->clock;
    return view->base + offset;
}

char *rp_view_region(rp_view_table *table, uint64_t id, int descriptor, size_t length, size_t offset, bool writable)
{
    rp_view *view = find(table, id, 0, 0, writable);
    if (view == NULL && descriptor >= 0) {
        view = map(table, descriptor, length, writable);
        if (view != NULL)
            view->id = id;
    }
    return view != NULL ? use(table, view, offset) : NULL;
}

/* The right file's descriptor, or -1. Asked by its path first: opening what is not a plain file may have effects. */
static int open_file(uint64_t device, uint64_t inode, const char *path, size_t *length)
{
    struct stat is;
    if (stat(path, &is) != 0 || !S_ISREG(is.st_mode) || is.st_dev != device || is.st_ino != inode)
        return -1;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return -1;
    if (fstat(descriptor, &is) != 0 || !S_ISREG(is.st_mode) || is.st_dev != device || is.st_ino != inode) {
        close(descriptor);
        return -1;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE); /* the rest of the last page reads as zeros, as in the parent */
    *length = rp_ceil_div((size_t)is.st_size, page) * page;
    return descriptor;
}

char *rp_view_file(rp_view_table *table, uint64_t device, uint64_t inode, const char *path, size_t offset, size_t bytes)
{
    rp_view *view = find(table, 0, device, inode, false);
    if (view != NULL && bytes <= view->length && offset <= view->length - bytes)
        return use(table, view, offset);
    if (view != NULL)
        forget(view); /* the file has grown since */
    size_t length = 0;
    int descriptor = open_file(device, inode, path, &length);
    view = NULL;
    if (descriptor >= 0 && bytes <= length && offset <= length - bytes)
        view = map(table, descriptor, length, false);
    if (descriptor >= 0)
        close(descriptor);
    if (view == NULL)
        return NULL;
    view->device = device;
    view->inode = inode;
    return use(table, view, offset);
}

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

/* The parent's addresses are this process's too, as far as their type is concerned. */
static struct iovec piece(uint64_t address, size_t bytes)
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
        struct iovec to = {.iov_base = next, .iov_len = bytes}, from = piece(address, bytes);
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

int rp_view_gather(rp_view_parent *parent, void *into, uint64_t address, size_t bytes, size_t apart, size_t n)
{
    enum { AT_ONCE = 256 };
    char *next = into;
    for (size_t first = 0, some; first < n; first += some) {
        struct iovec from[AT_ONCE];
        some = rp_min(n - first, AT_ONCE);
        for (size_t i = 0; i < some; i++)
            from[i] = piece(address + (first + i) * apart, bytes);
        struct iovec to = {.iov_base = next, .iov_len = some * bytes};
        bool whole = !parent->refused && read_directly(parent, &to, from, some) == (ssize_t)(some * bytes);
        for (size_t i = 0; !whole && i < some; i++) { /* one by one: that says what is wrong */
            int failure = rp_view_copy(parent, next + i * bytes, address + (first + i) * apart, bytes);
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
