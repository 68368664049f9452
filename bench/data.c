#include "data.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "dtypes.h"
#include "machine.h"

enum {
    DIGITS_PER_DRAW = 8,
    BLOCK = 4096, /* digits made at a time: they stay in the first-level cache */
    RANGE_LO = 4,
    RANGE_HI = 8
};

_Static_assert(BLOCK % DIGITS_PER_DRAW == 0, "a block is a whole number of draws");

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static void *pages_new(size_t bytes, rowpool_error *error)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED) {
        bench_fail(error, ROWPOOL_ENOMEM, "%zu bytes of memory cannot be had: %s", bytes, strerror(errno));
        return NULL;
    }
    return pages;
}

static void pages_free(void *pages, size_t bytes)
{
    if (pages)
        munmap(pages, bytes);
}

uint32_t *bench_counts_new(size_t count, rowpool_error *error)
{
    return pages_new(count * sizeof(uint32_t), error);
}

void bench_counts_free(uint32_t *counts, size_t count)
{
    pages_free(counts, count * sizeof(uint32_t));
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------ */

static size_t columns_of(const bench_shape *shape)
{
    return shape->columns ? shape->columns : 1;
}

size_t bench_case_counts(const bench_case *work)
{
    return work->rows * work->columns;
}

rowpool_status bench_case_size(rowpool_dtype dtype, const bench_shape *shape, size_t *bytes, rowpool_error *error)
{
    const size_t rows = shape->rows, width = shape->width;
    size_t elements, counts;

    if (width > UINT32_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: a row may hold at most %u elements", rows, width,
                          UINT32_MAX);
    if (__builtin_mul_overflow(rows, width, &elements) ||
        __builtin_mul_overflow(elements, rowpool_dtype_size(dtype), bytes) ||
        __builtin_mul_overflow(rows, columns_of(shape) * sizeof(uint32_t), &counts) || *bytes > PTRDIFF_MAX ||
        counts > PTRDIFF_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: %s rows of that size exceed any memory", rows, width,
                          rowpool_dtype_name(dtype));
    return ROWPOOL_OK;
}

rowpool_status bench_case_fits(rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    const size_t free_bytes = bench_memory_free();
    size_t bytes = 0;
    rowpool_status status = bench_case_size(dtype, shape, &bytes, error);

    if (status)
        return status;
    /* The counts are there twice: those expected and those of the peer. */
    const size_t counts = shape->rows * columns_of(shape) * sizeof(uint32_t);
    const size_t offsets = shape->layout == BENCH_DENSE ? 0 : shape->rows * sizeof(int64_t);
    const double need = (double)bytes + 2 * (double)counts + (double)offsets;

    if (need > (double)free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM,
                          "shape %zu:%zu: %s needs %.3g GB of memory and %.3g GB are free: choose a smaller shape",
                          shape->rows, shape->width, rowpool_dtype_name(dtype), need / 1e9, (double)free_bytes / 1e9);
    return ROWPOOL_OK;
}

/* ---- Lengths of rows -------------------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A prime beyond any number of rows that a map has here: its multiples visit each rank once, in no order. */
static const uint64_t stride_of_ranks = UINT64_C(2654435761);

static size_t zipf_length(const bench_case *work, size_t row)
{
    const double elements = (double)work->rows * (double)work->width;
    const double harmonic = log((double)work->rows) + 0.5772156649;
    const size_t rank = (size_t)((uint64_t)row * stride_of_ranks % work->rows) + 1;

    return (size_t)lround(elements / (harmonic * (double)rank));
}

static size_t length_of(const bench_case *work, size_t row)
{
    switch (work->layout) {
    case BENCH_ZIPF:
        return zipf_length(work, row);
    case BENCH_GIANT:
        return row == work->rows / 2 ? work->rows * work->width - (work->rows - 1) * (work->width / 2)
                                     : work->width / 2;
    case BENCH_EMPTIES:
        return row % 10 == 9 ? 10 * work->width : 0;
    case BENCH_DENSE:
        break;
    }
    return work->width;
}

/* What rounding leaves over the last row takes. */
static void set_offsets(bench_case *work)
{
    const size_t elements = work->rows * work->width;
    size_t at = 0;

    for (size_t row = 0; row < work->rows; row++) {
        work->offsets[row] = (int64_t)at;
        at += least(length_of(work, row), elements - at);
    }
    work->offsets[work->rows] = (int64_t)elements;
}

/* ---- Filling ---------------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t state;
} generator;

static uint64_t draw(generator *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A digit from each byte of a draw: as even as 256 cases spread over 10 digits can be, which is all that timing asks.
 */
static void make_digits(generator *random, uint8_t digits[static BLOCK])
{
    for (size_t i = 0; i < BLOCK; i += DIGITS_PER_DRAW) {
        uint64_t bits = draw(random);

        for (size_t j = 0; j < DIGITS_PER_DRAW; j++, bits >>= 8)
            digits[i + j] = (uint8_t)((bits & 0xff) * 10 >> 8);
    }
}

typedef void store_function(void *data, size_t first, const uint8_t *digits, size_t count);

#define STORE(name, type, kind)                                                             \
    static void store_##name(void *data, size_t first, const uint8_t *digits, size_t count) \
    {                                                                                       \
        type *elements = (type *)data + first;                                              \
                                                                                            \
        for (size_t i = 0; i < count; i++)                                                  \
            elements[i] = BENCH_FROM_##kind(type, digits[i]);                               \
    }
BENCH_DTYPES(STORE)
#undef STORE

#define STORE_ENTRY(name, type, kind) [ROWPOOL_##name] = store_##name,
static store_function *const stores[] = {BENCH_DTYPES(STORE_ENTRY)};
#undef STORE_ENTRY

/* Where the next digit lies, so that rows may span blocks. */
typedef struct {
    size_t row, element, end; /* end: of the row */
} position;

static size_t end_of(const bench_case *work, size_t row)
{
    return work->offsets ? (size_t)work->offsets[row + 1] : (row + 1) * work->width;
}

rowpool_rows bench_case_rows(const bench_case *work)
{
    return (rowpool_rows){.data = work->data,
                          .dtype = work->dtype,
                          .count = work->rows,
                          .width = work->offsets ? 0 : work->width,
                          .offsets = work->offsets};
}

bench_ends bench_case_ends(const bench_case *work, size_t column)
{
    const int lo = (int)(column % 10), hi = lo + (int)(column % 4);

    return work->columns == 1 ? (bench_ends){work->lo, work->hi} : (bench_ends){lo, hi};
}

static void expect_digit(const bench_case *work, size_t row, int digit)
{
    for (size_t k = 0; k < work->columns; k++) {
        const bench_ends ends = bench_case_ends(work, k);

        work->expected[row * work->columns + k] += digit >= ends.lo && digit <= ends.hi;
    }
}

static void expect_digits(const bench_case *work, position *at, const uint8_t *digits, size_t count)
{
    for (size_t i = 0; i < count; i++, at->element++) {
        while (at->element == at->end)
            at->end = end_of(work, ++at->row);
        if (work->columns == 1)
            work->expected[at->row] += digits[i] >= work->lo && digits[i] <= work->hi;
        else
            expect_digit(work, at->row, digits[i]);
    }
}

static void fill(bench_case *work)
{
    uint8_t digits[BLOCK];
    generator random = {BENCH_SEED};
    position at = {0, 0, end_of(work, 0)};
    size_t elements = work->rows * work->width;

    for (size_t first = 0; first < elements; first += BLOCK) {
        size_t count = least(elements - first, BLOCK);

        make_digits(&random, digits);
        stores[work->dtype](work->data, first, digits, count);
        expect_digits(work, &at, digits, count);
    }
}

/* ---- A case ----------------------------------------------------------------------------------------------------- */

static size_t offsets_size(const bench_case *work)
{
    return (work->rows + 1) * sizeof *work->offsets;
}

static rowpool_status take_memory(bench_case *work, rowpool_error *error)
{
    work->data = pages_new(work->bytes, error);
    if (work->data)
        work->expected = bench_counts_new(bench_case_counts(work), error);
    if (work->expected && work->layout != BENCH_DENSE)
        work->offsets = pages_new(offsets_size(work), error);
    return work->expected && (work->offsets || work->layout == BENCH_DENSE) ? ROWPOOL_OK : ROWPOOL_ENOMEM;
}

rowpool_status bench_case_describe(bench_case *work, rowpool_dtype dtype, const bench_shape *shape,
                                   rowpool_error *error)
{
    *work = (bench_case){.dtype = dtype,
                         .rows = shape->rows,
                         .width = shape->width,
                         .columns = columns_of(shape),
                         .layout = shape->layout,
                         .lo = RANGE_LO,
                         .hi = RANGE_HI};
    return bench_case_size(dtype, shape, &work->bytes, error);
}

rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    rowpool_status status = bench_case_describe(work, dtype, shape, error);

    if (!status)
        status = take_memory(work, error);
    if (status) {
        bench_case_free(work);
        return status;
    }
    if (work->offsets)
        set_offsets(work);
    fill(work);
    return ROWPOOL_OK;
}

void bench_case_free(bench_case *work)
{
    pages_free(work->data, work->bytes);
    pages_free(work->offsets, offsets_size(work));
    bench_counts_free(work->expected, bench_case_counts(work));
    work->data = NULL;
    work->offsets = NULL;
    work->expected = NULL;
}
