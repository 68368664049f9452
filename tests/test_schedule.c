/* How a map is shared out among devices of unlike speed: simulated ones, by a clock that only the test moves. What is
 * asserted are parts of the time that the devices would take without any loss, so no machine's speed matters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sched/pool.h"
#include "support.h"

/* ---- The clock: in place of the library's ----------------------------------------------------------------------- */

static double clock_seconds;

struct timespec rp_clock_now(void)
{
    double whole = floor(clock_seconds);
    return (struct timespec){.tv_sec = (time_t)whole, .tv_nsec = (long)(1e9 * (clock_seconds - whole))};
}

/* ---- Simulated devices ------------------------------------------------------------------------------------------ */

enum { MOST_DEVICES = 3, MOST_PARALLEL = 8, FIRST_CHUNKS = 3 };

typedef struct simulated {
    double rate;                   /* bytes a second; */
    double change_at, later_rate;  /* from that moment on, if not 0 */
    double build;                  /* seconds that a compiler needs for the first chunk, */
    bool builds_in_submit;         /* and whoever submits it waits for that */
    const struct simulated *rival; /* one that takes a part of its rate while it works */
    double taken;
    size_t parallel; /* chunks that it works on side by side; 0: one */
    size_t too_many; /* elements of a chunk for which memory runs out; 0: it never does */
    bool late;       /* that shows only in finish */
    bool supports_nothing;
    size_t killer; /* rows that are a multiple of it kill a worker; 0: none does */
    /* What comes of it: */
    double free_at[MOST_PARALLEL]; /* when each has done all that it was given */
    size_t rows, chunks, largest;  /* in the last map, */
    size_t first[FIRST_CHUNKS];    /* the bytes of its first chunks, */
    size_t deaths;                 /* and of its workers */
    bool built;
} simulated;

/* A task in flight, in rp_task.state. */
typedef struct {
    double end;
} flight;

static simulated *simulated_of(const rp_device *device)
{
    return (simulated *)device->id[0];
}

static size_t elements_of(const rp_task *task)
{
    return rp_chunk_elements(task->operation->inputs, &task->chunk);
}

static size_t bytes_of(const rp_task *task)
{
    return elements_of(task) * task->operation->inputs->dtype->size;
}

/* What a chunk costs beside its bytes. */
static const double chunk_seconds = 20e-6;

static double end_of(const simulated *device, double begin, double bytes, double taken)
{
    double share = (1 - taken) / (double)device->parallel;
    double end = begin + chunk_seconds + bytes / (share * device->rate);
    if (device->change_at <= 0 || end <= device->change_at)
        return end;
    if (begin >= device->change_at)
        return begin + chunk_seconds + bytes / (share * device->later_rate);
    return device->change_at + (end - device->change_at) * device->rate / device->later_rate;
}

static double *first_free(simulated *device)
{
    double *first = device->free_at;
    for (size_t i = 1; i < device->parallel; i++)
        if (device->free_at[i] < *first)
            first = &device->free_at[i];
    return first;
}

static double taken_from(const simulated *device)
{
    const simulated *rival = device->rival;
    for (size_t i = 0; rival != NULL && i < rival->parallel; i++)
        if (rival->free_at[i] > clock_seconds)
            return device->taken;
    return 0;
}

static bool memory_runs_out(const simulated *device, const rp_task *task)
{
    return device->too_many > 0 && elements_of(task) >= device->too_many;
}

static rowpool_status no_memory(rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_ENOMEM, "simulated");
}

/* Seconds that the device needs before it begins a task. */
static double build_for(simulated *device, rp_task *task)
{
    task->cold = device->build > 0 && !device->built;
    device->built = true;
    if (task->cold && device->builds_in_submit)
        clock_seconds += device->build;
    return task->cold && !device->builds_in_submit ? device->build : 0;
}

