/* What rowpool doctor found, one thing after the other; how it is shown is another matter. */
#ifndef ROWPOOL_CLI_FINDINGS_H
#define ROWPOOL_CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum { FINDING_OK, FINDING_NOTE, FINDING_WRONG } finding_kind;

typedef struct {
    finding_kind kind;
    char subject[24]; /* what was looked at */
    char text[1024];  /* what was found */
    char remedy[200]; /* the command that mends it, or what to do instead; "" where nothing needs mending */
} finding;

typedef struct {
    finding *items;
    size_t count, capacity;
    bool cut; /* there was no memory for all of them */
} finding_list;

void add_finding(finding_list *list, const finding *one);

/* The same from its parts; remedy may be NULL. */
__attribute__((format(printf, 5, 6))) void find(finding_list *list, finding_kind kind, const char *subject,
                                                const char *remedy, const char *format, ...);

/* "ok", "note", "wrong" */
const char *finding_word(finding_kind kind);

size_t count_findings(const finding_list *list, finding_kind kind);
void free_findings(finding_list *list);

#endif
