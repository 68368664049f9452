/* What the tests of faults do while something fails: one table for every kind of fault. A scenario says with what status
 * it ended and, where that is OK, whether all results are right. */
#ifndef ROWPOOL_TESTS_SCENARIOS_H
#define ROWPOOL_TESTS_SCENARIOS_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* One run of a scenario. */
typedef struct {
    rowpool *pool; /* NULL: it could not be opened, the scenario closed it, or needs none */
    rowpool_error error;
} test_attempt;

typedef struct {
    rowpool_status status; /* not OK: the attempt's error tells why */
    bool right;
} test_verdict;

typedef struct {
    const char *name;
    test_verdict (*run)(test_attempt *attempt);
    const char *device; /* NULL: it needs no pool */
    size_t chunk_bytes;
    bool copy; /* as on a device with memory of its own */
} test_scenario;

extern const test_scenario test_scenarios[];
extern const size_t test_scenario_count;

/* Whether it is asked for: where ROWPOOL_TEST_SCENARIO is set, only those with that in their name. */
bool test_scenario_is_due(const test_scenario *scenario);

/* Before the first and after the last: the data that they share. */
void test_scenarios_begin(void);
void test_scenarios_end(void);

/* Opens the scenario's pool, then does what it does. The pool stays open, the caller's to close. */
test_verdict test_scenario_run(const test_scenario *scenario, bool strict, test_attempt *attempt);

/* The same once more on the pool that is open. */
test_verdict test_scenario_again(const test_scenario *scenario, test_attempt *attempt);

#endif
