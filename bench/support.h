/* What all files of the benchmark share: clock, median, names and numbers, the machine. */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <rowpool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"

#define BENCH_PROGRAM "rowpool-bench"

/* Returns from the function with the status of a call that failed. */
#define BENCH_TRY(call)                        \
    do {                                       \
        rowpool_status bench_status_ = (call); \
        if (bench_status_ != ROWPOOL_OK)       \
            return bench_status_;              \
    } while (0)

/* Prints into an array; text that is too long is truncated. */
#define BENCH_PRINT(array, ...) ((void)snprintf(array, sizeof(array), __VA_ARGS__))

/* Seconds on any of the system's clocks. */
static inline double bench_seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Sorts the values; count is at least 1. */
double bench_median(double *values, size_t count);

/* False if the text is not the name of an element type. */
bool bench_find_dtype(const char *name, rowpool_dtype *dtype);

/* Whether the text is a decimal number from 1 on, and nothing else. */
bool bench_read_size(const char *text, size_t *value);

/* The model of the CPU, as the kernel reports it. */
enum { BENCH_CPU_SIZE = 128 };
void bench_cpu_name(char name[BENCH_CPU_SIZE]);

/* ENOMEM if the system or the control group has less memory available without swapping. Checked first, since Linux grants
 * memory that it does not have, and kills the process later. The message begins with `what`. */
rowpool_status bench_memory_check(double bytes, const char *what, rowpool_error *error);

#endif
