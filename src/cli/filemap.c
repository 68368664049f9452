#include "filemap.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "devices.h"
#include "interrupt.h"
#include "message.h"
#include "output_json.h"
#include "units.h"

/* ---- Mapped files that are truncated: reading a page past the new end raises SIGBUS ------------------------------ */

static const input *watched;
static const char *watched_name;
static pid_t watcher;

static bool is_within(const npy_array *array, const void *address)
{
    const char *begin = array->mapping;
    return begin != NULL && (const char *)address >= begin && (const char *)address < begin + array->mapped_bytes;
}

/* Async-signal-safe. Any other bus error is raised again with the default action, which ends the process. */
static void on_bus_error(int signal_number, siginfo_t *what, void *context)
{
    (void)context;
    if (watched == NULL || getpid() != watcher || what->si_code != BUS_ADRERR) {
        (void)signal(signal_number, SIG_DFL);
        return;
    }
    say_in_handler(is_within(&watched->offset_file, what->si_addr) ? watched->offset_path : watched_name,
                   "the file was truncated while it was read, or its disk fails (bus error)");
    remove_interrupted_file();
    _exit(EXIT_FAILED);
}

/* From now on a bus error ends this process with exit status 1 and a message that names the file. in NULL: no longer. The
 * input need not be open yet. A worker process dies of the signal, and this process then runs its rows again. */
static void watch_for_cuts(const input *in, const char *name)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    watched = in;
    watched_name = name;
    watcher = getpid();
    (void)sigaction(SIGBUS, &action, NULL);
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

file_options default_file_options(const range_words *words)
{
    return (file_options){
        .command = words->command, .ranges = default_range(words), .input = {.command = words->command}};
}

