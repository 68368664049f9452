/* A device in use: its context, and the lanes that chunks run in. */
#include "device/opencl/opencl.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/settings.h"
#include "base/thread.h"
#include "base/trace.h"

static const char *unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    return rp_operation_unsupported_reason(operation);
}

size_t rp_cl_accumulator_size(size_t said)
{
    enum { USUAL = 256 };
    return said > 0 ? said : USUAL;
}

const rp_backend rp_backend_opencl = {
    .name = "opencl",
    .probe = rp_cl_probe,
    .open = rp_cl_open,
    .close = rp_cl_close,
    .submit = rp_cl_submit,
    .finish = rp_cl_finish,
    .unsupported_reason = unsupported_reason,
    .drop = rp_cl_drop,
    .ready = rp_cl_ready,
    .waits = true,
};

/* The bytes of data in one chunk. In shared memory a chunk costs a launch, so it may be large, but not so large that
 * cancel and progress stand still; elsewhere two chunks are resident, and small ones overlap transfer and compute. */
static size_t default_chunk_bytes(const rp_device *device, const rp_cl_device *state)
{
    enum { MIB = 1 << 20, SHARED = 256 * MIB, STAGED = 64 * MIB };
    return device->info.shared_memory && state->long_items ? SHARED : rp_min(STAGED, (size_t)(device->info.memory / 8));
}

bool rp_cl_is_renderer(const rp_device *device)
{
    return strstr(device->info.name, "llvmpipe") != NULL;
}

static size_t chunk_bytes(const rp_device *device, const rp_cl_device *state, const rp_backend_options *options)
{
    size_t usual = default_chunk_bytes(device, state);
    if (options->chunk_bytes == 0)
        return usual;
    return state->long_items ? options->chunk_bytes : rp_min(options->chunk_bytes, usual);
}

static size_t group_size(cl_device_id id)
{
    enum { WANTED = 64 };
    size_t most = 0;
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof most, &most, NULL) != CL_SUCCESS || most == 0)
        return 1;
    return rp_min(most, WANTED);
}

static bool divides_exactly(cl_device_id id)
{
    cl_device_fp_config config = 0;
    return clGetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof config, &config, NULL) == CL_SUCCESS &&
           (config & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
}

/* Of what the CPU has, where the device is one. */
static unsigned widest_vector(void)
{
    const char *cpu = rp_setting_text(RP_SETTING_CPU);
    if (cpu != NULL && strcmp(cpu, "baseline") == 0)
        return 16;
    return cpu != NULL && strcmp(cpu, "avx2") == 0 ? 32 : 64;
}

bool rp_cl_has_stack(size_t *left)
{
    static _Thread_local uintptr_t first, end; /* the thread's stack; for the first thread it takes a while to find */
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
    const bool known = first <= (uintptr_t)&here && (uintptr_t)&here < end; /* not on one of the application's own */
    *left = known ? (uintptr_t)&here - first : SIZE_MAX;
    return *left >= RP_CL_LEAST_STACK;
}

/* Devices that this process had a context on: all that a driver loads for one, with its handlers of signals, is there.
 * Beyond so many, they pass for new ones. */
enum { MOST_LOADED = 16 };
static _Atomic uintptr_t loaded[MOST_LOADED];

static bool is_loaded(uintptr_t id)
{
    for (size_t i = 0; i < MOST_LOADED; i++)
        if (atomic_load_explicit(&loaded[i], memory_order_relaxed) == id)
            return true;
    return false;
}

