/* What a worker process does, whatever it computes with. In a fork only the row function and async-signal-safe
 * functions may be called. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/floating.h"
#include "device/workers/message.h"
#include "process/view.h"

enum {
    COPY_BYTES = 256 << 10, /* of the parent's memory copied at once: they stay in L2 */
    COPY_OFFSETS = 8192,    /* offsets copied at once */
    GAP = 1024              /* bytes: rows this far apart are copied without what lies between them */
};

/* What a worker keeps from one task to the next. */
typedef struct {
    rp_view_table views;
    rp_view_parent parent;
    rp_view_scratch data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], accumulators, arguments, source;
    uint64_t arguments_of, source_of; /* the operations whose arguments and text are there; 0: none */
} served_memory;

/* One input of the task. */
typedef struct {
    const rowpool_block_input *parents; /* as it lies in the parent */
    size_t size;                        /* bytes of an element */
    const char *mapped;                 /* its data; NULL: they are copied */
    const int64_t *offsets; /* ragged: those of rows `first` to `end` of the block; NULL: none are here yet */
    size_t first, end;
    bool offsets_mapped;
} served_input;

struct rp_served_task {
    served_memory *memory;
    const rp_task_message *message;
    const void *arguments;
    served_input input[ROWPOOL_MOST_INPUTS];
    size_t max_offsets; /* copied at once */
    char *results;
    rp_answer *answer;
};

static bool fail_with(rp_served_task *task, rp_answer_status status, uint64_t address)
{
    task->answer->status = status;
    task->answer->address = address;
    return false;
}

/* Copies n parts of `bytes` bytes, `stride` apart in the parent, to scratch memory of at least `least` bytes. NULL: the
 * answer says why. */
static char *fetch(rp_served_task *task, rp_view_scratch *scratch, size_t least, uint64_t address, size_t bytes,
                   size_t stride, size_t n)
{
    rp_view_parent *parent = &task->memory->parent;
    char *into = rp_view_scratch_of(scratch, rp_max(least, n * bytes));
    if (into == NULL) {
        fail_with(task, RP_ANSWER_NO_MEMORY, 0);
        return NULL;
    }
    int failure = n == 1 ? rp_view_copy(parent, into, address, bytes)
                         : rp_view_gather(parent, into, address, bytes, stride, n);
    if (failure != 0)
        fail_with(task, failure == EFAULT ? RP_ANSWER_UNREADABLE : RP_ANSWER_REFUSED, address);
    return failure == 0 ? into : NULL;
}

/* ---- Arguments and text ----------------------------------------------------------------------------------------- */

/* Bytes at an address in the parent, copied once for all tasks of an operation. */
static const char *fetch_once(rp_served_task *task, rp_view_scratch *scratch, uint64_t *operation, uint64_t address,
                              size_t bytes)
{
    if (*operation == task->message->operation)
        return scratch->base;
    *operation = 0;
    const char *copy = fetch(task, scratch, 0, address, bytes, 0, 1);
    if (copy != NULL)
        *operation = task->message->operation;
    return copy;
}

