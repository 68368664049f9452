/* The raw OpenCL program: starts rowpool's own kernels on one device. rowpool's extra time is the cost of its scheduler.
 * No other file of the benchmark uses OpenCL or internals of the library. */
#include <CL/cl.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"
#include "peer.h"

enum {
    WIDTH_MAX = 512,      /* elements of a row that one work item takes as a whole */
    BLOCK_WIDTH_MAX = 24, /* elements of a row that gets a kernel built for its width */
    BLOCK = 64,           /* rows that one work item of such a kernel takes at a time */
    GROUP = 64,           /* work items in a group */
    ITEM_ELEMENTS = 32768 /* elements for an item: its start is negligible then */
};

typedef enum { UPLOAD, KERNEL, READ, STAGES } stage_of_call;

/* bench_peer.state */
typedef struct {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernel;
    cl_mem range, data, counts; /* data, counts: NULL if the device works in the host's memory */
    cl_bool shared;
    cl_uint units;
    size_t group;
    bool long_items;  /* a CPU: each item gets enough work to outweigh its start */
    bool in_blocks;   /* the kernel is built for the width */
    cl_event *events; /* one for each stage while a call is profiled, otherwise NULL */
} opencl_session;

static rowpool_status check_opencl(const char *call, cl_int code, rowpool_error *error)
{
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_fail(error, ROWPOOL_EDEVICE, "%s: OpenCL error %d", call, code);
}

/* ---- Device and queue ------------------------------------------------------------------------------------------- */

/* "1:0" is the first device of the second platform, in the loader's order. */
static rowpool_status find_raw_device(opencl_session *own, const char *index, rowpool_error *error)
{
    enum { MAX = 64 };
    cl_platform_id platforms[MAX];
    cl_device_id devices[MAX];
    cl_uint platform = 0, device = 0, count = 0;

    if (sscanf(index, "%u:%u", &platform, &device) != 2)
        return check_opencl("the index", CL_INVALID_VALUE, error);
    BENCH_TRY(check_opencl("clGetPlatformIDs", clGetPlatformIDs(MAX, platforms, &count), error));
    if (platform >= count)
        return check_opencl("clGetPlatformIDs", CL_INVALID_PLATFORM, error);
    BENCH_TRY(check_opencl("clGetDeviceIDs",
                           clGetDeviceIDs(platforms[platform], CL_DEVICE_TYPE_ALL, MAX, devices, &count), error));
    if (device >= count)
        return check_opencl("clGetDeviceIDs", CL_DEVICE_NOT_FOUND, error);
    own->device = devices[device];
    return ROWPOOL_OK;
}

static rowpool_status open_raw_device(opencl_session *own, const char *index, rowpool_error *error)
{
    cl_int code;

    BENCH_TRY(find_raw_device(own, index, error));
    own->context = clCreateContext(NULL, 1, &own->device, NULL, NULL, &code);
    BENCH_TRY(check_opencl("clCreateContext", code, error));
    own->queue = clCreateCommandQueue(own->context, own->device, 0, &code);
    return check_opencl("clCreateCommandQueue", code, error);
}

static void release_cl_buffer(cl_mem memory)
{
    if (memory != NULL)
        clReleaseMemObject(memory);
}

static void opencl_cleanup(bench_peer *peer)
{
    opencl_session *own = peer->state;

    release_cl_buffer(own->data);
    release_cl_buffer(own->counts);
    release_cl_buffer(own->range);
    if (own->kernel != NULL)
        clReleaseKernel(own->kernel);
    if (own->program != NULL)
        clReleaseProgram(own->program);
    if (own->queue != NULL)
        clReleaseCommandQueue(own->queue);
    if (own->context != NULL)
        clReleaseContext(own->context);
}

/* ---- One case --------------------------------------------------------------------------------------------------- */

static bool opencl_applies(const bench_peer *peer, const bench_case *work)
{
    return work->shape.width <= WIDTH_MAX;
}

static rowpool_status read_raw_device(opencl_session *own, const bench_case *work, rowpool_error *error)
{
    cl_device_type type = 0;
    char name[256] = "";
    const struct {
        cl_device_info what;
        size_t size;
        void *to;
    } infos[] = {{CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof own->shared, &own->shared},
                 {CL_DEVICE_MAX_COMPUTE_UNITS, sizeof own->units, &own->units},
                 {CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof own->group, &own->group},
                 {CL_DEVICE_TYPE, sizeof type, &type},
                 {CL_DEVICE_NAME, sizeof name, name}};

    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++)
        BENCH_TRY(check_opencl("clGetDeviceInfo",
                               clGetDeviceInfo(own->device, infos[i].what, infos[i].size, infos[i].to, NULL), error));
    /* Mesa's llvmpipe is a CPU device too, but it ends long loops early. */
    own->long_items = (type & CL_DEVICE_TYPE_CPU) && strstr(name, "llvmpipe") == NULL;
    own->in_blocks = own->long_items && work->shape.width <= BLOCK_WIDTH_MAX;
    own->group = own->in_blocks ? 1 : own->group < GROUP ? own->group : GROUP;
    return ROWPOOL_OK;
}

