/* Peers that are a process for each map: rowpool, with empty caches too, the raw OpenCL program, and Python. The data and
 * the counts are in memory that they share. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "process.h"

enum { MB = 1 << 20, DATA_FD = 3, COUNTS_FD };

typedef enum { ROWPOOL, ROWPOOL_COLD, RAW_OPENCL, NUMPY, POOL } kind;

/* By bench_peer.variant. */
static const struct {
    const char *label, *device;
    size_t max_bytes; /* more take seconds, or are all that counts */
    size_t rounds;
} kinds[] = {
    {"process/rowpool", "a process for each map", 64 * MB, 0},
    {"process/rowpool-cold", "a process for each map, with empty caches", 64 * MB, 0},
    {"process/opencl", "a process for each map", 64 * MB, 0},
    {"python/numpy", "NumPy, one thread", 512 * MB, 5},
    {"python/pool", "multiprocessing.Pool, all cores", 16 * MB, 3},
};

/* bench_peer.state. Behind the counts is room for the seconds of a process that takes the time itself. */
typedef struct {
    bench_memory_file data, counts;
} session;

static bool process_applies(const bench_peer *peer, const bench_case *work)
{
    return work->bytes <= kinds[peer->variant].max_bytes;
}

static rowpool_status process_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = peer->state;

    BENCH_TRY(bench_memory_file_open(&own->data, work->bytes, work->data, error));
    return bench_memory_file_open(&own->counts, work->counts * sizeof(uint32_t) + sizeof(double), NULL, error);
}

static void process_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    bench_memory_file_close(&own->data);
    bench_memory_file_close(&own->counts);
}

/* ---- A process for each map ------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    return remove(path);
}

/* Starts it with the data and the counts as its descriptors, and waits for its end. */
static rowpool_status start_and_wait(bench_peer *peer, const bench_case *work, const char *folder, rowpool_error *error)
{
    const session *own = peer->state;
    const bench_range range = bench_case_range(work, 0);
    char what[64], shape[BENCH_SHAPE_SIZE], ends[24];
    const char *const dtype = rowpool_dtype_name(work->dtype);
    const char *const program[] = {"/proc/self/exe", "--first", what, "--type", dtype, "--shape", shape, NULL};
    const char *const script[] = {peer->driver, peer->argument, peer->label, dtype, shape, ends, NULL};
    pid_t child;

    BENCH_PRINT(what, "%s:%s", peer->variant == RAW_OPENCL ? "opencl" : "rowpool", folder[0] ? folder : peer->index);
    bench_shape_print(&work->shape, shape);
    BENCH_PRINT(ends, "%d:%d", range.lo, range.hi);
    BENCH_TRY(bench_start(&child, peer->variant < NUMPY ? program : script,
                          (const int[]){0, 1, 2, own->data.fd, own->counts.fd}, 5, error));
    const int code = bench_wait(child);
    return code == 0 ? ROWPOOL_OK : bench_fail(error, ROWPOOL_EWORKER, "the process ended with status %d", code);
}

static rowpool_status process_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    const bench_memory_file *shared = &((session *)peer->state)->counts;
    const bool cold = peer->variant == ROWPOOL_COLD;
    const size_t size = work->counts * sizeof *counts;
    char folder[] = "/tmp/rowpool-bench-XXXXXX";

    if (cold && mkdtemp(folder) == NULL)
        return bench_fail(error, ROWPOOL_ESYSTEM, "no folder for empty caches: %s", strerror(errno));
    memset(shared->pages, 0xff, size);
    peer->seconds = -bench_seconds(CLOCK_MONOTONIC);
    const rowpool_status status = start_and_wait(peer, work, cold ? folder : "", error);
    peer->seconds += bench_seconds(CLOCK_MONOTONIC);
    if (peer->variant >= NUMPY)
        memcpy(&peer->seconds, (char *)shared->pages + size, sizeof peer->seconds);
    if (cold)
        (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    memcpy(counts, shared->pages, size);
    return status;
}

/* In the new process. The pages go with it. */
rowpool_status bench_first_run(const char *what, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    /* Where drivers keep what they have built. */
    static const char *const caches[] = {"POCL_CACHE_DIR", "XDG_CACHE_HOME", "CUDA_CACHE_PATH",
                                         "MESA_SHADER_CACHE_DIR"};
    const char *rest = what + strcspn(what, ":");
    bench_peer peer = {.type = &bench_peer_rowpool, .argument = "auto"};
    bench_case work;
    uint32_t *counts;

    rest += rest[0] == ':';
    for (size_t i = 0; rest[0] == '/' && i < sizeof caches / sizeof *caches; i++)
        setenv(caches[i], rest, 1);
#ifdef BENCH_HAVE_OPENCL
    if (strncmp(what, "opencl:", 7) == 0)
        peer.type = &bench_peer_opencl;
#endif
    BENCH_PRINT(peer.index, "%.15s", rest);
    BENCH_TRY(bench_case_describe(&work, dtype, shape, error));
    work.data = mmap(NULL, work.bytes, PROT_READ, MAP_SHARED, DATA_FD, 0);
    counts = mmap(NULL, work.counts * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, COUNTS_FD, 0);
    if (work.data == MAP_FAILED || counts == MAP_FAILED)
        return bench_fail(error, ROWPOOL_EINVAL, "--first: the data cannot be mapped: %s", strerror(errno));
    peer.state = calloc(1, peer.type->state_size);
    if (peer.state == NULL)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a peer");
    rowpool_status status = peer.type->prepare(&peer, &work, error);
    if (status == ROWPOOL_OK)
        status = peer.type->run(&peer, &work, counts, error);
    peer.type->cleanup(&peer);
    return status;
}

/* ---- Which there are -------------------------------------------------------------------------------------------- */

static rowpool_status add(bench_peers *peers, kind variant, const bench_peer *like, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_process, .variant = variant, .rounds = kinds[variant].rounds};
    bench_script script;

    BENCH_PRINT(peer.label, "%s", kinds[variant].label);
    BENCH_PRINT(peer.device, "%s", kinds[variant].device);
    BENCH_PRINT(peer.driver, "rowpool %s", rowpool_version());
    if (!bench_peers_want(peers, peer.label) || (variant == RAW_OPENCL && like == NULL) ||
        (variant >= NUMPY && bench_script_find(&script, "peers.py", "import numpy", error) != ROWPOOL_OK))
        return ROWPOOL_OK;
    if (variant == RAW_OPENCL) {
        memcpy(peer.driver, like->driver, sizeof peer.driver);
        memcpy(peer.index, like->index, sizeof peer.index);
    }
    if (variant >= NUMPY) {
        BENCH_PRINT(peer.driver, "%s", script.python);
        BENCH_PRINT(peer.argument, "%s", script.path);
    }
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status process_available(bench_peers *peers, rowpool_error *error)
{
    const bench_peer *device = NULL;

#ifdef BENCH_HAVE_OPENCL
    for (size_t i = 0; i < peers->count && device == NULL; i++)
        if (strchr(peers->items[i].index, ':') != NULL)
            device = &peers->items[i];
#endif
    for (kind variant = ROWPOOL; variant <= POOL; variant++)
        BENCH_TRY(add(peers, variant, device, error));
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_process = {
    .available = process_available,
    .applies = process_applies,
    .prepare = process_prepare,
    .run = process_run,
    .cleanup = process_cleanup,
    .state_size = sizeof(session),
    .times_itself = true,
};
