/* Child processes, memory that they share, and the Python scripts. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "support.h"

/* Starts a program. descriptors[i] becomes the child's descriptor i; -1: /dev/null. */
rowpool_status bench_start(pid_t *child, const char *const *argv, const int *descriptors, size_t count,
                           rowpool_error *error);

/* Waits for its end: the exit status, or 128 and the signal. */
int bench_wait(pid_t child);

/* A file in memory, mapped. */
typedef struct {
    int fd;
    void *pages; /* NULL: not open */
    size_t bytes;
} bench_memory_file;

/* content NULL: zeros. */
rowpool_status bench_memory_file_open(bench_memory_file *file, size_t bytes, const void *content, rowpool_error *error);
void bench_memory_file_close(bench_memory_file *file);

/* A script of the benchmark's, and a Python that has the modules it needs. */
typedef struct {
    const char *python;
    char path[1024];
} bench_script;

/* imports: what the script imports beside the standard library, as Python code. */
rowpool_status bench_script_find(bench_script *script, const char *name, const char *imports, rowpool_error *error);

/* Runs it to its end. arguments end in NULL; in, out: its standard input and output. */
rowpool_status bench_script_run(const bench_script *script, const char *const *arguments, int in, int out,
                                int *exit_status, rowpool_error *error);

#endif
