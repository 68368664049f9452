/* rowpool itself: a peer for each device, by the string that names it. By default these are every OpenCL device, the
 * worker processes and the calling thread. Beside them what the same map costs in another way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* bench_peer.variant: where the data lies. */
enum {
    CALLERS_MEMORY,
    ROWPOOL_MEMORY, /* from rowpool_alloc: worker processes reach it without a copy */
    RESIDENT_DATA,  /* the caller's, but after the first run on the device too */
};

/* bench_peer.state */
typedef struct {
    rowpool *pool;
    void *memory;       /* the copy in ROWPOOL_MEMORY, or NULL */
    rowpool_data *data; /* RESIDENT_DATA, or NULL */
    rowpool_rows rows;
    rowpool_range ranges[BENCH_RANGES_MAX];
} session;

static const bench_peer_type passes, dense, opening;

static rowpool_status open_pool(rowpool **pool, const char *device, rowpool_error *error)
{
    const rowpool_options options = {.size = sizeof options, .device = device};

    return rowpool_open(pool, &options, error);
}

/* ---- Which there are -------------------------------------------------------------------------------------------- */

/* All devices of a pool, or with NULL all that are found; to be freed. */
static rowpool_status list_devices(rowpool *pool, rowpool_device **devices, size_t *count, rowpool_error *error)
{
    size_t capacity = 0;

    *devices = NULL;
    *count = 0;
    BENCH_TRY(rowpool_devices(pool, NULL, 0, &capacity, error));
    if (capacity == 0)
        return ROWPOOL_OK;
    *devices = calloc(capacity, sizeof **devices);
    if (*devices == NULL)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a list of %zu devices", capacity);
    BENCH_TRY(rowpool_devices(pool, *devices, capacity, count, error));
    /* A device may have come meanwhile. */
    if (*count > capacity)
        *count = capacity;
    return ROWPOOL_OK;
}

/* Appends to a text that may hold others already; cut where too long. */
static void append(char *text, size_t size, const char *addition)
{
    const size_t length = strlen(text);

    (void)snprintf(text + length, size - length, "%s%s", length > 0 ? " + " : "", addition);
}

/* Names what the pool really uses, and which device it is where it is one. */
static rowpool_status describe(bench_peer *peer, rowpool *pool, rowpool_error *error)
{
    rowpool_device *devices;
    size_t count, used = 0;
    const rowpool_status status = list_devices(pool, &devices, &count, error);

    for (size_t i = 0; i < count; i++) {
        char driver[sizeof devices[i].platform + sizeof devices[i].driver];

        if (!devices[i].in_use)
            continue;
        BENCH_PRINT(peer->index, "%s", used++ > 0 ? "" : devices[i].index);
        peer->shared = devices[i].shared_memory;
        append(peer->device, sizeof peer->device, devices[i].name);
        BENCH_PRINT(driver, "%s %s", devices[i].platform, devices[i].driver);
        if (strlen(driver) > 1)
            append(peer->driver, sizeof peer->driver, driver);
    }
    free(devices);
    if (peer->driver[0] == '\0')
        BENCH_PRINT(peer->driver, "rowpool %s", rowpool_version());
    return status;
}

/* The same device with its data elsewhere. Nobody asked for it: where it cannot be prepared it is left out. */
static rowpool_status add_variant(bench_peers *peers, bench_peer peer, int variant, const char *suffix,
                                  rowpool_error *error)
{
    peer.variant = variant;
    peer.required = false;
    BENCH_PRINT(peer.label, "rowpool/%.48s%s", peer.argument, suffix);
    return bench_peers_add(peers, &peer, error);
}

/* Opens the device once, to see that it works and what it is. One that nobody named is left out where it fails.
 * variants: also with the data elsewhere, if that matters to the device. */
