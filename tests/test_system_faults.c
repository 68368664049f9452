/* A fault in every call that rowpool itself makes for memory, descriptors, processes and threads, one at a time: the
 * results are still right or the error is clear; nothing hangs or leaks, and the next call on the same pool succeeds.
 *
 * Each scenario runs with the n-th call failing, n = 1, 2, 3 ... until it makes fewer than n calls: once with that call
 * alone and once with all later calls failing too. ROWPOOL_TEST_ONE_IN=N runs every Nth of them. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenarios.h"
#include "support.h"
#include "system_faults.h"

typedef struct {
    bool sticky, strict, in_workers;
} manner;

typedef struct {
    size_t scenarios, injected, right, refused, wrong;
    double longest; /* seconds for one run */
} tally;

/* ---- Hangs ------------------------------------------------------------------------------------------------------ */

enum { HANG_S = 600 };
static char under_way[160];

static void hangs(int number)
{
    static const char text[] = ": hangs\n";
    (void)number;
    if (write(STDERR_FILENO, under_way, strlen(under_way)) > 0 && write(STDERR_FILENO, text, sizeof text - 1) > 0)
        _exit(1);
    _exit(2);
}

/* ---- Resources in use ------------------------------------------------------------------------------------------- */

typedef struct {
    test_system_held memory;
    size_t descriptors;
} possessions;

