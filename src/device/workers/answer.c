/* What an answer, or the end of a worker, means for its tasks.
 *
 * The oldest task of a worker that ends is the one that it worked on, and is blamed; the others only waited. Whoever
 * submitted them runs their rows again. */
#include <inttypes.h>
#include <stdio.h>

#include "base/trace.h"
#include "core/builtin.h"
#include "device/workers/workers.h"

enum { ROWS_TEXT = 96 };

static void rows_text(const rp_task *task, char text[ROWS_TEXT])
{
    const rp_chunk *chunk = &task->chunk;
    const size_t row = rp_operation_index(task->operation, chunk);
    if (chunk->partial)
        snprintf(text, ROWS_TEXT, "elements %zu to %zu of row %zu", chunk->begin, chunk->end - 1, row);
    else if (chunk->rows == 1)
        snprintf(text, ROWS_TEXT, "row %zu", row);
    else
        snprintf(text, ROWS_TEXT, "rows %zu to %zu", row, row + chunk->rows - 1);
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

static void set_status(rp_task *task, const rp_answer *answer, pid_t pid)
{
    char rows[ROWS_TEXT];
    rows_text(task, rows);
    switch (answer->status) {
    case RP_ANSWER_DONE:
        task->status = ROWPOOL_OK;
        return;
    case RP_ANSWER_UNREADABLE:
        task->status = rp_fail(&task->error, ROWPOOL_EINVAL,
                               "%s cannot be read: at %#" PRIx64 " there is no readable memory", rows, answer->address);
        return;
    case RP_ANSWER_REFUSED:
        task->status = rp_fail(
            &task->error, ROWPOOL_ESYSTEM,
            "worker process %d is not allowed to read this process's memory, for %s: use memory from "
            "rowpool_alloc, or a shared mapping of a file; the device isolated needs the right to read",
            (int)pid, rows);
        return;
    case RP_ANSWER_FAILED:
        task->error = answer->error;
        task->error.message[sizeof task->error.message - 1] = '\0';
        task->status = answer->error.status;
        return;
    case RP_ANSWER_NO_MEMORY:
        break;
    }
    task->status = rp_fail(&task->error, ROWPOOL_ENOMEM, "worker process %d cannot map memory for %s", (int)pid, rows);
}

static void trace_answer(const rp_workers_slot *slot, const rp_task *task, const rp_answer *answer)
{
    char track[64], rows[ROWS_TEXT];
    if (!rp_trace_on())
        return;
    snprintf(track, sizeof track, "worker process %d", (int)slot->worker.pid);
    rows_text(task, rows);
    rp_trace_span(track, task->operation->name, answer->begin, answer->end, rows);
}

/* Removes the oldest of a slot's tasks. */
static rp_workers_task *take_oldest(rp_workers *state, rp_workers_slot *slot)
{
    slot->tasks--;
    state->sent--;
    return rp_workers_list_pop(&slot->sent);
}

/* Whether a message is a valid answer: a user's function may write anything to any descriptor. Only a program reports
 * errors of its own. */
static bool is_answer(const rp_workers *state, const rp_answer *answer, size_t bytes)
{
    if (bytes < offsetof(rp_answer, error) || answer->status > RP_ANSWER_FAILED || bytes != rp_answer_size(answer))
        return false;
    return answer->status != RP_ANSWER_FAILED || (state->kind->program && answer->error.status != ROWPOOL_OK);
}

bool rp_workers_take_answers(rp_workers *state, rp_workers_slot *slot, rp_workers_list *done)
{
    rp_answer answer;
    ssize_t bytes = 0;
    while (!slot->broken && (bytes = rp_worker_receive(&slot->worker, &answer, sizeof answer)) > 0) {
        const rp_workers_task *oldest = slot->sent.first;
        slot->broken = !is_answer(state, &answer, (size_t)bytes) || oldest == NULL || oldest->number != answer.number;
        if (slot->broken)
            break;
        trace_answer(slot, oldest->task, &answer);
        set_status(oldest->task, &answer, slot->worker.pid);
        oldest->task->cold |= answer.cold;
        rp_workers_list_push(done, take_oldest(state, slot));
        state->losses = 0;
        state->stops = 0;
    }
    return !slot->broken && bytes < 0;
}

/* ---- Lost workers ----------------------------------------------------------------------------------------------- */

/* Whether the oldest of a worker's tasks is to blame for its end. */
static bool is_to_blame(const rp_workers *state, const rp_workers_slot *slot)
{
    if (slot->tasks == 0 || rp_workers_is_unwanted(slot->sent.first->task))
        return false;
    /* If the worker never began its oldest task, those rows did not end it. The mark is less only then: it may already
     * be a later task's. */
    if (atomic_load(&state->marks[rp_workers_index(state, slot)].number) < slot->sent.first->number)
        return false;
    const rp_operation *operation = slot->sent.first->operation->operation;
    if (slot->interrupted)
        return operation->once; /* it was killed for an earlier task, but had begun this one */
    if (state->kind->program && rp_is_builtin(operation->function))
        return false; /* the driver ended the program */
    /* A process is usually stopped from outside, but a row function may stop its own: the second stop is blamed on the
     * rows. */
    return !slot->overdue || state->stops > 0 || operation->once;
}

void rp_workers_lose_tasks(rp_workers *state, rp_workers_slot *slot, const char *how, rp_workers_list *done)
{
    bool blamed = is_to_blame(state, slot);
    if (blamed)
        state->losses = 0;
    else
        state->losses += !slot->interrupted;
    state->stops += slot->overdue;
    for (bool oldest = true; slot->tasks > 0; oldest = false) {
        rp_workers_task *own = take_oldest(state, slot);
        rp_task *task = own->task;
        char rows[ROWS_TEXT];
        rows_text(task, rows);
        task->blamed = blamed && oldest;
        task->status = rp_fail(&task->error, ROWPOOL_EWORKER, "%s %s %s", how,
                               oldest ? "while it had" : "before it reached", rows);
        rp_workers_list_push(done, own);
    }
}
