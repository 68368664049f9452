/* A fault in every OpenCL call that a map makes, one at a time: the results are still right or, on a strict pool, the
 * error is clear; nothing hangs, and the next map on the same pool succeeds.
 *
 * Each scenario runs with the n-th call failing, n = 1, 2, 3 ... until it makes fewer than n calls: once with that call
 * alone and once with all later calls failing too. ROWPOOL_TEST_ONE_IN=N runs every Nth of them. */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/opencl/opencl.h"
#include "faults.h"
#include "scenarios.h"
#include "sched/pool.h"
#include "support.h"

static test_faults faults;

typedef struct {
    bool sticky, strict, memory;
} manner;

/* One run with the n-th call failing. False: it makes fewer calls. */
static bool run_with_fault(const test_scenario *scenario, long n, manner how, size_t *wrong)
{
    test_attempt a;
    alarm(600); /* a hang ends the test */
    test_faults_arm(&faults, n, how.sticky, how.memory);
    test_verdict verdict = test_scenario_run(scenario, how.strict, &a);
    bool injected = atomic_load(&faults.injected) > 0;
    test_faults_disarm(&faults);
    bool not_open = a.pool == NULL && scenario->device != NULL;
    bool refused = verdict.status != ROWPOOL_OK && (how.strict || not_open);
    bool fine = refused ? strlen(a.error.message) > 10 : verdict.status == ROWPOOL_OK && verdict.right;
    if (fine && a.pool != NULL) { /* and the next call on the same pool */
        test_verdict then = test_scenario_again(scenario, &a);
        fine = then.status == ROWPOOL_OK && then.right;
    }
    if (!fine) {
        ++*wrong;
        fprintf(stderr, "%s: call %ld fails%s%s%s: %s: %s\n", scenario->name, n,
                how.sticky ? " and all later ones" : "", how.strict ? ", strict" : "", how.memory ? ", no memory" : "",
                rowpool_status_name(verdict.status), a.error.status != ROWPOOL_OK ? a.error.message : "wrong results");
    }
    rowpool_close(a.pool);
    return injected;
}

/* How many calls a run without a fault makes; its results must be right. */
static long count_calls(const test_scenario *scenario)
{
    test_attempt a;
    test_faults_arm(&faults, LONG_MAX, false, false);
    test_verdict verdict = test_scenario_run(scenario, false, &a);
    long calls = atomic_load(&faults.calls);
    rowpool_close(a.pool);
    if (verdict.status != ROWPOOL_OK || !verdict.right)
        fail_msg("%s: %s: %s", scenario->name, rowpool_status_name(verdict.status), a.error.message);
    return calls;
}

/* Every Nth call of all scenarios together, since many make fewer than N; with N = 1 all calls, until there are no
 * more. */
static size_t try_calls(const test_scenario *scenario, manner how, long calls, size_t *wrong)
{
    static long next = 1;
    long one_in = (long)test_setting("ROWPOOL_TEST_ONE_IN", 1), n = next;
    size_t injected = 0;
    for (; (one_in == 1 || n <= calls) && run_with_fault(scenario, n, how, wrong); n += one_in)
        injected++;
    next = n > calls ? (n - calls - 1) % one_in + 1 : 1;
    return injected;
}

TEST(any_call_may_fail)
{
    static const manner manners[] = {
        {false, false, false}, {true, false, false}, {false, true, false}, {true, true, false}, {true, false, true},
    };
    size_t scenarios = 0, injected = 0, wrong = 0;
    for (size_t s = 0; s < test_scenario_count; s++) {
        long calls = test_scenario_is_due(&test_scenarios[s]) ? count_calls(&test_scenarios[s]) : 0;
        scenarios += calls > 0;
        for (size_t m = 0; calls > 0 && m < COUNT_OF(manners); m++)
            injected += try_calls(&test_scenarios[s], manners[m], calls, &wrong);
    }
    alarm(0);
    printf("%zu scenarios, %zu faults injected, %zu wrong\n", scenarios, injected, wrong);
    assert_int_equal(wrong, 0);
    assert_true(injected > 0);
}

/* On a strict pool the map fails if any of its commands fails, however the driver reports it: when the command is
 * enqueued, in the status of its event, or to a callback. After a failed flush the results may still arrive. */