static possessions take_stock(void)
{
    possessions held = {test_system_holds(), 0};
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        held.descriptors++;
    closedir(folder);
    return held;
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* What the run left behind; NULL: nothing. */
static const char *left_behind(const possessions *before)
{
    possessions now = take_stock();
    if (now.memory.blocks != before->memory.blocks)
        return "memory is not freed";
    if (now.memory.mapped != before->memory.mapped)
        return "memory is still mapped";
    if (now.descriptors != before->descriptors)
        return "a descriptor is still open";
    return has_children() ? "a child process, or what is left of one, is still there" : NULL;
}

/* ---- One run ---------------------------------------------------------------------------------------------------- */

/* Whether the error reports that a resource was refused, and why. */
static bool is_clear(const rowpool_error *error)
{
    static const int reasons[] = {ENOMEM, EAGAIN, EMFILE, ENOSPC, ENOBUFS};
    if (error->status == ROWPOOL_ENOMEM && strstr(error->message, "memory") != NULL)
        return true;
    for (size_t i = 0; error->status == ROWPOOL_ESYSTEM && i < COUNT_OF(reasons); i++)
        if (strstr(error->message, strerror(reasons[i])) != NULL)
            return true;
    return false;
}

/* What is wrong with a run in which calls failed; NULL: nothing. */
static const char *judge(const test_attempt *a, test_verdict verdict)
{
    if (verdict.status == ROWPOOL_OK)
        return verdict.right ? NULL : "wrong results";
    return verdict.status == a->error.status && is_clear(&a->error) ? NULL : "the error is not clear";
}

/* One run with the n-th call failing. False: it makes fewer calls. */
static bool run_with_fault(const test_scenario *scenario, long n, manner how, tally *sum)
{
    test_attempt a;
    test_system_call first;
    possessions before = take_stock();
    snprintf(under_way, sizeof under_way, "%s: call %ld%s%s%s", scenario->name, n, how.sticky ? " for ever" : "",
             how.strict ? ", strict" : "", how.in_workers ? ", in worker processes" : "");
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    alarm(HANG_S);
    test_system_arm(n, how.sticky, how.in_workers);
    test_verdict verdict = test_scenario_run(scenario, how.strict, &a);
    bool injected = test_system_disarm(&first) > 0;
    const char *problem = judge(&a, verdict);
    rowpool_error error = a.error;
    if (injected && problem == NULL && a.pool != NULL) { /* and the next call on the same pool */
        test_verdict then = test_scenario_again(scenario, &a);
        problem = then.status == ROWPOOL_OK && then.right ? NULL : "the next call fails";
        error = then.status == ROWPOOL_OK ? error : a.error;
    }
    rowpool_close(a.pool);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    sum->longest = seconds > sum->longest ? seconds : sum->longest;
    problem = problem != NULL ? problem : left_behind(&before);
    if (problem != NULL)
        fprintf(stderr, "%s, %s: %s; %s: %s\n", under_way, injected ? test_system_name(first) : "none", problem,
                rowpool_status_name(verdict.status), verdict.status != ROWPOOL_OK ? error.message : "");
    sum->injected += injected;
    sum->wrong += problem != NULL;
    sum->right += injected && verdict.status == ROWPOOL_OK;
    sum->refused += injected && verdict.status != ROWPOOL_OK;
    return injected;
}

/* ---- All scenarios ---------------------------------------------------------------------------------------------- */

/* How many calls a run without a fault makes; 0 also if its device is missing. Its results must be right. What drivers
 * keep is allocated by then. */
static long count_calls(const test_scenario *scenario, bool in_workers)
{
    test_attempt a;
    snprintf(under_way, sizeof under_way, "%s, without a fault", scenario->name);
    alarm(HANG_S);
    test_system_arm(LONG_MAX, false, in_workers);
    test_verdict verdict = test_scenario_run(scenario, false, &a);
    long calls = test_system_calls();
    rowpool_close(a.pool);
    if (verdict.status == ROWPOOL_ENODEVICE)
        return 0;
    if (verdict.status != ROWPOOL_OK || !verdict.right)
        fail_msg("%s: %s: %s", scenario->name, rowpool_status_name(verdict.status), a.error.message);
    return calls;
}

/* Every Nth call of all scenarios together, since most make fewer than N; with N = 1 all calls, until there are no
 * more. */
static void try_calls(const test_scenario *scenario, manner how, long calls, tally *sum)
{
    static long next = 1;
    long one_in = (long)test_setting("ROWPOOL_TEST_ONE_IN", 1), n = next;
    while ((one_in == 1 || n <= calls) && run_with_fault(scenario, n, how, sum))
        n += one_in;
    next = n > calls ? (n - calls - 1) % one_in + 1 : 1;
}

TEST(any_call_may_fail)
{
    static const manner manners[] = {
        {false, false, false}, {true, false, false}, {false, true, false}, {true, true, false},
        {false, false, true},  {true, false, true},  {true, true, true},
    };
    tally sum = {0};
    for (size_t s = 0; s < test_scenario_count; s++) {
        const test_scenario *scenario = &test_scenarios[s];
        if (!test_scenario_is_due(scenario))
            continue;
        long calls = count_calls(scenario, false), in_workers = calls > 0 ? count_calls(scenario, true) : 0;
        sum.scenarios += calls > 0;
        for (size_t m = 0; m < COUNT_OF(manners); m++) {
            bool indifferent = manners[m].strict && scenario->device == NULL;
            long here = manners[m].in_workers ? in_workers : calls;
            if (here > 0 && !indifferent)
                try_calls(scenario, manners[m], here, &sum);
        }
    }
    alarm(0);
    printf("%zu scenarios, %zu faults injected, %zu wrong\n", sum.scenarios, sum.injected, sum.wrong);
    printf("succeeded: %zu; failed: %zu; the longest run took %.1f s\n", sum.right, sum.refused, sum.longest);
    assert_int_equal(sum.wrong, 0);
    assert_true(sum.injected > 0);
}

/* Detects calls that rowpool no longer makes or that are not redirected. */
TEST(each_call_is_reached)
{
    for (size_t s = 0; s < test_scenario_count; s++)
        if (!test_scenario_is_due(&test_scenarios[s]))
            skip_since("ROWPOOL_TEST_SCENARIO leaves scenarios out");
    const bool helper = getenv("ROWPOOL_HELPER") != NULL; /* false without OpenCL */
    for (int call = 0; call < TEST_SYSTEM_TOTAL; call++)
        if (test_system_seen((test_system_call)call) == 0 && (helper || call != TEST_SYSTEM_posix_spawn))
            fail_msg("no scenario calls %s", test_system_name((test_system_call)call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(each_call_is_reached),
    };
    signal(SIGALRM, hangs);
    test_scenarios_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_scenarios_end();
    return failed;
}
