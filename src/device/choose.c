#include "device/choose.h"

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

static bool make_room(collector *into)
{
    enum { USUAL = 8 };
    size_t wanted = into->capacity > 0 ? 2 * into->capacity : USUAL;
    if (into->list->count < into->capacity)
        return true;
    rp_device *more = realloc(into->list->items, wanted * sizeof *more);
    into->out_of_memory |= more == NULL;
    if (more == NULL)
        return false;
    into->list->items = more;
    into->capacity = wanted;
    return true;
}

static void collect(void *argument, const rp_device *device)
{
    collector *into = argument;
    if (make_room(into))
        into->list->items[into->list->count++] = *device;
}

void rp_look(rp_device *device)
{
    if (!device->looked && device->queue_depth == 0 && device->backend->look != NULL)
        device->backend->look(device);
    device->looked = true;
}

static void look_at_all(rp_device_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        rp_look(&list->items[i]);
}

/* OpenCL is not even loaded for a pool that was asked for other workers only. */
static rowpool_status probe(bool opencl, bool afresh, rp_device_list *list, rowpool_error *error)
{
    collector into = {.list = list};
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (opencl || strcmp(backends[i]->name, "opencl") != 0)
            backends[i]->probe(afresh, collect, &into);
    return into.out_of_memory ? rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the list of devices") : ROWPOOL_OK;
}

/* ---- What is asked for ------------------------------------------------------------------------------------------ */

typedef enum { AUTO, ALL, CPU, GPU, ACCELERATOR, ISOLATED, FORK, HOST, INDEX } word_kind;

typedef struct {
    word_kind kind;
    char text[16];
} word;

static bool is_index(const char *text)
{
    size_t before = strspn(text, "0123456789");
    size_t after = text[before] == ':' ? strspn(text + before + 1, "0123456789") : 0;
    return before > 0 && after > 0 && text[before + 1 + after] == '\0';
}

/* The text fits into the word. */
static bool parse_word(const char *text, word *parsed)
{
    static const char *const kinds[] = {
        [AUTO] = "auto",         [ALL] = "all",   [CPU] = "cpu",  [GPU] = "gpu", [ACCELERATOR] = "accelerator",
        [ISOLATED] = "isolated", [FORK] = "fork", [HOST] = "host"};
    memcpy(parsed->text, text, strlen(text) + 1);
    parsed->kind = INDEX;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(text, kinds[i]) == 0)
            parsed->kind = (word_kind)i;
    return parsed->kind != INDEX || is_index(text);
}

static const char *opencl_type(rowpool_device_type type)
{
    static const char *const names[] = {[ROWPOOL_DEVICE_CPU] = "cpu",
                                        [ROWPOOL_DEVICE_GPU] = "gpu",
                                        [ROWPOOL_DEVICE_ACCELERATOR] = "accelerator",
                                        [ROWPOOL_DEVICE_OTHER] = "other"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : "";
}

/* Whether a word names devices of OpenCL. */
static bool is_of_opencl(const word *wanted)
{
    return wanted->kind != FORK && wanted->kind != HOST;
}

static bool is_opencl(const rp_device *device)
{
    return device->info.type <= ROWPOOL_DEVICE_OTHER;
}

static bool matches(const rp_device_list *list, const word *wanted, const rp_device *device)
{
    if (wanted->kind == AUTO && !rp_environment_is_trusted())
        return false;
    if (list->isolate && is_of_opencl(wanted))
        return device->info.type == ROWPOOL_DEVICE_ISOLATED;
    switch (wanted->kind) {
    case AUTO:
    case ALL:
        return is_opencl(device) && device->available;
    case CPU:
    case GPU:
    case ACCELERATOR:
        return device->available && strcmp(opencl_type(device->info.type), wanted->text) == 0;
    case ISOLATED:
    case FORK:
    case HOST:
    case INDEX:
        return strcmp(device->info.index, wanted->text) == 0;
    }
    return false;
}

/* ---- Choosing --------------------------------------------------------------------------------------------------- */

static void give_reason(rowpool_device *info, const char *why)
{
    const size_t length = rp_min(strlen(why), sizeof info->reason - 1);
    memcpy(info->reason, why, length);
    info->reason[length] = '\0';
}

static void use(rp_device *device, const char *why)
{
    if (device->info.in_use)
        return;
    device->info.in_use = true;
    give_reason(&device->info, why);
}

/* Another device that stands for the same chip, and better: by its rank, or else by coming first. */
static const rp_device *better_twin(const rp_device_list *list, const word *wanted, const rp_device *device)
{
    for (size_t i = 0; device->identity[0] != '\0' && i < list->count; i++) {
        const rp_device *other = &list->items[i];
        bool better = other->rank > device->rank || (other->rank == device->rank && other < device);
        if (other != device && better && matches(list, wanted, other) && strcmp(other->identity, device->identity) == 0)
            return other;
    }
    return NULL;
}

static rp_device *find(rp_device_list *list, const char *index)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].info.index, index) == 0)
            return &list->items[i];
    return NULL;
}

static bool chip_twice(word_kind kind)
{
    return kind == ALL || kind == INDEX;
}

static size_t apply_word(rp_device_list *list, const word *wanted)
{
    size_t matched = 0;
    char why[64];
    rp_device *isolated = find(list, "isolated");
    if (isolated != NULL && (wanted->kind == ISOLATED || (list->isolate && is_of_opencl(wanted))))
        rp_look(isolated);
    snprintf(why, sizeof why, wanted->kind == AUTO ? "chosen" : "asked for as '%s'", wanted->text);
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        if (!matches(list, wanted, device) || !device->available)
            continue;
        const rp_device *twin = chip_twice(wanted->kind) ? NULL : better_twin(list, wanted, device);
        if (twin == NULL) {
            use(device, why);
            matched++;
        } else if (!device->info.in_use) {
            snprintf(device->info.reason, sizeof device->info.reason, "skipped: the same hardware as %s",
                     twin->info.index);
        }
    }
    return matched;
}

