#include "mpi/guard.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"

typedef struct {
    pid_t parent;
    const char *path;
} watch;

/* While Open MPI opens a file, NAME-JOB-PROCESS.lock lies beside it. */
static bool is_lock_of(const char *entry, const char *name)
{
    const size_t length = strlen(entry), prefix = strlen(name);
    return length > prefix + strlen("-.lock") && strncmp(entry, name, prefix) == 0 && entry[prefix] == '-' &&
           strcmp(entry + length - strlen(".lock"), ".lock") == 0;
}

/* Removes the file and its lock files; path "": there is none. */
static void remove_files(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char folder[PATH_MAX] = ".";
    if (name[0] == '\0')
        return;
    unlink(path);
    if (slash != NULL)
        snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (is_lock_of(entry->d_name, name))
            unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        closedir(entries);
}

/* Runs in the guard, in a session of its own, since launchers signal the whole process group of a rank. */
static int wait_for_end(void *argument, int pipe)
{
    const watch *watched = argument;
    sigset_t end;
    int which;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    setsid();
    prctl(PR_SET_NAME, "rowpool-guard");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (write(pipe, "", 1) != 1)
        return 1;
    while (getppid() == watched->parent) /* the signal may come from elsewhere */
        sigwait(&end, &which);
    remove_files(watched->path);
    return 0;
}

rowpool_status rp_mpi_guard(rowpool_process **guard, const char *path, rowpool_error *error)
{
    watch watched = {getpid(), path};
    char ready;
    ssize_t got;
    RP_TRY(rowpool_process_start(guard, wait_for_end, &watched, NULL, error));
    do
        got = read(rowpool_process_pipe(*guard), &ready, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1)
        return ROWPOOL_OK;
    rowpool_process_close(*guard);
    *guard = NULL;
    return rp_fail(error, ROWPOOL_ESYSTEM, "the guard process, which removes an unfinished file, ended early");
}
