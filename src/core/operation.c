#include "core/operation.h"

#include <string.h>

#include "base/checked.h"
#include "base/floating.h"
#include "base/lock.h"

static rowpool_row row_of(const rp_code *code, const rowpool_block *block, size_t input, size_t r)
{
    const rowpool_block_input *from = &block->input[input];
    size_t begin = from->offsets == NULL ? r * from->stride : (size_t)(from->offsets[r] - from->origin);
    size_t width = from->offsets == NULL ? from->width : (size_t)(from->offsets[r + 1] - from->offsets[r]);
    return (rowpool_row){
        .data = width == 0 ? NULL : (const char *)from->data + begin * code->element[input],
        .width = width,
        .dtype = code->dtype[input],
    };
}

void rp_code_rows(const rp_code *code, const rowpool_block *block, const void *arguments, size_t columns, void *results)
{
    if (code->compiled.rows != NULL) {
        code->compiled.rows(block, arguments, columns, results);
        return;
    }
    char *result = results;
    for (size_t r = 0; r < block->count; r++) {
        rowpool_row rows[ROWPOOL_MOST_INPUTS];
        for (size_t i = 0; i < code->n_inputs; i++)
            rows[i] = row_of(code, block, i, r);
        for (size_t k = 0; k < columns; k++, result += code->compiled.result_size)
            code->row(rows, block->row + r, (const char *)arguments + k * code->compiled.arguments_size, result);
    }
}

size_t rp_operation_elements(const rp_operation *operation)
{
    size_t elements = 0;
    for (size_t i = 0; i < operation->code.n_inputs; i++)
        elements += operation->inputs[i].elements;
    return elements;
}

size_t rp_operation_bytes(const rp_operation *operation)
{
    size_t bytes = 0;
    for (size_t i = 0; i < operation->code.n_inputs; i++)
        bytes += operation->inputs[i].elements * operation->inputs[i].dtype->size;
    return bytes;
}

/* Max elements times columns, or results where those are more, of a small map: a device's round trip costs more than
 * the host needs for it. On two cores PoCL and the host break even at 70,000 elements in argmax, 120,000 in means and
 * 350,000 in counts of rows of 5; at more in longer rows. */
enum { SMALL_MAP = 100000 };

bool rp_operation_is_small(const rp_operation *operation)
{
    const size_t rows = operation->inputs->count, largest = rp_max(rp_operation_elements(operation), rows);
    return operation->host && rp_code_is_there(&operation->code) && operation->columns <= SMALL_MAP &&
           largest <= SMALL_MAP / operation->columns;
}

/* Eight bytes at a time, for texts of thousands of bytes. */
uint64_t rp_text_hash(const char *text)
{
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = factor, word = 0;
    for (size_t left = text != NULL ? strlen(text) : 0; left > 0;
         left -= rp_min(left, sizeof word), text += sizeof word) {
        word = 0;
        memcpy(&word, text, rp_min(left, sizeof word));
        hash = (hash ^ word) * factor;
        hash ^= hash >> 32;
    }
    return hash;
}

const char *rp_operation_unsupported_reason(const rp_operation *operation)
{
    if (operation->processes)
        return "it must run in a worker process";
    return operation->function->source != NULL ? NULL : "it has no text for OpenCL";
}

rowpool_block_input rp_operation_input(const rp_rows *rows, const rp_chunk *chunk)
{
    size_t origin = rp_chunk_origin(rows, chunk);
    bool ragged = rows->offsets != NULL && !chunk->partial;
    return (rowpool_block_input){
        .data = rp_chunk_elements(rows, chunk) == 0 ? NULL : rows->data + origin * rows->dtype->size,
        .width = chunk->partial ? chunk->end - chunk->begin : rows->width,
        .stride = rows->stride,
        .offsets = ragged ? rows->offsets + chunk->row : NULL,
        .origin = (int64_t)origin,
    };
}

void rp_operation_block(const rp_operation *operation, const rp_chunk *chunk, rowpool_block *block)
{
    block->count = chunk->rows;
    block->row = rp_operation_index(operation, chunk);
    block->first = chunk->begin;
    for (size_t i = 0; i < ROWPOOL_MOST_INPUTS; i++)
        block->input[i] = i < operation->code.n_inputs ? rp_operation_input(&operation->inputs[i], chunk)
                                                       : (rowpool_block_input){0};
}

void rp_operation_compute(const rp_operation *operation, const rp_chunk *chunk, void *results)
{
    rowpool_block block;
    rp_floating before;
    rp_operation_block(operation, chunk, &block);
    rp_assert_no_lock("a row function is called");
    rp_floating_default(&before);
    if (chunk->partial) {
        operation->code.compiled.begin(operation->arguments, operation->columns, results);
        operation->code.compiled.part(&block, operation->arguments, operation->columns, results);
    } else {
        rp_code_rows(&operation->code, &block, operation->arguments, operation->columns, results);
    }
    rp_floating_restore(&before);
}
