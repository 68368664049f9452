#include "columns.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "number.h"
#include "options.h"

/* ---- What is wrong ---------------------------------------------------------------------------------------------- */

const char *column_name(char text[COLUMN_NAME], const table *t, size_t column)
{
    text[0] = '\0';
    if (column < t->names.count && text_at(&t->names, column)[0] != '\0')
        (void)snprintf(text, COLUMN_NAME, " (%.60s)", text_at(&t->names, column));
    return text;
}

bool refuse_at(table *t, size_t column, const char *format, ...)
{
    char what[768];
    char name[COLUMN_NAME];
    char place[COLUMN_NAME + 64] = "";
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (column != NO_COLUMN)
        (void)snprintf(place, sizeof place, "line %zu, column %zu%s: ", t->line, column + 1,
                       column_name(name, t, column));
    t->status = rp_fail(t->error, ROWPOOL_EINVAL, "%s%s", place, what);
    return false;
}

cell_kind kind_in(table *t, const char *cell)
{
    return kind_of_cell(cell, plain_cell(&t->scratch, cell, t->options->decimal));
}

/* Whether the cell is a number if the comma is the decimal point. */
static bool has_decimal_comma(table *t, const char *cell)
{
    return t->options->decimal != ',' && t->reader.dialect.delimiter != ',' && strchr(cell, ',') != NULL &&
           kind_of_cell(cell, plain_cell(&t->scratch, cell, ',')) == CELL_NUMBER;
}

/* The first character after the cell's first that could separate cells but does not; NULL: none. */
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

const char *hints_for(table *t, size_t column, const char *cell)
{
    const char *separator = other_separator(t, cell);
    buffer *hints = &t->hints;
    clear_buffer(hints);
    if (has_decimal_comma(t, cell))
        append_format(hints, ", --decimal , takes the comma as the decimal point");
    if (separator != NULL && *separator == '\t')
        append_format(hints, ", --format tsv separates cells at tabs");
    else if (separator != NULL)
        append_format(hints, ", --delimiter '%c' separates cells there", *separator);
    if (column == 0 && t->options->comment == NULL && cell[0] == '#')
        append_format(hints, ", --comment '#' skips such lines");
    if (column == 0 && t->options->labels == NULL && t->columns > 1)
        append_format(hints, ", --labels 1 takes the column as labels");
    if (t->columns > 1)
        append_format(hints, ", --skip %zu leaves the column out", column + 1);
    if (t->line == t->first_line && t->names.count == 0 && t->options->header == HEADER_AUTO)
        append_format(hints, ", --header yes takes this row as names");
    end_text(hints);
    if (hints->bytes[0] != '\0')
        hints->bytes[0] = ';';
    return hints->bytes;
}

/* The column holds a word in that line and a number, perhaps with a decimal comma, in the current row. */
static bool refuse_mixture(table *t, size_t column, const char *word, size_t line, const char *number)
{
    const size_t number_line = t->line;
    t->line = line;
    return refuse_at(t, column, "'%.60s' is not a number, but line %zu has '%.60s' there%s", word, number_line, number,
                     hints_for(t, column, has_decimal_comma(t, number) ? number : word));
}

/* ---- The header ------------------------------------------------------------------------------------------------- */

/* Whether the cells after the first are strictly increasing numbers. */
static bool names_increase(table *t)
{
    double before = -INFINITY;
    const char *cell = next_text(t->cells.bytes);
    for (size_t i = 1; i < t->cells.count; i++, cell = next_text(cell)) {
        double number;
        const char *plain = plain_cell(&t->scratch, cell, t->options->decimal);
        if (parse_element(&number, ROWPOOL_FLOAT64, plain) != PARSED || !(number > before || i == 1))
            return false;
        before = number;
    }
    return t->cells.count > 1;
}

/* Whether all cells are words; the first may be empty. */
static bool are_names(table *t)
{
    size_t counts[4] = {0};
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < t->cells.count; i++, cell = next_text(cell))
        counts[kind_in(t, cell)]++;
    const size_t words = counts[CELL_WORD];
    const bool names = words == t->cells.count ||
                       (words > 0 && words + 1 == t->cells.count && t->cells.bytes[0] == '\0');
    t->may_be_names = !names && counts[CELL_NUMBER] == 0;
    return names;
}

/* Whether a cell after the first has a digit. */
static bool has_digits(const buffer *cells)
{
    const char *cell = next_text(cells->bytes);
    for (size_t i = 1; i < cells->count; i++, cell = next_text(cell)) {
        if (strpbrk(cell, "0123456789") != NULL)
            return true;
    }
    return false;
}

/* Increasing numbers, such as years, are names after an empty first cell, but data after a word. One number alone is not
 * a series, except 0, which is how pandas names a single column. */
