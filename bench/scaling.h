/* --ranks: how the count scales over the ranks of an MPI job, the model that fits it, and what that says of more. */
#ifndef BENCH_SCALING_H
#define BENCH_SCALING_H

#include "options.h"

/* Starts jobs, rounds interleaved, and prints what came out; false after a complaint. */
bool bench_scaling_run(const bench_options *options);

#endif
