#include "peer.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const bench_peer_type *const types[] = {
    &bench_peer_serial,       &bench_peer_openmp,  &bench_peer_openmp_width, &bench_peer_openmp_split,
    &bench_peer_intrinsics,   &bench_peer_limit,   &bench_peer_rowpool,      &bench_peer_passes,
    &bench_peer_rowpool_open, &bench_peer_process, &bench_peer_python,
#ifdef BENCH_HAVE_OPENCL
    &bench_peer_opencl, /* after rowpool: for the OpenCL devices there */
    &bench_peer_opencl_open,
#endif
};
enum { TYPES = sizeof types / sizeof types[0] };

const char bench_peers_usual[] = "serial,openmp/,limit,opencl/";
const char bench_peers_all[] = "serial,openmp,intrinsics,limit,opencl/,passes/,process/,python/";

/* ---- Which are wanted ------------------------------------------------------------------------------------------- */

/* The beginning of a list's first entry, whose length is set, and the rest of the list. */
static const char *next_entry(const char **list, size_t *length)
{
    const char *entry = *list;

    *length = strcspn(entry, ",");
    *list = entry + *length + (entry[*length] == ',');
    return entry;
}

static bool fits(const char *pattern, size_t length, const char *label)
{
    char *copy = strndup(pattern, length);
    bool good = copy && (!strncmp(label, copy, length) || fnmatch(copy, label, 0) == 0);

    free(copy);
    return good;
}

bool bench_label_fits(const char *patterns, const char *label)
{
    bool good = false;

    while (!good && *patterns) {
        size_t length;
        const char *pattern = next_entry(&patterns, &length);

        good = fits(pattern, length, label);
    }
    return good;
}

bool bench_peers_want(const bench_peers *peers, const char *label)
{
    return bench_label_fits(peers->wanted, label);
}

static bool fits_any(const bench_peers *peers, const char *pattern, size_t length)
{
    for (size_t i = 0; i < peers->count; i++)
        if (fits(pattern, length, peers->items[i].label))
            return true;
    return false;
}

rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error)
{
    for (const char *rest = peers->wanted; *rest;) {
        size_t length;
        const char *pattern = next_entry(&rest, &length);

        if (length == 0 || !fits_any(peers, pattern, length))
            return bench_fail(error, ROWPOOL_EINVAL, "--peers: there is no '%.*s' on this machine (see --help)",
                              (int)length, pattern);
    }
    return ROWPOOL_OK;
}

/* ---- The list --------------------------------------------------------------------------------------------------- */

bool bench_peers_have(const bench_peers *peers, const char *label)
{
    for (size_t i = 0; i < peers->count; i++)
        if (!strcmp(peers->items[i].label, label))
            return true;
    return false;
}

rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error)
{
    if (peer->type != &bench_peer_rowpool && !bench_peers_want(peers, peer->label))
        return ROWPOOL_OK;
    if (bench_peers_have(peers, peer->label))
        return bench_fail(error, ROWPOOL_EINVAL, "%s is named twice", peer->label);
    if (peers->count == BENCH_PEERS_MAX)
        return bench_fail(error, ROWPOOL_EINVAL, "more than %d peers: name fewer with --device and --peers",
                          BENCH_PEERS_MAX);
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
        else
            status = types[i]->available(peers, devices, error);
    }
    return status;
}
