/* Drivers that replace signal handlers must not change the application's signals. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/* The signals that LLVM, inside PoCL, replaces. */
static const int numbers[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
                              SIGUSR1, SIGSEGV, SIGUSR2, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS};

static volatile sig_atomic_t first_calls, second_calls;

static void first(int number)
{
    (void)number;
    first_calls++;
}

static void second(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    second_calls++;
}

static struct sigaction first_action(void)
{
    struct sigaction action = {.sa_handler = first, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGWINCH);
    return action;
}

static struct sigaction second_action(void)
{
    struct sigaction action = {.sa_sigaction = second, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    return action;
}

static void install(const struct sigaction *action)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        assert_int_equal(sigaction(numbers[i], action, NULL), 0);
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    if ((a->sa_flags & SA_SIGINFO) != (b->sa_flags & SA_SIGINFO))
        return false;
    if ((a->sa_flags & SA_SIGINFO) == 0 && (a->sa_handler == SIG_DFL || a->sa_handler == SIG_IGN))
        return b->sa_handler == a->sa_handler; /* the other members have no meaning then */
    bool same = (a->sa_flags & SA_SIGINFO) != 0 ? a->sa_sigaction == b->sa_sigaction : a->sa_handler == b->sa_handler;
    return same && (a->sa_flags & SA_RESTART) == (b->sa_flags & SA_RESTART) &&
           sigismember(&a->sa_mask, SIGWINCH) == sigismember(&b->sa_mask, SIGWINCH);
}

static void expect(const struct sigaction *action, const char *when)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct sigaction now;
        assert_int_equal(sigaction(numbers[i], NULL, &now), 0);
        if (!same_action(action, &now))
            fail_msg("%s: the handler of %s was replaced", when, strsignal(numbers[i]));
    }
}

/* Maps that build programs: ragged and dense, of several types and widths. */
static void map_something(rowpool *pool, bool async)
{
    test_random random = test_random_begin(1);
    static const size_t shapes[][2] = {{5000, 5}, {100, 1000}, {1, 100000}};
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        for (int layout = 0; layout < TEST_LAYOUTS; layout++) {
            test_array array = test_array_make(&random, i % 2 != 0 ? ROWPOOL_INT16 : ROWPOOL_FLOAT32,
                                               (test_layout)layout, shapes[i][0], shapes[i][1], 0);
            uint32_t *counts = malloc(shapes[i][0] * sizeof *counts);
            assert_non_null(counts);
            rowpool_error error;
            if (async) {
                rowpool_job *job;
                assert_ok(rowpool_range_count_async(pool, &array.rows, NULL, 0, counts, NULL, NULL, &job, &error),
                          error);
                assert_ok(rowpool_job_wait(job, -1, &error), error);
                rowpool_job_release(job);
            } else {
                assert_ok(rowpool_range_count(pool, &array.rows, NULL, 0, counts, &error), error);
            }
            free(counts);
            test_array_free(&array);
        }
}

static rowpool *open_pool(const char *device)
{
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = device, .workers = 2};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

static bool has_opencl(void)
{
    rowpool_device found[64];
    size_t count;
    return rowpool_devices(NULL, found, 64, &count, NULL) == ROWPOOL_OK && found[0].in_use &&
           found[0].type <= ROWPOOL_DEVICE_OTHER;
}

/* Runs a check in a new process, in which no driver has been used: drivers replace handlers on first use. Returns its
 * exit status. */
