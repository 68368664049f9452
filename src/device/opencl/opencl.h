/* The OpenCL backend, inside: what its files share. OpenCL 1.2 API only.
 *
 *   probe.c     which devices there are
 *   device.c    a device in use: its context, and the slots that tasks run in
 *   program.c   which program serves a map, and when one for the width of its rows is worth a build
 *   build.c     from a text to a program and its kernels; builds in the background
 *   form.c      which form of kernel serves a chunk, and how it is launched
 *   memory.c    a task's arguments, inputs and results
 *   task.c      a task from submit to finish
 *   error.c     errors that name the device, the rows, the call and its code
 *   signals.c   signal handlers and masks around calls into drivers
 *   exit.c      no build runs while the process ends
 *
 * A kernel for another kind of device is a row of the table in form.c with a function that launches it; memory of
 * another kind is a case of place_input in memory.c. */
#ifndef RP_BACKEND_OPENCL_H
#define RP_BACKEND_OPENCL_H

#include <CL/cl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "device/device.h"

enum {
    RP_CL_MIN_STACK = 256 << 10, /* bytes left: PoCL's compiler ends the process with 192 KiB */
    RP_CL_MAX_BLOCK_WIDTH = 64,  /* elements of the widest row that RP_CL_BLOCKS serves */
    RP_CL_BUILD_PAYS = 8000000,  /* bytes of rows after which the program that serves them better is built */
    RP_CL_MAX_PROGRAMS = 64      /* of a device: a driver takes up to a megabyte for each, and lookup is linear */
};

/* ---- signals.c -------------------------------------------------------------------------------------------------- */

/* Around any call that may load a driver, start its threads or compile: drivers (LLVM in PoCL) replace signal handlers
 * of the program and would start threads that take its signals. leave restores each handler that a driver's library
 * replaced meanwhile; one that the application installed meanwhile is kept. */
enum { RP_CL_GUARDED_SIGNALS = 15 };
typedef struct {
    sigset_t mask;
    struct sigaction before[RP_CL_GUARDED_SIGNALS];
} rp_cl_guard;

void rp_cl_guard_enter(rp_cl_guard *guard);
void rp_cl_guard_leave(const rp_cl_guard *guard);

/* The handlers alone, from any thread. */
void rp_cl_guard_restore(const rp_cl_guard *guard);

/* Runs a call that may take long in a driver, or for ever, in a guarded thread of its own. The calling thread waits for
 * it, and takes the application's signals meanwhile. */
void rp_cl_apart(void (*run)(void *argument), void *argument);

/* ---- Kernels and programs --------------------------------------------------------------------------------------- */

/* The forms of kernel that a chunk can run in, and the kernel that completes RP_CL_SPANS. */
typedef enum {
    RP_CL_BODIES,                /* free bodies: items take whole rows of several inputs */
    RP_CL_BLOCKS,                /* folds of short dense rows whose width is compiled in */
    RP_CL_ROWS,                  /* folds of rows of one width: items take whole rows */
    RP_CL_SPANS,                 /* folds of any rows, and of parts of one: items take equal spans of elements */
    RP_CL_FORMS,                 /* how many forms there are */
    RP_CL_COMBINE = RP_CL_FORMS, /* combines the accumulators that the spans of a row leave */
    RP_CL_KERNELS                /* how many kernels there are */
} rp_cl_kernel;

typedef enum {
    RP_CL_NOT_BUILT,
    RP_CL_BUILDING, /* one thread builds it, without the lock */
    RP_CL_BUILT,
    RP_CL_FAILED /* the text does not build: it is not tried again */
} rp_cl_program_state;

struct rp_cl_program;

/* One task's kernel objects of a program: setting arguments is not thread safe. */
typedef struct rp_cl_kernels {
    struct rp_cl_kernels *next;
    struct rp_cl_program *program;
    cl_kernel kernel[RP_CL_KERNELS]; /* NULL where the program does not have it */
    bool launched[RP_CL_KERNELS];    /* the first launch may compile */
} rp_cl_kernels;

