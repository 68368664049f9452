#include "ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "number.h"

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

static const char *const CLOSED[] = {
    [ROWPOOL_CLOSED_BOTH] = "both",
    [ROWPOOL_CLOSED_LEFT] = "left",
    [ROWPOOL_CLOSED_RIGHT] = "right",
    [ROWPOOL_CLOSED_NEITHER] = "neither",
};

static bool read_bound(rowpool_number *bound, const wanted_ranges *wanted, const char *what, const char *text)
{
    const char *problem = number_parse(bound, text);
    if (problem == NULL)
        return true;
    (void)usage_error(wanted->words->command, "%s '%s' %s", what, text, problem);
    return false;
}

static bool read_closed(wanted_ranges *wanted, const char *text)
{
    for (size_t i = 0; i < sizeof CLOSED / sizeof *CLOSED; i++) {
        if (strcmp(text, CLOSED[i]) == 0) {
            wanted->range.closed = (rowpool_closed)i;
            return true;
        }
    }
    (void)usage_error(wanted->words->command, "--closed '%s' is none of both, left, right, neither", text);
    return false;
}

wanted_ranges usual_range(const range_words *words)
{
    return (wanted_ranges){.words = words, .range = rowpool_range_i64(4, 8)};
}

bool take_range_option(wanted_ranges *wanted, int option, const char *value, bool *read)
{
    *read = true;
    switch (option) {
    case 'm':
        wanted->lo_given = true;
        *read = read_bound(&wanted->range.lo, wanted, "--min", value);
        return true;
    case 'M':
        wanted->hi_given = true;
        *read = read_bound(&wanted->range.hi, wanted, "--max", value);
        return true;
    case 'c':
        wanted->closed_given = true;
        *read = read_closed(wanted, value);
        return true;
    case 'r':
        wanted->ranges = value;
        return true;
    case 'b':
        wanted->bins = value;
        return true;
    default:
        return false;
    }
}

const char *given_range_option(const wanted_ranges *wanted)
{
    return wanted->lo_given         ? "--min"
           : wanted->hi_given       ? "--max"
           : wanted->closed_given   ? "--closed"
           : wanted->ranges != NULL ? "--ranges"
           : wanted->bins != NULL   ? "--bins"
                                    : NULL;
}

/* What an item of a list, or one end of it, is called in a message. */
enum { ITEM_NAME = 64 };

static bool read_item_bound(rowpool_number *bound, const wanted_ranges *wanted, const char *what, size_t i,
                            const char *text)
{
    char name[ITEM_NAME];
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

/* Begins bin i, and ends the one before. */
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
    if (number_compare(&before->lo, &edge) < 0)
        return true;
    char lo[NUMBER_TEXT];
    char hi[NUMBER_TEXT];
    number_format(lo, &before->lo);
    number_format(hi, &edge);
    (void)usage_error(wanted->words->command, "--bins: edge %zu, %s, is not above the edge before it, %s", i + 1, hi,
                      lo);
    return false;
}

/* ---- Making the list -------------------------------------------------------------------------------------------- */

static int allocate_ranges(wanted_ranges *wanted, size_t count)
{
    wanted->items = calloc(count, sizeof *wanted->items);
    wanted->count = count;
    if (wanted->items != NULL)
        return EXIT_DONE;
    say(NULL, "out of memory for %zu ranges", count);
    return EXIT_FAILED;
}

static size_t count_items(const char *list)
{
    size_t count = 1;
    for (; *list != '\0'; list++)
        count += *list == ',';
    return count;
}

/* Every item of the list, empty ones too, goes to `read`, which may write to it. */
static int read_list(wanted_ranges *wanted, const char *list, bool (*read)(wanted_ranges *wanted, size_t i, char *text))
{
    int status = allocate_ranges(wanted, count_items(list));
    if (status != EXIT_DONE)
        return status;
    char *copy = strdup(list);
    if (copy == NULL) {
        say(NULL, "out of memory for a list of %zu ranges", wanted->count);
        return EXIT_FAILED;
    }
    char *rest = copy;
    for (size_t i = 0; i < wanted->count && status == EXIT_DONE; i++)
        status = read(wanted, i, strsep(&rest, ",")) ? EXIT_DONE : EXIT_USAGE;
    free(copy);
    return status;
}