static int in_fresh_process(const char *what)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(300);
        execl("/proc/self/exe", "test_signals", what, (char *)NULL);
        _exit(126);
    }
    const int status = test_wait(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- Checks, each in its own process ---------------------------------------------------------------------------- */

static void handlers_before_open_survive(void **state)
{
    (void)state;
    struct sigaction mine = first_action();
    install(&mine);
    size_t count;
    rowpool_error error;
    assert_ok(rowpool_devices(NULL, NULL, 0, &count, &error), error);
    expect(&mine, "after rowpool_devices");
    rowpool *pool = open_pool(has_opencl() ? "all" : "auto");
    expect(&mine, "after rowpool_open");
    map_something(pool, false);
    expect(&mine, "after a map");
    map_something(pool, true);
    expect(&mine, "after a job");
    raise(SIGUSR1);
    raise(SIGTERM);
    assert_int_equal(first_calls, 2);
    rowpool_close(pool);
    expect(&mine, "after rowpool_close");
}

static void handlers_after_open_survive(void **state)
{
    (void)state;
    rowpool *pool = open_pool(has_opencl() ? "all" : "auto");
    struct sigaction mine = second_action();
    install(&mine);
    map_something(pool, false);
    expect(&mine, "after a map");
    struct sigaction other = first_action();
    install(&other);
    map_something(pool, true);
    expect(&other, "after a job");
    install(&mine);
    rowpool_close(pool);
    expect(&mine, "after rowpool_close");
    raise(SIGUSR2);
    assert_int_equal(second_calls, 1);
}

/* The application installs handlers during a build: the library must not restore the older ones. Several types, since
 * each is a new build. */
static void handlers_installed_during_a_build_survive(void **state)
{
    (void)state;
    rowpool *pool = open_pool(has_opencl() ? "all" : "auto");
    map_something(pool, false);
    const struct sigaction actions[] = {first_action(), second_action()};
    test_random random = test_random_begin(2);
    for (int d = 0; d < TEST_DTYPES; d++) {
        const struct sigaction *mine = &actions[d % 2];
        test_array array = test_array_make(&random, (rowpool_dtype)d, TEST_DENSE, 30000, 5, 0);
        uint64_t *counts = malloc(array.rows.count * sizeof *counts);
        assert_non_null(counts);
        rowpool_error error;
        rowpool_job *job;
        assert_ok(rowpool_range_count_u64_async(pool, &array.rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        usleep((useconds_t)test_below(&random, 5000)); /* any moment during the build will do */
        install(mine);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        expect(mine, "after a job that was under way");
        rowpool_job_release(job);
        free(counts);
        test_array_free(&array);
    }
    rowpool_close(pool);
}

static void no_handlers_stay_none(void **state)
{
    (void)state;
    struct sigaction default_action = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    install(&default_action);
    rowpool *pool = open_pool(has_opencl() ? "all" : "auto");
    map_something(pool, false);
    expect(&default_action, "after a map");
    install(&ignored);
    map_something(pool, true);
    expect(&ignored, "after a job");
    rowpool_close(pool);
    expect(&ignored, "after rowpool_close");
}

/* A library that replaces handlers is recognised by when it was loaded, not by its name. */
static void handlers_survive_an_unknown_driver(void **state)
{
    handlers_before_open_survive(state);
    void *layer = dlopen(getenv("OPENCL_LAYERS"), RTLD_LAZY | RTLD_NOLOAD);
    assert_non_null(layer);
    const unsigned long *taken = dlsym(layer, "test_signals_taken");
    assert_non_null(taken);
    assert_true(*taken >= 2); /* at the context and at a program */
    dlclose(layer);
}

/* ---- A driver that never returns -------------------------------------------------------------------------------- */

static void end_well(int number)
{
    (void)number;
    _exit(0);
}

/* Once the driver was called, terminates the application; this thread blocks all signals. */
static void *terminate_then(void *path)
{
    char byte;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    int pipe = open(path, O_RDONLY);
    if (pipe < 0 || read(pipe, &byte, 1) != 1 || kill(getpid(), SIGTERM) != 0)
        _exit(1);
    return NULL;
}

/* The thread that waits for the driver receives the application's signals. */
static void signals_arrive_while_a_driver_hangs(void **state)
{
    (void)state;
    char path[] = "pipe";
    pthread_t thread;
    rowpool *pool;
    assert_int_equal(chdir(getenv("OCL_ICD_VENDORS")), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    setenv("ROWPOOL_TEST_HANGS", path, 1);
    signal(SIGTERM, end_well);
    assert_int_equal(pthread_create(&thread, NULL, terminate_then, path), 0);
    assert_int_equal(pthread_detach(thread), 0);
    assert_int_equal(rowpool_open(&pool, NULL, NULL), ROWPOOL_OK);
    fail();
}

/* A folder of drivers with only this one. */
static void make_vendors(const char *folder, const char *driver)
{
    char path[64];
    snprintf(path, sizeof path, "%s/1.icd", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(driver, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

TEST(a_hanging_driver_blocks_no_signal)
{
    const char *driver = getenv("ROWPOOL_TEST_HANGING_DRIVER"), *before = getenv("OCL_ICD_VENDORS");
    char folder[] = "/tmp/rowpool-signals-XXXXXX", vendors[64], icd[64], pipe[64];
    if (driver == NULL || getenv("ROWPOOL_HELPER") == NULL)
        skip_since("rowpool is built without OpenCL");
    char *kept = before != NULL ? strdup(before) : NULL;
    assert_non_null(mkdtemp(folder));
    make_vendors(folder, driver);
    snprintf(vendors, sizeof vendors, "%s/", folder);
    snprintf(icd, sizeof icd, "%s/1.icd", folder);
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    setenv("OCL_ICD_VENDORS", vendors, 1);
    assert_int_equal(in_fresh_process("signals_arrive_while_a_driver_hangs"), 0);
    if (kept != NULL)
        setenv("OCL_ICD_VENDORS", kept, 1);
    else
        unsetenv("OCL_ICD_VENDORS");
    free(kept);
    assert_true(unlink(icd) == 0 && unlink(pipe) == 0 && rmdir(folder) == 0);
}

/* ---- Processes -------------------------------------------------------------------------------------------------- */

static void on_child(int number)
{
    (void)number;
}

static void expect_sigchld(void (*handler)(int), const char *device)
{
    struct sigaction mine = {.sa_handler = handler, .sa_flags = SA_RESTART}, now;
    sigemptyset(&mine.sa_mask);
    assert_int_equal(sigaction(SIGCHLD, &mine, NULL), 0);
    rowpool *pool = open_pool(device);
    map_something(pool, false);
    map_something(pool, true);
    assert_int_equal(sigaction(SIGCHLD, NULL, &now), 0);
    assert_true(now.sa_handler == handler);
    rowpool_close(pool);
    assert_int_equal(sigaction(SIGCHLD, NULL, &now), 0);
    assert_true(now.sa_handler == handler);
    signal(SIGCHLD, SIG_DFL);
}

/* Workers are children: the application may handle SIGCHLD as it likes, although SIG_IGN discards exit statuses. */
TEST(sigchld_is_left_alone)
{
    expect_sigchld(SIG_DFL, "fork");
    expect_sigchld(SIG_IGN, "fork");
    expect_sigchld(on_child, "fork");
}

/* The application's own children are left to it: the library does not wait for them. */
TEST(other_children_are_left_alone)
{
    rowpool *pool = open_pool("fork");
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(42);
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0); /* it is a zombie now */
    map_something(pool, false);
    rowpool_close(pool);
    const int status = test_wait(child);
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* The calling thread's signal mask is unchanged. */
TEST(the_mask_is_left_alone)
{
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGWINCH);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    static const char *const devices[] = {"auto", "fork", "host"};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i]);
        map_something(pool, false);
        map_something(pool, true);
        rowpool_close(pool);
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        for (int number = 1; number < NSIG; number++)
            assert_int_equal(sigismember(&after, number), number == SIGWINCH);
    }
    sigemptyset(&before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static const struct CMUnitTest alone[] = {
    cmocka_unit_test(handlers_before_open_survive),
    cmocka_unit_test(handlers_after_open_survive),
    cmocka_unit_test(handlers_installed_during_a_build_survive),
    cmocka_unit_test(no_handlers_stay_none),
    cmocka_unit_test(handlers_survive_an_unknown_driver),
    cmocka_unit_test(signals_arrive_while_a_driver_hangs),
};

TEST(handlers_survive)
{
    const char *layer = getenv("ROWPOOL_TEST_SIGNAL_LAYER");
    for (size_t i = 0; i < COUNT_OF(alone); i++) {
        if (alone[i].test_func == signals_arrive_while_a_driver_hangs)
            continue;
        if (alone[i].test_func != handlers_survive_an_unknown_driver) {
            assert_int_equal(in_fresh_process(alone[i].name), 0);
        } else if (layer != NULL && has_opencl()) {
            setenv("OPENCL_LAYERS", layer, 1);
            assert_int_equal(in_fresh_process(alone[i].name), 0);
            unsetenv("OPENCL_LAYERS");
        }
    }
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COUNT_OF(alone); i++)
        if (strcmp(argv[1], alone[i].name) == 0) {
            const struct CMUnitTest one[] = {alone[i]};
            return cmocka_run_group_tests_name(alone[i].name, one, NULL, NULL);
        }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_survive),       cmocka_unit_test(a_hanging_driver_blocks_no_signal),
        cmocka_unit_test(sigchld_is_left_alone),  cmocka_unit_test(other_children_are_left_alone),
        cmocka_unit_test(the_mask_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
