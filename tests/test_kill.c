/* kill -9 of a worker process at any moment of a map: the map returns, exactly right, and the pool goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/fork.h"
#include "pool/pool.h"
#include "support.h"

enum { ROWS = 300000, WIDTH = 20, MAPS = 60, MOST_WORKERS = 8 };

typedef struct {
    rowpool *pool;
    test_random random;
    unsigned killed;
} murder;

static void sleep_us(uint64_t us)
{
    struct timespec time = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

/* One worker for each map, at a moment of no meaning: a map takes a few milliseconds. */
static void kill_one(murder *plan)
{
    pid_t pids[MOST_WORKERS];
    sleep_us(test_below(&plan->random, 6000));
    size_t n = rp_fork_worker_pids(&plan->pool->devices.items[0], pids, MOST_WORKERS);
    if (n > 0 && n <= MOST_WORKERS)
        plan->killed += kill(pids[test_below(&plan->random, n)], SIGKILL) == 0;
}

static void *kill_in_thread(void *argument)
{
    kill_one(argument);
    return NULL;
}

static uint32_t expected(const int32_t *row)
{
    uint32_t count = 0;
    for (size_t i = 0; i < WIDTH; i++)
        count += row[i] >= 4 && row[i] <= 8;
    return count;
}

static void map_while_killing(int32_t *data, uint32_t *counts)
{
    rowpool_error error = {0};
    rowpool_options options = {.size = sizeof options, .device = "fork", .workers = 3};
    murder plan = {.random = test_random_begin(9)};
    if (rowpool_open(&plan.pool, &options, &error) != ROWPOOL_OK)
        fail_msg("%s", error.message);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
    size_t wrong = 0;
    for (int i = 0; i < MAPS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, kill_in_thread, &plan), 0);
        for (size_t r = 0; r < ROWS; r++)
            counts[r] = UINT32_MAX;
        if (rowpool_range_count(plan.pool, &rows, NULL, 0, counts, &error) != ROWPOOL_OK)
            fail_msg("%s", error.message);
        pthread_join(thread, NULL);
        for (size_t r = 0; r < ROWS; r++)
            wrong += counts[r] != expected(data + r * WIDTH);
    }
    printf("%u workers killed in %d maps, %zu rows wrong\n", plan.killed, MAPS, wrong);
    assert_int_equal(wrong, 0);
    assert_true(plan.killed > MAPS / 2);
    rowpool_close(plan.pool);
}

static void fill(int32_t *data)
{
    test_random random = test_random_begin(8);
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++)
        data[i] = (int32_t)test_below(&random, 10);
}

TEST(private_memory)
{
    int32_t *data = malloc((size_t)ROWS * WIDTH * sizeof *data);
    uint32_t *counts = malloc(ROWS * sizeof *counts);
    assert_true(data != NULL && counts != NULL);
    fill(data);
    map_while_killing(data, counts);
    free(data);
    free(counts);
}

TEST(shared_memory_written_in_place)
{
    int32_t *data = rowpool_alloc((size_t)ROWS * WIDTH * sizeof *data, NULL);
    uint32_t *counts = rowpool_alloc(ROWS * sizeof *counts, NULL);
    assert_true(data != NULL && counts != NULL);
    fill(data);
    map_while_killing(data, counts);
    rowpool_free(data);
    rowpool_free(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_memory),
        cmocka_unit_test(shared_memory_written_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
