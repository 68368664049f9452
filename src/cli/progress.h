/* The progress of a long map, on standard error. */
#ifndef ROWPOOL_CLI_PROGRESS_H
#define ROWPOOL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    PROGRESS_AUTO, /* shown on a terminal if the map takes long */
    PROGRESS_YES,
    PROGRESS_NO
} progress_choice;

typedef struct {
    progress_choice choice;
    size_t bytes;       /* of all rows together */
    double begun, next; /* times: of the start, and of the next drawing */
    bool drawn, terminal;
} progress_bar;

progress_bar begin_progress(progress_choice choice, size_t bytes);
void show_progress(progress_bar *bar, size_t done, size_t rows);

/* Clears the bar on a terminal. */
void end_progress(progress_bar *bar);

#endif
