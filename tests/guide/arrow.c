/* Counts over the rows of an Arrow array, which stays the caller's. */
#include <rowpool.h>
#include <rowpool/arrow.h>

static rowpool_status count_arrow(rowpool *pool, const struct ArrowSchema *schema, const struct ArrowArray *array,
                                  const rowpool_range *range, uint32_t *counts, rowpool_error *error)
{
    rowpool_arrow *arrow;
    rowpool_status status = rowpool_arrow_open(&arrow, schema, array, error);
    if (status == ROWPOOL_OK)
        status = rowpool_range_count(pool, rowpool_arrow_rows(arrow), range, 1, counts, error);
    rowpool_arrow_close(arrow);
    return status;
}
