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

/* n elements of a row, the first of which is its element `first`. */
static accumulator_t rp_fold(__global const ordered_t *x, ulong n, ulong first, arguments_t argument)
{
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
}

static result_t rp_fold_row(__global const ordered_t *x, ulong width, arguments_t argument)
{
    return finish(rp_fold(x, width, 0, argument), (size_t)width, argument);
}

/* ---- Short rows, all of one width: each work item takes `rows_per_item` whole ones. ----------------------------- */

__kernel void rp_rows(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                      __global result_t *results, ulong count, ulong width, ulong stride, ulong columns,
                      ulong columns_per_item, ulong rows_per_item)
{
    data += data_first;
    ulong first = get_global_id(0) * rows_per_item;
    ulong last = min(first + rows_per_item, count);
    for (ulong row = first; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = rp_fold_row(data + row * stride, width, arguments[k]);
}

/* ---- Short dense rows whose width the compiler knows ------------------------------------------------------------ */

#if RP_WIDTH
#define RP_BLOCK 64 /* rows */

#ifdef ROW_NARROW
#define RP_WORD 8 /* bytes that are added up side by side */

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
#ifdef ROW_NARROW
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
        results[row * columns] = rp_fold_row(x + row * RP_WIDTH, RP_WIDTH, argument);
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
            results[row * columns + k] = rp_fold_row(data + row * RP_WIDTH, RP_WIDTH, arguments[k]);
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

__kernel void rp_spans(__global const ordered_t *data, ulong data_first, __global const arguments_t *arguments,
                       __global result_t *results, __global accumulator_t *parts, ulong count, ulong width,
                       ulong stride, ulong columns, ulong columns_per_item, ulong span, __global const long *offsets,
                       ulong offsets_first, long origin, int ragged, ulong first, int partial,
                       __global accumulator_t *carry)
{
    data += data_first;
    offsets += offsets_first;
    ulong item = get_global_id(0);
    ulong total = rp_line_begin(offsets, origin, width, ragged, count);
    ulong position = item * span;
    ulong end = min(position + span, total);
    if (position >= end)
        return;
    ulong row = rp_line_row(offsets, origin, count, width, ragged, position);
    ulong begin = rp_line_begin(offsets, origin, width, ragged, row);
    while (position < end) {
        ulong next = rp_line_begin(offsets, origin, width, ragged, row + 1);
        ulong from = position - begin;
        ulong to = min(next - 1, end) - begin;
        __global const ordered_t *x = data + (ragged ? begin - row : row * stride) + from;
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++) {
            accumulator_t part = rp_fold(x, to - from, first + from, arguments[k]);
            if (from > 0)
                RP_HEAD(item)[k] = part;
            else if (next > end)
                RP_TAIL(item)[k] = part;
            else if (partial)
                parts[k] = part;
            else
                results[row * columns + k] = finish(part, (size_t)(to - from), arguments[k]);
        }
        position = begin = next;
        row++;
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
