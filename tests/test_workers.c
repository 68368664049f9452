/* Row functions in worker processes: how they die and what becomes of the map, rowpool_apply, initialisers,
 * rowpool_terminate, libraries loaded late. Uses only what rowpool.h says and what /proc shows. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

/* ---- What is shared with the workers ---------------------------------------------------------------------------- */

/* In memory from rowpool_alloc, allocated before any pool is opened: workers inherit it at the same address. */
typedef struct {
    atomic_bool done;   /* something that happens only once has happened */
    atomic_uint begun;  /* functions begun */
    atomic_uint inits;  /* initialisers begun */
    atomic_bool hold;   /* functions wait while it is set */
    atomic_uint worked; /* rows processed by the function of the timeout tests */
} control;

enum { CONTROLS = 64 };
static control *controls; /* one for each concurrent run */
static char *forbidden;   /* a page that may not be accessed */

static control *fresh_control(size_t i)
{
    memset((void *)&controls[i], 0, sizeof controls[i]);
    return &controls[i];
}

static void await_begun(control *c, unsigned wanted)
{
    while (atomic_load(&c->begun) < wanted)
        test_sleep_us(5000);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- Pools ------------------------------------------------------------------------------------------------------ */

static rowpool *open_with(const char *device, size_t workers, int (*init)(void *), void *argument)
{
    rowpool *pool = NULL;
    rowpool_error error;
    rowpool_options options = {
        .size = sizeof options, .device = device, .workers = workers, .init = init, .init_argument = argument};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

static rowpool *open_pool(const char *device)
{
    return open_with(device, 2, NULL, NULL);
}

static const char *const every_device[] = {"fork", "host", "auto"};

/* ---- Leaks ------------------------------------------------------------------------------------------------------ */

/* It may take a moment until a worker's death is noticed. */
static void await_no_zombie(void)
{
    while (test_has_zombie())
        test_sleep_us(10000);
}

/* ---- Ways to die ------------------------------------------------------------------------------------------------ */

typedef enum { EXIT_0, EXIT_1, ABORT, SEGFAULT, KILL_9, STOP, DEEDS } deed;

static const struct {
    const char *name, *how; /* how: the text in the message */
} deeds[DEEDS] = {
    [EXIT_0] = {"exit 0", "ended with exit status 0"},
    [EXIT_1] = {"exit 1", "ended with exit status 1"},
    [ABORT] = {"abort", "was killed by signal 6 (SIGABRT)"},
    [SEGFAULT] = {"segfault", "was killed by signal 11 (SIGSEGV)"},
    [KILL_9] = {"kill -9", "was killed by signal 9 (SIGKILL)"},
    [STOP] = {"stop", "stayed stopped by a signal and was therefore killed"},
};

static void commit(deed what)
{
    switch (what) {
    case EXIT_0:
    case EXIT_1:
        _exit(what == EXIT_1);
    case ABORT:
        abort();
    case SEGFAULT:
        *(volatile char *)forbidden = 1;
        break;
    case KILL_9:
        kill(getpid(), SIGKILL);
        break;
    case STOP:
        kill(getpid(), SIGSTOP);
        break;
    case DEEDS:
        break;
    }
}

typedef enum { INITIALISER, FIRST_ROW, MID_ROW, AFTER_RESULT, APPLY, MOMENTS } moment;
static const char *const moments[MOMENTS] = {"initialiser", "first row", "mid row", "after the result", "apply"};

/* What a function does, and when. */
typedef struct {
    deed what;
    moment when;
    bool once;
    control *control;
} plan;

static void act(const plan *p)
{
    if (!p->once || !atomic_exchange(&p->control->done, true))
        commit(p->what);
}

static int act_in_initialiser(void *argument)
{
    const plan *p = argument;
    if (p->when == INITIALISER)
        act(p);
    return 0;
}

static uint32_t answer_of(int32_t value, size_t index)
{
    uint32_t x = (uint32_t)value * 2654435761u + (uint32_t)index;
    return (x ^ x >> 15) & 0x7fffffff;
}

/* A row is bad when its first element is negative. */
static void answer_or_act(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const plan *p = arguments;
    int32_t first = ((const int32_t *)row->data)[0];
    if (first < 0 && p->when != AFTER_RESULT)
        act(p);
    *(uint32_t *)result = answer_of(first, index);
    if (first < 0 && p->when == AFTER_RESULT)
        act(p);
}

static const rowpool_function answering = {.size = sizeof answering,
                                           .name = "answer_or_act",
                                           .row = answer_or_act,
                                           .arguments_size = sizeof(plan),
                                           .result_size = sizeof(uint32_t)};

static void apply_plan(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    const plan *p = argument;
    (void)argument_size;
    (void)result_size;
    atomic_fetch_add(&p->control->begun, 1);
    commit(p->what);
    *(uint32_t *)result = 77;
}

/* ---- Maps and expected results ---------------------------------------------------------------------------------- */

enum { UNANSWERED = 0xeeeeeeee };

typedef struct {
    int32_t *data;
    uint32_t *results;
    rowpool_rows rows;
    rowpool_call call;
} answers;

static answers answers_make(size_t count, size_t width, const plan *p, size_t chunk_rows)
{
    answers a = {.data = malloc(count * width * sizeof *a.data), .results = malloc(count * sizeof *a.results)};
    if (a.data == NULL || a.results == NULL)
        abort();
    for (size_t i = 0; i < count * width; i++)
        a.data[i] = (int32_t)(i % 1000);
    a.rows = (rowpool_rows){.data = a.data, .dtype = ROWPOOL_INT32, .count = count, .width = width};
    a.call = (rowpool_call){.size = sizeof a.call,
                            .function = &answering,
                            .arguments = p,
                            .arguments_size = sizeof *p,
                            .results = a.results,
                            .results_size = count * sizeof *a.results,
                            .chunk_rows = chunk_rows};
    return a;
}

static void answers_free(answers *a)
{
    free(a->data);
    free(a->results);
}

static void set_bad(answers *a, size_t row, bool bad)
{
    a->data[row * a->rows.width] = bad ? -1 - (int32_t)(row % 100) : (int32_t)(row % 100);
}

static rowpool_status run_answers(rowpool *pool, answers *a, rowpool_error *error)
{
    a->call.inputs = &a->rows; /* here, since `a` may have been moved */
    memset(a->results, 0xee, a->rows.count * sizeof *a->results);
    return rowpool_map(pool, &a->call, error);
}

typedef struct {
    size_t right, unanswered, wrong; /* rows */
} tally;

static tally count_answers(const answers *a)
{
    tally t = {0};
    for (size_t i = 0; i < a->rows.count; i++) {
        bool right = a->results[i] == answer_of(a->data[i * a->rows.width], i);
        t.right += right;
        t.unanswered += a->results[i] == UNANSWERED;
        t.wrong += !right && a->results[i] != UNANSWERED;
    }
    return t;
}

static void assert_answers_ok(rowpool *pool, answers *a)
{
    rowpool_error error;
    assert_ok(run_answers(pool, a, &error), error);
    assert_int_equal(count_answers(a).right, a->rows.count);
}

/* ---- The death matrix ------------------------------------------------------------------------------------------- */

/* The outcome of one plan on its own pool. Without assertions, since it may run in a thread. */
typedef struct {
    plan plan;
    rowpool_error error; /* of the map or the apply */
    rowpool_status status, again;
    rowpool_error again_error;
    size_t row; /* the bad row */
    tally tally, tally_again;
    uint32_t applied;
    unsigned times; /* how often the applied function began */
    double seconds;
} outcome;

enum { MATRIX_ROWS = 600, FEW_ROWS = 6 };

static void run_rows(outcome *o, rowpool *pool)
{
    /* A stopped worker is noticed after seconds: few rows, one in each chunk, so that no row is searched for. */
    size_t count = o->plan.what == STOP ? FEW_ROWS : MATRIX_ROWS, chunk = o->plan.what == STOP ? 1 : 150;
    answers a = answers_make(count, 2, &o->plan, chunk);
    o->row = o->plan.when == FIRST_ROW ? 0 : o->plan.when == MID_ROW ? count / 2 + 1 : count - 1;
    set_bad(&a, o->row, o->plan.when != INITIALISER);
    o->status = run_answers(pool, &a, &o->error);
    o->tally = count_answers(&a);
    set_bad(&a, o->row, false);
    o->plan.once = true; /* for the initialiser: it has acted already */
    atomic_store(&o->plan.control->done, true);
    o->again = run_answers(pool, &a, &o->again_error);
    o->tally_again = count_answers(&a);
    answers_free(&a);
}

static void run_apply(outcome *o, rowpool *pool)
{
    plan harmless = {.what = DEEDS, .control = o->plan.control};
    o->status = rowpool_apply(pool, apply_plan, &o->plan, sizeof o->plan, &o->applied, sizeof o->applied, &o->error);
    o->times = atomic_load(&o->plan.control->begun);
    o->applied = 0;
    o->again = rowpool_apply(pool, apply_plan, &harmless, sizeof harmless, &o->applied, sizeof o->applied,
                             &o->again_error);
}

static void *run_plan(void *argument)
{
    outcome *o = argument;
    rowpool *pool;
    /* Workers see the plan as it is when they are forked. */
    rowpool_options options = {
        .size = sizeof options, .device = "fork", .workers = 2, .init = act_in_initialiser, .init_argument = &o->plan};
    double begin = now();
    o->status = rowpool_open(&pool, &options, &o->error);
    if (o->status != ROWPOOL_OK)
        return NULL;
    if (o->plan.when == APPLY)
        run_apply(o, pool);
    else
        run_rows(o, pool);
    rowpool_close(pool);
    o->seconds = now() - begin;
    return NULL;
}

static void check_outcome(const outcome *o, bool once)
{
    const plan *p = &o->plan;
    char what[96], row[64];
    snprintf(what, sizeof what, "%s, %s, %s", deeds[p->what].name, moments[p->when], once ? "once" : "always");
    print_message("  %-32s %5.1f s  %s %s\n", what, o->seconds, rowpool_status_name(o->status),
                  o->status == ROWPOOL_OK ? "" : o->error.message);
    bool recovers = once && p->when != APPLY;
    if (recovers != (o->status == ROWPOOL_OK))
        fail_msg("%s: %s: %s", what, rowpool_status_name(o->status), o->error.message);
    if (!recovers && strstr(o->error.message, deeds[p->what].how) == NULL)
        fail_msg("%s: '%s' does not contain '%s'", what, o->error.message, deeds[p->what].how);
    snprintf(row, sizeof row, " row %zu", o->row);
    if (p->when == INITIALISER && !recovers) {
        assert_int_equal(o->status, ROWPOOL_ESYSTEM);
        assert_non_null(strstr(o->error.message, "in its initialiser"));
        assert_int_equal(o->tally.unanswered, o->tally.right + o->tally.unanswered);
    } else if (p->when == APPLY) {
        assert_int_equal(o->status, ROWPOOL_EWORKER);
        if (o->times != 1)
            fail_msg("%s: the function began %u times", what, o->times);
        assert_int_equal(o->applied, 77); /* the harmless one */
    } else if (recovers) {
        assert_int_equal(o->tally.right, p->what == STOP ? FEW_ROWS : MATRIX_ROWS);
    } else {
        assert_int_equal(o->status, ROWPOOL_EWORKER);
        size_t length = strlen(o->error.message), tail = strlen(row);
        if (length < tail || strcmp(o->error.message + length - tail, row) != 0)
            fail_msg("%s: '%s' does not end with '%s'", what, o->error.message, row);
        assert_true(o->tally.right >= (p->what == STOP ? FEW_ROWS : MATRIX_ROWS) - 1);
    }
    assert_int_equal(o->tally.wrong, 0);
    if (o->again != ROWPOOL_OK)
        fail_msg("%s: the next call: %s: %s", what, rowpool_status_name(o->again), o->again_error.message);
    if (p->when != APPLY)
        assert_int_equal(o->tally_again.right, p->what == STOP ? FEW_ROWS : MATRIX_ROWS);
}

TEST(every_way_to_die_at_every_moment)
{
    outcome outcomes[2 * DEEDS * MOMENTS];
    pthread_t threads[2 * MOMENTS];
    size_t n = 0, threaded = 0;
    memset(outcomes, 0, sizeof outcomes);
    for (int stop = 1; stop >= 0; stop--) /* first those that take seconds, all concurrently; then the others */
        for (int what = stop ? STOP : 0; what < (stop ? DEEDS : STOP); what++)
            for (int when = 0; when < MOMENTS; when++)
                for (int once = 0; once < 2; once++, n++) {
                    outcomes[n].plan = (plan){(deed)what, (moment)when, once == 1, fresh_control(n)};
                    if (stop)
                        assert_int_equal(pthread_create(&threads[threaded++], NULL, run_plan, &outcomes[n]), 0);
                    else
                        run_plan(&outcomes[n]);
                }
    for (size_t i = 0; i < threaded; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < n; i++)
        check_outcome(&outcomes[i], i % 2 == 1);
    assert_false(test_has_child());
}

/* What an initialiser returns becomes the exit status. */
static int return_argument(void *argument)
{
    return *(const int *)argument;
}

TEST(an_initialiser_that_fails_is_reported)
{
    static const struct {
        int result;
        const char *how;
    } cases[] = {{3, "exit status 3"}, {-1, "exit status 255"}, {256, "exit status 1"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int result = cases[i].result;
        rowpool *pool = open_with("fork", 2, return_argument, &result);
        plan harmless = {.what = DEEDS};
        answers a = answers_make(100, 2, &harmless, 0);
        rowpool_error error;
        assert_refused(run_answers(pool, &a, &error), ROWPOOL_ESYSTEM, error, "in its initialiser");
        assert_non_null(strstr(error.message, cases[i].how));
        uint32_t one = 0;
        assert_refused(rowpool_apply(pool, apply_plan, &harmless, sizeof harmless, &one, sizeof one, &error),
                       ROWPOOL_ESYSTEM, error, cases[i].how);
        result = 0; /* the pool is usable as soon as the initialiser succeeds */
        assert_answers_ok(pool, &a);
        rowpool_close(pool);
        answers_free(&a);
    }
    assert_false(test_has_child());
}

TEST(deaths_leave_nothing_behind)
{
    const size_t cycles = test_setting("ROWPOOL_TEST_CYCLES", 40);
    size_t descriptors = 0, mappings = 0;
    for (size_t i = 0; i < cycles; i++) {
        plan p = {.what = (deed)(i % STOP), .when = (moment)(FIRST_ROW + i % 3), .control = fresh_control(0)};
        rowpool *pool = open_pool("fork");
        answers a = answers_make(400, 2, &p, 100);
        set_bad(&a, 7 * i % 400, true);
        rowpool_error error;
        assert_refused(run_answers(pool, &a, &error), ROWPOOL_EWORKER, error, deeds[p.what].how);
        uint32_t one;
        assert_refused(rowpool_apply(pool, apply_plan, &p, sizeof p, &one, sizeof one, &error), ROWPOOL_EWORKER, error,
                       deeds[p.what].how);
        await_no_zombie();
        set_bad(&a, 7 * i % 400, false);
        assert_answers_ok(pool, &a);
        rowpool_close(pool);
        answers_free(&a);
        assert_false(test_has_child());
        if (i == 1) {
            descriptors = test_count_descriptors();
            mappings = test_count_mappings();
        }
    }
    assert_int_equal(test_count_descriptors(), descriptors);
    assert_in_range(test_count_mappings(), 0, mappings + 2); /* the C library's arenas vary */
}

/* The same within one pool. */
TEST(deaths_do_not_pile_up_in_a_pool)
{
    const size_t cycles = test_setting("ROWPOOL_TEST_CYCLES", 40);
    size_t descriptors = 0, mappings = 0;
    rowpool *pool = open_pool("fork");
    plan p = {.control = fresh_control(0)};
    answers a = answers_make(1, 2, &p, 0);
    set_bad(&a, 0, true);
    for (size_t i = 0; i < cycles; i++) {
        rowpool_error error;
        p.what = (deed)(i % STOP); /* no map succeeds in between */
        assert_refused(run_answers(pool, &a, &error), ROWPOOL_EWORKER, error, deeds[p.what].how);
        await_no_zombie();
        if (i == 1) {
            descriptors = test_count_descriptors();
            mappings = test_count_mappings();
        }
    }
    assert_in_range(test_count_descriptors(), 0, descriptors + 4); /* each worker has two */
    assert_in_range(test_count_mappings(), 0, mappings + 4);
    set_bad(&a, 0, false);
    assert_answers_ok(pool, &a);
    rowpool_close(pool);
    answers_free(&a);
    assert_false(test_has_child());
}

/* ---- Bad rows among many ---------------------------------------------------------------------------------------- */

enum { MANY = 200000 };

TEST(one_bad_row_among_many_is_named)
{
    static const size_t positions[] = {0, 1, 65535, 123457, MANY - 1};
    static const size_t workers[] = {1, 2, 3};
    plan p = {.when = MID_ROW, .control = fresh_control(0)};
    answers a = answers_make(MANY, 3, &p, 0);
    for (size_t w = 0; w < COUNT_OF(workers); w++) {
        rowpool *pool = open_with("fork", workers[w], NULL, NULL);
        for (size_t i = 0; i < COUNT_OF(positions); i++) {
            rowpool_error error;
            char row[64];
            p.what = (deed)((i + w) % STOP);
            set_bad(&a, positions[i], true);
            snprintf(row, sizeof row, "%s while it had row %zu", deeds[p.what].how, positions[i]);
            assert_refused(run_answers(pool, &a, &error), ROWPOOL_EWORKER, error, row);
            assert_string_equal(strstr(error.message, row), row); /* and no text after it */
            assert_int_equal(count_answers(&a).right, MANY - 1);
            set_bad(&a, positions[i], false);
        }
        assert_answers_ok(pool, &a);
        rowpool_close(pool);
    }
    answers_free(&a);
}

static void answer_byte(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    int8_t value = *(const int8_t *)row->data;
    (void)arguments;
    (void)index;
    if (value < 0)
        raise(SIGABRT);
    *(uint8_t *)result = (uint8_t)(value + 1);
}

/* A chunk of many short rows: the longest search, and with one worker no task succeeds in between. */
TEST(one_bad_row_in_the_largest_of_chunks)
{
    enum { ROWS = 4 << 20 };
    const rowpool_function function = {
        .size = sizeof function, .name = "answer_byte", .row = answer_byte, .result_size = 1};
    int8_t *data = calloc(ROWS, 1);
    uint8_t *results = malloc(ROWS);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = ROWS, .width = 1};
    rowpool_call call = {
        .size = sizeof call, .function = &function, .inputs = &rows, .results = results, .results_size = ROWS};
    static const size_t positions[] = {0, ROWS / 2, ROWS - 1};
    rowpool *pool = open_with("fork", 1, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(positions); i++) {
        rowpool_error error;
        char row[64];
        snprintf(row, sizeof row, "while it had row %zu", positions[i]);
        memset(results, 0, ROWS);
        data[positions[i]] = -1;
        assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EWORKER, error, row);
        data[positions[i]] = 0;
        size_t right = 0;
        for (size_t r = 0; r < ROWS; r++)
            right += results[r] == 1;
        assert_int_equal(right, ROWS - 1);
    }
    rowpool_close(pool);
    free(data);
    free(results);
}

/* How many rows have no result, according to the message: "in all, N rows". */
static size_t rows_lost(const rowpool_error *error)
{
    const char *text = strstr(error->message, "in all, ");
    return text != NULL ? strtoul(text + 8, NULL, 10) : 1;
}

TEST(several_bad_rows_leave_all_others_right)
{
    static const size_t bad[] = {5, 70000, 70001, 70500, 133333, 150000, 199999};
    plan p = {.what = SEGFAULT, .when = MID_ROW, .control = fresh_control(0)};
    answers a = answers_make(MANY, 3, &p, 0);
    rowpool *pool = open_pool("fork");
    static const size_t chunks[] = {0, 1000, 50000};
    for (size_t c = 0; c < COUNT_OF(chunks); c++) {
        rowpool_error error;
        a.call.chunk_rows = chunks[c];
        for (size_t i = 0; i < COUNT_OF(bad); i++)
            set_bad(&a, bad[i], true);
        assert_refused(run_answers(pool, &a, &error), ROWPOOL_EWORKER, error, "(SIGSEGV) while it had row ");
        tally t = count_answers(&a);
        print_message("  chunks of %zu: %zu rows without a result: %s\n", chunks[c], MANY - t.right, error.message);
        assert_int_equal(t.wrong, 0);
        assert_int_equal(rows_lost(&error), MANY - t.right);
        assert_int_equal(t.right, MANY - COUNT_OF(bad));
        for (size_t i = 0; i < COUNT_OF(bad); i++)
            set_bad(&a, bad[i], false);
        assert_answers_ok(pool, &a);
    }
    rowpool_close(pool);
    answers_free(&a);
}

static void check_mostly_bad(size_t every, size_t chunk_rows)
{
    plan p = {.what = ABORT, .when = MID_ROW, .control = fresh_control(0)};
    answers a = answers_make(MANY, 3, &p, chunk_rows);
    rowpool *pool = open_pool("fork");
    rowpool_error error;
    for (size_t i = 0; i < MANY; i += every)
        set_bad(&a, i, true);
    double begin = now();
    assert_refused(run_answers(pool, &a, &error), ROWPOOL_EWORKER, error, "(SIGABRT)");
    tally t = count_answers(&a);
    print_message("  each %zu bad, chunks of %zu: %.1f s, %zu rows right: %s\n", every, chunk_rows, now() - begin,
                  t.right, error.message);
    assert_int_equal(t.wrong, 0);
    assert_true(rows_lost(&error) >= MANY - t.right - chunk_rows); /* a lost chunk may have written some */
    assert_true(rows_lost(&error) >= (MANY + every - 1) / every);
    for (size_t i = 0; i < MANY; i += every)
        set_bad(&a, i, false);
    assert_answers_ok(pool, &a);
    rowpool_close(pool);
    answers_free(&a);
}

TEST(a_map_with_only_bad_rows_ends)
{
    check_mostly_bad(1, 0);
    check_mostly_bad(1, 1);
    check_mostly_bad(2, 0);
    check_mostly_bad(2, 1);
    check_mostly_bad(1000, 100);
}

/* ---- Streams of rows that kill ---------------------------------------------------------------------------------- */

typedef struct {
    const answers *answers;
    unsigned char *seen;
    size_t next;
    bool wrong;
} listener;

static int listen_to(size_t row, size_t rows, const void *results, void *payload)
{
    listener *l = payload;
    for (size_t i = 0; i < rows; i++) {
        int32_t value = l->answers->data[(row + i) * l->answers->rows.width];
        l->wrong |= ((const uint32_t *)results)[i] != answer_of(value, row + i) || l->seen[row + i]++ > 0;
    }
    l->wrong |= row < l->next && l->next != SIZE_MAX;
    if (l->next != SIZE_MAX)
        l->next = row + rows;
    return 0;
}

TEST(a_stream_skips_rows_that_kill)
{
    enum { ROWS = 3000, BAD = 1501 };
    plan p = {.what = KILL_9, .when = MID_ROW, .control = fresh_control(0)};
    answers a = answers_make(ROWS, 2, &p, 100);
    set_bad(&a, BAD, true);
    rowpool *pool = open_pool("fork");
    a.call.inputs = &a.rows;
    for (int order = ROWPOOL_IN_ORDER; order <= ROWPOOL_ANY_ORDER; order++) {
        unsigned char seen[ROWS] = {0};
        listener l = {.answers = &a, .seen = seen, .next = order == ROWPOOL_IN_ORDER ? 0 : SIZE_MAX};
        rowpool_error error;
        assert_refused(rowpool_map_stream(pool, &a.call, (rowpool_order)order, listen_to, &l, &error), ROWPOOL_EWORKER,
                       error, "row 1501");
        assert_false(l.wrong);
        size_t n = 0;
        for (size_t i = 0; i < ROWS; i++)
            n += seen[i];
        if (order == ROWPOOL_ANY_ORDER)
            assert_int_equal(n, ROWS - 1);
        else
            assert_in_range(n, 0, BAD);
        assert_int_equal(seen[BAD], 0);
    }
    rowpool_close(pool);
    answers_free(&a);
}

/* ---- rowpool_apply ---------------------------------------------------------------------------------------------- */

/* The result: the process id, as far as it fits, then the argument's bytes, each changed by its position. */
static void mix(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    unsigned char *bytes = result;
    const unsigned char *given = argument;
    for (size_t i = 0; i < result_size; i++)
        bytes[i] = (unsigned char)((argument_size > 0 ? given[i % argument_size] : 5) ^ (i * 31 + argument_size));
    pid_t pid = getpid();
    if (result_size >= sizeof pid)
        memcpy(bytes, &pid, sizeof pid);
}

TEST(apply_returns_the_bytes)
{
    static const size_t sizes[] = {0, 10, 992, 993, 1024, 5000, 3 << 20};
    static const size_t results[] = {0, 1, 4, 100, 70000, 3 << 20};
    unsigned char *argument = malloc(3 << 20), *result = malloc((3 << 20) + 16), *expected = malloc(3 << 20);
    for (size_t i = 0; i < 3 << 20; i++)
        argument[i] = (unsigned char)(i * i >> 3);
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        for (size_t i = 0; i < COUNT_OF(sizes); i++)
            for (size_t k = 0; k < COUNT_OF(results); k++) {
                rowpool_error error;
                pid_t pid = 0;
                memset(result, 0x99, results[k] + 16);
                assert_ok(rowpool_apply(pool, mix, sizes[i] > 0 ? argument : NULL, sizes[i],
                                        results[k] > 0 ? result : NULL, results[k], &error),
                          error);
                mix(argument, sizes[i], expected, results[k]);
                if (results[k] >= sizeof pid) {
                    memcpy(&pid, result, sizeof pid);
                    assert_true(pid > 0 && pid != getpid());
                    memcpy(result, expected, sizeof pid);
                }
                assert_memory_equal(result, expected, results[k]);
                for (size_t after = 0; after < 16; after++)
                    assert_int_equal(result[results[k] + after], 0x99);
            }
        rowpool_close(pool);
        assert_false(test_has_child());
    }
    free(argument);
    free(result);
    free(expected);
}

