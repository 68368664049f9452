/* Output files that appear complete or not at all. A file is written without a name where the file system supports that
 * (O_TMPFILE), else under a temporary name in the same folder, .rowpool-XXXXXX, which is removed when the program fails
 * or is interrupted. SIGKILL may leave the temporary file.
 *
 * A replaced file keeps its owner and mode. Symbolic links are followed. If the file cannot be replaced (it is a mount
 * point, its folder cannot be written, its owner cannot be kept), the complete results are copied into it. Devices and
 * FIFOs are written directly. */
#ifndef ROWPOOL_FILES_REPLACE_H
#define ROWPOOL_FILES_REPLACE_H

#include <limits.h>
#include <stddef.h>

#include "rowpool.h"

typedef enum {
    REPLACE_DIRECTLY, /* fd is the target itself */
    REPLACE_WHOLE,    /* fd gets the target's name */
    REPLACE_COPY      /* fd is copied into the target */
} replace_kind;

typedef struct {
    int fd; /* -1: not open */
    replace_kind kind;
    char target[PATH_MAX];
    char temporary[PATH_MAX]; /* its temporary name; "": none */
    const char *note;         /* after the commit: why it was copied, or NULL */
} replacement;

/* Call it before the work begins: a folder that cannot be written is then reported at once. Only one file at a time. */
rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error);

/* The same with a temporary name, by which other processes open the file. */
rowpool_status replace_begin_named(replacement *file, const char *path, rowpool_error *error);

/* Makes the file appear. After a failure the target is unchanged, unless a copy failed, as the message then says. */
rowpool_status replace_commit(replacement *file, rowpool_error *error);

/* Leaves the target unchanged; no effect after a commit. */
void replace_discard(replacement *file);

#endif
