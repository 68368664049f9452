#include "count.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"
#include "map.h"
#include "message.h"
#include "npy.h"
#include "options.h"
#include "output.h"
#include "ranges.h"
#include "replace.h"

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static const char HELP[] =
    "Usage: rowpool count [OPTION...] FILE.npy\n"
    "\n"
    "For each row of the array in FILE.npy, counts how many elements lie in a range. Rows are the last axis; an array\n"
    "of one axis is one row. FILE - is standard input. The counts go to standard output, one on each line.\n"
    "\n"
    "  --min X         the lower end of the range (default 4)\n"
    "  --max X         the upper end of the range (default 8)\n"
    "                  An integer within int64 or uint64 is exact, whatever the element type; a number with a point\n"
    "                  or exponent is the nearest double; inf and -inf are bounds like others. NaN elements lie in no\n"
    "                  range\n"
    "  --closed WHICH  which ends belong to the range: both (default), left, right or neither\n"
    "  --ranges LIST   several ranges in one pass, instead of --min and --max: LO:HI between commas, as in\n"
    "                  0:4,4:8,8:12. LO and HI are read as X is, and --closed holds for all of them. The counts of a\n"
    "                  row are on one line, a space between them\n"
    "  --bins LIST     the same for the bins of a histogram: their edges between commas, each above the one before,\n"
    "                  as in 0,4,8,12. An edge belongs to the bin that it begins, the last one to the last bin. Not\n"
    "                  with --min, --max, --closed or --ranges\n" DEVICE_HELP
    "  --output FILE   write the counts as a uint32 .npy file, shaped like the array without its last axis (a single\n"
    "                  value of shape () for an array of one axis); with --ranges or --bins the ranges take the place\n"
    "                  of that axis. FILE appears when it is complete, or not at all. Nothing is printed then, unless\n"
    "                  --head is given\n"
    "  --head N        print the counts of the first N rows only; all rows are counted\n"
    "  --async         count as an asynchronous job with a completion callback\n"
    "  --verbose       say on standard error which device did it, how much and how fast\n"
    "  --help          show this text\n";

typedef struct {
    wanted_ranges ranges;
    const char *device; /* NULL: as the environment says */
    const char *output; /* NULL: print */
    bool head_given;
    size_t head;
    bool async, verbose;
    const char *input;
} count_options;

static bool read_output(const char **output, const char *text)
{
    /* A file called "-" would surprise; so would binary data on a terminal. */
    if (text[0] == '\0' || strcmp(text, "-") == 0) {
        (void)usage_error("count", "--output '%s' is no file name", text);
        return false;
    }
    *output = text;
    return true;
}

/* One option with its value; false after a message. */
static bool read_option(count_options *options, int option, const char *value)
{
    switch (option) {
    case 'm':
        options->ranges.lo_given = true;
        return read_bound(&options->ranges.range.lo, "--min", value);
    case 'M':
        options->ranges.hi_given = true;
        return read_bound(&options->ranges.range.hi, "--max", value);
    case 'c':
        options->ranges.closed_given = true;
        return read_closed(&options->ranges.range.closed, value);
    case 'r':
        options->ranges.ranges = value;
        return true;
    case 'b':
        options->ranges.bins = value;
        return true;
    case 'd':
        return read_device_option(&options->device, "count", value);
    case 'o':
        return read_output(&options->output, value);
    case 'n':
        options->head_given = true;
        return read_size_option(&options->head, "count", "--head", value);
    case 'a':
        options->async = true;
        return true;
    default:
        options->verbose = true;
        return true;
    }
}

/* EXIT_DONE where the command line is understood: *help says whether only that was asked for, and if not, the ranges
 * are the caller's to free. */
