/* OpenCL in a helper process: the same results as elsewhere, from memory of every kind; a helper that dies for any
 * reason costs a restart and no row; a program that is not a helper is recognised. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "longest_run.h"
#include "sched/pool.h"
#include "spacious.h"
#include "support.h"
#include "workers.h"

enum { ROWS = 150000, WIDTH = 7 };

static const char *helper; /* as ROWPOOL_HELPER names it */

/* ---- Pools, data and expected results --------------------------------------------------------------------------- */

static rowpool *open_with(const char *device, size_t chunk_bytes, rowpool_isolate isolate)
{
    rowpool *pool = NULL;
    rowpool_error error;
    rowpool_options options = {
        .size = sizeof options, .device = device, .workers = 1, .chunk_bytes = chunk_bytes, .isolate = isolate};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

static rowpool *open_isolated(void)
{
    return open_with("isolated", 0, ROWPOOL_ISOLATE_NEVER);
}

static pid_t helper_of(rowpool *pool)
{
    pid_t pid = 0;
    assert_int_equal(test_worker_pids(&pool->devices.items[0], &pid, 1), 1);
    return pid;
}

static int32_t *fill(void *memory)
{
    int32_t *data = memory;
    test_random random = test_random_begin(7);
    assert_non_null(memory);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        data[i] = (int32_t)test_below(&random, 12);
    return data;
}

static rowpool_rows dense(const int32_t *data)
{
    return (rowpool_rows){.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
}

static bool counts_are_right(const rowpool_rows *rows, const uint32_t *counts)
{
    const int32_t *data = rows->data;
    for (size_t row = 0; row < rows->count; row++) {
        uint32_t count = 0;
        for (size_t i = 0; i < rows->width; i++)
            count += data[row * rows->width + i] >= 4 && data[row * rows->width + i] <= 8;
        if (counts[row] != count)
            return false;
    }
    return true;
}

static void check_counts(rowpool *pool, const rowpool_rows *rows, uint32_t *counts)
{
    rowpool_error error;
    memset(counts, 0xff, rows->count * sizeof *counts);
    assert_ok(rowpool_range_count(pool, rows, NULL, 0, counts, &error), error);
    assert_true(counts_are_right(rows, counts));
}

static uint64_t failures_of(rowpool *pool)
{
    rowpool_device devices[8];
    size_t count;
    rowpool_error error;
    assert_ok(rowpool_devices(pool, devices, COUNT_OF(devices), &count, &error), error);
    return devices[0].failures;
}

/* ---- Memory of every kind --------------------------------------------------------------------------------------- */

TEST(the_device_describes_itself)
{
    rowpool *pool = open_isolated();
    rowpool_device device;
    size_t count;
    rowpool_error error;
    assert_ok(rowpool_devices(pool, &device, 1, &count, &error), error);
    assert_string_equal(device.index, "isolated");
    assert_int_equal(device.type, ROWPOOL_DEVICE_ISOLATED);
    assert_true(device.in_use && device.units > 0 && device.memory > 0 && device.largest_buffer > 0);
    assert_non_null(strstr(device.name, ", isolated"));
    assert_true(device.platform[0] != '\0' && device.driver[0] != '\0');
    rowpool_close(pool);
}

TEST(rows_may_lie_in_any_memory)
{
    const size_t bytes = ROWS * WIDTH * sizeof(int32_t);
    char path[] = "/tmp/rowpool-isolated-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0 && ftruncate(file, (off_t)bytes) == 0);
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(mapped != MAP_FAILED);
    int32_t *memory[] = {fill(malloc(bytes)), fill(rowpool_alloc(bytes, NULL)), fill(mapped)};
    uint32_t *counts[] = {malloc(ROWS * sizeof(uint32_t)), rowpool_alloc(ROWS * sizeof(uint32_t), NULL)};
    static const size_t chunks[] = {0, 100000};
    for (size_t c = 0; c < COUNT_OF(chunks); c++) {
        rowpool *pool = open_with("isolated", chunks[c], ROWPOOL_ISOLATE_NEVER);
        for (size_t i = 0; i < COUNT_OF(memory); i++)
            for (size_t k = 0; k < COUNT_OF(counts); k++) {
                const rowpool_rows rows = dense(memory[i]);
                check_counts(pool, &rows, counts[k]);
            }
        assert_int_equal(failures_of(pool), 0);
        rowpool_close(pool);
    }
    free(memory[0]);
    rowpool_free(memory[1]);
    munmap(mapped, bytes);
    close(file);
    unlink(path);
    free(counts[0]);
    rowpool_free(counts[1]);
}

/* Rows so far apart that the gaps are not copied; the gaps are not even mapped. */
TEST(gaps_between_rows_may_be_unmapped)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 50;
    char *memory = mmap(NULL, 2 * count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    rowpool_rows rows = {.data = memory, .dtype = ROWPOOL_INT8, .count = count, .width = 100, .stride = 2 * page};
    for (size_t i = 0; i < count; i++) {
        memset(memory + 2 * i * page, 1, 100);
        memset(memory + 2 * i * page, 5, i);
        assert_int_equal(mprotect(memory + (2 * i + 1) * page, page, PROT_NONE), 0);
    }
    rowpool *pool = open_isolated();
    uint32_t counts[50];
    rowpool_error error;
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(counts[i], i);
    rowpool_close(pool);
    munmap(memory, 2 * count * page);
}

TEST(unreadable_memory_is_an_error)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    const rowpool_rows rows = {.data = memory, .dtype = ROWPOOL_INT8, .count = 10, .width = 10};
    uint32_t counts[10];
    rowpool_error error;
    rowpool *pool = open_isolated();
    assert_refused(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), ROWPOOL_EINVAL, error, "cannot be read");
    rowpool_close(pool);
    munmap(memory, page);
}

