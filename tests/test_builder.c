/* Kernels are built in the background: a map waits for a compiler only if the caller named the device, the answers are
 * right at all times, and neither rowpool_close nor the end of the process interrupts a build. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/opencl/opencl.h"
#include "entries.h"
#include "sched/pool.h"
#include "support.h"

enum { COUNT = 200000, WIDTH = 5 };

static int32_t *elements;
static uint32_t *expected;

static rowpool_rows flagship(void)
{
    return (rowpool_rows){.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
}

static rowpool *open_pool(const char *device)
{
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = device};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

/* Rows answered by the pool's OpenCL devices and by the host. */
static void rows_done(rowpool *pool, uint64_t *opencl, uint64_t *host)
{
    *opencl = *host = 0;
    for (size_t i = 0; i < pool->devices.count; i++) {
        const rp_device *device = &pool->devices.items[i];
        if (device->backend == &rp_backend_opencl)
            *opencl += device->info.rows;
        if (device->backend == &rp_backend_host)
            *host += device->info.rows;
    }
}

static void expect_counts(const uint32_t *counts)
{
    assert_memory_equal(counts, expected, COUNT * sizeof *counts);
}

static void count_once(rowpool *pool, uint32_t *counts)
{
    const rowpool_rows rows = flagship();
    rowpool_error error;
    memset(counts, 0xee, COUNT * sizeof *counts);
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
    expect_counts(counts);
}

static uint32_t *new_counts(void)
{
    uint32_t *counts = malloc(COUNT * sizeof *counts);
    assert_non_null(counts);
    return counts;
}

/* ---- Who serves during a build ---------------------------------------------------------------------------------- */

TEST(the_host_serves_until_the_device_is_ready)
{
    rowpool *pool = open_pool("auto");
    uint32_t *counts = new_counts();
    uint64_t opencl, host;
    count_once(pool, counts); /* too small to start a build */
    rows_done(pool, &opencl, &host);
    assert_int_equal(opencl, 0);
    assert_int_equal(host, COUNT);
    const rp_cl_device *device = pool->devices.items[0].state;
    assert_int_equal(device->builder_state, RP_CL_NO_BUILDER);
    for (int n = 0; opencl == 0; n++) {
        count_once(pool, counts);
        rows_done(pool, &opencl, &host);
        if (n == 1)
            assert_true(device->builder_state != RP_CL_NO_BUILDER || opencl > 0);
        if (opencl == 0)
            usleep(10000);
    }
    count_once(pool, counts); /* from then on the device takes all rows */
    uint64_t before = host;
    rows_done(pool, &opencl, &host);
    assert_int_equal(host, before);
    free(counts);
    rowpool_close(pool);
}

/* Another kernel of a built program: its first launch would take as long as compiling. */
TEST(a_kernel_that_never_ran_is_warmed_up)
{
    rowpool *pool = open_pool("auto");
    /* too much work for a small map */
    const rowpool_range twice[] = {rowpool_range_i64(4, 8), rowpool_range_i64(4, 8)};
    uint32_t *counts = new_counts(), both[2];
    uint64_t opencl = 0, host;
    while (opencl == 0) {
        count_once(pool, counts);
        rows_done(pool, &opencl, &host);
        usleep(10000);
    }
    uint64_t narrow = opencl, host_before = host;
    const rowpool_rows row = {.data = elements, .dtype = ROWPOOL_INT32, .count = 1, .width = COUNT * WIDTH};
    uint64_t all = 0;
    for (size_t i = 0; i < COUNT; i++)
        all += expected[i];
    rowpool_error error;
    for (int n = 0; opencl == narrow; n++, usleep(10000)) {
        assert_ok(rowpool_range_count(pool, &row, twice, 2, both, &error), error);
        assert_int_equal(both[0], all);
        assert_int_equal(both[1], all);
        rows_done(pool, &opencl, &host);
        if (n == 0)
            assert_int_equal(host, host_before + 1);
    }
    free(counts);
    rowpool_close(pool);
}

/* ---- The first launches ----------------------------------------------------------------------------------------- */

/* Work items of each launch, in order. The linker redirects the library's calls here. */
enum { LAUNCHES = 16 };
static size_t items[LAUNCHES];
static atomic_size_t launches;

cl_int __real_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                     const size_t *global, const size_t *local, cl_uint n, const cl_event *wait,
                                     cl_event *event);
cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                     const size_t *global, const size_t *local, cl_uint n, const cl_event *wait,
                                     cl_event *event);
cl_int __wrap_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
                                     const size_t *global, const size_t *local, cl_uint n, const cl_event *wait,
                                     cl_event *event)
{
    const size_t i = atomic_fetch_add(&launches, 1);
    if (i < LAUNCHES)
        items[i] = global[0];
    return __real_clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, n, wait, event);
}

static const rp_cl_device *opencl_state(const rowpool *pool)
{
    const rp_device *device = pool->devices.items;
    while (device->backend != &rp_backend_opencl)
        device++;
    return device->state;
}

/* PoCL aborts if a wider launch follows a narrow one that is not complete, and two chunks are submitted before the
 * first is waited for. */
TEST(launches_have_full_width_until_one_is_complete)
{
    rowpool *pool = open_pool("cpu");
    uint32_t *counts = new_counts();
    const rowpool_rows rows = flagship();
    const rowpool_range range = rowpool_range_i64(4, 8);
    const rowpool_call call = {.size = sizeof call,
                               .function = rowpool_builtin("count"),
                               .inputs = &rows,
                               .ranges = &range,
                               .n_ranges = 1,
                               .results = counts,
                               .results_size = COUNT * sizeof *counts,
                               .chunk_rows = COUNT / 4};
    rowpool_error error;
    if (!opencl_state(pool)->widest_first) {
        free(counts);
        rowpool_close(pool);
        skip();
    }
    atomic_store(&launches, 0);
    assert_ok(rowpool_map(pool, &call, &error), error);
    expect_counts(counts);
    assert_int_equal(atomic_load(&launches), 4);
    assert_int_equal(items[1], items[0]);
    assert_true(items[3] < items[0]);
    free(counts);
    rowpool_close(pool);
}

TEST(a_device_that_was_named_is_waited_for)
{
    rowpool *pool = open_pool("cpu");
    uint32_t *counts = new_counts();
    uint64_t opencl, host;
    count_once(pool, counts);
    rows_done(pool, &opencl, &host);
    assert_int_equal(opencl, COUNT);
    assert_int_equal(host, 0);
    free(counts);
    rowpool_close(pool);
}

static rowpool_status map_entries(rowpool *pool, const rowpool_function *function, bool allow_host, uint32_t *results,
                                  rowpool_error *error)
{
    const rowpool_rows rows = flagship();
    const rowpool_range range = rowpool_range_i64(4, 8);
    const rowpool_call call = {.size = sizeof call,
                               .function = function,
                               .inputs = &rows,
                               .ranges = &range,
                               .n_ranges = 1,
                               .results = results,
                               .results_size = COUNT * sizeof *results,
                               .allow_host = allow_host};
    return rowpool_map(pool, &call, error);
}

/* If the call allows the host, the host serves during the build; otherwise the map waits for the device. */
TEST(the_host_serves_only_if_allowed)
{
    for (int allow_host = 0; allow_host < 2; allow_host++) {
        rowpool *pool = open_pool("auto");
        uint32_t *results = new_counts();
        rowpool_error error;
        uint64_t opencl, host;
        assert_ok(map_entries(pool, &entries, allow_host != 0, results, &error), error);
        rows_done(pool, &opencl, &host);
        assert_int_equal(host, allow_host ? COUNT : 0);
        assert_int_equal(opencl, allow_host ? 0 : COUNT);
        free(results);
        rowpool_close(pool);
    }
}

/* A failed build is detected and reported by the next map. */
TEST(the_host_serves_if_the_build_fails)
{
    rowpool_function broken = entries;
    broken.source = "this is no OpenCL C\n";
    rowpool *pool = open_pool("auto");
    uint32_t *first = new_counts(), *results = new_counts();
    rowpool_error error;
    assert_ok(map_entries(pool, &broken, true, first, &error), error);
    while (pool->devices.items[0].info.failures == 0) {
        assert_ok(map_entries(pool, &broken, true, results, &error), error);
        assert_memory_equal(results, first, COUNT * sizeof *results);
        usleep(10000);
    }
    free(results);
    free(first);
    rowpool_close(pool);
}

/* ---- Concurrency ------------------------------------------------------------------------------------------------ */

static void *count_often(void *argument)
{
    rowpool *pool = argument;
    uint32_t *counts = new_counts();
    for (int n = 0; n < 20; n++)
        count_once(pool, counts);
    free(counts);
    return NULL;
}

