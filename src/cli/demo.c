/* rowpool demo: the range count on random numbers, by a serial loop, a pool, an asynchronous job and processes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "command.h"
#include "devices.h"
#include "environment.h"
#include "message.h"
#include "options.h"
#include "output_json.h"

static const char demo_help[] =
    "Counts how many elements of each row lie in 4..8, over random integers 0..9: on the OpenCL devices, or the "
    "default\n"
    "devices where there are none, synchronously and as an asynchronous job, then on worker processes. Every count is\n"
    "checked against a serial loop. The first call on a device may include compiling a kernel.\n"
    "\n"
    "  --rows N        rows (default 200000)\n"
    "  --width N       elements of each row (default 5)\n"
    "  --seed N        seed of the SplitMix64 generator (default 100)\n" DEVICE_HELP
    "  --json          print one JSON object\n"
    "  --help          show this text\n";

enum { LO = 4, HI = 8, VALUES = 10, ROUNDS = 8, FIRST_COUNTS = 10, PROCESSES = 2 };

typedef struct {
    size_t rows, width, seed;
    const char *device;       /* NULL: ROWPOOL_DEVICE, or OpenCL */
    json_t *runs, *processes; /* for --json; otherwise each is printed at once */
    int32_t *data;
    uint32_t *counts, *expected; /* counts: of the last round; expected: of the serial loop */
    double serial_median;
    bool json, wrong, opencl; /* wrong: some counts are wrong; opencl: an OpenCL device took part */
} demonstration;

/* SplitMix64; the upper 32 bits are scaled to 0..9. */
static int32_t next_value(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31;
    return (int32_t)((mixed >> 32) * VALUES >> 32);
}

/* Each array has one element more than it needs, so that none is empty. */
static rowpool_status make_data(demonstration *demo, rowpool_error *error)
{
    size_t elements;
    if (__builtin_mul_overflow(demo->rows, demo->width, &elements) || (elements | demo->rows) > SIZE_MAX / 8)
        return rp_fail(error, ROWPOOL_ENOMEM, "no memory for %zu rows of %zu", demo->rows, demo->width);
    demo->data = rowpool_alloc((elements + 1) * sizeof *demo->data, error);
    demo->counts = demo->data != NULL ? rowpool_alloc((demo->rows + 1) * sizeof *demo->counts, error) : NULL;
    demo->expected = demo->counts != NULL ? rowpool_alloc((demo->rows + 1) * sizeof *demo->expected, error) : NULL;
    uint64_t state = demo->seed;
    for (size_t i = 0; i < elements && demo->expected != NULL; i++)
        demo->data[i] = next_value(&state);
    return demo->expected != NULL ? ROWPOOL_OK : error->status;
}

/* ---- Runs ------------------------------------------------------------------------------------------------------- */

static void count_serially(const demonstration *demo)
{
    const int32_t *data = demo->data;
    for (size_t row = 0; row < demo->rows; row++, data += demo->width) {
        demo->expected[row] = 0;
        for (size_t i = 0; i < demo->width; i++)
            demo->expected[row] += data[i] >= LO && data[i] <= HI;
    }
}

static rowpool_status count_on(const demonstration *demo, rowpool *pool, bool async, rowpool_error *error)
{
    const rowpool_rows rows = {.data = demo->data, .dtype = ROWPOOL_INT32, .count = demo->rows, .width = demo->width};
    const rowpool_range range = rowpool_range_i64(LO, HI);
    rowpool_job *job;
    if (!async)
        return rowpool_range_count(pool, &rows, &range, 1, demo->counts, error);
    rowpool_status status = rowpool_range_count_async(pool, &rows, &range, 1, demo->counts, NULL, NULL, &job, error);
    if (status == ROWPOOL_OK) {
        status = rowpool_job_wait(job, -1, error);
        rowpool_job_release(job);
    }
    return status;
}

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_run(demonstration *demo, const char *how, double seconds[ROUNDS], const char *devices)
{
    qsort(seconds + 1, ROUNDS - 1, sizeof *seconds, compare_seconds);
    const double first = seconds[0], median = seconds[ROUNDS / 2];
    const double rate = (double)demo->rows * (double)demo->width * sizeof *demo->data / median;
    if (demo->serial_median == 0) /* the first run */
        demo->serial_median = median;
    if (!demo->json)
        (void)printf("%-14s %9.3f ms %9.3f ms %8.2f %7.2fx  %s\n", how, first * 1e3, median * 1e3, rate / 1e9,
                     demo->serial_median / median, devices);
    (void)json_array_append_new(demo->runs,
                                json_pack("{s:s, s:f, s:f, s:f, s:f, s:o}", "how", how, "first_seconds", first,
                                          "median_seconds", median, "bytes_per_second", rate, "speed",
                                          demo->serial_median / median, "device", text_as_json(devices)));
}

