/* What rowpool-bench-rank tells the rowpool-bench that started it. */
#ifndef BENCH_RANK_TIMES_H
#define BENCH_RANK_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Seconds, medians of the slowest rank. */
typedef struct {
    double count;  /* of all rows */
    double agree;  /* on an outcome: what each map ends with */
    double gather; /* of all counts, on rank 0 */
    double crowd;  /* no time: ranks for each processor, where they are the most; above 1 they wait for each other */
} bench_rank_times;

void bench_rank_times_write(const bench_rank_times *times, FILE *file);

/* Finds what was written in all that a launcher and its ranks wrote; false where it is not there. */
bool bench_rank_times_read(bench_rank_times *times, const char *text);

#endif
