/* Opening and closing a pool, and the list of its devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/floating.h"
#include "base/log.h"
#include "base/self.h"
#include "base/settings.h"
#include "base/thread.h"
#include "sched/job.h"

/* ---- Open ------------------------------------------------------------------------------------------------------- */

enum { MOST_WORKERS = 1024 };

/* The option or the variable: either is enough. */
static rowpool_status read_isolate(rowpool_isolate *isolate, rowpool_error *error)
{
    static const char *const words[] = {"never", "always"};
    const char *text = rp_setting_text(RP_SETTING_ISOLATE);
    if (text == NULL)
        return ROWPOOL_OK;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0) {
            if ((rowpool_isolate)i > *isolate)
                *isolate = (rowpool_isolate)i;
            return ROWPOOL_OK;
        }
    return rp_fail(error, ROWPOOL_EINVAL, "%s is '%s'; it must be never or always", rp_setting_name(RP_SETTING_ISOLATE),
                   text);
}

static rowpool_status read_cpu(const rp_cpu **cpu, rowpool_error *error)
{
    const char *text = rp_setting_text(RP_SETTING_CPU);
    char names[64] = "";
    for (size_t i = 0; (*cpu = rp_cpu_at(i)) != NULL; i++) {
        if (text == NULL || strcmp(text, (*cpu)->name) == 0)
            return ROWPOOL_OK;
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "", (*cpu)->name);
    }
    return rp_fail(error, ROWPOOL_EINVAL, "%s is '%s'; on this CPU it can be one of: %s",
                   rp_setting_name(RP_SETTING_CPU), text, names);
}

static rowpool_status read_options(const rowpool_options *given, rowpool_options *options, rowpool_error *error)
{
    *options = (rowpool_options){.size = sizeof *options};
    if (given != NULL && given->size != sizeof *options)
        return rp_fail(error, ROWPOOL_EINVAL, "options.size is %zu; it must be sizeof(rowpool_options), %zu",
                       given->size, sizeof *options);
    if (given != NULL)
        *options = *given;
    if (options->workers > MOST_WORKERS)
        return rp_fail(error, ROWPOOL_EINVAL, "options.workers is %zu; the max is %d", options->workers, MOST_WORKERS);
    if ((unsigned)options->isolate > ROWPOOL_ISOLATE_ALWAYS)
        return rp_fail(error, ROWPOOL_EINVAL, "options.isolate is %u, neither ROWPOOL_ISOLATE_NEVER nor _ALWAYS",
                       (unsigned)options->isolate);
    if (options->device == NULL)
        options->device = rp_setting_text(RP_SETTING_DEVICE);
    if (options->device == NULL)
        options->device = "auto";
    if (options->workers == 0)
        RP_TRY(rp_setting_size(RP_SETTING_WORKERS, MOST_WORKERS, &options->workers, error));
    rp_test_setting test;
    RP_TRY(rp_setting_test(&test, error));
    RP_TRY(read_isolate(&options->isolate, error));
    options->strict |= rp_setting_text(RP_SETTING_STRICT) != NULL;
    if (options->chunk_bytes == 0)
        RP_TRY(rp_setting_size(RP_SETTING_CHUNK_BYTES, SIZE_MAX, &options->chunk_bytes, error));
    return ROWPOOL_OK;
}

static void close_devices(rowpool *pool, bool forked)
{
    for (size_t i = 0; i < pool->devices.count; i++) {
        rp_device *device = &pool->devices.items[i];
        if (device->queue_depth > 0)
            device->backend->close(device, forked);
    }
    free(pool->devices.items);
}

static bool is_needed(const rp_device *device)
{
    return device->info.in_use || device->backend == &rp_backend_host;
}

/* Opens the devices in use, and the host. A device that was not named and cannot be opened is skipped. */
static rowpool_status open_devices(rowpool *pool, const rowpool_options *options, rowpool_error *error)
{
    rp_device_list *list = &pool->devices;
    pool->options = (rp_backend_options){.workers = options->workers,
                                         .chunk_bytes = options->chunk_bytes,
                                         .helper_devices = list->helper_devices,
                                         .automatic = list->automatic,
                                         .init = options->init,
                                         .init_argument = options->init_argument};
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        rowpool_error why;
        if (!is_needed(device) || device->queue_depth > 0)
            continue;
        rowpool_status status = device->backend->open(device, &pool->options, &why);
        if (status == ROWPOOL_OK)
            continue;
        if (!list->automatic || device->backend == &rp_backend_host)
            return rp_fail(error, status, "%s", why.message);
        RP_TRY(rp_choose_without(list, device, why.message, error));
        i = SIZE_MAX; /* another device may be in use now: start over */
    }
    rp_order_devices(list);
    for (size_t i = 0; i < list->count; i++) {
        rp_device *device = &list->items[i];
        if (device->backend == &rp_backend_host)
            pool->host = device;
    }
    return ROWPOOL_OK;
}

