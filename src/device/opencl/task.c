/* A task from submit to finish: memory, launch, and the read that ends it. The read blocks where finish waits; where
 * the task has a home queue, it has a callback instead. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/trace.h"
#include "device/opencl/opencl.h"

/* ---- What a task holds ------------------------------------------------------------------------------------------ */

cl_event *rp_cl_next_event(rp_cl_task *task, const char *what)
{
    task->what[task->n_events] = what;
    return &task->events[task->n_events++];
}

/* NULL: ENOMEM. */
static rp_cl_task *create_task(rp_device *device, rp_task *owner, rowpool_error *error)
{
    rp_cl_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        rp_cl_no_memory(device, error);
        return NULL;
    }
    task->device = device;
    task->state = device->state;
    task->error = error;
    task->owner = owner;
    task->operation = owner->operation;
    task->chunk = &owner->chunk;
    return task;
}

/* Gives back all that the task holds. */
static void release_objects(rp_cl_task *task)
{
    if (task->owner->cold)
        rp_cl_guard_restore(&task->guard);
    for (size_t i = 0; i < task->n_own; i++)
        clReleaseMemObject(task->own[i]);
    for (size_t i = 0; i < ROWPOOL_MOST_INPUTS; i++)
        if (task->input[i].made != NULL)
            rp_cl_drop(task->device, task->input[i].made);
    for (size_t i = 0; i < task->n_events; i++)
        if (task->events[i] != NULL)
            clReleaseEvent(task->events[i]);
    if (task->read != NULL)
        clReleaseEvent(task->read);
    if (task->kernels != NULL)
        rp_cl_kernels_give(task->device, task->kernels);
    if (task->slot != NULL)
        rp_cl_slot_give(task->device, task->slot);
}

static void release_task(rp_cl_task *task)
{
    release_objects(task);
    free(task);
}

/* ---- Submit ----------------------------------------------------------------------------------------------------- */

/* Runs on a driver's thread, or on the submitting thread inside a cl* call: it neither blocks nor takes the device's
 * lock. */
static void CL_CALLBACK read_completed(cl_event event, cl_int status, void *data)
{
    rp_cl_task *task = data;
    (void)event;
    task->read_status = status;
    switch (atomic_exchange(&task->completion, RP_CL_CALLED)) {
    case RP_CL_LISTENING:
        rp_queue_push(task->owner->home, &task->owner->message.link);
        break;
    case RP_CL_RELEASED:
        free(task);
        break;
    default: /* submit has failed, and will free it */
        break;
    }
}

/* Ends the task with a read that calls back. The callback is set before the flush: some drivers never call back for an
 * event that is already complete. */
static rowpool_status read_with_callback(rp_cl_task *task)
{
    cl_int code = clEnqueueReadBuffer(task->slot->queue, task->results, CL_FALSE, 0, task->result_bytes,
                                      task->owner->results, 0, NULL, &task->read);
    RP_TRY(rp_cl_task_check(task, "clEnqueueReadBuffer", code));
    atomic_store(&task->completion, RP_CL_LISTENING);
    code = clSetEventCallback(task->read, CL_COMPLETE, read_completed, task);
    if (code != CL_SUCCESS)
        atomic_store(&task->completion, RP_CL_SILENT);
    return rp_cl_task_check(task, "clSetEventCallback", code);
}

static rowpool_status enqueue(rp_cl_task *task, rp_cl_kernel form)
{
    RP_TRY(rp_cl_launch(task, form));
    if (task->owner->home != NULL)
        RP_TRY(read_with_callback(task));
    return rp_cl_task_check(task, "clFlush", clFlush(task->slot->queue));
}

/* The first time that these kernels run, the driver compiles, and may start threads. It may go on after the guard is
 * left, so the end of the task restores the handlers once more. */
static rowpool_status enqueue_guarded(rp_cl_task *task)
{
    const rp_cl_kernel form = rp_cl_form_of(task->device, task->operation, task->kernels->program->width,
                                            task->chunk->partial);
    if (rp_cl_is_warm(task->kernels, form))
        return enqueue(task, form);
    task->owner->cold = true;
    rp_cl_guard_enter(&task->guard);
    rowpool_status status = enqueue(task, form);
    rp_cl_guard_leave(&task->guard);
    return status;
}

/* Ends a submit that failed half way: nothing enqueued may touch the host's arrays any more. If the callback came
 * meanwhile, the task is complete after all, and finish reports its status. If it can still come, the task must outlive
 * it. */
static rowpool_status abandon(rp_cl_task *task, rowpool_status status)
{
    rp_cl_completion listening = RP_CL_LISTENING;
    if (task->slot != NULL)
        clFinish(task->slot->queue);
    if (atomic_load(&task->completion) == RP_CL_SILENT) {
        release_task(task);
        return status;
    }
    if (!atomic_compare_exchange_strong(&task->completion, &listening, RP_CL_ABANDONED))
        return ROWPOOL_OK;
    release_objects(task);
    if (atomic_exchange(&task->completion, RP_CL_RELEASED) == RP_CL_CALLED)
        free(task);
    return status;
}

