#include "python.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the scripts lie: among the sources, or where they are installed, from the program's own folder. */
#ifndef BENCH_SCRIPTS_SOURCE
#define BENCH_SCRIPTS_SOURCE ""
#endif
#ifndef BENCH_SCRIPTS_FROM_PROGRAM
#define BENCH_SCRIPTS_FROM_PROGRAM ""
#endif

extern char **environ;

/* The first on the path, and that of the system's packages. */
static const char *const pythons[] = {"python3", "/usr/bin/python3"};
enum { PYTHONS = sizeof pythons / sizeof pythons[0] };

int bench_process_start(pid_t *child, char **argv, int in, int out, bool quiet)
{
    posix_spawn_file_actions_t actions;
    int code;

    posix_spawn_file_actions_init(&actions);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (quiet)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    code = posix_spawnp(child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

int bench_process_status(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static bool can_run(const char *python, const char *imports)
{
    char *argv[] = {strdup(python), (char[]){"-c"}, strdup(imports), NULL};
    pid_t child;
    bool good = argv[0] && argv[2] && bench_process_start(&child, argv, -1, -1, true) == 0 &&
                bench_process_status(child) == 0;

    free(argv[0]);
    free(argv[2]);
    return good;
}

const char *bench_python_with(const char *imports)
{
    for (size_t i = 0; i < PYTHONS; i++)
        if (can_run(pythons[i], imports))
            return pythons[i];
    return NULL;
}

bool bench_python_script(const char *name, char *path, size_t size)
{
    char program[512];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    program[length > 0 ? length : 0] = '\0';
    slash = strrchr(program, '/');
    if (slash) {
        slash[1] = '\0';
        (void)snprintf(path, size, "%s%s/%s", program, BENCH_SCRIPTS_FROM_PROGRAM, name);
        if (access(path, R_OK) == 0)
            return true;
    }
    (void)snprintf(path, size, "%s/%s", BENCH_SCRIPTS_SOURCE, name);
    return access(path, R_OK) == 0;
}
