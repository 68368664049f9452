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

/* Bytes available without swapping and within the limit of the control group; SIZE_MAX where the system does not say. */
size_t bench_memory_free(void);

#endif