rowpool_status rp_cl_submit(rp_device *device, rp_task *owner, rowpool_error *error)
{
    size_t left;
    if (!rp_cl_has_stack(&left))
        return rp_cl_fail(
            device, NULL, ROWPOOL_EDEVICE, error,
            "the calling thread has %zu bytes of stack left, and drivers need %d: use the _async form, or "
            "a thread with a larger stack",
            left, RP_CL_MIN_STACK);
    rp_cl_task *task = owner->state = create_task(device, owner, error);
    if (task == NULL)
        return ROWPOOL_ENOMEM;
    rowpool_status status = rp_cl_slot_take(device, &task->slot, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_kernels_for(device, owner, &task->kernels, error);
    if (rp_trace_on())
        task->begin = rp_clock_now();
    if (status == ROWPOOL_OK)
        status = rp_cl_place(task);
    if (status == ROWPOOL_OK)
        status = enqueue_guarded(task);
    return status == ROWPOOL_OK ? status : abandon(task, status);
}

/* ---- The trace -------------------------------------------------------------------------------------------------- */

/* Converts a device's time to the host's clock. */
static struct timespec host_time(const rp_cl_task *task, cl_ulong queued, cl_ulong time)
{
    int64_t ns = (int64_t)(time - queued) + task->begin.tv_nsec;
    return (struct timespec){.tv_sec = task->begin.tv_sec + (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
}

static bool command_time(cl_event event, cl_profiling_info what, cl_ulong *time)
{
    return event != NULL && clGetEventProfilingInfo(event, what, sizeof *time, time, NULL) == CL_SUCCESS;
}

static void trace_command(const rp_cl_task *task, cl_event event, cl_ulong first, const char *what)
{
    cl_ulong begin, end;
    if (command_time(event, CL_PROFILING_COMMAND_START, &begin) &&
        command_time(event, CL_PROFILING_COMMAND_END, &end) && first <= begin && begin <= end)
        rp_trace_span(task->device->info.name, what, host_time(task, first, begin), host_time(task, first, end),
                      task->operation->name);
}

/* What the device did and when, by its own clock, which is aligned with the host's at the first command. */
static void trace_commands(const rp_cl_task *task)
{
    cl_ulong first;
    if (task->n_events == 0 || !command_time(task->events[0], CL_PROFILING_COMMAND_QUEUED, &first))
        return;
    for (size_t i = 0; i < task->n_events; i++)
        trace_command(task, task->events[i], first, task->what[i]);
    trace_command(task, task->read, first, "read");
}

/* ---- Finish ----------------------------------------------------------------------------------------------------- */

/* The status of the first command that failed, or the read's. */
static cl_int status_of(const rp_cl_task *task, cl_int read_status)
{
    for (size_t i = 0; i < task->n_events; i++) {
        cl_int status = CL_COMPLETE;
        cl_int code = clGetEventInfo(task->events[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
        if (code != CL_SUCCESS || status < 0)
            return code != CL_SUCCESS ? code : status;
    }
    return read_status;
}

rowpool_status rp_cl_finish(rp_device *device, rp_task *owner, rowpool_error *error)
{
    (void)device;
    rp_cl_task *task = owner->state;
    task->error = error;
    cl_int code = task->read_status;
    if (owner->home == NULL)
        code = clEnqueueReadBuffer(task->slot->queue, task->results, CL_TRUE, 0, task->result_bytes, owner->results, 0,
                                   NULL, rp_trace_on() ? &task->read : NULL);
    code = status_of(task, code);
    rowpool_status status = ROWPOOL_OK;
    if (code < 0) {
        clFinish(task->slot->queue);
        status = rp_cl_task_check(task, "a command of the chunk", code);
    } else {
        rp_cl_note_launches(task->kernels);
    }
    for (size_t i = 0; status == ROWPOOL_OK && i < ROWPOOL_MOST_INPUTS; i++)
        if (task->input[i].made != NULL) {
            owner->uses[i].copy = task->input[i].made;
            task->input[i].made = NULL;
        }
    if (rp_trace_on())
        trace_commands(task);
    release_task(task);
    owner->state = NULL;
    return status;
}

/* ---- The warm-up ------------------------------------------------------------------------------------------------ */

/* A launch with zero rows: the argument buffer stands in for every array, and none is read. */
static rowpool_status warm_up_form(rp_device *device, rp_cl_program *program, rp_cl_kernel form, rp_task *owner,
                                   rowpool_error *error)
{
    rp_cl_task *task = create_task(device, owner, error);
    if (task == NULL)
        return ROWPOOL_ENOMEM;
    rowpool_status status = rp_cl_slot_take(device, &task->slot, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_kernels_of(device, program, &task->kernels, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_place_arguments(task);
    task->results = task->arguments;
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    if (status == ROWPOOL_OK)
        status = rp_cl_launch(task, form);
    if (task->slot != NULL)
        clFinish(task->slot->queue);
    if (task->kernels != NULL)
        rp_cl_note_launches(task->kernels);
    rp_cl_guard_leave(&guard);
    release_task(task);
    return status;
}

void rp_cl_warm_up(rp_device *device, rp_cl_program *program, unsigned forms)
{
    const rowpool_function function = {.form = program->form};
    char *arguments = calloc(1, program->arguments_size);
    const rp_operation operation = {.function = &function,
                                    .name = program->name,
                                    .code = {.compiled = {.arguments_size = program->arguments_size,
                                                          .result_size = program->result_size,
                                                          .accumulator_size = program->accumulator_size},
                                             .n_inputs = 1},
                                    .inputs = {{.dtype = rp_dtype_of(program->dtype),
                                                .dtype_id = program->dtype,
                                                .width = program->width,
                                                .stride = program->width}},
                                    .arguments = arguments,
                                    .arguments_size = program->arguments_size,
                                    .columns = 1};
    rp_task owner = {.operation = &operation, .device = device};
    rowpool_error error;
    for (rp_cl_kernel form = 0; form < RP_CL_FORMS; form++) {
        if ((forms & 1U << form) == 0)
            continue;
        if (arguments == NULL || warm_up_form(device, program, form, &owner, &error) != ROWPOOL_OK)
            atomic_store(&program->launched[form], true); /* the next task runs into the failure, and reports it */
    }
    free(arguments);
}
