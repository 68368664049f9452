/* Whether a device is worth having beside the others is tried, not computed: nobody knows what devices take from one
 * another - the memory's rate, cores, the host's time. Now and then one that takes part is held off, or one that is held
 * off takes part, for a few stretches: what all devices do together meanwhile decides. A stretch is a run, or 20 ms of a
 * long one. The fastest is never held off. */
#include "base/log.h"
#include "pool/pool.h"

enum {
    STRETCHES = 3,     /* that are compared with as many */
    REST = 50,         /* a trial costs no more than one part in so many of the time, */
    MOST_DOUBLINGS = 4 /* and half as much each time that it changes nothing, so often at most */
};
static const double stretch_seconds = 20e-3;
#define GAIN 1.05 /* for which one is held off: less is lost in the noise of clocks */

/* ---- What one trial knows --------------------------------------------------------------------------------------- */

/* Runs of one kind are compared with each other alone: one function, one dtype, half to twice the bytes. Never 0. */
static uint64_t kind_of(const rp_map *map)
{
    uint64_t size = 1;
    for (size_t bytes = rp_map_bytes(map); bytes > 1; bytes /= 2)
        size++;
    return ((uint64_t)(uintptr_t)map->function * 31 + (uint64_t)map->inputs->dtype_id) * 64 + size;
}

static rp_trial *trial_of(rp_device *device, const rp_map *map)
{
    uint64_t kind = kind_of(map);
    rp_trial *trial = &device->trials[kind % RP_TRIALS];
    if (trial->kind != kind)
        *trial = (rp_trial){.kind = kind};
    return trial;
}

static bool holds_off(const rp_trial *trial)
{
    return trial->out != trial->trying;
}

static double rate_of(const rp_stretches *all)
{
    return all->seconds > 0 ? all->bytes / all->seconds : 0;
}

/* What a trial would cost, as a part of the time that it takes. */
static double loss(const rp_trial *trial, double share)
{
    enum { LEAST = 10 }; /* rates are not known better than to a tenth */
    double with = rate_of(&trial->with), without = rate_of(&trial->without);
    double part = trial->out && without > 0 ? 1 - with / without : share;
    return part > 1.0 / LEAST ? part : 1.0 / LEAST;
}

static bool is_due(const rp_trial *trial, double share)
{
    const rp_stretches *usual = trial->out ? &trial->without : &trial->with;
    if (usual->count < STRETCHES)
        return false;
    double seconds = STRETCHES * usual->seconds / usual->count;
    return trial->rest >= REST * (1 << trial->doublings) * loss(trial, share) * seconds;
}

static void begin_trial(rp_trial *trial)
{
    trial->trying = true;
    *(trial->out ? &trial->with : &trial->without) = (rp_stretches){0};
}

static void end_trial(rp_trial *trial, const rp_participant *participant, const rp_map *map)
{
    bool out = rate_of(&trial->without) > GAIN * rate_of(&trial->with);
    if (out != trial->out)
        rp_log(RP_LOG_DEVICE, "%s: %s %s: all devices do %.0f MB/s with it, %.0f without", map->name,
               participant->device->info.index, out ? "is held off" : "takes part", 1e-6 * rate_of(&trial->with),
               1e-6 * rate_of(&trial->without));
    if (out != trial->out)
        trial->doublings = 0;
    else if (trial->doublings < MOST_DOUBLINGS)
        trial->doublings++;
    trial->out = out;
    trial->trying = false;
    trial->rest = 0;
}

/* What is usual counts for less the older it is. */
static void note_stretch(rp_trial *trial, double bytes, double seconds)
{
    rp_stretches *all = holds_off(trial) ? &trial->without : &trial->with;
    double kept = !trial->trying && all->count >= STRETCHES ? 1 - 1.0 / STRETCHES : 1;
    all->bytes = kept * all->bytes + bytes;
    all->seconds = kept * all->seconds + seconds;
    all->count = kept * all->count + 1;
    trial->rest += seconds;
}

