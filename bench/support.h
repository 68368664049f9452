/* What all files share: errors, the clock, the median, and what the figures were measured on. */
#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H

#include <rowpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_PROGRAM "rowpool-bench"

/* Fills *error and returns the status, so that `return bench_fail(...)` is the whole of a failure. */
rowpool_status bench_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints "rowpool-bench: ..." as a line on standard error. */
void bench_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Leaves the function with the status of a call that failed. */
#define BENCH_TRY(call)                        \
    do {                                       \
        rowpool_status bench_status_ = (call); \
        if (bench_status_ != ROWPOOL_OK)       \
            return bench_status_;              \
    } while (0)

/* Prints into an array; text that is too long is cut. */
#define BENCH_PRINT(array, ...) ((void)snprintf(array, sizeof(array), __VA_ARGS__))

/* Seconds on any of the system's clocks. */
static inline double bench_seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int bench_compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Sorts the values; count is at least 1. */
static inline double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, bench_compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

typedef struct {
    char cpu[128];       /* the model, as the kernel gives it */
    char huge_pages[32]; /* the system's setting for transparent huge pages */
    size_t cores;        /* logical processors that are online */
    size_t usable;       /* of these, those that this process may use */
    size_t memory;       /* bytes */
} bench_machine;

void bench_machine_read(bench_machine *machine);

/* Bytes available without swapping and within the limit of the control group; SIZE_MAX where the system does not say. */
size_t bench_memory_free(void);

#endif
