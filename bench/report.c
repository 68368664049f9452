#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "loops.h"

/* ---- Figures ---------------------------------------------------------------------------------------------------- */

typedef enum { TIME, GIGABYTES, ROWS, RATIO, PERCENT } figure_unit;

/* All figures of a result. head, width: the column in the table; NULL: it has none. */
static const struct {
    const char *head;
    int width;
    figure_unit unit;
    const char *json;
    size_t offset;
} figures[] = {
    {"median", 10, TIME, "real_time", offsetof(bench_result, median)},
    {"min", 10, TIME, "min_time", offsetof(bench_result, min)},
    {"p95", 10, TIME, "p95_time", offsetof(bench_result, p95)},
    {"first", 10, TIME, "first_time", offsetof(bench_result, first)},
    {NULL, 0, TIME, "cpu_time", offsetof(bench_result, cpu)},
    {"GB/s", 9, GIGABYTES, "bytes_per_second", offsetof(bench_result, bytes_per_second)},
    {"rows/s", 10, ROWS, "items_per_second", offsetof(bench_result, rows_per_second)},
    {"x serial", 9, RATIO, "ratio_to_serial", offsetof(bench_result, ratio)},
    {"% limit", 8, PERCENT, "part_of_limit", offsetof(bench_result, of_limit)},
    {"overhead %", 10, PERCENT, "overhead", offsetof(bench_result, overhead)},
    {"efficiency %", 12, PERCENT, "efficiency", offsetof(bench_result, efficiency)},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static double figure_of(const bench_result *result, size_t i)
{
    double value;

    memcpy(&value, (const char *)result + figures[i].offset, sizeof value);
    return value;
}

/* The part of the rows that a device answered. */
static double part_of_rows(const bench_peer *peer, size_t device)
{
    uint64_t all = 0;

    for (size_t i = 0; i < peer->share_count; i++)
        all += peer->shares[i].rows;
    return all > 0 ? (double)peer->shares[device].rows / (double)all : 0;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

/* "12.34 ms": at least four digits. */
static void format_time(char text[24], double seconds)
{
    static const char *const units[] = {"s ", "ms", "us", "ns"};
    size_t i = 0;

    for (; seconds < 1 && i < 3; i++)
        seconds *= 1e3;
    (void)snprintf(text, 24, "%.*f %s", seconds < 10 ? 3 : seconds < 100 ? 2 : 1, seconds, units[i]);
}

static void format_figure(char text[24], figure_unit unit, double value)
{
    if (isnan(value))
        (void)strcpy(text, "-");
    else if (unit == TIME)
        format_time(text, value);
    else if (unit == GIGABYTES)
        (void)snprintf(text, 24, "%.3f", value / 1e9);
    else if (unit == ROWS)
        (void)snprintf(text, 24, "%.3e", value);
    else if (unit == RATIO)
        (void)snprintf(text, 24, "%.2f", value);
    else
        (void)snprintf(text, 24, "%.1f", 100 * value);
}

void bench_table_begin(const json_t *record, const bench_peers *peers)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(record, "context"), name, value)
    {
        /* These members are only for Google Benchmark's tools. */
        if (json_is_string(value) && strcmp(name, "executable") != 0 && strcmp(name, "library_build_type") != 0)
            printf("%-11s%s\n", name, json_string_value(value));
    }
    for (size_t i = 0; i < peers->count; i++)
        printf("%-11s%-20s %s; %s\n", i > 0 ? "" : "peers", peers->items[i].label, peers->items[i].device,
               peers->items[i].driver);
}

