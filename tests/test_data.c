/* Data handles: maps on a handle give the same results as maps on the rows, whatever copies the devices have; and data
 * that was uploaded once is not uploaded again. The arguments name devices as in ROWPOOL_DEVICE. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"
#include "entries.h"
#include "faults.h"
#include "longest_run.h"
#include "pools.h"
#include "sched/pool.h"
#include "support.h"

static test_faults faults; /* the OpenCL layer counts uploads here */
static rowpool *host;      /* the reference */

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

typedef enum { WAITING, JOB, IN_ORDER, ANY_ORDER, WAYS } way;

static size_t result_size(const rowpool_call *call)
{
    return call->function->compiled[call->inputs->dtype]->result_size * (call->n_ranges > 0 ? call->n_ranges : 1);
}

typedef struct {
    char *results;
    size_t each, rows, next;
    bool in_order, wrong;
} taker;

static int take(size_t row, size_t rows, const void *results, void *payload)
{
    taker *taken = payload;
    taken->wrong |= taken->in_order && row != taken->next;
    taken->next = row + rows;
    taken->rows += rows;
    memcpy(taken->results + row * taken->each, results, rows * taken->each);
    return 0;
}

static rowpool_status wait_for(rowpool_job *job, rowpool_error *error)
{
    rowpool_status status = rowpool_job_wait(job, -1, error);
    rowpool_job_release(job);
    return status;
}

/* Makes the call in one of the ways; returns its results, to be freed. */
static char *results_of(rowpool *pool, rowpool_call call, way how)
{
    size_t bytes = call.inputs->count * result_size(&call);
    char *results = test_allocate(bytes);
    taker taken = {.results = results, .each = result_size(&call), .in_order = how == IN_ORDER};
    rowpool_error error;
    rowpool_job *job;
    if (how == WAITING || how == JOB) {
        call.results = results;
        call.results_size = bytes;
    }
    switch (how) {
    case WAITING:
        assert_ok(rowpool_map(pool, &call, &error), error);
        return results;
    case JOB:
        assert_ok(rowpool_map_async(pool, &call, NULL, NULL, &job, &error), error);
        assert_ok(wait_for(job, &error), error);
        return results;
    case IN_ORDER:
        assert_ok(rowpool_map_stream(pool, &call, ROWPOOL_IN_ORDER, take, &taken, &error), error);
        break;
    default:
        assert_ok(rowpool_map_stream_async(pool, &call, ROWPOOL_ANY_ORDER, take, NULL, &taken, &job, &error), error);
        assert_ok(wait_for(job, &error), error);
    }
    assert_false(taken.wrong);
    assert_int_equal(taken.rows, call.inputs->count);
    return results;
}

static const rowpool_range some_ranges[] = {
    {{ROWPOOL_NUMBER_I64, {4}}, {ROWPOOL_NUMBER_I64, {8}}, ROWPOOL_CLOSED_BOTH},
    {{ROWPOOL_NUMBER_I64, {-1}}, {ROWPOOL_NUMBER_I64, {5}}, ROWPOOL_CLOSED_LEFT},
    {{ROWPOOL_NUMBER_I64, {3}}, {ROWPOOL_NUMBER_I64, {7}}, ROWPOOL_CLOSED_NEITHER},
};

static rowpool_call call_of(const rowpool_function *function, const rowpool_rows *rows)
{
    rowpool_call call = {.size = sizeof call, .function = function, .inputs = rows, .allow_host = true};
    if (function->ranges) {
        call.ranges = some_ranges;
        call.n_ranges = COUNT_OF(some_ranges);
    }
    return call;
}

static void check_call(rowpool *pool, const rowpool_call *call, way how, const char *what)
{
    size_t bytes = call->inputs->count * result_size(call);
    char *expected = results_of(host, *call, WAITING), *found = results_of(pool, *call, how);
    if (memcmp(expected, found, bytes) != 0)
        fail_msg("%s: %s of %zu rows of %s, in way %d, differs", what, call->function->name, call->inputs->count,
                 rowpool_dtype_name(call->inputs->dtype), (int)how);
    free(expected);
    free(found);
}

static void check(rowpool *pool, const rowpool_function *function, const rowpool_rows *rows, way how, const char *what)
{
    rowpool_call call = call_of(function, rows);
    check_call(pool, &call, how, what);
}