/* Arguments and source text that do not fit into a message. */
TEST(many_ranges_and_a_user_function)
{
    enum { RANGES = 700, FEW = 300 };
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    rowpool_rows rows = dense(data);
    rowpool *pool = open_isolated();
    rowpool_error error;
    static rowpool_range ranges[RANGES];
    static uint32_t counts[FEW * RANGES], runs[ROWS];
    rows.count = FEW;
    for (int k = 0; k < RANGES; k++)
        ranges[k] = rowpool_range_i64(k % 12, k % 12);
    assert_ok(rowpool_range_count(pool, &rows, ranges, RANGES, counts, &error), error);
    for (size_t row = 0; row < FEW; row++)
        for (size_t k = 0; k < RANGES; k++) {
            uint32_t count = 0;
            for (size_t i = 0; i < WIDTH; i++)
                count += data[row * WIDTH + i] == (int32_t)(k % 12);
            assert_int_equal(counts[row * RANGES + k], count);
        }
    rows.count = ROWS;
    rowpool_call call = {
        .size = sizeof call, .function = &longest_run, .inputs = &rows, .results = runs, .results_size = sizeof runs};
    assert_ok(rowpool_map(pool, &call, &error), error);
    for (size_t row = 0; row < ROWS; row++) {
        uint32_t run = 0, longest = 0;
        for (size_t i = 0; i < WIDTH; i++) {
            run = data[row * WIDTH + i] >= 4 && data[row * WIDTH + i] <= 8 ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
        assert_int_equal(runs[row], longest);
    }
    assert_int_equal(failures_of(pool), 0);
    rowpool_close(pool);
    free(data);
}

/* ---- Failed builds and missing source --------------------------------------------------------------------------- */

TEST(a_failed_build_is_reported)
{
    static const rowpool_function wrong = {.size = sizeof wrong,
                                           .name = "wrong",
                                           .form = ROWPOOL_BODY,
                                           .source = "#line 7 \"mine.cl\"\nthis is no C\n",
                                           .result_size = 4};
    const int32_t data[4] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 2, .width = 2};
    uint32_t results[2];
    rowpool_call call = {
        .size = sizeof call, .function = &wrong, .inputs = &rows, .results = results, .results_size = sizeof results};
    rowpool_error error;
    rowpool *pool = open_isolated();
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EBUILD, error, "mine.cl:7");
    rowpool_close(pool);
}

static void in_c_only(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)row;
    (void)arguments;
    *(uint32_t *)result = (uint32_t)index;
}

TEST(a_function_without_text_is_refused)
{
    static const rowpool_function function = {
        .size = sizeof function, .name = "in_c_only", .row = in_c_only, .result_size = 4};
    const int32_t data[4] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 2, .width = 2};
    uint32_t results[2];
    rowpool_call call = {.size = sizeof call,
                         .function = &function,
                         .inputs = &rows,
                         .results = results,
                         .results_size = sizeof results};
    rowpool_error error;
    rowpool *pool = open_isolated();
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_ENODEVICE, error, "it has no text for OpenCL");
    rowpool_close(pool);
}

/* ---- Helpers that die ------------------------------------------------------------------------------------------- */

typedef struct {
    rowpool *pool;
    test_random random;
    atomic_bool stop;
    atomic_size_t killed;
} killer;

static void *kill_again_and_again(void *argument)
{
    killer *plan = argument;
    pid_t last = 0;
    while (!atomic_load(&plan->stop)) {
        pid_t pid = 0;
        usleep((useconds_t)test_below(&plan->random, 20000));
        if (test_worker_pids(&plan->pool->devices.items[0], &pid, 1) == 1 && pid != last && kill(pid, SIGKILL) == 0) {
            atomic_fetch_add(&plan->killed, 1);
            last = pid;
        }
    }
    return NULL;
}

TEST(a_helper_that_is_killed_costs_no_row)
{
    const size_t maps = test_setting("ROWPOOL_TEST_KILLS", 30);
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    killer plan = {.pool = open_with("isolated", 200000, ROWPOOL_ISOLATE_NEVER), .random = test_random_begin(3)};
    size_t descriptors = test_count_descriptors();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_again_and_again, &plan), 0);
    for (size_t i = 0; i < maps || atomic_load(&plan.killed) == 0; i++)
        check_counts(plan.pool, &rows, counts);
    atomic_store(&plan.stop, true);
    pthread_join(thread, NULL);
    check_counts(plan.pool, &rows, counts);
    print_message("  %zu helpers killed\n", atomic_load(&plan.killed));
    assert_in_range(test_count_descriptors(), 0, descriptors + 4);
    assert_false(test_has_zombie());
    rowpool_close(plan.pool);
    assert_false(test_has_child());
    free(data);
    free(counts);
}

