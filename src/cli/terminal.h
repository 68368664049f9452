/* What a terminal is shown beyond plain text. */
#ifndef ROWPOOL_CLI_TERMINAL_H
#define ROWPOOL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool is_terminal(int fd);

/* Its columns, or 80 where nobody says. */
size_t terminal_width(int fd);

/* The sequence that begins a colour, or ends them; "" where fd is no terminal, or NO_COLOR or TERM=dumb forbid it. */
typedef enum { COLOUR_NONE, COLOUR_RED, COLOUR_YELLOW, COLOUR_GREEN } colour;
const char *colour_on(int fd, colour which);

#endif
