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
 * and what counts leaves it little time to look ahead. Without, it stays at 0.75 of the memory's rate instead of 0.9; of
 * 512 to 4096 this is best. */
#ifndef RP_AHEAD
#define RP_AHEAD 2048
#endif

/* One line. The built-in prefetch does nothing in PoCL. Beyond the end there may be no memory: the instruction does not
 * mind. */
static void rp_prefetch(__global const ordered_t *x)
{
#if RP_IS_CPU
    __builtin_prefetch((__private const void *)((ulong)x + RP_AHEAD));
#else
    (void)x;
#endif
}

#ifdef ROW_COUNTS
/* Elements that count for 0 or 1 are taken as vectors; what they count for adds up in lanes as wide as they are. Vectors
 * are those of a CPU's registers: compilers warn of functions that take or return wider ones. */
#ifdef __AVX__
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

#define RP_NUMBERS_2 0, 1
#define RP_NUMBERS_4 RP_NUMBERS_2, 2, 3
#define RP_NUMBERS_8 RP_NUMBERS_4, 4, 5, 6, 7
#define RP_NUMBERS_16 RP_NUMBERS_8, 8, 9, 10, 11, 12, 13, 14, 15

#define RP_SUM_2(v) ((v).x + (v).y)
#define RP_SUM_4(v) RP_SUM_2((v).lo + (v).hi)
#define RP_SUM_8(v) RP_SUM_4((v).lo + (v).hi)
#define RP_SUM_16(v) RP_SUM_8((v).lo + (v).hi)

enum { RP_MOST_ROUNDS = 127 * RP_LANES / RP_LINE }; /* lines until a lane of 8 bits may be full */

