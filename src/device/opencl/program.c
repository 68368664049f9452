/* Building: prelude + vocabulary + row function + traversal, for one dtype. */
#include "device/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/source.h"
#include "base/trace.h"
#include "core/kernels.h"

static const char *const kernel_names[RP_CL_KERNELS] = {
    [RP_CL_ROWS] = "rp_rows",         [RP_CL_SPANS] = "rp_spans",   [RP_CL_COMBINE] = "rp_combine_spans",
    [RP_CL_BLOCKS] = "rp_row_blocks", [RP_CL_BODIES] = "rp_bodies",
};

/* ---- The compiler ----------------------------------------------------------------------------------------------- */

/* EBUILD with the beginning of the compiler's log, where the first error stands; the log has all of it. */
static rowpool_status build_failure(const rp_device *device, const rp_cl_program *entry, cl_int code,
                                    rowpool_error *error)
{
    const rp_cl_device *state = device->state;
    size_t size = 0;
    clGetProgramBuildInfo(entry->program, state->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = calloc(1, size + 1);
    if (log != NULL) {
        clGetProgramBuildInfo(entry->program, state->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
        rp_source_unescape(log);
    }
    rp_fail(error, ROWPOOL_EBUILD, "device %s (%s): %s does not build: %s: %.700s", device->info.index,
            device->info.name, entry->name, rp_cl_name(code), log != NULL ? log : "");
    rp_log(RP_LOG_BUILD, "device %s: %s: %s", device->info.index, entry->name, log != NULL ? log : "");
    free(log);
    return ROWPOOL_EBUILD;
}

typedef struct {
    const rp_device *device;
    rp_cl_program *entry;
    cl_int code;
} build_call;

static void compile(void *argument)
{
    build_call *call = argument;
    rp_cl_program *entry = call->entry;
    const rp_cl_device *state = call->device->state;
    char options[512];
    const char *texts[] = {rp_kernel_prelude,
                           rp_kernel_vocabulary,
                           "\n#line 1 \"source\"\n",
                           entry->source,
                           "\n",
                           rp_kernel_check,
                           entry->form == ROWPOOL_FOLD ? rp_kernel_fold : rp_kernel_body};
    snprintf(options, sizeof options,
             "-D ROWPOOL_DTYPE=%s -D RP_WIDTH=%zu -D RP_ARGUMENTS_SIZE=%zu -D RP_RESULT_SIZE=%zu "
             "-D RP_MOST_ACCUMULATOR_SIZE=%zu -D RP_MOST_VECTOR=%u%s",
             rp_dtype_of(entry->dtype)->name, entry->width, entry->arguments_size, entry->result_size,
             rp_cl_accumulator_size(entry->accumulator_size), state->vector_bytes,
             state->exact_divide ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
    entry->program = clCreateProgramWithSource(state->context, sizeof texts / sizeof *texts, texts, NULL, &call->code);
    if (call->code == CL_SUCCESS)
        call->code = clBuildProgram(entry->program, 1, &state->id, options, NULL, NULL);
}

static rowpool_status build(const rp_device *device, rp_cl_program *entry, rowpool_error *error)
{
    struct timespec start = rp_clock_now();
    build_call call = {.device = device, .entry = entry};
    rp_cl_apart(compile, &call);
    const cl_int code = call.code;
    if (code != CL_SUCCESS) {
        bool at_fault = code == CL_BUILD_PROGRAM_FAILURE || code == CL_INVALID_BUILD_OPTIONS;
        rowpool_status status = at_fault ? build_failure(device, entry, code, error)
                                         : rp_cl_fail(device, "building a program", code, error);
        if (entry->program != NULL)
            clReleaseProgram(entry->program);
        entry->program = NULL;
        return status;
    }
    rp_trace_span(device->info.index, "build", start, rp_clock_now(), entry->name);
    rp_log(RP_LOG_BUILD, "device %s: %s for %s, width %zu, built in %.0f ms", device->info.index, entry->name,
           rp_dtype_of(entry->dtype)->name, entry->width, 1e3 * rp_clock_seconds(start, rp_clock_now()));
    return ROWPOOL_OK;
}

/* ---- The programs of a device: under its lock -------------------------------------------------------------------- */

/* What programs are looked up by. */
typedef struct {
    const rp_operation *operation;
    size_t width; /* 0: none in particular */
} wanted;

/* The text decides, not whose it is: a function may be gone, and another one at its place. */
static bool serves(const rp_cl_program *program, const wanted *what)
{
    const rp_operation *operation = what->operation;
    const rowpool_compiled *sizes = &operation->code.compiled;
    return program->hash == operation->text_hash && program->dtype == operation->inputs->dtype_id &&
           program->form == operation->function->form && program->arguments_size == sizes->arguments_size &&
           program->result_size == sizes->result_size && program->accumulator_size == sizes->accumulator_size &&
           strcmp(program->source, operation->function->source) == 0;
}

bool rp_cl_is_blocky(const rp_device *device, const rp_operation *operation)
{
    const rp_cl_device *state = device->state;
    const rp_rows *rows = operation->inputs;
    return state->long_items && operation->function->form == ROWPOOL_FOLD && rows->offsets == NULL &&
           rows->stride == rows->width && rows->width > 0 && rows->width <= RP_CL_MOST_BLOCK_WIDTH;
}

/* The program that would be best for a map. */
static wanted best_for(const rp_device *device, const rp_operation *operation)
{
    return (wanted){operation, rp_cl_is_blocky(device, operation) ? operation->inputs->width : 0};
}

/* The programs that serve a map, each NULL where there is none. */
typedef struct {
    rp_cl_program *best;  /* the one for its width, built or not */
    rp_cl_program *other; /* one for another width, or for none, that is built */
    rp_cl_program *plain; /* the one for no width, built or not */
    bool coming;          /* a thread builds one that will do */
} choice;

static choice find(const rp_cl_device *state, const wanted *what)
{
    const size_t width = what->width;
    choice found = {0};
    for (rp_cl_program *entry = state->programs; entry != NULL; entry = entry->next) {
        if (!serves(entry, what))
            continue;
        if (entry->width == width)
            found.best = entry;
        else if (entry->state == RP_CL_BUILT)
            found.other = entry;
        if (entry->width == 0)
            found.plain = entry;
        found.coming |= entry->state == RP_CL_BUILDING && (entry->width == width || entry->width == 0);
    }
    return found;
}

static rowpool_status no_memory(const rp_device *device, rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_ENOMEM, "device %s: out of memory", device->info.index);
}

static rowpool_status add_entry(rp_device *device, const wanted *what, size_t width, rp_cl_program **entry,
                                rowpool_error *error)
{
    rp_cl_device *state = device->state;
    const rp_operation *operation = what->operation;
    const rowpool_compiled *sizes = &operation->code.compiled;
    char *name = strdup(operation->name), *source = strdup(operation->function->source);
    rp_cl_program *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL || name == NULL || source == NULL) {
        free(fresh);
        free(name);
        free(source);
        return no_memory(device, error);
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
    *entry = fresh;
    return ROWPOOL_OK;
}

void rp_cl_program_free(rp_cl_program *program, bool forked)
{
    if (!forked && program->program != NULL)
        clReleaseProgram(program->program);
    free(program->failure);
    free(program->name);
    free(program->source);
    free(program);
}

static void put_aside(rp_cl_unused *unused, rp_cl_program *program)
{
    program->next = unused->programs;
    unused->programs = program;
}

void rp_cl_kernels_take(rp_cl_lane *lane, bool all, rp_cl_unused *unused)
{
    rp_cl_kernels **link = &lane->kernels;
    while (*link != NULL) {
        rp_cl_kernels *kernels = *link;
        rp_cl_program *program = kernels->program;
        if (!all && !program->dropped) {
            link = &kernels->next;
            continue;
        }
        *link = kernels->next;
        kernels->next = unused->kernels;
        unused->kernels = kernels;
        if (--program->lanes == 0 && program->dropped)
            put_aside(unused, program);
    }
}

void rp_cl_unused_free(rp_cl_unused *unused, bool forked)
{
    while (unused->kernels != NULL) {
        rp_cl_kernels *kernels = unused->kernels;
        unused->kernels = kernels->next;
        for (int i = 0; !forked && i < RP_CL_KERNELS; i++)
            if (kernels->kernel[i] != NULL)
                clReleaseKernel(kernels->kernel[i]);
        free(kernels);
    }
    while (unused->programs != NULL) {
        rp_cl_program *program = unused->programs;
        unused->programs = program->next;
        rp_cl_program_free(program, forked);
    }
}

/* Lanes that are at work give its kernels back afterwards. */
static void drop_program(rp_cl_device *state, rp_cl_program **link, rp_cl_unused *unused)
{
    rp_cl_program *program = *link;
    *link = program->next;
    state->n_programs--;
    if (program->lanes == 0) {
        put_aside(unused, program);
        return;
    }
    program->dropped = true;
    for (rp_cl_lane *lane = state->free; lane != NULL; lane = lane->next_free)
        rp_cl_kernels_take(lane, false, unused);
}

/* Whoever makes functions as it runs would fill the device with them: those that were used longest ago go. */
static void drop_oldest(rp_cl_device *state, rp_cl_unused *unused)
{
    while (state->n_programs > state->most_programs) {
        rp_cl_program **oldest = NULL;
        for (rp_cl_program **link = &state->programs; *link != NULL; link = &(*link)->next)
            if ((*link)->users == 0 && (*link)->ordered == 0 && (*link)->state != RP_CL_BUILDING)
                oldest = link;
        if (oldest == NULL)
            return;
        drop_program(state, oldest, unused);
    }
}

/* A chunk begins to use a program: it is the last one to go. */
static void use(rp_cl_device *state, rp_cl_program *program)
{
    rp_cl_program **link = &state->programs;
    while (*link != program)
        link = &(*link)->next;
    *link = program->next;
    program->next = state->programs;
    state->programs = program;
    program->users++;
}

void rp_cl_program_leave(rp_device *device, rp_cl_program *program)
{
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    program->users--;
    rp_unlock(&state->lock);
}

static rowpool_status build_before_end(rp_device *device, rp_cl_program *entry, unsigned forms, bool waits,
                                       rowpool_error *error)
{
    if (!rp_cl_build_begin(waits))
        return rp_fail(error, ROWPOOL_EDEVICE, "device %s: %s was not built: the process, or a thread of it, is ending",
                       device->info.index, entry->name);
    rowpool_status status = build(device, entry, error);
    if (status == ROWPOOL_OK)
        rp_cl_rehearse(device, entry, forms);
    rp_cl_build_end(true);
    return status;
}

/* Builds an entry at which nobody else is, and gives up the lock meanwhile; forms: bits of those that it also runs once,
 * for drivers compile each at its first launch. What the text is to blame for is noted in the entry, and is no failure
 * here; another one may be over the next time, and leaves the entry as it was. */
static rowpool_status build_entry(rp_device *device, rp_cl_program *entry, unsigned forms, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rowpool_error *why = malloc(sizeof *why);
    if (why == NULL)
        return no_memory(device, error);
    entry->state = RP_CL_BUILDING;
    rp_unlock(&state->lock);
    rowpool_status status = build_before_end(device, entry, forms, error != NULL, why);
    rp_lock(&state->lock);
    pthread_cond_broadcast(&state->built);
    entry->served = 0;
    if (status == ROWPOOL_EBUILD) {
        entry->state = RP_CL_FAILED;
        entry->failure = why;
        return ROWPOOL_OK;
    }
    entry->state = status == ROWPOOL_OK ? RP_CL_BUILT : RP_CL_NOT_BUILT;
    if (status != ROWPOOL_OK)
        rp_fail(error, status, "%s", why->message);
    free(why);
    return status;
}

/* ---- In the background ------------------------------------------------------------------------------------------- */

/* Whether a program is worth its build by now, when rows of so many bytes came for which it would have been better. So
 * it is not for who comes once, but who comes back with the same width comes again. */
static bool pays(rp_cl_program *entry, size_t bytes)
{
    entry->served += bytes;
    return entry->served >= RP_CL_BUILD_PAYS;
}

/* Has the builder build an entry, unless it is, and run one of its forms once. */
static void order(rp_device *device, rp_cl_program *entry, rp_cl_kernel form)
{
    entry->served = 0;
    entry->ordered |= 1U << form;
    if (rp_cl_builder_start(device) != ROWPOOL_OK)
        entry->ordered = 0; /* it will pay again */
}

bool rp_cl_build_next(rp_device *device)
{
    rp_cl_device *state = device->state;
    rp_cl_program *entry = state->programs;
    while (entry != NULL && (entry->ordered == 0 || entry->state == RP_CL_BUILDING))
        entry = entry->next;
    if (entry == NULL)
        return false;
    unsigned forms = entry->ordered;
    entry->ordered = 0;
    if (entry->state == RP_CL_NOT_BUILT) {
        build_entry(device, entry, forms, NULL);
    } else if (entry->state == RP_CL_BUILT) {
        entry->users++;
        rp_unlock(&state->lock);
        if (rp_cl_build_begin(false)) {
            rp_cl_rehearse(device, entry, forms);
            rp_cl_build_end(true);
        }
        rp_lock(&state->lock);
        entry->users--;
    }
    return true;
}

bool rp_cl_ready(rp_device *device, const rp_operation *operation, size_t bytes)
{
    rp_cl_device *state = device->state;
    bool ready = true;
    if (state->build_waits)
        return true;
    const wanted best = best_for(device, operation);
    rp_cl_unused unused = {0};
    rp_lock(&state->lock);
    choice found = find(state, &best);
    rp_cl_program *entry = found.best;
    if (entry == NULL || (entry->state != RP_CL_BUILT && found.other != NULL))
        entry = found.other;
    bool failed = found.plain != NULL && found.plain->state == RP_CL_FAILED; /* which is for submit to say */
    if (!failed && (entry != NULL || add_entry(device, &best, best.width, &entry, NULL) == ROWPOOL_OK)) {
        rp_cl_kernel form = rp_cl_form(device, operation, entry->width, false);
        ready = entry->state == RP_CL_FAILED || (entry->state == RP_CL_BUILT && atomic_load(&entry->launched[form]));
        if (!ready && pays(entry, bytes) && entry->state != RP_CL_BUILDING)
            order(device, entry, form);
        drop_oldest(state, &unused);
    }
    rp_unlock(&state->lock);
    rp_cl_unused_free(&unused, false);
    return ready;
}

/* ---- For a chunk ------------------------------------------------------------------------------------------------- */

/* Another program serves; the best one is to be built once that pays. */
static void note_other(rp_device *device, const rp_task *task, const wanted *what, rp_cl_program *best)
{
    rp_cl_device *state = device->state;
    const rp_rows *rows = task->operation->inputs;
    if (best == NULL && add_entry(device, what, what->width, &best, NULL) != ROWPOOL_OK)
        return;
    bool worth = pays(best, rp_chunk_elements(rows, &task->chunk) * rows->dtype->size);
    if (best->state != RP_CL_NOT_BUILT || !worth)
        return;
    if (state->build_waits)
        build_entry(device, best, 0, NULL);
    else
        order(device, best, rp_cl_form(device, task->operation, what->width, false));
}

/* The program that serves a chunk best, of those that are built; where none is, the one for no width, which is built
 * now: whoever needs it meanwhile waits instead of building it again. One that does not build is as good as built. */
static rowpool_status choose_program(rp_device *device, const rp_task *task, rp_cl_program **program,
                                     rowpool_error *error)
{
    rp_cl_device *state = device->state;
    const wanted best = best_for(device, task->operation);
    for (bool noted = false;;) {
        choice found = find(state, &best);
        if (found.best != NULL && found.best->state == RP_CL_BUILT) {
            *program = found.best;
            return ROWPOOL_OK;
        }
        if (found.other != NULL) {
            *program = found.other;
            if (best.width == 0 || noted)
                return ROWPOOL_OK;
            note_other(device, task, &best, found.best);
            noted = true;
        } else if (found.plain != NULL && found.plain->state == RP_CL_FAILED) {
            *program = found.plain;
            return ROWPOOL_OK;
        } else if (found.coming) {
            rp_wait(&state->built, &state->lock);
        } else {
            if (found.plain == NULL)
                RP_TRY(add_entry(device, &best, 0, &found.plain, error));
            RP_TRY(build_entry(device, found.plain, 0, error));
        }
    }
}

static rowpool_status get_program(rp_device *device, const rp_task *task, rp_cl_program **program, rowpool_error *error)
{
    rp_cl_device *state = device->state;
    rp_cl_unused unused = {0};
    rp_lock(&state->lock);
    rowpool_status status = choose_program(device, task, program, error);
    const rowpool_error *failure = status == ROWPOOL_OK ? (*program)->failure : NULL;
    if (failure != NULL)
        status = rp_fail(error, failure->status, "%s", failure->message);
    if (status == ROWPOOL_OK)
        use(state, *program);
    drop_oldest(state, &unused);
    rp_unlock(&state->lock);
    rp_cl_unused_free(&unused, false);
    return status;
}

/* ---- Kernels ----------------------------------------------------------------------------------------------------- */

static bool has_kernel(const rp_cl_program *program, int kernel)
{
    if (program->form == ROWPOOL_BODY || kernel == RP_CL_BODIES)
        return program->form == ROWPOOL_BODY && kernel == RP_CL_BODIES;
    return kernel != RP_CL_BLOCKS || program->width > 0;
}

static rowpool_status create_kernels(rp_device *device, rp_cl_lane *lane, rp_cl_program *program,
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
    rp_cl_device *state = device->state;
    rp_lock(&state->lock);
    program->lanes++;
    rp_unlock(&state->lock);
    fresh->next = lane->kernels;
    lane->kernels = fresh;
    *kernels = fresh;
    return ROWPOOL_OK;
}

rowpool_status rp_cl_kernels_of(rp_device *device, rp_cl_lane *lane, rp_cl_program *program, rp_cl_kernels **kernels,
                                rowpool_error *error)
{
    for (*kernels = lane->kernels; *kernels != NULL; *kernels = (*kernels)->next)
        if ((*kernels)->program == program)
            return ROWPOOL_OK;
    return create_kernels(device, lane, program, kernels, error);
}

rowpool_status rp_cl_kernels_get(rp_device *device, rp_cl_lane *lane, const rp_task *task, rp_cl_kernels **kernels,
                                 rowpool_error *error)
{
    rp_cl_program *program;
    RP_TRY(get_program(device, task, &program, error));
    rowpool_status status = rp_cl_kernels_of(device, lane, program, kernels, error);
    if (status != ROWPOOL_OK)
        rp_cl_program_leave(device, program);
    return status;
}
