/* Terminals: width and colours. */
#ifndef ROWPOOL_CLI_TERMINAL_H
#define ROWPOOL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool is_terminal(int fd);

/* In columns; 80 if unknown. */
size_t terminal_width(int fd);

/* The escape sequence; "" if fd is not a terminal or NO_COLOR or TERM=dumb is set. */
typedef enum { COLOUR_NONE, COLOUR_RED, COLOUR_YELLOW, COLOUR_GREEN } colour;
const char *colour_on(int fd, colour which);

#endif
