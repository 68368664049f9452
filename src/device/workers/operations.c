/* Operations with tasks in flight: where their arrays are, looked up once for all tasks; which libraries they need. */
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "core/builtin.h"
#include "device/workers/workers.h"

static int note_additions(struct dl_phdr_info *info, size_t size, void *additions)
{
    (void)size;
    *(uint64_t *)additions = info->dlpi_adds;
    return 1;
}

uint64_t rp_workers_libraries(void)
{
    uint64_t additions = 0;
    dl_iterate_phdr(note_additions, &additions);
    return additions;
}

static void find_arrays(rp_workers_operation *entry)
{
    enum { MIN_FILE = 1 << 20 }; /* bytes: less is copied in the time that reading /proc/self/maps takes */
    const rp_operation *operation = entry->operation;
    rp_chunk whole = {.rows = operation->inputs->count};
    rowpool_block block;
    rp_operation_block(operation, &whole, &block);
    for (size_t i = 0; i < operation->code.n_inputs; i++) {
        const rp_rows *rows = &operation->inputs[i];
        size_t data = rp_chunk_span(rows, &whole) * rows->dtype->size;
        size_t offsets = rows->offsets == NULL ? 0 : (rows->count + 1) * sizeof *rows->offsets;
        rp_reach_find(block.input[i].data, data, data >= MIN_FILE, &entry->data[i]);
        rp_reach_find(block.input[i].offsets, offsets, offsets >= MIN_FILE, &entry->offsets[i]);
    }
    size_t results = operation->results == NULL ? 0 : whole.rows * rp_operation_row_bytes(operation);
    rp_reach_find(operation->results, results, false, &entry->results);
}

static rp_workers_operation *new_entry(const rp_workers *state, const rp_operation *operation)
{
    const bool program = state->kind->program;
    rp_workers_operation *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->operation = operation;
    entry->source_size = program ? strlen(operation->function->source) + 1 : 0;
    entry->libraries = program || rp_is_builtin(operation->function) ? 0 : rp_workers_libraries();
    find_arrays(entry);
    return entry;
}

void rp_workers_free_operation(rp_workers_operation *entry)
{
    for (size_t i = 0; i < entry->operation->code.n_inputs; i++) {
        rp_reach_release(&entry->data[i]);
        rp_reach_release(&entry->offsets[i]);
    }
    rp_reach_release(&entry->results);
    free(entry);
}

/* Counts a task of an operation that has others in flight. The lock is held. NULL: it has none. */
static rp_workers_operation *enter_known(rp_workers *state, const rp_operation *operation)
{
    rp_workers_operation *entry = state->operations;
    while (entry != NULL && entry->operation != operation)
        entry = entry->next;
    if (entry != NULL)
        entry->tasks++;
    return entry;
}

/* Arrays are looked up without the lock: that reads /proc and may wait for the dynamic loader. Only one thread submits
 * tasks of an operation, so nobody enters it meanwhile. */
rp_workers_operation *rp_workers_enter(rp_workers *state, const rp_operation *operation)
{
    rp_lock(&state->lock);
    rp_workers_operation *known = enter_known(state, operation);
    rp_unlock(&state->lock);
    if (known != NULL)
        return known;
    rp_workers_operation *entry = new_entry(state, operation);
    if (entry == NULL)
        return NULL;
    rp_lock(&state->lock);
    entry->number = ++state->numbers;
    entry->tasks = 1;
    entry->next = state->operations;
    state->operations = entry;
    rp_unlock(&state->lock);
    return entry;
}

void rp_workers_leave(rp_workers *state, rp_workers_operation *entry)
{
    rp_lock(&state->lock);
    bool last = --entry->tasks == 0;
    if (last) {
        rp_workers_operation **link = &state->operations;
        while (*link != entry)
            link = &(*link)->next;
        *link = entry->next;
    }
    rp_unlock(&state->lock);
    if (last)
        rp_workers_free_operation(entry);
}
