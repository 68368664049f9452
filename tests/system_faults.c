#include "system_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "variadic.h"

/* ---- Which call fails ------------------------------------------------------------------------------------------- */

/* Shared with forked children. */
static struct {
    atomic_long calls, fail_from, failed;
    atomic_bool sticky, in_workers;
    atomic_int first;
    atomic_long seen[TEST_SYSTEM_TOTAL];
} * shared;

static atomic_bool in_worker; /* true in a forked child */
static atomic_long blocks, mapped;

void *__real_mmap(void *, size_t, int, int, int, off_t);

void test_system_arm(long n, bool sticky, bool in_workers)
{
    if (shared == NULL)
        shared = __real_mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    atomic_store(&shared->calls, 0);
    atomic_store(&shared->failed, 0);
    atomic_store(&shared->sticky, sticky);
    atomic_store(&shared->in_workers, in_workers);
    atomic_store(&shared->fail_from, n);
}

long test_system_disarm(test_system_call *first)
{
    atomic_store(&shared->fail_from, 0);
    *first = (test_system_call)atomic_load(&shared->first);
    return atomic_load(&shared->failed);
}

long test_system_calls(void)
{
    return atomic_load(&shared->calls);
}

const char *test_system_name(test_system_call call)
{
    static const char *const names[] = {
#define TEST_SYSTEM_CALL_NAME(name) [TEST_SYSTEM_##name] = #name,
        TEST_SYSTEM_CALLS(TEST_SYSTEM_CALL_NAME)
#undef TEST_SYSTEM_CALL_NAME
    };
    return names[call];
}

long test_system_seen(test_system_call call)
{
    return atomic_load(&shared->seen[call]);
}

test_system_held test_system_holds(void)
{
    return (test_system_held){atomic_load(&blocks), atomic_load(&mapped)};
}

static bool fails(test_system_call call, int code)
{
    if (shared == NULL)
        return false;
    long from = atomic_load(&shared->fail_from);
    if (from == 0 || atomic_load(&shared->in_workers) != atomic_load(&in_worker))
        return false;
    atomic_fetch_add(&shared->seen[call], 1);
    long n = atomic_fetch_add(&shared->calls, 1) + 1;
    if (n != from && !(n > from && atomic_load(&shared->sticky)))
        return false;
    if (n == from)
        atomic_store(&shared->first, (int)call);
    atomic_fetch_add(&shared->failed, 1);
    errno = code;
    return true;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* Declares the real function and the one called in its place, as the linker names them. */
#define WRAPPED(type, name, ...)     \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

static void *counted(void *block)
{
    atomic_fetch_add(&blocks, block != NULL);
    return block;
}

WRAPPED(void *, malloc, size_t size)
{
    return fails(TEST_SYSTEM_malloc, ENOMEM) ? NULL : counted(__real_malloc(size));
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
    return fails(TEST_SYSTEM_calloc, ENOMEM) ? NULL : counted(__real_calloc(count, size));
}

WRAPPED(void *, realloc, void *block, size_t size)
{
    if (fails(TEST_SYSTEM_realloc, ENOMEM))
        return NULL;
    void *moved = __real_realloc(block, size);
    return block == NULL ? counted(moved) : moved;
}

WRAPPED(void *, aligned_alloc, size_t alignment, size_t size)
{
    return fails(TEST_SYSTEM_aligned_alloc, ENOMEM) ? NULL : counted(__real_aligned_alloc(alignment, size));
}

WRAPPED(char *, strdup, const char *text)
{
    return fails(TEST_SYSTEM_strdup, ENOMEM) ? NULL : counted(__real_strdup(text));
}

/* The caller must free the line even after a failure. */
static ssize_t counted_line(bool fresh, char *const *line, ssize_t length)
{
    if (fresh)
        counted(*line);
    return length;
}

WRAPPED(ssize_t, getline, char **line, size_t *capacity, FILE *file)
{
    bool fresh = *line == NULL;
    return fails(TEST_SYSTEM_getline, ENOMEM) ? -1 : counted_line(fresh, line, __real_getline(line, capacity, file));
}

/* <stdio.h> turns getline into this when the compiler optimises. */
WRAPPED(ssize_t, __getdelim, char **line, size_t *capacity, int end, FILE *file)
{
    bool fresh = *line == NULL;
    return fails(TEST_SYSTEM_getline, ENOMEM) ? -1
                                              : counted_line(fresh, line, __real___getdelim(line, capacity, end, file));
}

WRAPPED(void, free, void *block)
{
    atomic_fetch_sub(&blocks, block != NULL);
    __real_free(block);
}

/* Rounds up to whole pages, as a mapping does. */
static long pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (long)((bytes + page - 1) / page * page);
}

