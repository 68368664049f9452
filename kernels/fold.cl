/* Traversal for a fold: how work items walk over rows. The vocabulary and the row function stand before it. Arrays of a
 * chunk:
 *   data        its elements, the first of which is data[data_first]
 *   offsets     ragged rows: count + 1 of them, the first of which is offsets[offsets_first]; row r begins at element
 *               offsets[offsets_first + r] - origin of the chunk. Else unused
 *   arguments   `columns` argument structs
 *   results     count x columns
 */
#ifdef ROW_ORDERED
#define RP_LOAD(x) ROW_ORDER(x)
#else
#define RP_LOAD(x) ROW_VALUE(x)
#endif

#ifdef RP_MOST_ACCUMULATOR_SIZE
typedef char rp_accumulator_t_is_larger_than_said[sizeof(accumulator_t) <= RP_MOST_ACCUMULATOR_SIZE ? 1 : -1];
#endif

/* ---- Parts of rows ---------------------------------------------------------------------------------------------- */

/* A CPU's own compiler says what it compiles for; those of GPUs, and for SPIR-V, do not. */
#if defined(__x86_64__) || defined(__aarch64__)
#define RP_IS_CPU 1
#define RP_APART __attribute__((noinline)) /* what is long anyway: copies of it would take a fifth more of a build */
#else
#define RP_IS_CPU 0
#define RP_APART
#undef ROW_COUNTS /* vectors are for CPUs: elsewhere they are taken apart, which makes builds long */
#endif

enum { RP_LINE = 64 / sizeof(ordered_t) }; /* elements of a CPU's cache line */

/* How far ahead of what is read, in bytes, memory is told to bring more: a CPU does so by itself, but only within a page,
 * and what counts leaves it little time to look ahead. Without, it stays at 0.6 of the memory's rate; into the second
 * cache, so far ahead, it reaches it (of 512 to 8192 this was best, and better than into the first). */
#ifndef RP_AHEAD
#define RP_AHEAD 4096
#endif

/* A line of an array. The built-in prefetch does nothing in PoCL. Beyond the end there may be no memory: the instruction
 * does not mind. */
static void rp_prefetch(__global const void *x)
{
#if RP_IS_CPU
    __builtin_prefetch((__private const void *)((ulong)x + RP_AHEAD), 0, 2); /* to read; into the second cache */
#else
    (void)x;
#endif
}

#ifdef ROW_COUNTS
/* Elements that count for 0 or 1 are taken as vectors; what they count for adds up in lanes as wide as they are. Lines
 * are taken in vectors as wide as the CPU's registers, which OpenCL C has no names for beyond 16 lanes; rests and short
 * rows in ones of at most 32 bytes. */
#if RP_MOST_VECTOR >= 64 && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define RP_REGISTER 64
#elif RP_MOST_VECTOR >= 32 && defined(__AVX2__)
#define RP_REGISTER 32
#else
#define RP_REGISTER 16
#endif

#if RP_REGISTER > 16
#define RP_LANES_16 16
#define RP_LANES_32 8
#define RP_LANES_64 4
#else
#define RP_LANES_16 8
#define RP_LANES_32 4
#define RP_LANES_64 2
#endif
#define RP_LANES_8 16
#define RP_LANES ROWPOOL_JOIN(RP_LANES_, ROW_BITS)
#define RP_VECTOR ROWPOOL_JOIN(ordered_t, RP_LANES)
#define RP_SIGNED ROWPOOL_JOIN(ROWPOOL_JOIN(int, ROW_BITS), _t) /* what a comparison of vectors gives: 0 or -1 */
#define RP_COUNTS ROWPOOL_JOIN(RP_SIGNED, RP_LANES)

#define RP_VECTOR_OF(type, lanes) type __attribute__((ext_vector_type(lanes)))

/* Of functions with such vectors: some compilers take two of AVX2 for one of AVX-512 unless they are told. Inlined they
 * are compiled for numbers of elements that are constants. */
#define RP_COUNTING inline __attribute__((always_inline, min_vector_width(8 * RP_REGISTER)))

enum { RP_WIDE_LANES = RP_REGISTER / sizeof(ordered_t) };

