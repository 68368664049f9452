#include <stdlib.h>

#include "base/checked.h"
#include "sched/pool.h"
#include "sched/run.h"

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

/* NULL: out of memory, and the run has failed. */
static rp_result_buffer *new_buffer(rp_run *run, const rp_chunk *chunk)
{
    size_t bytes = rp_operation_chunk_bytes(&run->operation, chunk);
    rp_result_buffer *buffer = NULL;
    if (rp_add(bytes, sizeof *buffer + 63, &bytes))
        buffer = aligned_alloc(64, bytes / 64 * 64);
    if (buffer == NULL) {
        const size_t row = rp_operation_index(&run->operation, chunk);
        rowpool_error error;
        rp_fail(&error, ROWPOOL_ENOMEM, "out of memory for the results of rows %zu to %zu", row, row + chunk->rows - 1);
        rp_run_fail(run, &error);
        return NULL;
    }
    *buffer = (rp_result_buffer){.chunk = *chunk};
    return buffer;
}

static bool comes_before(const rp_chunk *a, const rp_chunk *b)
{
    return a->row != b->row ? a->row < b->row : a->begin < b->begin;
}

/* Where a chunk belongs in a list that is in the order of rows and elements. */
static rp_result_buffer **place_in(rp_result_buffer **list, const rp_chunk *chunk)
{
    while (*list != NULL && comes_before(&(*list)->chunk, chunk))
        list = &(*list)->next;
    return list;
}

void rp_results_free(rp_run *run)
{
    rp_result_buffer *lists[] = {run->parts, run->ready};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        while (lists[i] != NULL) {
            rp_result_buffer *next = lists[i]->next;
            free(lists[i]);
            lists[i] = next;
        }
}

static char *array_at(const rp_run *run, size_t row)
{
    return run->operation.results + row * rp_operation_row_bytes(&run->operation);
}

bool rp_results_place(rp_run *run, rp_task *task)
{
    if (!run->is_stream && !task->chunk.partial) {
        task->results = array_at(run, task->chunk.row);
        return true;
    }
    task->buffer = new_buffer(run, &task->chunk);
    task->results = task->buffer != NULL ? task->buffer->bytes : NULL;
    return task->buffer != NULL;
}

static void make_ready(rp_run *run, rp_result_buffer *buffer)
{
    rp_result_buffer **place = place_in(&run->ready, &buffer->chunk);
    buffer->next = *place;
    *place = buffer;
    run->n_ready++;
}

/* ---- Parts of rows ---------------------------------------------------------------------------------------------- */

/* All parts of the row have been merged into this one. Returns the rows that are answered: 1, or 0 after a failure. */
static size_t finish_row(rp_run *run, const rp_result_buffer *part)
{
    const rp_operation *operation = &run->operation;
    const rp_chunk row = {.row = part->chunk.row, .rows = 1};
    rp_result_buffer *buffer = run->is_stream ? new_buffer(run, &row) : NULL;
    if (run->is_stream && buffer == NULL)
        return 0;
    operation->code.compiled.end(part->bytes, part->chunk.end, operation->arguments, operation->columns,
                                 buffer != NULL ? buffer->bytes : array_at(run, row.row));
    if (buffer != NULL)
        make_ready(run, buffer);
    return 1;
}

/* Merges a part with the next one if nothing lies between them. */
static bool merge_with_next(rp_run *run, rp_result_buffer *part)
{
    const rp_operation *operation = &run->operation;
    rp_result_buffer *next = part->next;
    if (next == NULL || next->chunk.row != part->chunk.row || next->chunk.begin != part->chunk.end)
        return false;
    operation->code.compiled.merge(part->bytes, next->bytes, operation->arguments, operation->columns);
    part->chunk.end = next->chunk.end;
    part->next = next->next;
    free(next);
    return true;
}

/* Parts of a row arrive in any order and are merged in the order of the elements. */
static size_t take_part(rp_run *run, rp_result_buffer *part)
{
    rp_result_buffer **place = place_in(&run->parts, &part->chunk), **before = &run->parts;
    part->next = *place;
    *place = part;
    merge_with_next(run, part);
    if (place != before) {
        while (&(*before)->next != place)
            before = &(*before)->next;
        if (merge_with_next(run, *before))
            place = before;
    }
    rp_result_buffer *merged = *place;
    if (merged->chunk.begin > 0 || merged->chunk.end < rp_rows_width(run->operation.inputs, merged->chunk.row))
        return 0;
    const size_t rows = finish_row(run, merged);
    *place = merged->next;
    free(merged);
    return rows;
}

size_t rp_results_take(rp_run *run, rp_task *task)
{
    rp_result_buffer *buffer = task->buffer;
    task->buffer = NULL;
    if (task->chunk.partial)
        return take_part(run, buffer);
    make_ready(run, buffer);
    return task->chunk.rows;
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

/* A stream's callback that this thread is in. outer: the callback around it, since a callback may stream on another
 * pool. */
typedef struct delivery_frame {
    const struct delivery_frame *outer;
    const rowpool *pool;
} delivery_frame;

static _Thread_local const delivery_frame *delivering;

bool rp_results_are_delivered(const rowpool *pool)
{
    const delivery_frame *frame = delivering;
    while (frame != NULL && frame->pool != pool)
        frame = frame->outer;
    return frame != NULL;
}

static void call_back(rp_run *run, const rp_result_buffer *buffer)
{
    rp_floating_restore(&run->callers);
    rp_assert_no_lock("results are delivered");
    const int ended = run->stream.each(buffer->chunk.row, buffer->chunk.rows, buffer->bytes, run->stream.payload);
    rp_floating_default(&run->callers);
    if (ended == 0)
        return;
    const size_t row = rp_operation_index(&run->operation, &buffer->chunk);
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ECANCELED, "the callback ended the stream at rows %zu to %zu", row,
            row + buffer->chunk.rows - 1);
    rp_run_fail(run, &error);
}

void rp_results_deliver(rp_run *run)
{
    const delivery_frame frame = {.outer = delivering, .pool = run->pool};
    delivering = &frame;
    while (run->ready != NULL && !run->stop && !atomic_load(&run->cancellation.cancelled)) {
        rp_result_buffer *first = run->ready;
        if (run->in_order && first->chunk.row != run->delivered)
            break;
        run->ready = first->next;
        run->n_ready--;
        run->delivered += first->chunk.rows;
        call_back(run, first);
        free(first);
    }
    delivering = frame.outer;
}
