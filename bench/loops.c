/* The row loops; each compiler builds this file once. BENCH_LOOPS: the name of the table. BENCH_PEER_FLAGS: the compiler's
 * flags. */
#include "loops.h"

#define AS_TEXT_(token) #token
#define AS_TEXT(token) AS_TEXT_(token)

#if defined(__clang__)
#define COMPILER "clang"
#define VERSION AS_TEXT(__clang_major__) "." AS_TEXT(__clang_minor__) "." AS_TEXT(__clang_patchlevel__)
#else
#define COMPILER "gcc"
#define VERSION __VERSION__
#endif

#define LOOP(fixed, name, type, kind)                                                                 \
    static void loop_##name##_##fixed(const void *data, size_t rows, size_t width, int low, int high, \
                                      uint32_t *counts)                                               \
    {                                                                                                 \
        const type *row = data;                                                                       \
        const type lo = BENCH_KEY_##kind(BENCH_FROM_##kind(type, low));                               \
        const type hi = BENCH_KEY_##kind(BENCH_FROM_##kind(type, high));                              \
        const size_t length = fixed > 0 ? fixed : width;                                              \
                                                                                                      \
        for (size_t i = 0; i < rows; i++) {                                                           \
            uint32_t count = 0;                                                                       \
                                                                                                      \
            for (size_t j = 0; j < length; j++) {                                                     \
                const type key = BENCH_KEY_##kind(row[i * length + j]);                               \
                count += key >= lo && key <= hi;                                                      \
            }                                                                                         \
            counts[i] = count;                                                                        \
        }                                                                                             \
    }
#define LOOPS(fixed) BENCH_DTYPES(LOOP, fixed)
BENCH_WIDTHS(LOOPS)

#define ENTRY(fixed, name, type, kind) [ROWPOOL_##name] = loop_##name##_##fixed,
#define ENTRIES(fixed) {fixed, {BENCH_DTYPES(ENTRY, fixed)}},

const bench_loops BENCH_LOOPS = {
    .compiler = COMPILER,
    .version = COMPILER " " VERSION " " BENCH_PEER_FLAGS,
    .loops = {BENCH_WIDTHS(ENTRIES)},
};
