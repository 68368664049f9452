/* What the figures were measured on. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>

typedef struct {
    char cpu[128];       /* the model, as the kernel gives it */
    char huge_pages[32]; /* the system's setting for transparent huge pages */
    size_t cores;        /* logical processors that are online */
    size_t usable;       /* of these, those that this process may use */
    size_t memory;       /* bytes */
} bench_machine;

void bench_machine_read(bench_machine *machine);

/* Bytes that can be had without swapping or being ended by a limit; SIZE_MAX where the system does not say. */
size_t bench_memory_free(void);

/* The compiler of this program and what the peers in C were built with. */
const char *bench_compiler(void);

#endif
