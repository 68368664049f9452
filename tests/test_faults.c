/* A fault in every OpenCL call that a map makes, one after the other: the answer is right all the same or, on a strict
 * pool, the error is clear; nothing hangs, and the next map on the same pool succeeds.
 *
 * Each scenario runs with the n-th call failing, n = 1, 2, 3 ... until it no longer makes so many: once, and for ever
 * from then on. ROWPOOL_TEST_ONE_IN takes only each so-manieth n. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"
#include "faults.h"
#include "longest_run.h"
#include "support.h"

static test_faults faults;

/* ---- Scenarios ----------------------------------------------------------------------------------------------------
 */

/* What a scenario runs on. Its data are made once: small numbers, of which each row's results are known. */
enum { ROWS = 3000, WIDTH = 7, LONG = 90000 };
static int32_t small[ROWS * WIDTH], wide[LONG];
static uint8_t offsets_widths[ROWS];
static int64_t offsets[ROWS + 1];

typedef struct {
    rowpool *pool;
    rowpool_error error;
} attempt;

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

static void make_data(void)
{
    test_random random = test_random_begin(31);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        small[i] = (int32_t)test_below(&random, 12);
    for (size_t i = 0; i < LONG; i++)
        wide[i] = (int32_t)test_below(&random, 12);
    for (size_t i = 0; i < ROWS; i++) {
        offsets_widths[i] = (uint8_t)test_below(&random, 2 * WIDTH);
        int64_t end = offsets[i] + offsets_widths[i];
        offsets[i + 1] = end <= ROWS * WIDTH ? end : offsets[i];
    }
}

static const rowpool_rows dense = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
static const rowpool_rows strided = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .width = 3, .stride = WIDTH};
static const rowpool_rows ragged = {.data = small, .dtype = ROWPOOL_INT32, .count = ROWS, .offsets = offsets};
static const rowpool_rows single = {.data = wide, .dtype = ROWPOOL_INT32, .count = 1, .width = LONG};

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

/* Each scenario: the status of what it did, and whether the results are right when that is OK. */
typedef struct {
    rowpool_status status;
    bool right;
} verdict;

static verdict count(attempt *a, const rowpool_rows *rows, size_t columns)
{
    static uint32_t counts[4 * ROWS];
    rowpool_range ranges[4];
    for (size_t k = 0; k < columns; k++)
        ranges[k] = rowpool_range_i64(4, 8);
    memset(counts, 0xff, sizeof counts);
    rowpool_status status = rowpool_range_count(a->pool, rows, ranges, columns, counts, &a->error);
    return (verdict){status, counts_are_right(rows, counts, columns)};
}

static verdict count_async(attempt *a, const rowpool_rows *rows, size_t jobs)
{
    static uint32_t counts[4][ROWS];
    rowpool_job *job[4] = {NULL};
    verdict all = {ROWPOOL_OK, true};
    memset(counts, 0xff, sizeof counts);
    for (size_t i = 0; i < jobs; i++) {
        rowpool_status status = rowpool_range_count_async(a->pool, rows, NULL, 0, counts[i], NULL, NULL, &job[i],
                                                          &a->error);
        all.status = all.status != ROWPOOL_OK ? all.status : status;
    }
    for (size_t i = 0; i < jobs; i++) {
        rowpool_error error;
        rowpool_status status = job[i] == NULL ? ROWPOOL_OK : rowpool_job_wait(job[i], 5000, &error);
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

static verdict sum(attempt *a, const rowpool_rows *rows)
{
    static int64_t sums[ROWS];
    memset(sums, 0xff, sizeof sums);
    rowpool_call call = call_of("sum", rows, sums, sizeof sums);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    return (verdict){status, sums_are_right(rows, sums)};
}

static int64_t streamed[ROWS];
static int take(size_t row, size_t rows, const void *results, void *payload)
{
    size_t *taken = payload;
    memcpy(streamed + row, results, rows * sizeof *streamed);
    *taken += rows;
    return 0;
}

static verdict stream(attempt *a, const rowpool_rows *rows, rowpool_order order, bool async)
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
            status = rowpool_job_wait(job, 5000, &a->error);
        rowpool_job_release(job);
    } else {
        status = rowpool_map_stream(a->pool, &call, order, take, &taken, &a->error);
    }
    return (verdict){status, taken == rows->count && sums_are_right(rows, streamed)};
}