static rowpool_status add_device(bench_peers *peers, const char *device, bool required, bool variants,
                                 rowpool_error *error)
{
    const bool processes = strcmp(device, "fork") == 0;
    bench_peer peer = {.type = &bench_peer_rowpool, .required = required};
    rowpool *pool;
    rowpool_status status;

    if (device[0] == '\0')
        return bench_fail(error, ROWPOOL_EINVAL, "--device: an empty name in the list");
    if (strlen(device) >= sizeof peer.argument)
        return bench_fail(error, ROWPOOL_EINVAL, "--device: '%.32s...' is too long for a device", device);
    BENCH_PRINT(peer.argument, "%s", device);
    BENCH_PRINT(peer.label, "rowpool/%.54s", device);

    status = open_pool(&pool, device, error);
    if (status == ROWPOOL_OK)
        status = describe(&peer, pool, error);
    rowpool_close(pool);
    if (status != ROWPOOL_OK && !required) {
        bench_complain("%s is left out: %s", peer.label, error->message);
        return ROWPOOL_OK;
    }
    BENCH_TRY(status);
    BENCH_TRY(bench_peers_add(peers, &peer, error));
    if (variants && processes)
        BENCH_TRY(add_variant(peers, peer, ROWPOOL_MEMORY, "+alloc", error));
    if (variants && (processes || (peer.index[0] != '\0' && !peer.shared)))
        BENCH_TRY(add_variant(peers, peer, RESIDENT_DATA, "+data", error));
    return ROWPOOL_OK;
}

static rowpool_status add_all(bench_peers *peers, rowpool_error *error)
{
    rowpool_device *devices;
    size_t count;
    rowpool_status status = list_devices(NULL, &devices, &count, error);

    /* An index without ':' is no device: processes, the host, or a platform that could not be used. */
    for (size_t i = 0; i < count && status == ROWPOOL_OK; i++)
        if (strchr(devices[i].index, ':') != NULL)
            status = add_device(peers, devices[i].index, false, true, error);
    free(devices);
    BENCH_TRY(status);
    BENCH_TRY(add_device(peers, "fork", false, true, error));
    return add_device(peers, "host", false, true, error);
}

static rowpool_status add_named(bench_peers *peers, rowpool_error *error)
{
    const size_t before = peers->count;
    char *copy = strdup(peers->devices), *rest = copy, *name;
    rowpool_status status = ROWPOOL_OK;

    if (copy == NULL)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for the list of devices");
    while (status == ROWPOOL_OK && (name = strsep(&rest, ",")) != NULL)
        status = add_device(peers, name, true, !peers->balance, error);
    free(copy);
    if (status != ROWPOOL_OK || !peers->balance)
        return status;
    const size_t parts = peers->count - before;
    BENCH_TRY(add_device(peers, peers->devices, true, false, error));
    peers->items[peers->count - 1].parts = parts;
    return ROWPOOL_OK;
}

static rowpool_status pool_available(bench_peers *peers, rowpool_error *error)
{
    bench_peer other = {.argument = "auto"};

    BENCH_TRY(peers->devices != NULL ? add_named(peers, error) : add_all(peers, error));
    BENCH_PRINT(other.driver, "rowpool %s", rowpool_version());
    other.type = &passes;
    BENCH_PRINT(other.label, "passes/rowpool");
    BENCH_PRINT(other.device, "a map for each range");
    BENCH_TRY(bench_peers_add(peers, &other, error));
    other.type = &dense;
    BENCH_PRINT(other.label, "dense/rowpool");
    BENCH_PRINT(other.device, "rows of equal length");
    BENCH_TRY(bench_peers_add(peers, &other, error));
    other.type = &opening;
    BENCH_PRINT(other.label, "open/rowpool");
    BENCH_PRINT(other.device, "a pool opened and closed");
    return bench_peers_add(peers, &other, error);
}

/* ---- One case --------------------------------------------------------------------------------------------------- */

static rowpool_status copy_data(session *own, const bench_case *work, rowpool_error *error)
{
    const size_t free_bytes = bench_memory_free();

    if (work->bytes > free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM, "its copy of the data needs %.3g GB and %.3g GB are free",
                          (double)work->bytes / 1e9, (double)free_bytes / 1e9);
    own->memory = rowpool_alloc(work->bytes, error);
    if (own->memory == NULL)
        return error->status;
    memcpy(own->memory, work->data, work->bytes);
    own->rows.data = own->memory;
    return ROWPOOL_OK;
}