static void check_noticed(test_cl_call kind)
{
    size_t noticed = 0;
    for (size_t s = 0; s < test_scenario_count; s++) {
        const test_scenario *scenario = &test_scenarios[s];
        if (!test_scenario_is_due(scenario))
            continue;
        test_attempt a;
        test_faults_arm_only(&faults, kind, 1);
        test_verdict verdict = test_scenario_run(scenario, true, &a);
        bool injected = atomic_load(&faults.injected) > 0, closed = a.pool == NULL;
        test_faults_disarm(&faults);
        rowpool_close(a.pool);
        if (injected && verdict.status == ROWPOOL_OK && !closed && kind != TEST_CL_Flush)
            fail_msg("%s: the failure of %s was not noticed", scenario->name, test_cl_call_name(kind));
        noticed += verdict.status != ROWPOOL_OK;
    }
    assert_true(noticed > 0);
}

TEST(every_kind_of_failure_is_noticed)
{
    static const test_cl_call kinds[] = {TEST_CL_SetKernelArg,
                                         TEST_CL_EnqueueNDRangeKernel,
                                         TEST_CL_EnqueueReadBuffer,
                                         TEST_CL_EnqueueWriteBuffer,
                                         TEST_CL_EnqueueWriteBufferRect,
                                         TEST_CL_GetEventInfo,
                                         TEST_CL_SetEventCallback,
                                         TEST_CL_Completion,
                                         TEST_CL_Flush};
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        check_noticed(kinds[k]);
}

/* A chunk was abandoned because its flush failed; later the driver reports that it is complete. */
TEST(a_late_callback_changes_nothing)
{
    const test_scenario *scenario = test_scenarios;
    while (strcmp(scenario->name, "a job") != 0)
        scenario++;
    test_attempt a;
    test_faults_arm_only(&faults, TEST_CL_Flush, 1);
    atomic_store(&faults.late, true);
    test_verdict verdict = test_scenario_run(scenario, false, &a);
    atomic_store(&faults.late, false);
    assert_int_equal(atomic_load(&faults.injected), 1);
    test_faults_disarm(&faults);
    assert_true(verdict.status == ROWPOOL_OK && verdict.right);
    for (int i = 0; i < 2; i++) { /* the late callback arrives during the first */
        verdict = test_scenario_again(scenario, &a);
        assert_true(verdict.status == ROWPOOL_OK && verdict.right);
    }
    rowpool_close(a.pool);
}

/* Each part of a row leaves one accumulator for each range: with many ranges the parts are longer, to limit memory. */
TEST(many_ranges_of_a_long_row_take_little_memory)
{
    enum { WIDTH = 16384, RANGES = 600000, MAX_BYTES = 64 << 20 };
    int8_t *data = calloc(WIDTH, 1);
    rowpool_range *ranges = malloc(RANGES * sizeof *ranges);
    uint32_t *counts = malloc(RANGES * sizeof *counts);
    assert_true(data != NULL && ranges != NULL && counts != NULL);
    for (size_t i = 0; i < RANGES; i++)
        ranges[i] = rowpool_range_i64(0, (int64_t)(i % 2) - 1);
    const rowpool_rows row = {.data = data, .dtype = ROWPOOL_INT8, .count = 1, .width = WIDTH};
    const rowpool_options options = {.size = sizeof options, .device = "cpu"};
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, &options, &error), error);
    atomic_store(&faults.largest_buffer, 0);
    assert_ok(rowpool_range_count(pool, &row, ranges, RANGES, counts, &error), error);
    for (size_t i = 0; i < RANGES; i++)
        assert_int_equal(counts[i], i % 2 * WIDTH);
    assert_in_range(atomic_load(&faults.largest_buffer), 1, MAX_BYTES);
    rowpool_close(pool);
    free(counts);
    free(ranges);
    free(data);
}

/* ---- Functions generated at run time ---------------------------------------------------------------------------- */

enum { MADE_ROWS = 64 };

/* Maps the n-th function; returns whether its results are right. */
static bool map_made(rowpool *pool, uint32_t n)
{
    static const int32_t data[MADE_ROWS] = {[MADE_ROWS - 1] = 7};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = MADE_ROWS, .width = 1};
    char source[256];
    uint32_t results[MADE_ROWS];
    snprintf(source, sizeof source,
             "typedef struct { uint32_t unused; } arguments_t;\ntypedef uint32_t result_t;\n"
             "ROW_BODY\n{\n    return (uint32_t)ROW(0) + args.unused + %uu;\n}\n",
             (unsigned)n);
    const rowpool_function made = {.size = sizeof made,
                                   .name = "made",
                                   .form = ROWPOOL_BODY,
                                   .source = source,
                                   .arguments_size = 4,
                                   .result_size = 4};
    const rowpool_call call = {.size = sizeof call,
                               .function = &made,
                               .inputs = &rows,
                               .results = results,
                               .results_size = sizeof results,
                               .chunk_rows = MADE_ROWS / 4};
    if (rowpool_map(pool, &call, NULL) != ROWPOOL_OK)
        return false;
    for (size_t i = 0; i < MADE_ROWS; i++)
        if (results[i] != (uint32_t)data[i] + n)
            return false;
    return true;
}

