#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loops.h"

/* ---- Figures ---------------------------------------------------------------------------------------------------- */

typedef enum { TIME, GIGABYTES, ROWS, RATIO, PERCENT } figure_unit;

/* Every figure of a result, once. head, width: its column in tables; NULL: it has none. */
static const struct {
    const char *head;
    int width;
    figure_unit unit;
    const char *csv, *json;
    size_t offset;
} figures[] = {
    {"median", 10, TIME, "median_s", "real_time", offsetof(bench_result, median)},
    {"min", 10, TIME, "min_s", "min_time", offsetof(bench_result, min)},
    {"p95", 10, TIME, "p95_s", "p95_time", offsetof(bench_result, p95)},
    {"first", 10, TIME, "first_s", "first_time", offsetof(bench_result, first)},
    {NULL, 0, TIME, "cpu_s", "cpu_time", offsetof(bench_result, cpu)},
    {NULL, 0, TIME, "upload_s", "upload_time", offsetof(bench_result, stages.upload)},
    {NULL, 0, TIME, "kernel_s", "kernel_time", offsetof(bench_result, stages.kernel)},
    {NULL, 0, TIME, "read_s", "read_time", offsetof(bench_result, stages.read)},
    {"GB/s", 9, GIGABYTES, "bytes_per_second", "bytes_per_second", offsetof(bench_result, bytes_per_second)},
    {"rows/s", 10, ROWS, "rows_per_second", "items_per_second", offsetof(bench_result, rows_per_second)},
    {"x serial", 9, RATIO, "ratio_to_serial", "ratio_to_serial", offsetof(bench_result, ratio)},
    {"% limit", 8, PERCENT, "limit_percent", "part_of_limit", offsetof(bench_result, of_limit)},
    {"overhead %", 10, PERCENT, "overhead_percent", "overhead", offsetof(bench_result, overhead)},
    {"efficiency %", 12, PERCENT, "efficiency_percent", "efficiency", offsetof(bench_result, efficiency)},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static double figure_of(const bench_result *result, size_t i)
{
    double value;

    memcpy(&value, (const char *)result + figures[i].offset, sizeof value);
    return value;
}

/* "12.3 ms": at least four digits. */
static void print_time(char *text, size_t size, double seconds)
{
    static const char *const units[] = {"s ", "ms", "us", "ns"};
    size_t i = 0;

    for (; seconds < 1 && i < 3; i++)
        seconds *= 1e3;
    (void)snprintf(text, size, "%.*f %s", seconds < 10 ? 3 : seconds < 100 ? 2 : 1, seconds, units[i]);
}

/* none: what stands for no value. */
static const char *show(char text[24], figure_unit unit, double value, const char *none)
{
    if (isnan(value))
        return none;
    if (unit == TIME)
        print_time(text, 24, value);
    else if (unit == GIGABYTES)
        (void)snprintf(text, 24, "%.3f", value / 1e9);
    else if (unit == ROWS)
        (void)snprintf(text, 24, "%.3e", value);
    else if (unit == RATIO)
        (void)snprintf(text, 24, "%.2f", value);
    else
        (void)snprintf(text, 24, "%.1f", 100 * value);
    return text;
}

/* The part of the rows that a device answered. */
static double part_of_rows(const bench_peer *peer, size_t device)
{
    uint64_t all = 0;

    for (size_t i = 0; i < peer->share_count; i++)
        all += peer->shares[i].rows;
    return all > 0 ? (double)peer->shares[device].rows / (double)all : 0;
}

/* "0:0 51.3 %, fork 48.7 %" of devices that work together. */
static void print_shares(const bench_peer *peer)
{
    for (size_t i = 0; i < peer->share_count && peer->parts > 0; i++)
        printf("%s%s %.1f %%", i > 0 ? ", " : "", peer->shares[i].device, 100 * part_of_rows(peer, i));
}

/* ---- The context ------------------------------------------------------------------------------------------------ */

/* Text from outside: of what is no UTF-8 the ASCII characters are kept. */
static json_t *text_of(const char *from)
{
    json_t *string = json_string(from);
    char *copy = string == NULL ? strdup(from) : NULL;

    for (char *at = copy; at != NULL && *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    if (copy != NULL)
        string = json_string(copy);
    free(copy);
    return string;
}

static void set_text(json_t *object, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void set_text(json_t *object, const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) >= 0)
        (void)json_object_set_new(object, name, text_of(text));
    va_end(arguments);
    free(text);
}

json_t *bench_record_new(const bench_context *context)
{
#ifdef NDEBUG
    static const char build[] = "release";
#else
    static const char build[] = "debug";
#endif
    const time_t now = time(NULL);
    char date[32];
    bench_machine machine;
    json_t *about;

    bench_machine_read(&machine);
    (void)strftime(date, sizeof date, "%FT%TZ", gmtime(&now));
    about = json_pack("{s:s, s:s, s:I}", "executable", BENCH_PROGRAM, "library_build_type", build, "num_cpus",
                      (json_int_t)machine.cores);
    set_text(about, "command", "%s", context->command);
    set_text(about, "date", "%s", date);
    set_text(about, "processor", "%s", machine.cpu);
    set_text(about, "cores", "%zu cores, %zu usable", machine.cores, machine.usable);
    set_text(about, "memory", "%.1f GB, transparent huge pages: %s", (double)machine.memory / 1e9, machine.huge_pages);
    set_text(about, "compiler", "%s", bench_loops_own.version);
    set_text(about, "rowpool", "%s", rowpool_version());
    set_text(about, "work", "range count 4..8 of digits 0..9 from SplitMix64, seed %" PRIu64, BENCH_SEED);
    set_text(about, "rounds", "%zu, interleaved; every result verified", context->rounds);
    return json_pack("{s:o, s:[]}", "context", about, "benchmarks");
}

/* ---- Table and Markdown: the same, put differently -------------------------------------------------------------- */

/* Characters that Markdown takes for its own are escaped. */
static void print_text(const char *text, bool markdown)
{
    for (; *text != '\0'; text++)
        printf("%s%c", markdown && strchr("|\\", *text) != NULL ? "\\" : "", *text);
}

static void print_context(const bench_context *context, bool markdown)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(context->record, "context"), name, value)
    {
        const char *text = json_string_value(value);

        /* What only the JSON has: Google Benchmark's members. */
        if (text == NULL || strcmp(name, "executable") == 0 || strcmp(name, "library_build_type") == 0)
            continue;
        printf(markdown ? "- %s: " : "%-11s", name);
        print_text(text, markdown);
        putchar('\n');
    }
    if (markdown)
        puts("\n| peer | device | driver |\n|---|---|---|");
    for (size_t i = 0; i < context->peers->count; i++) {
        const bench_peer *peer = &context->peers->items[i];

        if (markdown)
            printf("| %s | ", peer->label);
        else
            printf("%-11s%-20s ", i > 0 ? "" : "peers", peer->label);
        print_text(peer->device, markdown);
        fputs(markdown ? " | " : "; ", stdout);
        print_text(peer->driver, markdown);
        puts(markdown ? " |" : "");
    }
}

