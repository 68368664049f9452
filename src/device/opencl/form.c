/* The forms of kernel: which of them runs a chunk, and how each is launched. */
#include <stdarg.h>

#include "base/checked.h"
#include "device/opencl/opencl.h"

static rowpool_status launch_bodies(rp_cl_task *task);
static rowpool_status launch_blocks(rp_cl_task *task);
static rowpool_status launch_rows(rp_cl_task *task);
static rowpool_status launch_spans(rp_cl_task *task);

/* ---- Which form ------------------------------------------------------------------------------------------------- */

enum { SHORT_ROW = 512 }; /* elements */

/* A chunk runs in the first form that serves it. RP_CL_COMBINE is launched with RP_CL_SPANS. */
static const struct {
    const char *kernel;
    rowpool_form function;
    unsigned devices; /* rp_cl_kind bits */
    size_t max_width; /* of whole rows of one width; 0: any rows, and parts of one */
    bool dense;       /* rows without gaps, of one element at least */
    bool for_a_width; /* only in programs that are built for the width of the rows */
    rowpool_status (*launch)(rp_cl_task *task);
} forms[RP_CL_KERNELS] = {
    [RP_CL_BODIES] = {.kernel = "rp_bodies", .function = ROWPOOL_BODY, .devices = RP_CL_ANY, .launch = launch_bodies},
    [RP_CL_BLOCKS] = {.kernel = "rp_row_blocks",
                      .function = ROWPOOL_FOLD,
                      .devices = RP_CL_CPU,
                      .max_width = RP_CL_MAX_BLOCK_WIDTH,
                      .dense = true,
                      .for_a_width = true,
                      .launch = launch_blocks},
    [RP_CL_ROWS] = {.kernel = "rp_rows",
                    .function = ROWPOOL_FOLD,
                    .devices = RP_CL_ANY,
                    .max_width = SHORT_ROW,
                    .launch = launch_rows},
    [RP_CL_SPANS] = {.kernel = "rp_spans", .function = ROWPOOL_FOLD, .devices = RP_CL_ANY, .launch = launch_spans},
    [RP_CL_COMBINE] = {.kernel = "rp_combine_spans", .function = ROWPOOL_FOLD, .devices = RP_CL_ANY},
};

/* Whether a form serves chunks of a map, in a program for the right width. */
static bool serves(const rp_device *device, rp_cl_kernel form, const rp_operation *operation, bool partial)
{
    const rp_cl_device *state = device->state;
    const rp_rows *rows = operation->inputs;
    if (forms[form].function != operation->function->form || (forms[form].devices & state->kind) == 0)
        return false;
    if (forms[form].max_width > 0 && (partial || rows->offsets != NULL || rows->width > forms[form].max_width))
        return false;
    return !forms[form].dense || (rows->stride == rows->width && rows->width > 0);
}

rp_cl_kernel rp_cl_form_of(const rp_device *device, const rp_operation *operation, size_t width, bool partial)
{
    rp_cl_kernel form = 0;
    while (!serves(device, form, operation, partial) || (forms[form].for_a_width && operation->inputs->width != width))
        form++;
    return form;
}

size_t rp_cl_best_width(const rp_device *device, const rp_operation *operation)
{
    rp_cl_kernel form = 0;
    while (!serves(device, form, operation, false))
        form++;
    return forms[form].for_a_width ? operation->inputs->width : 0;
}

const char *rp_cl_kernel_name(const rp_cl_program *program, rp_cl_kernel kernel)
{
    const bool has = forms[kernel].function == program->form && (!forms[kernel].for_a_width || program->width > 0);
    return has ? forms[kernel].kernel : NULL;
}

/* ---- Launches --------------------------------------------------------------------------------------------------- */

/* Work items of a launch where items are long. PoCL compiles a kernel a second time for 65535 or more. */
enum { MAX_LONG_ITEMS = 32768 };

/* Whether each item does much work. */
static bool has_long_items(const rp_cl_task *task)
{
    return task->state->kind == RP_CL_CPU;
}

