/* Filling in errors of system calls. */
#ifndef ROWPOOL_FILES_FAIL_H
#define ROWPOOL_FILES_FAIL_H

#include <errno.h>
#include <string.h>

#include "base/error.h"

/* rp_fail with the text of errno. */
static inline rowpool_status fail_errno(rowpool_error *error)
{
    return rp_fail(error, errno == ENOMEM ? ROWPOOL_ENOMEM : ROWPOOL_ESYSTEM, "%s", strerror(errno));
}

#endif
