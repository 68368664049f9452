/* A run: one map on the pool's devices. Each device pulls chunks from one cursor; a chunk that fails goes back, and its
 * device gets no more of this run; what no device can do, the host does where it may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "pool/pool.h"

/* A stream's callback that this thread is in, and those around it: a callback may stream on another pool. */
typedef struct delivery_frame {
    const struct delivery_frame *outer;
    const rowpool *pool;
} delivery_frame;

static _Thread_local const delivery_frame *delivering;

bool rp_run_is_delivering(const rowpool *pool)
{
    const delivery_frame *frame = delivering;
    while (frame != NULL && frame->pool != pool)
        frame = frame->outer;
    return frame != NULL;
}

/* ---- Who takes part --------------------------------------------------------------------------------------------- */

static void add_participant(rp_run *run, rp_device *device)
{
    run->participants[run->n_participants++] = (rp_participant){.device = device, .most = device->chunk_bytes};
    run->n_slots += device->lanes;
}

static rowpool_status nobody_can(const rp_run *run, rowpool_error *error)
{
    const rp_device_list *list = &run->pool->devices;
    const rp_device *device = list->used > 0 ? &list->items[0] : run->pool->host;
    return rp_fail(error, ROWPOOL_ENODEVICE, "device %s cannot run %s: %s", device->info.index, run->map.name,
                   device->backend->lacks(device, &run->map));
}

/* The pool's devices that can run the function. Where none can, and nobody named the devices, worker processes are
 * started for it. */
