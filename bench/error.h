/* Errors are the library's own: a status and one line. */
#ifndef BENCH_ERROR_H
#define BENCH_ERROR_H

#include <rowpool.h>

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

#endif
