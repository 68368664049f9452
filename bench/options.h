/* The command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "check.h"
#include "first.h"
#include "report.h"

typedef struct {
    char *command;       /* all of it, as the shell would take it */
    const char *devices; /* NULL: every one there is */
    bool balance;        /* they are measured alone and together */
    const char *peers;   /* patterns of labels of those beside them; */
    bool peers_named;    /* by the user: each must fit something */
    const bench_format *format;
    rowpool_dtype *dtypes;
    size_t dtype_count;
    bench_shape *shapes;
    size_t shape_count;
    bench_shape *together; /* those that a report's devices share; NULL: none */
    size_t together_count;
    size_t rounds;
    const char *page_kind; /* NULL: no page is made */
    const char *page;      /* its file */
    const char *from;      /* the record that it is made of, instead of a run; NULL: none */
    bool is_first;         /* this process is a peer of another one's */
    bench_first first;
    bool is_check; /* the table of targets, instead of a report */
    bench_check_options check;
    size_t *ranks; /* how many of an MPI job, instead; NULL: no job is started */
    size_t rank_count;
    const char *launcher; /* the command that starts such a job */
} bench_options;

typedef enum { BENCH_RUN, BENCH_HELP, BENCH_VERSION, BENCH_USAGE } bench_request;

/* Reads the arguments, after saying what is wrong with them where the answer is BENCH_USAGE. Free the options whatever
 * the answer. */
bench_request bench_options_read(bench_options *options, int argc, char **argv);
void bench_options_free(bench_options *options);

/* The text of --help. */
extern const char bench_help[];

#endif
