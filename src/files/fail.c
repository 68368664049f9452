#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

rowpool_status fail(rowpool_error *error, rowpool_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

rowpool_status fail_errno(rowpool_error *error)
{
    return fail(error, errno == ENOMEM ? ROWPOOL_ENOMEM : ROWPOOL_ESYSTEM, "%s", strerror(errno));
}
