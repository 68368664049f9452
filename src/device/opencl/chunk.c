/* A chunk on an OpenCL device: memory, launch, and the read that ends it - blocking for a caller who waits,
 * non-blocking with a callback on its event for one who listens. */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/trace.h"
#include "device/opencl/opencl.h"

enum { MOST_EVENTS = 2 * ROWPOOL_MOST_INPUTS + 2 }; /* uploads, two kernels */

/* A copy of a tile that stays: strided rows without the gaps between them. */
struct rp_device_copy {
    rp_cl_buffer data, offsets;
};

typedef struct {
    rp_task *task;
    rp_cl_lane *lane;
    rp_cl_kernels *kernels;
    rp_cl_program *program;                                         /* that it keeps in use, or NULL */
    cl_mem data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS]; /* NULL: there are none */
    cl_mem arguments, results; /* these three are those of the lane or of a copy, or this chunk's own: */
    bool own_memory;           /* windows on the host's arrays */
    size_t result_bytes;
    size_t stride[ROWPOOL_MOST_INPUTS];        /* of the rows as they lie in `data` */
    cl_ulong first[ROWPOOL_MOST_INPUTS];       /* which element of `data` is the chunk's first, */
    cl_ulong at_row[ROWPOOL_MOST_INPUTS];      /* and which of `offsets` */
    rp_device_copy *made[ROWPOOL_MOST_INPUTS]; /* copies that came with this chunk */
    rp_cl_guard *first_launch;                 /* a driver compiles meanwhile, perhaps on a thread of its own */
    cl_event events[MOST_EVENTS]; /* of all that is enqueued before the read: an earlier failure need not show there */
    const char *what[MOST_EVENTS];
    size_t n_events;
    struct timespec begin; /* for the trace: the host's clock before the first command */
    cl_event read;
    cl_int read_status;
    atomic_flag claimed;  /* by the callback, or by a submit that failed after setting it */
    atomic_flag given_up; /* then by the first of the two to be done with the chunk; the second frees it */
} rp_cl_chunk;

/* Where to put the event of the next command; what it does is for the trace. */
static cl_event *next_event(rp_cl_chunk *chunk, const char *what)
{
    chunk->what[chunk->n_events] = what;
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
                                       next_event(chunk, "upload"));
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueWriteBuffer", code, error);
}

/* Uploads strided rows without the gaps between them. */
static rowpool_status upload_packed(const rp_device *device, rp_cl_chunk *chunk, rp_cl_buffer *buffer,
                                    const rp_rows *rows, const void *host, size_t count, rowpool_error *error)
{
    size_t size = rows->dtype->size;
    const size_t origin[3] = {0, 0, 0}, region[3] = {rows->width * size, count, 1};
    RP_TRY(reserve(device, buffer, rows->width * size * count, error));
    cl_int code = clEnqueueWriteBufferRect(chunk->lane->queue, buffer->memory, CL_FALSE, origin, origin, region,
                                           rows->width * size, 0, rows->stride * size, 0, host, 0, NULL,
                                           next_event(chunk, "upload"));
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueWriteBufferRect", code, error);
}

static rowpool_status place_arguments(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_operation *operation = chunk->task->operation;
    cl_int code;
    chunk->arguments = clCreateBuffer(state->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                      operation->arguments_size, (void *)(uintptr_t)operation->arguments, &code);
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clCreateBuffer", code, error);
}

static rowpool_status place_results(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    chunk->result_bytes = rp_operation_chunk_bytes(chunk->task->operation, &chunk->task->chunk);
    if (state->shared)
        return window(device, chunk->task->results, chunk->result_bytes, CL_MEM_READ_WRITE, &chunk->results, error);
    RP_TRY(reserve(device, &chunk->lane->results, chunk->result_bytes, error));
    chunk->results = chunk->lane->results.memory;
    return ROWPOOL_OK;
}

/* Bytes that the device needs of one input: those of a chunk, or of a tile. */
typedef struct {
    const rp_rows *rows;
    size_t count;
    const char *data;
    const int64_t *offsets;
    size_t bytes, offset_bytes;
    bool packs; /* there are gaps that are not to be brought */
} source;