/* The range count, for ranges near the rows' elements, checked against an independent reference. */
static void check_count(rowpool *pool, test_random *random, const rowpool_rows *rows, const char *what)
{
    rowpool_range ranges[3];
    size_t n = 1 + (size_t)test_below(random, COUNT_OF(ranges));
    for (size_t k = 0; k < n; k++)
        ranges[k] = test_range_for(random, rows);
    uint64_t *expected = test_allocate(rows->count * n * sizeof *expected);
    test_counts counts = test_counts_make(rows->count * n, sizeof(uint32_t), 0);
    rowpool_error error;
    test_expect(rows, ranges, n, expected);
    assert_ok(rowpool_range_count(pool, rows, ranges, n, counts.counts, &error), error);
    assert_true(test_counts_right(&counts, expected, what, rows, ranges, n));
    test_counts_free(&counts);
    free(expected);
}

/* ---- The same results as without a handle ----------------------------------------------------------------------- */

static void check_all(const test_pool *target, test_random *random, const test_array *array, size_t turn)
{
    const rowpool_function *functions[] = {&entries, rowpool_builtin("count64"), rowpool_builtin("argmax"),
                                           &longest_run};
    rowpool_data *data;
    rowpool_error error;
    assert_ok(rowpool_data_open(&data, target->pool, &array->rows, &error), error);
    const rowpool_rows *rows = rowpool_data_rows(data);
    assert_memory_equal(rows, &array->rows, sizeof *rows);
    check_count(target->pool, random, rows, target->what);
    check_count(target->pool, random, rows, target->what);
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        rowpool_call call = call_of(functions[i], rows);
        call.chunk_rows = (turn + i) % 3 == 0 ? 1 + (size_t)test_below(random, 20) : 0;
        check_call(target->pool, &call, (way)((turn + i) % WAYS), target->what);
    }
    rowpool_data_close(data);
}

TEST(maps_on_handles_give_the_same_results)
{
    static const struct {
        size_t count, width;
    } shapes[] = {{0, 3}, {4, 0}, {1, 1}, {100, 5}, {65, 24}, {7, 300}, {40, 600}, {2, 20000}, {1, 100000}};
    test_random random = test_random_begin(41);
    size_t turn = 0;
    test_pools_again();
    for (size_t s = 0; s < test_pools(); s++)
        for (int dtype = 0; dtype < TEST_DTYPES; dtype++)
            for (int layout = 0; layout < TEST_LAYOUTS; layout++)
                for (size_t i = 0; i < COUNT_OF(shapes); i++) {
                    const test_pool *target = test_pool_at(s);
                    if (!test_dtype_due((rowpool_dtype)dtype) ||
                        !test_pool_due(target, shapes[i].count * shapes[i].width))
                        continue;
                    test_array array = test_array_make(&random, (rowpool_dtype)dtype, (test_layout)layout,
                                                       shapes[i].count, shapes[i].width, turn % 3);
                    check_all(target, &random, &array, turn++);
                    test_array_free(&array);
                }
    printf("%zu cases\n", turn);
    assert_true(turn > 0);
}

typedef struct {
    uint8_t step;
    int64_t offset;
} compare_arguments;
typedef struct {
    uint16_t within;
    int64_t last;
} compare_result;

