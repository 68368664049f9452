#include "data.h"

#include <errno.h>
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

rowpool_status bench_case_size(rowpool_dtype dtype, size_t rows, size_t width, size_t *bytes, rowpool_error *error)
{
    size_t elements, counts;

    if (width > UINT32_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: a row may hold at most %u elements", rows, width,
                          UINT32_MAX);
    if (__builtin_mul_overflow(rows, width, &elements) ||
        __builtin_mul_overflow(elements, rowpool_dtype_size(dtype), bytes) ||
        __builtin_mul_overflow(rows, sizeof(uint32_t), &counts) || *bytes > PTRDIFF_MAX || counts > PTRDIFF_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "shape %zu:%zu: %s rows of that size exceed any memory", rows, width,
                          rowpool_dtype_name(dtype));
    return ROWPOOL_OK;
}

rowpool_status bench_case_fits(rowpool_dtype dtype, size_t rows, size_t width, rowpool_error *error)
{
    size_t free_bytes = bench_memory_free();
    size_t bytes = 0, need;
    rowpool_status status = bench_case_size(dtype, rows, width, &bytes, error);

    if (status)
        return status;
    /* The counts are there twice: those expected and those of the peer. */
    if (__builtin_add_overflow(bytes, rows * sizeof(uint32_t), &need) ||
        __builtin_add_overflow(need, rows * sizeof(uint32_t), &need) || need > free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM,
                          "shape %zu:%zu: %s needs %.3g GB of memory and %.3g GB are free: choose a smaller shape",
                          rows, width, rowpool_dtype_name(dtype), (double)bytes / 1e9 + (double)rows * 8 / 1e9,
                          (double)free_bytes / 1e9);
    return ROWPOOL_OK;
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
    size_t row, column;
} position;

static void expect_digits(const bench_case *work, position *at, const uint8_t *digits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        work->expected[at->row] += digits[i] >= work->lo && digits[i] <= work->hi;
        if (++at->column == work->width) {
            at->column = 0;
            at->row++;
        }
    }
}

static void fill(bench_case *work)
{
    uint8_t digits[BLOCK];
    generator random = {BENCH_SEED};
    position at = {0, 0};
    size_t elements = work->rows * work->width;

    for (size_t first = 0; first < elements; first += BLOCK) {
        size_t count = elements - first < BLOCK ? elements - first : BLOCK;

        make_digits(&random, digits);
        stores[work->dtype](work->data, first, digits, count);
        expect_digits(work, &at, digits, count);
    }
}

rowpool_status bench_case_make(bench_case *work, rowpool_dtype dtype, size_t rows, size_t width, rowpool_error *error)
{
    *work = (bench_case){.dtype = dtype, .rows = rows, .width = width, .lo = RANGE_LO, .hi = RANGE_HI};
    rowpool_status status = bench_case_size(dtype, rows, width, &work->bytes, error);

    if (status)
        return status;
    work->data = pages_new(work->bytes, error);
    if (work->data)
        work->expected = bench_counts_new(rows, error);
    if (!work->expected) {
        bench_case_free(work);
        return ROWPOOL_ENOMEM;
    }
    fill(work);
    return ROWPOOL_OK;
}

void bench_case_free(bench_case *work)
{
    pages_free(work->data, work->bytes);
    bench_counts_free(work->expected, work->rows);
    work->data = NULL;
    work->expected = NULL;
}
