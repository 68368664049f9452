#include "demo.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "devices.h"
#include "message.h"
#include "options.h"
#include "output_json.h"

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static const char HELP[] =
    "Counts how many elements of each row lie in 4..8, over random integers 0..9: on the default devices, waited for "
    "and\n"
    "as an asynchronous job, on the OpenCL devices alone, then on worker processes. Every count is checked against a\n"
    "serial loop.\n"
    "\n"
    "  --rows N        rows (default 200000)\n"
    "  --width N       elements of each row (default 5)\n"
    "  --seed N        seed of the SplitMix64 generator (default 100)\n" DEVICE_HELP
    "  --json          print one JSON object\n"
    "  --help          show this text\n";

typedef struct {
    size_t rows, width, seed;
    const char *device; /* NULL: as the environment says */
    bool json;
} demo_options;

enum { LO = 4, HI = 8, VALUES = 10, MEDIAN_OF = 7, SHOWN = 10, MAX_RUNS = 5, PROCESSES = 2, DEVICES = 512 };

static bool read_option(void *into, int option, const char *value)
{
    demo_options *options = into;
    switch (option) {
    case 'd':
        return read_device_option(&options->device, "demo", value);
    case 'r':
        return read_size_option(&options->rows, "demo", "--rows", value);
    case 'j':
        return options->json = true;
    case 'w':
        return read_size_option(&options->width, "demo", "--width", value);
    default:
        return read_size_option(&options->seed, "demo", "--seed", value);
    }
}

static int read_demo_options(demo_options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"rows", required_argument, NULL, 'r'},
        {"width", required_argument, NULL, 'w'},
        {"seed", required_argument, NULL, 's'},
        {"device", required_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const command_line demo = {
        "demo", {"demo [--rows N] [--width N] [--seed N] [--device LIST] [--json]"}, HELP, known, read_option};
    *options = (demo_options){.rows = 200000, .width = 5, .seed = 100};
    int understood = read_options(&demo, options, NULL, argc, argv);
    if (understood == GO_ON && options->width > UINT32_MAX)
        return usage_error("demo", "--width is at most %" PRIu32, UINT32_MAX);
    return understood;
}

/* ---- The numbers and the serial loop ---------------------------------------------------------------------------- */

/* One line of the table: the same count, done in one way. */
typedef struct {
    const char *how;
    double first, median; /* seconds of the first call, and of later ones */
    char device[DEVICES]; /* what worked */
} demo_run;

