/* Timing, apart from what is timed. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "peer.h"

/* Seconds of one call in one round. cpu is that of this process, all threads; worker processes are not in it. */
typedef struct {
    double real, cpu;
} bench_sample;

/* What one peer did on one case; times in seconds for one call. */
typedef struct {
    bench_peer *peer;
    size_t rounds;
    size_t iterations;     /* calls in each round: more than one where a call is too short for the clock */
    bench_sample *samples; /* one for each round, in order */
    double first;          /* the very first call after prepare */
    double median, min, p95, cpu;
    double bytes_per_second, rows_per_second; /* of data read, by the median */

    /* Medians over the rounds, each of what was measured in one round; NAN where there is nothing to compare with. */
    double ratio;      /* how many times as fast as the serial loop, by the medians */
    double of_limit;   /* the rate, as a part of the limit's */
    double overhead;   /* one device: the time beyond that of the raw OpenCL program on it, as a part of the latter */
    double efficiency; /* devices together: the rate, as a part of the sum of their rates alone */
} bench_result;

typedef struct {
    bench_result items[BENCH_PEERS_MAX];
    size_t count;
} bench_results;

/* Runs all peers on one case: a first call each, warm-up rounds, then the timed rounds. In each round every peer has
 * one turn after an idle moment, so that a slow minute of the machine meets all alike. The counts of every call are
 * verified after each turn. Free the results whether it fails or not. */
rowpool_status bench_measure(const bench_case *work, bench_peers *peers, size_t rounds, bench_results *results,
                             rowpool_error *error);
void bench_results_free(bench_results *results);

#endif
