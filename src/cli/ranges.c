#include "ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/range.h"
#include "find_word.h"
#include "message.h"
#include "number.h"

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

enum { MIN, MAX, CLOSED, LIST, BINS, OPTION_COUNT };
static const char *const OPTION_NAMES[OPTION_COUNT] = {"--min", "--max", "--closed", "--ranges", "--bins"};

static const char *const CLOSED_WORDS[] = {
    [ROWPOOL_CLOSED_BOTH] = "both",
    [ROWPOOL_CLOSED_LEFT] = "left",
    [ROWPOOL_CLOSED_RIGHT] = "right",
    [ROWPOOL_CLOSED_NEITHER] = "neither",
};

static bool read_bound(rowpool_number *bound, const wanted_ranges *wanted, const char *what, const char *text)
{
    const char *problem = number_parse(bound, text);
    if (problem != NULL)
        (void)usage_error(wanted->words->command, "%s '%s' %s", what, text, problem);
    return problem == NULL;
}

static bool read_closed(wanted_ranges *wanted, const char *text)
{
    const int found = find_word("both left right neither", text, strlen(text));
    wanted->range.closed = (rowpool_closed)found;
    if (found < 0)
        (void)usage_error(wanted->words->command, "--closed '%s' is not one of both, left, right, neither", text);
    return found >= 0;
}

wanted_ranges default_range(const range_words *words)
{
    return (wanted_ranges){.words = words, .range = rowpool_range_i64(4, 8)};
}

bool take_range_option(wanted_ranges *wanted, int option, const char *value, bool *read)
{
    static const char letters[OPTION_COUNT] = "mMcrb";
    const char *letter = memchr(letters, option, sizeof letters);
    if (letter == NULL)
        return false;
    wanted->given |= 1U << (letter - letters);
    *read = true;
    if (option == 'm')
        *read = read_bound(&wanted->range.lo, wanted, "--min", value);
    else if (option == 'M')
        *read = read_bound(&wanted->range.hi, wanted, "--max", value);
    else if (option == 'c')
        *read = read_closed(wanted, value);
    else if (option == 'r')
        wanted->ranges = value;
    else
        wanted->bins = value;
    return true;
}

const char *given_range_option(const wanted_ranges *wanted)
{
    return wanted->given != 0 ? OPTION_NAMES[__builtin_ctz(wanted->given)] : NULL;
}

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

/* One end of an item. */
static bool read_item_bound(rowpool_number *bound, const wanted_ranges *wanted, const char *what, size_t i,
                            const char *text)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s %zu", what, i + 1);
    return read_bound(bound, wanted, name, text);
}

/* LO:HI */
static bool read_range(wanted_ranges *wanted, size_t i, char *text)
{
    rowpool_range *range = &wanted->items[i];
    char *colon = strchr(text, ':');
    if (colon == NULL) {
        (void)usage_error(wanted->words->command, "--ranges: range %zu '%s' is not LO:HI", i + 1, text);
        return false;
    }
    *colon = '\0';
    range->closed = wanted->range.closed;
    return read_item_bound(&range->lo, wanted, "--ranges: the lower end of range", i, text) &&
           read_item_bound(&range->hi, wanted, "--ranges: the upper end of range", i, colon + 1);
}

/* Sets the lower end of bin i and the upper end of the one before. */
static bool read_edge(wanted_ranges *wanted, size_t i, char *text)
{
    rowpool_number edge;
    if (!read_item_bound(&edge, wanted, "--bins: edge", i, text))
        return false;
    wanted->items[i] = (rowpool_range){.lo = edge, .hi = edge, .closed = ROWPOOL_CLOSED_LEFT};
    if (i == 0)
        return true;
    rowpool_range *before = &wanted->items[i - 1];
    before->hi = edge;
    if (!rp_number_at_most(&edge, &before->lo))
        return true;
    char lo[NUMBER_TEXT], hi[NUMBER_TEXT];
    number_format(lo, &before->lo);
    number_format(hi, &edge);
    (void)usage_error(wanted->words->command, "--bins: edge %zu, %s, is not above the edge before it, %s", i + 1, hi,
                      lo);
    return false;
}

/* Calls `read` for each item of the list, empty ones included. */
static bool read_items(wanted_ranges *wanted, const char *list, bool (*read)(wanted_ranges *, size_t i, char *text))
{
    char *copy = strdup(list);
    wanted->count = 1;
    for (const char *at = list; (at = strchr(at, ',')) != NULL; at++)
        wanted->count++;
    wanted->items = calloc(wanted->count, sizeof *wanted->items);
    if (copy == NULL || wanted->items == NULL)
        end_out_of_memory();
    bool done = true;
    char *rest = copy;
    for (size_t i = 0; i < wanted->count && done; i++)
        done = read(wanted, i, strsep(&rest, ","));
    free(copy);
    return done;
}

