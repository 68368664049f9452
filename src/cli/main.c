/* The program rowpool: one command for each thing it does. */
#include "command.h"
#include "count.h"
#include "demo.h"
#include "devices.h"
#include "doctor.h"
#include "environment.h"
#include "map.h"
#include "message.h"
#include "output.h"

static const program_command COMMANDS[] = {
    {"count", run_count}, {"map", run_map},       {"devices", run_devices},
    {"demo", run_demo},   {"doctor", run_doctor}, {"environment", run_environment},
    {NULL, NULL},
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

static const program ROWPOOL = {
    .name = "rowpool",
    .start = "rowpool",
    .help = HELP,
    .file_help = "\nFILE - is standard input.\n",
    .commands = COMMANDS,
};

int main(int argc, char **argv)
{
    prepare_program();
    int status = run_program(&ROWPOOL, argc, argv);
    if (!close_standard_output() && status == EXIT_DONE)
        status = EXIT_FAILED;
    return status;
}
