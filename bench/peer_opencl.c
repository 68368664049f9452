/* A raw OpenCL program: the same kernels as rowpool's, started by hand on one device. What rowpool needs beyond this
 * is the cost of its scheduler. The one file of the benchmark that knows OpenCL, or the library's inside. */
#include <CL/cl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels.h"
#include "dtypes.h"
#include "peer.h"

enum {
    WIDEST_BLOCK = 24, /* elements of a row that is worth a kernel of its own, */
    SHORT_ROW = 512,   /* and that one work item takes whole */
    BLOCK = 64,        /* rows */
    GROUP = 64,        /* work items */
    ITEM_ELEMENTS = 32768
};

typedef enum { ROWS, BLOCKS, SPANS } form;

/* What a command belongs to. */
typedef enum { UPLOAD, KERNEL, READ, STAGES } stage_of_call;

/* The commands of one piece, and the seconds that those of each stage took so far. */
typedef struct {
    struct {
        cl_event event;
        stage_of_call stage;
    } commands[4];
    size_t count;
    double seconds[STAGES];
    bool any[STAGES];
} stopwatch;

/* bench_peer.state, from prepare to cleanup. */
typedef struct {
    const bench_peer *peer;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    stopwatch *timing; /* NULL but while stages are asked for */
    cl_program program;
    cl_kernel kernel, combine; /* combine: for SPANS */
    cl_mem range, carry;
    cl_mem data, counts; /* the device's own, where it does not work in the host's memory */
    form form;
    bool long_items; /* few strong units: much work for each item outweighs its start */
    cl_uint units;
    size_t group;
    size_t piece; /* the most rows that buffers can hold */
    size_t span;  /* SPANS: elements and ends of rows that an item takes */
} session;

static rowpool_status fail(const bench_peer *peer, const char *call, cl_int code, rowpool_error *error)
{
    return bench_fail(error, ROWPOOL_EDEVICE, "device %s: %s: CL error %d", peer->index, call, code);
}

/* ---- Which there are -------------------------------------------------------------------------------------------- */

/* One for each single OpenCL device that rowpool is measured on. */
static rowpool_status opencl_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    const size_t count = peers->count;

    (void)devices;
    for (size_t i = 0; i < count && !status; i++) {
        bench_peer peer = peers->items[i];

        if (!strchr(peer.index, ':'))
            continue;
        peer.type = &bench_peer_opencl;
        peer.required = false;
        (void)snprintf(peer.label, sizeof peer.label, "opencl/%s", peer.index);
        if (!bench_peers_have(peers, peer.label))
            status = bench_peers_add(peers, &peer, error);
    }
    return status;
}

/* "1:0" is the first device of the second platform, in the loader's order. */
static rowpool_status find_device(session *own, rowpool_error *error)
{
    enum { MOST = 64 };
    cl_platform_id platforms[MOST];
    cl_device_id devices[MOST];
    cl_uint platform = 0, device = 0, count = 0;
    cl_int code;

    if (sscanf(own->peer->index, "%u:%u", &platform, &device) != 2)
        return fail(own->peer, "its index", CL_INVALID_VALUE, error);
    code = clGetPlatformIDs(MOST, platforms, &count);
    if (code != CL_SUCCESS || platform >= count)
        return fail(own->peer, "clGetPlatformIDs", code, error);
    code = clGetDeviceIDs(platforms[platform], CL_DEVICE_TYPE_ALL, MOST, devices, &count);
    if (code != CL_SUCCESS || device >= count)
        return fail(own->peer, "clGetDeviceIDs", code, error);
    own->device = devices[device];
    return ROWPOOL_OK;
}

/* ---- Ready for one case ----------------------------------------------------------------------------------------- */

