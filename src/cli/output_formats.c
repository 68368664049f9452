/* Results as text, text tables and .npy files, and the choice of a format by file name. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "fail.h"
#include "npy.h"
#include "options.h"
#include "output.h"

/* ---- Text: the results of a row on a line ------------------------------------------------------------------------ */

static void put_text_row(writer *to, const table_format *format, const result_table *table, size_t row,
                         const char *label)
{
    const size_t columns = table->results->columns;
    (void)format;
    (void)label;
    for (size_t i = 0; i < columns; i++) {
        put_result(to, table->results, row * columns + i);
        put_char(to, i + 1 < columns ? ' ' : '\n');
    }
}

rowpool_status write_text(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    static const table_format text = {.put_row = put_text_row};
    return write_rows(&text, fd, table, rows, error);
}

/* ---- A text table: a header, then for each row its number, its label if there are any, and its results ----------- */

/* Quotes the field if it would not be read back unchanged otherwise. */
static void put_field(writer *to, const char *text, char delimiter)
{
    const size_t length = strlen(text);
    const bool blanks = length > 0 && (strchr(" \t", text[0]) != NULL || strchr(" \t", text[length - 1]) != NULL);
    if (!blanks && strpbrk(text, "\"\r\n") == NULL && strchr(text, delimiter) == NULL) {
        put_bytes(to, text, length);
        return;
    }
    put_char(to, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            put_char(to, '"');
        put_char(to, *text);
    }
    put_char(to, '"');
}

static void put_table_head(writer *to, const table_format *format, const result_table *table, size_t rows)
{
    const buffer *title = &table->in->title;
    (void)rows;
    put_text(to, "row");
    if (table->in->labels.count > 0 || title->count > 0) {
        put_char(to, format->delimiter);
        put_field(to, title->count > 0 ? title->bytes : "label", format->delimiter);
    }
    for (size_t i = 0; i < table->results->columns; i++) {
        const bool listed = ranges_are_listed(table->ranges);
        char range[RANGE_TEXT] = "";
        char column[RANGE_TEXT + 32];
        if (listed)
            format_range(range, table->ranges, i);
        (void)snprintf(column, sizeof column, "%.30s%s%s", table->function, listed ? " " : "", range);
        put_char(to, format->delimiter);
        put_field(to, column, format->delimiter);
    }
    put_char(to, '\n');
}

static void put_table_row(writer *to, const table_format *format, const result_table *table, size_t row,
                          const char *label)
{
    const size_t columns = table->results->columns;
    put_number(to, table->first + row);
    if (label != NULL) {
        put_char(to, format->delimiter);
        put_field(to, label, format->delimiter);
    }
    for (size_t i = 0; i < columns; i++) {
        put_char(to, format->delimiter);
        put_result(to, table->results, row * columns + i);
    }
    put_char(to, '\n');
}

rowpool_status write_csv(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    static const table_format csv = {put_table_head, put_table_row, NULL, ','};
    return write_rows(&csv, fd, table, rows, error);
}

rowpool_status write_tsv(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    static const table_format tsv = {put_table_head, put_table_row, NULL, '\t'};
    return write_rows(&tsv, fd, table, rows, error);
}

/* ---- .npy ------------------------------------------------------------------------------------------------------- */

/* The input's shape without its last axis, which a list of ranges replaces. */
static size_t format_npy_head(char text[NPY_MAX_WRITTEN], const result_table *table)
{
    const npy_header *header = &table->in->array.header;
    const size_t last = header->dimensions - 1;
    size_t shape[NPY_MAX_DIMENSIONS];
    memcpy(shape, header->shape, sizeof shape);
    shape[last] = table->results->columns;
    return npy_format_header_of(text, table->results->dtype, shape, ranges_are_listed(table->ranges) ? last + 1 : last);
}

rowpool_status write_npy(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    (void)rows;
    char head[NPY_MAX_WRITTEN];
    if (table->begins)
        RP_TRY(write_bytes(fd, head, format_npy_head(head, table), error));
    return write_bytes(fd, table->results->values, table->results->bytes, error);
}

/* ---- By the name of a file -------------------------------------------------------------------------------------- */

write_table *output_format_of(const char *path)
{
    static const struct {
        const char *suffix;
        write_table *write;
    } formats[] = {{".csv", write_csv},   {".tsv", write_tsv}, {".tab", write_tsv}, {".txt", write_text},
                   {".json", write_json}, {".npy", write_npy}, {".out", write_npy}, {".dat", write_npy}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (path_ends_with(path, formats[i].suffix))
            return formats[i].write;
    }
    return has_suffix(path) ? NULL : write_npy;
}
