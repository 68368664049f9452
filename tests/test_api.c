/* The public calls: what they refuse and with which message, what asynchronous jobs guarantee, which device is used. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static rowpool *open_pool(const char *device, size_t chunk_bytes)
{
    rowpool *pool = NULL;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = device, .chunk_bytes = chunk_bytes, .workers = 2};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    assert_non_null(pool);
    return pool;
}

/* The kinds of pool on which jobs must behave alike. */
static const char *const devices[] = {"host", "fork", "auto"};

enum { ROWS = 100, WIDTH = 5 };

/* 100 rows that repeat 0..9: rows alternate between 0 1 2 3 4 (one element in [4, 8]) and 5 6 7 8 9 (four). */
static int32_t digits[ROWS * WIDTH];
static const rowpool_rows digit_rows = {.data = digits, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};

static void make_digits(void)
{
    for (int32_t i = 0; i < ROWS * WIDTH; i++)
        digits[i] = i % 10;
}

static bool digits_right(const uint32_t *counts)
{
    for (size_t i = 0; i < ROWS; i++)
        if (counts[i] != (i % 2 == 0 ? 1u : 4u))
            return false;
    return true;
}

static bool pool_works(rowpool *pool)
{
    uint32_t counts[ROWS];
    memset(counts, 0xff, sizeof counts);
    return rowpool_range_count(pool, &digit_rows, NULL, 0, counts, NULL) == ROWPOOL_OK && digits_right(counts);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

TEST(the_version_is_the_headers)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", ROWPOOL_VERSION_MAJOR, ROWPOOL_VERSION_MINOR, ROWPOOL_VERSION_PATCH);
    assert_string_equal(rowpool_version(), text);
}

TEST(null_is_accepted_where_documented)
{
    rowpool_close(NULL);
    rowpool_job_release(NULL);
    rowpool_free(NULL);
    rowpool *pool = NULL;
    assert_int_equal(rowpool_open(&pool, NULL, NULL), ROWPOOL_OK);
    assert_true(pool_works(pool));
    rowpool_close(pool);
}

TEST(open_needs_a_pointer_for_the_handle)
{
    rowpool_error error;
    assert_refused(rowpool_open(NULL, NULL, &error), ROWPOOL_EINVAL, error, "pool is NULL");
    assert_int_equal(rowpool_open(NULL, NULL, NULL), ROWPOOL_EINVAL);
}

static void open_refused(const rowpool_options *options, rowpool_status expected, const char *text)
{
    rowpool *pool = (rowpool *)(uintptr_t)16; /* must become NULL */
    rowpool_error error;
    assert_refused(rowpool_open(&pool, options, &error), expected, error, text);
    assert_null(pool);
    pool = (rowpool *)(uintptr_t)16;
    assert_int_equal(rowpool_open(&pool, options, NULL), expected);
    assert_null(pool);
}

TEST(options_of_another_size_are_refused)
{
    static const size_t sizes[] = {0, 1, sizeof(rowpool_options) - 1, sizeof(rowpool_options) + 8, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        rowpool_options options = {.size = sizes[i]};
        open_refused(&options, ROWPOOL_EINVAL, "options.size");
    }
}

TEST(unknown_device_words_are_refused)
{
    static const char *const words[] = {"",
                                        "nonsense",
                                        "CPU",
                                        "fork,",
                                        ",fork",
                                        "fork,,host",
                                        "fork host",
                                        " fork",
                                        "0:",
                                        ":0",
                                        "0",
                                        "0:0x",
                                        "-1:0",
                                        "0:-1",
                                        "0:0:0",
                                        "host,nonsense",
                                        "a word that is much longer than any word that names a device can ever be"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        rowpool_options options = {.size = sizeof options, .device = words[i]};
        char quoted[128];
        snprintf(quoted, sizeof quoted, "'%s'", words[i]);
        open_refused(&options, ROWPOOL_EINVAL, quoted);
        open_refused(&options, ROWPOOL_EINVAL, "auto, cpu, gpu"); /* the valid words */
    }
}

TEST(a_missing_device_is_refused)
{
    static const char *const words[] = {"9:9", "0:999", "999999:0", "host,9:9", "fork,63:63"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        rowpool_options options = {.size = sizeof options, .device = words[i]};
        open_refused(&options, ROWPOOL_ENODEVICE, "fork"); /* the message lists the devices */
    }
}

/* Lists the devices, with the pool's figures, or with pool NULL as rowpool_open would see them. */
static size_t find_devices(rowpool *pool, rowpool_device *found, size_t capacity)
{
    size_t count = 0;
    rowpool_error error;
    assert_ok(rowpool_devices(pool, found, capacity, &count, &error), error);
    assert_true(count <= capacity);
    return count;
}

enum { MAX_DEVICES = 64 };

static const rowpool_device *device_of(const rowpool_device *found, size_t count, rowpool_device_type type)
{
    for (size_t i = 0; i < count; i++)
        if (found[i].type == type)
            return &found[i];
    return NULL;
}

TEST(a_missing_device_type_is_refused)
{
    rowpool_device found[MAX_DEVICES];
    size_t count = find_devices(NULL, found, MAX_DEVICES);
    static const struct {
        const char *word;
        rowpool_device_type type;
    } types[] = {{"gpu", ROWPOOL_DEVICE_GPU}, {"cpu", ROWPOOL_DEVICE_CPU}, {"accelerator", ROWPOOL_DEVICE_ACCELERATOR}};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        rowpool_options options = {.size = sizeof options, .device = types[i].word};
        if (device_of(found, count, types[i].type) == NULL)
            open_refused(&options, ROWPOOL_ENODEVICE, types[i].word);
    }
}

TEST(too_many_workers_are_refused)
{
    rowpool_options options = {.size = sizeof options, .device = "fork", .workers = 1025};
    open_refused(&options, ROWPOOL_EINVAL, "options.workers is 1025");
    options.workers = SIZE_MAX;
    open_refused(&options, ROWPOOL_EINVAL, "options.workers");
}

TEST(bad_variables_are_refused_by_name)
{
    static const struct {
        const char *name, *value, *text;
        rowpool_status status;
    } bad[] = {
        {"ROWPOOL_DEVICE", "nonsense", "'nonsense'", ROWPOOL_EINVAL},
        {"ROWPOOL_DEVICE", "fork,", "'fork,'", ROWPOOL_EINVAL},
        {"ROWPOOL_DEVICE", "9:9", "9:9", ROWPOOL_ENODEVICE},
        {"ROWPOOL_WORKERS", "0", "ROWPOOL_WORKERS is '0'", ROWPOOL_EINVAL},
        {"ROWPOOL_WORKERS", "-1", "ROWPOOL_WORKERS", ROWPOOL_EINVAL},
        {"ROWPOOL_WORKERS", "1025", "ROWPOOL_WORKERS", ROWPOOL_EINVAL},
        {"ROWPOOL_WORKERS", "two", "ROWPOOL_WORKERS is 'two'", ROWPOOL_EINVAL},
        {"ROWPOOL_CHUNK_BYTES", "0", "ROWPOOL_CHUNK_BYTES", ROWPOOL_EINVAL},
        {"ROWPOOL_CHUNK_BYTES", "1M", "ROWPOOL_CHUNK_BYTES is '1M'", ROWPOOL_EINVAL},
        {"ROWPOOL_CHUNK_BYTES", "99999999999999999999", "ROWPOOL_CHUNK_BYTES", ROWPOOL_EINVAL},
    };
    const rowpool_options all_given = {.size = sizeof all_given, .device = "fork", .workers = 1, .chunk_bytes = 4096};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        setenv(bad[i].name, bad[i].value, 1);
        open_refused(NULL, bad[i].status, bad[i].text);
        rowpool *pool; /* an option takes precedence: the variable is not read */
        rowpool_error error;
        assert_ok(rowpool_open(&pool, &all_given, &error), error);
        rowpool_close(pool);
        unsetenv(bad[i].name);
    }
}

/* This variable has no option. */
TEST(an_unknown_cpu_variant_is_refused)
{
    setenv("ROWPOOL_CPU", "nonsense", 1);
    open_refused(NULL, ROWPOOL_EINVAL, "ROWPOOL_CPU is 'nonsense'");
    open_refused(NULL, ROWPOOL_EINVAL, "baseline"); /* a valid value */
    setenv("ROWPOOL_CPU", "baseline", 1);
    rowpool_close(open_pool("host", 0));
    unsetenv("ROWPOOL_CPU");
}

TEST(variables_apply_where_options_are_zero)
{
    setenv("ROWPOOL_DEVICE", "fork", 1);
    setenv("ROWPOOL_WORKERS", "3", 1);
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, NULL, &error), error);
    rowpool_device found[MAX_DEVICES];
    find_devices(pool, found, MAX_DEVICES);
    assert_int_equal(found[0].type, ROWPOOL_DEVICE_FORK);
    assert_true(found[0].in_use);
    assert_int_equal(found[0].units, 3);
    assert_true(pool_works(pool));
    rowpool_close(pool);
    unsetenv("ROWPOOL_DEVICE");
    unsetenv("ROWPOOL_WORKERS");
}

