/* What a worker process does. It may call nothing but the row function and what is async-signal-safe. */
#include "backend/fork_work.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "process/view.h"

enum {
    PIECE = 256 << 10,    /* bytes of the parent's memory copied at once: they stay in the second cache */
    OFFSETS_PIECE = 8192, /* offsets copied at once */
    GAP = 1024            /* rows this far apart are copied without what lies between them */
};

/* All that a worker keeps from one chunk to the next. */
typedef struct {
    rp_view_table views;
    rp_view_parent parent;
    rp_view_scratch data, offsets, arguments;
    uint64_t arguments_map; /* whose arguments are there; 0: nobody's */
} worker_memory;

/* One chunk in the making. */
typedef struct {
    worker_memory *memory;
    const rp_work *work;
    const void *arguments;
    const char *mapped; /* the chunk's data where it is mapped, else NULL: then it is copied */
    char *results;
    rp_answer *answer;
} chunk_work;

static bool fail(chunk_work *chunk, rp_answer_status status, uint64_t address)
{
    chunk->answer->status = status;
    chunk->answer->address = address;
    return false;
}

static bool copied(chunk_work *chunk, int failure, uint64_t address)
{
    if (failure == 0)
        return true;
    return fail(chunk, failure == EFAULT ? RP_ANSWER_UNREADABLE : RP_ANSWER_REFUSED, address);
}

/* ---- Arguments -------------------------------------------------------------------------------------------------- */

static bool fetch_arguments(chunk_work *chunk)
{
    const rp_work *work = chunk->work;
    worker_memory *memory = chunk->memory;
    if (work->arguments_size <= RP_WORK_INLINE) {
        chunk->arguments = work->tail;
        return true;
    }
    if (memory->arguments_map != work->map) {
        memory->arguments_map = 0;
        if (rp_view_scratch_of(&memory->arguments, work->arguments_size) == NULL)
            return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
        int failure = rp_view_copy(&memory->parent, memory->arguments.base, work->arguments, work->arguments_size);
        if (!copied(chunk, failure, work->arguments))
            return false;
        memory->arguments_map = work->map;
    }
    chunk->arguments = memory->arguments.base;
    return true;
}

/* ---- Folding ---------------------------------------------------------------------------------------------------- */

/* Folds rows of one width, or ragged ones, that are at hand here; their results go to those of row `row` of the chunk
 * and on. */
static void fold(const chunk_work *chunk, const rp_block *block, size_t row)
{
    const rp_work *work = chunk->work;
    work->fold(block, chunk->arguments, work->columns, chunk->results + row * work->row_results);
}

/* Folds one row that is longer than a piece, from its address in the parent. */
static bool fold_long_row(chunk_work *chunk, uint64_t address, size_t width, size_t row)
{
    size_t size = chunk->work->element, most = PIECE / size;
    for (size_t from = 0, n; from < width; from += n) {
        n = rp_min(width - from, most);
        uint64_t at = address + from * size;
        if (!copied(chunk, rp_view_copy(&chunk->memory->parent, chunk->memory->data.base, at, n * size), at))
            return false;
        rp_block part = {.data = chunk->memory->data.base, .count = 1, .width = n, .stride = n, .resume = from > 0};
        fold(chunk, &part, row);
    }
    return true;
}

/* Rows of one width, a piece's worth at a time. */
static bool fold_copied_rows(chunk_work *chunk)
{
    const rp_block *all = &chunk->work->block;
    /* A part of a row may have no stride; rows of no elements are not looked for in memory. */
    size_t size = chunk->work->element, stride = all->width == 0 ? 0 : rp_max(all->stride, all->width);
    size_t width = all->width * size, apart = stride * size;
    uint64_t address = (uintptr_t)all->data;
    if (width > PIECE) {
        for (size_t row = 0; row < all->count; row++)
            if (!fold_long_row(chunk, address + row * apart, all->width, row))
                return false;
        return true;
    }
    bool gather = apart - width >= GAP;
    size_t each = gather ? width : apart; /* bytes of a piece that a row takes */
    size_t most = rp_max(1, PIECE / rp_max(each, 1));
    char *scratch = chunk->memory->data.base;
    for (size_t row = 0, n; row < all->count; row += n) {
        n = rp_min(all->count - row, most);
        uint64_t at = address + row * apart;
        int failure = gather ? rp_view_gather(&chunk->memory->parent, scratch, at, width, apart, n)
                             : rp_view_copy(&chunk->memory->parent, scratch, at, (n - 1) * apart + width);
        if (!copied(chunk, failure, at))
            return false;
        rp_block rows = {.data = scratch, .count = n, .width = all->width, .stride = gather ? all->width : stride};
        fold(chunk, &rows, row);
    }
    return true;
}

