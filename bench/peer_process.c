/* Peers that are processes: one for each map (rowpool, with empty caches too, and the raw OpenCL program), and Python.
 * The data is in memory that they share; they get it as descriptors 3 and 4, or by the path of a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "process.h"
#include "timing.h"

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
    {"python/numpy", "NumPy, one thread", 512 * MB, 0},
    {"python/pool", "multiprocessing.Pool, all cores", 16 * MB, 3},
};

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    bench_memory_file data, counts;
    pid_t child;     /* Python; 0: not started */
    FILE *to, *from; /* its standard input and output */
} session;

static const bench_peer_type python;

/* ---- Ready for one case ----------------------------------------------------------------------------------------- */

static bool process_applies(const bench_peer *peer, const bench_case *work)
{
    return work->bytes <= kinds[peer->variant].max_bytes;
}

static rowpool_status process_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = peer->state = calloc(1, sizeof *own);

    if (own == NULL)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a process");
    BENCH_TRY(bench_memory_file_open(&own->data, work->bytes, work->data, error));
    return bench_memory_file_open(&own->counts, work->counts * sizeof(uint32_t), NULL, error);
}

static void process_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    if (own == NULL)
        return;
    /* Its standard input ends, and so does it. */
    if (own->to != NULL)
        fclose(own->to);
    if (own->from != NULL)
        fclose(own->from);
    if (own->child > 0)
        (void)bench_wait(own->child);
    bench_memory_file_close(&own->data);
    bench_memory_file_close(&own->counts);
    free(own);
    peer->state = NULL;
}

/* ---- A process for each map ------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static rowpool_status process_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;
    char folder[] = "/tmp/rowpool-bench-XXXXXX", what[64], shape[48];
    const char *const argv[] = {"/proc/self/exe", "--first", what, "--type", rowpool_dtype_name(work->dtype),
                                "--shape",        shape,     NULL};
    const bool cold = peer->variant == ROWPOOL_COLD;
    rowpool_status status;
    pid_t child;

    if (cold && mkdtemp(folder) == NULL)
        return bench_fail(error, ROWPOOL_ESYSTEM, "no folder for empty caches: %s", strerror(errno));
    BENCH_PRINT(what, "%s:%s", peer->variant == RAW_OPENCL ? "opencl" : "rowpool", cold ? folder : peer->index);
    BENCH_PRINT(shape, "%zu:%zu", work->shape.rows, work->shape.width);
    memset(own->counts.pages, 0xff, own->counts.bytes);

    peer->seconds = -bench_seconds(CLOCK_MONOTONIC);
    status = bench_start(&child, argv, (const int[]){0, 1, 2, own->data.fd, own->counts.fd}, 5, error);
    const int code = status == ROWPOOL_OK ? bench_wait(child) : 0;
    peer->seconds += bench_seconds(CLOCK_MONOTONIC);

    if (cold)
        (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    memcpy(counts, own->counts.pages, own->counts.bytes);
    return code == 0 ? status : bench_fail(error, ROWPOOL_EWORKER, "the process ended with status %d", code);
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
    rowpool_status status = peer.type->prepare(&peer, &work, error);
    if (status == ROWPOOL_OK)
        status = peer.type->run(&peer, &work, counts, error);
    peer.type->cleanup(&peer);
    return status;
}

/* ---- Python ----------------------------------------------------------------------------------------------------- */

/* Two pipes; the child's ends are closed again once it has them. */
static rowpool_status start_python(session *own, const char *const *argv, rowpool_error *error)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    rowpool_status status = ROWPOOL_ESYSTEM;

    if (pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0)
        status = bench_start(&own->child, argv, (const int[]){to[0], from[1]}, 2, error);
    else
        bench_fail(error, status, "no pipe to Python: %s", strerror(errno));
    close(to[0]);
    close(from[1]);
    own->to = to[1] >= 0 ? fdopen(to[1], "w") : NULL;
    own->from = from[0] >= 0 ? fdopen(from[0], "r") : NULL;
    if (status != ROWPOOL_OK)
        own->child = 0;
    return status;
}

