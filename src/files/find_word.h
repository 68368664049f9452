/* Lists of words in one string, one space between them: the tables of the readers' small languages. */
#ifndef ROWPOOL_FILES_FIND_WORD_H
#define ROWPOOL_FILES_FIND_WORD_H

#include <stddef.h>
#include <string.h>

/* The index of the word that `length` bytes of text are, or -1. */
static inline int find_word(const char *words, const char *text, size_t length)
{
    for (int i = 0; *words != '\0'; i++) {
        const size_t size = strcspn(words, " ");
        if (size == length && memcmp(words, text, length) == 0)
            return i;
        words += size + (words[size] == ' ');
    }
    return -1;
}

#endif