/* Four inputs, any of which may be handles. Their partitions do not begin at the same rows. */
static void check_zipped(const test_pool *target, test_random *random, rowpool_dtype dtype, unsigned stay)
{
    enum { COUNT = 33 };
    const compare_arguments arguments = {3, 1000000007};
    test_array arrays[4];
    rowpool_rows inputs[4];
    rowpool_data *data[4] = {NULL};
    rowpool_error error;
    for (size_t i = 0; i < 4; i++) {
        arrays[i] = test_array_make(random, i == 3 ? ROWPOOL_UINT8 : dtype, (test_layout)((stay + i) % 3), COUNT, 5 + i,
                                    i);
        inputs[i] = arrays[i].rows;
        if (stay >> i & 1)
            assert_ok(rowpool_data_open(&data[i], target->pool, &inputs[i], &error), error);
    }
    rowpool_call call = call_of(&compare, inputs);
    call.n_inputs = 4;
    call.arguments = &arguments;
    call.arguments_size = sizeof arguments;
    char *expected = results_of(host, call, WAITING);
    for (unsigned turn = 0; turn < 3; turn++) {
        call.chunk_rows = turn == 1 ? 4 : 0;
        char *found = results_of(target->pool, call, (way)((stay + turn) % WAYS));
        const compare_result *a = (const void *)expected, *b = (const void *)found;
        for (size_t row = 0; row < COUNT; row++)
            if (a[row].within != b[row].within || a[row].last != b[row].last)
                fail_msg("%s: %s, handles %x: row %zu differs", target->what, rowpool_dtype_name(dtype), stay, row);
        free(found);
    }
    free(expected);
    for (size_t i = 0; i < 4; i++) {
        rowpool_data_close(data[i]);
        test_array_free(&arrays[i]);
    }
}

TEST(any_mix_of_handles_and_rows_is_zipped)
{
    test_random random = test_random_begin(42);
    size_t cases = 0;
    test_pools_again();
    for (size_t s = 0; s < test_pools(); s++)
        for (unsigned stay = 0; stay < 16; stay++) {
            if (!test_pool_due(test_pool_at(s), 33 * 30))
                continue;
            check_zipped(test_pool_at(s), &random, test_dtype_turn(stay), stay);
            cases++;
        }
    printf("%zu cases\n", cases);
    assert_true(cases > 0);
}

/* ---- Uploaded once ---------------------------------------------------------------------------------------------- */

enum {
    COUNT = 70000, /* too many elements for the calling thread alone, even in one row with three ranges */
    WIDTH = 5,
    ELEMENTS = COUNT * WIDTH,
    CHUNK = 175000 /* bytes: eight partitions of 8750 rows of int32 */
};

/* A pool on the first device named, with partitions of CHUNK bytes. */
static rowpool *open_pool(const char *device)
{
    rowpool_options options = {.size = sizeof options, .device = device, .workers = 2, .chunk_bytes = CHUNK};
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

static rowpool_data *open_data(rowpool *pool, const rowpool_rows *rows)
{
    rowpool_data *data;
    rowpool_error error;
    assert_ok(rowpool_data_open(&data, pool, rows, &error), error);
    return data;
}

static int32_t *make_elements(void)
{
    test_random random = test_random_begin(43);
    int32_t *elements = test_allocate(ELEMENTS * sizeof *elements);
    for (size_t i = 0; i < ELEMENTS; i++)
        elements[i] = (int32_t)test_below(&random, 12);
    return elements;
}

static const char *first_device = "auto";

/* Bytes that the pool's devices keep. */
static size_t bytes_kept(rowpool *pool)
{
    size_t bytes = 0;
    for (size_t i = 0; i < pool->devices.used; i++)
        bytes += pool->devices.items[i].kept;
    return bytes;
}

static bool keeps(const rowpool *pool)
{
    return pool->devices.used == 1 && pool->devices.items[0].keeps > 0;
}

static bool is_opencl(const rowpool *pool)
{
    return strcmp(pool->devices.items[0].backend->name, "opencl") == 0;
}

static long uploads_of(rowpool *pool, const rowpool_call *call, way how)
{
    atomic_store(&faults.uploads, 0);
    check_call(pool, call, how, first_device);
    return atomic_load(&faults.uploads);
}

/* Several maps of different kinds on a handle: only the first one uploads the rows. */
static void upload_once(rowpool *pool, const rowpool_rows *rows, size_t bytes)
{
    rowpool_call count = call_of(rowpool_builtin("count"), rows),
                 others[] = {call_of(rowpool_builtin("argmax"), rows), call_of(&entries, rows),
                             call_of(rowpool_builtin("sum"), rows)};
    long each_time = uploads_of(pool, &count, WAITING);
    rowpool_data *data = open_data(pool, rows);
    long first = uploads_of(pool, &count, WAITING);
    assert_int_equal(first, bytes);
    assert_true(each_time >= first); /* the offset between two chunks is in both */
    assert_int_equal(bytes_kept(pool), bytes);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        for (int how = 0; how < WAYS; how++) {
            others[i].chunk_rows = i == 2 ? 777 : 0;
            assert_int_equal(uploads_of(pool, &others[i], (way)how), 0);
        }
    rowpool_data_close(data);
    assert_int_equal(bytes_kept(pool), 0);
    assert_int_equal(uploads_of(pool, &count, WAITING), each_time);
}

TEST(rows_are_uploaded_once)
{
    rowpool *pool = open_pool(first_device);
    if (!keeps(pool)) {
        rowpool_close(pool);
        skip_since("%s keeps no copies: it shares the host's memory or is not the only device", first_device);
    }
    int32_t *elements = make_elements();
    int64_t *offsets = test_allocate((COUNT + 1) * sizeof *offsets);
    for (size_t i = 0; i <= COUNT; i++)
        offsets[i] = (int64_t)(i % 2 == 0 ? i * WIDTH : i * WIDTH - 3);
    const rowpool_rows dense = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    const rowpool_rows strided = {
        .data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = 3, .stride = WIDTH};
    const rowpool_rows ragged = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .offsets = offsets};
    const rowpool_rows single = {.data = elements, .dtype = ROWPOOL_INT32, .count = 1, .width = ELEMENTS};
    upload_once(pool, &dense, ELEMENTS * sizeof *elements);
    upload_once(pool, &strided, COUNT * 3 * sizeof *elements);
    upload_once(pool, &single, ELEMENTS * sizeof *elements);
    rowpool_data *data = open_data(pool, &ragged); /* each partition has one more offset than rows */
    size_t bytes = ELEMENTS * sizeof *elements + (COUNT + data->n_partitions) * sizeof *offsets;
    rowpool_data_close(data);
    upload_once(pool, &ragged, bytes);
    rowpool_close(pool);
    free(elements);
    free(offsets);
}

