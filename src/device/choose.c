#include "device/choose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/settings.h"

static const rp_backend *const backends[] = {
#ifdef ROWPOOL_HAVE_OPENCL
    &rp_backend_opencl,
    &rp_backend_isolated,
#endif
    &rp_backend_fork,
    &rp_backend_host,
};

/* ---- What there is ---------------------------------------------------------------------------------------------- */

typedef struct {
    rp_device_list *list;
    size_t capacity;
    bool out_of_memory;
} collector;

static void collect(void *argument, const rp_device *device)
{
    collector *into = argument;
    rp_device_list *list = into->list;
    if (list->count == into->capacity) {
        const size_t capacity = 2 * into->capacity + 8;
        rp_device *more = realloc(list->items, capacity * sizeof *more);
        into->out_of_memory |= more == NULL;
        if (more == NULL)
            return;
        list->items = more;
        into->capacity = capacity;
    }
    list->items[list->count++] = *device;
}

/* OpenCL is not even loaded for a pool that needs none. */
static rowpool_status probe_backends(bool opencl, bool afresh, rp_device_list *list, rowpool_error *error)
{
    collector into = {.list = list};
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (backends[i]->single != NULL)
            collect(&into, backends[i]->single);
        else if (opencl)
            backends[i]->probe(afresh, collect, &into);
    return into.out_of_memory ? rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the list of devices") : ROWPOOL_OK;
}

void rp_look(rp_device *device)
{
    if (!device->looked && device->queue_depth == 0 && device->backend->look != NULL)
        device->backend->look(device);
    device->looked = true;
}

/* ---- What is asked for ------------------------------------------------------------------------------------------ */

typedef enum { AUTO, ALL, CPU, GPU, ACCELERATOR, ISOLATED, FORK, HOST, INDEX } word_kind;

typedef struct {
    word_kind kind;
    bool opencl; /* it can name OpenCL devices: in a setuid program, auto cannot */
    char text[16];
} word;

static bool is_index(const char *text)
{
    size_t before = strspn(text, "0123456789");
    size_t after = text[before] == ':' ? strspn(text + before + 1, "0123456789") : 0;
    return before > 0 && after > 0 && text[before + 1 + after] == '\0';
}

/* False: the text is no word of a device list. */
static bool parse_word(const rp_word *text, word *parsed)
{
    static const char *const kinds[] = {
        [AUTO] = "auto",         [ALL] = "all",   [CPU] = "cpu",  [GPU] = "gpu", [ACCELERATOR] = "accelerator",
        [ISOLATED] = "isolated", [FORK] = "fork", [HOST] = "host"};
    *parsed = (word){.kind = INDEX};
    if (text->length >= sizeof parsed->text)
        return false;
    memcpy(parsed->text, text->text, text->length);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(parsed->text, kinds[i]) == 0)
            parsed->kind = (word_kind)i;
    parsed->opencl = parsed->kind != FORK && parsed->kind != HOST;
    if (parsed->kind == AUTO && !rp_environment_is_trusted())
        parsed->opencl = false;
    return parsed->kind != INDEX || is_index(parsed->text);
}

/* Parses a device list into *words, to be freed in any case. */
static rowpool_status parse_words(const char *text, word **words, size_t *count, rowpool_error *error)
{
    size_t capacity = 1;
    for (const char *at = text; *at != '\0'; at++)
        capacity += *at == ',';
    *count = 0;
    *words = calloc(capacity, sizeof **words);
    if (*words == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the list of devices");
    const char *list = text;
    for (rp_word next; rp_word_next(&list, &next); ++*count)
        if (!parse_word(&next, &(*words)[*count]))
            return rp_fail(
                error, ROWPOOL_EINVAL,
                "the device '%.*s' in '%.100s' is none of auto, cpu, gpu, accelerator, all, isolated, fork, host, P:D",
                (int)rp_min(next.length, 100), next.text, text);
    return ROWPOOL_OK;
}

/* Adds a word to those for the helper. */
static rowpool_status add_for_helper(rp_device_list *list, const word *wanted, rowpool_error *error)
{
    const size_t used = strlen(list->helper_devices), room = sizeof list->helper_devices - used;
    if (wanted->kind == ISOLATED ||
        (size_t)snprintf(list->helper_devices + used, room, "%s%s", used > 0 ? "," : "", wanted->text) < room)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_EINVAL, "the device list names too many devices for a helper process");
}

