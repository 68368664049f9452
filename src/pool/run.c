/* A run: one map on the pool's devices. Each device pulls chunks from one cursor; a chunk that fails goes back, and its
 * device gets no more of this run; what no device can do, the host does. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "pool/pool.h"

static const size_t put_aside = SIZE_MAX;

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

static size_t total_lanes(const rowpool *pool)
{
    size_t lanes = 0;
    for (size_t i = 0; i < pool->devices.used; i++)
        lanes += pool->devices.items[i].lanes;
    return lanes;
}

rowpool_status rp_run_init(rp_run *run, rowpool *pool, const rp_map *map, rp_queue *queue, rowpool_error *error)
{
    size_t lanes = total_lanes(pool);
    *run = (rp_run){.pool = pool, .map = *map, .queue = queue};
    run->waits = queue == NULL && pool->devices.used == 1 && pool->devices.items[0].backend->waits;
    run->left = map->rows.elements * map->rows.dtype->size;
    run->slots = calloc(lanes, sizeof *run->slots);
    run->in_flight_on = calloc(pool->devices.used, sizeof *run->in_flight_on);
    if (run->slots == NULL || run->in_flight_on == NULL) {
        rp_run_destroy(run);
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a map on %zu devices", pool->devices.used);
    }
    for (size_t i = 0; i < lanes; i++) {
        run->slots[i].next = run->free_slots;
        run->free_slots = &run->slots[i];
    }
    return ROWPOOL_OK;
}

void rp_run_destroy(rp_run *run)
{
    free(run->parts);
    free(run->slots);
    free(run->in_flight_on);
    free(run->again);
}

static bool all_rows_done(const rp_run *run)
{
    return run->cursor.row >= run->map.rows.count && run->n_again == 0;
}

static void fail(rp_run *run, const rowpool_error *error)
{
    if (run->status == ROWPOOL_OK) {
        run->status = error->status;
        run->error = *error;
    }
}

rowpool_status rp_run_status(rp_run *run, rowpool_error *error)
{
    if (run->status == ROWPOOL_OK && !all_rows_done(run))
        rp_fail(&run->error, run->status = ROWPOOL_ECANCELED, "cancelled after %zu of %zu rows",
                atomic_load(&run->rows_done), run->map.rows.count);
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: %zu chunks: %s", run->map.function->name,
           run->map.rows.count, run->map.rows.elements, run->map.rows.dtype->name, run->map.columns, run->chunks,
           run->status == ROWPOOL_OK ? "done" : run->error.message);
    if (run->status != ROWPOOL_OK && error != NULL)
        *error = run->error;
    return run->status;
}

/* ---- Pieces ----------------------------------------------------------------------------------------------------- */

/* With several at work, each takes a share of what is left, so that they end together; alone, as much as it can. */
static size_t chunk_work(const rp_run *run, const rp_device *device)
{
    enum { LEAST = 64 << 10 };
    if (run->pool->parallel <= 1)
        return device->chunk_bytes;
    size_t share = run->left / (2 * run->pool->parallel);
    return rp_min(rp_max(share, LEAST), device->chunk_bytes);
}

/* Before the first part of a row is handed out: the row's results become those of no element, and every slot gets a
 * place for those of a part. */
static bool begin_split_row(rp_run *run, size_t row)
{
    if (run->parts == NULL)
        run->parts = calloc(total_lanes(run->pool), rp_map_row_bytes(&run->map));
    if (run->parts == NULL) {
        rowpool_error error;
        rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for the parts of row %zu", row);
        fail(run, &error);
        return false;
    }
    const rp_block none = {.count = 1};
    rp_map_fold (&run->map)(&none, run->map.arguments, run->map.columns,
                            run->map.results + row * rp_map_row_bytes(&run->map));
    return true;
}

/* Where a slot's task puts its results. */
static void *results_of(const rp_run *run, const rp_slot *slot, const rp_chunk *chunk)
{
    size_t row_bytes = rp_map_row_bytes(&run->map);
    return chunk->partial ? run->parts + (size_t)(slot - run->slots) * row_bytes
                          : run->map.results + chunk->row * row_bytes;
}

static bool next_piece(rp_run *run, const rp_device *device, rp_piece *piece)
{
    if (run->status != ROWPOOL_OK || atomic_load_explicit(&run->cancel, memory_order_relaxed))
        return false;
    if (run->n_again > 0) {
        *piece = run->again[--run->n_again];
        return true;
    }
    const rp_split_limits limits = {
        .work = chunk_work(run, device),
        .buffer = (size_t)rp_min(device->info.largest_buffer, SIZE_MAX),
        .result = rp_map_row_bytes(&run->map),
    };
    *piece = (rp_piece){0};
    if (!rp_split_next(&run->map.rows, &limits, &run->cursor, &piece->chunk))
        return false;
    run->left -= rp_chunk_elements(&run->map.rows, &piece->chunk) * run->map.rows.dtype->size;
    return !piece->chunk.partial || piece->chunk.begin > 0 || begin_split_row(run, piece->chunk.row);
}

static void give_back(rp_run *run, const rp_piece *piece)
{
    if (run->n_again == run->again_capacity) {
        size_t capacity = 2 * run->again_capacity + 8;
        rp_piece *more = realloc(run->again, capacity * sizeof *more);
        if (more == NULL) {
            rowpool_error error;
            rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for rows that are to run again");
            fail(run, &error);
            return;
        }
        run->again = more;
        run->again_capacity = capacity;
    }
    run->again[run->n_again++] = *piece;
}

