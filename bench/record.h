/* What was measured as JSON, in the shape of Google Benchmark: an entry for each round, then their median. */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include "report.h"

/* The context, and no results yet; NULL where there is no memory for it. To be given back by json_decref. */
json_t *bench_record_new(const bench_context *context);

/* Adds the results of a case; false where there is no memory for them. */
bool bench_record_add(json_t *record, const bench_case *work, const bench_results *results);

/* Writes it; false, with errno set, where that fails. */
bool bench_record_write(const json_t *record, FILE *file);

#endif
