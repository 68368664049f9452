#include "scenarios.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ends.h"
#include "longest_run.h"
#include "support.h"

/* ---- Data ------------------------------------------------------------------------------------------------------- */

/* What the scenarios run on. The data are made once, from small numbers whose results are known. */
enum {
    ROWS = 3000,
    WIDTH = 7,
    LONG = 90000,
    FILE_ROWS = 40000, /* more than 1 MB: smaller arrays are copied without looking up their mapping */
    FEW = 40,
    MANY = 200, /* ranges; their arguments are too large for a message to a worker process */
    BINS = 3,
    WAIT_MS = 600000 /* longer than any job takes */
};
static int32_t small[ROWS * WIDTH], wide[LONG];
static int32_t *mapped; /* FILE_ROWS x WIDTH in a file */
static char file[] = "/tmp/rowpool-scenarios-XXXXXX";
static int64_t offsets[ROWS + 1];

static int64_t sum_of(const int32_t *row, size_t width)
{
    int64_t sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += row[i];
    return sum;
}

static uint32_t count_of(const int32_t *row, size_t width)
{
    uint32_t count = 0;
    for (size_t i = 0; i < width; i++)
        count += row[i] >= 4 && row[i] <= 8;
    return count;
}

static const rowpool_rows dense = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
static const rowpool_rows strided = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .width = 3, .stride = WIDTH};
static const rowpool_rows ragged = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .offsets = offsets};
static const rowpool_rows single = {.data = wide, .dtype = ROWPOOL_INT32, .count = 1, .width = LONG};
static const rowpool_rows few = {.data = small, .dtype = ROWPOOL_INT32, .count = FEW, .width = WIDTH};

static void map_file(void)
{
    const size_t bytes = FILE_ROWS * WIDTH * sizeof *mapped;
    int descriptor = mkstemp(file);
    if (descriptor >= 0 && ftruncate(descriptor, (off_t)bytes) == 0)
        mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == NULL || mapped == MAP_FAILED) {
        perror(file);
        exit(1);
    }
    close(descriptor);
    for (size_t i = 0; i < FILE_ROWS * WIDTH; i++)
        mapped[i] = small[i % (ROWS * WIDTH)];
}

void test_scenarios_begin(void)
{
    test_random random = test_random_begin(31);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        small[i] = (int32_t)test_below(&random, 12);
    for (size_t i = 0; i < LONG; i++)
        wide[i] = (int32_t)test_below(&random, 12);
    for (size_t i = 0; i < ROWS; i++) {
        int64_t end = offsets[i] + (int64_t)test_below(&random, 2 * WIDTH);
        offsets[i + 1] = end <= ROWS * WIDTH ? end : offsets[i];
    }
    map_file();
}

void test_scenarios_end(void)
{
    munmap(mapped, FILE_ROWS * WIDTH * sizeof *mapped);
    unlink(file);
}

/* ---- Expected results ------------------------------------------------------------------------------------------- */

static const int32_t *row_of(const rowpool_rows *rows, size_t row, size_t *width)
{
    size_t stride = rows->stride != 0 ? rows->stride : rows->width;
    size_t begin = rows->offsets != NULL ? (size_t)rows->offsets[row] : row * stride;
    *width = rows->offsets != NULL ? (size_t)(rows->offsets[row + 1] - rows->offsets[row]) : rows->width;
    return (const int32_t *)rows->data + begin;
}

static bool counts_are_right(const rowpool_rows *rows, const uint32_t *counts, size_t columns)
{
    for (size_t row = 0; row < rows->count; row++)
        for (size_t k = 0; k < columns; k++) {
            size_t width;
            const int32_t *at = row_of(rows, row, &width);
            if (counts[row * columns + k] != count_of(at, width))
                return false;
        }
    return true;
}

static bool sums_are_right(const rowpool_rows *rows, const int64_t *sums)
{
    for (size_t row = 0; row < rows->count; row++) {
        size_t width;
        const int32_t *at = row_of(rows, row, &width);
        if (sums[row] != sum_of(at, width))
            return false;
    }
    return true;
}

