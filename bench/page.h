/* A page or a plot of what was measured. page.py draws it, a function of the record alone; the file appears complete or
 * not at all. Functions that fail say why. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include "record.h"

typedef struct bench_page bench_page;

/* Before anything is measured: what the page needs is looked for, and its file can be written. kind: "report" or "plot".
 * NULL after a failure. */
bench_page *bench_page_begin(const char *kind, const char *path);

/* Makes it of a record, or of a file that one was written to. */
bool bench_page_of_record(bench_page *page, const json_t *record);
bool bench_page_of_file(bench_page *page, const char *path);

/* Without a page made nothing is left. NULL is fine. */
void bench_page_end(bench_page *page);

#endif