static RP_VECTOR rp_load(__global const ordered_t *x)
{
    RP_VECTOR bits = ROWPOOL_JOIN(vload, RP_LANES)(0, x);
#if ROW_IS_FLOAT
    bits ^= (bits >> (RP_VECTOR)(ROW_BITS - 1)) & (RP_VECTOR)ROWPOOL_LARGEST(ordered_t);
#endif
    return bits;
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
#endif

/* n elements of a row, the first of which is its element `first`. */
static accumulator_t rp_fold(__global const ordered_t *x, ulong n, ulong first, arguments_t argument)
{
    accumulator_t accumulator = identity(argument);
#ifdef ROW_COUNTS
    (void)first;
    while (n >= RP_LINE) {
        RP_COUNTS counts = 0;
        ulong rounds = min(n / RP_LINE, (ulong)RP_MOST_ROUNDS);
        n -= rounds * RP_LINE;
        for (; rounds > 0; rounds--, x += RP_LINE) {
            rp_prefetch(x);
#pragma unroll
            for (int i = 0; i < RP_LINE; i += RP_LANES)
                counts -= ROW_COUNTS(rp_load(x + i), argument);
        }
        accumulator += rp_sum(counts);
    }
    if (n > 0) {
        rp_prefetch(x);
        accumulator += rp_count_few(x, n, argument);
    }
#else
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
#endif
    return accumulator;
}

/* Elements that stay in a CPU's first cache while every column passes over them, and columns that do so together. */
enum { RP_SLICE = 16384 / sizeof(ordered_t), RP_COLUMNS = 16 };

/* The same of up to RP_COLUMNS columns. */
static void rp_fold_columns(__global const ordered_t *x, ulong n, ulong first, __global const arguments_t *arguments,
                            ulong columns, accumulator_t *accumulators)
{
    for (ulong k = 0; k < columns; k++)
        accumulators[k] = identity(arguments[k]);
    for (ulong from = 0; from < n; from += RP_SLICE)
        for (ulong k = 0; k < columns; k++) {
            accumulator_t part = rp_fold(x + from, min(n - from, (ulong)RP_SLICE), first + from, arguments[k]);
            accumulators[k] = combine(accumulators[k], part, arguments[k]);
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

#if defined(ROW_COUNTS) && defined(__ENDIAN_LITTLE__)
#define RP_STAGES
#define RP_BYTES ROWPOOL_JOIN(uchar, RP_LANES)
#define RP_CONVERT ROWPOOL_JOIN(convert_, RP_BYTES)

enum {
    RP_STAGED_MEAN = RP_LANES * 3 / 2, /* the mean length up to which it pays (with int32 and uint8) */
    RP_STAGED = RP_TOGETHER * RP_STAGED_MEAN,
    RP_STAGED_WIDTH = 255 /* elements that a byte can count */
};

/* What n elements count for, a byte each. */
static void rp_stage(__global const ordered_t *x, ulong n, arguments_t argument, uchar *staged)
{
    ulong i = 0;
    for (; i + RP_LANES <= n; i += RP_LANES)
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

/* The same of more than a word. */
static uint rp_sum_words(const uchar *bytes, uint width)
{
    ulong sums = 0;
    for (; width > RP_WORD; width -= RP_WORD, bytes += RP_WORD)
        sums += as_ulong(vload8(0, bytes));
    return rp_sum_word(bytes, width, sums);
}

/* Short rows, end to end: what their elements count for is staged in one loop, whatever their lengths are, then summed up
 * row by row. */
static void rp_fold_staged(const rp_rows_t *rows, ulong first, ulong n, ulong k, uchar *staged)
{
    const arguments_t argument = rows->arguments[k];
    const ulong begin = rp_begin(rows, first), columns = rows->columns, equal = rows->width;
    __global const long *ends = rows->ragged ? rows->offsets + first + 1 : 0;
    const long origin = rows->origin + (long)begin;
    __global result_t *results = rows->results + first * columns + k;
    rp_stage(rows->data + begin, rp_begin(rows, first + n) - begin, argument, staged);
    for (ulong row = 0, at = 0; row < n; row++) {
        ulong width = ends ? (ulong)(ends[row] - origin) - at : equal;
        accumulator_t sum;
        if (width <= RP_WORD)
            sum = (accumulator_t)rp_sum_word(staged + at, (uint)width, 0);
        else if (width <= RP_STAGED_WIDTH)
            sum = (accumulator_t)rp_sum_words(staged + at, (uint)width);
        else
            sum = rp_fold(rows->data + begin + at, width, 0, argument);
        results[row * columns] = finish(sum, (size_t)width, argument);
        at += width;
    }
}
#endif

/* Rows first ... last - 1: those that are short together, so that every column passes over what is in the cache. */
static void rp_fold_rows(const rp_rows_t *rows, ulong first, ulong last)
{
#ifdef RP_STAGES
    uchar staged[RP_STAGED + RP_WORD] __attribute__((aligned(16)));
#endif
    for (ulong n; first < last; first += n) {
        n = min(last - first, (ulong)RP_TOGETHER);
#if RP_IS_CPU
        ulong elements = rows->ragged ? rp_begin(rows, first + n) - rp_begin(rows, first) : n * rows->width;
        if (elements > RP_SLICE) {
            for (ulong row = first; row < first + n; row++)
                rp_fold_long(rows, row);
            continue;
        }
#endif
#ifdef RP_STAGES
        if (elements <= n * RP_STAGED_MEAN && (rows->ragged || rows->stride == rows->width)) {
            for (ulong i = 0; i < elements; i += RP_LINE)
                rp_prefetch(rows->data + rp_begin(rows, first) + i);
            for (ulong k = rows->first_column; k < rows->last_column; k++)
                rp_fold_staged(rows, first, n, k, staged);
            continue;
        }
#endif
        for (ulong k = rows->first_column; k < rows->last_column; k++) {
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

/* Rows shorter than a vector: what their elements count for is staged narrow. */
#if defined(ROW_NARROW) && !(defined(ROW_COUNTS) && RP_WIDTH >= RP_LANES)
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
#ifdef RP_NARROW_BLOCKS
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

__kernel void rp_row_blocks(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                            __global result_t *results, ulong count, ulong columns, ulong columns_per_item,
                            ulong rows_per_item)
{
    data += data_first;
    ulong row = get_global_id(0) * rows_per_item;
    ulong last = min(row + rows_per_item, count);
    for (; row + RP_BLOCK <= last; row += RP_BLOCK)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            rp_block(data + row * RP_WIDTH, arguments[k], results + row * columns + k, columns);
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
