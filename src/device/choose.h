/* Which devices there are, and which of them a pool uses. */
#ifndef RP_DEVICE_CHOOSE_H
#define RP_DEVICE_CHOOSE_H

#include "device/device.h"

enum { RP_HELPER_DEVICES = 256 };

typedef struct {
    rp_device *items;
    size_t count;
    size_t used;                            /* devices in use, at the front of items: see rp_order_devices */
    bool automatic;                         /* nobody named a device: small maps may run on the host */
    bool isolate;                           /* OpenCL runs in helper processes */
    char helper_devices[RP_HELPER_DEVICES]; /* the device list for the first of them; "": the helper's own choice */
} rp_device_list;

/* Finds every device and marks those that `words` asks for (info.in_use), each with the reason why or why not. The list
 * is freed with free(items). afresh: drivers are asked again. EINVAL: an unknown word; ENODEVICE: no such device. */
rowpool_status rp_choose(const char *words, rowpool_isolate isolate, bool afresh, rp_device_list *list,
                         rowpool_error *error);

/* Chooses the default devices again, without one that could not be opened. Devices keep their places in the list. */
rowpool_status rp_choose_without(rp_device_list *list, rp_device *failed, const char *why, rowpool_error *error);

/* Moves the devices in use to the front, once the choice is final. Pointers to devices are valid only after that: none
 * moves again. */
void rp_order_devices(rp_device_list *list);

/* Completes what is known of a device that is not open, before it is shown. */
void rp_look(rp_device *device);

#endif