/* A driver that is out of memory in the helper aborts or fails; the host does the rest. */
TEST(a_helper_out_of_memory_costs_no_row)
{
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    rowpool *pool = open_isolated();
    const struct rlimit none = {1 << 20, 1 << 20};
    assert_int_equal(prlimit(helper_of(pool), RLIMIT_AS, &none, NULL), 0);
    check_counts(pool, &rows, counts);
    assert_true(failures_of(pool) > 0);
    check_counts(pool, &rows, counts);
    rowpool_close(pool);
    free(data);
    free(counts);
}

/* A row is bad when its first element is negative. */
static const rowpool_function crash = {.size = sizeof crash,
                                       .name = "crash",
                                       .form = ROWPOOL_BODY,
                                       .source = "typedef struct { uint32_t unused; } arguments_t;\n"
                                                 "typedef uint32_t result_t;\n"
                                                 "ROW_BODY\n{\n"
                                                 "    if (ROW(0) < 0)\n"
                                                 "        *(volatile __global int *)(ulong)8 = 1;\n"
                                                 "    return (uint32_t)(index + args.unused);\n}\n",
                                       .arguments_size = 4,
                                       .result_size = 4};

/* A user's function that kills the helper: the row is found and named, all others are answered. */
TEST(a_row_that_crashes_the_helper_is_named)
{
    enum { FEW = 40, BAD = 23 };
    int32_t data[FEW] = {[BAD] = -1};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = FEW, .width = 1};
    uint32_t results[FEW];
    rowpool_call call = {.size = sizeof call,
                         .function = &crash,
                         .inputs = &rows,
                         .results = results,
                         .results_size = sizeof results,
                         .chunk_rows = 10};
    rowpool_error error;
    rowpool *pool = open_isolated();
    memset(results, 0xff, sizeof results);
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EWORKER, error, "while it had row 23");
    for (uint32_t i = 0; i < FEW; i++)
        assert_true(i == BAD || results[i] == i);
    data[BAD] = 0;
    assert_ok(rowpool_map(pool, &call, &error), error);
    assert_int_equal(results[BAD], BAD);
    rowpool_close(pool);
}

/* If every row crashes the search ends soon. */
TEST(a_function_that_always_crashes)
{
    enum { MANY = 5000 };
    int32_t *data = malloc(MANY * sizeof *data);
    uint32_t *results = malloc(MANY * sizeof *results);
    assert_true(data != NULL && results != NULL);
    memset(data, 0xff, MANY * sizeof *data);
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = MANY, .width = 1};
    rowpool_call call = {.size = sizeof call,
                         .function = &crash,
                         .inputs = &rows,
                         .results = results,
                         .results_size = MANY * sizeof *results};
    rowpool_error error;
    rowpool *pool = open_isolated();
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EWORKER, error, "5000 rows have no result");
    assert_in_range(failures_of(pool), 2, 100); /* each death also loses the task that was waiting */
    memset(data, 0, MANY * sizeof *data);
    assert_ok(rowpool_map(pool, &call, &error), error);
    rowpool_close(pool);
    free(data);
    free(results);
}

/* In a long row, which needs most copies of the struct at once; on every kind of device, since all share one limit. */
TEST(structs_may_have_the_max_size)
{
    enum { LONG = 4 * 4096, FIELDS = ROWPOOL_MOST_STRUCT_BYTES / sizeof(uint32_t) };
    static const char *const words[] = {"isolated", "cpu", "fork", "host"};
    static int32_t data[LONG];
    static uint32_t arguments[FIELDS], results[FIELDS];
    for (size_t i = 0; i < LONG; i++)
        data[i] = (int32_t)(i % FIELDS);
    for (uint32_t i = 0; i < FIELDS; i++)
        arguments[i] = i % 3;
    const rowpool_rows row = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = LONG};
    const rowpool_call call = {.size = sizeof call,
                               .function = &spacious,
                               .inputs = &row,
                               .arguments = arguments,
                               .arguments_size = sizeof arguments,
                               .results = results,
                               .results_size = sizeof results,
                               .allow_host = true};
    for (size_t k = 0; k < COUNT_OF(words); k++) {
        rowpool_error error;
        rowpool *pool = open_with(words[k], 0, ROWPOOL_ISOLATE_NEVER);
        memset(results, 0xff, sizeof results);
        assert_ok(rowpool_map(pool, &call, &error), error);
        for (uint32_t i = 0; i < FIELDS; i++)
            assert_int_equal(results[i], LONG / FIELDS * (i + i % 3));
        assert_int_equal(failures_of(pool), 0);
        rowpool_close(pool);
    }
}

static const rowpool_function endless = {.size = sizeof endless,
                                         .name = "endless",
                                         .form = ROWPOOL_BODY,
                                         .source = "typedef struct { uint32_t unused; } arguments_t;\n"
                                                   "typedef uint32_t result_t;\n"
                                                   "ROW_BODY\n{\n"
                                                   "    volatile int on = 1;\n"
                                                   "    while (on)\n"
                                                   "        ;\n"
                                                   "    return (uint32_t)(index + args.unused);\n}\n",
                                         .arguments_size = 4,
                                         .result_size = 4};

