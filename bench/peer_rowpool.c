/* rowpool itself: one peer for each device, by the string that names it. Without names from the user these are every
 * OpenCL device, the worker processes and the calling thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "peer.h"

/* bench_peer.variant: where the data lies. */
enum {
    CALLERS_MEMORY,
    ROWPOOL_MEMORY, /* from rowpool_alloc: worker processes reach it without a copy */
    DATA_THAT_STAYS /* the caller's, but after the first run on the device too */
};

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    rowpool *pool;
    void *memory;       /* the copy of the data in ROWPOOL_MEMORY, or NULL */
    rowpool_data *data; /* DATA_THAT_STAYS, or NULL */
    rowpool_rows rows;
    rowpool_range ranges[BENCH_COLUMNS_MAX];
} session;

static rowpool_status open_pool(rowpool **pool, const char *device, rowpool_error *error)
{
    rowpool_options options = {.size = sizeof options, .device = device};

    return rowpool_open(pool, &options, error);
}

/* ---- Which there are -------------------------------------------------------------------------------------------- */

/* All devices of a pool, or with NULL all that are found; to be freed. */
static rowpool_status list_devices(rowpool *pool, rowpool_device **devices, size_t *count, rowpool_error *error)
{
    size_t capacity = 0;
    rowpool_status status = rowpool_devices(pool, NULL, 0, &capacity, error);

    *devices = NULL;
    *count = 0;
    if (status || capacity == 0)
        return status;
    *devices = calloc(capacity, sizeof **devices);
    if (!*devices)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a list of %zu devices", capacity);
    status = rowpool_devices(pool, *devices, capacity, count, error);
    /* A device may have come meanwhile. */
    if (*count > capacity)
        *count = capacity;
    return status;
}

/* Appends to a text that may hold others already; cut where too long. */
static void append(char *text, size_t size, const char *addition)
{
    size_t length = strlen(text);

    (void)snprintf(text + length, size - length, "%s%s", length ? " + " : "", addition);
}

/* Names what the pool really uses, and which device it is where it is one. */
static rowpool_status describe(bench_peer *peer, rowpool *pool, rowpool_error *error)
{
    rowpool_device *devices;
    size_t count, used = 0;
    rowpool_status status = list_devices(pool, &devices, &count, error);

    for (size_t i = 0; i < count && !status; i++) {
        if (!devices[i].in_use)
            continue;
        (void)snprintf(peer->index, sizeof peer->index, "%s", used++ ? "" : devices[i].index);
        peer->shared = devices[i].shared_memory;
        append(peer->device, sizeof peer->device, devices[i].name);
        if (devices[i].platform[0] || devices[i].driver[0]) {
            char driver[sizeof devices[i].platform + sizeof devices[i].driver];

            (void)snprintf(driver, sizeof driver, "%s %s", devices[i].platform, devices[i].driver);
            append(peer->driver, sizeof peer->driver, driver);
        }
    }
    free(devices);
    if (!peer->driver[0])
        (void)snprintf(peer->driver, sizeof peer->driver, "rowpool %s", rowpool_version());
    return status;
}

/* Opens the device once, to see that it works and what it is. One that nobody asked for may fail: it is left out. */
static rowpool_status add_device(bench_peers *peers, const char *device, bool required, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_rowpool, .required = required, .variant = CALLERS_MEMORY};
    rowpool *pool;
    rowpool_status status;

    if (strlen(device) >= sizeof peer.argument)
        return bench_fail(error, ROWPOOL_EINVAL, "--device: '%.32s...' is too long for a device", device);
    (void)snprintf(peer.argument, sizeof peer.argument, "%s", device);
    (void)snprintf(peer.label, sizeof peer.label, "rowpool/%.54s", device);

    status = open_pool(&pool, device, error);
    if (!status)
        status = describe(&peer, pool, error);
    rowpool_close(pool);
    if (status && !required) {
        bench_complain("%s is left out: %s", peer.label, error->message);
        return ROWPOOL_OK;
    }
    return status ? status : bench_peers_add(peers, &peer, error);
}

/* The same device with its data elsewhere. Nobody asked for it: where it cannot be prepared it is left out. */
static rowpool_status add_variant(bench_peers *peers, bench_peer peer, int variant, const char *suffix,
                                  rowpool_error *error)
{
    peer.variant = variant;
    peer.required = false;
    (void)snprintf(peer.label, sizeof peer.label, "rowpool/%.48s%s", peer.argument, suffix);
    return bench_peers_add(peers, &peer, error);
}

/* After a device, where it was added: the same, if it matters to it in whose memory the data lies. */
static rowpool_status add_memories(bench_peers *peers, const char *device, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    bench_peer last;
    bool processes;

    if (peers->count == 0 || strcmp(peers->items[peers->count - 1].argument, device) != 0)
        return ROWPOOL_OK;
    last = peers->items[peers->count - 1];
    processes = strcmp(device, "fork") == 0;
    if (processes)
        status = add_variant(peers, last, ROWPOOL_MEMORY, "+alloc", error);
    if (!status && (processes || (last.index[0] && !last.shared)))
        status = add_variant(peers, last, DATA_THAT_STAYS, "+data", error);
    return status;
}

