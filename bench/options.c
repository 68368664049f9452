#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_DEFAULT = 7, ROUNDS_MAX = 100000 };

static const char types_default[] = "int32";
static const char shapes_default[] = "200000:5,1000000:64,65536:1024", shapes_of_ranks[] = "12800000:5";

/* Where no shape is given a plot has 2^24 elements in rows of every width, and a report also 256 to 2^26 in rows of 5. */
#define WIDTHS                                                                           \
    "16777216:1,8388608:2,5592405:3,3355443:5,2097152:8,1048576:16,524288:32,262144:64," \
    "131072:128,65536:256,32768:512,16384:1024"
static const char shapes_of_plot[] = WIDTHS;
static const char shapes_of_report[] = WIDTHS ",51:5,205:5,819:5,3277:5,13107:5,52429:5,209715:5,838861:5,13421773:5";
#undef WIDTHS
static const char shapes_together[] = "209715:5,3355443:5,13421773:5,262144:64,16384:1024";

const char bench_help[] =
    "Usage: rowpool-bench [OPTION]...\n"
    "Times the range count of rowpool on every device beside loops in C, all in one run,\n"
    "rounds interleaved, every result verified.\n"
    "\n"
    "  --device LIST        devices of rowpool, each measured by itself: P:D as `rowpool devices`\n"
    "                       prints them, fork, host, auto, cpu, gpu, accelerator, all\n"
    "                       (default: every OpenCL device, fork, host)\n"
    "  --balance LIST       devices of rowpool, each measured alone and all of them together: how\n"
    "                       well they share the work (efficiency: the rate together over the sum\n"
    "                       of those alone), and what the scheduler costs beside a raw OpenCL\n"
    "                       program (overhead)\n"
    "  --peers LIST         what runs beside rowpool's devices: names or their beginnings, also with\n"
    "                       wildcards, or all, or none (default: serial,openmp/,limit,opencl/)\n"
    "                         serial          a loop on one core\n"
    "                         openmp/         the loop on all cores, by each compiler\n"
    "                         openmp-width/   with the width compiled in (3, 5, 8, 64)\n"
    "                         openmp-split/   with each row cut up (at most 1024 rows)\n"
    "                         intrinsics      int32 by AVX2 or AVX-512, on all cores\n"
    "                         limit           reads and writes as many bytes without counting: what\n"
    "                                         the column '% limit' refers to\n"
    "                         process/        a process that maps once: rowpool, with empty caches\n"
    "                                         too, and a raw OpenCL program (at most 64 MB)\n"
    "                         python/         NumPy, Numba, multiprocessing.Pool, where they are there\n"
    "                         opencl/         a raw OpenCL program on the same devices\n"
    "  --type LIST|all      element types: int8 int16 int32 int64 uint8 uint16 uint32 uint64\n"
    "                       float16 float32 float64 (default: int32)\n"
    "  --shape R:C,...      rows and their length (default: 200000:5,1000000:64,65536:1024)\n"
    "  --rounds N           timed rounds (default: 7)\n"
    "  --format FORMAT      table, csv, json (as Google Benchmark writes it) or markdown\n"
    "                       (default: table)\n"
    "  --report FILE        a page with plots and tables as well, in one file of HTML; without --shape of\n"
    "                       rows of 1 to 1024, of 1 KB to 256 MB (int32), and of devices that share a\n"
    "                       map where there are two: some two minutes\n"
    "  --plot FILE          the first of these plots alone, the throughput by row width, as SVG\n"
    "  --from FILE          with --report or --plot: nothing is measured, the results are those that an\n"
    "                       earlier run wrote with --format json\n"
    "  --check[=LIST]       instead of all this: what rowpool is meant to reach, beside what it reaches\n"
    "                       here; a line for each, with 'pass' or 'short' at its end. LIST: only these\n"
    "                       of rows-5 rows-3 rows-8 widths 200000 width-known intrinsics-5 intrinsics limit\n"
    "                       one-row seven-rows rows-1 ragged-zipf ragged-giant ragged-empties\n"
    "                       ranges-16 small-1 small-10000 small-100000 fork-alloc fork-private numpy\n"
    "                       python-pool open first first-cold. Exit status 0 also where it falls short\n"
    "  --width-step N       with --check: of the widths 1 to 64 only each N-th\n"
    "  --scale F            with --check: F times as many rows, to see it run; --rounds may then be\n"
    "                       less than 7\n"
    "  --ranks LIST         instead of all this: how the first type and shape scale over so many ranks of\n"
    "                       an MPI job, as in 1,2,4: the same rows for all (strong) and for each (weak),\n"
    "                       the model that fits, and what it says of 1024; as table or json\n"
    "  --launcher COMMAND   with --ranks: what starts a job, as in 'mpirun --bind-to core' (default:\n"
    "                       mpirun); '-n N PROGRAM' is put behind it\n"
    "  --help               print this and exit\n"
    "  --version            print the version and exit\n"
    "\n"
    "LIST is comma-separated. Exit status: 0; 1 after a failure or a wrong count; 2 for wrong usage.\n";