static rowpool_status choose_participants(rp_run *run, rowpool_error *error)
{
    rowpool *pool = run->pool;
    const rp_map *map = &run->map;
    if (map->inputs->count == 0)
        return ROWPOOL_OK; /* nobody is needed */
    for (size_t i = 0; i < pool->devices.used; i++) {
        rp_device *device = &pool->devices.items[i];
        if (device->backend->lacks(device, map) == NULL)
            add_participant(run, device);
    }
    if (run->n_participants == 0 && rp_code_is_there(&map->code) && (map->processes || pool->devices.automatic)) {
        rp_device *processes;
        RP_TRY(rp_pool_processes(pool, &processes, error));
        add_participant(run, processes);
    }
    run->has_reserve = pool->host->backend->lacks(pool->host, map) == NULL;
    if (run->has_reserve) {
        add_participant(run, pool->host);
        run->n_participants--;
        run->stands_in = pool->devices.automatic;
    }
    for (size_t i = 0; run->stands_in && i < run->n_participants; i++)
        run->participants[i].building = run->participants[i].device->backend->ready != NULL;
    return run->n_participants == 0 && !run->has_reserve ? nobody_can(run, error) : ROWPOOL_OK;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

static rowpool_status no_memory(const rp_run *run, rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a map on %zu devices", run->pool->devices.used);
}

static bool is_stream(const rp_run *run)
{
    return run->stream.each != NULL;
}

static bool is_in_order(const rp_run *run)
{
    return is_stream(run) && run->stream.order == ROWPOOL_IN_ORDER;
}

void rp_run_release_data(rp_run *run)
{
    for (size_t i = 0; i < run->map.code.n_inputs; i++) {
        rp_data_release(run->data[i]);
        run->data[i] = NULL;
    }
}

static bool somebody_keeps(const rp_run *run)
{
    for (size_t i = 0; i < run->n_participants; i++)
        if (run->participants[i].device->keeps > 0)
            return true;
    return false;
}

/* Of several inputs that stay on devices the one in the most parts says how the rows are cut. */
static rowpool_status prepare_pieces(rp_run *run, rowpool_error *error)
{
    const rp_map *map = &run->map;
    rowpool_data *most = NULL;
    for (size_t i = 0; somebody_keeps(run) && i < map->code.n_inputs; i++) {
        run->data[i] = rp_data_find(run->pool, &map->inputs[i], !rp_map_splits(map));
        if (run->data[i] != NULL && (most == NULL || run->data[i]->n_tiles > most->n_tiles))
            most = run->data[i];
    }
    rowpool_status status = rp_pieces_init(&run->pieces, map, most, is_in_order(run), error);
    if (status != ROWPOOL_OK)
        rp_run_release_data(run);
    return status;
}

rowpool_status rp_run_init(rp_run *run, rowpool *pool, const rp_map *map, const rp_stream *stream, rp_queue *queue,
                           rowpool_error *error)
{
    *run = (rp_run){.pool = pool, .map = *map, .queue = queue, .left = rp_map_bytes(map)};
    run->map.text_hash = rp_text_hash(map->function->source);
    if (stream != NULL)
        run->stream = *stream;
    run->begun = rp_clock_ns();
    rp_run_timeout(run, map->timeout_ms > 0 ? map->timeout_ms : -1);
    run->participants = calloc(pool->devices.used + 2, sizeof *run->participants);
    rowpool_status status = run->participants == NULL ? no_memory(run, error) : choose_participants(run, error);
    if (status == ROWPOOL_OK) {
        run->slots = calloc(rp_max(1, run->n_slots), sizeof *run->slots);
        status = run->slots == NULL ? no_memory(run, error) : prepare_pieces(run, error);
    }
    if (status != ROWPOOL_OK) {
        free(run->slots);
        free(run->participants);
        return status;
    }
    run->waits = queue == NULL && run->n_participants <= 1 && run->participants[0].device->backend->waits;
    for (size_t i = 0; i < run->n_slots; i++) {
        run->slots[i].next = run->free_slots;
        run->free_slots = &run->slots[i];
    }
    pthread_mutex_lock(&pool->lock);
    run->link = &pool->runs;
    run->next = pool->runs;
    if (run->next != NULL)
        run->next->link = &run->next;
    pool->runs = run;
    for (size_t i = 0; i < run->n_participants; i++)
        rp_share_recall(&run->participants[i]);
    pthread_mutex_unlock(&pool->lock);
    return ROWPOOL_OK;
}

void rp_run_timeout(rp_run *run, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? RP_NO_DEADLINE : rp_clock_ns() + (int64_t)timeout_ms * 1000000;
    atomic_store(&run->patience.deadline, deadline);
}

static void free_deliveries(rp_delivery *list)
{
    while (list != NULL) {
        rp_delivery *next = list->next;
        free(list);
        list = next;
    }
}

void rp_run_destroy(rp_run *run)
{
    pthread_mutex_lock(&run->pool->lock);
    *run->link = run->next;
    if (run->next != NULL)
        run->next->link = run->link;
    for (size_t i = 0; i < run->n_participants; i++)
        rp_share_remember(run, &run->participants[i]);
    pthread_mutex_unlock(&run->pool->lock);
    free_deliveries(run->parts);
    free_deliveries(run->waiting);
    free(run->slots);
    free(run->participants);
    rp_pieces_destroy(&run->pieces);
    rp_run_release_data(run);
}

/* Notes a failure, without an end to the rest. */
static void note(rp_run *run, const rowpool_error *error)
{
    if (run->status == ROWPOOL_OK) {
        run->status = error->status;
        run->error = *error;
    }
}

/* Hands out nothing more, and wants no more of what is in flight. */
static void stop(rp_run *run)
{
    run->stop = true;
    atomic_store(&run->patience.cancelled, true);
}

static void fail(rp_run *run, const rowpool_error *error)
{
    note(run, error);
    stop(run);
}

static bool all_rows_done(const rp_run *run)
{
    return rp_pieces_are_done(&run->pieces);
}

/* Rows whose results the caller has. */
static size_t rows_given(rp_run *run)
{
    return is_stream(run) ? run->delivered : atomic_load(&run->rows_done);
}

rowpool_status rp_run_status(rp_run *run, rowpool_error *error)
{
    const rp_rows *rows = run->map.inputs;
    rowpool_error ending;
    if (run->status == ROWPOOL_OK && (!all_rows_done(run) || run->waiting != NULL)) {
        rp_fail(&ending, ROWPOOL_ECANCELED, "cancelled after %zu of %zu rows", rows_given(run), rows->count);
        note(run, &ending);
    }
    size_t lost = run->status == ROWPOOL_EWORKER ? rows->count - rows_given(run) : 0;
    if (lost > 1) {
        ending = run->error;
        rp_fail(&run->error, ending.status, "%.900s; in all, %zu rows have no result", ending.message, lost);
    }
    if (run->status == ROWPOOL_OK)
        rp_trial_end(run);
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: %zu chunks: %s", run->map.name, rows->count,
           rp_map_elements(&run->map), rows->dtype->name, run->map.columns, run->chunks,
           run->status == ROWPOOL_OK ? "done" : run->error.message);
    if (run->status != ROWPOOL_OK && error != NULL)
        *error = run->error;
    return run->status;
}