/* A row function for a dtype, built or to be built. With a width it also has RP_CL_BLOCKS, for dense rows of that
 * width; its other kernels serve any rows. The members before `state` never change; those after it change under the
 * device's lock. */
typedef struct rp_cl_program {
    char *name, *source; /* copies: the function may be gone */
    uint64_t hash;       /* of the text */
    rowpool_form form;
    rowpool_dtype dtype;
    size_t arguments_size, accumulator_size, result_size;
    size_t width; /* 0: for rows of any width */

    rp_cl_program_state state;
    struct rp_cl_program *next;
    unsigned ordered;                    /* bits of forms that the builder is to warm up, after a build where needed */
    size_t served;                       /* bytes of rows that other programs served in its place */
    rowpool_error *failure;              /* RP_CL_FAILED: why; owned */
    cl_program program;                  /* only the building thread uses it until it is built */
    atomic_bool launched[RP_CL_KERNELS]; /* a launch is complete: later ones do not compile */
    size_t users;                        /* tasks and warm-ups that use it: it is not dropped meanwhile */
    rp_cl_kernels *idle;                 /* kernels that no task uses */
} rp_cl_program;

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

/* What kernels are written for. Bits, so that a form can serve several. */
typedef enum {
    RP_CL_CPU = 1,      /* few strong units: items are long, to outweigh their start */
    RP_CL_RENDERER = 2, /* Mesa's llvmpipe: a CPU that silently ends the loops of an item after 65535 rounds in all */
    RP_CL_GPU = 4,      /* GPUs and accelerators: many units, short items */
    RP_CL_ANY = RP_CL_CPU | RP_CL_RENDERER | RP_CL_GPU
} rp_cl_kind;

/* Device memory that is kept from task to task. */
typedef struct {
    cl_mem memory;
    size_t size;
} rp_cl_buffer;

/* An input's rows on a device with memory of its own: of a partition that stays there, or of the task of a slot.
 * Strided rows lie without the gaps between them. */
struct rp_device_copy {
    rp_cl_buffer data, offsets;
};

/* A place in the queue depth: a command queue and buffers. Used by one task at a time. */
typedef struct rp_cl_slot {
    struct rp_cl_slot *next_free, *next;
    cl_command_queue queue;
    rp_device_copy input[ROWPOOL_MOST_INPUTS];
    rp_cl_buffer results;
    rp_cl_buffer carry; /* what spans leave for RP_CL_COMBINE */
} rp_cl_slot;

/* The thread that builds in the background. */
typedef enum {
    RP_CL_NO_BUILDER,
    RP_CL_BUILDER_RUNS,
    RP_CL_BUILDER_STOPS, /* it must begin nothing more: the device is being closed */
    RP_CL_BUILDER_ENDED  /* to be joined */
} rp_cl_builder_state;

typedef struct {
    cl_device_id id;
    cl_context context;
    rp_cl_kind kind;
    bool widest_first;       /* PoCL: see launch_width */
    bool build_waits;        /* tasks wait for a build that pays, even where another program would do */
    size_t group;            /* work items in a group: one size, since PoCL compiles for each size */
    char build_options[128]; /* those of the device: vectors, exactness */
    rp_mutex lock;           /* everything below */
    rp_cl_slot *free, *all;
    rp_cl_program *programs; /* the last used first */
    size_t n_programs, max_programs;
    pthread_cond_t built; /* a build has ended, or the builder */
    pthread_t builder;
    rp_cl_builder_state builder_state;
} rp_cl_device;

/* The kind of a device that probe has described. */
rp_cl_kind rp_cl_kind_of(const rp_device *device);

/* Whether the calling thread's stack is large enough for drivers, which compile and run kernels there; *left: its bytes
 * left. */
bool rp_cl_has_stack(size_t *left);

/* A slot of the caller's own until it is given back. Takes and releases the device's lock. */
rowpool_status rp_cl_slot_take(rp_device *device, rp_cl_slot **slot, rowpool_error *error);
void rp_cl_slot_give(rp_device *device, rp_cl_slot *slot);

void rp_cl_probe(bool afresh, void (*found)(void *list, const rp_device *device), void *list);

