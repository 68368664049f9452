/* Writing in which every failure is noticed. */
#ifndef ROWPOOL_CLI_OUTPUT_H
#define ROWPOOL_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* One count for each row, of one of two widths. */
typedef struct {
    void *values; /* uint64_t where wide, else uint32_t */
    bool wide;
    size_t rows;
} row_counts;

/* Writes all of the bytes. */
rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error);

/* Writes the first `rows` counts as text, one on each line. */
rowpool_status write_counts(int fd, const row_counts *counts, size_t rows, rowpool_error *error);

/* Ends standard output; what stdio still held is written here. False after a message where that failed. */
bool close_standard_output(void);

#endif
