/* Finding devices: every platform and device is listed; one that cannot be used is listed with the reason. The drivers'
 * answers are kept, since asking all of them takes longer than opening a device. */
#include "device/opencl/opencl.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/self.h"
#include "base/settings.h"

enum { MAX_PLATFORMS = 64, MAX_DEVICES = 64 }; /* more are not found */

#ifndef CL_DEVICE_UUID_KHR
#define CL_DEVICE_UUID_KHR 0x106A
#endif

/* The process that last asked for platforms. Drivers hang in a child forked from it. */
static pid_t asking_process;

/* What the drivers said. Incomplete if one failed to answer, for lack of memory for example: then the next probe asks
 * again. */
static struct {
    rp_mutex lock; /* never taken in a forked child: its holder may not exist there */
    bool complete;
    size_t count;
    rp_device devices[MAX_DEVICES];
} known = {.lock = RP_MUTEX(RP_LOCK_CL_PROBE)};

/* ---- A device: known.lock is held ------------------------------------------------------------------------------- */

/* Whether there is an answer. CL_INVALID_VALUE is a definite reply: asking again will not help. */
static bool is_answered(cl_int code)
{
    known.complete &= code == CL_SUCCESS || code == CL_INVALID_VALUE;
    return code == CL_SUCCESS;
}

static void query_text(cl_device_id id, cl_device_info what, char *text, size_t size)
{
    /* A driver writes nothing if the text does not fit, so the buffer is large. It is not allocated: if malloc failed,
     * a device without name, version and extensions would be taken for another one. */
    char whole[16384];
    size_t length = 0;
    cl_int code = clGetDeviceInfo(id, what, sizeof whole, whole, &length);
    size_t kept = is_answered(code) && length <= sizeof whole ? rp_min(length, size - 1) : 0;
    memcpy(text, whole, kept);
    text[kept] = '\0';
}

static cl_ulong query_number(cl_device_id id, cl_device_info what)
{
    /* The answer is a cl_bool, cl_uint, size_t or cl_ulong: a zeroed little-endian cl_ulong reads them all. */
    cl_ulong number = 0;
    return is_answered(clGetDeviceInfo(id, what, sizeof number, &number, NULL)) ? number : 0;
}

