/* Medians, apart from what they are of. */
#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stddef.h>

/* Of values that it brings into order; at least one. */
double bench_median(double *values, size_t count);

#endif
