#include "columns.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "number.h"

/* ---- What is wrong ---------------------------------------------------------------------------------------------- */

bool out_of_memory(table *t)
{
    t->status = rp_fail(t->error, ROWPOOL_ENOMEM, "out of memory at line %zu", t->line);
    return false;
}

const char *column_name(char text[COLUMN_NAME], const table *t, size_t column)
{
    text[0] = '\0';
    if (column < t->names.count && text_at(&t->names, column)[0] != '\0')
        (void)snprintf(text, COLUMN_NAME, " (%.60s)", text_at(&t->names, column));
    return text;
}

bool refuse(table *t, size_t column, const char *format, ...)
{
    char what[768];
    char name[COLUMN_NAME];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    t->status = rp_fail(t->error, ROWPOOL_EINVAL, "line %zu, column %zu%s: %s", t->line, column + 1,
                        column_name(name, t, column), what);
    return false;
}

__attribute__((format(printf, 2, 3))) static void add_hint(char hints[HINTS], const char *format, ...)
{
    const size_t used = strlen(hints);
    const size_t before = (size_t)snprintf(hints + used, HINTS - used, used == 0 ? "; " : ", ");
    va_list arguments;
    va_start(arguments, format);
    if (used + before < HINTS)
        (void)vsnprintf(hints + used + before, HINTS - used - before, format, arguments);
    va_end(arguments);
}

/* Whether it would be a number with a decimal comma; false when out of memory, too. */
static bool has_decimal_comma(table *t, const char *cell)
{
    if (t->options->decimal == ',' || t->reader.dialect.delimiter == ',' || strchr(cell, ',') == NULL)
        return false;
    const char *plain = plain_cell(&t->scratch, cell, ',');
    return plain != NULL && kind_of_cell(cell, plain) == CELL_NUMBER;
}

/* The first byte within the cell that could separate cells and does not yet; NULL: there is none. */
static const char *other_separator(const table *t, const char *cell)
{
    const unsigned char used = t->reader.dialect.delimiter;
    while (cell[0] != '\0' && (cell = strpbrk(cell + 1, t->columns == 1 ? ";|\t ," : ";|\t")) != NULL) {
        const bool separates = used == RUNS_OF_BLANKS ? *cell == ' ' || *cell == '\t' : (unsigned char)*cell == used;
        if (!separates && *cell != t->options->decimal)
            return cell;
    }
    return NULL;
}

const char *hints_for(char hints[HINTS], table *t, size_t column, const char *cell)
{
    const char *separator = other_separator(t, cell);
    hints[0] = '\0';
    if (has_decimal_comma(t, cell))
        add_hint(hints, "--decimal , takes the comma as the decimal point");
    if (separator != NULL && *separator == '\t')
        add_hint(hints, "--format tsv takes tabs as what separates cells");
    else if (separator != NULL)
        add_hint(hints, "--delimiter '%c' separates cells there", *separator);
    if (column == 0 && t->options->comment == NULL && cell[0] == '#')
        add_hint(hints, "--comment '#' skips such lines");
    if (column == 0 && t->options->labels == NULL && t->columns > 1)
        add_hint(hints, "--labels 1 takes the column as labels");
    if (t->columns > 1)
        add_hint(hints, "--skip %zu leaves the column out", column + 1);
    if (t->line == t->first_line && t->names.count == 0 && t->options->header == HEADER_AUTO)
        add_hint(hints, "--header yes takes this row as names");
    return hints;
}

/* The column holds the word of that line, and a number in the row that is looked at, perhaps with a decimal comma. */
static bool refuse_mixture(table *t, size_t column, const char *word, size_t line, const char *number)
{
    char hints[HINTS];
    const size_t number_line = t->line;
    t->line = line;
    return refuse(t, column, "'%.60s' is no number, but line %zu has '%.60s' there%s", word, number_line, number,
                  hints_for(hints, t, column, has_decimal_comma(t, number) ? number : word));
}

/* ---- Kinds ------------------------------------------------------------------------------------------------------ */

bool find_kind(table *t, cell_kind *kind, const char *cell)
{
    const char *plain = plain_cell(&t->scratch, cell, t->options->decimal);
    if (plain == NULL)
        return out_of_memory(t);
    *kind = kind_of_cell(cell, plain);
    return true;
}

/* ---- The header ------------------------------------------------------------------------------------------------- */