static rowpool_status build_kernel(opencl_session *own, const bench_case *work, rowpool_error *error)
{
    const char *texts[] = {rp_kernel_prelude, rp_kernel_vocabulary, "\n", rowpool_builtin("count")->source, "\n",
                           rp_kernel_check,   rp_kernel_fold};
    char options[256];
    cl_int code;

    BENCH_PRINT(options,
                "-D ROWPOOL_DTYPE=%s -D RP_WIDTH=%zu -D RP_ARGUMENTS_SIZE=%zu -D RP_RESULT_SIZE=%zu "
                "-D RP_MOST_ACCUMULATOR_SIZE=%zu",
                rowpool_dtype_name(work->dtype), own->in_blocks ? work->shape.width : 0,
                2 * rowpool_dtype_size(work->dtype), sizeof(uint32_t), sizeof(uint32_t));
    own->program = clCreateProgramWithSource(own->context, sizeof texts / sizeof *texts, texts, NULL, &code);
    if (code == CL_SUCCESS)
        code = clBuildProgram(own->program, 1, &own->device, options, NULL, NULL);
    if (code == CL_SUCCESS)
        own->kernel = clCreateKernel(own->program, own->in_blocks ? "rp_row_blocks" : "rp_rows", &code);
    return check_opencl("building the kernel", code, error);
}

static rowpool_status create_buffer(const opencl_session *own, cl_mem_flags flags, size_t bytes, const void *host,
                                    cl_mem *memory, rowpool_error *error)
{
    cl_int code;

    *memory = clCreateBuffer(own->context, flags, bytes, (void *)(uintptr_t)host, &code);
    return check_opencl("clCreateBuffer", code, error);
}

static rowpool_status opencl_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    const bench_range range = bench_case_range(work, 0);
    char ends[2 * sizeof(uint64_t)];
    opencl_session *own = peer->state;

    BENCH_TRY(open_raw_device(own, peer->index, error));
    BENCH_TRY(read_raw_device(own, work, error));
    BENCH_TRY(build_kernel(own, work, error));
    bench_store_digits(work->dtype, ends, (const uint8_t[]){(uint8_t)range.lo, (uint8_t)range.hi}, 2);
    BENCH_TRY(create_buffer(own, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, 2 * rowpool_dtype_size(work->dtype), ends,
                            &own->range, error));
    if (own->shared)
        return ROWPOOL_OK;
    BENCH_TRY(create_buffer(own, CL_MEM_READ_ONLY, work->bytes, NULL, &own->data, error));
    return create_buffer(own, CL_MEM_READ_WRITE, work->counts * sizeof(uint32_t), NULL, &own->counts, error);
}

/* ---- The timed part --------------------------------------------------------------------------------------------- */

static size_t clamp_size(size_t value, size_t max)
{
    return value < 1 ? 1 : value > max ? max : value;
}

/* Rows for each item: enough to outweigh its start, and enough items for the units. */
static cl_ulong rows_for_item(const opencl_session *own, const bench_shape *shape)
{
    const size_t together = own->in_blocks ? BLOCK : own->group;
    const size_t wanted = ITEM_ELEMENTS / (together * shape->width);
    const size_t balanced = shape->rows / (together * (own->in_blocks ? 8 : 4) * own->units);
    const size_t items = clamp_size(wanted < balanced ? wanted : balanced, own->in_blocks ? SIZE_MAX : BLOCK);

    return !own->long_items ? 1 : own->in_blocks ? BLOCK * items : items;
}

