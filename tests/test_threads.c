/* Many threads, one pool: every kind of map in every way to run it, mixed, with jobs that are cancelled, that time out,
 * that other threads query, that callbacks submit. Every result that should be there is exactly right. Most useful
 * under the thread sanitizer. ROWPOOL_TEST_JOBS: jobs of each thread. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { THREADS = 8, MAX_RANGES = 3 };

/* ---- Maps and expected results ---------------------------------------------------------------------------------- */

typedef enum { COUNT, COUNT64, SUM, WEIGH, FUNCTIONS } function_kind;

typedef struct work {
    rowpool *pool;
    test_array array;
    rowpool_range ranges[MAX_RANGES];
    uint64_t salt;
    rowpool_call call;
    test_counts results;
    uint64_t *expected;
    rowpool_order order; /* streams: delivery order */
    size_t taken;        /* streams: rows delivered so far */
    bool disorder;       /* streams: whether a row came out of order */
    sem_t called;        /* posted by the done callback */
    rowpool_status status;
    struct work *next; /* submitted by the done callback */
} work;

/* A plain C function of a row: the result depends on every element's position and on the row's index. */
static void weigh(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    const uint64_t *salt = arguments;
    uint64_t sum = *salt + index;
    for (size_t i = 0; i < row->width; i++)
        sum = 31 * sum + (row->dtype == ROWPOOL_INT32 ? (uint64_t)((const int32_t *)row->data)[i]
                                                      : ((const uint8_t *)row->data)[i]);
    memcpy(result, &sum, sizeof sum);
}

static const rowpool_function weighing = {.size = sizeof weighing,
                                          .name = "weigh",
                                          .row = weigh,
                                          .arguments_size = sizeof(uint64_t),
                                          .result_size = sizeof(uint64_t)};

static rowpool_row row_at(const rowpool_rows *rows, size_t i)
{
    size_t stride = rows->stride != 0 ? rows->stride : rows->width;
    size_t begin = rows->offsets != NULL ? (size_t)rows->offsets[i] : i * stride;
    size_t width = rows->offsets != NULL ? (size_t)(rows->offsets[i + 1] - rows->offsets[i]) : rows->width;
    return (rowpool_row){(const char *)rows->data + begin * test_size(rows->dtype), width, rows->dtype};
}

static uint64_t sum_of(const rowpool_row *row)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < row->width; i++)
        sum += row->dtype == ROWPOOL_INT32 ? (uint64_t)((const int32_t *)row->data)[i]
                                           : ((const uint8_t *)row->data)[i];
    return sum;
}

static void expect(work *w, function_kind kind)
{
    if (kind <= COUNT64) {
        test_expect(&w->array.rows, w->ranges, w->call.n_ranges, w->expected);
        return;
    }
    for (size_t i = 0; i < w->array.rows.count; i++) {
        rowpool_row row = row_at(&w->array.rows, i);
        w->expected[i] = sum_of(&row);
        if (kind == WEIGH)
            weigh(&row, i, &w->salt, &w->expected[i]);
    }
}

static const rowpool_function *function_of(function_kind kind)
{
    static const char *const names[] = {"count", "count64", "sum"};
    return kind == WEIGH ? &weighing : rowpool_builtin(names[kind]);
}

