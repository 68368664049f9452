#include "harness.h"

#include <math.h>
#include <string.h>

#include "message.h"

enum {
    WARM_UP_ROUNDS = 2,
    IDLE_NANOSECONDS = 3 * 1000 * 1000, /* lets the previous peer's threads go to sleep and the CPU's clock recover */
    COUNTS_MIN = 1 << 20                /* at least this much room for the counts of all calls of a turn */
};

/* A turn lasts at least this long, so that the time to read the clock is negligible. */
static const double turn_seconds = 100e-6;

/* What all turns on a case share. Each call of a turn has counts of its own, so that each can be verified. */
typedef struct {
    const bench_case *work;
    size_t rounds;
    uint32_t *counts;
    size_t capacity; /* counts that there is room for */
    double *scratch; /* a value for each round */
    rowpool_error *error;
} measurement;

/* ---- One turn --------------------------------------------------------------------------------------------------- */

static rowpool_status verify_calls(const bench_result *result, const measurement *on)
{
    const bench_case *work = on->work;
    const size_t calls = result->peer->type->counts_nothing ? 0 : result->iterations;

    for (size_t call = 0; call < calls; call++) {
        const uint32_t *counts = on->counts + call * work->counts;
        size_t i = 0;

        if (memcmp(counts, work->expected, work->counts * sizeof *counts) == 0)
            continue;
        while (counts[i] == work->expected[i])
            i++;
        return rp_fail(on->error, ROWPOOL_EDEVICE, "%s is wrong: %s, shape %zu:%zu: row %zu has %u, not %u",
                       result->peer->label, rowpool_dtype_name(work->dtype), work->shape.rows, work->shape.width,
                       i / work->shape.ranges, counts[i], work->expected[i]);
    }
    return ROWPOOL_OK;
}

/* Puts the peer and the case before the message. */
static rowpool_status blame(const bench_peer *peer, const measurement *on, rowpool_status status)
{
    const rowpool_error cause = *on->error;

    return rp_fail(on->error, status, "%s: %s, shape %zu:%zu: %.900s", peer->label, rowpool_dtype_name(on->work->dtype),
                   on->work->shape.rows, on->work->shape.width, cause.message);
}

static void idle(void)
{
    struct timespec left = {.tv_nsec = IDLE_NANOSECONDS};

    while (nanosleep(&left, &left) != 0)
        continue;
}

/* Calls the peer result->iterations times and sets the time of one call. */
static rowpool_status take_turn(const bench_result *result, const measurement *on, bench_sample *sample)
{
    bench_peer *peer = result->peer;
    rowpool_status status = ROWPOOL_OK;
    double own = 0;

    /* So that a peer that writes nothing is found wrong. */
    memset(on->counts, 0xff, on->work->counts * result->iterations * sizeof *on->counts);
    idle();
    double cpu = bench_seconds(CLOCK_PROCESS_CPUTIME_ID), real = bench_seconds(CLOCK_MONOTONIC);
    for (size_t i = 0; i < result->iterations && status == ROWPOOL_OK; i++) {
        status = peer->type->run(peer, on->work, on->counts + i * on->work->counts, on->error);
        own += peer->seconds;
    }
    real = bench_seconds(CLOCK_MONOTONIC) - real;
    cpu = bench_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (status != ROWPOOL_OK)
        return blame(peer, on, status);
    sample->real = (own > 0 ? own : real) / (double)result->iterations;
    sample->cpu = cpu / (double)result->iterations;
    return verify_calls(result, on);
}

/* ---- All turns -------------------------------------------------------------------------------------------------- */

static rowpool_status first_calls(bench_results *results, const measurement *on)
{
    for (size_t i = 0; i < results->count; i++) {
        bench_sample sample;

        BENCH_TRY(take_turn(&results->items[i], on, &sample));
        results->items[i].first = sample.real;
    }
    return ROWPOOL_OK;
}

