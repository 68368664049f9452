/* A map: which function over which rows, and where the results go. */
#ifndef RP_CORE_OPERATION_H
#define RP_CORE_OPERATION_H

#include "core/split.h"

/* A row function's C form for given inputs: all that a worker process needs of it. In a forked worker its functions are
 * at the same addresses. */
typedef struct {
    rowpool_compiled compiled; /* its functions are NULL for a plain C function, or where there is no C form */
    rowpool_row_function *row;
    size_t n_inputs;
    rowpool_dtype dtype[ROWPOOL_MOST_INPUTS];
    size_t element[ROWPOOL_MOST_INPUTS]; /* bytes of an element of each input */
} rp_code;

static inline bool rp_code_is_there(const rp_code *code)
{
    return code->compiled.rows != NULL || code->row != NULL;
}

/* results[r * columns + k] for each row of the block. */
void rp_code_rows(const rp_code *code, const rowpool_block *block, const void *arguments, size_t columns,
                  void *results);

typedef struct {
    const rowpool_function *function;
    const char *name;
    uint64_t text_hash; /* rp_text_hash of the function's text, set before devices need it */
    rp_code code;
    rp_rows inputs[ROWPOOL_MOST_INPUTS]; /* code.n_inputs, of equally many rows */
    const void *arguments;               /* `columns` argument structs */
    size_t arguments_size;               /* bytes of all of them */
    size_t columns;                      /* results for each row */
    char *results;                       /* inputs[0].count x columns; NULL: they go to a callback, chunk by chunk */
    size_t first_row;                    /* the index of the inputs' row 0 in functions and messages */
    size_t chunk_rows;                   /* max in a chunk */
    int timeout_ms;                      /* <= 0: none */
    bool host;                           /* the calling thread may run it */
    bool once;                           /* it does not run again when a worker dies in it */
    bool processes;                      /* only worker processes may run it */
} rp_operation;

/* Bytes of one row's results. */
static inline size_t rp_operation_row_bytes(const rp_operation *operation)
{
    return operation->columns * operation->code.compiled.result_size;
}

/* The index of a chunk's first row in functions and messages. */
static inline size_t rp_operation_index(const rp_operation *operation, const rp_chunk *chunk)
{
    return operation->first_row + chunk->row;
}

/* Whether rows can be split into parts, whose accumulators are merged. */
static inline bool rp_operation_splits(const rp_operation *operation)
{
    return operation->code.compiled.part != NULL;
}

/* Bytes of a chunk's results, or of the accumulators of a part of a row. */
static inline size_t rp_operation_chunk_bytes(const rp_operation *operation, const rp_chunk *chunk)
{
    return chunk->partial ? operation->columns * operation->code.compiled.accumulator_size
                          : chunk->rows * rp_operation_row_bytes(operation);
}

/* Elements and bytes of all inputs together. */
size_t rp_operation_elements(const rp_operation *operation);
size_t rp_operation_bytes(const rp_operation *operation);

/* Whether the calling thread may do the whole map, and would be done before a device. */
bool rp_operation_is_small(const rp_operation *operation);

/* A hash of a text; NULL is an empty one. */
uint64_t rp_text_hash(const char *text);

/* Why OpenCL cannot run its function; NULL: it can. */
const char *rp_operation_unsupported_reason(const rp_operation *operation);

/* A chunk's rows in place: of one input, and of all of them. */
rowpool_block_input rp_operation_input(const rp_rows *rows, const rp_chunk *chunk);
void rp_operation_block(const rp_operation *operation, const rp_chunk *chunk, rowpool_block *block);

/* Computes a chunk in the calling thread, in the default floating-point environment. */
void rp_operation_compute(const rp_operation *operation, const rp_chunk *chunk, void *results);

#endif