static rowpool_status submit(rp_device *device, rp_task *task, rowpool_error *error)
{
    simulated *own = simulated_of(device);
    size_t bytes = bytes_of(task);
    assert_true(bytes > 0);
    if (!own->late && memory_runs_out(own, task))
        return no_memory(error);
    flight *in_flight = malloc(sizeof *in_flight);
    assert_non_null(in_flight);
    double *free_at = first_free(own), build = build_for(own, task);
    *free_at = end_of(own, fmax(clock_seconds, *free_at) + build, (double)bytes, taken_from(own));
    if (own->chunks < FIRST_CHUNKS)
        own->first[own->chunks] = bytes;
    own->chunks++;
    own->largest = bytes > own->largest ? bytes : own->largest;
    in_flight->end = *free_at;
    task->state = in_flight;
    return ROWPOOL_OK;
}

static bool kills(const simulated *device, const rp_chunk *chunk)
{
    size_t killer = device->killer;
    return killer > 0 && (chunk->row + killer - 1) / killer * killer < chunk->row + chunk->rows;
}

/* A visit of each row; of a part of one, its elements are counted. In a stream nobody looks at the results. */
static void visit(const rp_task *task)
{
    uint32_t *results = task->results;
    if (task->chunk.partial)
        *results = (uint32_t)elements_of(task);
    for (size_t row = 0; !task->chunk.partial && task->operation->results != NULL && row < task->chunk.rows; row++)
        results[row]++;
}

static rowpool_status finish(rp_device *device, rp_task *task, rowpool_error *error)
{
    simulated *own = simulated_of(device);
    free(task->state);
    task->state = NULL;
    if (memory_runs_out(own, task))
        return no_memory(error);
    task->blamed = kills(own, &task->chunk);
    if (task->blamed) {
        own->deaths++;
        return rp_fail(error, ROWPOOL_EWORKER, "simulated");
    }
    visit(task);
    own->rows += task->chunk.rows;
    return ROWPOOL_OK;
}

static const char *unsupported_reason(const rp_device *device, const rp_operation *map)
{
    (void)map;
    if (device->info.type == ROWPOOL_DEVICE_HOST)
        return "it only stands by";
    return simulated_of(device)->supports_nothing ? "it supports nothing" : NULL;
}

static const rp_backend backend = {
    .name = "simulated", .submit = submit, .finish = finish, .unsupported_reason = unsupported_reason};

/* ---- A pool of them --------------------------------------------------------------------------------------------- */

enum { ROW_BYTES = 4096, CHUNK_BYTES = 256 << 20 };

typedef struct {
    rowpool pool;
    rp_device devices[MOST_DEVICES + 1]; /* the host is the last */
    size_t places, most_waiting;         /* of the last map: for chunks in flight; chunks that waited for delivery */
} simulation;

static void open_pool(simulation *own, simulated *devices, size_t count)
{
    *own = (simulation){
        .pool = {.pid = getpid(), .devices = {.items = own->devices, .count = count + 1, .used = count}}};
    rp_mutex_init(&own->pool.lock, RP_LOCK_POOL);
    own->pool.host = &own->devices[count];
    own->pool.host->backend = &backend;
    own->pool.host->info.type = ROWPOOL_DEVICE_HOST;
    clock_seconds = 1;
    for (size_t i = 0; i < count; i++) {
        rp_device *device = &own->devices[i];
        devices[i].parallel += devices[i].parallel == 0;
        *device = (rp_device){.backend = &backend, .id = {(uintptr_t)&devices[i]}, .available = true};
        device->parallel = devices[i].parallel;
        device->queue_depth = 2 * device->parallel;
        device->chunk_bytes = CHUNK_BYTES;
        device->info.largest_buffer = UINT64_MAX;
        device->info.index[0] = (char)('0' + i);
    }
}

static void close_pool(simulation *own)
{
    rp_mutex_destroy(&own->pool.lock);
}

/* Of those in flight, the one that ends first. */
static rp_task *next_to_end(const rp_run *run)
{
    rp_task *next = NULL;
    for (size_t i = 0; i < run->n_tasks; i++) {
        rp_task *task = &run->tasks[i];
        if (task->state != NULL && (next == NULL || ((flight *)task->state)->end < ((flight *)next->state)->end))
            next = task;
    }
    assert_non_null(next);
    return next;
}