typedef RP_VECTOR_OF(ordered_t, RP_WIDE_LANES) rp_wide;
typedef RP_VECTOR_OF(RP_SIGNED, RP_WIDE_LANES) rp_wide_counts;
typedef rp_wide rp_wide_anywhere __attribute__((aligned(sizeof(ordered_t))));

#define RP_NUMBERS_2 0, 1
#define RP_NUMBERS_4 RP_NUMBERS_2, 2, 3
#define RP_NUMBERS_8 RP_NUMBERS_4, 4, 5, 6, 7
#define RP_NUMBERS_16 RP_NUMBERS_8, 8, 9, 10, 11, 12, 13, 14, 15

#define RP_SUM_2(v) ((v).x + (v).y)
#define RP_SUM_4(v) RP_SUM_2((v).lo + (v).hi)
#define RP_SUM_8(v) RP_SUM_4((v).lo + (v).hi)
#define RP_SUM_16(v) RP_SUM_8((v).lo + (v).hi)

enum { RP_MOST_LINES = 127 * RP_WIDE_LANES / RP_LINE }; /* until a tally's lane of 8 bits may be full */

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

/* The sum of the lanes, which is no more than 16 * 127. */
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

/* A tally of what elements count for: a vector, whose lanes are added up at the end. The compares of AVX-512 give a bit
 * for each element instead, and the CPU counts bits at once: there it is a number. */
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
    /* Behind the compiler's back: it would count the bits of several numbers in a vector, which takes longer. */
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

/* n elements, fewer than a line. The last vector reaches back to elements that are counted already. */
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

