/* The fork backend: workers are forks of this process. They have its functions, and its memory as it was at the
 * fork. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cpus.h"
#include "device/workers/workers.h"

/* ---- In the worker ---------------------------------------------------------------------------------------------- */

/* What a worker gets when it starts. */
typedef struct {
    const rp_backend_options *options;
    rp_worker_mark *mark;
} fork_start;

static void initialise(const fork_start *given)
{
    const rp_backend_options *options = given->options;
    if (options->init == NULL)
        return;
    atomic_store(&given->mark->initialising, true);
    int result = options->init(options->init_argument);
    if (result != 0)
        _exit((result & 0xff) != 0 ? result & 0xff : 1); /* a result of 256 is a failure, too */
    atomic_store(&given->mark->initialising, false);
}

static bool call_function(rp_served_task *task, const rp_task_message *message, void *context)
{
    (void)message;
    (void)context;
    return rp_served_call(task);
}

/* What options ask of a worker comes before its first task. Only async-signal-safe calls, but for the initialiser. */
static void run_worker(const rp_worker_self *self)
{
    const fork_start *given = self->context;
    initialise(given);
    rp_serve_tasks(self, given->mark, call_function, NULL);
}

/* ---- In this process -------------------------------------------------------------------------------------------- */

static rowpool_status start_fork(rp_workers *state, size_t slot, rp_worker *worker, rowpool_error *error)
{
    fork_start given = {state->context, &state->marks[slot]};
    return rp_worker_start(worker, run_worker, &given, error);
}

static const rp_device fork_device = {.backend = &rp_backend_fork,
                                      .available = true,
                                      .info = {.index = "fork",
                                               .name = "worker processes",
                                               .type = ROWPOOL_DEVICE_FORK,
                                               .shared_memory = true,
                                               .fp64 = true,
                                               .largest_buffer = PTRDIFF_MAX}};

/* Not in the probe, since it reads the files of control groups. */
static void fork_look(rp_device *device)
{
    device->info.units = (uint32_t)rp_count_cpus();
}

static const char *fork_unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    return rp_code_is_there(&operation->code) ? NULL : "it has no C form";
}

static rowpool_status fork_open(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    static const rp_workers_kind forks = {
        .start = start_fork,
        .losses_per_worker = 4,
        .losses_besides = 16,
        .losses_text = "worker processes ended before they began a single row",
        .chunk_bytes = 4 << 20, /* the overhead of a task is some 20 microseconds; this many bytes take about 300 */
        .dismiss_ms = 1000,
    };
    rp_backend_options *own = malloc(sizeof *own); /* workers that replace others need them */
    if (own == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    *own = *options;
    size_t workers = options->workers != 0 ? options->workers : rp_count_cpus();
    RP_TRY(rp_workers_open(device, &forks, workers, own, options, error));
    device->info.units = (uint32_t)device->parallel;
    return ROWPOOL_OK;
}

const rp_backend rp_backend_fork = {
    .name = "fork",
    .single = &fork_device,
    .look = fork_look,
    .open = fork_open,
    .close = rp_workers_close,
    .submit = rp_workers_submit,
    .finish = rp_workers_finish,
    .unsupported_reason = fork_unsupported_reason,
    .interrupt = rp_workers_interrupt,
    .waits = false,
};
