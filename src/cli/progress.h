/* How far a long map has come, on standard error. */
#ifndef ROWPOOL_CLI_PROGRESS_H
#define ROWPOOL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    PROGRESS_AUTO, /* on a terminal, once it takes longer than a moment */
    PROGRESS_YES,
    PROGRESS_NO
} progress_choice;

typedef struct {
    progress_choice choice;
    size_t bytes;       /* of all rows together */
    double begun, next; /* when the map began, and when the bar is drawn next */
    bool drawn, terminal;
} progress_bar;

progress_bar begin_progress(progress_choice choice, size_t bytes);
void show_progress(progress_bar *bar, size_t done, size_t rows);

/* Leaves a terminal as it was; elsewhere the last line stays. */
void end_progress(progress_bar *bar);

#endif