static rowpool_status name_devices(demonstration *demo, rowpool *pool, char *text, size_t size, rowpool_error *error)
{
    device_list list;
    text[0] = '\0';
    RP_TRY(list_pool_devices(&list, pool, error));
    for (size_t i = 0, used = 0; i < list.count && used < size; i++) {
        const rowpool_device *device = &list.items[i];
        if (device->chunks == 0)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s %s (%s)", used > 0 ? " + " : "", device->index,
                                 device_label(device), backend_word(device->type));
        demo->opencl |= device->type != ROWPOOL_DEVICE_FORK && device->type != ROWPOOL_DEVICE_HOST;
    }
    free_devices(&list);
    return ROWPOOL_OK;
}

/* Counts in several rounds. pool NULL: by the serial loop. */
static rowpool_status run_rounds(demonstration *demo, const char *how, rowpool *pool, bool async, rowpool_error *error)
{
    const size_t bytes = demo->rows * sizeof *demo->counts;
    char devices[512] = "one thread";
    double seconds[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        memset(demo->counts, 0xff, bytes); /* so that old counts cannot pass for new ones */
        const double begin = seconds_now();
        if (pool == NULL)
            count_serially(demo);
        else
            RP_TRY(count_on(demo, pool, async, error));
        seconds[i] = seconds_now() - begin;
        demo->wrong |= pool != NULL && memcmp(demo->counts, demo->expected, bytes) != 0;
    }
    if (pool != NULL)
        RP_TRY(name_devices(demo, pool, devices, sizeof devices, error));
    report_run(demo, how, seconds, devices);
    return ROWPOOL_OK;
}

/* device NULL: OpenCL if possible. It is named, since by default the calling thread does maps until a kernel is built. */
static rowpool_status run_pool(demonstration *demo, const char *how, const char *device, bool async,
                               rowpool_error *error)
{
    const bool choose = device == NULL && variable_value("ROWPOOL_DEVICE") == NULL;
    rowpool_options options = pool_options(choose ? "isolated" : device);
    rowpool *pool;
    rowpool_status status = rowpool_open(&pool, &options, error);
    if (status != ROWPOOL_OK && choose) {
        options.device = NULL;
        status = rowpool_open(&pool, &options, error);
    }
    if (status == ROWPOOL_OK)
        status = run_rounds(demo, how, pool, async, error);
    rowpool_close(pool);
    return status;
}

static int do_nothing(__attribute__((unused)) void *argument, __attribute__((unused)) int pipe)
{
    return 0;
}

