/* Ctrl-C and its like: SIGINT, SIGTERM and SIGHUP end the program by that signal, and take the file along that is not
 * complete. While a job runs, the first Ctrl-C only asks for its end; a batch system or timeout that sends SIGTERM means it. */
#ifndef ROWPOOL_FILES_INTERRUPT_H
#define ROWPOOL_FILES_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* From here on; what is ignored (nohup) stays so. */
void watch_interruptions(void);

/* The file that goes; NULL: none any more. */
void set_interrupted_file(const char *path);

/* There is none between these two. */
void block_interruptions(sigset_t *before);
void restore_interruptions(const sigset_t *before);

/* Between the two calls the first SIGINT is but noted. */
void begin_noting_interruptions(void);
void end_noting_interruptions(void);
bool interruption_noted(void);

/* Ends the program by the signal that was noted, if there was one. */
void die_if_interrupted(void);

/* Takes away the file that is not complete. A signal handler may call it; nothing happens in a forked child. */
void remove_interrupted_file(void);

/* From here on a pipe that nobody reads is an error for who writes to it, not a death: it may be any pipe. */
void ignore_broken_pipes(void);

/* Ends the program by SIGPIPE, as where it had not been ignored. Returns where who started the program ignores it. */
void die_of_broken_pipe(void);

#endif
