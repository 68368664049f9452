/* Files compressed by gzip, .gz. */
#ifndef ROWPOOL_CLI_GZIP_H
#define ROWPOOL_CLI_GZIP_H

#include "rowpool.h"

/* Decompresses all members of the file into a file in memory, which is open at its beginning. Checksums are verified. */
rowpool_status expand_gzip(int *expanded, int fd, rowpool_error *error);

#endif
