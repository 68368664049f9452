/* Template: the traversal of rows for a fold, for one dtype. Included by function.h after the function's file.
 * Parameters: ROWPOOL_DTYPE, and of the file ROW_ORDERED, ROW_COMMUTES, ROW_NARROW, ROW_NARROW_SUMS and
 * ROW_RESULT_DTYPE, which it may define for some dtypes only. They are undefined at the end. */

#ifndef ROWPOOL_FOLD_ROWS_H
#define ROWPOOL_FOLD_ROWS_H

enum {
    ROWPOOL_SLICE = 4096,     /* elements that stay in the L1 cache while all columns pass over them */
    ROWPOOL_ACCUMULATORS = 8, /* independent ones for one row, where the order of elements does not matter */
    ROWPOOL_COLUMNS = 16,     /* columns that pass over a long row together */
    ROWPOOL_MAX_NARROW = 32,  /* elements of the widest rows that are folded narrow */
    ROWPOOL_MAX_SUM = 127,    /* elements, each 0 or 1, whose sum any type can hold */
    ROWPOOL_SUM_BYTES = 128,  /* of parallel sums: a few vectors */
    ROWPOOL_AHEAD = 4096,     /* bytes from a read to the prefetch, as in kernels/fold.cl */
    ROWPOOL_PREFETCH = 512    /* bytes that are prefetched together */
};

_Static_assert(ROWPOOL_SLICE <= INT16_MAX, "a plain sum of 16 bits can hold the count of a slice");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first bytes of a row are the low ones of a word");

/* Whether vectors of 64-bit elements can be compared. Where they cannot, a plain loop branches for each element. */
#if defined(__x86_64__) && !defined(__SSE4_2__)
#define ROWPOOL_COMPARES_64 0
#else
#define ROWPOOL_COMPARES_64 1
#endif

/* Prefetches `bytes` bytes, ROWPOOL_AHEAD after `now`. A prefetch past the end of memory does nothing. */
static inline void rowpool_read_ahead(const void *now, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) /* cache lines; for reading; into L2 */
        __builtin_prefetch((const void *)((uintptr_t)now + ROWPOOL_AHEAD + i), 0, 2);
}

/* The sum of 1 to 255 bytes that are 0 or 1; the 8 bytes after them can be read. The product's top byte is the sum of
 * the word's bytes; the shift before it drops the bytes beyond the row. */
static inline uint8_t rowpool_sum_bytes(const uint8_t *bytes, size_t width)
{
    uint64_t sums = 0, word;
    for (; width > sizeof word; width -= sizeof word, bytes += sizeof word) {
        __builtin_memcpy(&word, bytes, sizeof word);
        sums += word;
    }
    __builtin_memcpy(&word, bytes, sizeof word);
    sums += word << 8 * (sizeof word - width);
    return (uint8_t)(sums * 0x0101010101010101u >> 56);
}

#endif

#ifdef ROW_ORDERED
#define ROWPOOL_LOAD(x) ROW_ORDER(x)
#else
#define ROWPOOL_LOAD(x) ROW_VALUE(x)
#endif

#ifdef ROW_NARROW_SUMS
/* ROWPOOL_STAGED: max width of rows that are staged as bytes. ROWPOOL_FEW: max elements of one plain sum: as many as 8
 * bits can count, also for 64-bit elements where a plain loop is slow; else a slice. */
#define ROWPOOL_BYTES (ROW_BITS == 8 || (ROW_BITS == 64 && !ROWPOOL_COMPARES_64))
#define ROWPOOL_STAGED (ROWPOOL_BYTES ? 255 : ROW_BITS == 16 ? 32 : 8)
#define ROWPOOL_FEW (ROWPOOL_BYTES ? ROWPOOL_MAX_SUM : ROWPOOL_SLICE)

