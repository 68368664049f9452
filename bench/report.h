/* The results, as a table on standard output and as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>

#include "harness.h"

/* A new JSON record without results: machine, program and command. NULL if out of memory. Free it with json_decref. */
json_t *bench_record_new(const char *command, size_t rounds);

/* Adds the results of a case; false if out of memory. */
bool bench_record_add(json_t *record, const bench_case *work, const bench_results *results);

/* Prints the record in the JSON format of Google Benchmark. */
void bench_record_print(const json_t *record);

/* Prints the head of the table: the context of the run, and all peers. */
void bench_table_begin(const json_t *record, const bench_peers *peers);

/* Prints the results of a case. */
void bench_table_add(const bench_case *work, const bench_results *results);

#endif
