/* Errors: a status, and one line that names what is wrong and what to do. */
#ifndef RP_BASE_ERROR_H
#define RP_BASE_ERROR_H

#include "rowpool.h"

/* Fills *error (NULL is legal) and returns status, so that `return rp_fail(...)` is the whole of a failure. */
rowpool_status rp_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Leaves the function with the status of a call that failed. */
#define RP_TRY(call)                        \
    do {                                    \
        rowpool_status rp_status_ = (call); \
        if (rp_status_ != ROWPOOL_OK)       \
            return rp_status_;              \
    } while (0)

#endif