/* A user's function that never returns: the helper is killed a second after the job was cancelled or timed out, or at
 * once if the pool is terminated. */
TEST(an_endless_function_is_killed)
{
    enum { WAYS = 3 };
    const int32_t data[1] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 1};
    uint32_t results[WAYS];
    rowpool *pools[WAYS];
    rowpool_job *jobs[WAYS];
    rowpool_error error;
    for (size_t i = 0; i < WAYS; i++) {
        const rowpool_call call = {.size = sizeof call,
                                   .function = &endless,
                                   .inputs = &rows,
                                   .results = &results[i],
                                   .results_size = sizeof results[i]};
        pools[i] = open_isolated();
        assert_ok(rowpool_map_async(pools[i], &call, NULL, NULL, &jobs[i], &error), error);
    }
    for (size_t i = 0; i < WAYS; i++) {
        const rp_workers *workers = pools[i]->devices.items[0].state;
        while (atomic_load(&workers->marks[0].number) == 0) /* the task has not begun */
            usleep(1000);
    }
    assert_ok(rowpool_job_cancel(jobs[0], &error), error);
    assert_ok(rowpool_job_timeout(jobs[1], 0, &error), error);
    assert_ok(rowpool_terminate(pools[2], &error), error);
    for (size_t i = 0; i < WAYS; i++) {
        rowpool_close(pools[i]);
        assert_int_equal(rowpool_job_poll(jobs[i], NULL), i == 1 ? ROWPOOL_ETIMEDOUT : ROWPOOL_ECANCELED);
        rowpool_job_release(jobs[i]);
    }
    assert_false(test_has_child());
}

/* A driver that may be compiling gets more time; one that is not has had its time. */
TEST(a_helper_that_compiles_gets_more_time)
{
    enum { LOOKS = 7 }; /* more than any other task gets */
    const int32_t data[1] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 1};
    uint32_t result;
    const rowpool_call call = {
        .size = sizeof call, .function = &endless, .inputs = &rows, .results = &result, .results_size = sizeof result};
    rowpool *pool = open_isolated();
    rp_workers *workers = pool->devices.items[0].state;
    rowpool_job *job;
    rowpool_error error;
    assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
    while (atomic_load(&workers->marks[0].number) == 0)
        usleep(1000);
    assert_ok(rowpool_job_timeout(job, 0, &error), error);
    rp_workers_slot_state now = RP_WORKERS_READY;
    for (unsigned looks = 0; looks < LOOKS && now == RP_WORKERS_READY;) {
        atomic_store(&workers->marks[0].submitting, true); /* as the helper itself sets it while it builds */
        usleep(1000);
        rp_lock(&workers->lock);
        looks = workers->slots[0].unwanted;
        now = workers->slots[0].state;
        rp_unlock(&workers->lock);
    }
    assert_int_equal(now, RP_WORKERS_READY);
    assert_int_equal(rowpool_job_poll(job, NULL), ROWPOOL_ENOTREADY);
    atomic_store(&workers->marks[0].submitting, false);
    assert_int_equal(rowpool_job_wait(job, -1, NULL), ROWPOOL_ETIMEDOUT);
    rowpool_job_release(job);
    rowpool_close(pool);
}

/* Shared flags: the function sets begun, waits for goes, and sets ended. */
typedef struct {
    atomic_uint begun, goes, ended;
} signs;

static const rowpool_function patient = {.size = sizeof patient,
                                         .name = "patient",
                                         .form = ROWPOOL_BODY,
                                         .source = "typedef struct { ulong signs; } arguments_t;\n"
                                                   "typedef uint32_t result_t;\n"
                                                   "ROW_BODY\n{\n"
                                                   "    volatile __global uint *signs = (volatile __global uint "
                                                   "*)args.signs;\n"
                                                   "    signs[0] = 1;\n"
                                                   "    while (signs[1] == 0)\n"
                                                   "        ;\n"
                                                   "    signs[2] = 1;\n"
                                                   "    return (uint32_t)index;\n}\n",
                                         .arguments_size = 8,
                                         .result_size = 4};

static void *close_pool(void *pool)
{
    rowpool_close(pool);
    return NULL;
}