/* The next probe asks the drivers again. */
void rp_cl_forget(void);

/* ---- Tasks ------------------------------------------------------------------------------------------------------ */

/* One input as kernels see it. */
typedef struct {
    cl_mem data, offsets;  /* the task's arguments stand in for an array that does not exist, and is not read */
    cl_ulong first;        /* the index in `data` of the chunk's first element */
    cl_ulong first_offset; /* the index in `offsets` of the chunk's first */
    cl_ulong stride;       /* of the rows in `data`, in elements */
    cl_int ragged;         /* `offsets` exists */
    rp_device_copy *made;  /* a copy that this task makes */
} rp_cl_input;

/* Who frees a task with a callback when its submit fails: the callback or submit, whichever comes later. */
typedef enum {
    RP_CL_SILENT,    /* there is no callback */
    RP_CL_LISTENING, /* the callback may come */
    RP_CL_CALLED,    /* it came */
    RP_CL_ABANDONED, /* submit has failed, and gives back what the task holds */
    RP_CL_RELEASED   /* it has done so: the callback frees the task */
} rp_cl_completion;

enum {
    RP_CL_MAX_EVENTS = 2 * ROWPOOL_MOST_INPUTS + 2, /* uploads, two kernels */
    RP_CL_MAX_OWN = 2 * ROWPOOL_MOST_INPUTS + 2     /* data and offsets, arguments, results */
};

/* The OpenCL part of a task. */
typedef struct {
    rp_device *device;
    const rp_cl_device *state; /* the device's */
    rp_task *owner;            /* not used once the task is abandoned */
    const rp_operation *operation;
    const rp_chunk *chunk;
    rowpool_error *error; /* where the failures of submit, or of finish, go */
    rp_cl_slot *slot;
    rp_cl_kernels *kernels;
    rp_cl_input input[ROWPOOL_MOST_INPUTS];
    cl_mem arguments, results;
    size_t result_bytes;
    cl_ulong rows, columns, columns_per_item; /* of a launch */
    cl_mem own[RP_CL_MAX_OWN];                /* released with the task */
    size_t n_own;
    cl_event events[RP_CL_MAX_EVENTS]; /* of all commands before the read, whose status need not show that one failed */
    const char *what[RP_CL_MAX_EVENTS];
    size_t n_events;
    cl_event read;
    cl_int read_status;
    _Atomic rp_cl_completion completion;
    rp_cl_guard guard;     /* of a first launch: the driver may compile after submit has left it */
    struct timespec begin; /* for the trace: the host's clock before the first command */
} rp_cl_task;

rowpool_status rp_cl_submit(rp_device *device, rp_task *task, rowpool_error *error);
rowpool_status rp_cl_finish(rp_device *device, rp_task *task, rowpool_error *error);

/* Runs forms of a program, one bit each, on zero rows: drivers compile at the first launch. */
void rp_cl_warm_up(rp_device *device, rp_cl_program *program, unsigned forms);

/* Where to put the event of the next command; `what` is for the trace. */
cl_event *rp_cl_next_event(rp_cl_task *task, const char *what);

/* ---- memory.c --------------------------------------------------------------------------------------------------- */

/* Brings the arguments to the device: alone for a warm-up, with rows and results for a chunk. */
rowpool_status rp_cl_place_arguments(rp_cl_task *task);
rowpool_status rp_cl_place(rp_cl_task *task);

/* Grows a buffer to at least `bytes`. What it held is lost. */
rowpool_status rp_cl_reserve(const rp_cl_task *task, rp_cl_buffer *buffer, size_t bytes);
void rp_cl_release_buffer(rp_cl_buffer *buffer);

void rp_cl_drop(rp_device *device, rp_device_copy *copy);

/* ---- form.c ----------------------------------------------------------------------------------------------------- */

/* The form in which a program for that width runs chunks of a map: of whole rows, or parts of one. */
rp_cl_kernel rp_cl_form_of(const rp_device *device, const rp_operation *operation, size_t width, bool partial);

/* The width for which the best program for a map is built; 0: for none in particular. */
size_t rp_cl_best_width(const rp_device *device, const rp_operation *operation);

