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
 * Errors        Every call that can fail returns a rowpool_status and takes a caller-owned rowpool_error last; NULL is
 *               legal there. The error is written only when the call fails.
 * Threads       Any number of threads may use one pool and one job at the same time. Only rowpool_close and
 *               rowpool_job_release must be the last use of their handle.
 *               A thread that is cancelled (pthread_cancel) during one of these calls, a stream's callback included,
 *               ends when the call has returned. A thread with less than 256 KB of stack left cannot use OpenCL in this
 *               process: pools that it opens have no OpenCL device, and its synchronous calls use other devices. Jobs
 *               that it submits are not affected. Exit handlers and key destructors cannot open OpenCL devices either.
 * Fork          A handle belongs to the process that made it. In a child, of fork, _Fork or clone, every call on it
 *               returns ROWPOOL_EFORKED, and close and release only drop memory.
 * Ownership     Structs (rows, ranges, options) are copied during the call. Arrays (data, offsets, counts) are
 *               borrowed: until the call returns, or until the job is done for the _async forms.
 * Sizes         All sizes are 64-bit and checked; nothing wraps.
 * Descriptors   rowpool's are closed on exec and never 0, 1 or 2, even where these are closed. A driver's may be.
 * Floating      Row functions run in the default floating-point environment: round to nearest, subnormals kept, no
 * point         traps. The caller's environment, exception flags included, is restored afterwards; only x87 flags that
 *               long double raises on x86-64 stay. The callback of rowpool_map_stream runs in the caller's environment.
 *
 * Not promised: counts after a failed or cancelled map (they are never written outside their array); the order in
 * which rows are visited; which device answers.
 */
#ifndef ROWPOOL_H
#define ROWPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one place that states the version: the build reads it from here. */
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

/* Every status, once: X(name, what it means). */
#define ROWPOOL_STATUSES(X)                                           \
    X(OK, "success")                                                  \
    X(EINVAL, "an argument, option or environment variable is wrong") \
    X(ENOMEM, "out of memory")                                        \
    X(ENODEVICE, "no such device, or none at all")                    \
    X(EBUILD, "a row function does not compile for a device")         \
    X(EDEVICE, "a device failed")                                     \
    X(EWORKER, "a worker process died on the same rows twice")        \
    X(ECANCELED, "the job was cancelled")                             \
    X(ETIMEDOUT, "the time is up")                                    \
    X(EDEADLK, "waiting here would never end")                        \
    X(EFORKED, "the handle belongs to the parent of this process")    \
    X(ESYSTEM, "the operating system refused a resource")             \
    X(ENOTREADY, "what was waited for is not done yet")

typedef enum {
#define ROWPOOL_STATUS_ENUM(name, text) ROWPOOL_##name,
    ROWPOOL_STATUSES(ROWPOOL_STATUS_ENUM)
#undef ROWPOOL_STATUS_ENUM
} rowpool_status;

/* What went wrong and what to do about it: one line, always terminated. */
typedef struct {
    rowpool_status status;
    char message[1024];
} rowpool_error;

/* "ROWPOOL_EINVAL" and "an argument ... is wrong"; both "unknown status" for a value that is none. Never NULL. */
ROWPOOL_API const char *rowpool_status_name(rowpool_status status);
ROWPOOL_API const char *rowpool_status_text(rowpool_status status);

/* The version of the library in use, "MAJOR.MINOR.PATCH"; the macros above give that of the header. */
ROWPOOL_API const char *rowpool_version(void);

/* An environment variable that the library reads. */
typedef struct {
    const char *name;
    const char *option; /* the member of rowpool_options that it stands for where that is zero, or "" */
    const char *meaning;
    const char *value; /* as it is now; NULL where it is unset, empty or, in a setuid program, not looked at */
} rowpool_variable;

/* Those variables, one by one; false past the last. The text is the library's, the value the environment's. */
ROWPOOL_API bool rowpool_variable_at(size_t i, rowpool_variable *variable);

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Element types. float16 is IEEE 754 binary16, stored in two bytes; it needs no support from compiler or device. */
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

/* "int8" ... "float64", and the bytes of one element; NULL and 0 for a value that is none. */
ROWPOOL_API const char *rowpool_dtype_name(rowpool_dtype dtype);
ROWPOOL_API size_t rowpool_dtype_size(rowpool_dtype dtype);

