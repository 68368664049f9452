#include "peer.h"

#include <string.h>

static const bench_peer_type *const types[] = {
    &bench_peer_serial, &bench_peer_openmp, &bench_peer_rowpool,
#ifdef BENCH_HAVE_OPENCL
    &bench_peer_opencl, /* after rowpool: one for each OpenCL device there */
#endif
};
enum { TYPES = sizeof types / sizeof types[0] };

bool bench_peers_have(const bench_peers *peers, const char *label)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!strcmp(peers->items[i].label, label))
            return true;
    return false;
}

rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error)
{
    if (bench_peers_have(peers, peer->label))
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
    for (size_t i = 0; i < TYPES && !status; i++)
        status = types[i]->available(peers, devices, error);
    return status;
}

rowpool_status bench_peers_find_balance(bench_peers *peers, const char *devices, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    peers->count = 0;
    for (size_t i = 0; i < TYPES && !status; i++) {
        if (types[i] == &bench_peer_rowpool)
            status = bench_rowpool_balance(peers, devices, error);
        else if (types[i] != &bench_peer_openmp)
            status = types[i]->available(peers, devices, error);
    }
    return status;
}
