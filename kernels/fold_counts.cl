/* Vector forms for a function that defines ROW_COUNTS, whose elements count for 0 or 1: part of fold.cl, on CPUs. Whole
 * cache lines are compared in vectors as wide as the CPU's registers, for which OpenCL C has no names beyond 16 lanes;
 * the rest of a row, and short rows, in vectors of at most 32 bytes.
 *
 * Parameters: */

/* Bytes of a register. */
#if RP_MOST_VECTOR >= 64 && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define RP_REGISTER 64
#elif RP_MOST_VECTOR >= 32 && defined(__AVX2__)
#define RP_REGISTER 32
#else
#define RP_REGISTER 16
#endif

/* Elements of the narrower vectors. */
#define RP_LANES_8 16
#if RP_REGISTER > 16
#define RP_LANES_16 16
#define RP_LANES_32 8
#define RP_LANES_64 4
#else
#define RP_LANES_16 8
#define RP_LANES_32 4
#define RP_LANES_64 2
#endif
#define RP_LANES ROWPOOL_JOIN(RP_LANES_, ROW_BITS)

/* Short rows that lie end to end are staged: what their elements count for, then the sum of each row. With AVX-512 that
 * is a bit for each element, else a byte. RP_STAGED_MEAN is the mean length up to which that pays: with bits, for
 * several columns, which could also be counted RP_RANGES at a time (for one column it always pays); with bytes, as
 * measured for int32 and uint8. */
enum {
#if RP_REGISTER == 64
    RP_STAGED = 16384, /* elements staged together */
    RP_STAGED_MEAN = 64,
    RP_STAGED_SIZE = RP_STAGED / 64 + 2,
#else
    RP_STAGED_MEAN = RP_LANES * 3 / 2,
    RP_STAGED = RP_TOGETHER * RP_STAGED_MEAN,
    RP_STAGED_SIZE = RP_STAGED + RP_WORD,
#endif
    RP_WIDE_LANES = RP_REGISTER / sizeof(ordered_t),
    RP_MAX_LINES = 127 * RP_WIDE_LANES / RP_LINE /* before an 8-bit lane of a tally may overflow */
};

/* ---- Vectors ---------------------------------------------------------------------------------------------------- */

#define RP_SIGNED ROWPOOL_JOIN(ROWPOOL_JOIN(int, ROW_BITS), _t) /* what a comparison of vectors gives: 0 or -1 */
#define RP_VECTOR ROWPOOL_JOIN(ordered_t, RP_LANES)
#define RP_COUNTS ROWPOOL_JOIN(RP_SIGNED, RP_LANES)

#define RP_VECTOR_OF(type, lanes) type __attribute__((ext_vector_type(lanes)))
typedef RP_VECTOR_OF(ordered_t, RP_WIDE_LANES) rp_wide;
typedef RP_VECTOR_OF(RP_SIGNED, RP_WIDE_LANES) rp_wide_counts;
typedef rp_wide rp_wide_anywhere __attribute__((aligned(sizeof(ordered_t))));

/* For functions with wide vectors: without min_vector_width some compilers use two AVX2 vectors for one of AVX-512.
 * Inlined, so that constant numbers of elements stay constant. */
#define RP_COUNTING inline __attribute__((always_inline, min_vector_width(8 * RP_REGISTER)))

#define RP_NUMBERS_2 0, 1
#define RP_NUMBERS_4 RP_NUMBERS_2, 2, 3
#define RP_NUMBERS_8 RP_NUMBERS_4, 4, 5, 6, 7
#define RP_NUMBERS_16 RP_NUMBERS_8, 8, 9, 10, 11, 12, 13, 14, 15

#define RP_SUM_2(v) ((v).x + (v).y)
#define RP_SUM_4(v) RP_SUM_2((v).lo + (v).hi)
#define RP_SUM_8(v) RP_SUM_4((v).lo + (v).hi)
#define RP_SUM_16(v) RP_SUM_8((v).lo + (v).hi)

#if ROW_IS_FLOAT
#define RP_ORDER(vector, bits) ((bits) ^ (((bits) >> (vector)(ROW_BITS - 1)) & (vector)ROWPOOL_LARGEST(ordered_t)))
#else
#define RP_ORDER(vector, bits) (bits)
#endif

