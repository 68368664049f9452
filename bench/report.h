/* What was measured: standard output in one of several formats, and the same as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>

#include "harness.h"

/* What holds for the whole run. */
typedef struct {
    const bench_peers *peers;
    size_t rounds;
    const char *command;
    json_t *record; /* the context and all results so far, as --format json writes them */
} bench_context;

/* One format; slots that are NULL write nothing. results: one call for each case, in order. */
typedef struct {
    const char *name;
    void (*begin)(const bench_context *context);
    void (*results)(const bench_case *work, const bench_results *results);
    void (*end)(const bench_context *context);
} bench_format;

/* The first is the default; the last has no name. */
extern const bench_format bench_formats[];

/* The record without results; NULL where there is no memory. Free with json_decref. */
json_t *bench_record_new(const bench_context *context);

/* Adds the results of a case; false where there is no memory. */
bool bench_record_add(json_t *record, const bench_case *work, const bench_results *results);

/* Whether all of it could be written. */
bool bench_record_write(const json_t *record, FILE *file);

#endif
