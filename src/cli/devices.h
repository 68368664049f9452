/* The devices of a pool, and how the program speaks of them. */
#ifndef ROWPOOL_CLI_DEVICES_H
#define ROWPOOL_CLI_DEVICES_H

#include <stddef.h>

#include "rowpool.h"

typedef struct {
    rowpool_device *items;
    size_t count;
} device_list;

/* All devices, with what each has done for the pool so far; NULL: those that there are. Empty after a failure. */
rowpool_status list_devices(device_list *list, rowpool *pool, rowpool_error *error);
void free_devices(device_list *list);

/* The device's name, or its platform's where it has none. */
const char *device_label(const rowpool_device *device);
const char *device_type_word(rowpool_device_type type);

/* Which backend drives a device of the type. */
const char *backend_word(rowpool_device_type type);

/* What to do about it where the machine has no OpenCL device at all; else NULL. */
const char *hint_without_opencl(void);

/* rowpool devices */
int run_devices(int argc, char **argv);

#endif
