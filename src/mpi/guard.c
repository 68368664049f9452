#include "mpi/guard.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef struct {
    pid_t parent;
    const char *path;
} watch;

/* In a session of its own: what launchers send to a rank's group of processes is not for this one. */
static int run(void *argument, int pipe)
{
    const watch *watched = argument;
    sigset_t end;
    int which;
    (void)pipe;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, NULL);
    setsid();
    prctl(PR_SET_NAME, "rowpool-guard");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    while (getppid() == watched->parent) /* somebody else may send the signal, too */
        sigwait(&end, &which);
    unlink(watched->path);
    return 0;
}

rowpool_status rp_mpi_guard(rowpool_process **guard, const char *path, rowpool_error *error)
{
    watch watched = {getpid(), path};
    return rowpool_process_start(guard, run, &watched, NULL, error);
}

void rp_mpi_unguard(rowpool_process *guard)
{
    rowpool_process_close(guard);
}