static cl_int enqueue_kernel(const opencl_session *own, const bench_shape *shape, cl_mem data, cl_mem counts)
{
    const cl_ulong zero = 0, one = 1, rows = shape->rows, width = shape->width, each = rows_for_item(own, shape);
    const struct {
        size_t size;
        const void *value;
    } arguments[] = {{sizeof data, &data},     {sizeof zero, &zero}, {sizeof own->range, &own->range},
                     {sizeof counts, &counts}, {sizeof rows, &rows}, {sizeof width, &width},
                     {sizeof width, &width},   {sizeof one, &one},   {sizeof one, &one},
                     {sizeof each, &each}};
    const size_t items = (size_t)((rows + each - 1) / each);
    const size_t local[] = {own->group, 1}, global[] = {(items + own->group - 1) / own->group * own->group, 1};
    cl_int code = CL_SUCCESS;
    cl_uint index = 0;

    for (size_t i = 0; i < sizeof arguments / sizeof *arguments && code == CL_SUCCESS; i++)
        if (!own->in_blocks || arguments[i].value != &width) /* it is compiled in */
            code = clSetKernelArg(own->kernel, index++, arguments[i].size, arguments[i].value);
    if (code != CL_SUCCESS)
        return code;
    return clEnqueueNDRangeKernel(own->queue, own->kernel, 2, NULL, global, local, 0, NULL,
                                  own->events != NULL ? &own->events[KERNEL] : NULL);
}

/* Uses buffers over the host's arrays, or copies through the device's own buffers. */
static rowpool_status opencl_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    const opencl_session *own = peer->state;
    const size_t size = work->counts * sizeof *counts;
    cl_event *upload = own->events != NULL ? &own->events[UPLOAD] : NULL;
    cl_event *read = own->events != NULL ? &own->events[READ] : NULL;
    cl_mem data = own->data, results = own->counts;
    rowpool_status status = ROWPOOL_OK;
    cl_int code = CL_SUCCESS;

    if (own->shared) {
        status = create_buffer(own, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, work->bytes, work->data, &data, error);
        if (status == ROWPOOL_OK)
            status = create_buffer(own, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size, counts, &results, error);
    } else {
        code = clEnqueueWriteBuffer(own->queue, data, CL_FALSE, 0, work->bytes, work->data, 0, NULL, upload);
    }
    if (status == ROWPOOL_OK && code == CL_SUCCESS)
        code = enqueue_kernel(own, &work->shape, data, results);
    if (status == ROWPOOL_OK && code == CL_SUCCESS)
        code = clEnqueueReadBuffer(own->queue, results, CL_TRUE, 0, size, counts, 0, NULL, read);
    if (own->shared) {
        release_cl_buffer(data);
        release_cl_buffer(results);
    }
    return status != ROWPOOL_OK ? status : check_opencl("counting", code, error);
}

/* ---- How long each stage took ----------------------------------------------------------------------------------- */

static double duration(cl_event event)
{
    cl_ulong begin = 0, end = 0;

    if (event == NULL ||
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) != CL_SUCCESS ||
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS)
        return NAN;
    return (double)(end - begin) * 1e-9;
}

/* Uses a profiling queue of its own, since profiling costs time. */
static rowpool_status opencl_settle(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    opencl_session *own = peer->state, untimed = *own;
    cl_event events[STAGES] = {NULL};
    cl_int code;

    own->queue = clCreateCommandQueue(own->context, own->device, CL_QUEUE_PROFILING_ENABLE, &code);
    own->events = events;
    rowpool_status status = check_opencl("clCreateCommandQueue", code, error);
    if (status == ROWPOOL_OK)
        status = opencl_run(peer, work, counts, error);
    peer->stages = (bench_stages){duration(events[UPLOAD]), duration(events[KERNEL]), duration(events[READ])};
    for (size_t i = 0; i < STAGES; i++)
        if (events[i] != NULL)
            clReleaseEvent(events[i]);
    if (own->queue != NULL)
        clReleaseCommandQueue(own->queue);
    *own = untimed;
    return status;
}

/* ---- The peers -------------------------------------------------------------------------------------------------- */

/* One for each OpenCL device that rowpool is measured on. */
static rowpool_status opencl_available(bench_peers *peers, rowpool_error *error)
{
    const size_t count = peers->count;

    for (size_t i = 0; i < count; i++) {
        bench_peer peer = peers->items[i];
        size_t first = 0;

        while (strcmp(peers->items[first].index, peer.index) != 0)
            first++;
        if (first < i || strchr(peer.index, ':') == NULL)
            continue;
        peer.required = false;
        peer.type = &bench_peer_opencl;
        BENCH_PRINT(peer.label, "opencl/%s", peer.index);
        BENCH_TRY(bench_peers_add(peers, &peer, error));
    }
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_opencl = {
    .available = opencl_available,
    .applies = opencl_applies,
    .prepare = opencl_prepare,
    .run = opencl_run,
    .settle = opencl_settle,
    .cleanup = opencl_cleanup,
    .state_size = sizeof(opencl_session),
};
