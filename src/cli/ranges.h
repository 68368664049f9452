/* The ranges that rowpool count is asked for: one, a list of them, or the bins between edges. */
#ifndef ROWPOOL_CLI_RANGES_H
#define ROWPOOL_CLI_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* What the options say, and the ranges made of it. */
typedef struct {
    rowpool_range range; /* --min, --max and --closed; what is not given is the default */
    bool lo_given, hi_given, closed_given;
    const char *ranges, *bins; /* the lists of --ranges and --bins; NULL: not given */
    rowpool_range *items;
    size_t count;
} wanted_ranges;

/* The values below are read or refused with a message; what: what the text is, for the message. */
bool read_bound(rowpool_number *bound, const char *what, const char *text);
bool read_closed(rowpool_closed *closed, const char *text);

/* Makes the items, at least one, once all options are read. An exit status; there are none after a failure. */
int make_ranges(wanted_ranges *wanted);
void free_ranges(wanted_ranges *wanted);

/* Whether the ranges are a list, though it may have but one: the counts have an axis for it then. */
bool ranges_are_listed(const wanted_ranges *wanted);

/* One line for each range; one warning for each that is empty, which is legal and seldom meant. */
void say_ranges(const wanted_ranges *wanted);
void warn_of_empty_ranges(const wanted_ranges *wanted);

#endif
