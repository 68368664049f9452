#include "options.h"

#include <getopt.h>
#include <string.h>

#include "message.h"

enum { ROUNDS_DEFAULT = 7, ROUNDS_MAX = 100000 };

static const char help[] =
    "Usage: rowpool-bench [OPTION]...\n"
    "Times the range count of rowpool on every device beside loops in C. All take turns in each\n"
    "round of one run; every result is verified.\n"
    "\n"
    "  --device LIST        devices of rowpool, each measured by itself: P:D as `rowpool devices`\n"
    "                       prints them, fork, host, auto, cpu, gpu, accelerator, all\n"
    "                       (default: every OpenCL device, fork, host)\n"
    "  --balance LIST       devices of rowpool, each measured alone and all together\n"
    "  --peers LIST         what runs beside them: names or their beginnings, or all, or none\n"
    "                       (default: serial,openmp/,limit,opencl/). There are serial, openmp/,\n"
    "                       openmp-width/, intrinsics, limit, opencl/, python/\n"
    "  --type LIST|all      element types: int8 int16 int32 int64 uint8 uint16 uint32 uint64\n"
    "                       float16 float32 float64 (default: int32)\n"
    "  --shape R:C,...      rows and their length; R:C:zipf for rows of unequal length, R:C:N for\n"
    "                       N ranges in one pass (default: 200000:5,1000000:64,65536:1024)\n"
    "  --rounds N           timed rounds (default: 7)\n"
    "  --format FORMAT      table, or json as Google Benchmark writes it (default: table)\n"
    "\n"
    "Scripts in Python 3, which run this program:\n"
    "  --plot FILE          draw the throughput by row width and the time by size, and where a device\n"
    "                       becomes faster than the host, as SVG, PNG or PDF. The options above say what\n"
    "                       is measured; without --shape it is rows of 1 to 1024 elements and data of\n"
    "                       1 KB to 256 MB, which takes two minutes\n"
    "  --check[=LIST]       compare rowpool's performance targets, all or those in LIST, with what it\n"
    "                       reaches here: a line for each, which ends with pass or short\n"
    "  --from FILE          with --plot or --check: measure nothing, but read the results that an\n"
    "                       earlier run wrote with --format json\n"
    "  --ranks LIST         measure how one type and shape scale over the ranks of MPI jobs, as in\n"
    "                       1,2,4, and fit a model\n"
    "  --launcher COMMAND   with --ranks: what starts a job, as in 'mpirun --bind-to core'\n"
    "                       (default: mpirun)\n"
    "\n"
    "  --help               print this and exit\n"
    "  --version            print the version and exit\n"
    "\n"
    "LIST is comma-separated. Exit status: 0; 1 after a failure or a wrong count; 2 for wrong usage.\n";

#define REFUSE_IF(condition, ...)   \
    do {                            \
        if (condition) {            \
            say(NULL, __VA_ARGS__); \
            return false;           \
        }                           \
    } while (0)

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

/* Reads one entry of a list into *place; false after a message. */
typedef bool entry_function(const char *entry, void *place);

/* Fills a new array with the entries of a comma-separated list; NULL after a message. */
static void *read_entries(const char *list, size_t size, size_t *count, entry_function *read_entry)
{
    char *copy = strdup(list), *rest = copy, *entry;
    char *array = copy != NULL ? calloc(strlen(list) / 2 + 1, size) : NULL;
    bool good = array != NULL;

    if (!good)
        say(NULL, "no memory for the arguments");
    for (*count = 0; good && (entry = strsep(&rest, ",")) != NULL; ++*count)
        good = read_entry(entry, array + *count * size);
    free(copy);
    if (good)
        return array;
    free(array);
    return NULL;
}

static bool read_dtype_entry(const char *entry, void *place)
{
    REFUSE_IF(!bench_find_dtype(entry, place), "--type: '%s' is not an element type (see --help)", entry);
    return true;
}

