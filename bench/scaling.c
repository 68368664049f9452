#include "scaling.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "median.h"
#include "python.h"
#include "rank_times.h"

/* Where the program of a rank lies, from this one's folder, where it is installed. */
#ifndef BENCH_RANK_FROM_PROGRAM
#define BENCH_RANK_FROM_PROGRAM "."
#endif

enum { ROUNDS_OF_JOB = 5, WORDS_MAX = 32, RANKS_TOLD = 1024 };

/* ---- A job ------------------------------------------------------------------------------------------------------ */

/* The same rows in all, or the same for each rank. */
typedef enum { STRONG, WEAK } scaling_kind;
static const char *const kinds[] = {"strong", "weak"};

typedef struct {
    scaling_kind kind;
    size_t ranks;
    bench_shape shape;        /* of all rows */
    double bytes, counts;     /* of data, and of counts */
    bench_rank_times *rounds; /* one for each */
    bench_rank_times median;
} point;

/* The command: the launcher's words, then the rank's. */
typedef struct {
    char *copy;
    char *argv[WORDS_MAX + 8];
    char rank_program[PATH_MAX];
    char ranks[24], rows[24], width[24], rounds[24];
} command;

static bool find_rank_program(char path[PATH_MAX])
{
    static const char *const folders[] = {".", BENCH_RANK_FROM_PROGRAM};
    char own[PATH_MAX / 2];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    char *slash;

    own[length > 0 ? length : 0] = '\0';
    slash = strrchr(own, '/');
    for (size_t i = 0; slash && i < sizeof folders / sizeof *folders; i++) {
        slash[1] = '\0';
        (void)snprintf(path, PATH_MAX, "%s%s/rowpool-bench-rank", own, folders[i]);
        if (access(path, X_OK) == 0)
            return true;
    }
    bench_complain("--ranks: rowpool-bench-rank is not there: it is built where there is MPI");
    return false;
}

static bool begin_command(command *to, const char *launcher, const char *dtype)
{
    size_t words = 0;

    if (!find_rank_program(to->rank_program))
        return false;
    to->copy = strdup(launcher);
    for (char *rest = to->copy, *word; rest && (word = strsep(&rest, " "));)
        if (*word && words < WORDS_MAX)
            to->argv[words++] = word;
    if (!to->copy || !words || words == WORDS_MAX) {
        bench_complain("--launcher: '%s' is no command", launcher);
        return false;
    }
    char *const rest[] = {(char *)"-n", to->ranks, to->rank_program, (char *)(uintptr_t)dtype,
                          to->rows,     to->width, to->rounds,       NULL};
    memcpy(to->argv + words, rest, sizeof rest);
    return true;
}

/* All that can be read; NULL where there is no memory for it. */
static char *read_all(int fd)
{
    char *text = NULL, part[4096];
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ssize_t count;

    while (to && ((count = read(fd, part, sizeof part)) > 0 || (count < 0 && errno == EINTR)))
        if (count > 0)
            (void)fwrite(part, 1, (size_t)count, to);
    if (to)
        (void)fclose(to);
    return text;
}

/* Runs it, and finds its times in what it writes. */
static bool run_command(command *to, bench_rank_times *times)
{
    int ends[2], code = pipe(ends) == 0 ? 0 : errno;
    char *text = NULL;
    bool found = false;
    pid_t child;

    if (!code) {
        code = bench_process_start(&child, to->argv, -1, ends[1], false);
        (void)close(ends[1]);
        if (!code) {
            text = read_all(ends[0]);
            found = bench_process_status(child) == 0 && text && bench_rank_times_read(times, text);
        }
        (void)close(ends[0]);
    }
    free(text);
    if (code)
        bench_complain("--launcher: %s: %s", to->argv[0], strerror(code));
    else if (!found)
        bench_complain("--ranks: %s with %s ranks failed", to->argv[0], to->ranks);
    return found;
}

static bool run_point(command *to, const point *job, bench_rank_times *times)
{
    (void)snprintf(to->ranks, sizeof to->ranks, "%zu", job->ranks);
    (void)snprintf(to->rows, sizeof to->rows, "%zu", job->shape.rows);
    (void)snprintf(to->width, sizeof to->width, "%zu", job->shape.width);
    (void)snprintf(to->rounds, sizeof to->rounds, "%d", ROUNDS_OF_JOB);
    return run_command(to, times);
}

/* ---- The points ------------------------------------------------------------------------------------------------- */

/* Strong and weak for each number of ranks; one rank is both. The first is that of one rank. */
typedef struct {
    point *items;
    size_t count;
} points;

