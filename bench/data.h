/* The data of one case, and the counts that every peer must arrive at. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "error.h"

/* Where the generator (SplitMix64) begins, so that every run and every machine counts the same numbers. */
#define BENCH_SEED UINT64_C(20190601)

/* How long the rows are. All but the first have as many elements in as many rows, but not as many in each. */
typedef enum {
    BENCH_DENSE,  /* equally long */
    BENCH_ZIPF,   /* the n-th longest has an n-th of the longest's length; in no order */
    BENCH_GIANT,  /* half of all elements in one row, in the middle; the others are half as long as dense ones */
    BENCH_EMPTIES /* nine rows of ten are empty */
} bench_layout;

enum { BENCH_COLUMNS_MAX = 16 };

typedef struct {
    size_t rows, width; /* width: the mean, where rows differ */
    bench_layout layout;
    size_t columns; /* ranges that are counted at once; 0 = 1 */
} bench_shape;

/* Digits 0..9 in rows, and ranges with digits for ends, both of them inside. */
typedef struct {
    rowpool_dtype dtype;
    size_t rows, width, columns;
    bench_layout layout;
    size_t bytes;       /* of data */
    int lo, hi;         /* of the one range, or of the first of several */
    void *data;         /* every page written */
    int64_t *offsets;   /* rows + 1 of them; NULL where rows are equally long */
    uint32_t *expected; /* rows x columns; taken from the digits themselves, so no peer's loop is trusted */
} bench_case;

/* Sets *bytes to the size of the data; EINVAL where a size overflows or a row is too long for a uint32 count. */
rowpool_status bench_case_size(rowpool_dtype dtype, const bench_shape *shape, size_t *bytes, rowpool_error *error);

/* ENOMEM where this case does not fit into the memory that is free now: asked ahead, since Linux grants memory that it
 * does not have and ends the process later. */
rowpool_status bench_case_fits(rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);

/* All of the case but its memory: sizes and range. */
rowpool_status bench_case_describe(bench_case *work, rowpool_dtype dtype, const bench_shape *shape,
                                   rowpool_error *error);

/* Makes the data and the expected counts. Nothing is left behind after a failure. */
rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);
void bench_case_free(bench_case *work);

/* How many counts the case has: rows x columns. */
size_t bench_case_counts(const bench_case *work);

/* The rows, as rowpool takes them. */
rowpool_rows bench_case_rows(const bench_case *work);

/* The ends of the range of a column. */
typedef struct {
    int lo, hi;
} bench_ends;
bench_ends bench_case_ends(const bench_case *work, size_t column);

/* Zeroed pages for `count` values; NULL with the error set. */
uint32_t *bench_counts_new(size_t count, rowpool_error *error);
void bench_counts_free(uint32_t *counts, size_t count);

#endif