typedef struct {
    control *control;
    char text[40];
} counted;

static void count_and(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    const counted *c = argument;
    (void)argument_size;
    atomic_fetch_add(&c->control->begun, 1);
    memcpy(result, c->text, result_size);
}

TEST(apply_runs_once)
{
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        counted c = {fresh_control(0), "what comes back"};
        for (unsigned i = 1; i <= 100; i++) {
            rowpool_error error;
            char back[16] = "";
            assert_ok(rowpool_apply(pool, count_and, &c, sizeof c, back, sizeof back, &error), error);
            assert_string_equal(back, c.text);
            assert_int_equal(atomic_load(&c.control->begun), i);
        }
        rowpool_close(pool);
    }
}

/* However often it is repeated. */
TEST(apply_runs_at_most_once_when_it_dies)
{
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        plan p = {.when = APPLY, .control = fresh_control(0)};
        for (unsigned i = 0; i < 70; i++) {
            rowpool_error error;
            uint32_t result = 0;
            p.what = (deed)(i % STOP);
            assert_refused(rowpool_apply(pool, apply_plan, &p, sizeof p, &result, sizeof result, &error),
                           ROWPOOL_EWORKER, error, deeds[p.what].how);
            assert_int_equal(atomic_load(&p.control->begun), i + 1);
        }
        rowpool_error error;
        uint32_t result = 0;
        p.what = DEEDS;
        assert_ok(rowpool_apply(pool, apply_plan, &p, sizeof p, &result, sizeof result, &error), error);
        assert_int_equal(result, 77);
        rowpool_close(pool);
        assert_false(test_has_child());
    }
}