/* A map of so many rows; no element is ever read: there is no data. */
static rp_operation map_of(size_t rows, uint32_t *visits)
{
    static const rowpool_function simulated_function = {.size = sizeof simulated_function, .name = "simulated"};
    return (rp_operation){
        .function = &simulated_function,
        .name = simulated_function.name,
        .code = {.compiled.result_size = sizeof *visits, .n_inputs = 1, .element = {1}},
        .inputs = {{.dtype = rp_dtype_of(ROWPOOL_UINT8),
                    .dtype_id = ROWPOOL_UINT8,
                    .count = rows,
                    .width = ROW_BYTES,
                    .stride = ROW_BYTES,
                    .elements = rows * ROW_BYTES}},
        .columns = 1,
        .results = (char *)visits,
    };
}

/* What is pending on a device are the bytes that it has in flight, whatever became of others. */
static void check_pending(const rp_run *run)
{
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *participant = &run->participants[i];
        size_t bytes = 0;
        for (size_t k = 0; k < run->n_tasks; k++) {
            const rp_task *task = &run->tasks[k];
            if (task->state != NULL && task->device == participant->device)
                bytes += bytes_of(task);
        }
        assert_int_equal(participant->pending, bytes);
    }
}

static void begin_counting(simulation *own, const rp_run *run)
{
    own->places = run->n_tasks;
    own->most_waiting = 0;
    for (size_t i = 0; i < own->pool.devices.used; i++) {
        simulated *device = simulated_of(&own->devices[i]);
        device->rows = device->chunks = device->largest = device->deaths = 0;
        memset(device->first, 0, sizeof device->first);
    }
}

/* Does a map, or cancels it before the first chunk. stream NULL: its results go to its array. */
static rowpool_status drive(simulation *own, const rp_operation *map, const rp_stream *stream, bool cancelled)
{
    rp_queue queue; /* nothing arrives there: the test itself says what completed */
    rp_run run;
    rowpool_error error;
    rp_queue_init(&queue);
    assert_ok(rp_run_init(&run, &own->pool, map, stream, &queue, &error), error);
    atomic_store(&run.cancellation.cancelled, cancelled);
    begin_counting(own, &run);
    rp_run_fill(&run);
    while (run.in_flight > 0) {
        check_pending(&run);
        rp_task *task = next_to_end(&run);
        clock_seconds = fmax(clock_seconds, ((flight *)task->state)->end);
        rp_run_complete(&run, task);
        own->most_waiting = run.n_ready > own->most_waiting ? run.n_ready : own->most_waiting;
        rp_run_fill(&run);
    }
    check_pending(&run);
    rowpool_status status = rp_run_status(&run, &error);
    rp_run_destroy(&run);
    rp_queue_destroy(&queue);
    return status;
}

static rowpool_status run_map(simulation *own, size_t rows, uint32_t *visits, bool cancelled)
{
    const rp_operation map = map_of(rows, visits);
    return drive(own, &map, NULL, cancelled);
}

/* Maps so many rows and returns the seconds that it took, once every row was visited exactly once. */
static double map_rows(simulation *own, size_t rows)
{
    uint32_t *visits = calloc(rows, sizeof *visits);
    double begin = clock_seconds;
    assert_non_null(visits);
    assert_int_equal(run_map(own, rows, visits, false), ROWPOOL_OK);
    for (size_t row = 0; row < rows; row++)
        assert_int_equal(visits[row], 1);
    free(visits);
    return clock_seconds - begin;
}

/* ---- What is asserted ------------------------------------------------------------------------------------------- */

enum { ROWS = 1 << 20, FEW_ROWS = 2000 }; /* FEW_ROWS: a map of a millisecond */
static const double fast = 8e9;
static const double least_share = 0.9;

static double sum_of_rates(const simulated *devices, size_t count)
{
    double rate = 0;
    for (size_t i = 0; i < count; i++)
        rate += devices[i].rate;
    return rate;
}

/* time, beside that of the same bytes at a rate. */
static void assert_time(double time, size_t rows, double rate, double most)
{
    double ideal = (double)rows * ROW_BYTES / rate;
    if (time > most * ideal)
        fail_msg("it took %.3f times as long as without any loss; at most %.3f is good", time / ideal, most);
}