static source source_of(const rp_task *task, size_t i, const rp_chunk *chunk)
{
    const rp_rows *rows = &task->operation->inputs[i];
    const rowpool_block_input input = rp_operation_block(task->operation, chunk).input[i];
    return (source){.rows = rows,
                    .count = chunk->rows,
                    .data = input.data,
                    .offsets = input.offsets,
                    .bytes = rp_chunk_span(rows, chunk) * rows->dtype->size,
                    .offset_bytes = input.offsets != NULL ? (chunk->rows + 1) * sizeof *rows->offsets : 0,
                    .packs = !chunk->partial && rows->stride > rows->width};
}

/* How many bytes before its array a window begins. A driver may copy a window that is not aligned to its largest vectors
 * (128 bytes for Intel's runtime). Those bytes are readable: they lie in the page of the first element. */
static size_t lead_of(const rp_device *device, const void *host, size_t bytes, size_t element)
{
    enum { ALIGNMENT = 128 };
    size_t lead = (uintptr_t)host % ALIGNMENT;
    return lead % element == 0 && bytes + lead <= device->info.largest_buffer ? lead : 0;
}

static rowpool_status place_in_host_memory(const rp_device *device, rp_cl_chunk *chunk, size_t i, const source *from,
                                           rowpool_error *error)
{
    size_t size = from->rows->dtype->size, offset_size = sizeof *from->offsets;
    if (from->bytes > 0) {
        size_t lead = lead_of(device, from->data, from->bytes, size);
        chunk->first[i] = lead / size;
        RP_TRY(window(device, from->data - lead, from->bytes + lead, CL_MEM_READ_ONLY, &chunk->data[i], error));
    }
    if (from->offset_bytes > 0) {
        size_t lead = lead_of(device, from->offsets, from->offset_bytes, offset_size);
        chunk->at_row[i] = lead / offset_size;
        RP_TRY(window(device, from->offsets - lead / offset_size, from->offset_bytes + lead, CL_MEM_READ_ONLY,
                      &chunk->offsets[i], error));
    }
    return ROWPOOL_OK;
}

static rowpool_status bring(const rp_device *device, rp_cl_chunk *chunk, rp_cl_buffer *data, rp_cl_buffer *offsets,
                            const source *from, rowpool_error *error)
{
    if (from->bytes > 0 && from->packs)
        RP_TRY(upload_packed(device, chunk, data, from->rows, from->data, from->count, error));
    else if (from->bytes > 0)
        RP_TRY(upload(device, chunk, data, from->data, from->bytes, error));
    if (from->offset_bytes > 0)
        RP_TRY(upload(device, chunk, offsets, from->offsets, from->offset_bytes, error));
    return ROWPOOL_OK;
}

static rowpool_status place_on_device(const rp_device *device, rp_cl_chunk *chunk, size_t i, const source *from,
                                      rowpool_error *error)
{
    rp_cl_lane *lane = chunk->lane;
    RP_TRY(bring(device, chunk, &lane->data[i], &lane->offsets[i], from, error));
    chunk->data[i] = from->bytes > 0 ? lane->data[i].memory : NULL;
    chunk->offsets[i] = from->offset_bytes > 0 ? lane->offsets[i].memory : NULL;
    if (from->packs)
        chunk->stride[i] = from->rows->width;
    return ROWPOOL_OK;
}

/* The chunk's rows in the copy of a tile. */
static void place_in_copy(rp_cl_chunk *chunk, size_t i, const rp_device_copy *copy)
{
    const rp_rows *rows = &chunk->task->operation->inputs[i];
    const rp_chunk *tile = &chunk->task->uses[i].tile, *part = &chunk->task->chunk;
    chunk->data[i] = copy->data.memory;
    chunk->offsets[i] = part->partial ? NULL : copy->offsets.memory;
    chunk->stride[i] = rows->width;
    chunk->first[i] = rp_chunk_begin_in(rows, tile, part);
    chunk->at_row[i] = chunk->offsets[i] != NULL ? part->row - tile->row : 0;
}

