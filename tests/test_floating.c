/* Results do not depend on the caller's floating-point environment, and each call leaves the environment as it was,
 * flags included. Checked on every device, with small maps and with rows split among devices. */
#include <fenv.h>
#include <math.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* ---- Environments ----------------------------------------------------------------------------------------------- */

/* Treats subnormals as zeros, in operands and results. */
static bool flush_subnormals(void)
{
#if defined(__x86_64__)
    enum { FTZ_AND_DAZ = 0x8040 };
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | FTZ_AND_DAZ);
    return true;
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (uint64_t)1 << 24));
    return true;
#else
    return false;
#endif
}

static bool flushes_subnormals(void)
{
    volatile double smallest = 0x1p-1074, sum = smallest + smallest;
    return sum == 0;
}

typedef enum { UPWARD, DOWNWARD, TOWARD_ZERO, NEAREST, FLUSHING, TRAPPING, MODES } mode;
static const char *const mode_names[MODES] = {"upward",     "downward", "toward zero",
                                              "to nearest", "flushing", "trapping"};
static const int rounding[MODES] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST, FE_TONEAREST, FE_TONEAREST};

/* False: this processor does not have the mode. Each mode also raises one flag. */
static bool enter(mode m)
{
    fesetenv(FE_DFL_ENV);
    fesetround(rounding[m]);
    feraiseexcept(FE_UNDERFLOW);
    if (m == TRAPPING)
        return feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW) != -1;
    return m != FLUSHING || flush_subnormals();
}

static bool is_still(mode m)
{
    bool traps = (fegetexcept() & FE_DIVBYZERO) != 0;
    return fegetround() == rounding[m] && fetestexcept(FE_ALL_EXCEPT) == FE_UNDERFLOW && traps == (m == TRAPPING) &&
           flushes_subnormals() == (m == FLUSHING);
}

/* Back to the default environment, for the test's own work. */
static void leave(void)
{
    fesetenv(FE_DFL_ENV);
}

/* ---- Questions -------------------------------------------------------------------------------------------------- */

/* Rows whose sums are inexact or subnormal in any order: every result shows how it was rounded. */
static const double floats[][3] = {{1, 0x1p-60, 0},           {1, -0x1p-60, 0}, {-1, 0x1p-60, 0},
                                   {0x1p-1074, 0x1p-1074, 0}, {0, 0, 1},        {0x1p1023, 0x1p1023, 0}};
static const int32_t integers[][3] = {{1, 0, 0}, {-1, 0, 0}, {0, 2, 0}, {0, -2, 0}, {7, 0, 0}, {0, 0, -7}};
enum { KINDS = COUNT_OF(floats), WIDTH = 3 };

static const double sums[KINDS] = {1, 1, -1, 0x1p-1073, 1, (double)INFINITY};
static const double means[KINDS] = {1. / 3, 1. / 3, -1. / 3, 0x1p-1074, 1. / 3, (double)INFINITY};
static const double fractions[KINDS] = {2. / 3, 1. / 3, 1. / 3, 2. / 3, 1. / 3, 2. / 3};
static const double integer_means[KINDS] = {1. / 3, -1. / 3, 2. / 3, -2. / 3, 7. / 3, -7. / 3};

/* A sum that changes the environment after the last row of a small map. */
static void sum_and_spoil(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const double *data = row->data;
    volatile double sum = 0;
    (void)arguments;
    for (size_t i = 0; i < row->width; i++)
        sum += data[i];
    *(double *)result = sum;
    if (index + 1 == KINDS) {
        fesetround(FE_UPWARD);
        feraiseexcept(FE_DIVBYZERO);
    }
}

static const rowpool_function spoiling = {
    .size = sizeof spoiling, .name = "sum_and_spoil", .row = sum_and_spoil, .result_size = sizeof(double)};

static const struct {
    const char *builtin; /* NULL: the function above, one row at a time */
    rowpool_dtype dtype;
    const double *expected;
} questions[] = {
    {"sum", ROWPOOL_FLOAT64, sums},         {"mean", ROWPOOL_FLOAT64, means}, {"fraction", ROWPOOL_FLOAT64, fractions},
    {"mean", ROWPOOL_INT32, integer_means}, {NULL, ROWPOOL_FLOAT64, sums},
};

/* All kinds of rows in turn: few enough for the calling thread alone, and too many for it. */
static const size_t counts[] = {1 * KINDS, 4000 * KINDS};