/* Works out what the words ask for together. *opencl: this process needs OpenCL. */
static rowpool_status weigh_words(rp_device_list *list, const word *words, size_t count, bool *opencl,
                                  rowpool_error *error)
{
    *opencl = false;
    list->automatic = true;
    for (size_t i = 0; i < count; i++) {
        *opencl |= words[i].opencl && words[i].kind != ISOLATED && !list->isolate;
        if (words[i].opencl && list->isolate)
            RP_TRY(add_for_helper(list, &words[i], error));
        list->automatic &= words[i].kind == AUTO;
    }
    if (list->automatic)
        list->helper_devices[0] = '\0';
    return ROWPOOL_OK;
}

static const char *opencl_type(rowpool_device_type type)
{
    static const char *const names[] = {[ROWPOOL_DEVICE_CPU] = "cpu",
                                        [ROWPOOL_DEVICE_GPU] = "gpu",
                                        [ROWPOOL_DEVICE_ACCELERATOR] = "accelerator",
                                        [ROWPOOL_DEVICE_OTHER] = "other"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "";
}

static bool matches(const rp_device_list *list, const word *wanted, const rp_device *device)
{
    if (wanted->opencl && list->isolate)
        return device->info.type == ROWPOOL_DEVICE_ISOLATED;
    switch (wanted->kind) {
    case AUTO:
    case ALL:
        return wanted->opencl && device->info.type <= ROWPOOL_DEVICE_OTHER;
    case CPU:
    case GPU:
    case ACCELERATOR:
        return strcmp(opencl_type(device->info.type), wanted->text) == 0;
    case ISOLATED:
    case FORK:
    case HOST:
    case INDEX:
        break;
    }
    return strcmp(device->info.index, wanted->text) == 0;
}

/* ---- Choosing --------------------------------------------------------------------------------------------------- */

/* Records that a device is in use or excluded, and why. One that is in use stays in use, with its first reason. */
__attribute__((format(printf, 3, 4))) static void decide(rp_device *device, bool in_use, const char *format, ...)
{
    va_list arguments;
    if (device->info.in_use)
        return;
    device->info.in_use = in_use;
    va_start(arguments, format);
    vsnprintf(device->info.reason, sizeof device->info.reason, format, arguments);
    va_end(arguments);
}

/* Another device for the same chip that has a higher rank or, with the same rank, comes first. */
static const rp_device *better_twin(const rp_device_list *list, const word *wanted, const rp_device *device)
{
    if (wanted->kind == ALL || wanted->kind == INDEX || device->identity[0] == '\0')
        return NULL;
    for (const rp_device *other = list->items; other < list->items + list->count; other++) {
        bool better = other->rank > device->rank || (other->rank == device->rank && other < device);
        if (better && other->available && matches(list, wanted, other) &&
            strcmp(other->identity, device->identity) == 0)
            return other;
    }
    return NULL;
}

static rp_device *device_named(rp_device_list *list, const char *index)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].info.index, index) == 0)
            return &list->items[i];
    return NULL;
}

static void name_available(rp_device_list *list, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count && used < size; i++) {
        const rp_device *device = &list->items[i];
        rp_look(&list->items[i]);
        if (device->available)
            used += (size_t)snprintf(text + used, size - used, "%s%s (%s)", used > 0 ? ", " : "", device->info.index,
                                     device->info.name);
    }
}

static rowpool_status no_such_device(rp_device_list *list, const word *wanted, rowpool_error *error)
{
    char all[512];
    const rp_device *excluded = NULL;
    if (list->isolate)
        excluded = device_named(list, "isolated"); /* all of OpenCL */
    else if (wanted->kind == INDEX || wanted->kind == ISOLATED)
        excluded = device_named(list, wanted->text);
    if (excluded != NULL)
        return rp_fail(error, ROWPOOL_ENODEVICE, "device %s (%s) cannot be used: %s", wanted->text, excluded->info.name,
                       excluded->info.reason);
    name_available(list, all, sizeof all);
#ifndef ROWPOOL_HAVE_OPENCL
    return rp_fail(error, ROWPOOL_ENODEVICE,
                   "there is no device '%s': this rowpool was built without OpenCL. There are: %s", wanted->text, all);
#else
    return rp_fail(error, ROWPOOL_ENODEVICE,
                   "there is no OpenCL device '%s'. There are: %s. A GPU needs its vendor's OpenCL driver; for the CPU "
                   "install PoCL (Debian: pocl-opencl-icd)",
                   wanted->text, all);
#endif
}