/* What n elements count for. */
static RP_COUNTING accumulator_t rp_count(__global const ordered_t *x, ulong n, arguments_t range)
{
    accumulator_t sum = 0;
    while (n >= RP_LINE) {
        rp_tally tally = 0;
        ulong lines = min(n / RP_LINE, (ulong)RP_MOST_LINES);
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

/* Ranges that are counted abreast: what is loaded is compared with all of them. */
typedef struct {
    arguments_t a, b, c, d;
} rp_ranges_t;

typedef struct {
    accumulator_t a, b, c, d;
} rp_sums_t;

enum { RP_ABREAST = sizeof(rp_ranges_t) / sizeof(arguments_t) };

static rp_ranges_t rp_ranges(__global const arguments_t *ranges)
{
    return (rp_ranges_t){ranges[0], ranges[1], ranges[2], ranges[3]};
}

/* What n elements count for in each of them. */
static RP_COUNTING rp_sums_t rp_count_abreast(__global const ordered_t *x, ulong n, rp_ranges_t range)
{
    rp_sums_t sum = {0, 0, 0, 0};
    while (n >= RP_LINE) {
        rp_tally a = 0, b = 0, c = 0, d = 0;
        ulong lines = min(n / RP_LINE, (ulong)RP_MOST_LINES);
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
#endif

/* n elements of a row, the first of which is its element `first`. */
static accumulator_t rp_fold(__global const ordered_t *x, ulong n, ulong first, arguments_t argument)
{
#ifdef ROW_COUNTS
    (void)first;
    return rp_count(x, n, argument);
#else
    accumulator_t accumulator = identity(argument);
    ulong i = 0;
#ifdef ROW_COMMUTES
    /* Several accumulators side by side: the next element need not wait for the last. */
    enum { LANES = 8 };
    if (n >= 2 * LANES) {
        accumulator_t lane[LANES];
        for (int k = 0; k < LANES; k++)
            lane[k] = accumulator;
        for (; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] = element(lane[k], RP_LOAD(x[i + k]), (size_t)(first + i + k), argument);
        for (int k = 0; k < LANES; k++)
            accumulator = combine(accumulator, lane[k], argument);
    }
#endif
    for (; i < n; i++)
        accumulator = element(accumulator, RP_LOAD(x[i]), (size_t)(first + i), argument);
    return accumulator;
#endif
}

/* Elements that stay in a CPU's first cache while every column passes over them, and columns that do so together. */
enum { RP_SLICE = 16384 / sizeof(ordered_t), RP_COLUMNS = 16 };

/* The same of up to RP_COLUMNS columns. */
static void rp_fold_columns(__global const ordered_t *x, ulong n, ulong first, __global const arguments_t *arguments,
                            ulong columns, accumulator_t *accumulators)
{
    for (ulong k = 0; k < columns; k++)
        accumulators[k] = identity(arguments[k]);
    for (ulong from = 0; from < n; from += RP_SLICE) {
        ulong k = 0, part = min(n - from, (ulong)RP_SLICE);
#ifdef ROW_COUNTS
        for (; k + RP_ABREAST <= columns; k += RP_ABREAST) {
            const rp_sums_t sums = rp_count_abreast(x + from, part, rp_ranges(arguments + k));
            accumulators[k] += sums.a;
            accumulators[k + 1] += sums.b;
            accumulators[k + 2] += sums.c;
            accumulators[k + 3] += sums.d;
        }
#endif
        for (; k < columns; k++)
            accumulators[k] = combine(accumulators[k], rp_fold(x + from, part, first + from, arguments[k]),
                                      arguments[k]);
    }
}

/* ---- Whole rows ------------------------------------------------------------------------------------------------- */

/* The rows of a chunk, and the columns of a work item. */
typedef struct {
    __global const ordered_t *data;
    __global const long *offsets; /* if ragged */
    long origin;
    ulong width, stride;
    int ragged;
    __global const arguments_t *arguments;
    __global result_t *results;
    ulong columns, first_column, last_column;
} rp_rows_t;

static ulong rp_begin(const rp_rows_t *rows, ulong row)
{
    return rows->ragged ? (ulong)(rows->offsets[row] - rows->origin) : row * rows->stride;
}

static ulong rp_width(const rp_rows_t *rows, ulong row)
{
    return rows->ragged ? (ulong)(rows->offsets[row + 1] - rows->offsets[row]) : rows->width;
}

/* What a row comes to in one column. */
static result_t rp_fold_short(const rp_rows_t *rows, ulong row, arguments_t argument)
{
    ulong width = rp_width(rows, row);
    return finish(rp_fold(rows->data + rp_begin(rows, row), width, 0, argument), (size_t)width, argument);
}

#if RP_IS_CPU
static ulong rp_elements(const rp_rows_t *rows, ulong first, ulong n)
{
    return rows->ragged ? rp_begin(rows, first + n) - rp_begin(rows, first) : n * rows->width;
}

/* A row of any length in all columns. */
static RP_APART void rp_fold_long(const rp_rows_t *rows, ulong row)
{
    __global const ordered_t *x = rows->data + rp_begin(rows, row);
    __global result_t *results = rows->results + row * rows->columns;
    ulong width = rp_width(rows, row);
    for (ulong k = rows->first_column, n; k < rows->last_column; k += n) {
        accumulator_t accumulators[RP_COLUMNS];
        n = min(rows->last_column - k, (ulong)RP_COLUMNS);
        rp_fold_columns(x, width, 0, rows->arguments + k, n, accumulators);
        for (ulong i = 0; i < n; i++)
            results[k + i] = finish(accumulators[i], (size_t)width, rows->arguments[k + i]);
    }
}
#endif

enum { RP_TOGETHER = 64 }; /* rows that every column passes over together */

#define RP_WORD 8 /* bytes that are added up side by side */

#ifdef RP_BITS
#define RP_STAGES
typedef ulong rp_staged_t;

enum {
    RP_STAGED = 16384,   /* elements that are staged together, a bit for each */
    RP_STAGED_MEAN = 64, /* the mean length up to which it pays where columns could be counted abreast */
    RP_STAGED_SIZE = RP_STAGED / 64 + 2
};

/* Which of 64 elements count. */
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

/* The same of fewer. */
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

/* How many of `width` bits from `at` on are set, of at most 57: a word that begins with their first byte has them all. */
static accumulator_t rp_sum_bits(const rp_staged_t *staged, ulong at, ulong width)
{
    const ulong word = as_ulong(vload8(0, (const uchar *)staged + at / 8));
    return rp_count_bits(word >> at % 8 & (((ulong)1 << width) - 1));
}

/* The same of any number. May read, and not use, the word after them. */
static accumulator_t rp_sum_staged(const rp_staged_t *staged, ulong at, ulong width)
{
    enum { MOST = 56 };
    accumulator_t sum = 0;
    for (; width > MOST; width -= MOST, at += MOST)
        sum += rp_sum_bits(staged, at, MOST);
    return sum + rp_sum_bits(staged, at, width);
}

#elif defined(ROW_COUNTS) && defined(__ENDIAN_LITTLE__)
#define RP_STAGES
#define RP_BYTES ROWPOOL_JOIN(uchar, RP_LANES)
#define RP_CONVERT ROWPOOL_JOIN(convert_, RP_BYTES)
typedef uchar rp_staged_t;

enum {
    RP_STAGED_MEAN = RP_LANES * 3 / 2, /* the mean length up to which it pays (with int32 and uint8) */
    RP_STAGED = RP_TOGETHER * RP_STAGED_MEAN,
    RP_STAGED_SIZE = RP_STAGED + RP_WORD
};

/* What n elements count for, a byte each. */
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

/* In one sum: `more`, bytes side by side, and `width` bytes of 0 or 1, at most RP_WORD, all of which can be read. The
 * product has in its top byte the sum of the word's bytes; the shifts before it drop those beyond the row, all if it is
 * empty. */
static uint rp_sum_word(const uchar *bytes, uint width, ulong more)
{
    uint half_of_rest = 4 * (RP_WORD - width);
    more += as_ulong(vload8(0, bytes)) << half_of_rest << half_of_rest;
    return (uint)((more * 0x0101010101010101UL) >> 56);
}

/* The same of any width up to 255. */
static uint rp_sum_words(const uchar *bytes, uint width)
{
    ulong sums = 0;
    for (; width > RP_WORD; width -= RP_WORD, bytes += RP_WORD)
        sums += as_ulong(vload8(0, bytes));
    return rp_sum_word(bytes, width, sums);
}

/* The sum of `width` bytes from `at` on. May read, and not use, the word after them. */
static accumulator_t rp_sum_staged(const rp_staged_t *staged, ulong at, ulong width)
{
    enum { MOST = 248 }; /* a multiple of a word that the sum's byte can count */
    accumulator_t sum = 0;
    if (width <= RP_WORD)
        return (accumulator_t)rp_sum_word(staged + at, (uint)width, 0);
    for (; width > MOST; width -= MOST, at += MOST)
        sum += rp_sum_words(staged + at, MOST);
    return sum + rp_sum_words(staged + at, (uint)width);
}
#endif

#ifdef RP_STAGES
/* Short rows, end to end: what their elements count for is staged in one loop, whatever their lengths are, then summed up
 * row by row. */
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

#ifdef ROW_COUNTS
/* A row in RP_ABREAST columns. */
static RP_COUNTING void rp_fold_abreast(__global const ordered_t *x, ulong width, rp_ranges_t ranges,
                                        __global result_t *results)
{
    const rp_sums_t sums = rp_count_abreast(x, width, ranges);
    results[0] = finish(sums.a, (size_t)width, ranges.a);
    results[1] = finish(sums.b, (size_t)width, ranges.b);
    results[2] = finish(sums.c, (size_t)width, ranges.c);
    results[3] = finish(sums.d, (size_t)width, ranges.d);
}

/* The same of rows first ... last - 1, in the columns from k on. */
static RP_APART void rp_fold_rows_abreast(const rp_rows_t *rows, ulong first, ulong last, ulong k)
{
    const rp_ranges_t ranges = rp_ranges(rows->arguments + k);
    for (ulong row = first; row < last; row++)
        rp_fold_abreast(rows->data + rp_begin(rows, row), rp_width(rows, row), ranges,
                        rows->results + row * rows->columns + k);
}
#endif

/* Rows first ... last - 1: those that are short together, so that every column passes over what is in the cache. */
static void rp_fold_rows(const rp_rows_t *rows, ulong first, ulong last)
{
#ifdef RP_STAGES
    const bool end_to_end = rows->ragged || rows->stride == rows->width;
    rp_staged_t staged[RP_STAGED_SIZE] __attribute__((aligned(16)));
#endif
#ifdef RP_BITS
    const bool one = rows->first_column + 1 == rows->last_column;
    const ulong mean = one ? RP_STAGED : RP_STAGED_MEAN, most = one ? RP_STAGED : RP_SLICE;
#elif defined(RP_STAGES)
    const ulong mean = RP_STAGED_MEAN, most = RP_STAGED;
#endif
    for (ulong n; first < last; first += n) {
        n = min(last - first, (ulong)RP_TOGETHER);
#if RP_IS_CPU
        ulong elements = rp_elements(rows, first, n);
#ifdef RP_BITS
        for (; rows->ragged && elements > most && n > 1; elements = rp_elements(rows, first, n))
            n /= 2; /* a long row may stand among short ones */
#endif
#ifdef RP_STAGES
        if (end_to_end && elements <= min(n * mean, most)) {
            for (ulong k = rows->first_column; k < rows->last_column; k++)
                rp_fold_staged(rows, first, n, k, staged);
            continue;
        }
#endif
        if (elements > RP_SLICE) {
            for (ulong row = first; row < first + n; row++)
                rp_fold_long(rows, row);
            continue;
        }
#endif
        ulong k = rows->first_column;
#ifdef ROW_COUNTS
        for (; k + RP_ABREAST <= rows->last_column; k += RP_ABREAST)
            rp_fold_rows_abreast(rows, first, first + n, k);
#endif
        for (; k < rows->last_column; k++) {
            const arguments_t argument = rows->arguments[k];
            for (ulong row = first; row < first + n; row++)
                rows->results[row * rows->columns + k] = rp_fold_short(rows, row, argument);
        }
    }
}

/* ---- Short rows, all of one width: each work item takes `rows_per_item` whole ones. ----------------------------- */

__kernel void rp_rows(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                      __global result_t *results, ulong count, ulong width, ulong stride, ulong columns,
                      ulong columns_per_item, ulong rows_per_item)
{
    const rp_rows_t rows = {.data = data + data_first,
                            .width = width,
                            .stride = stride,
                            .arguments = arguments,
                            .results = results,
                            .columns = columns,
                            .first_column = RP_FIRST_COLUMN,
                            .last_column = RP_LAST_COLUMN};
    ulong first = get_global_id(0) * rows_per_item;
    rp_fold_rows(&rows, first, min(first + rows_per_item, count));
}

/* ---- Short dense rows whose width the compiler knows ------------------------------------------------------------ */

#if RP_WIDTH
#define RP_BLOCK 64 /* rows */

/* Rows that are no whole lines, with AVX-512: what their elements count for is staged as bits. Of others shorter than a
 * vector it is staged narrow. */
#if defined(RP_BITS) && RP_WIDTH <= RP_BLOCK && RP_WIDTH % (64 * 8 / ROW_BITS) != 0
#define RP_BIT_BLOCKS
#elif defined(ROW_NARROW) && !(defined(ROW_COUNTS) && RP_WIDTH >= RP_LANES)
#define RP_NARROW_BLOCKS

/* All that a row's elements count for. May read, and not use, the RP_WORD bytes after them. */
static narrow_t rp_combine_narrow(const narrow_t *staged)
{
#if defined(ROW_NARROW_SUMS) && defined(__ENDIAN_LITTLE__) && (RP_WIDTH % RP_WORD > 4 || RP_WIDTH == RP_WORD)
    /* Bytes of a word add up in its highest byte when it is multiplied by one whose bytes are 1. Where most of the words
     * are nearly full that is quicker than the compiler's own way. */
    ulong sums = 0;
    for (int i = 0; i + RP_WORD <= RP_WIDTH; i += RP_WORD)
        sums += as_ulong(vload8(0, staged + i));
#if RP_WIDTH % RP_WORD
    sums += as_ulong(vload8(0, staged + RP_WIDTH / RP_WORD * RP_WORD)) << (64 - 8 * (RP_WIDTH % RP_WORD));
#endif
    return (narrow_t)((sums * 0x0101010101010101UL) >> 56);
#else
    narrow_t sum = staged[0];
    for (int i = 1; i < RP_WIDTH; i++)
        sum = combine_narrow(sum, staged[i]);
    return sum;
#endif
}
#endif

static void rp_block(__global const ordered_t *x, arguments_t argument, __global result_t *results, ulong columns)
{
#if defined(RP_BIT_BLOCKS)
    /* A bit for each element: as many words of 64 as a row has elements, for there are as many rows. */
    ulong bits[RP_WIDTH + 1];
    for (int word = 0; word < RP_WIDTH; word++)
        bits[word] = rp_stage_word(x + word * 64, argument);
    bits[RP_WIDTH] = 0;
#pragma unroll
    for (int row = 0; row < RP_BLOCK; row++) {
        const int word = row * RP_WIDTH / 64, bit = row * RP_WIDTH % 64;
        const ulong own = bits[word] >> bit | bits[word + 1] << 1 << (63 - bit);
        results[row * columns] = finish(rp_count_bits(own << (64 - RP_WIDTH)), RP_WIDTH, argument);
    }
#elif defined(RP_NARROW_BLOCKS)
    for (int i = 0; i < RP_BLOCK * RP_WIDTH; i += RP_LINE)
        rp_prefetch(x + i);
    /* What the elements of a block of rows count for is staged in one loop over consecutive elements, then combined row
     * by row: both loops have constant lengths and become wide vector code. */
    narrow_t staged[RP_BLOCK * RP_WIDTH + RP_WORD];
#ifdef __clang__
#pragma clang loop vectorize_width(32)
#endif
    for (int i = 0; i < RP_BLOCK * RP_WIDTH; i++)
        staged[i] = narrow(RP_LOAD(x[i]), argument);
    for (int row = 0; row < RP_BLOCK; row++)
        results[row * columns] = finish(widen(rp_combine_narrow(staged + row * RP_WIDTH)), RP_WIDTH, argument);
#else
    for (int row = 0; row < RP_BLOCK; row++)
        results[row * columns] = finish(rp_fold(x + row * RP_WIDTH, RP_WIDTH, 0, argument), RP_WIDTH, argument);
#endif
}

#if defined(ROW_COUNTS) && !defined(RP_NARROW_BLOCKS) && !defined(RP_BIT_BLOCKS)
#define RP_BLOCKS_ABREAST

static void rp_block_abreast(__global const ordered_t *x, __global const arguments_t *arguments,
                             __global result_t *results, ulong columns)
{
    const rp_ranges_t ranges = rp_ranges(arguments);
    for (int row = 0; row < RP_BLOCK; row++)
        rp_fold_abreast(x + row * RP_WIDTH, RP_WIDTH, ranges, results + row * columns);
}
#endif

__kernel void rp_row_blocks(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                            __global result_t *results, ulong count, ulong columns, ulong columns_per_item,
                            ulong rows_per_item)
{
    data += data_first;
    ulong row = get_global_id(0) * rows_per_item;
    ulong last = min(row + rows_per_item, count);
    for (; row + RP_BLOCK <= last; row += RP_BLOCK) {
        ulong k = RP_FIRST_COLUMN;
#ifdef RP_BLOCKS_ABREAST
        for (; k + RP_ABREAST <= RP_LAST_COLUMN; k += RP_ABREAST)
            rp_block_abreast(data + row * RP_WIDTH, arguments + k, results + row * columns + k, columns);
#endif
        for (; k < RP_LAST_COLUMN; k++)
            rp_block(data + row * RP_WIDTH, arguments[k], results + row * columns + k, columns);
    }
    for (; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = finish(rp_fold(data + row * RP_WIDTH, RP_WIDTH, 0, arguments[k]), RP_WIDTH,
                                                arguments[k]);
}
#endif

/* ---- Any rows: each work item takes a span of equal work, wherever rows begin and end in it. ------------------------
 *
 * All rows are laid end to end on a line of positions: one for each element and one more for each row's end, so that
 * many empty rows are work too. Item i takes positions [i * span, (i + 1) * span). What it has of a row that does not
 * begin and end there it leaves in two places of `carry`: its head, of a row that began earlier, and its tail, of one
 * that begins there and goes on. rp_combine_spans then puts the parts together, in the order of the elements.
 *
 * partial: the chunk is a part of one row, which begins with its element `first`; what is wanted is its accumulators,
 * in the place of results. */

static ulong rp_line_begin(__global const long *offsets, long origin, ulong width, int ragged, ulong row)
{
    return (ragged ? (ulong)(offsets[row] - origin) : row * width) + row;
}

/* The row that holds a position: the last that begins at or before it. */
static ulong rp_line_row(__global const long *offsets, long origin, ulong count, ulong width, int ragged,
                         ulong position)
{
    if (!ragged)
        return position / (width + 1);
    ulong row = 0, end = count;
    while (end - row > 1) {
        ulong middle = row + (end - row) / 2;
        if (rp_line_begin(offsets, origin, width, ragged, middle) <= position)
            row = middle;
        else
            end = middle;
    }
    return row;
}

#define RP_HEAD(item) (carry + 2 * (item)*columns)
#define RP_TAIL(item) (carry + (2 * (item) + 1) * columns)

/* Elements from ... to - 1 of a row, into `parts`. */
static RP_APART void rp_fold_part(const rp_rows_t *rows, ulong row, ulong from, ulong to, ulong first,
                                  __global accumulator_t *parts)
{
    for (ulong k = rows->first_column, n; k < rows->last_column; k += n) {
        accumulator_t accumulators[RP_COLUMNS];
        n = min(rows->last_column - k, (ulong)RP_COLUMNS);
        rp_fold_columns(rows->data + rp_begin(rows, row) + from, to - from, first + from, rows->arguments + k, n,
                        accumulators);
        for (ulong i = 0; i < n; i++)
            parts[k + i] = accumulators[i];
    }
}

__kernel void rp_spans(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                       __global result_t *results, __global accumulator_t *parts, ulong count, ulong width,
                       ulong stride, ulong columns, ulong columns_per_item, ulong span, __global const long *offsets,
                       ulong offsets_first, long origin, int ragged, ulong first, int partial,
                       __global accumulator_t *carry)
{
    offsets += offsets_first;
    const rp_rows_t rows = {.data = data + data_first,
                            .offsets = offsets,
                            .origin = origin,
                            .width = width,
                            .stride = stride,
                            .ragged = ragged,
                            .arguments = arguments,
                            .results = results,
                            .columns = columns,
                            .first_column = RP_FIRST_COLUMN,
                            .last_column = RP_LAST_COLUMN};
    ulong item = get_global_id(0);
    ulong total = rp_line_begin(offsets, origin, width, ragged, count);
    ulong position = item * span;
    ulong end = min(position + span, total);
    if (position >= end)
        return;
    ulong row = rp_line_row(offsets, origin, count, width, ragged, position);
    ulong last = end < total ? rp_line_row(offsets, origin, count, width, ragged, end) : count;
    ulong begin = rp_line_begin(offsets, origin, width, ragged, row);
    if (begin < position) {
        ulong to = min(rp_line_begin(offsets, origin, width, ragged, row + 1) - 1, end);
        rp_fold_part(&rows, row, position - begin, to - begin, first, RP_HEAD(item));
        row++;
    }
    if (row < last && partial)
        rp_fold_part(&rows, row, 0, width, first, parts);
    else
        rp_fold_rows(&rows, row, last);
    if (row <= last && end < total) {
        begin = rp_line_begin(offsets, origin, width, ragged, last);
        if (begin < end)
            rp_fold_part(&rows, last, 0, end - begin, first, RP_TAIL(item));
    }
}

/* One work item for each span: it completes the row that begins in the span and goes on after it, if there is one. */
__kernel void rp_combine_spans(__global const arguments_t *arguments, __global result_t *results,
                               __global accumulator_t *parts, ulong count, ulong width, ulong columns,
                               ulong columns_per_item, ulong span, __global const long *offsets, ulong offsets_first,
                               long origin, int ragged, int partial, __global const accumulator_t *carry)
{
    offsets += offsets_first;
    ulong item = get_global_id(0);
    ulong total = rp_line_begin(offsets, origin, width, ragged, count);
    ulong end = (item + 1) * span;
    if (end >= total)
        return;
    ulong row = rp_line_row(offsets, origin, count, width, ragged, end - 1);
    ulong begin = rp_line_begin(offsets, origin, width, ragged, row);
    ulong next = rp_line_begin(offsets, origin, width, ragged, row + 1);
    if (next <= end || begin < item * span)
        return;
    for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++) {
        accumulator_t whole = RP_TAIL(item)[k];
        for (ulong later = item + 1; later * span < next; later++)
            whole = combine(whole, RP_HEAD(later)[k], arguments[k]);
        if (partial)
            parts[k] = whole;
        else
            results[row * columns + k] = finish(whole, (size_t)(next - begin - 1), arguments[k]);
    }
}