static bool read_output(file_options *options, const char *text)
{
    /* "-" is refused: hardly anybody wants a file of that name, or binary data on a terminal. */
    if (text[0] == '\0' || strcmp(text, "-") == 0) {
        (void)usage_error(options->command, "--output '%s' is not a file name", text);
        return false;
    }
    if (output_format_of(text) == NULL) {
        (void)usage_error(
            options->command,
            "--output '%s': rowpool cannot write %s files; the name must end in .csv, .tsv, .tab, .txt, .json "
            "or .npy",
            text, strrchr(text, '.'));
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
    if (the_group()->mpi && strcmp(options->path, "-") == 0)
        return usage_error(options->command, "FILE cannot be standard input: every rank opens it");
    return choose_format(&options->input, options->path) ? GO_ON : EXIT_USAGE;
}

/* ---- What --verbose and JSON say -------------------------------------------------------------------------------- */

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

/* The devices of this process that did any work, whether or not the pool chose them. */
static rowpool_status list_workers(worker_list *list, rowpool *pool, rowpool_error *error)
{
    device_list devices;
    RP_TRY(list_pool_devices(&devices, pool, error));
    list->items = calloc(devices.count + 1, sizeof *list->items);
    if (list->items == NULL)
        end_out_of_memory();
    for (size_t i = 0; i < devices.count; i++) {
        if (devices.items[i].rows > 0 || devices.items[i].chunks > 0)
            list->items[list->count++] = (worker){the_group()->rank, devices.items[i]};
    }
    free_devices(&devices);
    return ROWPOOL_OK;
}

/* Replaces each rank's list by one of all ranks, on rank 0. */
static rowpool_status gather_workers(worker_list *list, rowpool_error *error)
{
    void *items = list->items;
    size_t bytes = list->count * sizeof *list->items;
    rowpool_status status = the_group()->gather(&items, &bytes, error);
    *list = (worker_list){items, bytes / sizeof *list->items};
    return status;
}

static double bytes_per_second(const file_map *map)
{
    return map->seconds > 0 ? (double)map->in.array.header.data_bytes / map->seconds : 0.0;
}

static void tell_who(const file_map *map)
{
    char seconds[UNITS_TEXT];
    char rate[UNITS_TEXT];
    for (size_t i = 0; i < map->workers.count; i++) {
        const rowpool_device *device = &map->workers.items[i].device;
        char rank[32] = "";
        if (the_group()->mpi)
            (void)snprintf(rank, sizeof rank, "rank %d, ", map->workers.items[i].rank);
        tell("%sdevice %s: %s (%s, %s), %" PRIu64 " rows in %" PRIu64 " chunks", rank, device->index,
             device_label(device), backend_word(device->type), device_type_word(device->type), device->rows,
             device->chunks);
    }
    format_seconds(seconds, map->seconds);
    format_rate(rate, bytes_per_second(map));
    tell("%s, %s%s", seconds, rate, map->options->async ? ", with a completion callback" : "");
}

/* What tell_who says of the devices, as JSON. */
static json_t *workers_as_json(const worker_list *workers)
{
    json_t *list = json_array();
    for (size_t i = 0; i < workers->count; i++) {
        json_t *device = device_as_json(&workers->items[i].device);
        if (the_group()->mpi)
            (void)json_object_set_new(device, "rank", json_integer(workers->items[i].rank));
        (void)json_array_append_new(list, device);
    }
    return list;
}

static json_t *facts_as_json(const file_map *map)
{
    const npy_header *header = &map->in.array.header;
    const wanted_ranges *ranges = &map->options->ranges;
    return json_pack("{s:o, s:I, s:I, s:b, s:s, s:I, s:o, s:o*, s:s, s:f, s:f, s:o}", /* in this order */
                     "file", text_as_json(map->options->path), "rows", (json_int_t)header->rows, "width",
                     (json_int_t)header->width, "ragged", map->in.offsets != NULL, "dtype",
                     rowpool_dtype_name(header->dtype), "bytes", (json_int_t)header->data_bytes, "function",
                     text_as_json(map->function->name), "ranges", ranges->count > 0 ? ranges_as_json(ranges) : NULL,
                     "result_dtype", rowpool_dtype_name(map->result_dtype), "seconds", map->seconds, "bytes_per_second",
                     bytes_per_second(map), "devices", workers_as_json(&map->workers));
}

/* ---- The steps: each returns false after a message -------------------------------------------------------------- */

/* Ends a step on all processes: true if it succeeded on each. Prints the error if it failed here. */
static bool end_step(rowpool_status status, const char *where, const rowpool_error *error)
{
    if (status != ROWPOOL_OK)
        say(where, "%s", error->message);
    return the_group()->agree(status == ROWPOOL_OK);
}

static bool take_share(file_map *map)
{
    const rowpool_rows all = input_rows(&map->in);
    rowpool_error error;
    size_t widest = 0;
    rowpool_status status = the_group()->share(&all, &map->own, &map->first, &error);
    if (status == ROWPOOL_OK)
        status = check_rows(&map->in, map->first, map->own.count, &widest, &error);
    if (!end_step(status, map->input_name, &error))
        return false;
    set_width(&map->in, the_group()->max(widest));
    return true;
}

/* One result for each range, or one where the function takes no ranges. */
static rowpool_status map_rows(file_map *map, rowpool_error *error)
{
    const wanted_ranges *ranges = &map->options->ranges;
    const size_t columns = ranges->count > 0 ? ranges->count : 1;
    rowpool_status status = allocate_results(&map->results, map->own.count, columns, map->result_dtype, error);
    if (status != ROWPOOL_OK)
        return status;
    const rowpool_call call = {.size = sizeof call,
                               .function = map->function,
                               .inputs = &map->own,
                               .arguments = map->arguments,
                               .arguments_size = map->arguments_size,
                               .ranges = ranges->items,
                               .n_ranges = ranges->count,
                               .results = map->results.values,
                               .results_size = map->results.bytes,
                               .first_row = map->first};
    progress_bar bar = begin_progress(map->options->progress, map->in.array.header.data_bytes);
    map->begun = bar.begun;
    return run_job(map->pool, &call, map->options->async, &bar, error);
}

/* Called after the rows have been read. False after a message if the file was truncated meanwhile; warns if it was
 * modified. */
static bool check_mapping(const npy_array *array, const char *name)
{
    bool changed;
    rowpool_error error;
    if (npy_check_mapping(array, &changed, &error) != ROWPOOL_OK) {
        say(name, "%s", error.message);
        return false;
    }
    if (changed)
        warn("%s: the file was modified while it was read: some rows may be old and others new", name);
    return true;
}

/* Whether the map succeeded; otherwise says why. Checks the files first: a truncated file is the reason why workers
 * failed. */
static bool judge(const file_map *map, rowpool_status status, const rowpool_error *error)
{
    if (interruption_noted() || !check_mapping(&map->in.array, map->input_name) ||
        !check_mapping(&map->in.offset_file, map->in.offset_path))
        return false;
    if (status != ROWPOOL_OK && (map->blame == NULL || !map->blame(map->context, error)))
        say(map->input_name, "%s", error->message);
    return status == ROWPOOL_OK;
}

/* Under MPI Ctrl-C ends each rank at once: no rank may wait for others that have ended. */
static bool fill_results(file_map *map)
{
    rowpool_error error;
    if (!the_group()->mpi)
        begin_noting_interruptions();
    rowpool_status status = map_rows(map, &error);
    end_noting_interruptions();
    if (!the_group()->agree(judge(map, status, &error)))
        return false;
    map->seconds = seconds_now() - map->begun;
    const file_options *options = map->options;
    const bool with_facts = options->json ||
                            (options->output != NULL && output_format_of(options->output) == write_json);
    if ((options->verbose || with_facts) && (!end_step(list_workers(&map->workers, map->pool, &error), NULL, &error) ||
                                             !end_step(gather_workers(&map->workers, &error), NULL, &error)))
        return false;
    map->facts = with_facts ? facts_as_json(map) : NULL;
    if (options->verbose)
        tell_who(map);
    return true;
}

static result_table table_of(const file_map *map)
{
    return (result_table){
        .results = &map->results,
        .first = map->first,
        .begins = the_group()->rank == 0,
        .ends = the_group()->rank == the_group()->size - 1,
        .in = &map->in,
        .ranges = &map->options->ranges,
        .function = map->function->name,
        .facts = map->facts,
    };
}

static bool print_results(const file_map *map)
{
    const file_options *options = map->options;
    const bool with_results = options->output == NULL || options->head_given;
    const size_t all = map->in.array.header.rows;
    const size_t rows = options->head_given && options->head < all ? options->head : all;
    const result_table table = table_of(map);
    rowpool_error error;
    rowpool_status status = ROWPOOL_OK;
    if (with_results)
        status = the_group()->print(options->json ? write_json : write_text, &table, rows, &error);
    else if (options->json && the_group()->rank == 0)
        status = print_json(json_incref(map->facts), &error);
    return end_step(status, NULL, &error);
}

/* The last step: after any earlier failure no file appears. */
static bool write_output(file_map *map)
{
    const char *path = map->options->output;
    const result_table table = table_of(map);
    rowpool_error error;
    if (path == NULL)
        return true;
    rowpool_status status = the_group()->end_file(&map->output, path, &table, map->in.array.header.rows, &error);
    if (status == ROWPOOL_OK && map->output.note != NULL)
        warn("%s: the file could not be replaced, so it was overwritten: %s", path, map->output.note);
    return end_step(status, path, &error);
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

bool begin_file_map(file_map *map, const file_options *options)
{
    const rowpool_options pool = pool_options(options->device);
    const char *output = options->output;
    rowpool_error error;
    *map = (file_map){
        .options = options,
        .input_name = strcmp(options->path, "-") == 0 ? "standard input" : options->path,
        .output = {.fd = -1},
    };
    watch_for_cuts(&map->in, map->input_name);
    if (!end_step(open_input(&map->in, options->path, &options->input, &error), map->input_name, &error))
        return false;
    if (map->in.notes.bytes != NULL)
        warn("%s: %s", map->input_name, map->in.notes.bytes);
    rowpool_status status = output != NULL ? the_group()->begin_file(&map->output, output, &error) : ROWPOOL_OK;
    return end_step(status, output, &error) &&
           end_step(the_group()->open_pool(&map->pool, &pool, &error), NULL, &error) && take_share(map);
}

bool run_file_map(file_map *map)
{
    if (map->options->verbose) {
        tell_what(&map->in);
        tell_ranges(&map->options->ranges);
    }
    warn_of_empty_ranges(&map->options->ranges);
    return fill_results(map) && print_results(map) && write_output(map);
}

void end_file_map(file_map *map)
{
    replace_discard(&map->output);
    the_group()->close_pool(map->pool);
    json_decref(map->facts);
    free(map->workers.items);
    free_results(&map->results);
    watch_for_cuts(NULL, NULL);
    close_input(&map->in);
    die_if_interrupted();
}
