/* What a C programmer writes who has the processor's manual at hand: int32 rows by AVX2 or AVX-512, on all cores. Only
 * available on processors that have one of them. */
#include <stdio.h>

#include "compiler.h"
#include "deal.h"
#include "peer.h"
#include "team.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* ---- AVX2: eight elements --------------------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2,popcnt"))) static
#define AVX2_INLINE __attribute__((target("avx2,popcnt"), always_inline)) static inline

typedef struct {
    __m256i lo, hi;
} ends_8;

/* All ones for each element outside. */
AVX2_INLINE __m256i outside_8(__m256i x, ends_8 ends)
{
    return _mm256_or_si256(_mm256_cmpgt_epi32(ends.lo, x), _mm256_cmpgt_epi32(x, ends.hi));
}

AVX2_INLINE uint32_t bits_8(__m256i mask)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(mask));
}

AVX2_INLINE __m256i load_8(const int32_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* All ones for the first so many elements. */
AVX2_INLINE __m256i first_8(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

AVX2_INLINE uint32_t sum_8(__m256i x)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(sum);
}

/* A row is one masked load. */
AVX2 void count_to_8(const int32_t *row, size_t rows, size_t width, ends_8 ends, uint32_t *counts)
{
    const __m256i present = first_8(width);
    const uint32_t bits = (1u << width) - 1;

    for (size_t i = 0; i < rows; i++, row += width)
        counts[i] = (uint32_t)_mm_popcnt_u32(~bits_8(outside_8(_mm256_maskload_epi32(row, present), ends)) & bits);
}

/* A row is a few loads, the last of them masked. */
AVX2 void count_to_64(const int32_t *row, size_t rows, size_t width, ends_8 ends, uint32_t *counts)
{
    const size_t whole = width / 8 * 8;
    const __m256i present = first_8(width - whole);
    const uint32_t bits = (1u << (width - whole)) - 1;

    for (size_t i = 0; i < rows; i++, row += width) {
        uint32_t count = 0;

        for (size_t j = 0; j < whole; j += 8)
            count += (uint32_t)_mm_popcnt_u32(~bits_8(outside_8(load_8(row + j), ends)) & 0xff);
        if (bits)
            count += (uint32_t)_mm_popcnt_u32(~bits_8(outside_8(_mm256_maskload_epi32(row + whole, present), ends)) &
                                              bits);
        counts[i] = count;
    }
}

/* Sums in four registers: -1 for each element outside. */
AVX2 uint32_t count_long_8(const int32_t *row, size_t width, ends_8 ends)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    size_t j = 0;

    for (; j + 32 <= width; j += 32) {
        a = _mm256_add_epi32(a, outside_8(load_8(row + j), ends));
        b = _mm256_add_epi32(b, outside_8(load_8(row + j + 8), ends));
        c = _mm256_add_epi32(c, outside_8(load_8(row + j + 16), ends));
        d = _mm256_add_epi32(d, outside_8(load_8(row + j + 24), ends));
    }
    for (; j < width; j += 8) {
        const __m256i present = first_8(width - j < 8 ? width - j : 8);
        const __m256i outside = outside_8(_mm256_maskload_epi32(row + j, present), ends);

        a = _mm256_add_epi32(a, _mm256_and_si256(outside, present));
    }
    return (uint32_t)width + sum_8(_mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
}

AVX2 void count_avx2(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts)
{
    const ends_8 ends = {_mm256_set1_epi32(lo), _mm256_set1_epi32(hi)};
    const int32_t *row = data;

    if (width <= 8) {
        count_to_8(row, rows, width, ends, counts);
    } else if (width <= 64) {
        count_to_64(row, rows, width, ends, counts);
    } else {
        for (size_t i = 0; i < rows; i++)
            counts[i] = count_long_8(row + i * width, width, ends);
    }
}

/* ---- AVX-512: sixteen elements ---------------------------------------------------------------------------------- */

#define AVX512 __attribute__((target("avx512f,popcnt"))) static
#define AVX512_INLINE __attribute__((target("avx512f,popcnt"), always_inline)) static inline

typedef struct {
    __m512i lo, hi;
} ends_16;

/* A bit for each element inside, among those present. */
AVX512_INLINE __mmask16 inside_16(const int32_t *from, __mmask16 present, ends_16 ends)
{
    const __m512i x = _mm512_maskz_loadu_epi32(present, from);

    return _mm512_mask_cmple_epi32_mask(_mm512_mask_cmpge_epi32_mask(present, x, ends.lo), x, ends.hi);
}

AVX512_INLINE uint32_t ones_16(__mmask16 mask)
{
    return (uint32_t)_mm_popcnt_u32((uint32_t)mask);
}

AVX512_INLINE __mmask16 first_16(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

/* A row is one masked load. */
AVX512 void count_to_16(const int32_t *row, size_t rows, size_t width, ends_16 ends, uint32_t *counts)
{
    const __mmask16 present = first_16(width);

    for (size_t i = 0; i < rows; i++, row += width)
        counts[i] = ones_16(inside_16(row, present, ends));
}

/* A row is a few loads, the last of them masked. */
AVX512 void count_to_128(const int32_t *row, size_t rows, size_t width, ends_16 ends, uint32_t *counts)
{
    const size_t whole = width / 16 * 16;
    const __mmask16 present = first_16(width - whole);

    for (size_t i = 0; i < rows; i++, row += width) {
        uint32_t count = 0;

        for (size_t j = 0; j < whole; j += 16)
            count += ones_16(inside_16(row + j, 0xffff, ends));
        counts[i] = present ? count + ones_16(inside_16(row + whole, present, ends)) : count;
    }
}

/* Sums in four registers. */
AVX512 uint32_t count_long_16(const int32_t *row, size_t width, ends_16 ends)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    size_t j = 0;

    for (; j + 64 <= width; j += 64) {
        a = _mm512_mask_add_epi32(a, inside_16(row + j, 0xffff, ends), a, one);
        b = _mm512_mask_add_epi32(b, inside_16(row + j + 16, 0xffff, ends), b, one);
        c = _mm512_mask_add_epi32(c, inside_16(row + j + 32, 0xffff, ends), c, one);
        d = _mm512_mask_add_epi32(d, inside_16(row + j + 48, 0xffff, ends), d, one);
    }
    for (; j < width; j += 16)
        a = _mm512_mask_add_epi32(a, inside_16(row + j, width - j < 16 ? first_16(width - j) : 0xffff, ends), a, one);
    return (uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d)));
}