/* The count of at most ROWPOOL_FEW elements, in a sum as wide as an element, so that no vector has to be unpacked. */
static inline accumulator_t ROW_NAME(sum_few)(ROWPOOL_STORED(ROWPOOL_DTYPE) * x, size_t n, arguments_t argument)
{
    const size_t part = ROWPOOL_PREFETCH / sizeof(ordered_t);
    ordered_t sum = 0;
    for (; n >= part; n -= part, x += part) {
        rowpool_read_ahead(x, ROWPOOL_PREFETCH);
        for (size_t i = 0; i < part; i++)
            sum = (ordered_t)(sum + (narrow(ROWPOOL_LOAD(x[i]), argument) != 0));
    }
    for (size_t i = 0; i < n; i++)
        sum = (ordered_t)(sum + (narrow(ROWPOOL_LOAD(x[i]), argument) != 0));
    return (accumulator_t)sum;
}

/* The count of any number of elements. Where one such sum cannot hold it, parallel sums are added up before they
 * overflow. */
static inline accumulator_t ROW_NAME(sum_many)(ROWPOOL_STORED(ROWPOOL_DTYPE) * x, size_t n, arguments_t argument)
{
    accumulator_t sum = 0;
#if ROWPOOL_BYTES
    enum { LANES = ROWPOOL_SUM_BYTES / sizeof(ordered_t) };
    while (n > ROWPOOL_FEW) {
        size_t rounds = n / LANES < ROWPOOL_MAX_SUM ? n / LANES : ROWPOOL_MAX_SUM;
        ordered_t lane[LANES] = {0};
        for (size_t r = 0; r < rounds; r++, x += LANES) {
            rowpool_read_ahead(x, ROWPOOL_SUM_BYTES);
            for (size_t k = 0; k < LANES; k++)
                lane[k] = (ordered_t)(lane[k] + (narrow(ROWPOOL_LOAD(x[k]), argument) != 0));
        }
        int32_t lanes = 0;
        for (size_t k = 0; k < LANES; k++)
            lanes += (int32_t)lane[k];
        sum += (accumulator_t)lanes;
        n -= rounds * LANES;
    }
#endif
    return sum + ROW_NAME(sum_few)(x, n, argument);
}
#else
#define ROWPOOL_STAGED ROWPOOL_MAX_NARROW
#endif

/* Folds elements [from, to) of x into `part`. x[0] is the row's element `first`. */
static inline accumulator_t ROW_NAME(fold)(accumulator_t part, ROWPOOL_STORED(ROWPOOL_DTYPE) * x, size_t from,
                                           size_t to, size_t first, arguments_t argument)
{
#ifdef ROW_NARROW_SUMS
    (void)first;
    return part + ROW_NAME(sum_many)(x + from, to - from, argument);
#else
    size_t i = from;
#ifdef ROW_COMMUTES
    if (to - from >= 2 * ROWPOOL_ACCUMULATORS) {
        accumulator_t lane[ROWPOOL_ACCUMULATORS];
        for (size_t k = 0; k < ROWPOOL_ACCUMULATORS; k++)
            lane[k] = identity(argument);
        for (; i + ROWPOOL_ACCUMULATORS <= to; i += ROWPOOL_ACCUMULATORS)
            for (size_t k = 0; k < ROWPOOL_ACCUMULATORS; k++)
                lane[k] = element(lane[k], ROWPOOL_LOAD(x[i + k]), first + i + k, argument);
        for (size_t k = 0; k < ROWPOOL_ACCUMULATORS; k++)
            part = combine(part, lane[k], argument);
    }
#endif
    for (; i < to; i++)
        part = element(part, ROWPOOL_LOAD(x[i]), first + i, argument);
    return part;
#endif
}

#ifdef ROW_NARROW
/* Combines the narrow elements of n rows. Inlined, so that a width that is constant at the call stays constant. */
static inline __attribute__((always_inline)) void ROW_NAME(combine_staged)(const narrow_t *staged, size_t n,
                                                                           size_t width, arguments_t argument,
                                                                           result_t *results, size_t columns)
{
    for (size_t r = 0; r < n; r++) {
#ifdef ROW_NARROW_SUMS
        narrow_t sum = rowpool_sum_bytes(staged + r * width, width);
#else
        narrow_t sum = staged[r * width];
        for (size_t i = 1; i < width; i++)
            sum = combine_narrow(sum, staged[r * width + i]);
#endif
        results[r * columns] = finish(widen(sum), width, argument);
    }
}

