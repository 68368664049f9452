#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

rowpool_status bench_start_and_wait(const char *const *argv, int file, rowpool_error *error)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;

    posix_spawn_file_actions_init(&actions);
    if (file >= 0)
        posix_spawn_file_actions_adddup2(&actions, file, 3);
    else
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int code = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        return rp_fail(error, ROWPOOL_ESYSTEM, "cannot start %s: %s", argv[0], strerror(code));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0 ? ROWPOOL_OK : rp_fail(error, ROWPOOL_EWORKER, "%s ended with wait status %d", argv[0], status);
}

/* Looks in the installation's data folder, relative to the program, then in the source folder. */
static bool find_script(const char *name, char *path, size_t size)
{
    char program[512];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);

    program[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash != NULL) {
        *slash = '\0';
        (void)snprintf(path, size, "%s/%s/%s", program, BENCH_SCRIPTS_FROM_PROGRAM, name);
        if (access(path, R_OK) == 0)
            return true;
    }
    (void)snprintf(path, size, "%s/%s", BENCH_SCRIPTS_SOURCE, name);
    return access(path, R_OK) == 0;
}

rowpool_status bench_script_find(bench_script *script, const char *name, const char *imports, rowpool_error *error)
{
    /* The first on the path, then the system's, which has the modules of its packages. */
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};

    if (!find_script(name, script->path, sizeof script->path))
        return rp_fail(error, ROWPOOL_EINVAL, "%s: %s; install rowpool, or build it again", script->path,
                       strerror(errno));
    for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
        script->python = pythons[i];
        if (bench_start_and_wait((const char *[]){pythons[i], "-c", imports, NULL}, -1, error) == ROWPOOL_OK)
            return ROWPOOL_OK;
    }
    return rp_fail(error, ROWPOOL_ENODEVICE, "no Python 3 on the path can run: %s", imports);
}