/* ---- Counts, jobs ----------------------------------------------------------------------------------------------- */

static test_verdict count(test_attempt *a, const rowpool_rows *rows, size_t columns)
{
    static uint32_t counts[FILE_ROWS];
    rowpool_range ranges[MANY];
    for (size_t k = 0; k < columns; k++)
        ranges[k] = rowpool_range_i64(4, 8);
    memset(counts, 0xff, sizeof counts);
    rowpool_status status = rowpool_range_count(a->pool, rows, ranges, columns, counts, &a->error);
    return (test_verdict){status, counts_are_right(rows, counts, columns)};
}

static test_verdict count_async(test_attempt *a, const rowpool_rows *rows, size_t jobs)
{
    static uint32_t counts[4][ROWS];
    rowpool_job *job[4] = {NULL};
    test_verdict all = {ROWPOOL_OK, true};
    memset(counts, 0xff, sizeof counts);
    for (size_t i = 0; i < jobs; i++) {
        rowpool_status status = rowpool_range_count_async(a->pool, rows, NULL, 0, counts[i], NULL, NULL, &job[i],
                                                          &a->error);
        all.status = all.status != ROWPOOL_OK ? all.status : status;
    }
    for (size_t i = 0; i < jobs; i++) {
        rowpool_error error;
        rowpool_status status = job[i] == NULL ? ROWPOOL_OK : rowpool_job_wait(job[i], WAIT_MS, &error);
        if (job[i] != NULL && status != ROWPOOL_OK && all.status == ROWPOOL_OK) {
            all.status = status;
            a->error = error;
        }
        if (job[i] != NULL && status == ROWPOOL_OK)
            all.right &= counts_are_right(rows, counts[i], 1);
        rowpool_job_release(job[i]);
    }
    return all;
}

static rowpool_call call_of(const char *name, const rowpool_rows *rows, void *results, size_t size)
{
    return (rowpool_call){.size = sizeof(rowpool_call),
                          .function = rowpool_builtin(name),
                          .inputs = rows,
                          .results = results,
                          .results_size = size,
                          .allow_host = true};
}

static test_verdict sum(test_attempt *a, const rowpool_rows *rows)
{
    static int64_t sums[ROWS];
    memset(sums, 0xff, sizeof sums);
    rowpool_call call = call_of("sum", rows, sums, sizeof sums);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    return (test_verdict){status, sums_are_right(rows, sums)};
}

static int64_t streamed[ROWS];
static int take(size_t row, size_t rows, const void *results, void *payload)
{
    size_t *taken = payload;
    memcpy(streamed + row, results, rows * sizeof *streamed);
    *taken += rows;
    return 0;
}

static test_verdict stream(test_attempt *a, const rowpool_rows *rows, rowpool_order order, bool async)
{
    size_t taken = 0;
    rowpool_call call = call_of("sum", rows, NULL, 0);
    call.chunk_rows = 500;
    memset(streamed, 0xff, sizeof streamed);
    rowpool_status status;
    if (async) {
        rowpool_job *job = NULL;
        status = rowpool_map_stream_async(a->pool, &call, order, take, NULL, &taken, &job, &a->error);
        if (status == ROWPOOL_OK)
            status = rowpool_job_wait(job, WAIT_MS, &a->error);
        rowpool_job_release(job);
    } else {
        status = rowpool_map_stream(a->pool, &call, order, take, &taken, &a->error);
    }
    return (test_verdict){status, taken == rows->count && sums_are_right(rows, streamed)};
}

