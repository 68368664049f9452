/* What of a map is still to be handed out, and in which order. */
#include <stdlib.h>

#include "base/checked.h"
#include "pool/pool.h"

/* ---- Beginning and end ------------------------------------------------------------------------------------------ */

rowpool_status rp_pieces_init(rp_pieces *pieces, const rp_map *map, rowpool_data *data, bool in_order,
                              rowpool_error *error)
{
    *pieces = (rp_pieces){.map = map, .in_order = in_order};
    if (data == NULL || data->n_tiles == 0)
        return ROWPOOL_OK;
    pieces->data = data;
    pieces->tiles = calloc(data->n_tiles, sizeof *pieces->tiles);
    if (pieces->tiles == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu parts of rows", data->n_tiles);
    for (size_t i = 0; i < data->n_tiles; i++)
        pieces->tiles[i] = (rp_cursor){data->tiles[i].chunk.row, data->tiles[i].chunk.begin};
    return ROWPOOL_OK;
}

void rp_pieces_destroy(rp_pieces *pieces)
{
    free(pieces->again);
    free(pieces->tiles);
}

bool rp_pieces_are_done(const rp_pieces *pieces)
{
    return pieces->cursor.row >= pieces->map->inputs->count && pieces->n_again == 0;
}

void rp_pieces_finish(rp_pieces *pieces)
{
    pieces->cursor.row = pieces->map->inputs->count;
}

/* ---- Tiles ------------------------------------------------------------------------------------------------------ */

static bool is_empty(const rp_pieces *pieces, size_t i)
{
    const rp_chunk *tile = &pieces->data->tiles[i].chunk;
    const rp_cursor *cursor = &pieces->tiles[i];
    return cursor->row >= tile->row + tile->rows || (tile->partial && cursor->begin >= tile->end);
}

/* The tile that a device would rather have than any other. In order there is no choice: were rows done before those
 * that are next to be delivered, they would fill the places in which those are waited for. */
static size_t choose_tile(const rp_pieces *pieces, const rp_taking *how, rp_tile_rank *rank)
{
    const rowpool_data *data = pieces->data;
    size_t end = pieces->in_order ? pieces->first_tile + 1 : data->n_tiles, chosen = pieces->first_tile;
    pthread_mutex_lock(&data->pool->lock);
    rp_tile_rank best = rp_tile_rank_for(&data->tiles[chosen], how->device, how->most_kept);
    for (size_t i = chosen + 1; i < end && best != RP_TILE_HAS; i++) {
        if (is_empty(pieces, i))
            continue;
        rp_tile_rank other = rp_tile_rank_for(&data->tiles[i], how->device, how->most_kept);
        if (other < best) {
            chosen = i;
            best = other;
        }
    }
    pthread_mutex_unlock(&data->pool->lock);
    *rank = best;
    return chosen;
}

/* Takes a chunk that lies in one tile. */
static void next_of_tiles(rp_pieces *pieces, const rp_taking *how, rp_chunk *chunk)
{
    rp_tile_rank rank;
    size_t i = choose_tile(pieces, how, &rank);
    const rp_tile *tile = &pieces->data->tiles[i];
    rp_cursor *cursor = &pieces->tiles[i];
    rp_split_limits limits = how->limits;
    if ((how->brings_whole && rank == RP_TILE_KEEPS) || (how->takes_whole && rank == RP_TILE_HAS))
        limits.work = rp_max(limits.work, 2 * tile->bytes); /* not where there are more bytes of results than of rows */
    limits.rows = rp_min(limits.rows, tile->chunk.row + tile->chunk.rows - cursor->row);
    if (tile->chunk.partial)
        limits.work = rp_min(limits.work, (tile->chunk.end - cursor->begin) * pieces->map->code.element[0]);
    rp_split_next(pieces->map->inputs, pieces->map->code.n_inputs, &limits, cursor, chunk);
    while (pieces->first_tile < pieces->data->n_tiles && is_empty(pieces, pieces->first_tile))
        pieces->first_tile++;
    if (pieces->first_tile == pieces->data->n_tiles)
        rp_pieces_finish(pieces);
}

/* ---- Pieces ----------------------------------------------------------------------------------------------------- */

bool rp_pieces_next(rp_pieces *pieces, const rp_taking *how, rp_piece *piece)
{
    const rp_map *map = pieces->map;
    if (pieces->n_again > 0) {
        *piece = pieces->again[--pieces->n_again];
        return true;
    }
    if (rp_pieces_are_done(pieces))
        return false;
    *piece = (rp_piece){0};
    if (pieces->data != NULL)
        next_of_tiles(pieces, how, &piece->chunk);
    else
        rp_split_next(map->inputs, map->code.n_inputs, &how->limits, &pieces->cursor, &piece->chunk);
    return true;
}

bool rp_pieces_give_back(rp_pieces *pieces, const rp_piece *piece)
{
    if (pieces->n_again == pieces->capacity) {
        size_t capacity = 2 * pieces->capacity + 8;
        rp_piece *more = realloc(pieces->again, capacity * sizeof *more);
        if (more == NULL)
            return false;
        pieces->again = more;
        pieces->capacity = capacity;
    }
    pieces->again[pieces->n_again++] = *piece;
    return true;
}