rowpool_status rp_cl_launch(rp_cl_task *task, rp_cl_kernel form)
{
    enum { MAX_GROUPS = 65535 }; /* of a launch in the columns' dimension, on any device */
    task->rows = task->chunk->rows;
    task->columns = task->operation->columns;
    task->columns_per_item = has_long_items(task) ? task->columns : rp_ceil_div(task->columns, MAX_GROUPS);
    return forms[form].launch(task);
}

/* PoCL loads a kernel again for each launch that is wider than all before, and may end the process if another launch
 * runs meanwhile. So on PoCL every launch has the max width until one is complete, since launches on several queues
 * begin in any order. Items beyond the rows do nothing. */
static size_t launch_width(const rp_cl_task *task, rp_cl_kernel kernel, size_t items, size_t group)
{
    const bool first = !atomic_load_explicit(&task->kernels->program->launched[kernel], memory_order_relaxed);
    return rp_ceil_div(rp_max(items, first && task->state->widest_first ? MAX_LONG_ITEMS : 1), group) * group;
}

void rp_cl_note_launches(const rp_cl_kernels *kernels)
{
    for (size_t kernel = 0; kernel < RP_CL_KERNELS; kernel++)
        if (kernels->launched[kernel])
            atomic_store_explicit(&kernels->program->launched[kernel], true, memory_order_relaxed);
}

bool rp_cl_is_warm(const rp_cl_kernels *kernels, rp_cl_kernel form)
{
    return kernels->launched[form] && (form != RP_CL_SPANS || kernels->launched[RP_CL_COMBINE]);
}

#define ARGUMENT(x) sizeof(x), (const void *)&(x)
#define NO_MORE (size_t)0

/* Sets the arguments of a kernel from the index `first` on: one ARGUMENT each, then NO_MORE. */
static rowpool_status set_arguments(rp_cl_task *task, rp_cl_kernel kernel, cl_uint first, ...)
{
    va_list arguments;
    cl_int code = CL_SUCCESS;
    va_start(arguments, first);
    for (size_t size; code == CL_SUCCESS && (size = va_arg(arguments, size_t)) > 0; first++)
        code = clSetKernelArg(task->kernels->kernel[kernel], first, size, va_arg(arguments, const void *));
    va_end(arguments);
    return rp_cl_task_check(task, "clSetKernelArg", code);
}

static rowpool_status launch_kernel(rp_cl_task *task, rp_cl_kernel kernel, size_t items, size_t group)
{
    const size_t local[2] = {group, 1};
    const size_t global[2] = {launch_width(task, kernel, items, group),
                              rp_ceil_div(task->columns, task->columns_per_item)};
    cl_int code = clEnqueueNDRangeKernel(task->slot->queue, task->kernels->kernel[kernel], 2, NULL, global, local, 0,
                                         NULL, rp_cl_next_event(task, "kernel"));
    task->kernels->launched[kernel] |= code == CL_SUCCESS;
    return rp_cl_task_check(task, "clEnqueueNDRangeKernel", code);
}

/* ---- Folds of rows of one width --------------------------------------------------------------------------------- */

enum { ITEM_BYTES = 128 << 10 }; /* of elements, for one long item: their work outweighs its start */

/* Rows of one long item: `wanted` times `multiple`. Fewer where there would be less than `balance` items for each unit;
 * more where there would be more than MAX_LONG_ITEMS items in all. */
static size_t rows_of_long_item(const rp_cl_task *task, size_t multiple, size_t wanted, size_t balance)
{
    size_t balanced = task->rows / (multiple * balance * rp_max(1, task->device->info.units));
    return multiple * rp_max(rp_ceil_div(task->rows, multiple * MAX_LONG_ITEMS), rp_max(1, rp_min(wanted, balanced)));
}

/* Rows of an item, where all have one width. A short item has one row. */
static size_t rows_per_item(const rp_cl_task *task, size_t multiple)
{
    const rp_rows *rows = task->operation->inputs;
    if (!has_long_items(task))
        return 1;
    return rows_of_long_item(task, multiple, ITEM_BYTES / (multiple * rows->dtype->size * rp_max(1, rows->width)), 8);
}

