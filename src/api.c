/* The public calls: checked here, done elsewhere. */
#include <stdlib.h>

#include "base/checked.h"
#include "core/range.h"
#include "pool/pool.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *rowpool_version(void)
{
    return TEXT(ROWPOOL_VERSION_MAJOR) "." TEXT(ROWPOOL_VERSION_MINOR) "." TEXT(ROWPOOL_VERSION_PATCH);
}

/* Normalises the ranges into map->arguments, for which store gives the place. */
static rowpool_status take_ranges(rp_map *map, const rowpool_range *ranges, size_t n_ranges, rp_arguments_store *store,
                                  rowpool_error *error)
{
    const rowpool_range usual = rowpool_range_i64(4, 8);
    const rp_dtype *dtype = map->rows.dtype;
    if (ranges == NULL && n_ranges > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "ranges is NULL, but n_ranges is %zu", n_ranges);
    if (ranges != NULL && n_ranges == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "n_ranges is 0, but ranges is not NULL");
    if (ranges == NULL) {
        ranges = &usual;
        n_ranges = 1;
    }
    map->columns = n_ranges;
    if (!rp_mul(n_ranges, 2 * dtype->size, &map->arguments_size) || map->arguments_size > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "n_ranges is %zu: more than memory can hold", n_ranges);
    char *arguments = store->inside;
    if (map->arguments_size > sizeof store->inside) {
        arguments = store->heap = malloc(map->arguments_size);
        if (arguments == NULL)
            return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu ranges", n_ranges);
    }
    map->arguments = arguments;
    for (size_t k = 0; k < n_ranges; k++) {
        rp_interval interval;
        RP_TRY(rp_range_normalise(&ranges[k], k, dtype, &interval, error));
        rp_interval_store(&interval, dtype, arguments + k * 2 * dtype->size);
    }
    return ROWPOOL_OK;
}

static rowpool_status check_counts(const rp_map *map, rowpool_error *error)
{
    size_t results, bytes, size = rp_result_size(map->result);
    if (!rp_mul(map->rows.count, map->columns, &results) || !rp_mul(results, size, &bytes) || bytes > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "counts of %zu rows in %zu ranges are more than memory can hold",
                       map->rows.count, map->columns);
    if (map->results == NULL && results > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "counts is NULL: there is no place for %zu counts", results);
    if ((uintptr_t)map->results % size != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "counts is not aligned to %zu bytes", size);
    return ROWPOOL_OK;
}

static rowpool_status take_range_count(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                       size_t n_ranges, void *counts, rp_result result, rp_map *map,
                                       rp_arguments_store *store, rowpool_error *error)
{
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    *map = (rp_map){.function = &rp_range_count, .result = result, .results = counts};
    RP_TRY(rp_rows_check(rows, result == RP_RESULT_UINT32 ? UINT32_MAX : UINT64_MAX, &map->rows, error));
    RP_TRY(take_ranges(map, ranges, n_ranges, store, error));
    return check_counts(map, error);
}

static rowpool_status range_count(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges,
                                  void *counts, rp_result result, rowpool_error *error)
{
    rp_map map;
    rp_arguments_store store = {0};
    rowpool_status status = take_range_count(pool, rows, ranges, n_ranges, counts, result, &map, &store, error);
    if (status == ROWPOOL_OK)
        status = rp_pool_run(pool, &map, error);
    free(store.heap);
    return status;
}

static rowpool_status range_count_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                        size_t n_ranges, void *counts, rp_result result, rowpool_done *done,
                                        void *payload, rowpool_job **job, rowpool_error *error)
{
    rp_map map;
    rp_arguments_store store = {0};
    if (job != NULL)
        *job = NULL;
    rowpool_status status = take_range_count(pool, rows, ranges, n_ranges, counts, result, &map, &store, error);
    if (status == ROWPOOL_OK)
        status = rp_pool_submit(pool, &map, &store, done, payload, job, error);
    free(store.heap);
    return status;
}

rowpool_status rowpool_range_count(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                   size_t n_ranges, uint32_t *counts, rowpool_error *error)
{
    return range_count(pool, rows, ranges, n_ranges, counts, RP_RESULT_UINT32, error);
}

rowpool_status rowpool_range_count_u64(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                       size_t n_ranges, uint64_t *counts, rowpool_error *error)
{
    return range_count(pool, rows, ranges, n_ranges, counts, RP_RESULT_UINT64, error);
}

rowpool_status rowpool_range_count_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                         size_t n_ranges, uint32_t *counts, rowpool_done *done, void *payload,
                                         rowpool_job **job, rowpool_error *error)
{
    return range_count_async(pool, rows, ranges, n_ranges, counts, RP_RESULT_UINT32, done, payload, job, error);
}

rowpool_status rowpool_range_count_u64_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                             size_t n_ranges, uint64_t *counts, rowpool_done *done, void *payload,
                                             rowpool_job **job, rowpool_error *error)
{
    return range_count_async(pool, rows, ranges, n_ranges, counts, RP_RESULT_UINT64, done, payload, job, error);
}