static bool read_shape_entry(const char *entry, void *place)
{
    bench_shape *shape = place;
    char copy[BENCH_SHAPE_SIZE], *rest = copy, *field;
    bool good = strlen(entry) < sizeof copy;
    int fields = 0;

    *shape = (bench_shape){.ranges = 1};
    BENCH_PRINT(copy, "%s", entry);
    for (; good && (field = strsep(&rest, ":")) != NULL; fields++) {
        if (fields < 2)
            good = bench_read_size(field, fields == 0 ? &shape->rows : &shape->width);
        else if (strcmp(field, "zipf") == 0)
            shape->ragged = true;
        else
            good = bench_read_size(field, &shape->ranges) && shape->ranges <= BENCH_RANGES_MAX;
    }
    REFUSE_IF(!good || fields < 2, "--shape: '%s' is not a shape: give ROWS:LENGTH, two whole numbers from 1 on",
              entry);
    return true;
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

enum { DEVICE = 256, BALANCE, PEERS, TYPE, SHAPE, ROUNDS, FORMAT, HELP, VERSION };

static const struct option names[] = {
    {"device", required_argument, NULL, DEVICE}, {"balance", required_argument, NULL, BALANCE},
    {"peers", required_argument, NULL, PEERS},   {"type", required_argument, NULL, TYPE},
    {"shape", required_argument, NULL, SHAPE},   {"rounds", required_argument, NULL, ROUNDS},
    {"format", required_argument, NULL, FORMAT}, {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},     {NULL, 0, NULL, 0}};

static bool read_devices_option(bench_options *options, const char *list, bool balance)
{
    REFUSE_IF(options->devices != NULL && options->balance != balance,
              "--device and --balance cannot be given together");
    REFUSE_IF(list[0] == '\0', "--%s: no device is named", balance ? "balance" : "device");
    REFUSE_IF(balance && strchr(list, ',') == NULL,
              "--balance: '%s' is one device: name two or more, with commas between", list);
    options->devices = list;
    options->balance = balance;
    return true;
}

static bool read_peers_option(bench_options *options, const char *list)
{
    const bool all = strcmp(list, "all") == 0, none = strcmp(list, "none") == 0;

    REFUSE_IF(list[0] == '\0', "--peers: the list is empty; give 'none' to run no peers");
    options->peers = all ? bench_peers_all : none ? NULL : list;
    options->peers_named = !all && !none;
    return true;
}

static bool read_types_option(bench_options *options, const char *list)
{
    if (strcmp(list, "all") == 0)
        list = "int8,int16,int32,int64,uint8,uint16,uint32,uint64,float16,float32,float64";
    free(options->dtypes);
    options->dtypes = read_entries(list, sizeof *options->dtypes, &options->dtype_count, read_dtype_entry);
    return options->dtypes != NULL;
}

static bool read_shapes_option(bench_options *options, const char *list)
{
    free(options->shapes);
    options->shapes = read_entries(list, sizeof *options->shapes, &options->shape_count, read_shape_entry);
    return options->shapes != NULL;
}

static bool read_format_option(bench_options *options, const char *format)
{
    options->json = strcmp(format, "json") == 0;
    REFUSE_IF(!options->json && strcmp(format, "table") != 0, "--format: '%s' is neither table nor json", format);
    return true;
}

static bool read_bench_option(bench_options *options, int option, const char *value)
{
    switch (option) {
    case DEVICE:
    case BALANCE:
        return read_devices_option(options, value, option == BALANCE);
    case PEERS:
        return read_peers_option(options, value);
    case TYPE:
        return read_types_option(options, value);
    case SHAPE:
        return read_shapes_option(options, value);
    case FORMAT:
        return read_format_option(options, value);
    case ROUNDS:
        REFUSE_IF(!bench_read_size(value, &options->rounds) || options->rounds > ROUNDS_MAX,
                  "--rounds: '%s' is not a whole number from 1 to %d", value, ROUNDS_MAX);
        return true;
    default: /* getopt_long has said what is wrong */
        return false;
    }
}

/* The arguments, separated by blanks; NULL if out of memory. */
static char *join_arguments(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (int i = 0; i < argc && out != NULL; i++)
        fprintf(out, "%s%s", i > 0 ? " " : "", argv[i]);
    if (out != NULL)
        fclose(out);
    return text;
}

bench_action bench_options_read(bench_options *options, int argc, char **argv)
{
    *options = (bench_options){
        .rounds = ROUNDS_DEFAULT, .peers = bench_peers_default, .command = join_arguments(argc, argv)};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option == HELP)
            fputs(help, stdout);
        else if (option == VERSION)
            printf("%s %s\n", BENCH_PROGRAM, rowpool_version());
        else if (!read_bench_option(options, option, optarg))
            return BENCH_USAGE;
        if (option == HELP || option == VERSION)
            return BENCH_DONE;
    }
    if (optind < argc) {
        say(NULL, "'%s' is not an option (see --help)", argv[optind]);
        return BENCH_USAGE;
    }
    if (options->dtypes == NULL && !read_types_option(options, "int32"))
        return BENCH_USAGE;
    if (options->shapes == NULL && !read_shapes_option(options, "200000:5,1000000:64,65536:1024"))
        return BENCH_USAGE;
    return BENCH_MEASURE;
}

void bench_options_free(bench_options *options)
{
    free(options->command);
    free(options->dtypes);
    free(options->shapes);
}
