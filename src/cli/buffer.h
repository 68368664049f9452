/* A growing array of bytes: terminated texts, one after the other, or items of any other kind. If memory runs out, the
 * program ends with a message. */
#ifndef ROWPOOL_CLI_BUFFER_H
#define ROWPOOL_CLI_BUFFER_H

#include <stddef.h>

typedef struct {
    char *bytes; /* NULL: none was appended yet */
    size_t used, capacity;
    size_t count; /* of terminated texts */
} buffer;

void append_bytes(buffer *to, const void *bytes, size_t size);
__attribute__((format(printf, 2, 3))) void append_format(buffer *to, const char *format, ...);

/* Terminates the text that was appended since the last one. */
void end_text(buffer *to);

/* The text after this one, which is not the last. */
const char *next_text(const char *text);

/* Text i, from 0. */
const char *text_at(const buffer *texts, size_t i);

/* Empties the buffer, and keeps its memory. */
void clear_buffer(buffer *which);
void free_buffer(buffer *which);

#endif