/* Raises the number of calls until a turn is long enough. */
static rowpool_status calibrate(bench_result *result, const measurement *on)
{
    const size_t max = on->capacity / on->work->counts;
    bench_sample sample;

    BENCH_TRY(take_turn(result, on, &sample));
    while (sample.real * (double)result->iterations < turn_seconds && result->iterations <= max / 2) {
        result->iterations *= 2;
        BENCH_TRY(take_turn(result, on, &sample));
    }
    return ROWPOOL_OK;
}

static rowpool_status warm_up(bench_results *results, const measurement *on)
{
    for (size_t round = 0; round < WARM_UP_ROUNDS; round++)
        for (size_t i = 0; i < results->count; i++)
            if (results->items[i].peer->rounds == 0)
                BENCH_TRY(calibrate(&results->items[i], on));
    for (size_t i = 0; i < results->count; i++) {
        bench_peer *peer = results->items[i].peer;
        rowpool_status status = ROWPOOL_OK;

        if (peer->type->settle != NULL)
            status = peer->type->settle(peer, on->work, on->counts, on->error);
        if (status != ROWPOOL_OK)
            return blame(peer, on, status);
    }
    return ROWPOOL_OK;
}

static rowpool_status timed_rounds(bench_results *results, const measurement *on)
{
    for (size_t round = 0; round < on->rounds; round++)
        for (size_t i = 0; i < results->count; i++)
            if (round < results->items[i].rounds)
                BENCH_TRY(take_turn(&results->items[i], on, &results->items[i].samples[round]));
    return ROWPOOL_OK;
}

/* ---- Comparing peers -------------------------------------------------------------------------------------------- */

/* NULL if there is none. */
static const bench_result *find_result(const bench_results *results, const char *label, const char *index)
{
    for (size_t i = 0; i < results->count; i++) {
        const char *other = results->items[i].peer->label;

        if (strncmp(other, label, strlen(label)) == 0 && strcmp(other + strlen(label), index) == 0)
            return &results->items[i];
    }
    return NULL;
}

/* The median over the rounds of one's time divided by the other's; NAN if one of them is missing. */
static double time_ratio(const bench_result *one, const bench_result *other, const measurement *on)
{
    size_t rounds = 0;

    for (; one != NULL && other != NULL && rounds < one->rounds && rounds < other->rounds; rounds++)
        on->scratch[rounds] = one->samples[rounds].real / other->samples[rounds].real;
    return rounds > 0 ? bench_median(on->scratch, rounds) : NAN;
}

/* The results of the devices alone are those just before this one. */
static double efficiency_of(const bench_result *result, const measurement *on)
{
    for (size_t i = 0; i < result->rounds; i++) {
        double alone = 0;

        for (size_t part = 1; part <= result->peer->parts; part++)
            alone += 1 / (result - part)->samples[i].real;
        on->scratch[i] = 1 / (result->samples[i].real * alone);
    }
    return bench_median(on->scratch, result->rounds);
}

static void summarise(bench_result *result, const measurement *on)
{
    const size_t rounds = result->rounds;

    for (size_t i = 0; i < rounds; i++)
        on->scratch[i] = result->samples[i].cpu;
    result->cpu = bench_median(on->scratch, rounds);
    for (size_t i = 0; i < rounds; i++)
        on->scratch[i] = result->samples[i].real;
    result->median = bench_median(on->scratch, rounds);
    result->min = on->scratch[0];
    result->p95 = on->scratch[rounds - 1 - rounds / 20]; /* at least 95 % are not longer */
    result->bytes_per_second = (double)on->work->bytes / result->median;
    result->rows_per_second = (double)on->work->shape.rows / result->median;
}

