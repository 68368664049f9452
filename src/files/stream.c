#include "stream.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"
#include "interrupt.h"

rowpool_status read_stream(const byte_stream *stream, void *bytes, size_t size, size_t *found, rowpool_error *error)
{
    for (*found = 0; *found < size;) {
        size_t got;
        rowpool_status status = stream->read(stream->context, (unsigned char *)bytes + *found, size - *found, &got,
                                             error);
        if (status != ROWPOOL_OK)
            return status;
        if (got == 0)
            break;
        *found += got;
    }
    return ROWPOOL_OK;
}

rowpool_status read_descriptor(void *context, void *bytes, size_t size, size_t *found, rowpool_error *error)
{
    const int fd = *(const int *)context;
    ssize_t got;
    do
        got = read(fd, bytes, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail_errno(error);
    *found = (size_t)got;
    return ROWPOOL_OK;
}

rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && fd == STDOUT_FILENO && errno == EPIPE)
            die_of_broken_pipe();
        if (written < 0 && fd == STDOUT_FILENO)
            return rp_fail(error, ROWPOOL_ESYSTEM, "standard output: %s", strerror(errno));
        if (written < 0)
            return fail_errno(error);
        at += written;
        size -= (size_t)written;
    }
    return ROWPOOL_OK;
}

static rowpool_status copy_stream(int to, const byte_stream *stream, rowpool_error *error)
{
    static unsigned char bytes[256 * 1024];
    size_t found;
    do {
        RP_TRY(read_stream(stream, bytes, sizeof bytes, &found, error));
        RP_TRY(write_bytes(to, bytes, found, error));
    } while (found == sizeof bytes);
    return lseek(to, 0, SEEK_SET) == 0 ? ROWPOOL_OK : fail_errno(error);
}

rowpool_status store_stream(int *stored, const byte_stream *stream, rowpool_error *error)
{
    *stored = memfd_create("rowpool", MFD_CLOEXEC);
    if (*stored < 0)
        return fail_errno(error);
    rowpool_status status = copy_stream(*stored, stream, error);
    if (status != ROWPOOL_OK)
        (void)close(*stored);
    return status;
}
