#include "peer.h"

#include <string.h>

static const bench_peer_type *const types[] = {
    &bench_peer_loop, &bench_peer_rowpool, &bench_peer_python,
#ifdef BENCH_HAVE_OPENCL
    &bench_peer_opencl, /* after rowpool, whose devices it uses */
#endif
};

const char bench_peers_default[] = "serial,openmp/,limit,opencl/";
const char bench_peers_all[] = "serial,openmp,intrinsics,limit,opencl/,python/";

/* Whether the label begins with the first entry of the list. */
static bool begins_with_first(const char *label, const char *list)
{
    const size_t length = strcspn(list, ",");

    return length > 0 && strncmp(label, list, length) == 0;
}

/* The list after its first entry; NULL at the end. */
static const char *next_entry(const char *list)
{
    const char *comma = strchr(list, ',');

    return comma != NULL ? comma + 1 : NULL;
}

bool bench_peers_want(const bench_peers *peers, const char *label)
{
    for (const char *at = peers->wanted; at != NULL; at = next_entry(at))
        if (begins_with_first(label, at))
            return true;
    return false;
}

rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error)
{
    for (const char *at = peers->wanted; at != NULL; at = next_entry(at)) {
        size_t i = 0;

        while (i < peers->count && !begins_with_first(peers->items[i].label, at))
            i++;
        if (i == peers->count)
            return rp_fail(error, ROWPOOL_EINVAL, "--peers: there is no '%.*s' on this machine (see --help)",
                           (int)strcspn(at, ","), at);
    }
    return ROWPOOL_OK;
}

rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error)
{
    if (peer->type != &bench_peer_rowpool && !bench_peers_want(peers, peer->label))
        return ROWPOOL_OK;
    for (size_t i = 0; i < peers->count; i++)
        if (strcmp(peers->items[i].label, peer->label) == 0)
            return rp_fail(error, ROWPOOL_EINVAL, "%s is named twice", peer->label);
    if (peers->count == BENCH_PEERS_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "more than %d peers: name fewer with --device and --peers",
                       BENCH_PEERS_MAX);
    peers->items[peers->count++] = *peer;
    return ROWPOOL_OK;
}

rowpool_status bench_peers_find(bench_peers *peers, rowpool_error *error)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        BENCH_TRY(types[i]->available(peers, error));
    return ROWPOOL_OK;
}