static rowpool_status pool_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = peer->state;

    memset(peer->shares, 0, sizeof peer->shares);
    own->rows = bench_case_rows(work);
    for (size_t k = 0; k < work->shape.ranges; k++) {
        const bench_range range = bench_case_range(work, k);

        own->ranges[k] = rowpool_range_i64(range.lo, range.hi);
    }
    BENCH_TRY(open_pool(&own->pool, peer->argument, error));
    if (peer->variant == ROWPOOL_MEMORY)
        return copy_data(own, work, error);
    if (peer->variant == RESIDENT_DATA)
        return rowpool_data_open(&own->data, own->pool, &own->rows, error);
    return ROWPOOL_OK;
}

static rowpool_status pool_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;

    return rowpool_range_count(own->pool, &own->rows, own->ranges, work->shape.ranges, counts, error);
}

/* Sets, for each device, the rows it answered less those noted already: a second call gives what came between. */
static void note_shares(bench_peer *peer)
{
    session *own = peer->state;
    rowpool_device *devices;
    size_t count;
    rowpool_error error;

    (void)list_devices(own->pool, &devices, &count, &error);
    peer->share_count = 0;
    for (size_t i = 0; i < count && peer->share_count < BENCH_SHARES_MAX; i++) {
        bench_share *share = &peer->shares[peer->share_count];

        if (!devices[i].in_use)
            continue;
        BENCH_PRINT(share->device, "%s", devices[i].index);
        share->rows = devices[i].rows - share->rows;
        peer->share_count++;
    }
    free(devices);
}

static void pool_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    if (own->pool != NULL)
        note_shares(peer);
    rowpool_data_close(own->data);
    rowpool_close(own->pool);
    rowpool_free(own->memory);
}

const bench_peer_type bench_peer_rowpool = {
    .available = pool_available,
    .prepare = pool_prepare,
    .run = pool_run,
    .settle = note_shares,
    .cleanup = pool_cleanup,
    .state_size = sizeof(session),
    .ragged = true,
    .many_ranges = true,
};

/* ---- The same in another way ------------------------------------------------------------------------------------ */

static bool passes_applies(const bench_peer *peer, const bench_case *work)
{
    return work->shape.ranges > 1;
}

static rowpool_status passes_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;

    for (size_t k = 0; k < work->shape.ranges; k++)
        BENCH_TRY(rowpool_range_count(own->pool, &own->rows, &own->ranges[k], 1, counts + k * work->shape.rows, error));
    return ROWPOOL_OK;
}

/* As many maps as there are ranges: what one map of them all saves. */
static const bench_peer_type passes = {
    .applies = passes_applies,
    .prepare = pool_prepare,
    .run = passes_run,
    .cleanup = pool_cleanup,
    .state_size = sizeof(session),
    .counts = BENCH_BY_RANGE,
    .ragged = true,
    .many_ranges = true,
};

static bool dense_applies(const bench_peer *peer, const bench_case *work)
{
    return work->offsets != NULL;
}

static rowpool_status dense_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    BENCH_TRY(pool_prepare(peer, work, error));
    session *own = peer->state;
    own->rows.offsets = NULL;
    own->rows.width = work->shape.width;
    return ROWPOOL_OK;
}

/* The same elements in as many rows, equally long: what ragged rows cost. */
static const bench_peer_type dense = {
    .applies = dense_applies,
    .prepare = dense_prepare,
    .run = pool_run,
    .cleanup = pool_cleanup,
    .state_size = sizeof(session),
    .counts = BENCH_NOT_COUNTED,
    .ragged = true,
    .many_ranges = true,
};

static rowpool_status opening_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    rowpool *pool;
    const rowpool_status status = open_pool(&pool, peer->argument, error);

    rowpool_close(pool);
    return status;
}

static const bench_peer_type opening = {
    .run = opening_run, .counts = BENCH_NOT_COUNTED, .ragged = true, .many_ranges = true};