/* Maps with small chunks and ordered streams also leave copies. */
TEST(small_chunks_and_streams_use_and_leave_copies)
{
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    for (int how = 0; how < WAYS; how++) {
        rowpool_data *data = open_data(pool, &rows);
        rowpool_call call = call_of(rowpool_builtin("sum"), &rows);
        call.chunk_rows = 500;
        check_call(pool, &call, (way)how, first_device);
        if (keeps(pool)) {
            assert_int_equal(bytes_kept(pool), ELEMENTS * sizeof *elements);
            assert_int_equal(uploads_of(pool, &call, (way)how), 0);
        }
        rowpool_data_close(data);
    }
    rowpool_close(pool);
    free(elements);
}

/* With several devices each partition is kept on at most one of them, whichever device maps it. */
TEST(partitions_are_kept_on_several_devices)
{
    rowpool *pool = open_pool(first_device);
    if (pool->devices.used < 2 || pool->devices.items[0].keeps == 0) {
        rowpool_close(pool);
        skip_since("%s does not name several devices with their own memory", first_device);
    }
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *data = open_data(pool, &rows);
    for (int turn = 0; turn < 12; turn++) {
        check(pool, turn % 3 == 2 ? &entries : rowpool_builtin("count"), &rows, (way)(turn % WAYS), first_device);
        assert_true(bytes_kept(pool) <= ELEMENTS * sizeof *elements);
    }
    assert_true(bytes_kept(pool) > 0);
    rowpool_data_close(data);
    assert_int_equal(bytes_kept(pool), 0);
    rowpool_close(pool);
    free(elements);
}

/* Users must not change the rows; the test does, to see whether the copies are used. */
TEST(maps_use_the_copies)
{
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    uint32_t counts[COUNT], again[COUNT];
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *data = open_data(pool, &rows);
    rowpool_error error;
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
    for (size_t i = 0; i < ELEMENTS; i++)
        elements[i] = 5;
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, again, &error), error);
    if (keeps(pool))
        assert_memory_equal(counts, again, sizeof counts);
    else if (pool->devices.items[0].keeps == 0)
        assert_int_equal(again[0] + again[COUNT - 1], 2 * WIDTH);
    rowpool_data_close(data);
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, again, &error), error);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(again[i], WIDTH);
    rowpool_close(pool);
    free(elements);
}