TEST(an_empty_variable_is_unset)
{
    setenv("ROWPOOL_DEVICE", "", 1);
    setenv("ROWPOOL_WORKERS", "", 1);
    setenv("ROWPOOL_CHUNK_BYTES", "", 1);
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, NULL, &error), error);
    rowpool_close(pool);
    unsetenv("ROWPOOL_DEVICE");
    unsetenv("ROWPOOL_WORKERS");
    unsetenv("ROWPOOL_CHUNK_BYTES");
}

/* ---- What a map refuses ----------------------------------------------------------------------------------------- */

static void never(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    (void)job, (void)status, (void)error;
    *(bool *)payload = true;
}

/* All four forms of the call refuse it alike, with an error struct and without. */
static void map_refused(rowpool *pool, const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges,
                        void *counts, const char *text)
{
    rowpool_error error;
    bool called = false;
    rowpool_job *job = (rowpool_job *)(uintptr_t)16;
    assert_refused(rowpool_range_count(pool, rows, ranges, n_ranges, counts, &error), ROWPOOL_EINVAL, error, text);
    assert_refused(rowpool_range_count_u64(pool, rows, ranges, n_ranges, counts, &error), ROWPOOL_EINVAL, error, text);
    assert_refused(rowpool_range_count_async(pool, rows, ranges, n_ranges, counts, never, &called, &job, &error),
                   ROWPOOL_EINVAL, error, text);
    assert_null(job);
    job = (rowpool_job *)(uintptr_t)16;
    assert_refused(rowpool_range_count_u64_async(pool, rows, ranges, n_ranges, counts, never, &called, &job, &error),
                   ROWPOOL_EINVAL, error, text);
    assert_null(job);
    assert_int_equal(rowpool_range_count(pool, rows, ranges, n_ranges, counts, NULL), ROWPOOL_EINVAL);
    assert_int_equal(rowpool_range_count_async(pool, rows, ranges, n_ranges, counts, NULL, NULL, NULL, NULL),
                     ROWPOOL_EINVAL);
    assert_false(called);
}

static uint64_t place[2 * ROWS];

TEST(missing_arguments_are_refused)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_range range = rowpool_range_i64(4, 8);
    map_refused(NULL, &digit_rows, NULL, 0, place, "pool is NULL");
    map_refused(pool, NULL, NULL, 0, place, "rows is NULL");
    map_refused(pool, &digit_rows, NULL, 0, NULL, "counts is NULL");
    map_refused(pool, &digit_rows, NULL, 1, place, "ranges is NULL");
    map_refused(pool, &digit_rows, &range, 0, place, "n_ranges is 0");
    rowpool_rows rows = digit_rows;
    rows.data = NULL;
    map_refused(pool, &rows, NULL, 0, place, "rows.data is NULL");
    assert_true(pool_works(pool));
    rowpool_close(pool);
}

TEST(wrong_rows_are_refused)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_rows rows = digit_rows;
    rows.dtype = (rowpool_dtype)11;
    map_refused(pool, &rows, NULL, 0, place, "rows.dtype is 11");
    rows = digit_rows;
    rows.data = (const char *)digits + 2;
    map_refused(pool, &rows, NULL, 0, place, "rows.data is not aligned");
    rows = digit_rows;
    rows.stride = WIDTH - 1;
    map_refused(pool, &rows, NULL, 0, place, "rows.stride");
    static const int64_t decreasing[] = {0, 5, 3, 8}, negative[] = {-1, 0, 0, 0}, beyond[] = {0, 5, 9, 501};
    rows = (rowpool_rows){.data = digits, .dtype = ROWPOOL_INT32, .count = 3, .offsets = decreasing};
    map_refused(pool, &rows, NULL, 0, place, "rows.offsets[2]");
    rows.offsets = negative;
    map_refused(pool, &rows, NULL, 0, place, "rows.offsets[0]");
    rows.offsets = beyond;
    rows.width = (size_t)ROWS * WIDTH;
    map_refused(pool, &rows, NULL, 0, place, "rows.offsets[3]");
    rows.width = 0;
    rows.stride = 5;
    map_refused(pool, &rows, NULL, 0, place, "rows.stride");
    rowpool_close(pool);
}

TEST(wrong_ranges_are_refused)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_range ranges[] = {rowpool_range_i64(4, 8), rowpool_range_f64(0, (double)NAN)};
    map_refused(pool, &digit_rows, ranges, 2, place, "ranges[1].hi");
    ranges[1] = ranges[0];
    ranges[0].closed = (rowpool_closed)9;
    map_refused(pool, &digit_rows, ranges, 2, place, "ranges[0].closed");
    ranges[0] = ranges[1];
    ranges[1].lo.kind = (rowpool_number_kind)3;
    map_refused(pool, &digit_rows, ranges, 2, place, "ranges[1].lo");
    rowpool_close(pool);
}

TEST(misaligned_counts_are_refused)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_error error;
    uint32_t *odd = (uint32_t *)(void *)((char *)place + 2);
    uint64_t *half = (uint64_t *)(void *)((char *)place + 4);
    assert_refused(rowpool_range_count(pool, &digit_rows, NULL, 0, odd, &error), ROWPOOL_EINVAL, error,
                   "counts is not aligned");
    assert_refused(rowpool_range_count_u64(pool, &digit_rows, NULL, 0, half, &error), ROWPOOL_EINVAL, error,
                   "counts is not aligned");
    rowpool_close(pool);
}

/* The addresses are never read: the calls are refused before. */
TEST(sizes_beyond_memory_are_refused)
{
    rowpool *pool = open_pool("host", 0);
    const void *nowhere = (const void *)(uintptr_t)4096;
    rowpool_rows rows = {.data = nowhere, .dtype = ROWPOOL_INT64, .count = (size_t)1 << 32, .width = (size_t)1 << 31};
    map_refused(pool, &rows, NULL, 0, place, "more than memory can hold");
    rows.width = (size_t)1 << 32;
    rows.dtype = ROWPOOL_INT8;
    rowpool_error error;
    assert_refused(rowpool_range_count_u64(pool, &rows, NULL, 0, place, &error), ROWPOOL_EINVAL, error,
                   "more than memory can hold");

    rowpool_range range = rowpool_range_i64(4, 8);
    /* rows without elements still have counts */
    rows = (rowpool_rows){.data = nowhere, .dtype = ROWPOOL_INT8, .count = SIZE_MAX};
    map_refused(pool, &rows, NULL, 0, place, "more than memory can hold");
    rows.count = (size_t)1 << 62; /* 2^64 bytes of counts */
    map_refused(pool, &rows, &range, 1, place, "more than memory can hold");
    rows.count = (size_t)1 << 61; /* 2^63 bytes, reported first although counts is NULL */
    map_refused(pool, &rows, &range, 1, NULL, "more than memory can hold");
    rowpool_close(pool);
}

TEST(a_row_that_uint32_cannot_count_is_refused)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_error error;
    uint32_t counts[2];
    rowpool_rows rows = {
        .data = (const void *)(uintptr_t)4096, .dtype = ROWPOOL_INT8, .count = 1, .width = (size_t)1 << 33};
    assert_refused(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), ROWPOOL_EINVAL, error, "uint64 form");
    rows.width = (size_t)1 << 32;
    assert_refused(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), ROWPOOL_EINVAL, error, "uint64 form");
    static const int64_t offsets[] = {0, 3, INT64_C(1) << 33};
    rows = (rowpool_rows){.data = digits, .dtype = ROWPOOL_INT8, .count = 2, .offsets = offsets};
    assert_refused(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), ROWPOOL_EINVAL, error, "row 1");
    rowpool_close(pool);
}

TEST(maps_without_rows_need_no_pointers)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        rowpool_rows rows = {.dtype = ROWPOOL_FLOAT64, .width = 5};
        assert_ok(rowpool_range_count(pool, &rows, NULL, 0, NULL, &error), error);
        assert_ok(rowpool_range_count_u64(pool, &rows, NULL, 0, NULL, &error), error);
        assert_ok(rowpool_range_count_async(pool, &rows, NULL, 0, NULL, NULL, NULL, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
        rowpool_close(pool);
    }
}

TEST(lo_above_hi_is_empty)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_range range = rowpool_range_f64(8, 4);
        uint32_t counts[ROWS], zeros[ROWS] = {0};
        memset(counts, 0xff, sizeof counts);
        assert_ok(rowpool_range_count(pool, &digit_rows, &range, 1, counts, &error), error);
        assert_memory_equal(counts, zeros, sizeof counts);
        rowpool_close(pool);
    }
}

/* ---- Jobs ------------------------------------------------------------------------------------------------------- */

TEST(missing_jobs_are_refused)
{
    rowpool_error error;
    size_t rows;
    assert_refused(rowpool_job_wait(NULL, 0, &error), ROWPOOL_EINVAL, error, "job is NULL");
    assert_refused(rowpool_job_poll(NULL, &error), ROWPOOL_EINVAL, error, "job is NULL");
    assert_refused(rowpool_job_cancel(NULL, &error), ROWPOOL_EINVAL, error, "job is NULL");
    assert_refused(rowpool_job_timeout(NULL, 0, &error), ROWPOOL_EINVAL, error, "job is NULL");
    assert_refused(rowpool_job_progress(NULL, &rows, &rows, &error), ROWPOOL_EINVAL, error, "job is NULL");
    assert_int_equal(rowpool_job_wait(NULL, 0, NULL), ROWPOOL_EINVAL);
}

