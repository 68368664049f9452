/* The threads that the loops in C share: those of OpenMP. The one file that knows it is team.c. */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include <stddef.h>

/* How many there are; 0 where the compiler has no OpenMP. */
int bench_threads(void);

/* Calls the function once in each thread; returns when all have done. */
typedef void bench_team_function(void *argument, size_t thread, size_t threads);
void bench_team_run(bench_team_function *function, void *argument);

/* One thread's part of so many things, in order and as even as can be. */
typedef struct {
    size_t first, count;
} bench_part;
bench_part bench_part_of(size_t things, size_t thread, size_t threads);

#endif