/* With OpenCL in this process nothing stops a running chunk, so everything that ends a map waits for it. */
TEST(in_this_process_a_function_runs_to_its_end)
{
    enum { CANCEL, DEADLINE, TERMINATE, CLOSE, WAYS };
    enum { FEW = 8 }; /* not all of them are in flight at once */
    const int32_t data[FEW] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = FEW, .width = 1};
    for (int how = 0; how < WAYS; how++) {
        static signs own;
        const uint64_t argument = (uintptr_t)&own;
        uint32_t results[FEW];
        const rowpool_call call = {.size = sizeof call,
                                   .function = &patient,
                                   .inputs = &rows,
                                   .arguments = &argument,
                                   .arguments_size = sizeof argument,
                                   .results = results,
                                   .results_size = sizeof results,
                                   .chunk_rows = 1};
        rowpool *pool = open_with("cpu", 0, ROWPOOL_ISOLATE_NEVER);
        rowpool_job *job;
        rowpool_error error;
        pthread_t closes;
        atomic_store(&own.begun, 0);
        atomic_store(&own.goes, 0);
        atomic_store(&own.ended, 0);
        assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
        while (atomic_load(&own.begun) == 0)
            usleep(1000);
        if (how == CANCEL)
            assert_ok(rowpool_job_cancel(job, &error), error);
        else if (how == DEADLINE)
            assert_ok(rowpool_job_timeout(job, 0, &error), error);
        else if (how == TERMINATE)
            assert_ok(rowpool_terminate(pool, &error), error);
        assert_int_equal(pthread_create(&closes, NULL, close_pool, pool), 0);
        assert_int_equal(rowpool_job_poll(job, NULL), ROWPOOL_ENOTREADY);
        assert_int_equal(atomic_load(&own.ended), 0);
        atomic_store(&own.goes, 1);
        pthread_join(closes, NULL);
        assert_int_equal(atomic_load(&own.ended), 1);
        const rowpool_status status = rowpool_job_poll(job, NULL);
        assert_int_equal(status, how == CLOSE ? ROWPOOL_OK : how == DEADLINE ? ROWPOOL_ETIMEDOUT : ROWPOOL_ECANCELED);
        rowpool_job_release(job);
    }
}

/* Writes a helper whose address space is limited, in KiB. */
static void write_limited_helper(const char *path, size_t limit)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\nulimit -v %zu\nPOCL_KERNEL_CACHE=0 exec '%s' \"$@\" 2>/dev/null\n", limit,
                        helper) > 0);
    assert_int_equal(fclose(file), 0);
}

/* With about the least memory with which the driver starts; drivers differ in how much that is. */
static rowpool *open_barely(const char *path)
{
    enum { MIN = 300000, STEP = 25000, MAX = 8000000 };
    rowpool *pool = NULL;
    for (size_t limit = MIN; pool == NULL && limit < MAX; limit += STEP) {
        const rowpool_options options = {.size = sizeof options, .device = "isolated", .workers = 1};
        write_limited_helper(path, limit);
        if (rowpool_open(&pool, &options, NULL) != ROWPOOL_OK)
            pool = NULL;
    }
    return pool;
}

/* A driver that runs out of memory at every build and aborts or fails: the host does the rows. Kernels built earlier
 * might load with less memory. */
TEST(a_driver_out_of_memory_leaves_the_rows_to_the_host)
{
    if (TEST_SANITIZED)
        skip_since("a helper with a sanitizer needs more memory to start");
    char path[] = "/tmp/rowpool-helper-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0 && fchmod(file, 0700) == 0);
    close(file);
    setenv("ROWPOOL_HELPER", path, 1);
    rowpool *pool = open_barely(path);
    setenv("ROWPOOL_HELPER", helper, 1);
    assert_non_null(pool);
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    check_counts(pool, &rows, counts);
    /* Two helpers die with two tasks each; before that, if the driver leaves no room for the rows either, chunks are
     * halved a few times. */
    const uint64_t failures = failures_of(pool);
    assert_in_range(failures, 0, 16);
    rowpool_close(pool);
    assert_false(test_has_child());
    unlink(path);
    free(data);
    free(counts);
    if (failures == 0)
        skip_since("the memory with which this driver starts is enough for it");
}

/* A process that ended is a zombie until whoever inherits it waits for it. */
static bool is_running(pid_t pid)
{
    char path[64], letter = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool read = fscanf(file, "%*d (%*[^)]) %c", &letter) == 1;
    fclose(file);
    return read && letter != 'Z';
}

TEST(a_helper_dies_with_its_application)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        rowpool *pool = NULL;
        rowpool_options options = {.size = sizeof options, .device = "isolated"};
        pid_t pid = 0;
        if (rowpool_open(&pool, &options, NULL) == ROWPOOL_OK)
            test_worker_pids(&pool->devices.items[0], &pid, 1);
        _exit(write(ends[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
    }
    pid_t pid = 0;
    close(ends[1]);
    assert_int_equal(read(ends[0], &pid, sizeof pid), sizeof pid);
    close(ends[0]);
    assert_true(pid > 0);
    (void)test_wait(child);
    while (is_running(pid))
        usleep(10000);
}

TEST(a_forked_child_leaves_the_helper_alone)
{
    rowpool *pool = open_isolated();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const int32_t data[2] = {0};
        const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 2};
        uint32_t count;
        bool refused = rowpool_range_count(pool, &rows, NULL, 0, &count, NULL) == ROWPOOL_EFORKED;
        rowpool_close(pool);
        _exit(refused ? 0 : 1);
    }
    const int status = test_wait(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const int32_t data[2] = {4, 0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 2};
    uint32_t count = 0;
    check_counts(pool, &rows, &count);
    rowpool_close(pool);
    assert_false(test_has_child());
}

/* ---- Programs that are not the helper --------------------------------------------------------------------------- */

