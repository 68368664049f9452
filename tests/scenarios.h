/* What the fault tests do while something fails: one table for every kind of fault. A scenario returns the status it
 * ended with and, if that is OK, whether all results are right. */
#ifndef ROWPOOL_TESTS_SCENARIOS_H
#define ROWPOOL_TESTS_SCENARIOS_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* One run of a scenario. */
typedef struct {
    rowpool *pool; /* NULL: not opened, closed by the scenario, or not needed */
    rowpool_error error;
} test_attempt;

typedef struct {
    rowpool_status status; /* not OK: see the attempt's error */
    bool right;
} test_verdict;

typedef struct {
    const char *name;
    test_verdict (*run)(test_attempt *attempt);
    const char *device; /* NULL: it needs no pool */
    size_t chunk_bytes;
    bool copy; /* as on a device with its own memory */
} test_scenario;

extern const test_scenario test_scenarios[];
extern const size_t test_scenario_count;

/* Whether to run it: if ROWPOOL_TEST_SCENARIO is set, only scenarios whose name contains it. */
bool test_scenario_is_due(const test_scenario *scenario);

/* Set-up and tear-down of the data that all scenarios share. */
void test_scenarios_begin(void);
void test_scenarios_end(void);

/* Opens the scenario's pool and runs it. The pool stays open; the caller closes it. */
test_verdict test_scenario_run(const test_scenario *scenario, bool strict, test_attempt *attempt);

/* Runs it once more on the open pool. */
test_verdict test_scenario_again(const test_scenario *scenario, test_attempt *attempt);

#endif
