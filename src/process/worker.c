#include "process/worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/lock.h"
#include "base/thread.h"

/* ---- exit() in a child ------------------------------------------------------------------------------------------ */

static struct {
    bool is_child;
    void (*last)(void); /* NULL: nothing */
} life;

#ifdef __GLIBC__ /* musl has neither on_exit nor what rp_thread_at_end needs */
static void leave_child(int status, void *unused)
{
    (void)unused;
    if (life.last != NULL)
        life.last();
    _exit(status);
}

/* Exit handlers run in reverse order: leave_child runs before all others. */
static void forestall_handlers(void *unused)
{
    (void)unused;
    if (life.is_child)
        on_exit(leave_child, NULL);
}
#else
static void forestall_handlers(void *unused)
{
    (void)unused;
}
#endif

/* Registering an exit handler in a child is not safe: another thread of the parent may have held the lock. So the
 * thread that forks registers a thread destructor; in the child it runs at the start of exit(), and registers
 * leave_child there. */
static void prepare_exit(void)
{
    static _Thread_local bool prepared;
    prepared = prepared || rp_thread_at_end(forestall_handlers);
}

/* ---- The child's first steps: async-signal-safe calls only ------------------------------------------------------ */

void rp_worker_reset_signals(bool ignore_keyboard)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    for (int signal_number = 1; signal_number < NSIG; signal_number++) {
        bool keyboard = signal_number == SIGINT || signal_number == SIGQUIT;
        action.sa_handler = keyboard && ignore_keyboard ? SIG_IGN : SIG_DFL;
        sigaction(signal_number, &action, NULL); /* refused for SIGKILL, SIGSTOP and those of the C library */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t rp_worker_fork(void (*last)(void))
{
    sigset_t all, before;
    rp_assert_no_lock("a process is forked");
    prepare_exit();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        life.is_child = true;
        life.last = last;
    } else {
        pthread_sigmask(SIG_SETMASK, &before, NULL); /* leaves errno alone */
    }
    return pid;
}

/* -1: the name is no number. */
static long descriptor_named(const char *name)
{
    long number = name[0] != '\0' ? 0 : -1;
    for (; number >= 0 && *name != '\0'; name++)
        number = *name >= '0' && *name <= '9' && number <= INT_MAX / 10 ? 10 * number + *name - '0' : -1;
    return number;
}

/* Closes descriptors `first` to `last`. A kernel before 5.9 has no close_range: then those that /proc lists, read with
 * getdents64, since readdir allocates memory. Without /proc they stay open. */
static void close_between(unsigned first, unsigned last)
{
    _Alignas(struct dirent64) char entries[4096];
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (long bytes; folder >= 0 && (bytes = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0;)
        for (long at = 0; at < bytes;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            const long descriptor = descriptor_named(entry->d_name);
            if (descriptor >= (long)first && descriptor <= (long)last && descriptor != folder)
                close((int)descriptor);
            at += entry->d_reclen;
        }
    rp_descriptor_close(folder);
}

/* Closes all descriptors but the standard ones, a and b; a and b may be -1. If a pipe or socket of the application
 * stayed open here, its reader would never see the end. */
static void close_others(int a, int b)
{
    const unsigned kept[] = {(unsigned)a < (unsigned)b ? (unsigned)a : (unsigned)b,
                             (unsigned)a < (unsigned)b ? (unsigned)b : (unsigned)a};
    unsigned next = STDERR_FILENO + 1;
    for (int i = 0; i < 2; i++)
        if (kept[i] >= next && kept[i] <= INT_MAX) {
            close_between(next, kept[i] - 1);
            next = kept[i] + 1;
        }
    close_between(next, ~0u);
}

/* A worker dies with its parent, and has none of its signal handlers. */
static void begin_life(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0); /* the parent died before prctl */
    rp_worker_reset_signals(true);
}

static _Noreturn void live_as_worker(const rp_worker_self *self, rp_worker_run *run)
{
    begin_life(self->parent);
    prctl(PR_SET_NAME, "rowpool-worker");
    close_others(self->socket, self->memory);
    run(self);
    _exit(0);
}

/* ---- Beginning -------------------------------------------------------------------------------------------------- */

/* What a worker gets from its parent. */
typedef struct {
    int socket[2]; /* the parent's end, the worker's */
    int memory;    /* /proc/self/mem; -1: it cannot be opened, and is not required */
} connection;

static rowpool_status fail_to_start(int failure, const char *what, rowpool_error *error)
{
    const char *advice = "";
    if (failure == EAGAIN || failure == ENOMEM)
        advice = " (ask for fewer workers, or raise the limit on processes or memory)";
    if (failure == EMFILE || failure == ENFILE)
        advice = " (ask for fewer workers, or raise the limit on open files)";
    return rp_fail(error, ROWPOOL_ESYSTEM, "cannot start a worker process: %s: %s%s", what, strerror(failure), advice);
}