static rowpool_status place_and_keep(const rp_device *device, rp_cl_chunk *chunk, size_t i, rowpool_error *error)
{
    const source from = source_of(chunk->task, i, &chunk->task->uses[i].tile);
    rp_device_copy *copy = chunk->made[i] = calloc(1, sizeof *copy);
    if (copy == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    RP_TRY(bring(device, chunk, &copy->data, &copy->offsets, &from, error));
    place_in_copy(chunk, i, copy);
    return ROWPOOL_OK;
}

static rowpool_status place_input(const rp_device *device, rp_cl_chunk *chunk, size_t i, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_task *task = chunk->task;
    if (task->uses[i].copy != NULL) {
        place_in_copy(chunk, i, task->uses[i].copy);
        return ROWPOOL_OK;
    }
    if (task->uses[i].keep)
        return place_and_keep(device, chunk, i, error);
    const source from = source_of(task, i, &task->chunk);
    if (from.bytes > device->info.largest_buffer)
        return rp_fail(
            error, task->chunk.rows > 1 || rp_operation_splits(task->operation) ? ROWPOOL_ENOMEM : ROWPOOL_EDEVICE,
            "device %s (%s): the rows from %zu on have %zu bytes, more than a buffer may have", device->info.index,
            device->info.name, rp_operation_index(task->operation, &task->chunk), from.bytes);
    chunk->stride[i] = from.rows->stride;
    return (state->shared ? place_in_host_memory : place_on_device)(device, chunk, i, &from, error);
}

static rowpool_status place(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    chunk->own_memory = state->shared;
    RP_TRY(place_arguments(device, chunk, error));
    RP_TRY(place_results(device, chunk, error));
    for (size_t i = 0; i < chunk->task->operation->code.n_inputs; i++)
        RP_TRY(place_input(device, chunk, i, error));
    return ROWPOOL_OK;
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

/* Items of one launch, where items are long. From 65535 on PoCL would compile the kernel a second time. */
enum { MOST_LONG_ITEMS = 32768 };

/* PoCL loads a kernel again for each launch that is wider than those before. If another one runs meanwhile it may give
 * back another one than it took, which ends the process. So there every launch is as wide as any, until one is complete:
 * those of several queues begin in any order. Items beyond the rows do nothing. */
static size_t launch_width(const rp_cl_device *state, const rp_cl_chunk *chunk, rp_cl_kernel form, size_t items,
                           size_t group)
{
    const bool first = !atomic_load_explicit(&chunk->kernels->program->launched[form], memory_order_relaxed);
    return rp_ceil_div(rp_max(items, first && state->widest_first ? MOST_LONG_ITEMS : 1), group) * group;
}

/* After a chunk's commands, when nothing that its lane launched is under way. */
static void note_launches(const rp_cl_kernels *kernels)
{
    for (size_t form = 0; form < RP_CL_KERNELS; form++)
        if (kernels->launched[form])
            atomic_store_explicit(&kernels->program->launched[form], true, memory_order_relaxed);
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
    size_t columns = chunk->task->operation->columns;
    const size_t global[2] = {launch_width(state, chunk, form, items, group),
                              rp_ceil_div(columns, columns_per_item(state, columns))};
    cl_int code = clEnqueueNDRangeKernel(chunk->lane->queue, kernel, 2, NULL, global, local, 0, NULL,
                                         next_event(chunk, "kernel"));
    chunk->kernels->launched[form] |= code == CL_SUCCESS;
    return code == CL_SUCCESS ? ROWPOOL_OK : rp_cl_fail(device, "clEnqueueNDRangeKernel", code, error);
}

/* Whole rows of one work item: enough in a group to outweigh its start, and enough groups to keep the units busy. */
static size_t rows_of_item(const rp_device *device, const rp_cl_chunk *chunk)
{
    const rp_cl_device *state = device->state;
    if (!state->long_items)
        return 1;
    size_t rows = chunk->task->chunk.rows, elements = 0;
    for (size_t i = 0; i < chunk->task->operation->code.n_inputs; i++)
        elements += rp_chunk_elements(&chunk->task->operation->inputs[i], &chunk->task->chunk);
    size_t wanted = 32768 / (state->group * rp_max(1, elements / rp_max(1, rows)));
    size_t balanced = rows / (state->group * 4 * rp_max(1, device->info.units));
    return rp_max(rp_ceil_div(rows, MOST_LONG_ITEMS), rp_max(1, rp_min(rp_min(wanted, balanced), 64)));
}

/* What a kernel gets for an array that there is not: it does not look at it. */
static cl_mem memory_or(cl_mem memory, const rp_cl_chunk *chunk)
{
    return memory != NULL ? memory : chunk->arguments;
}

enum { ITEM_BYTES = 128 << 10 }; /* of rows, for one long item: they outweigh its start */

/* Rows of one width for a long item: a multiple of so many, and enough items to keep the units busy. */
static size_t equal_rows_of_item(const rp_device *device, const rp_cl_chunk *chunk, size_t multiple)
{
    const rp_rows *rows = chunk->task->operation->inputs;
    size_t wanted = ITEM_BYTES / (multiple * rows->dtype->size * rp_max(1, rows->width));
    size_t count = chunk->task->chunk.rows;
    size_t balanced = count / (multiple * 8 * rp_max(1, device->info.units));
    return multiple * rp_max(rp_ceil_div(count, multiple * MOST_LONG_ITEMS), rp_max(1, rp_min(wanted, balanced)));
}

static rowpool_status launch_rows(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_operation *operation = chunk->task->operation;
    cl_ulong count = chunk->task->chunk.rows, width = operation->inputs->width, stride = chunk->stride[0];
    cl_ulong columns = operation->columns, columns_each = columns_per_item(state, columns);
    cl_ulong rows_per_item = state->long_items ? equal_rows_of_item(device, chunk, 1) : 1;
    cl_mem data = memory_or(chunk->data[0], chunk);
    const argument arguments[] = {ARGUMENT(data),           ARGUMENT(chunk->first[0]), ARGUMENT(chunk->arguments),
                                  ARGUMENT(chunk->results), ARGUMENT(count),           ARGUMENT(width),
                                  ARGUMENT(stride),         ARGUMENT(columns),         ARGUMENT(columns_each),
                                  ARGUMENT(rows_per_item)};
    return launch_kernel(device, chunk, RP_CL_ROWS, rp_ceil_div(count, rows_per_item),
                         state->long_items ? 1 : state->group, ARGUMENTS(arguments), error);
}

static rowpool_status launch_blocks(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    enum { BLOCK = 64 }; /* rows */
    const rp_cl_device *state = device->state;
    const rp_operation *operation = chunk->task->operation;
    cl_ulong count = chunk->task->chunk.rows, columns = operation->columns,
             columns_each = columns_per_item(state, columns);
    cl_ulong rows_per_item = equal_rows_of_item(device, chunk, BLOCK);
    cl_mem data = memory_or(chunk->data[0], chunk);
    const argument arguments[] = {ARGUMENT(data),           ARGUMENT(chunk->first[0]), ARGUMENT(chunk->arguments),
                                  ARGUMENT(chunk->results), ARGUMENT(count),           ARGUMENT(columns),
                                  ARGUMENT(columns_each),   ARGUMENT(rows_per_item)};
    return launch_kernel(device, chunk, RP_CL_BLOCKS, rp_ceil_div(count, rows_per_item), 1, ARGUMENTS(arguments),
                         error);
}

/* Positions of one work item: enough items for the units, and for what they carry not too much memory. */
static size_t span_length(const rp_device *device, size_t positions, size_t element_bytes, size_t row_bytes)
{
    enum { CARRY_BYTES = 64 << 20 }; /* one item adds up what all the spans of a long row carry */
    const rp_cl_device *state = device->state;
    size_t units = rp_max(1, device->info.units);
    size_t span = state->long_items ? rp_max(1024, rp_min(positions / (8 * units), ITEM_BYTES / element_bytes))
                                    : rp_max(32, rp_min(positions / (2048 * units), 4096));
    span = rp_max(span, rp_ceil_div(positions, rp_min(MOST_LONG_ITEMS, rp_max(1, CARRY_BYTES / row_bytes))));
    return rp_cl_is_renderer(device) ? rp_min(span, 32768) : span;
}

static rowpool_status launch_spans(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_task *task = chunk->task;
    const rp_rows *rows = task->operation->inputs;
    size_t positions = rp_chunk_elements(rows, &task->chunk) + task->chunk.rows;
    size_t carried = 2 * task->operation->columns *
                     rp_cl_accumulator_size(task->operation->code.compiled.accumulator_size); /* head and tail */
    size_t span = span_length(device, positions, rows->dtype->size, carried);
    size_t items = rp_max(1, rp_ceil_div(positions, span));
    RP_TRY(reserve(device, &chunk->lane->carry, items * carried, error));

    cl_ulong count = task->chunk.rows, stride = chunk->stride[0], columns = task->operation->columns, length = span;
    cl_ulong columns_each = columns_per_item(state, columns), first = task->chunk.begin;
    cl_ulong width = task->chunk.partial ? rp_chunk_elements(rows, &task->chunk) : rows->width;
    cl_int ragged = chunk->offsets[0] != NULL, partial = task->chunk.partial;
    cl_long origin = ragged ? (cl_long)rp_chunk_origin(rows, &task->chunk) : 0;
    cl_mem data = memory_or(chunk->data[0], chunk), offsets = memory_or(chunk->offsets[0], chunk);
    cl_mem carry = chunk->lane->carry.memory;
    const argument spans[] = {ARGUMENT(data),
                              ARGUMENT(chunk->first[0]),
                              ARGUMENT(chunk->arguments),
                              ARGUMENT(chunk->results),
                              ARGUMENT(chunk->results),
                              ARGUMENT(count),
                              ARGUMENT(width),
                              ARGUMENT(stride),
                              ARGUMENT(columns),
                              ARGUMENT(columns_each),
                              ARGUMENT(length),
                              ARGUMENT(offsets),
                              ARGUMENT(chunk->at_row[0]),
                              ARGUMENT(origin),
                              ARGUMENT(ragged),
                              ARGUMENT(first),
                              ARGUMENT(partial),
                              ARGUMENT(carry)};
    const argument combine[] = {ARGUMENT(chunk->arguments),
                                ARGUMENT(chunk->results),
                                ARGUMENT(chunk->results),
                                ARGUMENT(count),
                                ARGUMENT(width),
                                ARGUMENT(columns),
                                ARGUMENT(columns_each),
                                ARGUMENT(length),
                                ARGUMENT(offsets),
                                ARGUMENT(chunk->at_row[0]),
                                ARGUMENT(origin),
                                ARGUMENT(ragged),
                                ARGUMENT(partial),
                                ARGUMENT(carry)};
    RP_TRY(launch_kernel(device, chunk, RP_CL_SPANS, items, state->long_items ? 1 : state->group, ARGUMENTS(spans),
                         error));
    if (items == 1 && positions > 0)
        return ROWPOOL_OK;
    return launch_kernel(device, chunk, RP_CL_COMBINE, items, state->group, ARGUMENTS(combine), error);
}

static size_t longest_row(const rp_task *task)
{
    size_t longest = 0;
    for (size_t i = 0; i < task->operation->code.n_inputs; i++)
        for (size_t row = 0; row < task->chunk.rows; row++)
            longest = rp_max(longest, rp_rows_width(&task->operation->inputs[i], task->chunk.row + row));
    return longest;
}

static rowpool_status launch_bodies(const rp_device *device, rp_cl_chunk *chunk, rowpool_error *error)
{
    enum { MOST_RENDERED = 16384, FIXED = 7, EACH = 8 };
    const rp_cl_device *state = device->state;
    const rp_task *task = chunk->task;
    const rp_operation *operation = task->operation;
    if (rp_cl_is_renderer(device) && longest_row(task) > MOST_RENDERED)
        return rp_fail(error, ROWPOOL_EDEVICE,
                       "device %s (%s): it ends long loops early, and a row has more than %d "
                       "elements",
                       device->info.index, device->info.name, MOST_RENDERED);
    cl_ulong count = task->chunk.rows, index = rp_operation_index(operation, &task->chunk),
             columns = operation->columns;
    cl_ulong columns_each = columns_per_item(state, columns), rows_per_item = rows_of_item(device, chunk);
    const rowpool_block block = rp_operation_block(operation, &task->chunk);
    struct {
        cl_mem data, offsets;
        cl_ulong width, stride;
        cl_long origin;
        cl_int ragged;
    } input[ROWPOOL_MOST_INPUTS];
    argument arguments[FIXED + EACH * ROWPOOL_MOST_INPUTS] = {
        ARGUMENT(chunk->arguments), ARGUMENT(chunk->results), ARGUMENT(count),        ARGUMENT(index),
        ARGUMENT(columns),          ARGUMENT(columns_each),   ARGUMENT(rows_per_item)};
    for (size_t i = 0; i < ROWPOOL_MOST_INPUTS; i++) {
        input[i].data = memory_or(chunk->data[i], chunk);
        input[i].offsets = memory_or(chunk->offsets[i], chunk);
        input[i].width = block.input[i].width;
        input[i].stride = chunk->stride[i];
        input[i].origin = block.input[i].origin;
        input[i].ragged = chunk->offsets[i] != NULL;
        const argument each[EACH] = {ARGUMENT(input[i].data),   ARGUMENT(chunk->first[i]),  ARGUMENT(input[i].width),
                                     ARGUMENT(input[i].stride), ARGUMENT(input[i].offsets), ARGUMENT(chunk->at_row[i]),
                                     ARGUMENT(input[i].origin), ARGUMENT(input[i].ragged)};
        for (size_t k = 0; k < EACH; k++)
            arguments[FIXED + EACH * i + k] = each[k];
    }
    return launch_kernel(device, chunk, RP_CL_BODIES, rp_ceil_div(count, rows_per_item), state->group,
                         ARGUMENTS(arguments), error);
}

rp_cl_kernel rp_cl_form(const rp_device *device, const rp_operation *operation, size_t program_width, bool partial)
{
    enum { SHORT_ROW = 512 }; /* elements */
    const rp_rows *rows = operation->inputs;
    if (operation->function->form == ROWPOOL_BODY)
        return RP_CL_BODIES;
    if (rows->offsets != NULL || partial || rows->width > SHORT_ROW)
        return RP_CL_SPANS;
    return rp_cl_is_blocky(device, operation) && program_width == rows->width ? RP_CL_BLOCKS : RP_CL_ROWS;
}

static rowpool_status launch(const rp_device *device, rp_cl_chunk *chunk, rp_cl_kernel form, rowpool_error *error)
{
    switch (form) {
    case RP_CL_BLOCKS:
        return launch_blocks(device, chunk, error);
    case RP_CL_ROWS:
        return launch_rows(device, chunk, error);
    case RP_CL_BODIES:
        return launch_bodies(device, chunk, error);
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
        rp_queue_push(chunk->task->home, &chunk->task->message.link);
    else if (atomic_flag_test_and_set(&chunk->given_up))
        free(chunk);
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

static void release_memory(cl_mem memory)
{
    if (memory != NULL)
        clReleaseMemObject(memory);
}

void rp_cl_drop(rp_device *device, rp_device_copy *copy)
{
    if (copy != NULL && device != NULL) {
        release_memory(copy->data.memory);
        release_memory(copy->offsets.memory);
    }
    free(copy);
}

/* All that the chunk holds. */
static void release_objects(rp_device *device, rp_cl_chunk *chunk)
{
    if (chunk->first_launch != NULL)
        rp_cl_guard_restore(chunk->first_launch);
    free(chunk->first_launch);
    release_memory(chunk->arguments);
    for (size_t i = 0; chunk->own_memory && i < ROWPOOL_MOST_INPUTS; i++) {
        release_memory(chunk->data[i]);
        release_memory(chunk->offsets[i]);
    }
    if (chunk->own_memory)
        release_memory(chunk->results);
    for (size_t i = 0; i < ROWPOOL_MOST_INPUTS; i++)
        rp_cl_drop(device, chunk->made[i]);
    for (size_t i = 0; i < chunk->n_events; i++)
        if (chunk->events[i] != NULL)
            clReleaseEvent(chunk->events[i]);
    if (chunk->read != NULL)
        clReleaseEvent(chunk->read);
    if (chunk->program != NULL)
        rp_cl_program_leave(device, chunk->program);
    if (chunk->lane != NULL)
        rp_cl_lane_give(device, chunk->lane);
}

static void release(rp_device *device, rp_cl_chunk *chunk)
{
    release_objects(device, chunk);
    free(chunk);
}

/* Ends a submit that failed half way: nothing enqueued may touch the host's arrays any more. When the callback was set
 * and came meanwhile, the task is complete after all: its status tells. When it can still come, the chunk itself must
 * outlive it. */
static rowpool_status abandon(rp_device *device, rp_cl_chunk *chunk, bool listening, rowpool_status status)
{
    if (chunk->lane != NULL)
        clFinish(chunk->lane->queue);
    if (!listening) {
        release(device, chunk);
        return status;
    }
    if (atomic_flag_test_and_set(&chunk->claimed))
        return ROWPOOL_OK;
    release_objects(device, chunk);
    if (atomic_flag_test_and_set(&chunk->given_up))
        free(chunk);
    return status;
}

static rowpool_status enqueue(const rp_device *device, rp_cl_chunk *chunk, rp_cl_kernel form, bool *listening,
                              rowpool_error *error)
{
    RP_TRY(launch(device, chunk, form, error));
    return chunk->task->home != NULL ? read_with_callback(device, chunk, listening, error)
                                     : flush(device, chunk, error);
}

/* The first time that a lane runs these kernels drivers compile, and may start threads. */
static rowpool_status enqueue_guarded(const rp_device *device, rp_cl_chunk *chunk, bool *listening,
                                      rowpool_error *error)
{
    const bool *launched = chunk->kernels->launched;
    const rp_task *task = chunk->task;
    rp_cl_kernel form = rp_cl_form(device, task->operation, chunk->kernels->program->width, task->chunk.partial);
    if (launched[form] && (form != RP_CL_SPANS || launched[RP_CL_COMBINE]))
        return enqueue(device, chunk, form, listening, error);
    rp_cl_guard *guard = chunk->first_launch = malloc(sizeof *guard);
    if (guard == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    chunk->task->cold = true;
    rp_cl_guard now; /* the chunk's own may be gone once it is enqueued */
    rp_cl_guard_enter(&now);
    *guard = now;
    rowpool_status status = enqueue(device, chunk, form, listening, error);
    rp_cl_guard_leave(&now);
    return status;
}

rowpool_status rp_cl_submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    bool listening = false;
    size_t left;
    if (!rp_cl_has_stack(&left))
        return rp_fail(error, ROWPOOL_EDEVICE,
                       "device %s (%s): the calling thread has %zu bytes of stack left, and drivers need %d: use the "
                       "_async form, or a thread with more",
                       device->info.index, device->info.name, left, RP_CL_LEAST_STACK);
    rp_cl_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    chunk->task = task;
    atomic_flag_clear(&chunk->claimed);
    atomic_flag_clear(&chunk->given_up);
    task->state = chunk;
    rowpool_status status = rp_cl_lane_take(device, &chunk->lane, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_kernels_get(device, chunk->lane, task, &chunk->kernels, error);
    if (status == ROWPOOL_OK)
        chunk->program = chunk->kernels->program;
    if (rp_trace_on())
        chunk->begin = rp_clock_now();
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

/* ---- The rehearsal ---------------------------------------------------------------------------------------------- */

/* A warm-up launch with zero rows: the argument buffer stands in for every array, and none is read. */
static rowpool_status rehearse(rp_device *device, rp_cl_program *program, rp_cl_kernel form, rp_task *task,
                               rowpool_error *error)
{
    rp_cl_chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    chunk->task = task;
    rowpool_status status = rp_cl_lane_take(device, &chunk->lane, error);
    if (status == ROWPOOL_OK)
        status = rp_cl_kernels_of(device, chunk->lane, program, &chunk->kernels, error);
    if (status == ROWPOOL_OK)
        status = place_arguments(device, chunk, error);
    chunk->results = chunk->arguments;
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    if (status == ROWPOOL_OK)
        status = launch(device, chunk, form, error);
    if (chunk->lane != NULL)
        clFinish(chunk->lane->queue);
    if (chunk->kernels != NULL)
        note_launches(chunk->kernels);
    rp_cl_guard_leave(&guard);
    release(device, chunk);
    return status;
}

void rp_cl_rehearse(rp_device *device, rp_cl_program *program, unsigned forms)
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
    rp_task task = {.operation = &operation, .device = device};
    rowpool_error error;
    for (int form = 0; form < RP_CL_KERNELS; form++) {
        if ((forms & 1U << form) == 0)
            continue;
        if (arguments == NULL || rehearse(device, program, (rp_cl_kernel)form, &task, &error) != ROWPOOL_OK)
            atomic_store(&program->launched[form], true); /* whoever comes next sees what is the matter */
    }
    free(arguments);
}

/* ---- The trace ----------------------------------------------------------------------------------------------------
 */

/* A device's time of a command, by the host's clock. */
static struct timespec host_time(const rp_cl_chunk *chunk, cl_ulong queued, cl_ulong time)
{
    int64_t ns = (int64_t)(time - queued) + chunk->begin.tv_nsec;
    struct timespec when = {.tv_sec = chunk->begin.tv_sec + (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    return when;
}

static bool command_time(cl_event event, cl_profiling_info what, cl_ulong *time)
{
    return event != NULL && clGetEventProfilingInfo(event, what, sizeof *time, time, NULL) == CL_SUCCESS;
}

static void trace_command(const rp_device *device, const rp_cl_chunk *chunk, cl_event event, cl_ulong first,
                          const char *what)
{
    cl_ulong begin, end;
    if (command_time(event, CL_PROFILING_COMMAND_START, &begin) &&
        command_time(event, CL_PROFILING_COMMAND_END, &end) && first <= begin && begin <= end)
        rp_trace_span(device->info.name, what, host_time(chunk, first, begin), host_time(chunk, first, end),
                      chunk->task->operation->name);
}

/* What the device did and when: by its own clock, laid over the host's at the first command. */
static void trace_commands(const rp_device *device, const rp_cl_chunk *chunk)
{
    cl_ulong first;
    if (!rp_trace_on() || chunk->n_events == 0 || !command_time(chunk->events[0], CL_PROFILING_COMMAND_QUEUED, &first))
        return;
    for (size_t i = 0; i < chunk->n_events; i++)
        trace_command(device, chunk, chunk->events[i], first, chunk->what[i]);
    trace_command(device, chunk, chunk->read, first, "read");
}

rowpool_status rp_cl_finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    rp_cl_chunk *chunk = task->state;
    cl_int code = chunk->read_status;
    if (task->home == NULL)
        code = clEnqueueReadBuffer(chunk->lane->queue, chunk->results, CL_TRUE, 0, chunk->result_bytes, task->results,
                                   0, NULL, rp_trace_on() ? &chunk->read : NULL);
    rowpool_status status = ROWPOOL_OK;
    code = outcome(chunk, code);
    if (code < 0) {
        clFinish(chunk->lane->queue);
        status = rp_cl_fail(device, "a command of the chunk", code, error);
    }
    for (size_t i = 0; status == ROWPOOL_OK && i < ROWPOOL_MOST_INPUTS; i++)
        if (chunk->made[i] != NULL) {
            task->uses[i].copy = chunk->made[i];
            chunk->made[i] = NULL;
        }
    if (status == ROWPOOL_OK)
        note_launches(chunk->kernels);
    trace_commands(device, chunk);
    release(device, chunk);
    task->state = NULL;
    return status;
}