static verdict body(attempt *a, const rowpool_rows *rows)
{
    static uint32_t runs[ROWS];
    rowpool_call call = call_of("sum", rows, runs, sizeof runs);
    call.function = &longest_run;
    memset(runs, 0xff, sizeof runs);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    verdict all = {status, true};
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

static verdict fold_in_order(attempt *a, const rowpool_rows *rows)
{
    static ends_result results[ROWS];
    rowpool_call call = call_of("sum", rows, results, sizeof results);
    call.function = &ends;
    memset(results, 0xff, sizeof results);
    rowpool_status status = rowpool_map(a->pool, &call, &a->error);
    verdict all = {status, true};
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

static verdict cancel(attempt *a)
{
    static uint32_t counts[ROWS];
    rowpool_job *job = NULL;
    rowpool_status status = rowpool_range_count_async(a->pool, &dense, NULL, 0, counts, NULL, NULL, &job, &a->error);
    if (status != ROWPOOL_OK)
        return (verdict){status, false};
    rowpool_job_cancel(job, NULL);
    status = rowpool_job_wait(job, 5000, &a->error);
    rowpool_job_release(job);
    bool ended = status != ROWPOOL_ETIMEDOUT;
    return (verdict){status == ROWPOOL_ECANCELED ? ROWPOOL_OK : status,
                     ended && (status == ROWPOOL_ECANCELED || counts_are_right(&dense, counts, 1))};
}

static void count_done(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    (void)job;
    (void)status;
    (void)error;
    atomic_fetch_add((atomic_int *)payload, 1);
}

/* Closes the pool with jobs under way: each callback comes. */
static verdict close_in_flight(attempt *a)
{
    static uint32_t counts[3][ROWS];
    static atomic_int done;
    atomic_store(&done, 0);
    int submitted = 0;
    for (size_t i = 0; i < 3; i++)
        submitted += rowpool_range_count_async(a->pool, &dense, NULL, 0, counts[i], count_done, &done, NULL,
                                               &a->error) == ROWPOOL_OK;
    rowpool_close(a->pool);
    a->pool = NULL;
    return (verdict){ROWPOOL_OK, atomic_load(&done) == submitted};
}

static verdict dense_rows(attempt *a)
{
    return count(a, &dense, 1);
}
static verdict strided_rows(attempt *a)
{
    return count(a, &strided, 1);
}
static verdict ragged_rows(attempt *a)
{
    return count(a, &ragged, 1);
}
static verdict long_row(attempt *a)
{
    return count(a, &single, 1);
}
static verdict four_ranges(attempt *a)
{
    return count(a, &dense, 4);
}
static verdict sums(attempt *a)
{
    return sum(a, &dense);
}
static verdict ragged_sums(attempt *a)
{
    return sum(a, &ragged);
}
static verdict long_sum(attempt *a)
{
    return sum(a, &single);
}
static verdict one_job(attempt *a)
{
    return count_async(a, &dense, 1);
}
static verdict four_jobs(attempt *a)
{
    return count_async(a, &ragged, 4);
}
static verdict long_job(attempt *a)
{
    return count_async(a, &single, 2);
}
static verdict ordered_stream(attempt *a)
{
    return stream(a, &dense, ROWPOOL_IN_ORDER, false);
}
static verdict any_stream(attempt *a)
{
    return stream(a, &ragged, ROWPOOL_ANY_ORDER, false);
}
static verdict ordered_stream_job(attempt *a)
{
    return stream(a, &ragged, ROWPOOL_IN_ORDER, true);
}
static verdict free_body(attempt *a)
{
    return body(a, &dense);
}
static verdict ragged_body(attempt *a)
{
    return body(a, &ragged);
}
static verdict ordered_fold(attempt *a)
{
    return fold_in_order(a, &ragged);
}
static verdict long_ordered_fold(attempt *a)
{
    return fold_in_order(a, &single);
}

/* Twice: what the first map left behind serves the second. */
static verdict twice(attempt *a)
{
    verdict first = count(a, &dense, 1);
    return first.status != ROWPOOL_OK ? first : count(a, &ragged, 1);
}

static const struct {
    const char *name;
    verdict (*run)(attempt *a);
    const char *device;
    size_t chunk_bytes;
    bool copy; /* as on a device with memory of its own */
} scenarios[] = {
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
    {"with processes, together", dense_rows, "cpu,fork", 10000, false},
};

/* ---- Faults -------------------------------------------------------------------------------------------------------
 */

typedef struct {
    bool sticky, strict, memory;
} manner;

static void arm(long n, manner how)
{
    atomic_store(&faults.calls, 0);
    atomic_store(&faults.injected, 0);
    atomic_store(&faults.sticky, how.sticky);
    atomic_store(&faults.memory, how.memory);
    atomic_store(&faults.fail_from, n);
}

static void disarm(void)
{
    atomic_store(&faults.fail_from, 0);
}

/* One run with the n-th call failing. False: it makes fewer calls. */
static bool run_with_fault(size_t s, long n, manner how, size_t *wrong)
{
    attempt a = {NULL};
    rowpool_options options = {.size = sizeof options,
                               .device = scenarios[s].device,
                               .workers = 1,
                               .chunk_bytes = scenarios[s].chunk_bytes,
                               .strict = how.strict};
    if (scenarios[s].copy)
        setenv("ROWPOOL_COPY", "1", 1);
    else
        unsetenv("ROWPOOL_COPY");
    alarm(60); /* a hang ends the test */
    arm(n, how);
    rowpool_status status = rowpool_open(&a.pool, &options, &a.error);
    verdict said = {status, false};
    if (status == ROWPOOL_OK)
        said = scenarios[s].run(&a);
    bool injected = atomic_load(&faults.injected) > 0;
    disarm();
    bool refused = said.status != ROWPOOL_OK && (how.strict || status != ROWPOOL_OK);
    bool fine = refused ? strlen(a.error.message) > 10 : said.status == ROWPOOL_OK && said.right;
    if (fine && a.pool != NULL) { /* and the next call on the same pool */
        attempt again = {.pool = a.pool};
        verdict then = count(&again, &dense, 1);
        fine = then.status == ROWPOOL_OK && then.right;
        a.error = again.error;
    }
    if (!fine) {
        ++*wrong;
        fprintf(stderr, "%s: call %ld fails%s%s%s: %s: %s\n", scenarios[s].name, n, how.sticky ? " for ever" : "",
                how.strict ? ", strict" : "", how.memory ? ", no memory" : "", rowpool_status_name(said.status),
                said.status == ROWPOOL_OK ? (said.right ? "the next call fails" : "wrong results") : a.error.message);
    }
    rowpool_close(a.pool);
    return injected;
}

TEST(a_fault_in_every_call)
{
    static const manner manners[] = {
        {false, false, false}, {true, false, false}, {false, true, false}, {true, true, false}, {true, false, true},
    };
    size_t one_in = test_setting("ROWPOOL_TEST_ONE_IN", 1), injected = 0, wrong = 0, turn = 0;
    for (size_t s = 0; s < COUNT_OF(scenarios); s++)
        for (size_t m = 0; m < COUNT_OF(manners); m++)
            for (long n = 1 + (long)(turn++ % one_in);; n += (long)one_in) {
                if (!run_with_fault(s, n, manners[m], &wrong))
                    break;
                injected++;
            }
    alarm(0);
    printf("%zu scenarios, %zu faults injected, %zu wrong\n", COUNT_OF(scenarios), injected, wrong);
    assert_int_equal(wrong, 0);
    assert_true(injected > 0);
}

/* The layer is set before the loader is: that takes another start of the program. */
static void begin_with_layer(char **argv)
{
    char address[32];
    if (getenv("OPENCL_LAYERS") == NULL) {
        setenv("OPENCL_LAYERS", ROWPOOL_TEST_FAULT_LAYER, 1);
        execv("/proc/self/exe", argv);
        perror("execv");
        exit(1);
    }
    snprintf(address, sizeof address, "%llx", (unsigned long long)(uintptr_t)&faults);
    setenv("ROWPOOL_TEST_FAULTS", address, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_every_call),
    };
    (void)argc;
    begin_with_layer(argv);
    size_t count_of_devices;
    rowpool_error error;
    if (rowpool_devices(NULL, NULL, 0, &count_of_devices, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (!atomic_load(&faults.active)) {
        printf("skipped: the loader does not take the layer\n");
        return TEST_SKIPPED;
    }
    make_data();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
