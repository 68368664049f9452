/* The data of one case, and the counts that every peer must arrive at. */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include <stddef.h>

#include "support.h"

/* The seed of the generator (SplitMix64): every run on every machine counts the same numbers. */
#define BENCH_SEED UINT64_C(20190601)

/* How long the rows are. All have as many elements in as many rows. */
typedef enum {
    BENCH_DENSE,  /* equally long */
    BENCH_ZIPF,   /* the n-th longest has an n-th of the longest's length; in no order */
    BENCH_GIANT,  /* the row in the middle has half of all elements, the others are half as long as dense ones */
    BENCH_EMPTIES /* nine rows of ten are empty */
} bench_layout;

/* "dense", "zipf", "giant", "empties", NULL: by layout. */
extern const char *const bench_layout_names[];

enum { BENCH_RANGES_MAX = 16 };

typedef struct {
    size_t rows;
    size_t width; /* the mean, where rows differ */
    bench_layout layout;
    size_t ranges; /* counted at once */
} bench_shape;

/* "200000:5", "200000:5:zipf", "200000:5:16" with so many ranges: as --shape takes it. */
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
    uint32_t *expected; /* taken from the digits themselves: no peer's loop is trusted */
} bench_case;

/* Sets all but the memory. EINVAL where a size overflows or a row is too long for a uint32 count. */
rowpool_status bench_case_describe(bench_case *work, rowpool_dtype dtype, const bench_shape *shape,
                                   rowpool_error *error);

/* ENOMEM where the case does not fit into the memory that is free. Linux grants memory that it does not have and ends the
 * process later. */
rowpool_status bench_case_fits(rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);

/* Makes the data and the expected counts. Free the case whether it fails or not. */
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
