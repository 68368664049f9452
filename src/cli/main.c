/* The program rowpool: one command for each thing it does. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "count.h"
#include "demo.h"
#include "devices.h"
#include "doctor.h"
#include "environment.h"
#include "interrupt.h"
#include "map.h"
#include "message.h"
#include "options.h"
#include "output.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} COMMANDS[] = {
    {"count", run_count}, {"map", run_map},       {"devices", run_devices},
    {"demo", run_demo},   {"doctor", run_doctor}, {"environment", run_environment},
};

static const char HELP[] =
    "Usage: rowpool COMMAND [OPTION...]\n"
    "\n"
    "Maps a function over the rows of an array on every device of the machine.\n"
    "\n"
    "  count FILE      count the elements of each row that lie in a range, or in several\n"
    "  map FILE        map a built-in function, or one of your own, over the rows: sum, mean, max ...\n"
    "  devices         list the devices, and why each is used or not\n"
    "  demo            count random numbers on each kind of worker, beside a serial loop\n"
    "  doctor          tell what is wrong on this machine, and what mends it\n"
    "  environment     list the environment variables, and what they mean\n"
    "\n"
    "  --help          show this text; rowpool COMMAND --help tells more\n"
    "  --version       show the version\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 the command line is wrong.\n";

/* A closed standard stream would be the next file that is opened, and be written to. What stands in for it here can
 * only fail. */
static void fill_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

static int run_command(int argc, char **argv)
{
    if (argc < 2)
        return usage_error(NULL, "a command is missing");
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return show_help(HELP);
    if (strcmp(name, "--version") == 0) {
        (void)printf("rowpool %s\n", rowpool_version());
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (strcmp(name, COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    }
    return usage_error(NULL, "unknown %s '%s'", name[0] == '-' ? "option" : "command", name);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    /* A reader that leaves and a file that may not grow are errors to report, not deaths. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    watch_interruptions();
    opterr = 0;
    int status = run_command(argc, argv);
    if (!close_standard_output() && status == EXIT_DONE)
        status = EXIT_FAILED;
    return status;
}
