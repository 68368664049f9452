#include "base/lock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- The rules, checked ----------------------------------------------------------------------------------------- */

#ifndef NDEBUG

#define NAME_OF(NAME) #NAME,
static const char *const names[RP_LOCK_RANKS] = {RP_LOCKS(NAME_OF)};

/* The thread's locks: one bit for each rank, since a thread holds no two of a rank. */
static _Thread_local unsigned held;

/* Aborts where the thread holds a lock of rank `first` or later. */
static void refuse_held(rp_lock_rank first, const char *what, const char *name)
{
    for (unsigned rank = first; held >> first != 0 && rank < RP_LOCK_RANKS; rank++)
        if ((held >> rank & 1u) != 0) {
            fprintf(stderr, "rowpool: %s%s while the lock %s is held: see base/lock.h\n", what, name, names[rank]);
            abort();
        }
}

void rp_lock_note_taken(const rp_mutex *mutex)
{
    refuse_held(mutex->rank, "lock ", names[mutex->rank]);
    held |= 1u << mutex->rank;
}

void rp_lock_note_given(const rp_mutex *mutex)
{
    if ((held >> mutex->rank & 1u) == 0) {
        fprintf(stderr, "rowpool: the lock %s is unlocked by a thread that does not hold it\n", names[mutex->rank]);
        abort();
    }
    held &= ~(1u << mutex->rank);
}

void rp_assert_no_lock(const char *what)
{
    refuse_held(RP_LOCK_POOL, what, "");
}

#endif

/* ---- Forks ------------------------------------------------------------------------------------------------------ */

static _Atomic(rp_mutex *) guarded[RP_LOCK_RANKS];
static _Thread_local unsigned own;   /* guarded locks that this thread took itself: one bit for each rank */
static _Thread_local unsigned taken; /* and those that it took for the fork under way */

/* Locks in rank order. A thread that forks while it holds one takes the others, too. */
static void before_fork(void)
{
    taken = 0;
    for (unsigned rank = 0; rank < RP_LOCK_RANKS; rank++) {
        rp_mutex *mutex = atomic_load(&guarded[rank]);
        if (mutex == NULL || (own >> rank & 1u) != 0)
            continue;
        rp_lock(mutex);
        taken |= 1u << rank;
    }
}

static void unlock_ranks(unsigned ranks)
{
    for (unsigned rank = 0; rank < RP_LOCK_RANKS; rank++)
        if ((ranks >> rank & 1u) != 0)
            rp_unlock(atomic_load(&guarded[rank]));
}

static void after_fork_in_parent(void)
{
    unlock_ranks(taken);
}

/* The child's one thread is a copy of the one that forked, and that held every guarded lock. */
static void after_fork_in_child(void)
{
    unlock_ranks(taken | own);
    own = 0;
}

static void register_handlers(void)
{
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0)
        fprintf(stderr, "rowpool: out of memory: a child of fork may hang in rowpool_alloc or rowpool_process_start\n");
}

void rp_lock_against_forks(rp_mutex *mutex)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_handlers);
    atomic_store(&guarded[mutex->rank], mutex);
    rp_lock(mutex);
    own |= 1u << mutex->rank;
}

void rp_unlock_for_forks(rp_mutex *mutex)
{
    own &= ~(1u << mutex->rank);
    rp_unlock(mutex);
}
