#include "core/split.h"

#include "base/checked.h"

/* Whether rows [row, row + n) keep within the limits. Monotonic in n. */
static bool fits(const rp_rows *inputs, size_t n_inputs, const rp_split_limits *limits, size_t row, size_t n)
{
    rp_chunk chunk = {.row = row, .rows = n};
    size_t results, work = 0;
    for (size_t i = 0; i < n_inputs; i++) {
        const rp_rows *rows = &inputs[i];
        const size_t size = rows->dtype->size, offsets = rows->offsets != NULL ? (n + 1) * sizeof *rows->offsets : 0;
        if (offsets > limits->buffer || rp_chunk_span(rows, &chunk) * size > limits->buffer ||
            !rp_add(work, rp_chunk_elements(rows, &chunk) * size, &work) || !rp_add(work, offsets, &work))
            return false;
    }
    return rp_mul(n, limits->result, &results) && results <= limits->buffer && rp_add(work, results, &work) &&
           work <= limits->work;
}

/* Max rows from `row` on that fit; 0: not even one. */
static size_t rows_that_fit(const rp_rows *inputs, size_t n_inputs, const rp_split_limits *limits, size_t row)
{
    size_t good = 0, bad = rp_min(inputs->count - row, limits->rows) + 1;
    if (fits(inputs, n_inputs, limits, row, bad - 1))
        return bad - 1;
    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;
        if (fits(inputs, n_inputs, limits, row, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

bool rp_split_next(const rp_rows *inputs, size_t n_inputs, const rp_split_limits *limits, rp_cursor *cursor,
                   rp_chunk *chunk)
{
    if (cursor->row >= inputs->count)
        return false;
    size_t n = cursor->begin == 0 ? rows_that_fit(inputs, n_inputs, limits, cursor->row) : 0;
    size_t width = rp_rows_width(inputs, cursor->row);
    size_t part = rp_max(1, rp_min(limits->work, limits->buffer) / inputs->dtype->size);
    if (n == 0 && (limits->whole || (cursor->begin == 0 && width <= part)))
        n = 1; /* the results are what does not fit, and they cannot be split */
    if (n > 0) {
        *chunk = (rp_chunk){.row = cursor->row, .rows = n};
        cursor->row += n;
        return true;
    }
    size_t end = cursor->begin + rp_min(part, width - cursor->begin);
    *chunk = (rp_chunk){.row = cursor->row, .rows = 1, .begin = cursor->begin, .end = end, .partial = true};
    *cursor = end == width ? (rp_cursor){cursor->row + 1, 0} : (rp_cursor){cursor->row, end};
    return true;
}

size_t rp_chunk_elements(const rp_rows *rows, const rp_chunk *chunk)
{
    if (chunk->partial)
        return chunk->end - chunk->begin;
    if (rows->offsets == NULL)
        return chunk->rows * rows->width;
    return rp_rows_begin(rows, chunk->row + chunk->rows) - rp_rows_begin(rows, chunk->row);
}

size_t rp_chunk_origin(const rp_rows *rows, const rp_chunk *chunk)
{
    return rp_rows_begin(rows, chunk->row) + (chunk->partial ? chunk->begin : 0);
}

size_t rp_chunk_span(const rp_rows *rows, const rp_chunk *chunk)
{
    if (chunk->partial || rows->offsets != NULL)
        return rp_chunk_elements(rows, chunk);
    return chunk->rows == 0 || rows->width == 0 ? 0 : (chunk->rows - 1) * rows->stride + rows->width;
}

size_t rp_chunk_begin_in(const rp_rows *rows, const rp_chunk *larger, const rp_chunk *chunk)
{
    if (larger->partial || rows->offsets != NULL) /* without gaps already */
        return rp_chunk_origin(rows, chunk) - rp_chunk_origin(rows, larger);
    return (chunk->row - larger->row) * rows->width + (chunk->partial ? chunk->begin : 0);
}
