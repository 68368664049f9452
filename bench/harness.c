#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

enum {
    WARM_UP_ROUNDS = 2,
    PROFILES = 5,                       /* calls whose stages are asked for */
    IDLE_NANOSECONDS = 3 * 1000 * 1000, /* the previous peer's threads go to sleep, the processor's clock recovers */
    SLOTS = 1 << 20                     /* counts that a turn of many calls may fill */
};

/* A turn lasts at least this long: reading the clock is then lost in it. */
static const double turn_seconds = 100e-6;

/* What a turn needs beside the peer. Each call of a turn has counts of its own, so that each can be verified. */
typedef struct {
    uint32_t *counts;
    size_t capacity; /* counts that there is room for */
    rowpool_error *error;
} stage;

static void idle(void)
{
    struct timespec left = {.tv_nsec = IDLE_NANOSECONDS};

    while (nanosleep(&left, &left))
        continue;
}

/* ---- One turn --------------------------------------------------------------------------------------------------- */

static rowpool_status verify_call(const bench_result *result, const stage *on, const uint32_t *counts)
{
    const bench_case *work = result->work;
    size_t i = 0;

    if (!memcmp(counts, work->expected, bench_case_counts(work) * sizeof *counts))
        return ROWPOOL_OK;
    while (counts[i] == work->expected[i])
        i++;
    return bench_fail(on->error, ROWPOOL_EDEVICE, "%s is wrong: %s, shape %zu:%zu: row %zu has %u, not %u",
                      result->peer->label, rowpool_dtype_name(work->dtype), work->rows, work->width, i / work->columns,
                      counts[i], work->expected[i]);
}

static rowpool_status verify(const bench_result *result, const stage *on)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < result->iterations && !status && !result->peer->type->no_counts; i++)
        status = verify_call(result, on, on->counts + i * bench_case_counts(result->work));
    return status;
}

/* The error names the peer, whoever wrote it. */
static rowpool_status blame(const bench_result *result, const stage *on, rowpool_status status)
{
    rowpool_error cause = *on->error;

    return bench_fail(on->error, status, "%s: %s, shape %zu:%zu: %.900s", result->peer->label,
                      rowpool_dtype_name(result->work->dtype), result->work->rows, result->work->width, cause.message);
}

/* The counts are spoilt before each turn, so that a peer that writes nothing is not taken for right. */
static void spoil(const bench_result *result, const stage *on)
{
    memset(on->counts, 0xff, bench_case_counts(result->work) * result->iterations * sizeof *on->counts);
}

/* Calls the peer result->iterations times and sets the time of one call. */
static rowpool_status take_turn(const bench_result *result, const stage *on, bench_sample *sample)
{
    bench_peer *peer = result->peer;
    const size_t counts = bench_case_counts(result->work);
    rowpool_status status = ROWPOOL_OK;
    double own = 0;

    spoil(result, on);
    idle();
    double cpu = bench_seconds(CLOCK_PROCESS_CPUTIME_ID), real = bench_seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < result->iterations && !status; i++) {
        status = peer->type->run(peer, result->work, on->counts + i * counts, on->error);
        own += peer->seconds;
    }
    real = bench_seconds(CLOCK_MONOTONIC) - real;
    cpu = bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (status)
        return blame(result, on, status);
    sample->real = (peer->type->times_itself ? own : real) / (double)result->iterations;
    sample->cpu = cpu / (double)result->iterations;
    return verify(result, on);
}

/* ---- All turns -------------------------------------------------------------------------------------------------- */

static rowpool_status first_calls(bench_results *results, const stage *on)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < results->count && !status; i++) {
        bench_sample sample = {0, 0};

        status = take_turn(&results->items[i], on, &sample);
        results->items[i].first = sample.real;
    }
    return status;
}

/* Raises the number of calls until a turn is long enough. */
static rowpool_status calibrate(bench_result *result, const stage *on)
{
    const size_t most = on->capacity / bench_case_counts(result->work);
    bench_sample sample = {0, 0};
    rowpool_status status = take_turn(result, on, &sample);

    while (!status && sample.real * (double)result->iterations < turn_seconds && result->iterations <= most / 2) {
        result->iterations *= 2;
        status = take_turn(result, on, &sample);
    }
    return status;
}

static rowpool_status warm_up(bench_results *results, const stage *on)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t round = 0; round < WARM_UP_ROUNDS; round++)
        for (size_t i = 0; i < results->count && !status; i++)
            if (results->items[i].peer->most_rounds == 0)
                status = calibrate(&results->items[i], on);
    return status;
}