/* Work items in a group. A long item is a group of its own. */
static size_t group_of(const rp_cl_task *task)
{
    return has_long_items(task) ? 1 : task->state->group;
}

static rowpool_status launch_rows(rp_cl_task *task)
{
    rp_cl_input *input = task->input;
    cl_ulong width = task->operation->inputs->width, rows_each = rows_per_item(task, 1);
    RP_TRY(set_arguments(task, RP_CL_ROWS, 0, ARGUMENT(input->data), ARGUMENT(input->first), ARGUMENT(task->arguments),
                         ARGUMENT(task->results), ARGUMENT(task->rows), ARGUMENT(width), ARGUMENT(input->stride),
                         ARGUMENT(task->columns), ARGUMENT(task->columns_per_item), ARGUMENT(rows_each), NO_MORE));
    return launch_kernel(task, RP_CL_ROWS, rp_ceil_div(task->rows, rows_each), group_of(task));
}

static rowpool_status launch_blocks(rp_cl_task *task)
{
    enum { BLOCK = 64 }; /* rows: RP_BLOCK of the kernel */
    rp_cl_input *input = task->input;
    cl_ulong rows_each = rows_per_item(task, BLOCK);
    RP_TRY(set_arguments(task, RP_CL_BLOCKS, 0, ARGUMENT(input->data), ARGUMENT(input->first),
                         ARGUMENT(task->arguments), ARGUMENT(task->results), ARGUMENT(task->rows),
                         ARGUMENT(task->columns), ARGUMENT(task->columns_per_item), ARGUMENT(rows_each), NO_MORE));
    return launch_kernel(task, RP_CL_BLOCKS, rp_ceil_div(task->rows, rows_each), group_of(task));
}

/* ---- Folds of any rows ------------------------------------------------------------------------------------------ */

size_t rp_cl_accumulator_size(size_t said)
{
    enum { DEFAULT = 256 };
    return said > 0 ? said : DEFAULT;
}

/* Positions of one work item: rows lie end to end, and each element and each row's end is a position. Each item leaves
 * `carried` bytes. */
static size_t span_length(const rp_cl_task *task, size_t positions, size_t carried)
{
    enum { CARRY_BYTES = 64 << 20 }; /* of all items: one item combines all that a long row's spans carry */
    const size_t units = rp_max(1, task->device->info.units), size = task->operation->inputs->dtype->size;
    size_t span = has_long_items(task) ? rp_max(1024, rp_min(positions / (8 * units), ITEM_BYTES / size))
                                       : rp_max(32, rp_min(positions / (2048 * units), 4096));
    span = rp_max(span, rp_ceil_div(positions, rp_min(MAX_LONG_ITEMS, rp_max(1, CARRY_BYTES / carried))));
    return task->state->kind == RP_CL_RENDERER ? rp_min(span, 32768) : span;
}

static rowpool_status launch_spans(rp_cl_task *task)
{
    const rp_rows *rows = task->operation->inputs;
    const rp_chunk *chunk = task->chunk;
    const size_t elements = rp_chunk_elements(rows, chunk), positions = elements + chunk->rows;
    const size_t carried = 2 * task->operation->columns * /* an item carries a head and a tail */
                           rp_cl_accumulator_size(task->operation->code.compiled.accumulator_size);
    cl_ulong span = span_length(task, positions, carried);
    const size_t items = rp_max(1, rp_ceil_div(positions, span));
    RP_TRY(rp_cl_reserve(task, &task->slot->carry, items * carried));

    rp_cl_input *input = task->input;
    cl_mem carry = task->slot->carry.memory;
    cl_ulong width = chunk->partial ? elements : rows->width, first = chunk->begin;
    cl_int partial = chunk->partial;
    cl_long origin = input->ragged ? (cl_long)rp_chunk_origin(rows, chunk) : 0;
    RP_TRY(set_arguments(task, RP_CL_SPANS, 0, ARGUMENT(input->data), ARGUMENT(input->first), ARGUMENT(task->arguments),
                         ARGUMENT(task->results), ARGUMENT(task->results), ARGUMENT(task->rows), ARGUMENT(width),
                         ARGUMENT(input->stride), ARGUMENT(task->columns), ARGUMENT(task->columns_per_item),
                         ARGUMENT(span), ARGUMENT(input->offsets), ARGUMENT(input->first_offset), ARGUMENT(origin),
                         ARGUMENT(input->ragged), ARGUMENT(first), ARGUMENT(partial), ARGUMENT(carry), NO_MORE));
    RP_TRY(launch_kernel(task, RP_CL_SPANS, items, group_of(task)));
    if (items == 1 && positions > 0)
        return ROWPOOL_OK; /* nothing is carried */
    RP_TRY(set_arguments(task, RP_CL_COMBINE, 0, ARGUMENT(task->arguments), ARGUMENT(task->results),
                         ARGUMENT(task->results), ARGUMENT(task->rows), ARGUMENT(width), ARGUMENT(task->columns),
                         ARGUMENT(task->columns_per_item), ARGUMENT(span), ARGUMENT(input->offsets),
                         ARGUMENT(input->first_offset), ARGUMENT(origin), ARGUMENT(input->ragged), ARGUMENT(partial),
                         ARGUMENT(carry), NO_MORE));
    return launch_kernel(task, RP_CL_COMBINE, items, task->state->group);
}

