/* Errors in the benchmark are the library's own: one status, one line. */
#ifndef BENCH_ERROR_H
#define BENCH_ERROR_H

#include <rowpool.h>

#define BENCH_PROGRAM "rowpool-bench"

/* Writes the message and returns the status, so that a failing function can end in one line. */
rowpool_status bench_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "rowpool-bench: ..." and a line's end on standard error. */
void bench_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