/* Rows of the same shape at two addresses: each handle uses its own copies. */
TEST(handles_use_their_own_copies)
{
    rowpool *pool = open_pool(first_device);
    int32_t *fives = test_allocate(ELEMENTS * sizeof *fives), *zeros = calloc(ELEMENTS, sizeof *zeros);
    assert_non_null(zeros);
    for (size_t i = 0; i < ELEMENTS; i++)
        fives[i] = 5;
    const rowpool_rows all = {.data = fives, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    const rowpool_rows none = {.data = zeros, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *data[2] = {open_data(pool, &all), open_data(pool, &none)};
    for (size_t i = 0; i < 4; i++) {
        uint32_t counts[COUNT];
        rowpool_error error;
        assert_ok(rowpool_range_count(pool, rowpool_data_rows(data[i % 2]), NULL, 0, counts, &error), error);
        for (size_t row = 0; row < COUNT; row++)
            assert_int_equal(counts[row], i % 2 == 0 ? WIDTH : 0);
    }
    rowpool_data_close(data[0]);
    rowpool_data_close(data[1]);
    rowpool_close(pool);
    free(fives);
    free(zeros);
}

/* ---- More data than memory -------------------------------------------------------------------------------------- */

TEST(partitions_beyond_the_budget_are_uploaded_each_time)
{
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    const rowpool_rows half = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT / 2, .width = WIDTH};
    size_t bytes = ELEMENTS * sizeof *elements;
    for (size_t i = 0; i < pool->devices.used; i++)
        if (pool->devices.items[i].keeps > 0)
            pool->devices.items[i].keeps = bytes * 5 / 8 + 1000;
    rowpool_data *data = open_data(pool, &rows), *second;
    rowpool_call call = call_of(rowpool_builtin("count"), &rows), other = call_of(&entries, &half);
    for (int how = 0; how < WAYS; how++) {
        check_call(pool, &call, (way)how, first_device);
        for (size_t i = 0; i < pool->devices.used; i++)
            assert_true(pool->devices.items[i].kept <= pool->devices.items[i].keeps);
    }
    if (keeps(pool)) {
        assert_int_equal(bytes_kept(pool), bytes / 8 * 5);
        long brought = uploads_of(pool, &call, WAITING);
        if (is_opencl(pool))
            assert_int_equal(brought, bytes / 8 * 3);
    }
    second = open_data(pool, &half); /* all handles share one budget */
    check_call(pool, &other, WAITING, first_device);
    if (keeps(pool))
        assert_int_equal(bytes_kept(pool), bytes / 8 * 5);
    rowpool_data_close(data);
    check_call(pool, &other, WAITING, first_device);
    if (keeps(pool))
        assert_int_equal(bytes_kept(pool), bytes / 2);
    rowpool_data_close(second);
    assert_int_equal(bytes_kept(pool), 0);
    rowpool_close(pool);
    free(elements);
}

/* ---- Failing devices -------------------------------------------------------------------------------------------- */

/* One map on a fresh handle with the n-th OpenCL call failing, then one without. False: it makes fewer calls. */
static bool map_with_fault(rowpool *pool, const rowpool_rows *rows, long n, bool sticky, bool memory)
{
    rowpool_data *data = open_data(pool, rows);
    rowpool_call call = call_of(rowpool_builtin("count"), rows);
    test_faults_arm(&faults, n, sticky, memory);
    check_call(pool, &call, n % 2 == 0 ? WAITING : JOB, "with a fault");
    check_call(pool, &call, WAITING, "after a fault");
    test_faults_disarm(&faults);
    bool injected = atomic_load(&faults.injected) > 0;
    check_call(pool, &call, WAITING, "without a fault again");
    assert_true(bytes_kept(pool) <= ELEMENTS * sizeof(int32_t));
    rowpool_data_close(data);
    assert_int_equal(bytes_kept(pool), 0);
    return injected;
}

TEST(faults_lose_nothing)
{
    size_t one_in = test_setting("ROWPOOL_TEST_ONE_IN", 1), injected = 0;
    rowpool *pool = open_pool(first_device);
    if (!is_opencl(pool)) {
        rowpool_close(pool);
        skip_since("%s is not an OpenCL device", first_device);
    }
    int32_t *elements = make_elements();
    const rowpool_rows dense = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    const rowpool_rows single = {.data = elements, .dtype = ROWPOOL_INT32, .count = 1, .width = ELEMENTS};
    for (int manner = 0; manner < 8; manner++)
        for (long n = 1 + manner % (long)one_in;; n += (long)one_in, injected++)
            if (!map_with_fault(pool, manner < 4 ? &dense : &single, n, manner % 2 != 0, manner / 2 % 2 != 0))
                break;
    printf("%zu faults injected\n", injected);
    assert_true(injected > 0);
    rowpool_close(pool);
    free(elements);
}

/* A device without memory for a copy still has some for a chunk: it is used all the same. */
TEST(a_device_without_memory_for_a_copy_is_still_used)
{
    rowpool *pool = open_pool(first_device);
    if (!keeps(pool)) {
        rowpool_close(pool);
        skip_since("%s is not an OpenCL device that keeps copies", first_device);
    }
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_call call = call_of(rowpool_builtin("count"), &rows);
    check_call(pool, &call, WAITING, first_device); /* builds the kernel */
    uint64_t failures = pool->devices.items[0].info.failures, answered = pool->devices.items[0].info.rows;
    rowpool_data *data = open_data(pool, &rows);
    test_faults_arm(&faults, 2, false, true); /* the memory of the first copy; the first call is for the arguments */
    check_call(pool, &call, WAITING, first_device);
    test_faults_disarm(&faults);
    assert_int_equal(atomic_load(&faults.injected), 1);
    assert_int_equal(pool->devices.items[0].info.failures, failures);
    assert_int_equal(pool->devices.items[0].info.rows, answered + COUNT);
    rowpool_data_close(data);
    data = open_data(pool, &rows); /* later there may be memory again */
    check_call(pool, &call, WAITING, first_device);
    assert_int_equal(bytes_kept(pool), ELEMENTS * sizeof *elements);
    rowpool_data_close(data);
    rowpool_close(pool);
    free(elements);
}

/* Whichever command of a chunk fails, the rows uploaded with it are not kept as a copy. */
TEST(a_failed_copy_is_not_kept)
{
    rowpool *pool = open_pool(first_device);
    if (!keeps(pool)) {
        rowpool_close(pool);
        skip_since("%s is not an OpenCL device that keeps copies", first_device);
    }
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = 2500, .width = WIDTH};
    rowpool_call call = call_of(rowpool_builtin("count"), &rows);
    check_call(pool, &call, WAITING, first_device); /* builds the kernel */
    const uint64_t *failures = &pool->devices.items[0].info.failures;
    size_t failed = 0;
    for (long n = 1;; n++) {
        uint64_t before = *failures;
        rowpool_data *data = open_data(pool, &rows);
        test_faults_arm(&faults, n, false, false);
        check_call(pool, &call, n % 2 == 0 ? WAITING : JOB, first_device);
        test_faults_disarm(&faults);
        assert_int_equal(bytes_kept(pool), *failures > before ? 0 : rows.count * WIDTH * sizeof *elements);
        failed += *failures > before;
        rowpool_data_close(data);
        if (atomic_load(&faults.injected) == 0)
            break;
    }
    assert_true(failed > 5);
    rowpool_close(pool);
    free(elements);
}

