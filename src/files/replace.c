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

/* The length of the folder with its slash; 0: none. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* Unlike realpath, this also follows a link to a file that does not exist yet. */
static rowpool_status resolve_links(char target[PATH_MAX], rowpool_error *error)
{
    enum { MAX_LINKS = 40 }; /* as the kernel counts */
    char link[PATH_MAX];
    ssize_t length;
    for (int links = 0; (length = readlink(target, link, sizeof link)) >= 0; links++) {
        const size_t kept = link[0] == '/' ? 0 : folder_length(target);
        if (links == MAX_LINKS || kept + (size_t)length >= PATH_MAX) {
            errno = links == MAX_LINKS ? ELOOP : ENAMETOOLONG;
            return fail_errno(error);
        }
        memcpy(target + kept, link, (size_t)length);
        target[kept + (size_t)length] = '\0';
    }
    return ROWPOOL_OK;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* Replaces the last letters of the path by random ones. */
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

/* Gives the file at `link` a temporary name beside the target; link NULL: creates a file, with the default mode, unlike
 * mkostemp. False with errno. */
static bool name_temporary(replacement *file, const char *link)
{
    static const char name[] = ".rowpool-XXXXXX";
    enum { TRIES = 100 };
    const size_t folder = folder_length(file->target);
    bool named = false;
    errno = ENAMETOOLONG;
    if (folder + sizeof name > PATH_MAX)
        return false;
    memcpy(file->temporary, file->target, folder);
    memcpy(file->temporary + folder, name, sizeof name);
    for (int i = 0; !named && i < TRIES && (i == 0 || errno == EEXIST) && choose_letters(file->temporary); i++) {
        if (link == NULL)
            file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        named = link == NULL ? file->fd >= 0
                             : linkat(AT_FDCWD, link, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0;
    }
    if (!named)
        file->temporary[0] = '\0';
    return named;
}

/* The path by which an unnamed file can be linked. */
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

static bool create_temporary(replacement *file)
{
    sigset_t before;
    block_interruptions(&before);
    const bool created = name_temporary(file, NULL);
    const int failure = errno;
    if (created)
        set_interrupted_file(file->temporary);
    restore_interruptions(&before);
    errno = failure;
    return created;
}

/* Used if the target's folder cannot be written. */
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

/* False if the owner differs and cannot be changed. */
static bool keep_owner(int fd, const struct stat *existing)
{
    struct stat own;
    return fstat(fd, &own) == 0 && ((own.st_uid == existing->st_uid && own.st_gid == existing->st_gid) ||
                                    fchown(fd, existing->st_uid, existing->st_gid) == 0);
}

/* existing: the file to replace, or NULL. */
static rowpool_status begin_regular(replacement *file, const struct stat *existing, bool named, rowpool_error *error)
{
    file->kind = REPLACE_WHOLE;
    if (!(!named && create_nameless(file)) && !create_temporary(file) &&
        !(!named && existing != NULL && create_in_memory(file)))
        return fail_errno(error);
    if (existing == NULL || file->kind == REPLACE_COPY)
        return ROWPOOL_OK;
    if (!keep_owner(file->fd, existing)) {
        file->kind = REPLACE_COPY;
        file->note = "a new file would have another owner";
        return ROWPOOL_OK;
    }
    if (fchmod(file->fd, existing->st_mode & 07777) == 0)
        return ROWPOOL_OK;
    return fail_errno(error);
}

static rowpool_status open_target(replacement *file, const char *path, bool named, rowpool_error *error)
{
    struct stat existing;
    errno = ENAMETOOLONG;
    if (strlen(path) >= PATH_MAX)
        return fail_errno(error);
    (void)strcpy(file->target, path);
    const bool exists = stat(path, &existing) == 0;
    if (!exists && errno != ENOENT)
        return fail_errno(error);
    if (exists && !S_ISREG(existing.st_mode)) {
        file->kind = REPLACE_DIRECTLY;
        file->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return file->fd < 0 ? fail_errno(error) : ROWPOOL_OK;
    }
    /* Checked here, since a rename would replace even a read-only file. */
    if (exists && access(path, W_OK) != 0)
        return fail_errno(error);
    RP_TRY(resolve_links(file->target, error));
    return begin_regular(file, exists ? &existing : NULL, named, error);
}

/* Moves the file off descriptors 0 to 2: if a standard stream is closed, the file may have got its descriptor, and would
 * receive what is printed. */
static rowpool_status keep_apart(replacement *file, rowpool_error *error)
{
    if (file->fd > STDERR_FILENO)
        return ROWPOOL_OK;
    const int kept = fcntl(file->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    rowpool_status status = kept < 0 ? fail_errno(error) : ROWPOOL_OK;
    (void)close(file->fd);
    file->fd = kept;
    return status;
}

static rowpool_status begin_replacing(replacement *file, const char *path, bool named, rowpool_error *error)
{
    file->fd = -1;
    file->temporary[0] = '\0';
    file->note = NULL;
    rowpool_status status = open_target(file, path, named, error);
    if (status == ROWPOOL_OK)
        status = keep_apart(file, error);
    if (status != ROWPOOL_OK)
        replace_discard(file);
    return status;
}

rowpool_status replace_begin(replacement *file, const char *path, rowpool_error *error)
{
    return begin_replacing(file, path, false, error);
}

rowpool_status replace_begin_named(replacement *file, const char *path, rowpool_error *error)
{
    return begin_replacing(file, path, true, error);
}

/* ---- Committing ------------------------------------------------------------------------------------------------- */

/* Gives the file the target's name. If the rename fails, the temporary name is left to the caller to remove. */
static bool give_name(replacement *file)
{
    char link[LINK_PATH];
    format_link(link, file->fd);
    if (file->temporary[0] == '\0') {
        if (linkat(AT_FDCWD, link, AT_FDCWD, file->target, AT_SYMLINK_FOLLOW) == 0)
            return true;
        if (errno != EEXIST || !name_temporary(file, link))
            return false;
    }
    if (rename(file->temporary, file->target) != 0)
        return false;
    file->temporary[0] = '\0';
    return true;
}

/* Copies all of a file; false with errno. */
static bool copy_file(int to, int from)
{
    enum { MAX_BYTES = 1 << 30 };
    struct stat source;
    off_t at = 0;
    ssize_t copied;
    if (fstat(from, &source) != 0)
        return false;
    do
        copied = sendfile(to, from, &at, MAX_BYTES);
    while (copied > 0 || (copied < 0 && errno == EINTR));
    if (copied == 0 && at < source.st_size) { /* it ended early, without an errno */
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
    bool copied = copy_file(to, file->fd);
    int failure = errno;
    const bool closed = close(to) == 0;
    if (copied && closed)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_ESYSTEM, "%s; the file is incomplete, and its former contents are lost (%s)",
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

/* Signals are held back until the file is complete. */
static rowpool_status commit_file(replacement *file, rowpool_error *error)
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

rowpool_status replace_commit(replacement *file, rowpool_error *error)
{
    rowpool_status status;
    if (file->kind != REPLACE_DIRECTLY) {
        status = commit_file(file, error);
    } else { /* no fsync on devices and FIFOs: close reports a full disk */
        status = close(file->fd) == 0 ? ROWPOOL_OK : fail_errno(error);
        file->fd = -1;
    }
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
