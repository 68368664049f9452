/* Maps of user-defined row functions: the same results on every device, streams, and what is refused. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"
#include "dot.h"
#include "ends.h"
#include "entries.h"
#include "longest_run.h"
#include "pools.h"
#include "support.h"

/* ---- References: one row at a time, from the elements' bits ----------------------------------------------------- */

static uint64_t element_of(const rowpool_rows *rows, size_t row, size_t i)
{
    return test_load(rows->dtype, rows->data, test_row_begin(rows, row) + i);
}

static double value_of(const rowpool_rows *rows, size_t row, size_t i)
{
    return test_value(rows->dtype, element_of(rows, row, i));
}

static uint32_t expect_longest_run(const rowpool_rows *rows, size_t row, const rowpool_range *range)
{
    uint32_t longest = 0, run = 0;
    for (size_t i = 0; i < test_row_width(rows, row); i++) {
        if (test_within(rows->dtype, element_of(rows, row, i), range))
            run++;
        else
            run = 0;
        if (run > longest)
            longest = run;
    }
    return longest;
}

static uint32_t expect_entries(const rowpool_rows *rows, size_t row, const rowpool_range *range)
{
    uint32_t entered = 0;
    bool inside = false;
    for (size_t i = 0; i < test_row_width(rows, row); i++) {
        bool now = test_within(rows->dtype, element_of(rows, row, i), range);
        entered += now && !inside;
        inside = now;
    }
    return entered;
}

typedef struct {
    int64_t first_index, last_index;
    uint64_t first, last; /* bits */
} ends_result;

static ends_result expect_ends(const rowpool_rows *rows, size_t row)
{
    size_t width = test_row_width(rows, row);
    if (width == 0)
        return (ends_result){-1, -1, 0, 0};
    return (ends_result){0, (int64_t)width - 1, element_of(rows, row, 0), element_of(rows, row, width - 1)};
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

/* A synchronous map, or a job that is waited for. */
static rowpool_status map(rowpool *pool, const rowpool_call *call, bool async, rowpool_error *error)
{
    if (!async)
        return rowpool_map(pool, call, error);
    rowpool_job *job;
    rowpool_status status = rowpool_map_async(pool, call, NULL, NULL, &job, error);
    if (status != ROWPOOL_OK)
        return status;
    status = rowpool_job_wait(job, -1, error);
    rowpool_job_release(job);
    return status;
}

static rowpool_call call_of(const rowpool_function *function, const rowpool_rows *rows, void *results, size_t size)
{
    return (rowpool_call){.size = sizeof(rowpool_call),
                          .function = function,
                          .inputs = rows,
                          .results = results,
                          .results_size = size,
                          .allow_host = true};
}

/* ---- The same results everywhere -------------------------------------------------------------------------------- */

enum { RANGES = 3 };

static void check_ranged(const test_pool *target, test_random *random, const rowpool_rows *rows,
                         const rowpool_function *function,
                         uint32_t (*expect)(const rowpool_rows *, size_t, const rowpool_range *), bool async)
{
    rowpool_range ranges[RANGES];
    size_t n = 1 + (size_t)test_below(random, RANGES);
    for (size_t k = 0; k < n; k++)
        ranges[k] = test_range_for(random, rows);
    size_t bytes = rows->count * n * sizeof(uint32_t);
    uint32_t *results = test_allocate(bytes);
    rowpool_call call = call_of(function, rows, results, bytes);
    rowpool_error error;
    call.ranges = ranges;
    call.n_ranges = n;
    assert_ok(map(target->pool, &call, async, &error), error);
    for (size_t row = 0; row < rows->count; row++)
        for (size_t k = 0; k < n; k++) {
            uint32_t expected = expect(rows, row, &ranges[k]);
            if (results[row * n + k] != expected)
                fail_msg("%s: %s of %s: row %zu of %zu, %zu elements: %u, not %u", target->what, function->name,
                         rowpool_dtype_name(rows->dtype), row, rows->count, test_row_width(rows, row),
                         results[row * n + k], expected);
        }
    free(results);
}

/* Reads the struct of ends.cl for elements of this size: two indices, two elements, and padding. */
static ends_result read_ends(const char *results, size_t row, rowpool_dtype dtype, size_t each)
{
    ends_result read;
    const char *from = results + row * each;
    memcpy(&read.first_index, from, sizeof(int64_t));
    memcpy(&read.last_index, from + sizeof(int64_t), sizeof(int64_t));
    read.first = test_load(dtype, from + 2 * sizeof(int64_t), 0);
    read.last = test_load(dtype, from + 2 * sizeof(int64_t), 1);
    return read;
}

static void check_ends(const test_pool *target, const rowpool_rows *rows, bool async)
{
    size_t each = ends.compiled[rows->dtype]->result_size, bytes = rows->count * each;
    char *results = test_allocate(bytes);
    rowpool_call call = call_of(&ends, rows, results, bytes);
    rowpool_error error;
    assert_ok(map(target->pool, &call, async, &error), error);
    for (size_t row = 0; row < rows->count; row++) {
        ends_result expected = expect_ends(rows, row), found = read_ends(results, row, rows->dtype, each);
        if (memcmp(&expected, &found, sizeof expected) != 0)
            fail_msg("%s: ends of %s: row %zu of %zu, %zu elements: %lld and %lld", target->what,
                     rowpool_dtype_name(rows->dtype), row, rows->count, test_row_width(rows, row),
                     (long long)found.first_index, (long long)found.last_index);
    }
    free(results);
}

TEST(user_functions_give_the_same_results_everywhere)
{
    static const struct {
        size_t count, width;
    } shapes[] = {{1, 0}, {3, 1}, {100, 5}, {65, 24}, {7, 300}, {40, 600}, {2, 20000}, {1, 100000}};
    test_random random = test_random_begin(21);
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
                    bool async = turn++ % 3 == 0;
                    check_ranged(target, &random, &array.rows, &longest_run, expect_longest_run, async);
                    check_ranged(target, &random, &array.rows, &entries, expect_entries, async);
                    check_ends(target, &array.rows, async);
                    test_array_free(&array);
                }
    printf("%zu cases\n", turn);
    assert_true(turn > 0);
}

