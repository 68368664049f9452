/* The contract: the same cases on every device and backend, checked against the exact reference.
 *     test_contract [DEVICE...]     all devices, or those named as in ROWPOOL_DEVICE
 * ROWPOOL_TEST_CASES is the number of random cases, ROWPOOL_TEST_SEED their seed. pools.h lists the other variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pools.h"
#include "support.h"

/* ---- One case --------------------------------------------------------------------------------------------------- */

enum { MAX_RANGES = 200 };

typedef struct {
    const test_pool *subject;
    test_array array;
    rowpool_range ranges[MAX_RANGES];
    size_t n_ranges; /* 0: the default range */
    bool wide, async;
    uint64_t *expected;
    test_counts counts;
    rowpool_job *job;
    rowpool_status status;
    rowpool_error error;
} test_case;

static size_t cases, wrong;

/* Chooses everything else at random and calls the pool; takes ownership of the array. */
static void begin(test_case *c, test_random *random, const test_pool *target, test_array array, size_t n_ranges,
                  bool wide, bool async)
{
    *c = (test_case){.subject = target, .array = array, .n_ranges = n_ranges, .wide = wide, .async = async};
    size_t n = array.rows.count * (n_ranges != 0 ? n_ranges : 1);
    for (size_t k = 0; k < n_ranges; k++)
        c->ranges[k] = test_range_for(random, &array.rows);
    c->expected = malloc((n + 1) * sizeof *c->expected);
    if (c->expected == NULL)
        abort();
    test_expect(&array.rows, c->ranges, n_ranges, c->expected);
    c->counts = test_counts_make(n, wide ? sizeof(uint64_t) : sizeof(uint32_t), (size_t)test_below(random, 4));

    const rowpool_range *ranges = n_ranges != 0 ? c->ranges : NULL;
    rowpool *pool = target->pool;
    if (wide)
        c->status = async ? rowpool_range_count_u64_async(pool, &array.rows, ranges, n_ranges, c->counts.counts, NULL,
                                                          NULL, &c->job, &c->error)
                          : rowpool_range_count_u64(pool, &array.rows, ranges, n_ranges, c->counts.counts, &c->error);
    else
        c->status = async ? rowpool_range_count_async(pool, &array.rows, ranges, n_ranges, c->counts.counts, NULL, NULL,
                                                      &c->job, &c->error)
                          : rowpool_range_count(pool, &array.rows, ranges, n_ranges, c->counts.counts, &c->error);
}

static void end(test_case *c)
{
    if (c->subject == NULL) /* never begun */
        return;
    if (c->job != NULL)
        c->status = rowpool_job_wait(c->job, -1, &c->error);
    rowpool_job_release(c->job);
    char what[128];
    snprintf(what, sizeof what, "%s, %s counts, %s", c->subject->what, c->wide ? "uint64" : "uint32",
             c->async ? "asynchronous" : "synchronous");
    bool right = c->status == ROWPOOL_OK;
    if (!right)
        fprintf(stderr, "%s, %s: %s: %s\n", what, test_name(c->array.rows.dtype), rowpool_status_name(c->status),
                c->error.message);
    else
        right = test_counts_right(&c->counts, c->expected, what, &c->array.rows, c->ranges, c->n_ranges);
    cases++;
    wrong += !right;
    test_counts_free(&c->counts);
    free(c->expected);
    test_array_free(&c->array);
    c->subject = NULL;
}

/* ---- Given shapes ----------------------------------------------------------------------------------------------- */

static const size_t widths[] = {0,   1,   2,   3,   4,    5,    6,    7,    8,    9,     15,   16,
                                17,  31,  32,  33,  63,   64,   65,   127,  128,  129,   255,  256,
                                257, 511, 512, 513, 1000, 4095, 4096, 4097, 5000, 65536, 70000};
static const size_t row_counts[] = {0, 1, 2, 3, 7, 63, 64, 65, 1000};

/* Varies the rest in turn, so that every value meets every shape sooner or later. */
static void shape(test_random *random, const test_pool *target, rowpool_dtype dtype, test_layout layout, size_t count,
                  size_t width, size_t turn)
{
    static const size_t range_counts[] = {1, 0, 2, 7, 1};
    test_case c;
    test_array array = test_array_make(random, dtype, layout, count, width, turn % 3);
    begin(&c, random, target, array, range_counts[turn % COUNT_OF(range_counts)], turn / 2 % 2 != 0, turn % 2 != 0);
    end(&c);
}

/* Every shape for every dtype and layout would take minutes: the large ones take turns. */
TEST(given_shapes)
{
    test_random random = test_random_begin(1);
    size_t turn = 0, large = 0;
    for (size_t s = 0; s < test_pools(); s++)
        for (int d = 0; d < TEST_DTYPES; d++)
            for (int layout = 0; layout < TEST_LAYOUTS; layout++)
                for (size_t i = 0; i < COUNT_OF(widths); i++)
                    for (size_t j = 0; j < COUNT_OF(row_counts); j++) {
                        size_t elements = widths[i] * row_counts[j];
                        if (!test_dtype_due((rowpool_dtype)d) || (elements > 2000 && large++ % 29 != 0) ||
                            !test_pool_due(test_pool_at(s), elements))
                            continue;
                        shape(&random, test_pool_at(s), (rowpool_dtype)d, (test_layout)layout, row_counts[j], widths[i],
                              turn++);
                    }
    test_pools_conclude("given shapes", &cases, &wrong);
}

