/* Bytes that come one after the other: from a descriptor, or out of an archive. */
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

/* Reads from the descriptor that the context points to, an int. */
read_some read_descriptor;

#endif
