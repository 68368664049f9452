/* The memory of a task: its arguments, its inputs, its results.
 *
 * A device that works in the host's memory gets windows on the caller's arrays. For a device with memory of its own
 * they are uploaded: into buffers of the slot or, for partitions that stay, into a copy. */
#include <stdlib.h>

#include "base/checked.h"
#include "device/opencl/opencl.h"

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

/* A buffer that is released with the task. */
static rowpool_status create_own(rp_cl_task *task, cl_mem_flags flags, const void *host, size_t bytes, cl_mem *memory)
{
    cl_int code;
    const cl_mem fresh = clCreateBuffer(task->state->context, flags, bytes, (void *)(uintptr_t)host, &code);
    RP_TRY(rp_cl_task_check(task, "clCreateBuffer", code));
    task->own[task->n_own++] = *memory = fresh;
    return ROWPOOL_OK;
}

void rp_cl_release_buffer(rp_cl_buffer *buffer)
{
    if (buffer->memory != NULL)
        clReleaseMemObject(buffer->memory);
    *buffer = (rp_cl_buffer){0};
}

rowpool_status rp_cl_reserve(const rp_cl_task *task, rp_cl_buffer *buffer, size_t bytes)
{
    if (buffer->size >= bytes)
        return ROWPOOL_OK;
    rp_cl_release_buffer(buffer);
    cl_int code;
    const cl_mem fresh = clCreateBuffer(task->state->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    RP_TRY(rp_cl_task_check(task, "clCreateBuffer", code));
    *buffer = (rp_cl_buffer){.memory = fresh, .size = bytes};
    return ROWPOOL_OK;
}

void rp_cl_drop(rp_device *device, rp_device_copy *copy)
{
    if (copy != NULL && device != NULL) {
        rp_cl_release_buffer(&copy->data);
        rp_cl_release_buffer(&copy->offsets);
    }
    free(copy);
}

/* ---- Inputs ----------------------------------------------------------------------------------------------------- */

/* What the device needs of one input: the rows of a chunk, or of a partition. */
typedef struct {
    const rp_rows *rows;
    size_t count;
    const char *data;
    const int64_t *offsets;
    size_t bytes, offset_bytes;
    bool packs; /* there are gaps between rows, which are not uploaded */
} source;

static source source_of(const rp_cl_task *task, size_t i, const rp_chunk *chunk)
{
    const rp_rows *rows = &task->operation->inputs[i];
    const rowpool_block_input input = rp_operation_input(rows, chunk);
    return (source){.rows = rows,
                    .count = chunk->rows,
                    .data = input.data,
                    .offsets = input.offsets,
                    .bytes = rp_chunk_span(rows, chunk) * rows->dtype->size,
                    .offset_bytes = input.offsets != NULL ? (chunk->rows + 1) * sizeof *rows->offsets : 0,
                    .packs = !chunk->partial && rows->stride > rows->width};
}

/* A window on a part of an array. It begins up to 127 bytes before it, so that it is aligned to the largest vectors: a
 * driver may copy one that is not (Intel's runtime does). Those bytes are readable, since they lie in the page of the
 * first element. *first: the index of that element in the window. */
static rowpool_status open_window(rp_cl_task *task, const void *host, size_t bytes, size_t element, cl_mem *memory,
                                  cl_ulong *first)
{
    enum { ALIGNMENT = 128 };
    size_t lead = (uintptr_t)host % ALIGNMENT;
    if (lead % element != 0 || bytes + lead > task->device->info.largest_buffer)
        lead = 0;
    *first = lead / element;
    return create_own(task, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, (const void *)((uintptr_t)host - lead),
                      bytes + lead, memory);
}

static rowpool_status place_in_windows(rp_cl_task *task, size_t i, const source *from)
{
    rp_cl_input *input = &task->input[i];
    input->stride = from->rows->stride;
    if (from->bytes > 0)
        RP_TRY(open_window(task, from->data, from->bytes, from->rows->dtype->size, &input->data, &input->first));
    if (from->offset_bytes == 0)
        return ROWPOOL_OK;
    input->ragged = true;
    return open_window(task, from->offsets, from->offset_bytes, sizeof *from->offsets, &input->offsets,
                       &input->first_offset);
}

static rowpool_status upload(rp_cl_task *task, rp_cl_buffer *buffer, const void *host, size_t bytes)
{
    RP_TRY(rp_cl_reserve(task, buffer, bytes));
    cl_int code = clEnqueueWriteBuffer(task->slot->queue, buffer->memory, CL_FALSE, 0, bytes, host, 0, NULL,
                                       rp_cl_next_event(task, "upload"));
    return rp_cl_task_check(task, "clEnqueueWriteBuffer", code);
}

/* Uploads strided rows without the gaps between them. */
static rowpool_status upload_packed(rp_cl_task *task, rp_cl_buffer *buffer, const source *from)
{
    const size_t size = from->rows->dtype->size, row = from->rows->width * size;
    const size_t origin[3] = {0, 0, 0}, region[3] = {row, from->count, 1};
    RP_TRY(rp_cl_reserve(task, buffer, row * from->count));
    cl_int code = clEnqueueWriteBufferRect(task->slot->queue, buffer->memory, CL_FALSE, origin, origin, region, row, 0,
                                           from->rows->stride * size, 0, from->data, 0, NULL,
                                           rp_cl_next_event(task, "upload"));
    return rp_cl_task_check(task, "clEnqueueWriteBufferRect", code);
}

/* Uploads an input, and has the task read it there. */
static rowpool_status place_in_buffers(rp_cl_task *task, size_t i, const source *from, rp_device_copy *to)
{
    rp_cl_input *input = &task->input[i];
    input->stride = from->packs ? from->rows->width : from->rows->stride;
    if (from->bytes > 0) {
        RP_TRY(from->packs ? upload_packed(task, &to->data, from) : upload(task, &to->data, from->data, from->bytes));
        input->data = to->data.memory;
    }
    if (from->offset_bytes > 0) {
        RP_TRY(upload(task, &to->offsets, from->offsets, from->offset_bytes));
        input->offsets = to->offsets.memory;
        input->ragged = true;
    }
    return ROWPOOL_OK;
}

/* The chunk's rows in the copy of a partition. */
static void place_in_copy(rp_cl_task *task, size_t i, const rp_device_copy *copy)
{
    rp_cl_input *input = &task->input[i];
    const rp_rows *rows = &task->operation->inputs[i];
    const rp_chunk *partition = &task->owner->uses[i].partition;
    if (copy->data.memory != NULL)
        input->data = copy->data.memory;
    input->first = rp_chunk_begin_in(rows, partition, task->chunk);
    input->stride = rows->width;
    input->ragged = !task->chunk->partial && copy->offsets.memory != NULL;
    if (input->ragged) {
        input->offsets = copy->offsets.memory;
        input->first_offset = task->chunk->row - partition->row;
    }
}

static rowpool_status make_copy(rp_cl_task *task, size_t i)
{
    const source from = source_of(task, i, &task->owner->uses[i].partition);
    rp_device_copy *copy = task->input[i].made = calloc(1, sizeof *copy);
    if (copy == NULL)
        return rp_cl_no_memory(task->device, task->error);
    return place_in_buffers(task, i, &from, copy);
}

/* Decides which memory an input uses. */
static rowpool_status place_input(rp_cl_task *task, size_t i)
{
    const rp_partition_use *use = &task->owner->uses[i];
    if (use->copy == NULL && use->keep)
        RP_TRY(make_copy(task, i));
    const rp_device_copy *copy = use->copy != NULL ? use->copy : task->input[i].made;
    if (copy != NULL) {
        place_in_copy(task, i, copy);
        return ROWPOOL_OK;
    }
    const source from = source_of(task, i, task->chunk);
    const bool splits = task->chunk->rows > 1 || rp_operation_splits(task->operation);
    if (from.bytes > task->device->info.largest_buffer)
        return rp_cl_fail(task->device, task->owner, splits ? ROWPOOL_ENOMEM : ROWPOOL_EDEVICE, task->error,
                          "%zu bytes do not fit in the device's largest buffer", from.bytes);
    if (task->device->info.shared_memory)
        return place_in_windows(task, i, &from);
    return place_in_buffers(task, i, &from, &task->slot->input[i]);
}

/* ---- All of a task's -------------------------------------------------------------------------------------------- */

rowpool_status rp_cl_place_arguments(rp_cl_task *task)
{
    RP_TRY(create_own(task, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, task->operation->arguments,
                      task->operation->arguments_size, &task->arguments));
    for (size_t i = 0; i < ROWPOOL_MOST_INPUTS; i++)
        task->input[i].data = task->input[i].offsets = task->arguments;
    return ROWPOOL_OK;
}

static rowpool_status place_results(rp_cl_task *task)
{
    rp_cl_buffer *buffer = &task->slot->results;
    task->result_bytes = rp_operation_chunk_bytes(task->operation, task->chunk);
    if (task->device->info.shared_memory)
        return create_own(task, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, task->owner->results, task->result_bytes,
                          &task->results);
    RP_TRY(rp_cl_reserve(task, buffer, task->result_bytes));
    task->results = buffer->memory;
    return ROWPOOL_OK;
}

rowpool_status rp_cl_place(rp_cl_task *task)
{
    RP_TRY(rp_cl_place_arguments(task));
    RP_TRY(place_results(task));
    for (size_t i = 0; i < task->operation->code.n_inputs; i++)
        RP_TRY(place_input(task, i));
    return ROWPOOL_OK;
}
