/* Numbers as text, kept exact: those that the command line gives, and those that are printed. */
#ifndef ROWPOOL_CLI_NUMBER_H
#define ROWPOOL_CLI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "rowpool.h"

/* Reads the whole text as a bound. [+-]digits and [+-]0xdigits are integers, exact within int64 and uint64; all else
 * that strtod knows is the nearest double, but nan(...) is no number. Returns NULL, or what is wrong with the text. */
const char *number_parse(rowpool_number *number, const char *text);

/* The number as number_parse would read it back. */
enum { NUMBER_TEXT = 40 };
void number_format(char text[NUMBER_TEXT], const rowpool_number *number);

/* Reads the whole text, decimal digits only. False where it is no such number or beyond uint64. */
bool parse_uint64(uint64_t *value, const char *text);

/* Reads the whole text as an element of the dtype: integers as number_parse does, floats as the nearest there is. */
typedef enum {
    PARSED,
    PARSED_NOTHING /* it is no such number */,
    PARSED_BEYOND /* the dtype holds none so large */
} parse_outcome;
parse_outcome parse_element(void *element, rowpool_dtype dtype, const char *text);

/* What is lost where parse_element reads the text as that value of a float dtype. A fraction is rounded as a matter of
 * course: that is no loss. */
typedef enum {
    LOSS_NONE,
    LOSS_ROUNDED /* an integer becomes another one */,
    LOSS_ALL /* a number that is not 0 becomes 0 */
} parse_loss;
parse_loss loss_of(const char *text, double value);

/* The value of a float16, and of an element of any float dtype. */
double half_value(uint16_t bits);
double float_value(const void *element, rowpool_dtype dtype);

/* The value of a float dtype with the fewest digits that read back as it; nan, inf and -inf. */
void format_real(char text[NUMBER_TEXT], double value, rowpool_dtype dtype);

#endif
