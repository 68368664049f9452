/* What a program says beside its results: always one line on standard error, "PROGRAM: [WHERE: ]what". */
#ifndef ROWPOOL_CLI_MESSAGE_H
#define ROWPOOL_CLI_MESSAGE_H

#include <stdbool.h>

#include "fail.h"

/* Exit statuses. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* File names and headers may hold anything: a line break would forge a second message, an escape would reach the
 * terminal. */
void keep_to_one_line(char *text);

/* The name of the program, rowpool where nothing else is said. */
void speak_as(const char *program);

/* From here on nothing is said: this process is one of several, of which another one speaks. The first thing that is
 * wrong is kept, and say_held() says it after all, and who said it. */
void hold_messages(void);
bool messages_are_held(void);
void say_held(const char *who);

/* Says what is wrong with `where` (a file, a stream; NULL: nothing in particular). */
__attribute__((format(printf, 2, 3))) void say(const char *where, const char *format, ...);

/* The same for a signal handler, which may call it: at once, whichever process speaks. where is not NULL. */
void say_in_handler(const char *where, const char *what);

/* Ends the program where there is no memory for the little that it keeps itself; the rows are in memory of the library. */
_Noreturn void end_out_of_memory(void);

/* Says what is legal and seldom meant; and what the user wanted to know. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);

/* Says what is wrong with the command line and where to read on; returns EXIT_USAGE. command NULL: the program itself.
 */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *format, ...);

#endif