static void check_program(const char *path, rowpool_status status, const char *text)
{
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = "isolated"};
    size_t descriptors = test_count_descriptors();
    setenv("ROWPOOL_HELPER", path, 1);
    assert_refused(rowpool_open(&pool, &options, &error), status, error, text);
    assert_int_equal(test_count_descriptors(), descriptors);
    assert_false(test_has_child());
    /* If the device is not named, worker processes take over. */
    pool = open_with("auto", 0, ROWPOOL_ISOLATE_ALWAYS);
    assert_string_equal(pool->devices.items[0].info.index, "fork");
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    check_counts(pool, &rows, counts);
    rowpool_close(pool);
    free(data);
    free(counts);
    setenv("ROWPOOL_HELPER", helper, 1);
}

TEST(a_program_that_is_no_helper_is_refused)
{
    check_program("/nowhere/rowpool-helper", ROWPOOL_ENODEVICE, "there is no program /nowhere/rowpool-helper");
    check_program("/bin/true", ROWPOOL_EDEVICE, "ended with exit status 0 before it had a device");
    check_program("/", ROWPOOL_ESYSTEM, "cannot start");
}

/* This program as the helper of a different rowpool; `what` names the difference. */
static int be_another_helper(int argc, char **argv, const char *what)
{
    static rp_hello hello;
    rp_worker_self self;
    int shared;
    if (!rp_worker_become(&self, &shared, argc, argv))
        return 2;
    while (strcmp(what, "nothing") == 0)
        pause();
    const bool version = strcmp(what, "version") == 0;
    snprintf(hello.version, sizeof hello.version, "%s", version ? "0.0.1" : rowpool_version());
    hello.message_size = sizeof(rp_task_message) + !version;
    rp_worker_answer(&self, &hello, sizeof hello);
    for (;;)
        pause();
}

TEST(a_helper_of_another_rowpool_is_refused)
{
    char self[4096] = "", expected[128];
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    setenv("ROWPOOL_TEST_OTHER", "version", 1);
    snprintf(expected, sizeof expected, "belongs to rowpool 0.0.1, the library to %s: reinstall both",
             rowpool_version());
    check_program(self, ROWPOOL_EDEVICE, expected);
    setenv("ROWPOOL_TEST_OTHER", "work", 1);
    check_program(self, ROWPOOL_EDEVICE, "reinstall both");
    unsetenv("ROWPOOL_TEST_OTHER");
}

static atomic_int hours; /* hours added to the clock */
static atomic_bool passes, stands;

struct timespec __real_rp_clock_now(void);
struct timespec __wrap_rp_clock_now(void);
struct timespec __wrap_rp_clock_now(void)
{
    struct timespec now = __real_rp_clock_now();
    if (atomic_load(&stands))
        return (struct timespec){0};
    if (atomic_load(&passes))
        atomic_fetch_add(&hours, 1);
    now.tv_sec += 3600 * atomic_load(&hours);
    return now;
}

/* A helper whose driver hangs is killed and reported; then there is no OpenCL. */
TEST(a_helper_that_hangs_is_killed)
{
    char self[4096] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    setenv("ROWPOOL_TEST_OTHER", "nothing", 1);
    setenv("ROWPOOL_HELPER", self, 1);
    atomic_store(&passes, true);
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = "isolated"};
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_EDEVICE, error,
                   "was killed after 30 seconds of silence (a driver hangs), before it had a device");
    pool = open_with("auto", 0, ROWPOOL_ISOLATE_ALWAYS);
    atomic_store(&passes, false);
    assert_string_equal(pool->devices.items[0].info.index, "fork");
    rowpool_device devices[8];
    size_t count;
    assert_ok(rowpool_devices(pool, devices, COUNT_OF(devices), &count, &error), error);
    bool reported = false;
    for (size_t i = 0; i < count; i++)
        reported |= strcmp(devices[i].index, "isolated") == 0 && strstr(devices[i].reason, "a driver hangs") != NULL;
    assert_true(reported);
    rowpool_close(pool);
    setenv("ROWPOOL_HELPER", helper, 1);
    unsetenv("ROWPOOL_TEST_OTHER");
    assert_false(test_has_child());
}

TEST(a_helper_may_find_no_device)
{
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = "isolated"};
    setenv("ROWPOOL_ISOLATED_DEVICE", "host", 1);
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_ENODEVICE, error, "there is no OpenCL device");
    setenv("ROWPOOL_ISOLATED_DEVICE", "nonsense", 1);
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_EINVAL, error, "'nonsense'");
    unsetenv("ROWPOOL_ISOLATED_DEVICE");
    assert_false(test_has_child());
}

/* Started by hand, the helper says what it is. */
TEST(the_helper_started_by_hand_explains_itself)
{
    int ends[2];
    char text[256];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        for (int i = 3; i < 16; i++)
            close(i);
        execl(helper, helper, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    test_read_to_end(ends[0], text, sizeof text);
    close(ends[0]);
    const int status = test_wait(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    assert_non_null(strstr(text, "is started by librowpool"));
}

/* ---- OpenCL always in helper processes -------------------------------------------------------------------------- */

static size_t helpers_of(rowpool *pool)
{
    pid_t pids[8];
    return test_worker_pids(&pool->devices.items[0], pids, COUNT_OF(pids));
}

/* Every word for OpenCL devices means the helper's, and no driver is used in this process. */
TEST(every_device_word_means_the_helper)
{
    static const char *const words[] = {"auto", "cpu", "all", "0:0", "isolated", "cpu,fork", "auto,host"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        rowpool *pool = open_with(words[i], 0, ROWPOOL_ISOLATE_ALWAYS);
        assert_string_equal(pool->devices.items[0].info.index, "isolated");
        for (size_t k = 0; k < pool->devices.count; k++)
            assert_null(strchr(pool->devices.items[k].info.index, ':'));
        assert_int_equal(helpers_of(pool), 1);
        assert_int_equal(pool->devices.automatic, i == 0);
        rowpool_close(pool);
    }
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = "7:0", .isolate = ROWPOOL_ISOLATE_ALWAYS};
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_ENODEVICE, error, "there is no OpenCL device '7:0'");
    setenv("ROWPOOL_HELPER", "/nowhere/rowpool-helper", 1);
    options.device = "cpu";
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_ENODEVICE, error,
                   "device cpu (OpenCL in a helper process) cannot be used");
    setenv("ROWPOOL_HELPER", helper, 1);
}

