/* The programs of a device: which one serves a map, and when one for the width of its rows is worth a build.
 *
 * A function has one program for each dtype that serves rows of any width. It may have others, each best for one width;
 * they serve all rows too. */
#include "device/opencl/opencl.h"

#include <stdlib.h>
#include <string.h>

/* ---- The list: the device's lock is held ------------------------------------------------------------------------- */

/* Compares the text, not the function's address: another function may be there by now. */
static bool is_for(const rp_cl_program *program, const rp_operation *operation)
{
    const rowpool_compiled *sizes = &operation->code.compiled;
    return program->hash == operation->text_hash && program->dtype == operation->inputs->dtype_id &&
           program->form == operation->function->form && program->arguments_size == sizes->arguments_size &&
           program->result_size == sizes->result_size && program->accumulator_size == sizes->accumulator_size &&
           strcmp(program->source, operation->function->source) == 0;
}

/* The programs of a map's function and dtype; NULL where there is none. */
typedef struct {
    rp_cl_program *best;  /* for the width of the rows, built or not */
    rp_cl_program *other; /* for another width or any, and built */
    rp_cl_program *plain; /* for any width, built or not */
    bool coming;          /* a thread builds `best` or `plain` */
} candidates;

static candidates find_programs(const rp_cl_device *state, const rp_operation *operation, size_t width)
{
    candidates found = {0};
    for (rp_cl_program *program = state->programs; program != NULL; program = program->next) {
        if (!is_for(program, operation))
            continue;
        if (program->width == width)
            found.best = program;
        else if (program->state == RP_CL_BUILT)
            found.other = program;
        if (program->width == 0)
            found.plain = program;
        found.coming |= program->state == RP_CL_BUILDING && (program->width == width || program->width == 0);
    }
    return found;
}

static rowpool_status add_program(rp_device *device, const rp_operation *operation, size_t width,
                                  rp_cl_program **program, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    const rowpool_compiled *sizes = &operation->code.compiled;
    char *name = strdup(operation->name), *source = strdup(operation->function->source);
    rp_cl_program *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || name == NULL || source == NULL) {
        free(fresh);
        free(name);
        free(source);
        return rp_cl_no_memory(device, error);
    }
    *fresh = (rp_cl_program){.next = state->programs,
                             .name = name,
                             .source = source,
                             .hash = operation->text_hash,
                             .form = operation->function->form,
                             .dtype = operation->inputs->dtype_id,
                             .arguments_size = sizes->arguments_size,
                             .accumulator_size = sizes->accumulator_size,
                             .result_size = sizes->result_size,
                             .width = width};
    state->programs = fresh;
    state->n_programs++;
    *program = fresh;
    return ROWPOOL_OK;
}

/* Drops the least recently used programs, in case an application keeps making new functions. Returns them, to be freed
 * without the lock. */
static rp_cl_program *drop_oldest(rp_cl_device *state)
{
    rp_cl_program *dropped = NULL;
    while (state->n_programs > state->max_programs) {
        rp_cl_program **oldest = NULL;
        for (rp_cl_program **link = &state->programs; *link != NULL; link = &(*link)->next)
            if ((*link)->users == 0 && (*link)->ordered == 0 && (*link)->state != RP_CL_BUILDING)
                oldest = link;
        if (oldest == NULL)
            break;
        rp_cl_program *program = *oldest;
        *oldest = program->next;
        program->next = dropped;
        dropped = program;
        state->n_programs--;
    }
    return dropped;
}

/* ---- What is worth a build --------------------------------------------------------------------------------------- */

/* Whether a program is worth its build, now that others served `bytes` of rows in its place. A width that is used once
 * never reaches the threshold. */
static bool pays(rp_cl_program *program, size_t bytes)
{
    program->served += bytes;
    return program->served >= RP_CL_BUILD_PAYS;
}

bool rp_cl_ready(rp_device *device, const rp_operation *operation, size_t bytes)
{
    rp_cl_device *state = device->state;
    bool ready = true;
    if (state->build_waits)
        return true;
    const size_t width = rp_cl_best_width(device, operation);
    rp_lock(&state->lock);
    const candidates found = find_programs(state, operation, width);
    rp_cl_program *program = found.best;
    if (program == NULL || (program->state != RP_CL_BUILT && found.other != NULL))
        program = found.other;
    const bool failed = found.plain != NULL && found.plain->state == RP_CL_FAILED; /* submit reports why */
    if (!failed && (program != NULL || add_program(device, operation, width, &program, NULL) == ROWPOOL_OK)) {
        rp_cl_kernel form = rp_cl_form_of(device, operation, program->width, false);
        ready = program->state == RP_CL_FAILED ||
                (program->state == RP_CL_BUILT && atomic_load(&program->launched[form]));
        if (!ready && pays(program, bytes) && program->state != RP_CL_BUILDING)
            rp_cl_order(device, program, form);
    }
    rp_cl_program *dropped = state->n_programs > state->max_programs ? drop_oldest(state) : NULL;
    rp_unlock(&state->lock);
    if (dropped != NULL)
        rp_cl_programs_free(dropped, false);
    return ready;
}

/* Records that a chunk is served by another program than the one for its width; builds that one once it pays. */
static void note_better(rp_device *device, const rp_task *task, size_t width, rp_cl_program *better)
{
    rp_cl_device *state = device->state;
    const rp_rows *rows = task->operation->inputs;
    if (better == NULL && add_program(device, task->operation, width, &better, NULL) != ROWPOOL_OK)
        return;
    const bool worth = pays(better, rp_chunk_elements(rows, &task->chunk) * rows->dtype->size);
    if (better->state != RP_CL_NOT_BUILT || !worth)
        return;
    if (state->build_waits)
        rp_cl_build(device, better, 0, NULL);
    else
        rp_cl_order(device, better, rp_cl_form_of(device, task->operation, width, false));
}