static void name_all(const rp_device_list *list, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count && used < size; i++)
        if (list->items[i].available)
            used += (size_t)snprintf(text + used, size - used, "%s%s (%s)", used > 0 ? ", " : "",
                                     list->items[i].info.index, list->items[i].info.name);
}

static rowpool_status no_such_device(rp_device_list *list, const word *wanted, rowpool_error *error)
{
    char all[512];
    const rp_device *skipped = find(list, list->isolate ? "isolated" : "-"); /* all of OpenCL */
    if (skipped == NULL && (wanted->kind == INDEX || wanted->kind == ISOLATED))
        skipped = find(list, wanted->text);
    look_at_all(list);
    name_all(list, all, sizeof all);
    if (skipped != NULL)
        return rp_fail(error, ROWPOOL_ENODEVICE, "device %s (%s) cannot be used: %s", wanted->text, skipped->info.name,
                       skipped->info.reason);
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

/* Takes one word of the list off *words; EINVAL when it means nothing. */
static rowpool_status next_word(const char **words, const char *whole, word *parsed, rowpool_error *error)
{
    size_t length = strcspn(*words, ",");
    char text[16] = "";
    if (length < sizeof text)
        memcpy(text, *words, length);
    if (length == 0 || length >= sizeof text || !parse_word(text, parsed))
        return rp_fail(
            error, ROWPOOL_EINVAL,
            "the device '%.*s' in '%.100s' is none of auto, cpu, gpu, accelerator, all, isolated, fork, host, P:D",
            (int)(length < 100 ? length : 100), *words, whole);
    *words += length;
    if (**words == ',')
        ++*words;
    else
        *words = NULL;
    return ROWPOOL_OK;
}

static rowpool_status apply_words(rp_device_list *list, const char *words, rowpool_error *error)
{
    const char *whole = words;
    while (words != NULL) {
        word wanted;
        RP_TRY(next_word(&words, whole, &wanted, error));
        if (apply_word(list, &wanted) > 0)
            continue;
        if (wanted.kind != AUTO)
            return no_such_device(list, &wanted, error);
        rp_device *processes = find(list, "fork");
        if (processes->available)
            use(processes, rp_environment_is_trusted()
                               ? "chosen: there is no OpenCL device that can be used"
                               : "chosen: a setuid program has OpenCL only where it names the device");
        else
            use(find(list, "host"), "chosen: neither OpenCL nor processes can be used");
    }
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

/* Whether any word needs OpenCL in this process; checks every word on the way. */
static rowpool_status scan_words(const char *words, bool *opencl, rp_device_list *list, rowpool_error *error)
{
    const char *whole = words;
    list->automatic = true;
    while (words != NULL) {
        word wanted;
        RP_TRY(next_word(&words, whole, &wanted, error));
        const bool of_opencl = is_of_opencl(&wanted) && (wanted.kind != AUTO || rp_environment_is_trusted());
        *opencl |= of_opencl && wanted.kind != ISOLATED && !list->isolate;
        if (of_opencl && list->isolate)
            RP_TRY(add_for_helper(list, &wanted, error));
        list->automatic &= wanted.kind == AUTO;
    }
    if (list->automatic)
        list->helper_devices[0] = '\0';
    return ROWPOOL_OK;
}

/* Moves those in use to the front, each half in the order found. */
static void sort_used_first(rp_device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].info.in_use)
            continue;
        if (i == list->used) {
            list->used++;
            continue;
        }
        rp_device device = list->items[i];
        memmove(&list->items[list->used + 1], &list->items[list->used], (i - list->used) * sizeof device);
        list->items[list->used++] = device;
    }
}

static void explain_unused(rp_device_list *list)
{
    if (rp_log_on(RP_LOG_DEVICE))
        look_at_all(list);
    for (size_t i = 0; i < list->count; i++) {
        rowpool_device *info = &list->items[i].info;
        bool small_maps = list->automatic && info->type == ROWPOOL_DEVICE_HOST;
        if (!info->in_use && info->reason[0] == '\0')
            give_reason(info, small_maps ? "small maps only" : "not asked for");
        rp_log(RP_LOG_DEVICE, "%s %s (%s): %s", info->in_use ? "use" : "  -", info->index, info->name, info->reason);
    }
}

rowpool_status rp_choose(const char *words, rowpool_isolate isolate, bool afresh, rp_device_list *list,
                         rowpool_error *error)
{
    bool opencl = false;
    *list = (rp_device_list){.isolate = isolate == ROWPOOL_ISOLATE_ALWAYS};
    RP_TRY(scan_words(words, &opencl, list, error));
    rowpool_status status = probe(opencl, afresh, list, error);
    if (status == ROWPOOL_OK)
        status = apply_words(list, words, error);
    if (status != ROWPOOL_OK) {
        free(list->items);
        *list = (rp_device_list){0};
        return status;
    }
    sort_used_first(list);
    explain_unused(list);
    return ROWPOOL_OK;
}

rowpool_status rp_choose_without(rp_device_list *list, rp_device *failed, const char *why, rowpool_error *error)
{
    failed->available = false;
    snprintf(failed->info.reason, sizeof failed->info.reason, "skipped: %s", why);
    list->used = 0;
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        device->info.in_use = false;
        if (device->available)
            device->info.reason[0] = '\0';
    }
    RP_TRY(apply_words(list, "auto", error));
    sort_used_first(list);
    explain_unused(list);
    return ROWPOOL_OK;
}
