#include "sched/data.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/self.h"
#include "sched/pool.h"

/* ---- Partitions ------------------------------------------------------------------------------------------------- */

/* Several partitions for each device, so that each can get its share: large enough to be worth a launch, small enough
 * that upload and kernel overlap. The pool's chunk_bytes applies too, unless that makes too many partitions to
 * search. */
static rp_split_limits partition_limits(const rowpool *pool, const rp_rows *rows)
{
    enum { PER_DEVICE = 8, MIN_BYTES = 4 << 20, MAX_BYTES = 1 << 30, MAX_PARTITIONS = 4096 };
    size_t total = rows->elements * rows->dtype->size, devices = rp_max(1, pool->devices.used);
    if (rows->offsets != NULL)
        total += rows->count * sizeof *rows->offsets;
    rp_split_limits limits = {.buffer = SIZE_MAX, .rows = SIZE_MAX};
    for (size_t i = 0; i < pool->devices.used; i++)
        limits.buffer = (size_t)rp_min(limits.buffer, pool->devices.items[i].info.largest_buffer);
    limits.work = rp_min(rp_max(total / (PER_DEVICE * devices), MIN_BYTES), MAX_BYTES);
    if (pool->options.chunk_bytes > 0)
        limits.work = rp_min(limits.work, pool->options.chunk_bytes);
    limits.work = rp_max(limits.work, total / MAX_PARTITIONS);
    return limits;
}

static size_t copy_bytes(const rp_rows *rows, const rp_chunk *partition)
{
    size_t offsets = rows->offsets != NULL && !partition->partial ? partition->rows + 1 : 0;
    return rp_chunk_elements(rows, partition) * rows->dtype->size + offsets * sizeof *rows->offsets;
}

static rowpool_status cut(rowpool_data *data, rowpool_error *error)
{
    const rp_split_limits limits = partition_limits(data->pool, &data->rows);
    rp_cursor cursor = {0};
    rp_partition partition = {0};
    for (size_t capacity = 0; rp_split_next(&data->rows, 1, &limits, &cursor, &partition.chunk); data->n_partitions++) {
        if (data->n_partitions == capacity) {
            capacity = 2 * capacity + 16;
            rp_partition *more = realloc(data->partitions, capacity * sizeof *more);
            if (more == NULL)
                return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the partitions of %zu rows", data->rows.count);
            data->partitions = more;
        }
        partition.bytes = copy_bytes(&data->rows, &partition.chunk);
        data->splits_rows |= partition.chunk.partial;
        data->partitions[data->n_partitions] = partition;
    }
    return ROWPOOL_OK;
}

/* The partition that holds all of a chunk; NULL: it lies across several. */
static rp_partition *partition_of(const rowpool_data *data, const rp_chunk *chunk)
{
    size_t at = 0, end = data->n_partitions; /* the last partition that begins no later is in [at, end) */
    while (end - at > 1) {
        size_t middle = at + (end - at) / 2;
        const rp_chunk *partition = &data->partitions[middle].chunk;
        if (partition->row < chunk->row || (partition->row == chunk->row && partition->begin <= chunk->begin))
            at = middle;
        else
            end = middle;
    }
    const rp_chunk *partition = &data->partitions[at].chunk;
    bool holds = partition->partial ? chunk->partial && chunk->row == partition->row && chunk->end <= partition->end
                                    : chunk->row + chunk->rows <= partition->row + partition->rows;
    return holds ? &data->partitions[at] : NULL;
}

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

static bool may_keep(const rp_device *device, size_t bytes, size_t max)
{
    return !device->full && bytes > 0 && bytes <= max && device->kept <= device->keeps &&
           bytes <= device->keeps - device->kept;
}

rp_partition_rank rp_partition_rank_for(const rp_partition *partition, const rp_device *device, size_t max)
{
    if (partition->device == device)
        return partition->copy != NULL ? RP_PARTITION_HERE : RP_PARTITION_COMING;
    if (partition->device != NULL)
        return RP_PARTITION_ELSEWHERE;
    return may_keep(device, partition->bytes, max) ? RP_PARTITION_FREE_TO_KEEP : RP_PARTITION_FREE;
}

rp_partition_use rp_data_use(rowpool_data *data, rp_device *device, const rp_chunk *chunk, size_t max)
{
    rp_partition *partition = device->keeps > 0 ? partition_of(data, chunk) : NULL;
    rp_partition_use use = {0};
    if (partition == NULL)
        return use;
    use.partition = partition->chunk;
    rp_lock(&data->pool->lock);
    if (partition->device == device) {
        use.copy = partition->copy;
    } else if (partition->device == NULL && may_keep(device, partition->bytes, max)) {
        partition->device = device;
        partition->backend = device->backend;
        device->kept += partition->bytes;
        use.keep = true;
    }
    rp_unlock(&data->pool->lock);
    return use;
}

/* The lock is held. */
static void forget(rp_partition *partition)
{
    partition->device->kept -= partition->bytes;
    partition->device = NULL;
    partition->copy = NULL;
}

