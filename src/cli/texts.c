#include "texts.h"

#include <stdlib.h>
#include <string.h>

static bool make_room(text_list *list, size_t more)
{
    size_t wanted;
    if (__builtin_add_overflow(list->used, more, &wanted))
        return false;
    if (wanted <= list->capacity)
        return true;
    size_t capacity;
    if (__builtin_mul_overflow(wanted, (size_t)2, &capacity))
        return false;
    char *bytes = realloc(list->bytes, capacity);
    if (bytes == NULL)
        return false;
    list->bytes = bytes;
    list->capacity = capacity;
    return true;
}

bool extend_text(text_list *list, const char *bytes, size_t length)
{
    if (!make_room(list, length))
        return false;
    if (length > 0)
        memcpy(list->bytes + list->used, bytes, length);
    list->used += length;
    return true;
}

bool end_text(text_list *list)
{
    if (!extend_text(list, "", 1))
        return false;
    list->count++;
    return true;
}

bool add_text(text_list *list, const char *text, size_t length)
{
    return extend_text(list, text, length) && end_text(list);
}

const char *next_text(const char *text)
{
    return text + strlen(text) + 1;
}

const char *text_at(const text_list *list, size_t i)
{
    const char *text = list->bytes;
    for (; i > 0; i--)
        text = next_text(text);
    return text;
}

void clear_texts(text_list *list)
{
    list->used = 0;
    list->count = 0;
}

void free_texts(text_list *list)
{
    free(list->bytes);
    *list = (text_list){0};
}