/* ---- Numbers and lists ------------------------------------------------------------------------------------------ */

/* A decimal number that is nothing else: no sign, no space, nothing behind it. */
static bool read_size(const char *text, size_t *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || *end || number > SIZE_MAX)
        return false;
    *value = (size_t)number;
    return true;
}

/* Reads one entry of a list to its place; says what is wrong. */
typedef bool entry_function(const char *entry, void *place);

/* Fills a new array with what a comma-separated list says; NULL after a complaint. */
static void *read_list(const char *list, size_t size, size_t *count, entry_function *read_entry)
{
    char *copy = strdup(list), *rest = copy, *entry;
    char *array = NULL;
    size_t capacity = 1, used = 0;
    bool good = true;

    for (const char *at = list; *at; at++)
        capacity += *at == ',';
    if (copy)
        array = calloc(capacity, size);
    if (!array)
        bench_complain("no memory for the arguments");
    while (array && good && (entry = strsep(&rest, ",")))
        good = read_entry(entry, array + used++ * size);
    free(copy);
    if (good) {
        *count = used;
        return array;
    }
    free(array);
    return NULL;
}

/* ---- Each option ------------------------------------------------------------------------------------------------ */

static bool read_dtype(const char *entry, void *place)
{
    const char *name;

    for (int dtype = 0; (name = rowpool_dtype_name((rowpool_dtype)dtype)); dtype++) {
        if (!strcmp(name, entry)) {
            *(rowpool_dtype *)place = (rowpool_dtype)dtype;
            return true;
        }
    }
    bench_complain("--type: '%s' is no element type (see --help)", entry);
    return false;
}

static bool set_types(bench_options *options, const char *list)
{
    if (!strcmp(list, "all"))
        list = "int8,int16,int32,int64,uint8,uint16,uint32,uint64,float16,float32,float64";
    free(options->dtypes);
    options->dtypes = read_list(list, sizeof *options->dtypes, &options->dtype_count, read_dtype);
    return options->dtypes;
}

static bool read_shape(const char *entry, void *place)
{
    bench_shape *shape = place;
    char rows[24] = "";
    const char *colon = strchr(entry, ':');

    /* No size_t has as many digits as fill the buffer; leading zeros beyond it are refused with the rest. */
    if (colon && (size_t)(colon - entry) < sizeof rows)
        memcpy(rows, entry, (size_t)(colon - entry));
    if (!colon || !read_size(rows, &shape->rows) || !read_size(colon + 1, &shape->width) || !shape->rows ||
        !shape->width) {
        bench_complain("--shape: '%s' is no shape: give ROWS:LENGTH, two whole numbers from 1 on", entry);
        return false;
    }
    return true;
}

static bool set_shapes(bench_options *options, const char *list)
{
    free(options->shapes);
    options->shapes = read_list(list, sizeof *options->shapes, &options->shape_count, read_shape);
    return options->shapes;
}

static bool set_rounds(bench_options *options, const char *text)
{
    if (read_size(text, &options->rounds) && options->rounds >= 1 && options->rounds <= ROUNDS_MAX)
        return true;
    bench_complain("--rounds: '%s' is no whole number from 1 to %d", text, ROUNDS_MAX);
    return false;
}

static bool set_format(bench_options *options, const char *name)
{
    for (const bench_format *const *format = bench_formats; *format; format++) {
        if (!strcmp((*format)->name, name)) {
            options->format = *format;
            return true;
        }
    }
    bench_complain("--format: '%s' is none of table, csv, json, markdown", name);
    return false;
}

static bool set_devices(bench_options *options, const char *list)
{
    if (!*list)
        bench_complain("--device: no device is named");
    else if (options->balance)
        bench_complain("--device and --balance exclude each other");
    options->devices = list;
    return *list && !options->balance;
}

static bool set_balance(bench_options *options, const char *list)
{
    const bool is_free = !options->devices || options->balance;

    if (!is_free)
        bench_complain("--device and --balance exclude each other");
    else if (!strchr(list, ','))
        bench_complain("--balance: '%s' is one device: name two or more, with commas between", list);
    options->devices = list;
    options->balance = true;
    return is_free && strchr(list, ',');
}

static bool set_peers(bench_options *options, const char *list)
{
    if (!*list)
        bench_complain("--peers: no peer is named; 'none' stands for none");
    options->peers_named = strcmp(list, "all") && strcmp(list, "none");
    options->peers = !strcmp(list, "all") ? bench_peers_all : !strcmp(list, "none") ? "" : list;
    return *list;
}