/* ---- For a task -------------------------------------------------------------------------------------------------- */

/* The best built program for a chunk. If none is built, the one for any width is built now, and others that need it
 * wait. A program whose build failed is returned, too: the chunk fails with its error. */
static rowpool_status choose_program(rp_device *device, const rp_task *task, rp_cl_program **program,
                                     rowpool_error *error)
{
    rp_cl_device *state = device->state;
    const rp_operation *operation = task->operation;
    const size_t width = rp_cl_best_width(device, operation);
    for (bool noted = false;;) {
        candidates found = find_programs(state, operation, width);
        if (found.best != NULL && found.best->state == RP_CL_BUILT) {
            *program = found.best;
            return ROWPOOL_OK;
        }
        if (found.other != NULL) {
            *program = found.other;
            if (width == 0 || noted)
                return ROWPOOL_OK;
            note_better(device, task, width, found.best);
            noted = true; /* a build releases the lock: look again */
        } else if (found.plain != NULL && found.plain->state == RP_CL_FAILED) {
            *program = found.plain;
            return ROWPOOL_OK;
        } else if (found.coming) {
            rp_wait(&state->built, &state->lock);
        } else {
            if (found.plain == NULL)
                RP_TRY(add_program(device, operation, 0, &found.plain, error));
            RP_TRY(rp_cl_build(device, found.plain, 0, error));
        }
    }
}

/* Marks a program as in use, and as the last to be dropped. */
static void use_first(rp_cl_device *state, rp_cl_program *program)
{
    rp_cl_program **link = &state->programs;
    while (*link != program)
        link = &(*link)->next;
    *link = program->next;
    program->next = state->programs;
    state->programs = program;
    program->users++;
}

/* ---- Kernels ----------------------------------------------------------------------------------------------------- */

static void free_kernels(rp_cl_kernels *kernels, bool forked)
{
    for (size_t i = 0; !forked && i < RP_CL_KERNELS; i++)
        if (kernels->kernel[i] != NULL)
            clReleaseKernel(kernels->kernel[i]);
    free(kernels);
}

static rowpool_status create_kernels(rp_device *device, rp_cl_program *program, rp_cl_kernels **kernels,
                                     rowpool_error *error)
{
    rp_cl_kernels *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_cl_no_memory(device, error);
    fresh->program = program;
    for (rp_cl_kernel i = 0; i < RP_CL_KERNELS; i++) {
        const char *name = rp_cl_kernel_name(program, i);
        cl_int code = CL_SUCCESS;
        if (name != NULL)
            fresh->kernel[i] = clCreateKernel(program->program, name, &code);
        if (code != CL_SUCCESS) {
            free_kernels(fresh, false);
            return rp_cl_check(device, NULL, "clCreateKernel", code, error);
        }
    }
    *kernels = fresh;
    return ROWPOOL_OK;
}

/* Takes idle kernels of a program in use, or creates some; after a failure the program is no longer in use. The
 * device's lock is held, and released. */
static rowpool_status take_kernels(rp_device *device, rp_cl_program *program, rp_cl_kernels **kernels,
                                   rowpool_error *error)
{
    rp_cl_device *state = device->state;
    *kernels = program->idle;
    if (*kernels != NULL)
        program->idle = (*kernels)->next;
    rp_unlock(&state->lock);
    if (*kernels != NULL)
        return ROWPOOL_OK;
    rowpool_status status = create_kernels(device, program, kernels, error);
    if (status != ROWPOOL_OK) {
        rp_lock(&state->lock);
        program->users--;
        rp_unlock(&state->lock);
    }
    return status;
}

rowpool_status rp_cl_kernels_of(rp_device *device, rp_cl_program *program, rp_cl_kernels **kernels,
                                rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    program->users++;
    return take_kernels(device, program, kernels, error);
}

rowpool_status rp_cl_kernels_for(rp_device *device, const rp_task *task, rp_cl_kernels **kernels, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_cl_program *program = NULL;
    rp_lock(&state->lock);
    rowpool_status status = choose_program(device, task, &program, error);
    if (status == ROWPOOL_OK && program->failure != NULL)
        status = rp_fail(error, program->failure->status, "%s", program->failure->message);
    if (status == ROWPOOL_OK)
        use_first(state, program);
    rp_cl_program *dropped = state->n_programs > state->max_programs ? drop_oldest(state) : NULL;
    if (status == ROWPOOL_OK)
        status = take_kernels(device, program, kernels, error);
    else
        rp_unlock(&state->lock);
    if (dropped != NULL)
        rp_cl_programs_free(dropped, false);
    return status;
}

void rp_cl_kernels_give(rp_device *device, rp_cl_kernels *kernels)
{
    rp_cl_device *state = device->state;
    rp_cl_program *program = kernels->program;
    rp_lock(&state->lock);
    kernels->next = program->idle;
    program->idle = kernels;
    program->users--;
    rp_unlock(&state->lock);
}

void rp_cl_programs_free(rp_cl_program *programs, bool forked)
{
    while (programs != NULL) {
        rp_cl_program *program = programs;
        programs = program->next;
        while (program->idle != NULL) {
            rp_cl_kernels *kernels = program->idle;
            program->idle = kernels->next;
            free_kernels(kernels, forked);
        }
        if (!forked && program->program != NULL)
            clReleaseProgram(program->program);
        free(program->failure);
        free(program->name);
        free(program->source);
        free(program);
    }
}
