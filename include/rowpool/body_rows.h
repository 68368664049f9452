/* Template: the traversal of rows for a free body, for one dtype. Included by function.h after the function's file.
 * Parameters: ROWPOOL_DTYPE; the file's ROW1_DTYPE ... ROW3_DTYPE and ROW_RESULT_DTYPE. */

static void ROW_NAME(rows)(const rowpool_block *block, const void *arguments, size_t columns, void *results)
{
    result_t *result = results;
    for (size_t r = 0; r < block->count; r++) {
        size_t width[ROWPOOL_MOST_INPUTS];
        const void *row[] = {
            rowpool_block_row(block, 0, r, sizeof(ROWPOOL_STORED(ROWPOOL_DTYPE)), &width[0]),
            rowpool_block_row(block, 1, r, sizeof(ROWPOOL_STORED(ROW1_DTYPE)), &width[1]),
            rowpool_block_row(block, 2, r, sizeof(ROWPOOL_STORED(ROW2_DTYPE)), &width[2]),
            rowpool_block_row(block, 3, r, sizeof(ROWPOOL_STORED(ROW3_DTYPE)), &width[3]),
        };
        for (size_t k = 0; k < columns; k++)
            *result++ = ROW_NAME(body)(row[0], width[0], row[1], width[1], row[2], width[2], row[3], width[3],
                                       block->row + r, ((const arguments_t *)arguments)[k]);
    }
}

static const rowpool_compiled ROW_NAME(compiled) = {
    .arguments_size = sizeof(arguments_t),
    .result_size = sizeof(result_t),
    .result_alignment = _Alignof(result_t),
    .result_dtype = ROWPOOL_RESULT_DTYPE,
    .rows = ROW_NAME(rows),
};
