/* File descriptors that are kept. */
#ifndef RP_BASE_DESCRIPTOR_H
#define RP_BASE_DESCRIPTOR_H

#include <stdbool.h>

/* Moves a new descriptor above the standard streams. Where one of those is closed, the new descriptor has its number,
 * and the application's output would go to it. Returns the descriptor, closed on exec. A negative value is returned as
 * it is. -1, with errno set: out of descriptors; the given one is closed. */
int rp_descriptor_keep(int fresh);

/* The same for both ends of a pipe or of a socket pair; false, with errno set: both are closed. */
bool rp_descriptors_keep(int fresh[2]);

/* Closes a descriptor; does nothing for -1. */
void rp_descriptor_close(int descriptor);

#endif
