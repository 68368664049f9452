/* Rows: a caller's array, checked once. */
#ifndef RP_CORE_ROWS_H
#define RP_CORE_ROWS_H

#include "base/error.h"
#include "core/dtype.h"

typedef struct {
    const char *data;
    const rp_dtype *dtype;
    rowpool_dtype dtype_id;
    size_t count, width, stride; /* stride >= width; both 0 for ragged rows */
    const int64_t *offsets;      /* NULL unless ragged */
    size_t elements;             /* in all rows together */
} rp_rows;

/* Checks all that can be checked without the data. longest: max elements of a row, fastest for 2^k - 1. EINVAL names
 * the member, and the index where there is one. */
rowpool_status rp_rows_check(const rowpool_rows *given, uint64_t longest, rp_rows *rows, rowpool_error *error);

/* Elements of row i. */
static inline size_t rp_rows_width(const rp_rows *rows, size_t i)
{
    return rows->offsets == NULL ? rows->width : (size_t)(rows->offsets[i + 1] - rows->offsets[i]);
}

/* The index in data of row i's first element. i may be count for ragged rows. */
static inline size_t rp_rows_begin(const rp_rows *rows, size_t i)
{
    return rows->offsets == NULL ? i * rows->stride : (size_t)rows->offsets[i];
}

#endif
