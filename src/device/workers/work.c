/* What a worker process does, whatever it computes with. In a fork nothing may be called but the row function and what
 * is async-signal-safe. */
#include "device/workers/work.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/floating.h"
#include "process/view.h"

enum {
    PIECE = 256 << 10,    /* bytes of the parent's memory copied at once: they stay in the second cache */
    OFFSETS_PIECE = 8192, /* offsets copied at once */
    GAP = 1024            /* bytes: rows this far apart are copied without what lies between them */
};

/* All that a worker keeps from one chunk to the next. */
typedef struct {
    rp_view_table views;
    rp_view_parent parent;
    rp_view_scratch data[ROWPOOL_MOST_INPUTS], offsets[ROWPOOL_MOST_INPUTS], accumulators, arguments, source;
    uint64_t arguments_map, source_map; /* whose are there; 0: nobody's */
} worker_memory;

/* One input of the chunk. */
typedef struct {
    const rowpool_block_input *parents; /* as it lies in the parent */
    size_t size;                        /* bytes of an element */
    const char *mapped;                 /* its data where they are mapped, else NULL: then they are copied */
    const int64_t *offsets; /* ragged: those of rows `first` ... end of the chunk; NULL: none are here yet */
    size_t first, end;
    bool offsets_mapped;
} input_view;

/* One chunk in the making. */
struct rp_work_chunk {
    worker_memory *memory;
    const rp_work *work;
    const void *arguments;
    input_view input[ROWPOOL_MOST_INPUTS];
    size_t offsets_piece; /* the most offsets copied at once */
    char *results;
    rp_answer *answer;
};

static bool fail(rp_work_chunk *chunk, rp_answer_status status, uint64_t address)
{
    chunk->answer->status = status;
    chunk->answer->address = address;
    return false;
}

static bool copied(rp_work_chunk *chunk, int failure, uint64_t address)
{
    if (failure == 0)
        return true;
    return fail(chunk, failure == EFAULT ? RP_ANSWER_UNREADABLE : RP_ANSWER_REFUSED, address);
}

/* ---- Arguments and text ----------------------------------------------------------------------------------------- */

/* Bytes at an address in the parent, copied once for all chunks of a map. */
static bool fetch_once(rp_work_chunk *chunk, rp_view_scratch *scratch, uint64_t *operation, uint64_t address,
                       size_t bytes)
{
    if (*operation == chunk->work->operation)
        return true;
    *operation = 0;
    if (rp_view_scratch_of(scratch, bytes) == NULL)
        return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
    if (!copied(chunk, rp_view_copy(&chunk->memory->parent, scratch->base, address, bytes), address))
        return false;
    *operation = chunk->work->operation;
    return true;
}

static bool fetch_arguments(rp_work_chunk *chunk)
{
    const rp_work *work = chunk->work;
    worker_memory *memory = chunk->memory;
    chunk->arguments = work->tail;
    if (work->arguments_size <= RP_WORK_INLINE)
        return true;
    if (!fetch_once(chunk, &memory->arguments, &memory->arguments_map, work->arguments, work->arguments_size))
        return false;
    chunk->arguments = memory->arguments.base;
    return true;
}

bool rp_work_chunk_source(rp_work_chunk *chunk, const char **source)
{
    const rp_work *work = chunk->work;
    worker_memory *memory = chunk->memory;
    if (!fetch_once(chunk, &memory->source, &memory->source_map, work->source, work->source_size))
        return false;
    *source = memory->source.base;
    return true;
}

/* ---- Offsets ---------------------------------------------------------------------------------------------------- */