static void note_loaded(uintptr_t id)
{
    for (size_t i = 0; i < MOST_LOADED; i++) {
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

rowpool_status rp_cl_open(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    rp_cl_watch_thread();
    rp_cl_device *state = calloc(1, sizeof *state);
    if (state == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    cl_int code;
    state->id = (cl_device_id)device->id[1];
    state->shared = device->info.shared_memory;
    state->long_items = device->info.type == ROWPOOL_DEVICE_CPU && !rp_cl_is_renderer(device);
    state->widest_first = state->long_items && strstr(device->info.platform, "Portable Computing Language") != NULL;
    state->group = group_size(state->id);
    state->exact_divide = divides_exactly(state->id);
    state->vector_bytes = widest_vector();
    state->context = new_context(device, &code);
    if (code != CL_SUCCESS) {
        free(state);
        rp_cl_forget();
        return rp_cl_fail(device, "clCreateContext", code, error);
    }
    state->most_programs = RP_CL_MOST_PROGRAMS;
    rp_test_setting test;
    rp_setting_test(&test, NULL);
    state->build_waits = test.build_wait;
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->built, NULL);
    device->state = state;
    device->queue_depth = 2;
    device->parallel = 1;
    device->chunk_bytes = chunk_bytes(device, state, options);
    device->keeps = state->shared ? 0 : (size_t)(device->info.memory / 4 * 3); /* the rest is for chunks and results */
    return ROWPOOL_OK;
}

static void release_buffer(rp_cl_buffer *buffer)
{
    if (buffer->memory != NULL)
        clReleaseMemObject(buffer->memory);
    *buffer = (rp_cl_buffer){0};
}

static void free_lane(rp_cl_lane *lane, bool forked)
{
    rp_cl_unused unused = {0};
    rp_cl_kernels_take(lane, true, &unused);
    rp_cl_unused_free(&unused, forked);
    if (!forked) {
        for (int i = 0; i < ROWPOOL_MOST_INPUTS; i++) {
            release_buffer(&lane->data[i]);
            release_buffer(&lane->offsets[i]);
        }
        release_buffer(&lane->results);
        release_buffer(&lane->carry);
        clReleaseCommandQueue(lane->queue);
    }
    free(lane);
}

void rp_cl_close(rp_device *device, bool forked)
{
    rp_cl_device *state = device->state;
    if (!forked)
        rp_cl_builder_end(state);
    while (state->all != NULL) {
        rp_cl_lane *lane = state->all;
        state->all = lane->next;
        free_lane(lane, forked);
    }
    while (state->programs != NULL) {
        rp_cl_program *program = state->programs;
        state->programs = program->next;
        rp_cl_program_free(program, forked);
    }
    if (!forked) {
        clReleaseContext(state->context);
        pthread_cond_destroy(&state->built);
        pthread_mutex_destroy(&state->lock);
    }
    free(state);
    device->state = NULL;
}

static rowpool_status new_lane(rp_device *device, rp_cl_lane **lane, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_cl_lane *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    cl_int code;
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    fresh->queue = clCreateCommandQueue(state->context, state->id, rp_trace_on() ? CL_QUEUE_PROFILING_ENABLE : 0,
                                        &code);
    rp_cl_guard_leave(&guard);
    if (code != CL_SUCCESS) {
        free(fresh);
        return rp_cl_fail(device, "clCreateCommandQueue", code, error);
    }
    pthread_mutex_lock(&state->lock);
    fresh->next = state->all;
    state->all = fresh;
    pthread_mutex_unlock(&state->lock);
    *lane = fresh;
    return ROWPOOL_OK;
}

rowpool_status rp_cl_lane_take(rp_device *device, rp_cl_lane **lane, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    pthread_mutex_lock(&state->lock);
    *lane = state->free;
    if (*lane != NULL)
        state->free = (*lane)->next_free;
    pthread_mutex_unlock(&state->lock);
    return *lane != NULL ? ROWPOOL_OK : new_lane(device, lane, error);
}

void rp_cl_lane_give(rp_device *device, rp_cl_lane *lane)
{
    rp_cl_device *state = device->state;
    rp_cl_unused unused = {0};
    pthread_mutex_lock(&state->lock);
    rp_cl_kernels_take(lane, false, &unused);
    lane->next_free = state->free;
    state->free = lane;
    pthread_mutex_unlock(&state->lock);
    rp_cl_unused_free(&unused, false);
}