/* ---- Several inputs --------------------------------------------------------------------------------------------- */

TEST(rows_of_two_inputs_are_zipped)
{
    test_random random = test_random_begin(22);
    size_t turn = 0, cases = 0;
    test_pools_again();
    for (size_t s = 0; s < test_pools(); s++)
        for (int dtype = 0; dtype < TEST_DTYPES; dtype++, turn++) {
            enum { COUNT = 50 };
            const test_pool *target = test_pool_at(s);
            if (!test_dtype_due((rowpool_dtype)dtype) || !test_pool_due(target, COUNT * 20))
                continue;
            cases++;
            test_array first = test_array_make(&random, (rowpool_dtype)dtype, (test_layout)(turn % 3), COUNT, 10, 1);
            test_array second = test_array_make(&random, ROWPOOL_FLOAT64, (test_layout)(turn / 3 % 3), COUNT, 12, 0);
            rowpool_rows inputs[] = {first.rows, second.rows};
            /* Small whole numbers: products and sums are exact. */
            for (size_t row = 0; row < COUNT; row++) {
                for (size_t i = 0; i < test_row_width(&inputs[0], row); i++)
                    test_store(first.rows.dtype, (void *)(uintptr_t)first.rows.data,
                               test_row_begin(&inputs[0], row) + i,
                               test_small(first.rows.dtype, (unsigned)test_below(&random, 100)));
                for (size_t i = 0; i < test_row_width(&inputs[1], row); i++)
                    test_store(ROWPOOL_FLOAT64, (void *)(uintptr_t)second.rows.data,
                               test_row_begin(&inputs[1], row) + i,
                               test_small(ROWPOOL_FLOAT64, (unsigned)test_below(&random, 100)));
            }
            double results[COUNT];
            rowpool_call call = call_of(&dot, inputs, results, sizeof results);
            rowpool_error error;
            call.n_inputs = 2;
            assert_ok(map(target->pool, &call, turn % 2 != 0, &error), error);
            for (size_t row = 0; row < COUNT; row++) {
                double expected = 0;
                for (size_t i = 0; i < test_row_width(&inputs[0], row) && i < test_row_width(&inputs[1], row); i++)
                    expected += value_of(&inputs[0], row, i) * value_of(&inputs[1], row, i);
                if (results[row] != expected)
                    fail_msg("%s: row %zu: %g, not %g", target->what, row, results[row], expected);
            }
            test_array_free(&first);
            test_array_free(&second);
        }
    printf("%zu cases\n", cases);
    assert_true(cases > 0);
}