static test_verdict body(test_attempt *a, const rowpool_rows *rows)
{
    static uint32_t runs[ROWS];
    rowpool_call call = call_of("sum", rows, runs, sizeof runs);
    call.function = &longest_run;
    memset(runs, 0xff, sizeof runs);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    test_verdict all = {status, true};
    for (size_t row = 0; row < rows->count; row++) {
        size_t width;
        const int32_t *at = row_of(rows, row, &width);
        uint32_t run = 0, longest = 0;
        for (size_t i = 0; i < width; i++) {
            run = at[i] >= 4 && at[i] <= 8 ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
        all.right &= runs[row] == longest;
    }
    return all;
}

typedef struct {
    int64_t first_index, last_index;
    int32_t first, last;
} ends_result;

static test_verdict fold_in_order(test_attempt *a, const rowpool_rows *rows)
{
    static ends_result results[ROWS];
    rowpool_call call = call_of("sum", rows, results, sizeof results);
    call.function = &ends;
    memset(results, 0xff, sizeof results);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    test_verdict all = {status, true};
    for (size_t row = 0; row < rows->count; row++) {
        size_t width;
        const int32_t *at = row_of(rows, row, &width);
        if (width == 0)
            all.right &= results[row].first_index == -1;
        else
            all.right &= results[row].last_index == (int64_t)width - 1 && results[row].first == at[0] &&
                         results[row].last == at[width - 1];
    }
    return all;
}

static test_verdict cancel(test_attempt *a)
{
    static uint32_t counts[ROWS];
    rowpool_job *job = NULL;
    rowpool_status status = rowpool_range_count_async(a->pool, &dense, NULL, 0, counts, NULL, NULL, &job, &a->error);
    if (status != ROWPOOL_OK)
        return (test_verdict){status, false};
    rowpool_job_cancel(job, NULL);
    status = rowpool_job_wait(job, WAIT_MS, &a->error);
    rowpool_job_release(job);
    bool ended = status != ROWPOOL_ENOTREADY;
    return (test_verdict){status == ROWPOOL_ECANCELED ? ROWPOOL_OK : status,
                          ended && (status == ROWPOOL_ECANCELED || counts_are_right(&dense, counts, 1))};
}

/* ---- Maps that are ended early ---------------------------------------------------------------------------------- */

typedef struct {
    uint32_t counts[ROWS];
    rowpool_status status;
    atomic_uint calls;
} outcome;

static void note_done(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    outcome *noted = payload;
    (void)job;
    (void)error;
    noted->status = status;
    atomic_fetch_add(&noted->calls, 1);
}

/* Submits jobs whose callbacks record how they ended; returns the first failure to submit one. */
static rowpool_status submit(test_attempt *a, outcome *outcomes, size_t n, bool submitted[])
{
    rowpool_status first = ROWPOOL_OK;
    for (size_t i = 0; i < n; i++) {
        rowpool_error error;
        memset(&outcomes[i], 0xff, sizeof outcomes[i]);
        atomic_store(&outcomes[i].calls, 0);
        rowpool_status status = rowpool_range_count_async(a->pool, &dense, NULL, 0, outcomes[i].counts, note_done,
                                                          &outcomes[i], NULL, &error);
        submitted[i] = status == ROWPOOL_OK;
        if (status != ROWPOOL_OK && first == ROWPOOL_OK) {
            first = status;
            a->error = error;
        }
    }
    return first;
}

/* Closes the pool while jobs run: each callback is called exactly once, and a job that reports success has right
 * results. */
static test_verdict close_in_flight(test_attempt *a)
{
    enum { JOBS = 3 };
    static outcome outcomes[JOBS];
    bool submitted[JOBS];
    test_verdict all = {submit(a, outcomes, JOBS, submitted), true};
    rowpool_close(a->pool);
    a->pool = NULL;
    for (size_t i = 0; i < JOBS; i++) {
        all.right &= atomic_load(&outcomes[i].calls) == submitted[i];
        if (submitted[i] && outcomes[i].status == ROWPOOL_OK)
            all.right &= counts_are_right(&dense, outcomes[i].counts, 1);
    }
    return all;
}

/* Terminates two jobs; the pool stays usable. */
static test_verdict terminate(test_attempt *a)
{
    static uint32_t counts[2][ROWS];
    rowpool_job *job[2] = {NULL};
    test_verdict all = {ROWPOOL_OK, true};
    for (size_t i = 0; i < 2 && all.status == ROWPOOL_OK; i++)
        all.status = rowpool_range_count_async(a->pool, &dense, NULL, 0, counts[i], NULL, NULL, &job[i], &a->error);
    rowpool_terminate(a->pool, NULL);
    for (size_t i = 0; i < 2; i++) {
        rowpool_error error;
        rowpool_status status = job[i] == NULL ? ROWPOOL_ECANCELED : rowpool_job_wait(job[i], WAIT_MS, &error);
        if (status == ROWPOOL_OK)
            all.right &= counts_are_right(&dense, counts[i], 1);
        else if (status != ROWPOOL_ECANCELED && all.status == ROWPOOL_OK) {
            all.status = status;
            a->error = error;
        }
        rowpool_job_release(job[i]);
    }
    return all;
}

static test_verdict count_in_time(test_attempt *a, const rowpool_rows *rows, int timeout_ms)
{
    static uint32_t counts[FILE_ROWS];
    rowpool_call call = call_of("count", rows, counts, sizeof counts);
    call.timeout_ms = timeout_ms;
    memset(counts, 0xff, sizeof counts);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    if (status == ROWPOOL_ETIMEDOUT && timeout_ms < WAIT_MS)
        return (test_verdict){ROWPOOL_OK, true};
    return (test_verdict){status, counts_are_right(rows, counts, 1)};
}

/* ---- Worker processes ------------------------------------------------------------------------------------------- */

/* A plain C function, for worker processes and the calling thread. */
static void sum_row(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)index;
    (void)arguments;
    int64_t sum = sum_of(row->data, row->width);
    memcpy(result, &sum, sizeof sum);
}