static form form_for(const session *own, const bench_case *work)
{
    if (work->width > SHORT_ROW)
        return SPANS;
    return own->long_items && work->width <= WIDEST_BLOCK ? BLOCKS : ROWS;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static rowpool_status read_limits(session *own, const bench_case *work, rowpool_error *error)
{
    cl_device_type type = 0;
    cl_ulong largest = 0;
    char name[256] = "";
    cl_int code = clGetDeviceInfo(own->device, CL_DEVICE_TYPE, sizeof type, &type, NULL);

    if (code == CL_SUCCESS)
        code = clGetDeviceInfo(own->device, CL_DEVICE_NAME, sizeof name, name, NULL);
    if (code == CL_SUCCESS)
        code = clGetDeviceInfo(own->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof largest, &largest, NULL);
    if (code == CL_SUCCESS)
        code = clGetDeviceInfo(own->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof own->units, &own->units, NULL);
    if (code == CL_SUCCESS)
        code = clGetDeviceInfo(own->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof own->group, &own->group, NULL);
    if (code != CL_SUCCESS)
        return fail(own->peer, "clGetDeviceInfo", code, error);
    /* Mesa's renderer runs on the processor too, but ends long loops early. */
    own->long_items = (type & CL_DEVICE_TYPE_CPU) && !strstr(name, "llvmpipe");
    own->group = least(own->group, GROUP);
    own->form = form_for(own, work);
    own->piece = least(work->rows, largest / most(work->bytes / work->rows, sizeof(uint32_t)));
    if (own->piece == 0)
        return bench_fail(error, ROWPOOL_ENOMEM, "device %s: one row is larger than its largest buffer",
                          own->peer->index);
    return ROWPOOL_OK;
}

static rowpool_status build(session *own, const bench_case *work, rowpool_error *error)
{
    static const char *const names[] = {[ROWS] = "rp_rows", [BLOCKS] = "rp_row_blocks", [SPANS] = "rp_spans"};
    const char *texts[] = {rp_kernel_prelude, rp_kernel_vocabulary, "\n", rowpool_builtin("count")->source, "\n",
                           rp_kernel_check,   rp_kernel_fold};
    char options[256];
    cl_int code;

    (void)snprintf(options, sizeof options,
                   "-D ROWPOOL_DTYPE=%s -D RP_WIDTH=%zu -D RP_ARGUMENTS_SIZE=%zu -D RP_RESULT_SIZE=%zu "
                   "-D RP_MOST_ACCUMULATOR_SIZE=%zu",
                   rowpool_dtype_name(work->dtype), own->form == BLOCKS ? work->width : 0,
                   2 * rowpool_dtype_size(work->dtype), sizeof(uint32_t), sizeof(uint32_t));
    own->program = clCreateProgramWithSource(own->context, sizeof texts / sizeof texts[0], texts, NULL, &code);
    if (code == CL_SUCCESS)
        code = clBuildProgram(own->program, 1, &own->device, options, NULL, NULL);
    if (code == CL_SUCCESS)
        own->kernel = clCreateKernel(own->program, names[own->form], &code);
    if (code == CL_SUCCESS && own->form == SPANS)
        own->combine = clCreateKernel(own->program, "rp_combine_spans", &code);
    return code == CL_SUCCESS ? ROWPOOL_OK : fail(own->peer, "building the kernels", code, error);
}

/* The two ends as the kernels compare them: of numbers that are not negative, the elements' own bits. */
typedef void ends_function(const bench_case *work, void *pair);

#define ENDS(name, type, kind)                                                                      \
    static void ends_##name(const bench_case *work, void *pair)                                     \
    {                                                                                               \
        const type ends[] = {BENCH_FROM_##kind(type, work->lo), BENCH_FROM_##kind(type, work->hi)}; \
                                                                                                    \
        memcpy(pair, ends, sizeof ends);                                                            \
    }
BENCH_DTYPES(ENDS)
#undef ENDS

#define ENDS_ENTRY(name, type, kind) [ROWPOOL_##name] = ends_##name,
static ends_function *const ends[] = {BENCH_DTYPES(ENDS_ENTRY)};
#undef ENDS_ENTRY

static rowpool_status new_buffer(const session *own, cl_mem_flags flags, size_t bytes, const void *host, cl_mem *memory,
                                 rowpool_error *error)
{
    cl_int code;

    *memory = clCreateBuffer(own->context, flags, bytes, (void *)(uintptr_t)host, &code);
    return code == CL_SUCCESS ? ROWPOOL_OK : fail(own->peer, "clCreateBuffer", code, error);
}

/* As the library divides long rows: enough spans for the units, and not too many for one item to add up. */
static size_t span_for(const session *own, size_t positions)
{
    enum { MOST_SPANS = 32768, LONGEST = 32768 };
    size_t span = own->long_items ? most(1024, least(positions / (8 * own->units), LONGEST))
                                  : most(32, least(positions / (2048 * own->units), 4096));

    return most(span, positions / MOST_SPANS);
}

static size_t positions_of(const bench_case *work, size_t rows)
{
    return rows * work->width + rows;
}

/* Everything that is the same for each call. */
static rowpool_status place(session *own, const bench_case *work, rowpool_error *error)
{
    char pair[2 * sizeof(uint64_t)];
    size_t positions = positions_of(work, own->piece);
    rowpool_status status;

    ends[work->dtype](work, pair);
    status = new_buffer(own, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, 2 * rowpool_dtype_size(work->dtype), pair,
                        &own->range, error);
    own->span = span_for(own, positions);
    if (!status && own->form == SPANS)
        status = new_buffer(own, CL_MEM_READ_WRITE, (positions / own->span + 1) * 2 * sizeof(uint32_t), NULL,
                            &own->carry, error);
    if (!status && !own->peer->shared)
        status = new_buffer(own, CL_MEM_READ_ONLY, own->piece * (work->bytes / work->rows), NULL, &own->data, error);
    if (!status && !own->peer->shared)
        status = new_buffer(own, CL_MEM_READ_WRITE, own->piece * sizeof(uint32_t), NULL, &own->counts, error);
    return status;
}

static void release(cl_mem *memory)
{
    if (*memory)
        clReleaseMemObject(*memory);
    *memory = NULL;
}

static void opencl_cleanup(bench_peer *peer)
{
    session *own = peer->state;

    release(&own->data);
    release(&own->counts);
    release(&own->range);
    release(&own->carry);
    if (own->kernel)
        clReleaseKernel(own->kernel);
    if (own->combine)
        clReleaseKernel(own->combine);
    if (own->program)
        clReleaseProgram(own->program);
    if (own->queue)
        clReleaseCommandQueue(own->queue);
    if (own->context)
        clReleaseContext(own->context);
    free(own);
    peer->state = NULL;
}

static rowpool_status begin(session *own, const bench_case *work, rowpool_error *error)
{
    cl_int code;
    rowpool_status status = find_device(own, error);

    if (!status)
        status = read_limits(own, work, error);
    if (status)
        return status;
    own->context = clCreateContext(NULL, 1, &own->device, NULL, NULL, &code);
    if (code == CL_SUCCESS)
        own->queue = clCreateCommandQueue(own->context, own->device, 0, &code);
    if (code != CL_SUCCESS)
        return fail(own->peer, "making a context and a queue", code, error);
    status = build(own, work, error);
    return status ? status : place(own, work, error);
}

static rowpool_status opencl_prepare(bench_peer *peer, const bench_case *work, rowpool_error *error)
{
    session *own = calloc(1, sizeof *own);
    rowpool_status status;

    if (!own)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for an OpenCL program");
    own->peer = peer;
    peer->state = own;
    status = begin(own, work, error);
    if (status)
        opencl_cleanup(peer);
    return status;
}

/* ---- The part that is timed ------------------------------------------------------------------------------------- */

typedef struct {
    size_t size;
    const void *value;
} argument;
#define ARGUMENT(x)     \
    {                   \
        sizeof(x), &(x) \
    }
#define ARGUMENTS(list) (sizeof(list) / sizeof(list)[0]), (list)

/* Where the next command's event is to be put; NULL where nobody asks for it. */
static cl_event *note(const session *own, stage_of_call stage)
{
    stopwatch *timing = own->timing;

    if (!timing)
        return NULL;
    timing->commands[timing->count].event = NULL;
    timing->commands[timing->count].stage = stage;
    return &timing->commands[timing->count++].event;
}

static cl_int launch(const session *own, cl_kernel kernel, size_t items, size_t group, size_t count,
                     const argument *arguments)
{
    const size_t local[] = {group, 1}, global[] = {(items + group - 1) / group * group, 1};

    for (size_t i = 0; i < count; i++) {
        cl_int code = clSetKernelArg(kernel, (cl_uint)i, arguments[i].size, arguments[i].value);

        if (code != CL_SUCCESS)
            return code;
    }
    return clEnqueueNDRangeKernel(own->queue, kernel, 2, NULL, global, local, 0, NULL, note(own, KERNEL));
}

static const cl_ulong zero = 0, one = 1;

/* Rows for each item: enough to outweigh its start, and enough items for the units. */
static cl_ulong rows_for_item(const session *own, size_t wanted, size_t balanced, size_t limit)
{
    return own->long_items ? most(1, least(least(wanted, balanced), limit)) : 1;
}

static cl_int launch_rows(const session *own, const bench_case *work, size_t rows, cl_mem data, cl_mem counts)
{
    cl_ulong count = rows, width = work->width;
    cl_ulong each = rows_for_item(own, ITEM_ELEMENTS / (own->group * work->width), rows / (own->group * 4 * own->units),
                                  BLOCK);
    const argument arguments[] = {ARGUMENT(data),  ARGUMENT(zero),  ARGUMENT(own->range), ARGUMENT(counts),
                                  ARGUMENT(count), ARGUMENT(width), ARGUMENT(width),      ARGUMENT(one),
                                  ARGUMENT(one),   ARGUMENT(each)};

    return launch(own, own->kernel, (rows + each - 1) / each, own->group, ARGUMENTS(arguments));
}

static cl_int launch_blocks(const session *own, const bench_case *work, size_t rows, cl_mem data, cl_mem counts)
{
    cl_ulong count = rows;
    cl_ulong each = BLOCK * rows_for_item(own, ITEM_ELEMENTS / (BLOCK * work->width), rows / (BLOCK * 8 * own->units),
                                          SIZE_MAX);
    const argument arguments[] = {ARGUMENT(data),  ARGUMENT(zero), ARGUMENT(own->range), ARGUMENT(counts),
                                  ARGUMENT(count), ARGUMENT(one),  ARGUMENT(one),        ARGUMENT(each)};

    return launch(own, own->kernel, (rows + each - 1) / each, 1, ARGUMENTS(arguments));
}

static cl_int launch_spans(const session *own, const bench_case *work, size_t rows, cl_mem data, cl_mem counts)
{
    cl_ulong count = rows, width = work->width, span = own->span, first = 0;
    cl_long origin = 0;
    cl_int no = 0;
    size_t items = (positions_of(work, rows) + span - 1) / span;
    /* Where there are no offsets and no parts any array stands in for them. */
    const argument spans[] = {ARGUMENT(data),   ARGUMENT(zero),      ARGUMENT(own->range), ARGUMENT(counts),
                              ARGUMENT(counts), ARGUMENT(count),     ARGUMENT(width),      ARGUMENT(width),
                              ARGUMENT(one),    ARGUMENT(one),       ARGUMENT(span),       ARGUMENT(data),
                              ARGUMENT(zero),   ARGUMENT(origin),    ARGUMENT(no),         ARGUMENT(first),
                              ARGUMENT(no),     ARGUMENT(own->carry)};
    const argument combine[] = {ARGUMENT(own->range), ARGUMENT(counts),    ARGUMENT(counts), ARGUMENT(count),
                                ARGUMENT(width),      ARGUMENT(one),       ARGUMENT(one),    ARGUMENT(span),
                                ARGUMENT(data),       ARGUMENT(zero),      ARGUMENT(origin), ARGUMENT(no),
                                ARGUMENT(no),         ARGUMENT(own->carry)};
    cl_int code = launch(own, own->kernel, items, own->long_items ? 1 : own->group, ARGUMENTS(spans));

    return code == CL_SUCCESS && items > 1 ? launch(own, own->combine, items, own->group, ARGUMENTS(combine)) : code;
}

static cl_int enqueue(const session *own, const bench_case *work, size_t rows, cl_mem data, cl_mem counts)
{
    switch (own->form) {
    case ROWS:
        return launch_rows(own, work, rows, data, counts);
    case BLOCKS:
        return launch_blocks(own, work, rows, data, counts);
    case SPANS:
        break;
    }
    return launch_spans(own, work, rows, data, counts);
}

/* Counts so many rows from `row` on, with windows on the host's arrays or through the device's own. */
static rowpool_status count_piece(const session *own, const bench_case *work, size_t row, size_t rows, uint32_t *counts,
                                  rowpool_error *error)
{
    const size_t row_bytes = work->bytes / work->rows, bytes = rows * row_bytes;
    const char *host = (const char *)work->data + row * row_bytes;
    cl_mem input = own->data, output = own->counts;
    rowpool_status status = ROWPOOL_OK;
    cl_int code = CL_SUCCESS;

    if (own->peer->shared) {
        input = output = NULL;
        status = new_buffer(own, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, bytes, host, &input, error);
        if (!status)
            status = new_buffer(own, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, rows * sizeof *counts, counts + row,
                                &output, error);
    } else {
        code = clEnqueueWriteBuffer(own->queue, input, CL_FALSE, 0, bytes, host, 0, NULL, note(own, UPLOAD));
    }
    if (!status && code == CL_SUCCESS)
        code = enqueue(own, work, rows, input, output);
    if (!status && code == CL_SUCCESS)
        code = clEnqueueReadBuffer(own->queue, output, CL_TRUE, 0, rows * sizeof *counts, counts + row, 0, NULL,
                                   note(own, READ));
    if (own->peer->shared) {
        release(&input);
        release(&output);
    }
    return status || code == CL_SUCCESS ? status : fail(own->peer, "counting", code, error);
}

static rowpool_status opencl_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    const session *own = peer->state;
    rowpool_status status = ROWPOOL_OK;

    for (size_t row = 0; row < work->rows && !status; row += own->piece)
        status = count_piece(own, work, row, least(own->piece, work->rows - row), counts, error);
    return status;
}

/* ---- How long each stage took ----------------------------------------------------------------------------------- */

static double duration(cl_event event)
{
    cl_ulong begin = 0, end = 0;

    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof begin, &begin, NULL) != CL_SUCCESS ||
        clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS)
        return NAN;
    return (double)(end - begin) * 1e-9;
}