static rowpool_status add_opencl(bench_peers *peers, rowpool_error *error)
{
    rowpool_device *devices;
    size_t count;
    rowpool_status status = list_devices(NULL, &devices, &count, error);

    for (size_t i = 0; i < count && !status; i++) {
        /* An index without ':' is no device: processes, the host, or a platform that could not be used. */
        if (!strchr(devices[i].index, ':'))
            continue;
        status = add_device(peers, devices[i].index, false, error);
        if (!status)
            status = add_memories(peers, devices[i].index, error);
    }
    free(devices);
    return status;
}

static rowpool_status add_all(bench_peers *peers, rowpool_error *error)
{
    rowpool_status status = add_opencl(peers, error);

    if (!status)
        status = add_device(peers, "fork", false, error);
    if (!status)
        status = add_memories(peers, "fork", error);
    return status ? status : add_device(peers, "host", false, error);
}

static rowpool_status add_named(bench_peers *peers, char *names, bool in_both_memories, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    char *name;

    while (!status && (name = strsep(&names, ","))) {
        if (!name[0])
            return bench_fail(error, ROWPOOL_EINVAL, "--device: an empty name in the list");
        status = add_device(peers, name, true, error);
        if (!status && in_both_memories)
            status = add_memories(peers, name, error);
    }
    return status;
}

/* Calls add_named with a list that it may cut up. */
static rowpool_status add_list(bench_peers *peers, const char *devices, bool in_both_memories, rowpool_error *error)
{
    char *names = strdup(devices);
    rowpool_status status;

    if (!names)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for the list of devices");
    status = add_named(peers, names, in_both_memories, error);
    free(names);
    return status;
}

rowpool_status bench_rowpool_balance(bench_peers *peers, const char *devices, rowpool_error *error)
{
    const size_t before = peers->count;
    rowpool_status status = add_list(peers, devices, false, error);
    const size_t parts = peers->count - before;

    if (!status)
        status = add_device(peers, devices, true, error);
    if (!status)
        peers->items[peers->count - 1].parts = parts;
    return status;
}

static rowpool_status pool_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    return devices ? add_list(peers, devices, true, error) : add_all(peers, error);
}

/* ---- One case --------------------------------------------------------------------------------------------------- */

static rowpool_status copy_data(session *own, const bench_case *work, rowpool_error *error)
{
    size_t free_bytes = bench_memory_free();

    if (work->bytes > free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM, "its copy of the data needs %.3g GB and %.3g GB are free",
                          (double)work->bytes / 1e9, (double)free_bytes / 1e9);
    own->memory = rowpool_alloc(work->bytes, error);
    if (!own->memory)
        return error->status;
    memcpy(own->memory, work->data, work->bytes);
    own->rows.data = own->memory;
    return ROWPOOL_OK;
}

/* Sets, for each device, the rows answered less those that are noted already: a second call gives what came between. */
static void note_shares(bench_peer *peer)
{
    session *own = peer->state;
    rowpool_device *devices;
    size_t count, used = 0;
    rowpool_error error;
    rowpool_status status = list_devices(own->pool, &devices, &count, &error);

    for (size_t i = 0; i < count && !status; i++) {
        if (!devices[i].in_use || used == BENCH_SHARES_MAX)
            continue;
        bench_share *share = &peer->shares[used++];

        (void)snprintf(share->device, sizeof share->device, "%s", devices[i].index);
        share->rows = devices[i].rows - share->rows;
    }
    free(devices);
    peer->n_shares = used;
}

static void pool_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    if (own->pool)
        note_shares(peer);
    rowpool_data_close(own->data);
    rowpool_close(own->pool);
    rowpool_free(own->memory);
    free(own);
    peer->state = NULL;
}

static rowpool_status pool_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = calloc(1, sizeof *own);
    rowpool_status status;

    if (!own)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a pool");
    memset(peer->shares, 0, sizeof peer->shares);
    peer->state = own;
    own->rows = bench_case_rows(work);
    for (size_t k = 0; k < work->columns; k++) {
        const bench_ends ends = bench_case_ends(work, k);

        own->ranges[k] = rowpool_range_i64(ends.lo, ends.hi);
    }
    status = open_pool(&own->pool, peer->argument, error);
    if (!status && peer->variant == ROWPOOL_MEMORY)
        status = copy_data(own, work, error);
    if (!status && peer->variant == DATA_THAT_STAYS)
        status = rowpool_data_open(&own->data, own->pool, &own->rows, error);
    if (status)
        pool_cleanup(peer);
    return status;
}

static rowpool_status pool_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;

    return rowpool_range_count(own->pool, &own->rows, own->ranges, work->columns, counts, error);
}

const bench_peer_type bench_peer_rowpool = {
    .name = "rowpool",
    .available = pool_available,
    .prepare = pool_prepare,
    .run = pool_run,
    .settle = note_shares,
    .cleanup = pool_cleanup,
    .ragged = true,
    .columns = true,
};