/* An array of rows, borrowed.
 *
 *   dense     row i is data[i * width] ... data[i * width + width - 1]
 *   strided   row i begins at data[i * stride]; stride is in elements, >= width; what lies between rows is never used
 *   ragged    offsets != NULL: row i is data[offsets[i]] ... data[offsets[i + 1] - 1]. There are count + 1 offsets, in
 *             elements, non-negative and non-decreasing; both are checked and the index of the first wrong one is
 *             named. stride must be 0. width 0 says nothing; any other width is the number of elements that data holds,
 *             and an offset past it is refused.
 *
 * data is aligned to its element type; it may be NULL when there is no element at all. */
typedef struct {
    const void *data;
    rowpool_dtype dtype;
    size_t count;           /* rows */
    size_t width;           /* elements of each row */
    size_t stride;          /* elements from one row's beginning to the next; 0 = width */
    const int64_t *offsets; /* NULL, or count + 1 of them */
} rowpool_rows;

/* ---- Ranges ----------------------------------------------------------------------------------------------------- */

/* An exact number of one of three kinds. It is compared with elements exactly, whatever their type: 3.5 on int8 acts as
 * 4 below and 3 above; 300 lies above every uint8; 2^53 + 1 on int64 is itself; the double 0.1 on float32 is the real
 * number that the double holds. A NaN is refused with ROWPOOL_EINVAL; infinities are ordinary bounds. */
typedef enum { ROWPOOL_NUMBER_I64, ROWPOOL_NUMBER_U64, ROWPOOL_NUMBER_F64 } rowpool_number_kind;
typedef struct {
    rowpool_number_kind kind;
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
    } value;
} rowpool_number;

/* Which of the two ends belong to the range. */
typedef enum {
    ROWPOOL_CLOSED_BOTH,   /* lo <= x <= hi */
    ROWPOOL_CLOSED_LEFT,   /* lo <= x <  hi */
    ROWPOOL_CLOSED_RIGHT,  /* lo <  x <= hi */
    ROWPOOL_CLOSED_NEITHER /* lo <  x <  hi */
} rowpool_closed;

/* lo > hi is an empty range, not an error: every count is 0. A NaN element lies in no range; -0.0 equals +0.0. The two
 * numbers may be of different kinds. */
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

/* Whether OpenCL is kept out of this process. A driver may end the process that uses it, or never return: PoCL aborts
 * when memory, descriptors, threads or the disk of its cache run out, where that cache cannot be executed or is damaged,
 * where there is no linker, and where another LLVM is in the process. A helper process that ends is started again; where
 * it ends twice in a row, others do its rows, at last the calling thread where it may. The program `rowpool` has OpenCL
 * in a helper process always. */
typedef enum {
    ROWPOOL_ISOLATE_NEVER, /* the default: a driver that ends its process ends this one */
    ROWPOOL_ISOLATE_ALWAYS
} rowpool_isolate;

/* All zero (but size) is the default. Each member's environment variable holds where the member is zero.
 *
 *     rowpool_options options = {.size = sizeof options, .device = "cpu"};
 *
 * A program that runs with more rights than whoever started it (setuid) ignores the variables. The OpenCL loader and its
 * drivers do not: OCL_ICD_VENDORS names a library that is loaded. In such a program auto therefore has no OpenCL. Name a
 * device (cpu, gpu, accelerator, all, P:D or isolated) only where the environment is trusted, or was cleaned before. */
