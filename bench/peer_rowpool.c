/* rowpool itself: one peer for each device string; by default every OpenCL device, worker processes, and the host. */
#include <string.h>

#include "message.h"
#include "peer.h"

/* bench_peer.variant: where the data is. */
enum {
    CALLERS_MEMORY,
    ROWPOOL_MEMORY, /* from rowpool_alloc: worker processes reach it without a copy */
    RESIDENT_DATA,  /* the caller's; after the first run also copied on the device */
};

/* bench_peer.state */
typedef struct {
    rowpool *pool;
    void *memory;       /* the copy in ROWPOOL_MEMORY, or NULL */
    rowpool_data *data; /* RESIDENT_DATA, or NULL */
    rowpool_rows rows;
    rowpool_range ranges[BENCH_RANGES_MAX];
} pool_session;

static rowpool_status open_device_pool(rowpool **pool, const char *device, rowpool_error *error)
{
    const rowpool_options options = {.size = sizeof options, .device = device};

    return rowpool_open(pool, &options, error);
}

/* ---- The peers -------------------------------------------------------------------------------------------------- */

typedef struct {
    rowpool_device items[BENCH_PEERS_MAX];
    size_t count;
} device_list;

/* The first BENCH_PEERS_MAX devices of a pool; NULL: of the machine. */
static rowpool_status list_pool_devices(rowpool *pool, device_list *devices, rowpool_error *error)
{
    devices->count = 0;
    BENCH_TRY(rowpool_devices(pool, devices->items, BENCH_PEERS_MAX, &devices->count, error));
    if (devices->count > BENCH_PEERS_MAX)
        devices->count = BENCH_PEERS_MAX;
    return ROWPOOL_OK;
}

/* Appends to a text, truncated to its size. */
static void append_name(char *text, size_t size, const char *addition)
{
    const size_t length = strlen(text);

    (void)snprintf(text + length, size - length, "%s%s", length > 0 ? " + " : "", addition);
}

/* Describes the devices that the pool uses. Sets peer->index if it is a single one. */
static rowpool_status describe_pool(bench_peer *peer, rowpool *pool, rowpool_error *error)
{
    device_list devices;
    size_t used = 0;

    BENCH_TRY(list_pool_devices(pool, &devices, error));
    for (size_t i = 0; i < devices.count; i++) {
        const rowpool_device *device = &devices.items[i];
        char driver[sizeof device->platform + sizeof device->driver];

        if (!device->in_use)
            continue;
        BENCH_PRINT(peer->index, "%s", used++ > 0 ? "" : device->index);
        peer->shared = device->shared_memory;
        append_name(peer->device, sizeof peer->device, device->name);
        BENCH_PRINT(driver, "%s %s", device->platform, device->driver);
        if (strlen(driver) > 1)
            append_name(peer->driver, sizeof peer->driver, driver);
    }
    if (peer->driver[0] == '\0')
        BENCH_PRINT(peer->driver, "rowpool %s", rowpool_version());
    return ROWPOOL_OK;
}

/* Opens the device once, to check that it works and to describe it. If that fails, it is left out unless it is required.
 * variants: also adds peers with the data elsewhere, if that matters to the device. */
static rowpool_status add_rowpool(bench_peers *peers, const char *device, bool required, bool variants,
                                  rowpool_error *error)
{
    const bool processes = strcmp(device, "fork") == 0;
    bench_peer peer = {.type = &bench_peer_rowpool, .required = required};
    rowpool *pool;
    rowpool_status status;

    if (device[0] == '\0')
        return rp_fail(error, ROWPOOL_EINVAL, "--device: an empty name in the list");
    if (strlen(device) >= sizeof peer.argument)
        return rp_fail(error, ROWPOOL_EINVAL, "--device: '%.32s...' is too long for a device", device);
    BENCH_PRINT(peer.argument, "%s", device);
    BENCH_PRINT(peer.label, "rowpool/%.54s", device);

    status = open_device_pool(&pool, device, error);
    if (status == ROWPOOL_OK)
        status = describe_pool(&peer, pool, error);
    rowpool_close(pool);
    if (status != ROWPOOL_OK && !required) {
        say(NULL, "%s is left out: %s", peer.label, error->message);
        return ROWPOOL_OK;
    }
    BENCH_TRY(status);
    BENCH_TRY(bench_peers_add(peers, &peer, error));
    /* The user did not name these two, so they are left out if they cannot be prepared. */
    peer.required = false;
    peer.variant = ROWPOOL_MEMORY;
    BENCH_PRINT(peer.label, "rowpool/%.48s+alloc", device);
    if (variants && processes)
        BENCH_TRY(bench_peers_add(peers, &peer, error));
    peer.variant = RESIDENT_DATA;
    BENCH_PRINT(peer.label, "rowpool/%.48s+data", device);
    return variants && (processes || (peer.index[0] != '\0' && !peer.shared)) ? bench_peers_add(peers, &peer, error)
                                                                              : ROWPOOL_OK;
}