/* Kinds of page. */
static const char report[] = "report", plot[] = "plot";

static bool set_page(bench_options *options, const char *kind, const char *path)
{
    if (!*path)
        bench_complain("--%s: no file is named", kind);
    else if (options->page_kind && options->page_kind != kind)
        bench_complain("--report and --plot exclude each other: the other can be made --from the results");
    else {
        options->page_kind = kind;
        options->page = path;
        return true;
    }
    return false;
}

static bool set_report(bench_options *options, const char *path)
{
    return set_page(options, report, path);
}

static bool set_plot(bench_options *options, const char *path)
{
    return set_page(options, plot, path);
}

static bool set_from(bench_options *options, const char *path)
{
    options->from = path;
    return true;
}

/* Not in the help: it is what a process/ peer starts. */
static bool set_first(bench_options *options, const char *text)
{
    options->is_first = bench_first_read(&options->first, text);
    if (!options->is_first)
        bench_complain("--first: '%s' is nothing that another rowpool-bench would say", text);
    return options->is_first;
}

static bool set_check(bench_options *options, const char *list)
{
    options->is_check = true;
    options->check.names = list;
    return !list || bench_check_names_are_known(list);
}

static bool set_scale(bench_options *options, const char *text)
{
    char *end;

    options->check.scale = strtod(text, &end);
    if (end != text && !*end && options->check.scale > 0 && options->check.scale <= 1)
        return true;
    bench_complain("--scale: '%s' is no number above 0 and up to 1", text);
    return false;
}

static bool set_width_step(bench_options *options, const char *text)
{
    if (read_size(text, &options->check.width_step) && options->check.width_step >= 1 &&
        options->check.width_step <= 64)
        return true;
    bench_complain("--width-step: '%s' is no whole number from 1 to 64", text);
    return false;
}

static bool read_ranks(const char *entry, void *place)
{
    enum { RANKS_MAX = 65536 };
    size_t *ranks = place;

    if (read_size(entry, ranks) && *ranks >= 1 && *ranks <= RANKS_MAX)
        return true;
    bench_complain("--ranks: '%s' is no whole number from 1 to %d", entry, RANKS_MAX);
    return false;
}

static bool set_ranks(bench_options *options, const char *list)
{
    free(options->ranks);
    options->ranks = read_list(list, sizeof *options->ranks, &options->rank_count, read_ranks);
    return options->ranks;
}

