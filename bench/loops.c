/* Built once for each compiler. BENCH_LOOPS: the name of the table. BENCH_PEER_FLAGS: what this is built with. */
#include "loops.h"

#include "compiler.h"
#include "dtypes.h"

#define LOOP(name, type, kind)                                                                                \
    static void loop_##name(const void *data, size_t rows, size_t width, int low, int high, uint32_t *counts) \
    {                                                                                                         \
        const type *row = data;                                                                               \
        const type lo = BENCH_KEY_##kind(BENCH_FROM_##kind(type, low));                                       \
        const type hi = BENCH_KEY_##kind(BENCH_FROM_##kind(type, high));                                      \
                                                                                                              \
        for (size_t i = 0; i < rows; i++)                                                                     \
            counts[i] = bench_row_##name(row + i * width, width, lo, hi);                                     \
    }
BENCH_DTYPES(LOOP)
#undef LOOP

#define LOOP_OF_WIDTH(fixed, name, type, kind)                                                        \
    static void loop_##name##_##fixed(const void *data, size_t rows, size_t width, int low, int high, \
                                      uint32_t *counts)                                               \
    {                                                                                                 \
        const type *row = data;                                                                       \
        const type lo = BENCH_KEY_##kind(BENCH_FROM_##kind(type, low));                               \
        const type hi = BENCH_KEY_##kind(BENCH_FROM_##kind(type, high));                              \
                                                                                                      \
        (void)width;                                                                                  \
        for (size_t i = 0; i < rows; i++)                                                             \
            counts[i] = bench_row_##name(row + i * fixed, fixed, lo, hi);                             \
    }
#define LOOPS_OF_WIDTHS(name, type, kind) BENCH_WIDTHS(LOOP_OF_WIDTH, name, type, kind)
BENCH_DTYPES(LOOPS_OF_WIDTHS)

_Static_assert((int)ROWPOOL_FLOAT64 < (int)BENCH_LOOP_DTYPES, "the tables have room for every element type");

#define ENTRY(name, type, kind) [ROWPOOL_##name] = loop_##name,
#define ENTRY_3(name, type, kind) [ROWPOOL_##name] = loop_##name##_3,
#define ENTRY_5(name, type, kind) [ROWPOOL_##name] = loop_##name##_5,
#define ENTRY_8(name, type, kind) [ROWPOOL_##name] = loop_##name##_8,
#define ENTRY_64(name, type, kind) [ROWPOOL_##name] = loop_##name##_64,

const bench_loops BENCH_LOOPS = {
    .compiler = BENCH_COMPILER_NAME,
    .version = BENCH_COMPILER " " BENCH_PEER_FLAGS,
    .any_width = {BENCH_DTYPES(ENTRY)},
    .of_width = {{3, {BENCH_DTYPES(ENTRY_3)}},
                 {5, {BENCH_DTYPES(ENTRY_5)}},
                 {8, {BENCH_DTYPES(ENTRY_8)}},
                 {64, {BENCH_DTYPES(ENTRY_64)}}},
};
