#include "peer.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const bench_peer_type *const types[] = {
    &bench_peer_serial, &bench_peer_rowpool, &bench_peer_process,
#ifdef BENCH_HAVE_OPENCL
    &bench_peer_opencl, /* after rowpool: on the devices found there */
#endif
};

const char bench_peers_default[] = "serial,openmp/,limit,opencl/";
const char bench_peers_all[] = "serial,openmp,intrinsics,limit,opencl/,passes/,dense/,process/,python/";

/* ---- Which are wanted ------------------------------------------------------------------------------------------- */

/* Whether the label fits the first pattern of the list. */
static bool fits(const char *patterns, const char *label)
{
    const size_t length = strcspn(patterns, ",");
    char *pattern = strndup(patterns, length);
    const bool good = length > 0 && pattern != NULL &&
                      (strncmp(label, pattern, length) == 0 || fnmatch(pattern, label, 0) == 0);

    free(pattern);
    return good;
}

/* The list after its first pattern; NULL at the end. */
static const char *next_pattern(const char *patterns)
{
    const char *comma = strchr(patterns, ',');

    return comma != NULL ? comma + 1 : NULL;
}

bool bench_peers_want(const bench_peers *peers, const char *label)
{
    for (const char *at = peers->wanted; at != NULL; at = next_pattern(at))
        if (fits(at, label))
            return true;
    return false;
}

rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error)
{
    for (const char *at = peers->wanted; at != NULL; at = next_pattern(at)) {
        size_t i = 0;

        while (i < peers->count && !fits(at, peers->items[i].label))
            i++;
        if (i == peers->count && at[0] != '-')
            return bench_fail(error, ROWPOOL_EINVAL, "--peers: there is no '%.*s' on this machine (see --help)",
                              (int)strcspn(at, ","), at);
    }
    return ROWPOOL_OK;
}

/* ---- The list --------------------------------------------------------------------------------------------------- */

rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error)
{
    if (peer->type != &bench_peer_rowpool && !bench_peers_want(peers, peer->label))
        return ROWPOOL_OK;
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->items[i].label, peer->label) == 0)
            return bench_fail(error, ROWPOOL_EINVAL, "%s is named twice", peer->label);
    if (peers->count == BENCH_PEERS_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "more than %d peers: name fewer with --device and --peers",
                          BENCH_PEERS_MAX);
    peers->items[peers->count++] = *peer;
    return ROWPOOL_OK;
}

/* Removes what fits a pattern after a minus, also rowpool's devices: other peers were found by them. */
static void leave_out(bench_peers *peers)
{
    for (const char *at = peers->wanted; at != NULL; at = next_pattern(at)) {
        size_t kept = 0;

        for (size_t i = 0; i < peers->count && at[0] == '-'; i++)
            if (!fits(at + 1, peers->items[i].label))
                peers->items[kept++] = peers->items[i];
        if (at[0] == '-')
            peers->count = kept;
    }
}

rowpool_status bench_peers_find(bench_peers *peers, rowpool_error *error)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        BENCH_TRY(types[i]->available(peers, error));
    if (!peers->balance)
        leave_out(peers);
    return ROWPOOL_OK;
}

bool bench_is_rowpool_device(const bench_peer *peer)
{
    return peer->type == &bench_peer_rowpool && strchr(peer->index, ':') != NULL &&
           strcmp(peer->label + strcspn(peer->label, "/") + 1, peer->index) == 0;
}
