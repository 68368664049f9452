/* The argument struct of a row function, made of what the command line gives: its members one after the other, laid out
 * as C does. */
#ifndef ROWPOOL_CLI_ARGUMENTS_H
#define ROWPOOL_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

enum { MOST_ARGUMENT_BYTES = 1024 };

typedef struct {
    _Alignas(8) unsigned char bytes[MOST_ARGUMENT_BYTES];
    size_t size; /* of the struct, with what follows its last member; 0: there is no member */
    size_t used, alignment;
} argument_struct;

/* Adds the member that `text` is, TYPE:VALUE; false after a message. */
bool add_argument(argument_struct *arguments, const char *text);

#endif