/* What a callback observed. */
typedef struct {
    sem_t called;
    atomic_int calls;
    rowpool_job *job;
    rowpool_status status, polled;
    bool has_error;
    rowpool_error error;
    pthread_t thread;
} witness;

static void witness_init(witness *w)
{
    memset(w, 0, sizeof *w);
    sem_init(&w->called, 0, 0);
}

static void bear_witness(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    witness *w = payload;
    w->job = job;
    w->status = status;
    w->has_error = error != NULL;
    if (error != NULL)
        w->error = *error;
    w->thread = pthread_self();
    w->polled = job != NULL ? rowpool_job_poll(job, NULL) : status;
    if (job != NULL && rowpool_job_wait(job, -1, NULL) != status) /* its own job is done: no deadlock */
        w->polled = ROWPOOL_EDEADLK;
    atomic_fetch_add(&w->calls, 1);
    sem_post(&w->called);
}

TEST(done_is_called_once_on_another_thread)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        uint32_t counts[ROWS];
        witness w;
        witness_init(&w);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, bear_witness, &w, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        assert_true(digits_right(counts));
        assert_ok(rowpool_job_poll(job, &error), error);
        sem_wait(&w.called);
        assert_ptr_equal(w.job, job);
        assert_int_equal(w.status, ROWPOOL_OK);
        assert_int_equal(w.polled, ROWPOOL_OK);
        assert_false(w.has_error);
        assert_false(pthread_equal(w.thread, pthread_self()));
        rowpool_job_release(job);
        rowpool_close(pool);
        assert_int_equal(atomic_load(&w.calls), 1);
        sem_destroy(&w.called);
    }
}

TEST(a_released_job_goes_on)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        uint32_t counts[2][ROWS];
        witness kept, detached;
        witness_init(&kept);
        witness_init(&detached);
        rowpool_job *job;
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts[0], bear_witness, &kept, &job, &error),
                  error);
        rowpool_job_release(job);
        assert_ok(
            rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts[1], bear_witness, &detached, NULL, &error),
            error);
        rowpool_close(pool); /* waits for both */
        assert_true(digits_right(counts[0]));
        assert_true(digits_right(counts[1]));
        assert_int_equal(atomic_load(&kept.calls), 1);
        assert_ptr_equal(kept.job, job); /* the handle was still valid in the callback */
        assert_int_equal(kept.polled, ROWPOOL_OK);
        assert_int_equal(atomic_load(&detached.calls), 1);
        assert_null(detached.job);
        sem_destroy(&kept.called);
        sem_destroy(&detached.called);
    }
}

TEST(close_waits_for_jobs_nobody_holds)
{
    enum { JOBS = 50 };
    static uint32_t counts[JOBS][ROWS];
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        memset(counts, 0xff, sizeof counts);
        for (size_t j = 0; j < JOBS; j++)
            assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts[j], NULL, NULL, NULL, &error),
                      error);
        rowpool_close(pool);
        for (size_t j = 0; j < JOBS; j++)
            assert_true(digits_right(counts[j]));
    }
}

TEST(a_job_may_outlive_its_pool)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        uint32_t counts[ROWS];
        size_t done, rows;
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        rowpool_close(pool);
        assert_ok(rowpool_job_poll(job, &error), error);
        assert_ok(rowpool_job_wait(job, 0, &error), error);
        assert_ok(rowpool_job_progress(job, &done, &rows, &error), error);
        assert_int_equal(done, ROWS);
        assert_int_equal(rows, ROWS);
        assert_ok(rowpool_job_cancel(job, &error), error); /* too late: no effect */
        assert_ok(rowpool_job_poll(job, &error), error);
        assert_true(digits_right(counts));
        rowpool_job_release(job);
    }
}

/* Rows and ranges are copied during the call and may be freed afterwards. */
TEST(rows_and_ranges_are_copied)
{
    enum { RANGES = 40 }; /* more than fit in the job itself */
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        static uint32_t counts[ROWS * RANGES];
        rowpool_rows rows = digit_rows;
        rowpool_range ranges[RANGES];
        for (size_t k = 0; k < RANGES; k++)
            ranges[k] = rowpool_range_i64((int64_t)k, (int64_t)k);
        assert_ok(rowpool_range_count_async(pool, &rows, ranges, RANGES, counts, NULL, NULL, &job, &error), error);
        memset(&rows, 0xff, sizeof rows);
        memset(ranges, 0xff, sizeof ranges);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t k = 0; k < RANGES; k++)
                assert_int_equal(counts[r * RANGES + k], k < 10 && k / 5 == r % 2);
        rowpool_close(pool);
    }
}

/* ---- The dispatcher is blocked: jobs that have not begun -------------------------------------------------------- */

/* A callback that blocks until it is released: until then no other job of the pool can begin or end. */
typedef struct {
    sem_t entered, leave;
} barrier;

static void stay(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    barrier *b = payload;
    (void)job, (void)status, (void)error;
    sem_post(&b->entered);
    sem_wait(&b->leave);
}

static void hold_dispatcher(rowpool *pool, barrier *b)
{
    rowpool_error error;
    static uint32_t counts[ROWS];
    sem_init(&b->entered, 0, 0);
    sem_init(&b->leave, 0, 0);
    assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, stay, b, NULL, &error), error);
    sem_wait(&b->entered);
}

static void let_go(barrier *b)
{
    sem_post(&b->leave);
}

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) == 1 && wanted.revents == POLLIN;
}

TEST(a_jobs_descriptor_can_be_polled)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *asked, *not_asked;
        uint32_t counts[2][ROWS];
        barrier b;
        hold_dispatcher(pool, &b);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts[0], NULL, NULL, &asked, &error), error);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts[1], NULL, NULL, &not_asked, &error),
                  error);
        int descriptor = rowpool_job_descriptor(asked, &error);
        assert_true(descriptor >= 0);
        assert_false(is_readable(descriptor, 0));
        let_go(&b);
        assert_true(is_readable(descriptor, -1));
        assert_ok(rowpool_job_poll(asked, &error), error);
        assert_true(is_readable(descriptor, 0)); /* and stays readable */
        assert_int_equal(rowpool_job_descriptor(asked, &error), descriptor);
        assert_ok(rowpool_job_wait(not_asked, -1, &error), error);
        assert_true(is_readable(rowpool_job_descriptor(not_asked, &error), 0)); /* asked for after the job was done */
        rowpool_job_release(asked);
        assert_int_equal(fcntl(descriptor, F_GETFD), -1);
        rowpool_job_release(not_asked);
        rowpool_close(pool);
    }
    rowpool_error error;
    assert_int_equal(rowpool_job_descriptor(NULL, &error), -1);
    assert_int_equal(error.status, ROWPOOL_EINVAL);
}

static void write_argument(const rowpool_row *row, size_t index, const void *argument, void *result)
{
    (void)row, (void)index;
    *(uint32_t *)result = *(const uint32_t *)argument;
}

TEST(a_jobs_arguments_are_copied)
{
    rowpool *pool = open_pool("host", 0);
    rowpool_error error;
    rowpool_job *job;
    uint32_t argument = 7, results[ROWS];
    const rowpool_function function = {.size = sizeof function,
                                       .name = "write_argument",
                                       .row = write_argument,
                                       .arguments_size = sizeof argument,
                                       .result_size = sizeof *results};
    rowpool_call call = {.size = sizeof call,
                         .function = &function,
                         .inputs = &digit_rows,
                         .arguments = &argument,
                         .arguments_size = sizeof argument,
                         .results = results,
                         .results_size = sizeof results,
                         .allow_host = true};
    barrier b;
    hold_dispatcher(pool, &b);
    assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
    argument = 8;
    let_go(&b);
    assert_ok(rowpool_job_wait(job, -1, &error), error);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(results[i], 7);
    rowpool_job_release(job);
    rowpool_close(pool);
}

TEST(an_unfinished_job_times_out)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        uint32_t counts[ROWS];
        size_t done = 1, rows = 0;
        barrier b;
        hold_dispatcher(pool, &b);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        assert_refused(rowpool_job_wait(job, 0, &error), ROWPOOL_ENOTREADY, error, "not done yet");
        assert_refused(rowpool_job_wait(job, 20, &error), ROWPOOL_ENOTREADY, error, "not done yet");
        assert_refused(rowpool_job_poll(job, &error), ROWPOOL_ENOTREADY, error, "not done yet");
        assert_ok(rowpool_job_progress(job, &done, &rows, &error), error);
        assert_int_equal(done, 0);
        assert_int_equal(rows, ROWS);
        assert_ok(rowpool_job_progress(job, NULL, NULL, &error), error);
        assert_true(pool_works(pool)); /* synchronous calls need no dispatcher */
        let_go(&b);
        assert_ok(rowpool_job_wait(job, 1000000, &error), error);
        assert_ok(rowpool_job_progress(job, &done, &rows, &error), error);
        assert_int_equal(done, ROWS);
        assert_true(digits_right(counts));
        rowpool_job_release(job);
        rowpool_close(pool);
    }
}