/* All commands have ended, or none of them will: the last was waited for. */
static void add_up(stopwatch *timing)
{
    for (size_t i = 0; i < timing->count; i++) {
        const cl_event event = timing->commands[i].event;
        const stage_of_call stage = timing->commands[i].stage;

        if (!event)
            continue;
        timing->seconds[stage] += duration(event);
        timing->any[stage] = true;
        clReleaseEvent(event);
    }
    timing->count = 0;
}

static double seconds_of(const stopwatch *timing, stage_of_call stage)
{
    return timing->any[stage] ? timing->seconds[stage] : NAN;
}

static rowpool_status count_timed(session *own, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t row = 0; row < work->rows && !status; row += own->piece) {
        status = count_piece(own, work, row, least(own->piece, work->rows - row), counts, error);
        add_up(own->timing);
    }
    return status;
}

/* On a queue of its own, whose commands note when they begin and end. */
static rowpool_status opencl_profile(bench_peer *peer, const bench_case *work, uint32_t *counts, bench_stages *stages,
                                     rowpool_error *error)
{
    session *own = peer->state;
    const cl_command_queue usual = own->queue;
    stopwatch timing = {.count = 0};
    rowpool_status status;
    cl_int code;
    cl_command_queue queue = clCreateCommandQueue(own->context, own->device, CL_QUEUE_PROFILING_ENABLE, &code);

    if (code != CL_SUCCESS)
        return fail(peer, "making a queue that takes times", code, error);
    own->queue = queue;
    own->timing = &timing;
    status = count_timed(own, work, counts, error);
    own->queue = usual;
    own->timing = NULL;
    clReleaseCommandQueue(queue);
    *stages = (bench_stages){seconds_of(&timing, UPLOAD), seconds_of(&timing, KERNEL), seconds_of(&timing, READ)};
    return status;
}

