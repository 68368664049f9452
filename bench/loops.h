/* Row loops in plain C, for a part of the rows, by each compiler that the build found: the same file, built by each.
 * They know no threads, since the runtimes of two compilers do not bear each other in one process. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include <rowpool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts the elements in [lo, hi] of so many rows. */
typedef void bench_loop(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts);

/* The widths that there are loops for with the width compiled in. */
#define BENCH_WIDTHS(X, ...) X(3, __VA_ARGS__) X(5, __VA_ARGS__) X(8, __VA_ARGS__) X(64, __VA_ARGS__)

enum {
    BENCH_LOOP_DTYPES = 16, /* loops stand at the library's numbers of the element types */
    BENCH_LOOP_WIDTHS = 4
};

typedef struct {
    const char *compiler; /* "gcc", "clang" */
    const char *version;  /* and its flags */
    bench_loop *any_width[BENCH_LOOP_DTYPES];
    struct {
        size_t width;
        bench_loop *loops[BENCH_LOOP_DTYPES];
    } of_width[BENCH_LOOP_WIDTHS];
} bench_loops;

/* The last entry is NULL. */
extern const bench_loops *const bench_all_loops[];

/* The loop for just that width; NULL where there is none. */
bench_loop *bench_loop_of_width(const bench_loops *loops, rowpool_dtype dtype, size_t width);

extern const bench_loops bench_loops_own;   /* by the compiler of this program */
extern const bench_loops bench_loops_clang; /* only where BENCH_HAVE_CLANG is defined */

#endif