TEST(a_cancelled_job_says_so)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        test_counts counts = test_counts_make(ROWS, sizeof(uint32_t), 0);
        witness w;
        witness_init(&w);
        barrier b;
        hold_dispatcher(pool, &b);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts.counts, bear_witness, &w, &job, &error),
                  error);
        assert_ok(rowpool_job_cancel(job, &error), error);
        assert_ok(rowpool_job_cancel(job, &error), error); /* closing twice is harmless */
        let_go(&b);
        assert_refused(rowpool_job_wait(job, -1, &error), ROWPOOL_ECANCELED, error, "cancel");
        assert_refused(rowpool_job_poll(job, &error), ROWPOOL_ECANCELED, error, "cancel");
        sem_wait(&w.called);
        assert_int_equal(w.status, ROWPOOL_ECANCELED);
        assert_int_equal(w.polled, ROWPOOL_ECANCELED);
        assert_true(w.has_error);
        assert_int_equal(w.error.status, ROWPOOL_ECANCELED);
        assert_true(pool_works(pool));
        rowpool_job_release(job);
        rowpool_close(pool);
        assert_int_equal(atomic_load(&w.calls), 1);
        test_counts_free(&counts);
        sem_destroy(&w.called);
    }
}

TEST(a_job_ends_when_its_time_is_up)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        test_counts counts = test_counts_make(ROWS, sizeof(uint32_t), 0);
        witness w;
        witness_init(&w);
        barrier b;
        hold_dispatcher(pool, &b);
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts.counts, bear_witness, &w, &job, &error),
                  error);
        assert_ok(rowpool_job_timeout(job, 1000000, &error), error);
        assert_ok(rowpool_job_timeout(job, 0, &error), error); /* the last call takes effect */
        let_go(&b);
        assert_refused(rowpool_job_wait(job, -1, &error), ROWPOOL_ETIMEDOUT, error, " ms, with 0 of 100 rows done");
        sem_wait(&w.called);
        assert_int_equal(w.status, ROWPOOL_ETIMEDOUT);
        assert_int_equal(w.polled, ROWPOOL_ETIMEDOUT);
        assert_true(w.has_error);
        assert_ok(rowpool_job_timeout(job, -1, &error), error); /* too late */
        assert_refused(rowpool_job_poll(job, &error), ROWPOOL_ETIMEDOUT, error, " ms, with 0 of 100 rows done");
        assert_true(pool_works(pool));
        rowpool_job_release(job);
        rowpool_close(pool);
        assert_int_equal(atomic_load(&w.calls), 1);
        test_counts_free(&counts);
        sem_destroy(&w.called);
    }
}

/* The call's timeout expires while the job waits; the deadline can be extended before the job begins. */
TEST(a_deadline_can_be_moved)
{
    enum { AS_IT_IS, NONE, LATER, MOVES };
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        for (int move = AS_IT_IS; move < MOVES; move++) {
            rowpool *pool = open_pool(devices[i], 0);
            rowpool_error error;
            rowpool_job *job;
            uint32_t counts[ROWS];
            rowpool_call call = {.size = sizeof call,
                                 .function = rowpool_builtin("count"),
                                 .inputs = &digit_rows,
                                 .results = counts,
                                 .results_size = sizeof counts,
                                 .timeout_ms = 1};
            barrier b;
            hold_dispatcher(pool, &b);
            assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
            assert_refused(rowpool_job_wait(job, 5, &error), ROWPOOL_ENOTREADY, error, "not done yet");
            if (move != AS_IT_IS)
                assert_ok(rowpool_job_timeout(job, move == NONE ? -1 : 1000000, &error), error);
            let_go(&b);
            if (move == AS_IT_IS) {
                assert_refused(rowpool_job_wait(job, -1, &error), ROWPOOL_ETIMEDOUT, error,
                               "timed out after 1 ms, with");
            } else {
                assert_ok(rowpool_job_wait(job, -1, &error), error);
                assert_true(digits_right(counts));
                assert_ok(rowpool_job_timeout(job, 0, &error), error); /* a job that is done stays done */
                assert_ok(rowpool_job_poll(job, &error), error);
            }
            rowpool_job_release(job);
            rowpool_close(pool);
        }
}

/* ---- Running jobs ----------------------------------------------------------------------------------------------- */

enum { MANY_ROWS = 40000 };

/* Enough rows for many chunks. */
static rowpool_rows many_rows(void)
{
    static int32_t *data;
    if (data == NULL) {
        data = malloc((size_t)MANY_ROWS * WIDTH * sizeof *data);
        assert_non_null(data);
        for (int32_t i = 0; i < MANY_ROWS * WIDTH; i++)
            data[i] = i % 10;
    }
    return (rowpool_rows){.data = data, .dtype = ROWPOOL_INT32, .count = MANY_ROWS, .width = WIDTH};
}

TEST(progress_only_grows)
{
    static uint32_t counts[MANY_ROWS];
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 2000);
        rowpool_error error;
        rowpool_job *job;
        rowpool_rows many = many_rows();
        assert_ok(rowpool_range_count_async(pool, &many, NULL, 0, counts, NULL, NULL, &job, &error), error);
        size_t before = 0, done, rows;
        rowpool_status status;
        do {
            status = rowpool_job_poll(job, NULL);
            assert_ok(rowpool_job_progress(job, &done, &rows, &error), error);
            assert_true(before <= done && done <= rows);
            assert_int_equal(rows, MANY_ROWS);
            before = done;
        } while (status == ROWPOOL_ENOTREADY);
        assert_int_equal(status, ROWPOOL_OK);
        assert_int_equal(done, MANY_ROWS);
        rowpool_job_release(job);
        rowpool_close(pool);
    }
}

/* Wherever the job is interrupted it ends, and nothing outside the counts is written. */
static void end_under_way(rowpool_status ending)
{
    rowpool_rows many = many_rows();
    uint64_t *expected = malloc(MANY_ROWS * sizeof *expected);
    assert_non_null(expected);
    test_expect(&many, NULL, 0, expected);
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        for (size_t round = 0; round < 10; round++) {
            rowpool *pool = open_pool(devices[i], 2000);
            rowpool_error error;
            rowpool_job *job;
            test_counts counts = test_counts_make(MANY_ROWS, sizeof(uint32_t), 1);
            assert_ok(rowpool_range_count_async(pool, &many, NULL, 0, counts.counts, NULL, NULL, &job, &error), error);
            for (size_t done = 0; done < round * 1000;)
                assert_ok(rowpool_job_progress(job, &done, NULL, &error), error);
            if (ending == ROWPOOL_ECANCELED)
                assert_ok(rowpool_job_cancel(job, &error), error);
            else
                assert_ok(rowpool_job_timeout(job, 0, &error), error);
            rowpool_status status = rowpool_job_wait(job, -1, &error);
            assert_true(status == ROWPOOL_OK || status == ending);
            if (status == ending) /* counts are unspecified: only the guards are compared */
                for (size_t r = 0; r < MANY_ROWS; r++)
                    ((uint32_t *)counts.counts)[r] = (uint32_t)expected[r];
            assert_true(test_counts_right(&counts, expected, devices[i], &many, NULL, 0));
            assert_true(pool_works(pool));
            rowpool_job_release(job);
            rowpool_close(pool);
            test_counts_free(&counts);
        }
    free(expected);
}

TEST(a_running_job_can_be_cancelled)
{
    end_under_way(ROWPOOL_ECANCELED);
}

TEST(a_running_job_ends_at_its_deadline)
{
    end_under_way(ROWPOOL_ETIMEDOUT);
}

/* ---- Inside a callback ------------------------------------------------------------------------------------------ */

typedef struct {
    rowpool *pool, *other;
    sem_t called;
    uint32_t counts[ROWS];
    rowpool_job *child;
    rowpool_status submitted, waited, waited_briefly, polled, elsewhere;
    rowpool_error error;
} inside;

static void look_inside(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    inside *in = payload;
    (void)job, (void)status, (void)error;
    in->submitted = rowpool_range_count_async(in->pool, &digit_rows, NULL, 0, in->counts, NULL, NULL, &in->child, NULL);
    in->waited = rowpool_job_wait(in->child, -1, &in->error);
    in->waited_briefly = rowpool_job_wait(in->child, 1, NULL);
    in->polled = rowpool_job_poll(in->child, NULL);
    /* A job of another pool has another dispatcher: waiting for it is fine. */
    static uint32_t counts[ROWS];
    rowpool_job *foreign = NULL;
    in->elsewhere = rowpool_range_count_async(in->other, &digit_rows, NULL, 0, counts, NULL, NULL, &foreign, NULL);
    if (in->elsewhere == ROWPOOL_OK)
        in->elsewhere = rowpool_job_wait(foreign, -1, NULL);
    rowpool_job_release(foreign);
    sem_post(&in->called);
}

