/* What the commands have in common in reading their options. */
#ifndef ROWPOOL_CLI_OPTIONS_H
#define ROWPOOL_CLI_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowpool.h"

/* What a command understands. */
typedef struct {
    const char *name;
    const char *usage[2]; /* each way to give it, without the program */
    const char *help;
    const struct option *known; /* getopt_long's table; --help is 'h' */
    /* Reads any other option, with its value if it takes one; false after a message. NULL where there is none. */
    bool (*read)(void *options, int option, const char *value);
} command_line;

/* Reads the command line into the options. file: where the name of the one FILE goes that the command takes; NULL: it
 * takes none. GO_ON, or the exit status where there is nothing more to do. */
enum { GO_ON = -1 };
int read_options(const command_line *line, void *options, const char **file, int argc, char **argv);

/* Whether it ends so, whatever the case. */
bool path_ends_with(const char *text, const char *end);

/* Whether the last name in the path has a suffix: a point within it, and something behind that. */
bool has_suffix(const char *path);

/* Reads a whole number; false where it is none that a size can be. */
bool parse_size(size_t *value, const char *text);

/* The values below are read or refused with a message; `option` is the option's name. */
bool read_size_option(size_t *value, const char *command, const char *option, const char *text);
bool read_dtype_option(rowpool_dtype *dtype, const char *command, const char *option, const char *text);
bool read_device_option(const char **device, const char *command, const char *text);

/* The dtype of that name; false where there is none. */
bool find_dtype_name(rowpool_dtype *dtype, const char *name, size_t length);

/* Prints a text to standard output; the exit status. */
int show_help(const char *text);

/* For a command that has no option but --json, into a bool. */
extern const struct option JSON_ALONE[];
bool read_json_option(void *json, int option, const char *value);

/* The part of every help text about --device. */
#define DEVICE_HELP                                                                                   \
    "  --device LIST   the workers, a comma-separated list of:\n"                                     \
    "                    auto         the OpenCL devices, or processes where there is none;\n"        \
    "                                 small arrays are mapped in the program itself (default)\n"      \
    "                    cpu, gpu, accelerator   the OpenCL devices of that type\n"                   \
    "                    all          every OpenCL device, the same cores twice too\n"                \
    "                    P:D          device D of OpenCL platform P, as rowpool devices lists them\n" \
    "                    isolated     OpenCL in a helper process, where this program has it always\n" \
    "                    fork         worker processes\n"                                             \
    "                    host         the program itself\n"                                           \
    "                  Without it the environment variable ROWPOOL_DEVICE holds.\n"

#endif
