/* File descriptors that are kept. */
#ifndef RP_BASE_DESCRIPTOR_H
#define RP_BASE_DESCRIPTOR_H

#include <stdbool.h>

/* The same file on a descriptor beyond the standard streams', closed on exec: where those are closed, a new descriptor is
 * one of theirs, and what the application prints would be written to it. Takes what a system call returned: below 0 it is
 * returned as it is. -1, with errno set, where there is no descriptor to be had; then the given one is closed. */
int rp_descriptor_keep(int fresh);

/* The same for the two of a pipe or of sockets; false, with errno set: both are closed. */
bool rp_descriptors_keep(int fresh[2]);

#endif