static bool set_launcher(bench_options *options, const char *text)
{
    options->launcher = text;
    return true;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

/* Options that take a value, in the order of the codes that getopt_long returns for them. */
typedef bool setter(bench_options *options, const char *text);

/* What each option goes with: a run that measures, --check, --from, --ranks. */
enum { OF_RUN = 1, OF_CHECK = 2, OF_FROM = 4, OF_RANKS = 8 };

static const struct {
    const char *name;
    int has_argument;
    setter *set;
    int uses;
} table[] = {
    {"device", required_argument, set_devices, OF_RUN},
    {"type", required_argument, set_types, OF_RUN | OF_RANKS},
    {"shape", required_argument, set_shapes, OF_RUN | OF_RANKS},
    {"rounds", required_argument, set_rounds, OF_RUN | OF_CHECK | OF_RANKS},
    {"format", required_argument, set_format, OF_RUN | OF_RANKS},
    {"balance", required_argument, set_balance, OF_RUN},
    {"peers", required_argument, set_peers, OF_RUN},
    {"first", required_argument, set_first, OF_RUN},
    {"report", required_argument, set_report, OF_RUN | OF_FROM},
    {"plot", required_argument, set_plot, OF_RUN | OF_FROM},
    {"from", required_argument, set_from, OF_FROM},
    {"check", optional_argument, set_check, OF_CHECK},
    {"scale", required_argument, set_scale, OF_CHECK},
    {"width-step", required_argument, set_width_step, OF_CHECK},
    {"ranks", required_argument, set_ranks, OF_RANKS},
    {"launcher", required_argument, set_launcher, OF_RANKS},
};
enum { SETTERS = sizeof table / sizeof table[0], CODE_SET = 256, CODE_HELP = 512, CODE_VERSION };

/* As getopt_long wants them; codes from CODE_SET on are places in the table. */
static void list_names(struct option names[SETTERS + 3])
{
    for (int i = 0; i < SETTERS; i++)
        names[i] = (struct option){table[i].name, table[i].has_argument, NULL, CODE_SET + i};
    names[SETTERS] = (struct option){"help", no_argument, NULL, CODE_HELP};
    names[SETTERS + 1] = (struct option){"version", no_argument, NULL, CODE_VERSION};
    names[SETTERS + 2] = (struct option){NULL, 0, NULL, 0};
}

/* What is to be done, and the option that says so; NULL: none does. */
static int use_of(const bench_options *options, const char **name)
{
    *name = options->is_check ? "check" : options->ranks ? "ranks" : options->from ? "from" : NULL;
    return options->is_check ? OF_CHECK : options->ranks ? OF_RANKS : options->from ? OF_FROM : OF_RUN;
}

/* Whether all options given go with it. */
static bool options_suit(const bench_options *options, const bool given[SETTERS])
{
    const char *name;
    const int use = use_of(options, &name);

    for (int i = 0; i < SETTERS; i++) {
        if (!given[i] || table[i].uses & use)
            continue;
        if (name)
            bench_complain("--%s and --%s exclude each other", table[i].name, name);
        else
            bench_complain("--%s needs --%s", table[i].name, table[i].uses & OF_RANKS ? "ranks" : "check");
        return false;
    }
    if (options->from && !options->page_kind) {
        bench_complain("--from needs --report or --plot");
        return false;
    }
    if (options->ranks && strcmp(options->format->name, "table") != 0 && strcmp(options->format->name, "json") != 0) {
        bench_complain("--format: with --ranks it is table or json");
        return false;
    }
    if (!options->is_check || options->check.scale < 1 || options->rounds >= ROUNDS_DEFAULT)
        return true;
    bench_complain("--check takes medians of at least %d rounds, but for --scale", ROUNDS_DEFAULT);
    return false;
}

static bench_request read_arguments(bench_options *options, int argc, char **argv)
{
    struct option names[SETTERS + 3];
    bool given[SETTERS] = {false};
    int code;

    list_names(names);
    while ((code = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (code == CODE_HELP)
            return BENCH_HELP;
        if (code == CODE_VERSION)
            return BENCH_VERSION;
        /* '?': getopt_long has said what is wrong. */
        if (code < CODE_SET || !table[code - CODE_SET].set(options, optarg))
            return BENCH_USAGE;
        given[code - CODE_SET] = true;
    }
    if (optind == argc)
        return options_suit(options, given) ? BENCH_RUN : BENCH_USAGE;
    bench_complain("'%s' is not an option (see --help)", argv[optind]);
    return BENCH_USAGE;
}

/* What depends on several options at once. */
static bool sizes_are_possible(const bench_options *options)
{
    rowpool_error error;
    size_t bytes;

    for (size_t i = 0; i < options->dtype_count; i++) {
        for (size_t j = 0; j < options->shape_count; j++) {
            if (bench_case_size(options->dtypes[i], &options->shapes[j], &bytes, &error)) {
                bench_complain("--shape: %s", error.message);
                return false;
            }
        }
    }
    return true;
}

/* Where no shape is given. */
static bool set_usual_shapes(bench_options *options)
{
    const bool is_report = options->page_kind == report;

    if (options->shapes)
        return true;
    if (is_report && !options->balance) {
        options->together = read_list(shapes_together, sizeof *options->together, &options->together_count, read_shape);
        if (!options->together)
            return false;
    }
    if (options->ranks)
        return set_shapes(options, shapes_of_ranks);
    return set_shapes(options, is_report ? shapes_of_report : options->page_kind ? shapes_of_plot : shapes_default);
}

/* The arguments side by side, quoted where the shell would not take them for words; NULL where there is no memory. */
static char *command_of(int argc, char **argv)
{
    static const char plain_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (int i = 0; i < argc && out; i++) {
        const bool plain = argv[i][0] && !argv[i][strspn(argv[i], plain_characters)];

        fputs(i ? " " : "", out);
        if (plain) {
            fputs(argv[i], out);
            continue;
        }
        fputc('\'', out);
        for (const char *at = argv[i]; *at; at++)
            fputs(*at == '\'' ? "'\\''" : (const char[]){*at, '\0'}, out);
        fputc('\'', out);
    }
    if (out)
        fclose(out);
    return text;
}

bench_request bench_options_read(bench_options *options, int argc, char **argv)
{
    bench_request request;

    *options = (bench_options){.format = bench_formats[0],
                               .rounds = ROUNDS_DEFAULT,
                               .peers = bench_peers_usual,
                               .launcher = "mpirun",
                               .check = {.scale = 1, .width_step = 1},
                               .command = command_of(argc, argv)};
    if (!set_types(options, types_default))
        return BENCH_USAGE;
    request = read_arguments(options, argc, argv);
    options->check.rounds = options->rounds;
    if (request == BENCH_RUN && !set_usual_shapes(options))
        return BENCH_USAGE;
    return request == BENCH_RUN && !sizes_are_possible(options) ? BENCH_USAGE : request;
}

void bench_options_free(bench_options *options)
{
    free(options->command);
    free(options->dtypes);
    free(options->shapes);
    free(options->together);
    free(options->ranks);
}
