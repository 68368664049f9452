/* The command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "report.h"

typedef struct {
    bench_shape *items;
    size_t count;
} bench_shapes;

/* What is to be done. */
typedef enum { BENCH_MEASURE, BENCH_FROM, BENCH_CHECK, BENCH_RANKS, BENCH_FIRST, BENCH_HELP, BENCH_USAGE } bench_action;

typedef struct {
    bench_action action;
    char *command;       /* all of it, as a shell takes it */
    const char *devices; /* NULL: every one there is */
    bool balance;        /* each device alone, and all together */
    const char *peers;   /* patterns of labels */
    bool peers_named;    /* by the user: each must fit something */
    const bench_format *format;
    rowpool_dtype *dtypes;
    size_t dtype_count;
    bench_shapes shapes;
    bench_shapes together; /* those on which a report's devices work together */
    size_t rounds;
    const char *page_kind; /* "report" or "plot"; NULL: no page is made */
    const char *page;      /* its file */
    const char *from;      /* a file of results, instead of a run; NULL: none */
    const char *check;     /* the targets, comma-separated; "": all */
    const char *ranks;     /* how many ranks of an MPI job, comma-separated */
    const char *launcher;  /* the command that starts such a job */
    const char *first;     /* see bench_first_run */
} bench_options;

/* Reads the arguments. BENCH_USAGE: what is wrong with them has been said; BENCH_HELP: what was asked for has been
 * printed. Free the options whatever the answer. */
bench_action bench_options_read(bench_options *options, int argc, char **argv);
void bench_options_free(bench_options *options);

#endif