/* The heads, or the figures of a result. */
static void print_cells(const bench_result *result, bool markdown)
{
    for (size_t k = 0; k < FIGURES; k++) {
        char text[24];
        const char *cell = figures[k].head;

        if (cell == NULL)
            continue;
        if (result != NULL)
            cell = show(text, figures[k].unit, figure_of(result, k), markdown ? "" : "-");
        printf(markdown ? " %*s |" : " %*s", markdown ? 0 : figures[k].width, cell);
    }
}

static void table_begin(const bench_context *context)
{
    print_context(context, false);
}

static void table_results(const bench_case *work, const bench_results *results)
{
    char shape[BENCH_SHAPE_SIZE];

    bench_shape_print(&work->shape, shape);
    printf("\n%s, %s, %.6g MB\n%-20s", rowpool_dtype_name(work->dtype), shape, (double)work->bytes / 1e6, "peer");
    print_cells(NULL, false);
    putchar('\n');
    for (size_t i = 0; i < results->count; i++) {
        const bench_peer *peer = results->items[i].peer;

        printf("%-20s", peer->label);
        print_cells(&results->items[i], false);
        fputs(peer->parts > 0 ? "\n  rows of each       " : "", stdout);
        print_shares(peer);
        putchar('\n');
    }
}

static void markdown_begin(const bench_context *context)
{
    print_context(context, true);
    fputs("\n| type | shape | peer |", stdout);
    print_cells(NULL, true);
    puts(" rows of each |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
}

static void markdown_results(const bench_case *work, const bench_results *results)
{
    char shape[BENCH_SHAPE_SIZE];

    bench_shape_print(&work->shape, shape);
    for (size_t i = 0; i < results->count; i++) {
        printf("| %s | %s | %s |", rowpool_dtype_name(work->dtype), shape, results->items[i].peer->label);
        print_cells(&results->items[i], true);
        putchar(' ');
        print_shares(results->items[i].peer);
        puts(" |");
    }
}

/* ---- Comma-separated -------------------------------------------------------------------------------------------- */

static void csv_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++)
        fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, stdout);
    fputs("\",", stdout);
}

static void csv_begin(const bench_context *context)
{
    fputs("peer,device,driver,type,rows,width,bytes,rounds,iterations,", stdout);
    for (size_t k = 0; k < FIGURES; k++)
        printf("%s,", figures[k].csv);
    puts("shares");
}