typedef struct {
    uint8_t step;
    int64_t offset;
} compare_arguments;
typedef struct {
    uint16_t within;
    int64_t last;
} compare_result;

TEST(rows_of_four_inputs_with_structs)
{
    test_random random = test_random_begin(23);
    size_t turn = 0, cases = 0;
    test_pools_again();
    const compare_arguments arguments[] = {{1, 0}, {7, -1000000007}};
    for (size_t s = 0; s < test_pools(); s++)
        for (int dtype = 0; dtype < TEST_DTYPES; dtype++, turn++) {
            enum { COUNT = 33, K = COUNT_OF(arguments) };
            const test_pool *target = test_pool_at(s);
            if (!test_dtype_due((rowpool_dtype)dtype) || !test_pool_due(target, COUNT * 30))
                continue;
            cases++;
            test_array arrays[4];
            rowpool_rows inputs[4];
            for (size_t i = 0; i < 4; i++) {
                arrays[i] = test_array_make(&random, i == 3 ? ROWPOOL_UINT8 : (rowpool_dtype)dtype,
                                            (test_layout)((turn + i) % 3), COUNT, 5 + i, i);
                inputs[i] = arrays[i].rows;
            }
            compare_result results[COUNT * K];
            rowpool_call call = call_of(&compare, inputs, results, sizeof results);
            rowpool_error error;
            call.n_inputs = 4;
            call.arguments = arguments;
            call.arguments_size = sizeof arguments;
            /* A window of a longer array; or a caller built before first_row existed. */
            const size_t first_row = turn % 3 != 0 ? turn * 5000000000 : 0;
            call.first_row = turn % 3 != 0 ? first_row : 77;
            if (turn % 3 == 0)
                call.size = offsetof(rowpool_call, first_row);
            assert_ok(map(target->pool, &call, turn % 2 != 0, &error), error);
            for (size_t row = 0; row < COUNT; row++) {
                uint16_t within = 0;
                int64_t last = 0;
                for (size_t i = 0; i < test_row_width(&inputs[0], row); i++) {
                    test_place x, lo, hi;
                    if (i < test_row_width(&inputs[1], row) && i < test_row_width(&inputs[2], row) &&
                        test_place_element((rowpool_dtype)dtype, element_of(&inputs[0], row, i), &x) &&
                        test_place_element((rowpool_dtype)dtype, element_of(&inputs[1], row, i), &lo) &&
                        test_place_element((rowpool_dtype)dtype, element_of(&inputs[2], row, i), &hi))
                        within = (uint16_t)(within + (lo <= x && x <= hi));
                }
                for (size_t i = 0; i < test_row_width(&inputs[3], row); i++)
                    last += (int64_t)element_of(&inputs[3], row, i);
                for (size_t k = 0; k < K; k++) {
                    const compare_result *result = &results[row * K + k];
                    int64_t shifted = last + (int64_t)(first_row + row) * arguments[k].step + arguments[k].offset;
                    if (result->within != within || result->last != shifted)
                        fail_msg("%s: %s, row %zu: %d and %lld, not %d and %lld", target->what,
                                 rowpool_dtype_name((rowpool_dtype)dtype), row, result->within, (long long)result->last,
                                 within, (long long)shifted);
                }
            }
            for (size_t i = 0; i < 4; i++)
                test_array_free(&arrays[i]);
        }
    printf("%zu cases\n", cases);
    assert_true(cases > 0);
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

typedef struct {
    rowpool_order order;
    size_t rows, next, max_rows;
    uint8_t *seen;
    uint64_t *sums;
    pthread_t thread;
    unsigned delay_us;
    size_t stop_after; /* rows; 0: never */
    bool wrong;
} taker;

static int take(size_t row, size_t rows, const void *results, void *payload)
{
    taker *state = payload;
    state->wrong |= state->order == ROWPOOL_IN_ORDER && row != state->next;
    state->wrong |= rows == 0 || row + rows > state->rows;
    state->thread = pthread_self();
    state->next = row + rows;
    if (rows > state->max_rows)
        state->max_rows = rows;
    for (size_t i = 0; i < rows && !state->wrong; i++) {
        state->seen[row + i]++;
        memcpy(&state->sums[row + i], (const char *)results + i * sizeof(uint64_t), sizeof(uint64_t));
    }
    if (state->delay_us > 0)
        usleep(state->delay_us);
    return state->stop_after != 0 && state->next >= state->stop_after;
}

static taker make_taker(size_t rows, rowpool_order order)
{
    taker state = {.rows = rows, .order = order};
    state.seen = calloc(rows, 1);
    state.sums = calloc(rows, sizeof *state.sums);
    if (state.seen == NULL || state.sums == NULL)
        abort();
    return state;
}

static void free_taker(taker *state)
{
    free(state->seen);
    free(state->sums);
}

static void check_stream(const test_pool *target, const rowpool_call *call, rowpool_order order, bool async,
                         const uint64_t *expected)
{
    taker state = make_taker(call->inputs->count, order);
    rowpool_error error;
    if (async) {
        rowpool_job *job;
        assert_ok(rowpool_map_stream_async(target->pool, call, order, take, NULL, &state, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
    } else {
        assert_ok(rowpool_map_stream(target->pool, call, order, take, &state, &error), error);
    }
    assert_false(state.wrong);
    assert_true((pthread_equal(state.thread, pthread_self()) != 0) == !async);
    if (call->chunk_rows > 0)
        assert_true(state.max_rows <= call->chunk_rows);
    for (size_t row = 0; row < state.rows; row++)
        if (state.seen[row] != 1 || state.sums[row] != expected[row])
            fail_msg("%s: row %zu was delivered %d times, as %llu, not %llu", target->what, row, state.seen[row],
                     (unsigned long long)state.sums[row], (unsigned long long)expected[row]);
    free_taker(&state);
}

/* Rows of different lengths; on some pools the longest are split. */
TEST(a_stream_brings_every_row_once)
{
    test_random random = test_random_begin(24);
    size_t turn = 0;
    for (size_t s = 0; s < test_pools(); s++)
        for (int order = ROWPOOL_IN_ORDER; order <= ROWPOOL_ANY_ORDER; order++, turn++) {
            const test_pool *target = test_pool_at(s);
            size_t widths[] = {3, 0, 700, 1, 1, 12000, 0, 5, 40, 0}, count = COUNT_OF(widths);
            if (target->max_elements < 20000)
                widths[2] = widths[5] = widths[8] = 7;
            test_array array = test_array_of_widths(&random, ROWPOOL_UINT32, widths, count, 0);
            uint64_t expected[COUNT_OF(widths)] = {0};
            for (size_t row = 0; row < count; row++)
                for (size_t i = 0; i < widths[row]; i++)
                    expected[row] += element_of(&array.rows, row, i);
            rowpool_call call = call_of(rowpool_builtin("sum"), &array.rows, NULL, 0);
            call.chunk_rows = turn % 3;
            check_stream(target, &call, (rowpool_order)order, turn % 2 != 0, expected);
            test_array_free(&array);
        }
}

static size_t resident_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmRSS: %zu kB", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

typedef struct {
    rowpool *pool;
    size_t taken, max_waiting; /* rows */
    size_t peak_kib;
} slow_taker;

static uint64_t rows_answered(rowpool *pool)
{
    rowpool_device devices[16];
    size_t count;
    uint64_t rows = 0;
    if (rowpool_devices(pool, devices, COUNT_OF(devices), &count, NULL) == ROWPOOL_OK)
        for (size_t i = 0; i < count && i < COUNT_OF(devices); i++)
            rows += devices[i].rows;
    return rows;
}

static int take_slowly(size_t row, size_t rows, const void *results, void *payload)
{
    slow_taker *slow = payload;
    size_t kib = resident_kib();
    (void)row;
    (void)results;
    slow->taken += rows;
    size_t waiting = (size_t)rows_answered(slow->pool) - slow->taken;
    if (waiting > slow->max_waiting)
        slow->max_waiting = waiting;
    if (kib > slow->peak_kib)
        slow->peak_kib = kib;
    usleep(3000);
    return 0;
}

/* 64 MB of results from 1 MB of rows: keeping them all until delivery would show. Sanitizers keep freed memory. */
TEST(a_slow_callback_keeps_memory_bounded)
{
    enum { ROWS = 1 << 20, COLUMNS = 8, CHUNK = 10000, WORKERS = 3, MAX_CHUNKS = 5 * WORKERS, MAX_KIB = 40 << 10 };
    int8_t *data = calloc(ROWS, 1);
    assert_non_null(data);
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = ROWS, .width = 1};
    const rowpool_rows first = {.data = data, .dtype = ROWPOOL_INT8, .count = CHUNK, .width = 1};
    rowpool_range ranges[COLUMNS];
    for (size_t k = 0; k < COLUMNS; k++)
        ranges[k] = rowpool_range_i64(0, 3);
    const char *const devices[] = {"auto", "fork", "host"};
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        for (int order = ROWPOOL_IN_ORDER; order <= ROWPOOL_ANY_ORDER; order++) {
            slow_taker slow = {0};
            rowpool_error error;
            rowpool_options options = {.size = sizeof options, .device = devices[i], .workers = WORKERS};
            assert_ok(rowpool_open(&slow.pool, &options, &error), error);
            rowpool_call call = call_of(rowpool_builtin("count64"), &rows, NULL, 0);
            call.ranges = ranges;
            call.n_ranges = COLUMNS;
            call.chunk_rows = CHUNK;
            call.inputs = &first; /* without the compiler's memory */
            assert_ok(rowpool_map_stream(slow.pool, &call, (rowpool_order)order, take_slowly, &slow, &error), error);
            call.inputs = &rows;
            slow.peak_kib = 0;
            size_t before = resident_kib();
            assert_ok(rowpool_map_stream(slow.pool, &call, (rowpool_order)order, take_slowly, &slow, &error), error);
            assert_int_equal(slow.taken, CHUNK + ROWS);
            assert_in_range(slow.max_waiting, 0, MAX_CHUNKS * CHUNK);
            if (!TEST_SANITIZED && slow.peak_kib > before + MAX_KIB)
                fail_msg("%s: %zu KiB before, %zu KiB at most", devices[i], before, slow.peak_kib);
            rowpool_close(slow.pool);
        }
    free(data);
}

TEST(the_callback_may_end_the_stream)
{
    enum { ROWS = 100000, STOP = 5000 };
    int32_t *data = calloc(ROWS, 5 * sizeof *data);
    assert_non_null(data);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = 5};
    for (size_t s = 0; s < test_pools(); s++) {
        const test_pool *target = test_pool_at(s);
        if (target->max_elements < 100000)
            continue;
        taker ended = make_taker(ROWS, ROWPOOL_IN_ORDER);
        ended.stop_after = STOP;
        rowpool_call call = call_of(rowpool_builtin("sum"), &rows, NULL, 0);
        rowpool_error error;
        call.chunk_rows = 100;
        assert_refused(rowpool_map_stream(target->pool, &call, ROWPOOL_IN_ORDER, take, &ended, &error),
                       ROWPOOL_ECANCELED, error, "the callback ended the stream at rows 4900 to 4999");
        assert_int_equal(ended.next, STOP);
        free_taker(&ended);
    }
    free(data);
}

typedef struct {
    rowpool *pool;
    rowpool_status inner;
} nested;

/* A stream callback may use the pool; closing the pool there is refused. */
static int call_inside(size_t row, size_t rows, const void *results, void *payload)
{
    nested *state = payload;
    const int32_t data[2] = {4, 9};
    const rowpool_rows one = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 2};
    uint32_t count = 0;
    (void)row;
    (void)rows;
    (void)results;
    rowpool_close(state->pool);
    state->inner = rowpool_range_count(state->pool, &one, NULL, 0, &count, NULL);
    return count != 1;
}