static void settle_all(bench_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        if (results->items[i].peer->type->settle != NULL)
            results->items[i].peer->type->settle(results->items[i].peer);
}

static rowpool_status timed_rounds(bench_results *results, const stage *on, size_t rounds)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < results->count && !status; i++)
            if (round < results->items[i].rounds)
                status = take_turn(&results->items[i], on, &results->items[i].samples[round]);
    return status;
}

/* ---- Figures ---------------------------------------------------------------------------------------------------- */

/* The least value that at least 95 % of all do not exceed. */
static double p95_of(const double *sorted, size_t count)
{
    return sorted[count - 1 - count / 20];
}

/* ---- Stages ----------------------------------------------------------------------------------------------------- */

static double median_or_none(double *values, size_t count)
{
    return isnan(values[0]) ? NAN : bench_median(values, count);
}

static rowpool_status profile(bench_result *result, const stage *on)
{
    double upload[PROFILES], kernel[PROFILES], read[PROFILES];
    bench_peer *peer = result->peer;
    const bench_result once = {.peer = peer, .work = result->work, .iterations = 1};
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < PROFILES; i++) {
        bench_stages stages = {NAN, NAN, NAN};

        spoil(&once, on);
        status = peer->type->profile(peer, result->work, on->counts, &stages, on->error);
        if (status)
            return blame(result, on, status);
        status = verify(&once, on);
        if (status)
            return status;
        upload[i] = stages.upload;
        kernel[i] = stages.kernel;
        read[i] = stages.read;
    }
    result->stages = (bench_stages){median_or_none(upload, PROFILES), median_or_none(kernel, PROFILES),
                                    median_or_none(read, PROFILES)};
    return ROWPOOL_OK;
}

static rowpool_status profile_all(bench_results *results, const stage *on)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < results->count && !status; i++) {
        bench_result *result = &results->items[i];

        result->stages = (bench_stages){NAN, NAN, NAN};
        if (result->peer->type->profile != NULL)
            status = profile(result, on);
    }
    return status;
}

/* ---- Peers beside each other ------------------------------------------------------------------------------------ */

/* The result of the raw OpenCL program on the same device; NULL where there is none. */
static const bench_result *raw_twin(const bench_results *results, const bench_result *result)
{
    const bench_peer *peer = result->peer;

    for (size_t i = 0; i < results->count; i++) {
        const bench_peer *other = results->items[i].peer;

        if (peer->index[0] && other->type->raw && results->items[i].work == result->work &&
            !strcmp(other->index, peer->index))
            return &results->items[i];
    }
    return NULL;
}

/* The sweep over the same data; NULL where there is none. */
static const bench_result *limit_of(const bench_results *results, const bench_result *result)
{
    for (size_t i = 0; i < results->count; i++)
        if (results->items[i].peer->type == &bench_peer_limit && results->items[i].work == result->work)
            return &results->items[i];
    return NULL;
}

static double part_of_limit(const bench_result *result, const bench_result *limit, double *scratch)
{
    for (size_t i = 0; i < result->rounds; i++)
        scratch[i] = limit->samples[i].real / result->samples[i].real;
    return bench_median(scratch, result->rounds);
}

static double overhead_of(const bench_result *result, const bench_result *raw, double *scratch)
{
    for (size_t i = 0; i < result->rounds; i++)
        scratch[i] = result->samples[i].real / raw->samples[i].real - 1;
    return bench_median(scratch, result->rounds);
}

/* The parts are the results just before this one. */
static double efficiency_of(const bench_result *result, double *scratch)
{
    for (size_t i = 0; i < result->rounds; i++) {
        double alone = 0;

        for (size_t part = 1; part <= result->peer->parts; part++)
            alone += 1 / (result - part)->samples[i].real;
        scratch[i] = 1 / (result->samples[i].real * alone);
    }
    return bench_median(scratch, result->rounds);
}

static void compare_peers(bench_results *results, bench_result *result, double *scratch)
{
    const bench_result *raw = raw_twin(results, result), *limit = limit_of(results, result);
    const bool has_serial = results->items[0].peer->type == &bench_peer_serial;

    result->ratio = has_serial ? results->items[0].median / result->median : NAN;
    result->of_limit = limit ? part_of_limit(result, limit, scratch) : NAN;
    result->overhead = raw && result->peer->type == &bench_peer_rowpool ? overhead_of(result, raw, scratch) : NAN;
    result->efficiency = result->peer->parts ? efficiency_of(result, scratch) : NAN;
}

