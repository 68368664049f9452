/* Maps a file to an output: shared by rowpool count and rowpool map.
 *
 *     file_map map;
 *     bool done = begin_file_map(&map, &options) && ...choose the function... && run_file_map(&map);
 *     end_file_map(&map);
 */
#ifndef ROWPOOL_CLI_FILEMAP_H
#define ROWPOOL_CLI_FILEMAP_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "group.h"
#include "input.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "ranges.h"
#include "replace.h"
#include "rowpool.h"

typedef struct {
    const char *command; /* for messages */
    wanted_ranges ranges;
    const char *device; /* NULL: ROWPOOL_DEVICE or auto */
    const char *output; /* NULL: print */
    bool head_given;
    size_t head;
    bool async, json, verbose;
    progress_choice progress;
    input_options input;
    const char *path; /* of the input */
} file_options;

/* The options in getopt_long's table, and in every help text. */
/* clang-format off */
#define FILE_OPTIONS                          \
    RANGE_OPTIONS,                            \
    INPUT_OPTIONS,                            \
    {"device", required_argument, NULL, 'd'}, \
    {"output", required_argument, NULL, 'o'}, \
    {"head", required_argument, NULL, 'n'},   \
    {"json", no_argument, NULL, 'j'},         \
    {"progress", no_argument, NULL, 'p'},     \
    {"no-progress", no_argument, NULL, 'P'},  \
    {"async", no_argument, NULL, 'a'},        \
    {"verbose", no_argument, NULL, 'v'},      \
    {"help", no_argument, NULL, 'h'}
/* clang-format on */
#define FILE_HELP                                                                                                 \
    INPUT_HELP                                                                                                    \
    "\n" DEVICE_HELP "  --output FILE   write the results to a file, whose name ends in .csv, .tsv, .json, .txt " \
    "or .npy; it appears when\n"                                                                                  \
    "                  it is complete, or not at all. Nothing is printed then, unless --head is given\n"          \
    "  --head N        print the results of the first N rows only; all rows are mapped\n"                         \
    "  --json          print one JSON object: what was mapped, by which devices and how fast, and the results\n"  \
    "  --progress      show the progress on standard error, even if that is not a terminal\n"                     \
    "  --no-progress   never show it\n"                                                                           \
    "  --async         run an asynchronous job and wait for its completion callback, too\n"                       \
    "  --verbose       say on standard error what each device did, and how fast the map was\n"                    \
    "  --help          show this text; the man page rowpool(1) says more about each option\n"

file_options default_file_options(const range_words *words);

/* Reads one of the options above; false after a message. */
bool read_file_option(file_options *options, int option, const char *value);

/* Checks all options together: GO_ON, or an exit status after a message. */
int check_file_options(file_options *options);

/* A device that did some of the work, and its rank. */
typedef struct {
    int rank;
    rowpool_device device;
} worker;
typedef struct {
    worker *items;
    size_t count;
} worker_list;

typedef struct {
    const file_options *options;
    const char *input_name; /* for messages */
    input in;
    replacement output;
    rowpool *pool;
    rowpool_rows own; /* the rows of this process */
    size_t first;     /* the index of the first of them */
    row_results results;
    double begun, seconds; /* begun: when the map began; seconds: how long it took */
    worker_list workers;   /* filled in for --verbose and JSON */
    struct json_t *facts;  /* of JSON, else NULL */

    /* Set by the caller after begin_file_map, when the dtype of the rows is known. */
    const rowpool_function *function;
    rowpool_dtype result_dtype;
    const void *arguments; /* the argument struct; NULL: all zero, or the ranges */
    size_t arguments_size;

    /* Prints the error and returns true if it is the function's fault, not the input's. May be NULL. */
    bool (*blame)(const void *context, const rowpool_error *error);
    const void *context;
} file_map;

/* Opens the input, the output and the pool; then maps, prints and writes. Both return false after a message. */
bool begin_file_map(file_map *map, const file_options *options);
bool run_file_map(file_map *map);

/* Does not return if the user interrupted the map. */
void end_file_map(file_map *map);

#endif