/* The rows that a device had, beside its part by the rates. */
static void assert_share(const simulated *device, size_t rows, double rate, double least, double most)
{
    double part = (double)device->rows / ((double)rows * device->rate / rate);
    if (part < least || part > most)
        fail_msg("a device had %.3f times its part of the rows; %.3f to %.3f is good", part, least, most);
}

/* The first of three maps knows nothing of the devices. most: of the time without any loss. */
static void share_out(simulated *devices, size_t count, size_t rows, double most)
{
    simulation own;
    double rate = sum_of_rates(devices, count);
    open_pool(&own, devices, count);
    for (int map = 0; map < 3; map++) {
        assert_time(map_rows(&own, rows), rows, rate, most);
        for (size_t i = 0; i < count; i++)
            assert_share(&devices[i], rows, rate, least_share, 1.1);
    }
    close_pool(&own);
}

TEST(devices_end_together_whatever_their_rates)
{
    static const double ratios[] = {1, 3, 10, 100, 1000};
    for (size_t i = 0; i < COUNT_OF(ratios); i++) {
        simulated slower[] = {{.rate = fast}, {.rate = fast / ratios[i]}};
        simulated faster[] = {{.rate = fast / ratios[i]}, {.rate = fast}};
        simulated three[] = {{.rate = fast / ratios[i]}, {.rate = fast}, {.rate = fast / 2}};
        share_out(slower, COUNT_OF(slower), ROWS, 1.05);
        share_out(faster, COUNT_OF(faster), ROWS, 1.05);
        share_out(three, COUNT_OF(three), ROWS, 1.05);
    }
}

TEST(a_device_that_works_on_several_chunks_at_a_time_is_one_among_others)
{
    for (size_t parallel = 1; parallel <= MOST_PARALLEL; parallel *= 2) {
        simulated slower[] = {{.rate = fast}, {.rate = fast / 3, .parallel = parallel}};
        simulated equal[] = {{.rate = fast}, {.rate = fast, .parallel = parallel}};
        share_out(slower, COUNT_OF(slower), ROWS, 1.05);
        share_out(equal, COUNT_OF(equal), ROWS / 50, 1.15);
    }
}

TEST(a_device_that_would_only_slow_a_small_map_down_gets_nothing)
{
    enum { MAPS = 3000 };
    simulated devices[] = {{.rate = fast}, {.rate = fast / 1000}}, alone[] = {{.rate = fast}};
    simulation own, other;
    double together = 0, without = 0;
    open_pool(&other, alone, 1);
    for (int map = 0; map < MAPS; map++)
        without += map_rows(&other, FEW_ROWS);
    close_pool(&other);
    open_pool(&own, devices, 2);
    map_rows(&own, FEW_ROWS);
    map_rows(&own, FEW_ROWS);
    assert_int_equal(devices[1].rows, 0);
    /* That it is tried again from time to time costs next to nothing. */
    for (int map = 0; map < MAPS; map++)
        together += map_rows(&own, FEW_ROWS);
    assert_true(together <= 1.1 * without);
    close_pool(&own);
}

/* In a child, whose log is on. */
static void write_log_of_maps(int output)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast / 1000}, {.rate = fast, .supports_nothing = true}};
    simulation own;
    dup2(output, STDERR_FILENO);
    setenv("ROWPOOL_LOG", "run", 1);
    open_pool(&own, devices, COUNT_OF(devices));
    map_rows(&own, FEW_ROWS);
    map_rows(&own, FEW_ROWS);
    map_rows(&own, 1);
    close_pool(&own);
    _exit(0);
}

TEST(the_log_says_why_a_device_had_no_part)
{
    char text[8192];
    size_t length = 0;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_log_of_maps(ends[1]);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "simulated: device 2 took no part: it supports nothing\n"));
    assert_non_null(strstr(text, "simulated: device 1 took no part: a map of 4096 bytes is one chunk\n"));
    assert_non_null(strstr(text, "simulated: device 1 took no part: at its rate, 0.00"));
    char did[128];
    snprintf(did, sizeof did, "simulated: device 0 did %d rows in ", (int)FEW_ROWS);
    assert_non_null(strstr(text, did));
}

