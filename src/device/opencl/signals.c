/* Signal handlers and masks around calls into drivers. */
#include "device/opencl/opencl.h"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <string.h>

#include "base/thread.h"

/* The signals whose handlers LLVM replaces at its first use. */
static const int guarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
                              SIGUSR1, SIGSEGV, SIGUSR2, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS};
_Static_assert(sizeof guarded / sizeof *guarded == RP_CL_GUARDED_SIGNALS, "a saved action for each signal");

/* ---- Whose a handler is ------------------------------------------------------------------------------------------ */

enum { MAX_LIBRARIES = 2048 };

/* Libraries, by load address. Those beyond MAX_LIBRARIES are unknown. */
typedef struct {
    size_t count;
    uintptr_t begin[MAX_LIBRARIES];
} libraries;

static struct {
    rp_mutex lock;
    unsigned guards;          /* entered and not yet left */
    libraries before;         /* loaded when the first of these guards was entered */
    unsigned long long loads; /* the C library's count of loads at that time */
    libraries drivers;        /* loaded during a guard, by any thread */
} tracked = {.lock = RP_MUTEX(RP_LOCK_CL_SIGNALS)};

static bool lists(const libraries *list, uintptr_t begin)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->begin[i] == begin)
            return true;
    return false;
}

static void list_library(libraries *list, uintptr_t begin)
{
    if (list->count < MAX_LIBRARIES)
        list->begin[list->count++] = begin;
}

static int note_before(struct dl_phdr_info *library, size_t size, void *unused)
{
    (void)size, (void)unused;
    tracked.loads = library->dlpi_adds;
    list_library(&tracked.before, library->dlpi_addr);
    return tracked.before.count == MAX_LIBRARIES;
}

static int note_driver(struct dl_phdr_info *library, size_t size, void *unused)
{
    (void)size, (void)unused;
    if (library->dlpi_adds == tracked.loads || tracked.before.count == MAX_LIBRARIES)
        return 1;
    if (!lists(&tracked.before, library->dlpi_addr) && !lists(&tracked.drivers, library->dlpi_addr))
        list_library(&tracked.drivers, library->dlpi_addr);
    return 0;
}

/* Whether a library is a driver or a compiler by its name: an application may have loaded it before rowpool did. */
static bool has_name_of_driver(const char *path)
{
    static const char *const drivers[] = {"LLVM", "pocl",   "clang",  "OpenCL", "opencl",  "oclgrind",
                                          "igc",  "igdrcl", "amdocl", "nvidia", "gallium", "intelocl"};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strncmp(name, "lib", 3) == 0 && strstr(name, drivers[i]) != NULL)
            return true;
    return false;
}

/* Whether a handler's code lies in a library of OpenCL. */
static bool lies_in_driver(const struct sigaction *action)
{
    union {
        void (*handler)(int);
        void (*action)(int, siginfo_t *, void *);
        void *address;
    } code;
    Dl_info info;
    if (action->sa_flags & SA_SIGINFO)
        code.action = action->sa_sigaction;
    else
        code.handler = action->sa_handler;
    if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN || dladdr(code.address, &info) == 0)
        return false;
    rp_lock(&tracked.lock);
    bool came = lists(&tracked.drivers, (uintptr_t)info.dli_fbase);
    rp_unlock(&tracked.lock);
    return came || has_name_of_driver(info.dli_fname);
}

/* ---- The guard --------------------------------------------------------------------------------------------------- */

void rp_cl_guard_enter(rp_cl_guard *guard)
{
    rp_signals_block(&guard->mask);
    for (size_t i = 0; i < RP_CL_GUARDED_SIGNALS; i++)
        sigaction(guarded[i], NULL, &guard->before[i]);
    rp_lock(&tracked.lock);
    if (tracked.guards++ == 0) {
        tracked.before.count = 0;
        dl_iterate_phdr(note_before, NULL);
    }
    rp_unlock(&tracked.lock);
}

void rp_cl_guard_restore(const rp_cl_guard *guard)
{
    for (size_t i = 0; i < RP_CL_GUARDED_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(guarded[i], NULL, &now) == 0 && lies_in_driver(&now) && !lies_in_driver(&guard->before[i]))
            sigaction(guarded[i], &guard->before[i], NULL);
    }
}

void rp_cl_guard_leave(const rp_cl_guard *guard)
{
    rp_lock(&tracked.lock);
    dl_iterate_phdr(note_driver, NULL);
    tracked.guards--;
    rp_unlock(&tracked.lock);
    rp_cl_guard_restore(guard);
    rp_signals_unblock(&guard->mask);
}

/* ---- In a thread of its own -------------------------------------------------------------------------------------- */

typedef struct {
    void (*run)(void *argument);
    void *argument;
} driver_call;

/* LLVM sets an alternate signal stack in the first thread that it runs in. The thread's own is put back: a sanitizer
 * unmaps it when the thread ends. */
static void *run_guarded(void *argument)
{
    const driver_call *call = argument;
    rp_cl_guard guard;
    stack_t stack;
    sigaltstack(NULL, &stack);
    rp_cl_build_adopt();
    rp_cl_guard_enter(&guard);
    call->run(call->argument);
    rp_cl_guard_leave(&guard);
    sigaltstack(&stack, NULL);
    return NULL;
}

/* The calling thread is not cancelled while the other uses its stack. Where no thread can be started it makes the call
 * itself. */
void rp_cl_apart(void (*run)(void *argument), void *argument)
{
    driver_call call = {run, argument};
    pthread_t thread;
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (rp_thread_start(&thread, "rowpool-driver", run_guarded, &call, NULL) == ROWPOOL_OK)
        pthread_join(thread, NULL);
    else
        run_guarded(&call);
    pthread_setcancelstate(before, NULL);
}