/* ---- In a run --------------------------------------------------------------------------------------------------- */

static const rp_participant *fastest_of(const rp_run *run, double *all)
{
    const rp_participant *fastest = &run->participants[0];
    *all = 0;
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *participant = &run->participants[i];
        if (participant->rate <= 0)
            return NULL;
        *all += participant->rate;
        if (participant->rate > fastest->rate)
            fastest = participant;
    }
    return fastest;
}

void rp_trial_begin(rp_run *run)
{
    double all;
    run->stretch = (rp_stretch){.on = false};
    if (run->n_participants < 2 || run->no_trials)
        return;
    const rp_participant *fastest = fastest_of(run, &all);
    pthread_mutex_lock(&run->pool->lock);
    /* One is tried at a time, and while there are other runs, which would blur what is compared, none. */
    bool alone = run->pool->active <= 1, busy = !alone;
    for (size_t i = 0; i < run->n_participants; i++) {
        const rp_participant *participant = &run->participants[i];
        busy |= participant != fastest && trial_of(participant->device, &run->map)->trying;
    }
    for (size_t i = 0; i < run->n_participants; i++) {
        rp_participant *participant = &run->participants[i];
        rp_trial *trial = trial_of(participant->device, &run->map);
        participant->held = participant->compared = false;
        if (fastest == NULL || participant == fastest)
            continue;
        if (!busy && is_due(trial, participant->rate / all)) {
            begin_trial(trial);
            busy = true;
        }
        participant->held = alone ? holds_off(trial) : trial->out;
        participant->compared = alone && trial->trying;
    }
    pthread_mutex_unlock(&run->pool->lock);
    run->stretch = (rp_stretch){.on = fastest != NULL, .begin = rp_clock_now()};
}

/* Whether a device that is held off still has something from before. */
static bool one_is_finishing(const rp_run *run)
{
    for (size_t i = 0; i < run->n_participants; i++)
        if (run->participants[i].held && run->participants[i].in_flight > 0)
            return true;
    return false;
}

static void end_stretch(rp_run *run, double seconds)
{
    pthread_mutex_lock(&run->pool->lock);
    bool others = run->pool->active > 1; /* whose rows take their part of the devices */
    for (size_t i = 0; !others && i < run->n_participants; i++) {
        rp_participant *participant = &run->participants[i];
        rp_trial *trial = trial_of(participant->device, &run->map);
        if (participant->held != holds_off(trial))
            continue; /* another run has decided meanwhile; or it is the fastest */
        note_stretch(trial, (double)run->stretch.bytes, seconds);
        if (trial->trying && trial->with.count >= STRETCHES && trial->without.count >= STRETCHES)
            end_trial(trial, participant, &run->map);
    }
    pthread_mutex_unlock(&run->pool->lock);
}

void rp_trial_note(rp_run *run, const rp_task *task)
{
    rp_stretch *stretch = &run->stretch;
    if (!stretch->on)
        return;
    if (task->cold || one_is_finishing(run)) {
        *stretch = (rp_stretch){.on = true, .later = stretch->later, .begin = rp_clock_now(), .spoilt = task->cold};
        return;
    }
    stretch->bytes += rp_share_bytes(run, &task->chunk);
    double seconds = rp_clock_seconds(stretch->begin, rp_clock_now());
    if (seconds < stretch_seconds)
        return;
    end_stretch(run, seconds);
    rp_trial_begin(run);
    stretch->later = true;
}

void rp_trial_end(rp_run *run)
{
    const rp_stretch *stretch = &run->stretch;
    double seconds = rp_clock_seconds(stretch->begin, rp_clock_now());
    if (stretch->on && !stretch->later && !stretch->spoilt && stretch->bytes == rp_map_bytes(&run->map) && seconds > 0)
        end_stretch(run, seconds);
}

void rp_trial_cancel(rp_run *run)
{
    for (size_t i = 0; i < run->n_participants; i++)
        run->participants[i].held = run->participants[i].compared = false;
    run->stretch.on = false;
    run->no_trials = true;
}