/* Has the offsets of a ragged input at hand, from row `row` of the chunk on. */
static bool fetch_offsets(rp_work_chunk *chunk, size_t i, size_t row)
{
    input_view *input = &chunk->input[i];
    if (input->parents->offsets == NULL || input->offsets_mapped || (input->offsets != NULL && row < input->end))
        return true;
    size_t n = rp_min(chunk->work->block.count - row, chunk->offsets_piece);
    rp_view_scratch *scratch = &chunk->memory->offsets[i];
    if (rp_view_scratch_of(scratch, (n + 1) * sizeof *input->offsets) == NULL)
        return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
    uint64_t at = (uintptr_t)input->parents->offsets + row * sizeof *input->offsets;
    if (!copied(chunk, rp_view_copy(&chunk->memory->parent, scratch->base, at, (n + 1) * sizeof *input->offsets), at))
        return false;
    input->offsets = (const void *)scratch->base;
    input->first = row;
    input->end = row + n;
    return true;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

/* Bytes from a row of one width to the next. A part of a row may have no stride; rows of no elements are not looked for
 * in memory. */
static size_t apart_of(const input_view *input)
{
    const rowpool_block_input *all = input->parents;
    return all->width == 0 ? 0 : rp_max(all->stride, all->width) * input->size;
}

static bool gathers(const input_view *input)
{
    return apart_of(input) - input->parents->width * input->size >= GAP;
}

/* Where row `row` of the chunk begins in the parent, and its bytes. */
static uint64_t row_address(const input_view *input, size_t row)
{
    uint64_t base = (uintptr_t)input->parents->data;
    if (input->parents->offsets == NULL)
        return base + row * apart_of(input);
    return base + (uint64_t)(input->offsets[row - input->first] - input->parents->origin) * input->size;
}

static size_t row_bytes(const input_view *input, size_t row)
{
    if (input->parents->offsets == NULL)
        return input->parents->width * input->size;
    const int64_t *offsets = input->offsets + (row - input->first);
    return (size_t)(offsets[1] - offsets[0]) * input->size;
}

/* How many rows from `row` on, at most n, this input has at hand together: at least one. */
static size_t rows_together(const input_view *input, size_t row, size_t n)
{
    if (input->parents->offsets != NULL && !input->offsets_mapped)
        n = rp_min(n, input->end - row);
    if (input->mapped != NULL)
        return n;
    if (input->parents->offsets == NULL) {
        size_t each = gathers(input) ? row_bytes(input, row) : apart_of(input);
        return rp_min(n, rp_max(1, PIECE / rp_max(each, 1)));
    }
    const int64_t *offsets = input->offsets + (row - input->first);
    size_t some = 1;
    while (some < n && (size_t)(offsets[some + 1] - offsets[0]) <= PIECE / input->size)
        some++;
    return some;
}

/* Rows of one input, as the function reads them; copied here where they are not mapped. */
static bool view_rows(rp_work_chunk *chunk, size_t i, size_t row, size_t n, rowpool_block_input *view)
{
    const input_view *input = &chunk->input[i];
    bool ragged = input->parents->offsets != NULL;
    *view = *input->parents;
    if (ragged)
        view->offsets = input->offsets + (row - input->first);
    if (input->mapped != NULL) {
        view->data = ragged ? input->mapped : input->mapped + row * apart_of(input);
        return true;
    }
    size_t width = row_bytes(input, row), apart = apart_of(input);
    bool gather = !ragged && gathers(input);
    size_t bytes = ragged ? (size_t)(view->offsets[n] - view->offsets[0]) * input->size
                          : (gather ? n * width : (n - 1) * apart + width);
    char *scratch = rp_view_scratch_of(&chunk->memory->data[i], rp_max(bytes, PIECE));
    if (scratch == NULL)
        return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
    uint64_t at = row_address(input, row);
    if (!copied(chunk,
                gather ? rp_view_gather(&chunk->memory->parent, scratch, at, width, apart, n)
                       : rp_view_copy(&chunk->memory->parent, scratch, at, bytes),
                at))
        return false;
    view->data = scratch;
    if (ragged)
        view->origin = view->offsets[0];
    if (gather)
        view->stride = view->width;
    return true;
}

/* A row that is longer than a piece, or a part of one, piece by piece into the accumulators. */
static bool fold_part(rp_work_chunk *chunk, size_t row, void *accumulators)
{
    const rp_work *work = chunk->work;
    const rowpool_compiled *fold = &work->code.compiled;
    const input_view *input = &chunk->input[0];
    size_t width = row_bytes(input, row) / input->size;
    size_t most = input->mapped != NULL ? rp_max(width, 1) : PIECE / input->size;
    uint64_t begin = row_address(input, row);
    fold->begin(chunk->arguments, work->columns, accumulators);
    for (size_t from = 0, n; from < width; from += n) {
        n = rp_min(width - from, most);
        uint64_t at = begin + from * input->size;
        rowpool_block part = {.count = 1, .row = work->block.row + row, .first = work->block.first + from};
        part.input[0].width = n;
        if (input->mapped != NULL) {
            part.input[0].data = input->mapped + (at - (uintptr_t)input->parents->data);
        } else {
            char *scratch = rp_view_scratch_of(&chunk->memory->data[0], PIECE);
            if (scratch == NULL)
                return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
            if (!copied(chunk, rp_view_copy(&chunk->memory->parent, scratch, at, n * input->size), at))
                return false;
            part.input[0].data = scratch;
        }
        fold->part(&part, chunk->arguments, work->columns, accumulators);
    }
    return true;
}

static bool fold_long_row(rp_work_chunk *chunk, size_t row, void *results)
{
    const rp_work *work = chunk->work;
    const rowpool_compiled *fold = &work->code.compiled;
    const input_view *input = &chunk->input[0];
    void *accumulators = rp_view_scratch_of(&chunk->memory->accumulators, work->columns * fold->accumulator_size);
    if (accumulators == NULL)
        return fail(chunk, RP_ANSWER_NO_MEMORY, 0);
    if (!fold_part(chunk, row, accumulators))
        return false;
    fold->end(accumulators, row_bytes(input, row) / input->size, chunk->arguments, work->columns, results);
    return true;
}

static bool do_rows(rp_work_chunk *chunk)
{
    const rp_work *work = chunk->work;
    size_t inputs = work->code.n_inputs;
    for (size_t row = 0, n; row < work->block.count; row += n) {
        n = work->block.count - row;
        for (size_t i = 0; i < inputs; i++) {
            if (!fetch_offsets(chunk, i, row))
                return false;
            n = rows_together(&chunk->input[i], row, n);
        }
        size_t before = row * work->columns * work->code.compiled.result_size;
        char *results = chunk->results != NULL ? chunk->results + before : NULL; /* NULL: they are of no bytes */
        if (work->code.compiled.part != NULL && chunk->input[0].mapped == NULL &&
            row_bytes(&chunk->input[0], row) > PIECE) {
            if (!fold_long_row(chunk, row, results))
                return false;
            continue; /* n is 1 */
        }
        rowpool_block block = {.count = n, .row = work->block.row + row};
        for (size_t i = 0; i < inputs; i++)
            if (!view_rows(chunk, i, row, n, &block.input[i]))
                return false;
        rp_code_rows(&work->code, &block, chunk->arguments, work->columns, results);
    }
    return true;
}

/* ---- A chunk ---------------------------------------------------------------------------------------------------- */

/* Where the descriptors and paths of the next place stand in the message. */
typedef struct {
    worker_memory *memory;
    int *descriptor;
    const char *path;
} place_reader;

static char *map_place(place_reader *reader, const rp_place *place, bool writable)
{
    char *address = NULL;
    if (place->kind == RP_REACH_REGION) {
        int descriptor = *reader->descriptor++;
        address = rp_view_region(&reader->memory->views, place->id, descriptor, place->length, place->offset, writable);
        if (descriptor >= 0)
            close(descriptor);
    } else if (place->kind == RP_REACH_FILE) {
        address = rp_view_file(&reader->memory->views, place->device, place->inode, reader->path, place->offset,
                               place->bytes);
        reader->path += strlen(reader->path) + 1;
    }
    return address;
}

static bool do_chunk(worker_memory *memory, const rp_work *work, int *descriptors, rp_work_compute *compute,
                     void *context, rp_answer *answer)
{
    rp_work_chunk chunk = {.memory = memory, .work = work, .offsets_piece = OFFSETS_PIECE, .answer = answer};
    place_reader reader = {memory, descriptors, work->tail};
    if (work->arguments_size <= RP_WORK_INLINE)
        reader.path += work->arguments_size;
    for (size_t i = 0; i < work->code.n_inputs; i++) {
        input_view *input = &chunk.input[i];
        input->parents = &work->block.input[i];
        input->size = work->code.element[i];
        input->mapped = map_place(&reader, &work->data[i], false);
        input->offsets = (const void *)map_place(&reader, &work->offsets[i], false);
        input->offsets_mapped = input->offsets != NULL;
    }
    chunk.results = map_place(&reader, &work->results, true);
    if (chunk.results == NULL && work->results.bytes > 0)
        return fail(&chunk, RP_ANSWER_NO_MEMORY, 0);
    return fetch_arguments(&chunk) && compute(&chunk, work, context);
}

bool rp_work_chunk_call(rp_work_chunk *chunk)
{
    return chunk->work->partial ? fold_part(chunk, 0, chunk->results) : do_rows(chunk);
}

bool rp_work_chunk_rows(rp_work_chunk *chunk, rp_work_rows *rows)
{
    const rp_work *work = chunk->work;
    *rows = (rp_work_rows){.block = work->block, .arguments = chunk->arguments, .results = chunk->results};
    chunk->offsets_piece = work->block.count;
    for (size_t i = 0; i < work->code.n_inputs; i++)
        if (!fetch_offsets(chunk, i, 0) || !view_rows(chunk, i, 0, work->block.count, &rows->block.input[i]))
            return false;
    return true;
}

void rp_work_chunk_was_cold(rp_work_chunk *chunk)
{
    chunk->answer->cold = true;
}

bool rp_work_chunk_fail(rp_work_chunk *chunk, const rowpool_error *error)
{
    chunk->answer->error = *error;
    return fail(chunk, RP_ANSWER_FAILED, 0);
}

void rp_work_serve(const rp_worker_self *self, rp_work_mark *mark, rp_work_compute *compute, void *context)
{
    worker_memory memory;
    memset(&memory, 0, sizeof memory);
    memory.parent = (rp_view_parent){.pid = self->parent, .memory = self->memory};
    rp_work work;
    int descriptors[RP_WORKER_DESCRIPTORS + 1];
    for (size_t i = 0; i <= RP_WORKER_DESCRIPTORS; i++)
        descriptors[i] = -1;
    while (rp_worker_next(self, &work, sizeof work, descriptors) > 0) {
        rp_answer answer = {.number = work.number, .begin = rp_clock_now()};
        atomic_store(&mark->number, work.number);
        rp_floating before; /* an earlier function, or the initialiser, may have left another */
        rp_floating_default(&before);
        do_chunk(&memory, &work, descriptors, compute, context, &answer);
        answer.end = rp_clock_now();
        if (!rp_worker_answer(self, &answer, rp_answer_size(&answer)))
            return;
    }
}
