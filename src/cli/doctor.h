/* rowpool doctor: what is installed, whether it works, and what limits it. */
#ifndef ROWPOOL_CLI_DOCTOR_H
#define ROWPOOL_CLI_DOCTOR_H

#include <stddef.h>

typedef enum { FINDING_OK, FINDING_NOTE, FINDING_WRONG, FINDING_KINDS } finding_kind;

typedef struct {
    struct json_t *findings; /* for --json; NULL: findings are printed at once */
    size_t count[FINDING_KINDS];
} report;

/* Adds a finding. subject: what was checked. remedy: the command that fixes it, or what to do; NULL: nothing. */
__attribute__((format(printf, 5, 6))) void add_finding(report *to, finding_kind kind, const char *subject,
                                                       const char *remedy, const char *format, ...);

/* Checks the OpenCL drivers, each of their devices with a kernel, the pool that opens on them, the files of GPUs in /dev,
 * and PoCL's cache. */
void examine_opencl(report *to);

#endif
