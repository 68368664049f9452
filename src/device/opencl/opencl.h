/* The OpenCL backend, inside: what its files share. OpenCL 1.2 API only. */
#ifndef RP_BACKEND_OPENCL_H
#define RP_BACKEND_OPENCL_H

#include <CL/cl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "device/device.h"

/* ---- name.c ----------------------------------------------------------------------------------------------------- */

/* "CL_OUT_OF_RESOURCES"; "CL error -9999" for a code that is none of the standard's. */
const char *rp_cl_name(cl_int code);

/* EDEVICE (ENOMEM where memory ran out): "device 0:0 (name): call: CL_..." */
rowpool_status rp_cl_fail(const rp_device *device, const char *call, cl_int code, rowpool_error *error);

/* ---- signals.c -------------------------------------------------------------------------------------------------- */

/* Around any call that may load a driver, start its threads or compile: drivers (LLVM in PoCL) replace signal handlers
 * of the program and would start threads that take its signals. After leave, each handler that a driver's library
 * installed meanwhile is again what it was; one that the application installed meanwhile is kept. */
enum { RP_CL_GUARDED_SIGNALS = 15 };
typedef struct {
    sigset_t mask;
    struct sigaction before[RP_CL_GUARDED_SIGNALS];
} rp_cl_guard;

void rp_cl_guard_enter(rp_cl_guard *guard);
void rp_cl_guard_leave(const rp_cl_guard *guard);

/* The handlers alone, from any thread. */
void rp_cl_guard_restore(const rp_cl_guard *guard);

/* Runs what may take long in a driver, or for ever, between enter and leave, in a thread of its own: the calling thread
 * waits for it, and takes the application's signals meanwhile. */
void rp_cl_apart(void (*run)(void *argument), void *argument);

/* ---- device.c --------------------------------------------------------------------------------------------------- */

/* The kernels of one program; those of a lane are its own, since setting arguments is not thread safe. */
typedef enum { RP_CL_ROWS, RP_CL_SPANS, RP_CL_COMBINE, RP_CL_BLOCKS, RP_CL_BODIES, RP_CL_KERNELS } rp_cl_kernel;

enum {
    RP_CL_LEAST_STACK =
        256 << 10, /* bytes that are left: PoCL's compiler ends the process with 96 KB, and does with 192 */
    RP_CL_MOST_BLOCK_WIDTH = 64, /* elements of the widest row for which rp_row_blocks is built */
    RP_CL_BUILD_PAYS = 8000000,  /* bytes of rows for which a program would have been better, after which it is built */
    RP_CL_MOST_PROGRAMS = 64 /* of a device: a driver needs up to a megabyte for each, and a map looks through them */
};

typedef enum { RP_CL_NOT_BUILT, RP_CL_BUILDING, RP_CL_BUILT, RP_CL_FAILED } rp_cl_program_state;

/* A row function built for a dtype, or to be built. With a width it has one kernel more, for dense rows of that width;
 * the others serve any rows. What stands before `state` never changes; what stands after it changes under the device's
 * lock, but for `program`, which belongs to whoever builds, and once it is built to all. */
typedef struct rp_cl_program {
    struct rp_cl_program *next;
    char *name, *source; /* of the function, which may be gone: owned */
    uint64_t hash;       /* of the text */
    rowpool_form form;
    rowpool_dtype dtype;
    size_t arguments_size, accumulator_size, result_size;
    size_t width; /* 0: none in particular */
    rp_cl_program_state state;
    unsigned ordered;       /* bits of forms that the builder is to run once; if it is not built, to build it before */
    size_t served;          /* bytes of rows for which it would have been better */
    rowpool_error *failure; /* RP_CL_FAILED: why; owned */
    cl_program program;
    atomic_bool launched[RP_CL_KERNELS]; /* a launch is complete: no other takes a compiler's time */
    size_t users;                        /* chunks and builders that use it; it is not dropped while there are any */
    size_t lanes;                        /* lanes that hold its kernels; it is freed after the last */
    bool dropped;                        /* out of the device's list */
} rp_cl_program;

typedef struct rp_cl_kernels {
    struct rp_cl_kernels *next;
    rp_cl_program *program;
    cl_kernel kernel[RP_CL_KERNELS];
    bool launched[RP_CL_KERNELS]; /* the first launch compiles */
} rp_cl_kernels;

/* Device memory that a lane keeps from chunk to chunk. */
typedef struct {
    cl_mem memory;
    size_t size;
} rp_cl_buffer;

/* What one chunk in flight needs: a queue, kernel objects, memory of its own. Used by one chunk at a time. */
typedef struct rp_cl_lane {
    struct rp_cl_lane *next_free, *next;
    cl_command_queue queue;
    rp_cl_kernels *kernels;
    rp_cl_buffer data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], results, carry;
} rp_cl_lane;