static void make_work(work *w, rowpool *pool, test_random *random, function_kind kind)
{
    static const rowpool_dtype dtypes[] = {ROWPOOL_INT32, ROWPOOL_UINT8, ROWPOOL_FLOAT32, ROWPOOL_FLOAT16};
    rowpool_dtype dtype = dtypes[test_below(random, kind <= COUNT64 ? COUNT_OF(dtypes) : 2)];
    size_t count = (size_t)test_below(random, 200),
           width = (size_t)test_below(random, test_chance(random, 4) ? 150 : 9);
    *w = (work){.pool = pool, .salt = test_next(random), .order = (rowpool_order)test_below(random, 2)};
    w->array = test_array_make(random, dtype, (test_layout)test_below(random, TEST_LAYOUTS), count, width, 0);
    w->call = (rowpool_call){.size = sizeof w->call,
                             .function = function_of(kind),
                             .inputs = &w->array.rows,
                             .chunk_rows = test_chance(random, 3) ? 1 + (size_t)test_below(random, 100) : 0,
                             .allow_host = test_chance(random, 2)};
    if (kind <= COUNT64) {
        w->call.ranges = w->ranges;
        w->call.n_ranges = 1 + (size_t)test_below(random, MAX_RANGES);
        for (size_t k = 0; k < w->call.n_ranges; k++)
            w->ranges[k] = test_range_for(random, &w->array.rows);
    } else if (kind == WEIGH) {
        w->call.arguments = &w->salt;
        w->call.arguments_size = sizeof w->salt;
    }
    size_t n = count * (kind <= COUNT64 ? w->call.n_ranges : 1);
    w->results = test_counts_make(n, kind == COUNT ? sizeof(uint32_t) : sizeof(uint64_t), 0);
    w->call.results = w->results.counts;
    w->call.results_size = n * w->results.size;
    w->expected = malloc((n + 1) * sizeof *w->expected);
    if (w->expected == NULL || sem_init(&w->called, 0, 0) != 0)
        abort();
    expect(w, kind);
}

static void free_work(work *w)
{
    sem_destroy(&w->called);
    free(w->expected);
    test_counts_free(&w->results);
    test_array_free(&w->array);
}

static bool is_right(const work *w)
{
    return test_counts_right(&w->results, w->expected, w->call.function->name, &w->array.rows, w->call.ranges,
                             w->call.n_ranges);
}

/* ---- Callbacks -------------------------------------------------------------------------------------------------- */

static int take(size_t row, size_t rows, const void *results, void *payload)
{
    work *w = payload;
    size_t bytes = w->results.n / w->array.rows.count * w->results.size;
    w->disorder |= w->order == ROWPOOL_IN_ORDER && row != w->taken;
    w->taken += rows;
    memcpy((char *)w->results.counts + row * bytes, results, rows * bytes);
    return 0;
}

static void done(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    work *w = payload, *next = w->next;
    (void)error;
    w->status = job == NULL || rowpool_job_poll(job, NULL) == status ? status : ROWPOOL_ESYSTEM;
    if (next != NULL && rowpool_map_async(next->pool, &next->call, done, next, NULL, NULL) != ROWPOOL_OK) {
        next->status = ROWPOOL_ESYSTEM;
        sem_post(&next->called);
    }
    sem_post(&w->called);
}

/* ---- Jobs that other threads query ------------------------------------------------------------------------------ */

/* A thread's current job. Other threads hold the lock for reading while they use it. */
typedef struct {
    pthread_rwlock_t lock;
    rowpool_job *job;
    size_t rows;
} shown;

static shown board[THREADS];

static void show(size_t thread, rowpool_job *job, size_t rows)
{
    pthread_rwlock_wrlock(&board[thread].lock);
    board[thread].job = job;
    board[thread].rows = rows;
    pthread_rwlock_unlock(&board[thread].lock);
}