void rp_data_copied(rowpool_data *data, rp_partition_use *use)
{
    if (!use->keep || use->copy == NULL)
        return;
    rp_lock(&data->pool->lock);
    partition_of(data, &use->partition)->copy = use->copy;
    rp_unlock(&data->pool->lock);
    use->keep = false;
}

void rp_data_task_ended(rowpool_data *data, rp_partition_use *use, rowpool_status status)
{
    rp_data_copied(data, use);
    if (!use->keep)
        return;
    rp_lock(&data->pool->lock);
    rp_partition *partition = partition_of(data, &use->partition);
    if (status == ROWPOOL_ENOMEM || status == ROWPOOL_EDEVICE) { /* some drivers allocate late, and fail with EDEVICE */
        partition->device->full = true;
        rp_log(RP_LOG_DEVICE, "%s has no memory to keep more than %zu bytes of rows", partition->device->info.index,
               partition->device->kept - partition->bytes);
    }
    forget(partition);
    rp_unlock(&data->pool->lock);
}

/* Releases the copies of a handle that no run will use again. The lock is held, but released meanwhile, since a driver
 * may be slow. */
static void drop_copies(rowpool_data *data)
{
    rowpool *pool = data->pool;
    while (data->n_partitions > 0) {
        const rp_partition taken = data->partitions[--data->n_partitions];
        if (taken.device == NULL)
            continue;
        rp_unlock(&pool->lock);
        rp_assert_no_lock("device memory is released");
        taken.backend->drop(taken.device, taken.copy);
        rp_lock(&pool->lock);
        taken.device->kept -= taken.bytes;
        taken.device->full = false;
    }
}

/* ---- Handles ---------------------------------------------------------------------------------------------------- */

static bool are_the_same(const rp_rows *a, const rp_rows *b)
{
    return a->data == b->data && a->dtype == b->dtype && a->count == b->count && a->width == b->width &&
           a->stride == b->stride && a->offsets == b->offsets;
}

rowpool_data *rp_data_find(rowpool *pool, const rp_rows *rows, bool whole)
{
    rp_lock(&pool->lock);
    rowpool_data *data = pool->data;
    while (data != NULL && !(are_the_same(&data->rows, rows) && !(whole && data->splits_rows)))
        data = data->next;
    if (data != NULL)
        data->references++;
    rp_unlock(&pool->lock);
    return data;
}

static void destroy(rowpool_data *data)
{
    rp_pool_release(data->pool);
    free(data->partitions);
    free(data);
}

/* Drops a reference; the last one frees the handle. The lock is held, and released. The pool counts as in use while
 * copies are released, so that its devices stay open. */
static void let_go_and_unlock(rowpool_data *data)
{
    rowpool *pool = data->pool;
    const bool last = --data->references == 0;
    if (last) {
        pool->active++;
        drop_copies(data);
        if (--pool->active == 0)
            pthread_cond_broadcast(&pool->idle);
    }
    rp_unlock(&pool->lock);
    if (last)
        destroy(data);
}

void rp_data_release(rowpool_data *data)
{
    if (data == NULL)
        return;
    rp_lock(&data->pool->lock);
    let_go_and_unlock(data);
}

void rp_data_leave_pool(rowpool *pool)
{
    rp_lock(&pool->lock);
    while (pool->data != NULL) {
        rowpool_data *data = pool->data;
        pool->data = data->next;
        data->references++; /* its owner may close the handle meanwhile */
        drop_copies(data);
        let_go_and_unlock(data);
        rp_lock(&pool->lock);
    }
    rp_unlock(&pool->lock);
}

rowpool_status rp_data_open(rowpool_data **data, rowpool *pool, const rowpool_rows *given, const rp_rows *rows,
                            rowpool_error *error)
{
    rowpool_data *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a handle of rows");
    *fresh = (rowpool_data){.pid = rp_self(), .pool = pool, .given = *given, .rows = *rows, .references = 1};
    rowpool_status status = cut(fresh, error);
    if (status != ROWPOOL_OK) {
        free(fresh->partitions);
        free(fresh);
        return status;
    }
    rp_lock(&pool->lock);
    for (size_t i = 0; i < pool->devices.count; i++)
        pool->devices.items[i].full = false; /* there may be memory again */
    pool->references++;
    fresh->next = pool->data;
    pool->data = fresh;
    rp_unlock(&pool->lock);
    *data = fresh;
    return ROWPOOL_OK;
}

/* In a child of the process that made the handle: its pool's lock may be held for ever. */
static void drop_memory(rowpool_data *data)
{
    for (size_t i = 0; i < data->n_partitions; i++)
        if (data->partitions[i].copy != NULL)
            data->partitions[i].backend->drop(NULL, data->partitions[i].copy);
    destroy(data);
}

void rp_data_close(rowpool_data *data)
{
    if (data->pid != rp_self()) {
        drop_memory(data);
        return;
    }
    rp_lock(&data->pool->lock);
    rowpool_data **link = &data->pool->data;
    while (*link != NULL && *link != data)
        link = &(*link)->next;
    if (*link != NULL)
        *link = data->next;
    let_go_and_unlock(data);
}
