/* A list of texts that grows at its end and is read from its beginning. */
#ifndef ROWPOOL_CLI_TEXTS_H
#define ROWPOOL_CLI_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *bytes; /* one after the other, each terminated; NULL: there was none yet */
    size_t used, capacity;
    size_t count;
} text_list;

/* False: out of memory. The text has no NUL. */
bool add_text(text_list *list, const char *text, size_t length);

/* The same piece by piece: the list has one text more once it is ended. */
bool extend_text(text_list *list, const char *bytes, size_t length);
bool end_text(text_list *list);

/* The text after this one, which is not the last. */
const char *next_text(const char *text);

/* The text of that number, from 0. */
const char *text_at(const text_list *list, size_t i);

/* Empties the list, and keeps its memory. */
void clear_texts(text_list *list);
void free_texts(text_list *list);

#endif
