/* Template: the host's traversal of rows, for one element and one result type. The row function's body stands just
 * before it. */
static void RP_NAME(fold)(const rp_block *block, const void *arguments, size_t columns, void *results)
{
    enum { SLICE = 4096 }; /* elements that stay in the first cache while every column passes over them */
    const RP_NAME(arguments) *argument = arguments;
    for (size_t r = 0; r < block->count; r++) {
        size_t begin = block->offsets == NULL ? r * block->stride : (size_t)(block->offsets[r] - block->origin);
        size_t width = block->offsets == NULL ? block->width : (size_t)(block->offsets[r + 1] - block->offsets[r]);
        const RP_ELEMENT *row = width == 0 ? NULL : (const RP_ELEMENT *)block->data + begin;
        RP_RESULT *result = (RP_RESULT *)results + r * columns;
        for (size_t k = 0; !block->resume && k < columns; k++)
            result[k] = RP_NAME(identity)();
        for (size_t from = 0; from < width; from += SLICE) {
            size_t to = width - from < SLICE ? width : from + SLICE;
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
