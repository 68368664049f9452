/* A whole process for each call: started, one map of data that is there already, ended. rowpool, with the caches that
 * an earlier process left and without any, and the raw OpenCL program. */
#include <errno.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "first.h"
#include "memory_file.h"
#include "peer.h"

extern char **environ;

enum { ROWPOOL, ROWPOOL_COLD, RAW }; /* bench_peer.variant */

static const size_t most_bytes = 64 << 20; /* beyond it the data's pages are all that counts */

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    bench_memory_file data, counts;
    char first[64], dtype[16], shape[64];
} session;

/* ---- Which there are -------------------------------------------------------------------------------------------- */

static rowpool_status add(bench_peers *peers, const char *label, int variant, const bench_peer *device,
                          rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_process, .variant = variant};

    (void)snprintf(peer.label, sizeof peer.label, "%s", label);
    (void)snprintf(peer.device, sizeof peer.device, "a process for each map%s",
                   variant == ROWPOOL_COLD ? ", with empty caches" : "");
    (void)snprintf(peer.driver, sizeof peer.driver, "rowpool %s", rowpool_version());
    if (device) {
        memcpy(peer.argument, device->index, sizeof device->index);
        memcpy(peer.driver, device->driver, sizeof peer.driver);
        peer.shared = device->shared;
    }
    return bench_peers_add(peers, &peer, error);
}

/* The first single OpenCL device that rowpool is measured on; NULL where there is none. */
static const bench_peer *first_device(const bench_peers *peers)
{
    for (size_t i = 0; i < peers->count; i++)
        if (peers->items[i].type == &bench_peer_rowpool && strchr(peers->items[i].index, ':'))
            return &peers->items[i];
    return NULL;
}

static rowpool_status process_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    rowpool_status status = add(peers, "process/rowpool", ROWPOOL, NULL, error);
    const bench_peer *device = first_device(peers);

    (void)devices;
    if (!status)
        status = add(peers, "process/rowpool-cold", ROWPOOL_COLD, NULL, error);
#ifdef BENCH_HAVE_OPENCL
    if (!status && device)
        status = add(peers, "process/opencl", RAW, device, error);
#else
    (void)device;
#endif
    return status;
}

static bool process_applies(const bench_peer *peer, const bench_case *work)
{
    (void)peer;
    return work->bytes <= most_bytes;
}

/* ---- Ready for one case ----------------------------------------------------------------------------------------- */

static void process_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    bench_memory_file_close(&own->data);
    bench_memory_file_close(&own->counts);
    free(own);
    peer->state = NULL;
}

static rowpool_status process_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = calloc(1, sizeof *own);
    bench_first first = {.raw = peer->variant == RAW, .shared = peer->shared};
    rowpool_status status;

    if (!own)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for a process");
    peer->state = own;
    own->counts.fd = -1;
    status = bench_memory_file_open(&own->data, work->bytes, work->data, error);
    if (!status)
        status = bench_memory_file_open(&own->counts, work->rows * sizeof(uint32_t), NULL, error);
    if (status) {
        process_cleanup(peer);
        return status;
    }
    (void)snprintf(first.index, sizeof first.index, "%.15s", peer->argument);
    first.data_fd = own->data.fd;
    first.counts_fd = own->counts.fd;
    bench_first_write(&first, own->first, sizeof own->first);
    (void)snprintf(own->dtype, sizeof own->dtype, "%s", rowpool_dtype_name(work->dtype));
    (void)snprintf(own->shape, sizeof own->shape, "%zu:%zu", work->rows, work->width);
    return ROWPOOL_OK;
}

/* ---- A life ----------------------------------------------------------------------------------------------------- */

/* The one exit status of a process that did what it should is 0. */
static rowpool_status await(pid_t child, rowpool_error *error)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return bench_fail(error, ROWPOOL_EWORKER, "waiting for the process: %s", strerror(errno));
    if (status == 0)
        return ROWPOOL_OK;
    return bench_fail(error, ROWPOOL_EWORKER, "the process ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Starts it and waits for its end: what is timed. */
static rowpool_status live(bench_peer *peer, char **environment, rowpool_error *error)
{
    session *own = peer->state;
    char *argv[] = {(char[]){BENCH_PROGRAM}, (char[]){"--first"}, own->first, (char[]){"--type"}, own->dtype,
                    (char[]){"--shape"},     own->shape,          NULL};
    posix_spawn_file_actions_t actions;
    rowpool_status status;
    pid_t child;

    posix_spawn_file_actions_init(&actions);
    /* Onto themselves: they then stay open in the new process. */
    posix_spawn_file_actions_adddup2(&actions, own->data.fd, own->data.fd);
    posix_spawn_file_actions_adddup2(&actions, own->counts.fd, own->counts.fd);
    peer->seconds = -bench_seconds(CLOCK_MONOTONIC);
    errno = posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environment);
    status = errno ? bench_fail(error, ROWPOOL_EWORKER, "the process cannot be started: %s", strerror(errno))
                   : await(child, error);
    peer->seconds += bench_seconds(CLOCK_MONOTONIC);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* ---- Empty caches ----------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    (void)remove(path);
    return 0;
}

/* The variables that say where drivers keep what they have built. */
static const char *const cache_variables[] = {"POCL_CACHE_DIR", "XDG_CACHE_HOME", "CUDA_CACHE_PATH",
                                              "MESA_SHADER_CACHE_DIR"};
enum { CACHE_VARIABLES = sizeof cache_variables / sizeof cache_variables[0] };

static bool is_cache_variable(const char *entry)
{
    for (size_t i = 0; i < CACHE_VARIABLES; i++) {
        const size_t length = strlen(cache_variables[i]);

        if (!strncmp(entry, cache_variables[i], length) && entry[length] == '=')
            return true;
    }
    return false;
}

/* This process's environment with all caches in one folder; to be freed. settings: room for what is new in it. */
static char **environment_with(const char *folder, char settings[CACHE_VARIABLES][96])
{
    size_t count = 0, used = 0;
    char **environment;

    while (environ[count])
        count++;
    environment = calloc(count + CACHE_VARIABLES + 1, sizeof *environment);
    if (!environment)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_cache_variable(environ[i]))
            environment[used++] = environ[i];
    for (size_t i = 0; i < CACHE_VARIABLES; i++) {
        (void)snprintf(settings[i], sizeof settings[i], "%s=%s", cache_variables[i], folder);
        environment[used++] = settings[i];
    }
    return environment;
}

static rowpool_status live_cold(bench_peer *peer, rowpool_error *error)
{
    char folder[] = "/tmp/rowpool-bench-XXXXXX", settings[CACHE_VARIABLES][96];
    rowpool_status status;

    if (!mkdtemp(folder))
        return bench_fail(error, ROWPOOL_EINVAL, "no folder for empty caches: %s", strerror(errno));
    char **environment = environment_with(folder, settings);

    status = environment ? live(peer, environment, error)
                         : bench_fail(error, ROWPOOL_ENOMEM, "no memory for an environment");
    free(environment);
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

static rowpool_status process_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session *own = peer->state;
    rowpool_status status;

    (void)work;
    memset(own->counts.pages, 0xff, own->counts.bytes);
    status = peer->variant == ROWPOOL_COLD ? live_cold(peer, error) : live(peer, environ, error);
    if (!status)
        memcpy(counts, own->counts.pages, own->counts.bytes);
    return status;
}

const bench_peer_type bench_peer_process = {
    .name = "process",
    .available = process_available,
    .applies = process_applies,
    .prepare = process_prepare,
    .run = process_run,
    .cleanup = process_cleanup,
    .times_itself = true,
};