TEST(the_callback_may_use_the_pool)
{
    int32_t data[100] = {0};
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 20, .width = 5};
    for (size_t s = 0; s < test_pools(); s++) {
        nested calls = {test_pool_at(s)->pool, ROWPOOL_EINVAL};
        rowpool_call call = call_of(rowpool_builtin("sum"), &rows, NULL, 0);
        rowpool_error error;
        assert_ok(rowpool_map_stream(calls.pool, &call, ROWPOOL_IN_ORDER, call_inside, &calls, &error), error);
        assert_int_equal(calls.inner, ROWPOOL_OK);
    }
}

TEST(bad_streams_are_refused)
{
    int32_t data[1] = {0};
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 1};
    rowpool_call call = call_of(rowpool_builtin("sum"), &rows, NULL, 0);
    rowpool *pool = test_pool_at(0)->pool;
    rowpool_job *job = (rowpool_job *)&call;
    rowpool_error error;
    assert_refused(rowpool_map_stream(pool, &call, ROWPOOL_IN_ORDER, NULL, NULL, &error), ROWPOOL_EINVAL, error,
                   "each is NULL");
    assert_refused(rowpool_map_stream(pool, &call, (rowpool_order)7, take, NULL, &error), ROWPOOL_EINVAL, error,
                   "order is 7");
    assert_refused(rowpool_map_stream_async(pool, &call, ROWPOOL_ANY_ORDER, NULL, NULL, NULL, &job, &error),
                   ROWPOOL_EINVAL, error, "each is NULL");
    assert_null(job);
    assert_refused(rowpool_map_stream(NULL, &call, ROWPOOL_IN_ORDER, take, NULL, &error), ROWPOOL_EINVAL, error,
                   "pool is NULL");
}

