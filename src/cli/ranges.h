/* The ranges of a command: one, a list, or the bins between edges. */
#ifndef ROWPOOL_CLI_RANGES_H
#define ROWPOOL_CLI_RANGES_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "number.h"
#include "rowpool.h"

/* For messages. */
typedef struct {
    const char *command;
    const char *doing; /* before a range: "counting" */
    const char *empty; /* what an empty range means: "every count is 0" */
} range_words;

/* The options, and the ranges made of them. */
typedef struct {
    const range_words *words;
    unsigned given;            /* a bit for each option below */
    rowpool_range range;       /* --min, --max and --closed, or the defaults */
    const char *ranges, *bins; /* the lists of --ranges and --bins; NULL: not given */
    rowpool_range *items;
    size_t count;
} wanted_ranges;

/* The options in getopt_long's table, and in every help text. */
/* clang-format off */
#define RANGE_OPTIONS                         \
    {"min", required_argument, NULL, 'm'},    \
    {"max", required_argument, NULL, 'M'},    \
    {"closed", required_argument, NULL, 'c'}, \
    {"ranges", required_argument, NULL, 'r'}, \
    {"bins", required_argument, NULL, 'b'}
/* clang-format on */
#define RANGE_HELP                                                                                                 \
    "  --min X         the lower end of the range (default 4): an integer, a double or -inf; integers are exact\n" \
    "  --max X         the upper end of the range (default 8)\n"                                                   \
    "  --closed WHICH  which ends belong to the range: both (default), left, right or neither\n"                   \
    "  --ranges LIST   several ranges LO:HI in one pass, separated by commas: 0:4,4:8,8:12\n"                      \
    "  --bins LIST     a histogram: the edges of its bins, separated by commas: 0,4,8,12; an edge belongs to the " \
    "bin\n"                                                                                                        \
    "                  that it begins, the last edge to the last bin\n"

/* Without any option: 4 <= x <= 8. */
wanted_ranges default_range(const range_words *words);

/* Takes one of the options above; false if it is another. *read: false after a message about its value. */
bool take_range_option(wanted_ranges *wanted, int option, const char *value, bool *read);

/* The first of the options above that was given; NULL: none. */
const char *given_range_option(const wanted_ranges *wanted);

/* Makes at least one range, after all options are read. EXIT_DONE, or an exit status after a message. */
int make_ranges(wanted_ranges *wanted);
void free_ranges(wanted_ranges *wanted);

/* Whether --ranges or --bins was given; the results then have an axis for the ranges. */
bool ranges_are_listed(const wanted_ranges *wanted);

/* LO:HI, as --ranges reads it. */
enum { RANGE_TEXT = 2 * NUMBER_TEXT };
void format_range(char text[RANGE_TEXT], const wanted_ranges *wanted, size_t i);

/* The word of --closed. */
const char *closed_word(rowpool_closed closed);

/* One line for each range; one warning for each empty range, which is legal but seldom meant. */
void tell_ranges(const wanted_ranges *wanted);
void warn_of_empty_ranges(const wanted_ranges *wanted);

#endif
