/* Row loops in C, for one thread: their callers divide the rows, since the OpenMP runtimes of two compilers do not work in
 * one process. */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include <stddef.h>

#include "dtypes.h"

/* Counts the elements in [lo, hi] of each of these rows. */
typedef void bench_loop(const void *data, size_t rows, size_t width, int lo, int hi, uint32_t *counts);

/* The widths that loops have compiled in: X(width). 0: the width is an argument. */
#define BENCH_WIDTHS(X) X(0) X(3) X(5) X(8) X(64)
enum { BENCH_WIDTH_COUNT = 5 };

/* The loops of one compiler. */
typedef struct {
    const char *compiler; /* "gcc", "clang" */
    const char *version;  /* with its flags */
    struct {
        size_t width;
        bench_loop *by_dtype[BENCH_DTYPE_COUNT];
    } loops[BENCH_WIDTH_COUNT];
} bench_loops;

/* Built by the compiler of this program. */
extern const bench_loops bench_loops_own;

/* Built by clang; only if BENCH_HAVE_CLANG is defined. */
extern const bench_loops bench_loops_clang;

/* The int32 loop with intrinsics; NULL if the build is for a CPU without them. */
extern bench_loop *const bench_intrinsics;

/* ", " and the name of its instruction set, or "". */
extern const char *const bench_instructions;

#endif
