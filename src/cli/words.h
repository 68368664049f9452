/* The kind of a table's cell: a number, missing, a word or damaged. */
#ifndef ROWPOOL_CLI_WORDS_H
#define ROWPOOL_CLI_WORDS_H

#include <stdbool.h>

#include "buffer.h"

/* The cell as parse_element reads it: no-break spaces around it removed, ASCII minus, decimal point, True and False
 * as 1 and 0. Returns the cell itself or a text in `scratch`. */
const char *plain_cell(buffer *scratch, const char *cell, char decimal);

/* Whether the plain cell is empty or stands for a missing value: NA, N/A, n/a, #N/A, <NA>, NULL, null, None, none,
 * ?, ., - or \N. */
bool is_missing(const char *plain);

/* A word begins with a letter, is a date or a time of day (2020-01-31, 2020-01, 31.12.2020, 1/31/2020, 12:30,
 * 31-Jan-2020), or has no numeral of any script. Anything else that is not a number, such as $5, 5%, 1_000 or 5kg, is
 * damaged: it may be meant as a number. */
typedef enum { CELL_MISSING, CELL_NUMBER, CELL_WORD, CELL_DAMAGED } cell_kind;
cell_kind kind_of_cell(const char *cell, const char *plain);

#endif