static void csv_results(const bench_case *work, const bench_results *results)
{
    for (size_t i = 0; i < results->count; i++) {
        const bench_result *result = &results->items[i];
        char text[24];

        csv_text(result->peer->label);
        csv_text(result->peer->device);
        csv_text(result->peer->driver);
        printf("%s,%zu,%zu,%zu,%zu,%zu,", rowpool_dtype_name(work->dtype), work->shape.rows, work->shape.width,
               work->bytes, result->rounds, result->iterations);
        for (size_t k = 0; k < FIGURES; k++) {
            const double value = figure_of(result, k);

            if (figures[k].unit >= RATIO)
                fputs(show(text, figures[k].unit, value, ""), stdout);
            else if (!isnan(value))
                printf("%.9g", value);
            putchar(',');
        }
        putchar('"');
        print_shares(result->peer);
        puts("\"");
    }
}

/* ---- JSON: all of it at the end --------------------------------------------------------------------------------- */

/* What is no number is left out. */
static void set_number(json_t *entry, const char *name, double value)
{
    if (isfinite(value))
        (void)json_object_set_new(entry, name, json_real(value));
}

/* What every entry has. suffix: "" for a round, the aggregate's name otherwise. */
static json_t *entry_of(const bench_case *work, const bench_result *result, const char *suffix)
{
    const bench_peer *peer = result->peer;
    const bench_shape *shape = &work->shape;
    char shape_name[BENCH_SHAPE_SIZE], run[192];
    json_t *entry;

    bench_shape_print(shape, shape_name);
    BENCH_PRINT(run, "range_count/%s/%s/%s", rowpool_dtype_name(work->dtype), shape_name, peer->label);
    entry = json_pack("{s:o, s:s, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:i, s:s}", "run_name", text_of(run),
                      "run_type", suffix[0] != '\0' ? "aggregate" : "iteration", "peer", text_of(peer->label), "device",
                      text_of(peer->device), "driver", text_of(peer->driver), "dtype", rowpool_dtype_name(work->dtype),
                      "rows", (json_int_t)shape->rows, "width", (json_int_t)shape->width, "bytes",
                      (json_int_t)work->bytes, "repetitions", (json_int_t)result->rounds, "threads", 1, "time_unit",
                      "ns");
    strncat(run, suffix, sizeof run - strlen(run) - 1);
    (void)json_object_set_new(entry, "name", text_of(run));
    if (shape->layout != BENCH_DENSE)
        (void)json_object_set_new(entry, "layout", json_string(bench_layout_names[shape->layout]));
    if (shape->ranges > 1)
        (void)json_object_set_new(entry, "ranges", json_integer((json_int_t)shape->ranges));
    return entry;
}

static json_t *round_of(const bench_case *work, const bench_result *result, size_t round)
{
    const bench_sample *sample = &result->samples[round];
    json_t *entry = entry_of(work, result, "");

    (void)json_object_set_new(entry, "repetition_index", json_integer((json_int_t)round));
    (void)json_object_set_new(entry, "iterations", json_integer((json_int_t)result->iterations));
    set_number(entry, "real_time", sample->real * 1e9);
    set_number(entry, "cpu_time", sample->cpu * 1e9);
    set_number(entry, "bytes_per_second", (double)work->bytes / sample->real);
    set_number(entry, "items_per_second", (double)work->shape.rows / sample->real);
    return entry;
}

static json_t *median_of(const bench_case *work, const bench_result *result)
{
    const bench_peer *peer = result->peer;
    json_t *entry = entry_of(work, result, "_median"), *shares = peer->parts > 0 ? json_object() : NULL;

    (void)json_object_set_new(entry, "aggregate_name", json_string("median"));
    (void)json_object_set_new(entry, "aggregate_unit", json_string("time"));
    (void)json_object_set_new(entry, "iterations", json_integer((json_int_t)result->rounds));
    for (size_t k = 0; k < FIGURES; k++)
        set_number(entry, figures[k].json, figure_of(result, k) * (figures[k].unit == TIME ? 1e9 : 1));
    for (size_t i = 0; i < peer->share_count && shares != NULL; i++)
        set_number(shares, peer->shares[i].device, part_of_rows(peer, i));
    if (shares != NULL)
        (void)json_object_set_new(entry, "shares", shares);
    return entry;
}

bool bench_record_add(json_t *record, const bench_case *work, const bench_results *results)
{
    json_t *list = json_object_get(record, "benchmarks");
    bool good = true;

    for (size_t i = 0; i < results->count && good; i++) {
        const bench_result *result = &results->items[i];

        for (size_t round = 0; round < result->rounds && good; round++)
            good = json_array_append_new(list, round_of(work, result, round)) == 0;
        good = good && json_array_append_new(list, median_of(work, result)) == 0;
    }
    return good;
}

bool bench_record_write(const json_t *record, FILE *file)
{
    return json_dumpf(record, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', file) != EOF &&
           fflush(file) == 0;
}

/* What is wrong is seen on stdout too. */
static void json_end(const bench_context *context)
{
    (void)bench_record_write(context->record, stdout);
}

const bench_format bench_formats[] = {
    {.name = "table", .begin = table_begin, .results = table_results},
    {.name = "csv", .begin = csv_begin, .results = csv_results},
    {.name = "json", .end = json_end},
    {.name = "markdown", .begin = markdown_begin, .results = markdown_results},
    {.name = NULL},
};