/* The name of a kernel that a program has; NULL: it has none of that form. */
const char *rp_cl_kernel_name(const rp_cl_program *program, rp_cl_kernel kernel);

/* Enqueues the kernels of a form. */
rowpool_status rp_cl_launch(rp_cl_task *task, rp_cl_kernel form);

/* Whether these kernel objects ran in that form before. */
bool rp_cl_is_warm(const rp_cl_kernels *kernels, rp_cl_kernel form);

/* Notes that all launches of these kernel objects are complete. */
void rp_cl_note_launches(const rp_cl_kernels *kernels);

/* The max bytes of an accumulator: as a function says, or a default where it says 0. */
size_t rp_cl_accumulator_size(size_t said);

/* ---- program.c -------------------------------------------------------------------------------------------------- */

/* Kernels for a task, built first where they have to be; their program is in use until they are given back. EBUILD:
 * with the beginning of the build log. */
rowpool_status rp_cl_kernels_for(rp_device *device, const rp_task *task, rp_cl_kernels **kernels, rowpool_error *error);

/* Kernels of a program that is built. Takes and releases the device's lock. */
rowpool_status rp_cl_kernels_of(rp_device *device, rp_cl_program *program, rp_cl_kernels **kernels,
                                rowpool_error *error);
void rp_cl_kernels_give(rp_device *device, rp_cl_kernels *kernels);

/* rp_backend.ready. */
bool rp_cl_ready(rp_device *device, const rp_operation *operation, size_t bytes);

/* Frees a list of programs. A release may take long: the device's lock is not held. */
void rp_cl_programs_free(rp_cl_program *programs, bool forked);

/* ---- build.c ---------------------------------------------------------------------------------------------------- */

/* Builds a program that nobody is building, then warms up some of its forms. The device's lock is held, but released
 * meanwhile. An error in the text is recorded in the program, and is no failure here; after any other failure the
 * program counts as not built. error NULL: fails at once where the process is ending. */
rowpool_status rp_cl_build(rp_device *device, rp_cl_program *program, unsigned forms, rowpool_error *error);

/* Has the builder build a program, unless it is built, and warm up one of its forms. The device's lock is held. */
void rp_cl_order(rp_device *device, rp_cl_program *program, rp_cl_kernel form);

/* Waits for the builder, before a device is closed. */
void rp_cl_builder_end(rp_cl_device *state);

/* ---- error.c ---------------------------------------------------------------------------------------------------- */

/* "CL_OUT_OF_RESOURCES"; "OpenCL error -9999" for an unknown code. */
const char *rp_cl_name(cl_int code);

/* "device 0:0 (name), rows 5 to 9: ..."; without rows where task is NULL. Returns status. */
rowpool_status rp_cl_fail(const rp_device *device, const rp_task *task, rowpool_status status, rowpool_error *error,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ROWPOOL_OK for CL_SUCCESS; else EDEVICE, or ENOMEM where memory ran out: "...: call: CL_...". */
rowpool_status rp_cl_check(const rp_device *device, const rp_task *task, const char *call, cl_int code,
                           rowpool_error *error);
rowpool_status rp_cl_task_check(const rp_cl_task *task, const char *call, cl_int code);

rowpool_status rp_cl_no_memory(const rp_device *device, rowpool_error *error);

/* ---- exit.c ----------------------------------------------------------------------------------------------------- */

/* Around everything that makes a driver load or compile (`built`): the end of the process waits for it. False: the
 * process or a thread is ending, so nothing may be built; with `waits`, only after a wait. The device's lock is not
 * held. */
bool rp_cl_build_begin(bool waits);
void rp_cl_build_end(bool built);

/* Called in a thread that builds on behalf of another: if a driver calls exit in it, that exit does not wait for this
 * build. */
void rp_cl_build_adopt(void);

/* Notices when the calling thread ends, or ends the process. */
void rp_cl_watch_thread(void);

/* Whether the calling thread is ending: what a driver has set up for it may be gone. */
bool rp_cl_thread_ends(void);

#endif