void bench_table_add(const bench_case *work, const bench_results *results)
{
    char shape[BENCH_SHAPE_SIZE], cell[24];

    bench_shape_print(&work->shape, shape);
    printf("\n%s, %s, %.6g MB\n%-20s", rowpool_dtype_name(work->dtype), shape, (double)work->bytes / 1e6, "peer");
    for (size_t k = 0; k < FIGURES; k++)
        if (figures[k].head != NULL)
            printf(" %*s", figures[k].width, figures[k].head);
    for (size_t i = 0; i < results->count; i++) {
        const bench_peer *peer = results->items[i].peer;

        printf("\n%-20s", peer->label);
        for (size_t k = 0; k < FIGURES; k++) {
            format_figure(cell, figures[k].unit, figure_of(&results->items[i], k));
            if (figures[k].head != NULL)
                printf(" %*s", figures[k].width, cell);
        }
        for (size_t k = 0; k < peer->share_count && peer->parts > 0; k++)
            printf("%s%s %.1f %%", k > 0 ? ", " : "\n  rows of each       ", peer->shares[k].device,
                   100 * part_of_rows(peer, k));
    }
    putchar('\n');
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* Sets a text member. If the text is not UTF-8, other characters than ASCII become question marks. */
__attribute__((format(printf, 3, 4))) static void set_text(json_t *object, const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    json_t *string;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    string = json_string(text);
    for (char *at = text; string == NULL && at != NULL && *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    (void)json_object_set_new(object, name, string != NULL ? string : json_string(text));
    free(text);
}

json_t *bench_record_new(const char *command, size_t rounds)
{
#ifdef NDEBUG
    static const char build[] = "release";
#else
    static const char build[] = "debug";
#endif
    const time_t now = time(NULL);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    char date[32], cpu[BENCH_CPU_SIZE];
    json_t *about;

    bench_cpu_name(cpu);
    (void)strftime(date, sizeof date, "%FT%TZ", gmtime(&now));
    about = json_pack("{s:s, s:s, s:I}", "executable", BENCH_PROGRAM, "library_build_type", build, "num_cpus",
                      (json_int_t)cores);
    set_text(about, "command", "%s", command);
    set_text(about, "date", "%s", date);
    set_text(about, "processor", "%s", cpu);
    set_text(about, "cores", "%ld cores, %zu usable", cores, (size_t)rowpool_cpu_count());
    set_text(about, "memory", "%.1f GB", memory / 1e9);
    set_text(about, "compiler", "%s", bench_loops_own.version);
    set_text(about, "rowpool", "%s", rowpool_version());
    set_text(about, "work", "range count 4..8 of digits 0..9 from SplitMix64, seed %" PRIu64, BENCH_SEED);
    set_text(about, "rounds", "%zu, interleaved; every result verified", rounds);
    return json_pack("{s:o, s:[]}", "context", about, "benchmarks");
}

/* JSON has no NAN. */
static void set_number(json_t *entry, const char *name, double value)
{
    if (isfinite(value))
        (void)json_object_set_new(entry, name, json_real(value));
}

/* The members that all entries have. suffix: "" for a round, "_median" for the medians. */
static json_t *entry_of(const bench_case *work, const bench_result *result, const char *suffix)
{
    const bench_peer *peer = result->peer;
    const bench_shape *shape = &work->shape;
    const char *const dtype = rowpool_dtype_name(work->dtype);
    const char *const type = suffix[0] != '\0' ? "aggregate" : "iteration";
    char shape_name[BENCH_SHAPE_SIZE], run[192];
    json_t *entry = json_object();

    bench_shape_print(shape, shape_name);
    BENCH_PRINT(run, "range_count/%s/%s/%s", dtype, shape_name, peer->label);
    set_text(entry, "name", "%s%s", run, suffix);
    set_text(entry, "run_name", "%s", run);
    set_text(entry, "peer", "%s", peer->label);
    set_text(entry, "device", "%s", peer->device);
    set_text(entry, "driver", "%s", peer->driver);
    (void)json_object_update_new(entry, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i}", "run_type", type, "dtype",
                                                  dtype, "time_unit", "ns", "rows", (json_int_t)shape->rows, "width",
                                                  (json_int_t)shape->width, "bytes", (json_int_t)work->bytes,
                                                  "repetitions", (json_int_t)result->rounds, "threads", 1));
    if (shape->ragged)
        set_text(entry, "layout", "zipf");
    if (shape->ranges > 1)
        (void)json_object_set_new(entry, "ranges", json_integer((json_int_t)shape->ranges));
    return entry;
}

static json_t *round_entry(const bench_case *work, const bench_result *result, size_t round)
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

static json_t *median_entry(const bench_case *work, const bench_result *result)
{
    const bench_peer *peer = result->peer;
    json_t *entry = entry_of(work, result, "_median"), *shares = peer->parts > 0 ? json_object() : NULL;

    set_text(entry, "aggregate_name", "median");
    set_text(entry, "aggregate_unit", "time");
    (void)json_object_set_new(entry, "iterations", json_integer((json_int_t)result->rounds));
    for (size_t k = 0; k < FIGURES; k++)
        set_number(entry, figures[k].json, figure_of(result, k) * (figures[k].unit == TIME ? 1e9 : 1));
    set_number(entry, "upload_time", peer->stages.upload * 1e9);
    set_number(entry, "kernel_time", peer->stages.kernel * 1e9);
    set_number(entry, "read_time", peer->stages.read * 1e9);
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
            good = json_array_append_new(list, round_entry(work, result, round)) == 0;
        good = good && json_array_append_new(list, median_entry(work, result)) == 0;
    }
    return good;
}

void bench_record_print(const json_t *record)
{
    /* A failure sets the stream's error flag, which flush_output checks. */
    (void)json_dumpf(record, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
}
