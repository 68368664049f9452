#include "backend/opencl/opencl.h"

#include <dlfcn.h>
#include <signal.h>
#include <string.h>

#include "base/thread.h"

/* What LLVM takes over at its first use. */
static const int guarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
                              SIGUSR1, SIGSEGV, SIGUSR2, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS};
_Static_assert(sizeof guarded / sizeof *guarded == RP_CL_GUARDED_SIGNALS, "a saved action for each signal");

/* Whether a handler's code lies in a driver or in a compiler that drivers use, by the name of its library. */
static bool lies_in_driver(const struct sigaction *action)
{
    static const char *const drivers[] = {"LLVM", "pocl",   "clang",  "OpenCL", "opencl", "oclgrind",
                                          "igc",  "igdrcl", "amdocl", "nvidia", "gallium"};
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
    const char *slash = strrchr(info.dli_fname, '/');
    const char *name = slash != NULL ? slash + 1 : info.dli_fname;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
        if (strncmp(name, "lib", 3) == 0 && strstr(name, drivers[i]) != NULL)
            return true;
    return false;
}

void rp_cl_guard_enter(rp_cl_guard *guard)
{
    rp_signals_block(&guard->mask);
    for (size_t i = 0; i < RP_CL_GUARDED_SIGNALS; i++)
        sigaction(guarded[i], NULL, &guard->before[i]);
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
    rp_cl_guard_restore(guard);
    rp_signals_unblock(&guard->mask);
}
