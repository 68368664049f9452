/* rowpool map and rowpool count: a built-in function, or one whose text is read from a file, over the rows of a file. */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "command.h"
#include "filemap.h"
#include "message.h"
#include "source.h"

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static const char map_help[] =
    "Maps a function over the rows of the array in FILE. Rows are the last axis; an array of one axis is one row.\n"
    "The results go to standard output, one on each line, floats with as many digits as it takes to read them back.\n"
    "\n"
    "  --function NAME a built-in function:\n"
    "                    count, count64      how many elements lie in a range; count64 is for rows of more than 2^32\n"
    "                    any, all, fraction  whether any or all of them do, 0 or 1; the share of them that do\n"
    "                    sum, mean           integers add up modulo 2^64, floats in double; a mean is a double\n"
    "                    min, max            of the elements that are not NaN\n"
    "                    argmin, argmax      the index of the first such element, or -1\n"
    "  --source FILE   a function of your own in OpenCL C, for OpenCL devices alone: a fold or a free body, as\n"
    "                  rowpool/row_function.h describes them; rowpool-guide(7) has examples\n"
    "  --output-type TYPE\n"
    "                  the type of its result_t: int8 to int64, uint8 to uint64, float16 (two bytes) to float64\n"
    "  --argument TYPE:VALUE\n"
    "                  the first member of its arguments_t, as in float64:0.5; given again, the next one\n"
    "\n" FILE_HELP "\n"
    "For functions that take ranges:\n"
    "\n" RANGE_HELP;

typedef struct {
    file_options file;
    const char *function, *source; /* NULL: not given */
    bool output_type_given;
    rowpool_dtype output_type;
    argument_struct arguments;
} map_options;

static bool read_map_option(void *into, int option, const char *value)
{
    map_options *options = into;
    switch (option) {
    case 'f':
        options->function = value;
        return true;
    case 's':
        options->source = value;
        return true;
    case 't':
        options->output_type_given = true;
        return read_dtype_option(&options->output_type, "map", "--output-type", value);
    case 'x':
        return add_argument(&options->arguments, value);
    default:
        return read_file_option(&options->file, option, value);
    }
}

/* Returns GO_ON, or an exit status after a message; so do the functions below. */
static int check_options(const map_options *options)
{
    if (options->function == NULL && options->source == NULL)
        return usage_error("map", "--function or --source is missing");
    if (options->function != NULL && options->source != NULL)
        return usage_error("map", "--function and --source cannot be given together");
    if (options->source != NULL && !options->output_type_given)
        return usage_error("map", "--output-type is missing; --source needs the type of its results");
    if (options->function != NULL && options->output_type_given)
        return usage_error("map", "--function and --output-type cannot be given together");
    if (options->function != NULL && options->arguments.size > 0)
        return usage_error("map", "--function and --argument cannot be given together");
    return GO_ON;
}

/* ---- The function ----------------------------------------------------------------------------------------------- */

/* What is mapped. */
typedef struct {
    const map_options *options;
    const rowpool_function *function; /* a built-in one, or the one made of the source */
    rowpool_function made;
    function_source source;
} map_task;

static int unknown_function(const char *name)
{
    char names[512] = "";
    size_t used = 0;
    const char *known;
    for (size_t i = 0; (known = rowpool_builtin_name(i)) != NULL && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "", known);
    return usage_error("map", "unknown function '%s'; there are %s", name, names);
}

static int make_function(map_task *task)
{
    const map_options *options = task->options;
    function_source *source = &task->source;
    if (!read_source(source, options->source))
        return EXIT_FAILED;
    end_source(source, options->output_type);
    task->made = (rowpool_function){.size = sizeof task->made,
                                    .name = source->name,
                                    .form = source->has_body ? ROWPOOL_BODY : ROWPOOL_FOLD,
                                    .ranges = source->has_ranges,
                                    .source = source->text.bytes,
                                    .arguments_size = options->arguments.size, /* 0 is one byte */
                                    .result_size = rowpool_dtype_size(options->output_type)};
    task->function = &task->made;
    return GO_ON;
}

static int find_function(map_task *task)
{
    if (task->options->source != NULL)
        return make_function(task);
    task->function = rowpool_builtin(task->options->function);
    return task->function != NULL ? GO_ON : unknown_function(task->options->function);
}

static int find_ranges(const map_task *task, wanted_ranges *ranges)
{
    const char *given = given_range_option(ranges);
    if (!task->function->ranges)
        return given == NULL
                   ? GO_ON
                   : usage_error("map", "%s takes no ranges: %s cannot be given", task->function->name, given);
    if (task->options->arguments.size > 0)
        return usage_error("map", "%s takes ranges: --argument cannot be given", task->function->name);
    int status = make_ranges(ranges);
    return status == EXIT_DONE ? GO_ON : status;
}

/* ---- The map ---------------------------------------------------------------------------------------------------- */