static void wait_while_held(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    const counted *c = argument;
    (void)argument_size;
    atomic_fetch_add(&c->control->begun, 1);
    while (atomic_load(&c->control->hold))
        test_sleep_us(2000);
    memset(result, 9, result_size);
}

typedef struct {
    atomic_uint calls;
    rowpool_status status, within;
    rowpool_job *job;
    rowpool *pool;
    rowpool_error error;
    char back[16];
} notice;

static void notify(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    notice *n = payload;
    counted c = {&controls[1], "within"};
    n->status = status;
    n->job = job;
    if (error != NULL)
        n->error = *error;
    /* A callback may use the pool. */
    n->within = rowpool_apply(n->pool, count_and, &c, sizeof c, n->back, sizeof n->back, NULL);
    atomic_fetch_add(&n->calls, 1);
}

static void await_calls(notice *n)
{
    while (atomic_load(&n->calls) == 0)
        test_sleep_us(5000);
    assert_int_equal(atomic_load(&n->calls), 1);
}

TEST(asynchronous_applies)
{
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        counted c = {fresh_control(0), ""};
        fresh_control(1);
        atomic_store(&c.control->hold, true);
        notice n = {.pool = pool};
        rowpool_job *job = NULL;
        rowpool_error error;
        char result[8] = "";
        assert_ok(
            rowpool_apply_async(pool, wait_while_held, &c, sizeof c, result, sizeof result, notify, &n, &job, &error),
            error);
        memset(&c, 0, sizeof c); /* it was copied */
        c.control = &controls[0];
        assert_refused(rowpool_job_wait(job, 100, &error), ROWPOOL_ENOTREADY, error, "not done yet");
        assert_refused(rowpool_job_poll(job, &error), ROWPOOL_ENOTREADY, error, "not done yet");
        assert_int_equal(atomic_load(&n.calls), 0);
        atomic_store(&c.control->hold, false);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        for (size_t i = 0; i < sizeof result; i++)
            assert_int_equal(result[i], 9);
        await_calls(&n);
        assert_int_equal(n.status, ROWPOOL_OK);
        assert_ptr_equal(n.job, job);
        assert_int_equal(n.within, ROWPOOL_OK);
        assert_string_equal(n.back, "within");
        assert_int_equal(atomic_load(&c.control->begun), 1);
        rowpool_job_release(job);

        /* Detached, and the worker dies. */
        plan p = {.what = SEGFAULT, .when = APPLY, .control = fresh_control(0)};
        n = (notice){.pool = pool};
        assert_ok(rowpool_apply_async(pool, apply_plan, &p, sizeof p, result, sizeof result, notify, &n, NULL, &error),
                  error);
        await_calls(&n);
        assert_int_equal(n.status, ROWPOOL_EWORKER);
        assert_non_null(strstr(n.error.message, "SIGSEGV"));
        assert_null(n.job);
        assert_int_equal(atomic_load(&p.control->begun), 1);
        rowpool_close(pool);
        assert_false(test_has_child());
    }
}

