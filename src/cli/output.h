/* Where results go, and in which format. Every failure to write is noticed; the message names standard output, where it is
 * that. */
#ifndef ROWPOOL_CLI_OUTPUT_H
#define ROWPOOL_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "input.h"
#include "ranges.h"
#include "rowpool.h"
#include "stream.h"

/* The results of each row, one for each range. */
typedef struct {
    void *values; /* of the dtype */
    rowpool_dtype dtype;
    size_t rows, columns; /* columns: results of each row, at least 1 */
    size_t bytes;         /* of the values */
} row_results;

/* The results with what they are about. They are of all rows, or of a part of them: the parts, one written after the
 * other, are what the whole is. */
typedef struct {
    const row_results *results;
    size_t first;      /* the number of the row that they begin with */
    bool begins, ends; /* whether it is the first part, with what stands before all rows, and the last */
    const input *in;
    const wanted_ranges *ranges;
    const char *function;
    const struct json_t *facts; /* NULL but for JSON */
} result_table;

/* Writes the results of those rows that are among the first `rows` of all. */
typedef rowpool_status write_table(int fd, const result_table *table, size_t rows, rowpool_error *error);
write_table write_text; /* a row on each line */
write_table write_csv, write_tsv;
write_table write_npy;  /* of all rows */
write_table write_json; /* see output_json.h */

/* The format that the name of a file asks for: .npy where it ends in no suffix, NULL where in another one than those of
 * the formats. */
write_table *output_format_of(const char *path);

/* ---- For the formats -------------------------------------------------------------------------------------------- */

/* Collects what is written. Once something fails, the rest is dropped. */
enum { WRITER_BYTES = 64 * 1024 };
typedef struct {
    int fd;
    rowpool_status status;
    rowpool_error *error;
    size_t used;
    char bytes[WRITER_BYTES];
} writer;

void put_bytes(writer *to, const void *bytes, size_t size);
void put_text(writer *to, const char *text);
void put_char(writer *to, char c);
void put_number(writer *to, size_t number);
void put_result(writer *to, const row_results *results, size_t i);

/* A format that has its rows one after the other. */
typedef struct table_format table_format;
struct table_format {
    /* Before all rows; `rows` of them follow. NULL: nothing. */
    void (*put_head)(writer *to, const table_format *format, const result_table *table, size_t rows);
    /* row: of this part; label: its own, or NULL. */
    void (*put_row)(writer *to, const table_format *format, const result_table *table, size_t row, const char *label);
    const char *tail; /* behind all rows; NULL: nothing */
    char delimiter;   /* of a text table */
};
rowpool_status write_rows(const table_format *format, int fd, const result_table *table, size_t rows,
                          rowpool_error *error);

/* Prints a text as a whole, before which stdio has printed nothing. */
rowpool_status print_string(const char *text, rowpool_error *error);

/* Ends standard output; what stdio still held is written here. False after a message where that failed. Ends the program,
 * as write_bytes does. */
bool close_standard_output(void);

#endif
