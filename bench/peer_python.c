/* Peers in Python: each map starts a process (peers.py), which measures the time of its second call itself. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "script.h"

enum { MB = 1 << 20 };

/* By bench_peer.variant. */
static const struct {
    const char *label, *device;
    size_t max_bytes; /* larger maps would take seconds */
    size_t rounds;
} kinds[] = {
    {"python/numpy", "NumPy, one thread", 512 * MB, 5},
    {"python/pool", "multiprocessing.Pool, all cores", 16 * MB, 3},
};

/* bench_peer.state: a file in memory with the counts, the seconds, and the data. */
typedef struct {
    int fd;
    char *pages; /* NULL: not mapped */
    size_t counts_size, size;
} python_session;

static bool python_applies(const bench_peer *peer, const bench_case *work)
{
    return work->bytes <= kinds[peer->variant].max_bytes;
}

static rowpool_status python_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    python_session *own = peer->state;
    void *pages = MAP_FAILED;

    own->counts_size = work->counts * sizeof(uint32_t);
    own->size = own->counts_size + sizeof(double) + work->bytes;
    /* Checked first: ftruncate succeeds without memory, and writing the pages then raises SIGBUS. */
    BENCH_TRY(bench_memory_check((double)own->size, "its copy of the data", error));
    own->fd = memfd_create(BENCH_PROGRAM, MFD_CLOEXEC);
    if (own->fd >= 0 && ftruncate(own->fd, (off_t)own->size) == 0)
        pages = mmap(NULL, own->size, PROT_READ | PROT_WRITE, MAP_SHARED, own->fd, 0);
    if (pages == MAP_FAILED)
        return rp_fail(error, ROWPOOL_ENOMEM, "cannot make a file in memory: %s", strerror(errno));
    own->pages = pages;
    memcpy(own->pages + own->counts_size + sizeof(double), work->data, work->bytes);
    return ROWPOOL_OK;
}

static void python_cleanup(bench_peer *peer)
{
    python_session *own = peer->state;

    if (own->pages != NULL)
        munmap(own->pages, own->size);
    if (own->fd > 0)
        close(own->fd);
}

static rowpool_status python_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    const python_session *own = peer->state;
    const bench_range range = bench_case_range(work, 0);
    char rows[24], width[24], lo[12], hi[12];
    const char *const argv[] = {
        peer->driver, peer->argument, peer->label, rowpool_dtype_name(work->dtype), rows, width, lo, hi, NULL};

    BENCH_PRINT(rows, "%zu", work->shape.rows);
    BENCH_PRINT(width, "%zu", work->shape.width);
    BENCH_PRINT(lo, "%d", range.lo);
    BENCH_PRINT(hi, "%d", range.hi);
    memset(own->pages, 0xff, own->counts_size);
    BENCH_TRY(bench_start_and_wait(argv, own->fd, error));
    memcpy(counts, own->pages, own->counts_size);
    memcpy(&peer->seconds, own->pages + own->counts_size, sizeof peer->seconds);
    return ROWPOOL_OK;
}

static rowpool_status python_available(bench_peers *peers, rowpool_error *error)
{
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++) {
        bench_peer peer = {.type = &bench_peer_python, .variant = i, .rounds = kinds[i].rounds};
        bench_script script;

        BENCH_PRINT(peer.label, "%s", kinds[i].label);
        BENCH_PRINT(peer.device, "%s", kinds[i].device);
        if (!bench_peers_want(peers, peer.label) ||
            bench_script_find(&script, "peers.py", "import numpy", error) != ROWPOOL_OK)
            continue;
        BENCH_PRINT(peer.driver, "%s", script.python);
        BENCH_PRINT(peer.argument, "%s", script.path);
        BENCH_TRY(bench_peers_add(peers, &peer, error));
    }
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_python = {
    .available = python_available,
    .applies = python_applies,
    .prepare = python_prepare,
    .run = python_run,
    .cleanup = python_cleanup,
    .state_size = sizeof(python_session),
};
