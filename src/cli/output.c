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
#include "options.h"

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

void begin_writing(writer *to, int fd, rowpool_error *error)
{
    to->fd = fd;
    to->status = ROWPOOL_OK;
    to->error = error;
    to->used = 0;
}

static void flush(writer *to)
{
    if (to->status == ROWPOOL_OK)
        to->status = write_bytes(to->fd, to->bytes, to->used, to->error);
    to->used = 0;
}

rowpool_status end_writing(writer *to)
{
    flush(to);
    return to->status;
}

/* Room for that many bytes, fewer than the writer holds. */
static inline char *make_room(writer *to, size_t size)
{
    if (sizeof to->bytes - to->used < size)
        flush(to);
    return to->bytes + to->used;
}

void put_bytes(writer *to, const void *bytes, size_t size)
{
    if (size == 0)
        return; /* there may be no bytes to point to */
    if (size < sizeof to->bytes) {
        memcpy(make_room(to, size), bytes, size);
        to->used += size;
        return;
    }
    flush(to);
    if (to->status == ROWPOOL_OK)
        to->status = write_bytes(to->fd, bytes, size, to->error);
}

void put_text(writer *to, const char *text)
{
    put_bytes(to, text, strlen(text));
}

void put_char(writer *to, char c)
{
    *make_room(to, 1) = c;
    to->used++;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

enum { LONGEST_RESULT = NUMBER_TEXT };

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

void put_number(writer *to, size_t number)
{
    char *at = make_room(to, LONGEST_RESULT);
    to->used += (size_t)(format_natural(at, number) - at);
}

void put_result(writer *to, const row_results *results, size_t i)
{
    char *at = make_room(to, LONGEST_RESULT);
    to->used += (size_t)(format_result(at, results, i) - at);
}

/* ---- Formats ---------------------------------------------------------------------------------------------------- */

size_t rows_among(const result_table *table, size_t rows)
{
    const size_t left = rows > table->first ? rows - table->first : 0;
    return left < table->results->rows ? left : table->results->rows;
}

rowpool_status write_text(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    const row_results *results = table->results;
    const size_t count = rows_among(table, rows) * results->columns;
    writer to;
    begin_writing(&to, fd, error);
    for (size_t i = 0, column = 0; i < count && to.status == ROWPOOL_OK; i++) {
        const bool last = ++column == results->columns;
        put_result(&to, results, i);
        put_char(&to, last ? '\n' : ' ');
        column = last ? 0 : column;
    }
    return end_writing(&to);
}

write_table *output_format_of(const char *path)
{
    static const struct {
        const char *suffix;
        write_table *write;
    } formats[] = {
        {".csv", write_csv}, {".tsv", write_tsv}, {".tab", write_tsv}, {".txt", write_text}, {".json", write_json}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (ends_with(path, formats[i].suffix))
            return formats[i].write;
    }
    return write_npy;
}

bool output_is_foreign(const char *path)
{
    static const char *const suffixes[] = {
        ".npz",  ".raw", ".gz",    ".bz2",    ".xz",   ".zst", ".lz4",     ".7z",      ".zip",   ".tar",
        ".tgz",  ".xls", ".xlsx",  ".xlsm",   ".xlsb", ".ods", ".parquet", ".feather", ".arrow", ".orc",
        ".avro", ".h5",  ".hdf5",  ".nc",     ".mat",  ".pkl", ".pickle",  ".rds",     ".rda",   ".rdata",
        ".dta",  ".sav", ".jsonl", ".ndjson", ".html", ".xml", ".yaml",    ".yml",     ".sqlite"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (ends_with(path, suffixes[i]))
            return true;
    }
    return false;
}

void format_title(char text[COLUMN_TITLE], const result_table *table, size_t column)
{
    char range[RANGE_TEXT] = "";
    const bool listed = ranges_are_listed(table->ranges);
    if (listed)
        format_range(range, table->ranges, column);
    (void)snprintf(text, COLUMN_TITLE, "%.30s%s%s", table->function, listed ? " " : "", range);
}

/* ---- Standard output -------------------------------------------------------------------------------------------- */

rowpool_status print_text(const char *text, rowpool_error *error)
{
    return write_bytes(STDOUT_FILENO, text, strlen(text), error);
}

/* Whether nobody is left to read it. */
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
    /* Where an earlier write failed, its errno is gone. */
    say("standard output", "%s", failure != 0 ? strerror(failure) : "not everything could be written");
    return false;
}
