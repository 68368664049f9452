#include "command.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"
#include "options.h"
#include "rowpool.h"

static const program *running;

/* Opens /dev/null in place of each closed standard stream: otherwise the next file opened would get its descriptor, and
 * receive what is printed. It is opened the wrong way round, so that using the stream still fails. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

void prepare_program(void)
{
    fill_standard_streams();
    ignore_broken_pipes();
    /* A write beyond the file size limit then is an error to report, not the end of the program. */
    (void)signal(SIGXFSZ, SIG_IGN);
    watch_interruptions();
}

int run_program(const program *which, int argc, char **argv)
{
    running = which;
    speak_as(which->name);
    opterr = 0;
    if (argc < 2)
        return usage_error(NULL, "a command is missing");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return show_help(which->help);
    if (strcmp(name, "--version") == 0) {
        (void)printf("%s %s\n", which->name, rowpool_version());
        return EXIT_DONE;
    }
    for (const program_command *known = which->commands; known->name != NULL; known++) {
        if (strcmp(name, known->name) == 0)
            return known->run(argc - 1, argv + 1);
    }
    return usage_error(NULL, "unknown %s '%s'", name[0] == '-' ? "option" : "command", name);
}

const program *the_program(void)
{
    return running;
}
