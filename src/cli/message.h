/* Messages: one line each on standard error, "PROGRAM: [WHERE: ]what". */
#ifndef ROWPOOL_CLI_MESSAGE_H
#define ROWPOOL_CLI_MESSAGE_H

#include <stdbool.h>

#include "fail.h"

/* Exit statuses. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Replaces control characters: a line break in a file name would forge a second message, an escape sequence would reach
 * the terminal. */
void keep_to_one_line(char *text);

/* The name of the program in messages, by default rowpool. */
void speak_as(const char *program);

/* From now on this process prints no messages but keeps its first error: one of several processes prints for all.
 * say_held() prints the kept error, with the name of this process. */
void hold_messages(void);
bool messages_are_held(void);
void say_held(const char *who);

/* Prints an error. where: a file or stream, or NULL. */
__attribute__((format(printf, 2, 3))) void say(const char *where, const char *format, ...);

/* The same, async-signal-safe and never held. where is not NULL. */
void say_in_handler(const char *where, const char *what);

/* Ends the program with a message. For small allocations only: a lack of memory for rows or results is returned as an
 * error. */
_Noreturn void end_out_of_memory(void);

/* warn prints a warning, tell a line of --verbose. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);

/* Prints an error of the command line that refers to --help; returns EXIT_USAGE. command NULL: the program's own help. */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *format, ...);

#endif
