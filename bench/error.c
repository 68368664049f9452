#include "error.h"

#include <stdarg.h>
#include <stdio.h>

rowpool_status bench_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
{
    va_list arguments;

    error->status = status;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

void bench_complain(const char *format, ...)
{
    va_list arguments;

    fputs(BENCH_PROGRAM ": ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
