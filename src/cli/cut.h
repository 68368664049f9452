/* A file that somebody cuts while it is mapped: what is read more than a page behind its end is a bus error. */
#ifndef ROWPOOL_CLI_CUT_H
#define ROWPOOL_CLI_CUT_H

#include "input.h"

/* From here on a bus error in this process ends it by a message that names the file, and exit status 1; NULL: no more. The
 * input need not be open yet. Worker processes end by the signal, so that their rows come back to this one. */
void watch_for_cuts(const input *in, const char *name);

#endif
