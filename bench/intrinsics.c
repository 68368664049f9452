/* What a C programmer writes who has the processor's manual at hand: int32 rows by AVX-512 or AVX2, where the build is for
 * one of them (ROWPOOL_BENCH_NATIVE). */
#include "loops.h"

#if defined(__AVX512F__)
#include <immintrin.h>

enum { LANES = 16 };
static const char instructions[] = "AVX-512";
typedef __m512i vector;
#define SET1 _mm512_set1_epi32
#define ADD _mm512_add_epi32

typedef struct {
    vector lo, hi;
} range_ends;

/* A bit for each element inside, among those present. */
static inline __mmask16 inside(const int32_t *from, __mmask16 present, range_ends ends)
{
    const vector x = _mm512_maskz_loadu_epi32(present, from);

    return _mm512_mask_cmple_epi32_mask(_mm512_mask_cmpge_epi32_mask(present, x, ends.lo), x, ends.hi);
}

static inline uint32_t count_whole(const int32_t *from, range_ends ends)
{
    return (uint32_t)__builtin_popcount(inside(from, 0xffff, ends));
}

static inline uint32_t count_part(const int32_t *from, size_t count, range_ends ends)
{
    return (uint32_t)__builtin_popcount(inside(from, (__mmask16)((1u << count) - 1), ends));
}

/* One more for each element inside. */
static inline vector add(vector sums, const int32_t *from, range_ends ends)
{
    return _mm512_mask_add_epi32(sums, inside(from, 0xffff, ends), sums, SET1(1));
}

static inline uint32_t sum_up(vector sums, size_t elements)
{
    (void)elements;
    return (uint32_t)_mm512_reduce_add_epi32(sums);
}
#elif defined(__AVX2__)
#include <immintrin.h>

enum { LANES = 8 };
static const char instructions[] = "AVX2";
typedef __m256i vector;
#define SET1 _mm256_set1_epi32
#define ADD _mm256_add_epi32

typedef struct {
    vector lo, hi;
} range_ends;

/* All ones for each element outside. */
static inline vector outside(vector x, range_ends ends)
{
    return _mm256_or_si256(_mm256_cmpgt_epi32(ends.lo, x), _mm256_cmpgt_epi32(x, ends.hi));
}

static inline vector load(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* How many of the first `count` elements are inside. */
static inline uint32_t inside(vector x, size_t count, range_ends ends)
{
    const uint32_t bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(outside(x, ends)));

    return (uint32_t)__builtin_popcount(~bits & ((1u << count) - 1));
}

static inline uint32_t count_whole(const int32_t *from, range_ends ends)
{
    return inside(load(from), LANES, ends);
}

static inline uint32_t count_part(const int32_t *from, size_t count, range_ends ends)
{
    const vector present = _mm256_cmpgt_epi32(SET1((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));

    return inside(_mm256_maskload_epi32(from, present), count, ends);
}

/* One less for each element outside. */
static inline vector add(vector sums, const int32_t *from, range_ends ends)
{
    return ADD(sums, outside(load(from), ends));
}

static inline uint32_t sum_up(vector sums, size_t elements)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));

    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return (uint32_t)elements + (uint32_t)_mm_cvtsi128_si32(sum);
}
#endif

#if defined(__AVX2__) || defined(__AVX512F__)
static uint32_t count_long(const int32_t *row, size_t width, range_ends ends)
{
    vector a = SET1(0), b = a, c = a, d = a;
    const size_t whole = width / LANES * LANES;
    size_t j = 0;

    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        a = add(a, row + j, ends);
        b = add(b, row + j + LANES, ends);
        c = add(c, row + j + 2 * LANES, ends);
        d = add(d, row + j + 3 * LANES, ends);
    }
    for (; j < whole; j += LANES)
        a = add(a, row + j, ends);
    return sum_up(ADD(ADD(a, b), ADD(c, d)), whole) +
           (whole < width ? count_part(row + whole, width - whole, ends) : 0);
}

/* Rows of one load, of a few, of many. */
static void count_rows(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts)
{
    const range_ends ends = {SET1(lo), SET1(hi)};
    const size_t whole = width / LANES * LANES;
    const int32_t *row = data;

    for (size_t i = 0; i < rows && width <= LANES; i++, row += width)
        counts[i] = count_part(row, width, ends);
    for (size_t i = 0; i < rows && width > LANES && width <= 8 * LANES; i++, row += width) {
        uint32_t count = whole < width ? count_part(row + whole, width - whole, ends) : 0;

        for (size_t j = 0; j < whole; j += LANES)
            count += count_whole(row + j, ends);
        counts[i] = count;
    }
    for (size_t i = 0; i < rows && width > 8 * LANES; i++, row += width)
        counts[i] = count_long(row, width, ends);
}

bench_loop *const bench_intrinsics = count_rows;
const char *const bench_instructions = instructions;
#else
bench_loop *const bench_intrinsics = NULL;
const char *const bench_instructions = "";
#endif
