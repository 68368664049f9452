/* Building: from a row function's text to a program for one dtype; in the calling thread, or in the builder, a thread
 * that runs while builds are ordered. */
#include "device/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/source.h"
#include "base/thread.h"
#include "base/trace.h"
#include "core/kernels.h"

/* ---- The compiler ----------------------------------------------------------------------------------------------- */

typedef struct {
    const rp_device *device;
    rp_cl_program *program;
    cl_int code;
} compile_call;

static void compile(void *argument)
{
    compile_call *call = argument;
    rp_cl_program *program = call->program;
    const rp_cl_device *state = call->device->state;
    char options[512];
    const char *texts[] = {rp_kernel_prelude,
                           rp_kernel_vocabulary,
                           "\n#line 1 \"source\"\n",
                           program->source,
                           "\n",
                           rp_kernel_check,
                           program->form == ROWPOOL_FOLD ? rp_kernel_fold : rp_kernel_body};
    snprintf(options, sizeof options,
             "-D ROWPOOL_DTYPE=%s -D RP_WIDTH=%zu -D RP_ARGUMENTS_SIZE=%zu -D RP_RESULT_SIZE=%zu "
             "-D RP_MOST_ACCUMULATOR_SIZE=%zu %s",
             rp_dtype_of(program->dtype)->name, program->width, program->arguments_size, program->result_size,
             rp_cl_accumulator_size(program->accumulator_size), state->build_options);
    program->program = clCreateProgramWithSource(state->context, sizeof texts / sizeof *texts, texts, NULL,
                                                 &call->code);
    if (call->code == CL_SUCCESS)
        call->code = clBuildProgram(program->program, 1, &state->id, options, NULL, NULL);
}