TEST(a_change_of_rate_is_followed)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast, .later_rate = fast / 30}};
    const double later = fast + devices[1].later_rate, third = (double)ROWS * ROW_BYTES / (2 * fast) / 3;
    simulation own;
    open_pool(&own, devices, 2);
    devices[1].change_at = clock_seconds + third;
    assert_time(map_rows(&own, ROWS) - third, ROWS - ROWS / 3, later, 1.05);
    assert_time(map_rows(&own, ROWS), ROWS, later, 1.05);
    devices[1].rate = devices[1].later_rate;
    assert_share(&devices[1], ROWS, later, least_share, 1.1);
    close_pool(&own);
}

/* The compiler's time is not taken for the device's. */
TEST(a_device_that_had_to_compile_has_its_part_of_the_next_map)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast, .build = 1}};
    simulation own;
    open_pool(&own, devices, 2);
    for (int map = 0; map < 4; map++)
        map_rows(&own, FEW_ROWS);
    assert_share(&devices[1], FEW_ROWS, 2 * fast, 0.7, 1.3);
    close_pool(&own);
}

/* What one chunk cost while somebody stood still, for another's compiler, is not taken for its device's rate. */
TEST(a_standstill_says_nothing_of_the_others)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast}};
    simulation own;
    open_pool(&own, devices, 2);
    for (int map = 0; map < 3; map++)
        map_rows(&own, FEW_ROWS);
    assert_true(own.devices[0].rate > 0.8 * fast);
    devices[1].build = 1;
    devices[1].builds_in_submit = true;
    devices[1].built = false;
    assert_true(map_rows(&own, FEW_ROWS) > 1);
    assert_true(devices[0].chunks > 0 && own.devices[0].rate > 0.8 * fast);
    close_pool(&own);
}

TEST(a_device_that_was_left_out_is_tried_again)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast / 1000, .later_rate = fast}};
    simulation own;
    open_pool(&own, devices, 2);
    devices[1].change_at = clock_seconds + 10e-3; /* its first chunk is slow still */
    int map = 0;
    do {
        map_rows(&own, FEW_ROWS);
        assert_true(++map < 3000);
    } while (devices[1].rows < FEW_ROWS / 3);
    close_pool(&own);
}

/* It is faster than it was, so its chunk ends before the others have done the rest: still too slow to be of use. */
TEST(a_device_that_was_left_out_is_tried_with_one_chunk)
{
    enum { MORE_ROWS = 5 * FEW_ROWS };
    simulated devices[] = {{.rate = fast}, {.rate = fast / 1000}};
    simulation own;
    open_pool(&own, devices, 2);
    map_rows(&own, MORE_ROWS);
    map_rows(&own, MORE_ROWS);
    assert_int_equal(devices[1].chunks, 0);
    devices[1].rate = fast / 500;
    int map = 0;
    do {
        map_rows(&own, MORE_ROWS);
        assert_true(++map < 3000);
    } while (devices[1].chunks == 0);
    assert_int_equal(devices[1].chunks, 1);
    assert_true(own.devices[1].rate > 1.5 * fast / 1000); /* as it was measured anew, in time */
    close_pool(&own);
}

/* The first chunk of all is the least there is; then four times as much as was done. By a rate of an earlier map a
 * device has an eighth of its share first. */
TEST(a_rate_is_trusted_no_further_than_it_was_measured)
{
    enum { SOME_ROWS = 800, SHARE = SOME_ROWS / 2 * ROW_BYTES };
    static const double slow = 80e6; /* so that no chunk is as large as would take too long */
    simulated devices[] = {{.rate = slow}, {.rate = slow}};
    simulation own;
    open_pool(&own, devices, 2);
    map_rows(&own, ROWS / 10);
    assert_in_range(devices[0].first[0], 1, RP_MIN_WORK);
    assert_in_range(devices[0].first[1], 3 * RP_MIN_WORK, 4 * RP_MIN_WORK);
    map_rows(&own, SOME_ROWS);
    assert_in_range(devices[0].first[0], SHARE / 10, SHARE / 8);
    assert_in_range(devices[0].first[1], SHARE / 10, SHARE / 8);
    assert_in_range(devices[0].first[2], SHARE / 7, SHARE / 4);
    close_pool(&own);
}

