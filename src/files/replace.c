#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "interrupt.h"

/* ---- Where the target is ---------------------------------------------------------------------------------------- */

static rowpool_status name_too_long(rowpool_error *error)
{
    errno = ENAMETOOLONG;
    return fail_errno(error);
}

/* The length of the folder in front of the name, with its slash; 0 where there is none. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* Replaces the link in target by what it leads to, which is meant relative to the link's folder. */
static rowpool_status follow_link(char target[PATH_MAX], rowpool_error *error)
{
    char link[PATH_MAX];
    ssize_t length = readlink(target, link, sizeof link);
    if (length < 0)
        return fail_errno(error);
    size_t kept = link[0] == '/' ? 0 : folder_length(target);
    if (kept + (size_t)length >= PATH_MAX)
        return name_too_long(error);
    memcpy(target + kept, link, (size_t)length);
    target[kept + (size_t)length] = '\0';
    return ROWPOOL_OK;
}

/* Unlike realpath, this also follows a link to a file that is not there yet. */
static rowpool_status resolve_links(char target[PATH_MAX], rowpool_error *error)
{
    enum { MOST_LINKS = 40 }; /* as the kernel counts */
    for (int links = 0; links < MOST_LINKS; links++) {
        struct stat entry;
        if (lstat(target, &entry) != 0 || !S_ISLNK(entry.st_mode))
            return ROWPOOL_OK;
        rowpool_status status = follow_link(target, error);
        if (status != ROWPOOL_OK)
            return status;
    }
    errno = ELOOP;
    return fail_errno(error);
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* As mkostemp does, but with the mode of any new file: nobody but the kernel can tell the umask without setting it. */
static int create_new(char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    enum { TRIES = 100, RANDOM = 6 };
    char *name = path + strlen(path) - RANDOM;
    int fd = -1;
    for (int i = 0; fd < 0 && i < TRIES && (i == 0 || errno == EEXIST); i++) {
        unsigned char noise[RANDOM];
        if (getentropy(noise, sizeof noise) != 0)
            return -1;
        for (size_t k = 0; k < RANDOM; k++)
            name[k] = letters[noise[k] % (sizeof letters - 1)];
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    return fd;
}

static rowpool_status open_directly(replacement *file, const char *path, rowpool_error *error)
{
    file->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return file->fd < 0 ? fail_errno(error) : ROWPOOL_OK;
}

/* existing: what it is to replace, or NULL. */
static rowpool_status create_temporary(replacement *file, const struct stat *existing, rowpool_error *error)
{
    static const char name[] = ".rowpool-XXXXXX";
    size_t folder = folder_length(file->target);
    if (folder + sizeof name > PATH_MAX)
        return name_too_long(error);
    memcpy(file->temporary, file->target, folder);
    memcpy(file->temporary + folder, name, sizeof name);

    sigset_t before;
    block_interruptions(&before);
    file->fd = create_new(file->temporary);
    int failure = errno;
    if (file->fd >= 0)
        set_interrupted_file(file->temporary);
    restore_interruptions(&before);

    errno = failure;
    if (file->fd >= 0 && (existing == NULL || fchmod(file->fd, existing->st_mode & 0777) == 0))
        return ROWPOOL_OK;
    rowpool_status status = fail_errno(error);
    if (file->fd < 0)
        file->temporary[0] = '\0';
    replace_discard(file);
    return status;
}

rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error)
{
    file->fd = -1;
    file->temporary[0] = '\0';
    if (strlen(path) >= PATH_MAX)
        return name_too_long(error);
    (void)strcpy(file->target, path);
    struct stat existing;
    bool exists = stat(path, &existing) == 0;
    if (!exists && errno != ENOENT)
        return fail_errno(error);
    if (exists && !S_ISREG(existing.st_mode))
        return open_directly(file, path, error);
    /* A rename would replace a file that is not to be written, too. */
    if (exists && access(path, W_OK) != 0)
        return fail_errno(error);
    rowpool_status status = resolve_links(file->target, error);
    if (status != ROWPOOL_OK)
        return status;
    return create_temporary(file, exists ? &existing : NULL, error);
}

/* A full disk may show as late as here. Devices and FIFOs know no fsync. */
static bool flush_and_close(replacement *file)
{
    bool flushed = file->temporary[0] == '\0' || fsync(file->fd) == 0;
    int failure = errno;
    bool closed = close(file->fd) == 0;
    file->fd = -1;
    if (!flushed)
        errno = failure;
    return flushed && closed;
}

rowpool_status replace_commit(replacement *file, rowpool_error *error)
{
    bool done = flush_and_close(file) && (file->temporary[0] == '\0' || rename(file->temporary, file->target) == 0);
    rowpool_status status = done ? ROWPOOL_OK : fail_errno(error);
    if (done) {
        set_interrupted_file(NULL);
        file->temporary[0] = '\0';
    }
    replace_discard(file);
    return status;
}

void replace_discard(replacement *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
    if (file->temporary[0] != '\0')
        (void)unlink(file->temporary);
    file->temporary[0] = '\0';
    set_interrupted_file(NULL);
}
