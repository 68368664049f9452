#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- What several formats need ---------------------------------------------------------------------------------- */

/* Four digits and a unit that suits: "1.234 ms". */
typedef struct {
    char text[24];
} time_text;

static time_text show_time(double seconds)
{
    static const struct {
        double least, unit;
        const char *name;
    } units[] = {{1, 1, "s "}, {1e-3, 1e-3, "ms"}, {1e-6, 1e-6, "us"}, {0, 1e-9, "ns"}};
    time_text shown;
    size_t i = 0;

    while (seconds < units[i].least)
        i++;
    double value = seconds / units[i].unit;
    (void)snprintf(shown.text, sizeof shown.text, "%.*f %s",
                   value < 10    ? 3
                   : value < 100 ? 2
                                 : 1,
                   value, units[i].name);
    return shown;
}

static double gigabytes(const bench_result *result)
{
    return result->bytes_per_second / 1e9;
}

/* A part of a whole in per cent, "12.3", or what stands for no value. */
typedef struct {
    char text[24];
} figure_text;

static figure_text show_percent(double part, const char *none)
{
    figure_text shown;

    if (isnan(part))
        (void)snprintf(shown.text, sizeof shown.text, "%s", none);
    else
        (void)snprintf(shown.text, sizeof shown.text, "%.1f", 100 * part);
    return shown;
}

/* A ratio, "1.23", or what stands for none. */
static figure_text show_ratio(double ratio, const char *none)
{
    figure_text shown;

    if (isnan(ratio))
        (void)snprintf(shown.text, sizeof shown.text, "%s", none);
    else
        (void)snprintf(shown.text, sizeof shown.text, "%.2f", ratio);
    return shown;
}

/* The part of the rows that a device of a peer's has answered. */
static double share_of(const bench_peer *peer, size_t i)
{
    uint64_t all = 0;

    for (size_t k = 0; k < peer->n_shares; k++)
        all += peer->shares[k].rows;
    return all ? (double)peer->shares[i].rows / (double)all : 0;
}

/* "0:0 51.3 %, fork 48.7 %", of devices that work together. */
static void print_shares(const bench_peer *peer)
{
    for (size_t i = 0; i < peer->n_shares && peer->parts; i++)
        printf("%s%s %s %%", i ? ", " : "", peer->shares[i].device, show_percent(share_of(peer, i), "").text);
}

/* Name and value of what was measured on; the value of each line is text. */
typedef void line_function(const char *name, const char *value);

static void describe_machine(const bench_context *context, line_function *line)
{
    const bench_machine *machine = &context->machine;
    char text[128];

    line("processor", machine->cpu);
    (void)snprintf(text, sizeof text, "%zu cores, %zu usable", machine->cores, machine->usable);
    line("cores", text);
    (void)snprintf(text, sizeof text, "%.1f GB, transparent huge pages: %s", (double)machine->memory / 1e9,
                   machine->huge_pages);
    line("memory", text);
    line("compiler", bench_compiler());
    line("rowpool", rowpool_version());
    (void)snprintf(text, sizeof text, "range count 4..8 of digits 0..9 from SplitMix64, seed %" PRIu64, BENCH_SEED);
    line("work", text);
    (void)snprintf(text, sizeof text, "%zu, interleaved; every result verified", context->rounds);
    line("rounds", text);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

static void table_line(const char *name, const char *value)
{
    printf("%-11s%s\n", name, value);
}

void bench_print_machine(const bench_context *context)
{
    describe_machine(context, table_line);
}

static void table_begin(const bench_context *context)
{
    bench_print_machine(context);
    for (size_t i = 0; i < context->peers->count; i++) {
        const bench_peer *peer = &context->peers->items[i];

        printf("%-11s%-20s %s; %s\n", i ? "" : "peers", peer->label, peer->device, peer->driver);
    }
}

static void table_results(const bench_case *work, const bench_results *results, bool is_first)
{
    (void)is_first;
    printf("\n%s, %zu rows of %zu, %.6g MB\n", rowpool_dtype_name(work->dtype), work->rows, work->width,
           (double)work->bytes / 1e6);
    printf("%-20s %10s %10s %10s %10s %9s %10s %9s %8s %10s %12s\n", "peer", "median", "min", "p95", "first", "GB/s",
           "rows/s", "x serial", "% limit", "overhead %", "efficiency %");
    for (size_t i = 0; i < results->count; i++) {
        const bench_result *result = &results->items[i];

        printf("%-20s %10s %10s %10s %10s %9.3f %10.3e %9s %8s %10s %12s\n", result->peer->label,
               show_time(result->median).text, show_time(result->min).text, show_time(result->p95).text,
               show_time(result->first).text, gigabytes(result), result->rows_per_second,
               show_ratio(result->ratio, "-").text, show_percent(result->of_limit, "-").text,
               show_percent(result->overhead, "-").text, show_percent(result->efficiency, "-").text);
        if (result->peer->parts) {
            printf("%-20s ", "  rows of each");
            print_shares(result->peer);
            putchar('\n');
        }
    }
}

static void table_end(void)
{
}

static const bench_format table = {"table", table_begin, table_results, table_end};

/* ---- Comma-separated -------------------------------------------------------------------------------------------- */

static void csv_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    fputs("\",", stdout);
}