/* ---- Pieces ----------------------------------------------------------------------------------------------------- */

/* One line about a chunk. */
static void chunk_text(const rp_run *run, const rp_chunk *chunk, char *text, size_t size)
{
    const size_t row = rp_map_index(&run->map, chunk);
    if (chunk->partial)
        snprintf(text, size, "%s: elements %zu to %zu of row %zu", run->map.name, chunk->begin, chunk->end - 1, row);
    else
        snprintf(text, size, "%s: rows %zu to %zu", run->map.name, row, row + chunk->rows - 1);
}

static void trace_chunk(const rp_run *run, const rp_slot *slot, const char *name)
{
    char text[256];
    if (!rp_trace_on())
        return;
    chunk_text(run, &slot->piece.chunk, text, sizeof text);
    rp_trace_span(slot->task.device->info.index, name, slot->begin, rp_clock_now(), text);
}

bool rp_run_is_over(rp_run *run)
{
    if (run->stop || atomic_load_explicit(&run->patience.cancelled, memory_order_relaxed))
        return true;
    int64_t deadline = atomic_load_explicit(&run->patience.deadline, memory_order_relaxed);
    if (!rp_is_past(deadline) || all_rows_done(run))
        return false;
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ETIMEDOUT, "the time of %lld ms is up after %zu of %zu rows",
            (long long)(deadline - run->begun) / 1000000, rows_given(run), run->map.inputs->count);
    fail(run, &error);
    return true;
}

static bool next_piece(rp_run *run, rp_participant *participant, rp_piece *piece)
{
    const rp_device *device = participant->device;
    bool again = run->pieces.n_again > 0;
    if (rp_run_is_over(run))
        return false;
    if (!again && run->n_waiting >= run->n_slots) /* whoever takes the results is slower than those who make them */
        return false;
    bool one_by_one = device->parallel <= 1 && participant->most >= device->chunk_bytes;
    participant->most_kept = rp_share_most_to_keep(run, participant);
    const rp_taking how = {
        .device = device,
        .limits = {.work = rp_share_work(run, participant),
                   .buffer = (size_t)rp_min(device->info.largest_buffer, SIZE_MAX),
                   .rows = run->map.chunk_rows > 0 ? run->map.chunk_rows : SIZE_MAX,
                   .result = rp_map_row_bytes(&run->map),
                   .whole = !rp_map_splits(&run->map)},
        .most_kept = participant->most_kept,
        .brings_whole = one_by_one, /* `most` is for chunks that make room for the next */
        .takes_whole = one_by_one && run->n_participants <= 1,
    };
    if (!rp_pieces_next(&run->pieces, &how, piece))
        return false;
    if (!again) {
        run->left -= rp_share_bytes(run, &piece->chunk);
    } else if (rp_trace_on()) {
        char text[256];
        chunk_text(run, &piece->chunk, text, sizeof text);
        rp_trace_instant(device->info.index, "retry", text);
    }
    return true;
}

