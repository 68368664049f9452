/* Reading command lines. */
#ifndef ROWPOOL_CLI_OPTIONS_H
#define ROWPOOL_CLI_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rowpool.h"

typedef struct {
    const char *name;
    const char *usage[2]; /* one or two forms, without the program's name */
    const char *help;
    const struct option *known; /* getopt_long's table; --help is 'h' */
    /* Takes any option but --help; false after a message. NULL: the command has no other option. */
    bool (*read)(void *options, int option, const char *value);
} command_line;

/* Reads the command line into the options. *file: the FILE argument; file NULL: the command takes none. Returns
 * GO_ON or an exit status. */
enum { GO_ON = -1 };
int read_options(const command_line *line, void *options, const char **file, int argc, char **argv);

/* Whether the text ends with `end`, ignoring case. */
bool path_ends_with(const char *text, const char *end);

/* Whether the file name has any suffix. A leading dot does not begin one. */
bool has_suffix(const char *path);

/* Reads a whole number; false if it is not one or beyond size_t. */
bool parse_size(size_t *value, const char *text);

/* These read a value, or return false after a message that names the option. */
bool read_size_option(size_t *value, const char *command, const char *option, const char *text);
bool read_dtype_option(rowpool_dtype *dtype, const char *command, const char *option, const char *text);
bool read_device_option(const char **device, const char *command, const char *text);

/* Finds a dtype by its name. */
bool find_dtype_name(rowpool_dtype *dtype, const char *name, size_t length);

/* Prints the text to standard output; returns the exit status. */
int show_help(const char *text);

/* For commands whose only option is --json; *json is a bool. */
extern const struct option JSON_ALONE[];
bool read_json_option(void *json, int option, const char *value);

/* The help on --device. */
#define DEVICE_HELP                                                                                   \
    "  --device LIST   the workers, a comma-separated list of:\n"                                     \
    "                    auto         the OpenCL devices, or processes where there is none;\n"        \
    "                                 small arrays are mapped in the program itself (default)\n"      \
    "                    cpu, gpu, accelerator   the OpenCL devices of that type\n"                   \
    "                    all          every OpenCL device, even if some share cores\n"                \
    "                    P:D          device D of OpenCL platform P, as rowpool devices lists them\n" \
    "                    isolated     OpenCL in a helper process, as always in this program\n"        \
    "                    fork         worker processes\n"                                             \
    "                    host         the program itself\n"                                           \
    "                  The default is the environment variable ROWPOOL_DEVICE.\n"

#endif
