#include "filemap.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "devices.h"
#include "interrupt.h"
#include "message.h"
#include "output_json.h"
#include "units.h"

/* ---- Options ---------------------------------------------------------------------------------------------------- */

file_options usual_file_options(const range_words *words)
{
    return (file_options){
        .command = words->command, .ranges = usual_range(words), .input = {.command = words->command}};
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
    if (take_range_option(&options->ranges, option, value, &read) ||
        take_input_option(&options->input, option, value, &read))
        return read;
    switch (option) {
    case 'd':
        return read_device_option(&options->device, options->command, value);
    case 'o':
        return read_output(options, value);
    case 'n':
        options->head_given = true;
        return read_size_option(&options->head, options->command, "--head", value);
    case 'j':
        return options->json = true;
    case 'p':
        options->progress = PROGRESS_YES;
        return true;
    case 'P':
        options->progress = PROGRESS_NO;
        return true;
    case 'a':
        return options->async = true;
    default:
        return options->verbose = true;
    }
}

int check_file_options(file_options *options)
{
    return choose_format(&options->input, options->path) ? GO_ON : EXIT_USAGE;
}

/* ---- What is said about it -------------------------------------------------------------------------------------- */

static void tell_what(const input *in)
{
    const npy_array *array = &in->array;
    const npy_header *header = &array->header;
    const char *place = array->mapping != NULL                           ? "mapped"
                        : header->fortran_order || header->foreign_order ? "converted in memory"
                                                                         : "in memory";
    char bytes[UNITS_TEXT];
    format_bytes(bytes, (double)header->data_bytes);
    tell("%zu rows of %s%zu %s, %s, %s", header->rows, in->offsets != NULL ? "at most " : "", header->width,
         rowpool_dtype_name(header->dtype), bytes, place);
}

static bool did_something(const rowpool_device *device)
{
    return device->rows > 0 || device->chunks > 0;
}

/* Who did it: the devices that answered rows, whether they belong to the pool or stood in for it. */
static void tell_who(rowpool *pool)
{
    device_list list;
    rowpool_error error;
    if (list_devices(&list, pool, &error) != ROWPOOL_OK) {
        warn("%s", error.message);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const rowpool_device *device = &list.items[i];
        if (did_something(device))
            tell("device %s: %s (%s, %s), %" PRIu64 " rows in %" PRIu64 " chunks", device->index, device_label(device),
                 backend_word(device->type), device_type_word(device->type), device->rows, device->chunks);
    }
    free_devices(&list);
}

static double bytes_per_second(const file_map *map)
{
    return map->seconds > 0 ? (double)map->in.array.header.data_bytes / map->seconds : 0.0;
}

static void tell_how_fast(const file_map *map)
{
    char seconds[UNITS_TEXT];
    char rate[UNITS_TEXT];
    format_seconds(seconds, map->seconds);
    format_rate(rate, bytes_per_second(map));
    tell("%s, %s%s", seconds, rate, map->options->async ? ", with a completion callback" : "");
}

/* The same for programs. */
static json_t *workers_as_json(rowpool *pool)
{
    json_t *workers = json_array();
    device_list list;
    if (list_devices(&list, pool, NULL) != ROWPOOL_OK)
        return workers;
    for (size_t i = 0; i < list.count; i++) {
        if (did_something(&list.items[i]))
            (void)json_array_append_new(workers, device_as_json(&list.items[i]));
    }
    free_devices(&list);
    return workers;
}

