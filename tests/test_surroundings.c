/* The program where something is missing that drivers, threads or processes need: it still answers, and a driver that
 * hangs does not prevent it from ending. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

/* Too many elements for the host in any case: the map waits for the kernel. */
enum { ROWS = 150000, WIDTH = 2, REFUSED = 77 };

/* ---- What is missing -------------------------------------------------------------------------------------------- */

/* This program is run in place of rowpool: it takes away what ROWPOOL_TEST_WITHOUT names, then becomes rowpool. */
static void refuse_call(struct sock_filter *filter, size_t *n, long number, int code)
{
    filter[(*n)++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
    filter[(*n)++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code);
}

static bool refuse_calls(const char *names)
{
    struct sock_filter filter[16] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    size_t n = 1;
    if (strstr(names, "memfd") != NULL)
        refuse_call(filter, &n, SYS_memfd_create, EPERM);
    if (strstr(names, "clone3") != NULL)
        refuse_call(filter, &n, SYS_clone3, EPERM);
    if (strstr(names, "processes") != NULL)
        refuse_call(filter, &n, SYS_clone, EAGAIN);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {(unsigned short)n, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Limits descriptors, some of which the program inherits. */
static bool limit_files(rlim_t n)
{
    const struct rlimit limit = {n, n};
    return dup(STDIN_FILENO) >= 0 && dup(STDIN_FILENO) >= 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static bool mount_noexec(const char *folder)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder, "tmpfs", MS_NOEXEC, NULL) == 0;
}

static int become_program_without(const char *what, char **argv)
{
    bool done = true;
    if (strncmp(what, "files", 5) == 0)
        done = limit_files((rlim_t)atoi(what + 5));
    else if (strcmp(what, "exec") == 0)
        done = mount_noexec(getenv("POCL_CACHE_DIR"));
    else
        done = refuse_calls(what);
    if (!done)
        return REFUSED;
    execv(getenv("ROWPOOL_PROGRAM"), argv);
    return 112;
}

/* ---- Running it ------------------------------------------------------------------------------------------------- */

static char self[4096], folder[4096], expected[ROWS * 2 + 1];

static void write_rows(void)
{
    static int8_t rows[ROWS * WIDTH];
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        rows[i] = (int8_t)(i * 7 % 10);
    write_npy("rows.npy", "|i1", false, "(150000, 2)", rows, sizeof rows);
    for (size_t row = 0; row < ROWS; row++) {
        int count = 0;
        for (size_t i = 0; i < WIDTH; i++)
            count += rows[row * WIDTH + i] >= 4 && rows[row * WIDTH + i] <= 8;
        expected[2 * row] = (char)('0' + count);
        expected[2 * row + 1] = '\n';
    }
}

/* Counts with these variables, and without what the first of them names; the program's report must name the device and
 * contain `report`. */
static void check(const char *const *environment, const char *device, const char *report, int line)
{
    circumstances with = DEFAULTS;
    const bool takes_away = strncmp(environment[0], "ROWPOOL_TEST_WITHOUT=", 21) == 0;
    with.environment = environment;
    with.program = takes_away ? self : NULL;
    outcome result = run_with(&with, ARGUMENTS("count", "--verbose", "--device", device, "rows.npy"));
    if (result.exit_status == REFUSED) {
        release(&result);
        skip_since("not permitted here: %s", environment[0]);
    }
    if (result.exit_status != 0 || strcmp(result.out, expected) != 0 || strstr(result.err, report) == NULL) {
        show(&result, line);
        fail_msg("line %d: %s: expected %s", line, environment[0], report);
    }
    release(&result);
}
#define assert_counts(environment, device, report) check(environment, device, report, __LINE__)

static const char host[] = "device host: ", processes[] = "device fork: ", isolated[] = "device isolated: ";

static const char *variable(const char *name, const char *path)
{
    static char text[4][4200];
    static unsigned turn;
    char *own = text[turn++ % COUNT_OF(text)];
    (void)snprintf(own, sizeof text[0], "%s=%s/%s", name, folder, path);
    return own;
}

static void need_opencl(void)
{
    if (getenv("ROWPOOL_HELPER") == NULL)
        skip_since("rowpool is built without OpenCL");
}

/* ---- Drivers that abort ----------------------------------------------------------------------------------------- */

TEST(nothing_is_missing)
{
    need_opencl();
    assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "cache")), "auto", isolated);
    assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "cache")), "cpu", isolated);
}

TEST(a_missing_cache_folder_costs_nothing)
{
    need_opencl();
    assert_counts(ARGUMENTS("POCL_CACHE_DIR="), "auto", processes);
}

TEST(no_linker)
{
    need_opencl();
    assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "unlinked"), "PATH=/nowhere"), "auto", host);
    assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "unlinked"), "PATH=/nowhere"), "cpu", host);
}

TEST(a_cache_that_cannot_be_executed)
{
    need_opencl();
    assert_int_equal(mkdir("mounted", 0777), 0);
    assert_counts(ARGUMENTS("ROWPOOL_TEST_WITHOUT=exec", variable("POCL_CACHE_DIR", "mounted")), "auto", host);
}

static off_t length;
static size_t cut;

