/* Maps: every argument is checked here, and made into an operation for the scheduler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/thread.h"
#include "core/builtin.h"
#include "core/range.h"
#include "sched/job.h"

/* A call, checked and made into a map. */
typedef struct {
    rp_operation operation;
    rp_arguments_store store;
} checked_call;

/* What a call's struct does not say. */
typedef struct {
    bool stream; /* the results go to a callback */
    bool later;  /* the call returns before its arguments are used */
    bool counts; /* it is one of the range counts: only the caller knows how long the array of counts is */
} call_kind;

/* ---- Function and rows ------------------------------------------------------------------------------------------ */

static rowpool_status check_function(const rowpool_call *call, call_kind kind, rowpool_error *error)
{
    const rowpool_function *function = call->function;
    if (function == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "call.function is NULL");
    if (function->size != sizeof *function)
        return rp_fail(error, ROWPOOL_EINVAL, "function.size is %zu; it must be sizeof(rowpool_function), %zu",
                       function->size, sizeof *function);
    if (function->name == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "function.name is NULL: messages need it");
    if ((unsigned)function->form > ROWPOOL_BODY)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: function.form is %u, neither ROWPOOL_FOLD nor ROWPOOL_BODY",
                       function->name, (unsigned)function->form);
    size_t takes = rp_max(1, function->n_inputs), given = rp_max(1, call->n_inputs);
    if (takes > ROWPOOL_MOST_INPUTS)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: function.n_inputs is %zu; the max is %d", function->name, takes,
                       ROWPOOL_MOST_INPUTS);
    if (takes > 1 && function->form == ROWPOOL_FOLD && function->row == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: a fold takes one input, not %zu: write a free body", function->name,
                       takes);
    if (takes != given)
        return rp_fail(error, ROWPOOL_EINVAL, "%s takes %zu inputs, but call.n_inputs is %zu", function->name, takes,
                       given);
    if (call->inputs == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is NULL", kind.counts ? "rows" : "call.inputs");
    return ROWPOOL_OK;
}

static rowpool_status check_other_input(const rowpool_function *function, size_t i, const rp_operation *operation,
                                        rowpool_error *error)
{
    const rp_rows *first = &operation->inputs[0], *rows = &operation->inputs[i];
    int wanted = function->others[i - 1] == 0 ? (int)first->dtype_id : function->others[i - 1] - 1;
    if ((int)rows->dtype_id != wanted)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: inputs[%zu] is of %s, but the function takes %s there",
                       function->name, i, rows->dtype->name, rowpool_dtype_name((rowpool_dtype)wanted));
    if (rows->count != first->count)
        return rp_fail(error, ROWPOOL_EINVAL, "inputs[%zu] has %zu rows, but inputs[0] has %zu", i, rows->count,
                       first->count);
    return ROWPOOL_OK;
}

static rowpool_status take_inputs(const rowpool_call *call, rp_operation *operation, rowpool_error *error)
{
    /* count counts in a uint32. */
    uint64_t longest = call->function == &rp_builtin_count ? UINT32_MAX : UINT64_MAX;
    operation->code.n_inputs = rp_max(1, call->n_inputs);
    for (size_t i = 0; i < operation->code.n_inputs; i++) {
        rowpool_error inner;
        rowpool_status status = rp_rows_check(&call->inputs[i], longest, &operation->inputs[i], &inner);
        if (status != ROWPOOL_OK && i > 0)
            return rp_fail(error, status, "inputs[%zu]: %.1000s", i, inner.message);
        if (status != ROWPOOL_OK)
            return rp_fail(error, status, "%s", inner.message);
        operation->code.dtype[i] = operation->inputs[i].dtype_id;
        operation->code.element[i] = operation->inputs[i].dtype->size;
        if (i > 0)
            RP_TRY(check_other_input(call->function, i, operation, error));
    }
    return ROWPOOL_OK;
}

static bool is_compiled(const rowpool_function *function)
{
    for (size_t i = 0; i < RP_DTYPE_TOTAL; i++)
        if (function->compiled[i] != NULL)
            return true;
    return false;
}

