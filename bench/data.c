#include "data.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "dtypes.h"

enum {
    DIGITS_PER_DRAW = 8,
    BLOCK = 4096 /* digits generated at a time: they stay in the first-level cache */
};

_Static_assert(BLOCK % DIGITS_PER_DRAW == 0, "a block is a whole number of draws");

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

void *bench_pages_new(size_t bytes, rowpool_error *error)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages != MAP_FAILED)
        return pages;
    rp_fail(error, ROWPOOL_ENOMEM, "cannot allocate %zu bytes: %s", bytes, strerror(errno));
    return NULL;
}

void bench_pages_free(void *pages, size_t bytes)
{
    if (pages != NULL)
        munmap(pages, bytes);
}

/* ---- Shapes ---------------------------------------------------------------------------------------------------- */

void bench_shape_print(const bench_shape *shape, char text[BENCH_SHAPE_SIZE])
{
    char ranges[24] = "";

    if (shape->ranges > 1)
        BENCH_PRINT(ranges, ":%zu", shape->ranges);
    (void)snprintf(text, BENCH_SHAPE_SIZE, "%zu:%zu%s%s", shape->rows, shape->width, shape->ragged ? ":zipf" : "",
                   ranges);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------ */

static size_t offsets_size(const bench_case *work)
{
    return work->shape.ragged ? (work->shape.rows + 1) * sizeof *work->offsets : 0;
}

rowpool_status bench_case_describe(bench_case *work, rowpool_dtype dtype, const bench_shape *shape,
                                   rowpool_error *error)
{
    size_t counts_size;

    *work = (bench_case){.dtype = dtype, .shape = *shape, .row_bytes = shape->width * rowpool_dtype_size(dtype)};
    if (shape->width > UINT32_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: a row may hold at most %u elements", shape->rows,
                       shape->width, UINT32_MAX);
    if (__builtin_mul_overflow(shape->rows, work->row_bytes, &work->bytes) ||
        __builtin_mul_overflow(shape->rows, shape->ranges, &work->counts) ||
        __builtin_mul_overflow(work->counts, sizeof(uint64_t), &counts_size) || work->bytes > PTRDIFF_MAX ||
        counts_size > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: %s rows of that size exceed any memory", shape->rows,
                       shape->width, rowpool_dtype_name(dtype));
    return ROWPOOL_OK;
}

rowpool_status bench_case_fits(rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    char what[48 + BENCH_SHAPE_SIZE], text[BENCH_SHAPE_SIZE];
    bench_case work;

    BENCH_TRY(bench_case_describe(&work, dtype, shape, error));
    bench_shape_print(shape, text);
    BENCH_PRINT(what, "shape %s is too large: %s", text, rowpool_dtype_name(dtype));
    /* Twice the counts: the expected ones and those of the peer. */
    const rowpool_status status = bench_memory_check((double)work.bytes + (double)offsets_size(&work) +
                                                         2 * (double)work.counts * sizeof *work.expected,
                                                     what, error);
    return status == ROWPOOL_OK ? ROWPOOL_OK : ROWPOOL_EINVAL;
}

/* ---- Lengths of rows -------------------------------------------------------------------------------------------- */

static size_t zipf_length(const bench_shape *shape, size_t row)
{
    /* A prime larger than any number of rows here: its multiples visit every rank once, in a scattered order. */
    static const uint64_t stride = UINT64_C(2654435761);
    const double harmonic = log((double)shape->rows) + 0.5772156649;
    const double rank = (double)((uint64_t)row * stride % shape->rows + 1);

    return (size_t)lround((double)shape->rows * (double)shape->width / (harmonic * rank));
}

/* The last row takes what is left after rounding. */
static void set_offsets(bench_case *work)
{
    const size_t elements = work->shape.rows * work->shape.width;
    size_t at = 0;

    for (size_t row = 0; row < work->shape.rows; row++) {
        const size_t length = zipf_length(&work->shape, row), left = elements - at;

        work->offsets[row] = (int64_t)at;
        at += length < left ? length : left;
    }
    work->offsets[work->shape.rows] = (int64_t)elements;
}

/* ---- Filling ---------------------------------------------------------------------------------------------------- */

static uint64_t draw_bits(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* One digit from each byte of a draw: uniform enough for timing. */
static void make_digits(uint64_t *state, uint8_t digits[static BLOCK])
{
    for (size_t i = 0; i < BLOCK; i += DIGITS_PER_DRAW) {
        uint64_t bits = draw_bits(state);

        for (size_t j = 0; j < DIGITS_PER_DRAW; j++, bits >>= 8)
            digits[i + j] = (uint8_t)((bits & 0xff) * 10 >> 8);
    }
}

#define STORE(unused, name, type, kind)                                           \
    static void store_##name(void *elements, const uint8_t *digits, size_t count) \
    {                                                                             \
        for (size_t i = 0; i < count; i++)                                        \
            ((type *)elements)[i] = BENCH_FROM_##kind(type, digits[i]);           \
    }
BENCH_DTYPES(STORE, )

void bench_store_digits(rowpool_dtype dtype, void *elements, const uint8_t *digits, size_t count)
{
#define STORE_ENTRY(unused, name, type, kind) [ROWPOOL_##name] = store_##name,
    static void (*const stores[])(void *, const uint8_t *, size_t) = {BENCH_DTYPES(STORE_ENTRY, )};

    stores[dtype](elements, digits, count);
}

bench_range bench_case_range(const bench_case *work, size_t k)
{
    const int lo = (int)(k % 10), hi = lo + (int)(k % 4);

    return work->shape.ranges == 1 ? (bench_range){4, 8} : (bench_range){lo, hi};
}

rowpool_rows bench_case_rows(const bench_case *work)
{
    return (rowpool_rows){.data = work->data,
                          .dtype = work->dtype,
                          .count = work->shape.rows,
                          .width = work->offsets != NULL ? 0 : work->shape.width,
                          .offsets = work->offsets};
}

/* Where the next digit belongs: a row may span several blocks. */
typedef struct {
    size_t row, element, row_end;
} position;

static size_t end_of(const bench_case *work, size_t row)
{
    return work->offsets != NULL ? (size_t)work->offsets[row + 1] : (row + 1) * work->shape.width;
}

static void expect_digits(const bench_case *work, position *at, const uint8_t *digits, size_t count)
{
    const size_t ranges = work->shape.ranges;

    for (size_t i = 0; i < count; i++, at->element++) {
        while (at->element == at->row_end)
            at->row_end = end_of(work, ++at->row);
        for (size_t k = 0; k < ranges; k++) {
            const bench_range range = bench_case_range(work, k);

            work->expected[at->row * ranges + k] += digits[i] >= range.lo && digits[i] <= range.hi;
        }
    }
}

static void fill_case(bench_case *work)
{
    const size_t elements = work->shape.rows * work->shape.width, size = rowpool_dtype_size(work->dtype);
    uint64_t state = BENCH_SEED;
    uint8_t digits[BLOCK];
    position at = {0, 0, end_of(work, 0)};

    for (size_t first = 0; first < elements; first += BLOCK) {
        const size_t count = elements - first < BLOCK ? elements - first : BLOCK;

        make_digits(&state, digits);
        bench_store_digits(work->dtype, (char *)work->data + first * size, digits, count);
        expect_digits(work, &at, digits, count);
    }
}

/* ---- A case ----------------------------------------------------------------------------------------------------- */

rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    BENCH_TRY(bench_case_describe(work, dtype, shape, error));
    work->data = bench_pages_new(work->bytes, error);
    if (work->data != NULL)
        work->expected = bench_pages_new(work->counts * sizeof *work->expected, error);
    if (work->expected != NULL && shape->ragged)
        work->offsets = bench_pages_new(offsets_size(work), error);
    if (work->expected == NULL || (work->offsets == NULL && shape->ragged))
        return ROWPOOL_ENOMEM;
    if (work->offsets != NULL)
        set_offsets(work);
    fill_case(work);
    return ROWPOOL_OK;
}

void bench_case_free(bench_case *work)
{
    bench_pages_free(work->data, work->bytes);
    bench_pages_free(work->offsets, offsets_size(work));
    bench_pages_free(work->expected, work->counts * sizeof *work->expected);
    work->data = work->offsets = NULL;
    work->expected = NULL;
}
