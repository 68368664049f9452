/* Splitting a map into chunks that never touch each other's memory: whole rows, or a part of one long row. */
#ifndef RP_CORE_SPLIT_H
#define RP_CORE_SPLIT_H

#include "core/rows.h"

typedef struct {
    size_t row, rows;  /* rows [row, row + rows) */
    size_t begin, end; /* elements [begin, end) of the one row, where partial */
    bool partial;
    unsigned deaths; /* workers that died on it */
} rp_chunk;

/* Where the next chunk begins: element `begin` of row `row`. */
typedef struct {
    size_t row, begin;
} rp_cursor;

/* Max sizes of a chunk. Whatever they are, a chunk has at least one element, or one row where rows are whole. */
typedef struct {
    size_t work;   /* bytes to read and write: elements, offsets, results */
    size_t buffer; /* bytes of any one array of the chunk, the gaps of strided rows included */
    size_t rows;   /* rows */
    size_t result; /* bytes that one row's results take */
    bool whole;    /* rows cannot be split */
} rp_split_limits;

/* Takes the next chunk off the front; false when no row is left. Rows of several inputs are always whole. */
bool rp_split_next(const rp_rows *inputs, size_t n_inputs, const rp_split_limits *limits, rp_cursor *cursor,
                   rp_chunk *chunk);

/* Elements in a chunk. */
size_t rp_chunk_elements(const rp_rows *rows, const rp_chunk *chunk);

/* The index in data of a chunk's first element, and the elements from there to its last, gaps included. */
size_t rp_chunk_origin(const rp_rows *rows, const rp_chunk *chunk);
size_t rp_chunk_span(const rp_rows *rows, const rp_chunk *chunk);

/* The index of a chunk's first element in a gap-free copy of a larger chunk that contains it. */
size_t rp_chunk_begin_in(const rp_rows *rows, const rp_chunk *larger, const rp_chunk *chunk);

#endif