/* PoCL keeps the structs of a whole group of work items on the stack of the thread that runs them. */
static rowpool_status check_structs(const rowpool_function *function, const rowpool_compiled *sizes,
                                    rowpool_error *error)
{
    const struct {
        const char *name;
        size_t size;
    } structs[] = {{"arguments_t", sizes->arguments_size},
                   {"accumulator_t", sizes->accumulator_size},
                   {"result_t", sizes->result_size}};
    for (size_t i = 0; function->source != NULL && i < sizeof structs / sizeof *structs; i++)
        if (structs[i].size > ROWPOOL_MOST_STRUCT_BYTES)
            return rp_fail(error, ROWPOOL_EINVAL, "%s: its %s has %zu bytes; the max is %d (ROWPOOL_MOST_STRUCT_BYTES)",
                           function->name, structs[i].name, structs[i].size, ROWPOOL_MOST_STRUCT_BYTES);
    return ROWPOOL_OK;
}

/* The function's form for the rows' dtype. */
static rowpool_status take_function(const rowpool *pool, const rowpool_function *function, rp_operation *operation,
                                    rowpool_error *error)
{
    const rowpool_compiled *compiled = rp_compiled_for(pool->cpu, function, operation->inputs[0].dtype_id);
    operation->function = function;
    operation->name = function->name;
    if (compiled != NULL) {
        operation->code.compiled = *compiled;
        return check_structs(function, compiled, error);
    }
    if (is_compiled(function))
        return rp_fail(error, ROWPOOL_EINVAL, "%s does not support rows of %s", function->name,
                       operation->inputs[0].dtype->name);
    if (function->source == NULL && function->row == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s has neither text for OpenCL nor a C function", function->name);
    if (function->result_size == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: function.result_size is 0", function->name);
    operation->code.row = function->row;
    operation->code.compiled.arguments_size = rp_max(1, function->arguments_size);
    operation->code.compiled.accumulator_size = function->accumulator_size;
    operation->code.compiled.result_size = function->result_size;
    operation->code.compiled.result_alignment = rp_min(function->result_size & -function->result_size, 8);
    return check_structs(function, &operation->code.compiled, error);
}

/* ---- Arguments -------------------------------------------------------------------------------------------------- */

/* A place for operation.arguments_size bytes. NULL: out of memory. */
static void *reserve_arguments(checked_call *checked)
{
    rp_arguments_store *store = &checked->store;
    size_t bytes = checked->operation.arguments_size;
    char *place = bytes <= sizeof store->inside ? store->inside : (store->heap = calloc(1, bytes));
    checked->operation.arguments = place;
    return place;
}

static rowpool_status take_ranges(const rowpool_call *call, checked_call *checked, rowpool_error *error)
{
    const rowpool_range *ranges = call->ranges;
    rowpool_range flagship;
    size_t n_ranges = call->n_ranges;
    rp_operation *operation = &checked->operation;
    const rp_dtype *dtype = operation->inputs[0].dtype;
    if (ranges == NULL && n_ranges > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "ranges is NULL, but n_ranges is %zu", n_ranges);
    if (ranges != NULL && n_ranges == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "n_ranges is 0, but ranges is not NULL");
    if (call->arguments != NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "%s takes ranges, not arguments", operation->name);
    if (operation->code.compiled.arguments_size != 2 * dtype->size)
        return rp_fail(error, ROWPOOL_EINVAL, "%s takes ranges, but its arguments_t is not two ordered_t",
                       operation->name);
    if (ranges == NULL) {
        flagship = rowpool_range_i64(4, 8);
        ranges = &flagship;
        n_ranges = 1;
    }
    operation->columns = n_ranges;
    if (!rp_mul(n_ranges, 2 * dtype->size, &operation->arguments_size) || operation->arguments_size > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "n_ranges is %zu: more than memory can hold", n_ranges);
    char *arguments = reserve_arguments(checked);
    if (arguments == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu ranges", n_ranges);
    for (size_t k = 0; k < n_ranges; k++) {
        rp_interval interval;
        RP_TRY(rp_range_normalise(&ranges[k], k, dtype, &interval, error));
        rp_interval_store(&interval, dtype, arguments + k * 2 * dtype->size);
    }
    return ROWPOOL_OK;
}

/* Takes a call's arguments; copies them if the call returns before they are used. */
static rowpool_status take_arguments(const rowpool_call *call, bool later, checked_call *checked, rowpool_error *error)
{
    rp_operation *operation = &checked->operation;
    size_t each = operation->code.compiled.arguments_size;
    if (call->function->ranges)
        return take_ranges(call, checked, error);
    if (call->ranges != NULL || call->n_ranges > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "%s takes no ranges", operation->name);
    if (call->arguments == NULL && call->arguments_size > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "call.arguments is NULL, but call.arguments_size is %zu",
                       call->arguments_size);
    if (call->arguments != NULL && (call->arguments_size == 0 || call->arguments_size % each != 0))
        return rp_fail(error, ROWPOOL_EINVAL,
                       "call.arguments_size is %zu: it must be a multiple of the %zu bytes of an arguments_t of %s",
                       call->arguments_size, each, operation->name);
    operation->arguments = call->arguments;
    operation->arguments_size = call->arguments != NULL ? call->arguments_size : each;
    operation->columns = operation->arguments_size / each;
    if (call->arguments != NULL && !later)
        return ROWPOOL_OK;
    void *place = reserve_arguments(checked);
    if (place == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu bytes of arguments", operation->arguments_size);
    if (call->arguments != NULL)
        memcpy(place, call->arguments, operation->arguments_size);
    return ROWPOOL_OK;
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

static rowpool_status take_results(const rowpool_call *call, call_kind kind, rp_operation *operation,
                                   rowpool_error *error)
{
    const char *what = kind.counts ? "counts" : "call.results";
    size_t results, bytes, alignment = operation->code.compiled.result_alignment;
    if (!rp_mul(operation->inputs->count, operation->columns, &results) ||
        !rp_mul(results, operation->code.compiled.result_size, &bytes) || bytes > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "results of %zu rows, %zu of each, are more than memory can hold",
                       operation->inputs->count, operation->columns);
    if (call->results == NULL && results > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is NULL: there is no place for %zu results", what, results);
    if ((uintptr_t)call->results % alignment != 0)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is not aligned to %zu bytes", what, alignment);
    if (!kind.counts && call->results_size < bytes)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "call.results_size is %zu: %zu rows with %zu results of %zu bytes each need %zu",
                       call->results_size, operation->inputs->count, operation->columns,
                       operation->code.compiled.result_size, bytes);
    operation->results = call->results;
    return ROWPOOL_OK;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

/* The size in programs that were compiled before call.first_row was added. */
enum { WITHOUT_FIRST_ROW = offsetof(rowpool_call, first_row) };

static rowpool_status check_call(rowpool *pool, const rowpool_call *call, call_kind kind, checked_call *checked,
                                 rowpool_error *error)
{
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    if (call == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "call is NULL");
    if (call->size != sizeof *call && call->size != WITHOUT_FIRST_ROW)
        return rp_fail(error, ROWPOOL_EINVAL, "call.size is %zu; it must be sizeof(rowpool_call), %zu", call->size,
                       sizeof *call);
    rp_operation *operation = &checked->operation;
    RP_TRY(check_function(call, kind, error));
    RP_TRY(take_inputs(call, operation, error));
    RP_TRY(take_function(pool, call->function, operation, error));
    RP_TRY(take_arguments(call, kind.later, checked, error));
    operation->host = rp_is_builtin(call->function) || call->allow_host;
    operation->first_row = call->size == sizeof *call ? call->first_row : 0;
    if (operation->first_row > SIZE_MAX - operation->inputs->count)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "call.first_row is %zu: the indices of %zu rows from there do not fit in 64 bits",
                       operation->first_row, operation->inputs->count);
    operation->chunk_rows = call->chunk_rows;
    operation->timeout_ms = call->timeout_ms;
    return kind.stream ? ROWPOOL_OK : take_results(call, kind, operation, error);
}

static rowpool_status run_call(rowpool *pool, const rowpool_call *call, call_kind kind, const rp_stream *stream,
                               rowpool_error *error)
{
    RP_NO_CANCEL;
    checked_call checked = {0};
    rowpool_status status = check_call(pool, call, kind, &checked, error);
    if (status == ROWPOOL_OK)
        status = rp_execute(pool, &checked.operation, stream, error);
    free(checked.store.heap);
    return status;
}

static rowpool_status submit_call(rowpool *pool, const rowpool_call *call, call_kind kind, const rp_stream *stream,
                                  rowpool_done *done, void *payload, rowpool_job **job, rowpool_error *error)
{
    RP_NO_CANCEL;
    checked_call checked = {0};
    if (job != NULL)
        *job = NULL;
    kind.later = true;
    rowpool_status status = check_call(pool, call, kind, &checked, error);
    if (status == ROWPOOL_OK)
        status = rp_submit(pool, &checked.operation, stream, &checked.store, done, payload, job, error);
    free(checked.store.heap);
    return status;
}

rowpool_status rowpool_map(rowpool *pool, const rowpool_call *call, rowpool_error *error)
{
    return run_call(pool, call, (call_kind){0}, NULL, error);
}

rowpool_status rowpool_map_async(rowpool *pool, const rowpool_call *call, rowpool_done *done, void *payload,
                                 rowpool_job **job, rowpool_error *error)
{
    return submit_call(pool, call, (call_kind){0}, NULL, done, payload, job, error);
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

static rowpool_status check_stream(rowpool_order order, rowpool_each *each, rowpool_error *error)
{
    if (each == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "each is NULL: a stream needs a callback for its results");
    if ((unsigned)order > ROWPOOL_ANY_ORDER)
        return rp_fail(error, ROWPOOL_EINVAL, "order is %u, neither ROWPOOL_IN_ORDER nor ROWPOOL_ANY_ORDER",
                       (unsigned)order);
    return ROWPOOL_OK;
}

rowpool_status rowpool_map_stream(rowpool *pool, const rowpool_call *call, rowpool_order order, rowpool_each *each,
                                  void *payload, rowpool_error *error)
{
    const rp_stream stream = {each, order, payload};
    RP_TRY(check_stream(order, each, error));
    return run_call(pool, call, (call_kind){.stream = true}, &stream, error);
}

rowpool_status rowpool_map_stream_async(rowpool *pool, const rowpool_call *call, rowpool_order order,
                                        rowpool_each *each, rowpool_done *done, void *payload, rowpool_job **job,
                                        rowpool_error *error)
{
    const rp_stream stream = {each, order, payload};
    if (job != NULL)
        *job = NULL;
    RP_TRY(check_stream(order, each, error));
    return submit_call(pool, call, (call_kind){.stream = true}, &stream, done, payload, job, error);
}

/* ---- One function in a worker process --------------------------------------------------------------------------- */

/* rowpool_apply is a map of one empty row. This is its argument struct; the argument's bytes follow it. */
typedef struct {
    rowpool_apply_function *function;
    size_t argument_size, result_size;
    _Alignas(16) char argument[];
} application;

static void apply_row(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const application *applied = arguments;
    (void)row;
    (void)index;
    applied->function(applied->argument, applied->argument_size, result, applied->result_size);
}

static rowpool_status check_apply(rowpool *pool, rowpool_apply_function *function, const void *argument,
                                  size_t argument_size, void *result, size_t result_size, checked_call *checked,
                                  rowpool_error *error)
{
    static const rowpool_function nothing = {.size = sizeof nothing, .name = "apply"};
    rp_operation *operation = &checked->operation;
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    if (function == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "function is NULL");
    if (argument == NULL && argument_size > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "argument is NULL, but argument_size is %zu", argument_size);
    if (result == NULL && result_size > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "result is NULL, but result_size is %zu", result_size);
    if (!rp_add(argument_size, sizeof(application), &operation->arguments_size) ||
        operation->arguments_size > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "argument_size is %zu: more than memory can hold", argument_size);
    if (result_size > PTRDIFF_MAX)
        return rp_fail(error, ROWPOOL_EINVAL, "result_size is %zu: more than memory can hold", result_size);
    application *applied = reserve_arguments(checked);
    if (applied == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for an argument of %zu bytes", argument_size);
    applied->function = function;
    applied->argument_size = argument_size;
    applied->result_size = result_size;
    if (argument_size > 0)
        memcpy(applied->argument, argument, argument_size);
    operation->function = &nothing;
    operation->name = nothing.name;
    operation->code.row = apply_row;
    operation->code.n_inputs = 1;
    operation->code.element[0] = 1;
    operation->code.compiled.arguments_size = operation->arguments_size;
    operation->code.compiled.result_size = result_size;
    operation->inputs[0] = (rp_rows){.dtype = rp_dtype_of(ROWPOOL_INT8), .count = 1};
    operation->columns = 1;
    operation->results = result;
    operation->once = operation->processes = true;
    return ROWPOOL_OK;
}

rowpool_status rowpool_apply(rowpool *pool, rowpool_apply_function *function, const void *argument,
                             size_t argument_size, void *result, size_t result_size, rowpool_error *error)
{
    RP_NO_CANCEL;
    checked_call checked = {0};
    rowpool_status status = check_apply(pool, function, argument, argument_size, result, result_size, &checked, error);
    if (status == ROWPOOL_OK)
        status = rp_execute(pool, &checked.operation, NULL, error);
    free(checked.store.heap);
    return status;
}

rowpool_status rowpool_apply_async(rowpool *pool, rowpool_apply_function *function, const void *argument,
                                   size_t argument_size, void *result, size_t result_size, rowpool_done *done,
                                   void *payload, rowpool_job **job, rowpool_error *error)
{
    RP_NO_CANCEL;
    checked_call checked = {0};
    if (job != NULL)
        *job = NULL;
    rowpool_status status = check_apply(pool, function, argument, argument_size, result, result_size, &checked, error);
    if (status == ROWPOOL_OK)
        status = rp_submit(pool, &checked.operation, NULL, &checked.store, done, payload, job, error);
    free(checked.store.heap);
    return status;
}

/* ---- The range count -------------------------------------------------------------------------------------------- */

static rowpool_call call_count(const rowpool_function *function, const rowpool_rows *rows, const rowpool_range *ranges,
                               size_t n_ranges, void *counts)
{
    return (rowpool_call){.size = sizeof(rowpool_call),
                          .function = function,
                          .inputs = rows,
                          .ranges = ranges,
                          .n_ranges = n_ranges,
                          .results = counts};
}

rowpool_status rowpool_range_count(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                   size_t n_ranges, uint32_t *counts, rowpool_error *error)
{
    const rowpool_call call = call_count(&rp_builtin_count, rows, ranges, n_ranges, counts);
    return run_call(pool, &call, (call_kind){.counts = true}, NULL, error);
}

rowpool_status rowpool_range_count_u64(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                       size_t n_ranges, uint64_t *counts, rowpool_error *error)
{
    const rowpool_call call = call_count(&rp_builtin_count64, rows, ranges, n_ranges, counts);
    return run_call(pool, &call, (call_kind){.counts = true}, NULL, error);
}

rowpool_status rowpool_range_count_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                         size_t n_ranges, uint32_t *counts, rowpool_done *done, void *payload,
                                         rowpool_job **job, rowpool_error *error)
{
    const rowpool_call call = call_count(&rp_builtin_count, rows, ranges, n_ranges, counts);
    return submit_call(pool, &call, (call_kind){.counts = true}, NULL, done, payload, job, error);
}

rowpool_status rowpool_range_count_u64_async(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges,
                                             size_t n_ranges, uint64_t *counts, rowpool_done *done, void *payload,
                                             rowpool_job **job, rowpool_error *error)
{
    const rowpool_call call = call_count(&rp_builtin_count64, rows, ranges, n_ranges, counts);
    return submit_call(pool, &call, (call_kind){.counts = true}, NULL, done, payload, job, error);
}

rowpool_status rowpool_histogram(rowpool *pool, const rowpool_rows *rows, const rowpool_number *edges, size_t n_edges,
                                 uint32_t *counts, rowpool_error *error)
{
    if (edges == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "edges is NULL");
    if (n_edges < 2)
        return rp_fail(error, ROWPOOL_EINVAL, "n_edges is %zu; it must be at least 2", n_edges);
    for (size_t k = 0; k + 1 < n_edges; k++)
        if (!rp_number_at_most(&edges[k], &edges[k + 1]))
            return rp_fail(error, ROWPOOL_EINVAL,
                           "edges[%zu] is less than the edge before it, or one of them is not a number", k + 1);
    rowpool_range *bins = calloc(n_edges - 1, sizeof *bins);
    if (bins == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu bins", n_edges - 1);
    for (size_t k = 0; k + 1 < n_edges; k++)
        bins[k] = (rowpool_range){edges[k], edges[k + 1], ROWPOOL_CLOSED_LEFT};
    bins[n_edges - 2].closed = ROWPOOL_CLOSED_BOTH;
    rowpool_status status = rowpool_range_count(pool, rows, bins, n_edges - 1, counts, error);
    free(bins);
    return status;
}
