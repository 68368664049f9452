#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_DEFAULT = 7, ROUNDS_MAX = 100000 };

static const char shapes_default[] = "200000:5,1000000:64,65536:1024", shapes_of_ranks[] = "12800000:5";

/* Without --shape: a plot has 2^24 elements in rows of every width, a report also 256 to 2^26 in rows of 5. */
#define WIDTHS                                                                           \
    "16777216:1,8388608:2,5592405:3,3355443:5,2097152:8,1048576:16,524288:32,262144:64," \
    "131072:128,65536:256,32768:512,16384:1024"
static const char shapes_of_plot[] = WIDTHS;
static const char shapes_of_report[] = WIDTHS ",51:5,205:5,819:5,3277:5,13107:5,52429:5,209715:5,838861:5,13421773:5";
static const char shapes_together[] = "209715:5,3355443:5,13421773:5,262144:64,16384:1024";

static const char help[] =
    "Usage: rowpool-bench [OPTION]...\n"
    "Times the range count of rowpool on every device beside loops in C, all in one run,\n"
    "rounds interleaved, every result verified.\n"
    "\n"
    "  --device LIST        devices of rowpool, each measured by itself: P:D as `rowpool devices`\n"
    "                       prints them, fork, host, auto, cpu, gpu, accelerator, all\n"
    "                       (default: every OpenCL device, fork, host)\n"
    "  --balance LIST       devices of rowpool, each measured alone and all together\n"
    "  --peers LIST         what runs beside them: names or their beginnings, also with wildcards,\n"
    "                       or all, or none (default: serial,openmp/,limit,opencl/). There are\n"
    "                         serial, openmp/, openmp-width/, openmp-split/, intrinsics, limit,\n"
    "                         opencl/, process/, python/, passes/, dense/, open/\n"
    "  --type LIST|all      element types: int8 int16 int32 int64 uint8 uint16 uint32 uint64\n"
    "                       float16 float32 float64 (default: int32)\n"
    "  --shape R:C,...      rows and their length, also R:C:zipf, giant or empties for rows of\n"
    "                       unequal length, R:C:N for N ranges at once\n"
    "                       (default: 200000:5,1000000:64,65536:1024)\n"
    "  --rounds N           timed rounds (default: 7)\n"
    "  --format FORMAT      table, csv, json (as Google Benchmark writes it) or markdown\n"
    "                       (default: table)\n"
    "  --report FILE        a page with plots and tables as well, in one file of HTML; without\n"
    "                       --shape rows of 1 to 1024 and data of 1 KB to 256 MB: two minutes\n"
    "  --plot FILE          the first of these plots alone, as SVG\n"
    "  --from FILE          with --report, --plot or --check: nothing is measured, the results are\n"
    "                       those that an earlier run wrote with --format json\n"
    "  --check[=LIST]       what rowpool is meant to reach, all or only these targets, beside what\n"
    "                       it reaches here: a line for each, pass or short\n"
    "  --ranks LIST         how the first type and shape scale over so many ranks of an MPI job,\n"
    "                       as in 1,2,4, and a model; as table or json\n"
    "  --launcher COMMAND   with --ranks: what starts a job, as in 'mpirun --bind-to core' (default: mpirun)\n"
    "  --help               print this and exit\n"
    "  --version            print the version and exit\n"
    "\n"
    "LIST is comma-separated. Exit status: 0; 1 after a failure or a wrong count; 2 for wrong usage.\n";

/* ---- Numbers and lists ------------------------------------------------------------------------------------------ */

/* Whether the text is a decimal number from 1 on, and nothing else. */
static bool read_size(const char *text, size_t *value)
{
    char *end;

    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    *value = (size_t)number;
    return text[0] >= '0' && text[0] <= '9' && number > 0 && errno == 0 && *end == '\0';
}

/* Reads one entry of a list to its place; says what is wrong. */
typedef bool entry_function(const char *entry, void *place);