static RP_VECTOR rp_load(__global const ordered_t *x)
{
    RP_VECTOR bits = ROWPOOL_JOIN(vload, RP_LANES)(0, x);
    return RP_ORDER(RP_VECTOR, bits);
}

/* The sum of the lanes, at most 16 * 127. */
static accumulator_t rp_sum(RP_COUNTS counts)
{
#if ROW_BITS == 8
    return (accumulator_t)RP_SUM_8(convert_short8(counts.lo) + convert_short8(counts.hi));
#else
    return (accumulator_t)ROWPOOL_JOIN(RP_SUM_, RP_LANES)(counts);
#endif
}

static RP_COUNTING rp_wide rp_load_wide(__global const ordered_t *x)
{
    const rp_wide bits = *(__global const rp_wide_anywhere *)x;
    return RP_ORDER(rp_wide, bits);
}

/* A tally of what elements count for: a vector, whose lanes are added up at the end. With AVX-512 a comparison gives a
 * bit for each element, and popcnt counts them: the tally is a plain number. */
#if RP_REGISTER == 64
typedef accumulator_t rp_tally;
#define RP_BITS_8 __builtin_ia32_cvtb2mask512
#define RP_BITS_16 __builtin_ia32_cvtw2mask512
#define RP_BITS_32 __builtin_ia32_cvtd2mask512
#define RP_BITS_64 __builtin_ia32_cvtq2mask512
#define RP_BITS(counts) ROWPOOL_JOIN(RP_BITS_, ROW_BITS)(counts)
#define RP_TALLY(tally, counts) ((tally) += rp_count_bits(RP_BITS(counts)))
#define RP_TOTAL(tally) (tally)

static accumulator_t rp_count_bits(ulong bits)
{
    /* Hides the value from the compiler, which would otherwise vectorise the popcounts: that is slower. */
    __asm__("" : "+r"(bits));
    return (accumulator_t)__builtin_popcountll(bits);
}
#else
typedef rp_wide_counts rp_tally;
#define RP_TALLY(tally, counts) ((tally) -= (counts))
#define RP_TOTAL(tally) rp_sum_wide(tally)

static accumulator_t rp_sum_wide(rp_wide_counts counts)
{
    accumulator_t sum = 0;
#pragma unroll
    for (int i = 0; i < RP_WIDE_LANES; i++)
        sum += (accumulator_t)counts[i];
    return sum;
}
#endif

/* ---- Parts of rows ---------------------------------------------------------------------------------------------- */

/* The count of n elements, fewer than a line. The last vector reaches back to elements that are counted already. */
static accumulator_t rp_count_few(__global const ordered_t *x, ulong n, arguments_t argument)
{
    if (n < RP_LANES) {
        accumulator_t sum = 0;
        for (ulong i = 0; i < n; i++)
            sum += narrow(RP_LOAD(x[i]), argument);
        return sum;
    }
    RP_COUNTS counts = 0;
    ulong i = 0;
    for (; i + RP_LANES <= n; i += RP_LANES)
        counts -= ROW_COUNTS(rp_load(x + i), argument);
    if (i < n) {
        RP_COUNTS is_new = (RP_COUNTS)(ROWPOOL_JOIN(RP_NUMBERS_, RP_LANES)) >= (RP_SIGNED)(RP_LANES - (n - i));
        counts -= ROW_COUNTS(rp_load(x + n - RP_LANES), argument) & is_new;
    }
    return rp_sum(counts);
}

/* The count of n elements. */
static RP_COUNTING accumulator_t rp_count(__global const ordered_t *x, ulong n, arguments_t range)
{
    accumulator_t sum = 0;
    while (n >= RP_LINE) {
        rp_tally tally = 0;
        ulong lines = min(n / RP_LINE, (ulong)RP_MAX_LINES);
        n -= lines * RP_LINE;
        for (; lines > 0; lines--, x += RP_LINE) {
            rp_prefetch(x);
#pragma unroll
            for (int i = 0; i < RP_LINE; i += RP_WIDE_LANES)
                RP_TALLY(tally, ROW_COUNTS(rp_load_wide(x + i), range));
        }
        sum += RP_TOTAL(tally);
    }
    if (n > 0) {
        rp_prefetch(x);
        sum += rp_count_few(x, n, range);
    }
    return sum;
}

/* Ranges that one load is compared with. */
typedef struct {
    arguments_t a, b, c, d;
} rp_ranges_t;

