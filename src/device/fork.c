/* Chunks computed by forks of this process: they have its functions, and its memory as it was when they were started. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cpus.h"
#include "device/workers/workers.h"

/* ---- In the worker ---------------------------------------------------------------------------------------------- */

/* The user's initialiser: what comes first in each worker. */
typedef struct {
    int (*run)(void *argument); /* or NULL */
    void *argument;
} initialiser;

/* What a worker is given when it starts. */
typedef struct {
    const initialiser *init;
    rp_work_mark *mark;
} start;

/* A result of 256, say, is no success either. */
static void initialise(const start *given)
{
    if (given->init->run == NULL)
        return;
    atomic_store(&given->mark->initialising, true);
    int result = given->init->run(given->init->argument);
    if (result != 0)
        _exit((result & 0xff) != 0 ? result & 0xff : 1);
    atomic_store(&given->mark->initialising, false);
}

static bool call_function(rp_work_chunk *chunk, const rp_work *work, void *context)
{
    (void)work;
    (void)context;
    return rp_work_chunk_call(chunk);
}

/* A worker's life: it works until it is dismissed. */
static void work(const rp_worker_self *self)
{
    const start *given = self->context;
    initialise(given);
    rp_work_serve(self, given->mark, call_function, NULL);
}

/* ---- In this process -------------------------------------------------------------------------------------------- */

static rowpool_status start_fork(rp_workers *state, size_t slot, rp_worker *worker, rowpool_error *error)
{
    start given = {state->context, &state->marks[slot]};
    return rp_worker_start(worker, work, &given, error);
}

static const rp_device fork_device = {.backend = &rp_backend_fork,
                                      .available = true,
                                      .info = {.index = "fork",
                                               .name = "worker processes",
                                               .type = ROWPOOL_DEVICE_FORK,
                                               .shared_memory = true,
                                               .fp64 = true,
                                               .largest_buffer = PTRDIFF_MAX}};

/* The files of a control group are read for it. */
static void look(rp_device *device)
{
    device->info.units = (uint32_t)rp_count_cpus();
}

static const char *unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    return rp_code_is_there(&operation->code) ? NULL : "it has no C form";
}

static rowpool_status open_device(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    enum { CHUNK_BYTES = 4 << 20 }; /* a task costs some 20 microseconds besides its work, this much of it 300 or so */
    static const rp_workers_kind forks = {
        .start = start_fork, .losses_for_worker = 4, .losses_more = 16, .chunk_bytes = CHUNK_BYTES};
    initialiser *init = malloc(sizeof *init);
    if (init == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    *init = (initialiser){options->init, options->init_argument};
    size_t workers = options->workers != 0 ? options->workers : rp_count_cpus();
    RP_TRY(rp_workers_open(device, &forks, workers, init, options, error));
    device->info.units = (uint32_t)device->parallel;
    return ROWPOOL_OK;
}

const rp_backend rp_backend_fork = {
    .name = "fork",
    .single = &fork_device,
    .look = look,
    .open = open_device,
    .close = rp_workers_close,
    .submit = rp_workers_submit,
    .finish = rp_workers_finish,
    .unsupported_reason = unsupported_reason,
    .interrupt = rp_workers_interrupt,
    .waits = false,
};