/* Whether the cells behind the first are numbers, each one above the one before it. False: out of memory. */
static bool find_increase(table *t, bool *increases)
{
    double before = -INFINITY;
    *increases = t->cells.count > 1;
    const char *cell = next_text(t->cells.bytes);
    for (size_t i = 1; i < t->cells.count && *increases; i++, cell = next_text(cell)) {
        double number;
        const char *plain = plain_cell(&t->scratch, cell, t->options->decimal);
        if (plain == NULL)
            return out_of_memory(t);
        *increases = parse_element(&number, ROWPOOL_FLOAT64, plain) == PARSED && (number > before || i == 1);
        before = number;
    }
    return true;
}

/* Whether all cells are words; the first may have no name. *first: what that one is. */
static bool find_names(table *t, bool *names, cell_kind *first)
{
    size_t counts[4] = {0};
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < t->cells.count; i++, cell = next_text(cell)) {
        cell_kind kind;
        if (!find_kind(t, &kind, cell))
            return false;
        *first = i == 0 ? kind : *first;
        counts[kind]++;
    }
    const size_t words = counts[CELL_WORD];
    *names = words == t->cells.count || (words > 0 && words + 1 == t->cells.count && t->cells.bytes[0] == '\0');
    t->may_be_names = !*names && counts[CELL_NUMBER] == 0;
    return true;
}

/* Whether a cell behind the first has a digit. */
static bool has_digits(const text_list *cells)
{
    const char *cell = next_text(cells->bytes);
    for (size_t i = 1; i < cells->count; i++, cell = next_text(cell)) {
        if (strpbrk(cell, "0123456789") != NULL)
            return true;
    }
    return false;
}

/* Names may be numbers that increase, as years do, or booleans: behind a first column without a name they are taken as
 * names, behind a word they are not; nor is a name there such as inf or one that is empty. A single number is no series;
 * but pandas calls the only column 0. */
static bool is_header(table *t, bool *header)
{
    cell_kind first = CELL_MISSING;
    *header = t->options->header == HEADER_YES;
    if (t->options->header != HEADER_AUTO)
        return true;
    if (!find_names(t, header, &first))
        return false;
    bool increases;
    if (*header)
        return true;
    if (!find_increase(t, &increases))
        return false;
    const bool series = increases && t->cells.count > 2;
    const bool unnamed = t->cells.bytes[0] == '\0' &&
                         (series || (increases && strcmp(text_at(&t->cells, 1), "0") == 0));
    if (!unnamed && !(first == CELL_WORD && (series || !has_digits(&t->cells))))
        return true;
    *header = unnamed;
    return add_note(t->in, unnamed ? "the first row is taken as names; --header no takes it as data"
                                   : "the first row is taken as data; --header yes takes it as names") ||
           out_of_memory(t);
}

static bool note_comments(table *t)
{
    const cell_reader *r = &t->reader;
    if (r->comments == 0 || r->dialect.comments_anywhere)
        return true;
    char more[64] = "";
    if (r->comments > 1)
        (void)snprintf(more, sizeof more, " and %zu more like it", r->comments - 1);
    return add_note(t->in, "line %zu begins with %c and is skipped%s", r->first_comment, r->dialect.comment, more) ||
           out_of_memory(t);
}

bool take_first_row(table *t, bool *header)
{
    t->columns = t->cells.count;
    if (!note_comments(t) || !is_header(t, header))
        return false;
    if (*header) {
        t->names = t->cells;
        t->cells = (text_list){0};
    }
    return true;
}

/* As R leaves it out. A comma behind a single name may be one in a number; a last cell that is empty is no column. */
static bool lacks_first_name(const table *t)
{
    const size_t least = t->reader.dialect.delimiter == ',' ? 2 : 1;
    return t->names.count >= least && !t->options->ragged && t->cells.count == t->names.count + 1 &&
           text_at(&t->cells, t->cells.count - 1)[0] != '\0';
}

static bool add_first_name(table *t)
{
    text_list names = {0};
    const bool added = add_text(&names, "", 0) && extend_text(&names, t->names.bytes, t->names.used);
    names.count += t->names.count;
    free_texts(&t->names);
    t->names = names;
    t->columns++;
    return (added && add_note(t->in, "the header has one name fewer than the rows have cells: column 1 is unnamed")) ||
           out_of_memory(t);
}

/* ---- Columns that somebody asks for ----------------------------------------------------------------------------- */

static bool has_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