TEST(threads_and_jobs_share_what_is_built)
{
    enum { THREADS = 4 };
    rowpool *pool = open_pool("auto");
    pthread_t threads[THREADS];
    uint32_t *counts[THREADS];
    rowpool_job *jobs[THREADS];
    const rowpool_rows rows = flagship();
    rowpool_error error;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, pool), 0);
        counts[i] = new_counts();
        assert_ok(rowpool_range_count_async(pool, &rows, NULL, 0, counts[i], NULL, NULL, &jobs[i], &error), error);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_ok(rowpool_job_wait(jobs[i], -1, &error), error);
        rowpool_job_release(jobs[i]);
        expect_counts(counts[i]);
        free(counts[i]);
        pthread_join(threads[i], NULL);
    }
    rowpool_close(pool);
}

/* ---- Small stacks ----------------------------------------------------------------------------------------------- */

typedef struct {
    rowpool *pool; /* opened by another thread, or NULL */
    rowpool_status opened, counted, job;
} small_stack;

static void *use_small_stack(void *argument)
{
    static uint32_t counts[COUNT];
    small_stack *own = argument;
    const rowpool_options options = {.size = sizeof options, .device = "cpu"};
    const rowpool_rows rows = flagship();
    rowpool *fresh;
    rowpool_job *job;
    own->opened = rowpool_open(&fresh, &options, NULL);
    own->counted = rowpool_range_count(own->pool, &rows, NULL, 0, counts, NULL);
    own->job = rowpool_range_count_async(own->pool, &rows, NULL, 0, counts, NULL, NULL, &job, NULL);
    if (own->job == ROWPOOL_OK)
        own->job = rowpool_job_wait(job, -1, NULL);
    return NULL;
}

/* Drivers would overflow the stack. On a strict pool the host must not take the rows. */
TEST(a_thread_with_a_small_stack_uses_no_driver)
{
    enum { STACK = 96 << 10 };
    if (TEST_SANITIZED)
        skip_since("sanitizers need a larger stack");
    const rowpool_options options = {.size = sizeof options, .device = "cpu", .strict = true};
    small_stack own = {0};
    rowpool_error error;
    pthread_attr_t attributes;
    pthread_t thread;
    assert_ok(rowpool_open(&own.pool, &options, &error), error);
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, use_small_stack, &own), 0);
    pthread_attr_destroy(&attributes);
    pthread_join(thread, NULL);
    assert_int_equal(own.opened, ROWPOOL_ENODEVICE);
    assert_int_equal(own.counted, ROWPOOL_EDEVICE);
    assert_int_equal(own.job, ROWPOOL_OK);
    rowpool_close(own.pool);
}

/* ---- Close, fork and exit --------------------------------------------------------------------------------------- */

static void order_build(rowpool *pool)
{
    uint32_t *counts = new_counts();
    for (int n = 0; n < 3; n++)
        count_once(pool, counts);
    free(counts);
}

TEST(close_waits_for_the_builder)
{
    rowpool *pool = open_pool("auto");
    order_build(pool);
    assert_int_not_equal(((const rp_cl_device *)pool->devices.items[0].state)->builder_state, RP_CL_NO_BUILDER);
    rowpool_close(pool);
}

TEST(a_forked_child_does_not_wait_for_the_builder)
{
    if (TEST_SANITIZED)
        skip_since("a thread that the child does not have may hold the sanitizer's lock");
    rowpool *pool = open_pool("auto");
    order_build(pool);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(600); /* a hang is a failure too */
        rowpool_close(pool);
        exit(7); /* runs all exit handlers */
    }
    const int status = test_wait(child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    rowpool_close(pool);
}

/* Pools that are still open at exit have threads that nobody joins: tells the thread sanitizer to ignore them. */
static void leave_threads(void)
{
    char options[1024];
    const char *given = getenv("TSAN_OPTIONS");
    (void)snprintf(options, sizeof options, "%s:report_thread_leaks=0", given != NULL ? given : "");
    setenv("TSAN_OPTIONS", options, 1);
}

