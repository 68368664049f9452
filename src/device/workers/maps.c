/* Maps with tasks in flight: where their arrays are, looked up once for all tasks; which libraries they need. */
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "core/builtin.h"
#include "device/workers/workers.h"

enum {
    REACH_FILES = 1 << 20 /* arrays from this size on are looked up in /proc/self/maps: smaller ones are copied in the
                             time that takes */
};

/* ---- Libraries --------------------------------------------------------------------------------------------------- */

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

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

static void find_arrays(rp_workers_map *known)
{
    const rp_operation *operation = known->operation;
    rp_chunk whole = {.rows = operation->inputs->count};
    rowpool_block block = rp_operation_block(operation, &whole);
    for (size_t i = 0; i < operation->code.n_inputs; i++) {
        const rp_rows *rows = &operation->inputs[i];
        size_t data = rp_chunk_span(rows, &whole) * rows->dtype->size;
        size_t offsets = rows->offsets == NULL ? 0 : (rows->count + 1) * sizeof *rows->offsets;
        rp_reach_find(block.input[i].data, data, data >= REACH_FILES, &known->data[i]);
        rp_reach_find(block.input[i].offsets, offsets, offsets >= REACH_FILES, &known->offsets[i]);
    }
    size_t results = operation->results == NULL ? 0 : whole.rows * rp_operation_row_bytes(operation);
    rp_reach_find(operation->results, results, false, &known->results);
}

rp_workers_map *rp_workers_enter_map(rp_workers *state, const rp_operation *operation)
{
    rp_workers_map *known = state->maps;
    while (known != NULL && known->operation != operation)
        known = known->next;
    if (known == NULL) {
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return NULL;
        known->operation = operation;
        known->number = ++state->numbers;
        known->source_size = state->kind->program ? strlen(operation->function->source) + 1 : 0;
        known->libraries = state->kind->program || rp_is_builtin(operation->function) ? 0 : rp_workers_libraries();
        find_arrays(known);
        known->next = state->maps;
        state->maps = known;
    }
    known->tasks++;
    return known;
}

void rp_workers_release_map(rp_workers_map *known)
{
    for (size_t i = 0; i < known->operation->code.n_inputs; i++) {
        rp_reach_release(&known->data[i]);
        rp_reach_release(&known->offsets[i]);
    }
    rp_reach_release(&known->results);
    free(known);
}

void rp_workers_leave_map(rp_workers *state, rp_workers_map *known)
{
    if (--known->tasks > 0)
        return;
    rp_workers_map **link = &state->maps;
    while (*link != known)
        link = &(*link)->next;
    *link = known->next;
    rp_workers_release_map(known);
}