/* Seconds; nothing where there are none. */
static void csv_stage(double seconds)
{
    if (!isnan(seconds))
        printf("%.9g", seconds);
    putchar(',');
}

static void csv_begin(const bench_context *context)
{
    (void)context;
    puts("peer,device,driver,type,rows,width,bytes,rounds,iterations,median_s,min_s,p95_s,first_s,cpu_s,"
         "upload_s,kernel_s,read_s,bytes_per_second,rows_per_second,ratio_to_serial,limit_percent,overhead_percent,"
         "efficiency_percent,shares");
}

static void csv_results(const bench_case *work, const bench_results *results, bool is_first)
{
    (void)is_first;
    for (size_t i = 0; i < results->count; i++) {
        const bench_result *result = &results->items[i];

        csv_text(result->peer->label);
        csv_text(result->peer->device);
        csv_text(result->peer->driver);
        printf("%s,%zu,%zu,%zu,%zu,%zu,%.9g,%.9g,%.9g,%.9g,%.9g,", rowpool_dtype_name(work->dtype), work->rows,
               work->width, work->bytes, result->rounds, result->iterations, result->median, result->min, result->p95,
               result->first, result->cpu_median);
        csv_stage(result->stages.upload);
        csv_stage(result->stages.kernel);
        csv_stage(result->stages.read);
        printf("%.9g,%.9g,%s,%s,%s,%s,\"", result->bytes_per_second, result->rows_per_second,
               show_ratio(result->ratio, "").text, show_percent(result->of_limit, "").text,
               show_percent(result->overhead, "").text, show_percent(result->efficiency, "").text);
        print_shares(result->peer);
        puts("\"");
    }
}

static void csv_end(void)
{
}

static const bench_format csv = {"csv", csv_begin, csv_results, csv_end};

/* ---- JSON, in the shape of Google Benchmark: an entry for each round, then their median ------------------------- */

static void json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < 0x20)
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static void json_line(const char *name, const char *value)
{
    printf("    \"%s\": ", name);
    json_text(value);
    puts(",");
}

static void json_begin(const bench_context *context)
{
    puts("{\n  \"context\": {");
    json_line("executable", BENCH_PROGRAM);
    describe_machine(context, json_line);
#ifdef NDEBUG
    json_line("library_build_type", "release");
#else
    json_line("library_build_type", "debug");
#endif
    printf("    \"num_cpus\": %zu\n  },\n  \"benchmarks\": [", context->machine.cores);
}

static void json_member(const char *name, const char *value)
{
    printf("      \"%s\": ", name);
    json_text(value);
    puts(",");
}

/* What every entry has. suffix: "" for a round, the aggregate's name otherwise. */
static void json_common(const bench_case *work, const bench_result *result, const char *suffix)
{
    char run[128], name[sizeof run + 16];

    (void)snprintf(run, sizeof run, "range_count/%s/%zu:%zu/%s", rowpool_dtype_name(work->dtype), work->rows,
                   work->width, result->peer->label);
    (void)snprintf(name, sizeof name, "%s%s%s", run, suffix[0] ? "_" : "", suffix);
    json_member("name", name);
    json_member("run_name", run);
    json_member("run_type", suffix[0] ? "aggregate" : "iteration");
    json_member("peer", result->peer->label);
    json_member("device", result->peer->device);
    json_member("driver", result->peer->driver);
    json_member("dtype", rowpool_dtype_name(work->dtype));
    printf("      \"rows\": %zu,\n      \"width\": %zu,\n      \"bytes\": %zu,\n", work->rows, work->width,
           work->bytes);
    printf("      \"repetitions\": %zu,\n      \"threads\": 1,\n", result->rounds);
}

