/* A device in use: its context, and the slots that tasks run in. */
#include "device/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/settings.h"
#include "base/thread.h"
#include "base/trace.h"

/* ---- What the device is like ------------------------------------------------------------------------------------ */

rp_cl_kind rp_cl_kind_of(const rp_device *device)
{
    if (strstr(device->info.name, "llvmpipe") != NULL)
        return RP_CL_RENDERER;
    return device->info.type == ROWPOOL_DEVICE_CPU ? RP_CL_CPU : RP_CL_GPU;
}

/* Max bytes of data in one chunk. In shared memory each chunk costs a launch, so chunks are large, but small enough
 * that cancel and progress act soon. Elsewhere two chunks are on the device, and small ones overlap transfer and
 * compute. */
static size_t chunk_bytes(const rp_device *device, rp_cl_kind kind, size_t wanted)
{
    enum { MIB = 1 << 20, SHARED = 256 * MIB, STAGED = 64 * MIB };
    if (kind == RP_CL_CPU && wanted > 0)
        return wanted;
    if (kind == RP_CL_CPU && device->info.shared_memory)
        return SHARED;
    const size_t fitting = rp_min(STAGED, (size_t)(device->info.memory / 8));
    return wanted > 0 ? rp_min(wanted, fitting) : fitting;
}

static size_t group_size(cl_device_id id)
{
    enum { WANTED = 64 };
    size_t max = 0;
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof max, &max, NULL) != CL_SUCCESS || max == 0)
        return 1;
    return rp_min(max, WANTED);
}

/* The widest vectors that kernels may use where the CPU has them, and correctly rounded division and square roots where
 * the device has those. */
static void write_build_options(rp_cl_device *state)
{
    const char *cpu = rp_setting_text(RP_SETTING_CPU);
    int vector = 64;
    if (cpu != NULL && strcmp(cpu, "baseline") == 0)
        vector = 16;
    else if (cpu != NULL && strcmp(cpu, "avx2") == 0)
        vector = 32;
    cl_device_fp_config config = 0;
    (void)clGetDeviceInfo(state->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, NULL);
    const bool exact = (config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
    snprintf(state->build_options, sizeof state->build_options, "-D RP_MOST_VECTOR=%d%s", vector,
             exact ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
}

bool rp_cl_has_stack(size_t *left)
{
    static _Thread_local uintptr_t first, end; /* the thread's stack; slow to find for the main thread */
    const char here = 0;
    pthread_attr_t attributes;
    void *base;
    size_t size;
    if (end == 0 && pthread_getattr_np(pthread_self(), &attributes) == 0) {
        if (pthread_attr_getstack(&attributes, &base, &size) == 0) {
            first = (uintptr_t)base;
            end = first + size;
        }
        pthread_attr_destroy(&attributes);
    }
    const bool known = first <= (uintptr_t)&here && (uintptr_t)&here < end; /* else the stack was switched */
    *left = known ? (uintptr_t)&here - first : SIZE_MAX;
    return *left >= RP_CL_MIN_STACK;
}

/* ---- Open and close --------------------------------------------------------------------------------------------- */

/* Devices that this process had a context on: the driver has loaded all that it needs for those. Beyond MAX_LOADED,
 * devices count as new. */
enum { MAX_LOADED = 16 };
static _Atomic uintptr_t loaded[MAX_LOADED];

static bool is_loaded(uintptr_t id)
{
    for (size_t i = 0; i < MAX_LOADED; i++)
        if (atomic_load_explicit(&loaded[i], memory_order_relaxed) == id)
            return true;
    return false;
}

static void note_loaded(uintptr_t id)
{
    for (size_t i = 0; i < MAX_LOADED; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&loaded[i], &none, id) || none == id)
            return;
    }
}

typedef struct {
    const rp_device *device;
    cl_context context;
    cl_int code;
} context_call;

static void create_context(void *argument)
{
    context_call *call = argument;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)call->device->id[0], 0};
    const cl_device_id id = (cl_device_id)call->device->id[1];
    call->context = clCreateContext(properties, 1, &id, NULL, NULL, &call->code);
}

/* Each context may start threads; only the first on a device loads libraries. */
static cl_context new_context(const rp_device *device, cl_int *code)
{
    context_call call = {.device = device, .code = CL_DEVICE_NOT_AVAILABLE};
    if (is_loaded(device->id[1])) {
        sigset_t before;
        rp_signals_block(&before);
        create_context(&call);
        rp_signals_unblock(&before);
    } else if (rp_cl_build_begin(true)) {
        rp_cl_apart(create_context, &call);
        rp_cl_build_end(false);
        if (call.code == CL_SUCCESS)
            note_loaded(device->id[1]);
    }
    *code = call.code;
    return call.context;
}

