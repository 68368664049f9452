/* Mapped files that are truncated: reading a page past the new end is a bus error. */
#ifndef ROWPOOL_CLI_CUT_H
#define ROWPOOL_CLI_CUT_H

#include "input.h"

/* From now on a bus error ends this process with a message that names the file, and exit status 1. in NULL: no longer. The
 * input need not be open yet. A worker process dies of the signal, and its rows come back to this process. */
void watch_for_cuts(const input *in, const char *name);

#endif
