#include "output.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_errno(error);
        at += written;
        size -= (size_t)written;
    }
    return ROWPOOL_OK;
}

enum { BUFFER_BYTES = 256 * 1024, LONGEST_COUNT = 21 /* 20 digits of a uint64, separator */ };

static inline char *format_count(char *to, uint64_t count, char separator)
{
    if (count < 10) { /* most counts of short rows */
        *to++ = (char)('0' + count);
    } else {
        char digits[LONGEST_COUNT];
        size_t first = sizeof digits;
        for (; count > 0; count /= 10)
            digits[--first] = (char)('0' + count % 10);
        memcpy(to, digits + first, sizeof digits - first);
        to += sizeof digits - first;
    }
    *to++ = separator;
    return to;
}

rowpool_status write_counts(int fd, const row_counts *counts, size_t rows, rowpool_error *error)
{
    static char buffer[BUFFER_BYTES];
    const uint32_t *narrow = counts->values;
    const uint64_t *wide = counts->values;
    char *end = buffer;
    size_t column = 0;
    for (size_t i = 0; i < rows * counts->columns; i++) {
        if ((size_t)(buffer + sizeof buffer - end) < LONGEST_COUNT) {
            rowpool_status status = write_bytes(fd, buffer, (size_t)(end - buffer), error);
            if (status != ROWPOOL_OK)
                return status;
            end = buffer;
        }
        bool last = ++column == counts->columns;
        column = last ? 0 : column;
        end = format_count(end, counts->wide ? wide[i] : narrow[i], last ? '\n' : ' ');
    }
    return write_bytes(fd, buffer, (size_t)(end - buffer), error);
}

bool close_standard_output(void)
{
    errno = 0;
    bool written = !ferror(stdout) && fflush(stdout) == 0;
    int failure = errno;
    bool closed = fclose(stdout) == 0;
    if (written && closed)
        return true;
    if (written)
        failure = errno;
    /* Where an earlier write failed, its errno is gone. */
    say("standard output", "%s", failure != 0 ? strerror(failure) : "not everything could be written");
    return false;
}