AVX512 void count_avx512(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts)
{
    const ends_16 ends = {_mm512_set1_epi32(lo), _mm512_set1_epi32(hi)};
    const int32_t *row = data;

    if (width <= 16) {
        count_to_16(row, rows, width, ends, counts);
    } else if (width <= 128) {
        count_to_128(row, rows, width, ends, counts);
    } else {
        for (size_t i = 0; i < rows; i++)
            counts[i] = count_long_16(row + i * width, width, ends);
    }
}

/* ---- Which of them ---------------------------------------------------------------------------------------------- */

static bench_loop *choose(const char **name)
{
    *name = __builtin_cpu_supports("avx512f") ? "AVX-512" : "AVX2";
    if (__builtin_cpu_supports("avx512f"))
        return count_avx512;
    return __builtin_cpu_supports("avx2") ? count_avx2 : NULL;
}
#else
static bench_loop *choose(const char **name)
{
    *name = "";
    return NULL;
}
#endif

/* ---- The peer --------------------------------------------------------------------------------------------------- */

static rowpool_status intrinsics_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_intrinsics, .label = "intrinsics", .required = true};
    const char *name;

    (void)devices;
    if (!choose(&name) || bench_threads() == 0)
        return ROWPOOL_OK;
    (void)snprintf(peer.device, sizeof peer.device, "%d thread%s, %s", bench_threads(), bench_threads() == 1 ? "" : "s",
                   name);
    (void)snprintf(peer.driver, sizeof peer.driver, "%s", BENCH_COMPILER " " BENCH_PEER_FLAGS);
    return bench_peers_add(peers, &peer, error);
}

static bool intrinsics_applies(const bench_peer *peer, const bench_case *work)
{
    (void)peer;
    return work->dtype == ROWPOOL_INT32;
}

static rowpool_status intrinsics_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    const char *name;

    (void)peer;
    (void)error;
    bench_count_rows(work, choose(&name), counts);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_intrinsics = {
    .name = "intrinsics",
    .available = intrinsics_available,
    .applies = intrinsics_applies,
    .run = intrinsics_run,
};
