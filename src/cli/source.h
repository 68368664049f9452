/* A row function read from a file at run time, for OpenCL devices. */
#ifndef ROWPOOL_CLI_SOURCE_H
#define ROWPOOL_CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "rowpool.h"

enum { SOURCE_NAME = 128 };

typedef struct {
    char name[SOURCE_NAME]; /* of the file, without its folder */
    buffer text;            /* with #line directives */
    bool has_body;          /* a free body, not a fold */
    bool has_ranges;        /* it takes ranges */
} function_source;

/* Reads the file and what it includes with #include "other", looked up beside the including file. False after a
 * message. */
bool read_source(function_source *source, const char *path);
void free_source(function_source *source);

/* Ends the text with declarations that build only if result_t is the type of the dtype; float16 allows any type of two
 * bytes. */
void end_source(function_source *source, rowpool_dtype dtype);

/* Whether the first error of a build log is that result_t, or arguments_t, has the wrong type or size. */
bool is_about_result_type(const char *log);
bool is_about_arguments_type(const char *log);

#endif
