/* Elements whose number is not known before the last: they are kept in blocks, so that none is copied but once, to where
 * all of them end up. */
#ifndef ROWPOOL_CLI_ELEMENTS_H
#define ROWPOOL_CLI_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

typedef struct element_block element_block;
typedef struct {
    element_block *first, *last;
    size_t count;
} element_list;

/* Adds one of `size` bytes, which divides ELEMENT_BLOCK_BYTES and is the same for all. False: out of memory. */
enum { ELEMENT_BLOCK_BYTES = 1 << 20 };
bool append_element(element_list *list, const void *element, size_t size);

/* Turns int64 into float64, each to the nearest. */
void turn_into_doubles(element_list *list);

/* Moves the elements into memory that every worker reaches; NULL where there is none. The list is empty then. */
rowpool_status collect_elements(void **memory, element_list *list, size_t size, rowpool_error *error);

void free_elements(element_list *list);

#endif