TEST(many_applies_at_once)
{
    enum { JOBS = 300 };
    rowpool *pool = open_with("fork", 3, NULL, NULL);
    rowpool_job *jobs[JOBS];
    uint32_t results[JOBS];
    rowpool_error error;
    plan plans[JOBS];
    for (size_t i = 0; i < JOBS; i++) {
        plans[i] = (plan){i % 10 == 3 ? ABORT : DEEDS, APPLY, false, fresh_control(i % 10 == 3 ? 0 : 1)};
        assert_ok(rowpool_apply_async(pool, apply_plan, &plans[i], sizeof plans[i], &results[i], sizeof results[i],
                                      NULL, NULL, &jobs[i], &error),
                  error);
    }
    for (size_t i = 0; i < JOBS; i++) {
        rowpool_status status = rowpool_job_wait(jobs[i], -1, &error);
        if (status != (i % 10 == 3 ? ROWPOOL_EWORKER : ROWPOOL_OK))
            fail_msg("job %zu: %s", i, error.message);
        assert_true(i % 10 == 3 || results[i] == 77);
        rowpool_job_release(jobs[i]);
    }
    rowpool_close(pool);
}

/* A worker is sent two applies and the others wait; the last of them time out before they begin. */
TEST(an_apply_that_timed_out_does_not_run)
{
    enum { JOBS = 12, SENT = 2 };
    rowpool *pool = open_with("fork", 1, NULL, NULL);
    counted c = {fresh_control(0), ""};
    rowpool_job *jobs[JOBS];
    char results[JOBS][8];
    rowpool_error error;
    atomic_store(&c.control->hold, true);
    for (size_t i = 0; i < JOBS; i++)
        assert_ok(rowpool_apply_async(pool, wait_while_held, &c, sizeof c, results[i], sizeof results[i], NULL, NULL,
                                      &jobs[i], &error),
                  error);
    await_begun(c.control, 1);
    for (size_t i = SENT; i < JOBS; i++)
        assert_ok(rowpool_job_timeout(jobs[i], 0, &error), error);
    atomic_store(&c.control->hold, false);
    for (size_t i = 0; i < JOBS; i++) {
        if (i < SENT)
            assert_ok(rowpool_job_wait(jobs[i], -1, &error), error);
        else
            assert_refused(rowpool_job_wait(jobs[i], -1, &error), ROWPOOL_ETIMEDOUT, error, "with 0 of 1 rows done");
        rowpool_job_release(jobs[i]);
    }
    assert_int_equal(atomic_load(&c.control->begun), SENT);
    rowpool_close(pool);
}

TEST(apply_refuses_wrong_arguments)
{
    rowpool *pool = open_pool("fork");
    rowpool_error error;
    rowpool_job *job;
    char a[4] = "", b[4] = "";
    static const struct {
        bool function, argument, result;
        const char *text;
    } cases[] = {{false, true, true, "function is NULL"},
                 {true, false, true, "argument is NULL, but argument_size is 4"},
                 {true, true, false, "result is NULL, but result_size is 4"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rowpool_apply_function *function = cases[i].function ? mix : NULL;
        const void *argument = cases[i].argument ? a : NULL;
        void *result = cases[i].result ? b : NULL;
        assert_refused(rowpool_apply(pool, function, argument, 4, result, 4, &error), ROWPOOL_EINVAL, error,
                       cases[i].text);
        job = (rowpool_job *)(uintptr_t)16;
        assert_refused(rowpool_apply_async(pool, function, argument, 4, result, 4, NULL, NULL, &job, &error),
                       ROWPOOL_EINVAL, error, cases[i].text);
        assert_null(job);
    }
    assert_refused(rowpool_apply(pool, mix, a, SIZE_MAX, b, 4, &error), ROWPOOL_EINVAL, error, "argument_size");
    assert_refused(rowpool_apply(pool, mix, a, PTRDIFF_MAX, b, 4, &error), ROWPOOL_EINVAL, error, "argument_size");
    assert_refused(rowpool_apply(pool, mix, a, 4, b, SIZE_MAX, &error), ROWPOOL_EINVAL, error, "result_size");
    assert_refused(rowpool_apply(NULL, mix, a, 4, b, 4, &error), ROWPOOL_EINVAL, error, "pool is NULL");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(600); /* a hang is a failure too */
        bool right = rowpool_apply(pool, mix, a, 4, b, 4, &error) == ROWPOOL_EFORKED &&
                     rowpool_apply_async(pool, mix, a, 4, b, 4, NULL, NULL, &job, &error) == ROWPOOL_EFORKED &&
                     job == NULL && rowpool_terminate(pool, &error) == ROWPOOL_EFORKED;
        rowpool_close(pool);
        _exit(right ? 0 : 1);
    }
    const int status = test_wait(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_ok(rowpool_apply(pool, mix, a, 4, b, 4, &error), error);
    rowpool_close(pool);
}

/* exit() in a worker only ends the worker: it runs no handler of the application or a driver, and the application's
 * buffered output is not written twice. */
static void exit_properly(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    (void)argument_size;
    (void)result;
    (void)result_size;
    exit(*(const int *)argument);
}

static control *at_exit; /* NULL: the test itself exits */

static void note_exit(void)
{
    if (at_exit != NULL)
        atomic_fetch_add(&at_exit->begun, 1);
}

TEST(a_function_may_call_exit)
{
    int fd = test_open_nameless();
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("pending", file);
    at_exit = fresh_control(0);
    atexit(note_exit);
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        atexit(note_exit); /* workers have started */
        for (int code = 0; code < 8; code += 7) {
            rowpool_error error;
            char what[64], result;
            snprintf(what, sizeof what, "ended with exit status %d", code);
            assert_refused(rowpool_apply(pool, exit_properly, &code, sizeof code, &result, 1, &error), ROWPOOL_EWORKER,
                           error, what);
        }
        rowpool_close(pool);
    }
    assert_int_equal(atomic_load(&at_exit->begun), 0);
    at_exit = NULL;
    fflush(file);
    char *text = test_read_all(fd);
    assert_string_equal(text, "pending");
    free(text);
    fclose(file);
}

/* ---- No standard streams ---------------------------------------------------------------------------------------- */

/* The number of this process's standard streams that were opened by the library and not by a driver. */
static int count_low_descriptors(void)
{
    static const char *const kinds[] = {"/memfd:rowpool", "socket:", "pipe:", "anon_inode:", "mem", "trace"};
    int n = 0;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        char name[32], target[PATH_MAX] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof target - 1) < 0)
            continue;
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
            n += strstr(target, kinds[i]) != NULL;
    }
    return n;
}

