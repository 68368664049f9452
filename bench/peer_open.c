/* Opening and closing a pool, and no map: beside it a raw OpenCL program makes and releases a context and a queue. */
#include <stdio.h>

#include "peer.h"

static rowpool_status open_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_rowpool_open, .label = "open/rowpool", .device = "a pool opened and closed"};

    (void)devices;
    (void)snprintf(peer.driver, sizeof peer.driver, "rowpool %s", rowpool_version());
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status open_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    rowpool *pool;
    rowpool_status status = rowpool_open(&pool, NULL, error);

    (void)peer;
    (void)work;
    (void)counts;
    rowpool_close(pool);
    return status;
}

const bench_peer_type bench_peer_rowpool_open = {
    .name = "open/rowpool",
    .available = open_available,
    .run = open_run,
    .no_counts = true,
    .ragged = true,
    .columns = true,
};