/* The default devices: all of OpenCL; where there is none, worker processes; where there are none, the calling
 * thread. */
static void use_fallback(rp_device_list *list)
{
    rp_device *processes = device_named(list, "fork");
    if (!processes->available)
        decide(device_named(list, "host"), true, "chosen: neither OpenCL nor processes can be used");
    else if (rp_environment_is_trusted())
        decide(processes, true, "chosen: there is no OpenCL device that can be used");
    else
        decide(processes, true, "chosen: a setuid program has OpenCL only where it names the device");
}

static rowpool_status apply_word(rp_device_list *list, const word *wanted, rowpool_error *error)
{
    bool found = false;
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        if (!matches(list, wanted, device))
            continue;
        if (device->info.type == ROWPOOL_DEVICE_ISOLATED)
            rp_look(device);
        if (!device->available)
            continue;
        const rp_device *twin = better_twin(list, wanted, device);
        if (twin != NULL)
            decide(device, false, "skipped: the same hardware as %s", twin->info.index);
        else if (wanted->kind == AUTO)
            decide(device, true, "chosen");
        else
            decide(device, true, "asked for as '%s'", wanted->text);
        found |= twin == NULL;
    }
    if (!found && wanted->kind != AUTO)
        return no_such_device(list, wanted, error);
    if (!found)
        use_fallback(list);
    return ROWPOOL_OK;
}

/* Gives a reason to devices that no word named, and logs them all. */
static void explain(rp_device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        const rowpool_device *info = &device->info;
        if (rp_log_on(RP_LOG_DEVICE))
            rp_look(device);
        if (info->reason[0] == '\0')
            decide(device, false, "%s",
                   list->automatic && info->type == ROWPOOL_DEVICE_HOST ? "small maps only" : "not asked for");
        rp_log(RP_LOG_DEVICE, "%s %s (%s): %s", info->in_use ? "use" : "  -", info->index, info->name, info->reason);
    }
}

rowpool_status rp_choose(const char *text, rowpool_isolate isolate, bool afresh, rp_device_list *list,
                         rowpool_error *error)
{
    word *words = NULL;
    size_t count = 0;
    bool opencl = false;
    *list = (rp_device_list){.isolate = isolate == ROWPOOL_ISOLATE_ALWAYS};
    rowpool_status status = parse_words(text, &words, &count, error);
    if (status == ROWPOOL_OK)
        status = weigh_words(list, words, count, &opencl, error);
    if (status == ROWPOOL_OK)
        status = probe_backends(opencl, afresh, list, error);
    for (size_t i = 0; status == ROWPOOL_OK && i < count; i++)
        status = apply_word(list, &words[i], error);
    free(words);
    if (status != ROWPOOL_OK) {
        free(list->items);
        *list = (rp_device_list){0};
        return status;
    }
    explain(list);
    return ROWPOOL_OK;
}

rowpool_status rp_choose_without(rp_device_list *list, rp_device *failed, const char *why, rowpool_error *error)
{
    word wanted;
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        device->info.in_use = false;
        if (device->available)
            device->info.reason[0] = '\0';
    }
    failed->available = false;
    decide(failed, false, "skipped: %s", why);
    parse_word(&(rp_word){"auto", strlen("auto")}, &wanted);
    RP_TRY(apply_word(list, &wanted, error));
    explain(list);
    return ROWPOOL_OK;
}

void rp_order_devices(rp_device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].info.in_use)
            continue;
        const rp_device device = list->items[i];
        memmove(&list->items[list->used + 1], &list->items[list->used], (i - list->used) * sizeof device);
        list->items[list->used++] = device;
    }
}
