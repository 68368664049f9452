/* The benchmark's scripts in Python. */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "support.h"

typedef struct {
    const char *python; /* one that has the modules that the script needs */
    char path[1024];
} bench_script;

/* imports: the modules outside the standard library, as Python code. */
rowpool_status bench_script_find(bench_script *script, const char *name, const char *imports, rowpool_error *error);

/* Runs a program to its end. It has the file as its descriptor 3; -1: none, and what it says is dropped. */
rowpool_status bench_start_and_wait(const char *const *argv, int file, rowpool_error *error);

#endif