typedef struct rp_cl_device {
    cl_device_id id;
    cl_context context;
    bool shared;             /* the device works in the host's memory */
    bool exact_divide;       /* it can round float divisions and square roots correctly */
    bool long_items;         /* few strong units: much work for each item outweighs its start */
    bool widest_first;       /* PoCL: see launch_width */
    size_t group;            /* work items in a group: one size, since PoCL compiles for each anew */
    unsigned vector_bytes;   /* the widest that kernels may use */
    bool build_waits;        /* what is not built is waited for, even where something else would do */
    rp_mutex lock;           /* everything below */
    rp_cl_lane *free, *all;  /* lanes */
    rp_cl_program *programs; /* the one that was last used first */
    size_t n_programs, most_programs;
    pthread_cond_t built; /* one of them is, or is not going to be */
    pthread_t builder;
    bool started, builds; /* the builder is to be joined; it has not come to its end */
    unsigned stops;       /* of those who wait for that: it is to begin nothing more */
} rp_cl_device;

/* Whether the calling thread's stack is large enough for drivers, which compile and run kernels there; if not, what is
 * left of it. */
bool rp_cl_has_stack(size_t *left);

rowpool_status rp_cl_open(rp_device *device, const rp_backend_options *options, rowpool_error *error);
void rp_cl_close(rp_device *device, bool forked);

/* Mesa's llvmpipe: a CPU, but one that silently ends the loops of a work item after 65535 rounds in all. */
bool rp_cl_is_renderer(const rp_device *device);

/* The most bytes that an accumulator may have of a function that says so many. */
size_t rp_cl_accumulator_size(size_t said);

/* A lane of the caller's own until it is given back. Takes and leaves the device's lock. */
rowpool_status rp_cl_lane_take(rp_device *device, rp_cl_lane **lane, rowpool_error *error);
void rp_cl_lane_give(rp_device *device, rp_cl_lane *lane);

/* ---- program.c -------------------------------------------------------------------------------------------------- */

/* Whether a map's rows are such as rp_row_blocks takes. */
bool rp_cl_is_blocky(const rp_device *device, const rp_operation *operation);

/* The lane's kernels for a chunk, built when they are not there yet; their program is in use until rp_cl_program_leave.
 * EBUILD: with the beginning of the build log. What does not build is not tried again. */
rowpool_status rp_cl_kernels_get(rp_device *device, rp_cl_lane *lane, const rp_task *task, rp_cl_kernels **kernels,
                                 rowpool_error *error);

/* The lane's kernels of a program that is built. */
rowpool_status rp_cl_kernels_of(rp_device *device, rp_cl_lane *lane, rp_cl_program *program, rp_cl_kernels **kernels,
                                rowpool_error *error);

void rp_cl_program_leave(rp_device *device, rp_cl_program *program);

/* What nobody uses any more: taken out under the device's lock and released without it, for a release may take long. */
typedef struct {
    rp_cl_kernels *kernels;
    rp_cl_program *programs;
} rp_cl_unused;

/* Takes a lane's kernels off it: all, or those of programs that were dropped. The device's lock is held, or nobody else
 * uses the device. */
void rp_cl_kernels_take(rp_cl_lane *lane, bool all, rp_cl_unused *unused);
void rp_cl_unused_free(rp_cl_unused *unused, bool forked);

/* Gives back a program that no lane has kernels of. */
void rp_cl_program_free(rp_cl_program *program, bool forked);

/* What rp_backend.ready is. */
bool rp_cl_ready(rp_device *device, const rp_operation *operation, size_t bytes);

/* Does the next of what was ordered of the builder. The device's lock is held, and given up meanwhile. False: nothing is
 * left. */
bool rp_cl_build_next(rp_device *device);

/* ---- builder.c -------------------------------------------------------------------------------------------------- */

/* Before a device is closed: what it builds is waited for. */
void rp_cl_builder_end(rp_cl_device *state);

/* Around everything that makes drivers load or, as `built` says, compile: the end of the process waits for it. False: the
 * process or a thread is ending, so nothing is to be built. The device's lock is not held. */
bool rp_cl_build_begin(bool waits);
void rp_cl_build_end(bool built);

/* In a thread that does this for another: where a driver calls exit there, its own build is not waited for. */
void rp_cl_build_adopt(void);

/* Notices it when the calling thread ends, or ends the process; and whether it does: then what a driver has set up may
 * be gone already. */
void rp_cl_watch_thread(void);
bool rp_cl_thread_ends(void);

/* Sees to it that a thread does what is ordered. The device's lock is held. */
rowpool_status rp_cl_builder_start(rp_device *device);

/* ---- probe.c, chunk.c ------------------------------------------------------------------------------------------- */

void rp_cl_probe(bool afresh, void (*found)(void *list, const rp_device *device), void *list);

/* What the drivers said may hold no longer: the next probe asks them. */
void rp_cl_forget(void);

rowpool_status rp_cl_submit(rp_device *device, rp_task *task, rowpool_error *error);
rowpool_status rp_cl_finish(rp_device *device, rp_task *task, rowpool_error *error);

/* The form in which a program does chunks of a map: whole rows, or parts of one. */
rp_cl_kernel rp_cl_form(const rp_device *device, const rp_operation *operation, size_t program_width, bool partial);

/* Runs forms of a program, of which there is a bit each, on no rows: drivers compile at the first launch. */
void rp_cl_rehearse(rp_device *device, rp_cl_program *program, unsigned forms);
void rp_cl_drop(rp_device *device, rp_device_copy *copy);

#endif