/* EBUILD with the beginning of the compiler's log, which has the first error; ROWPOOL_LOG=build shows all of it. */
static rowpool_status fail_build(const rp_device *device, const rp_cl_program *program, cl_int code,
                                 rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    size_t size = 0;
    clGetProgramBuildInfo(program->program, state->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(1, size + 1);
    if (log != NULL) {
        clGetProgramBuildInfo(program->program, state->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
        rp_source_unescape(log);
    }
    const char *text = log != NULL ? log : "";
    rp_cl_fail(device, NULL, ROWPOOL_EBUILD, error, "%s does not build: %s: %.700s", program->name, rp_cl_name(code),
               text);
    rp_log(RP_LOG_BUILD, "device %s: %s: %s", device->info.index, program->name, text);
    free(log);
    return ROWPOOL_EBUILD;
}

static rowpool_status build_program(const rp_device *device, rp_cl_program *program, rowpool_error *error)
{
    struct timespec start = rp_clock_now();
    compile_call call = {.device = device, .program = program};
    rp_cl_apart(compile, &call);
    if (call.code != CL_SUCCESS) {
        const bool text_fails = call.code == CL_BUILD_PROGRAM_FAILURE || call.code == CL_INVALID_BUILD_OPTIONS;
        rowpool_status status = text_fails ? fail_build(device, program, call.code, error)
                                           : rp_cl_check(device, NULL, "building a program", call.code, error);
        if (program->program != NULL)
            clReleaseProgram(program->program);
        program->program = NULL;
        return status;
    }
    rp_trace_span(device->info.index, "build", start, rp_clock_now(), program->name);
    rp_log(RP_LOG_BUILD, "device %s: %s for %s, width %zu, built in %.0f ms", device->info.index, program->name,
           rp_dtype_of(program->dtype)->name, program->width, 1e3 * rp_clock_seconds(start, rp_clock_now()));
    return ROWPOOL_OK;
}

static rowpool_status build_and_warm_up(rp_device *device, rp_cl_program *program, unsigned forms, bool waits,
                                        rowpool_error *error)
{
    if (!rp_cl_build_begin(waits))
        return rp_cl_fail(device, NULL, ROWPOOL_EDEVICE, error,
                          "%s was not built: the process, or a thread of it, is ending", program->name);
    rowpool_status status = build_program(device, program, error);
    if (status == ROWPOOL_OK)
        rp_cl_warm_up(device, program, forms);
    rp_cl_build_end(true);
    return status;
}

rowpool_status rp_cl_build(rp_device *device, rp_cl_program *program, unsigned forms, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rowpool_error *why = malloc(sizeof *why);
    if (why == NULL)
        return rp_cl_no_memory(device, error);
    program->state = RP_CL_BUILDING;
    rp_unlock(&state->lock);
    rowpool_status status = build_and_warm_up(device, program, forms, error != NULL, why);
    rp_lock(&state->lock);
    pthread_cond_broadcast(&state->built);
    program->served = 0;
    if (status == ROWPOOL_EBUILD) {
        program->state = RP_CL_FAILED;
        program->failure = why;
        return ROWPOOL_OK;
    }
    program->state = status == ROWPOOL_OK ? RP_CL_BUILT : RP_CL_NOT_BUILT;
    if (status != ROWPOOL_OK)
        rp_fail(error, status, "%s", why->message);
    free(why);
    return status;
}

/* ---- The builder ------------------------------------------------------------------------------------------------- */

/* Does the next build or warm-up that is ordered. The device's lock is held, but released meanwhile. False: nothing is
 * ordered. */
static bool build_next(rp_device *device)
{
    rp_cl_device *state = device->state;
    rp_cl_program *program = state->programs;
    while (program != NULL && (program->ordered == 0 || program->state == RP_CL_BUILDING))
        program = program->next;
    if (program == NULL)
        return false;
    const unsigned forms = program->ordered;
    program->ordered = 0;
    if (program->state == RP_CL_NOT_BUILT) {
        rp_cl_build(device, program, forms, NULL);
    } else if (program->state == RP_CL_BUILT) {
        program->users++;
        rp_unlock(&state->lock);
        if (rp_cl_build_begin(false)) {
            rp_cl_warm_up(device, program, forms);
            rp_cl_build_end(true);
        }
        rp_lock(&state->lock);
        program->users--;
    }
    return true;
}

static void *run_builder(void *argument)
{
    rp_device *device = argument;
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    while (state->builder_state == RP_CL_BUILDER_RUNS && build_next(device))
        ;
    state->builder_state = RP_CL_BUILDER_ENDED;
    pthread_cond_broadcast(&state->built);
    rp_unlock(&state->lock);
    return NULL;
}

/* Joins a builder that has ended: it no longer needs the lock, which is held here. */
static void join_builder(rp_cl_device *state)
{
    if (state->builder_state == RP_CL_BUILDER_ENDED)
        pthread_join(state->builder, NULL);
    state->builder_state = RP_CL_NO_BUILDER;
}

void rp_cl_order(rp_device *device, rp_cl_program *program, rp_cl_kernel form)
{
    rp_cl_device *state = device->state;
    program->served = 0;
    program->ordered |= 1U << form;
    rp_cl_watch_thread();
    if (state->builder_state == RP_CL_BUILDER_RUNS)
        return;
    join_builder(state);
    if (rp_thread_start(&state->builder, "rowpool-build", run_builder, device, NULL) == ROWPOOL_OK)
        state->builder_state = RP_CL_BUILDER_RUNS;
    else
        program->ordered = 0; /* no thread: ordered again when it next reaches the threshold */
}

void rp_cl_builder_end(rp_cl_device *state)
{
    rp_lock(&state->lock);
    if (state->builder_state == RP_CL_BUILDER_RUNS)
        state->builder_state = RP_CL_BUILDER_STOPS;
    while (state->builder_state == RP_CL_BUILDER_STOPS)
        rp_wait(&state->built, &state->lock);
    join_builder(state);
    rp_unlock(&state->lock);
}