static rowpool_status connect_worker(connection *ends, rowpool_error *error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends->socket) != 0 || !rp_descriptors_keep(ends->socket))
        return fail_to_start(errno, "socketpair", error);
    ends->memory = rp_descriptor_keep(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    return ROWPOOL_OK;
}

/* What the parent does once the worker was started, or could not be (failure: an errno). */
static rowpool_status take_worker(rp_worker *worker, const connection *ends, pid_t pid, int failure, const char *what,
                                  rowpool_error *error)
{
    *worker = (rp_worker){.pidfd = -1, .socket = -1};
    rp_descriptor_close(ends->memory);
    close(ends->socket[1]);
    if (failure != 0) {
        close(ends->socket[0]);
        return fail_to_start(failure, what, error);
    }
    rp_worker_adopt(worker, pid);
    worker->socket = ends->socket[0];
    return ROWPOOL_OK;
}

rowpool_status rp_worker_start(rp_worker *worker, rp_worker_run *run, void *context, rowpool_error *error)
{
    connection ends;
    RP_TRY(connect_worker(&ends, error));
    const rp_worker_self self = {
        .parent = getpid(), .socket = ends.socket[1], .memory = ends.memory, .context = context};
    pid_t pid = rp_worker_fork(NULL);
    if (pid == 0)
        live_as_worker(&self, run);
    return take_worker(worker, &ends, pid, pid < 0 ? errno : 0, "fork", error);
}

/* The descriptors of a program, after the standard streams, of which only standard error is the application's. */
enum { SOCKET = 3, MEMORY, SHARED, DESCRIPTORS };

static int spawn(pid_t *pid, const char *path, const char *const words[RP_WORKER_WORDS], const int given[DESCRIPTORS])
{
    char parent[24];
    const char *arguments[] = {"rowpool-helper", parent, words[0], words[1], NULL};
    union {
        const char **in;
        char *const *out;
    } argv = {.in = arguments}; /* posix_spawn does not write there, whatever its type says */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0) /* closed: the program's next file would get its number */
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    for (int i = SOCKET; i < DESCRIPTORS; i++)
        if (given[i] >= 0)
            posix_spawn_file_actions_adddup2(&actions, given[i], i);
        else
            posix_spawn_file_actions_addclose(&actions, i); /* the application may have one there */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    int failure = posix_spawn(pid, path, &actions, &attributes, argv.out, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* A duplicate beyond the program's own numbers: else dup2 could overwrite one that is still needed. */
static int out_of_the_way(int descriptor)
{
    return descriptor < 0 ? -1 : fcntl(descriptor, F_DUPFD_CLOEXEC, DESCRIPTORS);
}

rowpool_status rp_worker_spawn(rp_worker *worker, const char *path, const char *const words[RP_WORKER_WORDS],
                               int shared, rowpool_error *error)
{
    connection ends;
    RP_TRY(connect_worker(&ends, error));
    const int given[DESCRIPTORS] = {[SOCKET] = out_of_the_way(ends.socket[1]),
                                    [MEMORY] = out_of_the_way(ends.memory),
                                    [SHARED] = out_of_the_way(shared)};
    pid_t pid = 0;
    int failure = given[SOCKET] < 0 || given[SHARED] < 0 ? EMFILE : spawn(&pid, path, words, given);
    for (int i = SOCKET; i < DESCRIPTORS; i++)
        rp_descriptor_close(given[i]);
    return take_worker(worker, &ends, pid, failure, path, error);
}

bool rp_worker_become(rp_worker_self *self, int *shared, int argc, char **argv)
{
    char *end = NULL;
    long parent = argc == 2 + RP_WORKER_WORDS ? strtol(argv[1], &end, 10) : 0;
    if (parent <= 0 || *end != '\0' || fcntl(SOCKET, F_GETFD) < 0 || fcntl(SHARED, F_GETFD) < 0)
        return false;
    begin_life((pid_t)parent);
    close_between(DESCRIPTORS, ~0u);
    for (int i = SOCKET; i < DESCRIPTORS; i++)
        fcntl(i, F_SETFD, FD_CLOEXEC);
    *self = (rp_worker_self){.parent = (pid_t)parent, .socket = SOCKET};
    self->memory = fcntl(MEMORY, F_GETFD) < 0 ? -1 : MEMORY;
    *shared = SHARED;
    return true;
}

void rp_worker_adopt(rp_worker *worker, pid_t pid)
{
    /* pidfd_open sets close-on-exec. */
    int pidfd = rp_descriptor_keep((int)syscall(SYS_pidfd_open, pid, 0));
    *worker = (rp_worker){.pid = pid, .pidfd = pidfd, .socket = -1};
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

/* Room for descriptors beside a message. */
typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * RP_WORKER_DESCRIPTORS)];
} descriptor_room;