typedef struct {
    size_t size; /* sizeof(rowpool_options) */

    /* ROWPOOL_DEVICE. Which workers, a comma-separated list of:
     *   auto         the OpenCL devices, no core or chip twice; where there is none, processes; where those cannot be had,
     *                the calling thread. Small maps run in the calling thread. The default.
     *   cpu, gpu, accelerator   the OpenCL devices of that type, no core or chip twice
     *   all          every OpenCL device, the same cores twice too
     *   P:D          device D of OpenCL platform P, as `rowpool devices` prints them
     *   isolated     OpenCL in helper processes, one for each device, which are started again when a driver ends them.
     *                The devices are those that auto would take, or what ROWPOOL_ISOLATED_DEVICE says. Memory as for
     *                fork, but that a process which may not be read cannot use it. A helper that does not report
     *                a device within 30 seconds is killed. The environment must not change while it is in use.
     *                ROWPOOL_HELPER: the program
     *   fork         worker processes
     *   host         the calling thread (for asynchronous jobs, the pool's own thread)
     * Anything but auto sends every map there, however small. Rows that those devices fail on are done by the calling
     * thread all the same: ROWPOOL_LOG and the failures of rowpool_devices tell. */
    const char *device;

    /* ROWPOOL_WORKERS. Worker processes; 0 = rowpool_cpu_count(). At most 1024. */
    size_t workers;

    /* Runs once in each worker process, before it does anything else, with init_argument as the process that opened the
     * pool had it; any result but 0 ends the worker with it as its exit status. Python's initializer. OpenCL devices
     * have no use for it. */
    int (*init)(void *argument);
    void *init_argument;

    /* ROWPOOL_CHUNK_BYTES. The most bytes of data that a device gets at once; 0 = the device's own choice. Cancel and
     * progress act between chunks. A single element is the least, whatever this says; of data that stays it is 1/4096
     * of the data. */
    size_t chunk_bytes;

    /* ROWPOOL_STRICT (anything). A device that fails ends the map with its error, instead of being put aside for the
     * rest of it while others, at last the calling thread, do its rows. Chunks are still made smaller where memory runs
     * out, and workers that die are still replaced. */
    bool strict;

    /* ROWPOOL_ISOLATE: "never" or "always". It is on if the option or the variable says always: then no driver is loaded
     * into this process. auto, cpu, gpu, accelerator, all and P:D name devices of helper processes, which together are
     * the device isolated. */
    rowpool_isolate isolate;
} rowpool_options;

/* Opens a pool. options NULL: the defaults. *pool is NULL after a failure. ROWPOOL_CPU, "baseline", "avx2" or "avx512",
 * says which form of the built-in functions the calling thread and worker processes run; else it is the one with the
 * most that the CPU has.
 * EINVAL: an option or variable is wrong; ENODEVICE: no device of that name (the message lists those there are). */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_open(rowpool **pool, const rowpool_options *options,
                                                        rowpool_error *error);

/* Ends everything under way on the pool: each call and job ends with ECANCELED, worker processes are killed instead of
 * waited for, OpenCL devices end the chunks that they have. Does not wait. The pool stays usable: its workers are
 * replaced.
 *
 * A function that never ends can be stopped on fork and isolated only, with the process that runs it: by terminate at
 * once; by a cancel, a deadline, or a callback that ends its stream, if the worker is still at the same chunk about a
 * second later, or ten seconds where a driver may be compiling for it. Call one of these before rowpool_close, which
 * otherwise waits. On the host, and with OpenCL in this process, nothing can stop a chunk that runs. A function that may
 * never end belongs on isolated or fork. */
ROWPOOL_API rowpool_status rowpool_terminate(rowpool *pool, rowpool_error *error);

/* Waits for every job and call in flight, then closes. NULL is fine. Not from a callback of this pool, nor from a
 * callback nested in one: there it only prints a message on standard error. */
ROWPOOL_API void rowpool_close(rowpool *pool);

typedef enum {
    ROWPOOL_DEVICE_CPU,
    ROWPOOL_DEVICE_GPU,
    ROWPOOL_DEVICE_ACCELERATOR,
    ROWPOOL_DEVICE_OTHER, /* an OpenCL device of no known type, or a platform that could not be asked */
    ROWPOOL_DEVICE_FORK,
    ROWPOOL_DEVICE_HOST,
    ROWPOOL_DEVICE_ISOLATED
} rowpool_device_type;

/* One device, whether the pool uses it or not. Strings are terminated, cut where too long. */
typedef struct {
    char index[16];     /* "0:1", "fork", "host", "isolated"; "2" alone is a platform that could not be used */
    char name[128];     /* as the driver gives it */
    char platform[128]; /* the OpenCL platform, or "" */
    char driver[64];    /* driver version, or "" */
    char reason[256];   /* why it is used, or why it is not */
    rowpool_device_type type;
    bool in_use;             /* chosen by this pool */
    bool fp64, fp16;         /* native; every dtype works on every device */
    bool shared_memory;      /* works in the host's memory: nothing is copied */
    uint32_t units;          /* compute units, cores or processes */
    uint64_t memory;         /* bytes that the device says it has */
    uint64_t largest_buffer; /* bytes; larger arrays are cut into chunks */
    uint64_t rows;     /* what it has done for this pool: rows answered (a part of a split row counts when it is */
    uint64_t chunks;   /* the last), chunks completed, */
    uint64_t failures; /* and chunks failed */
    uint64_t reserved[8];
} rowpool_device;