static void say_arguments_differ(const map_task *task)
{
    const size_t size = task->options->arguments.size;
    if (task->function->ranges)
        say(task->options->source, "it takes ranges, but its arguments_t is not two ordered_t");
    else if (size == 0)
        say(task->options->source, "its arguments_t is not one byte; --argument gives its members");
    else
        say(task->options->source, "its arguments_t is not of the %zu byte%s that --argument gives", size,
            size == 1 ? "" : "s");
}

/* Prints the error and returns true if the text of --source is wrong: it does not build, or no device can run it. */
static bool blame_source(const void *context, const rowpool_error *error)
{
    const map_task *task = context;
    const map_options *options = task->options;
    if (options->source == NULL || (error->status != ROWPOOL_EBUILD && error->status != ROWPOOL_ENODEVICE))
        return false;
    if (error->status == ROWPOOL_ENODEVICE)
        say(options->source, "%s; --source is for OpenCL devices, which rowpool devices lists", error->message);
    else if (is_about_result_type(error->message))
        say(options->source, "its result_t is not what --output-type says, %s%s",
            rowpool_dtype_name(options->output_type), options->output_type == ROWPOOL_FLOAT16 ? ", two bytes" : "");
    else if (is_about_arguments_type(error->message))
        say_arguments_differ(task);
    else
        say(options->source, "%s", error->message);
    return true;
}

static void tell_function(const map_task *task, rowpool_dtype result)
{
    const char *form = task->options->source == NULL          ? "a built-in function"
                       : task->function->form == ROWPOOL_BODY ? "a free body"
                                                              : "a fold";
    tell("mapping %s, %s, to %s", task->function->name, form, rowpool_dtype_name(result));
}

/* Sets what depends on the element type. */
static void choose_function(file_map *map, map_task *task)
{
    const map_options *options = task->options;
    const rowpool_dtype dtype = map->in.array.header.dtype;
    const rowpool_compiled *compiled = task->function->compiled[dtype];
    map->function = task->function;
    map->result_dtype = compiled != NULL ? (rowpool_dtype)(compiled->result_dtype - 1) : options->output_type;
    map->blame = blame_source;
    map->context = task;
    if (task->made.ranges)
        task->made.arguments_size = 2 * rowpool_dtype_size(dtype);
    if (options->arguments.size > 0) {
        map->arguments = options->arguments.bytes;
        map->arguments_size = options->arguments.size;
    }
    if (options->file.verbose)
        tell_function(task, map->result_dtype);
}

static int run_task(map_task *task)
{
    file_map map;
    bool done = begin_file_map(&map, &task->options->file);
    if (done) {
        choose_function(&map, task);
        done = run_file_map(&map);
    }
    end_file_map(&map);
    return done ? EXIT_DONE : EXIT_FAILED;
}

int run_map(int argc, char **argv)
{
    static const struct option known[] = {{"function", required_argument, NULL, 'f'},
                                          {"source", required_argument, NULL, 's'},
                                          {"output-type", required_argument, NULL, 't'},
                                          {"argument", required_argument, NULL, 'x'},
                                          FILE_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    static const command_line line = {
        "map",
        {"map --function NAME [OPTION...] FILE",
         "map --source FILE.cl --output-type TYPE [--argument TYPE:VALUE]... [OPTION...] FILE"},
        map_help,
        known,
        read_map_option,
    };
    static const range_words words = {"map", "within", "no element lies in it"};
    map_options options = {.file = default_file_options(&words)};
    map_task task = {.options = &options};
    int status = read_options(&line, &options, &options.file.path, argc, argv);
    if (status == GO_ON)
        status = check_options(&options);
    if (status == GO_ON)
        status = check_file_options(&options.file);
    if (status == GO_ON)
        status = find_function(&task);
    if (status == GO_ON)
        status = find_ranges(&task, &options.file.ranges);
    if (status == GO_ON)
        status = run_task(&task);
    free_ranges(&options.file.ranges);
    free_source(&task.source);
    return status;
}

/* ---- rowpool count ---------------------------------------------------------------------------------------------- */

static const char count_help[] =
    "For each row of the array in FILE, counts how many elements lie in a range. Rows are the last axis; an array of\n"
    "one axis is one row. The counts go to standard output, one on each line; in the .npy file of --output they are\n"
    "uint32.\n"
    "\n" RANGE_HELP "\n" FILE_HELP;

static bool read_count_option(void *options, int option, const char *value)
{
    return read_file_option(options, option, value);
}

/* Chooses count64 if a row has more elements than a uint32 can count. */
static bool choose_count(file_map *map)
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
    static const command_line line = {"count", {"count [OPTION...] FILE"}, count_help, known, read_count_option};
    static const range_words words = {"count", "counting", "every count is 0"};
    file_options options = default_file_options(&words);
    int status = read_options(&line, &options, &options.path, argc, argv);
    if (status == GO_ON)
        status = check_file_options(&options);
    if (status != GO_ON)
        return status;
    status = make_ranges(&options.ranges);
    if (status != EXIT_DONE)
        return status;
    file_map map;
    bool done = begin_file_map(&map, &options) && choose_count(&map) && run_file_map(&map);
    end_file_map(&map);
    free_ranges(&options.ranges);
    return done ? EXIT_DONE : EXIT_FAILED;
}
