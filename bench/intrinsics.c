/* What a C programmer writes who has the processor's manual at hand: int32 rows by AVX2 or AVX-512. The file includes
 * itself once for each. */
#ifndef LANES
#include "loops.h"

#if !defined(__x86_64__)
bench_loop *bench_intrinsics(const char **name)
{
    *name = "";
    return NULL;
}
#else
#include <immintrin.h>

#define LANES 8
#define TARGET __attribute__((target("avx2,popcnt")))
#define NAME(name) name##_avx2
#define VECTOR __m256i
#include "intrinsics.c"

#define LANES 16
#define TARGET __attribute__((target("avx512f,popcnt")))
#define NAME(name) name##_avx512
#define VECTOR __m512i
#include "intrinsics.c"

bench_loop *bench_intrinsics(const char **name)
{
    *name = __builtin_cpu_supports("avx512f") ? "AVX-512" : "AVX2";
    if (__builtin_cpu_supports("avx512f"))
        return count_avx512;
    return __builtin_cpu_supports("avx2") ? count_avx2 : NULL;
}
#endif

#else
#define INLINE TARGET __attribute__((always_inline)) static inline

typedef struct {
    VECTOR lo, hi;
} NAME(ends);

/* ---- What the two instruction sets do differently ---------------------------------------------------------------- */

#if LANES == 8
/* All ones for each element outside. */
INLINE VECTOR outside(VECTOR x, ends_avx2 ends)
{
    return _mm256_or_si256(_mm256_cmpgt_epi32(ends.lo, x), _mm256_cmpgt_epi32(x, ends.hi));
}

/* All ones for the first so many elements. */
INLINE VECTOR first_avx2(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE VECTOR load_all(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* How many of the first `count` elements are inside. */
INLINE uint32_t inside_avx2(VECTOR x, size_t count, ends_avx2 ends)
{
    const uint32_t bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(outside(x, ends)));

    return (uint32_t)_mm_popcnt_u32(~bits & ((1u << count) - 1));
}

INLINE uint32_t whole_avx2(const int32_t *from, ends_avx2 ends)
{
    return inside_avx2(load_all(from), LANES, ends);
}

INLINE uint32_t part_avx2(const int32_t *from, size_t count, ends_avx2 ends)
{
    return inside_avx2(_mm256_maskload_epi32(from, first_avx2(count)), count, ends);
}

/* One less for each element outside. */
INLINE VECTOR add_avx2(VECTOR sums, const int32_t *from, ends_avx2 ends)
{
    return _mm256_add_epi32(sums, outside(load_all(from), ends));
}

/* How many of `count` elements were inside. */
INLINE uint32_t sum_avx2(VECTOR x, size_t count)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return (uint32_t)count + (uint32_t)_mm_cvtsi128_si32(sum);
}
#define SET1 _mm256_set1_epi32
#define ADD _mm256_add_epi32
#else
/* A bit for each element inside, among those present. */
INLINE __mmask16 inside_avx512(const int32_t *from, __mmask16 present, ends_avx512 ends)
{
    const VECTOR x = _mm512_maskz_loadu_epi32(present, from);

    return _mm512_mask_cmple_epi32_mask(_mm512_mask_cmpge_epi32_mask(present, x, ends.lo), x, ends.hi);
}

INLINE uint32_t whole_avx512(const int32_t *from, ends_avx512 ends)
{
    return (uint32_t)_mm_popcnt_u32((uint32_t)inside_avx512(from, 0xffff, ends));
}

INLINE uint32_t part_avx512(const int32_t *from, size_t count, ends_avx512 ends)
{
    return (uint32_t)_mm_popcnt_u32((uint32_t)inside_avx512(from, (__mmask16)((1u << count) - 1), ends));
}

/* One more for each element inside. */
INLINE VECTOR add_avx512(VECTOR sums, const int32_t *from, ends_avx512 ends)
{
    return _mm512_mask_add_epi32(sums, inside_avx512(from, 0xffff, ends), sums, _mm512_set1_epi32(1));
}

INLINE uint32_t sum_avx512(VECTOR x, size_t count)
{
    (void)count;
    return (uint32_t)_mm512_reduce_add_epi32(x);
}
#define SET1 _mm512_set1_epi32
#define ADD _mm512_add_epi32
#endif

/* ---- The loops: for rows of one load, of a few, of many --------------------------------------------------------- */

TARGET static uint32_t NAME(count_long)(const int32_t *row, size_t width, NAME(ends) ends)
{
    VECTOR a = SET1(0), b = a, c = a, d = a;
    const size_t whole = width / LANES * LANES;
    size_t j = 0;

    for (; j + 4 * LANES <= width; j += 4 * LANES) {
        a = NAME(add)(a, row + j, ends);
        b = NAME(add)(b, row + j + LANES, ends);
        c = NAME(add)(c, row + j + 2 * LANES, ends);
        d = NAME(add)(d, row + j + 3 * LANES, ends);
    }
    for (; j < whole; j += LANES)
        a = NAME(add)(a, row + j, ends);
    return NAME(sum)(ADD(ADD(a, b), ADD(c, d)), whole) +
           (whole < width ? NAME(part)(row + whole, width - whole, ends) : 0);
}

TARGET static void NAME(count)(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts)
{
    const NAME(ends) ends = {SET1(lo), SET1(hi)};
    const size_t whole = width / LANES * LANES;
    const int32_t *row = data;

    for (size_t i = 0; i < rows && width <= LANES; i++, row += width)
        counts[i] = NAME(part)(row, width, ends);
    for (size_t i = 0; i < rows && width > LANES && width <= 8 * LANES; i++, row += width) {
        uint32_t count = whole < width ? NAME(part)(row + whole, width - whole, ends) : 0;

        for (size_t j = 0; j < whole; j += LANES)
            count += NAME(whole)(row + j, ends);
        counts[i] = count;
    }
    for (size_t i = 0; i < rows && width > 8 * LANES; i++, row += width)
        counts[i] = NAME(count_long)(row, width, ends);
}

#undef LANES
#undef TARGET
#undef NAME
#undef VECTOR
#undef INLINE
#undef SET1
#undef ADD
#endif