static void count_in_worker(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    (void)argument;
    (void)argument_size;
    (void)result_size;
    *(int *)result = count_low_descriptors();
}

static int count_in_process(void *argument, int pipe)
{
    int n = count_low_descriptors();
    (void)argument;
    (void)pipe;
    return n;
}

/* Whether the standard error of a child, the helper program, is /dev/null: drivers write there. */
static bool child_has_nowhere(pid_t child)
{
    char name[32], target[16] = "";
    snprintf(name, sizeof name, "/proc/%d/fd/2", (int)child);
    return readlink(name, target, sizeof target - 1) > 0 && strcmp(target, "/dev/null") == 0;
}

/* Whether that holds for every child of every thread. */
static bool children_have_nowhere(void)
{
    DIR *threads = opendir("/proc/self/task");
    bool all = threads != NULL;
    for (const struct dirent *thread; all && (thread = readdir(threads)) != NULL;) {
        char name[300];
        int child;
        snprintf(name, sizeof name, "/proc/self/task/%s/children", thread->d_name);
        FILE *children = fopen(name, "re");
        while (children != NULL && fscanf(children, "%d", &child) == 1)
            all &= child_has_nowhere(child);
        if (children != NULL)
            fclose(children);
    }
    closedir(threads);
    return all;
}

/* Uses everything that needs descriptors; adds up a digit for each step, the number of misplaced descriptors after it.
 */
static int use_descriptors(const char *device)
{
    const rowpool_options options = {.size = sizeof options, .device = device, .workers = 2};
    enum { ROWS = 200000 };
    rowpool *pool;
    rowpool_job *job;
    rowpool_process *process;
    rowpool_process_state how;
    int32_t *data = rowpool_alloc(ROWS * sizeof *data, NULL);
    uint32_t *counts = calloc(ROWS, sizeof *counts);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = 1};
    int in_worker = 1;
    if (data == NULL || counts == NULL)
        return 1;
    rowpool_status status = rowpool_open(&pool, &options, NULL);
    if (status == ROWPOOL_ENODEVICE)
        return 0;
    if (status != ROWPOOL_OK || rowpool_range_count(pool, &rows, NULL, 0, counts, NULL) != ROWPOOL_OK)
        return 2;
    if (strcmp(device, "isolated") == 0 && !children_have_nowhere())
        return 6;
    if (rowpool_apply(pool, count_in_worker, NULL, 0, &in_worker, sizeof in_worker, NULL) != ROWPOOL_OK)
        return 2;
    if (in_worker != 0 || count_low_descriptors() != 0)
        return 3;
    if (rowpool_range_count_async(pool, &rows, NULL, 0, counts, NULL, NULL, &job, NULL) != ROWPOOL_OK ||
        rowpool_job_descriptor(job, NULL) <= STDERR_FILENO || rowpool_job_wait(job, -1, NULL) != ROWPOOL_OK)
        return 4;
    if (rowpool_process_start(&process, count_in_process, NULL, NULL, NULL) != ROWPOOL_OK ||
        rowpool_process_join(process, -1, NULL) != ROWPOOL_OK ||
        rowpool_process_status(process, &how, NULL) != ROWPOOL_OK || how.exit_code != 0 || count_low_descriptors() != 0)
        return 5;
    rowpool_process_close(process);
    rowpool_job_release(job);
    rowpool_close(pool);
    rowpool_free(data);
    free(counts);
    return 0;
}

/* What such a program prints must not end up in rows or at a worker. */
TEST(standard_streams_that_are_closed_stay_so)
{
#if defined(__SANITIZE_THREAD__)
    skip_since("the thread sanitizer allows no new thread in a child");
#endif
    static const char *const devices[] = {"fork", "host", "auto", "cpu", "isolated"};
    for (size_t d = 0; d < COUNT_OF(devices); d++) {
        char trace[] = "/tmp/rowpool-test-trace-XXXXXX";
        int file = mkstemp(trace), status;
        assert_true(file >= 0);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            alarm(600);
            setenv("ROWPOOL_TRACE", trace, 1);
            close(file);
            for (int fd = 0; fd <= STDERR_FILENO; fd++)
                close(fd);
            _exit(use_descriptors(devices[d]));
        }
        status = test_wait(child);
        close(file);
        unlink(trace);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status %x", devices[d], (unsigned)status);
    }
}

/* ---- Termination ------------------------------------------------------------------------------------------------ */

static void sleep_for_ever(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    control *const *at = arguments;
    (void)row;
    atomic_fetch_add(&(*at)->begun, 1);
    while (atomic_load(&(*at)->hold))
        test_sleep_us(5000);
    *(uint32_t *)result = (uint32_t)index;
}

static const rowpool_function sleeping = {.size = sizeof sleeping,
                                          .name = "sleep_for_ever",
                                          .row = sleep_for_ever,
                                          .arguments_size = sizeof(control *),
                                          .result_size = sizeof(uint32_t)};

typedef struct {
    rowpool *pool;
    control *control;
    size_t count; /* 0: an apply */
    uint32_t results[64];
    rowpool_job *job;
    rowpool_status status;
    rowpool_error error;
} sleeper;

/* Runs a map or an apply that waits in the function while `hold` is set; as a job or synchronously. */
static void sleep_in_map(sleeper *s, bool as_job)
{
    counted c = {s->control, ""};
    rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = s->count};
    rowpool_call call = {.size = sizeof call,
                         .function = &sleeping,
                         .inputs = &rows,
                         .arguments = &s->control,
                         .arguments_size = sizeof s->control,
                         .results = s->results,
                         .results_size = sizeof s->results,
                         .chunk_rows = 1};
    if (s->count > 0)
        s->status = as_job ? rowpool_map_async(s->pool, &call, NULL, NULL, &s->job, &s->error)
                           : rowpool_map(s->pool, &call, &s->error);
    else
        s->status = as_job ? rowpool_apply_async(s->pool, wait_while_held, &c, sizeof c, s->results, 4, NULL, NULL,
                                                 &s->job, &s->error)
                           : rowpool_apply(s->pool, wait_while_held, &c, sizeof c, s->results, 4, &s->error);
}

static void *sleep_in_thread(void *argument)
{
    sleep_in_map(argument, false);
    return NULL;
}

/* One thread runs a map or an apply; jobs follow, most of which wait for a worker. */
static void check_terminate(rowpool *pool, const size_t *counts, size_t n)
{
    sleeper sleepers[8];
    pthread_t thread;
    rowpool_error error;
    control *c = fresh_control(0);
    atomic_store(&c->hold, true);
    for (size_t i = 0; i < n; i++) {
        sleepers[i] = (sleeper){.pool = pool, .control = c, .count = counts[i]};
        if (i > 0) {
            sleep_in_map(&sleepers[i], true);
            assert_int_equal(sleepers[i].status, ROWPOOL_OK);
            continue;
        }
        assert_int_equal(pthread_create(&thread, NULL, sleep_in_thread, &sleepers[0]), 0);
        await_begun(c, 1);
    }
    await_begun(c, n < 2 ? 1 : 2);
    assert_ok(rowpool_terminate(pool, &error), error); /* nothing else ends the functions that wait */
    pthread_join(thread, NULL);
    for (size_t i = 0; i < n; i++) {
        sleeper *s = &sleepers[i];
        if (s->job != NULL)
            s->status = rowpool_job_wait(s->job, -1, &s->error);
        if (s->status != ROWPOOL_ECANCELED)
            fail_msg("%zu: %s: %s", i, rowpool_status_name(s->status), s->error.message);
        rowpool_job_release(s->job);
    }
    /* The pool is usable at once. */
    atomic_store(&c->hold, false);
    plan harmless = {.what = DEEDS};
    answers a = answers_make(3000, 2, &harmless, 500);
    assert_answers_ok(pool, &a);
    answers_free(&a);
    await_no_zombie();
}

TEST(terminate_ends_maps_that_never_would)
{
    static const size_t one[] = {1}, many[] = {40}, applies[] = {0, 0, 0, 0, 0}, all[] = {40, 0, 1, 40, 0, 40, 1, 40};
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        if (strcmp(every_device[d], "host") == 0)
            continue; /* it does not run applies */
        rowpool *pool = open_pool(every_device[d]);
        check_terminate(pool, one, COUNT_OF(one));
        check_terminate(pool, many, COUNT_OF(many));
        check_terminate(pool, applies, COUNT_OF(applies));
        check_terminate(pool, all, COUNT_OF(all));
        rowpool_close(pool);
        assert_false(test_has_child());
    }
}

static void sleep_after_row_0(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    if (index > 0)
        sleep_for_ever(row, index, arguments, result);
}

static int end_at_once(size_t row, size_t rows, const void *results, void *payload)
{
    (void)row, (void)rows, (void)results, (void)payload;
    return 1;
}

/* A map and an apply that are cancelled, the same that time out, and a stream whose callback ends it: functions that
 * never return are killed with their workers, so that close does not hang. */
