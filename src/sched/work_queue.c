#include "sched/work_queue.h"

#include <stdlib.h>

#include "base/checked.h"
#include "sched/pool.h"

rowpool_status rp_work_queue_init(rp_work_queue *queue, const rp_operation *operation, rowpool_data *data,
                                  bool in_order, rowpool_error *error)
{
    *queue = (rp_work_queue){.operation = operation, .in_order = in_order};
    if (data == NULL || data->n_partitions == 0)
        return ROWPOOL_OK;
    queue->data = data;
    queue->partitions = calloc(data->n_partitions, sizeof *queue->partitions);
    if (queue->partitions == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu partitions of the rows", data->n_partitions);
    for (size_t i = 0; i < data->n_partitions; i++)
        queue->partitions[i] = (rp_cursor){data->partitions[i].chunk.row, data->partitions[i].chunk.begin};
    return ROWPOOL_OK;
}

void rp_work_queue_destroy(rp_work_queue *queue)
{
    free(queue->again);
    free(queue->partitions);
}

bool rp_work_queue_is_empty(const rp_work_queue *queue)
{
    return queue->cursor.row >= queue->operation->inputs->count && queue->n_again == 0;
}

void rp_work_queue_drop(rp_work_queue *queue)
{
    queue->cursor.row = queue->operation->inputs->count;
}

/* ---- Partitions ------------------------------------------------------------------------------------------------- */

static bool is_taken(const rp_work_queue *queue, size_t i)
{
    const rp_chunk *partition = &queue->data->partitions[i].chunk;
    const rp_cursor *cursor = &queue->partitions[i];
    return cursor->row >= partition->row + partition->rows || (partition->partial && cursor->begin >= partition->end);
}

/* The partition that suits a device best. A stream in order takes the first: results of later rows would fill the
 * buffers that earlier rows need. */
static size_t choose_partition(const rp_work_queue *queue, const rp_take *take, rp_partition_rank *rank)
{
    const rowpool_data *data = queue->data;
    size_t end = queue->in_order ? queue->first_partition + 1 : data->n_partitions, chosen = queue->first_partition;
    rp_lock(&data->pool->lock);
    rp_partition_rank best = rp_partition_rank_for(&data->partitions[chosen], take->device, take->max_partition);
    for (size_t i = chosen + 1; i < end && best != RP_PARTITION_HERE; i++) {
        if (is_taken(queue, i))
            continue;
        rp_partition_rank other = rp_partition_rank_for(&data->partitions[i], take->device, take->max_partition);
        if (other < best) {
            chosen = i;
            best = other;
        }
    }
    rp_unlock(&data->pool->lock);
    *rank = best;
    return chosen;
}

/* Takes a chunk that lies in one partition. */
static void take_from_partition(rp_work_queue *queue, const rp_take *take, rp_chunk *chunk)
{
    rp_partition_rank rank;
    size_t i = choose_partition(queue, take, &rank);
    const rp_partition *partition = &queue->data->partitions[i];
    rp_cursor *cursor = &queue->partitions[i];
    rp_split_limits limits = take->limits;
    /* Twice the bytes of the rows, since results count too. If the results are larger than the rows, the chunk gets
     * smaller. */
    if ((take->whole_to_keep && rank == RP_PARTITION_FREE_TO_KEEP) ||
        (take->whole_if_kept && rank == RP_PARTITION_HERE))
        limits.work = rp_max(limits.work, 2 * partition->bytes);
    limits.rows = rp_min(limits.rows, partition->chunk.row + partition->chunk.rows - cursor->row);
    if (partition->chunk.partial)
        limits.work = rp_min(limits.work, (partition->chunk.end - cursor->begin) * queue->operation->code.element[0]);
    rp_split_next(queue->operation->inputs, queue->operation->code.n_inputs, &limits, cursor, chunk);
    while (queue->first_partition < queue->data->n_partitions && is_taken(queue, queue->first_partition))
        queue->first_partition++;
    if (queue->first_partition == queue->data->n_partitions)
        rp_work_queue_drop(queue);
}

/* ---- Chunks ----------------------------------------------------------------------------------------------------- */

bool rp_work_queue_next(rp_work_queue *queue, const rp_take *take, rp_chunk *chunk)
{
    const rp_operation *operation = queue->operation;
    if (queue->n_again > 0) {
        *chunk = queue->again[--queue->n_again];
        return true;
    }
    if (queue->data == NULL)
        return rp_split_next(operation->inputs, operation->code.n_inputs, &take->limits, &queue->cursor, chunk);
    if (rp_work_queue_is_empty(queue))
        return false;
    take_from_partition(queue, take, chunk);
    return true;
}

bool rp_work_queue_return(rp_work_queue *queue, const rp_chunk *chunk)
{
    if (queue->n_again == queue->capacity) {
        size_t capacity = 2 * queue->capacity + 8;
        rp_chunk *again = realloc(queue->again, capacity * sizeof *again);
        if (again == NULL)
            return false;
        queue->again = again;
        queue->capacity = capacity;
    }
    queue->again[queue->n_again++] = *chunk;
    return true;
}