static bool has_extension(cl_device_id id, const char *name)
{
    char extensions[8192];
    query_text(id, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    size_t length = strlen(name);
    for (const char *at = extensions; (at = strstr(at, name)) != NULL; at += length)
        if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static rowpool_device_type query_type(cl_device_id id)
{
    cl_ulong type = query_number(id, CL_DEVICE_TYPE);
    if (type & CL_DEVICE_TYPE_GPU)
        return ROWPOOL_DEVICE_GPU;
    if (type & CL_DEVICE_TYPE_ACCELERATOR)
        return ROWPOOL_DEVICE_ACCELERATOR;
    return type & CL_DEVICE_TYPE_CPU ? ROWPOOL_DEVICE_CPU : ROWPOOL_DEVICE_OTHER;
}

/* All CPU devices are the same cores; other chips have a UUID. Of two drivers for one chip, the one that uses more
 * units ranks higher; a renderer ranks lowest. */
static void identify(cl_device_id id, rp_device *device)
{
    device->rank = rp_cl_kind_of(device) == RP_CL_RENDERER ? 0 : device->info.units;
    unsigned char uuid[16];
    if (device->info.type == ROWPOOL_DEVICE_CPU)
        snprintf(device->identity, sizeof device->identity, "cpu");
    else if (has_extension(id, "cl_khr_device_uuid") &&
             is_answered(clGetDeviceInfo(id, CL_DEVICE_UUID_KHR, sizeof uuid, uuid, NULL)))
        for (size_t i = 0; i < sizeof uuid; i++)
            snprintf(device->identity + 2 * i, 3, "%02x", uuid[i]);
}

/* Why rowpool cannot use a device; NULL: it can. */
static const char *why_skipped(cl_device_id id, rowpool_device_type type)
{
    char version[64];
    unsigned major = 0, minor = 0;
    query_text(id, CL_DEVICE_VERSION, version, sizeof version);
    if (type == ROWPOOL_DEVICE_OTHER)
        return "skipped: a device of a custom type runs no kernels";
    if (query_number(id, CL_DEVICE_AVAILABLE) == 0)
        return "skipped: the driver says that it is not available";
    if (query_number(id, CL_DEVICE_COMPILER_AVAILABLE) == 0)
        return "skipped: it has no compiler";
    if (query_number(id, CL_DEVICE_ENDIAN_LITTLE) == 0)
        return "skipped: it is big-endian";
    if (query_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE) == 0 || query_number(id, CL_DEVICE_GLOBAL_MEM_SIZE) == 0)
        return "skipped: the driver does not say how much memory it has";
    if (sscanf(version, "OpenCL %u.%u", &major, &minor) != 2 || major * 100 + minor < 102)
        return "skipped: it is older than OpenCL 1.2";
    return NULL;
}

static void describe_device(cl_device_id id, rp_device *device)
{
    rowpool_device *info = &device->info;
    info->type = query_type(id);
    info->units = (uint32_t)query_number(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->memory = query_number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->largest_buffer = query_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->shared_memory = query_number(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    info->fp64 = query_number(id, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
    info->fp16 = has_extension(id, "cl_khr_fp16");
    query_text(id, CL_DEVICE_NAME, info->name, sizeof info->name);
    query_text(id, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    identify(id, device);
    const char *why = why_skipped(id, info->type);
    device->available = why == NULL;
    if (why != NULL)
        snprintf(info->reason, sizeof info->reason, "%s", why);
}

/* ---- All devices ------------------------------------------------------------------------------------------------ */

static void remember_device(const rp_device *device)
{
    if (known.count < MAX_DEVICES)
        known.devices[known.count++] = *device;
}

/* A platform with no device is listed as a device that cannot be used. */
static void query_platform(cl_platform_id platform, unsigned index)
{
    rp_device device = {.backend = &rp_backend_opencl, .info.type = ROWPOOL_DEVICE_OTHER};
    rowpool_device *info = &device.info;
    snprintf(info->index, sizeof info->index, "%u", index);
    if (!is_answered(clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof info->platform, info->platform, NULL)))
        snprintf(info->platform, sizeof info->platform, "?");
    cl_device_id ids[MAX_DEVICES];
    cl_uint count = 0; /* some drivers leave it unwritten when there is none */
    const cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &count);
    if (code != CL_SUCCESS || count == 0) {
        const bool none = code == CL_SUCCESS || code == CL_DEVICE_NOT_FOUND;
        known.complete &= none;
        snprintf(info->name, sizeof info->name, "%s", info->platform);
        snprintf(info->reason, sizeof info->reason, "skipped: %s",
                 none ? "the platform has no device" : rp_cl_name(code));
        remember_device(&device);
        return;
    }
    for (cl_uint i = 0; i < rp_min(count, MAX_DEVICES); i++) {
        rp_device one = device;
        snprintf(one.info.index, sizeof one.info.index, "%u:%u", index, i);
        one.id[0] = (uintptr_t)platform;
        one.id[1] = (uintptr_t)ids[i];
        describe_device(ids[i], &one);
        remember_device(&one);
    }
}

/* known.lock is held. */
static void query_drivers(void *unused)
{
    (void)unused;
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_uint count = 0;
    known.complete = true;
    known.count = 0;
    __atomic_store_n(&asking_process, rp_self(), __ATOMIC_RELAXED);
    const cl_int code = clGetPlatformIDs(MAX_PLATFORMS, platforms, &count);
    for (cl_uint i = 0; code == CL_SUCCESS && i < rp_min(count, MAX_PLATFORMS); i++)
        query_platform(platforms[i], i);
    known.complete &= known.count > 0;
    if (code != CL_SUCCESS || count == 0)
        rp_log(RP_LOG_DEVICE, "no OpenCL platform (%s)", code == CL_SUCCESS ? "none is listed" : rp_cl_name(code));
}

/* ---- A probe ---------------------------------------------------------------------------------------------------- */

static bool is_forked(void)
{
    const pid_t asking = __atomic_load_n(&asking_process, __ATOMIC_RELAXED);
    return asking != 0 && asking != rp_self();
}

static void report_none(const char *why, void (*found)(void *list, const rp_device *device), void *list)
{
    rp_device device = {.backend = &rp_backend_opencl, .info.type = ROWPOOL_DEVICE_OTHER};
    snprintf(device.info.index, sizeof device.info.index, "-");
    snprintf(device.info.name, sizeof device.info.name, "OpenCL");
    snprintf(device.info.reason, sizeof device.info.reason, "skipped: %s", why);
    found(list, &device);
}

/* Keeps the process from ending until rp_cl_build_end, or says why drivers cannot be used at all. */
static const char *begin_probe(void)
{
    size_t left;
    if (is_forked())
        return "drivers hang in a process that was forked from one that uses them, as this one was";
    if (!rp_cl_has_stack(&left))
        return "the calling thread has too small a stack for drivers, which need 256 KiB";
    if (rp_cl_thread_ends() || !rp_cl_build_begin(true))
        return "OpenCL cannot be used while the process or a thread is ending, as in an exit handler or the destructor "
               "of a thread's key";
    return NULL;
}

void rp_cl_probe(bool afresh, void (*found)(void *list, const rp_device *device), void *list)
{
    const char *why = begin_probe();
    if (why != NULL) {
        report_none(why, found, list);
        return;
    }
    rp_test_setting test;
    rp_setting_test(&test, NULL);
    rp_lock(&known.lock);
    if (afresh || !known.complete)
        rp_cl_apart(query_drivers, NULL);
    for (size_t i = 0; i < known.count; i++) {
        rp_device device = known.devices[i];
        device.info.shared_memory &= !test.copy;
        found(list, &device);
    }
    rp_unlock(&known.lock);
    rp_cl_build_end(false);
}

void rp_cl_forget(void)
{
    rp_lock(&known.lock);
    known.complete = false;
    rp_unlock(&known.lock);
}
