/* The fork backend alone: a small driver takes the place of the pool. The workers' results are compared with the same
 * fold in this process; workers are killed, stopped, crashed and denied resources while they work. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/builtin.h"
#include "core/range.h"
#include "device/workers/message.h"
#include "support.h"
#include "variadic.h"
#include "workers.h"

static size_t page;

/* ---- A device --------------------------------------------------------------------------------------------------- */

static rowpool_status try_open(rp_device *device, size_t workers, rowpool_error *error)
{
    const rp_backend_options options = {.workers = workers};
    *device = *rp_backend_fork.single;
    return rp_backend_fork.open(device, &options, error);
}

static rp_device open_workers(size_t workers)
{
    rp_device device;
    rowpool_error error;
    assert_ok(try_open(&device, workers, &error), error);
    return device;
}

static void close_workers(rp_device *device)
{
    rp_backend_fork.close(device, false);
}

static pid_t first_worker(rp_device *device)
{
    pid_t pid = 0;
    return test_worker_pids(device, &pid, 1) > 0 ? pid : 0;
}

/* ---- The driver ------------------------------------------------------------------------------------------------- */

typedef struct {
    rp_chunk chunk;
    unsigned deaths;
} attempt;

typedef struct {
    rp_task task; /* first: the queue links the task */
    attempt attempt;
    char *part; /* results of a part of a row */
} job;

typedef struct {
    size_t chunk_bytes;  /* 0: the device's */
    unsigned max_deaths; /* on the same rows; 0: no limit */
} drive_options;

typedef struct {
    size_t tasks, blamed, unblamed; /* all tasks; those lost with their worker */
    rowpool_error lost;             /* the error of the last lost task */
} drive_result;

/* Appends a part's accumulators to the row's so far; the last part completes the result. */
static void combine_part(const rp_operation *operation, const job *done, char *so_far)
{
    const rowpool_compiled *fold = &operation->code.compiled;
    const rp_chunk *chunk = &done->attempt.chunk;
    if (chunk->begin == 0)
        memcpy(so_far, done->part, rp_operation_chunk_bytes(operation, chunk));
    else
        fold->merge(so_far, done->part, operation->arguments, operation->columns);
    if (chunk->end == rp_rows_width(operation->inputs, chunk->row))
        fold->end(so_far, chunk->end, operation->arguments, operation->columns,
                  operation->results + chunk->row * rp_operation_row_bytes(operation));
}

/* Runs parts of rows one at a time, so that they can be combined in order. */
static rowpool_status drive(rp_device *device, const rp_operation *operation, const drive_options *options,
                            drive_result *result, rowpool_error *error)
{
    size_t work = options->chunk_bytes != 0 ? options->chunk_bytes : device->chunk_bytes;
    const rp_split_limits limits = {.work = work,
                                    .buffer = PTRDIFF_MAX,
                                    .rows = SIZE_MAX,
                                    .result = rp_operation_row_bytes(operation),
                                    .whole = !rp_operation_splits(operation)};
    size_t part_bytes = operation->columns * operation->code.compiled.accumulator_size + 1;
    char *so_far = malloc(part_bytes);
    rp_queue home;
    rp_queue_init(&home);
    job *jobs = calloc(device->queue_depth, sizeof *jobs), **idle = calloc(device->queue_depth, sizeof *idle);
    attempt *again = calloc(device->queue_depth, sizeof *again);
    size_t n_idle = 0, n_again = 0, in_flight = 0;
    for (size_t i = 0; i < device->queue_depth; i++) {
        jobs[i].part = malloc(part_bytes);
        idle[n_idle++] = &jobs[i];
    }
    rp_cursor cursor = {0};
    bool parts = false; /* a part of a row is in flight */
    rowpool_status status = ROWPOOL_OK;
    *result = (drive_result){0};
    for (;;) {
        attempt next = {0};
        while (status == ROWPOOL_OK && n_idle > 0 && !parts &&
               (n_again > 0 ||
                rp_split_next(operation->inputs, operation->code.n_inputs, &limits, &cursor, &next.chunk))) {
            if (n_again > 0)
                next = again[--n_again];
            job *job_of = idle[--n_idle];
            char *part = job_of->part;
            parts = next.chunk.partial;
            *job_of = (job){.attempt = next, .part = part};
            job_of->task = (rp_task){
                .operation = operation,
                .chunk = next.chunk,
                .device = device,
                .home = &home,
                .results = parts ? part : operation->results + next.chunk.row * rp_operation_row_bytes(operation)};
            result->tasks++;
            in_flight++;
            status = rp_backend_fork.submit(device, &job_of->task, error);
            in_flight -= status != ROWPOOL_OK;
            next = (attempt){0};
        }
        if (in_flight == 0)
            break;
        job *done = (job *)(void *)rp_queue_pop(&home);
        in_flight--;
        if (done->attempt.chunk.partial)
            parts = false;
        rowpool_error task_error;
        rowpool_status task_status = rp_backend_fork.finish(device, &done->task, &task_error);
        if (task_status == ROWPOOL_OK && done->attempt.chunk.partial)
            combine_part(operation, done, so_far);
        if (task_status == ROWPOOL_EWORKER) {
            *(done->task.blamed ? &result->blamed : &result->unblamed) += 1;
            result->lost = task_error;
            done->attempt.deaths += done->task.blamed;
            if (options->max_deaths == 0 || done->attempt.deaths < options->max_deaths) {
                again[n_again++] = done->attempt;
                task_status = ROWPOOL_OK;
            }
        }
        if (task_status != ROWPOOL_OK && status == ROWPOOL_OK) {
            status = task_status;
            if (error != NULL)
                *error = task_error;
        }
        idle[n_idle++] = done;
    }
    for (size_t i = 0; i < device->queue_depth; i++)
        free(jobs[i].part);
    free(so_far);
    free(jobs);
    free(idle);
    free(again);
    rp_queue_destroy(&home);
    return status;
}

static void drive_ok(rp_device *device, const rp_operation *operation, size_t chunk_bytes, drive_result *result)
{
    drive_options options = {.chunk_bytes = chunk_bytes};
    drive_result unused;
    rowpool_error error;
    assert_ok(drive(device, operation, &options, result != NULL ? result : &unused, &error), error);
}

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

typedef enum { PRIVATE, SHARED, MAPPED, MEMORIES } memory_kind;

/* Bytes in one kind of memory. */
typedef struct {
    memory_kind kind;
    char *base;
    size_t length;
} memory;

static memory copy_to(memory_kind kind, const void *bytes, size_t n)
{
    memory m = {.kind = kind, .length = n};
    if (n == 0)
        return m;
    if (kind == PRIVATE) {
        m.base = malloc(n);
    } else if (kind == SHARED) {
        m.base = rowpool_alloc(n, NULL);
    } else {
        char path[] = "/tmp/rowpool-fork-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
        m.base = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(m.base != MAP_FAILED);
        /* The file keeps its name: workers open it by name. */
        char final[64];
        snprintf(final, sizeof final, "/tmp/rowpool-fork-%d-%p", (int)getpid(), (void *)m.base);
        assert_int_equal(rename(path, final), 0);
        close(fd);
    }
    assert_non_null(m.base);
    memcpy(m.base, bytes, n);
    return m;
}

static void free_memory(memory *m)
{
    if (m->base == NULL)
        return;
    if (m->kind == PRIVATE) {
        free(m->base);
    } else if (m->kind == SHARED) {
        rowpool_free(m->base);
    } else {
        char path[64];
        snprintf(path, sizeof path, "/tmp/rowpool-fork-%d-%p", (int)getpid(), (void *)m->base);
        unlink(path);
        munmap(m->base, m->length);
    }
    m->base = NULL;
}

/* Rows with their ranges and the expected results. */
typedef struct {
    rp_operation operation;
    memory data, offsets;
    void *arguments;
    test_counts counts;
    char *expected;
    size_t bytes; /* of results */
} fixture;