TEST(waiting_in_a_callback_does_not_hang)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool_error error;
        static uint32_t counts[ROWS];
        inside in = {.pool = open_pool(devices[i], 0), .other = open_pool(devices[i], 0)};
        sem_init(&in.called, 0, 0);
        assert_ok(rowpool_range_count_async(in.pool, &digit_rows, NULL, 0, counts, look_inside, &in, NULL, &error),
                  error);
        sem_wait(&in.called);
        assert_int_equal(in.submitted, ROWPOOL_OK);
        assert_int_equal(in.waited, ROWPOOL_EDEADLK);
        assert_int_equal(in.error.status, ROWPOOL_EDEADLK);
        assert_int_equal(in.waited_briefly, ROWPOOL_EDEADLK);
        assert_int_equal(in.polled, ROWPOOL_ENOTREADY);
        assert_int_equal(in.elsewhere, ROWPOOL_OK);
        assert_ok(rowpool_job_wait(in.child, -1, &error), error);
        assert_true(digits_right(in.counts));
        rowpool_job_release(in.child);
        rowpool_close(in.pool);
        rowpool_close(in.other);
        sem_destroy(&in.called);
    }
}

/* Each callback submits the next job. */
typedef struct {
    rowpool *pool;
    unsigned left;
    rowpool_status status;
    uint32_t counts[ROWS];
    sem_t ended;
} chain;

static void next_of_chain(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    chain *c = payload;
    (void)job, (void)error;
    if (status == ROWPOOL_OK && !digits_right(c->counts))
        status = ROWPOOL_EDEVICE;
    memset(c->counts, 0xff, sizeof c->counts);
    if (status == ROWPOOL_OK && --c->left > 0)
        status = rowpool_range_count_async(c->pool, &digit_rows, NULL, 0, c->counts, next_of_chain, c, NULL, NULL);
    if (status == ROWPOOL_OK && c->left > 0)
        return;
    c->status = status;
    sem_post(&c->ended);
}

TEST(callbacks_may_submit)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool_error error;
        chain c = {.pool = open_pool(devices[i], 0), .left = 50};
        sem_init(&c.ended, 0, 0);
        assert_ok(rowpool_range_count_async(c.pool, &digit_rows, NULL, 0, c.counts, next_of_chain, &c, NULL, &error),
                  error);
        sem_wait(&c.ended);
        assert_int_equal(c.status, ROWPOOL_OK);
        assert_int_equal(c.left, 0);
        rowpool_close(c.pool);
        sem_destroy(&c.ended);
    }
}

/* Redirects standard error into a file for a while. */
typedef struct {
    FILE *file;
    int before;
} capture;

static capture capture_begin(void)
{
    capture c = {tmpfile(), dup(STDERR_FILENO)};
    assert_non_null(c.file);
    fflush(stderr);
    dup2(fileno(c.file), STDERR_FILENO);
    return c;
}

static void capture_end(capture *c, char *text, size_t size)
{
    fflush(stderr);
    dup2(c->before, STDERR_FILENO);
    close(c->before);
    rewind(c->file);
    text[fread(text, 1, size - 1, c->file)] = '\0';
    fclose(c->file);
}

typedef struct {
    rowpool *pool;
    sem_t called;
} closer;

static void close_pool(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    closer *c = payload;
    (void)job, (void)status, (void)error;
    rowpool_close(c->pool);
    sem_post(&c->called);
}

TEST(a_callback_may_not_close_the_pool)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool_error error;
        uint32_t counts[ROWS];
        closer c = {.pool = open_pool(devices[i], 0)};
        sem_init(&c.called, 0, 0);
        capture stderr_now = capture_begin();
        rowpool_status status = rowpool_range_count_async(c.pool, &digit_rows, NULL, 0, counts, close_pool, &c, NULL,
                                                          &error);
        if (status == ROWPOOL_OK)
            sem_wait(&c.called);
        char text[2048];
        capture_end(&stderr_now, text, sizeof text);
        assert_int_equal(status, ROWPOOL_OK);
        assert_non_null(strstr(text, "rowpool_close"));
        assert_true(pool_works(c.pool));
        rowpool_close(c.pool);
        sem_destroy(&c.called);
    }
}

/* A stream callback streams on another pool; the inner callback tries to close the first pool. */
static int close_outer(size_t row, size_t rows, const void *results, void *payload)
{
    (void)row, (void)rows, (void)results;
    rowpool_close(payload);
    return 0;
}

typedef struct {
    rowpool *outer, *inner;
    rowpool_status status;
} nested;

static int stream_within(size_t row, size_t rows, const void *results, void *payload)
{
    nested *own = payload;
    const rowpool_call call = {.size = sizeof call, .function = rowpool_builtin("sum"), .inputs = &digit_rows};
    (void)row, (void)rows, (void)results;
    own->status = rowpool_map_stream(own->inner, &call, ROWPOOL_IN_ORDER, close_outer, own->outer, NULL);
    return own->status != ROWPOOL_OK;
}

TEST(a_callback_within_a_callback_may_not_close_the_outer_pool)
{
    const rowpool_call call = {.size = sizeof call, .function = rowpool_builtin("sum"), .inputs = &digit_rows};
    nested own = {.outer = open_pool("host", 0), .inner = open_pool("host", 0)};
    rowpool_error error;
    char text[2048];
    capture stderr_now = capture_begin();
    rowpool_status status = rowpool_map_stream(own.outer, &call, ROWPOOL_IN_ORDER, stream_within, &own, &error);
    capture_end(&stderr_now, text, sizeof text);
    assert_int_equal(status, ROWPOOL_OK);
    assert_non_null(strstr(text, "rowpool_close"));
    assert_true(pool_works(own.outer));
    rowpool_close(own.inner);
    rowpool_close(own.outer);
}

/* ---- Many threads ----------------------------------------------------------------------------------------------- */

typedef struct {
    rowpool *pool;
    uint64_t salt;
    size_t wrong;
} user;

static bool one_map(user *u, test_random *random)
{
    rowpool_dtype dtype = (rowpool_dtype)test_below(random, TEST_DTYPES);
    /* Some above and some below the limit for small maps on the host. */
    size_t count = (size_t)test_below(random, 200),
           width = (size_t)test_below(random, test_chance(random, 4) ? 300 : 9);
    test_array array = test_array_make(random, dtype, (test_layout)test_below(random, TEST_LAYOUTS), count, width, 0);
    rowpool_range ranges[3];
    size_t n = (size_t)test_below(random, 4), total = count * (n != 0 ? n : 1);
    for (size_t k = 0; k < n; k++)
        ranges[k] = test_range_for(random, &array.rows);
    uint64_t *expected = malloc((total + 1) * sizeof *expected);
    if (expected == NULL)
        abort();
    test_expect(&array.rows, ranges, n, expected);
    test_counts counts = test_counts_make(total, sizeof(uint32_t), 0);
    rowpool_error error;
    rowpool_status status;
    if (test_chance(random, 2)) {
        rowpool_job *job = NULL;
        status = rowpool_range_count_async(u->pool, &array.rows, n != 0 ? ranges : NULL, n, counts.counts, NULL, NULL,
                                           &job, &error);
        if (status == ROWPOOL_OK)
            status = rowpool_job_wait(job, -1, &error);
        rowpool_job_release(job);
    } else {
        status = rowpool_range_count(u->pool, &array.rows, n != 0 ? ranges : NULL, n, counts.counts, &error);
    }
    bool right = status == ROWPOOL_OK && test_counts_right(&counts, expected, "threads", &array.rows, ranges, n);
    if (status != ROWPOOL_OK)
        fprintf(stderr, "threads: %s\n", error.message);
    test_counts_free(&counts);
    free(expected);
    test_array_free(&array);
    return right;
}

static void *use_pool(void *argument)
{
    user *u = argument;
    test_random random = test_random_begin(u->salt);
    for (size_t i = 0; i < 60; i++)
        u->wrong += !one_map(u, &random);
    return NULL;
}

TEST(many_threads_share_a_pool)
{
    enum { THREADS = 8 };
    test_seed(); /* printed here, by one thread */
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 4096);
        pthread_t threads[THREADS];
        user users[THREADS];
        for (size_t t = 0; t < THREADS; t++) {
            users[t] = (user){.pool = pool, .salt = 100 * i + t};
            assert_int_equal(pthread_create(&threads[t], NULL, use_pool, &users[t]), 0);
        }
        size_t wrong = 0;
        for (size_t t = 0; t < THREADS; t++) {
            pthread_join(threads[t], NULL);
            wrong += users[t].wrong;
        }
        assert_int_equal(wrong, 0);
        rowpool_close(pool);
    }
}

/* ---- A forked child --------------------------------------------------------------------------------------------- */

/* 0 if the child refuses every call on the parent's handles as the header says; otherwise the number of the call that
 * it did not refuse. */
static int calls_in_child(rowpool *pool, rowpool_job *job)
{
    uint32_t counts[ROWS];
    size_t n;
    rowpool_device device;
    rowpool_job *fresh = NULL;
    rowpool_error error = test_error_fresh();
    if (rowpool_range_count(pool, &digit_rows, NULL, 0, counts, &error) != ROWPOOL_EFORKED)
        return 1;
    if (error.status != ROWPOOL_EFORKED || strstr(error.message, "parent") == NULL)
        return 2;
    if (rowpool_range_count_u64(pool, &digit_rows, NULL, 0, place, NULL) != ROWPOOL_EFORKED)
        return 3;
    if (rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, NULL, NULL, &fresh, NULL) != ROWPOOL_EFORKED)
        return 4;
    if (rowpool_range_count_u64_async(pool, &digit_rows, NULL, 0, place, NULL, NULL, &fresh, NULL) != ROWPOOL_EFORKED)
        return 5;
    if (rowpool_devices(pool, &device, 1, &n, NULL) != ROWPOOL_EFORKED)
        return 6;
    if (rowpool_job_wait(job, -1, NULL) != ROWPOOL_EFORKED || rowpool_job_poll(job, NULL) != ROWPOOL_EFORKED)
        return 7;
    if (rowpool_job_cancel(job, NULL) != ROWPOOL_EFORKED || rowpool_job_timeout(job, 0, NULL) != ROWPOOL_EFORKED ||
        rowpool_job_progress(job, NULL, NULL, NULL) != ROWPOOL_EFORKED)
        return 8;
    rowpool_job_release(job);
    rowpool_close(pool);
    return 0;
}