typedef struct {
    rowpool_rows rows;
    int32_t *data;
    uint32_t *counts, *expected; /* of the last call, of the serial loop */
    demo_run runs[MAX_RUNS];
    size_t n_runs;
    bool wrong;       /* a count was */
    char opencl[256]; /* the default devices that are OpenCL's, as --device takes them */
    struct {
        long id;
        int exit_code;
    } processes[PROCESSES];
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

/* In memory that every worker reaches; a byte more, for NULL means "out of memory". */
static rowpool_status prepare(demonstration *demo, const demo_options *options, rowpool_error *error)
{
    size_t elements, bytes;
    if (__builtin_mul_overflow(options->rows, options->width, &elements) ||
        __builtin_mul_overflow(elements, sizeof *demo->data, &bytes) || options->rows > SIZE_MAX / 8)
        return rp_fail(error, ROWPOOL_ENOMEM, "no memory for %zu rows of %zu", options->rows, options->width);
    demo->data = rowpool_alloc(bytes + 1, error);
    demo->counts = demo->data != NULL ? rowpool_alloc(options->rows * sizeof *demo->counts + 1, error) : NULL;
    if (demo->counts == NULL)
        return error->status;
    demo->expected = calloc(options->rows + 1, sizeof *demo->expected);
    if (demo->expected == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    uint64_t state = options->seed;
    for (size_t i = 0; i < elements; i++)
        demo->data[i] = next_value(&state);
    demo->rows = (rowpool_rows){
        .data = demo->data, .dtype = ROWPOOL_INT32, .count = options->rows, .width = options->width};
    return ROWPOOL_OK;
}

static void count_serially(const demonstration *demo)
{
    const int32_t *data = demo->data;
    for (size_t row = 0; row < demo->rows.count; row++, data += demo->rows.width) {
        uint32_t count = 0;
        for (size_t i = 0; i < demo->rows.width; i++)
            count += data[i] >= LO && data[i] <= HI;
        demo->expected[row] = count;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* seconds: of the first call, then of those whose median counts. */
static demo_run *add_run(demonstration *demo, const char *how, double seconds[1 + MEDIAN_OF])
{
    qsort(seconds + 1, MEDIAN_OF, sizeof *seconds, by_value);
    demo_run *run = &demo->runs[demo->n_runs++];
    *run = (demo_run){.how = how, .first = seconds[0], .median = seconds[1 + MEDIAN_OF / 2]};
    return run;
}

static void run_serially(demonstration *demo)
{
    double seconds[1 + MEDIAN_OF];
    for (size_t i = 0; i < 1 + MEDIAN_OF; i++) {
        const double begin = seconds_now();
        count_serially(demo);
        seconds[i] = seconds_now() - begin;
    }
    (void)strcpy(add_run(demo, "serial loop", seconds)->device, "one thread of this program");
}

/* ---- The workers ------------------------------------------------------------------------------------------------ */

/* Names the devices that did something in between; a pool lists the same ones in the same order. */
static void name_workers(char text[DEVICES], const device_list *before, const device_list *after)
{
    size_t used = 0;
    for (size_t i = 0; i < after->count && used < DEVICES; i++) {
        const rowpool_device *device = &after->items[i];
        if (device->chunks > before->items[i].chunks)
            used += (size_t)snprintf(text + used, DEVICES - used, "%s%s %s (%s)", used > 0 ? " + " : "", device->index,
                                     device_label(device), backend_word(device->type));
    }
}

/* Counts of an earlier call cannot pass for those of this one. */
static rowpool_status map_once(demonstration *demo, rowpool *pool, bool async, double *seconds, rowpool_error *error)
{
    const rowpool_range range = rowpool_range_i64(LO, HI);
    const size_t bytes = demo->rows.count * sizeof *demo->counts;
    const rowpool_call call = {.size = sizeof call,
                               .function = rowpool_builtin("count"),
                               .inputs = &demo->rows,
                               .ranges = &range,
                               .n_ranges = 1,
                               .results = demo->counts,
                               .results_size = bytes};
    memset(demo->counts, 0xff, bytes);
    const double begin = seconds_now();
    const rowpool_status status = run_call(pool, &call, async, error);
    *seconds = seconds_now() - begin;
    demo->wrong |= status == ROWPOOL_OK && memcmp(demo->counts, demo->expected, bytes) != 0;
    return status;
}

static rowpool_status run_on(demonstration *demo, rowpool *pool, const char *how, bool async, rowpool_error *error)
{
    device_list before = {0}, after = {0};
    double seconds[1 + MEDIAN_OF];
    rowpool_status status = list_devices(&before, pool, error);
    for (size_t i = 0; i < 1 + MEDIAN_OF && status == ROWPOOL_OK; i++)
        status = map_once(demo, pool, async, &seconds[i], error);
    if (status == ROWPOOL_OK)
        status = list_devices(&after, pool, error);
    if (status == ROWPOOL_OK)
        name_workers(add_run(demo, how, seconds)->device, &before, &after);
    free_devices(&before);
    free_devices(&after);
    return status;
}

static rowpool_status find_opencl(demonstration *demo, rowpool *pool, rowpool_error *error)
{
    device_list list;
    size_t used = 0;
    const rowpool_status status = list_devices(&list, pool, error);
    for (size_t i = 0; status == ROWPOOL_OK && i < list.count && used < sizeof demo->opencl; i++) {
        const rowpool_device *device = &list.items[i];
        if (device->in_use && (device->type < ROWPOOL_DEVICE_FORK || device->type == ROWPOOL_DEVICE_ISOLATED))
            used += (size_t)snprintf(demo->opencl + used, sizeof demo->opencl - used, "%s%s", used > 0 ? "," : "",
                                     device->index);
    }
    free_devices(&list);
    return status;
}

/* how NULL: the default devices, waited for and as a job. */
static rowpool_status run_pool(demonstration *demo, const char *device, const char *how, rowpool_error *error)
{
    const rowpool_options options = pool_options(device);
    rowpool *pool;
    rowpool_status status = rowpool_open(&pool, &options, error);
    if (status == ROWPOOL_OK && how == NULL)
        status = find_opencl(demo, pool, error);
    if (status == ROWPOOL_OK)
        status = run_on(demo, pool, how != NULL ? how : "synchronous", false, error);
    if (status == ROWPOOL_OK && how == NULL)
        status = run_on(demo, pool, "asynchronous", true, error);
    rowpool_close(pool);
    return status;
}

/* ---- Processes -------------------------------------------------------------------------------------------------- */

static int say_id(void *argument, int pipe)
{
    const long id = getpid();
    (void)argument;
    return write(pipe, &id, sizeof id) == sizeof id ? 0 : 1;
}

/* Two process objects, started and joined in turn. */
static rowpool_status run_processes(demonstration *demo, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    for (size_t i = 0; i < PROCESSES && status == ROWPOOL_OK; i++) {
        long *id = &demo->processes[i].id;
        rowpool_process *process;
        rowpool_process_state state = {0};
        status = rowpool_process_start(&process, say_id, NULL, NULL, error);
        if (status != ROWPOOL_OK)
            break;
        status = rowpool_process_join(process, -1, error);
        if (status == ROWPOOL_OK && read(rowpool_process_pipe(process), id, sizeof *id) != sizeof *id)
            status = rp_fail(error, ROWPOOL_ESYSTEM, "process %zu said nothing", i);
        if (status == ROWPOOL_OK)
            status = rowpool_process_status(process, &state, error);
        demo->processes[i].exit_code = state.exit_code;
        rowpool_process_close(process);
    }
    return status;
}

/* ---- What is shown ---------------------------------------------------------------------------------------------- */

static double gigabytes(const demonstration *demo)
{
    return (double)demo->rows.count * (double)demo->rows.width * sizeof *demo->data / 1e9;
}

static void print_demo(const demonstration *demo, const demo_options *options)
{
    (void)printf("%zu rows of %zu int32 from 0 to %d: SplitMix64, seed %zu, upper 32 bits scaled\n"
                 "counting %d <= x <= %d in each row, on rowpool %s\n\n",
                 options->rows, options->width, VALUES - 1, options->seed, LO, HI, rowpool_version());
    (void)printf("%-14s %12s %12s %8s %8s  %s\n", "how", "first call", "median of 7", "GB/s", "speed", "device");
    for (size_t i = 0; i < demo->n_runs; i++) {
        const demo_run *run = &demo->runs[i];
        (void)printf("%-14s %9.3f ms %9.3f ms %8.2f %7.2fx  %s\n", run->how, run->first * 1e3, run->median * 1e3,
                     gigabytes(demo) / run->median, demo->runs[0].median / run->median, run->device);
    }
    (void)printf("\ncounts of the first rows: [");
    for (size_t i = 0; i < SHOWN && i < demo->rows.count; i++)
        (void)printf("%s%" PRIu32, i > 0 ? ", " : "", demo->counts[i]);
    (void)printf("%s]\n%s\n", demo->rows.count > SHOWN ? ", ..." : "",
                 demo->wrong ? "WRONG: some counts differ from the serial loop's"
                             : "all counts equal the serial loop's");
    if (demo->opencl[0] == '\0')
        (void)printf("no OpenCL device is in use, see rowpool devices; the device column shows what stood in\n");
    (void)printf("\n");
    for (size_t i = 0; i < PROCESSES; i++)
        (void)printf("process %zu, id %ld  joined, exit status %d\n", i, demo->processes[i].id,
                     demo->processes[i].exit_code);
}

static rowpool_status print_demo_as_json(const demonstration *demo, const demo_options *options, rowpool_error *error)
{
    json_t *runs = json_array(), *first = json_array(), *processes = json_array();
    for (size_t i = 0; i < demo->n_runs; i++) {
        const demo_run *run = &demo->runs[i];
        (void)json_array_append_new(
            runs, json_pack("{s:s, s:f, s:f, s:f, s:f, s:o}", "how", run->how, "first_seconds", run->first,
                            "median_seconds", run->median, "bytes_per_second", gigabytes(demo) * 1e9 / run->median,
                            "speed", demo->runs[0].median / run->median, "device", text_as_json(run->device)));
    }
    for (size_t i = 0; i < SHOWN && i < demo->rows.count; i++)
        (void)json_array_append_new(first, json_integer(demo->counts[i]));
    for (size_t i = 0; i < PROCESSES; i++)
        (void)json_array_append_new(processes, json_pack("{s:I, s:i}", "id", (json_int_t)demo->processes[i].id,
                                                         "exit_status", demo->processes[i].exit_code));
    return print_json(json_pack("{s:I, s:I, s:I, s:o, s:o, s:b, s:b, s:o}", "rows", (json_int_t)options->rows, "width",
                                (json_int_t)options->width, "seed", (json_int_t)options->seed, "runs", runs,
                                "first_counts", first, "all_right", !demo->wrong, "opencl", demo->opencl[0] != '\0',
                                "processes", processes),
                      error);
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static rowpool_status run_all(demonstration *demo, const demo_options *options, rowpool_error *error)
{
    rowpool_status status = prepare(demo, options, error);
    if (status != ROWPOOL_OK)
        return status;
    run_serially(demo);
    status = run_pool(demo, options->device, NULL, error);
    if (status == ROWPOOL_OK && options->device == NULL && demo->opencl[0] != '\0')
        status = run_pool(demo, demo->opencl, "OpenCL", error); /* the default devices may still be building */
    if (status == ROWPOOL_OK)
        status = run_pool(demo, "fork", "processes", error);
    if (status == ROWPOOL_OK)
        status = run_processes(demo, error);
    if (status == ROWPOOL_OK && options->json)
        return print_demo_as_json(demo, options, error);
    if (status == ROWPOOL_OK)
        print_demo(demo, options);
    return status;
}

int run_demo(int argc, char **argv)
{
    demo_options options;
    demonstration demo = {0};
    rowpool_error error;
    int understood = read_demo_options(&options, argc, argv);
    if (understood != GO_ON)
        return understood;
    const rowpool_status status = run_all(&demo, &options, &error);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    else if (demo.wrong)
        say(NULL, "counts are wrong");
    rowpool_free(demo.data);
    rowpool_free(demo.counts);
    free(demo.expected);
    return status == ROWPOOL_OK && !demo.wrong ? EXIT_DONE : EXIT_FAILED;
}
