#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

rowpool_status rp_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        for (char *at = error->message; *at != '\0'; at++) /* one line, whatever a compiler or a file name brought */
            if (*at == '\n' || *at == '\r')
                *at = ' ';
    }
    return status;
}
