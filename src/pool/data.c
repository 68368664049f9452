/* Data that stays: rows cut into tiles, of each of which one device may keep a copy. */
#include <stdlib.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/self.h"
#include "base/thread.h"
#include "pool/pool.h"

/* ---- Tiles ------------------------------------------------------------------------------------------------------ */

/* A few tiles for each device, so that each gets its share; not so small that a launch for each is felt, not so large
 * that nothing goes on meanwhile. The pool's chunk_bytes holds too, as long as the tiles do not become too many to be
 * looked through. */
static rp_split_limits tile_limits(const rowpool *pool, const rp_rows *rows)
{
    enum { EACH = 8, LEAST = 4 << 20, MOST = 1 << 30, MOST_TILES = 4096 };
    size_t total = rows->elements * rows->dtype->size, devices = rp_max(1, pool->devices.used);
    if (rows->offsets != NULL)
        total += rows->count * sizeof *rows->offsets;
    rp_split_limits limits = {.buffer = SIZE_MAX, .rows = SIZE_MAX};
    for (size_t i = 0; i < pool->devices.used; i++)
        limits.buffer = (size_t)rp_min(limits.buffer, pool->devices.items[i].info.largest_buffer);
    limits.work = rp_min(rp_max(total / (EACH * devices), LEAST), MOST);
    if (pool->options.chunk_bytes > 0)
        limits.work = rp_min(limits.work, pool->options.chunk_bytes);
    limits.work = rp_max(limits.work, total / MOST_TILES);
    return limits;
}

static size_t copy_bytes(const rp_rows *rows, const rp_chunk *tile)
{
    bool offsets = rows->offsets != NULL && !tile->partial;
    return rp_chunk_elements(rows, tile) * rows->dtype->size + (offsets ? (tile->rows + 1) * sizeof *rows->offsets : 0);
}

static rowpool_status cut(rowpool_data *data, rowpool_error *error)
{
    const rp_split_limits limits = tile_limits(data->pool, &data->rows);
    rp_cursor cursor = {0};
    rp_tile tile = {0};
    for (size_t capacity = 0; rp_split_next(&data->rows, 1, &limits, &cursor, &tile.chunk); data->n_tiles++) {
        if (data->n_tiles == capacity) {
            capacity = 2 * capacity + 16;
            rp_tile *more = realloc(data->tiles, capacity * sizeof *more);
            if (more == NULL)
                return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the parts of %zu rows", data->rows.count);
            data->tiles = more;
        }
        tile.bytes = copy_bytes(&data->rows, &tile.chunk);
        data->parts |= tile.chunk.partial;
        data->tiles[data->n_tiles] = tile;
    }
    return ROWPOOL_OK;
}

/* The tile that holds all of a chunk; NULL: it lies across several. */
static rp_tile *tile_of(const rowpool_data *data, const rp_chunk *chunk)
{
    size_t at = 0, end = data->n_tiles; /* the last tile that begins no later is in [at, end) */
    while (end - at > 1) {
        size_t middle = at + (end - at) / 2;
        const rp_chunk *tile = &data->tiles[middle].chunk;
        if (tile->row < chunk->row || (tile->row == chunk->row && tile->begin <= chunk->begin))
            at = middle;
        else
            end = middle;
    }
    const rp_chunk *tile = &data->tiles[at].chunk;
    bool holds = tile->partial ? chunk->partial && chunk->row == tile->row && chunk->end <= tile->end
                               : chunk->row + chunk->rows <= tile->row + tile->rows;
    return holds ? &data->tiles[at] : NULL;
}

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

static bool may_keep(const rp_device *device, size_t bytes, size_t most)
{
    return !device->full && bytes > 0 && bytes <= most && device->kept <= device->keeps &&
           bytes <= device->keeps - device->kept;
}

rp_tile_rank rp_tile_rank_for(const rp_tile *tile, const rp_device *device, size_t most)
{
    if (tile->device == device)
        return tile->copy != NULL ? RP_TILE_HAS : RP_TILE_COMING;
    if (tile->device != NULL)
        return RP_TILE_OTHERS;
    return may_keep(device, tile->bytes, most) ? RP_TILE_KEEPS : RP_TILE_FREE;
}

rp_resident rp_data_lend(rowpool_data *data, rp_device *device, const rp_chunk *chunk, size_t most)
{
    rp_tile *tile = device->keeps > 0 ? tile_of(data, chunk) : NULL;
    rp_resident resident = {0};
    if (tile == NULL)
        return resident;
    resident.tile = tile->chunk;
    pthread_mutex_lock(&data->pool->lock);
    if (tile->device == device) {
        resident.copy = tile->copy;
    } else if (tile->device == NULL && may_keep(device, tile->bytes, most)) {
        tile->device = device;
        tile->backend = device->backend;
        device->kept += tile->bytes;
        resident.keep = true;
    }
    pthread_mutex_unlock(&data->pool->lock);
    return resident;
}

