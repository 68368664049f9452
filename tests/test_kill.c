/* Worker processes are killed at any moment of a map, one at a time or all at once: the map returns exact results, the
 * pool stays usable, and nothing is left behind. ROWPOOL_TEST_KILLS: how many to kill. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/pool.h"
#include "support.h"
#include "workers.h"

enum { ROWS = 300000, WIDTH = 20, PARTS = 3, WORKERS = 3, WAYS = 5 };

static const int32_t *data;
static uint32_t *counts, *expected;

/* ---- Kills ------------------------------------------------------------------------------------------------------ */

typedef struct {
    rowpool *pool;
    test_random random;
    atomic_int allowed; /* kills left during this map: rows on which workers die again and again are given up */
    atomic_size_t killed;
    atomic_bool stop;
    pid_t last[4 * WORKERS]; /* one that is already dead does not count */
} killer;

static bool is_dead(const killer *plan, pid_t pid)
{
    for (size_t i = 0; i < COUNT_OF(plan->last); i++)
        if (plan->last[i] == pid)
            return true;
    return false;
}

/* A stopped worker is tolerated for seconds before it is killed. */
static int signal_for(killer *plan)
{
    return atomic_load(&plan->killed) % 1000 == 99 ? SIGSTOP : test_chance(&plan->random, 3) ? SIGSEGV : SIGKILL;
}

static void kill_some(killer *plan)
{
    pid_t pids[WORKERS];
    size_t n = test_worker_pids(&plan->pool->devices.items[0], pids, WORKERS);
    size_t first = (size_t)test_below(&plan->random, WORKERS), limit = 1 + (size_t)test_below(&plan->random, WORKERS);
    for (size_t i = 0; i < limit && i < n; i++) {
        pid_t pid = pids[(first + i) % n];
        if (is_dead(plan, pid) || kill(pid, signal_for(plan)) != 0)
            continue;
        plan->last[atomic_fetch_add(&plan->killed, 1) % COUNT_OF(plan->last)] = pid;
    }
}

/* At arbitrary moments: a map takes a few milliseconds. */
static void *kill_now_and_then(void *argument)
{
    killer *plan = argument;
    while (!atomic_load(&plan->stop)) {
        test_sleep_us(test_below(&plan->random, 3000));
        if (atomic_fetch_sub(&plan->allowed, 1) > 0)
            kill_some(plan);
    }
    return NULL;
}

/* ---- Ways to map ------------------------------------------------------------------------------------------------ */

static rowpool_rows rows_of(size_t first, size_t count)
{
    return (rowpool_rows){.data = data + first * WIDTH, .dtype = ROWPOOL_INT32, .count = count, .width = WIDTH};
}

static void as_call(rowpool *pool)
{
    rowpool_error error;
    rowpool_rows rows = rows_of(0, ROWS);
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
}

static void as_jobs(rowpool *pool)
{
    rowpool_error error;
    rowpool_job *jobs[PARTS];
    for (size_t i = 0; i < PARTS; i++) {
        size_t first = i * (ROWS / PARTS);
        rowpool_rows rows = rows_of(first, ROWS / PARTS);
        assert_ok(rowpool_range_count_async(pool, &rows, NULL, 0, counts + first, NULL, NULL, &jobs[i], &error), error);
    }
    for (size_t i = 0; i < PARTS; i++) {
        assert_ok(rowpool_job_wait(jobs[i], -1, &error), error);
        rowpool_job_release(jobs[i]);
    }
}

/* Adds the results, so that a row delivered twice is noticed. */
static int take(size_t row, size_t rows, const void *results, void *payload)
{
    const uint32_t *from = results;
    (void)payload;
    for (size_t i = 0; i < rows; i++)
        counts[row + i] += from[i] + 1;
    return 0;
}

