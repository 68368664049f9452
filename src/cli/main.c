/* The program rowpool: one command for each thing it does. */
#include <stddef.h>

#include "command.h"
#include "message.h"
#include "output.h"

static const program_command commands[] = {
    {"count", run_count}, {"map", run_map},       {"devices", run_devices},
    {"demo", run_demo},   {"doctor", run_doctor}, {"environment", run_environment},
    {NULL, NULL},
};

static const char help[] =
    "Usage: rowpool COMMAND [OPTION...]\n"
    "\n"
    "Maps a function over the rows of an array on every device of the machine.\n"
    "\n" MAP_COMMANDS_HELP "  devices         list the devices, and why each is used or not\n"
    "  demo            count random numbers on each kind of worker, and time it beside a serial loop\n"
    "  doctor          check this machine, and say how to fix what is wrong\n"
    "  environment     list the environment variables, and what they mean\n"
    "\n"
    "  --help          show this text; rowpool COMMAND --help tells more\n"
    "  --version       show the version\n"
    "\n" EXIT_STATUS_HELP;

static const program rowpool_program = {
    .name = "rowpool",
    .start = "rowpool",
    .help = help,
    .file_help = "\nFILE - is standard input.\n",
    .commands = commands,
};

int main(int argc, char **argv)
{
    prepare_program();
    int status = run_program(&rowpool_program, argc, argv);
    if (!close_standard_output() && status == EXIT_DONE)
        status = EXIT_FAILED;
    return status;
}
