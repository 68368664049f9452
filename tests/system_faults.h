/* Faults in rowpool's own calls to the C library and the system. The linker redirects these calls here (--wrap), for
 * the objects that it links only: a driver's memory and descriptors are not affected. */
#ifndef ROWPOOL_TESTS_SYSTEM_FAULTS_H
#define ROWPOOL_TESTS_SYSTEM_FAULTS_H

#include <stdbool.h>

/* The calls that can fail: X(name). */
#define TEST_SYSTEM_CALLS(X) \
    X(malloc)                \
    X(calloc)                \
    X(realloc)               \
    X(aligned_alloc)         \
    X(strdup)                \
    X(getline)               \
    X(mmap)                  \
    X(memfd_create)          \
    X(ftruncate)             \
    X(open)                  \
    X(fopen)                 \
    X(fcntl)                 \
    X(pipe2)                 \
    X(socketpair)            \
    X(sendmsg)               \
    X(eventfd)               \
    X(epoll_create1)         \
    X(epoll_ctl)             \
    X(timerfd_create)        \
    X(fork)                  \
    X(posix_spawn)           \
    X(pidfd_open)            \
    X(pthread_create)        \
    X(process_vm_readv)      \
    X(sched_cpualloc)

typedef enum {
#define TEST_SYSTEM_CALL_ENUM(name) TEST_SYSTEM_##name,
    TEST_SYSTEM_CALLS(TEST_SYSTEM_CALL_ENUM)
#undef TEST_SYSTEM_CALL_ENUM
        TEST_SYSTEM_TOTAL
} test_system_call;

/* From now on the n-th call fails, counted from 1; with `sticky` all later calls fail too. in_workers: counts the calls
 * of all forked children together instead of those of this process. */
void test_system_arm(long n, bool sticky, bool in_workers);

/* Stops the faults; returns how many calls failed. *first: the first that failed, if any. */
long test_system_disarm(test_system_call *first);

/* How many calls were counted since the faults were armed. */
long test_system_calls(void);

const char *test_system_name(test_system_call call);

/* How often a call was counted, in this process or a child, since the program began. */
long test_system_seen(test_system_call call);

/* Blocks of memory and bytes of mappings that rowpool and the test hold in this process now. */
typedef struct {
    long blocks, mapped;
} test_system_held;
test_system_held test_system_holds(void);

#endif
