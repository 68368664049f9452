/* The process that removes the unfinished file of a rank that was killed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpi/guard.h"
#include "support.h"

typedef struct {
    char folder[64], path[80];
    char *shared; /* what the guard reads */
    int ended[2]; /* a pipe that reaches its end when the rank and its guard are gone */
} scene;

static scene begin(void)
{
    scene it = {.folder = "/tmp/rowpool-guard-XXXXXX"};
    assert_non_null(mkdtemp(it.folder));
    snprintf(it.path, sizeof it.path, "%s/file", it.folder);
    it.shared = mmap(NULL, sizeof it.path, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(it.shared, MAP_FAILED);
    assert_int_equal(pipe(it.ended), 0);
    return it;
}

static void create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || close(fd) != 0)
        _exit(1);
}

/* Waits for the rank and its guard; returns how the rank ended. */
static int end(scene *it, pid_t rank)
{
    int status;
    char byte;
    status = test_wait(rank);
    close(it->ended[1]);
    assert_int_equal(read(it->ended[0], &byte, 1), 0);
    close(it->ended[0]);
    munmap(it->shared, sizeof it->path);
    return status;
}

static pid_t start(const scene *it, void (*rank)(const scene *))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        rank(it);
        _exit(2);
    }
    return pid;
}

/* As launchers do: kills the rank and all that it started. */
static void be_killed_as_a_group(const scene *it)
{
    rowpool_process *guard;
    setpgid(0, 0);
    if (rp_mpi_guard(&guard, it->shared, NULL) != ROWPOOL_OK)
        _exit(1);
    char lock[sizeof it->path + 32];
    snprintf(lock, sizeof lock, "%s-1-%ld.lock", it->path, (long)getpid());
    strcpy(it->shared, it->path);
    create(lock);
    create(it->path);
    kill(0, SIGKILL);
}

static void a_guard_is_ready_when_the_call_returns(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        scene it = begin();
        int status = end(&it, start(&it, be_killed_as_a_group));
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(rmdir(it.folder), 0); /* it is empty */
    }
}

static void be_killed_without_a_file(const scene *it)
{
    rowpool_process *guard;
    if (rp_mpi_guard(&guard, it->shared, NULL) != ROWPOOL_OK)
        _exit(1);
    create(it->path);
    kill(getpid(), SIGKILL);
}

static void end_guard(const scene *it)
{
    rowpool_process *guard;
    if (rp_mpi_guard(&guard, it->shared, NULL) != ROWPOOL_OK)
        _exit(1);
    strcpy(it->shared, it->path);
    create(it->path);
    rowpool_process_close(guard);
    _exit(0);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    void (*const ranks[])(const scene *) = {be_killed_without_a_file, end_guard};
    for (size_t i = 0; i < COUNT_OF(ranks); i++) {
        scene it = begin();
        int status = end(&it, start(&it, ranks[i]));
        assert_true(i == 0 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(unlink(it.path), 0);
        assert_int_equal(rmdir(it.folder), 0);
    }
}

static void a_guard_that_cannot_start_is_reported(void **state)
{
    (void)state;
    rowpool_process *guard;
    rowpool_error error;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rowpool_status status = rp_mpi_guard(&guard, "", &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, ROWPOOL_ESYSTEM);
    assert_non_null(strstr(error.message, "cannot start a process"));
    assert_null(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guard_is_ready_when_the_call_returns),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(a_guard_that_cannot_start_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
