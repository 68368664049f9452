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

enum { LO = 4, HI = 8, VALUES = 10, RUNS = 7, SHOWN = 10 };

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

typedef struct {
    rowpool_rows rows;
    int32_t *data;
    row_results counts;    /* of the worker at work */
    uint32_t *expected;    /* of the serial loop */
    double serial_seconds; /* the serial loop's median */
    bool wrong;            /* a count was */
    char opencl[256];      /* those of the default devices that are OpenCL devices, as --device takes them */
    json_t *facts;         /* NULL: it is shown as text */
} demonstration;

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
    return mixed ^ mixed >> 31;
}

/* The upper 32 bits, scaled to 0..9. */
static int32_t next_value(uint64_t *state)
{
    return (int32_t)((next_random(state) >> 32) * VALUES >> 32);
}

static void count_serially(uint32_t *counts, const int32_t *data, size_t rows, size_t width)
{
    for (size_t row = 0; row < rows; row++, data += width) {
        uint32_t count = 0;
        for (size_t i = 0; i < width; i++)
            count += data[i] >= LO && data[i] <= HI;
        counts[row] = count;
    }
}

static rowpool_status prepare(demonstration *demo, const demo_options *options, rowpool_error *error)
{
    size_t bytes;
    if (__builtin_mul_overflow(options->rows, options->width, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof *demo->data, &bytes))
        return fail(error, ROWPOOL_ENOMEM, "no memory for %zu rows of %zu", options->rows, options->width);
    /* A byte where there is no element keeps NULL for "out of memory". */
    demo->data = rowpool_alloc(bytes > 0 ? bytes : 1, error);
    if (demo->data == NULL)
        return error->status;
    uint64_t state = options->seed;
    for (size_t i = 0; i < bytes / sizeof *demo->data; i++)
        demo->data[i] = next_value(&state);
    demo->rows = (rowpool_rows){
        .data = demo->data, .dtype = ROWPOOL_INT32, .count = options->rows, .width = options->width};
    rowpool_status status = allocate_results(&demo->counts, options->rows, 1, ROWPOOL_UINT32, error);
    if (status != ROWPOOL_OK)
        return status;
    demo->expected = calloc(options->rows > 0 ? options->rows : 1, sizeof *demo->expected);
    return demo->expected != NULL ? ROWPOOL_OK : fail(error, ROWPOOL_ENOMEM, "out of memory");
}

static void release(demonstration *demo)
{
    rowpool_free(demo->data);
    free_results(&demo->counts);
    free(demo->expected);
    json_decref(demo->facts);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double seconds[RUNS])
{
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    return seconds[RUNS / 2];
}

/* ---- What is shown: a table, or the same as JSON -------------------------------------------------------------------------------------------------- */

static double gigabytes(const demonstration *demo)
{
    return (double)demo->rows.count * (double)demo->rows.width * sizeof *demo->data / 1e9;
}

static void print_heading(const demo_options *options)
{
    (void)printf("%zu rows of %zu int32 from 0 to %d: SplitMix64, seed %zu, upper 32 bits scaled\n"
                 "counting %d <= x <= %d in each row, on rowpool %s\n\n",
                 options->rows, options->width, VALUES - 1, options->seed, LO, HI, rowpool_version());
    (void)printf("%-14s %12s %12s %8s %8s  %-9s  %s\n", "how", "first call", "median of 7", "GB/s", "speed", "counts",
                 "device");
}

static void begin_facts(demonstration *demo, const demo_options *options)
{
    demo->facts = json_object();
    (void)json_object_set_new(demo->facts, "rows", json_integer((json_int_t)options->rows));
    (void)json_object_set_new(demo->facts, "width", json_integer((json_int_t)options->width));
    (void)json_object_set_new(demo->facts, "seed", json_integer((json_int_t)options->seed));
    (void)json_object_set_new(demo->facts, "runs", json_array());
}

/* speed: how many times the serial loop's. */
static void show_line(const demonstration *demo, const char *how, double first, double typical, bool right,
                      const char *device)
{
    const double rate = gigabytes(demo) / typical;
    const double speed = demo->serial_seconds / typical;
    if (demo->facts == NULL) {
        (void)printf("%-14s %9.3f ms %9.3f ms %8.2f %7.2fx  %-9s  %s\n", how, first * 1e3, typical * 1e3, rate, speed,
                     right ? "all right" : "WRONG", device);
        return;
    }
    json_t *run = json_object();
    (void)json_object_set_new(run, "how", json_string(how));
    (void)json_object_set_new(run, "first_seconds", json_real(first));
    (void)json_object_set_new(run, "median_seconds", json_real(typical));
    (void)json_object_set_new(run, "bytes_per_second", json_real(rate * 1e9));
    (void)json_object_set_new(run, "speed", json_real(speed));
    (void)json_object_set_new(run, "right", json_boolean(right));
    (void)json_object_set_new(run, "device", text_as_json(device));
    (void)json_array_append_new(json_object_get(demo->facts, "runs"), run);
}

