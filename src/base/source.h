/* The text of row functions, from files. */
#ifndef RP_BASE_SOURCE_H
#define RP_BASE_SOURCE_H

#include "base/error.h"

/* rowpool_read_source. */
char *rp_source_read(const char *path, rowpool_error *error);

/* Undoes, in a build log, the escapes in the path of a #line: some compilers print the path as it is written there. */
void rp_source_unescape(char *text);

#endif
