#include "peer.h"

#include <string.h>

static const bench_peer_type *const types[] = {&bench_peer_serial, &bench_peer_openmp, &bench_peer_rowpool};

rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!strcmp(peers->items[i].label, peer->label))
            return bench_fail(error, ROWPOOL_EINVAL, "%s is named twice", peer->label);
    if (peers->count == BENCH_PEERS_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "more than %d peers: name fewer with --device", BENCH_PEERS_MAX);
    peers->items[peers->count++] = *peer;
    return ROWPOOL_OK;
}

rowpool_status bench_peers_find(bench_peers *peers, const char *devices, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    peers->count = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0] && !status; i++)
        status = types[i]->available(peers, devices, error);
    return status;
}