static test_verdict plain_sums(test_attempt *a)
{
    static const rowpool_function plain = {
        .size = sizeof plain, .name = "sum_row", .row = sum_row, .result_size = sizeof(int64_t)};
    static int64_t sums[ROWS];
    rowpool_call call = call_of("sum", &ragged, sums, sizeof sums);
    call.function = &plain;
    memset(sums, 0xff, sizeof sums);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    return (test_verdict){status, sums_are_right(&ragged, sums)};
}

static void sum_of_argument(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    int64_t sum = sum_of(argument, argument_size / sizeof(int32_t));
    memcpy(result, &sum, result_size);
}

static test_verdict apply(test_attempt *a, size_t elements, bool async)
{
    static int64_t sum;
    size_t bytes = elements * sizeof *small;
    sum = -1;
    rowpool_status status;
    if (async) {
        rowpool_job *job = NULL;
        status = rowpool_apply_async(a->pool, sum_of_argument, small, bytes, &sum, sizeof sum, NULL, NULL, &job,
                                     &a->error);
        if (status == ROWPOOL_OK)
            status = rowpool_job_wait(job, WAIT_MS, &a->error);
        rowpool_job_release(job);
    } else {
        status = rowpool_apply(a->pool, sum_of_argument, small, bytes, &sum, sizeof sum, &a->error);
    }
    return (test_verdict){status, sum == sum_of(small, elements)};
}

/* Rows and counts in memory that worker processes map. */
static test_verdict shared_memory(test_attempt *a)
{
    const size_t data_bytes = ROWS * WIDTH * sizeof *small, count_bytes = ROWS * sizeof(uint32_t);
    int32_t *data = rowpool_alloc(data_bytes, &a->error);
    uint32_t *counts = data != NULL ? rowpool_alloc(count_bytes, &a->error) : NULL;
    test_verdict all = {a->error.status, false};
    if (counts != NULL) {
        memcpy(data, small, data_bytes);
        memset(counts, 0xff, count_bytes);
        rowpool_rows rows = dense;
        rows.data = data;
        all.status = rowpool_range_count(a->pool, &rows, NULL, 0, counts, &a->error);
        all.right = counts_are_right(&dense, counts, 1);
    }
    rowpool_free(counts);
    rowpool_free(data);
    return all;
}