/* A child may open pools of its own; "auto" must not use OpenCL, which the parent already uses. */
static int pools_in_child(void)
{
#if defined(__SANITIZE_THREAD__)
    return 0; /* the thread sanitizer does not allow a new thread in the child of a process with threads */
#endif
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool_options options = {.size = sizeof options, .device = devices[i], .workers = 2};
        rowpool *pool;
        if (rowpool_open(&pool, &options, NULL) != ROWPOOL_OK)
            return 20 + (int)i;
        bool works = pool_works(pool);
        rowpool_close(pool);
        if (!works)
            return 30 + (int)i;
    }
    return 0;
}

static int status_of_child(pid_t child)
{
    const int status = test_wait(child);
    if (WIFSIGNALED(status))
        return -WTERMSIG(status);
    return WEXITSTATUS(status);
}

/* Only FORK runs the handlers of pthread_atfork. */
typedef enum { FORK, BARE_FORK, CLONE, FORKS } fork_kind;

static pid_t fork_as(fork_kind kind)
{
#if __GLIBC_PREREQ(2, 34)
    if (kind == BARE_FORK)
        return _Fork();
#endif
    return kind == FORK ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void refuse_child(fork_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i], 0);
        rowpool_error error;
        rowpool_job *job;
        uint32_t counts[ROWS];
        assert_true(pool_works(pool));
        barrier b;
        hold_dispatcher(pool, &b); /* the job is unfinished when the child begins */
        assert_ok(rowpool_range_count_async(pool, &digit_rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        fflush(NULL);
        pid_t child = fork_as(kind);
        assert_true(child >= 0);
        if (child == 0) {
            alarm(600); /* a hang is a failure too */
            int failed = calls_in_child(pool, job);
            _exit(failed != 0 || kind != FORK ? failed : pools_in_child());
        }
        assert_int_equal(status_of_child(child), 0);
        let_go(&b);
        assert_ok(rowpool_job_wait(job, -1, &error), error); /* close and release in the child did not affect it */
        assert_true(digits_right(counts));
        rowpool_job_release(job);
        assert_true(pool_works(pool));
        rowpool_close(pool);
    }
}

TEST(a_forked_child_is_refused)
{
    refuse_child(FORK);
}

TEST(a_child_without_atfork_handlers_is_refused)
{
#if defined(__SANITIZE_THREAD__)
    skip_since("the thread sanitizer does not notice the fork and takes the child for a thread");
#endif
    refuse_child(BARE_FORK);
    refuse_child(CLONE);
}

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

TEST(devices_are_listed_within_capacity)
{
    rowpool_error error;
    rowpool *pools[] = {NULL, open_pool("host", 0), open_pool("auto", 0)};
    for (size_t i = 0; i < COUNT_OF(pools); i++) {
        size_t count = 0, again = 0;
        assert_ok(rowpool_devices(pools[i], NULL, 0, &count, &error), error);
        assert_true(count >= 2); /* processes and the host are always there */
        rowpool_device *found = calloc(count + 1, sizeof *found), zero;
        assert_non_null(found);
        memset(&zero, 0, sizeof zero);
        assert_ok(rowpool_devices(pools[i], found, count - 1, &again, &error), error);
        assert_int_equal(again, count);
        assert_memory_equal(&found[count - 1], &zero, sizeof zero);
        assert_ok(rowpool_devices(pools[i], found, count + 1, &again, &error), error);
        assert_int_equal(again, count);
        assert_memory_equal(&found[count], &zero, sizeof zero);
        bool in_use = true;
        for (size_t d = 0; d < count; d++) {
            assert_true(in_use || !found[d].in_use); /* devices in use come first */
            in_use = found[d].in_use;
            assert_true(found[d].index[0] != '\0' && found[d].name[0] != '\0' && found[d].reason[0] != '\0');
        }
        assert_non_null(device_of(found, count, ROWPOOL_DEVICE_FORK));
        assert_non_null(device_of(found, count, ROWPOOL_DEVICE_HOST));
        free(found);
        rowpool_close(pools[i]);
    }
}

TEST(devices_needs_a_pointer_for_the_count)
{
    rowpool_error error;
    size_t count;
    rowpool_device device;
    assert_refused(rowpool_devices(NULL, &device, 1, NULL, &error), ROWPOOL_EINVAL, error, "count is NULL");
    assert_refused(rowpool_devices(NULL, NULL, 1, &count, &error), ROWPOOL_EINVAL, error, "devices is NULL");
}

TEST(a_named_device_is_in_use_alone)
{
    static const char *const names[] = {"host", "fork"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        rowpool *pool = open_pool(names[i], 0);
        rowpool_device found[MAX_DEVICES];
        size_t count = find_devices(pool, found, MAX_DEVICES), used = 0;
        for (size_t d = 0; d < count; d++)
            used += found[d].in_use;
        assert_int_equal(used, 1);
        assert_string_equal(found[0].index, names[i]);
        rowpool_close(pool);
    }
}

TEST(cpus_are_counted_by_affinity)
{
    size_t all = rowpool_cpu_count();
    assert_true(all >= 1);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cpu_set_t mask, one;
        CPU_ZERO(&one);
        sched_getaffinity(0, sizeof mask, &mask);
        for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
            if (CPU_ISSET(cpu, &mask))
                CPU_SET(cpu, &one);
        _exit(sched_setaffinity(0, sizeof one, &one) == 0 && rowpool_cpu_count() == 1 ? 0 : 1);
    }
    assert_int_equal(status_of_child(child), 0);
}

/* Rows answered so far by OpenCL devices and by the host. */
static void rows_by(rowpool *pool, uint64_t *opencl, uint64_t *host)
{
    rowpool_device found[MAX_DEVICES];
    size_t count = find_devices(pool, found, MAX_DEVICES);
    *opencl = *host = 0;
    for (size_t i = 0; i < count; i++) {
        if (found[i].type == ROWPOOL_DEVICE_HOST)
            *host += found[i].rows;
        else if (found[i].type != ROWPOOL_DEVICE_FORK)
            *opencl += found[i].rows;
        assert_int_equal(found[i].failures, 0);
    }
}

static bool has_opencl(void)
{
    rowpool_device found[MAX_DEVICES];
    return find_devices(NULL, found, MAX_DEVICES) > 0 && found[0].in_use && found[0].type <= ROWPOOL_DEVICE_OTHER;
}

