/* The isolated backend: OpenCL in a helper program for each device. A driver that ends its process (PoCL does when
 * memory, descriptors or the disk of its cache run out) ends only that one. The program is started again, and its rows
 * run again. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/settings.h"
#include "base/version.h"
#include "device/choose.h"
#include "device/workers/workers.h"

/* ---- Where the program is --------------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* The folder of the file that this code was loaded from, with a slash; "": unknown. */
static void own_folder(char folder[PATH_MAX])
{
    Dl_info info;
    struct link_map *library = NULL;
    bool known = dladdr1(rp_backend_isolated.name, &info, (void **)&library, RTLD_DL_LINKMAP) != 0;
    if (known && library->l_name[0] != '\0') {
        snprintf(folder, PATH_MAX, "%s", library->l_name);
    } else { /* linked into the program: dladdr returns argv[0], which can be anything */
        ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
        folder[length > 0 ? length : 0] = '\0';
    }
    char *slash = strrchr(folder, '/');
    folder[slash != NULL ? slash - folder + 1 : 0] = '\0';
}

/* ROWPOOL_HELPER; else the place relative to the library's present folder, as installed or as built; else the install
 * path that the build was configured with. */
static bool find_program(char path[PATH_MAX])
{
    static const char *const places[] = {ROWPOOL_HELPER_FROM_LIBRARY, "rowpool-helper"};
    const char *named = rp_setting_text(RP_SETTING_HELPER);
    char folder[PATH_MAX];
    if (named != NULL) {
        snprintf(path, PATH_MAX, "%s", named);
        return is_program(path);
    }
    own_folder(folder);
    for (size_t i = 0; folder[0] != '\0' && i < sizeof places / sizeof *places; i++)
        if (snprintf(path, PATH_MAX, "%s%s", folder, places[i]) < PATH_MAX && is_program(path))
            return true;
    snprintf(path, PATH_MAX, "%s", ROWPOOL_HELPER_INSTALLED);
    return is_program(path);
}

/* ---- Starting it ------------------------------------------------------------------------------------------------ */

/* What the programs of a device are started with. */
typedef struct {
    bool automatic;
    char devices[RP_HELPER_DEVICES]; /* the device list for the first program, which names the others' devices */
    size_t n_others;
    char others[RP_HELLO_OTHERS][sizeof(((rowpool_device *)0)->index)];
    rowpool_device info; /* of all devices together */
    char path[];
} programs;

static rowpool_status check_hello(const rp_hello *hello, const char *path, rowpool_error *error)
{
    if (strncmp(hello->version, RP_VERSION, sizeof hello->version) != 0 ||
        hello->message_size != sizeof(rp_task_message))
        return rp_fail(error, ROWPOOL_EDEVICE, "%s belongs to rowpool %.16s, the library to %s: reinstall both", path,
                       hello->version, RP_VERSION);
    if (hello->status != ROWPOOL_OK)
        return rp_fail(error, hello->status, "%.1000s", hello->error.message);
    return ROWPOOL_OK;
}

/* The first program says how many programs the device needs. */
static void note_first(rp_workers *state, programs *own)
{
    const rp_hello *hello = &state->hello;
    own->info = hello->info;
    own->n_others = rp_min(hello->n_others, RP_HELLO_OTHERS);
    memcpy(own->others, hello->others, sizeof own->others);
    state->workers = rp_min(state->workers, 1 + own->n_others);
}

/* A chunk may go to any of the devices: the smallest limits apply. */
static void add_other(programs *own, const rowpool_device *info)
{
    own->info.units += info->units;
    own->info.memory = rp_min(own->info.memory, info->memory);
    own->info.largest_buffer = rp_min(own->info.largest_buffer, info->largest_buffer);
    own->info.fp64 &= info->fp64;
    own->info.fp16 &= info->fp16;
    own->info.shared_memory &= info->shared_memory;
}

