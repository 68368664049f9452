/* How what reads and writes files says what is wrong. */
#ifndef ROWPOOL_FILES_FAIL_H
#define ROWPOOL_FILES_FAIL_H

#include "rowpool.h"

/* Fills in the error, unless it is NULL, and returns the status. */
__attribute__((format(printf, 3, 4))) rowpool_status fail(rowpool_error *error, rowpool_status status,
                                                          const char *format, ...);

/* fail() with the text of errno. */
rowpool_status fail_errno(rowpool_error *error);

#endif
