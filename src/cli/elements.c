#include "elements.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

struct element_block {
    element_block *next;
    size_t used; /* bytes */
    unsigned char bytes[ELEMENT_BLOCK_BYTES];
};

static bool append_block(element_list *list)
{
    element_block *block = malloc(sizeof *block);
    if (block == NULL)
        return false;
    block->next = NULL;
    block->used = 0;
    if (list->last != NULL)
        list->last->next = block;
    else
        list->first = block;
    list->last = block;
    return true;
}

bool append_element(element_list *list, const void *element, size_t size)
{
    if ((list->last == NULL || list->last->used == ELEMENT_BLOCK_BYTES) && !append_block(list))
        return false;
    memcpy(list->last->bytes + list->last->used, element, size);
    list->last->used += size;
    list->count++;
    return true;
}

void turn_into_doubles(element_list *list)
{
    for (element_block *block = list->first; block != NULL; block = block->next) {
        for (unsigned char *at = block->bytes; at < block->bytes + block->used; at += sizeof(double)) {
            int64_t integer;
            memcpy(&integer, at, sizeof integer);
            const double real = (double)integer;
            memcpy(at, &real, sizeof real);
        }
    }
}

static element_block *drop_first(element_list *list)
{
    element_block *next = list->first->next;
    free(list->first);
    return list->first = next;
}

/* Each block goes as soon as it is copied. */
rowpool_status collect_elements(void **memory, element_list *list, size_t size, rowpool_error *error)
{
    *memory = NULL;
    if (list->count == 0)
        return ROWPOOL_OK;
    rowpool_error refusal;
    unsigned char *to = rowpool_alloc(list->count * size, &refusal); /* as many are there already: no overflow */
    if (to == NULL)
        return rp_fail(error, refusal.status, "no memory for %zu elements: %s", list->count, refusal.message);
    *memory = to;
    for (element_block *block = list->first; block != NULL; block = drop_first(list)) {
        memcpy(to, block->bytes, block->used);
        to += block->used;
    }
    *list = (element_list){0};
    return ROWPOOL_OK;
}

void free_elements(element_list *list)
{
    while (list->first != NULL)
        (void)drop_first(list);
    *list = (element_list){0};
}