/* Every device found, those in use first, with what each did so far. Writes at most `capacity` of them and the number
 * that there are to *count; devices may be NULL when capacity is 0. pool NULL: what rowpool_open would find with the
 * device "auto", asked afresh. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_devices(rowpool *pool, rowpool_device *devices, size_t capacity,
                                                           size_t *count, rowpool_error *error);

/* CPUs that this process may use: its affinity mask, cut by the cgroup's quota; at least 1. */
ROWPOOL_API size_t rowpool_cpu_count(void);

/* Memory that every worker reaches without a copy: zeroed, aligned to a page, shared with worker processes. It is not
 * tied to a pool. Freeing it while a map uses it is undefined; NULL is fine. A forked child inherits it, shared with
 * the parent, until the parent frees it: then the pages are gone for both. Where the system refuses a descriptor for it
 * (memfd_create), it is memory that workers copy. Returns NULL with the error set when it cannot be had. */
ROWPOOL_API void *rowpool_alloc(size_t bytes, rowpool_error *error);
ROWPOOL_API void rowpool_free(void *memory);

/* ---- The range count -------------------------------------------------------------------------------------------- */

/* counts[i * n_ranges + k] = how many elements of row i lie in ranges[k]; one pass over the data for all ranges.
 *
 * ranges NULL with n_ranges 0 means one range, [4, 8]. counts holds count x max(n_ranges, 1) values, row by row; it may
 * be NULL when there are no rows. The uint32 form refuses a row of more than 2^32 - 1 elements: it never wraps.
 *
 * EINVAL: a wrong argument (the message names it), or memory that cannot be read. ENOMEM: not even the bookkeeping
 * fits. EWORKER: two worker processes died on the same rows (named, with the signal). */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count(rowpool *pool, const rowpool_rows *rows,
                                                               const rowpool_range *ranges, size_t n_ranges,
                                                               uint32_t *counts, rowpool_error *error);
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_range_count_u64(rowpool *pool, const rowpool_rows *rows,
                                                                   const rowpool_range *ranges, size_t n_ranges,
                                                                   uint64_t *counts, rowpool_error *error);

/* ---- Row functions ---------------------------------------------------------------------------------------------- */

/* What a map computes for each row. It is written once, in a file of its own, in the common subset of C and OpenCL C;
 * the build compiles it for the calling thread and for worker processes, and embeds its text for OpenCL devices
 * (rowpool/fold.h, rowpool/body.h; in CMake rowpool_add_functions). The words that it is written in are those of
 * rowpool/vocabulary.h; fixed-width types only. There are two forms.
 *
 * A fold goes over the elements of a row one by one. The library owns the traversal: short rows in blocks, a long row
 * split over work items, chunks and devices. The file defines
 *
 *     arguments_t, accumulator_t, result_t                                         typedefs
 *     static accumulator_t identity(arguments_t args)                              the accumulator of no element
 *     static accumulator_t element(accumulator_t a, element_t x, size_t index, arguments_t args)
 *     static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t args)   a's elements before b's
 *     static result_t finish(accumulator_t a, size_t width, arguments_t args)      the result of a row
 *
 * combine must be associative, and identity its neutral element; then the split does not show in the result. Defining
 * ROW_NARROW adds a form for rows of up to 255 elements, of which many fit side by side: narrow_t, and
 *
 *     static narrow_t narrow(element_t x, arguments_t args)
 *     static narrow_t combine_narrow(narrow_t a, narrow_t b)
 *     static accumulator_t widen(narrow_t a)
 *
 * and ROW_NARROW_SUMS says that narrow_t is a uint8_t, narrow gives 0 or 1, combine_narrow and combine are sums and widen
 * a conversion: then longer rows go the same way. With ROW_ORDERED such a file may also define ROW_COUNTS(x, args), what
 * narrow gives, as a macro of comparisons joined by & and |: OpenCL devices use it for vectors of elements too.
 *
 * A free body sees a row as a whole, and is never split. The file defines arguments_t and result_t, and
 *
 *     ROW_BODY { ... ROW(i), width, index (of the row), args ... return result; }
 *
 * Of several inputs, zipped row by row (Python's starmap), it sees ROW1(i), width1 ... ROW3(i), width3 too; it defines
 * ROW_INPUTS, and ROW1_DTYPE ... where their dtype is not that of the first.
 *
 * A function with ROW_RANGES defined takes ranges: its arguments_t is two ordered_t, the ends of a closed interval. */
