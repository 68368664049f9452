/* Runs the program rowpool in a folder of its own and checks what it prints, refuses and leaves behind. */
#ifndef ROWPOOL_TESTS_PROGRAM_H
#define ROWPOOL_TESTS_PROGRAM_H

#include <sys/resource.h>
#include <sys/types.h>

#include "support.h"

/* ---- Running the program ---------------------------------------------------------------------------------------- */

/* The circumstances of a run; -1 and NULL stand for the default. */
typedef struct {
    int standard_input, standard_output, standard_error; /* -1: nothing to read; what is written is captured */
    bool close_standard_output;
    const char *const *environment; /* "NAME=VALUE" ..., NULL */
    rlim_t largest_file;            /* 0: no limit */
    const char *program;            /* NULL: the one that ROWPOOL_PROGRAM names */
} circumstances;

/* On the host, as the folder's environment says: most tests do not depend on devices, and an OpenCL driver is slow to
 * start. */
extern const circumstances DEFAULTS;

/* On the devices used by default. */
extern const circumstances DEFAULT_DEVICE;

typedef struct {
    int exit_status; /* -1: it was killed */
    int signal;
    char *out, *err;
} outcome;

pid_t start_program(const char *const *arguments, const circumstances *with, int out, int err);
outcome run_with(const circumstances *with, const char *const *arguments);
void release(outcome *result);

#define ARGUMENTS(...)    \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define RUN(...) run_with(&DEFAULTS, ARGUMENTS(__VA_ARGS__))
#define RUN_WITH(with, ...) run_with(with, ARGUMENTS(__VA_ARGS__))

/* ---- Checking a run --------------------------------------------------------------------------------------------- */

void show(const outcome *result, int line);
bool is_one_line(const char *text);

/* Expects exit status 0, this on standard output, and nothing on standard error. */
void check_prints(outcome result, const char *text, int line);

/* Expects this exit status, nothing on standard output, and one line on standard error that begins with `begin` and
 * contains `text`. */
void check_refuses(outcome result, int exit_status, const char *begin, const char *text, int line);

#define assert_prints(result, text) check_prints(result, text, __LINE__)
#define assert_fails(result, begin, text) check_refuses(result, 1, begin, text, __LINE__)
#define assert_usage(result, text) check_refuses(result, 2, "rowpool: ", text, __LINE__)

void check_tells(const char *text, const char *part);

/* ---- Files in the folder ---------------------------------------------------------------------------------------- */

bool exists(const char *path);

/* Temporary files that the program left behind. */
size_t leftovers(void);

/* Whether this file system has unnamed files: an unfinished output file is then not visible. */
bool has_nameless_files(void);
void assert_no_output(const char *path);

void write_file(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);

/* A version 1.0 .npy file as NumPy writes it. */
void write_npy(const char *path, const char *descr, bool fortran, const char *shape, const void *data, size_t bytes);

/* ---- The folder ------------------------------------------------------------------------------------------------- */

/* Group set-up and tear-down. The working directory is a new folder, the device is the host, and ROWPOOL_PROGRAM names
 * the program. */
int enter_folder(void **state);
int remove_folder(void **state);

#endif