/* ---- Source only, C only ---------------------------------------------------------------------------------------- */

static const char last_text[] = "typedef uchar arguments_t;\n"
                                "typedef int result_t;\n"
                                "ROW_BODY { return width > 0 ? (int)ROW(width - 1) + (int)index : -1; }\n";

static bool is_opencl(rowpool *pool)
{
    rowpool_device devices[32];
    size_t count;
    rowpool_error error;
    bool found = false;
    assert_ok(rowpool_devices(pool, devices, COUNT_OF(devices), &count, &error), error);
    for (size_t i = 0; i < count && i < COUNT_OF(devices); i++)
        found |= devices[i].in_use && devices[i].type < ROWPOOL_DEVICE_FORK;
    return found;
}

/* A function without a C form runs on OpenCL devices and is refused elsewhere. */
TEST(text_without_a_c_form)
{
    const int16_t data[] = {1, 2, 3, 4, 5, 6};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT16, .count = 3, .width = 2};
    for (size_t s = 0; s < test_pools(); s++) {
        /* Each time a new object with another text at the same address, as in a program that generates them. */
        char text[sizeof last_text + 32];
        snprintf(text, sizeof text, "%s// %zu\n", last_text, s % 2);
        const rowpool_function last = {
            .size = sizeof last, .name = "last", .form = ROWPOOL_BODY, .source = text, .result_size = sizeof(int32_t)};
        int32_t results[3] = {0};
        rowpool_call call = call_of(&last, &rows, results, sizeof results);
        rowpool_error error;
        rowpool *pool = test_pool_at(s)->pool;
        if (!is_opencl(pool)) {
            assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_ENODEVICE, error, "cannot run last");
            continue;
        }
        assert_ok(rowpool_map(pool, &call, &error), error);
        assert_int_equal(results[0], 2);
        assert_int_equal(results[1], 5);
        assert_int_equal(results[2], 8);
    }
}