/* As long as one rate is not known, nobody can tell who is to have what. */
TEST(nobody_keeps_rows_before_all_rates_are_known)
{
    static const struct {
        double rates[2];
        size_t count;
        size_t least, most; /* of what the first may keep, in rows */
    } cases[] = {
        {{0, 0}, 2, 0, 0},
        {{fast, 0}, 2, 0, 0},
        {{0, fast}, 2, 0, 0},
        {{fast / 4, fast}, 2, ROWS / 10 - 1, ROWS / 10},
        {{fast, fast / 4}, 2, SIZE_MAX / ROW_BYTES, SIZE_MAX / ROW_BYTES},
        {{0}, 1, SIZE_MAX / ROW_BYTES, SIZE_MAX / ROW_BYTES},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        simulated devices[2] = {0};
        simulation own;
        rp_run run;
        rowpool_error error;
        uint32_t visits;
        const rp_operation map = map_of(ROWS, &visits);
        open_pool(&own, devices, cases[i].count);
        for (size_t k = 0; k < cases[i].count; k++)
            own.devices[k].rate = cases[i].rates[k];
        assert_ok(rp_run_init(&run, &own.pool, &map, NULL, NULL, &error), error);
        assert_in_range(rp_share_max_partition(&run, &run.participants[0]) / ROW_BYTES, cases[i].least, cases[i].most);
        rp_run_destroy(&run);
        close_pool(&own);
    }
}

/* A run in which nothing was done, for there was nothing to do or nobody waited for it. */
static void do_nothing(simulation *own, size_t rows, bool cancelled)
{
    uint32_t visits[1] = {0};
    rp_device before[2];
    memcpy(before, own->devices, sizeof before);
    clock_seconds += 1e-3;
    assert_int_equal(run_map(own, rows, visits, cancelled), cancelled ? ROWPOOL_ECANCELED : ROWPOOL_OK);
    assert_int_equal(visits[0], 0);
    for (size_t i = 0; i < COUNT_OF(before); i++) {
        assert_true(own->devices[i].rate == before[i].rate);
        assert_true(own->devices[i].left_out == before[i].left_out);
        assert_int_equal(own->devices[i].info.chunks, before[i].info.chunks);
    }
}

TEST(a_run_that_did_nothing_says_nothing_of_the_devices)
{
    simulated devices[] = {{.rate = fast}, {.rate = fast / 1000}};
    simulation own;
    open_pool(&own, devices, 2);
    do_nothing(&own, 0, false);
    do_nothing(&own, FEW_ROWS, true);
    for (int map = 0; map < 5; map++)
        map_rows(&own, FEW_ROWS);
    assert_true(own.devices[0].rate > 0 && own.devices[1].rate > 0);
    assert_true(own.devices[0].left_out == 0 && own.devices[1].left_out > 0);
    do_nothing(&own, 0, false);
    do_nothing(&own, FEW_ROWS, true);
    close_pool(&own);
}

static double map_times(simulation *own, size_t rows, int maps)
{
    double seconds = 0;
    for (int map = 0; map < maps; map++)
        seconds += map_rows(own, rows);
    return seconds;
}

TEST(a_device_that_brings_more_than_it_takes_takes_part)
{
    simulated devices[] = {{.rate = fast, .rival = &devices[1], .taken = 0.3}, {.rate = fast / 2}};
    simulation own;
    open_pool(&own, devices, 2);
    assert_true(map_times(&own, ROWS, 10) <= 1.05 * 10 * ROWS * ROW_BYTES / (1.2 * fast));
    close_pool(&own);
}

TEST(alone_a_device_gets_as_much_as_it_can_take)
{
    simulated devices[] = {{.rate = fast}};
    simulation own;
    open_pool(&own, devices, 1);
    assert_time(map_rows(&own, ROWS), ROWS, fast, 1.02);
    assert_int_equal(devices[0].chunks, ROWS / (CHUNK_BYTES / (ROW_BYTES + sizeof(uint32_t))) + 1);
    assert_true(devices[0].largest > CHUNK_BYTES - 2 * ROW_BYTES - CHUNK_BYTES / 1000);
    close_pool(&own);
}

