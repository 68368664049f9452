/* Bytes that come or go one after the other: from a descriptor, or out of an archive. */
#ifndef ROWPOOL_FILES_STREAM_H
#define ROWPOOL_FILES_STREAM_H

#include <stddef.h>

#include "rowpool.h"

/* Reads some bytes, at most `size`; *found is 0 at the end only. */
typedef rowpool_status read_some(void *context, void *bytes, size_t size, size_t *found, rowpool_error *error);

typedef struct {
    read_some *read;
    void *context;
} byte_stream;

/* Reads until `size` bytes are there or the stream ends. */
rowpool_status read_stream(const byte_stream *stream, void *bytes, size_t size, size_t *found, rowpool_error *error);

/* Makes a file in memory of what the stream holds; it stands at its beginning. */
rowpool_status store_stream(int *stored, const byte_stream *stream, rowpool_error *error);

/* Writes all of it, whatever a signal interrupts; a failure of standard output is named. Ends the program where nobody
 * reads that any more. */
rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error);

/* Reads from the descriptor that the context points to, an int. */
read_some read_descriptor;

#endif
