/* rowpool-helper: the program in which the isolated backend runs OpenCL. It takes chunks from a socket, as worker
 * processes do, and runs them on the first OpenCL device that a pool would take. It tells its parent of the others.
 * librowpool starts it: rowpool-helper PARENT DEVICES automatic|named */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/settings.h"
#include "core/builtin.h"
#include "device/choose.h"
#include "device/workers/message.h"

/* ---- The device ------------------------------------------------------------------------------------------------- */

/* What chunks run on. */
typedef struct {
    rp_device device;
    bool stands_in;                 /* this process computes built-in functions until their kernels are built */
    size_t stood_in;                /* bytes of the last chunk, if this process computed it */
    size_t on_device, in_its_place; /* chunks done, for the log */
    const rp_cpu *cpu;
    rp_worker_mark *mark;
} executor;

static bool is_wanted(const rp_device *device)
{
    return device->info.in_use && device->info.type <= ROWPOOL_DEVICE_OTHER;
}

/* Opens the first device; where nobody named it, one that cannot be opened is skipped. */
static rowpool_status open_first(rp_device *device, rp_device_list *list, rowpool_error *error)
{
    const rp_backend_options options = {.helper_devices = ""};
    rowpool_status status = ROWPOOL_OK;
    for (size_t i = 0; i < list->count; i++) {
        if (!is_wanted(&list->items[i]))
            continue;
        *device = list->items[i];
        status = device->backend->open(device, &options, error);
        if (status == ROWPOOL_OK || !list->automatic)
            return status;
        RP_TRY(rp_choose_without(list, &list->items[i], error->message, error));
        i = SIZE_MAX; /* another device may be in use now: start over */
    }
    return status != ROWPOOL_OK
               ? status
               : rp_fail(error, ROWPOOL_ENODEVICE,
                         "there is no OpenCL device. A GPU needs its vendor's OpenCL driver; for the CPU install PoCL "
                         "(Debian: pocl-opencl-icd)");
}

static void name_others(rp_hello *hello, const rp_device_list *list)
{
    for (size_t i = 0; i < list->count && hello->n_others < RP_HELLO_OTHERS; i++)
        if (is_wanted(&list->items[i]) && strcmp(list->items[i].info.index, hello->info.index) != 0)
            strcpy(hello->others[hello->n_others++], list->items[i].info.index);
}

static rowpool_status open_device(executor *own, const char *words, rp_hello *hello)
{
    rp_device_list list;
    if (words[0] == '\0')
        words = rp_setting_text(RP_SETTING_ISOLATED_DEVICE);
    if (words == NULL) /* in a setuid program auto has no OpenCL, but that program has asked for this one */
        words = rp_environment_is_trusted() ? "auto" : "all";
    RP_TRY(rp_choose(words, ROWPOOL_ISOLATE_NEVER, false, &list, &hello->error));
    rowpool_status status = open_first(&own->device, &list, &hello->error);
    if (status == ROWPOOL_OK) {
        hello->info = own->device.info;
        name_others(hello, &list);
    }
    free(list.items);
    return status;
}

/* ---- A chunk ---------------------------------------------------------------------------------------------------- */

/* The address `bytes` before another one. Nothing need be there. */
static const void *before(const void *address, size_t bytes)
{
    return (const void *)((uintptr_t)address - bytes);
}

/* The rows of a block, numbered from 0. Of a partial row only that part can be read. */
static rp_rows rows_of(const rp_task_message *message, const rowpool_block *block, size_t i)
{
    const rowpool_block_input *input = &block->input[i];
    const rp_dtype *dtype = rp_dtype_of(message->code.dtype[i]);
    rp_rows rows = {.dtype = dtype, .dtype_id = message->code.dtype[i], .count = block->count};
    size_t skipped;
    if (input->offsets != NULL) {
        rows.offsets = input->offsets;
        skipped = (size_t)input->origin;
    } else {
        rows.width = block->first + input->width;
        rows.stride = input->stride;
        skipped = block->first;
    }
    rows.data = before(input->data, skipped * dtype->size);
    return rows;
}

static rp_chunk chunk_of(const rp_task_message *message, const rowpool_block *block)
{
    rp_chunk chunk = {.rows = block->count, .partial = message->partial};
    if (message->partial) {
        chunk.begin = block->first;
        chunk.end = block->first + block->input[0].width;
    }
    return chunk;
}

