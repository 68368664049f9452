/* A row function that is read from a file when the program runs: text alone, for OpenCL devices. */
#ifndef ROWPOOL_CLI_SOURCE_H
#define ROWPOOL_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "rowpool.h"

enum { SOURCE_NAME = 128 };

typedef struct {
    char name[SOURCE_NAME]; /* the file's, without its folder */
    buffer text;            /* with lines that tell a compiler where everything stands */
    bool has_body;          /* it is a free body, not a fold */
    bool has_ranges;        /* it takes ranges */
} function_source;

/* Reads the file, and those that it includes with a line #include "other", found beside the one that names it. False
 * after a message. */
bool read_source(function_source *source, const char *path);
void free_source(function_source *source);

/* Ends the text with lines that build only if its result_t is of the dtype; of float16, two bytes of any type. */
void end_source(function_source *source, rowpool_dtype dtype);

/* Whether the log of a failed build says first that result_t, or arguments_t, is not what it has to be. */
bool is_about_result_type(const char *log);
bool is_about_arguments_type(const char *log);

#endif
