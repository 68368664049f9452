/* Pools and their devices, and the words that the program uses for them. */
#ifndef ROWPOOL_CLI_DEVICES_H
#define ROWPOOL_CLI_DEVICES_H

#include <stddef.h>

#include "rowpool.h"

typedef struct {
    rowpool_device *items;
    size_t count;
} device_list;

/* The options with which the commands open a pool: OpenCL runs in a helper process, unless ROWPOOL_ISOLATE is never. The
 * ranks of an MPI job divide the OpenCL devices of a machine, and therefore use them in their own processes. */
rowpool_options pool_options(const char *device);

/* All devices, with what each has done for the pool so far. Empty after a failure. */
rowpool_status list_pool_devices(device_list *list, rowpool *pool, rowpool_error *error);
void free_devices(device_list *list);

/* Runs `ask`, which calls OpenCL drivers, in a child process, since a driver may end or hang the process that calls it.
 * This process must have no other thread. answer: what the child writes to its pipe; free it also after a failure.
 * EDEVICE: the child did not end with exit status 0; the message says how it ended, "signal 6 (Aborted)". */
rowpool_status ask_in_child(rowpool_process_run *ask, void *argument, char **answer, size_t *size,
                            rowpool_error *error);

/* The devices of the machine, as a child process finds them. in_use marks those that a pool for `device` takes. refusal:
 * why there is no such pool, or ROWPOOL_OK. */
rowpool_status find_devices(device_list *list, const char *device, rowpool_error *refusal, rowpool_error *error);

/* The device's name, or its platform's where it has none. */
const char *device_label(const rowpool_device *device);
const char *device_type_word(rowpool_device_type type);

/* Which backend drives a device of the type. */
const char *backend_word(rowpool_device_type type);

#endif
