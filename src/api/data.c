/* Rows that stay on devices. */
#include "sched/data.h"

#include "base/thread.h"
#include "sched/pool.h"

rowpool_status rowpool_data_open(rowpool_data **data, rowpool *pool, const rowpool_rows *rows, rowpool_error *error)
{
    if (data == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "data is NULL: there is no place for the handle");
    *data = NULL;
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    rp_rows checked;
    RP_TRY(rp_rows_check(rows, UINT64_MAX, &checked, error));
    return rp_data_open(data, pool, rows, &checked, error);
}

const rowpool_rows *rowpool_data_rows(const rowpool_data *data)
{
    return data != NULL ? &data->given : NULL;
}

void rowpool_data_close(rowpool_data *data)
{
    RP_NO_CANCEL;
    if (data != NULL)
        rp_data_close(data);
}