static void ROW_NAME(combine_rows)(const narrow_t *staged, size_t n, size_t width, arguments_t argument,
                                   result_t *results, size_t columns)
{
    switch (width) {
#define ROWPOOL_CASE(w)                                                     \
    case w:                                                                 \
        ROW_NAME(combine_staged)(staged, n, w, argument, results, columns); \
        break
        ROWPOOL_CASE(1);
        ROWPOOL_CASE(2);
        ROWPOOL_CASE(3);
        ROWPOOL_CASE(4);
        ROWPOOL_CASE(5);
        ROWPOOL_CASE(6);
        ROWPOOL_CASE(7);
        ROWPOOL_CASE(8);
#undef ROWPOOL_CASE
    default:
        ROW_NAME(combine_staged)(staged, n, width, argument, results, columns);
    }
}

/* Short dense rows: the narrow form of consecutive elements is staged in one wide loop, then combined row by row. */
static void ROW_NAME(fold_narrow)(const rowpool_block *block, const arguments_t *arguments, size_t columns,
                                  result_t *results)
{
    narrow_t staged[ROWPOOL_SLICE + sizeof(uint64_t)]; /* rowpool_sum_bytes reads whole words */
    size_t width = block->input[0].width, batch = ROWPOOL_SLICE / width;
    for (size_t row = 0, n; row < block->count; row += n) {
        ROWPOOL_STORED(ROWPOOL_DTYPE) *x = (ROWPOOL_STORED(ROWPOOL_DTYPE) *)block->input[0].data + row * width;
        n = block->count - row < batch ? block->count - row : batch;
        for (size_t k = 0; k < columns; k++) {
            const arguments_t argument = arguments[k];
            for (size_t i = 0; i < n * width; i++)
                staged[i] = narrow(ROWPOOL_LOAD(x[i]), argument);
            ROW_NAME(combine_rows)(staged, n, width, argument, results + row * columns + k, columns);
        }
    }
}
#endif

#ifdef ROW_NARROW_SUMS
/* Somewhat longer rows, in batches, so that all columns pass over what is in the cache. */
static void ROW_NAME(sum_rows)(const rowpool_block *block, const arguments_t *arguments, size_t columns,
                               result_t *results)
{
    const size_t width = block->input[0].width, stride = block->input[0].stride, batch = ROWPOOL_SLICE / width;
    for (size_t row = 0, n; row < block->count; row += n) {
        ROWPOOL_STORED(ROWPOOL_DTYPE) *x = (ROWPOOL_STORED(ROWPOOL_DTYPE) *)block->input[0].data + row * stride;
        n = block->count - row < batch ? block->count - row : batch;
        for (size_t k = 0; k < columns; k++) {
            const arguments_t argument = arguments[k];
            result_t *result = results + row * columns + k;
            for (size_t r = 0; r < n; r++)
                result[r * columns] = finish(ROW_NAME(sum_few)(x + r * stride, width, argument), width, argument);
        }
    }
}
#endif

/* A row, slice by slice, so that all columns pass over what is in the cache. */
static void ROW_NAME(fold_columns)(ROWPOOL_STORED(ROWPOOL_DTYPE) * x, size_t width, size_t first,
                                   const arguments_t *arguments, size_t columns, accumulator_t *accumulators)
{
    for (size_t from = 0; from < width; from += ROWPOOL_SLICE) {
        size_t to = width - from < ROWPOOL_SLICE ? width : from + ROWPOOL_SLICE;
        for (size_t k = 0; k < columns; k++)
            accumulators[k] = ROW_NAME(fold)(accumulators[k], x, from, to, first, arguments[k]);
    }
}

