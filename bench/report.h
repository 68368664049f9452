/* What was measured, written to standard output in one of several formats. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"
#include "machine.h"

/* What holds for the whole run. */
typedef struct {
    bench_machine machine;
    const bench_peers *peers;
    size_t rounds;
} bench_context;

/* One format. Every slot is required. results: one call for each case, in order; is_first tells the first of them. */
typedef struct {
    const char *name;
    void (*begin)(const bench_context *context);
    void (*results)(const bench_case *work, const bench_results *results, bool is_first);
    void (*end)(void);
} bench_format;

/* What the table begins with: the machine, the compiler, the work. */
void bench_print_machine(const bench_context *context);

/* The first is the default; the list ends in NULL. */
extern const bench_format *const bench_formats[];

#endif
