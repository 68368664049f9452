/* Timing the peers. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "peer.h"

/* Seconds of one call in one round. cpu: CPU time of all threads of this process, without worker processes. */
typedef struct {
    double real, cpu;
} bench_sample;

/* The results of one peer on one case; times are seconds for one call. */
typedef struct {
    bench_peer *peer;
    size_t rounds;
    size_t iterations;     /* calls in each round: more than one if a call is too short for the clock */
    bench_sample *samples; /* one for each round, in order */
    double first;          /* the first call after prepare */
    double median, min, p95, cpu;
    double bytes_per_second, rows_per_second; /* of data read, by the median */

    /* Medians over the rounds; each round compares times of that round only. NAN: there is nothing to compare with. */
    double ratio;    /* the speed as a multiple of the serial loop's, from the two medians */
    double of_limit; /* the rate as a fraction of the limit's */
    double overhead; /* one device: the extra time over the raw OpenCL program on it, as a fraction of that program's */
    double efficiency; /* devices together: the rate as a fraction of the sum of their rates alone */
} bench_result;

typedef struct {
    bench_result items[BENCH_PEERS_MAX];
    size_t count;
} bench_results;

/* Runs all peers on one case: a first call each, warm-up rounds, then the timed rounds. In each round every peer has
 * one turn after an idle moment, so that slow phases of the machine affect all peers alike. The counts of every call are
 * verified after each turn. Free the results also after a failure. */
rowpool_status bench_measure(const bench_case *work, bench_peers *peers, size_t rounds, bench_results *results,
                             rowpool_error *error);
void bench_results_free(bench_results *results);

#endif