static rp_operation map_of(const rp_task_message *message, const rp_served_view *rows, const rowpool_function *function)
{
    rp_operation operation = {.function = function,
                              .name = function->name,
                              .text_hash = rp_text_hash(function->source),
                              .code = message->code,
                              .arguments = rows->arguments,
                              .arguments_size = message->arguments_size,
                              .columns = message->columns,
                              .first_row = rows->block.row};
    /* The functions' addresses are the parent's; the sizes hold here too. */
    operation.code.compiled.rows = NULL;
    operation.code.compiled.begin = NULL;
    operation.code.compiled.part = NULL;
    operation.code.compiled.merge = NULL;
    operation.code.compiled.end = NULL;
    operation.code.row = NULL;
    for (size_t i = 0; i < message->code.n_inputs; i++)
        operation.inputs[i] = rows_of(message, &rows->block, i);
    return operation;
}

/* Computes a chunk of a built-in function here, as the calling thread of a pool does while the device waits for a
 * compiler. False: the device is to do it. */
static bool stand_in(executor *own, rp_operation *operation, const rp_chunk *chunk, void *results)
{
    const rowpool_function *builtin = rowpool_builtin(operation->name);
    const rp_rows *rows = operation->inputs;
    const size_t stood_in = own->stood_in;
    own->stood_in = 0;
    if (!own->stands_in || builtin == NULL || strcmp(builtin->source, operation->function->source) != 0 ||
        own->device.backend->ready(&own->device, operation, stood_in))
        return false;
    own->stood_in = rp_chunk_elements(rows, chunk) * rows->dtype->size;
    operation->code.compiled = *rp_compiled_for(own->cpu, builtin, rows->dtype_id);
    rp_operation_compute(operation, chunk, results);
    return true;
}

static bool compute(rp_served_task *served, const rp_task_message *message, void *context)
{
    executor *own = context;
    rp_device *device = &own->device;
    rp_served_view rows;
    rowpool_function function = {
        .size = sizeof function, .name = message->name, .form = message->form, .n_inputs = message->code.n_inputs};
    if (!rp_served_source(served, &function.source) || !rp_served_rows(served, &rows))
        return false;
    rp_operation operation = map_of(message, &rows, &function);
    const rp_chunk whole = chunk_of(message, &rows.block);
    if (stand_in(own, &operation, &whole, rows.results)) {
        rp_served_was_cold(served);
        own->in_its_place++;
        return true;
    }
    rp_task task = {.operation = &operation, .chunk = whole, .device = device, .results = rows.results};
    rowpool_error error = {0};
    atomic_store(&own->mark->submitting, true);
    rowpool_status status = device->backend->submit(device, &task, &error);
    atomic_store(&own->mark->submitting, false);
    if (status == ROWPOOL_OK)
        status = device->backend->finish(device, &task, &error);
    if (task.cold)
        rp_served_was_cold(served);
    own->on_device += status == ROWPOOL_OK;
    return status == ROWPOOL_OK || rp_served_fail(served, &error);
}

/* ---- The program ------------------------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
    rp_worker_self self;
    int shared;
    if (!rp_worker_become(&self, &shared, argc, argv)) {
        fprintf(stderr, "%s is started by librowpool, for its device 'isolated'\n", argv[0]);
        return 2;
    }
    rp_log_as("rowpool-helper");                 /* its list of devices is not that of the other program */
    unsetenv(rp_setting_name(RP_SETTING_TRACE)); /* the parent writes that file */
    rp_worker_mark *mark = mmap(NULL, sizeof *mark, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    static rp_hello hello; /* zeroed with its padding */
    static executor own;
    memset(&hello, 0, sizeof hello);
    snprintf(hello.version, sizeof hello.version, "%s", rowpool_version());
    hello.message_size = sizeof(rp_task_message);
    hello.status = mark == MAP_FAILED ? rp_fail(&hello.error, ROWPOOL_ESYSTEM, "cannot map shared memory")
                                      : open_device(&own, argv[2], &hello);
    if (!rp_worker_answer(&self, &hello, sizeof hello) || hello.status != ROWPOOL_OK)
        return 1;
    own.stands_in = strcmp(argv[3], "automatic") == 0;
    own.cpu = rp_cpu_at(0);
    own.mark = mark;
    rp_serve_tasks(&self, mark, compute, &own);
    rp_log(RP_LOG_RUN, "device %s did %zu chunks in all; %zu more were done in its place, until its kernels were built",
           own.device.info.index, own.on_device, own.in_its_place);
    own.device.backend->close(&own.device, false);
    return 0;
}
