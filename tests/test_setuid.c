/* A program with more privileges than the user who starts it: it does not load drivers named by that user's
 * environment. The program is this one, set-user-ID root and started by nobody. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

enum { NOBODY = 65534, OPENED = 0, FAILED, UNPRIVILEGED };

static char folder[] = "/tmp/rowpool-test-setuid-XXXXXX";
static char program[sizeof folder + 16], vendors[sizeof folder + 16];

/* What the program does. The driver that the environment names ends the process that loads it. */
static int open_pool(const char *device)
{
    const rowpool_options options = {.size = sizeof options, .device = device[0] != '\0' ? device : NULL};
    const int32_t data[] = {4, 9};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 2};
    uint32_t count = 0;
    size_t n;
    rowpool *pool;
    if (getauxval(AT_SECURE) == 0)
        return UNPRIVILEGED;
    if (rowpool_open(&pool, &options, NULL) != ROWPOOL_OK || rowpool_devices(NULL, NULL, 0, &n, NULL) != ROWPOOL_OK ||
        rowpool_range_count(pool, &rows, NULL, 0, &count, NULL) != ROWPOOL_OK)
        return FAILED;
    rowpool_close(pool);
    return count == 1 ? OPENED : FAILED;
}

/* Runs the program as nobody; returns its wait status. */
static int run_as_nobody(const char *device)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(600);
        setenv("OCL_ICD_VENDORS", vendors, 1);
        if (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0)
            execl(program, program, "open", device, (char *)NULL);
        _exit(FAILED);
    }
    status = test_wait(child);
    return status;
}

static void copy_self(void)
{
    int from = open("/proc/self/exe", O_RDONLY), to = open(program, O_WRONLY | O_CREAT | O_EXCL, 0600);
    char part[1 << 16];
    assert_true(from >= 0 && to >= 0);
    for (ssize_t n; (n = read(from, part, sizeof part)) != 0;)
        assert_int_equal(write(to, part, (size_t)n), n);
    assert_int_equal(fchmod(to, 04755), 0);
    close(from);
    close(to);
}

static int make_program(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(program, sizeof program, "%s/program", folder);
    snprintf(vendors, sizeof vendors, "%s/1.icd", folder);
    FILE *icd = fopen(vendors, "w");
    assert_non_null(icd);
    fputs(getenv("ROWPOOL_TEST_ENDING_DRIVER"), icd);
    assert_int_equal(fclose(icd), 0);
    copy_self();
    return 0;
}

static int remove_program(void **state)
{
    (void)state;
    unlink(program);
    unlink(vendors);
    rmdir(folder);
    return 0;
}

TEST(drivers_of_the_environment_are_not_loaded)
{
    static const char *const devices[] = {"", "auto", "fork", "host"};
    if (geteuid() != 0)
        skip_since("only root can make a set-user-ID program");
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        int status = run_as_nobody(devices[i]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED)
            skip_since("the set-user-ID bit has no effect here");
        if (status != 0)
            fail_msg("'%s': status %x", devices[i], (unsigned)status);
    }
}

/* The program itself names an OpenCL device, so the driver is loaded. */
TEST(drivers_are_loaded_if_the_program_names_a_device)
{
    if (geteuid() != 0)
        skip_since("only root can make a set-user-ID program");
    int status = run_as_nobody("cpu");
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED)
        skip_since("the set-user-ID bit has no effect here");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drivers_of_the_environment_are_not_loaded),
        cmocka_unit_test(drivers_are_loaded_if_the_program_names_a_device),
    };
    if (argc == 3 && strcmp(argv[1], "open") == 0)
        return open_pool(argv[2]);
    return cmocka_run_group_tests(tests, make_program, remove_program);
}