/* Ragged rows row ... row + n - 1 of the chunk, whose n + 1 offsets are here. */
static bool fold_copied_ragged(chunk_work *chunk, const int64_t *offsets, size_t row, size_t n)
{
    const rp_block *all = &chunk->work->block;
    size_t size = chunk->work->element;
    for (size_t first = 0, some; first < n; first += some) {
        uint64_t at = (uintptr_t)all->data + (uint64_t)(offsets[first] - all->origin) * size;
        for (some = 0; some < n - first && (size_t)(offsets[first + some + 1] - offsets[first]) <= PIECE / size;)
            some++;
        if (some == 0) {
            some = 1;
            if (!fold_long_row(chunk, at, (size_t)(offsets[first + 1] - offsets[first]), row + first))
                return false;
            continue;
        }
        size_t bytes = (size_t)(offsets[first + some] - offsets[first]) * size;
        if (!copied(chunk, rp_view_copy(&chunk->memory->parent, chunk->memory->data.base, at, bytes), at))
            return false;
        rp_block rows = {
            .data = chunk->memory->data.base, .count = some, .offsets = offsets + first, .origin = offsets[first]};
        fold(chunk, &rows, row + first);
    }
    return true;
}

static bool fold_ragged(chunk_work *chunk, const int64_t *offsets, size_t row, size_t n)
{
    if (chunk->mapped == NULL)
        return fold_copied_ragged(chunk, offsets, row, n);
    const rp_block *all = &chunk->work->block;
    rp_block rows = {.data = chunk->mapped, .count = n, .offsets = offsets, .origin = all->origin};
    fold(chunk, &rows, row);
    return true;
}

static bool fold_with_copied_offsets(chunk_work *chunk)
{
    const rp_block *all = &chunk->work->block;
    int64_t *offsets = (void *)rp_view_scratch_of(&chunk->memory->offsets, (OFFSETS_PIECE + 1) * sizeof *offsets);
    if (offsets == NULL)
        return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
    for (size_t row = 0, n; row < all->count; row += n) {
        n = rp_min(all->count - row, OFFSETS_PIECE);
        uint64_t at = (uintptr_t)all->offsets + row * sizeof *offsets;
        int failure = rp_view_copy(&chunk->memory->parent, offsets, at, (n + 1) * sizeof *offsets);
        if (!copied(chunk, failure, at) || !fold_ragged(chunk, offsets, row, n))
            return false;
    }
    return true;
}

/* ---- A chunk ---------------------------------------------------------------------------------------------------- */

static char *map_place(worker_memory *memory, const rp_place *place, int **descriptors, const char **path,
                       bool writable)
{
    char *address = NULL;
    if (place->kind == RP_REACH_REGION) {
        int descriptor = *(*descriptors)++;
        address = rp_view_region(&memory->views, place->id, descriptor, place->length, place->offset, writable);
        if (descriptor >= 0)
            close(descriptor);
    } else if (place->kind == RP_REACH_FILE) {
        address = rp_view_file(&memory->views, place->device, place->inode, *path, place->offset, place->bytes);
        *path += strlen(*path) + 1;
    }
    return address;
}

static bool do_chunk(worker_memory *memory, const rp_work *work, int *descriptors, rp_answer *answer)
{
    chunk_work chunk = {.memory = memory, .work = work, .answer = answer};
    const char *path = work->tail + (work->arguments_size <= RP_WORK_INLINE ? work->arguments_size : 0);
    chunk.mapped = map_place(memory, &work->data, &descriptors, &path, false);
    const char *offsets = map_place(memory, &work->offsets, &descriptors, &path, false);
    chunk.results = map_place(memory, &work->results, &descriptors, &path, true);
    if (chunk.results == NULL || rp_view_scratch_of(&memory->data, PIECE) == NULL)
        return fail(&chunk, RP_ANSWER_NO_MEMORY, 0);
    if (!fetch_arguments(&chunk))
        return false;
    if (work->block.offsets != NULL)
        return offsets != NULL ? fold_ragged(&chunk, (const void *)offsets, 0, work->block.count)
                               : fold_with_copied_offsets(&chunk);
    if (chunk.mapped == NULL)
        return fold_copied_rows(&chunk);
    rp_block block = work->block;
    block.data = chunk.mapped;
    fold(&chunk, &block, 0);
    return true;
}

void rp_fork_work(const rp_worker_self *self)
{
    worker_memory memory;
    memset(&memory, 0, sizeof memory);
    memory.parent = (rp_view_parent){.pid = self->parent, .memory = self->memory};
    rp_fork_begun *begun = self->context;
    rp_work work;
    int descriptors[RP_WORKER_DESCRIPTORS + 1] = {-1, -1, -1, -1};
    while (rp_worker_next(self, &work, sizeof work, descriptors) > 0) {
        rp_answer answer = {.number = work.number};
        atomic_store(&begun->number, work.number);
        do_chunk(&memory, &work, descriptors, &answer);
        if (!rp_worker_answer(self, &answer, sizeof answer))
            return;
    }
}
