/* A map: which function over which rows, and where the results go. */
#ifndef RP_CORE_MAP_H
#define RP_CORE_MAP_H

#include "core/function.h"
#include "core/split.h"

typedef struct {
    const rp_function *function;
    rp_rows rows;
    const void *arguments; /* `columns` argument structs */
    size_t arguments_size; /* bytes of all of them */
    size_t columns;        /* results for each row */
    rp_result result;
    char *results; /* rows.count x columns */
} rp_map;

/* Bytes of one row's results. */
static inline size_t rp_map_row_bytes(const rp_map *map)
{
    return map->columns * rp_result_size(map->result);
}

static inline rp_fold *rp_map_fold(const rp_map *map)
{
    return map->function->fold[map->rows.dtype_id][map->result];
}

/* A chunk where it lies, for a fold. */
static inline rp_block rp_chunk_block(const rp_rows *rows, const rp_chunk *chunk)
{
    size_t origin = rp_chunk_origin(rows, chunk);
    bool ragged = rows->offsets != NULL && !chunk->partial;
    return (rp_block){
        .data = rp_chunk_elements(rows, chunk) == 0 ? NULL : rows->data + origin * rows->dtype->size,
        .count = chunk->rows,
        .width = chunk->partial ? chunk->end - chunk->begin : rows->width,
        .stride = rows->stride,
        .offsets = ragged ? rows->offsets + chunk->row : NULL,
        .origin = (int64_t)origin,
    };
}

static inline rp_combine *rp_map_combine(const rp_map *map)
{
    return map->function->combine[map->rows.dtype_id][map->result];
}

#endif
