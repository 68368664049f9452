/* How much each device of a run gets, and whether it gets anything, by the measured rates. */
#include "base/checked.h"
#include "sched/pool.h"

/* ---- What is known of them -------------------------------------------------------------------------------------- */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* All other participants together: bytes a second, and bytes in flight. One whose rate is unknown counts as equally
 * fast. */
typedef struct {
    size_t count;
    double rate, pending, fastest;
} rivals;

static rivals rivals_of(const rp_run *run, const rp_participant *one)
{
    rivals all = {0};
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *other = &run->participants[i];
        if (other == one || other->state != RP_PARTICIPANT_READY)
            continue;
        double rate = other->rate > 0 ? other->rate : one->rate;
        all.count++;
        all.rate += rate;
        all.fastest = larger(rate, all.fastest);
        all.pending += (double)other->pending;
    }
    return all;
}

void rp_share_remember(const rp_run *run, const rp_participant *participant)
{
    rp_device *device = participant->device;
    if (participant->bytes > 0) {
        device->rate = participant->rate;
        device->left_out = 0;
        return;
    }
    const rivals others = rivals_of(run, participant);
    if (others.rate > 0)
        device->left_out += (double)(rp_operation_bytes(&run->operation) - run->left) / others.rate;
}

/* ---- How much is of use ----------------------------------------------------------------------------------------- */

size_t rp_share_bytes(const rp_run *run, const rp_chunk *chunk)
{
    size_t bytes = 0;
    for (size_t i = 0; i < run->operation.code.n_inputs; i++)
        bytes += rp_chunk_elements(&run->operation.inputs[i], chunk) * run->operation.code.element[i];
    return bytes;
}

/* Min and max seconds of a task where several devices work: ten times the overhead of a task; and short enough that a
 * device whose rate falls does not hold up the rest for long. */
static const double least_seconds = 200e-6, most_seconds = RP_MAX_SECONDS;

/* The bytes that one of a device's parallel tasks does in some time. */
static double work_in(const rp_participant *participant, double seconds)
{
    return seconds * participant->rate / (double)participant->device->parallel;
}

/* The min bytes that are worth a task. */
static double least_work(const rp_participant *participant)
{
    return larger(work_in(participant, least_seconds), RP_MIN_WORK);
}

static double seconds_of_least(const rp_participant *participant)
{
    return least_work(participant) * (double)participant->device->parallel / participant->rate;
}

/* Whether a device that was left out of earlier runs is to be tried again, since its rate may have been measured at a
 * bad moment: if a min task takes at most 1/50 of the time that it was left out. */
static bool is_to_be_tried(const rp_participant *participant)
{
    return participant->in_flight == 0 && participant->bytes <= 0 &&
           50 * seconds_of_least(participant) <= participant->left_out;
}

/* One more chunk does not help if the others would do all the rest before the device ends even a min task. The fastest
 * always helps when it is idle, so the run goes on. */
bool rp_share_helps(const rp_run *run, const rp_participant *participant)
{
    const rivals others = rivals_of(run, participant);
    if (others.count == 0 || (participant->in_flight == 0 && participant->rate >= others.fastest))
        return true;
    if (participant->rate <= 0)
        return participant->in_flight < participant->device->parallel;
    double ready = (double)participant->pending / participant->rate + seconds_of_least(participant);
    return ready <= ((double)run->left + others.pending) / others.rate || is_to_be_tried(participant);
}

/* Whether no other device has, or would get, a part of what is left. */
static bool is_alone(const rp_run *run, const rp_participant *participant)
{
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *other = &run->participants[i];
        if (other == participant || other->state != RP_PARTICIPANT_READY)
            continue;
        if (other->pending > 0 || rp_share_helps(run, other))
            return false;
    }
    return true;
}

/* A device that is alone takes as much as it can. Otherwise its share of the unfinished work is proportional to its
 * rate, so that all end together; it takes a quarter of the part of its share that is not in flight yet. A rate is
 * trusted only as far as it was measured: with none, or one from an earlier run, the device gets less; later at most
 * four times its recent work. */
size_t rp_share_work(const rp_run *run, const rp_participant *participant)
{
    const size_t parallel = participant->device->parallel;
    if (participant == run->host && run->pool->devices.automatic)
        return (size_t)smaller(larger(work_in(participant, RP_MAX_SECONDS), RP_MIN_WORK),
                               (double)participant->max_chunk);
    if (run->n_participants <= 1 || is_alone(run, participant))
        return parallel <= 1 ? participant->max_chunk
                             : rp_min(rp_max(run->left / (2 * parallel), RP_MIN_WORK), participant->max_chunk);
    if (participant->rate <= 0)
        return rp_min(RP_MIN_WORK, participant->max_chunk);
    const rivals others = rivals_of(run, participant);
    double undone = (double)run->left + others.pending + (double)participant->pending;
    double share = undone * participant->rate / (others.rate + participant->rate) - (double)participant->pending;
    double trusted = participant->bytes > 0 ? 4 * participant->bytes : share / 8;
    double work = smaller(smaller(share / 4, trusted) / (double)parallel, work_in(participant, most_seconds));
    work = larger(work, least_work(participant));
    return work < (double)participant->max_chunk ? (size_t)work : participant->max_chunk;
}

size_t rp_share_max_partition(const rp_run *run, const rp_participant *participant)
{
    double all = 0, fastest = 0;
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *other = &run->participants[i];
        if (other->state == RP_PARTICIPANT_EXCLUDED)
            continue;
        if (other->rate <= 0 && run->n_participants > 1)
            return 0; /* the shares are not known yet */
        all += other->rate;
        fastest = other->rate > fastest ? other->rate : fastest;
    }
    return participant->rate >= fastest ? SIZE_MAX : (size_t)((double)run->left / 2 * participant->rate / all);
}

/* After a chunk: the rate is the device's recent bytes over the time that it was busy with them. Older work counts half
 * as much after each chunk or, for a device with parallel tasks, after about one round of them. */
void rp_share_end(rp_participant *participant, const rp_task *task)
{
    struct timespec now = rp_clock_now();
    double seconds = rp_clock_seconds(participant->busy_since, now);
    participant->busy_since = now;
    if (task->cold || task->late)
        return;
    double kept = 1 - 0.5 / (double)participant->device->parallel;
    participant->bytes = kept * participant->bytes + (double)task->bytes;
    participant->busy = kept * participant->busy + seconds;
    if (participant->bytes > 0 && participant->busy > 0)
        participant->rate = participant->bytes / participant->busy;
}