typedef enum { ROWPOOL_FOLD, ROWPOOL_BODY } rowpool_form;

enum {
    ROWPOOL_MOST_INPUTS = 4,

    /* The largest arguments_t, accumulator_t and result_t, in bytes: a CPU device keeps many of them on one thread's
     * stack. A function with a larger one is refused with EINVAL on every pool, unless it has no text for OpenCL. */
    ROWPOOL_MOST_STRUCT_BYTES = 16384
};

/* Rows of one input where they lie, as the C form of a row function reads them. */
typedef struct {
    const void *data;
    size_t width, stride;   /* elements; not of ragged rows */
    const int64_t *offsets; /* NULL unless ragged: row r is data[offsets[r] - origin] ... */
    int64_t origin;
} rowpool_block_input;

typedef struct {
    size_t count; /* rows */
    size_t row;   /* the index of the first of them in the map */
    size_t first; /* of a part of one row: the index of its first element in the row */
    rowpool_block_input input[ROWPOOL_MOST_INPUTS];
} rowpool_block;

/* A row function compiled for one dtype. Plain computation: no allocation, no lock, nothing that a forked child may not
 * do. `columns` argument structs give so many results for each row. */
typedef struct {
    size_t arguments_size, accumulator_size, result_size; /* bytes; accumulator_size 0: rows cannot be split */
    size_t result_alignment;
    int result_dtype; /* of a result that is a number: a rowpool_dtype, plus 1; else 0 */

    /* results[r * columns + k] for each row of the block. */
    void (*rows)(const rowpool_block *block, const void *arguments, size_t columns, void *results);

    /* Folds alone. Accumulators of no element; goes on with the block's one part of a row; into = combine(into, from);
     * results of a row of `width` elements. */
    void (*begin)(const void *arguments, size_t columns, void *accumulators);
    void (*part)(const rowpool_block *block, const void *arguments, size_t columns, void *accumulators);
    void (*merge)(void *into, const void *from, const void *arguments, size_t columns);
    void (*end)(const void *accumulators, size_t width, const void *arguments, size_t columns, void *results);
} rowpool_compiled;

/* One row of one input. */
typedef struct {
    const void *data; /* NULL when the row is empty */
    size_t width;     /* elements */
    rowpool_dtype dtype;
} rowpool_row;

/* A plain C function of a row, for worker processes and, where the caller allows it, the calling thread: row[0] ...
 * row[inputs - 1]; writes one result. exit() in a worker process ends that alone: no handler runs, no stream is flushed. */
typedef void rowpool_row_function(const rowpool_row *row, size_t index, const void *arguments, void *result);

/* A row function. Most are made by rowpool/fold.h and rowpool/body.h; one that is made by hand has OpenCL C text, or a
 * plain C function, or both, and says how large its structs are. Borrowed while a map uses it. */
typedef struct {
    size_t size;                         /* sizeof(rowpool_function) */
    const char *name;                    /* for messages */
    rowpool_form form;                   /* of the text */
    bool ranges;                         /* it takes ranges */
    size_t n_inputs;                     /* 0 = 1; more for free bodies and plain C functions */
    int others[ROWPOOL_MOST_INPUTS - 1]; /* the dtype of each further input, plus 1; 0: that of the first */
    const char *source;                  /* OpenCL C; NULL: not for OpenCL devices. #line tells where it stands */
    const rowpool_compiled *compiled[ROWPOOL_FLOAT64 + 1]; /* for each dtype; NULL: not for it */
    rowpool_row_function *row;                             /* where it is not compiled: a plain C function, or NULL */
    size_t arguments_size, result_size;                    /* where it is not compiled: bytes of each struct, */
    size_t accumulator_size; /* and the most of accumulator_t; 0 = 256. Such a fold's rows are not split over chunks */
} rowpool_function;

/* The text of a file of OpenCL C, for rowpool_function.source, with a #line before it, so that a compiler's message
 * names the file. To be freed with free(). NULL, with the error set: it cannot be read, or is no text. */
ROWPOOL_API char *rowpool_read_source(const char *path, rowpool_error *error);

