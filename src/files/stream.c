#include "stream.h"

#include <errno.h>
#include <unistd.h>

#include "fail.h"

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