static void ROW_NAME(rows)(const rowpool_block *block, const void *arguments, size_t columns, void *results)
{
    const arguments_t *argument = arguments;
    result_t *result = results;
#ifdef ROW_NARROW
    if (block->input[0].offsets == NULL && block->input[0].stride == block->input[0].width &&
        block->input[0].width > 0 && block->input[0].width <= ROWPOOL_STAGED) {
        ROW_NAME(fold_narrow)(block, argument, columns, result);
        return;
    }
#endif
#ifdef ROW_NARROW_SUMS
    if (block->input[0].offsets == NULL && block->input[0].width > 0 && block->input[0].width <= ROWPOOL_FEW) {
        ROW_NAME(sum_rows)(block, argument, columns, result);
        return;
    }
#endif
    for (size_t r = 0; r < block->count; r++, result += columns) {
        size_t width;
        ROWPOOL_STORED(ROWPOOL_DTYPE) *x = rowpool_block_row(block, 0, r, sizeof(ordered_t), &width);
        if (width <= ROWPOOL_SLICE) {
            for (size_t k = 0; k < columns; k++)
                result[k] = finish(ROW_NAME(fold)(identity(argument[k]), x, 0, width, 0, argument[k]), width,
                                   argument[k]);
            continue;
        }
        for (size_t k = 0, n; k < columns; k += n) {
            accumulator_t parts[ROWPOOL_COLUMNS];
            n = columns - k < ROWPOOL_COLUMNS ? columns - k : ROWPOOL_COLUMNS;
            for (size_t i = 0; i < n; i++)
                parts[i] = identity(argument[k + i]);
            ROW_NAME(fold_columns)(x, width, 0, argument + k, n, parts);
            for (size_t i = 0; i < n; i++)
                result[k + i] = finish(parts[i], width, argument[k + i]);
        }
    }
}

static void ROW_NAME(begin)(const void *arguments, size_t columns, void *accumulators)
{
    for (size_t k = 0; k < columns; k++)
        ((accumulator_t *)accumulators)[k] = identity(((const arguments_t *)arguments)[k]);
}

static void ROW_NAME(part)(const rowpool_block *block, const void *arguments, size_t columns, void *accumulators)
{
    size_t width;
    ROWPOOL_STORED(ROWPOOL_DTYPE) *x = rowpool_block_row(block, 0, 0, sizeof(ordered_t), &width);
    ROW_NAME(fold_columns)(x, width, block->first, arguments, columns, accumulators);
}

static void ROW_NAME(merge)(void *into, const void *from, const void *arguments, size_t columns)
{
    accumulator_t *earlier = into;
    for (size_t k = 0; k < columns; k++)
        earlier[k] = combine(earlier[k], ((const accumulator_t *)from)[k], ((const arguments_t *)arguments)[k]);
}

static void ROW_NAME(end)(const void *accumulators, size_t width, const void *arguments, size_t columns, void *results)
{
    for (size_t k = 0; k < columns; k++)
        ((result_t *)results)[k] = finish(((const accumulator_t *)accumulators)[k], width,
                                          ((const arguments_t *)arguments)[k]);
}

static const rowpool_compiled ROW_NAME(compiled) = {
    .arguments_size = sizeof(arguments_t),
    .accumulator_size = sizeof(accumulator_t),
    .result_size = sizeof(result_t),
    .result_alignment = _Alignof(result_t),
    .result_dtype = ROWPOOL_RESULT_DTYPE,
    .rows = ROW_NAME(rows),
    .begin = ROW_NAME(begin),
    .part = ROW_NAME(part),
    .merge = ROW_NAME(merge),
    .end = ROW_NAME(end),
};

#undef ROWPOOL_LOAD
#undef ROW_ORDERED
#undef ROW_NARROW
#undef ROW_NARROW_SUMS
#undef ROW_COUNTS
#undef ROWPOOL_BYTES
#undef ROWPOOL_STAGED
#undef ROWPOOL_FEW
#undef ROW_COMMUTES
#undef ROW_RESULT_DTYPE
