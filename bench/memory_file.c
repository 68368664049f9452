#include "memory_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine.h"

static rowpool_status map(bench_memory_file *file, rowpool_error *error)
{
    const size_t free_bytes = bench_memory_free();

    /* Asked ahead: pages that do not exist are only missed when they are written, and then by a signal. */
    if (file->bytes > free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM, "its copy of %.3g GB does not fit into the %.3g GB that are free",
                          (double)file->bytes / 1e9, (double)free_bytes / 1e9);
    file->fd = memfd_create("rowpool-bench", MFD_CLOEXEC);
    if (file->fd < 0 || ftruncate(file->fd, (off_t)file->bytes))
        return bench_fail(error, ROWPOOL_ENOMEM, "no file in memory: %s", strerror(errno));
    file->pages = mmap(NULL, file->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (file->pages != MAP_FAILED)
        return ROWPOOL_OK;
    file->pages = NULL;
    return bench_fail(error, ROWPOOL_ENOMEM, "a file in memory cannot be mapped: %s", strerror(errno));
}

rowpool_status bench_memory_file_open(bench_memory_file *file, size_t bytes, const void *content, rowpool_error *error)
{
    *file = (bench_memory_file){.fd = -1, .bytes = bytes};
    rowpool_status status = map(file, error);

    if (status)
        bench_memory_file_close(file);
    else if (content)
        memcpy(file->pages, content, bytes);
    return status;
}

void bench_memory_file_close(bench_memory_file *file)
{
    if (file->pages)
        munmap(file->pages, file->bytes);
    if (file->fd >= 0)
        close(file->fd);
    *file = (bench_memory_file){.fd = -1};
}