static void *intervals(test_random *random, const rowpool_rows *rows, size_t columns)
{
    const rp_dtype *dtype = rp_dtype_of(rows->dtype);
    char *pairs = malloc(columns * 2 * dtype->size);
    for (size_t k = 0; k < columns; k++) {
        rowpool_range range = test_range_for(random, rows);
        rp_interval interval;
        assert_int_equal(rp_range_normalise(&range, k, dtype, &interval, NULL), ROWPOOL_OK);
        rp_interval_store(&interval, dtype, pairs + k * 2 * dtype->size);
    }
    return pairs;
}

/* Sets an operation's function, for rows of this dtype. */
static void set_function(rp_operation *operation, const rowpool_function *function, rowpool_dtype dtype)
{
    operation->function = function;
    operation->name = function->name;
    operation->code = (rp_code){
        .compiled = *function->compiled[dtype], .n_inputs = 1, .dtype = {dtype}, .element = {rp_dtype_of(dtype)->size}};
}

/* Copies the rows; the caller may free them. */
static fixture make_fixture(test_random *random, const rowpool_rows *given, memory_kind kind, size_t columns,
                            const rowpool_function *function)
{
    fixture t = {.operation = {.columns = columns}};
    rowpool_error error;
    set_function(&t.operation, function, given->dtype);
    assert_ok(rp_rows_check(given, UINT64_MAX, &t.operation.inputs[0], &error), error);
    rp_rows *rows = &t.operation.inputs[0];
    rp_chunk whole = {.rows = rows->count};
    size_t first = rp_chunk_origin(rows, &whole), span = rp_chunk_span(rows, &whole);
    t.data = copy_to(kind, rows->data, span == 0 ? 0 : (first + span) * rows->dtype->size);
    rows->data = t.data.base;
    if (rows->offsets != NULL) {
        t.offsets = copy_to(kind, rows->offsets, (rows->count + 1) * sizeof *rows->offsets);
        rows->offsets = (const int64_t *)(const void *)t.offsets.base;
    }
    t.arguments = intervals(random, given, columns);
    t.operation.arguments = t.arguments;
    t.operation.arguments_size = columns * 2 * rows->dtype->size;
    t.bytes = rows->count * rp_operation_row_bytes(&t.operation);
    t.expected = calloc(1, t.bytes);
    rp_operation_compute(&t.operation, &whole, t.expected);
    t.counts = test_counts_make(rows->count * columns, t.operation.code.compiled.result_size, 0);
    t.operation.results = t.counts.counts;
    return t;
}

static void free_fixture(fixture *t)
{
    free_memory(&t->data);
    free_memory(&t->offsets);
    free(t->arguments);
    free(t->expected);
    test_counts_free(&t->counts);
}

/* Checks the results and the guard bytes around them, then overwrites the results for the next run. */
static void check_results(fixture *t)
{
    assert_memory_equal(t->operation.results, t->expected, t->bytes);
    const unsigned char *first = t->counts.counts;
    for (const unsigned char *byte = t->counts.memory; byte < t->counts.memory + t->counts.bytes; byte++)
        if (byte < first || byte >= first + t->bytes)
            assert_int_equal(*byte, t->counts.memory[0]);
    memset(t->operation.results, 0xee, t->bytes);
}

/* Dense rows of int32. */
static fixture make_plain(uint64_t salt, size_t count, size_t width, memory_kind kind)
{
    test_random random = test_random_begin(salt);
    int32_t *data = malloc(count * width * sizeof *data);
    for (size_t i = 0; i < count * width; i++)
        data[i] = (int32_t)test_below(&random, 100);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = count, .width = width};
    fixture t = make_fixture(&random, &rows, kind, 1, &rp_builtin_count);
    free(data);
    return t;
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

TEST(every_layout_in_every_memory)
{
    rp_device device = open_workers(2);
    test_random random = test_random_begin(2);
    const size_t cases = test_setting("ROWPOOL_TEST_CASES", 150);
    for (size_t i = 0; i < cases; i++) {
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        test_layout layout = (test_layout)test_below(&random, TEST_LAYOUTS);
        memory_kind kind = (memory_kind)test_below(&random, MEMORIES);
        size_t count = 1 + test_below(&random, test_chance(&random, 4) ? 30000 : 300);
        size_t width = test_below(&random, count > 300 ? 90 : 2000);
        test_array array = test_array_make(&random, dtype, layout, count, width, test_below(&random, 3));
        size_t columns = 1 + test_below(&random, 4);
        fixture t = make_fixture(&random, &array.rows, kind, columns,
                                 test_chance(&random, 2) ? &rp_builtin_count64 : &rp_builtin_count);
        test_array_free(&array);
        size_t max_tasks[] = {1, 2, 7, 100, 1000}; /* the last ones give parts of rows, down to single elements */
        size_t chunk = 1 + (t.bytes + t.data.length) / max_tasks[test_below(&random, COUNT_OF(max_tasks))];
        drive_ok(&device, &t.operation, chunk, NULL);
        check_results(&t);
        free_fixture(&t);
    }
    close_workers(&device);
}

TEST(large_arrays_in_every_memory)
{
    rp_device device = open_workers(2);
    test_random random = test_random_begin(3);
    for (int kind = PRIVATE; kind < MEMORIES; kind++)
        for (int layout = TEST_DENSE; layout < TEST_LAYOUTS; layout++) {
            test_array array = test_array_make(&random, ROWPOOL_INT16, (test_layout)layout, 150000, 20, 1);
            fixture t = make_fixture(&random, &array.rows, (memory_kind)kind, 2, &rp_builtin_count);
            test_array_free(&array);
            for (int time = 0; time < 2; time++) { /* the second run uses the mappings and buffers of the first */
                drive_ok(&device, &t.operation, 500000, NULL);
                check_results(&t);
            }
            free_fixture(&t);
        }
    close_workers(&device);
}

TEST(rows_too_long_to_copy_at_once)
{
    rp_device device = open_workers(2);
    test_random random = test_random_begin(4);
    for (int kind = PRIVATE; kind < MEMORIES; kind++) {
        enum { ELEMENTS = 3000000 };
        double *data = malloc(ELEMENTS * sizeof *data);
        for (size_t i = 0; i < ELEMENTS; i++)
            data[i] = (double)test_below(&random, 1000);
        int64_t offsets[] = {5, 5, 40000, 40001, 1200000, 1200000, 1200700, 2999990, 2999990};
        const rowpool_rows cases[] = {
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = 3, .width = 900001},
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = 8, .width = 200000, .stride = 371234},
            /* as much as is copied at once */
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = 50, .width = 32768, .stride = 32769},
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = 50, .width = 32769},
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = 300, .width = 3, .stride = 9000},
            {.data = data, .dtype = ROWPOOL_FLOAT64, .count = COUNT_OF(offsets) - 1, .offsets = offsets},
        };
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            fixture t = make_fixture(&random, &cases[i], (memory_kind)kind, 3, &rp_builtin_count64);
            drive_ok(&device, &t.operation, (size_t)1 << 30, NULL);
            check_results(&t);
            drive_ok(&device, &t.operation, 1000000, NULL); /* parts of rows */
            check_results(&t);
            free_fixture(&t);
        }
        free(data);
    }
    close_workers(&device);
}

