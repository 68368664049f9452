/* Writing in which every failure is noticed. */
#ifndef ROWPOOL_CLI_OUTPUT_H
#define ROWPOOL_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* The results of each row, one for each range. */
typedef struct {
    void *values; /* of the dtype */
    rowpool_dtype dtype;
    size_t rows, columns; /* columns: results of each row, at least 1 */
    size_t bytes;         /* of the values */
} row_results;

/* Writes all of the bytes. */
rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error);

/* Writes the results of the first `rows` rows as text, a row on each line. */
rowpool_status write_results(int fd, const row_results *results, size_t rows, rowpool_error *error);

/* Ends standard output; what stdio still held is written here. False after a message where that failed. */
bool close_standard_output(void);

#endif