static rowpool_status read_answer(const session *own, char *line, int size, rowpool_error *error)
{
    if (own->from != NULL && fgets(line, size, own->from) != NULL)
        return ROWPOOL_OK;
    return bench_fail(error, ROWPOOL_EWORKER, "Python ended without an answer");
}

static rowpool_status python_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    const bench_range range = bench_case_range(work, 0);
    char data[64], counts[64], numbers[4][24], line[64];
    bench_script script;

    BENCH_TRY(process_prepare(peer, work, error));
    session *own = peer->state;
    BENCH_TRY(bench_script_find(&script, "peers.py", "", error));
    const char *const argv[] = {peer->argument, script.path, strchr(peer->label, '/') + 1,
                                data,           counts,      rowpool_dtype_name(work->dtype),
                                numbers[0],     numbers[1],  numbers[2],
                                numbers[3],     NULL};
    BENCH_PRINT(data, "/proc/%ld/fd/%d", (long)getpid(), own->data.fd);
    BENCH_PRINT(counts, "/proc/%ld/fd/%d", (long)getpid(), own->counts.fd);
    BENCH_PRINT(numbers[0], "%zu", work->shape.rows);
    BENCH_PRINT(numbers[1], "%zu", work->shape.width);
    BENCH_PRINT(numbers[2], "%d", range.lo);
    BENCH_PRINT(numbers[3], "%d", range.hi);
    BENCH_TRY(start_python(own, argv, error));
    return read_answer(own, line, sizeof line, error);
}

/* The script takes the time itself: the pipe does not count. */
static rowpool_status python_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;
    char line[64], *end;

    (void)work;
    memset(own->counts.pages, 0xff, own->counts.bytes);
    if (fputs("run\n", own->to) < 0 || fflush(own->to) != 0)
        return bench_fail(error, ROWPOOL_EWORKER, "Python has ended");
    BENCH_TRY(read_answer(own, line, sizeof line, error));
    peer->seconds = strtod(line, &end);
    if (end == line)
        return bench_fail(error, ROWPOOL_EWORKER, "Python says '%.32s'", line);
    memcpy(counts, own->counts.pages, own->counts.bytes);
    return ROWPOOL_OK;
}

static const bench_peer_type python = {
    .applies = process_applies,
    .prepare = python_prepare,
    .run = python_run,
    .cleanup = process_cleanup,
    .times_itself = true,
};

/* ---- Which there are -------------------------------------------------------------------------------------------- */

static rowpool_status add(bench_peers *peers, kind variant, const bench_peer *like, rowpool_error *error)
{
    bench_peer peer = {.variant = variant, .rounds = kinds[variant].rounds};
    bench_script script;

    BENCH_PRINT(peer.label, "%s", kinds[variant].label);
    BENCH_PRINT(peer.device, "%s", kinds[variant].device);
    BENCH_PRINT(peer.driver, "rowpool %s", rowpool_version());
    peer.type = variant < NUMPY ? &bench_peer_subprocess : &python;
    if (!bench_peers_want(peers, peer.label) || (variant == RAW_OPENCL && like == NULL))
        return ROWPOOL_OK;
    if (variant == RAW_OPENCL) {
        memcpy(peer.driver, like->driver, sizeof peer.driver);
        memcpy(peer.index, like->index, sizeof peer.index);
    }
    if (variant >= NUMPY) {
        if (bench_script_find(&script, "peers.py", "import numpy", error) != ROWPOOL_OK)
            return ROWPOOL_OK;
        BENCH_PRINT(peer.driver, "%s", script.python);
        BENCH_PRINT(peer.argument, "%s", script.python);
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

const bench_peer_type bench_peer_subprocess = {
    .available = process_available,
    .applies = process_applies,
    .prepare = process_prepare,
    .run = process_run,
    .cleanup = process_cleanup,
    .times_itself = true,
};