/* Fills a new array with what a comma-separated list says; NULL after a complaint. */
static void *read_list(const char *list, size_t size, size_t *count, entry_function *read_entry)
{
    char *copy = strdup(list), *rest = copy, *entry;
    char *array = copy != NULL ? calloc(strlen(list) / 2 + 1, size) : NULL;
    bool good = array != NULL;

    if (!good)
        bench_complain("no memory for the arguments");
    for (*count = 0; good && (entry = strsep(&rest, ",")) != NULL; ++*count)
        good = read_entry(entry, array + *count * size);
    free(copy);
    if (good)
        return array;
    free(array);
    return NULL;
}

static bool read_dtype(const char *entry, void *place)
{
    const char *name;

    for (int dtype = 0; (name = rowpool_dtype_name((rowpool_dtype)dtype)) != NULL; dtype++) {
        if (strcmp(name, entry) == 0) {
            *(rowpool_dtype *)place = (rowpool_dtype)dtype;
            return true;
        }
    }
    bench_complain("--type: '%s' is no element type (see --help)", entry);
    return false;
}

static bool read_layout(const char *name, bench_layout *layout)
{
    int i = 0;

    while (bench_layout_names[i] != NULL && strcmp(bench_layout_names[i], name) != 0)
        i++;
    if (bench_layout_names[i] != NULL)
        *layout = (bench_layout)i;
    return bench_layout_names[i] != NULL;
}

static bool read_shape(const char *entry, void *place)
{
    bench_shape *shape = place;
    char copy[BENCH_SHAPE_SIZE], *rest = copy, *field;
    bool good = strlen(entry) < sizeof copy;
    int fields = 0;

    *shape = (bench_shape){.ranges = 1};
    BENCH_PRINT(copy, "%s", entry);
    for (; good && (field = strsep(&rest, ":")) != NULL; fields++)
        good = fields == 0   ? read_size(field, &shape->rows)
               : fields == 1 ? read_size(field, &shape->width)
                             : read_layout(field, &shape->layout) ||
                                   (read_size(field, &shape->ranges) && shape->ranges <= BENCH_RANGES_MAX);
    if (good && fields >= 2)
        return true;
    bench_complain("--shape: '%s' is no shape: give ROWS:LENGTH, two whole numbers from 1 on", entry);
    return false;
}

/* ---- The options ------------------------------------------------------------------------------------------------ */

/* What each option goes with. */
enum { MEASURE = 1 << BENCH_MEASURE, FROM = 1 << BENCH_FROM, CHECK = 1 << BENCH_CHECK, RANKS = 1 << BENCH_RANKS };

typedef enum {
    DEVICE,
    BALANCE,
    PEERS,
    TYPE,
    SHAPE,
    ROUNDS,
    FORMAT,
    REPORT,
    PLOT,
    FROM_FILE,
    CHECK_LIST,
    RANK_LIST,
    LAUNCHER,
    FIRST,
    OPTIONS
} option_index;

static const struct {
    const char *name;
    int has_argument, actions;
} table[OPTIONS] = {
    [DEVICE] = {"device", required_argument, MEASURE},
    [BALANCE] = {"balance", required_argument, MEASURE},
    [PEERS] = {"peers", required_argument, MEASURE},
    [TYPE] = {"type", required_argument, MEASURE | RANKS},
    [SHAPE] = {"shape", required_argument, MEASURE | RANKS},
    [ROUNDS] = {"rounds", required_argument, MEASURE | CHECK | RANKS},
    [FORMAT] = {"format", required_argument, MEASURE | RANKS},
    [REPORT] = {"report", required_argument, MEASURE | FROM},
    [PLOT] = {"plot", required_argument, MEASURE | FROM},
    [FROM_FILE] = {"from", required_argument, FROM | CHECK},
    [CHECK_LIST] = {"check", optional_argument, CHECK},
    [RANK_LIST] = {"ranks", required_argument, RANKS},
    [LAUNCHER] = {"launcher", required_argument, RANKS},
    [FIRST] = {"first", required_argument, MEASURE}, /* not in the help: a process/ peer starts it */
};

#define REFUSE_IF(condition, ...)        \
    do {                                 \
        if (condition) {                 \
            bench_complain(__VA_ARGS__); \
            return false;                \
        }                                \
    } while (0)