int rp_worker_send(const rp_worker *worker, const void *message, size_t bytes, const int *descriptors, size_t n)
{
    union {
        const void *in;
        void *out;
    } base = {.in = message}; /* sendmsg does not write there, whatever its type says */
    struct iovec part = {.iov_base = base.out, .iov_len = bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    descriptor_room room;
    memset(&room, 0, sizeof room);
    if (n > 0) {
        header.msg_control = &room;
        header.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *control = CMSG_FIRSTHDR(&header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(control), descriptors, sizeof(int) * n);
    }
    while (sendmsg(worker->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

ssize_t rp_worker_receive(const rp_worker *worker, void *message, size_t capacity)
{
    for (;;) {
        ssize_t bytes = recv(worker->socket, message, capacity, MSG_DONTWAIT);
        if (bytes >= 0)
            return bytes;
        /* A worker that died with unread messages leaves one ECONNRESET ahead of the answers that it sent. */
        if (errno != EINTR && errno != ECONNRESET)
            return errno == EAGAIN ? -1 : 0;
    }
}

size_t rp_worker_next(const rp_worker_self *self, void *message, size_t capacity,
                      int descriptors[RP_WORKER_DESCRIPTORS])
{
    struct iovec part = {.iov_base = message, .iov_len = capacity};
    descriptor_room room;
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room.bytes};
    for (size_t i = 0; i < RP_WORKER_DESCRIPTORS; i++)
        descriptors[i] = -1;
    ssize_t bytes;
    do
        bytes = recvmsg(self->socket, &header, MSG_CMSG_CLOEXEC);
    while (bytes < 0 && errno == EINTR);
    if (bytes <= 0)
        return 0;
    struct cmsghdr *control = CMSG_FIRSTHDR(&header);
    if (control != NULL && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
        memcpy(descriptors, CMSG_DATA(control), control->cmsg_len - CMSG_LEN(0));
    return (size_t)bytes;
}

bool rp_worker_answer(const rp_worker_self *self, const void *message, size_t bytes)
{
    while (send(self->socket, message, bytes, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return false;
    return true;
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

void rp_worker_dismiss(const rp_worker *worker)
{
    /* close is not enough: a process that the application forked may hold this end open, and the worker would wait
     * on. */
    shutdown(worker->socket, SHUT_RDWR);
}

void rp_worker_signal(const rp_worker *worker, int number)
{
    if (worker->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, worker->pidfd, number, NULL, 0);
    else
        kill(worker->pid, number);
}

void rp_worker_kill(const rp_worker *worker)
{
    rp_worker_signal(worker, SIGKILL);
}

static int wait_once(idtype_t type, int id, siginfo_t *info, int options)
{
    int result;
    do {
        memset(info, 0, sizeof *info);
        result = waitid(type, (id_t)id, info, options);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

/* Waits for this worker and no other process; 0 or the errno. Uses its pidfd, if there is one: if the application has
 * already waited for it, its pid may be another process's. */
static int wait_for(const rp_worker *worker, siginfo_t *info, int options)
{
    enum { BY_PIDFD = 3 }; /* P_PIDFD: unknown to older headers, and to kernels before 5.4 */
    int failure = worker->pidfd >= 0 ? wait_once((idtype_t)BY_PIDFD, worker->pidfd, info, options) : EINVAL;
    return failure == EINVAL ? wait_once(P_PID, worker->pid, info, options) : failure;
}

bool rp_worker_is_stopped(const rp_worker *worker)
{
    siginfo_t info;
    return wait_for(worker, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

bool rp_worker_reap(const rp_worker *worker, bool wait, rp_worker_end *end)
{
    siginfo_t info;
    *end = (rp_worker_end){0};
    if (wait_for(worker, &info, wait ? WEXITED : WEXITED | WNOHANG) != 0)
        return true; /* ECHILD: it has ended, and was reaped elsewhere */
    if (info.si_pid == 0)
        return false;
    *end = (rp_worker_end){.known = true, .signalled = info.si_code != CLD_EXITED, .value = info.si_status};
    return true;
}

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGABRT, "SIGABRT"}, {SIGALRM, "SIGALRM"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGHUP, "SIGHUP"},
        {SIGILL, "SIGILL"},   {SIGINT, "SIGINT"},   {SIGKILL, "SIGKILL"}, {SIGPIPE, "SIGPIPE"}, {SIGQUIT, "SIGQUIT"},
        {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"},   {SIGTERM, "SIGTERM"}, {SIGTRAP, "SIGTRAP"}, {SIGUSR1, "SIGUSR1"},
        {SIGUSR2, "SIGUSR2"}, {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return "no common signal";
}

void rp_worker_end_text(const rp_worker_end *end, char text[RP_WORKER_END_TEXT])
{
    if (!end->known)
        snprintf(text, RP_WORKER_END_TEXT,
                 "ended (how is not known: the application ignores SIGCHLD, or waits for any child)");
    else if (end->signalled)
        snprintf(text, RP_WORKER_END_TEXT, "was killed by signal %d (%s)", end->value, signal_name(end->value));
    else
        snprintf(text, RP_WORKER_END_TEXT, "ended with exit status %d", end->value);
}

void rp_worker_release(rp_worker *worker)
{
    rp_descriptor_close(worker->pidfd);
    rp_descriptor_close(worker->socket);
    *worker = (rp_worker){.pidfd = -1, .socket = -1};
}