/* Writes a helper that exits at once when asked for the second device. */
static void write_helper_of_the_first(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n[ \"$2\" != 0:1 ] || exit 1\nexec '%s' \"$@\"\n", helper) > 0);
    assert_int_equal(fclose(file), 0);
}

/* Each device has a helper of its own; each is restarted for the same device. */
TEST(every_device_has_its_own_helper)
{
    setenv("POCL_DEVICES", "pthread basic", 1);
    rowpool *pool = open_with("all", 100000, ROWPOOL_ISOLATE_ALWAYS);
    if (strstr(pool->devices.items[0].info.platform, "Portable Computing Language") == NULL) {
        rowpool_close(pool);
        skip_since("this driver cannot have two devices on one CPU");
    }
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    pid_t pids[8];
    assert_int_equal(helpers_of(pool), 2);
    assert_non_null(strstr(pool->devices.items[0].info.name, " and 1 more, isolated"));
    check_counts(pool, &rows, counts);
    assert_int_equal(test_worker_pids(&pool->devices.items[0], pids, COUNT_OF(pids)), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    check_counts(pool, &rows, counts);
    rowpool_close(pool);
    rowpool_error error;
    char path[] = "/tmp/rowpool-helper-XXXXXX";
    assert_true(close(mkstemp(path)) == 0 && chmod(path, 0700) == 0);
    write_helper_of_the_first(path);
    setenv("ROWPOOL_HELPER", path, 1);
    const rowpool_options named = {.size = sizeof named, .device = "0:0,0:1", .isolate = ROWPOOL_ISOLATE_ALWAYS};
    assert_refused(rowpool_open(&pool, &named, &error), ROWPOOL_EDEVICE, error, "before it had a device");
    setenv("ROWPOOL_HELPER", helper, 1);
    unlink(path);
    pool = open_with("auto", 0, ROWPOOL_ISOLATE_ALWAYS); /* both devices have the same cores */
    assert_int_equal(helpers_of(pool), 1);
    rowpool_close(pool);
    unsetenv("POCL_DEVICES");
    assert_false(test_has_child());
    free(data);
    free(counts);
}

static rp_workers_slot_state state_of(rp_workers *workers, size_t slot)
{
    rp_lock(&workers->lock);
    rp_workers_slot_state state = workers->slots[slot].state;
    rp_unlock(&workers->lock);
    return state;
}

static void write_script(const char *path, const char *line)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", line) > 0);
    assert_int_equal(fclose(file), 0);
}

static void kill_and_wait(rp_workers *workers, size_t slot, pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (state_of(workers, slot) != RP_WORKERS_EMPTY)
        usleep(1000);
}

/* One restart is tried for each map, and the host does the rows. */
TEST(a_helper_may_fail_to_restart)
{
    char path[] = "/tmp/rowpool-helper-XXXXXX", itself[4200];
    assert_true(close(mkstemp(path)) == 0 && chmod(path, 0700) == 0);
    (void)snprintf(itself, sizeof itself, "exec '%s' \"$@\"", helper);
    write_script(path, itself);
    setenv("ROWPOOL_HELPER", path, 1);
    rowpool *pool = open_isolated();
    setenv("ROWPOOL_HELPER", helper, 1);
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    kill_and_wait(pool->devices.items[0].state, 0, helper_of(pool));
    write_script(path, "exit 1");
    check_counts(pool, &rows, counts);
    const uint64_t failures = failures_of(pool);
    assert_true(failures > 0);
    write_script(path, itself);
    check_counts(pool, &rows, counts);
    assert_int_equal(failures_of(pool), failures);
    rowpool_close(pool);
    assert_false(test_has_child());
    unlink(path);
    free(data);
    free(counts);
}

/* Writes a helper that hangs when restarted for the second device, once the flag exists. */
static void write_helper_that_hangs_later(const char *path, const char *flag)
{
    char self[4096] = "";
    char text[8400];
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    (void)snprintf(
        text, sizeof text,
        "[ \"$2\" != 0:1 ] || [ ! -e '%s' ] || ROWPOOL_TEST_OTHER=nothing exec '%s' \"$@\"\nexec '%s' \"$@\"", flag,
        self, helper);
    write_script(path, text);
}

/* Answers from one helper are read while another one starts. The clock stands still, so that start does not time out.
 */