/* Whether the options go together. given[i]: the text of an option; NULL: it was not there. */
static bool options_suit(bench_options *options, const char *const given[OPTIONS])
{
    static const option_index excluded[][2] = {{DEVICE, BALANCE}, {REPORT, PLOT}};
    const option_index by = given[CHECK_LIST] != NULL  ? CHECK_LIST
                            : given[RANK_LIST] != NULL ? RANK_LIST
                            : given[FROM_FILE] != NULL ? FROM_FILE
                                                       : FIRST;
    const char *format = given[FORMAT];

    options->action = by == CHECK_LIST       ? BENCH_CHECK
                      : by == RANK_LIST      ? BENCH_RANKS
                      : by == FROM_FILE      ? BENCH_FROM
                      : given[FIRST] != NULL ? BENCH_FIRST
                                             : BENCH_MEASURE;
    for (size_t i = 0; i < sizeof excluded / sizeof *excluded; i++)
        REFUSE_IF(given[excluded[i][0]] != NULL && given[excluded[i][1]] != NULL, "--%s and --%s exclude each other",
                  table[excluded[i][0]].name, table[excluded[i][1]].name);
    for (int i = 0; i < OPTIONS && options->action != BENCH_FIRST; i++) {
        if (given[i] == NULL || table[i].actions & 1 << options->action)
            continue;
        REFUSE_IF(by != FIRST, "--%s and --%s exclude each other", table[i].name, table[by].name);
        REFUSE_IF(true, "--%s needs --ranks", table[i].name);
    }
    REFUSE_IF(by == FROM_FILE && given[REPORT] == NULL && given[PLOT] == NULL,
              "--from needs --report, --plot or --check");
    REFUSE_IF(by == RANK_LIST && format != NULL && strcmp(format, "table") != 0 && strcmp(format, "json") != 0,
              "--format: with --ranks it is table or json");
    return true;
}

static bool read_peers(bench_options *options, const char *list)
{
    const bool all = strcmp(list, "all") == 0, none = strcmp(list, "none") == 0;

    REFUSE_IF(list[0] == '\0', "--peers: no peer is named; 'none' stands for none");
    options->peers = all ? bench_peers_all : none ? "" : list;
    options->peers_named = !all && !none;
    return true;
}

static bool read_format(bench_options *options, const char *name)
{
    for (options->format = bench_formats; options->format->name != NULL; options->format++)
        if (strcmp(options->format->name, name) == 0)
            return true;
    bench_complain("--format: '%s' is none of table, csv, json, markdown", name);
    return false;
}

static bool read_shapes(bench_shapes *shapes, const char *list)
{
    shapes->items = read_list(list, sizeof *shapes->items, &shapes->count, read_shape);
    return shapes->items != NULL;
}

/* Types and shapes, and whether memory can have them. */
static bool read_cases(bench_options *options, const char *types, const char *shapes)
{
    const bool report = options->page_kind != NULL && strcmp(options->page_kind, "report") == 0;

    if (types == NULL)
        types = "int32";
    else if (strcmp(types, "all") == 0)
        types = "int8,int16,int32,int64,uint8,uint16,uint32,uint64,float16,float32,float64";
    if (shapes == NULL && report && !options->balance && !read_shapes(&options->together, shapes_together))
        return false;
    if (shapes == NULL)
        shapes = options->action == BENCH_RANKS ? shapes_of_ranks
                 : report                       ? shapes_of_report
                 : options->page_kind != NULL   ? shapes_of_plot
                                                : shapes_default;
    options->dtypes = read_list(types, sizeof *options->dtypes, &options->dtype_count, read_dtype);
    if (options->dtypes == NULL || !read_shapes(&options->shapes, shapes))
        return false;
    for (size_t i = 0; i < options->dtype_count * options->shapes.count; i++) {
        rowpool_error error;
        bench_case work;

        REFUSE_IF(bench_case_describe(&work, options->dtypes[i % options->dtype_count],
                                      &options->shapes.items[i / options->dtype_count], &error) != ROWPOOL_OK,
                  "--shape: %s", error.message);
    }
    return true;
}