static int cut_library(const char *path, const struct stat *entry, int kind, __attribute__((unused)) struct FTW *place)
{
    const size_t letters = strlen(path);
    if (kind == FTW_F && letters > 3 && strcmp(path + letters - 3, ".so") == 0 && entry->st_size > length) {
        cut++;
        return truncate(path, length);
    }
    return 0;
}

/* The loader of libraries refuses an empty file; a file whose end is missing gives a bus error. */
TEST(a_cache_that_is_damaged)
{
    need_opencl();
    assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "damaged")), "auto", isolated);
    static const off_t lengths[] = {8192, 0};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        length = lengths[i];
        cut = 0;
        assert_int_equal(nftw("damaged", cut_library, 16, FTW_PHYS), 0);
        assert_true(cut > 0);
        assert_counts(ARGUMENTS(variable("POCL_CACHE_DIR", "damaged")), "auto", host);
    }
}

/* If asked to, the program uses the driver in its own process. */
TEST(isolation_can_be_turned_off)
{
    need_opencl();
    assert_counts(ARGUMENTS("ROWPOOL_ISOLATE=never", variable("POCL_CACHE_DIR", "cache")), "cpu", "device 0:0: ");
    circumstances with = DEFAULT_DEVICE;
    with.environment = ARGUMENTS("ROWPOOL_ISOLATE=never", "POCL_CACHE_DIR=");
    outcome result = RUN_WITH(&with, "count", "--device", "cpu", "rows.npy");
    assert_int_equal(result.signal, SIGABRT);
    release(&result);
}

/* ---- Drivers that hang ------------------------------------------------------------------------------------------ */

/* A driver was called and does not return: one signal ends the program, and the process that called the driver too. */
static void check_hang(const char *const *arguments)
{
    circumstances with = DEFAULT_DEVICE;
    with.environment = ARGUMENTS("ROWPOOL_DEVICE=", variable("OCL_ICD_VENDORS", "hanging"),
                                 variable("ROWPOOL_TEST_HANGS", "pipe"));
    int out = test_open_nameless(), err = test_open_nameless(), status;
    char byte;
    pid_t child = start_program(arguments, &with, out, err);
    int pipe = open("pipe", O_RDONLY);
    assert_true(pipe >= 0);
    assert_int_equal(read(pipe, &byte, 1), 1);
    assert_int_equal(kill(child, SIGTERM), 0);
    status = test_wait(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(read(pipe, &byte, 1), 0);
    assert_true(close(pipe) == 0 && close(out) == 0 && close(err) == 0);
}

TEST(a_driver_that_hangs)
{
    need_opencl();
    const char *driver = getenv("ROWPOOL_TEST_HANGING_DRIVER");
    assert_true(mkdir("hanging", 0777) == 0 && mkfifo("pipe", 0666) == 0);
    write_file("hanging/1.icd", driver, strlen(driver));
    check_hang(ARGUMENTS("count", "rows.npy"));
    check_hang(ARGUMENTS("count", "--device", "cpu", "rows.npy"));
    check_hang(ARGUMENTS("devices"));
}

/* ---- What the system refuses ------------------------------------------------------------------------------------ */

/* Work on the calling thread needs none of these calls. */
TEST(a_sandbox_may_refuse_calls)
{
    static const char *const without[] = {"memfd", "clone3", "clone3 processes", "memfd clone3 processes"};
    for (size_t i = 0; i < COUNT_OF(without); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "ROWPOOL_TEST_WITHOUT=%s", without[i]);
        assert_counts(ARGUMENTS(what), "auto", host);
        assert_counts(ARGUMENTS(what), "host", host);
    }
}

TEST(few_descriptors)
{
    assert_counts(ARGUMENTS("ROWPOOL_TEST_WITHOUT=files10"), "auto", host);
    assert_counts(ARGUMENTS("ROWPOOL_TEST_WITHOUT=files12"), "auto", host);
    assert_counts(ARGUMENTS("ROWPOOL_TEST_WITHOUT=files10"), "host", host);
}

/* ---- The folder ------------------------------------------------------------------------------------------------- */

static int enter(void **state)
{
    if (enter_folder(state) != 0 || readlink("/proc/self/exe", self, sizeof self - 1) < 0 ||
        getcwd(folder, sizeof folder) == NULL)
        return -1;
    (void)setenv("ROWPOOL_TEST", "build-wait", 1);
    (void)setenv("ROWPOOL_WORKERS", "1", 1);
    write_rows();
    return 0;
}

int main(__attribute__((unused)) int argc, char **argv)
{
    const char *what = getenv("ROWPOOL_TEST_WITHOUT");
    if (what != NULL)
        return become_program_without(what, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missing),
        cmocka_unit_test(a_missing_cache_folder_costs_nothing),
        cmocka_unit_test(no_linker),
        cmocka_unit_test(a_cache_that_cannot_be_executed),
        cmocka_unit_test(a_cache_that_is_damaged),
        cmocka_unit_test(isolation_can_be_turned_off),
        cmocka_unit_test(a_driver_that_hangs),
        cmocka_unit_test(a_sandbox_may_refuse_calls),
        cmocka_unit_test(few_descriptors),
    };
    return cmocka_run_group_tests(tests, enter, remove_folder);
}