/* A row function of the library's by its name; NULL when there is none of that name. result_dtype says what it gives.
 *
 *   count, count64          elements within a range: uint32; uint64 for rows of more than 2^32 - 1 elements
 *   any, all, fraction      whether any or all elements lie within a range, uint8 0 or 1; how many of them do, as a
 *                           share of all: float64. Of an empty row: 0, 1, NaN
 *   sum                     int64, uint64 or float64, by kind. Integers wrap modulo 2^64; floats add up in double, in no
 *                           promised order: off by at most width * 2^-53 times the sum of the magnitudes
 *   mean                    float64: the sum over the width. Of integers it is within 2^-51 of its own magnitude, of
 *                           floats as the sum; of an empty row NaN
 *   min, max                the element's own dtype; NaNs are passed over, -0.0 is less than +0.0. Of a row without a
 *                           number: the largest, the least (infinities for floats)
 *   argmin, argmax          int64: the index of the first such element; -0.0 equals +0.0. Without a number: -1
 *
 * Those from count to fraction take ranges. Sums and means of a row with a NaN are NaN. */
ROWPOOL_API const rowpool_function *rowpool_builtin(const char *name);

/* The names above, one by one; NULL past the last. */
ROWPOOL_API const char *rowpool_builtin_name(size_t i);

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* A row function over all rows of one or several arrays. All zero (but size) is the default. */
typedef struct {
    size_t size; /* sizeof(rowpool_call) */
    const rowpool_function *function;
    const rowpool_rows *inputs; /* arrays of equally many rows */
    size_t n_inputs;            /* 0 = 1 */

    /* Argument structs, one after the other. Each gives a result for each row. NULL: one, all zero. */
    const void *arguments;
    size_t arguments_size; /* bytes of all of them */

    /* For functions that take ranges, instead; NULL: one, [4, 8]. */
    const rowpool_range *ranges;
    size_t n_ranges;

    /* results[row * K + k] for the k-th of K argument structs or ranges. */
    void *results;
    size_t results_size; /* bytes there: at least rows x K results */

    size_t chunk_rows; /* the most rows that a device gets at once; 0 = by bytes alone (Python's chunksize) */
    int timeout_ms;    /* > 0: the call or job ends with ETIMEDOUT at the first chunk boundary after so long;
                        * of a job rowpool_job_timeout changes it */

    /* A function of the caller's runs in this process only where this is set: on the calling thread (asynchronous: the
     * pool's own) when the pool has no other device for it, when its devices fail, or when the map is small. An OpenCL
     * device that is a CPU runs it inside this process in any case. Built-in functions need no leave. */
    bool allow_host;

    /* The index of the first row, where these rows are a part of more: functions and messages count from here. The rows
     * of a stream's callback and those of a job's progress are counted from 0 all the same. Programs that were compiled
     * before there was this member, and say so by size, have 0. */
    size_t first_row;
} rowpool_call;

/* Maps. A call with no rows succeeds at once, for any function on any pool. EINVAL: a wrong argument (the
 * message names it). EBUILD: the function does not compile for a device; with the beginning of its log. ENODEVICE: no
 * device of the pool can run it: no text for OpenCL, no C form for processes. EWORKER: a row twice killed the worker
 * process that had it; all other rows are answered, unless it is hundreds that kill: the message says how many rows have
 * no result. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map(rowpool *pool, const rowpool_call *call, rowpool_error *error);

/* counts[i * (n_edges - 1) + k] = how many elements of row i lie in [edges[k], edges[k + 1]); the last bin has its
 * upper edge too. edges do not decrease; there are at least two. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_histogram(rowpool *pool, const rowpool_rows *rows,
                                                             const rowpool_number *edges, size_t n_edges,
                                                             uint32_t *counts, rowpool_error *error);

/* Takes the results of rows [row, row + rows), as they lie in an array of results; they are gone when it returns. Any
 * value but 0 ends the stream with ECANCELED. */
typedef int rowpool_each(size_t row, size_t rows, const void *results, void *payload);

typedef enum {
    ROWPOOL_IN_ORDER, /* row 0 first (Python's imap) */
    ROWPOOL_ANY_ORDER /* as they come (imap_unordered) */
} rowpool_order;

/* Maps, and gives each chunk's results to a callback as it completes, in the calling thread; each row once.
 * call.results is not used. However slow the callback, no more results wait than a few chunks for each worker. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map_stream(rowpool *pool, const rowpool_call *call,
                                                              rowpool_order order, rowpool_each *each, void *payload,
                                                              rowpool_error *error);

/* ---- Data that stays -------------------------------------------------------------------------------------------- */

