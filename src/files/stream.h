/* Byte streams: from a descriptor, an archive or a decompressor. */
#ifndef ROWPOOL_FILES_STREAM_H
#define ROWPOOL_FILES_STREAM_H

#include <stddef.h>

#include "rowpool.h"

/* Reads up to `size` bytes; *found is 0 only at the end. */
typedef rowpool_status read_some(void *context, void *bytes, size_t size, size_t *found, rowpool_error *error);

typedef struct {
    read_some *read;
    void *context;
} byte_stream;

/* Reads `size` bytes, fewer only if the stream ends. */
rowpool_status read_stream(const byte_stream *stream, void *bytes, size_t size, size_t *found, rowpool_error *error);

/* Copies the stream into a file in memory, open at its beginning. */
rowpool_status store_stream(int *stored, const byte_stream *stream, rowpool_error *error);

/* Writes all bytes. If fd is standard output, an error says so, and the program ends by SIGPIPE if its reader has gone. */
rowpool_status write_bytes(int fd, const void *bytes, size_t size, rowpool_error *error);

/* context: points to the descriptor, an int. */
read_some read_descriptor;

#endif