TEST(gaps_between_rows_may_be_unmapped)
{
    enum { ROWS = 700, WIDTH = 10 };
    size_t stride = 2 * page / sizeof(int32_t);
    char *bytes = mmap(NULL, ROWS * 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(bytes != MAP_FAILED);
    for (size_t i = 0; i < ROWS; i++) {
        for (int k = 0; k < WIDTH; k++)
            ((int32_t *)(void *)(bytes + i * 2 * page))[k] = (int32_t)i % 7 + k;
        assert_int_equal(mprotect(bytes + i * 2 * page + page, page, PROT_NONE), 0);
    }
    uint32_t counts[ROWS], expected[ROWS];
    const int32_t range[] = {4, 8};
    rowpool_rows rows = {.data = bytes, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH, .stride = stride};
    rp_operation operation = {
        .arguments = range, .arguments_size = sizeof range, .columns = 1, .results = (char *)counts};
    set_function(&operation, &rp_builtin_count, ROWPOOL_INT32);
    assert_int_equal(rp_rows_check(&rows, UINT32_MAX, operation.inputs, NULL), ROWPOOL_OK);
    rp_chunk whole = {.rows = ROWS};
    rp_operation_compute(&operation, &whole, expected);
    rp_device device = open_workers(2);
    drive_ok(&device, &operation, 0, NULL);
    assert_memory_equal(counts, expected, sizeof counts);
    close_workers(&device);
    munmap(bytes, ROWS * 2 * page);
}

TEST(results_larger_than_the_data)
{
    rp_device device = open_workers(2);
    test_random random = test_random_begin(5);
    int8_t *data = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        data[i] = (int8_t)test_below(&random, 10);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = 3000000, .width = 1};
    for (int kind = PRIVATE; kind < MEMORIES; kind++) {
        fixture t = make_fixture(&random, &rows, (memory_kind)kind, 4, &rp_builtin_count64); /* 96 MB */
        drive_ok(&device, &t.operation, 0, NULL);
        check_results(&t);
        drive_ok(&device, &t.operation, (size_t)1 << 30, NULL); /* in one task */
        check_results(&t);
        free_fixture(&t);
    }
    free(data);
    close_workers(&device);
}

TEST(many_columns)
{
    rp_device device = open_workers(2);
    test_random random = test_random_begin(6);
    const size_t columns[] = {64, 65, 128, 129, 5000, 70000}; /* up to 1024 bytes of arguments travel in the message */
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        test_array array = test_array_make(&random, ROWPOOL_INT64, TEST_RAGGED, 20, 30, 0);
        fixture a = make_fixture(&random, &array.rows, PRIVATE, columns[i], &rp_builtin_count);
        fixture b = make_fixture(&random, &array.rows, SHARED, columns[i], &rp_builtin_count); /* other ranges */
        test_array_free(&array);
        for (int time = 0; time < 2; time++) {
            drive_ok(&device, &a.operation, 3 * columns[i] * sizeof(uint32_t), NULL);
            check_results(&a);
            drive_ok(&device, &b.operation, 3 * columns[i] * sizeof(uint32_t), NULL);
            check_results(&b);
        }
        free_fixture(&a);
        free_fixture(&b);
    }
    close_workers(&device);
}

TEST(results_in_shared_memory_are_written_in_place)
{
    rp_device device = open_workers(2);
    for (int kind = PRIVATE; kind < MEMORIES; kind++) {
        fixture t = make_plain(7, 20000, 7, (memory_kind)kind);
        size_t before = 1000 * sizeof(uint32_t);
        char *shared = rowpool_alloc(before + t.bytes + 4096, NULL);
        memset(shared, 0x77, before + t.bytes + 4096);
        t.operation.results = shared + before;
        for (int time = 0; time < 3; time++) {
            memset(t.operation.results, 0xee, t.bytes);
            drive_ok(&device, &t.operation, 10000, NULL);
            assert_memory_equal(t.operation.results, t.expected, t.bytes);
        }
        for (size_t i = 0; i < before; i++)
            assert_int_equal(shared[i], 0x77);
        for (size_t i = 0; i < 4096; i++)
            assert_int_equal(shared[before + t.bytes + i], 0x77);
        rowpool_free(shared);
        free_fixture(&t);
    }
    close_workers(&device);
}

/* A task's results may be at another place than the operation's. */
TEST(results_may_lie_elsewhere)
{
    rp_device device = open_workers(1);
    fixture t = make_plain(11, 1000, 7, PRIVATE);
    char *a = rowpool_alloc(t.bytes, NULL), *b = rowpool_alloc(t.bytes, NULL);
    for (int way = 0; way < 2; way++) {
        char *of_operation = way == 0 ? a : b, *of_task = way == 0 ? b : a; /* above and below */
        memset(of_operation, 0x11, t.bytes);
        memset(of_task, 0x22, t.bytes);
        t.operation.results = of_operation;
        rp_queue home;
        rp_queue_init(&home);
        rp_task task = {.operation = &t.operation, .chunk = {.rows = 500}, .home = &home, .results = of_task};
        rowpool_error error;
        assert_ok(rp_backend_fork.submit(&device, &task, &error), error);
        assert_ptr_equal(rp_queue_pop(&home), &task.message.link);
        assert_ok(rp_backend_fork.finish(&device, &task, &error), error);
        rp_queue_destroy(&home);
        assert_memory_equal(of_task, t.expected, t.bytes / 2);
        for (size_t i = 0; i < t.bytes; i++) {
            assert_int_equal(of_operation[i], 0x11);
            assert_true(i < t.bytes / 2 || of_task[i] == 0x22);
        }
    }
    rowpool_free(a);
    rowpool_free(b);
    free_fixture(&t);
    close_workers(&device);
}

/* The next map may use the same operation struct and the same address for other memory. */
TEST(memory_may_change_between_maps)
{
    rp_device device = open_workers(2);
    fixture sets[2 * MEMORIES];
    size_t rows = 3000, width = 200, bytes = rows * width * sizeof(int32_t); /* large enough to look up its file */
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        sets[i] = make_plain(100 + i, rows, width, (memory_kind)(i % MEMORIES));
    char *window = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rp_operation operation = sets[0].operation;
    test_random random = test_random_begin(8);
    for (int time = 0; time < 60; time++) {
        fixture *t = &sets[test_below(&random, COUNT_OF(sets))];
        int flags = MAP_FIXED | (t->data.kind == MAPPED ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
        int fd = -1;
        char path[64];
        snprintf(path, sizeof path, "/tmp/rowpool-fork-%d-%p", (int)getpid(), (void *)t->data.base);
        if (t->data.kind == MAPPED)
            fd = open(path, O_RDWR);
        char *at = mmap(window, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
        assert_ptr_equal(at, window);
        if (fd >= 0)
            close(fd);
        if (t->data.kind != MAPPED)
            memcpy(window, t->data.base, bytes);
        operation.arguments = t->arguments;
        operation.results = t->operation.results;
        operation.inputs[0].data = t->data.kind == SHARED ? t->data.base : window;
        drive_ok(&device, &operation, 100000, NULL);
        check_results(t);
    }
    munmap(window, bytes);
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        free_fixture(&sets[i]);
    close_workers(&device);
}

TEST(a_mapped_file_may_be_replaced)
{
    rp_device device = open_workers(2);
    fixture t = make_plain(9, 3000, 200, MAPPED), other = make_plain(10, 3000, 200, MAPPED);
    char path[64], other_path[64];
    snprintf(path, sizeof path, "/tmp/rowpool-fork-%d-%p", (int)getpid(), (void *)t.data.base);
    snprintf(other_path, sizeof other_path, "/tmp/rowpool-fork-%d-%p", (int)getpid(), (void *)other.data.base);
    /* before a worker maps it; after that, t's own file is deleted but still read */
    for (int time = 0; time < 3; time++) {
        assert_true(time == 0 || rename(other_path, path) == 0 || errno == ENOENT);
        drive_ok(&device, &t.operation, 100000, NULL);
        check_results(&t);
        drive_ok(&device, &other.operation, 100000, NULL);
        check_results(&other);
    }
    unlink(path);
    free_fixture(&t);
    free_fixture(&other);
    close_workers(&device);
}

typedef struct {
    rp_device *device;
    fixture fixture;
    size_t times, chunk_bytes;
    size_t wrong;
    drive_result result;
} submitter;

static void *submit_many(void *argument)
{
    submitter *s = argument;
    for (size_t i = 0; i < s->times; i++) {
        drive_options options = {.chunk_bytes = s->chunk_bytes};
        s->wrong += drive(s->device, &s->fixture.operation, &options, &s->result, NULL) != ROWPOOL_OK ||
                    memcmp(s->fixture.operation.results, s->fixture.expected, s->fixture.bytes) != 0;
        memset(s->fixture.operation.results, 0xee, s->fixture.bytes);
    }
    return NULL;
}

TEST(several_threads_at_once)
{
    rp_device device = open_workers(3);
    submitter all[6];
    pthread_t threads[COUNT_OF(all)];
    for (size_t i = 0; i < COUNT_OF(all); i++)
        all[i] = (submitter){.device = &device,
                             .fixture = make_plain(20 + i, 4000 + 100 * i, 100, (memory_kind)(i % MEMORIES)),
                             .times = 12,
                             .chunk_bytes = 20000 + 1000 * i};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &all[i]), 0);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(all[i].wrong, 0);
        free_fixture(&all[i].fixture);
    }
    close_workers(&device);
}