static bool is_readable(int descriptor)
{
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

static bool look_at_job(rowpool_job *job, size_t rows, test_random *random)
{
    size_t so_far = 0, all = 0;
    rowpool_status status = ROWPOOL_ENOTREADY;
    switch (test_below(random, 4)) {
    case 0:
        status = rowpool_job_poll(job, NULL);
        break;
    case 1:
        status = rowpool_job_wait(job, (int)test_below(random, 2), NULL);
        break;
    case 2:
        if (rowpool_job_progress(job, &so_far, &all, NULL) != ROWPOOL_OK || so_far > all || all != rows)
            return false;
        break;
    default:
        if (rowpool_job_descriptor(job, NULL) < 0)
            return false;
    }
    bool known = status == ROWPOOL_OK || status == ROWPOOL_ECANCELED || status == ROWPOOL_ETIMEDOUT;
    return known ? is_readable(rowpool_job_descriptor(job, NULL)) : status == ROWPOOL_ENOTREADY;
}

static bool look_around(test_random *random)
{
    shown *other = &board[test_below(random, THREADS)];
    pthread_rwlock_rdlock(&other->lock);
    bool right = other->job == NULL || look_at_job(other->job, other->rows, random);
    pthread_rwlock_unlock(&other->lock);
    return right;
}

/* ---- Ways to run a map ------------------------------------------------------------------------------------------ */

typedef enum {
    CALL,
    JOB,
    STREAM,
    STREAM_JOB,
    DETACHED,
    CHAINED,
    CANCELLED,
    TIMED,
    HISTOGRAM,
    APPLY,
    DEVICES,
    WAYS
} way;

typedef struct {
    rowpool *pool;
    size_t number, wrong, ran[WAYS], ended; /* ended: cancelled or timed out */
    test_random random;
} user;

static rowpool_status as_call(work *w, function_kind kind, test_random *random)
{
    const rowpool_call *call = &w->call;
    if (kind == COUNT && test_chance(random, 2))
        return rowpool_range_count(w->pool, call->inputs, call->ranges, call->n_ranges, call->results, NULL);
    if (kind == COUNT64 && test_chance(random, 2))
        return rowpool_range_count_u64(w->pool, call->inputs, call->ranges, call->n_ranges, call->results, NULL);
    return rowpool_map(w->pool, call, NULL);
}

static rowpool_status as_stream(work *w)
{
    rowpool_status status = rowpool_map_stream(w->pool, &w->call, w->order, take, w, NULL);
    return w->disorder || w->taken != w->array.rows.count ? ROWPOOL_ESYSTEM : status;
}

/* Lets the other threads see the job until it is done. */
static rowpool_status await(user *u, rowpool_job *job, size_t rows)
{
    show(u->number, job, rows);
    rowpool_status status = rowpool_job_wait(job, -1, NULL);
    show(u->number, NULL, 0);
    rowpool_job_release(job);
    return status;
}

static rowpool_status as_job(user *u, work *w, way how)
{
    rowpool_job *job;
    bool calls_back = test_chance(&u->random, 2);
    rowpool_done *callback = calls_back ? done : NULL;
    rowpool_status status = how == STREAM_JOB
                                ? rowpool_map_stream_async(w->pool, &w->call, w->order, take, callback, w, &job, NULL)
                                : rowpool_map_async(w->pool, &w->call, callback, w, &job, NULL);
    if (status != ROWPOOL_OK)
        return status;
    if (how == CANCELLED)
        rowpool_job_cancel(job, NULL);
    if (how == TIMED)
        rowpool_job_timeout(job, (int)test_below(&u->random, 3), NULL);
    status = await(u, job, w->array.rows.count);
    if (calls_back) {
        sem_wait(&w->called);
        status = w->status == status ? status : ROWPOOL_ESYSTEM;
    }
    if (how == STREAM_JOB && (w->disorder || w->taken != w->array.rows.count))
        return ROWPOOL_ESYSTEM;
    return status;
}

static rowpool_status as_detached(work *w)
{
    rowpool_status status = rowpool_map_async(w->pool, &w->call, done, w, NULL, NULL);
    if (status != ROWPOOL_OK)
        return status;
    sem_wait(&w->called);
    return w->status;
}

static bool run_histogram(work *w)
{
    const rowpool_number edges[] = {test_i64(-3), test_f64(4.5), test_u64(9)};
    const rowpool_closed closed[] = {ROWPOOL_CLOSED_LEFT, ROWPOOL_CLOSED_BOTH};
    for (size_t k = 0; k < 2; k++)
        w->ranges[k] = (rowpool_range){edges[k], edges[k + 1], closed[k]};
    size_t n = 2 * w->array.rows.count;
    test_counts_free(&w->results);
    free(w->expected);
    w->results = test_counts_make(n, sizeof(uint32_t), 0);
    w->expected = calloc(n + 1, sizeof *w->expected);
    if (w->expected == NULL)
        abort();
    w->call.n_ranges = 2;
    expect(w, COUNT);
    return rowpool_histogram(w->pool, &w->array.rows, edges, COUNT_OF(edges), w->results.counts, NULL) == ROWPOOL_OK &&
           is_right(w);
}

static bool run_map(user *u, way how)
{
    work w, second;
    function_kind kind = (function_kind)test_below(&u->random, how == HISTOGRAM ? 1 : FUNCTIONS);
    make_work(&w, u->pool, &u->random, kind);
    rowpool_status status = ROWPOOL_OK;
    bool right = true;
    if (how == HISTOGRAM) {
        right = run_histogram(&w);
    } else if (how == CALL) {
        status = as_call(&w, kind, &u->random);
    } else if (how == STREAM) {
        status = as_stream(&w);
    } else if (how == DETACHED) {
        status = as_detached(&w);
    } else if (how == CHAINED) {
        make_work(&second, u->pool, &u->random, (function_kind)test_below(&u->random, FUNCTIONS));
        w.next = &second;
        status = as_detached(&w);
        sem_wait(&second.called);
        right = second.status == ROWPOOL_OK && is_right(&second);
        free_work(&second);
    } else {
        status = as_job(u, &w, how);
    }
    bool ended = (how == CANCELLED && status == ROWPOOL_ECANCELED) || (how == TIMED && status == ROWPOOL_ETIMEDOUT);
    u->ended += ended;
    if (status == ROWPOOL_OK)
        right &= is_right(&w);
    else
        right &= ended;
    free_work(&w);
    return right;
}

/* ---- Calls other than maps -------------------------------------------------------------------------------------- */

static void turn_round(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    const char *from = argument;
    char *to = result;
    for (size_t i = 0; i < result_size; i++)
        to[i] = from[argument_size - 1 - i];
}

static bool run_apply(user *u)
{
    char argument[40], result[sizeof argument];
    rowpool_job *job;
    for (size_t i = 0; i < sizeof argument; i++)
        argument[i] = (char)test_next(&u->random);
    rowpool_status status;
    if (test_chance(&u->random, 2)) {
        status = rowpool_apply(u->pool, turn_round, argument, sizeof argument, result, sizeof result, NULL);
    } else {
        status = rowpool_apply_async(u->pool, turn_round, argument, sizeof argument, result, sizeof result, NULL, NULL,
                                     &job, NULL);
        if (status == ROWPOOL_OK)
            status = await(u, job, 1);
    }
    bool right = status == ROWPOOL_OK;
    for (size_t i = 0; i < sizeof argument; i++)
        right &= result[i] == argument[sizeof argument - 1 - i];
    return right;
}

static bool run_devices(user *u)
{
    rowpool_device devices[16];
    size_t count = 0;
    return rowpool_devices(u->pool, devices, COUNT_OF(devices), &count, NULL) == ROWPOOL_OK && count >= 2 &&
           devices[0].in_use;
}

static void *use_pool(void *argument)
{
    static const char *const names[WAYS] = {"call",      "job",   "stream",    "stream job", "detached", "chained",
                                            "cancelled", "timed", "histogram", "apply",      "devices"};
    user *u = argument;
    size_t jobs = test_setting("ROWPOOL_TEST_JOBS", 1000);
    for (size_t i = 0; i < jobs; i++) {
        way how = (way)test_below(&u->random, WAYS);
        bool right = how == APPLY ? run_apply(u) : how == DEVICES ? run_devices(u) : run_map(u, how);
        if (!right)
            fprintf(stderr, "thread %zu, job %zu, %s: wrong\n", u->number, i, names[how]);
        if (!look_around(&u->random)) {
            fprintf(stderr, "thread %zu, job %zu: another thread's job is in a wrong state\n", u->number, i);
            right = false;
        }
        u->ran[how]++;
        u->wrong += !right;
    }
    return NULL;
}

/* ---- The test --------------------------------------------------------------------------------------------------- */

static bool has_opencl_cpu(void)
{
    rowpool_device devices[16];
    size_t count = 0;
    rowpool_error error;
    assert_ok(rowpool_devices(NULL, devices, COUNT_OF(devices), &count, &error), error);
    for (size_t i = 0; i < count && i < COUNT_OF(devices); i++)
        if (devices[i].in_use && devices[i].type == ROWPOOL_DEVICE_CPU)
            return true;
    return false;
}

TEST(mixed_jobs_of_many_threads)
{
    rowpool *pool;
    rowpool_error error;
    const char *device = has_opencl_cpu() ? "cpu,fork" : "auto";
    rowpool_options options = {.size = sizeof options, .device = device, .workers = 2, .chunk_bytes = 2048};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    test_seed(); /* printed here, by one thread */
    pthread_t threads[THREADS];
    static user users[THREADS];
    for (size_t t = 0; t < THREADS; t++) {
        pthread_rwlock_init(&board[t].lock, NULL);
        users[t] = (user){.pool = pool, .number = t, .random = test_random_begin(t)};
    }
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, use_pool, &users[t]), 0);
    size_t wrong = 0, ran = 0, ended = 0, to_end = 0;
    for (size_t t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
        wrong += users[t].wrong;
        ended += users[t].ended;
        to_end += users[t].ran[CANCELLED] + users[t].ran[TIMED];
        for (size_t i = 0; i < WAYS; i++)
            ran += users[t].ran[i];
    }
    printf("%s: %zu jobs of %d threads, %zu wrong; %zu of %zu cancelled or timed out\n", device, ran, THREADS, wrong,
           ended, to_end);
    rowpool_close(pool);
    assert_int_equal(wrong, 0);
    assert_false(test_has_child());
}