/* Ragged rows of one width only, or of two very different ones. */
TEST(ragged_extremes)
{
    enum { ROWS = 700 };
    static const struct {
        size_t count, typical, every, other; /* every `every`-th row has `other` elements, the rest `typical` */
    } patterns[] = {
        {ROWS, 0, 1000, 0},   {ROWS, 0, 100, 1}, {ROWS, 1, 2, 0},    {ROWS, 0, 350, 30000}, {3, 0, 3, 70000},
        {1, 0, 1, 100000},    {ROWS, 5, 7, 0},   {64, 64, 8, 1000},  {65, 0, 64, 1},        {2, 0, 2, 100},
        {ROWS, 1, 699, 5000}, {1, 0, 10, 0},     {33, 3, 33, 65536}, {12, 1, 12, 2},        {20, 0, 19, 3},
    };
    test_random random = test_random_begin(2);
    size_t turn = 0;
    for (size_t s = 0; s < test_pools(); s++)
        for (size_t p = 0; p < COUNT_OF(patterns); p++)
            for (int d = 0; d < TEST_DTYPES; d++) {
                if (!test_dtype_due((rowpool_dtype)d))
                    continue;
                size_t given[ROWS], elements = 0;
                for (size_t i = 0; i < patterns[p].count; i++) {
                    given[i] = (i + 1) % patterns[p].every == 0 ? patterns[p].other : patterns[p].typical;
                    elements += given[i];
                }
                if ((test_pool_at(s)->max_elements < 1000 && patterns[p].count > 100 && turn++ % 8 != 0) ||
                    !test_pool_due(test_pool_at(s), elements))
                    continue;
                test_case c;
                test_array array = test_array_of_widths(&random, (rowpool_dtype)d, given, patterns[p].count, turn % 3);
                begin(&c, &random, test_pool_at(s), array, turn % 3, turn / 2 % 2 != 0, turn % 2 != 0);
                turn++;
                end(&c);
            }
    test_pools_conclude("ragged extremes", &cases, &wrong);
}

/* Dozens of ranges, as a histogram has. A work item then loops far more often than there are elements; some devices
 * limit that. */
TEST(many_ranges)
{
    static const struct {
        size_t count, width, n_ranges;
    } shapes[] = {{2000, 5, 40},  {100, 512, 200}, {50, 513, 200}, {5, 5000, 100},
                  {1, 70000, 33}, {300, 64, 129},  {4, 9, 150}};
    test_random random = test_random_begin(4);
    size_t turn = 0;
    for (size_t s = 0; s < test_pools(); s++)
        for (size_t i = 0; i < COUNT_OF(shapes); i++)
            for (int layout = 0; layout < TEST_LAYOUTS; layout++) {
                if (!test_pool_fits(test_pool_at(s), shapes[i].count * shapes[i].width))
                    continue;
                rowpool_dtype dtype = (rowpool_dtype)(turn++ % TEST_DTYPES);
                if (!test_dtype_due(dtype))
                    continue;
                test_case c;
                test_array array = test_array_make(&random, dtype, (test_layout)layout, shapes[i].count,
                                                   shapes[i].width, turn % 3);
                begin(&c, &random, test_pool_at(s), array, shapes[i].n_ranges, turn / 2 % 2 != 0, turn % 2 != 0);
                end(&c);
            }
    test_pools_conclude("many ranges", &cases, &wrong);
}

/* ---- Random cases ----------------------------------------------------------------------------------------------- */

/* Several cases are in flight at a time, on one pool or several: ROWPOOL_TEST_IN_FLIGHT, for drivers that can only take
 * one. */
TEST(random_cases)
{
    enum { MAX_IN_FLIGHT = 5 };
    static test_case window[MAX_IN_FLIGHT];
    size_t in_flight = test_setting("ROWPOOL_TEST_IN_FLIGHT", MAX_IN_FLIGHT);
    if (in_flight < 1 || in_flight > MAX_IN_FLIGHT)
        in_flight = MAX_IN_FLIGHT;
    static const size_t range_counts[] = {0, 1, 1, 1, 2, 3, 7};
    test_random random = test_random_begin(3);
    size_t n = test_setting("ROWPOOL_TEST_CASES", 20000);
    memset(window, 0, sizeof window);
    for (size_t i = 0; i < n; i++) {
        test_case *c = &window[i % in_flight];
        end(c);
        const test_pool *target = test_pool_at((size_t)test_below(&random, test_pools()));
        bool tiny = target->max_elements <= 64;
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        if (!test_dtype_due(dtype))
            continue;
        test_array array = test_array_make(&random, dtype, (test_layout)test_below(&random, TEST_LAYOUTS),
                                           (size_t)test_below(&random, tiny ? 6 : 40),
                                           (size_t)test_below(&random, tiny ? 6 : 40), (size_t)test_below(&random, 4));
        begin(c, &random, target, array, range_counts[test_below(&random, COUNT_OF(range_counts))],
              test_chance(&random, 2), test_chance(&random, 3));
    }
    for (size_t i = 0; i < in_flight; i++)
        end(&window[i]);
    test_pools_conclude("random cases", &cases, &wrong);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_shapes),
        cmocka_unit_test(ragged_extremes),
        cmocka_unit_test(many_ranges),
        cmocka_unit_test(random_cases),
    };
    test_seed();
    test_pools_open(argc, argv);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    test_pools_close();
    return failures;
}