/* ---- A worker alone: messages, and its end ---------------------------------------------------------------------- */

/* Answers one message with the same bytes, reads no more, and never exits. */
static void answer_once(const rp_worker_self *self)
{
    char message[16];
    int descriptors[RP_WORKER_DESCRIPTORS];
    size_t bytes = rp_worker_next(self, message, sizeof message, descriptors);
    rp_worker_answer(self, message, bytes);
    for (;;)
        pause();
}

TEST(an_answer_outlives_its_worker)
{
    rp_worker worker;
    rp_worker_end end;
    rowpool_error error;
    char message[16], text[RP_WORKER_END_TEXT];
    assert_ok(rp_worker_start(&worker, answer_once, NULL, &error), error);
    assert_int_equal(rp_worker_receive(&worker, message, sizeof message), -1); /* nothing yet */
    assert_int_equal(rp_worker_send(&worker, "first", 6, NULL, 0), 0);
    /* never read, so the socket is reset at the end */
    assert_int_equal(rp_worker_send(&worker, "second", 7, NULL, 0), 0);
    struct pollfd wait = {.fd = worker.socket, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, -1), 1);
    assert_false(rp_worker_reap(&worker, false, &end));
    assert_false(rp_worker_is_stopped(&worker));
    rp_worker_kill(&worker);
    assert_true(rp_worker_reap(&worker, true, &end));
    rp_worker_end_text(&end, text);
    assert_string_equal(text, "was killed by signal 9 (SIGKILL)");
    assert_int_equal(rp_worker_receive(&worker, message, sizeof message), 6);
    assert_string_equal(message, "first");
    assert_int_equal(rp_worker_receive(&worker, message, sizeof message), 0);
    int failure = rp_worker_send(&worker, "third", 6, NULL, 0);
    assert_true(failure == EPIPE || failure == ECONNRESET);
    rp_worker_release(&worker);
}

/* ---- Inherited descriptors -------------------------------------------------------------------------------------- */

/* What a worker's first steps may do, and did. */
static bool refuse_close_range;
static atomic_size_t closed;

int test_syscall_failure(long number)
{
    return number == SYS_close_range && refuse_close_range ? ENOSYS : 0;
}

int test_open_failure(const char *path)
{
    (void)path;
    return 0;
}

int __real_close(int descriptor);
int __wrap_close(int descriptor);
int __wrap_close(int descriptor)
{
    atomic_fetch_add(&closed, 1);
    return __real_close(descriptor);
}

/* Answers with the number of descriptors that it tried to close, or that one of the application's is still open. */
static void count_closed(const rp_worker_self *self)
{
    const int *open_before = self->context;
    size_t answer = atomic_load(&closed);
    for (size_t i = 0; i < 3; i++)
        if (fcntl(open_before[i], F_GETFD) >= 0)
            answer = SIZE_MAX;
    rp_worker_answer(self, &answer, sizeof answer);
}

static size_t closed_by_worker(int descriptors[3])
{
    rp_worker worker;
    rp_worker_end end;
    rowpool_error error;
    size_t answer = 0;
    atomic_store(&closed, 0);
    assert_ok(rp_worker_start(&worker, count_closed, descriptors, &error), error);
    assert_true(rp_worker_reap(&worker, true, &end));
    assert_int_equal(rp_worker_receive(&worker, &answer, sizeof answer), sizeof answer);
    rp_worker_release(&worker);
    return answer;
}

/* A container may allow 2^30 descriptors: the worker closes those that are open and tries no others. */
TEST(a_worker_closes_inherited_descriptors)
{
    struct rlimit before, high;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    high = (struct rlimit){1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &high) != 0) {
        high = (struct rlimit){before.rlim_max, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &high), 0);
    }
    int descriptors[3] = {open("/dev/null", O_RDONLY), fcntl(STDERR_FILENO, F_DUPFD, 300),
                          fcntl(STDERR_FILENO, F_DUPFD, 2000)};
    assert_in_range(closed_by_worker(descriptors), 0, 20);
    refuse_close_range = true;
    assert_in_range(closed_by_worker(descriptors), 3, 40);
    refuse_close_range = false;
    for (size_t i = 0; i < COUNT_OF(descriptors); i++)
        close(descriptors[i]);
    high.rlim_cur = before.rlim_cur;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &high), 0);
}

/* ---- Checks for stopped workers --------------------------------------------------------------------------------- */

/* Controls and counts the supervisor's checks for stopped workers. Shared with the workers. */
typedef struct {
    atomic_int lingering;        /* a worker that waits */
    atomic_uint looks;           /* for this number of further checks */
    atomic_uint stopped_looks;   /* checks that found a worker stopped */
    atomic_uint continued_after; /* continue the worker after this number of them; 0: never */
} looks;
static looks *seen;

bool __real_rp_worker_is_stopped(const rp_worker *worker);
bool __wrap_rp_worker_is_stopped(const rp_worker *worker);

bool __wrap_rp_worker_is_stopped(const rp_worker *worker)
{
    bool stopped = __real_rp_worker_is_stopped(worker);
    if (worker->pid == atomic_load(&seen->lingering) && atomic_load(&seen->looks) > 0)
        atomic_fetch_sub(&seen->looks, 1);
    if (stopped && atomic_fetch_add(&seen->stopped_looks, 1) + 1 == atomic_load(&seen->continued_after))
        kill(worker->pid, SIGCONT);
    return stopped;
}

/* In a worker: waits longer than a stopped worker would be tolerated. */
static void linger(void)
{
    atomic_store(&seen->looks, 12);
    atomic_store(&seen->lingering, getpid());
    while (atomic_load(&seen->looks) > 0)
        test_sleep_us(1000);
}

/* ---- Row functions that misbehave ------------------------------------------------------------------------------- */

typedef enum { BEHAVE, EXIT_0, EXIT_1, ABORT, SEGFAULT, KILL_9, STOP, CLOSE_ALL, BABBLE, FORGE, LINGER } misdeed;

/* A row's first element says what the function does; the result is the element. */
static void misbehave(const rowpool_block *block, const void *arguments, size_t columns, void *results)
{
    (void)arguments;
    for (size_t r = 0; r < block->count; r++) {
        int32_t what = ((const int32_t *)block->input[0].data)[r * block->input[0].stride];
        for (size_t k = 0; k < columns; k++)
            ((uint32_t *)results)[r * columns + k] = (uint32_t)what;
        switch (what) {
        case EXIT_0:
        case EXIT_1:
            _exit(what == EXIT_1);
        case ABORT:
            abort();
        case SEGFAULT:
            raise(SIGSEGV);
            break;
        case KILL_9:
            raise(SIGKILL);
            break;
        case STOP:
            raise(SIGSTOP);
            break;
        case LINGER:
            linger();
            break;
        case CLOSE_ALL:
            syscall(SYS_close_range, 3, ~0u, 0);
            break;
        case FORGE: /* an answer to a task that does not exist */
            for (int fd = 3; fd < 20; fd++)
                if (write(fd, &(rp_answer){0}, rp_answer_size(&(rp_answer){0})) > 0)
                    break;
            break;
        case BABBLE:
            for (int fd = 3; fd < 20; fd++)
                if (write(fd, "not an answer", 13) == 13)
                    break;
            break;
        default:
            break;
        }
    }
}