/* Runs this program again with an empty cache: it starts a build and ends that many milliseconds later. */
static int run_and_end(const char *how, int milliseconds)
{
    char folder[] = "/tmp/rowpool-test-builder-XXXXXX", time[32];
    int status;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(time, sizeof time, "%d", milliseconds);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("POCL_CACHE_DIR", folder, 1);
        leave_threads();
        execl("/proc/self/exe", "test_builder", how, time, (char *)NULL);
        _exit(99);
    }
    status = test_wait(child);
    test_remove_folder(folder);
    return status;
}

TEST(small_stacks_do_not_affect_the_library)
{
    if (TEST_SANITIZED)
        skip_since("sanitizers need a larger stack");
    assert_int_equal(run_and_end("refused", 0), 0);
    assert_int_equal(run_and_end("small-default", 0), 0);
}

TEST(a_process_may_end_during_a_build)
{
    static const char *const ways[] = {"exit", "return", "thread"};
    const int step = TEST_SANITIZED ? 1000 : 250;
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        for (int milliseconds = 0; milliseconds < 4 * step; milliseconds += step) {
            int status = run_and_end(ways[i], milliseconds);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("%s after %d ms: wait status %d", ways[i], milliseconds, status);
        }
}

/* The build finishes only after exit() has begun. */
TEST(exit_waits_for_a_running_build)
{
    assert_int_equal(run_and_end("gate", 0), 0);
}

/* The exiting thread has not prepared the library for these ends: another thread opened the pool, jobs run on the
 * dispatcher, or the pool is opened in an exit handler or a thread's destructor. */
TEST(an_unprepared_process_may_end_during_a_build)
{
    static const char *const ways[] = {"another's", "jobs", "handler", "handler-again", "key", "key-again"};
    static const int milliseconds[] = {100, 500};
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        for (size_t k = 0; k < COUNT_OF(milliseconds); k++) {
            int status = run_and_end(ways[i], milliseconds[k]);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("%s after %d ms: wait status %d", ways[i], milliseconds[k], status);
        }
}

static void *exit_from_here(void *argument)
{
    order_build(argument);
    exit(0);
}

/* Left open until the process ends. volatile keeps them reachable for the leak checker. */
static rowpool *volatile left, *volatile last;

static void *open_and_build(void *argument)
{
    left = open_pool("auto");
    for (;;)
        order_build(left);
    return argument;
}

static void *open_only(void *argument)
{
    left = open_pool("auto");
    return argument;
}