static bool is_header(table *t)
{
    if (t->options->header != HEADER_AUTO)
        return t->options->header == HEADER_YES;
    if (are_names(t))
        return true;
    const bool increases = names_increase(t);
    const bool series = increases && t->cells.count > 2;
    const bool unnamed = t->cells.bytes[0] == '\0' &&
                         (series || (increases && strcmp(text_at(&t->cells, 1), "0") == 0));
    if (unnamed)
        add_note(t->in, "the first row is taken as names; --header no takes it as data");
    else if (kind_in(t, t->cells.bytes) == CELL_WORD && (series || !has_digits(&t->cells)))
        add_note(t->in, "the first row is taken as data; --header yes takes it as names");
    return unnamed;
}

static void note_comments(table *t)
{
    const cell_reader *r = &t->reader;
    char more[64] = "";
    if (r->comments > 1)
        (void)snprintf(more, sizeof more, " and %zu more like it", r->comments - 1);
    if (r->comments > 0 && !r->dialect.comments_anywhere)
        add_note(t->in, "line %zu begins with %c and is skipped%s", r->first_comment, r->dialect.comment, more);
}

bool take_first_row(table *t)
{
    t->columns = t->cells.count;
    note_comments(t);
    if (!is_header(t))
        return false;
    t->names = t->cells;
    t->cells = (buffer){0};
    return true;
}

/* R writes no name above the row names. After a single name, a comma in the rows may be a decimal one; an empty last cell
 * is not a column. */
static bool first_name_is_missing(const table *t)
{
    const size_t min = t->reader.dialect.delimiter == ',' ? 2 : 1;
    return t->names.count >= min && !t->options->ragged && t->cells.count == t->names.count + 1 &&
           text_at(&t->cells, t->cells.count - 1)[0] != '\0';
}

static void add_first_name(table *t)
{
    buffer names = {0};
    end_text(&names);
    append_bytes(&names, t->names.bytes, t->names.used);
    names.count += t->names.count;
    free_buffer(&t->names);
    t->names = names;
    t->columns++;
    add_note(t->in, "the header has one name fewer than the rows have cells: column 1 is unnamed");
}

/* ---- Columns that options name ---------------------------------------------------------------------------------- */

/* Marks the columns of that name, else the column of that number, as skipped; false if there is none. *column: the
 * first of them. */
static bool skip_columns(table *t, size_t *column, size_t *count, const char *option, const char *text)
{
    const char *name = t->names.bytes;
    size_t number = 0; /* of a column, from 1 */
    if (!parse_size(&number, text) || number > t->columns)
        number = 0;
    *count = 0;
    for (size_t i = 0; i < t->names.count; i++, name = next_text(name)) {
        if (strcmp(name, text) != 0)
            continue;
        *column = (*count)++ == 0 ? i : *column;
        t->skipped[i] = true;
    }
    if (*count > 0) {
        if (number > 0 && number <= t->names.count && strcmp(text_at(&t->names, number - 1), text) != 0)
            add_note(t->in, "%s %.100s takes column %zu, which has that name; %s 0%.100s takes column %zu", option,
                     text, *column + 1, option, text, number);
        return true;
    }
    if (number == 0)
        return refuse_at(t, NO_COLUMN, "%s: there is no column '%.100s'; there are 1 to %zu%s", option, text,
                         t->columns, t->names.count > 0 ? ", and the names in the header" : " and no header");
    *column = number - 1;
    return t->skipped[*column] = true;
}

static bool choose_skipped(table *t)
{
    if (t->options->skip == NULL)
        return true;
    char *list = strdup(t->options->skip);
    if (list == NULL)
        end_out_of_memory();
    bool done = true;
    for (char *rest = list; rest != NULL && done;) {
        size_t column, count;
        done = skip_columns(t, &column, &count, "--skip", strsep(&rest, ","));
    }
    free(list);
    return done;
}

/* ---- Labels ----------------------------------------------------------------------------------------------------- */

void take_as_labels(table *t, size_t column, label_rule rule)
{
    const char *name = t->names.count > 0 ? text_at(&t->names, column) : NULL;
    t->rule = rule;
    t->label = column;
    t->skipped[column] = true;
    if (name != NULL) {
        name = name[0] != '\0' ? name : "label";
        append_bytes(&t->in->title, name, strlen(name));
        end_text(&t->in->title);
    }
    if (rule == LABELS_ROW_NUMBERS)
        add_note(t->in, "column 1 (row) holds row numbers and is taken as labels; --labels none takes it as numbers");
}

