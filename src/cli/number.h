/* Numbers to and from text, exactly. */
#ifndef ROWPOOL_CLI_NUMBER_H
#define ROWPOOL_CLI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "rowpool.h"

/* Reads the whole text as a bound. [+-]digits and [+-]0xdigits are integers, exact within int64 and uint64; anything
 * else that strtod reads is the nearest double, except nan(...). Returns NULL, or what is wrong with the text. */
const char *number_parse(rowpool_number *number, const char *text);

/* The number as number_parse would read it back. */
enum { NUMBER_TEXT = 40 };
void number_format(char text[NUMBER_TEXT], const rowpool_number *number);

/* Reads the whole text, decimal digits only; false if it is anything else or beyond uint64. */
bool parse_uint64(uint64_t *value, const char *text);

/* Reads the whole text as an element of the dtype: integers as number_parse does, floats rounded to nearest. */
typedef enum {
    PARSED,
    PARSED_NOTHING /* not a number of this kind */,
    PARSED_BEYOND /* too large for the dtype */
} parse_outcome;
parse_outcome parse_element(void *element, rowpool_dtype dtype, const char *text);

/* What parse_element lost when it read the text as this value of a float dtype. Rounding a fraction is not a loss. */
typedef enum {
    LOSS_NONE,
    LOSS_ROUNDED /* an integer became another one */,
    LOSS_ALL /* a nonzero number became 0 */
} parse_loss;
parse_loss loss_of(const char *text, double value);

/* The value of a float16, and of an element of any float dtype. */
double half_value(uint16_t bits);
double float_value(const void *element, rowpool_dtype dtype);

/* The shortest text that reads back as this value of a float dtype; nan, inf and -inf. */
void format_real(char text[NUMBER_TEXT], double value, rowpool_dtype dtype);

#endif
