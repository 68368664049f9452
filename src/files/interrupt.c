#include "interrupt.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const int INTERRUPTIONS[] = {SIGINT, SIGTERM, SIGHUP};
enum { INTERRUPTION_COUNT = sizeof INTERRUPTIONS / sizeof *INTERRUPTIONS };

/* The file that the handler removes, and the process that may remove it: a forked worker inherits the handler, but must
 * leave the file alone. */
static char interrupted_file[PATH_MAX];
static volatile sig_atomic_t file_exists;
static volatile pid_t owner;

static bool broken_pipes_were_ignored;

static volatile sig_atomic_t noting;
static volatile sig_atomic_t noted; /* the signal, or 0 */

/* Dies as if there were no handler. Process 1 of a container survives its own signal, so it exits with the status that a
 * shell would report. */
static _Noreturn void die_by(int signal_number)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal_number);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + signal_number);
}

void remove_interrupted_file(void)
{
    if (file_exists && getpid() == owner)
        (void)unlink(interrupted_file);
}

static void on_interruption(int signal_number)
{
    const bool ours = getpid() == owner;
    if (ours && noting && noted == 0 && signal_number == SIGINT) {
        noted = signal_number;
        return;
    }
    remove_interrupted_file();
    die_by(signal_number);
}

void watch_interruptions(void)
{
    owner = getpid();
    for (size_t i = 0; i < INTERRUPTION_COUNT; i++) {
        struct sigaction now;
        if (sigaction(INTERRUPTIONS[i], NULL, &now) != 0 || now.sa_handler == SIG_IGN)
            continue;
        struct sigaction action = {.sa_handler = on_interruption, .sa_flags = SA_RESTART};
        (void)sigemptyset(&action.sa_mask);
        (void)sigaction(INTERRUPTIONS[i], &action, NULL);
    }
}

void block_interruptions(sigset_t *before)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < INTERRUPTION_COUNT; i++)
        (void)sigaddset(&set, INTERRUPTIONS[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, before);
}

void restore_interruptions(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

void set_interrupted_file(const char *path)
{
    file_exists = 0;
    if (path == NULL || strlen(path) >= sizeof interrupted_file)
        return;
    (void)strcpy(interrupted_file, path);
    file_exists = 1;
}

void begin_noting_interruptions(void)
{
    noting = 1;
}

void end_noting_interruptions(void)
{
    noting = 0;
}

bool interruption_noted(void)
{
    return noted != 0;
}

void die_if_interrupted(void)
{
    if (noted != 0)
        die_by(noted);
}

void ignore_broken_pipes(void)
{
    broken_pipes_were_ignored = signal(SIGPIPE, SIG_IGN) == SIG_IGN;
}

void die_of_broken_pipe(void)
{
    if (broken_pipes_were_ignored)
        return;
    remove_interrupted_file();
    die_by(SIGPIPE);
}
