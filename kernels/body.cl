/* Traversal for a free body: each work item takes `rows_per_item` whole rows of up to four inputs. The vocabulary and
 * the row function come before it. */
#define RP_INPUT(dtype, n)                                                                 \
    ROWPOOL_STORED(dtype) * data##n, ulong data_first##n, ulong width##n, ulong stride##n, \
        __global const long *offsets##n, ulong offsets_first##n, long origin##n, int ragged##n
#define RP_OFFSET(n, row) offsets##n[offsets_first##n + (row)]
#define RP_ROW(n)                                                                                     \
    data##n + data_first##n + (ragged##n ? (ulong)(RP_OFFSET(n, row) - origin##n) : row * stride##n), \
        ragged##n ? (size_t)(RP_OFFSET(n, row + 1) - RP_OFFSET(n, row)) : (size_t)width##n

__kernel void rp_bodies(__global const arguments_t *arguments, __global result_t *results, ulong count, ulong index,
                        ulong columns, ulong columns_per_item, ulong rows_per_item, RP_INPUT(ROWPOOL_DTYPE, 0),
                        RP_INPUT(ROW1_DTYPE, 1), RP_INPUT(ROW2_DTYPE, 2), RP_INPUT(ROW3_DTYPE, 3))
{
    ulong first = get_global_id(0) * rows_per_item;
    ulong last = min(first + rows_per_item, count);
    for (ulong row = first; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = ROW_NAME(body)(RP_ROW(0), RP_ROW(1), RP_ROW(2), RP_ROW(3),
                                                        (size_t)(index + row), arguments[k]);
}
