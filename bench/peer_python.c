/* Python: NumPy, Numba, and multiprocessing.Pool. A child process runs peers.py and takes the times itself, so that the
 * pipe to it does not count. Available where one of the Pythons has the modules. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory_file.h"
#include "peer.h"
#include "python.h"

static const struct {
    const char *name, *imports, *device;
    size_t most_elements; /* beyond it a call takes seconds */
    size_t most_rounds;
} kinds[] = {
    {"numpy", "import numpy", "NumPy, one thread", (size_t)1 << 27, 0},
    {"numba", "import numpy, numba", "Numba, all cores", (size_t)1 << 30, 0},
    {"pool", "import numpy", "multiprocessing.Pool, all cores", (size_t)1 << 22, 3},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    bench_memory_file data, counts;
    pid_t child;
    FILE *to, *from; /* its standard input and output */
} session;

/* ---- Which there are -------------------------------------------------------------------------------------------- */

static const char script_name[] = "peers.py";

static rowpool_status add(bench_peers *peers, int kind, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_python, .variant = kind, .most_rounds = kinds[kind].most_rounds};
    const char *python;

    (void)snprintf(peer.label, sizeof peer.label, "python/%s", kinds[kind].name);
    if (!bench_peers_want(peers, peer.label))
        return ROWPOOL_OK;
    python = bench_python_with(kinds[kind].imports);
    if (!python)
        return ROWPOOL_OK;
    (void)snprintf(peer.device, sizeof peer.device, "%s", kinds[kind].device);
    (void)snprintf(peer.driver, sizeof peer.driver, "%s", python);
    (void)snprintf(peer.argument, sizeof peer.argument, "%s", python);
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status python_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    char script[1024];

    (void)devices;
    if (!bench_python_script(script_name, script, sizeof script))
        return ROWPOOL_OK;
    for (int kind = 0; kind < KINDS && !status; kind++)
        status = add(peers, kind, error);
    return status;
}

/* Numba knows no half. */
static bool python_applies(const bench_peer *peer, const bench_case *work)
{
    return work->rows * work->width <= kinds[peer->variant].most_elements &&
           (strcmp(kinds[peer->variant].name, "numba") != 0 || work->dtype != ROWPOOL_FLOAT16);
}

/* ---- Ready for one case ----------------------------------------------------------------------------------------- */

static void python_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    /* Its standard input ends, and so does it. */
    if (own->to)
        fclose(own->to);
    if (own->from)
        fclose(own->from);
    if (own->child > 0)
        (void)bench_process_status(own->child);
    bench_memory_file_close(&own->data);
    bench_memory_file_close(&own->counts);
    free(own);
    peer->state = NULL;
}

/* Two pipes, of which the child's ends are closed again here once it has them. */
static rowpool_status start_python(session *own, char **argv, rowpool_error *error)
{
    int to[2], from[2], code;

    if (pipe2(to, O_CLOEXEC))
        return bench_fail(error, ROWPOOL_ENOMEM, "no pipe to Python: %s", strerror(errno));
    if (pipe2(from, O_CLOEXEC)) {
        close(to[0]);
        close(to[1]);
        return bench_fail(error, ROWPOOL_ENOMEM, "no pipe from Python: %s", strerror(errno));
    }
    code = bench_process_start(&own->child, argv, to[0], from[1], false);
    close(to[0]);
    close(from[1]);
    own->to = fdopen(to[1], "w");
    own->from = fdopen(from[0], "r");
    if (code)
        own->child = 0;
    return code || !own->to || !own->from
               ? bench_fail(error, ROWPOOL_EWORKER, "%s cannot be started: %s", argv[0], strerror(code ? code : errno))
               : ROWPOOL_OK;
}

static rowpool_status hear(const session *own, char *line, int size, rowpool_error *error)
{
    if (fgets(line, size, own->from))
        return ROWPOOL_OK;
    return bench_fail(error, ROWPOOL_EWORKER, "Python ended without an answer");
}

/* Arguments that are numbers, and where its files lie: the parent's descriptors are reached by their paths. */
static rowpool_status start_script(session *own, const bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    char python[64], kind[16], script[1024], data[64], counts[64], dtype[16], rows[24], width[24], lo[12], hi[12];
    char *argv[] = {python, script, kind, data, counts, dtype, rows, width, lo, hi, NULL};
    char line[64];
    rowpool_status status;

    (void)bench_python_script(script_name, script, sizeof script);
    (void)snprintf(python, sizeof python, "%.63s", peer->argument);
    (void)snprintf(kind, sizeof kind, "%s", kinds[peer->variant].name);
    (void)snprintf(data, sizeof data, "/proc/%ld/fd/%d", (long)getpid(), own->data.fd);
    (void)snprintf(counts, sizeof counts, "/proc/%ld/fd/%d", (long)getpid(), own->counts.fd);
    (void)snprintf(dtype, sizeof dtype, "%s", rowpool_dtype_name(work->dtype));
    (void)snprintf(rows, sizeof rows, "%zu", work->rows);
    (void)snprintf(width, sizeof width, "%zu", work->width);
    (void)snprintf(lo, sizeof lo, "%d", work->lo);
    (void)snprintf(hi, sizeof hi, "%d", work->hi);
    status = start_python(own, argv, error);
    return status ? status : hear(own, line, sizeof line, error);
}

static rowpool_status python_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = calloc(1, sizeof *own);
    rowpool_status status;

    if (!own)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a process");
    peer->state = own;
    own->counts.fd = -1;
    status = bench_memory_file_open(&own->data, work->bytes, work->data, error);
    if (!status)
        status = bench_memory_file_open(&own->counts, work->rows * sizeof(uint32_t), NULL, error);
    if (!status)
        status = start_script(own, peer, work, error);
    if (status)
        python_cleanup(peer);
    return status;
}

static rowpool_status python_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;
    char line[64], *end;
    rowpool_status status;

    (void)work;
    memset(own->counts.pages, 0xff, own->counts.bytes);
    if (fputs("run\n", own->to) < 0 || fflush(own->to))
        return bench_fail(error, ROWPOOL_EWORKER, "Python has ended");
    status = hear(own, line, sizeof line, error);
    if (status)
        return status;
    peer->seconds = strtod(line, &end);
    if (end == line)
        return bench_fail(error, ROWPOOL_EWORKER, "Python says '%.32s'", line);
    memcpy(counts, own->counts.pages, own->counts.bytes);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_python = {
    .name = "python",
    .available = python_available,
    .applies = python_applies,
    .prepare = python_prepare,
    .run = python_run,
    .cleanup = python_cleanup,
    .times_itself = true,
};
