/* Traversal for a fold: how work items walk over rows. The vocabulary and the row function come before it.
 *
 *   fold_counts.cl   vector forms for functions that count elements (ROW_COUNTS), on CPUs
 *   fold_blocks.cl   short dense rows, for one width (RP_WIDTH)
 *
 * Arrays of a chunk:
 *   data        elements; the chunk's first is data[data_first]
 *   offsets     ragged rows: count + 1 of them from offsets[offsets_first] on; row r begins at element
 *               offsets[offsets_first + r] - origin of the chunk. Else unused
 *   arguments   `columns` argument structs
 *   results     count x columns
 */

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

/* How far ahead of a read the prefetch is, in bytes. A CPU prefetches by itself, but only within a page. Without this,
 * counts reach 0.6 of the memory's bandwidth; with it, all of it. 4096 was the best of 512 to 8192, and L2 was better
 * than L1. */
#ifndef RP_AHEAD
#define RP_AHEAD 4096
#endif

enum {
    RP_SLICE = 16384 / sizeof(ordered_t), /* elements that stay in a CPU's L1 cache while all columns pass over them */
    RP_COLUMNS = 16,                      /* columns that pass over a long row together */
    RP_TOGETHER = 64,                     /* short rows that all columns pass over together */
    RP_ACCUMULATORS = 8,             /* independent ones for one row, where the order of elements does not matter */
    RP_LINE = 64 / sizeof(ordered_t) /* elements of a CPU's cache line */
};

#define RP_WORD 8 /* bytes that are added up in parallel */

/* Compilers for CPUs define their architecture; those for GPUs and SPIR-V do not. */
#if defined(__x86_64__) || defined(__aarch64__)
#define RP_IS_CPU 1
#define RP_NOINLINE __attribute__((noinline)) /* for long functions: inlined copies make a build a fifth longer */
#else
#define RP_IS_CPU 0
#define RP_NOINLINE
#undef ROW_COUNTS /* vectors are for CPUs: other devices split them up, which makes builds long */
#endif

#ifdef RP_MOST_ACCUMULATOR_SIZE
typedef char rp_accumulator_t_is_larger_than_said[sizeof(accumulator_t) <= RP_MOST_ACCUMULATOR_SIZE ? 1 : -1];
#endif

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#ifdef ROW_ORDERED
#define RP_LOAD(x) ROW_ORDER(x)
#else
#define RP_LOAD(x) ROW_VALUE(x)
#endif

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

/* Prefetches the cache line RP_AHEAD bytes after x; past the end of memory that does nothing. OpenCL's own prefetch
 * does nothing in PoCL. */
static void rp_prefetch(__global const void *x)
{
#if RP_IS_CPU
    __builtin_prefetch((__private const void *)((ulong)x + RP_AHEAD), 0, 2); /* for reading; into L2 */
#else
    (void)x;
#endif
}

#ifdef ROW_COUNTS
#include "fold_counts.cl"
#endif

/* Folds n elements of a row; x[0] is the row's element `first`. */
static accumulator_t rp_fold(__global const ordered_t *x, ulong n, ulong first, arguments_t argument)
{
#ifdef ROW_COUNTS
    (void)first;
    return rp_count(x, n, argument);
#else
    accumulator_t accumulator = identity(argument);
    ulong i = 0;
#ifdef ROW_COMMUTES
    if (n >= 2 * RP_ACCUMULATORS) {
        accumulator_t lane[RP_ACCUMULATORS];
        for (int k = 0; k < RP_ACCUMULATORS; k++)
            lane[k] = accumulator;
        for (; i + RP_ACCUMULATORS <= n; i += RP_ACCUMULATORS)
            for (int k = 0; k < RP_ACCUMULATORS; k++)
                lane[k] = element(lane[k], RP_LOAD(x[i + k]), (size_t)(first + i + k), argument);
        for (int k = 0; k < RP_ACCUMULATORS; k++)
            accumulator = combine(accumulator, lane[k], argument);
    }
#endif
    for (; i < n; i++)
        accumulator = element(accumulator, RP_LOAD(x[i]), (size_t)(first + i), argument);
    return accumulator;
#endif
}

