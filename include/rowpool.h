/* rowpool: map a function over the rows of an array on every device of the machine.
 *
 * A pool is a set of workers: OpenCL devices (all CPU cores through PoCL, any GPU) or, where there is none, forked
 * processes. The flagship map is the range count: for each row, how many elements lie in [minimum, maximum].
 *
 *     rowpool *pool;
 *     rowpool_error error;
 *     if (rowpool_open(&pool, NULL, &error)) ...error.message says what to do...
 *     rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 200000, .width = 5};
 *     rowpool_range range = rowpool_range_i64(4, 8);
 *     rowpool_range_count(pool, &rows, &range, 1, counts, &error);
 *     rowpool_close(pool);
 *
 * Errors        A call that can fail returns a rowpool_status and takes a caller-owned rowpool_error last, which may be
 *               NULL. The error is written only when the call fails.
 * Threads       Any number of threads may use one pool and one job. rowpool_close and rowpool_job_release are the last
 *               use of their handle. pthread_cancel during a call, or in a stream's callback, takes effect once the
 *               call returns. OpenCL needs 256 KiB of stack: a thread with less opens pools without OpenCL devices, and
 *               its synchronous calls use other devices; its jobs are not affected. Exit handlers and key destructors
 *               cannot open OpenCL devices.
 * Fork          A handle belongs to the process that made it. In a child of fork, _Fork or clone every call on it
 *               returns ROWPOOL_EFORKED; close and release only free memory.
 * Ownership     Structs (rows, ranges, options) are copied during the call. Arrays (data, offsets, counts) are borrowed
 *               until the call returns or, for the _async forms, the job is done.
 * Handles       NULL may be closed, released and freed: nothing happens.
 * Sizes         64-bit and checked; nothing wraps.
 * Descriptors   rowpool's are closed on exec and never 0, 1 or 2. A driver's may be.
 * Floating      Row functions run in the default floating-point environment: round to nearest, subnormals kept, no
 * point         traps. The caller's environment, exception flags included, is restored afterwards, except x87 flags
 *               that long double raises on x86-64. The callback of rowpool_map_stream runs in the caller's environment.
 *
 * Not promised: results after a failed or cancelled map (nothing is written outside their array); the order in which
 * rows are visited; which device answers.
 */
#ifndef ROWPOOL_H
#define ROWPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The build reads the version from here. */
#define ROWPOOL_VERSION_MAJOR 0
#define ROWPOOL_VERSION_MINOR 2
#define ROWPOOL_VERSION_PATCH 0

#if defined(__GNUC__)
#define ROWPOOL_API __attribute__((visibility("default")))
#define ROWPOOL_CHECKED __attribute__((warn_unused_result))
#else
#define ROWPOOL_API
#define ROWPOOL_CHECKED
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status and errors ------------------------------------------------------------------------------------------ */

/* X(name, meaning) */
#define ROWPOOL_STATUSES(X)                                           \
    X(OK, "success")                                                  \
    X(EINVAL, "an argument, option or environment variable is wrong") \
    X(ENOMEM, "out of memory")                                        \
    X(ENODEVICE, "no such device, or none at all")                    \
    X(EBUILD, "a row function does not compile for a device")         \
    X(EDEVICE, "a device failed")                                     \
    X(EWORKER, "a worker process died on the same rows twice")        \
    X(ECANCELED, "the job was cancelled")                             \
    X(ETIMEDOUT, "the deadline has passed")                           \
    X(EDEADLK, "waiting here would deadlock")                         \
    X(EFORKED, "the handle belongs to the parent of this process")    \
    X(ESYSTEM, "the operating system refused a resource")             \
    X(ENOTREADY, "what was waited for is not done yet")

typedef enum {
#define ROWPOOL_STATUS_ENUM(name, text) ROWPOOL_##name,
    ROWPOOL_STATUSES(ROWPOOL_STATUS_ENUM)
#undef ROWPOOL_STATUS_ENUM
} rowpool_status;

typedef struct {
    rowpool_status status;
    char message[1024]; /* what went wrong and what to do about it: one line */
} rowpool_error;

