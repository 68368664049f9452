/* Files that gzip has compressed, .gz. */
#ifndef ROWPOOL_CLI_GZIP_H
#define ROWPOOL_CLI_GZIP_H

#include "rowpool.h"

/* Makes a file in memory of what the open one holds once it is decompressed: of all members, one after the other, each
 * checked against its sum. It stands at its beginning. */
rowpool_status expand_gzip(int *expanded, int fd, rowpool_error *error);

#endif
