/* The argument struct of a row function, built from the command line and laid out as in C. */
#ifndef ROWPOOL_CLI_ARGUMENTS_H
#define ROWPOOL_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

enum { MAX_ARGUMENT_BYTES = 1024 };

typedef struct {
    _Alignas(8) unsigned char bytes[MAX_ARGUMENT_BYTES];
    size_t size; /* of the struct with its padding; 0: no member */
    size_t used, alignment;
} argument_struct;

/* Appends the member TYPE:VALUE; false after a message. */
bool add_argument(argument_struct *arguments, const char *text);

#endif