static json_t *facts_as_json(const file_map *map)
{
    const npy_header *header = &map->in.array.header;
    json_t *facts = json_object();
    (void)json_object_set_new(facts, "file", text_as_json(map->options->path));
    (void)json_object_set_new(facts, "rows", json_integer((json_int_t)header->rows));
    (void)json_object_set_new(facts, "width", json_integer((json_int_t)header->width));
    (void)json_object_set_new(facts, "ragged", json_boolean(map->in.offsets != NULL));
    (void)json_object_set_new(facts, "dtype", json_string(rowpool_dtype_name(header->dtype)));
    (void)json_object_set_new(facts, "bytes", json_integer((json_int_t)header->data_bytes));
    (void)json_object_set_new(facts, "function", text_as_json(map->function->name));
    if (map->options->ranges.count > 0)
        (void)json_object_set_new(facts, "ranges", ranges_as_json(&map->options->ranges));
    (void)json_object_set_new(facts, "result_dtype", json_string(rowpool_dtype_name(map->result_dtype)));
    (void)json_object_set_new(facts, "seconds", json_real(map->seconds));
    (void)json_object_set_new(facts, "bytes_per_second", json_real(bytes_per_second(map)));
    (void)json_object_set_new(facts, "devices", workers_as_json(map->pool));
    return facts;
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
static rowpool_status map_rows(file_map *map, rowpool_error *error)
{
    const rowpool_rows rows = rows_of(&map->in);
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
    progress_bar bar = begin_progress(map->options->progress, map->in.array.header.data_bytes);
    status = run_watched(map->pool, &call, map->options->async, &bar, error);
    map->seconds = seconds_now() - bar.begun;
    return status;
}

static bool fill_results(file_map *map)
{
    rowpool_error error;
    if (map_rows(map, &error) != ROWPOOL_OK) {
        if (!interruption_noted() && (map->blame == NULL || !map->blame(map->context, &error)))
            say(map->input_name, "%s", error.message);
        return false;
    }
    if (map->options->verbose) {
        tell_who(map->pool);
        tell_how_fast(map);
    }
    return true;
}

static result_table table_of(const file_map *map)
{
    return (result_table){
        .results = &map->results, .in = &map->in, .ranges = &map->options->ranges, .function = map->function->name};
}

static rowpool_status print_facts(const file_map *map, bool with_results, size_t rows, rowpool_error *error)
{
    json_t *facts = facts_as_json(map);
    if (!with_results)
        return print_json(facts, error);
    const result_table table = table_of(map);
    rowpool_status status = write_json(STDOUT_FILENO, &table, rows, facts, error);
    json_decref(facts);
    return status;
}

static bool print_results(const file_map *map)
{
    const file_options *options = map->options;
    const bool with_results = options->output == NULL || options->head_given;
    const size_t all = map->results.rows;
    const size_t rows = options->head_given && options->head < all ? options->head : all;
    const result_table table = table_of(map);
    rowpool_error error;
    rowpool_status status = ROWPOOL_OK;
    if (options->json)
        status = print_facts(map, with_results, rows, &error);
    else if (with_results)
        status = write_text(STDOUT_FILENO, &table, rows, &error);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    return status == ROWPOOL_OK;
}

/* Last of all: whatever went wrong before leaves no file. */
static bool write_output(file_map *map)
{
    const char *path = map->options->output;
    if (path == NULL)
        return true;
    const result_table table = table_of(map);
    rowpool_error error;
    if (output_format_of(path)(map->output.fd, &table, map->results.rows, &error) == ROWPOOL_OK &&
        replace_commit(&map->output, &error) == ROWPOOL_OK)
        return true;
    say(path, "%s", error.message);
    return false;
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

static bool open_rows(file_map *map)
{
    const file_options *options = map->options;
    rowpool_error error;
    size_t widest;
    if (open_input(&map->in, options->path, &options->input, &error) != ROWPOOL_OK ||
        check_rows(&map->in, 0, map->in.array.header.rows, &widest, &error) != ROWPOOL_OK) {
        say(map->input_name, "%s", error.message);
        return false;
    }
    set_width(&map->in, widest);
    return true;
}

bool begin_file_map(file_map *map, const file_options *options)
{
    *map = (file_map){
        .options = options,
        .input_name = strcmp(options->path, "-") == 0 ? "standard input" : options->path,
        .output = {.fd = -1},
    };
    if (!open_rows(map))
        return false;
    if (map->in.note != NULL)
        warn("%s: %s", map->input_name, map->in.note);
    return true;
}

bool run_file_map(file_map *map)
{
    if (!begin_output(map))
        return false;
    if (map->options->verbose) {
        tell_what(&map->in);
        tell_ranges(&map->options->ranges);
    }
    warn_of_empty_ranges(&map->options->ranges);
    return open_pool(map) && fill_results(map) && print_results(map) && write_output(map);
}

void end_file_map(file_map *map)
{
    replace_discard(&map->output);
    rowpool_close(map->pool);
    free_results(&map->results);
    close_input(&map->in);
    die_if_interrupted();
}
