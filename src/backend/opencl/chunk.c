/* A chunk on an OpenCL device: memory, launch, and the read that ends it - blocking for a caller who waits,
 * non-blocking with a callback on its event for one who listens. */
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/opencl/opencl.h"
#include "base/checked.h"
#include "base/log.h"

typedef struct {
    rp_task *task;
    rp_cl_lane *lane;
    rp_cl_kernels *kernels;
    cl_mem data, offsets, arguments, results; /* those of the lane, or this chunk's own: */
    bool own_memory;                          /* windows on the host's arrays */
    size_t result_bytes;
    size_t stride;             /* of the rows as they lie in `data` */
    rp_cl_guard *first_launch; /* a driver compiles meanwhile, perhaps on a thread of its own */
    cl_event read;
    cl_int read_status;
    atomic_flag claimed; /* by the callback, or by a submit that failed after setting it */
} rp_cl_chunk;

/* ---- Memory -------------------------------------------------------------------------------------------------------*/

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

static rowpool_status upload(const rp_device *device, rp_cl_lane *lane, rp_cl_buffer *buffer, const void *host,
                             size_t bytes, rowpool_error *error)
{
    RP_TRY(reserve(device, buffer, bytes, error));
    cl_int code = clEnqueueWriteBuffer(lane->queue, buffer->memory, CL_FALSE, 0, bytes, host, 0, NULL, NULL);
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
                                           region, rows->width * size, 0, rows->stride * size, 0, host, 0, NULL, NULL);
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
    if (bytes > 0 && !task->chunk.partial && rows->stride / 2 > rows->width)
        RP_TRY(upload_packed(device, chunk, data, error));
    else if (bytes > 0)
        RP_TRY(upload(device, lane, &lane->data, data, bytes, error));
    if (offset_bytes > 0)
        RP_TRY(upload(device, lane, &lane->offsets, rows->offsets + task->chunk.row, offset_bytes, error));
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

/* ---- Launch -------------------------------------------------------------------------------------------------------*/

typedef struct {
    size_t size;
    const void *value;
} argument;
#define ARGUMENT(x)     \
    {                   \
        sizeof(x), &(x) \
    }
#define ARGUMENTS(list) (sizeof(list) / sizeof *(list)), (list)

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
    const size_t global[2] = {rp_ceil_div(items, group) * group, state->long_items ? 1 : chunk->task->map->columns};
    cl_int code = clEnqueueNDRangeKernel(chunk->lane->queue, kernel, 2, NULL, global, local, 0, NULL, NULL);
    chunk->kernels->launched[form] = code == CL_SUCCESS;
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueNDRangeKernel", code, error);
}

static rowpool_status launch_rows(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_map *map = chunk->task->map;
    cl_ulong count = chunk->task->chunk.rows, width = map->rows.width, stride = chunk->stride, columns = map->columns;
    cl_ulong rows_per_item = 1, columns_per_item = state->long_items ? columns : 1;
    if (state->long_items) { /* enough in a group to outweigh its start, and enough groups to keep the units busy */
        size_t wanted = 32768 / (state->group * rp_max(1, map->rows.width));
        size_t balanced = chunk->task->chunk.rows / (state->group * 4 * rp_max(1, device->info.units));
        rows_per_item = rp_max(1, rp_min(rp_min(wanted, balanced), 64));
    }
    cl_mem data = chunk->data != NULL ? chunk->data : chunk->arguments;
    const argument arguments[] = {
        ARGUMENT(data),         ARGUMENT(chunk->arguments), ARGUMENT(chunk->results), ARGUMENT(count),
        ARGUMENT(width),        ARGUMENT(stride),           ARGUMENT(columns),        ARGUMENT(columns_per_item),
        ARGUMENT(rows_per_item)};
    return launch_kernel(device, chunk, RP_CL_ROWS, rp_ceil_div(count, rows_per_item), state->group,
                         ARGUMENTS(arguments), error);
}

