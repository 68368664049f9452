/* Several ranges by as many maps of one range each: what one map of them all saves. By rowpool, on its own choice of
 * devices. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "peer.h"

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    rowpool *pool;
    rowpool_rows rows;
    uint32_t *counts; /* of one pass after the other */
} session;

static rowpool_status passes_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_passes, .label = "passes/rowpool", .device = "a map for each range"};

    (void)devices;
    (void)snprintf(peer.driver, sizeof peer.driver, "rowpool %s", rowpool_version());
    return bench_peers_add(peers, &peer, error);
}

static bool passes_applies(const bench_peer *peer, const bench_case *work)
{
    (void)peer;
    return work->columns > 1;
}

static void passes_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    rowpool_close(own->pool);
    free(own->counts);
    free(own);
    peer->state = NULL;
}

static rowpool_status passes_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = calloc(1, sizeof *own);
    rowpool_options options = {.size = sizeof options, .device = "auto"};
    rowpool_status status = ROWPOOL_ENOMEM;

    if (!own)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a pool");
    peer->state = own;
    own->rows = bench_case_rows(work);
    own->counts = calloc(bench_case_counts(work), sizeof *own->counts);
    if (own->counts)
        status = rowpool_open(&own->pool, &options, error);
    else
        bench_fail(error, ROWPOOL_ENOMEM, "no memory for the counts of %zu passes", work->columns);
    if (status)
        passes_cleanup(peer);
    return status;
}

/* One map for all ranges brings the counts of a row together; not timed. */
static void bring_together(const session *own, const bench_case *work, uint32_t *counts)
{
    for (size_t row = 0; row < work->rows; row++)
        for (size_t k = 0; k < work->columns; k++)
            counts[row * work->columns + k] = own->counts[k * work->rows + row];
}

static rowpool_status passes_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;
    rowpool_status status = ROWPOOL_OK;

    peer->seconds = -bench_seconds(CLOCK_MONOTONIC);
    for (size_t k = 0; k < work->columns && !status; k++) {
        const bench_ends ends = bench_case_ends(work, k);
        const rowpool_range range = rowpool_range_i64(ends.lo, ends.hi);

        status = rowpool_range_count(own->pool, &own->rows, &range, 1, own->counts + k * work->rows, error);
    }
    peer->seconds += bench_seconds(CLOCK_MONOTONIC);
    if (!status)
        bring_together(own, work, counts);
    return status;
}

const bench_peer_type bench_peer_passes = {
    .name = "passes",
    .available = passes_available,
    .applies = passes_applies,
    .prepare = passes_prepare,
    .run = passes_run,
    .cleanup = passes_cleanup,
    .times_itself = true,
    .ragged = true,
    .columns = true,
};
