/* How a run ends: its deadline, its first failure, its outcome; and its lines in the log and the trace. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "sched/pool.h"

void rp_run_timeout(rp_run *run, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? RP_NO_DEADLINE : rp_clock_ns() + (int64_t)timeout_ms * 1000000;
    atomic_store(&run->cancellation.deadline, deadline);
}

void rp_run_record(rp_run *run, const rowpool_error *error)
{
    if (run->status == ROWPOOL_OK) {
        run->status = error->status;
        run->error = *error;
    }
}

void rp_run_stop(rp_run *run)
{
    run->stop = true;
    atomic_store(&run->cancellation.cancelled, true);
}

void rp_run_fail(rp_run *run, const rowpool_error *error)
{
    rp_run_record(run, error);
    rp_run_stop(run);
}

/* Rows whose results the caller has. */
static size_t rows_given(rp_run *run)
{
    return run->is_stream ? run->delivered : atomic_load(&run->rows_done);
}

bool rp_run_is_over(rp_run *run)
{
    if (run->stop || atomic_load_explicit(&run->cancellation.cancelled, memory_order_relaxed))
        return true;
    int64_t deadline = atomic_load_explicit(&run->cancellation.deadline, memory_order_relaxed);
    if (!rp_is_past(deadline) || rp_work_queue_is_empty(&run->work))
        return false;
    rowpool_error error;
    rp_fail(&error, ROWPOOL_ETIMEDOUT, "timed out after %lld ms, with %zu of %zu rows done",
            (long long)(deadline - run->begun) / 1000000, rows_given(run), run->operation.inputs->count);
    rp_run_fail(run, &error);
    return true;
}

static void log_participant(const rp_run *run, const rp_participant *participant)
{
    const char *name = run->operation.name, *device = participant->device->info.index;
    const double rate = 1e-9 * participant->rate;
    const size_t bytes = rp_operation_bytes(&run->operation);
    const bool is_ready = participant->state == RP_PARTICIPANT_READY && run->status == ROWPOOL_OK;
    if (participant->chunks > 0)
        rp_log(RP_LOG_RUN, "%s: device %s did %zu rows in %zu chunks", name, device, participant->rows,
               participant->chunks);
    else if (participant->state == RP_PARTICIPANT_BUILDING)
        rp_log(RP_LOG_RUN, "%s: device %s took no part: its kernel is not built yet", name, device);
    else if (is_ready && bytes <= RP_MIN_WORK)
        rp_log(RP_LOG_RUN, "%s: device %s took no part: a map of %zu bytes is one chunk", name, device, bytes);
    else if (is_ready && rate > 0)
        rp_log(RP_LOG_RUN, "%s: device %s took no part: at its rate, %.3g GB/s, it would hold up the others", name,
               device, rate);
    else if (is_ready)
        rp_log(RP_LOG_RUN, "%s: device %s took no part: the others had taken all rows", name, device);
}

static void log_run(const rp_run *run)
{
    const rp_rows *rows = run->operation.inputs;
    rp_log(RP_LOG_RUN, "%s: %zu rows, %zu %s elements, %zu results each: %zu chunks: %s", run->operation.name,
           rows->count, rp_operation_elements(&run->operation), rows->dtype->name, run->operation.columns, run->chunks,
           run->status == ROWPOOL_OK ? "done" : run->error.message);
    for (size_t i = 0; i < run->n_participants; i++)
        log_participant(run, &run->participants[i]);
    if (run->host != NULL && run->host->chunks > 0)
        log_participant(run, run->host);
}

rowpool_status rp_run_status(rp_run *run, rowpool_error *error)
{
    const rp_rows *rows = run->operation.inputs;
    rowpool_error ending;
    if (run->status == ROWPOOL_OK && (!rp_work_queue_is_empty(&run->work) || run->ready != NULL)) {
        rp_fail(&ending, ROWPOOL_ECANCELED, "cancelled after %zu of %zu rows", rows_given(run), rows->count);
        rp_run_record(run, &ending);
    }
    size_t lost = run->status == ROWPOOL_EWORKER ? rows->count - rows_given(run) : 0;
    if (lost > 1) {
        ending = run->error;
        rp_fail(&run->error, ending.status, "%.900s; in all, %zu rows have no result", ending.message, lost);
    }
    if (rp_log_on(RP_LOG_RUN) && (run->chunks > 0 || run->status != ROWPOOL_OK)) /* a small job has logged itself */
        log_run(run);
    if (run->status != ROWPOOL_OK && error != NULL)
        *error = run->error;
    return run->status;
}

/* ---- Trace ------------------------------------------------------------------------------------------------------ */

enum { CHUNK_TEXT = 256 };

static void describe_chunk(const rp_run *run, const rp_chunk *chunk, char text[CHUNK_TEXT])
{
    const size_t row = rp_operation_index(&run->operation, chunk);
    if (chunk->partial)
        snprintf(text, CHUNK_TEXT, "%s: elements %zu to %zu of row %zu", run->operation.name, chunk->begin,
                 chunk->end - 1, row);
    else
        snprintf(text, CHUNK_TEXT, "%s: rows %zu to %zu", run->operation.name, row, row + chunk->rows - 1);
}

void rp_run_trace_task(const rp_run *run, const rp_task *task)
{
    char text[CHUNK_TEXT];
    describe_chunk(run, &task->chunk, text);
    rp_trace_span(task->device->info.index, "chunk", task->begin, rp_clock_now(), text);
}

void rp_run_trace_retry(const rp_run *run, const rp_participant *participant, const rp_chunk *chunk)
{
    char text[CHUNK_TEXT];
    if (!rp_trace_on())
        return;
    describe_chunk(run, chunk, text);
    rp_trace_instant(participant->device->info.index, "retry", text);
}