/* Counts rows of 0..9 on a pool and reports who answered them. */
static void count_rows(rowpool *pool, size_t count, size_t width, bool async, uint64_t *opencl, uint64_t *host)
{
    rowpool_error error;
    uint64_t opencl_before, host_before;
    rows_by(pool, &opencl_before, &host_before);
    test_random random = test_random_begin(count);
    int32_t *data = malloc(count * width * sizeof *data);
    uint32_t *counts = malloc(count * sizeof *counts);
    assert_non_null(data);
    assert_non_null(counts);
    for (size_t i = 0; i < count * width; i++)
        data[i] = (int32_t)test_below(&random, 10);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = count, .width = width};
    if (async) {
        rowpool_job *job;
        assert_ok(rowpool_range_count_async(pool, &rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
    } else {
        assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t expected = 0;
        for (size_t j = 0; j < width; j++)
            expected += data[i * width + j] >= 4 && data[i * width + j] <= 8;
        assert_int_equal(counts[i], expected);
    }
    free(data);
    free(counts);
    rows_by(pool, opencl, host);
    *opencl -= opencl_before;
    *host -= host_before;
}

TEST(the_flagship_goes_to_opencl)
{
    if (!has_opencl())
        skip_since("there is no OpenCL device");
    setenv("ROWPOOL_TEST", "build-wait", 1);
    rowpool *pool = open_pool("auto", 0);
    unsetenv("ROWPOOL_TEST");
    uint64_t opencl, host;
    for (int async = 0; async < 2; async++) {
        count_rows(pool, 200000, 5, async != 0, &opencl, &host);
        assert_int_equal(opencl, 200000);
        assert_int_equal(host, 0);
        count_rows(pool, 1000, 5, async != 0, &opencl, &host);
        assert_int_equal(opencl, 0);
        assert_int_equal(host, 1000);
        count_rows(pool, 20000, 5, async != 0, &opencl, &host); /* 100,000 elements: still a small map */
        assert_int_equal(opencl, 0);
        assert_int_equal(host, 20000);
        count_rows(pool, 1, 100001, async != 0, &opencl, &host);
        assert_int_equal(opencl, 1);
        assert_int_equal(host, 0);
        count_rows(pool, 100001, 0, async != 0, &opencl, &host); /* the results count where they are more */
        assert_int_equal(opencl, 100001);
        assert_int_equal(host, 0);
    }
    rowpool_close(pool);
}

TEST(a_named_device_takes_small_maps_too)
{
    if (!has_opencl())
        skip_since("there is no OpenCL device");
    rowpool_device found[MAX_DEVICES];
    find_devices(NULL, found, MAX_DEVICES);
    const char *const names[] = {found[0].index, "all"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        rowpool *pool = open_pool(names[i], 0);
        uint64_t opencl, host;
        count_rows(pool, 10, 5, false, &opencl, &host);
        assert_int_equal(opencl, 10);
        assert_int_equal(host, 0);
        count_rows(pool, 10, 5, true, &opencl, &host);
        assert_int_equal(opencl, 10);
        rowpool_close(pool);
    }
}

/* ---- Streams that are ended ------------------------------------------------------------------------------------- */

enum { MAX_KINDS = 4 };

/* The device words of one pool of each kind available here; returns their number. */
static size_t every_kind(char words[MAX_KINDS][16])
{
    static const char *const always[] = {"host", "fork"};
    rowpool_device found[MAX_DEVICES];
    size_t n = 0;
    for (; n < COUNT_OF(always); n++)
        snprintf(words[n], sizeof words[n], "%s", always[n]);
    if (find_devices(NULL, found, MAX_DEVICES) > 0 && found[0].in_use && found[0].type <= ROWPOOL_DEVICE_OTHER) {
        snprintf(words[n++], sizeof words[0], "%s", found[0].index);
        snprintf(words[n++], sizeof words[0], "isolated");
    }
    return n;
}

typedef enum { BY_CANCEL, BY_TERMINATE, BY_DEADLINE, ENDINGS } ending;

typedef struct {
    rowpool *pool;
    rowpool_job *job; /* NULL: a synchronous call */
    ending how;
    size_t end_at, delivered; /* rows after which to end it; rows delivered */
} ended_stream;

static int end_stream(size_t row, size_t rows, const void *results, void *payload)
{
    ended_stream *own = payload;
    (void)row, (void)results;
    own->delivered += rows;
    if (own->delivered != own->end_at)
        return 0;
    if (own->how == BY_TERMINATE)
        return rowpool_terminate(own->pool, NULL) != ROWPOOL_OK;
    if (own->how == BY_CANCEL)
        return rowpool_job_cancel(own->job, NULL) != ROWPOOL_OK;
    return rowpool_job_timeout(own->job, 0, NULL) != ROWPOOL_OK;
}

/* Whatever ends a stream, and when: the call succeeds only if every row was delivered. */
static void check_ended_stream(rowpool *pool, ending how, rowpool_order order, bool waits, size_t end_at)
{
    enum { STREAMED = 3 };
    rowpool_error error;
    rowpool_rows rows = digit_rows;
    rows.count = STREAMED;
    ended_stream own = {.pool = pool, .how = how, .end_at = end_at};
    const rowpool_call call = {
        .size = sizeof call, .function = rowpool_builtin("count"), .inputs = &rows, .chunk_rows = 1};
    rowpool_status status;
    if (waits) {
        status = rowpool_map_stream(pool, &call, order, end_stream, &own, &error);
    } else {
        assert_ok(rowpool_map_stream_async(pool, &call, order, end_stream, NULL, &own, &own.job, &error), error);
        status = rowpool_job_wait(own.job, -1, &error);
        rowpool_job_release(own.job);
    }
    assert_int_equal(status == ROWPOOL_OK, own.delivered == STREAMED);
    if (status != ROWPOOL_OK)
        assert_int_equal(status, how == BY_DEADLINE ? ROWPOOL_ETIMEDOUT : ROWPOOL_ECANCELED);
    if (how != BY_DEADLINE) /* a deadline that passes after all rows are answered may go unnoticed */
        assert_int_equal(own.delivered, end_at);
    assert_true(pool_works(pool));
}

TEST(an_ended_stream_succeeds_only_if_every_row_was_delivered)
{
    char words[MAX_KINDS][16];
    const size_t kinds = every_kind(words);
    for (size_t i = 0; i < kinds; i++) {
        rowpool *pool = open_pool(words[i], 0);
        for (int order = ROWPOOL_IN_ORDER; order <= ROWPOOL_ANY_ORDER; order++)
            for (size_t end_at = 1; end_at <= 3; end_at++) {
                check_ended_stream(pool, BY_TERMINATE, (rowpool_order)order, true, end_at);
                for (int how = 0; how < ENDINGS; how++)
                    check_ended_stream(pool, (ending)how, (rowpool_order)order, false, end_at);
            }
        rowpool_close(pool);
    }
}

/* ---- Zero rows -------------------------------------------------------------------------------------------------- */

typedef enum {
    AS_MAP,
    AS_JOB,
    AS_STREAM,
    AS_STREAM_JOB,
    AS_COUNT,
    AS_COUNT_JOB,
    AS_COUNT64,
    AS_COUNT64_JOB,
    AS_HISTOGRAM,
    FORMS
} call_form;

static int take_none(size_t row, size_t rows, const void *results, void *payload)
{
    (void)row, (void)rows, (void)results, (void)payload;
    fail_msg("called although there are no rows");
    return 1;
}

/* Makes the call in one of its forms; waits for asynchronous ones. */
static rowpool_status call_as(rowpool *pool, call_form form, const rowpool_call *call, rowpool_error *error)
{
    const rowpool_number edges[] = {test_i64(0), test_i64(1)};
    rowpool_job *job = NULL;
    rowpool_status status = ROWPOOL_OK;
    switch (form) {
    case AS_MAP:
        return rowpool_map(pool, call, error);
    case AS_STREAM:
        return rowpool_map_stream(pool, call, ROWPOOL_IN_ORDER, take_none, NULL, error);
    case AS_COUNT:
        return rowpool_range_count(pool, call->inputs, NULL, 0, NULL, error);
    case AS_COUNT64:
        return rowpool_range_count_u64(pool, call->inputs, NULL, 0, NULL, error);
    case AS_HISTOGRAM:
        return rowpool_histogram(pool, call->inputs, edges, COUNT_OF(edges), NULL, error);
    case AS_JOB:
        status = rowpool_map_async(pool, call, NULL, NULL, &job, error);
        break;
    case AS_STREAM_JOB:
        status = rowpool_map_stream_async(pool, call, ROWPOOL_ANY_ORDER, take_none, NULL, NULL, &job, error);
        break;
    case AS_COUNT_JOB:
        status = rowpool_range_count_async(pool, call->inputs, NULL, 0, NULL, NULL, NULL, &job, error);
        break;
    default:
        status = rowpool_range_count_u64_async(pool, call->inputs, NULL, 0, NULL, NULL, NULL, &job, error);
    }
    if (status == ROWPOOL_OK)
        status = rowpool_job_wait(job, -1, error);
    rowpool_job_release(job);
    return status;
}

static void take_no_row(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)row, (void)index, (void)arguments, (void)result;
}

/* Each kind of pool has one of these functions that it cannot run: without rows that does not matter. */
TEST(every_form_of_a_call_accepts_zero_rows)
{
    static const rowpool_function functions[] = {
        {.size = sizeof *functions, .name = "in C alone", .row = take_no_row, .result_size = 4},
        {.size = sizeof *functions,
         .name = "as a text alone",
         .form = ROWPOOL_BODY,
         .source = "no C\n",
         .result_size = 4},
    };
    char words[MAX_KINDS][16];
    const size_t kinds = every_kind(words);
    const rowpool_rows none = {.dtype = ROWPOOL_INT32, .width = WIDTH};
    for (size_t i = 0; i < kinds; i++) {
        rowpool *pool = open_pool(words[i], 0);
        rowpool_error error;
        rowpool_data *data;
        assert_ok(rowpool_data_open(&data, pool, &none, &error), error);
        for (size_t f = 0; f < COUNT_OF(functions); f++)
            for (int form = 0; form < FORMS; form++) {
                rowpool_call call = {.size = sizeof call, .function = &functions[f], .inputs = &none};
                assert_ok(call_as(pool, (call_form)form, &call, &error), error);
                call.inputs = rowpool_data_rows(data);
                assert_ok(call_as(pool, (call_form)form, &call, &error), error);
                call.inputs = NULL; /* other errors are still reported */
                assert_refused(call_as(pool, (call_form)form, &call, &error), ROWPOOL_EINVAL, error, "is NULL");
            }
        rowpool_data_close(data);
        rowpool_close(pool);
    }
}

/* ---- Large structs ---------------------------------------------------------------------------------------------- */