/* "ROWPOOL_EINVAL" and its meaning; "unknown status" for another value. */
ROWPOOL_API const char *rowpool_status_name(rowpool_status status);
ROWPOOL_API const char *rowpool_status_text(rowpool_status status);

ROWPOOL_API const char *rowpool_version(void); /* of the library in use, "MAJOR.MINOR.PATCH" */

/* An environment variable that the library reads. */
typedef struct {
    const char *name;
    const char *option; /* the member of rowpool_options that it sets where that is zero, or "" */
    const char *meaning;
    const char *value; /* NULL where it is unset, empty or, in a setuid program, ignored */
} rowpool_variable;

/* The i-th variable; false past the last. value belongs to the environment. */
ROWPOOL_API bool rowpool_variable_at(size_t i, rowpool_variable *variable);

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* float16 is IEEE 754 binary16, stored in two bytes; it needs no support from compiler or device. */
typedef enum {
    ROWPOOL_INT8,
    ROWPOOL_INT16,
    ROWPOOL_INT32,
    ROWPOOL_INT64,
    ROWPOOL_UINT8,
    ROWPOOL_UINT16,
    ROWPOOL_UINT32,
    ROWPOOL_UINT64,
    ROWPOOL_FLOAT16,
    ROWPOOL_FLOAT32,
    ROWPOOL_FLOAT64
} rowpool_dtype;

/* "int8" ... "float64", and the bytes of one element; NULL and 0 for another value. */
ROWPOOL_API const char *rowpool_dtype_name(rowpool_dtype dtype);
ROWPOOL_API size_t rowpool_dtype_size(rowpool_dtype dtype);

/* An array of rows, borrowed.
 *
 *   dense     row i is data[i * width] ... data[i * width + width - 1]
 *   strided   row i begins at data[i * stride]; what lies between rows is never used
 *   ragged    row i is data[offsets[i]] ... data[offsets[i + 1] - 1]. Offsets are non-negative and non-decreasing; both
 *             are checked, and the first wrong one is named. width may be the number of elements in data: then an
 *             offset past it is refused. stride is 0.
 *
 * data is aligned to its element type; it may be NULL when there is no element at all. */
typedef struct {
    const void *data;
    rowpool_dtype dtype;
    size_t count;           /* rows */
    size_t width;           /* elements of each row */
    size_t stride;          /* elements from one row's beginning to the next, >= width; 0 = width */
    const int64_t *offsets; /* NULL, or count + 1 offsets in elements: ragged */
} rowpool_rows;

/* ---- Ranges ----------------------------------------------------------------------------------------------------- */

/* An exact number. It is compared with elements exactly, whatever their type: on int8, 3.5 acts as 4 for lo and as 3
 * for hi; 300 lies above every uint8; 2^53 + 1 on int64 is itself; the double 0.1 on float32 is the real number that
 * the double holds. A NaN is refused with EINVAL; infinities are ordinary bounds. */
typedef enum { ROWPOOL_NUMBER_I64, ROWPOOL_NUMBER_U64, ROWPOOL_NUMBER_F64 } rowpool_number_kind;
typedef struct {
    rowpool_number_kind kind;
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
    } value;
} rowpool_number;

/* Which ends belong to the range. */
typedef enum {
    ROWPOOL_CLOSED_BOTH,   /* lo <= x <= hi */
    ROWPOOL_CLOSED_LEFT,   /* lo <= x <  hi */
    ROWPOOL_CLOSED_RIGHT,  /* lo <  x <= hi */
    ROWPOOL_CLOSED_NEITHER /* lo <  x <  hi */
} rowpool_closed;

/* lo > hi is an empty range, not an error. A NaN element lies in no range; -0.0 equals +0.0. The kinds may differ. */
typedef struct {
    rowpool_number lo, hi;
    rowpool_closed closed;
} rowpool_range;

