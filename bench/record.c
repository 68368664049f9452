#include "record.h"

#include <stdlib.h>
#include <string.h>

/* Text from outside: of what is no UTF-8 the ASCII characters are kept. */
static json_t *text(const char *from)
{
    json_t *string = json_string(from);
    char *copy = string ? NULL : strdup(from);

    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    if (copy)
        string = json_string(copy);
    free(copy);
    return string;
}

/* ---- The context ------------------------------------------------------------------------------------------------ */

static void add_line(void *to, const char *name, const char *value)
{
    (void)json_object_set_new(to, name, text(value));
}

json_t *bench_record_new(const bench_context *context)
{
#ifdef NDEBUG
    static const char build[] = "release";
#else
    static const char build[] = "debug";
#endif
    json_t *machine = json_pack("{s:s, s:s, s:I}", "executable", BENCH_PROGRAM, "library_build_type", build, "num_cpus",
                                (json_int_t)context->machine.cores);

    bench_describe(context, add_line, machine);
    return json_pack("{s:o, s:[]}", "context", machine, "benchmarks");
}

/* ---- An entry --------------------------------------------------------------------------------------------------- */

/* The entry with more members; NULL where either could not be made. */
static json_t *with(json_t *entry, json_t *more)
{
    if (json_object_update_new(entry, more) == 0)
        return entry;
    json_decref(entry);
    return NULL;
}

/* What every entry has. suffix: "" for a round, the aggregate's name otherwise. */
static json_t *entry_of(const bench_case *work, const bench_result *result, const char *suffix)
{
    const bench_peer *peer = result->peer;
    char run[128], name[sizeof run + 16];

    (void)snprintf(run, sizeof run, "range_count/%s/%zu:%zu/%s", rowpool_dtype_name(work->dtype), work->rows,
                   work->width, peer->label);
    (void)snprintf(name, sizeof name, "%s%s%s", run, suffix[0] ? "_" : "", suffix);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:i}", "name", text(name), "run_name",
                     text(run), "run_type", suffix[0] ? "aggregate" : "iteration", "peer", text(peer->label), "device",
                     text(peer->device), "driver", text(peer->driver), "dtype", rowpool_dtype_name(work->dtype), "rows",
                     (json_int_t)work->rows, "width", (json_int_t)work->width, "bytes", (json_int_t)work->bytes,
                     "repetitions", (json_int_t)result->rounds, "threads", 1);
}

/* json_real gives nothing for what is no number, and the member is then left out. */
static json_t *times_of(const bench_case *work, double real, double cpu)
{
    return json_pack("{s:o*, s:o*, s:s, s:o*, s:o*}", "real_time", json_real(real * 1e9), "cpu_time",
                     json_real(cpu * 1e9), "time_unit", "ns", "bytes_per_second", json_real((double)work->bytes / real),
                     "items_per_second", json_real((double)work->rows / real));
}

static json_t *round_of(const bench_case *work, const bench_result *result, size_t round)
{
    const bench_sample *sample = &result->samples[round];
    json_t *entry = with(entry_of(work, result, ""), json_pack("{s:I, s:I}", "repetition_index", (json_int_t)round,
                                                               "iterations", (json_int_t)result->iterations));

    return with(entry, times_of(work, sample->real, sample->cpu));
}

static json_t *figures_of(const bench_result *result)
{
    const bench_stages *stages = &result->stages;

    return json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}", "min_time",
                     json_real(result->min * 1e9), "p95_time", json_real(result->p95 * 1e9), "first_time",
                     json_real(result->first * 1e9), "upload_time", json_real(stages->upload * 1e9), "kernel_time",
                     json_real(stages->kernel * 1e9), "read_time", json_real(stages->read * 1e9), "ratio_to_serial",
                     json_real(result->ratio), "part_of_limit", json_real(result->of_limit), "overhead",
                     json_real(result->overhead), "efficiency", json_real(result->efficiency));
}

/* NULL where the peer is no devices together. */
static json_t *shares_of(const bench_peer *peer)
{
    json_t *shares = peer->parts ? json_object() : NULL;

    for (size_t i = 0; i < peer->n_shares && shares; i++)
        (void)json_object_set_new(shares, peer->shares[i].device, json_real(bench_share_of(peer, i)));
    return shares;
}

static json_t *median_of(const bench_case *work, const bench_result *result)
{
    json_t *entry = with(entry_of(work, result, "median"),
                         json_pack("{s:s, s:s, s:I}", "aggregate_name", "median", "aggregate_unit", "time",
                                   "iterations", (json_int_t)result->rounds));

    entry = with(entry, times_of(work, result->median, result->cpu_median));
    entry = with(entry, figures_of(result));
    return with(entry, json_pack("{s:o*}", "shares", shares_of(result->peer)));
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

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
