/* The data of one case, and the counts that every peer must arrive at. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "error.h"

/* Where the generator (SplitMix64) begins, so that every run and every machine counts the same numbers. */
#define BENCH_SEED UINT64_C(20190601)

/* Digits 0..9 in rows of equal length, and a range with digits for ends, both of them inside. */
typedef struct {
    rowpool_dtype dtype;
    size_t rows, width;
    size_t bytes; /* of data */
    int lo, hi;
    void *data;         /* every page written */
    uint32_t *expected; /* for each row; taken from the digits themselves, so no peer's loop is trusted */
} bench_case;

/* Sets *bytes to the size of the data; EINVAL where a size overflows or a row is too long for a uint32 count. */
rowpool_status bench_case_size(rowpool_dtype dtype, size_t rows, size_t width, size_t *bytes, rowpool_error *error);

/* ENOMEM where this case does not fit into the memory that is free now: asked ahead, since Linux grants memory that it
 * does not have and ends the process later. */
rowpool_status bench_case_fits(rowpool_dtype dtype, size_t rows, size_t width, rowpool_error *error);

/* Makes the data and the expected counts. Nothing is left behind after a failure. */
rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, size_t rows, size_t width, rowpool_error *error);
void bench_case_free(bench_case *work);

/* Zeroed pages for `count` values; NULL with the error set. */
uint32_t *bench_counts_new(size_t count, rowpool_error *error);
void bench_counts_free(uint32_t *counts, size_t count);

#endif
