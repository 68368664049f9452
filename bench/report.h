/* What was measured, written to standard output in one of several formats. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>

#include "harness.h"
#include "machine.h"

/* What holds for the whole run. */
typedef struct {
    bench_machine machine;
    const bench_peers *peers;
    size_t rounds;
    const char *command; /* NULL: not told */
    json_t *record;      /* all results so far: record.h */
} bench_context;

/* One format; slots that are NULL write nothing. results: one call for each case, in order. */
typedef struct {
    const char *name;
    void (*begin)(const bench_context *context);
    void (*results)(const bench_case *work, const bench_results *results);
    void (*end)(const bench_context *context);
} bench_format;

/* Gives names and values, both of them text, of what was measured on. */
typedef void bench_line(void *to, const char *name, const char *value);
void bench_describe(const bench_context *context, bench_line *line, void *to);

/* The part of the rows that a device of a peer's has answered. */
double bench_share_of(const bench_peer *peer, size_t i);

/* What the table begins with: the machine, the compiler, the work. */
void bench_print_machine(const bench_context *context);

/* The first is the default; the list ends in NULL. */
extern const bench_format *const bench_formats[];

#endif