static void compare_peers(const bench_results *results, bench_result *result, const measurement *on)
{
    const bench_peer *peer = result->peer;
    const bench_result *serial = find_result(results, "serial", "");
    const bench_result *limit = find_result(results, "limit", "");
    const bench_result *raw = find_result(results, "opencl/", peer->index);

    result->ratio = serial != NULL ? serial->median / result->median : NAN;
    result->of_limit = time_ratio(limit, result, on);
    result->overhead = peer->type == &bench_peer_rowpool ? time_ratio(result, raw, on) - 1 : NAN;
    result->efficiency = peer->parts > 0 ? efficiency_of(result, on) : NAN;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static bool applies(const bench_peer *peer, const bench_case *work)
{
    if ((work->shape.ragged || work->shape.ranges > 1) && !peer->type->takes_any_shape)
        return false;
    return peer->type->applies == NULL || peer->type->applies(peer, work);
}

static void clean_up(bench_peer *peer)
{
    if (peer->type->cleanup != NULL)
        peer->type->cleanup(peer);
    free(peer->state);
    peer->state = NULL;
}

static rowpool_status prepare_peer(bench_results *results, bench_peer *peer, const measurement *on)
{
    const size_t rounds = peer->rounds > 0 && peer->rounds < on->rounds ? peer->rounds : on->rounds;
    bench_sample *samples = calloc(rounds, sizeof *samples);
    rowpool_status status = ROWPOOL_OK;

    peer->state = calloc(1, peer->type->state_size + 1);
    if (samples == NULL || peer->state == NULL) {
        free(samples);
        free(peer->state);
        return rp_fail(on->error, ROWPOOL_ENOMEM, "no memory for %zu rounds", rounds);
    }
    peer->stages = (bench_stages){NAN, NAN, NAN};
    if (peer->type->prepare != NULL)
        status = peer->type->prepare(peer, on->work, on->error);
    if (status == ROWPOOL_OK) {
        results->items[results->count++] = (bench_result){
            .peer = peer, .rounds = rounds, .iterations = 1, .samples = samples};
        return ROWPOOL_OK;
    }
    clean_up(peer);
    free(samples);
    status = blame(peer, on, status);
    if (peer->required)
        return status;
    say(NULL, "left out: %s", on->error->message);
    return ROWPOOL_OK;
}

static rowpool_status measure_all(bench_peers *peers, bench_results *results, const measurement *on)
{
    for (size_t i = 0; i < peers->count; i++)
        if (applies(&peers->items[i], on->work))
            BENCH_TRY(prepare_peer(results, &peers->items[i], on));
    BENCH_TRY(first_calls(results, on));
    BENCH_TRY(warm_up(results, on));
    return timed_rounds(results, on);
}

rowpool_status bench_measure(const bench_case *work, bench_peers *peers, size_t rounds, bench_results *results,
                             rowpool_error *error)
{
    measurement on = {.work = work,
                      .rounds = rounds,
                      .capacity = work->counts > COUNTS_MIN ? work->counts : COUNTS_MIN,
                      .error = error};
    rowpool_status status = ROWPOOL_ENOMEM;

    results->count = 0;
    on.counts = bench_pages_new(on.capacity * sizeof *on.counts, error);
    on.scratch = bench_pages_new(rounds * sizeof *on.scratch, error);
    if (on.counts != NULL && on.scratch != NULL)
        status = measure_all(peers, results, &on);
    for (size_t i = 0; i < results->count; i++)
        clean_up(results->items[i].peer);
    for (size_t i = 0; i < results->count && status == ROWPOOL_OK; i++)
        summarise(&results->items[i], &on);
    for (size_t i = 0; i < results->count && status == ROWPOOL_OK; i++)
        compare_peers(results, &results->items[i], &on);
    bench_pages_free(on.counts, on.capacity * sizeof *on.counts);
    bench_pages_free(on.scratch, rounds * sizeof *on.scratch);
    return status;
}

void bench_results_free(bench_results *results)
{
    for (size_t i = 0; i < results->count; i++)
        free(results->items[i].samples);
    results->count = 0;
}
