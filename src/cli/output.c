#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"
#include "number.h"

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

static void flush_writer(writer *to)
{
    if (to->status == ROWPOOL_OK)
        to->status = write_bytes(to->fd, to->bytes, to->used, to->error);
    to->used = 0;
}

/* size < WRITER_BYTES. */
static inline char *room_for(writer *to, size_t size)
{
    if (sizeof to->bytes - to->used < size)
        flush_writer(to);
    return to->bytes + to->used;
}

void put_bytes(writer *to, const void *bytes, size_t size)
{
    if (size == 0)
        return; /* bytes may be NULL */
    if (size < sizeof to->bytes) {
        memcpy(room_for(to, size), bytes, size);
        to->used += size;
        return;
    }
    flush_writer(to);
    if (to->status == ROWPOOL_OK)
        to->status = write_bytes(to->fd, bytes, size, to->error);
}

void put_text(writer *to, const char *text)
{
    put_bytes(to, text, strlen(text));
}

void put_char(writer *to, char c)
{
    *room_for(to, 1) = c;
    to->used++;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

enum { MAX_RESULT = NUMBER_TEXT };

static inline char *format_natural(char *to, uint64_t value)
{
    if (value < 10) { /* typical counts of short rows */
        *to++ = (char)('0' + value);
        return to;
    }
    char digits[MAX_RESULT];
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
    default:
        format_real(to, float_value((const char *)values + i * rowpool_dtype_size(results->dtype), results->dtype),
                    results->dtype);
        return to + strlen(to);
    }
}

void put_number(writer *to, size_t number)
{
    char *at = room_for(to, MAX_RESULT);
    to->used += (size_t)(format_natural(at, number) - at);
}

void put_result(writer *to, const row_results *results, size_t i)
{
    char *at = room_for(to, MAX_RESULT);
    to->used += (size_t)(format_result(at, results, i) - at);
}

/* ---- Tables ----------------------------------------------------------------------------------------------------- */

rowpool_status write_rows(const table_format *format, int fd, const result_table *table, size_t rows,
                          rowpool_error *error)
{
    const size_t left = rows > table->first ? rows - table->first : 0;
    const size_t count = left < table->results->rows ? left : table->results->rows;
    const buffer *labels = &table->in->labels;
    const char *label = labels->count > 0 && count > 0 ? text_at(labels, table->first) : NULL;
    writer to;
    to.fd = fd;
    to.status = ROWPOOL_OK;
    to.error = error;
    to.used = 0;
    if (table->begins && format->put_head != NULL)
        format->put_head(&to, format, table, rows);
    for (size_t row = 0; row < count && to.status == ROWPOOL_OK; row++) {
        format->put_row(&to, format, table, row, label);
        label = label != NULL ? next_text(label) : NULL;
    }
    if (table->ends && format->tail != NULL)
        put_text(&to, format->tail);
    flush_writer(&to);
    return to.status;
}

/* ---- Standard output -------------------------------------------------------------------------------------------- */

rowpool_status print_string(const char *text, rowpool_error *error)
{
    return write_bytes(STDOUT_FILENO, text, strlen(text), error);
}

/* Whether its reader has gone. */
static bool standard_output_is_broken(void)
{
    struct pollfd end = {.fd = STDOUT_FILENO};
    return poll(&end, 1, 0) == 1 && (end.revents & POLLERR) != 0;
}

bool close_standard_output(void)
{
    errno = 0;
    bool written = !ferror(stdout) && fflush(stdout) == 0;
    if (!written && standard_output_is_broken())
        die_of_broken_pipe();
    int failure = errno;
    bool closed = fclose(stdout) == 0;
    if (written && closed)
        return true;
    if (written)
        failure = errno;
    /* errno is 0 if the write that failed was an earlier one. */
    say("standard output", "%s", failure != 0 ? strerror(failure) : "not everything could be written");
    return false;
}