rowpool_status rowpool_open(rowpool **pool, const rowpool_options *options, rowpool_error *error)
{
    RP_NO_CANCEL;
    if (pool == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "pool is NULL: there is no place for the handle");
    *pool = NULL;
    rowpool_options read;
    RP_TRY(read_options(options, &read, error));
    rowpool *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a pool");
    rp_self_watch();
    fresh->pid = rp_self();
    fresh->references = 1;
    fresh->strict = read.strict;
    rp_mutex_init(&fresh->opening, RP_LOCK_OPENING);
    rp_mutex_init(&fresh->lock, RP_LOCK_POOL);
    rp_cond_init(&fresh->idle);
    rp_floating before; /* threads that drivers start inherit this thread's environment */
    rp_floating_default(&before);
    rowpool_status status = read_cpu(&fresh->cpu, error);
    if (status == ROWPOOL_OK)
        status = rp_choose(read.device, read.isolate, false, &fresh->devices, error);
    if (status == ROWPOOL_OK)
        status = open_devices(fresh, &read, error);
    rp_floating_restore(&before);
    if (status != ROWPOOL_OK) {
        rowpool_close(fresh);
        return status;
    }
    rp_log(RP_LOG_DEVICE, "built-in functions for this CPU: %s", fresh->cpu->name);
    *pool = fresh;
    return ROWPOOL_OK;
}

/* ---- Close ------------------------------------------------------------------------------------------------------ */

static void wait_until_idle(rowpool *pool)
{
    rp_lock(&pool->lock);
    while (pool->active > 0)
        rp_wait(&pool->idle, &pool->lock);
    rp_unlock(&pool->lock);
}

void rowpool_close(rowpool *pool)
{
    RP_NO_CANCEL;
    if (pool == NULL)
        return;
    bool forked = pool->pid != rp_self();
    if (!forked && (rp_dispatcher_is_me(pool) || rp_results_are_delivered(pool))) {
        rp_warn("rowpool_close was called from a callback of the same pool: ignored");
        return;
    }
    if (!forked) {
        wait_until_idle(pool);
        rp_dispatcher_stop(pool);
        rp_data_leave_pool(pool);
        wait_until_idle(pool); /* a handle that another thread closes may still be releasing copies */
    }
    close_devices(pool, forked);
    rp_pool_release(pool);
}

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

static void look_at_devices(rp_device_list *list, size_t capacity)
{
    for (size_t i = 0; i < list->count && i < capacity; i++)
        rp_look(&list->items[i]);
}

static void copy_infos(const rp_device_list *list, rowpool_device *devices, size_t capacity, size_t *count)
{
    *count = list->count;
    for (size_t i = 0; i < list->count && i < capacity; i++)
        devices[i] = list->items[i].info;
}

rowpool_status rowpool_devices(rowpool *pool, rowpool_device *devices, size_t capacity, size_t *count,
                               rowpool_error *error)
{
    RP_NO_CANCEL;
    if (count == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "count is NULL: there is no place for the number of devices");
    if (devices == NULL && capacity > 0)
        return rp_fail(error, ROWPOOL_EINVAL, "devices is NULL, but capacity is %zu", capacity);
    if (pool == NULL) {
        rp_device_list list;
        rowpool_isolate isolate = ROWPOOL_ISOLATE_NEVER;
        rp_floating before;
        RP_TRY(read_isolate(&isolate, error));
        rp_floating_default(&before);
        rowpool_status status = rp_choose("auto", isolate, true, &list, error);
        rp_floating_restore(&before);
        RP_TRY(status);
        rp_order_devices(&list);
        look_at_devices(&list, capacity);
        copy_infos(&list, devices, capacity, count);
        free(list.items);
        return ROWPOOL_OK;
    }
    RP_TRY(rp_check_handle(pool, "pool", pool->pid, error));
    rp_lock(&pool->opening);
    look_at_devices(&pool->devices, capacity);
    rp_lock(&pool->lock);
    copy_infos(&pool->devices, devices, capacity, count);
    rp_unlock(&pool->lock);
    rp_unlock(&pool->opening);
    return ROWPOOL_OK;
}

rowpool_status rowpool_terminate(rowpool *pool, rowpool_error *error)
{
    RP_NO_CANCEL;
    RP_TRY(rp_check_handle(pool, "pool", pool != NULL ? pool->pid : 0, error));
    rp_lock(&pool->opening);
    rp_lock(&pool->lock);
    for (rp_run *run = pool->runs; run != NULL; run = run->next)
        atomic_store(&run->cancellation.cancelled, true);
    for (size_t i = 0; i < pool->devices.count; i++) {
        rp_device *device = &pool->devices.items[i];
        if (device->queue_depth > 0 && device->backend->interrupt != NULL)
            device->backend->interrupt(device);
    }
    rp_unlock(&pool->lock);
    rp_unlock(&pool->opening);
    return ROWPOOL_OK;
}

size_t rowpool_cpu_count(void)
{
    return rp_count_cpus();
}
