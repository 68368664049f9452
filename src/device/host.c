/* The host backend: the calling thread. Every other backend must give the same results. */
#include <stdio.h>

#include "device/device.h"

static const rp_device host_device = {.backend = &rp_backend_host,
                                      .available = true,
                                      .info = {.index = "host",
                                               .name = "the calling thread",
                                               .type = ROWPOOL_DEVICE_HOST,
                                               .shared_memory = true,
                                               .fp64 = true,
                                               .units = 1,
                                               .largest_buffer = PTRDIFF_MAX}};

static rowpool_status host_open(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    enum { CHUNK_BYTES = 4 << 20 }; /* about a millisecond: cancellation is checked between chunks */
    (void)error;
    device->queue_depth = 1;
    device->parallel = 1;
    device->chunk_bytes = options->chunk_bytes != 0 ? options->chunk_bytes : CHUNK_BYTES;
    return ROWPOOL_OK;
}

static void host_close(rp_device *device, bool forked)
{
    (void)device;
    (void)forked;
}

static rowpool_status host_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    (void)device;
    (void)error;
    rp_operation_compute(task->operation, &task->chunk, task->results);
    if (task->home != NULL)
        rp_queue_push(task->home, &task->message.link);
    return ROWPOOL_OK;
}

static rowpool_status host_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    (void)device;
    (void)task;
    (void)error;
    return ROWPOOL_OK;
}

static const char *host_unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    if (operation->processes)
        return "it must run in a worker process";
    if (!rp_code_is_there(&operation->code))
        return "it has no C form";
    return operation->host ? NULL : "the caller does not allow it in this process (allow_host)";
}

const rp_backend rp_backend_host = {
    .name = "host",
    .single = &host_device,
    .open = host_open,
    .close = host_close,
    .submit = host_submit,
    .finish = host_finish,
    .unsupported_reason = host_unsupported_reason,
    .waits = true,
};
