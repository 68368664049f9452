#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_DEFAULT = 7, ROUNDS_MAX = 100000 };

static const char types_default[] = "int32";
static const char shapes_default[] = "200000:5,1000000:64,65536:1024";

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
    "                         opencl/         a raw OpenCL program on the same devices\n"
    "  --type LIST|all      element types: int8 int16 int32 int64 uint8 uint16 uint32 uint64\n"
    "                       float16 float32 float64 (default: int32)\n"
    "  --shape R:C,...      rows and their length (default: 200000:5,1000000:64,65536:1024)\n"
    "  --rounds N           timed rounds (default: 7)\n"
    "  --format FORMAT      table, csv, json (as Google Benchmark writes it) or markdown\n"
    "                       (default: table)\n"
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

/* Not in the help: it is what a process/ peer starts. */
static bool set_first(bench_options *options, const char *text)
{
    options->is_first = bench_first_read(&options->first, text);
    if (!options->is_first)
        bench_complain("--first: '%s' is nothing that another rowpool-bench would say", text);
    return options->is_first;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

/* Options that take a value, in the order of the codes that getopt_long returns for them. */
static bool (*const setters[])(bench_options *, const char *) = {set_devices, set_types,   set_shapes, set_rounds,
                                                                 set_format,  set_balance, set_peers,  set_first};
enum { CODE_SET = 256, CODE_HELP = 512, CODE_VERSION };

static const struct option names[] = {{"device", required_argument, NULL, CODE_SET + 0},
                                      {"type", required_argument, NULL, CODE_SET + 1},
                                      {"shape", required_argument, NULL, CODE_SET + 2},
                                      {"rounds", required_argument, NULL, CODE_SET + 3},
                                      {"format", required_argument, NULL, CODE_SET + 4},
                                      {"balance", required_argument, NULL, CODE_SET + 5},
                                      {"peers", required_argument, NULL, CODE_SET + 6},
                                      {"first", required_argument, NULL, CODE_SET + 7},
                                      {"help", no_argument, NULL, CODE_HELP},
                                      {"version", no_argument, NULL, CODE_VERSION},
                                      {NULL, 0, NULL, 0}};

_Static_assert(sizeof names / sizeof names[0] == sizeof setters / sizeof setters[0] + 3,
               "every option but --help and --version has a setter");

static bench_request read_arguments(bench_options *options, int argc, char **argv)
{
    int code;

    while ((code = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (code == CODE_HELP)
            return BENCH_HELP;
        if (code == CODE_VERSION)
            return BENCH_VERSION;
        /* '?': getopt_long has said what is wrong. */
        if (code < CODE_SET || !setters[code - CODE_SET](options, optarg))
            return BENCH_USAGE;
    }
    if (optind == argc)
        return BENCH_RUN;
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

bench_request bench_options_read(bench_options *options, int argc, char **argv)
{
    bench_request request;

    *options = (bench_options){.format = bench_formats[0], .rounds = ROUNDS_DEFAULT, .peers = bench_peers_usual};
    if (!set_types(options, types_default) || !set_shapes(options, shapes_default))
        return BENCH_USAGE;
    request = read_arguments(options, argc, argv);
    return request == BENCH_RUN && !sizes_are_possible(options) ? BENCH_USAGE : request;
}

void bench_options_free(bench_options *options)
{
    free(options->dtypes);
    free(options->shapes);
}