/* ---- Concurrency ------------------------------------------------------------------------------------------------ */

typedef struct {
    rowpool *pool;
    const rowpool_rows *rows;
    size_t number;
    bool wrong;
} mapper;

static void *map_repeatedly(void *argument)
{
    mapper *own = argument;
    const rowpool_function *functions[] = {rowpool_builtin("count"), &entries, rowpool_builtin("argmax")};
    for (size_t turn = 0; turn < 6; turn++) {
        rowpool_call call = call_of(functions[(own->number + turn) % COUNT_OF(functions)], own->rows);
        size_t bytes = own->rows->count * result_size(&call);
        char *expected = test_allocate(bytes), *found = test_allocate(bytes);
        call.results_size = bytes;
        call.results = expected;
        own->wrong |= rowpool_map(host, &call, NULL) != ROWPOOL_OK;
        call.results = found;
        own->wrong |= rowpool_map(own->pool, &call, NULL) != ROWPOOL_OK || memcmp(expected, found, bytes) != 0;
        free(expected);
        free(found);
    }
    return NULL;
}

TEST(many_threads_map_one_handle)
{
    enum { THREADS = 4 };
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *data = open_data(pool, &rows);
    mapper mappers[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        mappers[i] = (mapper){.pool = pool, .rows = &rows, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, map_repeatedly, &mappers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(mappers[i].wrong);
    }
    if (keeps(pool))
        assert_int_equal(bytes_kept(pool), ELEMENTS * sizeof *elements);
    rowpool_data_close(data);
    assert_int_equal(bytes_kept(pool), 0);
    rowpool_close(pool);
    free(elements);
}

/* The handle is closed while jobs use it: the jobs end normally, then the copies are freed. */
TEST(a_handle_is_closed_while_jobs_run)
{
    enum { JOBS = 6 };
    static uint32_t counts[JOBS][COUNT];
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    uint64_t *expected = test_allocate(COUNT * sizeof *expected);
    rowpool_job *jobs[JOBS];
    rowpool_error error;
    test_expect(&rows, NULL, 0, expected);
    rowpool_data *data = open_data(pool, &rows);
    for (size_t i = 0; i < JOBS; i++)
        assert_ok(
            rowpool_range_count_async(pool, rowpool_data_rows(data), NULL, 0, counts[i], NULL, NULL, &jobs[i], &error),
            error);
    rowpool_data_close(data);
    for (size_t i = 0; i < JOBS; i++) {
        assert_ok(wait_for(jobs[i], &error), error);
        for (size_t row = 0; row < COUNT; row++)
            assert_int_equal(counts[i][row], expected[row]);
    }
    assert_int_equal(bytes_kept(pool), 0);
    rowpool_close(pool);
    free(elements);
    free(expected);
}

/* ---- Handles ---------------------------------------------------------------------------------------------------- */

enum { HANDLES = 3 };

/* Closes the handles at the same time as the pool is closed. */
typedef struct {
    atomic_int *ready;
    rowpool_data *handles[HANDLES];
} closer;

/* A barrier for two threads. */
static void meet(atomic_int *ready)
{
    atomic_fetch_add(ready, 1);
    while (atomic_load(ready) < 2)
        sched_yield();
}

static void *close_handles(void *argument)
{
    closer *own = argument;
    meet(own->ready);
    for (size_t i = 0; i < HANDLES; i++)
        rowpool_data_close(own->handles[i]);
    return NULL;
}

/* The copies are freed once, whichever thread closes first. delay: before the pool is closed. */
static void close_together(rowpool *pool, const int32_t *elements, size_t delay)
{
    enum { EACH = COUNT - HANDLES }; /* they overlap, so that no map of one is small */
    atomic_int ready = 0;
    closer own = {.ready = &ready};
    pthread_t thread;
    for (size_t i = 0; i < HANDLES; i++) {
        const rowpool_rows rows = {.data = elements + i * WIDTH, .dtype = ROWPOOL_INT32, .count = EACH, .width = WIDTH};
        own.handles[i] = open_data(pool, &rows);
        check(pool, rowpool_builtin("count"), &rows, WAITING, first_device);
    }
    if (keeps(pool))
        assert_int_equal(bytes_kept(pool), HANDLES * EACH * WIDTH * sizeof *elements);
    assert_int_equal(pthread_create(&thread, NULL, close_handles, &own), 0);
    meet(&ready);
    for (size_t i = 0; i < delay; i++)
        sched_yield();
    rowpool_close(pool);
    pthread_join(thread, NULL);
}

TEST(a_handle_is_closed_while_its_pool_closes)
{
    size_t rounds = TEST_SANITIZED ? 60 : 300;
    int32_t *elements = make_elements();
    for (size_t round = 0; round < rounds; round++) {
        rowpool *pool = open_pool(first_device);
        if (round == 0 && is_opencl(pool)) /* each pool builds its kernels anew */
            rounds /= 10;
        close_together(pool, elements, round % 16);
    }
    free(elements);
}

TEST(a_handle_may_outlive_its_pool)
{
    rowpool *pool = open_pool(first_device), *other = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *first = open_data(pool, &rows), *second = open_data(pool, &rows);
    check(pool, rowpool_builtin("count"), &rows, WAITING, first_device);
    rowpool_close(pool);
    check(other, rowpool_builtin("count"), rowpool_data_rows(first), WAITING, first_device);
    assert_int_equal(bytes_kept(other), 0);
    rowpool_data_close(first);
    rowpool_data_close(second);
    rowpool_close(other);
    free(elements);
}

TEST(handles_in_a_forked_child)
{
    rowpool *pool = open_pool(first_device);
    int32_t *elements = make_elements();
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = COUNT, .width = WIDTH};
    rowpool_data *data = open_data(pool, &rows), *second = open_data(pool, &rows);
    check(pool, rowpool_builtin("count"), &rows, WAITING, first_device);
    pid_t child = fork();
    if (child == 0) {
        rowpool_data *own;
        rowpool_error error;
        bool refused = rowpool_data_open(&own, pool, &rows, &error) == ROWPOOL_EFORKED && own == NULL;
        rowpool_data_close(second);
        rowpool_close(pool);
        rowpool_data_close(data);
        _exit(refused ? 0 : 1);
    }
    const int status = test_wait(child);
    assert_int_equal(status, 0);
    check(pool, rowpool_builtin("argmax"), &rows, WAITING, first_device); /* the parent's copies are unchanged */
    rowpool_data_close(second);
    rowpool_data_close(data);
    rowpool_close(pool);
    free(elements);
}