static bool add_point(points *to, const bench_options *options, scaling_kind kind, size_t ranks)
{
    point *added = &to->items[to->count++];
    size_t bytes;
    rowpool_error error;

    *added = (point){.kind = kind, .ranks = ranks, .shape = options->shapes[0]};
    if (kind == WEAK && __builtin_mul_overflow(added->shape.rows, ranks, &added->shape.rows)) {
        bench_complain("--shape: %zu rows for each of %zu ranks are too many", options->shapes[0].rows, ranks);
        return false;
    }
    if (bench_case_size(options->dtypes[0], &added->shape, &bytes, &error)) {
        bench_complain("--shape: %s", error.message);
        return false;
    }
    added->bytes = (double)bytes;
    added->counts = (double)added->shape.rows * sizeof(uint32_t);
    added->rounds = calloc(options->rounds, sizeof *added->rounds);
    if (!added->rounds)
        bench_complain("no memory for %zu rounds", options->rounds);
    return added->rounds;
}

static bool make_points(points *to, const bench_options *options)
{
    bool good = true;

    to->items = calloc(2 * options->rank_count + 1, sizeof *to->items);
    good = to->items && add_point(to, options, STRONG, 1);
    for (size_t i = 0; i < options->rank_count && good; i++)
        if (options->ranks[i] > 1)
            good = add_point(to, options, STRONG, options->ranks[i]) && add_point(to, options, WEAK, options->ranks[i]);
    if (!to->items)
        bench_complain("no memory for the points");
    return good;
}

static void free_points(points *from)
{
    for (size_t i = 0; i < from->count; i++)
        free(from->items[i].rounds);
    free(from->items);
}

static double median_of(const point *job, size_t rounds, size_t member, double *scratch)
{
    for (size_t i = 0; i < rounds; i++)
        memcpy(&scratch[i], (const char *)&job->rounds[i] + member, sizeof *scratch);
    return bench_median(scratch, rounds);
}

/* A slow minute of the machine meets all points alike. */
static bool measure(points *on, const bench_options *options, command *to)
{
    double *scratch = calloc(options->rounds, sizeof *scratch);
    bool good = scratch;

    if (!good)
        bench_complain("no memory for %zu rounds", options->rounds);
    for (size_t round = 0; round < options->rounds; round++)
        for (size_t i = 0; i < on->count && good; i++)
            good = run_point(to, &on->items[i], &on->items[i].rounds[round]);
    for (size_t i = 0; i < on->count && good; i++) {
        point *job = &on->items[i];

        job->median.count = median_of(job, options->rounds, offsetof(bench_rank_times, count), scratch);
        job->median.agree = median_of(job, options->rounds, offsetof(bench_rank_times, agree), scratch);
        job->median.gather = median_of(job, options->rounds, offsetof(bench_rank_times, gather), scratch);
        job->median.crowd = job->rounds->crowd;
    }
    free(scratch);
    return good;
}

/* The rate of all ranks, as a part of so many times that of one. */
static double efficiency_of(const point *job, double seconds, const point *one)
{
    return job->bytes / seconds / ((double)job->ranks * one->bytes / one->median.count);
}

/* ---- The model: T(N) = bytes / (N rate) + latency log2 N; gathering: bytes of counts from other ranks / bandwidth --- */

typedef struct {
    double rate;      /* bytes a second of one rank */
    double latency;   /* seconds, of one step of an agreement: N ranks take log2 N */
    double bandwidth; /* bytes a second of counts that come to one rank */
} model;

static double steps_of(const point *job)
{
    return log2((double)job->ranks);
}

static double bytes_to_gather(const point *job)
{
    return job->counts * (double)(job->ranks - 1) / (double)job->ranks;
}

/* Least squares through the origin, over the points of several ranks with a processor for each; NAN where there is none.
 */
static model fit(const points *on)
{
    double agree = 0, steps = 0, gather = 0, bytes = 0;

    for (size_t i = 0; i < on->count; i++) {
        const point *job = &on->items[i];

        if (job->median.crowd > 1)
            continue;
        agree += job->median.agree * steps_of(job);
        steps += steps_of(job) * steps_of(job);
        gather += job->median.gather * bytes_to_gather(job);
        bytes += bytes_to_gather(job) * bytes_to_gather(job);
    }
    return (model){on->items->bytes / on->items->median.count, steps > 0 ? agree / steps : NAN,
                   gather > 0 ? bytes / gather : NAN};
}

static double seconds_by(const model *by, const point *job)
{
    return job->bytes / ((double)job->ranks * by->rate) + (job->ranks > 1 ? by->latency * steps_of(job) : 0);
}

