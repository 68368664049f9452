/* Two counts over the same rows: the first leaves them on the devices, the second finds them there. */
#include <rowpool.h>

static rowpool_status count_twice(rowpool *pool, const rowpool_rows *rows, const rowpool_range ranges[2],
                                  uint32_t *counts[2], rowpool_error *error)
{
    rowpool_data *data;
    rowpool_status status = rowpool_data_open(&data, pool, rows, error);
    for (int i = 0; status == ROWPOOL_OK && i < 2; i++)
        status = rowpool_range_count(pool, rowpool_data_rows(data), &ranges[i], 1, counts[i], error);
    rowpool_data_close(data);
    return status;
}
