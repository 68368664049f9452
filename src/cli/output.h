/* Writing results. Every failed write is an error. */
#ifndef ROWPOOL_CLI_OUTPUT_H
#define ROWPOOL_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "input.h"
#include "ranges.h"
#include "rowpool.h"
#include "stream.h"

/* The results of a map, `columns` for each row. */
typedef struct {
    void *values; /* of the dtype */
    rowpool_dtype dtype;
    size_t rows, columns; /* columns >= 1 */
    size_t bytes;         /* of the values */
} row_results;

/* The results of all rows, or of a part of them. The parts, written one after the other, make the whole output. */
typedef struct {
    const row_results *results;
    size_t first;      /* the number of their first row */
    bool begins, ends; /* the first part writes the head, the last one the tail */
    const input *in;
    const wanted_ranges *ranges;
    const char *function;
    const struct json_t *facts; /* for JSON, else NULL */
} result_table;

/* Writes the results of this part that belong to the first `rows` rows of the whole. */
typedef rowpool_status write_table(int fd, const result_table *table, size_t rows, rowpool_error *error);
write_table write_text; /* a row on each line */
write_table write_csv, write_tsv;
write_table write_npy;  /* ignores `rows`: always all */
write_table write_json; /* see output_json.h */

/* The format for the suffix of the path: .npy if there is no suffix, NULL if the suffix is unknown. */
write_table *output_format_of(const char *path);

/* ---- For the formats -------------------------------------------------------------------------------------------- */

/* Buffers output. After a failure further output is dropped. */
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

/* A format written row by row. */
typedef struct table_format table_format;
struct table_format {
    /* rows: how many follow. NULL: no head. */
    void (*put_head)(writer *to, const table_format *format, const result_table *table, size_t rows);
    /* row: within this part; label: NULL if there are none. */
    void (*put_row)(writer *to, const table_format *format, const result_table *table, size_t row, const char *label);
    const char *tail; /* NULL: none */
    char delimiter;   /* of a text table */
};
rowpool_status write_rows(const table_format *format, int fd, const result_table *table, size_t rows,
                          rowpool_error *error);

/* Writes to standard output directly, not through stdio. */
rowpool_status print_string(const char *text, rowpool_error *error);

/* Flushes and closes standard output; false after a message. Ends the program if nobody reads it any more. */
bool close_standard_output(void);

#endif