/* ---- Free bodies ------------------------------------------------------------------------------------------------ */

static size_t longest_row(const rp_cl_task *task)
{
    size_t longest = 0;
    for (size_t i = 0; i < task->operation->code.n_inputs; i++)
        for (size_t row = 0; row < task->rows; row++)
            longest = rp_max(longest, rp_rows_width(&task->operation->inputs[i], task->chunk->row + row));
    return longest;
}

/* Rows of one work item: enough in a group to outweigh its start, and enough groups to keep the units busy. */
static size_t bodies_per_item(const rp_cl_task *task)
{
    enum { GROUP_ELEMENTS = 32768, MAX_ROWS = 64 };
    size_t elements = 0;
    if (!has_long_items(task))
        return 1;
    for (size_t i = 0; i < task->operation->code.n_inputs; i++)
        elements += rp_chunk_elements(&task->operation->inputs[i], task->chunk);
    size_t wanted = GROUP_ELEMENTS / (task->state->group * rp_max(1, elements / rp_max(1, task->rows)));
    return rows_of_long_item(task, 1, rp_min(wanted, MAX_ROWS), 4 * task->state->group);
}

static rowpool_status launch_bodies(rp_cl_task *task)
{
    enum { MAX_RENDERED = 16384, FIXED = 7, EACH = 8 }; /* elements; arguments */
    if (task->state->kind == RP_CL_RENDERER && longest_row(task) > MAX_RENDERED)
        return rp_cl_fail(task->device, task->owner, ROWPOOL_EDEVICE, task->error,
                          "it ends long loops early, and a row has more than %d elements", MAX_RENDERED);
    cl_ulong index = rp_operation_index(task->operation, task->chunk), rows_each = bodies_per_item(task);
    rowpool_block block;
    rp_operation_block(task->operation, task->chunk, &block);
    RP_TRY(set_arguments(task, RP_CL_BODIES, 0, ARGUMENT(task->arguments), ARGUMENT(task->results),
                         ARGUMENT(task->rows), ARGUMENT(index), ARGUMENT(task->columns),
                         ARGUMENT(task->columns_per_item), ARGUMENT(rows_each), NO_MORE));
    for (cl_uint i = 0; i < ROWPOOL_MOST_INPUTS; i++) {
        rp_cl_input *input = &task->input[i];
        cl_ulong width = block.input[i].width;
        cl_long origin = block.input[i].origin;
        RP_TRY(set_arguments(task, RP_CL_BODIES, FIXED + EACH * i, ARGUMENT(input->data), ARGUMENT(input->first),
                             ARGUMENT(width), ARGUMENT(input->stride), ARGUMENT(input->offsets),
                             ARGUMENT(input->first_offset), ARGUMENT(origin), ARGUMENT(input->ragged), NO_MORE));
    }
    return launch_kernel(task, RP_CL_BODIES, rp_ceil_div(task->rows, rows_each), task->state->group);
}