/* There is one bin fewer than edges; the last bin is closed. */
static bool read_bins(wanted_ranges *wanted)
{
    if (!read_items(wanted, wanted->bins, read_edge))
        return false;
    if (--wanted->count == 0)
        (void)usage_error(wanted->words->command, "--bins '%s' is a single edge; a bin has two", wanted->bins);
    else
        wanted->items[wanted->count - 1].closed = ROWPOOL_CLOSED_BOTH;
    return wanted->count > 0;
}

static bool take_default(wanted_ranges *wanted, size_t i, char *text)
{
    (void)text;
    wanted->items[i] = wanted->range;
    return true;
}

int make_ranges(wanted_ranges *wanted)
{
    const unsigned bounds = 1U << MIN | 1U << MAX;
    const unsigned other = wanted->given & (wanted->bins != NULL     ? bounds | 1U << LIST | 1U << CLOSED
                                            : wanted->ranges != NULL ? bounds
                                                                     : 0);
    if (other != 0)
        return usage_error(wanted->words->command, "%s and %s cannot be given together",
                           OPTION_NAMES[wanted->bins != NULL ? BINS : LIST], OPTION_NAMES[__builtin_ctz(other)]);
    const bool made = wanted->bins != NULL     ? read_bins(wanted)
                      : wanted->ranges != NULL ? read_items(wanted, wanted->ranges, read_range)
                                               : read_items(wanted, "", take_default);
    if (!made)
        free_ranges(wanted);
    return made ? EXIT_DONE : EXIT_USAGE;
}

void free_ranges(wanted_ranges *wanted)
{
    free(wanted->items);
    wanted->items = NULL;
    wanted->count = 0;
}

bool ranges_are_listed(const wanted_ranges *wanted)
{
    return wanted->ranges != NULL || wanted->bins != NULL;
}

/* ---- Messages about ranges -------------------------------------------------------------------------------------- */

void format_range(char text[RANGE_TEXT], const wanted_ranges *wanted, size_t i)
{
    char lo[NUMBER_TEXT];
    char hi[NUMBER_TEXT];
    number_format(lo, &wanted->items[i].lo);
    number_format(hi, &wanted->items[i].hi);
    (void)snprintf(text, RANGE_TEXT, "%s:%s", lo, hi);
}

const char *closed_word(rowpool_closed closed)
{
    return CLOSED_WORDS[closed];
}

/* The name is "range 3: ", or empty if there is no list. */
typedef struct {
    char name[64];
    char lo[NUMBER_TEXT], hi[NUMBER_TEXT];
} range_text;

static range_text describe_range(const wanted_ranges *wanted, size_t i)
{
    range_text text = {.name = ""};
    if (ranges_are_listed(wanted))
        (void)snprintf(text.name, sizeof text.name, "range %zu: ", i + 1);
    number_format(text.lo, &wanted->items[i].lo);
    number_format(text.hi, &wanted->items[i].hi);
    return text;
}

void tell_ranges(const wanted_ranges *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const rowpool_closed closed = wanted->items[i].closed;
        const bool with_lo = closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_LEFT;
        const bool with_hi = closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_RIGHT;
        const range_text text = describe_range(wanted, i);
        tell("%s%s %s %s x %s %s (closed: %s)", text.name, wanted->words->doing, text.lo, with_lo ? "<=" : "<",
             with_hi ? "<=" : "<", text.hi, closed_word(closed));
    }
}

/* A note for a bound that was not given. */
static const char *default_note(const wanted_ranges *wanted, unsigned option)
{
    return (wanted->given & 1U << option) != 0 || ranges_are_listed(wanted) ? "" : " (the default)";
}

void warn_of_empty_ranges(const wanted_ranges *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const rowpool_range *range = &wanted->items[i];
        const range_text text = describe_range(wanted, i);
        if (!rp_number_at_most(&range->lo, &range->hi))
            warn("%sthe minimum %s%s is above the maximum %s%s: %s", text.name, text.lo, default_note(wanted, MIN),
                 text.hi, default_note(wanted, MAX), wanted->words->empty);
        else if (range->closed != ROWPOOL_CLOSED_BOTH && rp_number_at_most(&range->hi, &range->lo))
            warn("%snothing lies between %s and itself: %s", text.name, text.lo, wanted->words->empty);
    }
}
