/* rowpool-helper: the program in which the isolated backend has OpenCL. Chunks come on a socket, in the form that worker
 * processes get them, and run on the first OpenCL device that a pool would take; librowpool starts it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/workers/work.h"
#include "base/settings.h"
#include "pool/pool.h"

/* ---- The device ------------------------------------------------------------------------------------------------- */

static rowpool_status open_device(rp_device *device, rp_hello *hello)
{
    const char *words = rp_setting_text(RP_SETTING_ISOLATED_DEVICE);
    rp_device_list list;
    if (words == NULL) /* in a setuid program auto has no OpenCL, but that program has asked for this one */
        words = rp_environment_is_trusted() ? "auto" : "all";
    RP_TRY(rp_choose(words, ROWPOOL_ISOLATE_NEVER, false, &list, &hello->error));
    *device = list.items[0];
    free(list.items);
    if (device->info.type > ROWPOOL_DEVICE_OTHER)
        return rp_fail(&hello->error, ROWPOOL_ENODEVICE,
                       "there is no OpenCL device. A GPU needs its vendor's OpenCL driver; for the CPU install PoCL "
                       "(Debian: pocl-opencl-icd)");
    const rp_backend_options options = {0};
    RP_TRY(device->backend->open(device, &options, &hello->error));
    hello->info = device->info;
    return ROWPOOL_OK;
}

/* ---- A chunk ---------------------------------------------------------------------------------------------------- */

/* An address that lies so many bytes before another, where there may be nothing. */
static const void *before(const void *address, size_t bytes)
{
    return (const void *)((uintptr_t)address - bytes);
}

/* The rows of a block, from 0 on. Of a part of a row it shows but that part. */
static rp_rows rows_of(const rp_work *work, const rowpool_block *block, size_t i)
{
    const rowpool_block_input *input = &block->input[i];
    const rp_dtype *dtype = rp_dtype_of(work->code.dtype[i]);
    rp_rows rows = {.dtype = dtype, .dtype_id = work->code.dtype[i], .count = block->count};
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

static rp_chunk chunk_of(const rp_work *work, const rowpool_block *block)
{
    rp_chunk chunk = {.rows = block->count, .partial = work->partial};
    if (work->partial) {
        chunk.begin = block->first;
        chunk.end = block->first + block->input[0].width;
    }
    return chunk;
}

static rp_map map_of(const rp_work *work, const rp_work_rows *rows, const rowpool_function *function)
{
    rp_map map = {.function = function,
                  .name = function->name,
                  .code = work->code,
                  .arguments = rows->arguments,
                  .arguments_size = work->arguments_size,
                  .columns = work->columns,
                  .first_row = rows->block.row};
    /* The functions are the other program's; their sizes hold here too. */
    map.code.compiled.rows = NULL;
    map.code.compiled.begin = NULL;
    map.code.compiled.part = NULL;
    map.code.compiled.merge = NULL;
    map.code.compiled.end = NULL;
    map.code.row = NULL;
    for (size_t i = 0; i < work->code.n_inputs; i++)
        map.inputs[i] = rows_of(work, &rows->block, i);
    return map;
}

static bool compute(rp_work_chunk *chunk, const rp_work *work, void *context)
{
    rp_device *device = context;
    rp_work_rows rows;
    rowpool_function function = {
        .size = sizeof function, .name = work->name, .form = work->form, .n_inputs = work->code.n_inputs};
    if (!rp_work_chunk_source(chunk, &function.source) || !rp_work_chunk_rows(chunk, &rows))
        return false;
    const rp_map map = map_of(work, &rows, &function);
    rp_task task = {.map = &map, .chunk = chunk_of(work, &rows.block), .device = device, .results = rows.results};
    rowpool_error error = {0};
    rowpool_status status = device->backend->submit(device, &task, &error);
    if (status == ROWPOOL_OK)
        status = device->backend->finish(device, &task, &error);
    if (task.cold)
        rp_work_chunk_was_cold(chunk);
    return status == ROWPOOL_OK || rp_work_chunk_fail(chunk, &error);
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
    unsetenv(rp_setting_name(RP_SETTING_TRACE)); /* the file is the other program's */
    rp_work_mark *mark = mmap(NULL, sizeof *mark, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    static rp_hello hello; /* also what pads it */
    rp_device device;
    memset(&hello, 0, sizeof hello);
    snprintf(hello.version, sizeof hello.version, "%s", rowpool_version());
    hello.work_size = sizeof(rp_work);
    hello.status = mark == MAP_FAILED ? rp_fail(&hello.error, ROWPOOL_ESYSTEM, "cannot map shared memory")
                                      : open_device(&device, &hello);
    if (!rp_worker_answer(&self, &hello, sizeof hello) || hello.status != ROWPOOL_OK)
        return 1;
    rp_work_serve(&self, mark, compute, &device);
    device.backend->close(&device, false);
    return 0;
}