static void give_back(rp_run *run, const rp_piece *piece)
{
    if (rp_pieces_give_back(&run->pieces, piece))
        return;
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for rows that are to run again");
    fail(run, &error);
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

/* Room for a chunk's results; NULL after noting that there is none. */
static rp_delivery *new_delivery(rp_run *run, const rp_chunk *chunk)
{
    size_t bytes = rp_map_chunk_bytes(&run->map, chunk);
    rp_delivery *fresh = NULL;
    if (rp_add(bytes, sizeof *fresh + 63, &bytes))
        fresh = aligned_alloc(64, bytes / 64 * 64);
    if (fresh == NULL) {
        const size_t row = rp_map_index(&run->map, chunk);
        rowpool_error error;
        rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for the results of rows %zu to %zu", row, row + chunk->rows - 1);
        fail(run, &error);
        return NULL;
    }
    *fresh = (rp_delivery){.chunk = *chunk};
    return fresh;
}

static bool goes_to_array(const rp_run *run, const rp_chunk *chunk)
{
    return !is_stream(run) && !chunk->partial;
}

static char *array_at(const rp_run *run, size_t row)
{
    return run->map.results + row * rp_map_row_bytes(&run->map);
}

static void rows_answered(rp_run *run, rp_device *device, size_t rows)
{
    atomic_fetch_add_explicit(&run->rows_done, rows, memory_order_relaxed);
    rp_pool_count(run->pool, device, rows, 0, 0);
}

static bool comes_before(const rp_chunk *a, const rp_chunk *b)
{
    return a->row != b->row ? a->row < b->row : a->begin < b->begin;
}

/* The place in a list, in the order of rows and elements. */
static rp_delivery **place_in(rp_delivery **list, const rp_chunk *chunk)
{
    while (*list != NULL && comes_before(&(*list)->chunk, chunk))
        list = &(*list)->next;
    return list;
}

static void wait_for_delivery(rp_run *run, rp_delivery *fresh)
{
    rp_delivery **place = place_in(&run->waiting, &fresh->chunk);
    fresh->next = *place;
    *place = fresh;
    run->n_waiting++;
}

/* A row of which all parts are together. */
static void row_is_whole(rp_run *run, rp_device *device, const rp_delivery *part)
{
    const rp_map *map = &run->map;
    const rp_chunk row = {.row = part->chunk.row, .rows = 1};
    rp_delivery *own = is_stream(run) ? new_delivery(run, &row) : NULL;
    if (is_stream(run) && own == NULL)
        return;
    map->code.compiled.end(part->bytes, part->chunk.end, map->arguments, map->columns,
                           own != NULL ? own->bytes : array_at(run, row.row));
    if (own != NULL)
        wait_for_delivery(run, own);
    rows_answered(run, device, 1);
}

/* Merges a part with the one after it when nothing lies between them. */
static bool merge_with_next(rp_run *run, rp_delivery *part)
{
    const rp_map *map = &run->map;
    rp_delivery *next = part->next;
    if (next == NULL || next->chunk.row != part->chunk.row || next->chunk.begin != part->chunk.end)
        return false;
    map->code.compiled.merge(part->bytes, next->bytes, map->arguments, map->columns);
    part->chunk.end = next->chunk.end;
    part->next = next->next;
    free(next);
    return true;
}

/* Parts of a row come in any order, and are combined in that of the elements. */
static void take_part(rp_run *run, rp_device *device, rp_delivery *part)
{
    rp_delivery **place = place_in(&run->parts, &part->chunk), **before = &run->parts;
    part->next = *place;
    *place = part;
    merge_with_next(run, part);
    if (place != before) {
        while (&(*before)->next != place)
            before = &(*before)->next;
        if (merge_with_next(run, *before))
            place = before;
    }
    rp_delivery *merged = *place;
    if (merged->chunk.begin > 0 || merged->chunk.end < rp_rows_width(run->map.inputs, merged->chunk.row))
        return;
    row_is_whole(run, device, merged);
    *place = merged->next;
    free(merged);
}

static void piece_done(rp_run *run, rp_device *device, rp_slot *slot)
{
    const rp_chunk *chunk = &slot->piece.chunk;
    run->chunks++;
    run->barren = 0;
    rp_pool_count(run->pool, device, 0, 1, 0);
    rp_delivery *own = slot->own;
    slot->own = NULL;
    if (chunk->partial) {
        take_part(run, device, own);
        return;
    }
    if (own != NULL)
        wait_for_delivery(run, own);
    rows_answered(run, device, chunk->rows);
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

/* Gives what is ready to the stream's callback: all of it, or as far as it is the next in order. */
static void deliver(rp_run *run)
{
    const delivery_frame frame = {.outer = delivering, .pool = run->pool};
    delivering = &frame;
    while (run->waiting != NULL && !run->stop && !atomic_load(&run->patience.cancelled)) {
        rp_delivery *first = run->waiting;
        if (run->stream.order == ROWPOOL_IN_ORDER && first->chunk.row != run->delivered)
            break;
        run->waiting = first->next;
        run->n_waiting--;
        run->delivered += first->chunk.rows;
        rp_floating_restore(&run->callers);
        const int ended = run->stream.each(first->chunk.row, first->chunk.rows, first->bytes, run->stream.payload);
        rp_floating_default(&run->callers);
        if (ended != 0) {
            const size_t row = rp_map_index(&run->map, &first->chunk);
            rowpool_error error;
            rp_fail(&error, ROWPOOL_ECANCELED, "the callback ended the stream at rows %zu to %zu", row,
                    row + first->chunk.rows - 1);
            fail(run, &error);
        }
        free(first);
    }
    delivering = frame.outer;
}

/* Gives a piece back in two. False: it is a single row that cannot be split, or a single element. */
static bool give_back_halves(rp_run *run, rp_piece piece)
{
    rp_piece half = piece;
    rp_chunk *first = &half.chunk, *second = &piece.chunk;
    if (first->rows > 1) {
        first->rows /= 2;
        second->row += first->rows;
        second->rows -= first->rows;
    } else {
        size_t width = first->partial ? first->end - first->begin : rp_rows_width(run->map.inputs, first->row);
        if (!rp_map_splits(&run->map) || width < 2)
            return false;
        first->partial = second->partial = true;
        first->end = second->begin = first->begin + width / 2;
        second->end = first->begin + width;
    }
    give_back(run, &piece);
    give_back(run, &half);
    return true;
}

/* ---- Failures --------------------------------------------------------------------------------------------------- */

enum {
    MOST_BARREN = 40,       /* deaths in a row, with no chunk done between them: it is not single rows that kill */
    DEATHS_TO_SEARCH = 512, /* with so many behind it a run no longer looks for single rows, */
    MOST_DEATHS = 1024      /* and ends after these: nearly all of its rows kill */
};

static void give_up(rp_run *run, const rowpool_error *error)
{
    note(run, error);
    if (run->deaths >= MOST_DEATHS || run->barren >= MOST_BARREN || is_in_order(run))
        stop(run); /* the rows after these would never be next */
}

/* A dead worker is replaced by its backend, so the device stays; but rows that kill twice would go on killing. They are
 * searched for the one that does, and the others run. */
static void worker_died(rp_run *run, rp_piece piece, bool blamed, const rowpool_error *error)
{
    const unsigned most = run->map.once ? 1 : 2;
    piece.deaths += blamed;
    run->deaths += blamed;
    run->barren += blamed;
    if (piece.deaths < most) {
        give_back(run, &piece);
    } else if (piece.chunk.partial || piece.chunk.rows == 1 || run->deaths > DEATHS_TO_SEARCH ||
               run->barren >= MOST_BARREN) {
        give_up(run, error);
    } else {
        piece.deaths = most - 1;
        give_back_halves(run, piece);
    }
}

static void piece_failed(rp_run *run, rp_participant *participant, const rp_piece *piece, bool blamed,
                         const rowpool_error *error)
{
    rp_device *device = participant->device;
    if (error->status == ROWPOOL_ECANCELED) { /* as the run was; it says so itself */
        give_back(run, piece);
        return;
    }
    const size_t row = rp_map_index(&run->map, &piece->chunk);
    rp_log(RP_LOG_RUN, "%s: rows %zu to %zu: %s", device->info.index, row, row + piece->chunk.rows - 1, error->message);
    rp_pool_count(run->pool, device, 0, 0, 1);
    rp_trace_instant(device->info.index, "failure", error->message);
    if (error->status == ROWPOOL_EWORKER) {
        worker_died(run, *piece, blamed, error);
    } else if (error->status == ROWPOOL_ENOMEM && participant->most > RP_LEAST_WORK && give_back_halves(run, *piece)) {
        participant->most /= 2;
        rp_log(RP_LOG_DEVICE, "%s: chunks of at most %zu bytes from here on", device->info.index, participant->most);
    } else if (error->status == ROWPOOL_EINVAL) { /* the caller's data: no other device would do better */
        fail(run, error);
    } else if (run->pool->strict) {
        fail(run, error);
    } else {
        participant->aside = true;
        rp_trial_cancel(run);
        rp_log(RP_LOG_DEVICE, "%s is put aside for this map: %s", device->info.index, error->message);
        give_back(run, piece);
        if (run->status == ROWPOOL_OK)
            run->error = *error; /* counts when nobody else can do it */
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static void release_slot(rp_run *run, rp_slot *slot)
{
    free(slot->own);
    slot->own = NULL;
    slot->next = run->free_slots;
    run->free_slots = slot;
}

static void lend_copies(rp_run *run, const rp_participant *participant, rp_task *task)
{
    for (size_t i = 0; i < run->map.code.n_inputs; i++) {
        if (run->data[i] == NULL)
            continue;
        task->resident[i] = rp_data_lend(run->data[i], participant->device, &task->chunk, participant->most_kept);
    }
}

/* Whether a task made a copy of more rows than its own: its time says nothing of its device's rate. */
static bool brought_more(const rp_run *run, const rp_task *task, size_t i)
{
    const rp_rows *rows = &run->map.inputs[i];
    const rp_resident *resident = &task->resident[i];
    return resident->keep && resident->copy != NULL &&
           rp_chunk_elements(rows, &resident->tile) > rp_chunk_elements(rows, &task->chunk);
}

static void note_copies(rp_run *run, rp_slot *slot)
{
    for (size_t i = 0; i < run->map.code.n_inputs; i++) {
        slot->cold |= brought_more(run, &slot->task, i);
        rp_data_note_copy(run->data[i], &slot->task.resident[i]);
    }
}

/* After a task's end. True: memory ran out where its rows were to stay as well; without that they may fit. */
static bool settle_copies(rp_run *run, rp_task *task, rowpool_status status)
{
    bool kept = false;
    for (size_t i = 0; i < run->map.code.n_inputs; i++) {
        kept |= task->resident[i].keep && status == ROWPOOL_ENOMEM;
        task->cold |= brought_more(run, task, i);
        rp_data_note_end(run->data[i], &task->resident[i], status);
    }
    return kept;
}

/* After a submit that took long, for a compiler or a copy: chunks that ended meanwhile will be noticed too late. */
static void note_standstill(rp_run *run, const rp_slot *slot)
{
    if (rp_clock_seconds(slot->begin, rp_clock_now()) > RP_MOST_SECONDS)
        for (size_t i = 0; i < run->n_slots; i++)
            run->slots[i].cold |= &run->slots[i] != slot;
}

static void submit(rp_run *run, rp_participant *participant, const rp_piece *piece)
{
    rp_slot *slot = run->free_slots;
    rp_device *device = participant->device;
    const rp_chunk *chunk = &piece->chunk;
    bool to_array = goes_to_array(run, chunk);
    rp_delivery *own = to_array ? NULL : new_delivery(run, chunk);
    if (!to_array && own == NULL)
        return;
    run->free_slots = slot->next;
    slot->piece = *piece;
    slot->own = own;
    slot->cold = false;
    slot->begin = rp_clock_now();
    slot->task = (rp_task){
        .map = &run->map, .chunk = *chunk, .device = device, .patience = &run->patience, .owner = run};
    slot->task.home = run->waits ? NULL : run->queue;
    slot->task.results = to_array ? array_at(run, chunk->row) : own->bytes;
    lend_copies(run, participant, &slot->task);
    rp_share_begin(run, participant, chunk);
    participant->in_flight++; /* before submit: the completion may already be there when it returns */
    run->in_flight++;
    rowpool_error error;
    rowpool_status status = device->backend->submit(device, &slot->task, &error);
    note_standstill(run, slot);
    if (status == ROWPOOL_OK) {
        note_copies(run, slot);
        if (run->waits)
            rp_queue_push(run->queue, &slot->task.link);
        return;
    }
    run->in_flight--;
    participant->in_flight--;
    participant->pending -= rp_share_bytes(run, chunk);
    bool too_much = settle_copies(run, &slot->task, status);
    release_slot(run, slot);
    if (too_much)
        give_back(run, piece);
    else
        piece_failed(run, participant, piece, false, &error);
}

static void fill_participant(rp_run *run, rp_participant *participant)
{
    rp_piece piece;
    while (!participant->aside && !participant->building && participant->in_flight < participant->device->lanes &&
           rp_share_is_of_use(run, participant) && next_piece(run, participant, &piece))
        submit(run, participant, &piece);
}

/* Nobody waits for a compiler who did not name the device: asks those that were not ready whether they are now. Returns
 * whether one is not. */
static bool somebody_builds(rp_run *run)
{
    bool builds = false;
    for (size_t i = 0; i < run->n_participants; i++) {
        rp_participant *participant = &run->participants[i];
        rp_device *device = participant->device;
        if (!participant->building)
            continue;
        participant->building = !device->backend->ready(device, &run->map, run->stood_in);
        builds |= participant->building;
    }
    run->stretch.on &= !builds; /* there is nothing to compare */
    run->stood_in = 0;
    return builds;
}

/* Where nobody is ready the host does a little. */
static void stand_in(rp_run *run)
{
    const size_t before = run->left;
    fill_participant(run, &run->participants[run->n_participants]);
    run->stood_in = before - run->left;
}

static bool has_work(rp_run *run)
{
    return !rp_run_is_over(run) && !all_rows_done(run);
}

static void hand_out(rp_run *run)
{
    size_t aside;
    do { /* again when the last devices refused what earlier ones had no lane for */
        bool builds = somebody_builds(run);
        aside = 0;
        for (size_t i = 0; i < run->n_participants; i++) {
            fill_participant(run, &run->participants[i]);
            aside += run->participants[i].aside;
        }
        if (builds && run->in_flight == 0)
            stand_in(run);
    } while (run->in_flight == 0 && aside < run->n_participants && run->waiting == NULL && has_work(run));
    if (aside < run->n_participants || !has_work(run))
        return;
    if (run->has_reserve)
        fill_participant(run, &run->participants[run->n_participants]);
    else if (run->in_flight == 0)
        fail(run, &run->error);
}

void rp_run_fill(rp_run *run)
{
    if (!run->filled) {
        rp_trial_begin(run);
        rp_floating_default(&run->callers);
    }
    run->filled = true;
    do {
        hand_out(run);
        if (is_stream(run))
            deliver(run);
    } while (run->in_flight == 0 && has_work(run));
}

static rp_participant *participant_of(rp_run *run, const rp_device *device)
{
    rp_participant *participant = run->participants;
    while (participant->device != device)
        participant++;
    return participant;
}

void rp_run_complete(rp_run *run, rp_slot *slot)
{
    rp_device *device = slot->task.device;
    rp_participant *participant = participant_of(run, device);
    rowpool_error error;
    rowpool_status status = device->backend->finish(device, &slot->task, &error);
    run->in_flight--;
    participant->pending -= rp_share_bytes(run, &slot->piece.chunk);
    participant->in_flight--;
    bool too_much = settle_copies(run, &slot->task, status);
    if (status == ROWPOOL_OK) {
        slot->task.cold |= slot->cold;
        rp_share_end(run, participant, &slot->task);
        rp_trial_note(run, &slot->task);
        trace_chunk(run, slot, "chunk");
        piece_done(run, device, slot);
    }
    release_slot(run, slot);
    if (too_much)
        give_back(run, &slot->piece);
    else if (status != ROWPOOL_OK)
        piece_failed(run, participant, &slot->piece, slot->task.blamed, &error);
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
    rp_floating_restore(&run->callers);
    rp_queue_destroy(&own);
    return rp_run_status(run, error);
}
