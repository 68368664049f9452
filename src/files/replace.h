/* A file that appears complete or not at all. It is written without a name, where the file system has files without one
 * (O_TMPFILE), else under a temporary name in the same folder, .rowpool-XXXXXX, which goes when the program fails or is
 * interrupted. What is killed (SIGKILL) leaves a temporary file in the second case; in the first one only between the two
 * calls that give a complete file a name and rename it, where there is a file to be replaced.
 *
 * A file that is replaced keeps its owner and mode; a symbolic link stays, and what it leads to is replaced. Where
 * replacing is refused, the whole file is copied into the one that is there: where that is a mount point, its folder cannot
 * be written, or its owner cannot be kept. A target that is no regular file (a device, a FIFO) is written directly. */
#ifndef ROWPOOL_FILES_REPLACE_H
#define ROWPOOL_FILES_REPLACE_H

#include <limits.h>
#include <stddef.h>

#include "rowpool.h"

typedef enum {
    REPLACE_DIRECTLY, /* fd is the target itself */
    REPLACE_WHOLE,    /* the file that is written gets the target's name */
    REPLACE_COPY      /* its bytes are copied into the target */
} replace_kind;

typedef struct {
    int fd; /* -1: not open */
    replace_kind kind;
    char target[PATH_MAX];
    char temporary[PATH_MAX]; /* "": the file has no name */
    const char *note;         /* once it is complete: why it was copied; NULL: it was not */
} replacement;

/* Opens it before anything else is started: a folder that cannot be written is then known at once. One at a time. */
rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error);

/* The same for a regular file that others open too, by its temporary name. That is in *file before it is a file's. */
rowpool_status replace_begin_named(replacement *file, const char *path, rowpool_error *error);

/* Makes it appear. After a failure nothing has; but a copy that fails, as the message says, has begun. */
rowpool_status replace_commit(replacement *file, rowpool_error *error);

/* Leaves everything as it was; nothing to do after a commit. */
void replace_discard(replacement *file);

#endif