/* The same in up to RP_COLUMNS columns. */
static void rp_fold_columns(__global const ordered_t *x, ulong n, ulong first, __global const arguments_t *arguments,
                            ulong columns, accumulator_t *accumulators)
{
    for (ulong k = 0; k < columns; k++)
        accumulators[k] = identity(arguments[k]);
    for (ulong from = 0; from < n; from += RP_SLICE) {
        ulong k = 0, part = min(n - from, (ulong)RP_SLICE);
#ifdef ROW_COUNTS
        for (; k + RP_RANGES <= columns; k += RP_RANGES) {
            const rp_sums_t sums = rp_count_ranges(x + from, part, rp_ranges(arguments + k));
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

/* A row's result in one column. */
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
static RP_NOINLINE void rp_fold_long(const rp_rows_t *rows, ulong row)
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

/* Rows first ... last - 1. Short ones are taken together, so that all columns pass over what is in the cache. */
static void rp_fold_rows(const rp_rows_t *rows, ulong first, ulong last)
{
#ifdef RP_STAGES
    const bool end_to_end = rows->ragged || rows->stride == rows->width;
    rp_staged_t staged[RP_STAGED_SIZE] __attribute__((aligned(16)));
#endif
#ifdef RP_BITS
    const bool one = rows->first_column + 1 == rows->last_column;
    const ulong mean = one ? RP_STAGED : RP_STAGED_MEAN, limit = one ? RP_STAGED : RP_SLICE;
#elif defined(RP_STAGES)
    const ulong mean = RP_STAGED_MEAN, limit = RP_STAGED;
#endif
    for (ulong n; first < last; first += n) {
        n = min(last - first, (ulong)RP_TOGETHER);
#if RP_IS_CPU
        ulong elements = rp_elements(rows, first, n);
#ifdef RP_BITS
        for (; rows->ragged && elements > limit && n > 1; elements = rp_elements(rows, first, n))
            n /= 2; /* a long row may stand among short ones */
#endif
#ifdef RP_STAGES
        if (end_to_end && elements <= min(n * mean, limit)) {
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
        for (; k + RP_RANGES <= rows->last_column; k += RP_RANGES)
            rp_fold_rows_ranges(rows, first, first + n, k);
#endif
        for (; k < rows->last_column; k++) {
            const arguments_t argument = rows->arguments[k];
            for (ulong row = first; row < first + n; row++)
                rows->results[row * rows->columns + k] = rp_fold_short(rows, row, argument);
        }
    }
}

/* ---- Short rows, all of one width: each work item takes `rows_per_item` whole ones ------------------------------- */

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

#if RP_WIDTH
#include "fold_blocks.cl"
#endif

/* ---- Any rows: each work item takes a span of equal work, wherever rows begin and end in it -----------------------
 *
 * All rows are laid end to end on a line of positions: one for each element and one more for each row's end, so that
 * many empty rows are work too. Item i takes positions [i * span, (i + 1) * span). For rows that begin or end outside
 * the span it leaves two partial accumulators in `carry`: the head, of a row that began earlier, and the tail, of one
 * that begins in the span and continues beyond it. rp_combine_spans then combines them in the order of the elements.
 *
 * partial: the chunk is a part of one row, from its element `first` on; the accumulators, not the result, are
 * wanted. */

static ulong rp_line_begin(const rp_rows_t *rows, ulong row)
{
    return (rows->ragged ? (ulong)(rows->offsets[row] - rows->origin) : row * rows->width) + row;
}

/* The row that holds a position: the last that begins at or before it. */
static ulong rp_line_row(const rp_rows_t *rows, ulong count, ulong position)
{
    if (!rows->ragged)
        return position / (rows->width + 1);
    ulong row = 0, end = count;
    while (end - row > 1) {
        ulong middle = row + (end - row) / 2;
        if (rp_line_begin(rows, middle) <= position)
            row = middle;
        else
            end = middle;
    }
    return row;
}

#define RP_HEAD(item) (carry + 2 * (item)*columns)
#define RP_TAIL(item) (carry + (2 * (item) + 1) * columns)

/* Elements from ... to - 1 of a row, into `parts`. */
static RP_NOINLINE void rp_fold_part(const rp_rows_t *rows, ulong row, ulong from, ulong to, ulong first,
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
    const rp_rows_t rows = {.data = data + data_first,
                            .offsets = offsets + offsets_first,
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
    ulong total = rp_line_begin(&rows, count);
    ulong position = item * span;
    ulong end = min(position + span, total);
    if (position >= end)
        return;
    ulong row = rp_line_row(&rows, count, position);
    ulong last = end < total ? rp_line_row(&rows, count, end) : count;
    ulong begin = rp_line_begin(&rows, row);
    if (begin < position) {
        ulong to = min(rp_line_begin(&rows, row + 1) - 1, end);
        rp_fold_part(&rows, row, position - begin, to - begin, first, RP_HEAD(item));
        row++;
    }
    if (row < last && partial)
        rp_fold_part(&rows, row, 0, width, first, parts);
    else
        rp_fold_rows(&rows, row, last);
    if (row <= last && end < total) {
        begin = rp_line_begin(&rows, last);
        if (begin < end)
            rp_fold_part(&rows, last, 0, end - begin, first, RP_TAIL(item));
    }
}

/* One work item for each span: it completes the row that begins in the span and continues beyond it, if there is
 * one. */
__kernel void rp_combine_spans(__global const arguments_t *arguments, __global result_t *results,
                               __global accumulator_t *parts, ulong count, ulong width, ulong columns,
                               ulong columns_per_item, ulong span, __global const long *offsets, ulong offsets_first,
                               long origin, int ragged, int partial, __global const accumulator_t *carry)
{
    const rp_rows_t rows = {.offsets = offsets + offsets_first, .origin = origin, .width = width, .ragged = ragged};
    ulong item = get_global_id(0);
    ulong end = (item + 1) * span;
    if (end >= rp_line_begin(&rows, count))
        return;
    ulong row = rp_line_row(&rows, count, end - 1);
    ulong begin = rp_line_begin(&rows, row);
    ulong next = rp_line_begin(&rows, row + 1);
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