static const rowpool_compiled misbehaving_compiled = {
    .arguments_size = 1, .result_size = sizeof(uint32_t), .result_alignment = sizeof(uint32_t), .rows = misbehave};
static const rowpool_function misbehaving = {
    .size = sizeof misbehaving, .name = "misbehave", .compiled[ROWPOOL_INT32] = &misbehaving_compiled};

enum { ROWS = 64 };

static rp_operation misdeeds(int32_t *rows, uint32_t *results)
{
    rp_operation operation = {.inputs = {{.data = (const char *)rows,
                                          .dtype = rp_dtype_of(ROWPOOL_INT32),
                                          .dtype_id = ROWPOOL_INT32,
                                          .count = ROWS,
                                          .width = 1,
                                          .stride = 1,
                                          .elements = ROWS}},
                              .arguments = "",
                              .columns = 1,
                              .results = (char *)results};
    set_function(&operation, &misbehaving, ROWPOOL_INT32);
    return operation;
}

TEST(a_crash_names_the_rows_and_the_signal)
{
    static const struct {
        misdeed what;
        const char *how;
    } cases[] = {
        {EXIT_0, "ended with exit status 0"},
        {EXIT_1, "ended with exit status 1"},
        {ABORT, "was killed by signal 6 (SIGABRT)"},
        {SEGFAULT, "was killed by signal 11 (SIGSEGV)"},
        {KILL_9, "was killed by signal 9 (SIGKILL)"},
        {CLOSE_ALL, "worker process"},
        {BABBLE, "worker process"},
        {FORGE, "worker process"},
    };
    rp_device device = open_workers(2);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t bad = 0; bad < ROWS; bad += ROWS / 4) {
            int32_t rows[ROWS] = {0};
            uint32_t results[ROWS];
            rp_operation operation = misdeeds(rows, results);
            rows[bad + 3] = (int32_t)cases[i].what;
            drive_options options = {.chunk_bytes = 8 * 2 * sizeof(int32_t), .max_deaths = 2};
            drive_result result;
            rowpool_error error;
            char where[64];
            snprintf(where, sizeof where, "while it had rows %zu to %zu", bad, bad + 7);
            assert_refused(drive(&device, &operation, &options, &result, &error), ROWPOOL_EWORKER, error, where);
            if (strstr(error.message, cases[i].how) == NULL)
                fail_msg("'%s' does not contain '%s'", error.message, cases[i].how);
            assert_int_equal(result.blamed, 2);
            rows[bad + 3] = 0; /* the device stays usable */
            drive_ok(&device, &operation, 1, &result);
            assert_int_equal(result.blamed + result.unblamed, 0);
        }
    close_workers(&device);
}

TEST(a_worker_stopped_by_its_function_is_replaced)
{
    rp_device device = open_workers(1);
    int32_t rows[ROWS] = {[5] = STOP};
    uint32_t results[ROWS];
    rp_operation operation = misdeeds(rows, results);
    drive_options options = {.chunk_bytes = 1 << 20, .max_deaths = 2};
    drive_result result;
    rowpool_error error;
    assert_refused(drive(&device, &operation, &options, &result, &error), ROWPOOL_EWORKER, error,
                   "stopped by a signal");
    assert_int_equal(result.unblamed, 1); /* at first it could be any row of the task */
    assert_int_equal(result.blamed, 2);
    close_workers(&device);
}

TEST(a_slow_function_is_not_killed)
{
    rp_device device = open_workers(2);
    int32_t rows[ROWS] = {[5] = LINGER};
    uint32_t results[ROWS];
    rp_operation operation = misdeeds(rows, results);
    drive_result result;
    drive_ok(&device, &operation, 100, &result);
    assert_int_equal(result.blamed + result.unblamed, 0);
    assert_int_equal(results[5], LINGER);
    close_workers(&device);
}

/* ---- How a worker starts ---------------------------------------------------------------------------------------- */

enum { OPEN_DESCRIPTORS, BLOCKED_SIGNALS, HANDLED_SIGNALS, IGNORES_INT, IGNORES_QUIT, DEATH_SIGNAL, FACTS };

static void look_around(const rowpool_block *block, const void *arguments, size_t columns, void *results)
{
    (void)block;
    (void)arguments;
    (void)columns;
    uint32_t *fact = results;
    memset(fact, 0, FACTS * sizeof *fact);
    for (int fd = 3; fd < 4096; fd++)
        fact[OPEN_DESCRIPTORS] += fcntl(fd, F_GETFD) >= 0;
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int s = 1; s < NSIG; s++) {
        struct sigaction action;
        fact[BLOCKED_SIGNALS] += sigismember(&blocked, s) == 1;
        if (sigaction(s, NULL, &action) != 0)
            continue;
        fact[HANDLED_SIGNALS] += action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
        fact[IGNORES_INT] += s == SIGINT && action.sa_handler == SIG_IGN;
        fact[IGNORES_QUIT] += s == SIGQUIT && action.sa_handler == SIG_IGN;
    }
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    fact[DEATH_SIGNAL] = (uint32_t)death;
}

static const rowpool_compiled looking_compiled = {
    .arguments_size = 1, .result_size = sizeof(uint32_t), .result_alignment = sizeof(uint32_t), .rows = look_around};
static const rowpool_function looking = {
    .size = sizeof looking, .name = "look_around", .compiled[ROWPOOL_INT32] = &looking_compiled};

static void handler(int signal_number)
{
    (void)signal_number;
}

static void check_surroundings(rp_device *device)
{
    int32_t row = 0;
    uint32_t facts[FACTS];
    rp_operation operation = misdeeds(&row, facts);
    set_function(&operation, &looking, ROWPOOL_INT32);
    operation.inputs[0].count = operation.inputs[0].elements = 1;
    operation.columns = FACTS;
    drive_ok(device, &operation, 0, NULL);
    assert_int_equal(facts[OPEN_DESCRIPTORS], 2); /* its socket, and the descriptor for this process's memory */
    assert_int_equal(facts[BLOCKED_SIGNALS], 0);
    assert_int_equal(facts[HANDLED_SIGNALS], 0);
    assert_int_equal(facts[IGNORES_INT], 1);
    assert_int_equal(facts[IGNORES_QUIT], 1);
    assert_int_equal(facts[DEATH_SIGNAL], SIGKILL);
}

TEST(a_worker_inherits_no_descriptors_and_handlers)
{
    struct sigaction mine = {.sa_handler = handler}, before[2];
    sigaction(SIGUSR1, &mine, &before[0]);
    sigaction(SIGTERM, &mine, &before[1]);
    int ends[2], high;
    assert_int_equal(pipe(ends), 0);
    high = fcntl(ends[0], F_DUPFD, 1000);
    rp_device device = open_workers(2);
    check_surroundings(&device);
    kill(first_worker(&device), SIGKILL); /* nor has its replacement */
    for (int i = 0; i < 4; i++)
        check_surroundings(&device);
    close_workers(&device);
    close(ends[0]);
    close(ends[1]);
    close(high);
    sigaction(SIGUSR1, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
}

/* ---- Killed and stopped workers --------------------------------------------------------------------------------- */

typedef struct {
    rp_device *device;
    atomic_bool stop;
    uint64_t salt;
    size_t most_pause_us;
    size_t kills;
} killer;

static void *kill_at_random(void *argument)
{
    killer *k = argument;
    test_random random = test_random_begin(k->salt);
    while (!atomic_load(&k->stop)) {
        pid_t pids[16];
        size_t n = test_worker_pids(k->device, pids, COUNT_OF(pids));
        if (n > 0)
            k->kills += kill(pids[test_below(&random, n)], SIGKILL) == 0;
        test_sleep_us(test_below(&random, k->most_pause_us));
    }
    return NULL;
}

TEST(kills_at_any_moment)
{
    const size_t rounds = test_setting("ROWPOOL_TEST_KILLS", 60);
    size_t kills = 0, lost = 0;
    for (int kind = PRIVATE; kind < MEMORIES; kind++) {
        rp_device device = open_workers(3);
        fixture t = make_plain(30, 40000, 50, (memory_kind)kind);
        killer k = {.device = &device, .salt = 31 + (uint64_t)kind, .most_pause_us = 20000};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, kill_at_random, &k), 0);
        size_t lost_before = lost;
        for (size_t i = 0; i < rounds || lost == lost_before; i++) { /* until a kill hits a task */
            drive_result result;
            drive_ok(&device, &t.operation, 30000 + 1000 * (i % 20), &result);
            check_results(&t);
            lost += result.blamed + result.unblamed;
        }
        atomic_store(&k.stop, true);
        pthread_join(thread, NULL);
        kills += k.kills;
        free_fixture(&t);
        close_workers(&device);
    }
    print_message("%zu kills, %zu tasks lost and done again\n", kills, lost);
}