static void summarise(bench_result *result, double *scratch)
{
    const bench_case *work = result->work;
    const size_t rounds = result->rounds;

    for (size_t i = 0; i < rounds; i++)
        scratch[i] = result->samples[i].cpu;
    result->cpu_median = bench_median(scratch, rounds);

    for (size_t i = 0; i < rounds; i++)
        scratch[i] = result->samples[i].real;
    result->median = bench_median(scratch, rounds);
    result->min = scratch[0];
    result->p95 = p95_of(scratch, rounds);
    result->bytes_per_second = (double)work->bytes / result->median;
    result->rows_per_second = (double)work->rows / result->median;
}

static rowpool_status summarise_all(bench_results *results, const stage *on, size_t rounds)
{
    double *scratch = calloc(rounds, sizeof *scratch);

    if (!scratch)
        return bench_fail(on->error, ROWPOOL_ENOMEM, "no memory for %zu rounds", rounds);
    for (size_t i = 0; i < results->count; i++)
        summarise(&results->items[i], scratch);
    for (size_t i = 0; i < results->count; i++)
        compare_peers(results, &results->items[i], scratch);
    free(scratch);
    return ROWPOOL_OK;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static bool applies(const bench_entry *entry)
{
    const bench_peer_type *type = entry->peer->type;

    if ((entry->work->offsets && !type->ragged) || (entry->work->columns > 1 && !type->columns))
        return false;
    return type->applies == NULL || type->applies(entry->peer, entry->work);
}

static size_t rounds_for(const bench_peer *peer, size_t rounds)
{
    return peer->most_rounds && peer->most_rounds < rounds ? peer->most_rounds : rounds;
}

static rowpool_status prepare_peer(bench_results *results, const bench_entry *entry, size_t rounds, const stage *on)
{
    bench_peer *peer = entry->peer;
    bench_result result = {.peer = peer, .work = entry->work, .rounds = rounds_for(peer, rounds), .iterations = 1};
    rowpool_status status;

    if (!applies(entry))
        return ROWPOOL_OK;
    result.samples = calloc(rounds, sizeof *result.samples);
    if (!result.samples)
        return bench_fail(on->error, ROWPOOL_ENOMEM, "no memory for %zu rounds", rounds);
    status = peer->type->prepare == NULL ? ROWPOOL_OK : peer->type->prepare(peer, entry->work, on->error);
    if (!status) {
        results->items[results->count++] = result;
        return ROWPOOL_OK;
    }
    free(result.samples);
    status = blame(&result, on, status);
    if (peer->required)
        return status;
    bench_complain("left out: %s", on->error->message);
    return ROWPOOL_OK;
}

static rowpool_status prepare_all(bench_results *results, const bench_entry *entries, size_t count, size_t rounds,
                                  const stage *on)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < count && !status; i++)
        status = prepare_peer(results, &entries[i], rounds, on);
    return status;
}

static void cleanup_all(bench_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        if (results->items[i].peer->type->cleanup != NULL)
            results->items[i].peer->type->cleanup(results->items[i].peer);
}

static rowpool_status all_turns(bench_results *results, const stage *on, size_t rounds)
{
    rowpool_status status = first_calls(results, on);

    if (!status)
        status = warm_up(results, on);
    settle_all(results);
    if (!status)
        status = timed_rounds(results, on, rounds);
    return status ? status : profile_all(results, on);
}

static size_t counts_of_largest(const bench_entry *entries, size_t count)
{
    size_t largest = SLOTS;

    for (size_t i = 0; i < count; i++)
        if (bench_case_counts(entries[i].work) > largest)
            largest = bench_case_counts(entries[i].work);
    return largest;
}

rowpool_status bench_measure_entries(const bench_entry *entries, size_t count, size_t rounds, bench_results *results,
                                     rowpool_error *error)
{
    stage on = {.capacity = counts_of_largest(entries, count), .error = error};
    rowpool_status status;

    results->count = 0;
    on.counts = bench_counts_new(on.capacity, error);
    if (!on.counts)
        return ROWPOOL_ENOMEM;
    status = prepare_all(results, entries, count, rounds, &on);
    if (!status)
        status = all_turns(results, &on, rounds);
    cleanup_all(results);
    if (!status && results->count)
        status = summarise_all(results, &on, rounds);
    bench_counts_free(on.counts, on.capacity);
    return status;
}

rowpool_status bench_measure(const bench_case *work, bench_peers *peers, size_t rounds, bench_results *results,
                             rowpool_error *error)
{
    bench_entry entries[BENCH_PEERS_MAX];

    for (size_t i = 0; i < peers->count; i++)
        entries[i] = (bench_entry){&peers->items[i], work};
    return bench_measure_entries(entries, peers->count, rounds, results, error);
}

void bench_results_free(bench_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        free(results->items[i].samples);
    results->count = 0;
}