typedef struct {
    rowpool *pool;
    uint32_t first;
    bool right;
} maker;

static void *make_functions(void *argument)
{
    enum { ROUNDS = 12, OWN = 3 };
    maker *own = argument;
    own->right = true;
    for (uint32_t i = 0; i < ROUNDS; i++)
        own->right &= map_made(own->pool, own->first + i % OWN);
    return NULL;
}

TEST(programs_of_generated_functions_are_evicted)
{
    enum { MAX = 4, MADE = 10, MAKERS = 3 };
    const rowpool_options options = {.size = sizeof options, .device = "cpu"};
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, &options, &error), error);
    rp_cl_device *device = pool->devices.items[0].state;
    assert_int_equal(device->max_programs, RP_CL_MAX_PROGRAMS);
    device->max_programs = MAX; /* a small limit makes the test fast */
    atomic_store(&faults.lock, &device->lock.mutex);
    for (uint32_t n = 0; n < MADE; n++) {
        assert_true(map_made(pool, n));
        assert_in_range(atomic_load(&faults.live[TEST_CL_OBJECT_program]), 1, MAX);
    }
    atomic_store(&faults.lock, NULL); /* other threads may hold it from here on */
    assert_int_equal(atomic_load(&faults.locked), 0);
    const rp_cl_program *oldest = device->programs;
    while (oldest->next != NULL)
        oldest = oldest->next;
    assert_true(map_made(pool, MADE - MAX)); /* still cached; now the most recently used */
    assert_ptr_equal(device->programs, oldest);
    assert_true(map_made(pool, 0)); /* it was evicted and is built again */
    assert_in_range(atomic_load(&faults.live[TEST_CL_OBJECT_program]), 1, MAX);
    maker makers[MAKERS];
    pthread_t threads[MAKERS];
    for (uint32_t i = 0; i < MAKERS; i++) {
        makers[i] = (maker){.pool = pool, .first = 3 * i};
        assert_int_equal(pthread_create(&threads[i], NULL, make_functions, &makers[i]), 0);
    }
    for (size_t i = 0; i < MAKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(makers[i].right);
    }
    assert_true(map_made(pool, 0));
    assert_in_range(atomic_load(&faults.live[TEST_CL_OBJECT_program]), 1, MAX);
    assert_in_range(atomic_load(&faults.live[TEST_CL_OBJECT_kernel]), 1,
                    2 * MAKERS * MAX); /* one for each task in flight */
    rowpool_close(pool);
}

/* Detects calls that rowpool no longer makes or that the layer does not intercept. */
TEST(each_call_is_reached)
{
    for (size_t s = 0; s < test_scenario_count; s++)
        if (!test_scenario_is_due(&test_scenarios[s]))
            skip_since("ROWPOOL_TEST_SCENARIO leaves scenarios out");
    for (int call = 0; call < TEST_CL_TOTAL; call++)
        if (!atomic_load(&faults.ever[call]))
            fail_msg("no scenario calls %s", test_cl_call_name((test_cl_call)call));
}

TEST(no_object_leaks)
{
    assert_int_equal(test_faults_left(&faults), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(every_kind_of_failure_is_noticed),
        cmocka_unit_test(a_late_callback_changes_nothing),
        cmocka_unit_test(many_ranges_of_a_long_row_take_little_memory),
        cmocka_unit_test(programs_of_generated_functions_are_evicted),
        cmocka_unit_test(each_call_is_reached),
        cmocka_unit_test(no_object_leaks),
    };
    (void)argc;
    test_faults_begin(&faults, ROWPOOL_TEST_FAULT_LAYER, argv);
    size_t count_of_devices;
    rowpool_error error;
    if (rowpool_devices(NULL, NULL, 0, &count_of_devices, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (!atomic_load(&faults.active)) {
        printf("skipped: the loader does not load the layer\n");
        return TEST_SKIPPED;
    }
    test_scenarios_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_scenarios_end();
    return failed;
}