TEST(a_function_that_nobody_waits_for_is_killed)
{
    enum { SLEEPERS = 4 };
    static sleeper sleepers[SLEEPERS];
    rowpool *pool = open_with("fork", SLEEPERS + 2, NULL, NULL);
    rowpool_function late = sleeping;
    late.row = sleep_after_row_0;
    rowpool_error error;
    rowpool_job *stream;
    control *c = fresh_control(0);
    const rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = 2};
    const rowpool_call call = {.size = sizeof call,
                               .function = &late,
                               .inputs = &rows,
                               .arguments = &c,
                               .arguments_size = sizeof c,
                               .chunk_rows = 1};
    atomic_store(&c->hold, true);
    for (size_t i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (sleeper){.pool = pool, .control = c, .count = i / 2};
        sleep_in_map(&sleepers[i], true);
        assert_int_equal(sleepers[i].status, ROWPOOL_OK);
    }
    assert_ok(rowpool_map_stream_async(pool, &call, ROWPOOL_IN_ORDER, end_at_once, NULL, NULL, &stream, &error), error);
    await_begun(c, SLEEPERS + 1);
    for (size_t i = 0; i < SLEEPERS; i++)
        assert_ok(i % 2 == 0 ? rowpool_job_cancel(sleepers[i].job, &error)
                             : rowpool_job_timeout(sleepers[i].job, 0, &error),
                  error);
    rowpool_close(pool);
    for (size_t i = 0; i < SLEEPERS; i++) {
        assert_int_equal(rowpool_job_poll(sleepers[i].job, NULL), i % 2 == 0 ? ROWPOOL_ECANCELED : ROWPOOL_ETIMEDOUT);
        rowpool_job_release(sleepers[i].job);
    }
    assert_refused(rowpool_job_poll(stream, &error), ROWPOOL_ECANCELED, error, "the callback ended the stream");
    rowpool_job_release(stream);
    assert_int_equal(atomic_load(&c->begun), SLEEPERS + 1); /* none began again */
    assert_false(test_has_child());
}

/* Nothing can interrupt a function in this process: a cancel takes effect when it returns. */
TEST(on_the_host_a_function_runs_to_its_end)
{
    rowpool *pool = open_pool("host");
    control *c = fresh_control(0);
    uint32_t results[2];
    const rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = 2};
    const rowpool_call call = {.size = sizeof call,
                               .function = &sleeping,
                               .inputs = &rows,
                               .arguments = &c,
                               .arguments_size = sizeof c,
                               .results = results,
                               .results_size = sizeof results,
                               .chunk_rows = 1,
                               .allow_host = true};
    for (int how = 0; how < 3; how++) {
        rowpool_error error;
        rowpool_job *job;
        c = fresh_control(0);
        atomic_store(&c->hold, true);
        assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
        await_begun(c, 1);
        assert_ok(how == 0   ? rowpool_job_cancel(job, &error)
                  : how == 1 ? rowpool_job_timeout(job, 0, &error)
                             : rowpool_terminate(pool, &error),
                  error);
        assert_int_equal(rowpool_job_poll(job, NULL), ROWPOOL_ENOTREADY);
        atomic_store(&c->hold, false);
        assert_int_equal(rowpool_job_wait(job, -1, NULL), how == 1 ? ROWPOOL_ETIMEDOUT : ROWPOOL_ECANCELED);
        assert_int_equal(atomic_load(&c->begun), 1);
        rowpool_job_release(job);
    }
    rowpool_close(pool);
}

/* No map succeeds in between: workers lost by termination do not count as failures. */
TEST(terminate_again_and_again)
{
    const unsigned times = 40;
    rowpool *pool = open_pool("fork");
    size_t descriptors = 0;
    for (unsigned i = 0; i < times; i++) {
        control *c = fresh_control(0);
        atomic_store(&c->hold, true);
        sleeper s = {.pool = pool, .control = c, .count = 2};
        pthread_t thread;
        rowpool_error error;
        assert_int_equal(pthread_create(&thread, NULL, sleep_in_thread, &s), 0);
        await_begun(c, 1);
        assert_ok(rowpool_terminate(pool, &error), error);
        pthread_join(thread, NULL);
        if (s.status != ROWPOOL_ECANCELED)
            fail_msg("time %u: %s: %s", i, rowpool_status_name(s.status), s.error.message);
        await_no_zombie();
        if (i == 1)
            descriptors = test_count_descriptors();
    }
    /* One leaked each time would be twice as many; the number of restarted workers varies. */
    assert_in_range(test_count_descriptors(), 0, descriptors + times / 2);
    rowpool_close(pool);
    assert_false(test_has_child());
}

/* If the pool is terminated at any moment a call ends with success or as cancelled. */
typedef struct {
    rowpool *pool;
    size_t ok, cancelled, other;
    unsigned rounds;
    rowpool_error error;
} racer;

static void *race(void *argument)
{
    racer *r = argument;
    plan harmless = {.what = DEEDS};
    answers a = answers_make(2000, 2, &harmless, 200);
    for (unsigned i = 0; i < r->rounds; i++) {
        rowpool_error error;
        rowpool_status status = run_answers(r->pool, &a, &error);
        r->ok += status == ROWPOOL_OK && count_answers(&a).right == 2000;
        r->cancelled += status == ROWPOOL_ECANCELED && count_answers(&a).wrong == 0;
        if (status != ROWPOOL_OK && status != ROWPOOL_ECANCELED) {
            r->other++;
            r->error = error;
        }
    }
    answers_free(&a);
    return NULL;
}

TEST(terminate_at_any_moment)
{
    racer racers[3];
    pthread_t threads[COUNT_OF(racers)];
    rowpool *pool = open_pool("fork");
    const unsigned rounds = (unsigned)test_setting("ROWPOOL_TEST_CYCLES", 40) * 5;
    for (size_t i = 0; i < COUNT_OF(racers); i++) {
        racers[i] = (racer){.pool = pool, .rounds = rounds};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    test_random random = test_random_begin(3);
    for (unsigned i = 0; i < rounds / 3; i++) {
        test_sleep_us(1000 * test_below(&random, 6));
        assert_int_equal(rowpool_terminate(pool, NULL), ROWPOOL_OK);
    }
    size_t ok = 0, cancelled = 0;
    for (size_t i = 0; i < COUNT_OF(racers); i++) {
        pthread_join(threads[i], NULL);
        if (racers[i].other > 0)
            fail_msg("%s: %s", rowpool_status_name(racers[i].error.status), racers[i].error.message);
        assert_int_equal(racers[i].ok + racers[i].cancelled, rounds);
        ok += racers[i].ok;
        cancelled += racers[i].cancelled;
    }
    print_message("  %zu maps done, %zu cancelled\n", ok, cancelled);
    rowpool_close(pool);
    assert_false(test_has_child());
}

TEST(terminate_cancels_jobs_that_wait)
{
    enum { JOBS = 30 };
    rowpool *pool = open_pool("fork");
    control *c = fresh_control(0);
    counted argument = {c, ""};
    rowpool_job *jobs[JOBS];
    char results[JOBS][4];
    rowpool_error error;
    atomic_store(&c->hold, true);
    for (size_t i = 0; i < JOBS; i++)
        assert_ok(rowpool_apply_async(pool, wait_while_held, &argument, sizeof argument, results[i], sizeof results[i],
                                      NULL, NULL, &jobs[i], &error),
                  error);
    await_begun(c, 2);
    assert_ok(rowpool_terminate(pool, &error), error);
    for (size_t i = 0; i < JOBS; i++) {
        assert_refused(rowpool_job_wait(jobs[i], -1, &error), ROWPOOL_ECANCELED, error, "cancelled");
        rowpool_job_release(jobs[i]);
    }
    atomic_store(&c->hold, false);
    char result[4];
    assert_ok(rowpool_apply(pool, wait_while_held, &argument, sizeof argument, result, sizeof result, &error), error);
    rowpool_close(pool);
    assert_false(test_has_child());
}

TEST(terminate_without_work)
{
    rowpool_error error;
    assert_refused(rowpool_terminate(NULL, &error), ROWPOOL_EINVAL, error, "pool is NULL");
    for (size_t d = 0; d < COUNT_OF(every_device); d++) {
        rowpool *pool = open_pool(every_device[d]);
        for (int i = 0; i < 5; i++)
            assert_ok(rowpool_terminate(pool, &error), error);
        char result[100];
        assert_ok(rowpool_apply(pool, mix, "abc", 3, result, sizeof result, &error), error);
        assert_ok(rowpool_terminate(pool, &error), error);
        assert_ok(rowpool_apply(pool, mix, "abc", 3, result, sizeof result, &error), error);
        rowpool_close(pool);
    }
    assert_false(test_has_child());
}

/* ---- Initialisers ----------------------------------------------------------------------------------------------- */

static int set_up; /* set by the initialiser in each worker */

static int set_up_worker(void *argument)
{
    const plan *p = argument;
    test_sleep_us(20000); /* rows arrive meanwhile */
    set_up++;
    atomic_fetch_add(&p->control->inits, 1);
    return 0;
}

typedef struct {
    pid_t pid;
    int set_up;
} seen;

static void report_set_up(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)row;
    (void)index;
    (void)arguments;
    *(seen *)result = (seen){getpid(), set_up};
}

static void apply_what_is_set_up(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    (void)argument;
    (void)argument_size;
    (void)result_size;
    report_set_up(NULL, 0, NULL, result);
}

static const rowpool_function saying = {
    .size = sizeof saying, .name = "say_what_is_set_up", .row = report_set_up, .result_size = sizeof(seen)};

enum { SEEN = 50 };

