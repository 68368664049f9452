/* Building: prelude + row function + traversal, for one element and one result type. */
#include "backend/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/kernels.h"

static const char *const kernel_names[RP_CL_KERNELS] = {
    [RP_CL_ROWS] = "rp_rows",
    [RP_CL_SPANS] = "rp_spans",
    [RP_CL_COMBINE] = "rp_combine_spans",
    [RP_CL_BLOCKS] = "rp_row_blocks",
};

/* EBUILD with the beginning of the compiler's log, where the first error stands; the log has all of it. */
static rowpool_status build_failure(const rp_device *device, cl_program program, const rp_function *function,
                                    cl_int code, rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    size_t size = 0;
    clGetProgramBuildInfo(program, state->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(1, size + 1);
    if (log != NULL)
        clGetProgramBuildInfo(program, state->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    rp_fail(error, ROWPOOL_EBUILD, "device %s (%s): %s does not build: %s: %.700s", device->info.index,
            device->info.name, function->name, rp_cl_name(code), log != NULL ? log : "");
    rp_log(RP_LOG_BUILD, "device %s: %s: %s", device->info.index, function->name, log != NULL ? log : "");
    free(log);
    return ROWPOOL_EBUILD;
}

static cl_int compile(const rp_device *device, const rp_map *map, size_t width, cl_program *program)
{
    const rp_cl_device *state = device->state;
    const rp_function *function = map->function;
    char line[128], options[256];
    snprintf(line, sizeof line, "#line 1 \"%s\"\n", function->file);
    const char *texts[] = {rp_kernel_prelude, line, function->source, "#line 1 \"fold.cl\"\n", rp_kernel_fold};
    snprintf(options, sizeof options, "-D RP_ELEMENT=%s -D RP_FLOAT_KEYS=%d -D RP_RESULT=%s -D RP_WIDTH=%zu",
             map->rows.dtype->opencl, map->rows.dtype->kind == RP_FLOAT,
             map->result == RP_RESULT_UINT32 ? "uint" : "ulong", width);
    cl_int code;
    *program = clCreateProgramWithSource(state->context, sizeof texts / sizeof *texts, texts, NULL, &code);
    return code == CL_SUCCESS ? clBuildProgram(*program, 1, &state->id, options, NULL, NULL) : code;
}

static rowpool_status build(rp_device *device, const rp_map *map, rp_cl_program *entry, rowpool_error *error)
{
    struct timespec start = rp_clock_now();
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    cl_program program = NULL;
    cl_int code = compile(device, map, entry->width, &program);
    rp_cl_guard_leave(&guard);
    if (code != CL_SUCCESS) {
        rowpool_status status = program != NULL ? build_failure(device, program, map->function, code, error)
                                                : rp_cl_fail(device, "clCreateProgramWithSource", code, error);
        if (program != NULL)
            clReleaseProgram(program);
        return status;
    }
    entry->program = program;
    rp_log(RP_LOG_BUILD, "device %s: %s for %s, width %zu, built in %.0f ms", device->info.index, map->function->name,
           map->rows.dtype->name, entry->width, 1e3 * rp_clock_seconds(start, rp_clock_now()));
    return ROWPOOL_OK;
}

static bool serves(const rp_cl_program *program, const rp_map *map)
{
    return program->function == map->function && program->dtype == map->rows.dtype_id && program->result == map->result;
}

/* A new entry for a map, built or with the reason why not; NULL: out of memory. */
static rp_cl_program *new_program(rp_device *device, const rp_map *map, size_t width)
{
    rp_cl_device *state = device->state;
    rp_cl_program *entry = calloc(1, sizeof *entry);
    rowpool_error *failure = malloc(sizeof *failure);
    if (entry == NULL || failure == NULL) {
        free(entry);
        free(failure);
        return NULL;
    }
    *entry = (rp_cl_program){.next = state->programs,
                             .function = map->function,
                             .dtype = map->rows.dtype_id,
                             .result = map->result,
                             .width = width};
    if (build(device, map, entry, failure) == ROWPOOL_OK)
        free(failure);
    else
        entry->failure = failure;
    state->programs = entry;
    return entry;
}

bool rp_cl_is_blocky(const rp_device *device, const rp_map *map)
{
    const rp_cl_device *state = device->state;
    const rp_rows *rows = &map->rows;
    return state->long_items && rows->offsets == NULL && rows->stride == rows->width && rows->width > 0 &&
           rows->width <= RP_CL_MOST_BLOCK_WIDTH;
}

/* Whether a kernel for the rows' own width pays by now. The caller waits for the build: a second, or some 40 ms where
 * the driver has it in its cache. So it is not for who comes once, but who comes back with the same width comes again.
 */
static bool width_pays(rp_cl_program *any, const rp_task *task)
{
    const rp_rows *rows = &task->map->rows;
    size_t *served = &any->served[rows->width];
    *served += rp_chunk_elements(rows, &task->chunk) * rows->dtype->size;
    return *served >= RP_CL_WIDTH_PAYS;
}

/* The program that serves a chunk best: one for its width; else any, as long as another build does not pay. The first
 * of a row function and dtype is built for the width at hand, which costs no more. */
static rp_cl_program *choose_program(rp_device *device, const rp_task *task)
{
    const rp_cl_device *state = device->state;
    const rp_map *map = task->map;
    size_t width = rp_cl_is_blocky(device, map) ? map->rows.width : 0;
    rp_cl_program *any = NULL;
    bool failed = false; /* for this very width: the rest may build without it */
    for (rp_cl_program *entry = state->programs; entry != NULL; entry = entry->next) {
        if (!serves(entry, map))
            continue;
        if (entry->failure != NULL && entry->width > 0)
            failed |= entry->width == width;
        else if (entry->width == width || width == 0)
            return entry;
        else
            any = entry;
    }
    if (any == NULL)
        return new_program(device, map, 0);
    return failed || !width_pays(any, task) ? any : new_program(device, map, width);
}

/* Takes the device's lock while it builds: whoever needs the same program waits for it instead of building again. */
static rowpool_status get_program(rp_device *device, const rp_task *task, const rp_cl_program **program,
                                  rowpool_error *error)
{
    rp_cl_device *state = device->state;
    pthread_mutex_lock(&state->lock);
    const rp_cl_program *entry = choose_program(device, task);
    pthread_mutex_unlock(&state->lock);
    *program = entry;
    if (entry == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    return entry->failure == NULL ? ROWPOOL_OK : rp_fail(error, entry->failure->status, "%s", entry->failure->message);
}

static rowpool_status create_kernels(rp_device *device, rp_cl_lane *lane, const rp_cl_program *program,
                                     rp_cl_kernels **kernels, rowpool_error *error)
{
    rp_cl_kernels *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
    fresh->program = program;
    for (int i = 0; i < (program->width > 0 ? RP_CL_KERNELS : RP_CL_BLOCKS); i++) {
        cl_int code;
        fresh->kernel[i] = clCreateKernel(program->program, kernel_names[i], &code);
        if (code != CL_SUCCESS) {
            while (i-- > 0)
                clReleaseKernel(fresh->kernel[i]);
            free(fresh);
            return rp_cl_fail(device, "clCreateKernel", code, error);
        }
    }
    fresh->next = lane->kernels;
    lane->kernels = fresh;
    *kernels = fresh;
    return ROWPOOL_OK;
}

rowpool_status rp_cl_kernels_get(rp_device *device, rp_cl_lane *lane, const rp_task *task, rp_cl_kernels **kernels,
                                 rowpool_error *error)
{
    const rp_cl_program *program;
    RP_TRY(get_program(device, task, &program, error));
    for (*kernels = lane->kernels; *kernels != NULL; *kernels = (*kernels)->next)
        if ((*kernels)->program == program)
            return ROWPOOL_OK;
    return create_kernels(device, lane, program, kernels, error);
}
