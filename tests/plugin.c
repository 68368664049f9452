/* A library that is loaded while a pool is open: no worker has its row function yet. */
#include "rowpool.h"

ROWPOOL_API rowpool_row_function plugin_row;
ROWPOOL_API rowpool_apply_function plugin_apply;

void plugin_row(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const int32_t *elements = row->data;
    int64_t sum = 0;
    (void)arguments;
    for (size_t i = 0; i < row->width; i++)
        sum += elements[i];
    *(int64_t *)result = 1000 * (int64_t)index + sum;
}

void plugin_apply(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    for (size_t i = 0; i < result_size; i++)
        ((unsigned char *)result)[i] = (unsigned char)(((const unsigned char *)argument)[i % argument_size] + 1);
}
