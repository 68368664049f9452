/* What was measured, as a table on standard output and as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>

#include "harness.h"

/* The JSON without results: what holds for the whole run. NULL where there is no memory. Free with json_decref. */
json_t *bench_record_new(const char *command, size_t rounds);

/* Adds the results of a case; false where there is no memory. */
bool bench_record_add(json_t *record, const bench_case *work, const bench_results *results);

/* Prints it as Google Benchmark does. */
void bench_record_print(const json_t *record);

/* Prints what the record says of the run, and all peers. */
void bench_table_begin(const json_t *record, const bench_peers *peers);

/* Prints the results of a case. */
void bench_table_add(const bench_case *work, const bench_results *results);

#endif
