/* Failures of system calls; all errors are filled in by rp_fail. */
#ifndef ROWPOOL_FILES_FAIL_H
#define ROWPOOL_FILES_FAIL_H

#include <errno.h>
#include <string.h>

#include "base/error.h"

/* Fills in the error with the text of errno. */
static inline rowpool_status fail_errno(rowpool_error *error)
{
    return rp_fail(error, errno == ENOMEM ? ROWPOOL_ENOMEM : ROWPOOL_ESYSTEM, "%s", strerror(errno));
}

#endif
