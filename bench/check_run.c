#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "machine.h"
#include "report.h"

/* ---- Names ------------------------------------------------------------------------------------------------------ */

static bool is_named(const bench_check *check, const char *names)
{
    const size_t length = strlen(check->name);

    for (const char *at = names; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
        if (strcspn(at, ",") == length && !strncmp(at, check->name, length))
            return true;
    return !names;
}

static bool name_is_known(const char *name, size_t length)
{
    for (const bench_check *check = bench_checks; check->name; check++)
        if (strlen(check->name) == length && !strncmp(check->name, name, length))
            return true;
    bench_complain("--check: there is no '%.*s' (see --help)", (int)length, name);
    return false;
}

bool bench_check_names_are_known(const char *names)
{
    for (;;) {
        const size_t length = strcspn(names, ",");

        if (!name_is_known(names, length))
            return false;
        if (!names[length])
            return true;
        names += length + 1;
    }
}

/* ---- Figures ---------------------------------------------------------------------------------------------------- */

static double figure(bench_measure_kind kind, double subject, double peer)
{
    switch (kind) {
    case BENCH_TIMES_AS_FAST:
        return peer / subject;
    case BENCH_TIMES_THE_TIME:
        return subject / peer;
    case BENCH_NS_BEYOND:
        break;
    }
    return (subject - peer) * 1e9;
}

static bool is_worse(bench_measure_kind kind, double figure, double than)
{
    return kind == BENCH_TIMES_AS_FAST ? figure < than : figure > than;
}

/* The median of what each round gives by itself; where the peer had fewer rounds, what the medians give. */
static rowpool_status median_figure(bench_measure_kind kind, const bench_result *subject, const bench_result *peer,
                                    double *median, rowpool_error *error)
{
    const size_t rounds = subject->rounds;
    double *figures;

    *median = figure(kind, subject->median, peer->median);
    if (peer->rounds != rounds)
        return ROWPOOL_OK;
    figures = calloc(rounds, sizeof *figures);
    if (!figures)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for %zu rounds", rounds);
    for (size_t i = 0; i < rounds; i++)
        figures[i] = figure(kind, subject->samples[i].real, peer->samples[i].real);
    *median = bench_median(figures, rounds);
    free(figures);
    return ROWPOOL_OK;
}

/* ---- A case ----------------------------------------------------------------------------------------------------- */

/* What came out of a case, or why nothing did. */
typedef struct {
    bool measured;
    double figure;
    char work[64], peer[80];
    char reason[256]; /* of a case that was skipped */
} outcome;

static size_t at_least_one(double number)
{
    return number < 1 ? 1 : (size_t)number;
}

/* Elements of the one row that there is memory for, twice over: other programs have a right to some. */
static size_t largest_row(rowpool_dtype dtype)
{
    const size_t bytes = bench_memory_free() / 2;
    size_t elements = (size_t)1 << 30;

    while (elements > (size_t)1 << 28 && elements > bytes / rowpool_dtype_size(dtype))
        elements /= 2;
    return elements;
}

static bench_shape shape_of(const bench_check_case *kind, size_t width, rowpool_dtype dtype, double scale)
{
    const double elements = scale * (double)kind->bytes / (double)rowpool_dtype_size(dtype);
    bench_shape shape = {.rows = kind->rows, .width = width, .layout = kind->layout, .columns = kind->columns};

    if (kind->largest)
        shape.width = at_least_one(scale * (double)largest_row(dtype));
    else if (!shape.width)
        shape.width = at_least_one(elements / (double)shape.rows);
    else if (!shape.rows)
        shape.rows = at_least_one(elements / (double)width);
    else
        shape.rows = at_least_one(scale * (double)shape.rows);
    return shape;
}

/* Those that take part: copies, since one that has two cases is there twice. */
typedef struct {
    bench_peer peers[BENCH_PEERS_MAX];
    bench_entry entries[BENCH_PEERS_MAX];
    size_t count;
} party;

static void join(party *team, const bench_peer *peer, const bench_case *work)
{
    team->peers[team->count] = *peer;
    team->entries[team->count] = (bench_entry){&team->peers[team->count], work};
    team->count++;
}

/* The subject comes first. Whether there is one, and a peer. */
static bool gather(party *team, const bench_check *check, const bench_peers *peers, const bench_case *work,
                   const bench_case *peers_work)
{
    team->count = 0;
    for (size_t i = 0; i < peers->count; i++)
        if (!strcmp(peers->items[i].label, check->subject))
            join(team, &peers->items[i], work);
    if (team->count == 0)
        return false;
    for (size_t i = 0; i < peers->count && team->count < BENCH_PEERS_MAX; i++) {
        const bool is_subject = !strcmp(peers->items[i].label, check->subject);

        if (is_subject == check->on_dense && bench_label_fits(check->peers, peers->items[i].label))
            join(team, &peers->items[i], peers_work);
    }
    return team->count > 1;
}

static const bench_result *fastest_peer(const bench_results *results)
{
    const bench_result *fastest = &results->items[1];

    for (size_t i = 2; i < results->count; i++)
        if (results->items[i].median < fastest->median)
            fastest = &results->items[i];
    return fastest;
}

static rowpool_status judge(const bench_check *check, const bench_results *results, outcome *came, rowpool_error *error)
{
    const bench_result *peer;

    if (results->count < 2 || strcmp(results->items[0].peer->label, check->subject) != 0) {
        (void)snprintf(came->reason, sizeof came->reason, "no such peer for this case on this machine");
        return ROWPOOL_OK;
    }
    peer = fastest_peer(results);
    came->measured = true;
    (void)snprintf(came->peer, sizeof came->peer, "%s%s", peer->peer->label, check->on_dense ? ", dense" : "");
    return median_figure(check->kind, &results->items[0], peer, &came->figure, error);
}

static rowpool_status measure_team(const bench_check *check, party *team, size_t rounds, outcome *came,
                                   rowpool_error *error)
{
    bench_results *results = calloc(1, sizeof *results);
    rowpool_status status;

    if (!results)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for results");
    status = bench_measure_entries(team->entries, team->count, rounds, results, error);
    if (!status)
        status = judge(check, results, came, error);
    bench_results_free(results);
    free(results);
    return status;
}

static rowpool_status measure_on(const bench_check *check, const bench_peers *peers, const bench_case *work,
                                 const bench_case *peers_work, size_t rounds, outcome *came, rowpool_error *error)
{
    party *members = calloc(1, sizeof *members);
    rowpool_status status = ROWPOOL_OK;

    if (!members)
        return bench_fail(error, ROWPOOL_ENOMEM, "no memory for the peers");
    if (gather(members, check, peers, work, peers_work))
        status = measure_team(check, members, rounds, came, error);
    else
        (void)snprintf(came->reason, sizeof came->reason, "no such peer on this machine");
    free(members);
    return status;
}

/* The subject's memory of its own, and dense rows for the peers, need as much again. */
static bool there_is_memory(const bench_check *check, rowpool_dtype dtype, const bench_shape *shape, outcome *came)
{
    const bool twice = check->on_dense || strstr(check->subject, "+alloc");
    bench_shape need = *shape;
    rowpool_error error;

    need.width *= twice ? 2 : 1;
    if (!bench_case_fits(dtype, &need, &error))
        return true;
    (void)snprintf(came->reason, sizeof came->reason, "%.250s", error.message);
    return false;
}

static rowpool_status measure_case(const bench_check *check, const bench_peers *peers, rowpool_dtype dtype,
                                   const bench_shape *shape, size_t rounds, outcome *came, rowpool_error *error)
{
    const bench_shape equal = {.rows = shape->rows, .width = shape->width, .columns = shape->columns};
    bench_case work, dense = {.rows = 0};
    rowpool_status status;

    *came = (outcome){.measured = false};
    (void)snprintf(came->work, sizeof came->work, "%s %zu:%zu", rowpool_dtype_name(dtype), shape->rows, shape->width);
    if (!there_is_memory(check, dtype, shape, came))
        return ROWPOOL_OK;
    status = bench_case_make(&work, dtype, shape, error);
    if (status)
        return status;
    if (check->on_dense)
        status = bench_case_make(&dense, dtype, &equal, error);
    if (!status)
        status = measure_on(check, peers, &work, check->on_dense ? &dense : &work, rounds, came, error);
    bench_case_free(&work);
    bench_case_free(&dense);
    return status;
}

/* ---- A line ----------------------------------------------------------------------------------------------------- */

static void print_head(size_t rounds)
{
    bench_context context = {.rounds = rounds};

    bench_machine_read(&context.machine);
    bench_print_machine(&context);
    printf("\n%-15s%-29s%-22s%-27s%12s%12s  %s\n", "check", "worst case", "of", "beside", "target", "measured",
           "verdict");
}

/* "3.21 x", "45 ns". */
static void show_figure(char *text, size_t size, const char *sign, bench_measure_kind kind, double value)
{
    (void)snprintf(text, size, kind == BENCH_NS_BEYOND ? "%s%.0f ns" : "%s%.4g x", sign, value);
}

static void print_line(const bench_check *check, const outcome *came)
{
    char target[32], measured[32] = "-";
    const bool lower_is_better = check->kind != BENCH_TIMES_AS_FAST;

    show_figure(target, sizeof target, lower_is_better ? "<= " : ">= ", check->kind, check->target);
    if (came->measured)
        show_figure(measured, sizeof measured, "", check->kind, came->figure);
    printf("%-15s%-29s%-22s%-27s%12s%12s  ", check->name, came->work, check->subject,
           came->measured ? came->peer : check->peers, target, measured);
    if (came->measured)
        puts(is_worse(check->kind, came->figure, check->target) ? "short" : "pass");
    else
        printf("skipped: %s\n", came->reason);
}

static bool has_case(const bench_check *check, size_t i)
{
    return i < BENCH_CHECK_CASES_MAX && (check->cases[i].rows || check->cases[i].width || check->cases[i].bytes);
}

/* The next width of a case; 0 after the last. */
static size_t next_width(const bench_check_case *kind, size_t width, size_t step)
{
    return kind->last_width >= width + step ? width + step : 0;
}

/* What is skipped has a line of its own; of the rest the worst is kept. */
static void keep_worst(const bench_check *check, const outcome *came, outcome *worst)
{
    if (!came->measured)
        print_line(check, came);
    else if (!worst->measured || is_worse(check->kind, came->figure, worst->figure))
        *worst = *came;
}

static rowpool_status measure_cases(const bench_check *check, const bench_peers *peers, rowpool_dtype dtype,
                                    const bench_check_case *kind, const bench_check_options *options, outcome *worst,
                                    rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;
    size_t width = kind->width;

    do {
        const bench_shape shape = shape_of(kind, width, dtype, options->scale);
        outcome came;

        status = measure_case(check, peers, dtype, &shape, options->rounds, &came, error);
        if (!status)
            keep_worst(check, &came, worst);
        width = next_width(kind, width, options->width_step);
    } while (!status && width);
    return status;
}

static bool check_dtype(const bench_check *check, const bench_peers *peers, rowpool_dtype dtype,
                        const bench_check_options *options)
{
    outcome worst = {.measured = false};
    rowpool_status status = ROWPOOL_OK;
    rowpool_error error;

    for (size_t i = 0; has_case(check, i) && !status; i++)
        status = measure_cases(check, peers, dtype, &check->cases[i], options, &worst, &error);
    if (status)
        bench_complain("%s: %s", check->name, error.message);
    else if (worst.measured)
        print_line(check, &worst);
    return !status && fflush(stdout) == 0;
}

static bool check_all_dtypes(const bench_check *check, const bench_peers *peers, const bench_check_options *options)
{
    bool good = true;

    if (!check->every_dtype)
        return check_dtype(check, peers, ROWPOOL_INT32, options);
    for (int dtype = 0; rowpool_dtype_name((rowpool_dtype)dtype); dtype++)
        good = check_dtype(check, peers, (rowpool_dtype)dtype, options) && good;
    return good;
}

static bool run_check(const bench_check *check, bench_peers *peers, const bench_check_options *options)
{
    char wanted[128];
    rowpool_error error;

    (void)snprintf(wanted, sizeof wanted, "%s,%s", check->subject, check->peers);
    peers->wanted = wanted;
    if (!bench_peers_find(peers, check->device, &error))
        return check_all_dtypes(check, peers, options);
    bench_complain("%s: %s", check->name, error.message);
    return false;
}

bool bench_check_run(const bench_check_options *options)
{
    bench_peers *peers = calloc(1, sizeof *peers);
    bool good = true;

    if (!peers) {
        bench_complain("no memory for the list of peers");
        return false;
    }
    print_head(options->rounds);
    for (const bench_check *check = bench_checks; check->name; check++)
        if (is_named(check, options->names))
            good = run_check(check, peers, options) && good;
    free(peers);
    return good;
}
