#include "variadic.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/types.h>

/* Arguments travel in registers here, so passing on more of them than the caller gave is harmless. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    const int failure = test_syscall_failure(number);
    if (failure == 0)
        return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    errno = failure;
    return -1;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    const int failure = test_open_failure(path);
    if (failure == 0)
        return __real_open(path, flags, mode);
    errno = failure;
    return -1;
}
