/* Rows dealt out evenly to the threads: what the OpenMP loops and the hand-written ones have in common. */
#ifndef BENCH_DEAL_H
#define BENCH_DEAL_H

#include "data.h"
#include "loops.h"

void bench_count_rows(const bench_case *work, bench_loop *loop, uint32_t *counts);

#endif