/* Rows that are mapped many times, and brought to the devices once: the first map that needs a part of them on a device
 * leaves a copy there, and every later one finds it. Every call on the pool that is given rows of the same description
 * (data, dtype, count, width, stride, offsets) works on the copies, also as one of several inputs:
 *
 *     rowpool_data *data;
 *     if (rowpool_data_open(&data, pool, &rows, &error)) ...
 *     rowpool_range_count(pool, rowpool_data_rows(data), &range, 1, counts, &error);
 *
 * Each part is on one device, by the devices' shares of the first maps. Devices that work in the host's memory need no
 * copies. Worker processes and isolated devices keep none: for them rowpool_alloc has memory that is reached without a
 * copy. On a device copies take up to 3/4 of its memory; what is beyond, or finds no memory, is brought anew by each map,
 * as without a handle. So are all rows where they cannot be split (in a free body, or as one of several inputs) and are
 * too long for one part. */
typedef struct rowpool_data rowpool_data;

/* data and offsets are borrowed, and must not change, until rowpool_data_close and as long as a map on them is under
 * way: changes may be seen or not. Brings nothing yet. EINVAL: the rows are wrong (the message names the member). */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_data_open(rowpool_data **data, rowpool *pool,
                                                             const rowpool_rows *rows, rowpool_error *error);

/* The rows, as they were given; valid as long as the handle is. NULL for NULL. */
ROWPOOL_API const rowpool_rows *rowpool_data_rows(const rowpool_data *data);

/* Gives the handle back. Its copies are freed at once, or with the last map under way that uses them. NULL is fine. A
 * handle may outlive its pool, whose close frees the copies. */
ROWPOOL_API void rowpool_data_close(rowpool_data *data);

/* ---- One function in a worker process --------------------------------------------------------------------------- */

/* Computes result_size bytes from a copy of the argument. */
typedef void rowpool_apply_function(const void *argument, size_t argument_size, void *result, size_t result_size);

/* Runs function once in a worker process and brings the result back. A pool without worker processes starts some. The
 * function runs at most once: a worker that dies in it gives EWORKER, with the signal or exit status. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_apply(rowpool *pool, rowpool_apply_function *function,
                                                         const void *argument, size_t argument_size, void *result,
                                                         size_t result_size, rowpool_error *error);

/* ---- Asynchronous jobs ------------------------------------------------------------------------------------------ */

/* Called exactly once for each job, whatever happens, on the pool's dispatcher thread. The job is already done: its
 * status can be read, and it may submit further jobs. It must not take long (no other job of the pool completes
 * meanwhile), must not close the pool, and gets EDEADLK when it waits for an unfinished job of the same pool.
 * error is NULL when status is ROWPOOL_OK. job is NULL where the caller asked for no handle; it is valid inside the
 * callback also when the handle was released before. */
typedef void rowpool_done(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload);

/* As the calls above, without waiting. done may be NULL. job may be NULL: the job is detached (done still runs).
 * When the call itself fails there is no job and done is not called. */
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

/* The callback of the stream runs on the pool's dispatcher thread, as done does, and with the same payload. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_map_stream_async(rowpool *pool, const rowpool_call *call,
                                                                    rowpool_order order, rowpool_each *each,
                                                                    rowpool_done *done, void *payload,
                                                                    rowpool_job **job, rowpool_error *error);

/* argument is copied; result is borrowed. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_apply_async(rowpool *pool, rowpool_apply_function *function,
                                                               const void *argument, size_t argument_size, void *result,
                                                               size_t result_size, rowpool_done *done, void *payload,
                                                               rowpool_job **job, rowpool_error *error);

/* Waits until the job is done and returns the job's own status and error. timeout_ms < 0: for ever.
 * ENOTREADY: it is not done yet. ETIMEDOUT: the job itself ended at its deadline. EDEADLK: called from a callback of the
 * same pool, and the job is not done. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_job_wait(rowpool_job *job, int timeout_ms, rowpool_error *error);

/* The job's status without waiting: ENOTREADY while it is not done. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_job_poll(rowpool_job *job, rowpool_error *error);

/* Asks the job to stop; it ends with ECANCELED at the next chunk boundary, or as usual if its last chunk was already
 * under way. Does not wait. Chunks that never end: see rowpool_terminate. */
ROWPOOL_API rowpool_status rowpool_job_cancel(rowpool_job *job, rowpool_error *error);

