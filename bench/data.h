/* The data of one case, and the counts that every peer must compute. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "support.h"

/* The seed of the generator (SplitMix64): every run on every machine counts the same numbers. */
#define BENCH_SEED UINT64_C(20190601)

enum { BENCH_RANGES_MAX = 16 };

typedef struct {
    size_t rows;
    size_t width;  /* the mean, where rows are ragged */
    bool ragged;   /* by Zipf's law: the n-th longest row has 1/n of the longest row's length; scattered */
    size_t ranges; /* counted in one pass */
} bench_shape;

/* "200000:5", "200000:5:zipf", "200000:5:16" with 16 ranges: as --shape takes it. */
enum { BENCH_SHAPE_SIZE = 72 };
void bench_shape_print(const bench_shape *shape, char text[BENCH_SHAPE_SIZE]);

/* Digits 0..9 in rows, and closed ranges of digits. */
typedef struct {
    rowpool_dtype dtype;
    bench_shape shape;
    size_t bytes;       /* of data */
    size_t row_bytes;   /* of a dense row */
    size_t counts;      /* rows x ranges */
    void *data;         /* every page is written */
    int64_t *offsets;   /* rows + 1 of them; NULL: dense */
    uint32_t *expected; /* counted while the digits are generated, not by a peer's loop */
} bench_case;

/* Sets all but the memory. EINVAL if a size overflows or a row is too long for a uint32 count. */
rowpool_status bench_case_describe(bench_case *work, rowpool_dtype dtype, const bench_shape *shape,
                                   rowpool_error *error);

/* EINVAL if the case is not possible, or does not fit into the free memory. */
rowpool_status bench_case_fits(rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);

/* Makes the data and the expected counts. Free the case also after a failure. */
rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);
void bench_case_free(bench_case *work);

/* The rows, as rowpool takes them. */
rowpool_rows bench_case_rows(const bench_case *work);

typedef struct {
    int lo, hi;
} bench_range;

/* The k-th range; 4..8 where there is one. */
bench_range bench_case_range(const bench_case *work, size_t k);

/* Writes digits as elements. */
void bench_store_digits(rowpool_dtype dtype, void *elements, const uint8_t *digits, size_t count);

/* Zeroed pages; NULL with the error set. */
void *bench_pages_new(size_t bytes, rowpool_error *error);
void bench_pages_free(void *pages, size_t bytes);

#endif
