/* Row functions: what a map computes for each row. rowpool.h includes this.
 *
 * A row function is a file of its own in the common subset of C and OpenCL C, with the words of rowpool/vocabulary.h
 * and fixed-width types. The build compiles it for the calling thread and worker processes, and embeds its text for
 * OpenCL devices: with rowpool_add_functions in CMake, else with rowpool/fold.h and rowpool/body.h. It is plain
 * computation: no allocation, no lock, no input or output, no state from row to row, nothing that a forked child may
 * not do. It may leave parameters unused. There are two forms.
 *
 * A fold sees the elements of a row one by one. The library owns the traversal: short rows in blocks, a long row split
 * over work items, chunks and devices. The file defines
 *
 *     arguments_t, accumulator_t, result_t                                         typedefs
 *     static accumulator_t identity(arguments_t args)                              the accumulator of no element
 *     static accumulator_t element(accumulator_t a, element_t x, size_t index, arguments_t args)
 *     static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t args)   a's elements before b's
 *     static result_t finish(accumulator_t a, size_t width, arguments_t args)      the result of a row
 *
 * combine is associative and identity its neutral element, so the split does not show in the result. With ROW_ORDERED
 * defined, element takes an ordered_t; with ROW_COMMUTES, elements may come in any order.
 *
 * A fold may add a narrow form for rows of up to 255 elements, of which many fit side by side. It defines ROW_NARROW,
 * narrow_t and
 *
 *     static narrow_t narrow(element_t x, arguments_t args)
 *     static narrow_t combine_narrow(narrow_t a, narrow_t b)
 *     static accumulator_t widen(narrow_t a)
 *
 * With ROW_NARROW_SUMS longer rows go the same way: narrow_t is a uint8_t, narrow gives 0 or 1, combine_narrow and
 * combine are sums, widen is a conversion. With ROW_ORDERED as well, the file may define ROW_COUNTS(x, args): what
 * narrow gives, as a macro of comparisons joined by & and |, which OpenCL devices apply to vectors of elements.
 *
 * A free body sees a row as a whole, and is never split. The file defines arguments_t and result_t, and
 *
 *     ROW_BODY { ... ROW(i), width, index (of the row), args ... return result; }
 *
 * Of several inputs, zipped row by row (Python's starmap), it sees ROW1(i), width1 ... ROW3(i), width3 too. It defines
 * ROW_INPUTS, and ROW1_DTYPE ... where their dtype is not that of the first.
 *
 * A function with ROW_RANGES defined takes ranges: its arguments_t is two ordered_t, the ends of a closed interval.
 * With ROW_ORDERED it compares elements with them.
 *
 * kernels/ in the source has examples: count.cl (ranges, narrow form), sum.cl, argmax.cl, mean.cl. */
#ifndef ROWPOOL_H
#include <rowpool.h>
#elif !defined(ROWPOOL_ROW_FUNCTION_H)
#define ROWPOOL_ROW_FUNCTION_H

typedef enum { ROWPOOL_FOLD, ROWPOOL_BODY } rowpool_form;

enum {
    ROWPOOL_MOST_INPUTS = 4,

    /* Max bytes of arguments_t, accumulator_t and result_t: a CPU device keeps many of them on one thread's stack. A
     * function with a larger one is refused with EINVAL on every pool, unless it has no text for OpenCL. */
    ROWPOOL_MOST_STRUCT_BYTES = 16384
};

/* Rows of one input in place, as the C form of a row function reads them. */
typedef struct {
    const void *data;
    size_t width, stride;   /* elements; not of ragged rows */
    const int64_t *offsets; /* NULL unless ragged: row r begins at data[offsets[r] - origin] */
    int64_t origin;
} rowpool_block_input;

typedef struct {
    size_t count; /* rows */
    size_t row;   /* the index of the first row in the map */
    size_t first; /* of a part of one row: the index of its first element in the row */
    rowpool_block_input input[ROWPOOL_MOST_INPUTS];
} rowpool_block;

/* A row function compiled for one dtype. Each of `columns` argument structs gives a result for each row. */
typedef struct {
    size_t arguments_size, accumulator_size, result_size; /* bytes; accumulator_size 0: rows cannot be split */
    size_t result_alignment;
    int result_dtype; /* of a result that is a number: a rowpool_dtype, plus 1; else 0 */

    /* results[r * columns + k] for each row of the block. */
    void (*rows)(const rowpool_block *block, const void *arguments, size_t columns, void *results);

    /* Folds only. begin: accumulators of no element. part: adds the block, a part of one row. merge: into =
     * combine(into, from). end: the results of a row of `width` elements. */
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

/* A plain C function of a row, for worker processes and, where the caller allows it, the calling thread. It reads one
 * row of each input and writes one result. exit() in a worker ends that worker only: no handler runs, no stream is
 * flushed. */
typedef void rowpool_row_function(const rowpool_row *row, size_t index, const void *arguments, void *result);

/* A row function. Most are made by rowpool/fold.h and rowpool/body.h. One made by hand has OpenCL C text, or a plain C
 * function, or both, and gives the sizes of its structs. Borrowed while a map uses it. */
typedef struct {
    size_t size;                         /* sizeof(rowpool_function) */
    const char *name;                    /* for messages */
    rowpool_form form;                   /* of the text */
    bool ranges;                         /* it takes ranges */
    size_t n_inputs;                     /* 0 = 1; more for free bodies and plain C functions */
    int others[ROWPOOL_MOST_INPUTS - 1]; /* the dtype of each further input, plus 1; 0: that of the first */
    const char *source;                  /* OpenCL C; NULL: OpenCL devices cannot run it */
    const rowpool_compiled *compiled[ROWPOOL_FLOAT64 + 1]; /* for each dtype; NULL: unsupported */
    rowpool_row_function *row;                             /* where it is not compiled: a plain C function, or NULL */
    size_t arguments_size, result_size;                    /* where it is not compiled: bytes of each struct */
    size_t accumulator_size; /* where it is not compiled: max bytes; 0 = 256. Its rows are not split over chunks */
} rowpool_function;

/* The text of a file of OpenCL C, for rowpool_function.source; a #line in it lets a compiler's message name the file.
 * Free it with free(). NULL with the error set: it cannot be read, or is not text. */
ROWPOOL_API char *rowpool_read_source(const char *path, rowpool_error *error);

/* A built-in row function; NULL for an unknown name. compiled[dtype]->result_dtype says what it gives.
 *
 *   count, count64          elements within a range: uint32; uint64 for rows of more than 2^32 - 1 elements
 *   any, all, fraction      whether any or all elements lie within a range, uint8 0 or 1; the share of those that do,
 *                           float64. An empty row gives 0, 1 and NaN
 *   sum                     int64, uint64 or float64, by kind. Integers wrap modulo 2^64; floats add up in double, in
 *                           no promised order: off by at most width * 2^-53 times the sum of the magnitudes
 *   mean                    float64: the sum over the width. Of integers it is within 2^-51 of its own magnitude, of
 *                           floats as the sum; of an empty row NaN
 *   min, max                the element's own dtype; NaNs are skipped, -0.0 is less than +0.0. A row without a number
 *                           gives the type's largest value as min, its smallest as max (infinities for floats)
 *   argmin, argmax          int64: the index of the first min or max; -0.0 equals +0.0. A row without a number gives -1
 *
 * Those from count to fraction take ranges. Sums and means of a row with a NaN are NaN. */
ROWPOOL_API const rowpool_function *rowpool_builtin(const char *name);

/* The i-th name; NULL past the last. */
ROWPOOL_API const char *rowpool_builtin_name(size_t i);

#endif