static const char *verdict(const demonstration *demo)
{
    return demo->wrong ? "some counts differ from the serial loop's" : "all counts equal the serial loop's";
}

/* The first counts as a list, and whether all were right. */
static void print_first(const demonstration *demo)
{
    const row_results *counts = &demo->counts;
    const uint32_t *values = counts->values;
    (void)printf("\ncounts of the first rows: [");
    for (size_t i = 0; i < SHOWN && i < counts->rows; i++)
        (void)printf("%s%" PRIu32, i > 0 ? ", " : "", values[i]);
    (void)printf("%s]\n%s\n", counts->rows > SHOWN ? ", ..." : "", verdict(demo));
    if (demo->opencl[0] == '\0')
        (void)printf("no OpenCL device is in use, see rowpool devices; the device column shows what stood in\n");
}

static void add_first(demonstration *demo)
{
    const uint32_t *values = demo->counts.values;
    json_t *first = json_array();
    for (size_t i = 0; i < SHOWN && i < demo->counts.rows; i++)
        (void)json_array_append_new(first, json_integer(values[i]));
    (void)json_object_set_new(demo->facts, "first_counts", first);
    (void)json_object_set_new(demo->facts, "all_right", json_boolean(!demo->wrong));
    (void)json_object_set_new(demo->facts, "opencl", json_boolean(demo->opencl[0] != '\0'));
}

static void run_serially(demonstration *demo)
{
    double seconds[RUNS + 1];
    for (size_t run = 0; run < RUNS + 1; run++) {
        double begin = seconds_now();
        count_serially(demo->expected, demo->data, demo->rows.count, demo->rows.width);
        seconds[run] = seconds_now() - begin;
    }
    demo->serial_seconds = median(seconds + 1);
    show_line(demo, "serial loop", seconds[0], demo->serial_seconds, true, "one thread of this program");
}

/* ---- The workers ------------------------------------------------------------------------------------------------ */

/* What the pool's devices had done before; there are as many as ever. */
static uint64_t chunks_before(const device_list *before, const rowpool_device *device)
{
    for (size_t i = 0; i < before->count; i++) {
        if (strcmp(before->items[i].index, device->index) == 0)
            return before->items[i].chunks + before->items[i].rows;
    }
    return 0;
}

enum { ANSWERER = 512 };

/* Names the devices that worked in between. */
static void name_answerers(char text[ANSWERER], const device_list *before, const device_list *after)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < after->count && used < ANSWERER; i++) {
        const rowpool_device *device = &after->items[i];
        if (device->chunks + device->rows > chunks_before(before, device))
            used += (size_t)snprintf(text + used, ANSWERER - used, "%s%s %s (%s)", used > 0 ? " + " : "", device->index,
                                     device_label(device), backend_word(device->type));
    }
}

/* Maps once; counts from an earlier map cannot pass for this one's. */
static rowpool_status map_once(demonstration *demo, rowpool *pool, bool async, double *seconds, rowpool_error *error)
{
    const rowpool_range range = rowpool_range_i64(LO, HI);
    const rowpool_call call = {.size = sizeof call,
                               .function = rowpool_builtin("count"),
                               .inputs = &demo->rows,
                               .ranges = &range,
                               .n_ranges = 1,
                               .results = demo->counts.values,
                               .results_size = demo->counts.bytes};
    if (demo->counts.values != NULL)
        memset(demo->counts.values, 0xff, demo->counts.bytes);
    double begin = seconds_now();
    rowpool_status status = run_call(pool, &call, async, error);
    *seconds = seconds_now() - begin;
    return status;
}

static bool counts_are_right(const demonstration *demo)
{
    return demo->rows.count == 0 ||
           memcmp(demo->counts.values, demo->expected, demo->rows.count * sizeof *demo->expected) == 0;
}

static rowpool_status map_often(demonstration *demo, rowpool *pool, const char *how, bool async, rowpool_error *error)
{
    device_list before;
    device_list after;
    rowpool_status status = list_devices(&before, pool, error);
    if (status != ROWPOOL_OK)
        return status;
    double seconds[RUNS + 1];
    bool right = true;
    for (size_t run = 0; run < RUNS + 1 && status == ROWPOOL_OK; run++) {
        status = map_once(demo, pool, async, &seconds[run], error);
        right = right && (status != ROWPOOL_OK || counts_are_right(demo));
    }
    if (status == ROWPOOL_OK)
        status = list_devices(&after, pool, error);
    if (status == ROWPOOL_OK) {
        char device[ANSWERER];
        name_answerers(device, &before, &after);
        show_line(demo, how, seconds[0], median(seconds + 1), right, device);
        demo->wrong |= !right;
        free_devices(&after);
    }
    free_devices(&before);
    return status;
}

static bool is_opencl(rowpool_device_type type)
{
    return type < ROWPOOL_DEVICE_FORK || type == ROWPOOL_DEVICE_ISOLATED;
}

