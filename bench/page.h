/* A page or a plot of what was measured. page.py draws it, from the record alone; the file appears complete or not at all.
 * Functions that fail say why. */
#ifndef BENCH_PAGE_H
#define BENCH_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "support.h"

typedef struct bench_page bench_page;

/* Before anything is measured: finds what the page needs, and opens its file. kind: "report" or "plot". NULL after a
 * failure. */
bench_page *bench_page_begin(const char *kind, const char *path);

/* Makes it of a record: an open file, or NULL and the path of one. */
bool bench_page_draw(bench_page *page, FILE *record, const char *path);

/* Leaves nothing behind of a page that was not drawn. NULL is fine. */
void bench_page_end(bench_page *page);

#endif