static int read_options(count_options *options, bool *help, int argc, char **argv)
{
    static const struct option known[] = {
        {"min", required_argument, NULL, 'm'},    {"max", required_argument, NULL, 'M'},
        {"closed", required_argument, NULL, 'c'}, {"ranges", required_argument, NULL, 'r'},
        {"bins", required_argument, NULL, 'b'},   {"device", required_argument, NULL, 'd'},
        {"output", required_argument, NULL, 'o'}, {"head", required_argument, NULL, 'n'},
        {"async", no_argument, NULL, 'a'},        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    *options = (count_options){.ranges = {.range = rowpool_range_i64(4, 8)}};
    *help = false;
    for (int answer; (answer = getopt_long(argc, argv, ":h", known, NULL)) != -1;) {
        if (answer == '?' || answer == ':')
            return refuse_option("count", answer, argv);
        if (answer == 'h') {
            *help = true;
            return EXIT_DONE;
        }
        if (!read_option(options, answer, optarg))
            return EXIT_USAGE;
    }
    if (optind == argc)
        return usage_error("count", "FILE is missing");
    if (argc - optind > 1)
        return usage_error("count", "unexpected argument '%s'", argv[optind + 1]);
    options->input = argv[optind];
    return make_ranges(&options->ranges);
}

/* ---- What is said about it -------------------------------------------------------------------------------------- */

static void say_what(const npy_array *array, const wanted_ranges *ranges)
{
    const npy_header *header = &array->header;
    const char *place = array->mapping != NULL                           ? "mapped"
                        : header->fortran_order || header->foreign_order ? "converted in memory"
                                                                         : "in memory";
    say(NULL, "%zu rows of %zu %s, %zu bytes, %s", header->rows, header->width, rowpool_dtype_name(header->dtype),
        header->data_bytes, place);
    say_ranges(ranges);
}

/* Who did it: the devices that answered rows, whether they belong to the pool or stood in for it. */
static void say_who(rowpool *pool)
{
    device_list list;
    rowpool_error error;
    if (list_devices(&list, pool, &error) != ROWPOOL_OK) {
        say("warning", "%s", error.message);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const rowpool_device *device = &list.items[i];
        if (device->rows > 0 || device->chunks > 0)
            say(NULL, "device %s: %s (%s, %s), %" PRIu64 " rows in %" PRIu64 " chunks", device->index,
                device_label(device), backend_word(device->type), device_type_word(device->type), device->rows,
                device->chunks);
    }
    free_devices(&list);
}

/* ---- The work --------------------------------------------------------------------------------------------------- */

typedef struct {
    const count_options *options;
    const char *input_name; /* for messages */
    npy_array array;
    replacement output;
    rowpool *pool;
    row_counts counts;
} count_task;

/* The steps below return false after a message. */

static bool open_input(count_task *task)
{
    rowpool_error error;
    if (npy_open(&task->array, task->options->input, &error) == ROWPOOL_OK)
        return true;
    say(task->input_name, "%s", error.message);
    return false;
}

static bool begin_output(count_task *task)
{
    rowpool_error error;
    if (task->options->output == NULL)
        return true;
    if (task->array.header.width > UINT32_MAX) {
        say(task->input_name, "its rows have %zu elements: their counts may not fit into the uint32 of --output",
            task->array.header.width);
        return false;
    }
    if (replace_begin(&task->output, task->options->output, &error) == ROWPOOL_OK)
        return true;
    say(task->options->output, "%s", error.message);
    return false;
}

static bool open_pool(count_task *task)
{
    const rowpool_options options = {.size = sizeof options, .device = task->options->device};
    rowpool_error error;
    if (rowpool_open(&task->pool, &options, &error) == ROWPOOL_OK)
        return true;
    say(NULL, "%s", error.message);
    return false;
}

static bool count(count_task *task)
{
    const npy_header *header = &task->array.header;
    const rowpool_rows rows = {
        .data = task->array.data, .dtype = header->dtype, .count = header->rows, .width = header->width};
    rowpool_error error;
    rowpool_status status = allocate_counts(&task->counts, &rows, task->options->ranges.count, &error);
    double begin = seconds_now();
    if (status == ROWPOOL_OK)
        status = count_rows(task->pool, &rows, task->options->ranges.items, task->options->async, &task->counts,
                            &error);
    double seconds = seconds_now() - begin;
    if (status != ROWPOOL_OK) {
        say(task->input_name, "%s", error.message);
        return false;
    }
    if (task->options->verbose) {
        say_who(task->pool);
        say(NULL, "%.6f s, %.3f GB/s%s", seconds, seconds > 0 ? (double)header->data_bytes / 1e9 / seconds : 0.0,
            task->options->async ? ", as an asynchronous job" : "");
    }
    return true;
}

static bool print_counts(count_task *task)
{
    const count_options *options = task->options;
    if (options->output != NULL && !options->head_given)
        return true;
    size_t rows = task->counts.rows;
    if (options->head_given && options->head < rows)
        rows = options->head;
    rowpool_error error;
    if (write_counts(STDOUT_FILENO, &task->counts, rows, &error) == ROWPOOL_OK)
        return true;
    say("standard output", "%s", error.message);
    return false;
}

/* The header of the counts: the array's last axis goes, and the list of ranges, where there is one, takes its place. */
static size_t format_header(char text[NPY_MAX_WRITTEN], const count_task *task)
{
    const npy_header *header = &task->array.header;
    const size_t last = header->dimensions - 1;
    size_t shape[NPY_MAX_DIMENSIONS];
    memcpy(shape, header->shape, sizeof shape);
    shape[last] = task->counts.columns;
    return npy_format_header(text, shape, ranges_are_listed(&task->options->ranges) ? last + 1 : last);
}

/* Last of all: whatever went wrong before leaves no file. */
static bool write_output(count_task *task)
{
    if (task->options->output == NULL)
        return true;
    char text[NPY_MAX_WRITTEN];
    size_t size = format_header(text, task);
    int fd = task->output.fd;
    rowpool_error error;
    if (write_bytes(fd, text, size, &error) == ROWPOOL_OK &&
        write_bytes(fd, task->counts.values, task->counts.bytes, &error) == ROWPOOL_OK &&
        replace_commit(&task->output, &error) == ROWPOOL_OK)
        return true;
    say(task->options->output, "%s", error.message);
    return false;
}

static bool run_task(count_task *task)
{
    if (!open_input(task) || !begin_output(task))
        return false;
    if (task->options->verbose)
        say_what(&task->array, &task->options->ranges);
    warn_of_empty_ranges(&task->options->ranges);
    return open_pool(task) && count(task) && print_counts(task) && write_output(task);
}

int run_count(int argc, char **argv)
{
    count_options options;
    bool help;
    int understood = read_options(&options, &help, argc, argv);
    if (understood != EXIT_DONE)
        return understood;
    if (help)
        return show_help(HELP);
    count_task task = {
        .options = &options,
        .input_name = strcmp(options.input, "-") == 0 ? "standard input" : options.input,
        .output = {.fd = -1},
    };
    bool done = run_task(&task);
    replace_discard(&task.output);
    rowpool_close(task.pool);
    free_counts(&task.counts);
    npy_close(&task.array);
    free_ranges(&options.ranges);
    return done ? EXIT_DONE : EXIT_FAILED;
}
