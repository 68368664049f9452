/* A chunk on an OpenCL device: memory, launch, and the read that ends it - blocking for a caller who waits,
 * non-blocking with a callback on its event for one who listens. */
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/opencl/opencl.h"
#include "base/checked.h"

enum { MOST_EVENTS = 4 }; /* two uploads, two kernels */

typedef struct {
    rp_task *task;
    rp_cl_lane *lane;
    rp_cl_kernels *kernels;
    cl_mem data, offsets, arguments, results; /* those of the lane, or this chunk's own: */
    bool own_memory;                          /* windows on the host's arrays */
    size_t result_bytes;
    size_t stride;                /* of the rows as they lie in `data` */
    rp_cl_guard *first_launch;    /* a driver compiles meanwhile, perhaps on a thread of its own */
    cl_event events[MOST_EVENTS]; /* of all that is enqueued before the read: an earlier failure need not show there */
    size_t n_events;
    cl_event read;
    cl_int read_status;
    atomic_flag claimed; /* by the callback, or by a submit that failed after setting it */
} rp_cl_chunk;

/* Where to put the event of the next command. */
static cl_event *next_event(rp_cl_chunk *chunk)
{
    return &chunk->events[chunk->n_events++];
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* A window on the host's memory, for a device that works there. */
static rowpool_status window(const rp_device *device, const void *host, size_t bytes, cl_mem_flags access,
                             cl_mem *memory, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    cl_int code;
    *memory = clCreateBuffer(state->context, access | CL_MEM_USE_HOST_PTR, bytes, (void *)(uintptr_t)host, &code);
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clCreateBuffer", code, error);
}

/* Grows a buffer of the lane's to at least so many bytes. What it held is lost. */
static rowpool_status reserve(const rp_device *device, rp_cl_buffer *buffer, size_t bytes, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    if (buffer->size >= bytes)
        return ROWPOOL_OK;
    if (buffer->memory != NULL)
        clReleaseMemObject(buffer->memory);
    *buffer = (rp_cl_buffer){0};
    cl_int code;
    buffer->memory = clCreateBuffer(state->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (code != CL_SUCCESS)
        return rp_cl_fail(device, "clCreateBuffer", code, error);
    buffer->size = bytes;
    return ROWPOOL_OK;
}

static rowpool_status upload(const rp_device *device, rp_cl_chunk *chunk, rp_cl_buffer *buffer, const void *host,
                             size_t bytes, rowpool_error *error)
{
    RP_TRY(reserve(device, buffer, bytes, error));
    cl_int code = clEnqueueWriteBuffer(chunk->lane->queue, buffer->memory, CL_FALSE, 0, bytes, host, 0, NULL,
                                       next_event(chunk));
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueWriteBuffer", code, error);
}

/* Uploads strided rows without the gaps between them. */
static rowpool_status upload_packed(const rp_device *device, rp_cl_chunk *chunk, const void *host, rowpool_error *error)
{
    const rp_rows *rows = &chunk->task->map->rows;
    size_t size = rows->dtype->size, count = chunk->task->chunk.rows;
    const size_t origin[3] = {0, 0, 0}, region[3] = {rows->width * size, count, 1};
    RP_TRY(reserve(device, &chunk->lane->data, rows->width * size * count, error));
    cl_int code = clEnqueueWriteBufferRect(chunk->lane->queue, chunk->lane->data.memory, CL_FALSE, origin, origin,
                                           region, rows->width * size, 0, rows->stride * size, 0, host, 0, NULL,
                                           next_event(chunk));
    chunk->stride = rows->width;
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueWriteBufferRect", code, error);
}

static rowpool_status place_arguments(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_map *map = chunk->task->map;
    cl_int code;
    chunk->arguments = clCreateBuffer(state->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, map->arguments_size,
                                      (void *)(uintptr_t)map->arguments, &code);
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clCreateBuffer", code, error);
}

static rowpool_status place_in_host_memory(const rp_device *device, rp_cl_chunk *chunk, const void *data, size_t bytes,
                                           size_t offset_bytes, rowpool_error *error)
{
    const rp_task *task = chunk->task;
    chunk->own_memory = true;
    RP_TRY(window(device, task->results, chunk->result_bytes, CL_MEM_READ_WRITE, &chunk->results, error));
    if (bytes > 0)
        RP_TRY(window(device, data, bytes, CL_MEM_READ_ONLY, &chunk->data, error));
    if (offset_bytes > 0)
        RP_TRY(window(device, task->map->rows.offsets + task->chunk.row, offset_bytes, CL_MEM_READ_ONLY,
                      &chunk->offsets, error));
    return ROWPOOL_OK;
}

static rowpool_status place_on_device(const rp_device *device, rp_cl_chunk *chunk, const void *data, size_t bytes,
                                      size_t offset_bytes, rowpool_error *error)
{
    const rp_task *task = chunk->task;
    const rp_rows *rows = &task->map->rows;
    rp_cl_lane *lane = chunk->lane;
    RP_TRY(reserve(device, &lane->results, chunk->result_bytes, error));
    if (bytes > 0 && !task->chunk.partial && rows->stride > rows->width)
        RP_TRY(upload_packed(device, chunk, data, error));
    else if (bytes > 0)
        RP_TRY(upload(device, chunk, &lane->data, data, bytes, error));
    if (offset_bytes > 0)
        RP_TRY(upload(device, chunk, &lane->offsets, rows->offsets + task->chunk.row, offset_bytes, error));
    chunk->results = lane->results.memory;
    chunk->data = bytes > 0 ? lane->data.memory : NULL;
    chunk->offsets = offset_bytes > 0 ? lane->offsets.memory : NULL;
    return ROWPOOL_OK;
}

static rowpool_status place(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_task *task = chunk->task;
    const rp_rows *rows = &task->map->rows;
    size_t bytes = rp_chunk_span(rows, &task->chunk) * rows->dtype->size;
    bool ragged = rows->offsets != NULL && !task->chunk.partial;
    size_t offset_bytes = ragged ? (task->chunk.rows + 1) * sizeof *rows->offsets : 0;
    const char *data = bytes > 0 ? rows->data + rp_chunk_origin(rows, &task->chunk) * rows->dtype->size : NULL;
    chunk->result_bytes = task->chunk.rows * rp_map_row_bytes(task->map);
    chunk->stride = rows->stride;
    RP_TRY(place_arguments(device, chunk, error));
    return (state->shared ? place_in_host_memory : place_on_device)(device, chunk, data, bytes, offset_bytes, error);
}

/* ---- Launch ----------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t size;
    const void *value;
} argument;
#define ARGUMENT(x)     \
    {                   \
        sizeof(x), &(x) \
    }
#define ARGUMENTS(list) (sizeof(list) / sizeof *(list)), (list)

/* Columns of one work item. Where items are short each does one, but devices take no more than 65535 groups side by
 * side. */
static size_t columns_per_item(const rp_cl_device *state, size_t columns)
{
    enum { MOST_GROUPS = 65535 };
    return state->long_items ? columns : rp_ceil_div(columns, MOST_GROUPS);
}

static rowpool_status launch_kernel(const rp_device *device, rp_cl_chunk *chunk, rp_cl_kernel form, size_t items,
                                    size_t group, size_t n_arguments, const argument *arguments, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    cl_kernel kernel = chunk->kernels->kernel[form];
    for (size_t i = 0; i < n_arguments; i++) {
        cl_int code = clSetKernelArg(kernel, (cl_uint)i, arguments[i].size, arguments[i].value);
        if (code != CL_SUCCESS)
            return rp_cl_fail(device, "clSetKernelArg", code, error);
    }
    const size_t local[2] = {group, 1};
    size_t columns = chunk->task->map->columns;
    const size_t global[2] = {rp_ceil_div(items, group) * group,
                              rp_ceil_div(columns, columns_per_item(state, columns))};
    cl_int code = clEnqueueNDRangeKernel(chunk->lane->queue, kernel, 2, NULL, global, local, 0, NULL,
                                         next_event(chunk));
    chunk->kernels->launched[form] = code == CL_SUCCESS;
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueNDRangeKernel", code, error);
}

static rowpool_status launch_rows(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_map *map = chunk->task->map;
    cl_ulong count = chunk->task->chunk.rows, width = map->rows.width, stride = chunk->stride, columns = map->columns;
    cl_ulong rows_per_item = 1, columns_each = columns_per_item(state, columns);
    if (state->long_items) { /* enough in a group to outweigh its start, and enough groups to keep the units busy */
        size_t wanted = 32768 / (state->group * rp_max(1, map->rows.width));
        size_t balanced = chunk->task->chunk.rows / (state->group * 4 * rp_max(1, device->info.units));
        rows_per_item = rp_max(1, rp_min(rp_min(wanted, balanced), 64));
    }
    cl_mem data = chunk->data != NULL ? chunk->data : chunk->arguments;
    const argument arguments[] = {
        ARGUMENT(data),   ARGUMENT(chunk->arguments), ARGUMENT(chunk->results), ARGUMENT(count),        ARGUMENT(width),
        ARGUMENT(stride), ARGUMENT(columns),          ARGUMENT(columns_each),   ARGUMENT(rows_per_item)};
    return launch_kernel(device, chunk, RP_CL_ROWS, rp_ceil_div(count, rows_per_item), state->group,
                         ARGUMENTS(arguments), error);
}

static rowpool_status launch_blocks(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    enum { BLOCK = 64, ITEM_ELEMENTS = 32768 }; /* rows; a work item's share outweighs its start */
    const rp_cl_device *state = device->state;
    const rp_map *map = chunk->task->map;
    cl_ulong count = chunk->task->chunk.rows, columns = map->columns, columns_each = columns_per_item(state, columns);
    size_t wanted = ITEM_ELEMENTS / (BLOCK * map->rows.width);
    size_t balanced = count / (BLOCK * 8 * rp_max(1, device->info.units));
    cl_ulong rows_per_item = BLOCK * rp_max(1, rp_min(wanted, balanced));
    const argument arguments[] = {ARGUMENT(chunk->data),  ARGUMENT(chunk->arguments), ARGUMENT(chunk->results),
                                  ARGUMENT(count),        ARGUMENT(columns),          ARGUMENT(columns_each),
                                  ARGUMENT(rows_per_item)};
    return launch_kernel(device, chunk, RP_CL_BLOCKS, rp_ceil_div(count, rows_per_item), 1, ARGUMENTS(arguments),
                         error);
}

/* Positions of one work item: enough items for the units, and for what they carry not too much memory. */
static size_t span_length(const rp_device *device, size_t positions, size_t row_bytes)
{
    enum { CARRY_BYTES = 64 << 20, MOST_SPANS = 32768 }; /* one item adds up what all the spans of a long row carry */
    const rp_cl_device *state = device->state;
    size_t units = rp_max(1, device->info.units);
    size_t span = state->long_items ? rp_max(1024, rp_min(positions / (8 * units), 32768))
                                    : rp_max(32, rp_min(positions / (2048 * units), 4096));
    span = rp_max(span, positions / rp_min(MOST_SPANS, rp_max(1, CARRY_BYTES / row_bytes)));
    return rp_cl_is_renderer(device) ? rp_min(span, MOST_SPANS) : span;
}

static rowpool_status launch_spans(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_task *task = chunk->task;
    const rp_rows *rows = &task->map->rows;
    size_t positions = rp_chunk_elements(rows, &task->chunk) + task->chunk.rows;
    size_t span = span_length(device, positions, rp_map_row_bytes(task->map));
    size_t items = rp_ceil_div(positions, span);
    RP_TRY(reserve(device, &chunk->lane->carry, items * rp_map_row_bytes(task->map), error));

    cl_ulong count = task->chunk.rows, stride = chunk->stride, columns = task->map->columns, length = span;
    cl_ulong columns_each = columns_per_item(state, columns);
    cl_ulong width = task->chunk.partial ? rp_chunk_elements(rows, &task->chunk) : rows->width;
    cl_int ragged = chunk->offsets != NULL;
    cl_long origin = ragged ? (cl_long)rp_chunk_origin(rows, &task->chunk) : 0;
    cl_mem data = chunk->data != NULL ? chunk->data : chunk->arguments;
    cl_mem offsets = ragged ? chunk->offsets : chunk->arguments;
    cl_mem carry = chunk->lane->carry.memory;
    const argument spans[] = {
        ARGUMENT(data),   ARGUMENT(chunk->arguments), ARGUMENT(chunk->results), ARGUMENT(count),  ARGUMENT(width),
        ARGUMENT(stride), ARGUMENT(columns),          ARGUMENT(columns_each),   ARGUMENT(length), ARGUMENT(offsets),
        ARGUMENT(origin), ARGUMENT(ragged),           ARGUMENT(carry)};
    const argument combine[] = {ARGUMENT(chunk->results), ARGUMENT(count),  ARGUMENT(width),   ARGUMENT(columns),
                                ARGUMENT(columns_each),   ARGUMENT(length), ARGUMENT(offsets), ARGUMENT(origin),
                                ARGUMENT(ragged),         ARGUMENT(carry)};
    RP_TRY(launch_kernel(device, chunk, RP_CL_SPANS, items, state->long_items ? 1 : state->group, ARGUMENTS(spans),
                         error));
    if (items == 1)
        return ROWPOOL_OK;
    return launch_kernel(device, chunk, RP_CL_COMBINE, items, state->group, ARGUMENTS(combine), error);
}

/* The form that a chunk's rows call for. */
static rp_cl_kernel form_of(const rp_device *device, const rp_cl_chunk *chunk)
{
    enum { SHORT_ROW = 512 }; /* elements */
    const rp_map *map = chunk->task->map;
    if (map->rows.offsets != NULL || chunk->task->chunk.partial || map->rows.width > SHORT_ROW)
        return RP_CL_SPANS;
    return rp_cl_is_blocky(device, map) && chunk->kernels->program->width == map->rows.width ? RP_CL_BLOCKS
                                                                                             : RP_CL_ROWS;
}

static rowpool_status launch(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    switch (form_of(device, chunk)) {
    case RP_CL_BLOCKS:
        return launch_blocks(device, chunk, error);
    case RP_CL_ROWS:
        return launch_rows(device, chunk, error);
    default:
        return launch_spans(device, chunk, error);
    }
}

/* ---- The two endings -------------------------------------------------------------------------------------------- */

/* On a driver's thread, or on the submitting one inside a cl* call: copies the status and posts, nothing else. */
static void CL_CALLBACK read_completed(cl_event event, cl_int status, void *data)
{
    rp_cl_chunk *chunk = data;
    (void)event;
    chunk->read_status = status;
    if (!atomic_flag_test_and_set(&chunk->claimed))
        rp_queue_push(chunk->task->home, &chunk->task->link);
}

static rowpool_status flush(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    cl_int code = clFlush(chunk->lane->queue);
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clFlush", code, error);
}

/* Ends the chunk with a read that calls back. *listening: the callback may come, whatever the status. */
static rowpool_status read_with_callback(const rp_device *device, rp_cl_chunk *chunk, bool *listening,
                                         rowpool_error *error)
{
    cl_int code = clEnqueueReadBuffer(chunk->lane->queue, chunk->results, CL_FALSE, 0, chunk->result_bytes,
                                      chunk->task->results, 0, NULL, &chunk->read);
    if (code != CL_SUCCESS)
        return rp_cl_fail(device, "clEnqueueReadBuffer", code, error);
    code = clSetEventCallback(chunk->read, CL_COMPLETE, read_completed, chunk);
    if (code != CL_SUCCESS)
        return rp_cl_fail(device, "clSetEventCallback", code, error);
    *listening = true; /* set before the flush: there are drivers that forget to call for an event already complete */
    return flush(device, chunk, error);
}

static void release(rp_device *device, rp_cl_chunk *chunk)
{
    if (chunk->first_launch != NULL)
        rp_cl_guard_restore(chunk->first_launch);
    free(chunk->first_launch);
    cl_mem own[] = {chunk->arguments, chunk->data, chunk->offsets, chunk->results};
    for (size_t i = 0; i < (chunk->own_memory ? 4 : 1); i++)
        if (own[i] != NULL)
            clReleaseMemObject(own[i]);
    for (size_t i = 0; i < chunk->n_events; i++)
        if (chunk->events[i] != NULL)
            clReleaseEvent(chunk->events[i]);
    if (chunk->read != NULL)
        clReleaseEvent(chunk->read);
    if (chunk->lane != NULL)
        rp_cl_lane_give(device, chunk->lane);
    free(chunk);
}

/* Ends a submit that failed half way: nothing enqueued may touch the host's arrays any more. When the callback was set
 * and came meanwhile, the task is complete after all: its status tells. When it can still come, the chunk must outlive
 * it, and is left to it. */
static rowpool_status abandon(rp_device *device, rp_cl_chunk *chunk, bool listening, rowpool_status status)
{
    if (chunk->lane != NULL)
        clFinish(chunk->lane->queue);
    if (!listening)
        release(device, chunk);
    else if (atomic_flag_test_and_set(&chunk->claimed))
        return ROWPOOL_OK;
    return status;
}

static rowpool_status enqueue(const rp_device *device, rp_cl_chunk *chunk, bool *listening, rowpool_error *error)
{
    RP_TRY(launch(device, chunk, error));
    return chunk->task->home != NULL ? read_with_callback(device, chunk, listening, error)
                                     : flush(device, chunk, error);
}

/* The first time that a lane runs these kernels drivers compile, and may start threads. */
static rowpool_status enqueue_guarded(const rp_device *device, rp_cl_chunk *chunk, bool *listening,
                                      rowpool_error *error)
{
    const bool *launched = chunk->kernels->launched;
    rp_cl_kernel form = form_of(device, chunk);
    if (launched[form] && (form != RP_CL_SPANS || launched[RP_CL_COMBINE]))
        return enqueue(device, chunk, listening, error);
    rp_cl_guard *guard = chunk->first_launch = malloc(sizeof *guard);
    if (guard == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    rp_cl_guard now; /* the chunk's own may be gone once it is enqueued */
    rp_cl_guard_enter(&now);
    *guard = now;
    rowpool_status status = enqueue(device, chunk, listening, error);
    rp_cl_guard_leave(&now);
    return status;
}

rowpool_status rp_cl_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    bool listening = false;
    rp_cl_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    chunk->task = task;
    atomic_flag_clear(&chunk->claimed);
    task->state = chunk;
    rowpool_status status = rp_cl_lane_take(device, &chunk->lane, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_kernels_get(device, chunk->lane, task, &chunk->kernels, error);
    if (status == ROWPOOL_OK)
        status = place(device, chunk, error);
    if (status == ROWPOOL_OK)
        status = enqueue_guarded(device, chunk, &listening, error);
    return status == ROWPOOL_OK ? status : abandon(device, chunk, listening, status);
}

/* The status of the first command that failed, or the read's. */
static cl_int outcome(const rp_cl_chunk *chunk, cl_int read_status)
{
    for (size_t i = 0; i < chunk->n_events; i++) {
        cl_int status = CL_COMPLETE;
        cl_int code = clGetEventInfo(chunk->events[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
        if (code != CL_SUCCESS || status < 0)
            return code != CL_SUCCESS ? code : status;
    }
    return read_status;
}

rowpool_status rp_cl_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_cl_chunk *chunk = task->state;
    cl_int code = chunk->read_status;
    if (task->home == NULL)
        code = clEnqueueReadBuffer(chunk->lane->queue, chunk->results, CL_TRUE, 0, chunk->result_bytes, task->results,
                                   0, NULL, NULL);
    rowpool_status status = ROWPOOL_OK;
    code = outcome(chunk, code);
    if (code < 0) {
        clFinish(chunk->lane->queue);
        status = rp_cl_fail(device, "a command of the chunk", code, error);
    }
    release(device, chunk);
    task->state = NULL;
    return status;
}