typedef struct {
    accumulator_t a, b, c, d;
} rp_sums_t;

enum { RP_RANGES = sizeof(rp_ranges_t) / sizeof(arguments_t) };

static rp_ranges_t rp_ranges(__global const arguments_t *ranges)
{
    return (rp_ranges_t){ranges[0], ranges[1], ranges[2], ranges[3]};
}

/* The counts of n elements, one in each range. */
static RP_COUNTING rp_sums_t rp_count_ranges(__global const ordered_t *x, ulong n, rp_ranges_t range)
{
    rp_sums_t sum = {0, 0, 0, 0};
    while (n >= RP_LINE) {
        rp_tally a = 0, b = 0, c = 0, d = 0;
        ulong lines = min(n / RP_LINE, (ulong)RP_MAX_LINES);
        n -= lines * RP_LINE;
        for (; lines > 0; lines--, x += RP_LINE) {
            rp_prefetch(x);
#pragma unroll
            for (int i = 0; i < RP_LINE; i += RP_WIDE_LANES) {
                const rp_wide elements = rp_load_wide(x + i);
                RP_TALLY(a, ROW_COUNTS(elements, range.a));
                RP_TALLY(b, ROW_COUNTS(elements, range.b));
                RP_TALLY(c, ROW_COUNTS(elements, range.c));
                RP_TALLY(d, ROW_COUNTS(elements, range.d));
            }
        }
        sum.a += RP_TOTAL(a);
        sum.b += RP_TOTAL(b);
        sum.c += RP_TOTAL(c);
        sum.d += RP_TOTAL(d);
    }
    if (n > 0) {
        rp_prefetch(x);
        sum.a += rp_count_few(x, n, range.a);
        sum.b += rp_count_few(x, n, range.b);
        sum.c += rp_count_few(x, n, range.c);
        sum.d += rp_count_few(x, n, range.d);
    }
    return sum;
}

/* ---- Whole rows ------------------------------------------------------------------------------------------------- */

/* A row in RP_RANGES columns. */
static RP_COUNTING void rp_fold_ranges(__global const ordered_t *x, ulong width, rp_ranges_t ranges,
                                       __global result_t *results)
{
    const rp_sums_t sums = rp_count_ranges(x, width, ranges);
    results[0] = finish(sums.a, (size_t)width, ranges.a);
    results[1] = finish(sums.b, (size_t)width, ranges.b);
    results[2] = finish(sums.c, (size_t)width, ranges.c);
    results[3] = finish(sums.d, (size_t)width, ranges.d);
}

/* Rows first ... last - 1, in the columns from k on. */
static RP_NOINLINE void rp_fold_rows_ranges(const rp_rows_t *rows, ulong first, ulong last, ulong k)
{
    const rp_ranges_t ranges = rp_ranges(rows->arguments + k);
    for (ulong row = first; row < last; row++)
        rp_fold_ranges(rows->data + rp_begin(rows, row), rp_width(rows, row), ranges,
                       rows->results + row * rows->columns + k);
}

/* ---- Short rows, staged ----------------------------------------------------------------------------------------- */

#ifdef RP_BITS
#define RP_STAGES
typedef ulong rp_staged_t;

/* The bits of 64 elements. */
static RP_COUNTING ulong rp_stage_word(__global const ordered_t *x, arguments_t argument)
{
    ulong bits = 0;
#pragma unroll
    for (int i = 0; i < 64; i += RP_WIDE_LANES) {
        rp_prefetch(x + i);
        bits |= (ulong)RP_BITS(ROW_COUNTS(rp_load_wide(x + i), argument)) << i;
    }
    return bits;
}

/* The bits of fewer than 64 elements. */
static RP_COUNTING ulong rp_stage_few(__global const ordered_t *x, ulong n, arguments_t argument)
{
    ulong bits = 0, i = 0;
    for (; i + RP_WIDE_LANES <= n; i += RP_WIDE_LANES)
        bits |= (ulong)RP_BITS(ROW_COUNTS(rp_load_wide(x + i), argument)) << i;
    for (; i < n; i++)
        bits |= (ulong)narrow(RP_LOAD(x[i]), argument) << i;
    return bits;
}

static void rp_stage(__global const ordered_t *x, ulong n, arguments_t argument, rp_staged_t *staged)
{
    for (; n >= 64; n -= 64, x += 64)
        *staged++ = rp_stage_word(x, argument);
    *staged = rp_stage_few(x, n, argument);
}