TEST(kills_under_several_threads)
{
    rp_device device = open_workers(3);
    submitter all[4];
    pthread_t threads[COUNT_OF(all)], thread;
    killer k = {.device = &device, .salt = 40, .most_pause_us = 10000};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        all[i] = (submitter){.device = &device,
                             .fixture = make_plain(41 + i, 20000, 40, (memory_kind)(i % MEMORIES)),
                             .times = 20,
                             .chunk_bytes = 50000};
    assert_int_equal(pthread_create(&thread, NULL, kill_at_random, &k), 0);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &all[i]), 0);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        pthread_join(threads[i], NULL);
    atomic_store(&k.stop, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(all[i].wrong, 0);
        free_fixture(&all[i].fixture);
    }
    close_workers(&device);
}

TEST(idle_workers_that_die_are_replaced)
{
    rp_device device = open_workers(2);
    fixture t = make_plain(50, 1000, 10, PRIVATE);
    for (int i = 0; i < 5; i++) {
        pid_t pids[2];
        size_t n = test_worker_pids(&device, pids, 2);
        for (size_t p = 0; p < n; p++)
            kill(pids[p], SIGKILL);
        for (size_t p = 0; p < n && i % 2 == 0; p++) /* noticed before the next map, or only by it */
            while (kill(pids[p], 0) == 0)
                test_sleep_us(1000);
        drive_ok(&device, &t.operation, 4000, NULL);
        check_results(&t);
    }
    free_fixture(&t);
    close_workers(&device);
}

TEST(a_stopped_worker_does_not_block_the_map)
{
    rp_device device = open_workers(2);
    fixture t = make_plain(51, 1000, 100, PRIVATE);
    pid_t stopped = first_worker(&device), pids[2];
    kill(stopped, SIGSTOP);
    drive_result result;
    drive_ok(&device, &t.operation, 4000, &result);
    check_results(&t);
    assert_int_equal(result.blamed, 0);
    assert_true(result.unblamed > 0);
    assert_non_null(strstr(result.lost.message, "stayed stopped"));
    assert_int_equal(test_worker_pids(&device, pids, 2), 2);
    assert_true(pids[0] != stopped && pids[1] != stopped);
    /* A worker that continues in time is left alone. */
    atomic_store(&seen->stopped_looks, 0);
    atomic_store(&seen->continued_after, 4);
    kill(pids[0], SIGSTOP);
    drive_ok(&device, &t.operation, 4000, &result);
    check_results(&t);
    assert_int_equal(atomic_load(&seen->stopped_looks), 4);
    assert_int_equal(result.blamed + result.unblamed, 0);
    assert_int_equal(first_worker(&device), pids[0]);
    free_fixture(&t);
    /* A worker that is stopped while idle delays close only briefly. */
    kill(pids[0], SIGSTOP);
    close_workers(&device);
}

TEST(the_application_ignores_its_children)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGCHLD, &ignore, &before);
    rp_device device = open_workers(2);
    int32_t rows[ROWS] = {[5] = KILL_9};
    uint32_t results[ROWS];
    rp_operation operation = misdeeds(rows, results);
    drive_options options = {.chunk_bytes = 1 << 20, .max_deaths = 2};
    drive_result result;
    rowpool_error error;
    assert_refused(drive(&device, &operation, &options, &result, &error), ROWPOOL_EWORKER, error, "how is not known");
    close_workers(&device);
    struct sigaction after;
    sigaction(SIGCHLD, &before, &after);
    assert_true(after.sa_handler == SIG_IGN); /* the library did not change it */
}

/* ---- Unreadable memory ------------------------------------------------------------------------------------------ */

TEST(unreadable_memory_is_an_error)
{
    rp_device device = open_workers(2);
    pid_t before[2], after[2];
    test_worker_pids(&device, before, 2);
    size_t width = page / sizeof(int32_t), count = 40;
    char *bytes = mmap(NULL, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int64_t *offsets = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(mprotect(bytes + 17 * page, page, PROT_NONE), 0);
    uint32_t results[600];
    const int32_t range[] = {0, 0};
    rp_operation operation = misdeeds((int32_t *)(void *)bytes, results);
    set_function(&operation, &rp_builtin_count, ROWPOOL_INT32);
    operation.arguments = range;
    operation.arguments_size = sizeof range;
    operation.inputs[0].count = count;
    operation.inputs[0].width = operation.inputs[0].stride = width;
    drive_options options = {.chunk_bytes = 4 * (page + sizeof(uint32_t))};
    drive_result result;
    rowpool_error error;
    assert_refused(drive(&device, &operation, &options, &result, &error), ROWPOOL_EINVAL, error,
                   "rows 16 to 19 cannot be read");
    assert_int_equal(result.blamed + result.unblamed, 0);
    /* The splitter reads the offsets here, so they are unmapped only afterwards. One row for each task, one worker. */
    operation.inputs[0].offsets = offsets;
    operation.inputs[0].count = 2 * page / sizeof *offsets - 1;
    operation.inputs[0].width = operation.inputs[0].stride = 0;
    munmap(bytes, count * page);
    rp_queue home;
    rp_queue_init(&home);
    rp_task task = {.operation = &operation,
                    .chunk = {.row = page / sizeof *offsets, .rows = 1},
                    .home = &home,
                    .results = results};
    kill(before[0], SIGSTOP);
    kill(before[1], SIGSTOP);
    assert_ok(rp_backend_fork.submit(&device, &task, &error), error);
    assert_int_equal(mprotect((char *)offsets + page, page, PROT_NONE), 0);
    kill(before[0], SIGCONT);
    kill(before[1], SIGCONT);
    assert_ptr_equal(rp_queue_pop(&home), &task.message.link);
    assert_refused(rp_backend_fork.finish(&device, &task, &error), ROWPOOL_EINVAL, error, "cannot be read");
    munmap(offsets, 2 * page);
    rp_queue_destroy(&home);
    assert_int_equal(test_worker_pids(&device, after, 2), 2);
    assert_memory_equal(before, after, sizeof before); /* both live */
    close_workers(&device);
}

/* ---- Missing or forbidden system calls -------------------------------------------------------------------------- */

typedef struct {
    int calls[4], failure[4]; /* system calls and the errno each fails with */
    size_t n;
    rp_device device;
    rowpool_status status;
    rowpool_error error;
    bool unsupported;
} limited;

static void *open_limited(void *argument)
{
    limited *l = argument;
    struct sock_filter filter[2 + 2 * 4] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short at = 1;
    for (size_t i = 0; i < l->n; i++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)l->calls[i], 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)l->failure[i]);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = at, .filter = filter};
    l->unsupported = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                     syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0;
    if (!l->unsupported)
        l->status = try_open(&l->device, 2, &l->error);
    return NULL;
}

