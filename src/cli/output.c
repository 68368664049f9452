#include "output.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "number.h"

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

enum { BUFFER_BYTES = 256 * 1024, LONGEST_RESULT = NUMBER_TEXT + 1 /* separator */ };

static inline char *format_natural(char *to, uint64_t value)
{
    if (value < 10) { /* most counts of short rows */
        *to++ = (char)('0' + value);
        return to;
    }
    char digits[LONGEST_RESULT];
    size_t first = sizeof digits;
    for (; value > 0; value /= 10)
        digits[--first] = (char)('0' + value % 10);
    memcpy(to, digits + first, sizeof digits - first);
    return to + sizeof digits - first;
}

static inline char *format_integer(char *to, int64_t value)
{
    if (value >= 0)
        return format_natural(to, (uint64_t)value);
    *to++ = '-';
    return format_natural(to, 0 - (uint64_t)value);
}

static char *format_float(char *to, double value, rowpool_dtype dtype)
{
    format_real(to, value, dtype);
    return to + strlen(to);
}

static inline char *format_result(char *to, const row_results *results, size_t i)
{
    const void *values = results->values;
    switch (results->dtype) {
    case ROWPOOL_INT8:
        return format_integer(to, ((const int8_t *)values)[i]);
    case ROWPOOL_INT16:
        return format_integer(to, ((const int16_t *)values)[i]);
    case ROWPOOL_INT32:
        return format_integer(to, ((const int32_t *)values)[i]);
    case ROWPOOL_INT64:
        return format_integer(to, ((const int64_t *)values)[i]);
    case ROWPOOL_UINT8:
        return format_natural(to, ((const uint8_t *)values)[i]);
    case ROWPOOL_UINT16:
        return format_natural(to, ((const uint16_t *)values)[i]);
    case ROWPOOL_UINT32:
        return format_natural(to, ((const uint32_t *)values)[i]);
    case ROWPOOL_UINT64:
        return format_natural(to, ((const uint64_t *)values)[i]);
    case ROWPOOL_FLOAT16:
        return format_float(to, half_value(((const uint16_t *)values)[i]), ROWPOOL_FLOAT16);
    case ROWPOOL_FLOAT32:
        return format_float(to, (double)((const float *)values)[i], ROWPOOL_FLOAT32);
    case ROWPOOL_FLOAT64:
        return format_float(to, ((const double *)values)[i], ROWPOOL_FLOAT64);
    }
    return to;
}

rowpool_status write_results(int fd, const row_results *results, size_t rows, rowpool_error *error)
{
    static char buffer[BUFFER_BYTES];
    char *end = buffer;
    size_t column = 0;
    for (size_t i = 0; i < rows * results->columns; i++) {
        if ((size_t)(buffer + sizeof buffer - end) < LONGEST_RESULT) {
            rowpool_status status = write_bytes(fd, buffer, (size_t)(end - buffer), error);
            if (status != ROWPOOL_OK)
                return status;
            end = buffer;
        }
        bool last = ++column == results->columns;
        column = last ? 0 : column;
        end = format_result(end, results, i);
        *end++ = last ? '\n' : ' ';
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
