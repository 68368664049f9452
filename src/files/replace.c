#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
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

/* Puts random letters at the end of the path. */
static bool choose_letters(char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    enum { RANDOM = 6 };
    unsigned char noise[RANDOM];
    if (getentropy(noise, sizeof noise) != 0)
        return false;
    for (size_t i = 0; i < RANDOM; i++)
        path[strlen(path) - RANDOM + i] = letters[noise[i] % (sizeof letters - 1)];
    return true;
}

/* As mkostemp does, but with the mode of any new file: nobody but the kernel can tell the umask without setting it. */
static int create_new(char *path)
{
    enum { TRIES = 100 };
    int fd = -1;
    for (int i = 0; fd < 0 && i < TRIES && (i == 0 || errno == EEXIST); i++) {
        if (!choose_letters(path))
            return -1;
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    return fd;
}

static rowpool_status open_directly(replacement *file, const char *path, rowpool_error *error)
{
    file->kind = REPLACE_DIRECTLY;
    file->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return file->fd < 0 ? fail_errno(error) : ROWPOOL_OK;
}

/* A file without a name can be given one by way of /proc only. */
enum { LINK_PATH = 32 };
static void format_link(char path[LINK_PATH], int fd)
{
    (void)snprintf(path, LINK_PATH, "/proc/self/fd/%d", fd);
}

static bool create_nameless(replacement *file)
{
    char folder[PATH_MAX] = ".";
    const size_t length = folder_length(file->target);
    if (length > 0)
        (void)snprintf(folder, sizeof folder, "%.*s", (int)length, file->target);
    file->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return false;
    char link[LINK_PATH];
    format_link(link, file->fd);
    if (access(link, F_OK) == 0)
        return true;
    (void)close(file->fd);
    file->fd = -1;
    return false;
}

/* Puts the temporary name into place, but for its last letters. False with errno where it is too long. */
static bool begin_temporary(replacement *file)
{
    static const char name[] = ".rowpool-XXXXXX";
    const size_t folder = folder_length(file->target);
    if (folder + sizeof name > PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(file->temporary, file->target, folder);
    memcpy(file->temporary + folder, name, sizeof name);
    return true;
}

static bool create_temporary(replacement *file)
{
    if (!begin_temporary(file))
        return false;
    sigset_t before;
    block_interruptions(&before);
    file->fd = create_new(file->temporary);
    int failure = errno;
    if (file->fd >= 0)
        set_interrupted_file(file->temporary);
    else
        file->temporary[0] = '\0';
    restore_interruptions(&before);
    errno = failure;
    return file->fd >= 0;
}

/* Where no file can be made beside the target; it is written to memory then. */
static bool create_in_memory(replacement *file)
{
    const int failure = errno;
    if (failure != EACCES && failure != EPERM && failure != EROFS)
        return false;
    file->fd = memfd_create("rowpool", MFD_CLOEXEC);
    file->kind = REPLACE_COPY;
    file->note = "its folder cannot be written";
    errno = failure;
    return file->fd >= 0;
}

/* False where the owner is another one and cannot be kept. */
static bool keep_owner(int fd, const struct stat *existing)
{
    struct stat own;
    return fstat(fd, &own) == 0 && ((own.st_uid == existing->st_uid && own.st_gid == existing->st_gid) ||
                                    fchown(fd, existing->st_uid, existing->st_gid) == 0);
}

/* existing: what it is to replace, or NULL. */
static rowpool_status begin_file(replacement *file, const struct stat *existing, bool named, rowpool_error *error)
{
    file->kind = REPLACE_WHOLE;
    const bool created = (!named && create_nameless(file)) || create_temporary(file) ||
                         (!named && existing != NULL && create_in_memory(file));
    if (!created)
        return fail_errno(error);
    if (existing == NULL || file->kind == REPLACE_COPY)
        return ROWPOOL_OK;
    if (!keep_owner(file->fd, existing)) {
        file->kind = REPLACE_COPY;
        file->note = "its owner can be kept in no other way";
        return ROWPOOL_OK;
    }
    if (fchmod(file->fd, existing->st_mode & 07777) == 0)
        return ROWPOOL_OK;
    rowpool_status status = fail_errno(error);
    replace_discard(file);
    return status;
}

static rowpool_status begin(replacement *file, const char *path, bool named, rowpool_error *error)
{
    file->fd = -1;
    file->temporary[0] = '\0';
    file->note = NULL;
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
    return begin_file(file, exists ? &existing : NULL, named, error);
}

/* Where a standard stream is closed the file could be on its descriptor, and what is printed would be written to it. */
static rowpool_status begin_apart(replacement *file, const char *path, bool named, rowpool_error *error)
{
    rowpool_status status = begin(file, path, named, error);
    if (status != ROWPOOL_OK || file->fd > STDERR_FILENO)
        return status;
    const int kept = fcntl(file->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (kept < 0)
        status = fail_errno(error);
    (void)close(file->fd);
    file->fd = kept;
    if (kept < 0)
        replace_discard(file);
    return status;
}

rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error)
{
    return begin_apart(file, path, false, error);
}

rowpool_status replace_begin_named(replacement *file, const char *path, rowpool_error *error)
{
    return begin_apart(file, path, true, error);
}

/* ---- Committing ------------------------------------------------------------------------------------------------- */

/* Gives a file without a name a temporary one. */
static bool link_temporary(replacement *file, const char *link)
{
    enum { TRIES = 100 };
    if (!begin_temporary(file))
        return false;
    bool linked = false;
    for (int i = 0; !linked && i < TRIES && (i == 0 || errno == EEXIST); i++)
        linked = choose_letters(file->temporary) &&
                 linkat(AT_FDCWD, link, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0;
    if (!linked)
        file->temporary[0] = '\0';
    return linked;
}

/* Gives the file the target's name. Nothing is left of another one, but where the rename fails: that is then the caller's
 * to remove. */
static bool give_name(replacement *file)
{
    char link[LINK_PATH];
    format_link(link, file->fd);
    if (file->temporary[0] == '\0') {
        if (linkat(AT_FDCWD, link, AT_FDCWD, file->target, AT_SYMLINK_FOLLOW) == 0)
            return true;
        if (errno != EEXIST || !link_temporary(file, link))
            return false;
    }
    if (rename(file->temporary, file->target) != 0)
        return false;
    file->temporary[0] = '\0';
    return true;
}

/* All of a file; false with errno. */
static bool copy_bytes(int to, int from)
{
    enum { PIECE = 1 << 30 };
    struct stat source;
    off_t at = 0;
    ssize_t copied;
    if (fstat(from, &source) != 0)
        return false;
    do
        copied = sendfile(to, from, &at, PIECE);
    while (copied > 0 || (copied < 0 && errno == EINTR));
    if (copied == 0 && at < source.st_size) { /* it ended early, for a reason that nobody says */
        errno = EIO;
        return false;
    }
    return copied == 0 && fsync(to) == 0;
}

static rowpool_status copy_to_target(replacement *file, rowpool_error *error)
{
    int to = open(file->target, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (to < 0)
        return fail_errno(error);
    bool copied = copy_bytes(to, file->fd);
    int failure = errno;
    const bool closed = close(to) == 0;
    if (copied && closed)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_ESYSTEM, "%s; the file is not complete, and what it held is gone: %s",
                   strerror(copied ? errno : failure), file->note);
}

static rowpool_status make_appear(replacement *file, rowpool_error *error)
{
    if (file->kind == REPLACE_WHOLE) {
        if (give_name(file))
            return ROWPOOL_OK;
        if (errno != EBUSY)
            return fail_errno(error);
        file->note = "it is a mount point";
    }
    return copy_to_target(file, error);
}

/* A signal that comes now ends the program when the file is complete. */
static rowpool_status commit(replacement *file, rowpool_error *error)
{
    if (fsync(file->fd) != 0)
        return fail_errno(error);
    sigset_t before;
    block_interruptions(&before);
    rowpool_status status = make_appear(file, error);
    if (file->temporary[0] == '\0')
        set_interrupted_file(NULL);
    restore_interruptions(&before);
    return status;
}

static rowpool_status close_directly(replacement *file, rowpool_error *error)
{
    const int fd = file->fd;
    file->fd = -1;
    return close(fd) == 0 ? ROWPOOL_OK : fail_errno(error);
}

rowpool_status replace_commit(replacement *file, rowpool_error *error)
{
    /* A full disk may show as late as here. Devices and FIFOs know no fsync. */
    rowpool_status status = file->kind == REPLACE_DIRECTLY ? close_directly(file, error) : commit(file, error);
    if (status != ROWPOOL_OK)
        file->note = NULL;
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