/* The column of that number, from 0; SIZE_MAX: there is none. */
static size_t find_number(const table *t, const char *text, size_t length)
{
    size_t column = 0;
    for (size_t i = 0; i < length && text[i] >= '0' && text[i] <= '9' && column <= t->columns; i++)
        column = 10 * column + (size_t)(text[i] - '0');
    const bool is_number = length > 0 && strspn(text, "0123456789") >= length;
    return is_number && column >= 1 && column <= t->columns ? column - 1 : SIZE_MAX;
}

/* Marks the columns of that name, or the one of that number; false after a failure. *column: the first of them. */
static bool find_columns(table *t, bool *found, size_t *column, size_t *count, const char *option, const char *text,
                         size_t length)
{
    const char *name = t->names.bytes;
    const size_t numbered = find_number(t, text, length);
    const bool other = numbered != SIZE_MAX && numbered < t->names.count &&
                       !has_name(text_at(&t->names, numbered), text, length);
    *count = 0;
    for (size_t i = 0; i < t->names.count; i++, name = next_text(name)) {
        if (!has_name(name, text, length))
            continue;
        *column = (*count)++ == 0 ? i : *column;
        found[i] = true;
    }
    if (*count > 0)
        return !other ||
               add_note(t->in, "%s %.*s takes column %zu, which has that name; %s 0%.*s takes column %zu", option,
                        (int)length, text, *column + 1, option, (int)length, text, numbered + 1) ||
               out_of_memory(t);
    *column = numbered;
    if (numbered != SIZE_MAX)
        return found[numbered] = true;
    t->status = rp_fail(t->error, ROWPOOL_EINVAL, "%s: there is no column '%.*s'; there are 1 to %zu%s", option,
                        length < 100 ? (int)length : 100, text, t->columns,
                        t->names.count > 0 ? ", and the names in the header" : " and no header");
    return false;
}

static bool choose_skipped(table *t)
{
    for (const char *item = t->options->skip; item != NULL;) {
        const size_t length = strcspn(item, ",");
        size_t column, count;
        if (!find_columns(t, t->skipped, &column, &count, "--skip", item, length))
            return false;
        item = item[length] == ',' ? item + length + 1 : NULL;
    }
    return true;
}

static bool choose_asked_label(table *t)
{
    const char *wanted = t->options->labels;
    size_t count;
    if (!find_columns(t, t->skipped, &t->label, &count, "--labels", wanted, strlen(wanted)))
        return false;
    if (count > 1) {
        t->status = rp_fail(t->error, ROWPOOL_EINVAL,
                            "--labels: %zu columns have the name '%.100s'; their numbers tell them "
                            "apart, column %zu is the first",
                            count, wanted, t->label + 1);
        return false;
    }
    return true;
}

/* ---- Labels ----------------------------------------------------------------------------------------------------- */

static bool keep_title(table *t)
{
    if (t->names.count == 0)
        return true;
    const char *name = text_at(&t->names, t->label);
    t->in->title = strdup(name[0] != '\0' ? name : "label");
    return t->in->title != NULL || out_of_memory(t);
}

static bool choose_label(table *t)
{
    const char *wanted = t->options->labels;
    t->label = SIZE_MAX;
    t->rule = LABELS_UNDECIDED;
    if (wanted != NULL && strcmp(wanted, "none") != 0) {
        t->rule = LABELS_CHOSEN;
        return choose_asked_label(t) && keep_title(t);
    }
    if (wanted != NULL || t->skipped[0])
        t->rule = LABELS_NONE;
    else if (t->names.count > 1 && t->names.bytes[0] == '\0')
        return take_as_labels(t, LABELS_CHOSEN);
    return true;
}

bool choose_rule(table *t, label_rule *rule, const char *cell)
{
    cell_kind kind;
    if (!find_kind(t, &kind, cell != NULL ? cell : ""))
        return false;
    const bool called_row = t->names.count > 1 && strcmp(t->names.bytes, "row") == 0;
    if (called_row && t->kept_count == 0 && cell != NULL && strcmp(cell, "0") == 0) {
        t->begins_with_0 = true;
        *rule = LABELS_UNDECIDED;
    } else if (t->begins_with_0) {
        *rule = cell != NULL && strcmp(cell, "1") == 0 ? LABELS_ROW_NUMBERS : LABELS_NONE;
    } else {
        *rule = kind == CELL_MISSING ? LABELS_UNDECIDED : kind == CELL_WORD ? LABELS_WORDS : LABELS_NONE;
    }
    t->word_row = t->kept_count;
    t->word_line = t->line;
    return true;
}