/* Gives the job a deadline, in place of the one that it has: it ends with ETIMEDOUT at the first chunk boundary after
 * timeout_ms from now, or as usual if its last chunk was already under way; 0: at the next boundary; < 0: no deadline
 * any more. One that waits for others to begin ends when its turn comes. For a job that is done it does nothing. */
ROWPOOL_API rowpool_status rowpool_job_timeout(rowpool_job *job, int timeout_ms, rowpool_error *error);

/* Rows answered so far and rows in all; either may be NULL. */
ROWPOOL_API rowpool_status rowpool_job_progress(rowpool_job *job, size_t *rows_done, size_t *rows,
                                                rowpool_error *error);

/* A descriptor that is readable once the job is done, for poll and event loops. It is the job's, closed when the job is
 * released; nothing is to be read from it. -1 with the error set: there is none to be had. */
ROWPOOL_API int rowpool_job_descriptor(rowpool_job *job, rowpool_error *error);

/* Gives the handle back. An unfinished job goes on, detached. NULL is fine. A job may outlive its pool. */
ROWPOOL_API void rowpool_job_release(rowpool_job *job);

/* ---- Processes -------------------------------------------------------------------------------------------------- */

/* A process object: a function that runs in a child process of its own, with memory of its own, joined later. It needs
 * no pool. The child is a fork: it sees the caller's memory as it was, and nothing that it changes comes back but its
 * exit status and the bytes that it writes to its pipe. In a program with several threads it may, until it ends, call
 * only what is async-signal-safe, for a lock that another thread held stays locked; it must not use OpenCL in any case.
 */
typedef struct rowpool_process rowpool_process;

/* What the child runs. pipe: a descriptor to write to; the parent reads it at rowpool_process_pipe. Returns the exit
 * status, 0 to 255, or calls exit(). stdout and stderr are flushed afterwards; exit handlers are not run. */
typedef int rowpool_process_run(void *argument, int pipe);

typedef struct {
    size_t size; /* sizeof(rowpool_process_options) */

    /* Runs first, in the child, with the same argument: a place to set up what the process owns. NULL: nothing. Any
     * result but 0 ends the child with it as its exit status, and run is not called. */
    int (*init)(void *argument);
} rowpool_process_options;

/* How a process stands. */
typedef struct {
    bool alive;    /* it has not ended */
    bool known;    /* it has ended, and how is known; not so where the program ignores SIGCHLD or waits for any child */
    int exit_code; /* 0 to 255, or -1 when a signal ended it */
    int end_signal; /* the signal that ended it, or 0 */
} rowpool_process_state;

/* Starts a process: signal handlers reset, signal mask empty; stdout and stderr are flushed before, unless another thread
 * has them locked, and other streams are left alone. Threads that start processes, or fork, do so one after the other.
 * options may be NULL.
 * argument is the caller's; the child has a copy of what it points to, since it has a copy of all memory.
 * EINVAL: run is NULL. ESYSTEM: no process or descriptor is to be had. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_start(rowpool_process **process, rowpool_process_run *run,
                                                                 void *argument, const rowpool_process_options *options,
                                                                 rowpool_error *error);

/* Waits until the process has ended, however it ended: rowpool_process_status tells. timeout_ms < 0: for ever.
 * ENOTREADY: it is still alive. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_join(rowpool_process *process, int timeout_ms,
                                                                rowpool_error *error);

/* How it stands now; alive alone, false also for NULL and in a forked child. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_process_status(rowpool_process *process,
                                                                  rowpool_process_state *state, rowpool_error *error);
ROWPOOL_API bool rowpool_process_alive(rowpool_process *process);

/* Sends SIGTERM, or SIGKILL. A process that has ended already is left alone; no other can be hit in its place. */
ROWPOOL_API rowpool_status rowpool_process_terminate(rowpool_process *process, rowpool_error *error);
ROWPOOL_API rowpool_status rowpool_process_kill(rowpool_process *process, rowpool_error *error);

/* The process id, and the descriptor from which the child's bytes are read: it is the object's, closed with it, and at
 * its end once the child has closed its side. Both -1 for NULL. */
ROWPOOL_API long rowpool_process_id(const rowpool_process *process);
ROWPOOL_API int rowpool_process_pipe(const rowpool_process *process);

/* Gives the object back. A process that is still alive is killed and waited for. NULL is fine. */
ROWPOOL_API void rowpool_process_close(rowpool_process *process);

#ifdef __cplusplus
}
#endif

#endif
