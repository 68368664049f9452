/* Traversal: how work items walk over rows. The prelude and a row function's body (identity, element, combine) stand
 * before it. Arrays of a chunk:
 *   data        its elements
 *   offsets     ragged rows: count + 1 of them, where row r is data[offsets[r] - origin] ...; else unused
 *   arguments   `columns` argument structs
 *   results     count x columns
 * Dimension 0 is work along the rows, dimension 1 along the columns: each work item does `columns_per_item` of them.
 */
#define RP_FIRST_COLUMN (get_global_id(1) * columns_per_item)
#define RP_LAST_COLUMN min(RP_FIRST_COLUMN + columns_per_item, columns)

static RP_RESULT rp_fold(__global const RP_ELEMENT *x, ulong n, rp_arguments argument)
{
    RP_RESULT accumulator = rp_identity();
    for (ulong i = 0; i < n; i++)
        accumulator = rp_element(accumulator, RP_KEY(x[i]), argument);
    return accumulator;
}

/* ---- Short rows, all of one width: each work item takes `rows_per_item` whole ones. ----------------------------- */

__kernel void rp_rows(__global const RP_ELEMENT *data, __global const rp_arguments *arguments,
                      __global RP_RESULT *results, ulong count, ulong width, ulong stride, ulong columns,
                      ulong columns_per_item, ulong rows_per_item)
{
    ulong first = get_global_id(0) * rows_per_item;
    ulong last = min(first + rows_per_item, count);
    for (ulong row = first; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = rp_fold(data + row * stride, width, arguments[k]);
}

/* ---- Short dense rows whose width the compiler knows ------------------------------------------------------------ */

#if RP_WIDTH
#define RP_BLOCK 64 /* rows */

/* What the elements of a block of rows count for is staged in one loop over consecutive elements, then added up row by
 * row: both loops have constant lengths and become wide vector code. */
static void rp_block(__global const RP_ELEMENT *x, rp_arguments argument, __global RP_RESULT *results, ulong columns)
{
    uint8_t staged[RP_BLOCK * RP_WIDTH];
    for (int i = 0; i < RP_BLOCK * RP_WIDTH; i++)
        staged[i] = rp_single(RP_KEY(x[i]), argument);
    for (int row = 0; row < RP_BLOCK; row++) {
        uint8_t result = staged[row * RP_WIDTH];
        for (int i = 1; i < RP_WIDTH; i++)
            result = rp_combine_narrow(result, staged[row * RP_WIDTH + i]);
        results[row * columns] = result;
    }
}

__kernel void rp_row_blocks(__global const RP_ELEMENT *data, __global const rp_arguments *arguments,
                            __global RP_RESULT *results, ulong count, ulong columns, ulong columns_per_item,
                            ulong rows_per_item)
{
    ulong row = get_global_id(0) * rows_per_item;
    ulong last = min(row + rows_per_item, count);
    for (; row + RP_BLOCK <= last; row += RP_BLOCK)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            rp_block(data + row * RP_WIDTH, arguments[k], results + row * columns + k, columns);
    for (; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = rp_fold(data + row * RP_WIDTH, RP_WIDTH, arguments[k]);
}
#endif

/* ---- Any rows: each work item takes a span of equal work, wherever rows begin and end in it. ------------------------
 *
 * All rows are laid end to end on a line of positions: one for each element and one more for each row's end, so that
 * many empty rows are work too. Item i takes positions [i * span, (i + 1) * span). A row that began in an earlier span
 * leaves its part in carry[i]; rp_combine_spans then adds the carries to the row's result. */

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

__kernel void rp_spans(__global const RP_ELEMENT *data, __global const rp_arguments *arguments,
                       __global RP_RESULT *results, ulong count, ulong width, ulong stride, ulong columns,
                       ulong columns_per_item, ulong span, __global const long *offsets, long origin, int ragged,
                       __global RP_RESULT *carry)
{
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
        __global const RP_ELEMENT *x = data + (ragged ? begin - row : row * stride) + from;
        __global RP_RESULT *out = from == 0 ? results + row * columns : carry + item * columns;
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            out[k] = rp_fold(x, to - from, arguments[k]);
        position = begin = next;
        row++;
    }
}

/* One work item for each span: it completes the row that begins in the span and goes on after it, if there is one. */
__kernel void rp_combine_spans(__global RP_RESULT *results, ulong count, ulong width, ulong columns,
                               ulong columns_per_item, ulong span, __global const long *offsets, long origin,
                               int ragged, __global const RP_RESULT *carry)
{
    ulong item = get_global_id(0);
    ulong total = rp_line_begin(offsets, origin, width, ragged, count);
    ulong end = (item + 1) * span;
    if (end >= total)
        return;
    ulong row = rp_line_row(offsets, origin, count, width, ragged, end - 1);
    ulong next = rp_line_begin(offsets, origin, width, ragged, row + 1);
    if (next <= end || rp_line_begin(offsets, origin, width, ragged, row) < item * span)
        return;
    for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++) {
        RP_RESULT result = results[row * columns + k];
        for (ulong later = item + 1; later * span < next; later++)
            result = rp_combine(result, carry[later * columns + k]);
        results[row * columns + k] = result;
    }
}
