/* The rules of base/lock.h, checked as in a build with assertions, whatever this build is. */
#undef NDEBUG
#include "base/lock.c"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static rp_mutex pool_lock = RP_MUTEX(RP_LOCK_POOL), queue_lock = RP_MUTEX(RP_LOCK_QUEUE);
static rp_mutex other_queue_lock = RP_MUTEX(RP_LOCK_QUEUE), starting = RP_MUTEX(RP_LOCK_STARTING);

static void in_order(void)
{
    rp_lock(&starting);
    rp_assert_no_lock("a process is forked");
    rp_lock(&pool_lock);
    rp_lock(&queue_lock);
    rp_unlock(&pool_lock);
    rp_unlock(&queue_lock);
    rp_lock(&pool_lock);
    rp_unlock(&pool_lock);
    rp_unlock(&starting);
}

static void against_the_order(void)
{
    rp_lock(&queue_lock);
    rp_lock(&pool_lock);
}

static void two_of_a_rank(void)
{
    rp_lock(&queue_lock);
    rp_lock(&other_queue_lock);
}

static void fork_under_a_lock(void)
{
    rp_lock(&pool_lock);
    rp_assert_no_lock("a process is forked");
}

static void unlock_what_is_free(void)
{
    rp_unlock(&pool_lock);
}

/* Runs it in a child: its exit status, or minus the signal that ended it. */
static int outcome_of(void (*run)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(violations_are_seen)
{
    assert_int_equal(outcome_of(in_order), 0);
    assert_int_equal(outcome_of(against_the_order), -SIGABRT);
    assert_int_equal(outcome_of(two_of_a_rank), -SIGABRT);
    assert_int_equal(outcome_of(fork_under_a_lock), -SIGABRT);
    assert_int_equal(outcome_of(unlock_what_is_free), -SIGABRT);
}

/* Forks, and lets the child take and give back the lock. */
static void fork_once(rp_mutex *mutex)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(10); /* rather than hang */
        rp_lock_against_forks(mutex);
        rp_unlock_for_forks(mutex);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static rp_mutex registry = RP_MUTEX(RP_LOCK_REGISTRY);
static atomic_bool stops;

static void *lock_and_unlock(void *mutex)
{
    while (!atomic_load(&stops)) {
        rp_lock_against_forks(mutex);
        rp_unlock_for_forks(mutex);
    }
    return NULL;
}

/* A child finds the locks free, whichever thread holds them. */
TEST(forks_wait_for_the_locks)
{
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, lock_and_unlock, &registry), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, lock_and_unlock, &starting), 0);
    for (int i = 0; i < 100; i++) {
        fork_once(&registry);
        rp_lock_against_forks(&starting); /* a fork under the lock itself */
        fork_once(&registry);
        fork_once(&starting);
        rp_unlock_for_forks(&starting);
    }
    atomic_store(&stops, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(violations_are_seen),
        cmocka_unit_test(forks_wait_for_the_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