/* How many of the `width` bits from `at` on are set. width <= 57, so that one word, read from the byte of the first
 * bit, has them all. */
static accumulator_t rp_sum_bits(const rp_staged_t *staged, ulong at, ulong width)
{
    const ulong word = as_ulong(vload8(0, (const uchar *)staged + at / 8));
    return rp_count_bits(word >> at % 8 & (((ulong)1 << width) - 1));
}

/* The same for any width. May read the word after the bits, without using it. */
static accumulator_t rp_sum_staged(const rp_staged_t *staged, ulong at, ulong width)
{
    enum { PART = 56 };
    accumulator_t sum = 0;
    for (; width > PART; width -= PART, at += PART)
        sum += rp_sum_bits(staged, at, PART);
    return sum + rp_sum_bits(staged, at, width);
}

#elif defined(__ENDIAN_LITTLE__)
#define RP_STAGES
#define RP_BYTES ROWPOOL_JOIN(uchar, RP_LANES)
#define RP_CONVERT ROWPOOL_JOIN(convert_, RP_BYTES)
typedef uchar rp_staged_t;

static void rp_stage(__global const ordered_t *x, ulong n, arguments_t argument, rp_staged_t *staged)
{
    ulong i = 0;
    for (; i < n; i += RP_LINE)
        rp_prefetch(x + i);
    for (i = 0; i + RP_LANES <= n; i += RP_LANES)
        *(RP_BYTES *)(staged + i) = RP_CONVERT(ROW_COUNTS(rp_load(x + i), argument) & (RP_SIGNED)1);
    for (; i < n; i++)
        staged[i] = narrow(RP_LOAD(x[i]), argument);
}

/* The sum of the bytes of `more` and of `width` bytes of 0 or 1, at most RP_WORD, all of which can be read. The product
 * has in its top byte the sum of the word's bytes. The two shifts before it drop the bytes beyond the row: all of them
 * where it is empty, which one shift by 64 would not do. */
static uint rp_sum_word(const uchar *bytes, uint width, ulong more)
{
    uint half_of_rest = 4 * (RP_WORD - width);
    more += as_ulong(vload8(0, bytes)) << half_of_rest << half_of_rest;
    return (uint)((more * 0x0101010101010101UL) >> 56);
}

/* The same for any width up to 255. */
static uint rp_sum_words(const uchar *bytes, uint width)
{
    ulong sums = 0;
    for (; width > RP_WORD; width -= RP_WORD, bytes += RP_WORD)
        sums += as_ulong(vload8(0, bytes));
    return rp_sum_word(bytes, width, sums);
}

/* The sum of `width` bytes from `at` on. May read the word after them, without using it. */
static accumulator_t rp_sum_staged(const rp_staged_t *staged, ulong at, ulong width)
{
    enum { PART = 248 }; /* a multiple of a word that the sum's byte can count */
    accumulator_t sum = 0;
    if (width <= RP_WORD)
        return (accumulator_t)rp_sum_word(staged + at, (uint)width, 0);
    for (; width > PART; width -= PART, at += PART)
        sum += rp_sum_words(staged + at, PART);
    return sum + rp_sum_words(staged + at, (uint)width);
}
#endif

#ifdef RP_STAGES
/* Rows first ... first + n - 1, end to end, in column k. Staging ignores where rows begin. */
static void rp_fold_staged(const rp_rows_t *rows, ulong first, ulong n, ulong k, rp_staged_t *staged)
{
    const arguments_t argument = rows->arguments[k];
    const ulong begin = rp_begin(rows, first), columns = rows->columns, equal = rows->width;
    __global const long *ends = rows->ragged ? rows->offsets + first + 1 : 0;
    const long origin = rows->origin + (long)begin;
    __global result_t *results = rows->results + first * columns + k;
    for (ulong row = 0; ends && row < n; row += 64 / sizeof *ends)
        rp_prefetch(ends + row);
    rp_stage(rows->data + begin, rp_begin(rows, first + n) - begin, argument, staged);
    for (ulong row = 0, at = 0; row < n; row++) {
        ulong width = ends ? (ulong)(ends[row] - origin) - at : equal;
        results[row * columns] = finish(rp_sum_staged(staged, at, width), (size_t)width, argument);
        at += width;
    }
}
#endif
