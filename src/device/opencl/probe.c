/* Finding devices: every platform and device is listed; one that cannot be used is listed with the reason. What drivers
 * said is kept, since to ask all of them takes longer than to open a device. */
#include "device/opencl/opencl.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/self.h"
#include "base/settings.h"

enum { MOST_PLATFORMS = 64, MOST_DEVICES = 64, MOST_KNOWN = 16 };

#ifndef CL_DEVICE_UUID_KHR
#define CL_DEVICE_UUID_KHR 0x106A
#endif

/* The process that first asked for platforms. Drivers hang in a child forked from it. */
static pid_t first_process;

/* What a probe found. With more devices than there is place for, or when a driver failed to answer, as it may for want
 * of memory, it is not complete, and the next probe asks again. */
static struct {
    pthread_mutex_t lock; /* never taken in a forked child: its holder may not be there */
    bool complete;
    size_t count;
    rp_device devices[MOST_KNOWN];
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A probe under way: of all platforms, then of a device of theirs. */
typedef struct {
    void (*found)(void *list, const rp_device *device);
    void *list;
    bool complete; /* each question was answered */
    cl_device_id id;
} inquiry;

/* That a question is not understood is an answer: it will not be another one next time. */
static bool answered(inquiry *probe, cl_int code)
{
    probe->complete &= code == CL_SUCCESS || code == CL_INVALID_VALUE;
    return code == CL_SUCCESS;
}

static void text_of(inquiry *probe, cl_device_info what, char *text, size_t size)
{
    /* A text longer than the place for it is an error, and nothing is written then: so there is plenty, and not from
     * malloc, for a device without its name, version and extensions would pass for another. */
    char whole[16384];
    size_t length = 0;
    cl_int code = clGetDeviceInfo(probe->id, what, sizeof whole, whole, &length);
    size_t kept = answered(probe, code) && length <= sizeof whole ? rp_min(length, size - 1) : 0;
    memcpy(text, whole, kept);
    text[kept] = '\0';
}

static cl_ulong number_of(inquiry *probe, cl_device_info what)
{
    /* Queries answer a cl_bool, cl_uint, size_t or cl_ulong; zeroed first, little-endian, all read alike. */
    cl_ulong number = 0;
    return answered(probe, clGetDeviceInfo(probe->id, what, sizeof number, &number, NULL)) ? number : 0;
}

static bool has_extension(inquiry *probe, const char *name)
{
    char extensions[8192];
    text_of(probe, CL_DEVICE_EXTENSIONS, extensions, sizeof extensions);
    size_t length = strlen(name);
    for (const char *at = extensions; (at = strstr(at, name)) != NULL; at += length)
        if ((at == extensions || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static rowpool_device_type type_of(inquiry *probe)
{
    cl_ulong type = number_of(probe, CL_DEVICE_TYPE);
    if (type & CL_DEVICE_TYPE_GPU)
        return ROWPOOL_DEVICE_GPU;
    if (type & CL_DEVICE_TYPE_ACCELERATOR)
        return ROWPOOL_DEVICE_ACCELERATOR;
    return type & CL_DEVICE_TYPE_CPU ? ROWPOOL_DEVICE_CPU : ROWPOOL_DEVICE_OTHER;
}

/* All CPU devices are the same cores; other chips tell by their universally unique id. The driver that uses more of
 * their units is the better one, and any is better than a renderer that happens to compute. */
static void identify(inquiry *probe, rp_device *device)
{
    device->rank = rp_cl_is_renderer(device) ? 0 : device->info.units;
    unsigned char uuid[16];
    if (device->info.type == ROWPOOL_DEVICE_CPU)
        snprintf(device->identity, sizeof device->identity, "cpu");
    else if (has_extension(probe, "cl_khr_device_uuid") &&
             answered(probe, clGetDeviceInfo(probe->id, CL_DEVICE_UUID_KHR, sizeof uuid, uuid, NULL)))
        for (size_t i = 0; i < sizeof uuid; i++)
            snprintf(device->identity + 2 * i, 3, "%02x", uuid[i]);
}

/* What rowpool needs of a device; NULL when it has all of it. */
static const char *what_is_missing(inquiry *probe, rowpool_device_type type)
{
    char version[64];
    unsigned major = 0, minor = 0;
    text_of(probe, CL_DEVICE_VERSION, version, sizeof version);
    if (type == ROWPOOL_DEVICE_OTHER)
        return "skipped: a device of a custom type runs no kernels";
    if (number_of(probe, CL_DEVICE_AVAILABLE) == 0)
        return "skipped: the driver says that it is not available";
    if (number_of(probe, CL_DEVICE_COMPILER_AVAILABLE) == 0)
        return "skipped: it has no compiler";
    if (number_of(probe, CL_DEVICE_ENDIAN_LITTLE) == 0)
        return "skipped: it is big-endian";
    if (number_of(probe, CL_DEVICE_MAX_MEM_ALLOC_SIZE) == 0 || number_of(probe, CL_DEVICE_GLOBAL_MEM_SIZE) == 0)
        return "skipped: the driver does not say how much memory it has";
    if (sscanf(version, "OpenCL %u.%u", &major, &minor) != 2 || major * 100 + minor < 102)
        return "skipped: it is older than OpenCL 1.2";
    return NULL;
}

static void describe(inquiry *probe, rp_device *device)
{
    rowpool_device *info = &device->info;
    info->type = type_of(probe);
    info->units = (uint32_t)number_of(probe, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->memory = number_of(probe, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->largest_buffer = number_of(probe, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->shared_memory = number_of(probe, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    info->fp64 = number_of(probe, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
    info->fp16 = has_extension(probe, "cl_khr_fp16");
    text_of(probe, CL_DEVICE_NAME, info->name, sizeof info->name);
    text_of(probe, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    identify(probe, device);
    const char *missing = what_is_missing(probe, info->type);
    device->available = missing == NULL;
    if (missing != NULL)
        snprintf(info->reason, sizeof info->reason, "%s", missing);
}

/* The setting may be another one at each probe. */
static void pass_on(const inquiry *probe, const rp_device *device)
{
    rp_test_setting test;
    rp_setting_test(&test, NULL);
    if (!test.copy) {
        probe->found(probe->list, device);
        return;
    }
    rp_device passed = *device;
    passed.info.shared_memory = false;
    probe->found(probe->list, &passed);
}

static void note(inquiry *probe, const rp_device *device)
{
    pass_on(probe, device);
    probe->complete &= known.count < MOST_KNOWN;
    if (probe->complete)
        known.devices[known.count++] = *device;
}

static void note_without_devices(inquiry *probe, rp_device *device, cl_int code)
{
    probe->complete &= code == CL_SUCCESS || code == CL_DEVICE_NOT_FOUND;
    snprintf(device->info.name, sizeof device->info.name, "%s", device->info.platform);
    snprintf(device->info.reason, sizeof device->info.reason, "skipped: %s",
             code == CL_SUCCESS || code == CL_DEVICE_NOT_FOUND ? "the platform has no device" : rp_cl_name(code));
    note(probe, device);
}

static void probe_platform(inquiry *probe, cl_platform_id platform, unsigned index)
{
    rp_device device = {.backend = &rp_backend_opencl, .info.type = ROWPOOL_DEVICE_OTHER};
    snprintf(device.info.index, sizeof device.info.index, "%u", index);
    if (!answered(probe, clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof device.info.platform,
                                           device.info.platform, NULL)))
        snprintf(device.info.platform, sizeof device.info.platform, "?");
    cl_device_id ids[MOST_DEVICES];
    cl_uint count = 0; /* left unwritten by some drivers when there is none */
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MOST_DEVICES, ids, &count);
    if (code != CL_SUCCESS || count == 0) {
        note_without_devices(probe, &device, code);
        return;
    }
    for (cl_uint i = 0; i < rp_min(count, MOST_DEVICES); i++) {
        rp_device one = device;
        snprintf(one.info.index, sizeof one.info.index, "%u:%u", index, i);
        one.id[0] = (uintptr_t)platform;
        one.id[1] = (uintptr_t)ids[i];
        probe->id = ids[i];
        describe(probe, &one);
        note(probe, &one);
    }
}

static bool forked_since_first_use(void)
{
    pid_t first = __atomic_load_n(&first_process, __ATOMIC_RELAXED);
    return first != 0 && first != rp_self();
}

static void report_none(const char *why, void (*found)(void *list, const rp_device *device), void *list)
{
    rp_device device = {.backend = &rp_backend_opencl, .info.type = ROWPOOL_DEVICE_OTHER};
    snprintf(device.info.index, sizeof device.info.index, "-");
    snprintf(device.info.name, sizeof device.info.name, "OpenCL");
    snprintf(device.info.reason, sizeof device.info.reason, "skipped: %s", why);
    found(list, &device);
}

/* The lock is held. */
static void ask_drivers(void *argument)
{
    inquiry *probe = argument;
    cl_platform_id platforms[MOST_PLATFORMS];
    cl_uint count = 0;
    known.complete = false;
    known.count = 0;
    __atomic_store_n(&first_process, rp_self(), __ATOMIC_RELAXED);
    cl_int code = clGetPlatformIDs(MOST_PLATFORMS, platforms, &count);
    for (cl_uint i = 0; code == CL_SUCCESS && i < rp_min(count, MOST_PLATFORMS); i++)
        probe_platform(probe, platforms[i], i);
    known.complete = probe->complete && known.count > 0;
    if (code != CL_SUCCESS || count == 0)
        rp_log(RP_LOG_DEVICE, "no OpenCL platform (%s)", code == CL_SUCCESS ? "none is listed" : rp_cl_name(code));
}

void rp_cl_probe(bool afresh, void (*found)(void *list, const rp_device *device), void *list)
{
    if (forked_since_first_use()) {
        report_none("drivers hang in a process that was forked from one that uses them, as this one was", found, list);
        return;
    }
    size_t left;
    if (!rp_cl_has_stack(&left)) {
        report_none("the calling thread has too small a stack for drivers, which need 256 KB", found, list);
        return;
    }
    if (rp_cl_thread_ends() || !rp_cl_build_begin(true)) {
        report_none(
            "OpenCL cannot be used while the process or a thread is ending, as in an exit handler or the destructor "
            "of a thread's key",
            found, list);
        return;
    }
    inquiry probe = {.found = found, .list = list, .complete = true};
    pthread_mutex_lock(&known.lock);
    if (afresh || !known.complete)
        rp_cl_apart(ask_drivers, &probe);
    else
        for (size_t i = 0; i < known.count; i++)
            pass_on(&probe, &known.devices[i]);
    pthread_mutex_unlock(&known.lock);
    rp_cl_build_end(false);
}

void rp_cl_forget(void)
{
    pthread_mutex_lock(&known.lock);
    known.complete = false;
    pthread_mutex_unlock(&known.lock);
}