bool take_as_labels(table *t, label_rule rule)
{
    t->rule = rule;
    t->label = 0;
    t->skipped[0] = true;
    return keep_title(t) &&
           (rule != LABELS_ROW_NUMBERS ||
            add_note(t->in,
                     "column 1 (row) holds row numbers and is taken as labels; --labels none takes it as numbers") ||
            out_of_memory(t));
}

/* Refuses a label such as Berlin;20 in Berlin;20,5: the separator is the semicolon, and the comma a decimal one. */
static bool check_separators(table *t, const char *label)
{
    char hints[HINTS];
    const char *last = NULL;
    for (const char *at = label; (at = strpbrk(at, ";|\t")) != NULL; at++)
        last = at;
    if (t->reader.dialect.delimiter_given || t->reader.dialect.delimiter != ',' || last == NULL || last[1] == '\0' ||
        strspn(last + 1, "+-0123456789") < strlen(last + 1))
        return true;
    return refuse(t, t->label, "'%.60s' may be several cells, and the comma behind it a decimal one%s", label,
                  hints_for(hints, t, t->label, label));
}

bool check_label(table *t, const char *cell)
{
    cell_kind kind;
    uint64_t number;
    if (t->rule == LABELS_ROW_NUMBERS) {
        if (parse_uint64(&number, cell) && number == t->rows)
            return true;
        return refuse(t, t->label,
                      "'%.60s' is not the row number %zu, and those above are row numbers; --labels 1 takes "
                      "the column as labels, --labels none as numbers",
                      cell, t->rows);
    }
    if (t->rule != LABELS_WORDS)
        return true;
    if (!find_kind(t, &kind, cell))
        return false;
    char hints[HINTS];
    if (kind == CELL_WORD && !check_separators(t, cell))
        return false;
    if (kind == CELL_NUMBER)
        return refuse_mixture(t, t->label, text_at(&t->in->labels, t->word_row), t->word_line, cell);
    return kind != CELL_DAMAGED ||
           refuse(t, t->label, "'%.60s' is no number and no label%s", cell, hints_for(hints, t, t->label, cell));
}

/* ---- Words ------------------------------------------------------------------------------------------------------ */

static bool note_words(table *t, size_t first, size_t count)
{
    char name[COLUMN_NAME];
    (void)column_name(name, t, first);
    if (count == 0)
        return true;
    return (count == 1 ? add_note(t->in, "column %zu%s holds words and is left out", first + 1, name)
                       : add_note(t->in, "column %zu%s and %zu more hold words and are left out", first + 1, name,
                                  count - 1)) ||
           out_of_memory(t);
}

/* Leaves out the columns that begin with a word; the first may be labels yet. */
static bool choose_words(table *t)
{
    size_t first = 0;
    size_t count = 0;
    const char *cell = t->first.bytes;
    for (size_t i = 0; i < t->first.count && i < t->columns; i++, cell = next_text(cell)) {
        cell_kind kind;
        if (t->skipped[i] || (i == 0 && t->rule == LABELS_UNDECIDED))
            continue;
        if (!find_kind(t, &kind, cell))
            return false;
        if (kind != CELL_WORD)
            continue;
        t->skipped[i] = t->words[i] = true;
        first = count++ == 0 ? i : first;
    }
    return note_words(t, first, count);
}

bool check_word(table *t, size_t column, const char *cell)
{
    cell_kind kind;
    if (!find_kind(t, &kind, cell))
        return false;
    return (kind != CELL_NUMBER && !has_decimal_comma(t, cell)) ||
           refuse_mixture(t, column, text_at(&t->first, column), t->first_line, cell);
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

bool choose_columns(table *t, bool is_there)
{
    t->begun = true;
    t->first_line = t->line;
    if (is_there && lacks_first_name(t) && !add_first_name(t))
        return false;
    if (is_there && !extend_text(&t->first, t->cells.bytes, t->cells.used))
        return out_of_memory(t);
    t->first.count = is_there ? t->cells.count : 0;
    t->skipped = calloc(t->columns, sizeof *t->skipped);
    t->words = calloc(t->columns, sizeof *t->words);
    if (t->skipped == NULL || t->words == NULL)
        return out_of_memory(t);
    return choose_skipped(t) && choose_label(t) && choose_words(t);
}
