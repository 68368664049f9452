/* Counting int32 rows with AVX-512 or AVX2 intrinsics, as a C programmer would write it by hand; only if the build is for
 * a CPU that has one of them (ROWPOOL_BENCH_NATIVE). */
#include "loops.h"

#if defined(__AVX512F__)
#include <immintrin.h>

enum { VECTOR = 16 };
const char *const bench_instructions = ", AVX-512";
typedef __m512i vector;
#define SET1 _mm512_set1_epi32

/* How many of the first `count` elements are in the range. */
static inline uint32_t count_vector(const int32_t *from, size_t count, vector lo, vector hi)
{
    const __mmask16 present = (__mmask16)((1u << count) - 1);
    const vector x = _mm512_maskz_loadu_epi32(present, from);
    const __mmask16 above = _mm512_mask_cmpge_epi32_mask(present, x, lo);

    return (uint32_t)__builtin_popcount(_mm512_mask_cmple_epi32_mask(above, x, hi));
}
#elif defined(__AVX2__)
#include <immintrin.h>

enum { VECTOR = 8 };
const char *const bench_instructions = ", AVX2";
typedef __m256i vector;
#define SET1 _mm256_set1_epi32

/* How many of the first `count` elements are in the range. */
static inline uint32_t count_vector(const int32_t *from, size_t count, vector lo, vector hi)
{
    const vector present = _mm256_cmpgt_epi32(SET1((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const vector x = count == VECTOR ? _mm256_loadu_si256((const vector *)(const void *)from)
                                     : _mm256_maskload_epi32(from, present);
    const vector outside = _mm256_or_si256(_mm256_cmpgt_epi32(lo, x), _mm256_cmpgt_epi32(x, hi));

    return (uint32_t)__builtin_popcount(~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(outside)) &
                                        ((1u << count) - 1));
}
#endif

#if defined(__AVX2__) || defined(__AVX512F__)
static void count_by_vectors(const void *data, size_t rows, size_t width, int low, int high, uint32_t *counts)
{
    const vector lo = SET1(low), hi = SET1(high);
    const size_t whole = width / VECTOR * VECTOR;
    const int32_t *row = data;

    for (size_t i = 0; i < rows; i++, row += width) {
        uint32_t a = whole < width ? count_vector(row + whole, width - whole, lo, hi) : 0, b = 0;
        size_t j = 0;

        for (; j + 2 * VECTOR <= whole; j += 2 * VECTOR) {
            a += count_vector(row + j, VECTOR, lo, hi);
            b += count_vector(row + j + VECTOR, VECTOR, lo, hi);
        }
        counts[i] = a + b + (j < whole ? count_vector(row + j, VECTOR, lo, hi) : 0);
    }
}

bench_loop *const bench_intrinsics = count_by_vectors;
#else
bench_loop *const bench_intrinsics = NULL;
const char *const bench_instructions = "";
#endif