typedef struct {
    rowpool_range positive;
    rowpool_rows rows;
    rowpool_call call;
    void *data;
    double *results;
} sheet;

static sheet *sheet_make(size_t question, size_t count)
{
    sheet *s = calloc(1, sizeof *s);
    bool is_float = questions[question].dtype == ROWPOOL_FLOAT64;
    size_t row = is_float ? sizeof floats[0] : sizeof integers[0];
    assert_non_null(s);
    s->data = malloc(count * row);
    s->results = calloc(count, sizeof *s->results);
    assert_non_null(s->data);
    assert_non_null(s->results);
    for (size_t i = 0; i < count; i++)
        memcpy((char *)s->data + i * row, is_float ? (const void *)floats[i % KINDS] : integers[i % KINDS], row);
    s->positive = rowpool_range_f64(0x1p-1074, (double)INFINITY);
    s->rows = (rowpool_rows){.data = s->data, .dtype = questions[question].dtype, .count = count, .width = WIDTH};
    s->call = (rowpool_call){.size = sizeof s->call,
                             .function = &spoiling,
                             .inputs = &s->rows,
                             .results = s->results,
                             .results_size = count * sizeof *s->results,
                             .chunk_rows = 1,
                             .allow_host = true};
    if (questions[question].builtin != NULL) {
        s->call.function = rowpool_builtin(questions[question].builtin);
        s->call.chunk_rows = 0;
    }
    if (questions[question].expected == fractions) {
        s->call.ranges = &s->positive;
        s->call.n_ranges = 1;
    }
    return s;
}

static void sheet_check(sheet *s, size_t question, const char *device, mode m)
{
    for (size_t i = 0; i < s->rows.count; i++) {
        double expected = questions[question].expected[i % KINDS];
        if (memcmp(&s->results[i], &expected, sizeof expected) != 0)
            fail_msg("%s, %s, question %zu, row %zu of %zu: %a, not %a", device, mode_names[m], question, i,
                     s->rows.count, s->results[i], expected);
    }
    memset(s->results, 0, s->rows.count * sizeof *s->results);
}

static void sheet_free(sheet *s)
{
    free(s->data);
    free(s->results);
    free(s);
}

/* ---- Ways to map in a mode -------------------------------------------------------------------------------------- */

typedef struct {
    mode mode;
    double *results;
    bool still; /* whether every stream callback found the calling thread's mode */
} taker;

static int take(size_t row, size_t rows, const void *results, void *payload)
{
    taker *t = payload;
    t->still &= is_still(t->mode);
    enter(t->mode); /* is_still may have raised a flag */
    memcpy(t->results + row, results, rows * sizeof *t->results);
    return 0;
}

static rowpool_status ask_map(rowpool *pool, sheet *s, mode m, rowpool_error *error)
{
    (void)m;
    return rowpool_map(pool, &s->call, error);
}

static rowpool_status ask_stream(rowpool *pool, sheet *s, mode m, rowpool_error *error)
{
    taker t = {m, s->results, true};
    rowpool_status status = rowpool_map_stream(pool, &s->call, ROWPOOL_IN_ORDER, take, &t, error);
    if (!t.still)
        memset(s->results, 0xff, s->rows.count * sizeof *s->results);
    return status;
}

/* What a job's callback found, on the pool's dispatcher thread. */
typedef struct {
    sem_t called;
    int rounding;
} callback;

static void note_rounding(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    callback *c = payload;
    (void)job;
    (void)status;
    (void)error;
    c->rounding = fegetround();
    fesetround(FE_UPWARD); /* must not affect the next callback */
    sem_post(&c->called);
}

static rowpool_status ask_job(rowpool *pool, sheet *s, mode m, rowpool_error *error)
{
    callback c = {.rounding = FE_TONEAREST};
    rowpool_status status = ROWPOOL_OK;
    (void)m;
    sem_init(&c.called, 0, 0);
    for (int i = 0; i < 2 && status == ROWPOOL_OK && c.rounding == FE_TONEAREST; i++) {
        rowpool_job *job;
        status = rowpool_map_async(pool, &s->call, note_rounding, &c, &job, error);
        if (status != ROWPOOL_OK)
            break;
        status = rowpool_job_wait(job, -1, error);
        rowpool_job_release(job);
        while (sem_wait(&c.called) != 0) {
        }
    }
    sem_destroy(&c.called);
    if (c.rounding != FE_TONEAREST)
        memset(s->results, 0xff, s->rows.count * sizeof *s->results);
    return status;
}

