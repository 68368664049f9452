#include "cut.h"

#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "interrupt.h"
#include "message.h"

static const input *watched;
static const char *watched_name;
static pid_t owner;

static bool is_within(const npy_array *array, const void *address)
{
    const char *begin = array->mapping;
    return begin != NULL && (const char *)address >= begin && (const char *)address < begin + array->mapped_bytes;
}

/* Async-signal-safe. A bus error of another kind is raised again, and ends the process. */
static void on_bus_error(int signal_number, siginfo_t *what, void *context)
{
    (void)context;
    if (watched == NULL || getpid() != owner || what->si_code != BUS_ADRERR) {
        (void)signal(signal_number, SIG_DFL);
        return;
    }
    say_in_handler(is_within(&watched->offset_file, what->si_addr) ? watched->offset_path : watched_name,
                   "the file was cut while it was read, or its disk fails (bus error)");
    remove_interrupted_file();
    _exit(EXIT_FAILED);
}

void watch_for_cuts(const input *in, const char *name)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    watched = in;
    watched_name = name;
    owner = getpid();
    (void)sigaction(SIGBUS, &action, NULL);
}