/* What the model says of many ranks. */
static point told(const points *on, scaling_kind kind)
{
    point job = *on->items;
    const double times = kind == WEAK ? RANKS_TOLD : 1;

    job.kind = kind;
    job.ranks = RANKS_TOLD;
    job.bytes *= times;
    job.counts *= times;
    return job;
}

/* ---- Output ----------------------------------------------------------------------------------------------------- */

static void print_points(const points *on, const model *by)
{
    printf(
        "\nscaling  ranks                rows x width         MB  median ms    GB/s  efficiency  model ms  agree us  "
        "gather ms\n");
    for (size_t i = 0; i < on->count; i++) {
        const point *job = &on->items[i];
        const double seconds = job->median.count;

        printf("%-7s %6zu %20zu x %-10zu %6.1f %10.3f %7.2f %11.2f %9.3f %9.2f %10.3f%s\n", kinds[job->kind],
               job->ranks, job->shape.rows, job->shape.width, job->bytes / 1e6, seconds * 1e3,
               job->bytes / seconds / 1e9, efficiency_of(job, seconds, on->items), seconds_by(by, job) * 1e3,
               job->median.agree * 1e6, job->median.gather * 1e3,
               job->median.crowd > 1 ? "  more ranks than processors: not in the model" : "");
    }
}

static void print_told(const points *on, const model *by)
{
    if (isnan(by->latency))
        return;
    printf("\nmodel    seconds = bytes / (ranks x %.2f GB/s) + %.2f us x log2(ranks); gathering counts: %.2f GB/s\n",
           by->rate / 1e9, by->latency * 1e6, by->bandwidth / 1e9);
    for (scaling_kind kind = STRONG; kind <= WEAK; kind++) {
        const point job = told(on, kind);
        const double seconds = seconds_by(by, &job);

        printf("told     %s, %d ranks: %.4g MB in %.4g ms, %.4g GB/s, efficiency %.2f; gathering the counts: %.4g ms\n",
               kinds[kind], RANKS_TOLD, job.bytes / 1e6, seconds * 1e3, job.bytes / seconds / 1e9,
               efficiency_of(&job, seconds, on->items), bytes_to_gather(&job) / by->bandwidth * 1e3);
    }
}

static json_t *point_as_json(const point *job, double seconds, const point *one)
{
    return json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "scaling", kinds[job->kind], "ranks", (json_int_t)job->ranks,
                     "bytes", job->bytes, "seconds", seconds, "bytes_per_second", job->bytes / seconds, "efficiency",
                     efficiency_of(job, seconds, one));
}

static bool print_json(const points *on, const model *by, const bench_options *options)
{
    json_t *list = json_array(), *says = json_array(), *all;
    bool good;

    for (size_t i = 0; i < on->count; i++) {
        const point *job = &on->items[i];
        json_t *item = point_as_json(job, job->median.count, on->items);

        (void)json_object_update_new(item, json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "rows",
                                                     (json_int_t)job->shape.rows, "width", (json_int_t)job->shape.width,
                                                     "model_seconds", seconds_by(by, job), "agree_seconds",
                                                     job->median.agree, "gather_seconds", job->median.gather));
        (void)json_array_append_new(list, item);
    }
    for (scaling_kind kind = STRONG; kind <= WEAK && !isnan(by->latency); kind++) {
        const point job = told(on, kind);

        (void)json_array_append_new(says, point_as_json(&job, seconds_by(by, &job), on->items));
    }
    all = json_pack("{s:s, s:s, s:I, s:o, s:{s:f, s:o*, s:o*}, s:o}", "command", options->command, "dtype",
                    rowpool_dtype_name(options->dtypes[0]), "rounds", (json_int_t)options->rounds, "points", list,
                    "model", "bytes_per_second_of_rank", by->rate, "latency_seconds", json_real(by->latency),
                    "gather_bytes_per_second", json_real(by->bandwidth), "told", says);
    good = all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0;
    (void)putchar('\n');
    json_decref(all);
    if (!good)
        bench_complain("cannot write the results");
    return good;
}

static bool print(const points *on, const bench_options *options)
{
    const model by = fit(on);
    bench_context context = {.rounds = options->rounds, .command = options->command};

    if (!strcmp(options->format->name, "json"))
        return print_json(on, &by, options);
    bench_machine_read(&context.machine);
    bench_print_machine(&context);
    print_points(on, &by);
    print_told(on, &by);
    return true;
}

bool bench_scaling_run(const bench_options *options)
{
    points all = {NULL, 0};
    command to = {.copy = NULL};
    bool good = begin_command(&to, options->launcher, rowpool_dtype_name(options->dtypes[0])) &&
                make_points(&all, options) && measure(&all, options, &to) && print(&all, options);

    free_points(&all);
    free(to.copy);
    return good;
}