TEST(a_starting_helper_does_not_delay_another)
{
    char path[] = "/tmp/rowpool-helper-XXXXXX", flag[] = "/tmp/rowpool-helper-XXXXXX";
    pid_t pids[8];
    assert_true(close(mkstemp(path)) == 0 && chmod(path, 0700) == 0);
    assert_true(close(mkstemp(flag)) == 0 && unlink(flag) == 0);
    write_helper_that_hangs_later(path, flag);
    setenv("POCL_DEVICES", "pthread basic", 1);
    setenv("ROWPOOL_HELPER", path, 1);
    rowpool *pool = open_with("all", 100000, ROWPOOL_ISOLATE_ALWAYS);
    setenv("ROWPOOL_HELPER", helper, 1);
    unsetenv("POCL_DEVICES");
    rp_device *device = &pool->devices.items[0];
    int32_t *data = fill(malloc(ROWS * WIDTH * sizeof *data));
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    const rowpool_rows rows = dense(data);
    const bool two = test_worker_pids(device, pids, COUNT_OF(pids)) == 2;
    if (two) {
        assert_true(close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
        kill_and_wait(device->state, 1, pids[1]);
        atomic_store(&stands, true);
        check_counts(pool, &rows, counts);
        assert_int_equal(state_of(device->state, 1), RP_WORKERS_STARTING);
        assert_int_equal(failures_of(pool), 0);
    }
    rowpool_close(pool); /* close does not wait for a helper that is starting */
    atomic_store(&stands, false);
    assert_false(test_has_child());
    unlink(path);
    unlink(flag);
    free(data);
    free(counts);
    if (!two)
        skip_since("this driver cannot have two devices on one CPU");
}

TEST(isolation_is_an_option_and_a_variable)
{
    rowpool *pool = open_with(NULL, 0, ROWPOOL_ISOLATE_ALWAYS);
    assert_string_equal(pool->devices.items[0].info.index, "isolated");
    for (size_t i = 0; i < pool->devices.count; i++)
        assert_null(strchr(pool->devices.items[i].info.index, ':')); /* OpenCL was not used in this process */
    rowpool_close(pool);
    setenv("ROWPOOL_ISOLATE", "always", 1);
    pool = open_with("auto", 0, ROWPOOL_ISOLATE_NEVER);
    assert_string_equal(pool->devices.items[0].info.index, "isolated");
    rowpool_close(pool);
    setenv("ROWPOOL_ISOLATE", "maybe", 1);
    rowpool_error error;
    assert_refused(rowpool_open(&pool, NULL, &error), ROWPOOL_EINVAL, error,
                   "ROWPOOL_ISOLATE is 'maybe'; it must be never or always");
    unsetenv("ROWPOOL_ISOLATE");
    rowpool_options options = {.size = sizeof options, .isolate = (rowpool_isolate)2};
    assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_EINVAL, error, "options.isolate is 2");
}

int main(int argc, char **argv)
{
    const char *other = getenv("ROWPOOL_TEST_OTHER");
    if (other != NULL)
        return be_another_helper(argc, argv, other);
    helper = getenv("ROWPOOL_HELPER");
    if (helper == NULL) {
        fprintf(stderr, "ROWPOOL_HELPER must name the helper program\n");
        return 1;
    }
    alarm(600); /* a hang is a failure */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_describes_itself),
        cmocka_unit_test(rows_may_lie_in_any_memory),
        cmocka_unit_test(gaps_between_rows_may_be_unmapped),
        cmocka_unit_test(unreadable_memory_is_an_error),
        cmocka_unit_test(many_ranges_and_a_user_function),
        cmocka_unit_test(a_failed_build_is_reported),
        cmocka_unit_test(a_function_without_text_is_refused),
        cmocka_unit_test(a_helper_that_is_killed_costs_no_row),
        cmocka_unit_test(a_helper_out_of_memory_costs_no_row),
        cmocka_unit_test(a_row_that_crashes_the_helper_is_named),
        cmocka_unit_test(a_function_that_always_crashes),
        cmocka_unit_test(structs_may_have_the_max_size),
        cmocka_unit_test(an_endless_function_is_killed),
        cmocka_unit_test(a_helper_that_compiles_gets_more_time),
        cmocka_unit_test(in_this_process_a_function_runs_to_its_end),
        cmocka_unit_test(a_driver_out_of_memory_leaves_the_rows_to_the_host),
        cmocka_unit_test(a_helper_dies_with_its_application),
        cmocka_unit_test(a_forked_child_leaves_the_helper_alone),
        cmocka_unit_test(a_program_that_is_no_helper_is_refused),
        cmocka_unit_test(a_helper_of_another_rowpool_is_refused),
        cmocka_unit_test(a_helper_that_hangs_is_killed),
        cmocka_unit_test(a_helper_may_find_no_device),
        cmocka_unit_test(the_helper_started_by_hand_explains_itself),
        cmocka_unit_test(every_device_word_means_the_helper),
        cmocka_unit_test(every_device_has_its_own_helper),
        cmocka_unit_test(a_helper_may_fail_to_restart),
        cmocka_unit_test(a_starting_helper_does_not_delay_another),
        cmocka_unit_test(isolation_is_an_option_and_a_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