TEST(text_that_does_not_compile_names_its_line)
{
    const int32_t data[] = {1};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 1};
    static const struct {
        const char *text, *message;
        size_t result_size;
    } cases[] = {
        {"#line 41 \"my_function.cl\"\ntypedef uchar arguments_t;\ntypedef int result_t;\n"
         "ROW_BODY { return undeclared; }\n",
         "my_function.cl:43", 4},
        {"typedef uchar arguments_t;\ntypedef long result_t;\nROW_BODY { return 1; }\n", "rp_size_of_result_t_differs",
         4},
    };
    for (size_t s = 0; s < test_pools(); s++)
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            rowpool *pool = test_pool_at(s)->pool;
            const rowpool_function wrong = {.size = sizeof wrong,
                                            .name = "wrong",
                                            .form = ROWPOOL_BODY,
                                            .source = cases[i].text,
                                            .result_size = cases[i].result_size};
            int32_t result[2] = {17, 18};
            rowpool_call call = call_of(&wrong, &rows, result, cases[i].result_size);
            rowpool_error error;
            if (!is_opencl(pool))
                continue;
            assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EBUILD, error, cases[i].message);
            assert_non_null(strstr(error.message, "wrong"));
            assert_int_equal(result[0], 17);
            assert_int_equal(result[1], 18);
        }
}