static void json_times(const bench_case *work, double real, double cpu)
{
    printf("      \"real_time\": %.9g,\n      \"cpu_time\": %.9g,\n      \"time_unit\": \"ns\",\n", real * 1e9,
           cpu * 1e9);
    printf("      \"bytes_per_second\": %.9g,\n      \"items_per_second\": %.9g", (double)work->bytes / real,
           (double)work->rows / real);
}

static void json_round(const bench_case *work, const bench_result *result, size_t round)
{
    puts("    {");
    json_common(work, result, "");
    printf("      \"repetition_index\": %zu,\n      \"iterations\": %zu,\n", round, result->iterations);
    json_times(work, result->samples[round].real, result->samples[round].cpu);
    puts("\n    },");
}

static void json_balance(const bench_result *result)
{
    const bench_peer *peer = result->peer;

    printf(",\n      \"efficiency\": %.9g,\n      \"shares\": {", result->efficiency);
    for (size_t i = 0; i < peer->n_shares; i++)
        printf("%s\"%s\": %.9g", i ? ", " : "", peer->shares[i].device, share_of(peer, i));
    putchar('}');
}

/* One more member, where there is a value. */
static void json_figure(const char *name, double value)
{
    if (!isnan(value))
        printf(",\n      \"%s\": %.9g", name, value);
}

static void json_median(const bench_case *work, const bench_result *result)
{
    puts("    {");
    json_common(work, result, "median");
    json_member("aggregate_name", "median");
    json_member("aggregate_unit", "time");
    printf("      \"iterations\": %zu,\n", result->rounds);
    json_times(work, result->median, result->cpu_median);
    printf(",\n      \"min_time\": %.9g,\n      \"p95_time\": %.9g,\n      \"first_time\": %.9g", result->min * 1e9,
           result->p95 * 1e9, result->first * 1e9);
    json_figure("upload_time", result->stages.upload * 1e9);
    json_figure("kernel_time", result->stages.kernel * 1e9);
    json_figure("read_time", result->stages.read * 1e9);
    json_figure("ratio_to_serial", result->ratio);
    json_figure("part_of_limit", result->of_limit);
    json_figure("overhead", result->overhead);
    if (!isnan(result->efficiency))
        json_balance(result);
    fputs("\n    }", stdout);
}

static void json_results(const bench_case *work, const bench_results *results, bool is_first)
{
    for (size_t i = 0; i < results->count; i++) {
        puts(is_first && i == 0 ? "" : ",");
        for (size_t round = 0; round < results->items[i].rounds; round++)
            json_round(work, &results->items[i], round);
        json_median(work, &results->items[i]);
    }
}

static void json_end(void)
{
    puts("\n  ]\n}");
}

static const bench_format json = {"json", json_begin, json_results, json_end};

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

static void markdown_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

static void markdown_line(const char *name, const char *value)
{
    printf("- %s: ", name);
    markdown_text(value);
    putchar('\n');
}

static void markdown_begin(const bench_context *context)
{
    describe_machine(context, markdown_line);
    puts("\n| peer | device | driver |\n|---|---|---|");
    for (size_t i = 0; i < context->peers->count; i++) {
        const bench_peer *peer = &context->peers->items[i];

        printf("| %s | ", peer->label);
        markdown_text(peer->device);
        fputs(" | ", stdout);
        markdown_text(peer->driver);
        puts(" |");
    }
    puts("\n| type | shape | peer | median | min | p95 | first | GB/s | rows/s | x serial | % limit | "
         "overhead % | efficiency % | rows of each |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
}

static void markdown_results(const bench_case *work, const bench_results *results, bool is_first)
{
    (void)is_first;
    for (size_t i = 0; i < results->count; i++) {
        const bench_result *result = &results->items[i];

        printf("| %s | %zu:%zu | %s | %s | %s | %s | %s | %.3f | %.3e | %s | %s | %s | %s | ",
               rowpool_dtype_name(work->dtype), work->rows, work->width, result->peer->label,
               show_time(result->median).text, show_time(result->min).text, show_time(result->p95).text,
               show_time(result->first).text, gigabytes(result), result->rows_per_second,
               show_ratio(result->ratio, "").text, show_percent(result->of_limit, "").text,
               show_percent(result->overhead, "").text, show_percent(result->efficiency, "").text);
        print_shares(result->peer);
        puts(" |");
    }
}

static void markdown_end(void)
{
}

static const bench_format markdown = {"markdown", markdown_begin, markdown_results, markdown_end};

const bench_format *const bench_formats[] = {&table, &csv, &json, &markdown, NULL};
