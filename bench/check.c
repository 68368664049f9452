/* The table. */
#include "check.h"

/* The loop that a C programmer writes who learns the width when the program runs; the better compiler counts. */
#define LOOP "openmp/"
/* For few rows: also with each row cut up. */
#define LOOP_OR_SPLIT "openmp/,openmp-split/"
#define WIDTH_KNOWN "openmp-width/"
#define MB *((size_t)1000 * 1000)
#define AUTO .subject = "rowpool/auto", .device = "auto"

const bench_check bench_checks[] = {
    /* Short rows: what the shape at run time brings. */
    {"rows-5", AUTO, .peers = LOOP, .kind = BENCH_TIMES_AS_FAST, .target = 3, .cases = {{.width = 5, .bytes = 256 MB}}},
    {"rows-3", AUTO, .peers = LOOP, .kind = BENCH_TIMES_AS_FAST, .target = 2, .cases = {{.width = 3, .bytes = 256 MB}}},
    {"rows-8", AUTO, .peers = LOOP, .kind = BENCH_TIMES_AS_FAST, .target = 1, .cases = {{.width = 8, .bytes = 256 MB}}},
    {"widths", AUTO, .peers = LOOP, .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.width = 1, .last_width = 64, .bytes = 64 MB}}},
    {"200000", AUTO, .peers = LOOP, .kind = BENCH_TIMES_AS_FAST, .target = 2, .cases = {{.rows = 200000, .width = 5}}},
    {"width-known", AUTO, .peers = WIDTH_KNOWN, .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.width = 5, .bytes = 256 MB}}},
    {"intrinsics-5", AUTO, .peers = "intrinsics", .kind = BENCH_TIMES_AS_FAST, .target = 1.5,
     .cases = {{.width = 5, .bytes = 256 MB}}},
    {"intrinsics", AUTO, .peers = "intrinsics", .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.width = 3, .bytes = 256 MB}, {.width = 8, .bytes = 256 MB}, {.width = 64, .bytes = 256 MB}}},

    /* Long rows: the memory's rate. */
    {"limit", AUTO, .peers = "limit", .every_dtype = true, .kind = BENCH_TIMES_AS_FAST, .target = 0.9,
     .cases = {{.width = 64, .bytes = 256 MB},
               {.width = 1024, .bytes = 256 MB},
               {.width = 65536, .bytes = 256 MB},
               {.width = 1 << 20, .bytes = 256 MB}}},

    /* Shapes that are hard to split. */
    {"one-row", AUTO, .peers = LOOP_OR_SPLIT, .every_dtype = true, .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.rows = 1, .largest = true}}},
    {"seven-rows", AUTO, .peers = LOOP_OR_SPLIT, .every_dtype = true, .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.rows = 7, .bytes = 256 MB}}},
    {"rows-1", AUTO, .peers = LOOP_OR_SPLIT, .every_dtype = true, .kind = BENCH_TIMES_AS_FAST, .target = 1,
     .cases = {{.rows = 100 MB, .width = 1}}},

    /* Rows of unequal length, beside equal ones. */
    {"ragged-zipf", AUTO, .peers = "rowpool/auto", .on_dense = true, .kind = BENCH_TIMES_AS_FAST, .target = 0.8,
     .cases = {{.width = 64, .bytes = 256 MB, .layout = BENCH_ZIPF}}},
    {"ragged-giant", AUTO, .peers = "rowpool/auto", .on_dense = true, .kind = BENCH_TIMES_AS_FAST, .target = 0.8,
     .cases = {{.width = 10, .bytes = 256 MB, .layout = BENCH_GIANT}}},
    {"ragged-empties", AUTO, .peers = "rowpool/auto", .on_dense = true, .kind = BENCH_TIMES_AS_FAST, .target = 0.8,
     .cases = {{.width = 5, .bytes = 256 MB, .layout = BENCH_EMPTIES}}},

    /* Several ranges at once. */
    {"ranges-16", AUTO, .peers = "passes/rowpool", .kind = BENCH_TIMES_AS_FAST, .target = 4,
     .cases = {{.width = 64, .bytes = 256 MB, .columns = 16}, {.width = 1024, .bytes = 256 MB, .columns = 16}}},

    /* Small maps: what a call costs. */
    {"small-1", AUTO, .peers = "serial", .kind = BENCH_NS_BEYOND, .target = 100, .cases = {{.rows = 1, .width = 5}}},
    {"small-10000", AUTO, .peers = "serial", .kind = BENCH_TIMES_THE_TIME, .target = 1.2,
     .cases = {{.rows = 1000, .width = 5}, {.rows = 10000, .width = 5}}},
    {"small-100000", AUTO, .peers = "serial", .kind = BENCH_TIMES_THE_TIME, .target = 1,
     .cases = {{.rows = 20000, .width = 5}, {.rows = 100000, .width = 5}}},

    /* Worker processes. */
    {"fork-alloc", .subject = "rowpool/fork+alloc", .device = "fork", .peers = LOOP, .kind = BENCH_TIMES_AS_FAST,
     .target = 0.95, .cases = {{.width = 1024, .bytes = 256 MB}, {.width = 1024, .bytes = 4000 MB}}},
    {"fork-private", .subject = "rowpool/fork", .device = "fork", .peers = LOOP, .kind = BENCH_TIMES_AS_FAST,
     .target = 0.3, .cases = {{.width = 1024, .bytes = 256 MB}, {.width = 1024, .bytes = 4000 MB}}},

    /* Python. */
    {"numpy", AUTO, .peers = "python/numpy", .kind = BENCH_TIMES_AS_FAST, .target = 6,
     .cases = {{.rows = 200000, .width = 5}}},
    {"python-pool", AUTO, .peers = "python/pool", .kind = BENCH_TIMES_AS_FAST, .target = 250,
     .cases = {{.rows = 200000, .width = 5}}},

    /* What comes before the first count. */
    {"open", .subject = "open/rowpool", .device = "auto", .peers = "open/opencl", .kind = BENCH_TIMES_THE_TIME,
     .target = 1.1, .cases = {{.rows = 1, .width = 5}}},
    {"first", .subject = "process/rowpool", .device = "auto", .peers = "process/opencl", .kind = BENCH_TIMES_THE_TIME,
     .target = 1.1, .cases = {{.rows = 200000, .width = 5}}},
    {"first-cold", .subject = "process/rowpool-cold", .device = "auto", .peers = "process/rowpool",
     .kind = BENCH_TIMES_THE_TIME, .target = 1.5, .cases = {{.rows = 200000, .width = 5}}},
    {.name = NULL},
};