/* ---- Memory that runs out --------------------------------------------------------------------------------------- */

static void no_part(const rowpool_block *block, const void *arguments, size_t columns, void *accumulators)
{
    (void)block, (void)arguments, (void)columns, (void)accumulators;
    fail_msg("a simulated device computes nothing");
}

static void add_part(void *into, const void *from, const void *arguments, size_t columns)
{
    (void)arguments, (void)columns;
    *(uint32_t *)into += *(const uint32_t *)from;
}

static void end_row(const void *accumulators, size_t width, const void *arguments, size_t columns, void *results)
{
    (void)arguments, (void)columns;
    *(uint32_t *)results += *(const uint32_t *)accumulators == width;
}

/* One row, which may be split. */
static rp_operation map_of_row(size_t width, uint32_t *visits)
{
    rp_operation map = map_of(1, visits);
    rp_rows *row = &map.inputs[0];
    row->width = row->stride = row->elements = width;
    map.code.compiled.accumulator_size = sizeof *visits;
    map.code.compiled.part = no_part;
    map.code.compiled.merge = add_part;
    map.code.compiled.end = end_row;
    return map;
}

/* With memory for one element the row comes out whole; with none for that either the map fails, and ends. */
static void halve_row(size_t width, size_t too_many, bool late)
{
    simulated devices[] = {{.rate = fast, .too_many = too_many, .late = late}};
    uint32_t visits = 0;
    simulation own;
    const rp_operation map = map_of_row(width, &visits);
    open_pool(&own, devices, 1);
    assert_int_equal(drive(&own, &map, NULL, false), too_many == 1 ? ROWPOOL_ENOMEM : ROWPOOL_OK);
    assert_int_equal(visits, too_many - 1);
    close_pool(&own);
}

TEST(where_memory_runs_out_a_row_is_halved_down_to_its_elements)
{
    for (size_t width = 1; width < 10; width++)
        for (size_t too_many = 1; too_many <= 2; too_many++) {
            halve_row(width, too_many, false);
            halve_row(width, too_many, true);
        }
}

/* ---- Rows that kill --------------------------------------------------------------------------------------------- */

/* In chunks of one row on one device, that has two in flight. */
TEST(a_map_whose_rows_kill_too_often_ends)
{
    static const struct {
        size_t killer, least, most; /* deaths */
    } cases[] = {
        {FEW_ROWS, 2, 2}, /* a single row: once more may be chance */
        {2, 1024, 1025},  /* rows are done in between */
        {1, 40, 41},      /* none is ever done */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        simulated devices[] = {{.rate = fast, .killer = cases[i].killer}};
        uint32_t *visits = calloc(FEW_ROWS, sizeof *visits);
        simulation own;
        assert_non_null(visits);
        rp_operation map = map_of(FEW_ROWS, visits);
        map.chunk_rows = 1;
        open_pool(&own, devices, 1);
        assert_int_equal(drive(&own, &map, NULL, false), ROWPOOL_EWORKER);
        assert_in_range(devices[0].deaths, cases[i].least, cases[i].most);
        for (size_t row = 0; row < FEW_ROWS; row++)
            assert_true(visits[row] <= (row % cases[i].killer != 0));
        close_pool(&own);
        free(visits);
    }
}

/* ---- Streams ---------------------------------------------------------------------------------------------------- */

/* payload: the row that is next. */
static int take_in_order(size_t row, size_t rows, const void *results, void *payload)
{
    size_t *next = payload;
    (void)results;
    assert_int_equal(row, *next);
    *next += rows;
    return 0;
}