static void as_stream(rowpool *pool, rowpool_order order, bool async)
{
    rowpool_error error;
    rowpool_rows rows = rows_of(0, ROWS);
    rowpool_call call = {.size = sizeof call, .function = rowpool_builtin("count"), .inputs = &rows};
    if (async) {
        rowpool_job *job;
        assert_ok(rowpool_map_stream_async(pool, &call, order, take, NULL, NULL, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
    } else {
        assert_ok(rowpool_map_stream(pool, &call, order, take, NULL, &error), error);
    }
}

static void count_part(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    size_t first = *(const size_t *)argument;
    uint32_t *count = result;
    (void)argument_size, (void)result_size;
    for (size_t r = first; r < first + ROWS / PARTS; r++, count++) {
        *count = 0;
        for (size_t i = 0; i < WIDTH; i++)
            *count += data[r * WIDTH + i] >= 4 && data[r * WIDTH + i] <= 8;
    }
}

/* A function runs at most once: if it is killed there is no result, and the error says so. Its rows are then counted
 * again. */
static void as_applies(rowpool *pool)
{
    rowpool_error error;
    rowpool_job *jobs[PARTS];
    const size_t bytes = ROWS / PARTS * sizeof *counts;
    for (size_t i = 0; i < PARTS; i++) {
        size_t first = i * (ROWS / PARTS);
        assert_ok(rowpool_apply_async(pool, count_part, &first, sizeof first, counts + first, bytes, NULL, NULL,
                                      &jobs[i], &error),
                  error);
    }
    for (size_t i = 0; i < PARTS; i++) {
        rowpool_status status = rowpool_job_wait(jobs[i], -1, &error);
        size_t first = i * (ROWS / PARTS);
        rowpool_rows rows = rows_of(first, ROWS / PARTS);
        rowpool_job_release(jobs[i]);
        if (status == ROWPOOL_OK)
            continue;
        assert_int_equal(status, ROWPOOL_EWORKER);
        assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts + first, &error), error);
    }
}

/* All ways in turn; counts from a stream are one higher each. */
static size_t run_and_check(rowpool *pool, size_t turn)
{
    bool stream = turn % WAYS >= 3;
    memset(counts, stream ? 0 : 0xff, ROWS * sizeof *counts);
    switch (turn % WAYS) {
    case 0:
        as_call(pool);
        break;
    case 1:
        as_jobs(pool);
        break;
    case 2:
        as_applies(pool);
        break;
    case 3:
        as_stream(pool, ROWPOOL_IN_ORDER, turn % 2 == 0);
        break;
    default:
        as_stream(pool, ROWPOOL_ANY_ORDER, turn % 2 == 0);
    }
    size_t wrong = 0;
    for (size_t r = 0; r < ROWS; r++)
        wrong += counts[r] != expected[r] + stream;
    return wrong;
}

/* Opens a pool, kills this many of its workers, closes the pool. */
static void kill_in_one_pool(size_t kills)
{
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = "fork", .workers = WORKERS};
    size_t maps = 0, wrong = 0;
    killer plan = {.random = test_random_begin(9)};
    assert_ok(rowpool_open(&plan.pool, &options, &error), error);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_now_and_then, &plan), 0);
    for (; atomic_load(&plan.killed) < kills || maps < WAYS; maps++) {
        atomic_store(&plan.allowed, 3);
        wrong += run_and_check(plan.pool, maps);
    }
    atomic_store(&plan.stop, true);
    pthread_join(thread, NULL);
    wrong += run_and_check(plan.pool, 0);
    rowpool_close(plan.pool);
    printf("%zu workers killed in %zu maps, %zu rows lost or wrong\n", atomic_load(&plan.killed), maps, wrong);
    assert_int_equal(wrong, 0);
    assert_false(test_has_child()); /* nor a zombie */
}

static void map_while_killing(void)
{
    kill_in_one_pool(1); /* allocations that are made only once */
    size_t descriptors = test_count_descriptors(), mappings = test_count_mappings();
    kill_in_one_pool(test_setting("ROWPOOL_TEST_KILLS", 240) / 2); /* half for each of the two tests */
    assert_int_equal(test_count_descriptors(), descriptors);
    if (!TEST_SANITIZED)                                         /* sanitizers map memory of their own */
        assert_in_range(test_count_mappings(), 0, mappings + 8); /* the C library's arenas and stacks vary */
}

/* ---- Private and shared memory ---------------------------------------------------------------------------------- */

static void fill(int32_t *fresh)
{
    test_random random = test_random_begin(8);
    expected = calloc(ROWS, sizeof *expected);
    assert_true(fresh != NULL && counts != NULL && expected != NULL);
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) {
        fresh[i] = (int32_t)test_below(&random, 10);
        expected[i / WIDTH] += fresh[i] >= 4 && fresh[i] <= 8;
    }
    data = fresh;
}

TEST(private_memory)
{
    int32_t *fresh = malloc((size_t)ROWS * WIDTH * sizeof *fresh);
    counts = malloc(ROWS * sizeof *counts);
    fill(fresh);
    map_while_killing();
    free(fresh);
    free(counts);
    free(expected);
}

TEST(shared_memory_written_in_place)
{
    int32_t *fresh = rowpool_alloc((size_t)ROWS * WIDTH * sizeof *fresh, NULL);
    counts = rowpool_alloc(ROWS * sizeof *counts, NULL);
    fill(fresh);
    map_while_killing();
    rowpool_free(fresh);
    rowpool_free(counts);
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_memory),
        cmocka_unit_test(shared_memory_written_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