/* One of the three is a byte too large. A function with only a plain C form has no limit. */
TEST(structs_too_large_for_a_device_are_refused_everywhere)
{
    enum { MAX = ROWPOOL_MOST_STRUCT_BYTES };
    static const struct {
        const char *name;
        size_t arguments, accumulator, result;
    } cases[] = {{"arguments_t", MAX + 1, 8, 8}, {"accumulator_t", 8, MAX + 1, 8}, {"result_t", 8, 8, MAX + 1}};
    static char results[MAX + 1];
    const rowpool_rows row = {.data = digits, .dtype = ROWPOOL_INT32, .count = 1, .width = WIDTH};
    char words[MAX_KINDS][16];
    const size_t kinds = every_kind(words);
    for (size_t i = 0; i < kinds; i++) {
        rowpool *pool = open_pool(words[i], 0);
        for (size_t c = 0; c < COUNT_OF(cases); c++) {
            const rowpool_compiled compiled = {.arguments_size = cases[c].arguments,
                                               .accumulator_size = cases[c].accumulator,
                                               .result_size = cases[c].result,
                                               .result_alignment = 1};
            rowpool_function function = {.size = sizeof function,
                                         .name = "spacious",
                                         .source = "no C\n",
                                         .arguments_size = cases[c].arguments,
                                         .accumulator_size = cases[c].accumulator,
                                         .result_size = cases[c].result};
            const rowpool_call call = {.size = sizeof call,
                                       .function = &function,
                                       .inputs = &row,
                                       .results = results,
                                       .results_size = sizeof results,
                                       .allow_host = true};
            char text[128];
            rowpool_error error;
            snprintf(text, sizeof text, "spacious: its %s has %d bytes; the max is %d", cases[c].name, MAX + 1, MAX);
            assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, text);
            function.compiled[ROWPOOL_INT32] = &compiled;
            assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, text);
            function.compiled[ROWPOOL_INT32] = NULL;
            function.source = NULL;
            function.row = take_no_row;
            if (i < 2) /* host and fork */
                assert_ok(rowpool_map(pool, &call, &error), error);
        }
        rowpool_close(pool);
    }
}

/* ---- Threads that are cancelled --------------------------------------------------------------------------------- */

typedef struct {
    rowpool *pool;
    rowpool_job *job;         /* a job that does not end meanwhile */
    rowpool_process *process; /* a process that does not end meanwhile */
    rowpool_status (*call)(void *cancelled);
    rowpool_status status;
    bool returned;
} cancelled_thread;

static rowpool_status map_cancelled(void *payload)
{
    static uint32_t counts[ROWS];
    const cancelled_thread *own = payload;
    return rowpool_range_count(own->pool, &digit_rows, NULL, 0, counts, NULL);
}

static int take_any(size_t row, size_t rows, const void *results, void *payload)
{
    (void)row, (void)rows, (void)results, (void)payload;
    pthread_testcancel(); /* cancellation is disabled here too */
    return 0;
}

static rowpool_status stream_cancelled(void *payload)
{
    const cancelled_thread *own = payload;
    const rowpool_call call = {.size = sizeof call, .function = rowpool_builtin("sum"), .inputs = &digit_rows};
    return rowpool_map_stream(own->pool, &call, ROWPOOL_IN_ORDER, take_any, NULL, NULL);
}

static void apply_nothing(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    (void)argument, (void)argument_size, (void)result, (void)result_size;
}

static rowpool_status apply_cancelled(void *payload)
{
    const cancelled_thread *own = payload;
    return rowpool_apply(own->pool, apply_nothing, NULL, 0, NULL, 0, NULL);
}

static rowpool_status wait_cancelled(void *payload)
{
    const cancelled_thread *own = payload;
    return rowpool_job_wait(own->job, 1, NULL) == ROWPOOL_ENOTREADY ? ROWPOOL_OK : ROWPOOL_EINVAL;
}

static rowpool_status join_cancelled(void *payload)
{
    const cancelled_thread *own = payload;
    return rowpool_process_join(own->process, 1, NULL) == ROWPOOL_ENOTREADY ? ROWPOOL_OK : ROWPOOL_EINVAL;
}

static rowpool_status open_and_close_cancelled(void *payload)
{
    const rowpool_options options = {.size = sizeof options, .device = "fork", .workers = 1};
    rowpool *pool;
    (void)payload;
    rowpool_status status = rowpool_open(&pool, &options, NULL);
    rowpool_close(pool);
    return status;
}

static void *be_cancelled(void *payload)
{
    cancelled_thread *own = payload;
    pthread_cancel(pthread_self()); /* takes effect at the next cancellation point */
    own->status = own->call(own);
    own->returned = true;
    pthread_testcancel();
    return NULL;
}

static int wait_to_be_killed(void *argument, int pipe)
{
    (void)argument, (void)pipe;
    pause();
    return 0;
}

/* A call's state lives on its thread's stack, and others write to it: the call must end before the thread does. */
TEST(a_cancelled_thread_ends_after_its_call)
{
    static rowpool_status (*const calls[])(void *) = {map_cancelled,  stream_cancelled, apply_cancelled,
                                                      wait_cancelled, join_cancelled,   open_and_close_cancelled};
    static uint32_t counts[ROWS];
    rowpool_error error;
    cancelled_thread own = {.pool = open_pool("fork", 0)};
    barrier b;
    hold_dispatcher(own.pool, &b);
    assert_ok(rowpool_range_count_async(own.pool, &digit_rows, NULL, 0, counts, NULL, NULL, &own.job, &error), error);
    assert_ok(rowpool_process_start(&own.process, wait_to_be_killed, NULL, NULL, &error), error);
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        pthread_t thread;
        void *result;
        own.call = calls[i];
        own.returned = false;
        assert_int_equal(pthread_create(&thread, NULL, be_cancelled, &own), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_true(result == PTHREAD_CANCELED); /* the cancellation was only delayed */
        assert_true(own.returned);
        assert_int_equal(own.status, ROWPOOL_OK);
    }
    rowpool_process_close(own.process);
    let_go(&b);
    assert_ok(rowpool_job_wait(own.job, -1, &error), error);
    rowpool_job_release(own.job);
    assert_true(pool_works(own.pool));
    rowpool_close(own.pool);
}

static int prepare(void **state)
{
    (void)state;
    /* These variables are what is tested: the environment must not set them. */
    unsetenv("ROWPOOL_DEVICE");
    unsetenv("ROWPOOL_WORKERS");
    unsetenv("ROWPOOL_CHUNK_BYTES");
    make_digits();
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    free((void *)(uintptr_t)many_rows().data);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_is_the_headers),
        cmocka_unit_test(null_is_accepted_where_documented),
        cmocka_unit_test(open_needs_a_pointer_for_the_handle),
        cmocka_unit_test(options_of_another_size_are_refused),
        cmocka_unit_test(unknown_device_words_are_refused),
        cmocka_unit_test(a_missing_device_is_refused),
        cmocka_unit_test(a_missing_device_type_is_refused),
        cmocka_unit_test(too_many_workers_are_refused),
        cmocka_unit_test(bad_variables_are_refused_by_name),
        cmocka_unit_test(an_unknown_cpu_variant_is_refused),
        cmocka_unit_test(variables_apply_where_options_are_zero),
        cmocka_unit_test(an_empty_variable_is_unset),
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(wrong_rows_are_refused),
        cmocka_unit_test(wrong_ranges_are_refused),
        cmocka_unit_test(misaligned_counts_are_refused),
        cmocka_unit_test(sizes_beyond_memory_are_refused),
        cmocka_unit_test(a_row_that_uint32_cannot_count_is_refused),
        cmocka_unit_test(maps_without_rows_need_no_pointers),
        cmocka_unit_test(lo_above_hi_is_empty),
        cmocka_unit_test(missing_jobs_are_refused),
        cmocka_unit_test(done_is_called_once_on_another_thread),
        cmocka_unit_test(a_released_job_goes_on),
        cmocka_unit_test(close_waits_for_jobs_nobody_holds),
        cmocka_unit_test(a_job_may_outlive_its_pool),
        cmocka_unit_test(rows_and_ranges_are_copied),
        cmocka_unit_test(a_jobs_descriptor_can_be_polled),
        cmocka_unit_test(a_jobs_arguments_are_copied),
        cmocka_unit_test(an_unfinished_job_times_out),
        cmocka_unit_test(a_cancelled_job_says_so),
        cmocka_unit_test(a_job_ends_when_its_time_is_up),
        cmocka_unit_test(a_deadline_can_be_moved),
        cmocka_unit_test(progress_only_grows),
        cmocka_unit_test(a_running_job_can_be_cancelled),
        cmocka_unit_test(a_running_job_ends_at_its_deadline),
        cmocka_unit_test(waiting_in_a_callback_does_not_hang),
        cmocka_unit_test(callbacks_may_submit),
        cmocka_unit_test(a_callback_may_not_close_the_pool),
        cmocka_unit_test(a_callback_within_a_callback_may_not_close_the_outer_pool),
        cmocka_unit_test(many_threads_share_a_pool),
        cmocka_unit_test(a_forked_child_is_refused),
        cmocka_unit_test(a_child_without_atfork_handlers_is_refused),
        cmocka_unit_test(devices_are_listed_within_capacity),
        cmocka_unit_test(devices_needs_a_pointer_for_the_count),
        cmocka_unit_test(a_named_device_is_in_use_alone),
        cmocka_unit_test(cpus_are_counted_by_affinity),
        cmocka_unit_test(the_flagship_goes_to_opencl),
        cmocka_unit_test(a_named_device_takes_small_maps_too),
        cmocka_unit_test(an_ended_stream_succeeds_only_if_every_row_was_delivered),
        cmocka_unit_test(every_form_of_a_call_accepts_zero_rows),
        cmocka_unit_test(structs_too_large_for_a_device_are_refused_everywhere),
        cmocka_unit_test(a_cancelled_thread_ends_after_its_call),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
