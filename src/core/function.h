/* Row functions: what a map computes for each row. */
#ifndef RP_CORE_FUNCTION_H
#define RP_CORE_FUNCTION_H

#include "core/dtype.h"

/* Rows in memory, as a fold on the host reads them. */
typedef struct {
    const void *data;
    size_t count, width, stride; /* as in rp_rows */
    const int64_t *offsets;      /* NULL unless ragged: row r is data[offsets[r] - origin] ... */
    int64_t origin;
    bool resume; /* results hold an earlier part of these rows: go on from there */
} rp_block;

/* Folds each row of the block: results[r * columns + k] for the k-th of `columns` argument structs. Plain computation:
 * no allocation, no system call, nothing that a forked child may not do. */
typedef void rp_fold(const rp_block *block, const void *arguments, size_t columns, void *results);

/* Combines the results of two parts of the same rows, n of them: into[i] = combine(into[i], part[i]). */
typedef void rp_combine(void *into, const void *part, size_t n);

/* Result types: counts come in two widths. */
typedef enum { RP_RESULT_UINT32, RP_RESULT_UINT64, RP_RESULT_TOTAL } rp_result;

static inline size_t rp_result_size(rp_result result)
{
    return result == RP_RESULT_UINT32 ? sizeof(uint32_t) : sizeof(uint64_t);
}

typedef struct {
    const char *name;
    const char *file, *source; /* the body's OpenCL C, and the file it stands in */
    rp_fold *fold[RP_DTYPE_TOTAL][RP_RESULT_TOTAL];
    rp_combine *combine[RP_DTYPE_TOTAL][RP_RESULT_TOTAL];
} rp_function;

extern const rp_function rp_range_count;

#endif
