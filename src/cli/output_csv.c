/* Results as a text table: the number of each row, its label where there are some, and its results, under a header. */
#include <string.h>

#include "output.h"

/* In quotes where it would not be read back as it is. */
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

static void put_header(writer *to, const result_table *table, char delimiter)
{
    put_text(to, "row");
    if (table->in->labels.count > 0 || table->in->title.count > 0) {
        put_char(to, delimiter);
        put_field(to, table->in->title.count > 0 ? table->in->title.bytes : "label", delimiter);
    }
    for (size_t i = 0; i < table->results->columns; i++) {
        char title[COLUMN_TITLE];
        format_title(title, table, i);
        put_char(to, delimiter);
        put_field(to, title, delimiter);
    }
    put_char(to, '\n');
}

static rowpool_status write_delimited(int fd, const result_table *table, size_t rows, char delimiter,
                                      rowpool_error *error)
{
    const size_t columns = table->results->columns;
    const size_t count = rows_among(table, rows);
    const char *label = table->in->labels.count > 0 && count > 0 ? text_at(&table->in->labels, table->first) : NULL;
    writer to;
    begin_writing(&to, fd, error);
    if (table->begins)
        put_header(&to, table, delimiter);
    for (size_t row = 0; row < count && to.status == ROWPOOL_OK; row++) {
        put_number(&to, table->first + row);
        if (label != NULL) {
            put_char(&to, delimiter);
            put_field(&to, label, delimiter);
            label = next_text(label);
        }
        for (size_t i = 0; i < columns; i++) {
            put_char(&to, delimiter);
            put_result(&to, table->results, row * columns + i);
        }
        put_char(&to, '\n');
    }
    return end_writing(&to);
}

rowpool_status write_csv(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    return write_delimited(fd, table, rows, ',', error);
}

rowpool_status write_tsv(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    return write_delimited(fd, table, rows, '\t', error);
}