TEST(text_from_a_file)
{
    char path[] = "/tmp/rowpool \"test\" XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const char broken[] = "typedef uchar arguments_t;\ntypedef int result_t;\nROW_BODY { return no_such_thing; }\n";
    assert_int_equal(write(fd, broken, sizeof broken - 1), sizeof broken - 1);
    rowpool_error error;
    char *text = rowpool_read_source(path, &error);
    assert_non_null(text);
    assert_non_null(strstr(text, broken));
    for (size_t s = 0; s < test_pools(); s++) {
        const int32_t data[] = {1};
        const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 1};
        const rowpool_function wrong = {
            .size = sizeof wrong, .name = "wrong", .form = ROWPOOL_BODY, .source = text, .result_size = 4};
        int32_t result;
        rowpool_call call = call_of(&wrong, &rows, &result, sizeof result);
        if (!is_opencl(test_pool_at(s)->pool))
            continue;
        assert_refused(rowpool_map(test_pool_at(s)->pool, &call, &error), ROWPOOL_EBUILD, error, path + 15);
        assert_non_null(strstr(error.message, ":3:"));
    }
    free(text);
    assert_int_equal(write(fd, "", 1), 1);
    assert_null(rowpool_read_source(path, &error));
    assert_non_null(strstr(error.message, "it has a byte 0"));
    close(fd);
    unlink(path);
    assert_null(rowpool_read_source(path, &error));
    assert_int_equal(error.status, ROWPOOL_ESYSTEM);
    assert_non_null(strstr(error.message, "cannot open"));
    assert_null(rowpool_read_source("/tmp", &error));
    assert_int_equal(error.status, ROWPOOL_EINVAL);
    assert_null(rowpool_read_source(NULL, NULL));
}

/* ---- Where it runs ---------------------------------------------------------------------------------------------- */

static void write_pid(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)row;
    (void)index;
    (void)arguments;
    *(int64_t *)result = getpid();
}

