/* Word lists: one string, the words separated by single spaces. */
#ifndef ROWPOOL_FILES_FIND_WORD_H
#define ROWPOOL_FILES_FIND_WORD_H

#include <stddef.h>
#include <string.h>

/* The index of the word that equals these `length` bytes, or -1. */
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
