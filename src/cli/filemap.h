/* A map from a file to an output: what rowpool count and rowpool map have in common.
 *
 *     file_map map;
 *     bool done = begin_file_map(&map, &options) && ...the function chosen... && run_file_map(&map);
 *     end_file_map(&map);
 */
#ifndef ROWPOOL_CLI_FILEMAP_H
#define ROWPOOL_CLI_FILEMAP_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "npy.h"
#include "options.h"
#include "output.h"
#include "ranges.h"
#include "replace.h"
#include "rowpool.h"

typedef struct {
    const char *command; /* for messages */
    wanted_ranges ranges;
    const char *device; /* NULL: as the environment says */
    const char *output; /* NULL: print */
    bool head_given;
    size_t head;
    bool async, verbose;
    const char *input;
} file_options;

/* The options in getopt_long's table, and in every help text. */
/* clang-format off */
#define FILE_OPTIONS                          \
    RANGE_OPTIONS,                            \
    {"device", required_argument, NULL, 'd'}, \
    {"output", required_argument, NULL, 'o'}, \
    {"head", required_argument, NULL, 'n'},   \
    {"async", no_argument, NULL, 'a'},        \
    {"verbose", no_argument, NULL, 'v'},      \
    {"help", no_argument, NULL, 'h'}
/* clang-format on */
#define FILE_HELP                                                                                                  \
    DEVICE_HELP                                                                                                    \
    "  --output FILE   write the results as a .npy file, shaped like the array without its last axis (a single\n"  \
    "                  value of shape () for an array of one axis); with --ranges or --bins the ranges take the\n" \
    "                  place of that axis. FILE appears when it is complete, or not at all. Nothing is printed\n"  \
    "                  then, unless --head is given\n"                                                             \
    "  --head N        print the results of the first N rows only; all rows are mapped\n"                          \
    "  --async         map as an asynchronous job with a completion callback\n"                                    \
    "  --verbose       say on standard error which device did it, how much and how fast\n"                         \
    "  --help          show this text\n"

file_options usual_file_options(const range_words *words);

/* Reads one of the options above; false after a message. */
bool read_file_option(file_options *options, int option, const char *value);

typedef struct {
    const file_options *options;
    const char *input_name; /* for messages */
    npy_array array;
    replacement output;
    rowpool *pool;
    row_results results;

    /* The function, chosen once it is known what the rows are. */
    const rowpool_function *function;
    rowpool_dtype result_dtype;
    const void *arguments; /* one argument struct; NULL: all zero, or the ranges */
    size_t arguments_size;

    /* Says what went wrong where it is the function's fault, not the array's; false where it is not. May be NULL. */
    bool (*blame)(const void *context, const rowpool_error *error);
    const void *context;
} file_map;

/* Opens the input. False after a message, as is what follows. */
bool begin_file_map(file_map *map, const file_options *options);
bool run_file_map(file_map *map);
void end_file_map(file_map *map);

#endif
