/* Numbers as the command line gives them, kept exact. */
#ifndef ROWPOOL_CLI_NUMBER_H
#define ROWPOOL_CLI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "rowpool.h"

/* Reads the whole text as a bound. [+-]digits and [+-]0xdigits are integers, exact within int64 and uint64; all else
 * that strtod knows is the nearest double. Returns NULL, or what is wrong with the text. */
const char *number_parse(rowpool_number *number, const char *text);

/* Below zero, zero or above zero as a < b, a == b, a > b; exact between kinds. Neither is a NaN. */
int number_compare(const rowpool_number *a, const rowpool_number *b);

/* The number as number_parse would read it back. */
enum { NUMBER_TEXT = 40 };
void number_format(char text[NUMBER_TEXT], const rowpool_number *number);

/* Reads the whole text, decimal digits only. False where it is no such number or beyond uint64. */
bool parse_uint64(uint64_t *value, const char *text);

#endif
