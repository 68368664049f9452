/* rowpool doctor: what is installed, whether it works, and what limits it. */
#ifndef ROWPOOL_CLI_DOCTOR_H
#define ROWPOOL_CLI_DOCTOR_H

#include <stddef.h>

typedef enum { FINDING_OK, FINDING_NOTE, FINDING_WRONG, FINDING_KINDS } finding_kind;

typedef struct {
    struct json_t *findings; /* for --json; NULL: each is printed at once */
    size_t count[FINDING_KINDS];
} report;

/* Adds a finding. subject: what was looked at. remedy: the command that helps, or what to do; NULL: nothing. */
__attribute__((format(printf, 5, 6))) void add_finding(report *to, finding_kind kind, const char *subject,
                                                       const char *remedy, const char *format, ...);

/* The OpenCL drivers, their devices and what each makes of a kernel, the pool that comes of them, and the files of GPUs
 * in /dev. */
void examine_opencl(report *to);

#endif
