/* What the commands have in common in reading their options. */
#ifndef ROWPOOL_CLI_OPTIONS_H
#define ROWPOOL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the list could name devices: words that rowpool.h knows, or P:D, between commas. */
bool device_list_is_sound(const char *list);

/* For what getopt_long answers with '?' or ':'; it must have been told to say nothing itself. Returns EXIT_USAGE. */
int refuse_option(const char *command, int answer, char **argv);

/* The values below are read or refused with a message; `option` is the option's name. */
bool read_size_option(size_t *value, const char *command, const char *option, const char *text);
bool read_device_option(const char **device, const char *command, const char *text);

/* Prints a help text to standard output, to be checked when that is closed. */
int show_help(const char *text);

/* The part of every help text about --device. */
#define DEVICE_HELP                                                                                   \
    "  --device LIST   the workers, a comma-separated list of:\n"                                     \
    "                    auto         the OpenCL devices, or processes where there is none;\n"        \
    "                                 small arrays are counted in the program itself (default)\n"     \
    "                    cpu, gpu, accelerator   the OpenCL devices of that type\n"                   \
    "                    all          every OpenCL device, the same cores twice too\n"                \
    "                    P:D          device D of OpenCL platform P, as rowpool devices lists them\n" \
    "                    fork         worker processes\n"                                             \
    "                    host         the program itself\n"                                           \
    "                  Without it the environment variable ROWPOOL_DEVICE holds.\n"

#endif