typedef rowpool_status way(rowpool *pool, sheet *s, mode m, rowpool_error *error);
static way *const ways[] = {ask_map, ask_stream, ask_job};

/* Building a kernel is slow: an OpenCL device gets two questions, one of them with many rows. */
static bool asks(const char *device, size_t question, size_t count, size_t chunk_bytes)
{
    if (count > KINDS)
        return chunk_bytes == 0 && question == 0;
    if (strcmp(device, "cpu") == 0 || strcmp(device, "isolated") == 0)
        return question == 0 || questions[question].dtype == ROWPOOL_INT32;
    return true;
}

static void ask_in(mode m, rowpool *pool, const char *device, size_t question, size_t count)
{
    sheet *s = sheet_make(question, count);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        rowpool_error error = {0};
        enter(m);
        rowpool_status status = ways[i](pool, s, m, &error);
        bool still = is_still(m);
        leave();
        if (status != ROWPOOL_OK || !still)
            fail_msg("%s, %s, question %zu, way %zu: status %d, %s; the caller's environment is %s", device,
                     mode_names[m], question, i, (int)status, error.message, still ? "as it was" : "another");
        sheet_check(s, question, device, m);
    }
    sheet_free(s);
}

/* ---- The tests -------------------------------------------------------------------------------------------------- */

static const char *const default_devices[] = {"auto", "host", "fork", "cpu", "isolated", NULL};
static const char *const *devices = default_devices;

/* NULL: there is no such device here. */
static rowpool *open_in(mode m, const char *device, size_t chunk_bytes)
{
    rowpool_options options = {.size = sizeof options, .device = device, .chunk_bytes = chunk_bytes, .workers = 2};
    rowpool *pool = NULL;
    rowpool_error error = {0};
    enter(m);
    rowpool_status status = rowpool_open(&pool, &options, &error);
    bool still = is_still(m);
    leave();
    if (!still)
        fail_msg("%s, %s: rowpool_open changed the environment", device, mode_names[m]);
    if (status != ROWPOOL_OK && status != ROWPOOL_ENODEVICE)
        fail_msg("%s: %s", device, error.message);
    return pool;
}

static void ask_pool(rowpool *pool, const char *device, size_t chunk_bytes)
{
    for (mode m = 0; m < MODES; m++) {
        bool known = enter(m);
        leave();
        for (size_t question = 0; known && question < COUNT_OF(questions); question++)
            for (size_t i = 0; i < COUNT_OF(counts); i++)
                if (asks(device, question, counts[i], chunk_bytes))
                    ask_in(m, pool, device, question, counts[i]);
    }
}

/* Pools are opened in a mode too, since drivers and pools start threads at that point. */
TEST(results_are_those_of_the_default_environment)
{
    /* the second makes each element a chunk, so that parts are merged here */
    static const size_t chunkings[] = {0, sizeof(double)};
    for (size_t i = 0; devices[i] != NULL; i++)
        for (size_t k = 0; k < COUNT_OF(chunkings); k++) {
            rowpool *pool = open_in(UPWARD, devices[i], chunkings[k]);
            if (pool == NULL)
                continue;
            ask_pool(pool, devices[i], chunkings[k]);
            rowpool_close(pool);
        }
}

static int note_initialisers(void *argument)
{
    *(int *)argument = fegetround();
    return 0;
}

/* Workers are forked by a thread of the pool, which starts with the first map that needs them. */
TEST(workers_begin_in_the_default_environment)
{
    int *found = rowpool_alloc(sizeof *found, NULL); /* shared with the worker */
    assert_non_null(found);
    rowpool_options options = {
        .size = sizeof options, .device = "auto", .workers = 1, .init = note_initialisers, .init_argument = found};
    rowpool *pool;
    rowpool_error error;
    sheet *s = sheet_make(COUNT_OF(questions) - 1, KINDS);
    s->call.allow_host = false;
    *found = -1;
    assert_ok(rowpool_open(&pool, &options, &error), error);
    enter(UPWARD);
    rowpool_status status = rowpool_map(pool, &s->call, &error);
    leave();
    assert_int_equal(status, ROWPOOL_OK);
    assert_int_equal(*found, FE_TONEAREST);
    sheet_free(s);
    rowpool_close(pool);
    rowpool_free(found);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_those_of_the_default_environment),
        cmocka_unit_test(workers_begin_in_the_default_environment),
    };
    if (argc > 1)
        devices = (const char *const *)argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