/* One bin less than edges; the last one has its upper edge too. */
static int read_bins(wanted_ranges *wanted)
{
    int status = read_list(wanted, wanted->bins, read_edge);
    if (status != EXIT_DONE)
        return status;
    if (wanted->count < 2)
        return usage_error(wanted->words->command, "--bins '%s' is a single edge; a bin has two", wanted->bins);
    wanted->count--;
    wanted->items[wanted->count - 1].closed = ROWPOOL_CLOSED_BOTH;
    return EXIT_DONE;
}

static int read_wanted(wanted_ranges *wanted)
{
    if (wanted->bins != NULL)
        return read_bins(wanted);
    if (wanted->ranges != NULL)
        return read_list(wanted, wanted->ranges, read_range);
    int status = allocate_ranges(wanted, 1);
    if (status == EXIT_DONE)
        wanted->items[0] = wanted->range;
    return status;
}

/* The name of an option that cannot be given beside the list, or NULL. */
static const char *contradiction(const wanted_ranges *wanted)
{
    if (wanted->lo_given)
        return "--min";
    if (wanted->hi_given)
        return "--max";
    if (wanted->bins != NULL && wanted->ranges != NULL)
        return "--ranges";
    return wanted->bins != NULL && wanted->closed_given ? "--closed" : NULL;
}

int make_ranges(wanted_ranges *wanted)
{
    const char *other = ranges_are_listed(wanted) ? contradiction(wanted) : NULL;
    if (other != NULL)
        return usage_error(wanted->words->command, "%s and %s cannot be given together",
                           wanted->bins != NULL ? "--bins" : "--ranges", other);
    int status = read_wanted(wanted);
    if (status != EXIT_DONE)
        free_ranges(wanted);
    return status;
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

/* ---- What is said about it -------------------------------------------------------------------------------------- */

static bool includes_lo(rowpool_closed closed)
{
    return closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_LEFT;
}

static bool includes_hi(rowpool_closed closed)
{
    return closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_RIGHT;
}

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
    return CLOSED[closed];
}

/* A range in words; the name is "range 3: ", or nothing where there is no list. */
typedef struct {
    char name[ITEM_NAME];
    char lo[NUMBER_TEXT], hi[NUMBER_TEXT];
} range_text;

static void describe_range(range_text *text, const wanted_ranges *wanted, size_t i)
{
    text->name[0] = '\0';
    if (ranges_are_listed(wanted))
        (void)snprintf(text->name, sizeof text->name, "range %zu: ", i + 1);
    number_format(text->lo, &wanted->items[i].lo);
    number_format(text->hi, &wanted->items[i].hi);
}

static void tell_range(const wanted_ranges *wanted, size_t i)
{
    rowpool_closed closed = wanted->items[i].closed;
    range_text text;
    describe_range(&text, wanted, i);
    tell("%s%s %s %s x %s %s (closed: %s)", text.name, wanted->words->doing, text.lo, includes_lo(closed) ? "<=" : "<",
         includes_hi(closed) ? "<=" : "<", text.hi, CLOSED[closed]);
}

void tell_ranges(const wanted_ranges *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        tell_range(wanted, i);
}

/* What to add to an end that may be nobody's choice. */
static const char *default_note(const wanted_ranges *wanted, bool given)
{
    return given || ranges_are_listed(wanted) ? "" : " (the default)";
}

static void warn_if_empty(const wanted_ranges *wanted, size_t i)
{
    const rowpool_range *range = &wanted->items[i];
    range_text text;
    describe_range(&text, wanted, i);
    int order = number_compare(&range->lo, &range->hi);
    if (order > 0)
        warn("%sthe minimum %s%s is above the maximum %s%s: %s", text.name, text.lo,
             default_note(wanted, wanted->lo_given), text.hi, default_note(wanted, wanted->hi_given),
             wanted->words->empty);
    else if (order == 0 && range->closed != ROWPOOL_CLOSED_BOTH)
        warn("%snothing lies between %s and itself: %s", text.name, text.lo, wanted->words->empty);
}

void warn_of_empty_ranges(const wanted_ranges *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        warn_if_empty(wanted, i);
}