/* The first rows take a second; the other device would have done all the rest meanwhile. */
TEST(only_so_many_chunks_wait_for_the_rows_before_them)
{
    simulated devices[] = {{.rate = fast, .build = 1}, {.rate = fast}};
    size_t next = 0;
    const rp_stream stream = {.each = take_in_order, .order = ROWPOOL_IN_ORDER, .payload = &next};
    simulation own;
    rp_operation map = map_of(FEW_ROWS, NULL);
    map.chunk_rows = 1;
    open_pool(&own, devices, 2);
    assert_int_equal(drive(&own, &map, &stream, false), ROWPOOL_OK);
    assert_int_equal(next, FEW_ROWS);
    /* A chunk is begun while fewer wait than there are places; those in flight by then, but for the first, follow. */
    assert_in_range(own.most_waiting, own.places, 2 * own.places - 2);
    close_pool(&own);
}

/* ---- Streams that are ended --------------------------------------------------------------------------------------- */

typedef struct {
    simulation *own;
    size_t end_at, delivered; /* rows */
} ended_stream;

static int cancel_at(size_t row, size_t rows, const void *results, void *payload)
{
    ended_stream *stream = payload;
    (void)row, (void)results;
    stream->delivered += rows;
    if (stream->delivered == stream->end_at)
        atomic_store(&stream->own->pool.runs->cancellation.cancelled, true);
    return 0;
}

static int delay(size_t row, size_t rows, const void *results, void *payload)
{
    ended_stream *stream = payload;
    (void)row, (void)results;
    stream->delivered += rows;
    if (stream->delivered == stream->end_at)
        clock_seconds += 1;
    return 0;
}

/* Chunks of one row; while one is in the callback others are in flight, wait, or are all answered. */
TEST(an_ended_stream_is_right_only_where_every_row_was_delivered)
{
    enum { STREAMED = 12, DEADLINE_MS = 100 };
    for (int order = ROWPOOL_IN_ORDER; order <= ROWPOOL_ANY_ORDER; order++)
        for (int timed = 0; timed < 2; timed++)
            for (size_t end_at = 1; end_at <= STREAMED; end_at++) {
                simulated devices[] = {{.rate = fast / 100}, {.rate = fast}};
                simulation own;
                ended_stream ended = {.own = &own, .end_at = end_at};
                const rp_stream stream = {timed ? delay : cancel_at, (rowpool_order)order, &ended};
                rp_operation map = map_of(STREAMED, NULL);
                map.chunk_rows = 1;
                map.timeout_ms = timed ? DEADLINE_MS : 0;
                open_pool(&own, devices, 2);
                rowpool_status status = drive(&own, &map, &stream, false);
                assert_int_equal(status == ROWPOOL_OK, ended.delivered == STREAMED);
                if (status != ROWPOOL_OK)
                    assert_int_equal(status, timed ? ROWPOOL_ETIMEDOUT : ROWPOOL_ECANCELED);
                close_pool(&own);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_says_why_a_device_had_no_part), /* first: the setting is read once in a process */
        cmocka_unit_test(devices_end_together_whatever_their_rates),
        cmocka_unit_test(a_device_that_works_on_several_chunks_at_a_time_is_one_among_others),
        cmocka_unit_test(a_device_that_would_only_slow_a_small_map_down_gets_nothing),
        cmocka_unit_test(a_change_of_rate_is_followed),
        cmocka_unit_test(a_device_that_had_to_compile_has_its_part_of_the_next_map),
        cmocka_unit_test(a_standstill_says_nothing_of_the_others),
        cmocka_unit_test(a_device_that_was_left_out_is_tried_again),
        cmocka_unit_test(a_device_that_was_left_out_is_tried_with_one_chunk),
        cmocka_unit_test(a_rate_is_trusted_no_further_than_it_was_measured),
        cmocka_unit_test(nobody_keeps_rows_before_all_rates_are_known),
        cmocka_unit_test(a_run_that_did_nothing_says_nothing_of_the_devices),
        cmocka_unit_test(a_device_that_brings_more_than_it_takes_takes_part),
        cmocka_unit_test(alone_a_device_gets_as_much_as_it_can_take),
        cmocka_unit_test(where_memory_runs_out_a_row_is_halved_down_to_its_elements),
        cmocka_unit_test(a_map_whose_rows_kill_too_often_ends),
        cmocka_unit_test(only_so_many_chunks_wait_for_the_rows_before_them),
        cmocka_unit_test(an_ended_stream_is_right_only_where_every_row_was_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
