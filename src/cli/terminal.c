#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool is_terminal(int fd)
{
    return isatty(fd) == 1;
}

size_t terminal_width(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* https://no-color.org: present and not empty. */
static bool wants_colours(void)
{
    const char *refusal = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return (refusal == NULL || refusal[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

const char *colour_on(int fd, colour which)
{
    static const char *const sequences[] = {
        [COLOUR_NONE] = "\033[0m",
        [COLOUR_RED] = "\033[1;31m",
        [COLOUR_YELLOW] = "\033[1;33m",
        [COLOUR_GREEN] = "\033[32m",
    };
    return is_terminal(fd) && wants_colours() ? sequences[which] : "";
}