static bool interpret(bench_options *options, const char *const given[OPTIONS])
{
    const char *rounds = given[ROUNDS];

    options->balance = given[BALANCE] != NULL;
    options->devices = options->balance ? given[BALANCE] : given[DEVICE];
    options->page = given[REPORT] != NULL ? given[REPORT] : given[PLOT];
    options->page_kind = given[REPORT] != NULL ? "report" : given[PLOT] != NULL ? "plot" : NULL;
    options->from = given[FROM_FILE];
    options->check = given[CHECK_LIST];
    options->ranks = given[RANK_LIST];
    options->first = given[FIRST];
    if (given[LAUNCHER] != NULL)
        options->launcher = given[LAUNCHER];
    REFUSE_IF(options->devices != NULL && options->devices[0] == '\0', "--device: no device is named");
    REFUSE_IF(options->balance && strchr(options->devices, ',') == NULL,
              "--balance: '%s' is one device: name two or more, with commas between", options->devices);
    REFUSE_IF(options->page != NULL && options->page[0] == '\0', "--%s: no file is named", options->page_kind);
    REFUSE_IF(rounds != NULL && (!read_size(rounds, &options->rounds) || options->rounds > ROUNDS_MAX),
              "--rounds: '%s' is no whole number from 1 to %d", given[ROUNDS], ROUNDS_MAX);
    return (given[PEERS] == NULL || read_peers(options, given[PEERS])) &&
           (given[FORMAT] == NULL || read_format(options, given[FORMAT])) &&
           read_cases(options, given[TYPE], given[SHAPE]);
}

static bench_action read_arguments(bench_options *options, int argc, char **argv)
{
    enum { CODE_SET = 256, CODE_HELP = 512, CODE_VERSION };
    struct option names[OPTIONS + 3] = {[OPTIONS] = {"help", no_argument, NULL, CODE_HELP},
                                        {"version", no_argument, NULL, CODE_VERSION}};
    const char *given[OPTIONS] = {NULL};
    int code;

    for (int i = 0; i < OPTIONS; i++)
        names[i] = (struct option){table[i].name, table[i].has_argument, NULL, CODE_SET + i};
    while ((code = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (code == CODE_HELP)
            fputs(help, stdout);
        if (code == CODE_VERSION)
            printf("%s %s\n", BENCH_PROGRAM, rowpool_version());
        if (code == CODE_HELP || code == CODE_VERSION)
            return BENCH_HELP;
        /* '?': getopt_long has said what is wrong. */
        if (code < CODE_SET)
            return BENCH_USAGE;
        given[code - CODE_SET] = optarg != NULL ? optarg : "";
    }
    if (optind < argc)
        bench_complain("'%s' is not an option (see --help)", argv[optind]);
    return optind == argc && options_suit(options, given) && interpret(options, given) ? options->action : BENCH_USAGE;
}

/* The arguments side by side, quoted where a shell would not take them for words; NULL where there is no memory. */
static char *command_of(int argc, char **argv)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (int i = 0; i < argc && out != NULL; i++) {
        const bool quoted = argv[i][0] == '\0' || argv[i][strspn(argv[i], plain)] != '\0';

        fprintf(out, "%s%s", i > 0 ? " " : "", quoted ? "'" : "");
        for (const char *at = argv[i]; *at != '\0'; at++)
            fputs(*at == '\'' ? "'\\''" : (const char[]){*at, '\0'}, out);
        fputs(quoted ? "'" : "", out);
    }
    if (out != NULL)
        fclose(out);
    return text;
}

bench_action bench_options_read(bench_options *options, int argc, char **argv)
{
    *options = (bench_options){.format = bench_formats,
                               .rounds = ROUNDS_DEFAULT,
                               .peers = bench_peers_default,
                               .launcher = "mpirun",
                               .command = command_of(argc, argv)};
    return read_arguments(options, argc, argv);
}

void bench_options_free(bench_options *options)
{
    free(options->command);
    free(options->dtypes);
    free(options->shapes.items);
    free(options->together.items);
}
