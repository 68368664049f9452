/* SIGINT, SIGTERM and SIGHUP remove the incomplete output file and end the program by that signal. While a job runs,
 * the first SIGINT only asks it to stop. */
#ifndef ROWPOOL_FILES_INTERRUPT_H
#define ROWPOOL_FILES_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* Installs the handlers; ignored signals (nohup) stay ignored. */
void watch_interruptions(void);

/* The file to remove; NULL: none. */
void set_interrupted_file(const char *path);

/* Between these two calls no handler runs. */
void block_interruptions(sigset_t *before);
void restore_interruptions(const sigset_t *before);

/* Between begin and end the first SIGINT is only noted. */
void begin_noting_interruptions(void);
void end_noting_interruptions(void);
bool interruption_noted(void);

/* Ends the program by the noted signal, if any. */
void die_if_interrupted(void);

/* Removes the incomplete file; not in a forked child. Async-signal-safe. */
void remove_interrupted_file(void);

/* Turns SIGPIPE into write errors. */
void ignore_broken_pipes(void);

/* Ends the program by SIGPIPE; returns if it was already ignored when the program started. */
void die_of_broken_pipe(void);

#endif
