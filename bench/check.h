/* What rowpool is meant to reach beside its peers, as a table, and the run that tells where it does. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "harness.h"

/* What is compared: the subject's figure is better the higher, or the lower, it is. */
typedef enum {
    BENCH_TIMES_AS_FAST,  /* at least so many times as fast as the peer */
    BENCH_TIMES_THE_TIME, /* at most so many times the peer's time */
    BENCH_NS_BEYOND       /* at most so many nanoseconds more than the peer */
} bench_measure_kind;

/* Cases that are alike. Of rows and width one may be 0: it is then what makes up the bytes. */
typedef struct {
    size_t rows, width, bytes;
    size_t last_width; /* a case for each width up to this; 0: the one */
    bench_layout layout;
    size_t columns;
    bool largest; /* one row, as long as there is memory for: 2^28 to 2^30 elements */
} bench_check_case;

enum { BENCH_CHECK_CASES_MAX = 4 };

/* One line of the table. Each of the cases must reach the target; the worst is shown. */
typedef struct {
    const char *name;
    const char *subject; /* its label */
    const char *device;  /* what of rowpool there is to be: a name as for --device */
    const char *peers;   /* patterns of labels; the fastest of those that there are is what counts */
    bool on_dense;       /* the peers have equally long rows, of the same number and bytes */
    bool every_dtype;    /* otherwise int32; a line for each */
    bench_measure_kind kind;
    double target;
    bench_check_case cases[BENCH_CHECK_CASES_MAX]; /* as far as they have bytes, rows or width */
} bench_check;

/* The last has no name. */
extern const bench_check bench_checks[];

typedef struct {
    const char *names; /* comma-separated; NULL: all */
    size_t rounds;
    double scale;      /* of the number of rows, for those that only want to see it run */
    size_t width_step; /* of cases for each width: only each so-manieth */
} bench_check_options;

/* Whether each of the names is one; complains where it is not. */
bool bench_check_names_are_known(const char *names);

/* Measures and prints line by line. Whether all could be measured, whatever came out. */
bool bench_check_run(const bench_check_options *options);

#endif