const bench_peer_type bench_peer_opencl = {
    .name = "opencl",
    .available = opencl_available,
    .prepare = opencl_prepare,
    .run = opencl_run,
    .profile = opencl_profile,
    .cleanup = opencl_cleanup,
    .raw = true,
};

/* ---- A context and a queue, and no more ------------------------------------------------------------------------- */

static rowpool_status open_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    (void)devices;
    for (size_t i = 0; i < peers->count; i++) {
        bench_peer peer = peers->items[i];

        if (peer.type != &bench_peer_rowpool || !strchr(peer.index, ':'))
            continue;
        peer.type = &bench_peer_opencl_open;
        peer.required = false;
        (void)snprintf(peer.label, sizeof peer.label, "open/opencl");
        /* What there is to compare with is a pool on one device: the first. */
        return bench_peers_add(peers, &peer, error);
    }
    return ROWPOOL_OK;
}

static rowpool_status open_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    session own = {.peer = peer};
    rowpool_status status = find_device(&own, error);
    cl_int code = CL_SUCCESS;

    (void)work;
    (void)counts;
    if (status)
        return status;
    own.context = clCreateContext(NULL, 1, &own.device, NULL, NULL, &code);
    if (code == CL_SUCCESS)
        own.queue = clCreateCommandQueue(own.context, own.device, 0, &code);
    if (own.queue)
        clReleaseCommandQueue(own.queue);
    if (own.context)
        clReleaseContext(own.context);
    return code == CL_SUCCESS ? ROWPOOL_OK : fail(peer, "making a context and a queue", code, error);
}

const bench_peer_type bench_peer_opencl_open = {
    .name = "open/opencl",
    .available = open_available,
    .run = open_run,
    .no_counts = true,
    .ragged = true,
    .columns = true,
};
