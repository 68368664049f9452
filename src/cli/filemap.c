#include "filemap.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "devices.h"
#include "message.h"

/* ---- Options ---------------------------------------------------------------------------------------------------- */

file_options usual_file_options(const range_words *words)
{
    return (file_options){.command = words->command, .ranges = usual_range(words)};
}

static bool read_output(file_options *options, const char *text)
{
    /* A file called "-" would surprise; so would binary data on a terminal. */
    if (text[0] == '\0' || strcmp(text, "-") == 0) {
        (void)usage_error(options->command, "--output '%s' is no file name", text);
        return false;
    }
    options->output = text;
    return true;
}

bool read_file_option(file_options *options, int option, const char *value)
{
    bool read;
    if (take_range_option(&options->ranges, option, value, &read))
        return read;
    switch (option) {
    case 'd':
        return read_device_option(&options->device, options->command, value);
    case 'o':
        return read_output(options, value);
    case 'n':
        options->head_given = true;
        return read_size_option(&options->head, options->command, "--head", value);
    case 'a':
        options->async = true;
        return true;
    default:
        options->verbose = true;
        return true;
    }
}

/* ---- What is said about it -------------------------------------------------------------------------------------- */

static void say_what(const npy_array *array)
{
    const npy_header *header = &array->header;
    const char *place = array->mapping != NULL                           ? "mapped"
                        : header->fortran_order || header->foreign_order ? "converted in memory"
                                                                         : "in memory";
    say(NULL, "%zu rows of %zu %s, %zu bytes, %s", header->rows, header->width, rowpool_dtype_name(header->dtype),
        header->data_bytes, place);
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

/* ---- The steps: each returns false after a message -------------------------------------------------------------- */

static bool begin_output(file_map *map)
{
    rowpool_error error;
    if (map->options->output == NULL || replace_begin(&map->output, map->options->output, &error) == ROWPOOL_OK)
        return true;
    say(map->options->output, "%s", error.message);
    return false;
}

static bool open_pool(file_map *map)
{
    const rowpool_options options = {
        .size = sizeof options, .device = map->options->device, .isolate = ROWPOOL_ISOLATE_AT_RISK};
    rowpool_error error;
    if (rowpool_open(&map->pool, &options, &error) == ROWPOOL_OK)
        return true;
    say(NULL, "%s", error.message);
    return false;
}

/* There are ranges where the function takes some; else one argument struct gives one result. */
static rowpool_status map_rows(file_map *map, double *seconds, rowpool_error *error)
{
    const npy_header *header = &map->array.header;
    const rowpool_rows rows = {
        .data = map->array.data, .dtype = header->dtype, .count = header->rows, .width = header->width};
    const wanted_ranges *ranges = &map->options->ranges;
    const size_t columns = ranges->count > 0 ? ranges->count : 1;
    rowpool_status status = allocate_results(&map->results, rows.count, columns, map->result_dtype, error);
    if (status != ROWPOOL_OK)
        return status;
    const rowpool_call call = {.size = sizeof call,
                               .function = map->function,
                               .inputs = &rows,
                               .arguments = map->arguments,
                               .arguments_size = map->arguments_size,
                               .ranges = ranges->items,
                               .n_ranges = ranges->count,
                               .results = map->results.values,
                               .results_size = map->results.bytes};
    double begin = seconds_now();
    status = run_call(map->pool, &call, map->options->async, error);
    *seconds = seconds_now() - begin;
    return status;
}

static bool fill_results(file_map *map)
{
    double seconds;
    rowpool_error error;
    if (map_rows(map, &seconds, &error) != ROWPOOL_OK) {
        if (map->blame == NULL || !map->blame(map->context, &error))
            say(map->input_name, "%s", error.message);
        return false;
    }
    if (map->options->verbose) {
        say_who(map->pool);
        say(NULL, "%.6f s, %.3f GB/s%s", seconds,
            seconds > 0 ? (double)map->array.header.data_bytes / 1e9 / seconds : 0.0,
            map->options->async ? ", as an asynchronous job" : "");
    }
    return true;
}

static bool print_results(file_map *map)
{
    const file_options *options = map->options;
    if (options->output != NULL && !options->head_given)
        return true;
    size_t rows = map->results.rows;
    if (options->head_given && options->head < rows)
        rows = options->head;
    rowpool_error error;
    if (write_results(STDOUT_FILENO, &map->results, rows, &error) == ROWPOOL_OK)
        return true;
    say("standard output", "%s", error.message);
    return false;
}

/* The header of the results: the array's last axis goes, and the list of ranges, where there is one, takes its place.
 */
static size_t format_header(char text[NPY_MAX_WRITTEN], const file_map *map)
{
    const npy_header *header = &map->array.header;
    const size_t last = header->dimensions - 1;
    size_t shape[NPY_MAX_DIMENSIONS];
    memcpy(shape, header->shape, sizeof shape);
    shape[last] = map->results.columns;
    return npy_format_header_of(text, map->results.dtype, shape,
                                ranges_are_listed(&map->options->ranges) ? last + 1 : last);
}

/* Last of all: whatever went wrong before leaves no file. */
static bool write_output(file_map *map)
{
    if (map->options->output == NULL)
        return true;
    char text[NPY_MAX_WRITTEN];
    size_t size = format_header(text, map);
    int fd = map->output.fd;
    rowpool_error error;
    if (write_bytes(fd, text, size, &error) == ROWPOOL_OK &&
        write_bytes(fd, map->results.values, map->results.bytes, &error) == ROWPOOL_OK &&
        replace_commit(&map->output, &error) == ROWPOOL_OK)
        return true;
    say(map->options->output, "%s", error.message);
    return false;
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

bool begin_file_map(file_map *map, const file_options *options)
{
    *map = (file_map){
        .options = options,
        .input_name = strcmp(options->input, "-") == 0 ? "standard input" : options->input,
        .output = {.fd = -1},
    };
    rowpool_error error;
    if (npy_open(&map->array, options->input, &error) == ROWPOOL_OK)
        return true;
    say(map->input_name, "%s", error.message);
    return false;
}

bool run_file_map(file_map *map)
{
    if (!begin_output(map))
        return false;
    if (map->options->verbose) {
        say_what(&map->array);
        say_ranges(&map->options->ranges);
    }
    warn_of_empty_ranges(&map->options->ranges);
    return open_pool(map) && fill_results(map) && print_results(map) && write_output(map);
}

void end_file_map(file_map *map)
{
    replace_discard(&map->output);
    rowpool_close(map->pool);
    free_results(&map->results);
    npy_close(&map->array);
}