TEST(invalid_calls_are_refused)
{
    rowpool *pool = open_pool(first_device);
    rowpool_data *data;
    rowpool_error error;
    int32_t elements[8] = {0};
    const int64_t offsets[] = {0, 5, 4};
    rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = 2, .width = 4};
    assert_refused(rowpool_data_open(NULL, pool, &rows, &error), ROWPOOL_EINVAL, error, "data is NULL");
    assert_refused(rowpool_data_open(&data, NULL, &rows, &error), ROWPOOL_EINVAL, error, "pool is NULL");
    assert_refused(rowpool_data_open(&data, pool, NULL, &error), ROWPOOL_EINVAL, error, "rows is NULL");
    rows.stride = 3;
    assert_refused(rowpool_data_open(&data, pool, &rows, &error), ROWPOOL_EINVAL, error, "rows.stride is 3");
    assert_null(data);
    rows = (rowpool_rows){.data = elements, .dtype = ROWPOOL_INT32, .count = 2, .offsets = offsets};
    assert_refused(rowpool_data_open(&data, pool, &rows, &error), ROWPOOL_EINVAL, error, "rows.offsets[2] is 4");
    assert_null(rowpool_data_rows(NULL));
    rowpool_data_close(NULL);
    rowpool_close(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_map_one_handle),
        cmocka_unit_test(maps_on_handles_give_the_same_results),
        cmocka_unit_test(any_mix_of_handles_and_rows_is_zipped),
        cmocka_unit_test(rows_are_uploaded_once),
        cmocka_unit_test(small_chunks_and_streams_use_and_leave_copies),
        cmocka_unit_test(partitions_are_kept_on_several_devices),
        cmocka_unit_test(maps_use_the_copies),
        cmocka_unit_test(handles_use_their_own_copies),
        cmocka_unit_test(partitions_beyond_the_budget_are_uploaded_each_time),
        cmocka_unit_test(faults_lose_nothing),
        cmocka_unit_test(a_device_without_memory_for_a_copy_is_still_used),
        cmocka_unit_test(a_failed_copy_is_not_kept),
        cmocka_unit_test(a_handle_is_closed_while_jobs_run),
        cmocka_unit_test(a_handle_is_closed_while_its_pool_closes),
        cmocka_unit_test(a_handle_may_outlive_its_pool),
        cmocka_unit_test(handles_in_a_forked_child),
        cmocka_unit_test(invalid_calls_are_refused),
    };
#ifdef ROWPOOL_TEST_FAULT_LAYER
    test_faults_begin(&faults, ROWPOOL_TEST_FAULT_LAYER, argv);
#endif
    rowpool_options options = {.size = sizeof options, .device = "host"};
    rowpool_error error;
    if (rowpool_open(&host, &options, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (argc > 1)
        first_device = argv[1];
    test_pools_open(argc, argv);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_pools_close();
    rowpool_close(host);
    return failed + (test_faults_left(&faults) != 0);
}
