/* The devices of a pool, and how the program speaks of them. */
#ifndef ROWPOOL_CLI_DEVICES_H
#define ROWPOOL_CLI_DEVICES_H

#include <stddef.h>

#include "rowpool.h"

typedef struct {
    rowpool_device *items;
    size_t count;
} device_list;

/* How the commands open a pool: with OpenCL in a helper process, unless ROWPOOL_ISOLATE is never. Several processes that
 * divide the devices of a machine among them are the exception: each has its own, in the process itself. */
rowpool_options pool_options(const char *device);

/* All devices, with what each has done for the pool so far. Empty after a failure. */
rowpool_status list_devices(device_list *list, rowpool *pool, rowpool_error *error);
void free_devices(device_list *list);

/* How a child process ended that did not do what it was to: "signal 6 (Aborted)", "exit status 1". */
enum { END_TEXT = 64 };
void describe_end(rowpool_process *process, char text[END_TEXT]);

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