/* ---- Launches of many widths: drivers cache kernels for them ---------------------------------------------------- */

enum { WIDE = 1000, MAX_WIDE = 1000, WIDE_MAPS = 400 };

typedef struct {
    rowpool *pool;
    const int32_t *elements; /* MAX_WIDE rows of WIDE; row i begins with i 4s */
    size_t number, wrong;
} launcher;

static void *map_many_counts(void *argument)
{
    launcher *own = argument;
    test_random random = test_random_begin(own->number);
    static _Thread_local uint32_t counts[MAX_WIDE];
    for (size_t map = 0; map < WIDE_MAPS; map++) {
        const size_t count = 1 + (size_t)test_below(&random, MAX_WIDE);
        const rowpool_rows rows = {.data = own->elements, .dtype = ROWPOOL_INT32, .count = count, .width = WIDE};
        bool right = rowpool_range_count(own->pool, &rows, NULL, 0, counts, NULL) == ROWPOOL_OK;
        for (size_t row = 0; row < count; row++)
            right = right && counts[row] == row;
        own->wrong += !right;
    }
    return NULL;
}

TEST(launches_of_many_widths)
{
    enum { LAUNCHERS = 4 };
    rowpool *pool;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = has_opencl_cpu() ? "all" : "auto"};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    int32_t *elements = calloc((size_t)MAX_WIDE * WIDE, sizeof *elements);
    assert_non_null(elements);
    for (size_t row = 0; row < MAX_WIDE; row++)
        for (size_t i = 0; i < row; i++)
            elements[row * WIDE + i] = 4;
    launcher launchers[LAUNCHERS];
    pthread_t threads[LAUNCHERS];
    for (size_t i = 0; i < LAUNCHERS; i++) {
        launchers[i] = (launcher){.pool = pool, .elements = elements, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, map_many_counts, &launchers[i]), 0);
    }
    for (size_t i = 0; i < LAUNCHERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(launchers[i].wrong, 0);
    }
    rowpool_close(pool);
    free(elements);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mixed_jobs_of_many_threads),
                                       cmocka_unit_test(launches_of_many_widths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
