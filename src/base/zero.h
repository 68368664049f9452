/* Zeroing. */
#ifndef RP_BASE_ZERO_H
#define RP_BASE_ZERO_H

#include <stddef.h>

/* Zeroes a struct of some hundred bytes on the way of every call. An initialiser does the same, but compilers make of it
 * a string instruction, which takes longer than all else that a small map needs. */
void rp_zero(void *place, size_t size);

#endif