static rowpool_status start_program(rp_workers *state, size_t slot, rp_worker *worker, rowpool_error *error)
{
    programs *own = state->context;
    const char *const words[RP_WORKER_WORDS] = {slot == 0 ? own->devices : own->others[slot - 1],
                                                own->automatic ? "automatic" : "named"};
    return rp_worker_spawn(worker, own->path, words, state->shared.fd, error);
}

static rowpool_status greet(rp_workers *state, size_t slot, rowpool_error *error)
{
    programs *own = state->context;
    RP_TRY(check_hello(&state->hello, own->path, error));
    if (!state->opened && slot == 0)
        note_first(state, own);
    else if (!state->opened)
        add_other(own, &state->hello.info);
    return ROWPOOL_OK;
}

/* ---- The vtable ------------------------------------------------------------------------------------------------- */

static const rp_device isolated_device = {
    .backend = &rp_backend_isolated,
    .available = true,
    .info = {.index = "isolated", .name = "OpenCL in a helper process", .type = ROWPOOL_DEVICE_ISOLATED}};

static void isolated_look(rp_device *device)
{
    char path[PATH_MAX];
    device->available = find_program(path);
    if (!device->available)
        snprintf(device->info.reason, sizeof device->info.reason, "skipped: there is no program %.200s", path);
}

/* Copies what the programs said of their devices. It is known only after open, since asking a driver may end a
 * process. */
static void describe_helpers(rowpool_device *info, const rowpool_device *theirs, size_t others)
{
    char more[32] = "";
    if (others > 0)
        snprintf(more, sizeof more, " and %zu more", others);
    snprintf(info->name, sizeof info->name, "%.80s%s, isolated", theirs->name, more);
    memcpy(info->platform, theirs->platform, sizeof info->platform);
    memcpy(info->driver, theirs->driver, sizeof info->driver);
    info->fp64 = theirs->fp64;
    info->fp16 = theirs->fp16;
    info->shared_memory = theirs->shared_memory;
    info->units = theirs->units;
    info->memory = theirs->memory;
    info->largest_buffer = theirs->largest_buffer;
}

static rowpool_status isolated_open(rp_device *device, const rp_backend_options *options, rowpool_error *error)
{
    static const rp_workers_kind kind = {
        .start = start_program,
        .greet = greet,
        .losses_besides = 1,
        .losses_text = "helper processes ended one after the other",
        .chunk_bytes = 64 << 20, /* a chunk costs a launch and, in private memory, a copy */
        .dismiss_ms = 10000,     /* a driver may have to finish compiling */
        .program = true,
    };
    char path[PATH_MAX], whole[PATH_MAX];
    if (!find_program(path))
        return rp_fail(error, ROWPOOL_ENODEVICE, "there is no program %s", path);
    if (realpath(path, whole) == NULL) /* absolute: the current folder and the environment may change */
        return rp_fail(error, ROWPOOL_ESYSTEM, "cannot find %s: %s", path, strerror(errno));
    programs *own = calloc(1, sizeof *own + strlen(whole) + 1);
    if (own == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    strcpy(own->path, whole);
    own->automatic = options->automatic;
    snprintf(own->devices, sizeof own->devices, "%s", options->helper_devices);
    RP_TRY(rp_workers_open(device, &kind, 1 + RP_HELLO_OTHERS, own, options, error));
    describe_helpers(&device->info, &own->info, device->parallel - 1);
    return ROWPOOL_OK;
}

static const char *isolated_unsupported_reason(const rp_device *device, const rp_operation *operation)
{
    (void)device;
    return rp_operation_unsupported_reason(operation);
}

const rp_backend rp_backend_isolated = {
    .name = "isolated",
    .single = &isolated_device,
    .look = isolated_look,
    .open = isolated_open,
    .close = rp_workers_close,
    .submit = rp_workers_submit,
    .finish = rp_workers_finish,
    .unsupported_reason = isolated_unsupported_reason,
    .interrupt = rp_workers_interrupt,
    .waits = false,
};