/* Ranges closed on both sides; set .closed for the others. */
ROWPOOL_API rowpool_range rowpool_range_i64(int64_t lo, int64_t hi);
ROWPOOL_API rowpool_range rowpool_range_u64(uint64_t lo, uint64_t hi);
ROWPOOL_API rowpool_range rowpool_range_f64(double lo, double hi);

/* ---- The pool --------------------------------------------------------------------------------------------------- */

typedef struct rowpool rowpool;         /* a pool of workers: devices, or processes */
typedef struct rowpool_job rowpool_job; /* an asynchronous map */

/* Whether OpenCL runs in helper processes. A driver may end the process that uses it, or never return: PoCL aborts when
 * memory, descriptors, threads or disk run out, where its cache cannot be executed or is damaged, without a linker, and
 * beside another LLVM. A helper that ends is started again; when it ends twice in a row, other devices do its rows, or
 * in the end the calling thread if that is allowed. The program `rowpool` always isolates. */
typedef enum { ROWPOOL_ISOLATE_NEVER, ROWPOOL_ISOLATE_ALWAYS } rowpool_isolate;

/* Zero members other than size have their defaults: {.size = sizeof options, .device = "cpu"}. An environment variable
 * is used where its member is zero. A setuid program ignores the variables, but the OpenCL loader and drivers do not:
 * OCL_ICD_VENDORS names a library that is loaded. In a setuid program auto has no OpenCL; name an OpenCL device only
 * where the environment is trusted. */
typedef struct {
    size_t size; /* sizeof(rowpool_options) */

    /* ROWPOOL_DEVICE. A comma-separated list of:
     *   auto         the default: the OpenCL devices, no core or chip twice; where there is none, processes; where
     *                none can be started, the calling thread. Small maps run in the calling thread
     *   cpu, gpu, accelerator   the OpenCL devices of that type, no core or chip twice
     *   all          every OpenCL device, even where they share cores
     *   P:D          device D of OpenCL platform P, as `rowpool devices` prints them
     *   isolated     a helper process for each device that auto would take, or that ROWPOOL_ISOLATED_DEVICE names.
     *                When a driver ends it, it is started again. It reads this process's memory, as fork's workers
     *                do; the system must allow that. A helper that reports no device within 30 seconds is killed.
     *                ROWPOOL_HELPER names the program. The environment must not change while the pool is in use
     *   fork         worker processes
     *   host         the calling thread (for asynchronous jobs, the pool's own thread)
     * Devices that are named get every map, however small. Rows that they fail on are still done by the calling thread;
     * ROWPOOL_LOG and rowpool_devices show it. */
    const char *device;

    /* ROWPOOL_WORKERS. Worker processes, max 1024; 0 = rowpool_cpu_count(). */
    size_t workers;

    /* Runs first in each worker process, with init_argument as it was in the process that opened the pool (Python's
     * initializer). A result other than 0 ends the worker, as its exit status. OpenCL devices do not use it. */
    int (*init)(void *argument);
    void *init_argument;

    /* ROWPOOL_CHUNK_BYTES. Max bytes of data that a device gets at once, at least one element; 0 = the device's choice.
     * Cancel and progress act between chunks. For rowpool_data it is at least 1/4096 of the data. */
    size_t chunk_bytes;

    /* ROWPOOL_STRICT (any value). A device that fails ends the map with its error. Otherwise it is excluded for the
     * rest of the map, and others, in the end the calling thread, do its rows. Either way chunks shrink where memory
     * runs out, and workers that die are replaced. */
    bool strict;

    /* ROWPOOL_ISOLATE: "never" or "always". On if either the option or the variable says always: no driver is loaded
     * into this process; auto, cpu, gpu, accelerator, all and P:D then name devices of helper processes. */
    rowpool_isolate isolate;
} rowpool_options;