static rowpool_status cl_open(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    rp_cl_watch_thread();
    rp_cl_device *state = calloc(1, sizeof *state);
    if (state == NULL)
        return rp_cl_no_memory(device, error);
    cl_int code;
    state->context = new_context(device, &code);
    if (code != CL_SUCCESS) {
        free(state);
        rp_cl_forget();
        return rp_cl_check(device, NULL, "clCreateContext", code, error);
    }
    state->id = (cl_device_id)device->id[1];
    state->kind = rp_cl_kind_of(device);
    state->widest_first = state->kind == RP_CL_CPU &&
                          strstr(device->info.platform, "Portable Computing Language") != NULL;
    rp_test_setting test;
    rp_setting_test(&test, NULL);
    state->build_waits = test.build_wait;
    state->group = group_size(state->id);
    write_build_options(state);
    state->max_programs = RP_CL_MAX_PROGRAMS;
    rp_mutex_init(&state->lock, RP_LOCK_CL_DEVICE);
    pthread_cond_init(&state->built, NULL);
    device->state = state;
    device->queue_depth = 2;
    device->parallel = 1;
    device->chunk_bytes = chunk_bytes(device, state->kind, options->chunk_bytes);
    if (!device->info.shared_memory)
        device->keeps = (size_t)(device->info.memory / 4 * 3); /* the rest is for chunks and results */
    return ROWPOOL_OK;
}

static void free_slot(rp_cl_slot *slot, bool forked)
{
    if (!forked) {
        for (int i = 0; i < ROWPOOL_MOST_INPUTS; i++) {
            rp_cl_release_buffer(&slot->input[i].data);
            rp_cl_release_buffer(&slot->input[i].offsets);
        }
        rp_cl_release_buffer(&slot->results);
        rp_cl_release_buffer(&slot->carry);
        clReleaseCommandQueue(slot->queue);
    }
    free(slot);
}

static void cl_close(rp_device *device, bool forked)
{
    rp_cl_device *state = device->state;
    if (!forked)
        rp_cl_builder_end(state);
    while (state->all != NULL) {
        rp_cl_slot *slot = state->all;
        state->all = slot->next;
        free_slot(slot, forked);
    }
    rp_cl_programs_free(state->programs, forked);
    if (!forked) {
        clReleaseContext(state->context);
        pthread_cond_destroy(&state->built);
        rp_mutex_destroy(&state->lock);
    }
    free(state);
    device->state = NULL;
}

/* ---- Slots ------------------------------------------------------------------------------------------------------ */

static rowpool_status new_slot(rp_device *device, rp_cl_slot **slot, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_cl_slot *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_cl_no_memory(device, error);
    cl_int code;
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    fresh->queue = clCreateCommandQueue(state->context, state->id, rp_trace_on() ? CL_QUEUE_PROFILING_ENABLE : 0,
                                        &code);
    rp_cl_guard_leave(&guard);
    if (code != CL_SUCCESS) {
        free(fresh);
        return rp_cl_check(device, NULL, "clCreateCommandQueue", code, error);
    }
    rp_lock(&state->lock);
    fresh->next = state->all;
    state->all = fresh;
    rp_unlock(&state->lock);
    *slot = fresh;
    return ROWPOOL_OK;
}

rowpool_status rp_cl_slot_take(rp_device *device, rp_cl_slot **slot, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    *slot = state->free;
    if (*slot != NULL)
        state->free = (*slot)->next_free;
    rp_unlock(&state->lock);
    return *slot != NULL ? ROWPOOL_OK : new_slot(device, slot, error);
}

void rp_cl_slot_give(rp_device *device, rp_cl_slot *slot)
{
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    slot->next_free = state->free;
    state->free = slot;
    rp_unlock(&state->lock);
}

/* ---- The vtable ------------------------------------------------------------------------------------------------- */

static const char *cl_unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    return rp_operation_unsupported_reason(operation);
}

const rp_backend rp_backend_opencl = {
    .name = "opencl",
    .probe = rp_cl_probe,
    .open = cl_open,
    .close = cl_close,
    .submit = rp_cl_submit,
    .finish = rp_cl_finish,
    .unsupported_reason = cl_unsupported_reason,
    .drop = rp_cl_drop,
    .ready = rp_cl_ready,
    .waits = true,
};
