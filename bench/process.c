#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Children --------------------------------------------------------------------------------------------------- */

rowpool_status bench_start(pid_t *child, const char *const *argv, const int *descriptors, size_t count,
                           rowpool_error *error)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int code;

    posix_spawn_file_actions_init(&actions);
    for (size_t i = 0; i < count; i++)
        if (descriptors[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, descriptors[i], (int)i);
        else
            posix_spawn_file_actions_addopen(&actions, (int)i, "/dev/null", O_RDWR, 0);
    code = posix_spawnp(child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code == 0)
        return ROWPOOL_OK;
    return bench_fail(error, ROWPOOL_ESYSTEM, "%s cannot be started: %s", argv[0], strerror(code));
}

int bench_wait(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

rowpool_status bench_memory_file_open(bench_memory_file *file, size_t bytes, const void *content, rowpool_error *error)
{
    const size_t free_bytes = bench_memory_free();

    /* Asked ahead: pages that do not exist are only missed when they are written, and then by a signal. */
    if (bytes > free_bytes)
        return bench_fail(error, ROWPOOL_ENOMEM, "its copy of %.3g GB does not fit into the %.3g GB that are free",
                          (double)bytes / 1e9, (double)free_bytes / 1e9);
    const int fd = memfd_create(BENCH_PROGRAM, MFD_CLOEXEC);
    void *pages = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
        pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pages == MAP_FAILED) {
        bench_fail(error, ROWPOOL_ENOMEM, "no file in memory: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return ROWPOOL_ENOMEM;
    }
    *file = (bench_memory_file){fd, pages, bytes};
    if (content != NULL)
        memcpy(pages, content, bytes);
    return ROWPOOL_OK;
}

void bench_memory_file_close(bench_memory_file *file)
{
    if (file->pages == NULL)
        return;
    munmap(file->pages, file->bytes);
    close(file->fd);
    file->pages = NULL;
}

/* ---- Scripts ---------------------------------------------------------------------------------------------------- */

/* Where they are installed, from the program's own folder, or among the sources. */
static bool find_file(const char *name, char *path, size_t size)
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
    /* The first on the path, and that of the system's packages. */
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};

    if (!find_file(name, script->path, sizeof script->path))
        return bench_fail(error, ROWPOOL_EINVAL, "%s: %s; install rowpool, or build it again", script->path,
                          strerror(errno));
    for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
        const char *const argv[] = {pythons[i], "-c", imports, NULL};
        pid_t child;

        script->python = pythons[i];
        if (bench_start(&child, argv, (const int[]){-1, -1, -1}, 3, error) == ROWPOOL_OK && bench_wait(child) == 0)
            return ROWPOOL_OK;
    }
    return bench_fail(error, ROWPOOL_ENODEVICE, "no Python 3 on the path can run: %s", imports);
}

rowpool_status bench_script_run(const bench_script *script, const char *const *arguments, int in, int out,
                                int *exit_status, rowpool_error *error)
{
    const char *argv[32] = {script->python, script->path};
    pid_t child;

    for (size_t i = 0; arguments[i] != NULL && i < sizeof argv / sizeof *argv - 3; i++)
        argv[i + 2] = arguments[i];
    BENCH_TRY(bench_start(&child, argv, (const int[]){in, out}, 2, error));
    *exit_status = bench_wait(child);
    return ROWPOOL_OK;
}