/* Positions of one work item: enough items for the units, and for what they carry not too much memory. */
static size_t span_length(const rp_device *device, size_t positions, size_t row_bytes)
{
    enum { CARRY_BYTES = 64 << 20 };
    const rp_cl_device *state = device->state;
    size_t units = rp_max(1, device->info.units);
    if (!state->long_items)
        return rp_max(32, rp_min(positions / (2048 * units), 4096));
    size_t span = rp_max(1024, rp_min(positions / (8 * units), 32768));
    return rp_max(span, positions / rp_max(1, CARRY_BYTES / row_bytes));
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
    cl_ulong columns_per_item = state->long_items ? columns : 1;
    cl_ulong width = task->chunk.partial ? rp_chunk_elements(rows, &task->chunk) : rows->width;
    cl_int ragged = chunk->offsets != NULL;
    cl_long origin = ragged ? (cl_long)rp_chunk_origin(rows, &task->chunk) : 0;
    cl_mem data = chunk->data != NULL ? chunk->data : chunk->arguments;
    cl_mem offsets = ragged ? chunk->offsets : chunk->arguments;
    cl_mem carry = chunk->lane->carry.memory;
    const argument spans[] = {
        ARGUMENT(data),   ARGUMENT(chunk->arguments), ARGUMENT(chunk->results), ARGUMENT(count),
        ARGUMENT(width),  ARGUMENT(stride),           ARGUMENT(columns),        ARGUMENT(columns_per_item),
        ARGUMENT(length), ARGUMENT(offsets),          ARGUMENT(origin),         ARGUMENT(ragged),
        ARGUMENT(carry)};
    const argument combine[] = {ARGUMENT(chunk->results),   ARGUMENT(count),  ARGUMENT(width),   ARGUMENT(columns),
                                ARGUMENT(columns_per_item), ARGUMENT(length), ARGUMENT(offsets), ARGUMENT(origin),
                                ARGUMENT(ragged),           ARGUMENT(carry)};
    RP_TRY(launch_kernel(device, chunk, RP_CL_SPANS, items, state->long_items ? 1 : state->group, ARGUMENTS(spans),
                         error));
    if (items == 1)
        return ROWPOOL_OK;
    return launch_kernel(device, chunk, RP_CL_COMBINE, items, state->group, ARGUMENTS(combine), error);
}

static rowpool_status launch(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    enum { SHORT_ROW = 512 }; /* elements */
    const rp_rows *rows = &chunk->task->map->rows;
    bool short_rows = rows->offsets == NULL && !chunk->task->chunk.partial && rows->width <= SHORT_ROW;
    if (chunk->kernels->launched[short_rows ? RP_CL_ROWS : RP_CL_SPANS])
        return (short_rows ? launch_rows : launch_spans)(device, chunk, error);
    chunk->first_launch = malloc(sizeof *chunk->first_launch);
    if (chunk->first_launch == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    rp_cl_guard_enter(chunk->first_launch);
    rowpool_status status = (short_rows ? launch_rows : launch_spans)(device, chunk, error);
    rp_cl_guard_leave(chunk->first_launch);
    return status;
}

/* ---- The two endings ----------------------------------------------------------------------------------------------*/

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
        status = rp_cl_kernels_get(device, chunk->lane, task->map, &chunk->kernels, error);
    if (status == ROWPOOL_OK)
        status = place(device, chunk, error);
    if (status == ROWPOOL_OK)
        status = launch(device, chunk, error);
    if (status == ROWPOOL_OK)
        status = task->home != NULL ? read_with_callback(device, chunk, &listening, error)
                                    : flush(device, chunk, error);
    return status == ROWPOOL_OK ? status : abandon(device, chunk, listening, status);
}

rowpool_status rp_cl_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_cl_chunk *chunk = task->state;
    cl_int code = chunk->read_status;
    if (task->home == NULL)
        code = clEnqueueReadBuffer(chunk->lane->queue, chunk->results, CL_TRUE, 0, chunk->result_bytes, task->results,
                                   0, NULL, NULL);
    rowpool_status status = ROWPOOL_OK;
    if (code < 0) {
        clFinish(chunk->lane->queue);
        status = rp_cl_fail(device, task->home == NULL ? "clEnqueueReadBuffer" : "the read's event", code, error);
    }
    release(device, chunk);
    task->state = NULL;
    return status;
}