static test_verdict mapped_file(test_attempt *a)
{
    const rowpool_rows rows = {.data = mapped, .dtype = ROWPOOL_INT32, .count = FILE_ROWS, .width = WIDTH};
    return count(a, &rows, 1);
}

static test_verdict out_of_time(test_attempt *a)
{
    const rowpool_rows rows = {.data = mapped, .dtype = ROWPOOL_INT32, .count = FILE_ROWS, .width = WIDTH};
    return count_in_time(a, &rows, 1);
}

/* ---- The rest of the API ---------------------------------------------------------------------------------------- */

static int write_and_end(void *argument, int descriptor)
{
    (void)argument;
    return write(descriptor, "done", 4) == 4 ? 3 : 4;
}

static test_verdict process(test_attempt *a)
{
    rowpool_process *child = NULL;
    rowpool_process_state state = {0};
    char verdict[8] = "";
    rowpool_status status = rowpool_process_start(&child, write_and_end, NULL, NULL, &a->error);
    if (status != ROWPOOL_OK)
        return (test_verdict){status, false};
    size_t bytes = 0;
    for (ssize_t got; (got = read(rowpool_process_pipe(child), verdict + bytes, sizeof verdict - bytes)) > 0;)
        bytes += (size_t)got;
    status = rowpool_process_join(child, WAIT_MS, &a->error);
    if (status == ROWPOOL_OK)
        status = rowpool_process_status(child, &state, &a->error);
    rowpool_process_close(child);
    return (test_verdict){status, bytes == 4 && memcmp(verdict, "done", 4) == 0 && state.known && state.exit_code == 3};
}

static test_verdict memory(test_attempt *a)
{
    enum { BYTES = 300000 };
    char *fresh = rowpool_alloc(BYTES, &a->error);
    if (fresh == NULL)
        return (test_verdict){a->error.status, false};
    bool zeroed = true;
    for (size_t i = 0; i < BYTES; i++)
        zeroed &= fresh[i] == 0;
    memset(fresh, 1, BYTES);
    rowpool_free(fresh);
    return (test_verdict){ROWPOOL_OK, zeroed};
}

static test_verdict source(test_attempt *a)
{
    char *text = rowpool_read_source(TEST_SOURCES "/scenarios.c", &a->error);
    test_verdict all = {a->error.status, text != NULL && strstr(text, "rowpool_read_source(TEST_SOURCES") != NULL};
    free(text);
    return all;
}

static test_verdict histogram(test_attempt *a)
{
    static uint32_t counts[ROWS * BINS];
    static const int64_t edges[BINS + 1] = {0, 4, 9, 11};
    rowpool_number numbers[BINS + 1];
    for (size_t k = 0; k <= BINS; k++)
        numbers[k] = test_i64(edges[k]);
    memset(counts, 0xff, sizeof counts);
    rowpool_status status = rowpool_histogram(a->pool, &dense, numbers, BINS + 1, counts, &a->error);
    test_verdict all = {status, true};
    for (size_t row = 0; row < ROWS; row++) {
        uint32_t expected[BINS] = {0};
        for (size_t i = 0; i < WIDTH; i++)
            expected[small[row * WIDTH + i] < 4 ? 0 : small[row * WIDTH + i] < 9 ? 1 : 2]++;
        all.right &= memcmp(counts + row * BINS, expected, sizeof expected) == 0;
    }
    return all;
}

static test_verdict devices_of(test_attempt *a, rowpool *pool)
{
    enum { MAX = 16 };
    rowpool_device devices[MAX];
    size_t n = 0, host = 0;
    rowpool_status status = rowpool_devices(pool, devices, MAX, &n, &a->error);
    for (size_t i = 0; status == ROWPOOL_OK && i < n && i < MAX; i++)
        host += strcmp(devices[i].index, "host") == 0;
    return (test_verdict){status, host == 1};
}