static rowpool_status add_all_devices(bench_peers *peers, rowpool_error *error)
{
    device_list devices;

    BENCH_TRY(list_pool_devices(NULL, &devices, error));
    /* An index without ':' is that of processes, the host, or a platform that could not be used. */
    for (size_t i = 0; i < devices.count; i++)
        if (strchr(devices.items[i].index, ':') != NULL)
            BENCH_TRY(add_rowpool(peers, devices.items[i].index, false, true, error));
    BENCH_TRY(add_rowpool(peers, "fork", false, true, error));
    return add_rowpool(peers, "host", false, true, error);
}

static rowpool_status add_named_devices(bench_peers *peers, rowpool_error *error)
{
    const size_t before = peers->count;
    char *copy = strdup(peers->devices), *rest = copy, *name;
    rowpool_status status = ROWPOOL_OK;

    if (copy == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "no memory for the list of devices");
    while (status == ROWPOOL_OK && (name = strsep(&rest, ",")) != NULL)
        status = add_rowpool(peers, name, true, !peers->balance, error);
    free(copy);
    if (status != ROWPOOL_OK || !peers->balance)
        return status;
    const size_t parts = peers->count - before;
    BENCH_TRY(add_rowpool(peers, peers->devices, true, false, error));
    peers->items[peers->count - 1].parts = parts;
    return ROWPOOL_OK;
}

static rowpool_status pool_available(bench_peers *peers, rowpool_error *error)
{
    return peers->devices != NULL ? add_named_devices(peers, error) : add_all_devices(peers, error);
}

/* ---- One case --------------------------------------------------------------------------------------------------- */

static rowpool_status copy_data(pool_session *own, const bench_case *work, rowpool_error *error)
{
    BENCH_TRY(bench_memory_check((double)work->bytes, "its copy of the data", error));
    own->memory = rowpool_alloc(work->bytes, error);
    if (own->memory == NULL)
        return error->status;
    memcpy(own->memory, work->data, work->bytes);
    own->rows.data = own->memory;
    return ROWPOOL_OK;
}

static rowpool_status pool_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    pool_session *own = peer->state;

    memset(peer->shares, 0, sizeof peer->shares);
    own->rows = bench_case_rows(work);
    for (size_t k = 0; k < work->shape.ranges; k++) {
        const bench_range range = bench_case_range(work, k);

        own->ranges[k] = rowpool_range_i64(range.lo, range.hi);
    }
    BENCH_TRY(open_device_pool(&own->pool, peer->argument, error));
    if (peer->variant == ROWPOOL_MEMORY)
        return copy_data(own, work, error);
    if (peer->variant == RESIDENT_DATA)
        return rowpool_data_open(&own->data, own->pool, &own->rows, error);
    return ROWPOOL_OK;
}

static rowpool_status pool_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    pool_session *own = peer->state;

    return rowpool_range_count(own->pool, &own->rows, own->ranges, work->shape.ranges, counts, error);
}

/* Sets the rows that each device has answered since the last call. */
static void note_shares(bench_peer *peer)
{
    pool_session *own = peer->state;
    device_list devices;
    rowpool_error error;

    (void)list_pool_devices(own->pool, &devices, &error);
    peer->share_count = 0;
    for (size_t i = 0; i < devices.count && peer->share_count < BENCH_SHARES_MAX; i++) {
        bench_share *share = &peer->shares[peer->share_count];

        if (!devices.items[i].in_use)
            continue;
        BENCH_PRINT(share->device, "%s", devices.items[i].index);
        share->rows = devices.items[i].rows - share->rows;
        peer->share_count++;
    }
}

static rowpool_status pool_settle(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    note_shares(peer);
    return ROWPOOL_OK;
}

static void pool_cleanup(bench_peer *peer)
{
    pool_session *own = peer->state;

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
    .settle = pool_settle,
    .cleanup = pool_cleanup,
    .state_size = sizeof(pool_session),
    .takes_any_shape = true,
};
