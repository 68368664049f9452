/* Python: which of those on the machine will do, and the scripts that lie beside the program. */
#ifndef BENCH_PYTHON_H
#define BENCH_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The first Python that can run these imports; NULL where none can. */
const char *bench_python_with(const char *imports);

/* Finds a script: where it is installed, or among the sources. path is set anyway, for a message. */
bool bench_python_script(const char *name, char *path, size_t size);

/* Starts a program with these descriptors as its standard input and output; -1: nothing. quiet: what it says on standard
 * error is dropped. Returns 0 or an errno. */
int bench_process_start(pid_t *child, char **argv, int in, int out, bool quiet);

/* As waitpid sets it. */
int bench_process_status(pid_t child);

#endif