static test_verdict job_descriptor(test_attempt *a)
{
    static uint32_t counts[ROWS];
    rowpool_job *job = NULL;
    memset(counts, 0xff, sizeof counts);
    rowpool_status status = rowpool_range_count_async(a->pool, &dense, NULL, 0, counts, NULL, NULL, &job, &a->error);
    if (status != ROWPOOL_OK)
        return (test_verdict){status, false};
    rowpool_error no_descriptor;
    struct pollfd wait = {.fd = rowpool_job_descriptor(job, &no_descriptor), .events = POLLIN};
    bool notified = wait.fd < 0 || poll(&wait, 1, WAIT_MS) == 1;
    status = rowpool_job_wait(job, WAIT_MS, &a->error);
    if (status == ROWPOOL_OK && wait.fd < 0) {
        status = no_descriptor.status;
        a->error = no_descriptor;
    }
    rowpool_job_release(job);
    return (test_verdict){status, notified && counts_are_right(&dense, counts, 1)};
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static test_verdict dense_rows(test_attempt *a)
{
    return count(a, &dense, 1);
}
static test_verdict strided_rows(test_attempt *a)
{
    return count(a, &strided, 1);
}
static test_verdict ragged_rows(test_attempt *a)
{
    return count(a, &ragged, 1);
}
static test_verdict long_row(test_attempt *a)
{
    return count(a, &single, 1);
}
static test_verdict four_ranges(test_attempt *a)
{
    return count(a, &dense, 4);
}
static test_verdict sums(test_attempt *a)
{
    return sum(a, &dense);
}
static test_verdict ragged_sums(test_attempt *a)
{
    return sum(a, &ragged);
}
static test_verdict long_sum(test_attempt *a)
{
    return sum(a, &single);
}
static test_verdict one_job(test_attempt *a)
{
    return count_async(a, &dense, 1);
}
static test_verdict four_jobs(test_attempt *a)
{
    return count_async(a, &ragged, 4);
}
static test_verdict long_job(test_attempt *a)
{
    return count_async(a, &single, 2);
}
static test_verdict ordered_stream(test_attempt *a)
{
    return stream(a, &dense, ROWPOOL_IN_ORDER, false);
}
static test_verdict any_stream(test_attempt *a)
{
    return stream(a, &ragged, ROWPOOL_ANY_ORDER, false);
}
static test_verdict ordered_stream_job(test_attempt *a)
{
    return stream(a, &ragged, ROWPOOL_IN_ORDER, true);
}
static test_verdict free_body(test_attempt *a)
{
    return body(a, &dense);
}
static test_verdict ragged_body(test_attempt *a)
{
    return body(a, &ragged);
}
static test_verdict ordered_fold(test_attempt *a)
{
    return fold_in_order(a, &ragged);
}
static test_verdict long_ordered_fold(test_attempt *a)
{
    return fold_in_order(a, &single);
}

/* Maps twice: the second map reuses what the first one left behind. */
static test_verdict twice(test_attempt *a)
{
    test_verdict first = count(a, &dense, 1);
    return first.status != ROWPOOL_OK ? first : count(a, &ragged, 1);
}

/* Rows that are kept on the devices: the first map leaves copies, the others use them. */
static test_verdict maps_on(test_attempt *a, const rowpool_rows *rows)
{
    rowpool_data *data;
    test_verdict verdict = {rowpool_data_open(&data, a->pool, rows, &a->error), false};
    if (verdict.status != ROWPOOL_OK)
        return verdict;
    verdict = count(a, rowpool_data_rows(data), 1);
    if (verdict.status == ROWPOOL_OK && verdict.right)
        verdict = stream(a, rowpool_data_rows(data), ROWPOOL_IN_ORDER, true);
    if (verdict.status == ROWPOOL_OK && verdict.right)
        verdict = sum(a, rowpool_data_rows(data));
    rowpool_data_close(data);
    return verdict;
}

static test_verdict dense_data(test_attempt *a)
{
    return maps_on(a, &dense);
}

static test_verdict strided_data(test_attempt *a)
{
    return maps_on(a, &strided);
}

static test_verdict ragged_data(test_attempt *a)
{
    return maps_on(a, &ragged);
}

static test_verdict many_ranges(test_attempt *a)
{
    return count(a, &few, MANY);
}
static test_verdict in_time(test_attempt *a)
{
    return count_in_time(a, &dense, WAIT_MS);
}
static test_verdict apply_once(test_attempt *a)
{
    return apply(a, 20, false);
}
static test_verdict apply_much(test_attempt *a)
{
    return apply(a, ROWS, false);
}
static test_verdict apply_job(test_attempt *a)
{
    return apply(a, ROWS, true);
}
static test_verdict all_devices(test_attempt *a)
{
    return devices_of(a, NULL);
}
static test_verdict devices_of_pool(test_attempt *a)
{
    return devices_of(a, a->pool);
}

const test_scenario test_scenarios[] = {
    {"dense", dense_rows, "cpu", 0, false},
    {"dense, copied", dense_rows, "cpu", 20000, true},
    {"strided", strided_rows, "cpu", 30000, false},
    {"strided, copied", strided_rows, "cpu", 0, true},
    {"ragged", ragged_rows, "cpu", 0, false},
    {"ragged, copied, in chunks", ragged_rows, "cpu", 30000, true},
    {"a long row", long_row, "cpu", 0, false},
    {"a long row, split", long_row, "cpu", 100000, false},
    {"a long row, split, copied", long_row, "cpu", 100000, true},
    {"four ranges", four_ranges, "cpu", 0, false},
    {"sums", sums, "cpu", 40000, false},
    {"ragged sums", ragged_sums, "cpu", 0, true},
    {"a long sum, split", long_sum, "cpu", 100000, false},
    {"a job", one_job, "cpu", 0, false},
    {"a job, copied, in chunks", one_job, "cpu", 30000, true},
    {"four jobs", four_jobs, "cpu", 0, false},
    {"long jobs, split", long_job, "cpu", 100000, true},
    {"a stream in order", ordered_stream, "cpu", 0, false},
    {"a stream in any order, copied", any_stream, "cpu", 0, true},
    {"a stream as a job", ordered_stream_job, "cpu", 0, false},
    {"a free body", free_body, "cpu", 40000, false},
    {"a free body, ragged, copied", ragged_body, "cpu", 0, true},
    {"a fold that minds the order", ordered_fold, "cpu", 0, false},
    {"the same, split", long_ordered_fold, "cpu", 90000, true},
    {"two maps", twice, "cpu", 0, false},
    {"a job that is cancelled", cancel, "cpu", 10000, false},
    {"close with jobs under way", close_in_flight, "cpu", 30000, false},
    {"data that stays", dense_data, "cpu", 20000, true},
    {"data that stays, ragged", ragged_data, "cpu", 40000, true},
    {"data that stays on devices together", strided_data, "cpu,fork", 9000, true},
    {"devices together", dense_rows, "cpu,fork", 10000, false},
    {"a stream over devices together", ordered_stream, "cpu,fork", 0, true},
    {"jobs on devices together", four_jobs, "cpu,fork", 10000, false},
    {"processes, started for an apply", apply_once, "auto", 0, false},
    {"processes", dense_rows, "fork", 0, false},
    {"processes: strided, in chunks", strided_rows, "fork", 9000, false},
    {"processes: ragged, in chunks", ragged_rows, "fork", 20000, false},
    {"processes: data that stays", strided_data, "fork", 9000, false},
    {"processes: ragged data that stays", ragged_data, "fork", 20000, false},
    {"processes: shared memory", shared_memory, "fork", 20000, false},
    {"processes: a mapped file", mapped_file, "fork", 0, false},
    {"processes: a long row, split", long_row, "fork", 100000, false},
    {"processes: many ranges", many_ranges, "fork", 0, false},
    {"processes: a plain C function", plain_sums, "fork", 0, false},
    {"processes: a free body", free_body, "fork", 0, false},
    {"processes: a fold that minds the order, split", long_ordered_fold, "fork", 90000, false},
    {"processes: a stream in order", ordered_stream, "fork", 0, false},
    {"processes: a stream in any order", any_stream, "fork", 0, false},
    {"processes: a stream as a job", ordered_stream_job, "fork", 0, false},
    {"processes: four jobs", four_jobs, "fork", 20000, false},
    {"processes: two maps", twice, "fork", 0, false},
    {"processes: apply", apply_much, "fork", 0, false},
    {"processes: apply as a job", apply_job, "fork", 0, false},
    {"processes: in time", in_time, "fork", 0, false},
    {"processes: out of time", out_of_time, "fork", 10000, false},
    {"processes: a job that is cancelled", cancel, "fork", 10000, false},
    {"processes: terminated", terminate, "fork", 10000, false},
    {"processes: close with jobs under way", close_in_flight, "fork", 20000, false},
    {"a helper", dense_rows, "isolated", 0, false},
    {"a helper: ragged, in chunks", ragged_rows, "isolated", 20000, false},
    {"a helper: shared memory", shared_memory, "isolated", 20000, false},
    {"a helper: a long row, split", long_row, "isolated", 100000, false},
    {"a helper: a free body", free_body, "isolated", 0, false},
    {"a helper: four jobs", four_jobs, "isolated", 20000, false},
    {"a helper: close with jobs under way", close_in_flight, "isolated", 20000, false},
    {"host", dense_rows, "host", 0, false},
    {"host: a long row, split", long_row, "host", 100000, false},
    {"host: a stream in order", ordered_stream, "host", 0, false},
    {"host: four jobs", four_jobs, "host", 20000, false},
    {"host: a histogram", histogram, "host", 0, false},
    {"host: many ranges", many_ranges, "host", 0, false},
    {"host: a job's descriptor", job_descriptor, "host", 0, false},
    {"host: terminated", terminate, "host", 10000, false},
    {"host: close with jobs under way", close_in_flight, "host", 0, false},
    {"a pool's devices", devices_of_pool, "auto", 0, false},
    {"all devices", all_devices, NULL, 0, false},
    {"memory", memory, NULL, 0, false},
    {"a process", process, NULL, 0, false},
    {"a function's text", source, NULL, 0, false},
};
const size_t test_scenario_count = COUNT_OF(test_scenarios);

/* ---- Running a scenario ----------------------------------------------------------------------------------------- */

bool test_scenario_is_due(const test_scenario *scenario)
{
    const char *wanted = getenv("ROWPOOL_TEST_SCENARIO");
    return wanted == NULL || strstr(scenario->name, wanted) != NULL;
}

test_verdict test_scenario_again(const test_scenario *scenario, test_attempt *attempt)
{
    attempt->error = (rowpool_error){.status = ROWPOOL_OK};
    return scenario->run(attempt);
}

test_verdict test_scenario_run(const test_scenario *scenario, bool strict, test_attempt *attempt)
{
    rowpool_options options = {.size = sizeof options,
                               .device = scenario->device,
                               .workers = 2,
                               .chunk_bytes = scenario->chunk_bytes,
                               .strict = strict};
    *attempt = (test_attempt){.pool = NULL};
    setenv("ROWPOOL_TEST", scenario->copy ? "copy,build-wait" : "build-wait", 1);
    if (scenario->device != NULL) {
        rowpool_status status = rowpool_open(&attempt->pool, &options, &attempt->error);
        if (status != ROWPOOL_OK)
            return (test_verdict){status, false};
    }
    return test_scenario_again(scenario, attempt);
}