static rowpool_status note_opencl(demonstration *demo, rowpool *pool, rowpool_error *error)
{
    device_list list;
    rowpool_status status = list_devices(&list, pool, error);
    if (status != ROWPOOL_OK)
        return status;
    size_t used = 0;
    for (size_t i = 0; i < list.count && used < sizeof demo->opencl; i++) {
        if (list.items[i].in_use && is_opencl(list.items[i].type))
            used += (size_t)snprintf(demo->opencl + used, sizeof demo->opencl - used, "%s%s", used > 0 ? "," : "",
                                     list.items[i].index);
    }
    free_devices(&list);
    return ROWPOOL_OK;
}

static rowpool_status open_workers(rowpool **pool, const char *device, rowpool_error *error)
{
    const rowpool_options options = pool_options(device);
    return rowpool_open(pool, &options, error);
}

static rowpool_status run_on_devices(demonstration *demo, const char *device, rowpool_error *error)
{
    rowpool *pool;
    rowpool_status status = open_workers(&pool, device, error);
    if (status == ROWPOOL_OK)
        status = note_opencl(demo, pool, error);
    if (status == ROWPOOL_OK)
        status = map_often(demo, pool, "synchronous", false, error);
    if (status == ROWPOOL_OK)
        status = map_often(demo, pool, "asynchronous", true, error);
    rowpool_close(pool);
    return status;
}

/* On one kind of worker, whose build is waited for. */
static rowpool_status run_on(demonstration *demo, const char *device, const char *how, rowpool_error *error)
{
    rowpool *pool;
    rowpool_status status = open_workers(&pool, device, error);
    if (status == ROWPOOL_OK)
        status = map_often(demo, pool, how, false, error);
    rowpool_close(pool);
    return status;
}

/* ---- Processes -------------------------------------------------------------------------------------------------- */

static int introduce(void *argument, int pipe)
{
    (void)argument;
    const long id = getpid();
    return write(pipe, &id, sizeof id) == sizeof id ? 0 : 1;
}

static void show_process(const demonstration *demo, int number, long id, int exit_code)
{
    if (demo->facts == NULL) {
        (void)printf("process %d, id %ld  joined, exit status %d\n", number, id, exit_code);
        return;
    }
    json_t *process = json_object();
    (void)json_object_set_new(process, "id", json_integer(id));
    (void)json_object_set_new(process, "exit_status", json_integer(exit_code));
    (void)json_array_append_new(json_object_get(demo->facts, "processes"), process);
}

/* Its id is what it says itself. */
static rowpool_status join_process(const demonstration *demo, int number, rowpool_process *process,
                                   rowpool_error *error)
{
    long id = 0;
    rowpool_process_state state = {0};
    rowpool_status status = rowpool_process_join(process, -1, error);
    if (status == ROWPOOL_OK && read(rowpool_process_pipe(process), &id, sizeof id) != sizeof id)
        status = fail(error, ROWPOOL_ESYSTEM, "process %d said nothing", number);
    if (status == ROWPOOL_OK)
        status = rowpool_process_status(process, &state, error);
    if (status == ROWPOOL_OK)
        show_process(demo, number, id, state.exit_code);
    return status;
}

/* Two process objects, started and joined in turn. */
static rowpool_status show_processes(const demonstration *demo, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    for (int i = 0; i < 2 && status == ROWPOOL_OK; i++) {
        rowpool_process *process;
        status = rowpool_process_start(&process, introduce, NULL, NULL, error);
        if (status == ROWPOOL_OK) {
            status = join_process(demo, i, process, error);
            rowpool_process_close(process);
        }
    }
    return status;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static rowpool_status show_demo(demonstration *demo, const demo_options *options, rowpool_error *error)
{
    rowpool_status status = prepare(demo, options, error);
    if (status != ROWPOOL_OK)
        return status;
    if (options->json)
        begin_facts(demo, options);
    else
        print_heading(options);
    run_serially(demo);
    status = run_on_devices(demo, options->device, error);
    if (status == ROWPOOL_OK && options->device == NULL && demo->opencl[0] != '\0')
        status = run_on(demo, demo->opencl, "OpenCL", error); /* by default others serve until kernels are built */
    if (status == ROWPOOL_OK)
        status = run_on(demo, "fork", "processes", error);
    if (status != ROWPOOL_OK)
        return status;
    if (options->json) {
        add_first(demo);
        (void)json_object_set_new(demo->facts, "processes", json_array());
    } else {
        print_first(demo);
        (void)printf("\n");
    }
    status = show_processes(demo, error);
    if (status != ROWPOOL_OK || !options->json)
        return status;
    return print_json(json_incref(demo->facts), error);
}

int run_demo(int argc, char **argv)
{
    demo_options options;
    int understood = read_demo_options(&options, argc, argv);
    if (understood != GO_ON)
        return understood;
    demonstration demo = {0};
    rowpool_error error;
    rowpool_status status = show_demo(&demo, &options, &error);
    bool wrong = demo.wrong;
    release(&demo);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    else if (wrong)
        say(NULL, "counts are wrong");
    return status == ROWPOOL_OK && !wrong ? EXIT_DONE : EXIT_FAILED;
}
