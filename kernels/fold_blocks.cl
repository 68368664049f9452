/* Short dense rows whose width the compiler knows: part of fold.cl where RP_WIDTH is not 0. Each work item takes blocks
 * of whole rows. The form of a block:
 *
 *   RP_BIT_BLOCKS      with AVX-512, rows that do not fill whole cache lines: a bit for each element
 *   RP_NARROW_BLOCKS   other functions with a narrow form, rows shorter than a vector: narrow elements
 *   else               row by row
 *
 * Parameters: */
#define RP_BLOCK 64 /* rows */

#if defined(RP_BITS) && RP_WIDTH <= RP_BLOCK && RP_WIDTH % (64 * 8 / ROW_BITS) != 0
#define RP_BIT_BLOCKS
#elif defined(ROW_NARROW) && !(defined(ROW_COUNTS) && RP_WIDTH >= RP_LANES)
#define RP_NARROW_BLOCKS

/* Combines the narrow elements of a row. May read up to RP_WORD bytes beyond them, without using them. */
static narrow_t rp_combine_narrow(const narrow_t *staged)
{
#if defined(ROW_NARROW_SUMS) && defined(__ENDIAN_LITTLE__) && (RP_WIDTH % RP_WORD > 4 || RP_WIDTH == RP_WORD)
    /* The product of a word and 0x0101...01 has the sum of the word's bytes in its top byte. Where most words are
     * nearly full, that is faster than what the compiler makes of the loop below. */
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
    /* RP_BLOCK rows of RP_WIDTH bits are RP_WIDTH words of 64. */
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
    /* Both loops, over the elements of all rows and over the rows, have constant lengths and become wide vector
     * code. */
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
    for (; row + RP_BLOCK <= last; row += RP_BLOCK) {
        ulong k = RP_FIRST_COLUMN;
#if defined(ROW_COUNTS) && !defined(RP_NARROW_BLOCKS) && !defined(RP_BIT_BLOCKS)
        for (; k + RP_RANGES <= RP_LAST_COLUMN; k += RP_RANGES) {
            const rp_ranges_t ranges = rp_ranges(arguments + k);
            for (int r = 0; r < RP_BLOCK; r++)
                rp_fold_ranges(data + (row + r) * RP_WIDTH, RP_WIDTH, ranges, results + (row + r) * columns + k);
        }
#endif
        for (; k < RP_LAST_COLUMN; k++)
            rp_block(data + row * RP_WIDTH, arguments[k], results + row * columns + k, columns);
    }
    for (; row < last; row++)
        for (ulong k = RP_FIRST_COLUMN; k < RP_LAST_COLUMN; k++)
            results[row * columns + k] = finish(rp_fold(data + row * RP_WIDTH, RP_WIDTH, 0, arguments[k]), RP_WIDTH,
                                                arguments[k]);
}