static void check_set_up(rowpool *pool, seen *results)
{
    rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = SEEN};
    rowpool_call call = {.size = sizeof call,
                         .function = &saying,
                         .inputs = &rows,
                         .results = results,
                         .results_size = SEEN * sizeof *results,
                         .chunk_rows = 1};
    rowpool_error error;
    assert_ok(rowpool_map(pool, &call, &error), error);
    for (size_t i = 0; i < SEEN; i++) {
        assert_int_equal(results[i].set_up, 1);
        assert_true(results[i].pid != getpid() && results[i].pid > 0);
    }
}

static void await_inits(control *c, unsigned n)
{
    while (atomic_load(&c->inits) < n)
        test_sleep_us(5000);
    assert_int_equal(atomic_load(&c->inits), n);
}

TEST(the_initialiser_runs_once_in_each_worker)
{
    seen results[SEEN];
    plan p = {.control = fresh_control(0)};
    rowpool *pool = open_with("fork", 3, set_up_worker, &p);
    check_set_up(pool, results);
    await_inits(p.control, 3);
    for (unsigned i = 1; i <= 5; i++) { /* and in a replacement */
        kill(results[0].pid, SIGKILL);
        pid_t before = results[0].pid;
        while (kill(before, 0) == 0)
            test_sleep_us(2000); /* until it is noticed: the next map replaces workers */
        check_set_up(pool, results);
        await_inits(p.control, 3 + i);
        for (size_t k = 0; k < SEEN; k++)
            assert_true(results[k].pid != before);
    }
    assert_int_equal(set_up, 0); /* in this process */
    rowpool_close(pool);
    assert_int_equal(atomic_load(&p.control->inits), 8); /* no further ones */
}

TEST(the_initialiser_runs_in_processes_only)
{
    static const char *const without[] = {"host", "auto"};
    for (size_t d = 0; d < COUNT_OF(without); d++) {
        plan p = {.control = fresh_control(0)};
        rowpool *pool = open_with(without[d], 2, set_up_worker, &p);
        uint32_t counts[4];
        int32_t data[] = {4, 5, 6, 100};
        rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 4, .width = 1};
        rowpool_error error;
        assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
        bool processes = test_has_child(); /* auto, where there is no OpenCL device */
        if (!processes)
            assert_int_equal(atomic_load(&p.control->inits), 0);
        seen result;
        for (int i = 0; i < 5; i++) {
            assert_ok(rowpool_apply(pool, apply_what_is_set_up, NULL, 0, &result, sizeof result, &error), error);
            assert_int_equal(result.set_up, 1);
            assert_true(result.pid != getpid());
        }
        await_inits(p.control, 2);
        assert_int_equal(set_up, 0);
        rowpool_close(pool);
        assert_int_equal(atomic_load(&p.control->inits), 2);
    }
}

static int sleep_in_initialiser(void *argument)
{
    const plan *p = argument;
    atomic_fetch_add(&p->control->begun, 1);
    while (atomic_load(&p->control->hold))
        test_sleep_us(5000);
    return 0;
}

TEST(an_initialiser_that_never_ends)
{
    plan p = {.control = fresh_control(0)};
    atomic_store(&p.control->hold, true);
    rowpool *pool = open_with("fork", 2, sleep_in_initialiser, &p); /* does not wait for the initialiser */
    sleeper s = {.pool = pool, .control = fresh_control(1), .count = 10};
    pthread_t thread;
    rowpool_error error;
    assert_int_equal(pthread_create(&thread, NULL, sleep_in_thread, &s), 0);
    await_begun(p.control, 2);
    do { /* until the map has begun and was ended */
        assert_ok(rowpool_terminate(pool, &error), error);
        test_sleep_us(5000);
    } while (pthread_tryjoin_np(thread, NULL) != 0);
    assert_int_equal(s.status, ROWPOOL_ECANCELED);
    rowpool_close(pool); /* does not wait for the initialiser either */
    assert_false(test_has_child());
}

/* ---- Libraries that are loaded late ----------------------------------------------------------------------------- */

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (found == NULL)
        fail_msg("%s", dlerror());
    return found;
}

static void check_plugin(rowpool *pool, void *library)
{
    enum { ROWS = 500, WIDTH = 4 };
    void *found = symbol(library, "plugin_row"), *applied = symbol(library, "plugin_apply");
    rowpool_function function = {.size = sizeof function, .name = "plugin_row", .result_size = sizeof(int64_t)};
    rowpool_apply_function *apply;
    memcpy(&function.row, &found, sizeof found);
    memcpy(&apply, &applied, sizeof applied);
    int32_t data[ROWS * WIDTH];
    int64_t results[ROWS];
    for (int32_t i = 0; i < ROWS * WIDTH; i++)
        data[i] = i;
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
    rowpool_call call = {.size = sizeof call,
                         .function = &function,
                         .inputs = &rows,
                         .results = results,
                         .results_size = sizeof results,
                         .chunk_rows = 20};
    rowpool_error error;
    assert_ok(rowpool_map(pool, &call, &error), error);
    for (int64_t i = 0; i < ROWS; i++)
        assert_int_equal(results[i], 1000 * i + 4 * (4 * i) + 6);
    char back[4];
    assert_ok(rowpool_apply(pool, apply, "abc", 3, back, 4, &error), error);
    assert_memory_equal(back, "bcdb", 4);
}

TEST(a_library_loaded_after_the_pool_was_opened)
{
    static const char *const devices[] = {"fork", "auto"};
    size_t descriptors = 0;
    for (size_t d = 0; d < COUNT_OF(devices); d++) {
        rowpool *pool = open_pool(devices[d]);
        plan harmless = {.what = DEEDS};
        answers a = answers_make(1000, 2, &harmless, 100);
        assert_answers_ok(pool, &a);
        for (int time = 0; time < 6; time++) {
            void *library = dlopen(TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
            if (library == NULL)
                fail_msg("%s", dlerror());
            check_plugin(pool, library);
            assert_answers_ok(pool, &a);
            check_plugin(pool, library);
            dlclose(library);
            assert_answers_ok(pool, &a);
            await_no_zombie();
            if (time == 1)
                descriptors = test_count_descriptors();
        }
        assert_in_range(test_count_descriptors(), 0, descriptors + 4);
        answers_free(&a);
        rowpool_close(pool);
    }
    assert_false(test_has_child());
}

/* While workers are busy. */
TEST(a_library_loaded_while_a_map_runs)
{
    rowpool *pool = open_pool("fork");
    racer r = {.pool = pool, .rounds = 60};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, race, &r), 0);
    for (int time = 0; time < 6; time++) {
        void *library = dlopen(TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
        check_plugin(pool, library);
        dlclose(library);
    }
    pthread_join(thread, NULL);
    assert_int_equal(r.ok, r.rounds);
    rowpool_close(pool);
}

/* ---- Timeouts --------------------------------------------------------------------------------------------------- */

static void work_slowly(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    control *const *at = arguments;
    (void)row;
    test_sleep_us(30000);
    atomic_fetch_add(&(*at)->worked, 1);
    *(uint32_t *)result = (uint32_t)index;
}

TEST(a_map_ends_at_its_deadline)
{
    enum { ROWS = 20000 }; /* minutes */
    const rowpool_function function = {.size = sizeof function,
                                       .name = "work_slowly",
                                       .row = work_slowly,
                                       .arguments_size = sizeof(control *),
                                       .result_size = sizeof(uint32_t)};
    rowpool *pool = open_pool("fork");
    control *c = fresh_control(0);
    uint32_t results[ROWS];
    rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = ROWS};
    rowpool_call call = {.size = sizeof call,
                         .function = &function,
                         .inputs = &rows,
                         .arguments = &c,
                         .arguments_size = sizeof c,
                         .results = results,
                         .results_size = sizeof results,
                         .chunk_rows = 1,
                         .timeout_ms = 300};
    for (int async = 0; async < 2; async++) {
        rowpool_error error;
        char text[64];
        (void)snprintf(text, sizeof text, "timed out after %d ms, with", call.timeout_ms);
        memset(results, 0xee, sizeof results);
        fresh_control(0);
        if (async) {
            rowpool_job *job;
            assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
            assert_refused(rowpool_job_wait(job, -1, &error), ROWPOOL_ETIMEDOUT, error, text);
            rowpool_job_release(job);
        } else {
            assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_ETIMEDOUT, error, text);
        }
        unsigned worked = atomic_load(&c->worked);
        assert_true(worked < ROWS);
        if (worked == 0) { /* the machine is busy: try again with more time */
            call.timeout_ms *= 2;
            async--;
            continue;
        }
        unsigned answered = 0;
        for (uint32_t i = 0; i < ROWS; i++) {
            answered += results[i] != UNANSWERED;
            assert_true(results[i] == i || results[i] == UNANSWERED);
        }
        assert_int_equal(answered, worked);
        plan harmless = {.what = DEEDS};
        answers a = answers_make(1000, 2, &harmless, 100);
        a.call.timeout_ms = INT_MAX;
        assert_answers_ok(pool, &a);
        answers_free(&a);
        assert_int_equal(atomic_load(&c->worked), worked); /* nothing runs on after the call has returned */
    }
    rowpool_close(pool);
}

/* ---- What a row function gets ----------------------------------------------------------------------------------- */

typedef struct {
    double factor;
    int32_t offset;
} scale;

typedef struct {
    double value;
    uint64_t index;
    int32_t widths[3];
    pid_t pid;
} scaled;