/* Skips the test if this machine has no seccomp. */
static void with_limits(limited *l)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_limited, l), 0);
    pthread_join(thread, NULL);
    if (l->unsupported)
        skip_since("seccomp is not available");
}

static void check_kills(rp_device *device, memory_kind kind)
{
    fixture t = make_plain(60, 4000, 100, kind);
    for (int i = 0; i < 6; i++) {
        kill(first_worker(device), SIGKILL);
        drive_ok(device, &t.operation, 20000, NULL);
        check_results(&t);
    }
    free_fixture(&t);
}

TEST(workers_run_without_pidfds)
{
    limited l = {.calls = {SYS_pidfd_open, SYS_close_range}, .failure = {ENOSYS, ENOSYS}, .n = 2};
    with_limits(&l);
    assert_int_equal(l.status, ROWPOOL_OK);
    check_surroundings(&l.device); /* descriptors are closed all the same */
    check_kills(&l.device, PRIVATE);
    close_workers(&l.device);
}

TEST(memory_is_read_from_the_file_where_the_call_is_refused)
{
    limited l = {.calls = {SYS_process_vm_readv}, .failure = {EPERM}, .n = 1};
    with_limits(&l);
    assert_int_equal(l.status, ROWPOOL_OK);
    check_kills(&l.device, PRIVATE);
    test_random random = test_random_begin(61);
    for (int layout = TEST_DENSE; layout < TEST_LAYOUTS; layout++) {
        test_array array = test_array_make(&random, ROWPOOL_FLOAT32, (test_layout)layout, 2000, 700, 0);
        fixture t = make_fixture(&random, &array.rows, PRIVATE, 2, &rp_builtin_count);
        test_array_free(&array);
        drive_ok(&l.device, &t.operation, 0, NULL);
        check_results(&t);
        free_fixture(&t);
    }
    close_workers(&l.device);
}

/* Copying is refused, yet shared memory works: it is mapped, not copied. */
TEST(shared_memory_is_not_copied)
{
    limited l = {.calls = {SYS_process_vm_readv, SYS_pread64}, .failure = {EPERM, EIO}, .n = 2};
    with_limits(&l);
    assert_int_equal(l.status, ROWPOOL_OK);
    test_random random = test_random_begin(62);
    for (int kind = PRIVATE; kind < MEMORIES; kind++)
        for (int layout = TEST_DENSE; layout < TEST_LAYOUTS; layout++) {
            test_array array = test_array_make(&random, ROWPOOL_UINT16, (test_layout)layout, 200000, 10, 0);
            fixture t = make_fixture(&random, &array.rows, (memory_kind)kind, 1, &rp_builtin_count);
            test_array_free(&array);
            drive_options options = {0};
            drive_result result;
            rowpool_error error;
            if (kind == PRIVATE) {
                assert_refused(drive(&l.device, &t.operation, &options, &result, &error), ROWPOOL_EINVAL, error,
                               "read");
            } else {
                drive_ok(&l.device, &t.operation, 0, NULL);
                check_results(&t);
            }
            free_fixture(&t);
        }
    close_workers(&l.device);
}

TEST(a_failed_fork_is_an_error)
{
    limited l = {.calls = {SYS_clone}, .failure = {EAGAIN}, .n = 1}; /* threads are started by clone3 */
    with_limits(&l);
    test_refused(l.status, ROWPOOL_ESYSTEM, &l.error, "cannot start", __LINE__);
}

TEST(descriptors_limit_the_workers)
{
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = 80, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    rp_device device = open_workers(1000);
    assert_in_range(device.info.units, 2, 15);
    int fd = fcntl(0, F_DUPFD, 0); /* the application has some left */
    assert_true(fd >= 0);
    close(fd);
    fixture t = make_plain(64, 1000, 10, SHARED);
    drive_ok(&device, &t.operation, 1000, NULL);
    check_results(&t);
    free_fixture(&t);
    close_workers(&device);
    setrlimit(RLIMIT_NOFILE, &before);
}

TEST(a_map_fails_if_no_worker_can_be_replaced)
{
    rp_device device = open_workers(2);
    fixture t = make_plain(63, 1000, 10, PRIVATE);
    pid_t pids[2];
    test_worker_pids(&device, pids, 2);
    struct rlimit before, none = {0};
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    kill(pids[0], SIGKILL);
    kill(pids[1], SIGKILL);
    while (test_worker_pids(&device, NULL, 0) > 0)
        test_sleep_us(1000);
    drive_options options = {0};
    drive_result result;
    rowpool_error error;
    rowpool_status status = drive(&device, &t.operation, &options, &result, &error);
    setrlimit(RLIMIT_NOFILE, &before);
    test_refused(status, ROWPOOL_ESYSTEM, &error, "cannot start a worker process", __LINE__);
    drive_ok(&device, &t.operation, 0, NULL); /* later it can */
    check_results(&t);
    free_fixture(&t);
    close_workers(&device);
}

/* ---- Leaks ------------------------------------------------------------------------------------------------------ */

static size_t count_lines(const char *path, const char *holding)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    size_t n = 0;
    while (fgets(line, sizeof line, file) != NULL)
        n += strstr(line, holding) != NULL;
    fclose(file);
    return n;
}

static void one_cycle(uint64_t salt, memory_kind kind)
{
    test_random random = test_random_begin(salt);
    rp_device device = open_workers(1 + test_below(&random, 3));
    fixture t = make_plain(salt, 3000, 100, kind);
    if (test_chance(&random, 2))
        kill(first_worker(&device), SIGKILL);
    drive_ok(&device, &t.operation, 30000, NULL);
    check_results(&t);
    if (test_chance(&random, 2))
        kill(first_worker(&device), SIGKILL);
    close_workers(&device);
    free_fixture(&t);
}

TEST(nothing_is_left_behind)
{
    assert_false(test_has_child());
    one_cycle(70, PRIVATE);
    size_t descriptors = test_count_descriptors(), mappings = count_lines("/proc/self/maps", "/memfd:"),
           files = count_lines("/proc/self/maps", "rowpool-fork"),
           threads = count_lines("/proc/self/status", "Threads:\t1\n");
    for (uint64_t i = 0; i < 40; i++) {
        one_cycle(71 + i, (memory_kind)(i % MEMORIES));
        assert_false(test_has_child());
        assert_int_equal(test_count_descriptors(), descriptors);
    }
    assert_int_equal(mappings, 0);
    assert_int_equal(count_lines("/proc/self/maps", "/memfd:"), 0);
    assert_int_equal(count_lines("/proc/self/maps", "rowpool-fork"), files);
    assert_int_equal(count_lines("/proc/self/status", "Threads:\t1\n"), threads);
}

/* Within one device too: a worker keeps mappings and descriptors, up to a limit. */
TEST(what_workers_keep_is_limited)
{
    rp_device device = open_workers(1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)first_worker(&device));
    for (uint64_t i = 0; i < 200; i++) {
        fixture t = make_plain(i, 200, 10, SHARED);
        drive_ok(&device, &t.operation, 0, NULL);
        check_results(&t);
        free_fixture(&t);
    }
    assert_true(count_lines(path, "/memfd:") <= 70);
    check_surroundings(&device); /* its descriptors */
    close_workers(&device);
}

/* Runs n tasks with the same number of rows at once, each row with one byte of data and eight of results. All are done
 * before the first is finished, so that each has its own result buffer. */