/* A process object: started and joined. */
static rowpool_status run_process(demonstration *demo, rowpool_error *error)
{
    rowpool_process *process;
    rowpool_status status = rowpool_process_start(&process, do_nothing, NULL, NULL, error);
    const long id = rowpool_process_id(process);
    if (status == ROWPOOL_OK)
        status = rowpool_process_join(process, -1, error);
    rowpool_process_close(process);
    (void)json_array_append_new(demo->processes, json_integer(id));
    if (status == ROWPOOL_OK && !demo->json)
        (void)printf("process %ld: started and joined\n", id);
    return status;
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static void print_head(const demonstration *demo)
{
    (void)printf("%zu rows of %zu int32 from 0 to %d: SplitMix64, seed %zu, upper 32 bits scaled\n"
                 "counting %d <= x <= %d in each row, on %zu CPUs, with rowpool %s\n\n"
                 "%-14s %12s %12s %8s %8s  %s\n",
                 demo->rows, demo->width, VALUES - 1, demo->seed, LO, HI, rowpool_cpu_count(), rowpool_version(), "how",
                 "first call", "median of 7", "GB/s", "speed", "device");
}

static rowpool_status print_end(const demonstration *demo, rowpool_error *error)
{
    json_t *first = json_array();
    for (size_t i = 0; i < FIRST_COUNTS && i < demo->rows; i++)
        (void)json_array_append_new(first, json_integer(demo->counts[i]));
    if (demo->json)
        return print_json(json_pack("{s:I, s:I, s:I, s:I, s:O, s:o, s:b, s:b, s:O}", "rows", (json_int_t)demo->rows,
                                    "width", (json_int_t)demo->width, "seed", (json_int_t)demo->seed, "cpus",
                                    (json_int_t)rowpool_cpu_count(), "runs", demo->runs, "first_counts", first,
                                    "all_right", !demo->wrong, "opencl", demo->opencl, "processes", demo->processes),
                          error);
    char *counts = json_dumps(first, 0);
    (void)printf("counts of the first rows: %s\n%s\n", counts != NULL ? counts : "",
                 demo->wrong ? "WRONG: some counts differ from the serial loop's"
                             : "all counts equal the serial loop's");
    if (!demo->opencl)
        (void)printf("no OpenCL device is in use; rowpool doctor tells why\n");
    free(counts);
    json_decref(first);
    return ROWPOOL_OK;
}

static rowpool_status run_all(demonstration *demo, rowpool_error *error)
{
    RP_TRY(make_data(demo, error));
    if (!demo->json)
        print_head(demo);
    RP_TRY(run_rounds(demo, "serial loop", NULL, false, error));
    RP_TRY(run_pool(demo, "synchronous", demo->device, false, error));
    RP_TRY(run_pool(demo, "asynchronous", demo->device, true, error));
    RP_TRY(run_pool(demo, "processes", "fork", false, error));
    for (size_t i = 0; i < PROCESSES; i++)
        RP_TRY(run_process(demo, error));
    return print_end(demo, error);
}

static bool read_demo_option(void *into, int option, const char *value)
{
    demonstration *demo = into;
    switch (option) {
    case 'd':
        return read_device_option(&demo->device, "demo", value);
    case 'j':
        return demo->json = true;
    case 'r':
        return read_size_option(&demo->rows, "demo", "--rows", value);
    case 'w':
        return read_size_option(&demo->width, "demo", "--width", value);
    default:
        return read_size_option(&demo->seed, "demo", "--seed", value);
    }
}

int run_demo(int argc, char **argv)
{
    static const struct option known[] = {{"rows", required_argument, NULL, 'r'},
                                          {"width", required_argument, NULL, 'w'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static const char usage[] = "demo [--rows N] [--width N] [--seed N] [--device LIST] [--json]";
    static const command_line line = {"demo", {usage}, demo_help, known, read_demo_option};
    demonstration demo = {.rows = 200000, .width = 5, .seed = 100};
    rowpool_error error;
    int understood = read_options(&line, &demo, NULL, argc, argv);
    if (understood != GO_ON)
        return understood;
    if (demo.width > UINT32_MAX)
        return usage_error("demo", "--width is at most %" PRIu32, UINT32_MAX);
    demo.runs = json_array();
    demo.processes = json_array();
    rowpool_status status = run_all(&demo, &error);
    if (status != ROWPOOL_OK || demo.wrong)
        say(NULL, "%s", status != ROWPOOL_OK ? error.message : "counts are wrong");
    json_decref(demo.runs);
    json_decref(demo.processes);
    rowpool_free(demo.data);
    rowpool_free(demo.counts);
    rowpool_free(demo.expected);
    return status == ROWPOOL_OK && !demo.wrong ? EXIT_DONE : EXIT_FAILED;
}
