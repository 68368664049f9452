#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* Makes room for `more` further bytes. */
static void grow(buffer *which, size_t more)
{
    if (which->capacity - which->used >= more)
        return;
    size_t wanted, capacity;
    if (__builtin_add_overflow(which->used, more, &wanted) ||
        __builtin_add_overflow(wanted, wanted / 2 + 64, &capacity))
        end_out_of_memory();
    char *bytes = realloc(which->bytes, capacity);
    if (bytes == NULL)
        end_out_of_memory();
    which->bytes = bytes;
    which->capacity = capacity;
}

void append_bytes(buffer *to, const void *bytes, size_t size)
{
    grow(to, size);
    if (size > 0)
        memcpy(to->bytes + to->used, bytes, size);
    to->used += size;
}

void append_format(buffer *to, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append_bytes(to, text, strlen(text));
}

void end_text(buffer *to)
{
    append_bytes(to, "", 1);
    to->count++;
}

const char *next_text(const char *text)
{
    return text + strlen(text) + 1;
}

const char *text_at(const buffer *texts, size_t i)
{
    const char *text = texts->bytes;
    for (; i > 0; i--)
        text = next_text(text);
    return text;
}

void clear_buffer(buffer *which)
{
    which->used = 0;
    which->count = 0;
}

void free_buffer(buffer *which)
{
    free(which->bytes);
    *which = (buffer){0};
}