static void order_build_by_job(void)
{
    static uint32_t counts[COUNT];
    const rowpool_rows rows = flagship();
    rowpool_job *job;
    rowpool_error error;
    for (int n = 0; n < 3; n++) {
        assert_ok(rowpool_range_count_async(left, &rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
    }
}

static void open_at_the_end(void)
{
    last = open_pool("auto");
    order_build(last); /* it has other devices, or its driver is still loaded */
}

static void key_ends(void *value)
{
    (void)value;
    open_at_the_end();
}

/* argument: whether the thread has used a pool before. */
static void *end_with_key(void *argument)
{
    pthread_key_t key;
    assert_int_equal(pthread_key_create(&key, key_ends), 0);
    assert_int_equal(pthread_setspecific(key, &key), 0);
    if (argument != NULL)
        order_build(left = open_pool("auto"));
    return NULL;
}

/* A thread that is refused for its small stack has used no driver: a child forked later may use one. */
static int fork_after_refusal(void)
{
    enum { STACK = 96 << 10 };
    const rowpool_options options = {.size = sizeof options, .device = "cpu"};
    pthread_attr_t attributes;
    pthread_t thread;
    rowpool *pool;
    int status;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    assert_int_equal(pthread_create(&thread, &attributes, open_only, NULL), 0);
    pthread_join(thread, NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(rowpool_open(&pool, &options, NULL) == ROWPOOL_OK ? 0 : 1);
    status = test_wait(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* The library's own threads have a large enough stack, whatever the default is. */
static int open_with_small_default(void)
{
    enum { STACK = 96 << 10 };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    assert_int_equal(pthread_setattr_default_np(&attributes), 0);
    left = open_pool("cpu");
    order_build_by_job();
    return 0;
}

static atomic_bool building, ending, built;

/* Builds like the builder thread: begins before exit() and finishes after it has begun. */
static void *build_into_the_end(void *unused)
{
    if (!rp_cl_build_begin(true))
        _exit(2);
    atomic_store(&building, true);
    while (!atomic_load(&ending))
        usleep(1000);
    atomic_store(&built, true);
    rp_cl_build_end(false);
    return unused;
}

/* No build begins once the process is ending. */
static void *notice_the_end(void *unused)
{
    while (rp_cl_build_begin(false)) {
        rp_cl_build_end(false);
        usleep(1000);
    }
    atomic_store(&ending, true);
    return unused;
}

/* Runs where a compiler's own data would be destroyed. */
static void check_built(void)
{
    _exit(atomic_load(&built) ? 0 : 1);
}

static int end_while_one_builds(void)
{
    pthread_t thread;
    assert_int_equal(atexit(check_built), 0);
    assert_int_equal(pthread_create(&thread, NULL, build_into_the_end, NULL), 0);
    while (!atomic_load(&building))
        usleep(1000);
    assert_int_equal(pthread_create(&thread, NULL, notice_the_end, NULL), 0);
    exit(0);
}

static int end_unprepared(const char *how, int milliseconds)
{
    const bool again = strstr(how, "-again") != NULL;
    pthread_t thread;
    if (strcmp(how, "another's") == 0) {
        assert_int_equal(pthread_create(&thread, NULL, open_and_build, NULL), 0);
    } else if (strcmp(how, "jobs") == 0) {
        assert_int_equal(pthread_create(&thread, NULL, open_only, NULL), 0);
        pthread_join(thread, NULL);
        order_build_by_job();
    } else if (strncmp(how, "key", 3) == 0) {
        assert_int_equal(pthread_create(&thread, NULL, end_with_key, again ? &thread : NULL), 0);
        pthread_join(thread, NULL);
    } else {
        assert_int_equal(atexit(open_at_the_end), 0);
        if (again)
            order_build(left = open_pool("auto"));
    }
    usleep((useconds_t)milliseconds * 1000);
    exit(0);
}

static int end(const char *how, int milliseconds)
{
    static rowpool *pool; /* never closed, but still reachable */
    pthread_t thread;
    pool = open_pool("auto");
    if (strcmp(how, "thread") == 0 && pthread_create(&thread, NULL, exit_from_here, pool) == 0)
        pthread_join(thread, NULL);
    order_build(pool);
    usleep((useconds_t)milliseconds * 1000);
    if (strcmp(how, "exit") == 0)
        exit(0);
    return 0;
}

static bool has_opencl(void)
{
    rowpool *pool = open_pool("auto");
    bool has = pool->devices.items[0].backend == &rp_backend_opencl;
    rowpool_close(pool);
    return has;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_serves_until_the_device_is_ready),
        cmocka_unit_test(a_kernel_that_never_ran_is_warmed_up),
        cmocka_unit_test(launches_have_full_width_until_one_is_complete),
        cmocka_unit_test(a_device_that_was_named_is_waited_for),
        cmocka_unit_test(the_host_serves_only_if_allowed),
        cmocka_unit_test(the_host_serves_if_the_build_fails),
        cmocka_unit_test(threads_and_jobs_share_what_is_built),
        cmocka_unit_test(a_thread_with_a_small_stack_uses_no_driver),
        cmocka_unit_test(small_stacks_do_not_affect_the_library),
        cmocka_unit_test(close_waits_for_the_builder),
        cmocka_unit_test(a_forked_child_does_not_wait_for_the_builder),
        cmocka_unit_test(exit_waits_for_a_running_build),
        cmocka_unit_test(a_process_may_end_during_a_build),
        cmocka_unit_test(an_unprepared_process_may_end_during_a_build),
    };
    static int32_t data[COUNT * WIDTH];
    static uint32_t counts[COUNT];
    test_random random = test_random_begin(17);
    elements = data;
    expected = counts;
    for (size_t i = 0; i < COUNT * WIDTH; i++) {
        data[i] = (int32_t)test_below(&random, 10);
        counts[i / WIDTH] += 4 <= data[i] && data[i] <= 8;
    }
    if (argc > 2 && strcmp(argv[1], "refused") == 0)
        return fork_after_refusal();
    if (argc > 2 && strcmp(argv[1], "gate") == 0)
        return end_while_one_builds();
    if (argc > 2 && strcmp(argv[1], "small-default") == 0)
        return open_with_small_default();
    if (argc > 2)
        return strstr("exit return thread", argv[1]) != NULL ? end(argv[1], atoi(argv[2]))
                                                             : end_unprepared(argv[1], atoi(argv[2]));
    if (!has_opencl()) {
        printf("skipped: there is no OpenCL device\n");
        return TEST_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