static bool choose_label(table *t)
{
    const char *wanted = t->options->labels;
    size_t count;
    t->label = NO_COLUMN;
    t->rule = LABELS_UNDECIDED;
    if (wanted != NULL && strcmp(wanted, "none") != 0) {
        if (!skip_columns(t, &t->label, &count, "--labels", wanted))
            return false;
        if (count > 1)
            return refuse_at(t, NO_COLUMN,
                             "--labels: %zu columns are named '%.100s'; give the column's number (%zu is the first)",
                             count, wanted, t->label + 1);
        take_as_labels(t, t->label, LABELS_CHOSEN);
    } else if (wanted != NULL || t->skipped[0]) {
        t->rule = LABELS_NONE;
    } else if (t->names.count > 1 && t->names.bytes[0] == '\0') {
        take_as_labels(t, 0, LABELS_CHOSEN);
    }
    return true;
}

label_rule choose_rule(table *t, const char *cell)
{
    const cell_kind kind = kind_in(t, cell != NULL ? cell : "");
    const bool called_row = t->names.count > 1 && strcmp(t->names.bytes, "row") == 0;
    t->word_row = t->kept_count;
    t->word_line = t->line;
    if (called_row && t->kept_count == 0 && cell != NULL && strcmp(cell, "0") == 0) {
        t->begins_with_0 = true;
        return LABELS_UNDECIDED;
    }
    if (t->begins_with_0)
        return cell != NULL && strcmp(cell, "1") == 0 ? LABELS_ROW_NUMBERS : LABELS_NONE;
    return kind == CELL_MISSING ? LABELS_UNDECIDED : kind == CELL_WORD ? LABELS_WORDS : LABELS_NONE;
}

/* Refuses a label such as Berlin;20 in Berlin;20,5, where the semicolon separates and the comma is decimal. */
static bool check_separators(table *t, const char *label)
{
    const char *last = NULL;
    for (const char *at = label; (at = strpbrk(at, ";|\t")) != NULL; at++)
        last = at;
    if (t->reader.dialect.delimiter_given || t->reader.dialect.delimiter != ',' || last == NULL || last[1] == '\0' ||
        strspn(last + 1, "+-0123456789") < strlen(last + 1))
        return true;
    return refuse_at(t, t->label, "'%.60s' may be several cells, and the comma after it a decimal comma%s", label,
                     hints_for(t, t->label, label));
}

bool check_label(table *t, const char *cell)
{
    uint64_t number;
    if (t->rule == LABELS_ROW_NUMBERS)
        return (parse_uint64(&number, cell) && number == t->rows) ||
               refuse_at(t, t->label,
                         "'%.60s' is not the row number %zu, and those above are row numbers; --labels 1 takes "
                         "the column as labels, --labels none as numbers",
                         cell, t->rows);
    if (t->rule != LABELS_WORDS)
        return true;
    const cell_kind kind = kind_in(t, cell);
    if (kind == CELL_WORD && !check_separators(t, cell))
        return false;
    if (kind == CELL_NUMBER)
        return refuse_mixture(t, t->label, text_at(&t->in->labels, t->word_row), t->word_line, cell);
    return kind != CELL_DAMAGED ||
           refuse_at(t, t->label, "'%.60s' is neither a number nor a label%s", cell, hints_for(t, t->label, cell));
}

/* ---- Words ------------------------------------------------------------------------------------------------------ */

/* Skips columns that begin with a word; the first column may still become the labels. */
static void choose_words(table *t)
{
    size_t first = 0;
    size_t count = 0;
    char name[COLUMN_NAME];
    const char *cell = t->first.bytes;
    for (size_t i = 0; i < t->first.count && i < t->columns; i++, cell = next_text(cell)) {
        if (t->skipped[i] || (i == 0 && t->rule == LABELS_UNDECIDED) || kind_in(t, cell) != CELL_WORD)
            continue;
        t->skipped[i] = t->words[i] = true;
        first = count++ == 0 ? i : first;
    }
    (void)column_name(name, t, first);
    if (count == 1)
        add_note(t->in, "column %zu%s holds words and is left out", first + 1, name);
    else if (count > 1)
        add_note(t->in, "column %zu%s and %zu more hold words and are left out", first + 1, name, count - 1);
}

bool check_word(table *t, size_t column, const char *cell)
{
    return (kind_in(t, cell) != CELL_NUMBER && !has_decimal_comma(t, cell)) ||
           refuse_mixture(t, column, text_at(&t->first, column), t->first_line, cell);
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

bool choose_columns(table *t, bool is_there)
{
    t->begun = true;
    t->first_line = t->line;
    if (is_there && first_name_is_missing(t))
        add_first_name(t);
    if (is_there)
        append_bytes(&t->first, t->cells.bytes, t->cells.used);
    t->first.count = is_there ? t->cells.count : 0;
    t->skipped = calloc(2 * t->columns, sizeof *t->skipped);
    if (t->skipped == NULL)
        end_out_of_memory();
    t->words = t->skipped + t->columns;
    if (!choose_skipped(t) || !choose_label(t))
        return false;
    choose_words(t);
    return true;
}