static void do_at_once(rp_device *device, size_t n, size_t rows)
{
    enum { MAX = 10 };
    test_random random = test_random_begin(12);
    test_array array = test_array_make(&random, ROWPOOL_INT8, TEST_DENSE, n * rows, 1, 0);
    fixture t = make_fixture(&random, &array.rows, PRIVATE, 1, &rp_builtin_count64);
    rp_task tasks[MAX];
    rp_queue home;
    rowpool_error error;
    assert_true(n <= MAX);
    test_array_free(&array);
    rp_queue_init(&home);
    for (size_t i = 0; i < n; i++) {
        const rp_chunk chunk = {.row = i * rows, .rows = rows};
        tasks[i] = (rp_task){.operation = &t.operation, .chunk = chunk, .home = &home};
        tasks[i].results = t.operation.results + chunk.row * sizeof(uint64_t);
        assert_ok(rp_backend_fork.submit(device, &tasks[i], &error), error);
    }
    for (size_t i = 0; i < n; i++)
        rp_queue_pop(&home);
    for (size_t i = 0; i < n; i++)
        assert_ok(rp_backend_fork.finish(device, &tasks[i], &error), error);
    rp_queue_destroy(&home);
    check_results(&t);
    free_fixture(&t);
}

/* Result buffers are kept for later tasks: a few for each worker, none larger than 16 MB. */
TEST(kept_result_buffers_are_limited)
{
    static const struct {
        size_t tasks, rows, kept;
    } cases[] = {{1, 100, 1}, {10, 100, RP_WORKERS_BUFFERS}, {1, (2 << 20) - 1, 1}, {1, (2 << 20) + 1, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rp_device device = open_workers(1);
        size_t before = test_count_descriptors();
        for (int time = 0; time < 2; time++) {
            do_at_once(&device, cases[i].tasks, cases[i].rows);
            assert_int_equal(test_count_descriptors(), before + cases[i].kept);
        }
        close_workers(&device);
    }
}

/* A kept buffer that is slightly too small is not reused. */
TEST(a_kept_buffer_is_large_enough)
{
    rp_device device = open_workers(1);
    for (size_t rows = 100; rows < 40000; rows = rows * 21 / 20)
        do_at_once(&device, 1, rows);
    close_workers(&device);
}

static void *read_pids(int from, pid_t *pids, size_t n)
{
    return read(from, pids, n * sizeof *pids) == (ssize_t)(n * sizeof *pids) ? pids : NULL;
}

TEST(workers_die_with_their_parent)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t parent = fork();
    if (parent == 0) {
        rp_device device;
        pid_t pids[3];
        if (try_open(&device, 3, NULL) == ROWPOOL_OK && test_worker_pids(&device, pids, 3) == 3 &&
            write(ends[1], pids, sizeof pids) > 0)
            raise(SIGKILL);
        _exit(1);
    }
    close(ends[1]); /* so that reading ends when the child has ended */
    pid_t pids[3];
    assert_non_null(read_pids(ends[0], pids, 3));
    const int status = test_wait(parent);
    assert_true(WIFSIGNALED(status));
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pids[i]);
        /* or a zombie that init has not reaped yet */
        while (kill(pids[i], 0) == 0 && count_lines(path, "State:\tZ") == 0)
            test_sleep_us(10000);
    }
    close(ends[0]);
}

/* The library's clock; it can be stopped, so that no timeout expires. */
static atomic_bool clock_stands;

struct timespec __real_rp_clock_now(void);
struct timespec __wrap_rp_clock_now(void);

struct timespec __wrap_rp_clock_now(void)
{
    return atomic_load(&clock_stands) ? (struct timespec){0} : __real_rp_clock_now();
}

TEST(a_child_drops_the_device_and_the_parent_keeps_it)
{
    rp_device device = open_workers(2);
    fixture t = make_plain(80, 3000, 100, SHARED);
    drive_ok(&device, &t.operation, 30000, NULL);
    check_results(&t);
    size_t descriptors = test_count_descriptors();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(600); /* a hang is a failure too */
        size_t mappings = count_lines("/proc/self/maps", "/memfd:");
        rp_backend_fork.close(&device, true);
        bool fewer = test_count_descriptors() < descriptors && count_lines("/proc/self/maps", "/memfd:") < mappings;
        _exit(fewer ? 0 : 1);
    }
    const int status = test_wait(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* A child that keeps every descriptor open must not hide the pool's end from the workers. */
    child = fork();
    if (child == 0) {
        alarm(600); /* in case the test fails before it kills this child */
        pause();
        _exit(0);
    }
    drive_ok(&device, &t.operation, 30000, NULL);
    check_results(&t);
    kill(first_worker(&device), SIGKILL);
    drive_ok(&device, &t.operation, 30000, NULL);
    check_results(&t);
    struct pollfd events = {.fd = ((const rp_workers *)device.state)->events, .events = POLLIN};
    /* this would never end if the descriptor that the child holds were an event each time */
    while (poll(&events, 1, 0) != 0)
        test_sleep_us(1000);
    atomic_store(&clock_stands, true); /* workers end when told to: none is killed for taking too long */
    close_workers(&device);
    atomic_store(&clock_stands, false);
    kill(child, SIGKILL);
    (void)test_wait(child);
    free_fixture(&t);
}

TEST(what_the_device_says)
{
    rp_device device = open_workers(3);
    assert_string_equal(device.info.index, "fork");
    assert_int_equal(device.info.type, ROWPOOL_DEVICE_FORK);
    assert_int_equal(device.info.units, 3);
    assert_true(device.available && device.info.shared_memory);
    assert_int_equal(device.queue_depth, 6);
    assert_int_equal(device.parallel, 3);
    assert_true(device.chunk_bytes > 0 && device.info.largest_buffer > (uint64_t)1 << 60);
    assert_false(rp_backend_fork.waits);
    close_workers(&device);
    const rp_backend_options options = {.workers = 1, .chunk_bytes = 12345};
    assert_int_equal(rp_backend_fork.open(&device, &options, NULL), ROWPOOL_OK);
    assert_int_equal(device.chunk_bytes, 12345);
    close_workers(&device);
}

int main(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return 1;
    alarm((unsigned)test_setting("ROWPOOL_TEST_SECONDS", 600)); /* a hang is a failure */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_device_says),
        cmocka_unit_test(every_layout_in_every_memory),
        cmocka_unit_test(large_arrays_in_every_memory),
        cmocka_unit_test(rows_too_long_to_copy_at_once),
        cmocka_unit_test(gaps_between_rows_may_be_unmapped),
        cmocka_unit_test(results_larger_than_the_data),
        cmocka_unit_test(many_columns),
        cmocka_unit_test(results_in_shared_memory_are_written_in_place),
        cmocka_unit_test(results_may_lie_elsewhere),
        cmocka_unit_test(memory_may_change_between_maps),
        cmocka_unit_test(a_mapped_file_may_be_replaced),
        cmocka_unit_test(several_threads_at_once),
        cmocka_unit_test(an_answer_outlives_its_worker),
        cmocka_unit_test(a_worker_closes_inherited_descriptors),
        cmocka_unit_test(a_crash_names_the_rows_and_the_signal),
        cmocka_unit_test(a_worker_stopped_by_its_function_is_replaced),
        cmocka_unit_test(a_slow_function_is_not_killed),
        cmocka_unit_test(a_worker_inherits_no_descriptors_and_handlers),
        cmocka_unit_test(kills_at_any_moment),
        cmocka_unit_test(kills_under_several_threads),
        cmocka_unit_test(idle_workers_that_die_are_replaced),
        cmocka_unit_test(a_stopped_worker_does_not_block_the_map),
        cmocka_unit_test(the_application_ignores_its_children),
        cmocka_unit_test(unreadable_memory_is_an_error),
        cmocka_unit_test(workers_run_without_pidfds),
        cmocka_unit_test(memory_is_read_from_the_file_where_the_call_is_refused),
        cmocka_unit_test(shared_memory_is_not_copied),
        cmocka_unit_test(a_failed_fork_is_an_error),
        cmocka_unit_test(descriptors_limit_the_workers),
        cmocka_unit_test(a_map_fails_if_no_worker_can_be_replaced),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(what_workers_keep_is_limited),
        cmocka_unit_test(kept_result_buffers_are_limited),
        cmocka_unit_test(a_kept_buffer_is_large_enough),
        cmocka_unit_test(workers_die_with_their_parent),
        cmocka_unit_test(a_child_drops_the_device_and_the_parent_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