/* The lock is held. */
static void forget(rp_tile *tile)
{
    tile->device->kept -= tile->bytes;
    tile->device = NULL;
    tile->copy = NULL;
}

void rp_data_note_copy(rowpool_data *data, rp_resident *resident)
{
    if (!resident->keep || resident->copy == NULL)
        return;
    pthread_mutex_lock(&data->pool->lock);
    tile_of(data, &resident->tile)->copy = resident->copy;
    pthread_mutex_unlock(&data->pool->lock);
    resident->keep = false;
}

void rp_data_note_end(rowpool_data *data, rp_resident *resident, rowpool_status status)
{
    rp_data_note_copy(data, resident);
    if (!resident->keep)
        return;
    pthread_mutex_lock(&data->pool->lock);
    rp_tile *tile = tile_of(data, &resident->tile);
    if (status == ROWPOOL_ENOMEM || status == ROWPOOL_EDEVICE) { /* drivers say so of memory that they take late */
        tile->device->full = true;
        rp_log(RP_LOG_DEVICE, "%s has no memory to keep more than %zu bytes of rows", tile->device->info.index,
               tile->device->kept - tile->bytes);
    }
    forget(tile);
    pthread_mutex_unlock(&data->pool->lock);
}

/* The lock is held. */
static void drop_copies(rowpool_data *data)
{
    for (size_t i = 0; i < data->n_tiles; i++) {
        rp_tile *tile = &data->tiles[i];
        if (tile->device == NULL)
            continue;
        tile->backend->drop(tile->device, tile->copy);
        tile->device->full = false;
        forget(tile);
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
    pthread_mutex_lock(&pool->lock);
    rowpool_data *data = pool->data;
    while (data != NULL && !(are_the_same(&data->rows, rows) && !(whole && data->parts)))
        data = data->next;
    if (data != NULL)
        data->references++;
    pthread_mutex_unlock(&pool->lock);
    return data;
}

static void destroy(rowpool_data *data)
{
    rp_pool_release(data->pool);
    free(data->tiles);
    free(data);
}

/* Gives up a reference; the lock is held. True: it was the last. */
static bool let_go(rowpool_data *data)
{
    bool last = --data->references == 0;
    if (last)
        drop_copies(data);
    return last;
}

void rp_data_release(rowpool_data *data)
{
    if (data == NULL)
        return;
    pthread_mutex_lock(&data->pool->lock);
    bool last = let_go(data);
    pthread_mutex_unlock(&data->pool->lock);
    if (last)
        destroy(data);
}

void rp_data_leave_pool(rowpool *pool)
{
    for (; pool->data != NULL; pool->data = pool->data->next)
        drop_copies(pool->data);
}

rowpool_status rowpool_data_open(rowpool_data **data, rowpool *pool, const rowpool_rows *rows, rowpool_error *error)
{
    if (data == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "data is NULL: there is no place for the handle");
    *data = NULL;
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    rp_rows checked;
    RP_TRY(rp_rows_check(rows, UINT64_MAX, &checked, error));
    rowpool_data *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a handle of rows");
    *fresh = (rowpool_data){.pid = rp_self(), .pool = pool, .given = *rows, .rows = checked, .references = 1};
    rowpool_status status = cut(fresh, error);
    if (status != ROWPOOL_OK) {
        free(fresh->tiles);
        free(fresh);
        return status;
    }
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->devices.count; i++)
        pool->devices.items[i].full = false; /* there may be memory again */
    pool->references++;
    fresh->next = pool->data;
    pool->data = fresh;
    pthread_mutex_unlock(&pool->lock);
    *data = fresh;
    return ROWPOOL_OK;
}

const rowpool_rows *rowpool_data_rows(const rowpool_data *data)
{
    return data != NULL ? &data->given : NULL;
}

/* In a child of the process that made the handle: its pool's lock may be held for ever. */
static void drop_memory(rowpool_data *data)
{
    for (size_t i = 0; i < data->n_tiles; i++)
        if (data->tiles[i].copy != NULL)
            data->tiles[i].backend->drop(NULL, data->tiles[i].copy);
    destroy(data);
}

void rowpool_data_close(rowpool_data *data)
{
    RP_NO_CANCEL;
    if (data == NULL)
        return;
    if (data->pid != rp_self()) {
        drop_memory(data);
        return;
    }
    pthread_mutex_lock(&data->pool->lock);
    rowpool_data **link = &data->pool->data;
    while (*link != NULL && *link != data)
        link = &(*link)->next;
    if (*link != NULL)
        *link = data->next;
    bool last = let_go(data); /* at once: a pool that closes meanwhile finds the handle, or one without copies */
    pthread_mutex_unlock(&data->pool->lock);
    if (last)
        destroy(data);
}
