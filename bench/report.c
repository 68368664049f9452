#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "record.h"

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

double bench_share_of(const bench_peer *peer, size_t i)
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
        printf("%s%s %s %%", i ? ", " : "", peer->shares[i].device, show_percent(bench_share_of(peer, i), "").text);
}

void bench_describe(const bench_context *context, bench_line *line, void *to)
{
    const bench_machine *machine = &context->machine;
    const time_t now = time(NULL);
    char text[128];

    if (context->command)
        line(to, "command", context->command);
    (void)strftime(text, sizeof text, "%FT%TZ", gmtime(&now));
    line(to, "date", text);
    line(to, "processor", machine->cpu);
    (void)snprintf(text, sizeof text, "%zu cores, %zu usable", machine->cores, machine->usable);
    line(to, "cores", text);
    (void)snprintf(text, sizeof text, "%.1f GB, transparent huge pages: %s", (double)machine->memory / 1e9,
                   machine->huge_pages);
    line(to, "memory", text);
    line(to, "compiler", bench_compiler());
    line(to, "rowpool", rowpool_version());
    (void)snprintf(text, sizeof text, "range count 4..8 of digits 0..9 from SplitMix64, seed %" PRIu64, BENCH_SEED);
    line(to, "work", text);
    (void)snprintf(text, sizeof text, "%zu, interleaved; every result verified", context->rounds);
    line(to, "rounds", text);
}

/* ---- Table ------------------------------------------------------------------------------------------------------ */

static void table_line(void *to, const char *name, const char *value)
{
    (void)to;
    printf("%-11s%s\n", name, value);
}

void bench_print_machine(const bench_context *context)
{
    bench_describe(context, table_line, NULL);
}

static void table_begin(const bench_context *context)
{
    bench_print_machine(context);
    for (size_t i = 0; i < context->peers->count; i++) {
        const bench_peer *peer = &context->peers->items[i];

        printf("%-11s%-20s %s; %s\n", i ? "" : "peers", peer->label, peer->device, peer->driver);
    }
}

static void table_results(const bench_case *work, const bench_results *results)
{
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

static const bench_format table = {.name = "table", .begin = table_begin, .results = table_results};

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

static void csv_results(const bench_case *work, const bench_results *results)
{
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

static const bench_format csv = {.name = "csv", .begin = csv_begin, .results = csv_results};

/* ---- JSON: all of it at the end --------------------------------------------------------------------------------- */

static void json_end(const bench_context *context)
{
    /* What is wrong stdout knows too. */
    (void)bench_record_write(context->record, stdout);
}

static const bench_format json = {.name = "json", .end = json_end};

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

static void markdown_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

static void markdown_line(void *to, const char *name, const char *value)
{
    (void)to;
    printf("- %s: ", name);
    markdown_text(value);
    putchar('\n');
}

static void markdown_begin(const bench_context *context)
{
    bench_describe(context, markdown_line, NULL);
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

static void markdown_results(const bench_case *work, const bench_results *results)
{
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

static const bench_format markdown = {.name = "markdown", .begin = markdown_begin, .results = markdown_results};

const bench_format *const bench_formats[] = {&table, &csv, &json, &markdown, NULL};
