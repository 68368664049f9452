/* The benchmark's scripts in Python. */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "support.h"

typedef struct {
    const char *python; /* an interpreter with the modules that the script needs */
    char path[1024];
} bench_script;

/* Finds a script, and a Python that can run `imports`: Python code that imports what is not in the standard library. */
rowpool_status bench_script_find(bench_script *script, const char *name, const char *imports, rowpool_error *error);

/* Runs a program to its end, with the file as its descriptor 3; -1: no file, and its standard error is dropped. */
rowpool_status bench_start_and_wait(const char *const *argv, int file, rowpool_error *error);

#endif
