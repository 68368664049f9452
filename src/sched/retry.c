/* What becomes of a chunk that failed:
 *
 *     cancelled                    it goes back; the run ends for its own reason
 *     its worker died              it runs again; a chunk that kills MAX_DEATHS_OF_CHUNK workers is halved, until the
 *                                  row that kills is found
 *     no memory on the device      it goes back in halves, and the device gets smaller chunks
 *     the caller's data are wrong  the run ends: no other device would do better
 *     anything else                it goes back, and the device is excluded from the run; in a strict pool the run ends
 */
#include "base/log.h"
#include "base/trace.h"
#include "sched/pool.h"
#include "sched/run.h"

enum {
    MAX_DEATHS_OF_CHUNK = 2,       /* 1 where a function must not run twice */
    MAX_BARREN_DEATHS = 40,        /* consecutive, with no chunk done between them: every row kills */
    MAX_DEATHS_FOR_A_SEARCH = 512, /* in a run: after these no chunk is halved any more */
    MAX_DEATHS = 1024              /* in a run: nearly all rows kill */
};

/* Puts a chunk back as two. False: it is a single element, or a single row that cannot be split. */
static bool return_halves(rp_run *run, rp_chunk chunk)
{
    rp_chunk first = chunk;
    if (chunk.rows > 1) {
        first.rows /= 2;
        chunk.row += first.rows;
        chunk.rows -= first.rows;
    } else {
        size_t width = chunk.partial ? chunk.end - chunk.begin : rp_rows_width(run->operation.inputs, chunk.row);
        if (!rp_operation_splits(&run->operation) || width < 2)
            return false;
        first.partial = chunk.partial = true;
        first.end = chunk.begin = first.begin + width / 2;
        chunk.end = first.begin + width;
    }
    rp_run_return(run, &chunk);
    rp_run_return(run, &first);
    return true;
}

/* The row that kills has no result. A stream in order could deliver nothing after it. */
static void give_up(rp_run *run, const rowpool_error *error)
{
    rp_run_record(run, error);
    if (run->deaths >= MAX_DEATHS || run->barren >= MAX_BARREN_DEATHS || run->in_order)
        rp_run_stop(run);
}

/* The backend replaces a dead worker, so the device stays. */
static void worker_died(rp_run *run, rp_chunk chunk, bool blamed, const rowpool_error *error)
{
    const unsigned max_deaths = run->operation.once ? 1 : MAX_DEATHS_OF_CHUNK;
    chunk.deaths += blamed;
    run->deaths += blamed;
    run->barren += blamed;
    if (chunk.deaths < max_deaths) {
        rp_run_return(run, &chunk);
    } else if (chunk.partial || chunk.rows == 1 || run->deaths > MAX_DEATHS_FOR_A_SEARCH ||
               run->barren >= MAX_BARREN_DEATHS) {
        give_up(run, error);
    } else {
        chunk.deaths = max_deaths - 1;
        return_halves(run, chunk);
    }
}

static void exclude(rp_run *run, rp_participant *participant, const rowpool_error *error)
{
    rp_run_set_state(run, participant, RP_PARTICIPANT_EXCLUDED);
    rp_log(RP_LOG_DEVICE, "%s is excluded from this map: %s", participant->device->info.index, error->message);
    if (run->status == ROWPOOL_OK)
        run->error = *error; /* the run's error, if no other device can do the rows */
}

void rp_retry(rp_run *run, rp_participant *participant, const rp_chunk *chunk, bool blamed, const rowpool_error *error)
{
    const char *device = participant->device->info.index;
    const size_t row = rp_operation_index(&run->operation, chunk);
    if (error->status == ROWPOOL_ECANCELED) {
        rp_run_return(run, chunk);
        return;
    }
    rp_log(RP_LOG_RUN, "%s: rows %zu to %zu: %s", device, row, row + chunk->rows - 1, error->message);
    rp_pool_count(run->pool, participant->device, 0, 0, 1);
    rp_trace_instant(device, "failure", error->message);
    if (error->status == ROWPOOL_EWORKER) {
        worker_died(run, *chunk, blamed, error);
    } else if (error->status == ROWPOOL_ENOMEM && participant->max_chunk > RP_MIN_WORK && return_halves(run, *chunk)) {
        participant->max_chunk /= 2;
        rp_log(RP_LOG_DEVICE, "%s: chunks of at most %zu bytes from here on", device, participant->max_chunk);
    } else if (error->status == ROWPOOL_EINVAL || run->pool->strict) {
        rp_run_fail(run, error);
    } else {
        exclude(run, participant, error);
        rp_run_return(run, chunk);
    }
}
