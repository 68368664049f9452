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

static const struct {
    const char *name, *text;
} statuses[] = {
#define RP_STATUS_ROW(name, text) [ROWPOOL_##name] = {"ROWPOOL_" #name, text},
    ROWPOOL_STATUSES(RP_STATUS_ROW)
#undef RP_STATUS_ROW
};

static bool known(rowpool_status status)
{
    return (size_t)status < sizeof statuses / sizeof *statuses;
}

const char *rowpool_status_name(rowpool_status status)
{
    return known(status) ? statuses[status].name : "unknown status";
}

const char *rowpool_status_text(rowpool_status status)
{
    return known(status) ? statuses[status].text : "unknown status";
}
