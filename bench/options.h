/* The command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "peer.h"

/* BENCH_DONE: help or version was printed. BENCH_USAGE: the command line is wrong; a message was printed. */
typedef enum { BENCH_MEASURE, BENCH_DONE, BENCH_USAGE } bench_action;

typedef struct {
    char *command;       /* the whole command line */
    const char *devices; /* NULL: every device */
    bool balance;        /* each device alone, and all together */
    const char *peers;   /* prefixes of labels */
    bool peers_named;    /* by the user: each prefix must match a peer */
    bool json;           /* instead of a table */
    rowpool_dtype *dtypes;
    size_t dtype_count;
    bench_shape *shapes;
    size_t shape_count;
    size_t rounds;
} bench_options;

/* Reads the arguments. Free the options whatever it returns. */
bench_action bench_options_read(bench_options *options, int argc, char **argv);
void bench_options_free(bench_options *options);

#endif
