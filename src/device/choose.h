/* Which devices there are, and which of them a pool uses. */
#ifndef RP_DEVICE_CHOOSE_H
#define RP_DEVICE_CHOOSE_H

#include "device/device.h"

enum { RP_HELPER_DEVICES = 256 };

typedef struct {
    rp_device *items; /* those in use first */
    size_t count, used;
    bool automatic;                         /* nobody named a device: small maps may run on the host */
    bool isolate;                           /* OpenCL runs in helper processes */
    char helper_devices[RP_HELPER_DEVICES]; /* the devices that these are asked for; "": the helper's own choice */
} rp_device_list;

/* Finds every device and marks those that `words` asks for, each with the reason. The list is freed with free(items).
 * EINVAL: a word that means nothing; ENODEVICE: a device that is not there. afresh: drivers are asked again. */
rowpool_status rp_choose(const char *words, rowpool_isolate isolate, bool afresh, rp_device_list *list,
                         rowpool_error *error);

/* Before a device that is not in use is shown: completes what is said of it. */
void rp_look(rp_device *device);

/* Chooses once more, automatically, without a device that could not be opened. */
rowpool_status rp_choose_without(rp_device_list *list, rp_device *failed, const char *why, rowpool_error *error);

#endif