/* The rows that an answered piece completes: those of a split row count with its last part. */
static void piece_done(rp_run *run, rp_device *device, const rp_chunk *chunk)
{
    size_t rows = chunk->partial && chunk->end < rp_rows_width(&run->map.rows, chunk->row) ? 0 : chunk->rows;
    atomic_fetch_add_explicit(&run->rows_done, rows, memory_order_relaxed);
    run->chunks++;
    rp_pool_count(run->pool, device, rows, 1, 0);
}

static void combine_part(rp_run *run, const rp_chunk *chunk, const void *part)
{
    rp_map_combine (&run->map)(run->map.results + chunk->row * rp_map_row_bytes(&run->map), part, run->map.columns);
}

/* ---- Failures --------------------------------------------------------------------------------------------------- */

/* A dead worker is replaced by its backend, so the device stays; but rows that kill twice would go on killing. */
static void worker_died(rp_run *run, rp_piece piece, bool blamed, const rowpool_error *error)
{
    enum { MOST_DEATHS = 2 };
    piece.deaths += blamed;
    if (piece.deaths >= MOST_DEATHS)
        fail(run, error);
    else
        give_back(run, &piece);
}

static void piece_failed(rp_run *run, rp_device *device, const rp_piece *piece, bool blamed, const rowpool_error *error)
{
    rp_log(RP_LOG_RUN, "%s: rows %zu to %zu: %s", device->info.index, piece->chunk.row,
           piece->chunk.row + piece->chunk.rows - 1, error->message);
    rp_pool_count(run->pool, device, 0, 0, 1);
    if (error->status == ROWPOOL_EWORKER) {
        worker_died(run, *piece, blamed, error);
    } else if (error->status == ROWPOOL_EINVAL) { /* the caller's data: no other device would do better */
        fail(run, error);
    } else {
        run->in_flight_on[device - run->pool->devices.items] = put_aside;
        rp_log(RP_LOG_DEVICE, "%s is put aside for this map: %s", device->info.index, error->message);
        give_back(run, piece);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void release_slot(rp_run *run, rp_slot *slot)
{
    slot->next = run->free_slots;
    run->free_slots = slot;
}

static void submit(rp_run *run, rp_device *device, const rp_piece *piece)
{
    rp_slot *slot = run->free_slots;
    size_t *in_flight = &run->in_flight_on[device - run->pool->devices.items];
    run->free_slots = slot->next;
    slot->piece = *piece;
    slot->task = (rp_task){.map = &run->map, .chunk = piece->chunk, .device = device, .owner = run};
    slot->task.home = run->waits ? NULL : run->queue;
    slot->task.results = results_of(run, slot, &piece->chunk);
    ++*in_flight; /* before submit: the completion may already be there when it returns */
    run->in_flight++;
    rowpool_error error;
    if (device->backend->submit(device, &slot->task, &error) == ROWPOOL_OK) {
        if (run->waits)
            rp_queue_push(run->queue, &slot->task.link);
        return;
    }
    run->in_flight--;
    --*in_flight;
    release_slot(run, slot);
    piece_failed(run, device, piece, false, &error);
}

/* What is left when every device has been put aside. */
static void finish_on_host(rp_run *run)
{
    rp_device *host = run->pool->host;
    rp_piece piece;
    while (next_piece(run, host, &piece)) {
        rp_block block = rp_chunk_block(&run->map.rows, &piece.chunk);
        void *results = results_of(run, run->free_slots, &piece.chunk);
        rp_map_fold (&run->map)(&block, run->map.arguments, run->map.columns, results);
        if (piece.chunk.partial)
            combine_part(run, &piece.chunk, results);
        piece_done(run, host, &piece.chunk);
    }
}

static bool has_work(rp_run *run)
{
    return run->status == ROWPOOL_OK && !all_rows_done(run) && !atomic_load(&run->cancel);
}

void rp_run_fill(rp_run *run)
{
    rp_device *devices = run->pool->devices.items;
    size_t used = run->pool->devices.used, aside;
    do { /* again when the last devices refused what earlier ones had no lane for */
        aside = 0;
        for (size_t i = 0; i < used; i++) {
            rp_piece piece;
            while (run->in_flight_on[i] < devices[i].lanes && next_piece(run, &devices[i], &piece))
                submit(run, &devices[i], &piece);
            aside += run->in_flight_on[i] == put_aside;
        }
    } while (run->in_flight == 0 && aside < used && has_work(run));
    if (run->in_flight == 0)
        finish_on_host(run);
}

void rp_run_complete(rp_run *run, rp_slot *slot)
{
    rp_device *device = slot->task.device;
    size_t *in_flight = &run->in_flight_on[device - run->pool->devices.items];
    rowpool_error error;
    rowpool_status status = device->backend->finish(device, &slot->task, &error);
    run->in_flight--;
    if (*in_flight != put_aside)
        --*in_flight;
    if (status == ROWPOOL_OK) {
        if (slot->piece.chunk.partial)
            combine_part(run, &slot->piece.chunk, slot->task.results);
        piece_done(run, device, &slot->piece.chunk);
    }
    release_slot(run, slot);
    if (status != ROWPOOL_OK)
        piece_failed(run, device, &slot->piece, slot->task.blamed, &error);
}

rowpool_status rp_run_whole(rp_run *run, rowpool_error *error)
{
    rp_queue own;
    rp_queue_init(&own);
    run->queue = &own;
    rp_run_fill(run);
    while (run->in_flight > 0) {
        rp_run_complete(run, (rp_slot *)rp_queue_pop(&own));
        rp_run_fill(run);
    }
    rp_queue_destroy(&own);
    return rp_run_status(run, error);
}
