/* A file that appears complete or not at all: written under a temporary name in the same folder, then renamed.
 *
 * A target that exists and is no regular file (a device, a FIFO) is written directly. A symbolic link stays, and what
 * it leads to is replaced. The temporary file goes when the program fails or is interrupted. */
#ifndef ROWPOOL_FILES_REPLACE_H
#define ROWPOOL_FILES_REPLACE_H

#include <limits.h>
#include <stddef.h>

#include "rowpool.h"

typedef struct {
    int fd;                   /* -1: not open */
    char target[PATH_MAX];    /* what the rename replaces */
    char temporary[PATH_MAX]; /* "" where the target is written directly */
} replacement;

/* Opens it before anything else is started: a folder that cannot be written is then known at once. One at a time. */
rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error);

/* Makes it appear. After a failure nothing has. */
rowpool_status replace_commit(replacement *file, rowpool_error *error);

/* Leaves everything as it was; nothing to do after a commit. */
void replace_discard(replacement *file);

#endif
