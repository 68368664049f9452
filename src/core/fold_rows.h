/* Template: the host's traversal of rows, for one element and one result type. The row function's body stands just
 * before it. */

#ifndef RP_CORE_FOLD_ROWS_H
#define RP_CORE_FOLD_ROWS_H

enum {
    RP_SLICE = 4096,         /* elements that stay in the first cache while every column passes over them */
    RP_MOST_SHORT_WIDTH = 32 /* elements of the widest rows that are staged */
};

#endif

/* Adds up the staged elements of n rows. Inlined for the widths that are constants where it is called. */
static inline __attribute__((always_inline)) void RP_NAME(combine_staged)(const uint8_t *staged, size_t n, size_t width,
                                                                          RP_RESULT *results, size_t columns)
{
    for (size_t r = 0; r < n; r++) {
        uint8_t result = staged[r * width];
        for (size_t i = 1; i < width; i++)
            result = RP_NAME(combine_narrow)(result, staged[r * width + i]);
        results[r * columns] = result;
    }
}

static void RP_NAME(combine_rows)(const uint8_t *staged, size_t n, size_t width, RP_RESULT *results, size_t columns)
{
    switch (width) {
#define RP_CASE(w)                                               \
    case w:                                                      \
        RP_NAME(combine_staged)(staged, n, w, results, columns); \
        break
        RP_CASE(1);
        RP_CASE(2);
        RP_CASE(3);
        RP_CASE(4);
        RP_CASE(5);
        RP_CASE(6);
        RP_CASE(7);
        RP_CASE(8);
#undef RP_CASE
    default:
        RP_NAME(combine_staged)(staged, n, width, results, columns);
    }
}

/* Short dense rows: what consecutive elements count for is staged in one wide loop, then added up row by row. */
static void RP_NAME(fold_short)(const rp_block *block, const RP_NAME(arguments) * argument, size_t columns,
                                RP_RESULT *results)
{
    uint8_t staged[RP_SLICE];
    size_t width = block->width, most = RP_SLICE / width;
    for (size_t first = 0, n; first < block->count; first += n) {
        const RP_ELEMENT *x = (const RP_ELEMENT *)block->data + first * width;
        n = block->count - first < most ? block->count - first : most;
        for (size_t k = 0; k < columns; k++) {
            const RP_NAME(arguments) one = argument[k];
            for (size_t i = 0; i < n * width; i++)
                staged[i] = RP_NAME(single)(RP_KEY(x[i]), one);
            RP_NAME(combine_rows)(staged, n, width, results + first * columns + k, columns);
        }
    }
}

static void RP_NAME(fold)(const rp_block *block, const void *arguments, size_t columns, void *results)
{
    const RP_NAME(arguments) *argument = arguments;
    if (block->offsets == NULL && block->stride == block->width && block->width > 0 &&
        block->width <= RP_MOST_SHORT_WIDTH && !block->resume) {
        RP_NAME(fold_short)(block, argument, columns, results);
        return;
    }
    for (size_t r = 0; r < block->count; r++) {
        size_t begin = block->offsets == NULL ? r * block->stride : (size_t)(block->offsets[r] - block->origin);
        size_t width = block->offsets == NULL ? block->width : (size_t)(block->offsets[r + 1] - block->offsets[r]);
        const RP_ELEMENT *row = width == 0 ? NULL : (const RP_ELEMENT *)block->data + begin;
        RP_RESULT *result = (RP_RESULT *)results + r * columns;
        for (size_t k = 0; !block->resume && k < columns; k++)
            result[k] = RP_NAME(identity)();
        for (size_t from = 0; from < width; from += RP_SLICE) {
            size_t to = width - from < RP_SLICE ? width : from + RP_SLICE;
            for (size_t k = 0; k < columns; k++) {
                RP_RESULT accumulator = result[k];
                for (size_t i = from; i < to; i++)
                    accumulator = RP_NAME(element)(accumulator, RP_KEY(row[i]), argument[k]);
                result[k] = accumulator;
            }
        }
    }
}

static void RP_NAME(combine_parts)(void *into, const void *part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((RP_RESULT *)into)[i] = RP_NAME(combine)(((RP_RESULT *)into)[i], ((const RP_RESULT *)part)[i]);
}
