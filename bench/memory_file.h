/* Files in memory, mapped: how data reaches the peers that are other processes, and counts come back. */
#ifndef BENCH_MEMORY_FILE_H
#define BENCH_MEMORY_FILE_H

#include "error.h"

typedef struct {
    int fd; /* closed on exec; -1 where there is none */
    void *pages;
    size_t bytes;
} bench_memory_file;

/* content: what is in it at first; NULL: zeros. After a failure it is closed already. */
rowpool_status bench_memory_file_open(bench_memory_file *file, size_t bytes, const void *content, rowpool_error *error);
void bench_memory_file_close(bench_memory_file *file);

#endif