WRAPPED(void *, mmap, void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    if (fails(TEST_SYSTEM_mmap, ENOMEM))
        return MAP_FAILED;
    void *base = __real_mmap(address, bytes, protection, flags, descriptor, offset);
    if (base != MAP_FAILED)
        atomic_fetch_add(&mapped, pages(bytes));
    return base;
}

WRAPPED(int, munmap, void *base, size_t bytes)
{
    int result = __real_munmap(base, bytes);
    if (result == 0)
        atomic_fetch_sub(&mapped, pages(bytes));
    return result;
}

/* CPU_ALLOC calls this. */
WRAPPED(cpu_set_t *, __sched_cpualloc, size_t cpus)
{
    return fails(TEST_SYSTEM_sched_cpualloc, ENOMEM) ? NULL : __real___sched_cpualloc(cpus);
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------ */

#define FAILS_WITH_MINUS_1(name, code, parameters, ...)                           \
    WRAPPED(int, name, parameters)                                                \
    {                                                                             \
        return fails(TEST_SYSTEM_##name, code) ? -1 : __real_##name(__VA_ARGS__); \
    }
#define WITH(...) __VA_ARGS__

FAILS_WITH_MINUS_1(memfd_create, EMFILE, WITH(const char *name, unsigned flags), name, flags)
FAILS_WITH_MINUS_1(pipe2, EMFILE, WITH(int ends[2], int flags), ends, flags)
FAILS_WITH_MINUS_1(socketpair, EMFILE, WITH(int domain, int type, int protocol, int ends[2]), domain, type, protocol,
                   ends)
FAILS_WITH_MINUS_1(eventfd, EMFILE, WITH(unsigned value, int flags), value, flags)
FAILS_WITH_MINUS_1(epoll_create1, EMFILE, WITH(int flags), flags)
FAILS_WITH_MINUS_1(timerfd_create, EMFILE, WITH(int clock, int flags), clock, flags)

ssize_t __real_sendmsg(int, const struct msghdr *, int);
ssize_t __wrap_sendmsg(int, const struct msghdr *, int);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    return fails(TEST_SYSTEM_sendmsg, ENOBUFS) ? -1 : __real_sendmsg(descriptor, message, flags);
}

/* Truncating a file takes no resource. */
WRAPPED(int, ftruncate, int descriptor, off_t length)
{
    return length > 0 && fails(TEST_SYSTEM_ftruncate, ENOSPC) ? -1 : __real_ftruncate(descriptor, length);
}

/* Removing or changing an entry takes no resource. */
WRAPPED(int, epoll_ctl, int epoll, int what, int descriptor, struct epoll_event *event)
{
    return what == EPOLL_CTL_ADD && fails(TEST_SYSTEM_epoll_ctl, ENOSPC)
               ? -1
               : __real_epoll_ctl(epoll, what, descriptor, event);
}

WRAPPED(FILE *, fopen, const char *path, const char *mode)
{
    return fails(TEST_SYSTEM_fopen, EMFILE) ? NULL : __real_fopen(path, mode);
}

int test_open_failure(const char *path)
{
    (void)path;
    return fails(TEST_SYSTEM_open, EMFILE) ? EMFILE : 0;
}

int __real_fcntl(int descriptor, int what, ...);
int __wrap_fcntl(int descriptor, int what, ...);
int __wrap_fcntl(int descriptor, int what, ...)
{
    va_list arguments;
    va_start(arguments, what);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return fails(TEST_SYSTEM_fcntl, EMFILE) ? -1 : __real_fcntl(descriptor, what, argument);
}

/* ---- Processes and threads -------------------------------------------------------------------------------------- */

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    if (fails(TEST_SYSTEM_fork, EAGAIN))
        return -1;
    pid_t pid = __real_fork();
    if (pid == 0)
        atomic_store(&in_worker, true);
    return pid;
}

WRAPPED(int, posix_spawn, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
        const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    return fails(TEST_SYSTEM_posix_spawn, EAGAIN)
               ? EAGAIN
               : __real_posix_spawn(pid, path, actions, attributes, arguments, environment);
}

/* The only system call that takes a resource and has no function. */
int test_syscall_failure(long number)
{
    return number == SYS_pidfd_open && fails(TEST_SYSTEM_pidfd_open, EMFILE) ? EMFILE : 0;
}

WRAPPED(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    return fails(TEST_SYSTEM_pthread_create, EAGAIN) ? EAGAIN
                                                     : __real_pthread_create(thread, attributes, run, argument);
}

ssize_t __real_process_vm_readv(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long,
                                unsigned long);
ssize_t __wrap_process_vm_readv(pid_t, const struct iovec *, unsigned long, const struct iovec *, unsigned long,
                                unsigned long);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *to, unsigned long n_to, const struct iovec *from,
                                unsigned long n_from, unsigned long flags)
{
    return fails(TEST_SYSTEM_process_vm_readv, EPERM) ? -1
                                                      : __real_process_vm_readv(pid, to, n_to, from, n_from, flags);
}