/* Weighted sums of int32 rows, float64 rows and uint8 rows. */
static void scale_rows(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const scale *by = arguments;
    double sums[3] = {0};
    bool right = row[0].dtype == ROWPOOL_INT32 && row[1].dtype == ROWPOOL_FLOAT64 && row[2].dtype == ROWPOOL_UINT8;
    for (size_t i = 0; i < 3; i++) {
        right &= (row[i].data == NULL) == (row[i].width == 0);
        for (size_t k = 0; k < row[i].width; k++)
            sums[i] += test_value(row[i].dtype, test_load(row[i].dtype, row[i].data, k));
    }
    *(scaled *)result = (scaled){
        .value = right ? by->factor * (sums[0] + 2 * sums[1] + 3 * sums[2]) + by->offset : -1e300,
        .index = index,
        .widths = {(int32_t)row[0].width, (int32_t)row[1].width, (int32_t)row[2].width},
        .pid = getpid(),
    };
}

static const rowpool_function scaling = {.size = sizeof scaling,
                                         .name = "scale_rows",
                                         .n_inputs = 3,
                                         .others = {ROWPOOL_FLOAT64 + 1, ROWPOOL_UINT8 + 1},
                                         .row = scale_rows,
                                         .arguments_size = sizeof(scale),
                                         .result_size = sizeof(scaled)};

enum { ZIPPED = 1777, SCALES = 3 };

/* Dense int32, strided float64, ragged uint8. */
typedef struct {
    int32_t a[ZIPPED * 3];
    double b[ZIPPED * 5];
    uint8_t c[ZIPPED * 4];
    int64_t offsets[ZIPPED + 1];
    rowpool_rows inputs[3];
    scaled results[ZIPPED * SCALES];
} zip;

static const scale scales[SCALES] = {{1, 0}, {0.5, 100}, {-3, -7}};

static zip *make_zip(void)
{
    zip *z = malloc(sizeof *z);
    if (z == NULL)
        abort();
    for (size_t i = 0; i < COUNT_OF(z->a); i++)
        z->a[i] = (int32_t)(i % 91) - 45;
    for (size_t i = 0; i < COUNT_OF(z->b); i++)
        z->b[i] = (double)(i % 57) / 4;
    for (size_t i = 0; i < COUNT_OF(z->c); i++)
        z->c[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i <= ZIPPED; i++)
        z->offsets[i] = i == 0 ? 0 : z->offsets[i - 1] + (int64_t)(i * i % 5);
    z->inputs[0] = (rowpool_rows){.data = z->a, .dtype = ROWPOOL_INT32, .count = ZIPPED, .width = 3};
    z->inputs[1] = (rowpool_rows){.data = z->b, .dtype = ROWPOOL_FLOAT64, .count = ZIPPED, .width = 4, .stride = 5};
    z->inputs[2] = (rowpool_rows){.data = z->c, .dtype = ROWPOOL_UINT8, .count = ZIPPED, .offsets = z->offsets};
    return z;
}

static rowpool_call call_zip(zip *z)
{
    return (rowpool_call){.size = sizeof(rowpool_call),
                          .function = &scaling,
                          .inputs = z->inputs,
                          .n_inputs = 3,
                          .arguments = scales,
                          .arguments_size = sizeof scales,
                          .results = z->results,
                          .results_size = sizeof z->results};
}

static void check_zip(const zip *z, bool here)
{
    for (size_t i = 0; i < ZIPPED; i++)
        for (size_t k = 0; k < SCALES; k++) {
            const scaled *r = &z->results[i * SCALES + k];
            size_t width = (size_t)(z->offsets[i + 1] - z->offsets[i]);
            rowpool_row row[3] = {
                {.data = &z->a[3 * i], .width = 3, .dtype = ROWPOOL_INT32},
                {.data = &z->b[5 * i], .width = 4, .dtype = ROWPOOL_FLOAT64},
                {.data = width > 0 ? &z->c[z->offsets[i]] : NULL, .width = width, .dtype = ROWPOOL_UINT8}};
            scaled expected;
            scale_rows(row, i, &scales[k], &expected);
            assert_true(r->value == expected.value && r->index == i && r->widths[2] == (int32_t)width);
            assert_int_equal(r->pid == getpid(), here);
        }
}

TEST(zipped_inputs_with_argument_structs)
{
    zip *z = make_zip();
    rowpool_call call = call_zip(z);
    rowpool_error error;
    rowpool *fork_pool = open_pool("fork"), *host_pool = open_pool("host");
    static const size_t chunks[] = {0, 1, 100, 1776};
    for (size_t i = 0; i < COUNT_OF(chunks); i++) {
        call.chunk_rows = chunks[i];
        memset(z->results, 0, sizeof z->results);
        assert_ok(rowpool_map(fork_pool, &call, &error), error);
        check_zip(z, false);
        call.allow_host = true;
        memset(z->results, 0, sizeof z->results);
        /* fork was named: the workers do it even though it is small */
        assert_ok(rowpool_map(fork_pool, &call, &error), error);
        check_zip(z, false);
        memset(z->results, 0, sizeof z->results);
        assert_ok(rowpool_map(host_pool, &call, &error), error);
        check_zip(z, true);
        call.allow_host = false;
    }
    assert_refused(rowpool_map(host_pool, &call, &error), ROWPOOL_ENODEVICE, error, "allow_host");
    assert_non_null(strstr(error.message, "scale_rows"));
    rowpool_job *job = (rowpool_job *)(uintptr_t)16;
    assert_refused(rowpool_map_async(host_pool, &call, NULL, NULL, &job, &error), ROWPOOL_ENODEVICE, error,
                   "allow_host");
    assert_null(job);
    rowpool_close(fork_pool);
    rowpool_close(host_pool);
    free(z);
}

TEST(small_maps_stay_out_of_this_process)
{
    static const char *const devices[] = {"auto", "fork"};
    for (size_t d = 0; d < COUNT_OF(devices); d++) {
        rowpool *pool = open_pool(devices[d]);
        for (size_t count = 1; count < 4; count++) {
            seen results[4] = {{0}};
            rowpool_rows rows = {.dtype = ROWPOOL_INT32, .count = count};
            rowpool_call call = {.size = sizeof call,
                                 .function = &saying,
                                 .inputs = &rows,
                                 .results = results,
                                 .results_size = sizeof results};
            rowpool_error error;
            assert_ok(rowpool_map(pool, &call, &error), error);
            for (size_t i = 0; i < count; i++)
                assert_true(results[i].pid > 0 && results[i].pid != getpid());
            rowpool_job *job;
            memset(results, 0, sizeof results);
            assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
            assert_ok(rowpool_job_wait(job, -1, &error), error);
            rowpool_job_release(job);
            for (size_t i = 0; i < count; i++)
                assert_true(results[i].pid > 0 && results[i].pid != getpid());
        }
        rowpool_close(pool);
    }
}

int main(void)
{
    alarm((unsigned)test_setting("ROWPOOL_TEST_SECONDS", 600)); /* a hang is a failure */
    controls = rowpool_alloc(CONTROLS * sizeof *controls, NULL);
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (controls == NULL || forbidden == MAP_FAILED)
        return 1;
    const struct CMUnitTest tests[] = {
        /* first: its children use OpenCL before this process does */
        cmocka_unit_test(standard_streams_that_are_closed_stay_so),
        cmocka_unit_test(every_way_to_die_at_every_moment),
        cmocka_unit_test(an_initialiser_that_fails_is_reported),
        cmocka_unit_test(deaths_leave_nothing_behind),
        cmocka_unit_test(deaths_do_not_pile_up_in_a_pool),
        cmocka_unit_test(one_bad_row_among_many_is_named),
        cmocka_unit_test(one_bad_row_in_the_largest_of_chunks),
        cmocka_unit_test(several_bad_rows_leave_all_others_right),
        cmocka_unit_test(a_map_with_only_bad_rows_ends),
        cmocka_unit_test(a_stream_skips_rows_that_kill),
        cmocka_unit_test(apply_returns_the_bytes),
        cmocka_unit_test(apply_runs_once),
        cmocka_unit_test(apply_runs_at_most_once_when_it_dies),
        cmocka_unit_test(asynchronous_applies),
        cmocka_unit_test(many_applies_at_once),
        cmocka_unit_test(an_apply_that_timed_out_does_not_run),
        cmocka_unit_test(apply_refuses_wrong_arguments),
        cmocka_unit_test(a_function_may_call_exit),
        cmocka_unit_test(terminate_ends_maps_that_never_would),
        cmocka_unit_test(a_function_that_nobody_waits_for_is_killed),
        cmocka_unit_test(on_the_host_a_function_runs_to_its_end),
        cmocka_unit_test(terminate_again_and_again),
        cmocka_unit_test(terminate_at_any_moment),
        cmocka_unit_test(terminate_cancels_jobs_that_wait),
        cmocka_unit_test(terminate_without_work),
        cmocka_unit_test(the_initialiser_runs_once_in_each_worker),
        cmocka_unit_test(the_initialiser_runs_in_processes_only),
        cmocka_unit_test(an_initialiser_that_never_ends),
        cmocka_unit_test(a_library_loaded_after_the_pool_was_opened),
        cmocka_unit_test(a_library_loaded_while_a_map_runs),
        cmocka_unit_test(a_map_ends_at_its_deadline),
        cmocka_unit_test(zipped_inputs_with_argument_structs),
        cmocka_unit_test(small_maps_stay_out_of_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