/* Even for a small map, a user's function stays out of this process unless it is allowed in. */
TEST(a_function_runs_in_this_process_if_allowed)
{
    const int32_t data[2] = {0};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 2, .width = 1};
    const rowpool_function pid = {.size = sizeof pid, .name = "pid", .row = write_pid, .result_size = sizeof(int64_t)};
    const char *const devices[] = {"auto", "fork", "host"};
    for (size_t i = 0; i < COUNT_OF(devices); i++)
        for (int allowed = 0; allowed <= 1; allowed++) {
            rowpool *pool;
            rowpool_error error;
            rowpool_options options = {.size = sizeof options, .device = devices[i], .workers = 1};
            int64_t results[2] = {0};
            rowpool_call call = call_of(&pid, &rows, results, sizeof results);
            call.allow_host = allowed != 0;
            assert_ok(rowpool_open(&pool, &options, &error), error);
            if (i == 2 && !allowed) {
                assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_ENODEVICE, error, "allow_host");
            } else {
                assert_ok(rowpool_map(pool, &call, &error), error);
                bool inside = i != 1 && allowed;
                assert_true((results[0] == getpid()) == inside);
                assert_true((results[1] == getpid()) == inside);
            }
            rowpool_close(pool);
        }
}

/* ---- Refused calls ---------------------------------------------------------------------------------------------- */

TEST(functions_that_do_not_match_are_refused)
{
    rowpool *pool = test_pool_at(0)->pool;
    const double doubles[4] = {0};
    const float floats[4] = {0};
    rowpool_rows inputs[] = {{.data = floats, .dtype = ROWPOOL_FLOAT32, .count = 2, .width = 2},
                             {.data = doubles, .dtype = ROWPOOL_FLOAT64, .count = 2, .width = 2}};
    double results[2] = {1, 2};
    rowpool_error error;
    rowpool_call call = call_of(&dot, inputs, results, sizeof results);
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error,
                   "dot takes 2 inputs, but call.n_inputs is 1");
    call.n_inputs = 2;
    inputs[1].dtype = ROWPOOL_FLOAT32;
    inputs[1].data = floats;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "inputs[1] is of float32");
    inputs[1].dtype = ROWPOOL_FLOAT64;
    inputs[1].data = doubles;
    inputs[1].count = 1;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "inputs[1] has 1 rows");
    inputs[1].count = 3;
    inputs[1].width = 1;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "inputs[1] has 3 rows");
    inputs[1].width = 2;
    inputs[1].count = 2;
    inputs[1].data = NULL;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "inputs[1]: rows.data is NULL");
    inputs[1].data = doubles;
    call.results_size = sizeof results - 1;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "call.results_size is 15");
    call.results_size = sizeof results;
    call.first_row = SIZE_MAX - 1; /* two rows: the end would wrap to 0 */
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "call.first_row is");
    assert_true(results[0] == 1 && results[1] == 2);

    rowpool_function some = longest_run;
    some.compiled[ROWPOOL_FLOAT32] = NULL;
    call = call_of(&some, inputs, results, sizeof results);
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error,
                   "longest_run does not support rows of float32");
    some = (rowpool_function){.size = sizeof some, .name = "empty", .result_size = 1};
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "neither text for OpenCL nor a C function");
    some.n_inputs = 5;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "n_inputs is 5");
    some.n_inputs = 2;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "a fold takes one input");
    some = (rowpool_function){.size = sizeof some, .name = "nothing", .row = write_pid};
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "result_size is 0");
    some.form = (rowpool_form)9;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "form is 9");
    some.name = NULL;
    assert_refused(rowpool_map(pool, &call, &error), ROWPOOL_EINVAL, error, "name is NULL");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_functions_give_the_same_results_everywhere),
        cmocka_unit_test(rows_of_two_inputs_are_zipped),
        cmocka_unit_test(rows_of_four_inputs_with_structs),
        cmocka_unit_test(a_stream_brings_every_row_once),
        cmocka_unit_test(a_slow_callback_keeps_memory_bounded),
        cmocka_unit_test(the_callback_may_end_the_stream),
        cmocka_unit_test(the_callback_may_use_the_pool),
        cmocka_unit_test(bad_streams_are_refused),
        cmocka_unit_test(text_without_a_c_form),
        cmocka_unit_test(text_that_does_not_compile_names_its_line),
        cmocka_unit_test(text_from_a_file),
        cmocka_unit_test(a_function_runs_in_this_process_if_allowed),
        cmocka_unit_test(functions_that_do_not_match_are_refused),
    };
    test_seed();
    test_pools_open(argc, argv);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    test_pools_close();
    return failures;
}
