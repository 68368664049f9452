/* Copies that stay: tiles of private rows, once more in shared memory. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/checked.h"
#include "device/workers/workers.h"

static void copy_rows(char *into, const rp_rows *rows, const rp_chunk *tile)
{
    size_t size = rows->dtype->size, width = rows->width * size;
    const char *from = rows->data + rp_chunk_origin(rows, tile) * size;
    if (tile->partial || rows->stride == rows->width) { /* ragged rows have neither */
        memcpy(into, from, rp_chunk_span(rows, tile) * size);
        return;
    }
    for (size_t row = 0; row < tile->rows; row++)
        memcpy(into + row * width, from + row * rows->stride * size, width);
}

/* The lowest free number is given: the upper half of the descriptors stays the application's, and the workers'. */
static bool takes_too_many(int descriptor)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)descriptor >= limit.rlim_cur / 2;
}

static rowpool_status make_copy(const rp_rows *rows, const rp_chunk *tile, rp_device_copy **made, rowpool_error *error)
{
    size_t bytes = rp_chunk_elements(rows, tile) * rows->dtype->size;
    size_t offsets_at = rp_ceil_div(bytes, sizeof *rows->offsets) * sizeof *rows->offsets;
    bool ragged = rows->offsets != NULL && !tile->partial;
    size_t offset_bytes = ragged ? (tile->rows + 1) * sizeof *rows->offsets : 0;
    rp_device_copy *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    *copy = (rp_device_copy){.offsets_at = offsets_at};
    if (rp_region_open(&copy->region, offsets_at + offset_bytes, error) != ROWPOOL_OK) {
        free(copy);
        return ROWPOOL_ENOMEM; /* or descriptors: it can do without */
    }
    if (takes_too_many(copy->region.fd)) {
        rp_region_close(&copy->region);
        free(copy);
        return rp_fail(error, ROWPOOL_ENOMEM, "half of the files that may be open are");
    }
    if (bytes > 0)
        copy_rows(copy->region.base, rows, tile);
    if (ragged)
        memcpy(copy->region.base + offsets_at, rows->offsets + tile->row, offset_bytes);
    *made = copy;
    return ROWPOOL_OK;
}

void rp_workers_drop_copy(rp_device *device, rp_device_copy *copy)
{
    (void)device;
    rp_region_close(&copy->region);
    free(copy);
}

rowpool_status rp_workers_make_copies(const rp_workers_flight *flight, rowpool_error *error)
{
    rp_task *task = flight->task;
    for (size_t i = 0; i < task->operation->code.n_inputs; i++) {
        rp_partition_use *uses = &task->uses[i];
        if (uses->keep && flight->operation->data[i].kind == RP_REACH_COPY)
            RP_TRY(make_copy(&task->operation->inputs[i], &uses->tile, &uses->copy, error));
    }
    return ROWPOOL_OK;
}

void rp_workers_look_in_copy(const rp_task *task, size_t i, rowpool_block_input *input)
{
    const rp_rows *rows = &task->operation->inputs[i];
    const rp_partition_use *uses = &task->uses[i];
    char *base = uses->copy->region.base;
    const int64_t *offsets = (const void *)(base + uses->copy->offsets_at);
    input->data = base + rp_chunk_begin_in(rows, &uses->tile, &task->chunk) * rows->dtype->size;
    input->stride = rows->width;
    if (input->offsets != NULL)
        input->offsets = offsets + (task->chunk.row - uses->tile.row);
}
