/* Building: prelude + vocabulary + row function + traversal, for one dtype. */
#include "backend/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "core/kernels.h"

static const char *const kernel_names[RP_CL_KERNELS] = {
    [RP_CL_ROWS] = "rp_rows",         [RP_CL_SPANS] = "rp_spans",   [RP_CL_COMBINE] = "rp_combine_spans",
    [RP_CL_BLOCKS] = "rp_row_blocks", [RP_CL_BODIES] = "rp_bodies",
};

/* EBUILD with the beginning of the compiler's log, where the first error stands; the log has all of it. */
static rowpool_status build_failure(const rp_device *device, cl_program program, const rp_map *map, cl_int code,
                                    rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    size_t size = 0;
    clGetProgramBuildInfo(program, state->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(1, size + 1);
    if (log != NULL)
        clGetProgramBuildInfo(program, state->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    rp_fail(error, ROWPOOL_EBUILD, "device %s (%s): %s does not build: %s: %.700s", device->info.index,
            device->info.name, map->name, rp_cl_name(code), log != NULL ? log : "");
    rp_log(RP_LOG_BUILD, "device %s: %s: %s", device->info.index, map->name, log != NULL ? log : "");
    free(log);
    return ROWPOOL_EBUILD;
}

static cl_int compile(const rp_device *device, const rp_map *map, size_t width, cl_program *program)
{
    const rp_cl_device *state = device->state;
    const rowpool_compiled *sizes = &map->code.compiled;
    char options[512];
    const char *texts[] = {rp_kernel_prelude,
                           rp_kernel_vocabulary,
                           "\n#line 1 \"source\"\n",
                           map->function->source,
                           "\n",
                           rp_kernel_check,
                           map->function->form == ROWPOOL_FOLD ? rp_kernel_fold : rp_kernel_body};
    snprintf(options, sizeof options,
             "-D ROWPOOL_DTYPE=%s -D RP_WIDTH=%zu -D RP_ARGUMENTS_SIZE=%zu -D RP_RESULT_SIZE=%zu "
             "-D RP_MOST_ACCUMULATOR_SIZE=%zu%s",
             map->inputs->dtype->name, width, sizes->arguments_size, sizes->result_size, rp_cl_accumulator_size(map),
             state->exact_divide ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
    cl_int code;
    *program = clCreateProgramWithSource(state->context, sizeof texts / sizeof *texts, texts, NULL, &code);
    return code == CL_SUCCESS ? clBuildProgram(*program, 1, &state->id, options, NULL, NULL) : code;
}

/* EBUILD when the text is at fault; any other failure may be over the next time. */
static rowpool_status build(rp_device *device, const rp_map *map, size_t width, cl_program *program,
                            rowpool_error *error)
{
    struct timespec start = rp_clock_now();
    rp_cl_guard guard;
    rp_cl_guard_enter(&guard);
    *program = NULL;
    cl_int code = compile(device, map, width, program);
    rp_cl_guard_leave(&guard);
    if (code != CL_SUCCESS) {
        bool at_fault = code == CL_BUILD_PROGRAM_FAILURE || code == CL_INVALID_BUILD_OPTIONS;
        rowpool_status status = at_fault ? build_failure(device, *program, map, code, error)
                                         : rp_cl_fail(device, "building a program", code, error);
        if (*program != NULL)
            clReleaseProgram(*program);
        *program = NULL;
        return status;
    }
    rp_trace_span(device->info.index, "build", start, rp_clock_now(), map->name);
    rp_log(RP_LOG_BUILD, "device %s: %s for %s, width %zu, built in %.0f ms", device->info.index, map->name,
           map->inputs->dtype->name, width, 1e3 * rp_clock_seconds(start, rp_clock_now()));
    return ROWPOOL_OK;
}

/* The text decides, not whose it is: a function may be gone, and another one at its place. */
static bool serves(const rp_cl_program *program, const rp_map *map)
{
    const rowpool_compiled *sizes = &map->code.compiled;
    return program->dtype == map->inputs->dtype_id && program->form == map->function->form &&
           program->arguments_size == sizes->arguments_size && program->result_size == sizes->result_size &&
           program->accumulator_size == sizes->accumulator_size && strcmp(program->source, map->function->source) == 0;
}

static rowpool_status no_memory(const rp_device *device, rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
}

/* A new entry for a map: built, or with the reason why it never will be. */
static rowpool_status new_program(rp_device *device, const rp_map *map, size_t width, rp_cl_program **program,
                                  rowpool_error *error)
{
    rp_cl_device *state = device->state;
    const rowpool_compiled *sizes = &map->code.compiled;
    rp_cl_program *entry = calloc(1, sizeof *entry);
    rowpool_error *failure = calloc(1, sizeof *failure);
    char *source = strdup(map->function->source);
    rowpool_status status = entry == NULL || failure == NULL || source == NULL ? no_memory(device, error) : ROWPOOL_OK;
    cl_program built = NULL;
    if (status == ROWPOOL_OK) {
        status = build(device, map, width, &built, failure);
        if (status != ROWPOOL_OK)
            rp_fail(error, status, "%s", failure->message);
    }
    if (status != ROWPOOL_OK && status != ROWPOOL_EBUILD) {
        free(entry);
        free(failure);
        free(source);
        return status;
    }
    *entry = (rp_cl_program){.next = state->programs,
                             .source = source,
                             .form = map->function->form,
                             .dtype = map->inputs->dtype_id,
                             .arguments_size = sizes->arguments_size,
                             .accumulator_size = sizes->accumulator_size,
                             .result_size = sizes->result_size,
                             .width = width,
                             .program = built,
                             .failure = status == ROWPOOL_OK ? NULL : failure};
    if (status == ROWPOOL_OK)
        free(failure);
    state->programs = entry;
    *program = entry;
    return ROWPOOL_OK;
}

bool rp_cl_is_blocky(const rp_device *device, const rp_map *map)
{
    const rp_cl_device *state = device->state;
    const rp_rows *rows = map->inputs;
    return state->long_items && map->function->form == ROWPOOL_FOLD && rows->offsets == NULL &&
           rows->stride == rows->width && rows->width > 0 && rows->width <= RP_CL_MOST_BLOCK_WIDTH;
}

/* Whether a kernel for the rows' own width pays by now. The caller waits for the build: a second, or some 40 ms where
 * the driver has it in its cache. So it is not for who comes once, but who comes back with the same width comes again.
 */
static bool width_pays(rp_cl_program *any, const rp_task *task)
{
    const rp_rows *rows = task->map->inputs;
    size_t *served = &any->served[rows->width];
    *served += rp_chunk_elements(rows, &task->chunk) * rows->dtype->size;
    return *served >= RP_CL_WIDTH_PAYS;
}

/* The program that serves a chunk best: one for its width; else any, as long as another build does not pay. */
static rowpool_status choose_program(rp_device *device, const rp_task *task, rp_cl_program **program,
                                     rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    const rp_map *map = task->map;
    size_t width = rp_cl_is_blocky(device, map) ? map->inputs->width : 0;
    rp_cl_program *any = NULL;
    bool failed = false; /* for this very width: the rest may build without it */
    for (rp_cl_program *entry = state->programs; entry != NULL; entry = entry->next) {
        if (!serves(entry, map))
            continue;
        if (entry->failure != NULL && entry->width > 0) {
            failed |= entry->width == width;
        } else if (entry->width == width || width == 0) {
            *program = entry;
            return ROWPOOL_OK;
        } else {
            any = entry;
        }
    }
    *program = any;
    if (any == NULL)
        return new_program(device, map, 0, program, error);
    if (any->failure != NULL || failed || !width_pays(any, task))
        return ROWPOOL_OK;
    if (new_program(device, map, width, program, NULL) != ROWPOOL_OK || (*program)->failure != NULL)
        *program = any;
    return ROWPOOL_OK;
}

/* Takes the device's lock while it builds: whoever needs the same program waits for it instead of building again. */
static rowpool_status get_program(rp_device *device, const rp_task *task, const rp_cl_program **program,
                                  rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_cl_program *entry = NULL;
    pthread_mutex_lock(&state->lock);
    rowpool_status status = choose_program(device, task, &entry, error);
    pthread_mutex_unlock(&state->lock);
    *program = entry;
    if (status != ROWPOOL_OK)
        return status;
    return entry->failure == NULL ? ROWPOOL_OK : rp_fail(error, entry->failure->status, "%s", entry->failure->message);
}

static bool has_kernel(const rp_cl_program *program, int kernel)
{
    if (program->form == ROWPOOL_BODY || kernel == RP_CL_BODIES)
        return program->form == ROWPOOL_BODY && kernel == RP_CL_BODIES;
    return kernel != RP_CL_BLOCKS || program->width > 0;
}

static rowpool_status create_kernels(rp_device *device, rp_cl_lane *lane, const rp_cl_program *program,
                                     rp_cl_kernels **kernels, rowpool_error *error)
{
    rp_cl_kernels *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return no_memory(device, error);
    fresh->program = program;
    for (int i = 0; i < RP_CL_KERNELS; i++) {
        cl_int code = CL_SUCCESS;
        if (has_kernel(program, i))
            fresh->kernel[i] = clCreateKernel(program->program, kernel_names[i], &code);
        if (code != CL_SUCCESS) {
            while (i-- > 0)
                if (fresh->kernel[i] != NULL)
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