bool rp_served_source(rp_served_task *task, const char **source)
{
    const rp_task_message *message = task->message;
    served_memory *memory = task->memory;
    *source = fetch_once(task, &memory->source, &memory->source_of, message->source, message->source_size);
    return *source != NULL;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Makes the offsets of a ragged input available, from row `row` of the block on. */
static bool fetch_offsets(rp_served_task *task, size_t i, size_t row)
{
    served_input *input = &task->input[i];
    if (input->parents->offsets == NULL || input->offsets_mapped || (input->offsets != NULL && row < input->end))
        return true;
    size_t n = rp_min(task->message->block.count - row, task->max_offsets), size = sizeof *input->offsets;
    uint64_t address = (uintptr_t)input->parents->offsets + row * size;
    input->offsets = (const void *)fetch(task, &task->memory->offsets[i], 0, address, (n + 1) * size, 0, 1);
    input->first = row;
    input->end = row + n;
    return input->offsets != NULL;
}

/* Bytes from a row of fixed width to the next; 0 for rows without elements, which are never read. A part of a row may
 * have no stride. */
static size_t row_stride(const served_input *input)
{
    const rowpool_block_input *all = input->parents;
    return all->width == 0 ? 0 : rp_max(all->stride, all->width) * input->size;
}

static bool is_gathered(const served_input *input)
{
    return row_stride(input) - input->parents->width * input->size >= GAP;
}

/* The address of row `row` of the block in the parent. */
static uint64_t row_address(const served_input *input, size_t row)
{
    uint64_t base = (uintptr_t)input->parents->data;
    if (input->parents->offsets == NULL)
        return base + row * row_stride(input);
    return base + (uint64_t)(input->offsets[row - input->first] - input->parents->origin) * input->size;
}

static size_t row_bytes(const served_input *input, size_t row)
{
    if (input->parents->offsets == NULL)
        return input->parents->width * input->size;
    const int64_t *offsets = input->offsets + (row - input->first);
    return (size_t)(offsets[1] - offsets[0]) * input->size;
}

/* How many rows from `row` on can be viewed at once: at least one, at most n. */
static size_t rows_together(const served_input *input, size_t row, size_t n)
{
    if (input->parents->offsets != NULL && !input->offsets_mapped)
        n = rp_min(n, input->end - row);
    if (input->mapped != NULL)
        return n;
    if (input->parents->offsets == NULL) {
        size_t each = is_gathered(input) ? row_bytes(input, row) : row_stride(input);
        return rp_min(n, rp_max(1, COPY_BYTES / rp_max(each, 1)));
    }
    const int64_t *offsets = input->offsets + (row - input->first);
    size_t some = 1;
    while (some < n && (size_t)(offsets[some + 1] - offsets[0]) <= COPY_BYTES / input->size)
        some++;
    return some;
}

/* Rows of one input as the function reads them, mapped or copied. */
static bool view_rows(rp_served_task *task, size_t i, size_t row, size_t n, rowpool_block_input *view)
{
    const served_input *input = &task->input[i];
    const bool ragged = input->parents->offsets != NULL, gather = !ragged && n > 1 && is_gathered(input);
    *view = *input->parents;
    if (ragged)
        view->offsets = input->offsets + (row - input->first);
    if (input->mapped != NULL) {
        view->data = ragged ? input->mapped : input->mapped + row * row_stride(input);
        return true;
    }
    size_t bytes = row_bytes(input, row), stride = row_stride(input);
    if (ragged)
        bytes = (size_t)(view->offsets[n] - view->offsets[0]) * input->size;
    else if (!gather)
        bytes += (n - 1) * stride;
    view->data = fetch(task, &task->memory->data[i], COPY_BYTES, row_address(input, row), bytes, stride,
                       gather ? n : 1);
    if (ragged)
        view->origin = view->offsets[0];
    if (gather)
        view->stride = view->width;
    return view->data != NULL;
}

/* Folds a row that is longer than one copy, or a part of a row, into the accumulators. */
static bool fold_part(rp_served_task *task, size_t row, void *accumulators)
{
    const rp_task_message *message = task->message;
    const rowpool_compiled *fold = &message->code.compiled;
    const served_input *input = &task->input[0];
    size_t width = row_bytes(input, row) / input->size;
    size_t max = input->mapped != NULL ? rp_max(width, 1) : COPY_BYTES / input->size;
    uint64_t begin = row_address(input, row);
    fold->begin(task->arguments, message->columns, accumulators);
    for (size_t from = 0, n; from < width; from += n) {
        n = rp_min(width - from, max);
        uint64_t at = begin + from * input->size;
        rowpool_block part = {.count = 1, .row = message->block.row + row, .first = message->block.first + from};
        part.input[0].width = n;
        if (input->mapped != NULL)
            part.input[0].data = input->mapped + (at - (uintptr_t)input->parents->data);
        else
            part.input[0].data = fetch(task, &task->memory->data[0], COPY_BYTES, at, n * input->size, 0, 1);
        if (part.input[0].data == NULL)
            return false;
        fold->part(&part, task->arguments, message->columns, accumulators);
    }
    return true;
}

static bool fold_long_row(rp_served_task *task, size_t row, void *results)
{
    const rp_task_message *message = task->message;
    const rowpool_compiled *fold = &message->code.compiled;
    const served_input *input = &task->input[0];
    void *accumulators = rp_view_scratch_of(&task->memory->accumulators, message->columns * fold->accumulator_size);
    if (accumulators == NULL)
        return fail_with(task, RP_ANSWER_NO_MEMORY, 0);
    if (!fold_part(task, row, accumulators))
        return false;
    fold->end(accumulators, row_bytes(input, row) / input->size, task->arguments, message->columns, results);
    return true;
}

static bool compute_rows(rp_served_task *task)
{
    const rp_task_message *message = task->message;
    size_t inputs = message->code.n_inputs;
    for (size_t row = 0, n; row < message->block.count; row += n) {
        n = message->block.count - row;
        for (size_t i = 0; i < inputs; i++) {
            if (!fetch_offsets(task, i, row))
                return false;
            n = rows_together(&task->input[i], row, n);
        }
        size_t before = row * message->columns * message->code.compiled.result_size;
        char *results = task->results != NULL ? task->results + before : NULL; /* NULL: results have no bytes */
        if (message->code.compiled.part != NULL && task->input[0].mapped == NULL &&
            row_bytes(&task->input[0], row) > COPY_BYTES) {
            if (!fold_long_row(task, row, results))
                return false;
            continue; /* n is 1 */
        }
        rowpool_block block = {.count = n, .row = message->block.row + row};
        for (size_t i = 0; i < inputs; i++)
            if (!view_rows(task, i, row, n, &block.input[i]))
                return false;
        rp_code_rows(&message->code, &block, task->arguments, message->columns, results);
    }
    return true;
}

bool rp_served_call(rp_served_task *task)
{
    return task->message->partial ? fold_part(task, 0, task->results) : compute_rows(task);
}

bool rp_served_rows(rp_served_task *task, rp_served_view *view)
{
    const rp_task_message *message = task->message;
    *view = (rp_served_view){.block = message->block, .arguments = task->arguments, .results = task->results};
    task->max_offsets = message->block.count;
    for (size_t i = 0; i < message->code.n_inputs; i++)
        if (!fetch_offsets(task, i, 0) || !view_rows(task, i, 0, message->block.count, &view->block.input[i]))
            return false;
    return true;
}

void rp_served_was_cold(rp_served_task *task)
{
    task->answer->cold = true;
}

bool rp_served_fail(rp_served_task *task, const rowpool_error *error)
{
    task->answer->error = *error;
    return fail_with(task, RP_ANSWER_FAILED, 0);
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------ */

/* Maps one place of the message, whose descriptors and paths come in the order of its places. */
static char *map_place(rp_served_task *task, const rp_place *place, bool writable, int **descriptor, const char **path)
{
    rp_view_table *views = &task->memory->views;
    char *address = NULL;
    if (place->kind == RP_REACH_REGION) {
        address = rp_view_map(views, place, **descriptor, NULL, writable);
        rp_descriptor_close(*(*descriptor)++);
    } else if (place->kind == RP_REACH_FILE) {
        address = rp_view_map(views, place, -1, *path, writable);
        *path += strlen(*path) + 1;
    }
    return address;
}

static bool serve_task(rp_served_task *task, int *descriptors, rp_serve_compute *compute, void *context)
{
    const rp_task_message *message = task->message;
    served_memory *memory = task->memory;
    const bool short_arguments = message->arguments_size <= RP_MESSAGE_ARGUMENTS;
    const char *path = message->tail + (short_arguments ? message->arguments_size : 0);
    for (size_t i = 0; i < message->code.n_inputs; i++) {
        served_input *input = &task->input[i];
        input->parents = &message->block.input[i];
        input->size = message->code.element[i];
        input->mapped = map_place(task, &message->data[i], false, &descriptors, &path);
        input->offsets = (const void *)map_place(task, &message->offsets[i], false, &descriptors, &path);
        input->offsets_mapped = input->offsets != NULL;
    }
    task->results = map_place(task, &message->results, true, &descriptors, &path);
    if (task->results == NULL && message->results.bytes > 0)
        return fail_with(task, RP_ANSWER_NO_MEMORY, 0);
    task->arguments = message->tail;
    if (!short_arguments)
        task->arguments = fetch_once(task, &memory->arguments, &memory->arguments_of, message->arguments,
                                     message->arguments_size);
    return task->arguments != NULL && compute(task, message, context);
}

void rp_serve_tasks(const rp_worker_self *self, rp_worker_mark *mark, rp_serve_compute *compute, void *context)
{
    served_memory memory;
    memset(&memory, 0, sizeof memory);
    memory.parent = (rp_view_parent){.pid = self->parent, .memory = self->memory};
    rp_task_message message;
    int descriptors[RP_WORKER_DESCRIPTORS + 1];
    for (size_t i = 0; i <= RP_WORKER_DESCRIPTORS; i++)
        descriptors[i] = -1;
    while (rp_worker_next(self, &message, sizeof message, descriptors) > 0) {
        rp_answer answer = {.number = message.number, .begin = rp_clock_now()};
        rp_served_task task = {.memory = &memory, .message = &message, .max_offsets = COPY_OFFSETS, .answer = &answer};
        atomic_store(&mark->number, message.number);
        rp_floating before; /* an earlier function, or the initialiser, may have left another */
        rp_floating_default(&before);
        serve_task(&task, descriptors, compute, context);
        answer.end = rp_clock_now();
        if (!rp_worker_answer(self, &answer, rp_answer_size(&answer)))
            return;
    }
}
