/* A program's whole life around one map, for peers that are processes: the benchmark starts itself anew with the hidden
 * option --first, and takes the time from outside. */
#ifndef BENCH_FIRST_H
#define BENCH_FIRST_H

#include "peer.h"

/* What --first says: who counts, on which device, and where the data lies. */
typedef struct {
    bool raw;               /* the raw OpenCL program; otherwise rowpool */
    char index[16];         /* its device */
    int shared;             /* and whether that works in the host's memory */
    int data_fd, counts_fd; /* files in memory, inherited */
} bench_first;

/* Writes what bench_first_read reads. */
void bench_first_write(const bench_first *first, char *text, size_t size);
bool bench_first_read(bench_first *first, const char *text);

/* In the new process: maps the data, counts, leaves the counts in their file. */
rowpool_status bench_first_run(const bench_first *first, rowpool_dtype dtype, const bench_shape *shape,
                               rowpool_error *error);

#endif
