/* The program rowpool, run in a folder of its own: what it prints, what it refuses, what it leaves behind. */
#ifndef ROWPOOL_TESTS_PROGRAM_H
#define ROWPOOL_TESTS_PROGRAM_H

#include <sys/resource.h>
#include <sys/types.h>

#include "support.h"

/* ---- Running the program ---------------------------------------------------------------------------------------- */

/* What is not the same in every run; -1 and NULL are the usual. */
typedef struct {
    int standard_input, standard_output, standard_error; /* else nothing to read, and what is written is kept */
    bool close_standard_output;
    const char *const *environment; /* "NAME=VALUE" ..., NULL */
    rlim_t largest_file;            /* 0: no limit */
    const char *program;            /* NULL: the one that ROWPOOL_PROGRAM names */
} circumstances;

/* On the host, which the folder's environment names: most of what is tried here has nothing to do with devices, and an
 * OpenCL driver takes its time to start. */
extern const circumstances USUAL;

/* On the devices that a user gets who asks for none. */
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
#define RUN(...) run_with(&USUAL, ARGUMENTS(__VA_ARGS__))
#define RUN_WITH(with, ...) run_with(with, ARGUMENTS(__VA_ARGS__))

/* ---- Judging a run ---------------------------------------------------------------------------------------------- */

void show(const outcome *result, int line);
bool is_one_line(const char *text);

/* Exit status 0, this on standard output, nothing on standard error. */
void check_prints(outcome result, const char *text, int line);

/* The exit status, one line on standard error that begins and goes on like this, and nothing on standard output. */
void check_refuses(outcome result, int exit_status, const char *begin, const char *text, int line);

#define assert_prints(result, text) check_prints(result, text, __LINE__)
#define assert_fails(result, begin, text) check_refuses(result, 1, begin, text, __LINE__)
#define assert_usage(result, text) check_refuses(result, 2, "rowpool: ", text, __LINE__)

void check_tells(const char *text, const char *part);

/* ---- Files in the folder ---------------------------------------------------------------------------------------- */

bool exists(const char *path);

/* Temporary files that the program left. */
size_t leftovers(void);

/* Whether files here can be without a name: an unfinished one is then not among them. */
bool has_nameless_files(void);
void assert_no_output(const char *path);

void write_file(const char *path, const void *bytes, size_t size);

/* A version 1.0 .npy file as NumPy writes it. */
void write_npy(const char *path, const char *descr, bool fortran, const char *shape, const void *data, size_t bytes);

/* ---- The folder ------------------------------------------------------------------------------------------------- */

/* Set-up and tear-down of the group: the working directory is a new folder, and the device is the host. The program is
 * the one that ROWPOOL_PROGRAM names. */
int enter_folder(void **state);
int remove_folder(void **state);

#endif