/* Opens a pool. options NULL: the defaults. *pool is NULL after a failure. ROWPOOL_CPU ("baseline", "avx2", "avx512")
 * chooses the form of the built-in functions for the calling thread and workers; default: the best that the CPU has.
 * EINVAL: an option or variable is wrong. ENODEVICE: no device of that name; the message lists those there are. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_open(rowpool **pool, const rowpool_options *options,
                                                        rowpool_error *error);

/* Ends every call and job of the pool with ECANCELED: worker processes are killed, OpenCL devices finish the chunks
 * that they have. Does not wait. The pool stays usable; its workers are replaced. A function that never ends can be
 * stopped on fork and isolated only: at once by this; by a cancel, a deadline or the end of a stream after about a
 * second, ten while a driver may compile. Elsewhere a running chunk cannot be stopped, and rowpool_close waits for
 * it. */
ROWPOOL_API rowpool_status rowpool_terminate(rowpool *pool, rowpool_error *error);

/* Waits for every job and call in flight, then closes. In a callback of this pool, or nested in one, it only prints a
 * message on standard error. */
ROWPOOL_API void rowpool_close(rowpool *pool);

typedef enum {
    ROWPOOL_DEVICE_CPU,
    ROWPOOL_DEVICE_GPU,
    ROWPOOL_DEVICE_ACCELERATOR,
    ROWPOOL_DEVICE_OTHER, /* an OpenCL device of unknown type, or a platform that could not be queried */
    ROWPOOL_DEVICE_FORK,
    ROWPOOL_DEVICE_HOST,
    ROWPOOL_DEVICE_ISOLATED
} rowpool_device_type;

/* A device, whether the pool uses it or not. Strings are terminated, and cut where too long. */
typedef struct {
    char index[16];     /* "0:1", "fork", "host", "isolated"; "2" is a platform that could not be used */
    char name[128];     /* as the driver gives it */
    char platform[128]; /* the OpenCL platform, or "" */
    char driver[64];    /* driver version, or "" */
    char reason[256];   /* why it is used, or why not */
    rowpool_device_type type;
    bool in_use;             /* chosen by this pool */
    bool fp64, fp16;         /* native; every dtype works on every device */
    bool shared_memory;      /* works in the host's memory: nothing is copied */
    uint32_t units;          /* compute units, cores or processes */
    uint64_t memory;         /* bytes, according to the driver */
    uint64_t largest_buffer; /* bytes; larger arrays are cut into chunks */
    uint64_t rows;           /* answered for this pool; a split row counts with its last part */
    uint64_t chunks;         /* completed for this pool */
    uint64_t failures;       /* chunks failed for this pool */
    uint64_t reserved[8];
} rowpool_device;

/* Writes at most `capacity` of all devices found, those in use first, and their number to *count. pool NULL: what
 * rowpool_open would find now for "auto". */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_devices(rowpool *pool, rowpool_device *devices, size_t capacity,
                                                           size_t *count, rowpool_error *error);

ROWPOOL_API size_t rowpool_cpu_count(void); /* that this process may use, by affinity mask and cgroup quota; >= 1 */

/* Memory that all workers reach without a copy: zeroed, page-aligned, tied to no pool. Not to be freed while a map uses
 * it. A forked child shares it until the parent frees it for both. NULL with the error set: out of memory. Without
 * memfd_create it is ordinary memory, which workers copy. */
