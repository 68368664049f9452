#include "count.h"

#include <stdint.h>

#include "filemap.h"
#include "message.h"

static const char HELP[] =
    "For each row of the array in FILE, counts how many elements lie in a range. Rows are the last axis; an array of\n"
    "one axis is one row. The counts go to standard output, one on each line; in the .npy file of --output they are\n"
    "uint32.\n"
    "\n" RANGE_HELP "\n" FILE_HELP;

static bool read_option(void *options, int option, const char *value)
{
    return read_file_option(options, option, value);
}

/* Rows of more elements than a uint32 counts have a function of their own. */
static bool choose_function(file_map *map)
{
    const size_t width = map->in.array.header.width;
    const bool wide = width > UINT32_MAX;
    if (wide && map->options->output != NULL) {
        say(map->input_name, "its rows have %zu elements: their counts may not fit into the uint32 of --output", width);
        return false;
    }
    map->function = rowpool_builtin(wide ? "count64" : "count");
    map->result_dtype = wide ? ROWPOOL_UINT64 : ROWPOOL_UINT32;
    return true;
}

int run_count(int argc, char **argv)
{
    static const struct option known[] = {FILE_OPTIONS, {NULL, 0, NULL, 0}};
    static const command_line count = {"count", {"count [OPTION...] FILE"}, HELP, known, read_option};
    static const range_words words = {"count", "counting", "every count is 0"};
    file_options options = default_file_options(&words);
    int status = read_options(&count, &options, &options.path, argc, argv);
    if (status == GO_ON)
        status = check_file_options(&options);
    if (status != GO_ON)
        return status;
    status = make_ranges(&options.ranges);
    if (status != EXIT_DONE)
        return status;
    file_map map;
    bool done = begin_file_map(&map, &options) && choose_function(&map) && run_file_map(&map);
    end_file_map(&map);
    free_ranges(&options.ranges);
    return done ? EXIT_DONE : EXIT_FAILED;
}