ROWPOOL_API void *rowpool_alloc(size_t bytes, rowpool_error *error);
ROWPOOL_API void rowpool_free(void *memory);

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* counts[i * n_ranges + k] = how many elements of row i lie in ranges[k]; one pass over the data for all ranges. ranges
 * NULL with n_ranges 0 means [4, 8]. The uint32 form refuses a row of more than 2^32 - 1 elements. EINVAL: an argument
 * is wrong (the message names it), or memory cannot be read. A map without rows succeeds. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count(rowpool *pool, const rowpool_rows *rows,
                                                               const rowpool_range *ranges, size_t n_ranges,
                                                               uint32_t *counts, rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count_u64(rowpool *pool, const rowpool_rows *rows,
                                                                   const rowpool_range *ranges, size_t n_ranges,
                                                                   uint64_t *counts, rowpool_error *error);

#include "rowpool/row_function.h"

/* A row function over all rows of one or several arrays. All zero but size is the default. */
typedef struct {
    size_t size; /* sizeof(rowpool_call) */
    const rowpool_function *function;
    const rowpool_rows *inputs;  /* arrays of equally many rows */
    size_t n_inputs;             /* 0 = 1 */
    const void *arguments;       /* argument structs, each of which gives a result for each row; NULL: one, all zero */
    size_t arguments_size;       /* bytes of all of them */
    const rowpool_range *ranges; /* for functions that take ranges, instead of arguments; NULL: one, [4, 8] */
    size_t n_ranges;
    void *results;       /* results[row * K + k] for the k-th of K argument structs or ranges */
    size_t results_size; /* bytes there: at least rows x K results */
    size_t chunk_rows;   /* max rows that a device gets at once (Python's chunksize); 0 = no limit but bytes */
    int timeout_ms;      /* > 0: ETIMEDOUT at the first chunk boundary after it; rowpool_job_timeout changes it */

    /* Lets a function that is not built-in run on the calling thread (asynchronous: the pool's own) when no device of
     * the pool can, when they fail, or when the map is small. OpenCL CPU devices run it in this process in any case. */
    bool allow_host;

    /* The index that functions and messages give to the first row, for rows that are part of a larger array. A stream's
     * callback and a job's progress count from 0. Programs compiled before this member pass a smaller size. */
    size_t first_row;
} rowpool_call;

/* Maps. EBUILD: the function does not compile for a device; the message has the beginning of the log. ENODEVICE: no
 * device of the pool can run it, since it has no OpenCL text or no C form. EWORKER: a row killed its worker process
 * twice. All other rows are answered, unless hundreds kill: the message says how many have no result. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map(rowpool *pool, const rowpool_call *call, rowpool_error *error);

/* counts[i * (n_edges - 1) + k] = how many elements of row i lie in [edges[k], edges[k + 1]); the last bin includes its
 * upper edge. At least two edges, non-decreasing. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_histogram(rowpool *pool, const rowpool_rows *rows,
                                                             const rowpool_number *edges, size_t n_edges,
                                                             uint32_t *counts, rowpool_error *error);

/* Takes the results of rows [row, row + rows), valid until it returns. Not 0: the stream ends with ECANCELED. */
typedef int rowpool_each(size_t row, size_t rows, const void *results, void *payload);

/* Row 0 first (Python's imap), or as chunks complete (imap_unordered). */
typedef enum { ROWPOOL_IN_ORDER, ROWPOOL_ANY_ORDER } rowpool_order;

/* Maps, and passes each chunk's results to a callback in the calling thread, each row once. call.results is not used.
 * However slow the callback, at most a few chunks for each worker wait for it. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map_stream(rowpool *pool, const rowpool_call *call,
                                                              rowpool_order order, rowpool_each *each, void *payload,
                                                              rowpool_error *error);

/* Computes result_size bytes from a copy of the argument. */
typedef void rowpool_apply_function(const void *argument, size_t argument_size, void *result, size_t result_size);

/* Runs function at most once, in a worker process; a pool without worker processes starts some. EWORKER: the worker
 * died in it; with the signal or exit status. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_apply(rowpool *pool, rowpool_apply_function *function,
                                                         const void *argument, size_t argument_size, void *result,
                                                         size_t result_size, rowpool_error *error);

/* ---- Data that stays -------------------------------------------------------------------------------------------- */

/* Rows that are mapped many times. The first map that needs a part of them on a device leaves a copy there. Every later
 * call on the pool with an input equal to rowpool_data_rows uses the copies. Each part is on one device; the devices'
 * shares of the first maps decide which. Devices that work in the host's memory need no copies; worker processes and
 * isolated devices keep none (see rowpool_alloc). Copies take up to 3/4 of a device's memory. Rows beyond that, and
 * rows that are too long for one part and cannot be split, are uploaded by each map again. */
typedef struct rowpool_data rowpool_data;

/* data and offsets are borrowed until rowpool_data_close, and longer while a map uses them. They must not change
 * meanwhile: copies are not updated. Copies nothing yet. EINVAL: the rows are wrong (the message names the member). */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_data_open(rowpool_data **data, rowpool *pool,
                                                             const rowpool_rows *rows, rowpool_error *error);

/* Rows as given, valid as long as the handle; NULL for NULL. */
ROWPOOL_API const rowpool_rows *rowpool_data_rows(const rowpool_data *data);

/* Frees the copies, now or with the last map that uses them. The handle may outlive its pool. */
ROWPOOL_API void rowpool_data_close(rowpool_data *data);

/* ---- Asynchronous jobs ------------------------------------------------------------------------------------------ */

/* Called exactly once for each job, on the pool's dispatcher thread, when the job is done: its status can be read. It
 * may submit jobs. It must be short, since no other job of the pool completes meanwhile. It must not close the pool;
 * waiting for an unfinished job of the same pool gives EDEADLK. error is NULL when status is ROWPOOL_OK. job is NULL
 * where the caller asked for no handle; it is valid in the callback even if the handle was released before. */
typedef void rowpool_done(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload);

/* The calls above, without waiting. done may be NULL. job may be NULL: done still runs. When the call itself fails
 * there is no job, and done is not called. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count_async(rowpool *pool, const rowpool_rows *rows,
                                                                     const rowpool_range *ranges, size_t n_ranges,
                                                                     uint32_t *counts, rowpool_done *done,
                                                                     void *payload, rowpool_job **job,
                                                                     rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count_u64_async(rowpool *pool, const rowpool_rows *rows,
                                                                         const rowpool_range *ranges, size_t n_ranges,
                                                                         uint64_t *counts, rowpool_done *done,
                                                                         void *payload, rowpool_job **job,
                                                                         rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map_async(rowpool *pool, const rowpool_call *call,
                                                             rowpool_done *done, void *payload, rowpool_job **job,
                                                             rowpool_error *error);

/* each runs on the dispatcher thread, as done does, and with the same payload. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map_stream_async(rowpool *pool, const rowpool_call *call,
                                                                    rowpool_order order, rowpool_each *each,
                                                                    rowpool_done *done, void *payload,
                                                                    rowpool_job **job, rowpool_error *error);

/* argument is copied; result is borrowed. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_apply_async(rowpool *pool, rowpool_apply_function *function,
                                                               const void *argument, size_t argument_size, void *result,
                                                               size_t result_size, rowpool_done *done, void *payload,
                                                               rowpool_job **job, rowpool_error *error);

/* The status and error of a job that is done; wait waits for that, poll does not. timeout_ms < 0: for ever. ENOTREADY:
 * it is not done yet. ETIMEDOUT: the job ended at its own deadline. EDEADLK: in a callback of the same pool. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_job_wait(rowpool_job *job, int timeout_ms, rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_job_poll(rowpool_job *job, rowpool_error *error);

/* Asks the job to stop: it ends with ECANCELED at the next chunk boundary, or normally if its last chunk is in flight.
 * Does not wait. Chunks that never end: see rowpool_terminate. */
ROWPOOL_API rowpool_status rowpool_job_cancel(rowpool_job *job, rowpool_error *error);

/* Replaces the job's deadline: timeout_ms from now; 0: the next chunk boundary; < 0: none. The job then ends as if
 * cancelled, but with ETIMEDOUT. A job that has not begun ends when its turn comes; one that is done stays as it is. */
ROWPOOL_API rowpool_status rowpool_job_timeout(rowpool_job *job, int timeout_ms, rowpool_error *error);

/* Rows answered so far, and all rows; either may be NULL. */
ROWPOOL_API rowpool_status rowpool_job_progress(rowpool_job *job, size_t *rows_done, size_t *rows,
                                                rowpool_error *error);

/* A descriptor that is readable once the job is done, for poll; closed with the job. -1 with the error set: there is
 * none. */
ROWPOOL_API int rowpool_job_descriptor(rowpool_job *job, rowpool_error *error);

/* Gives the handle back. An unfinished job goes on without it. A job may outlive its pool. */
ROWPOOL_API void rowpool_job_release(rowpool_job *job);

#include "rowpool/process.h"

#ifdef __cplusplus
}
#endif

#endif
