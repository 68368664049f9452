/* Text tables: .csv, .tsv and .txt. The file is read once. Numbers and labels are kept; the text of the first rows is
 * kept until it is known what the first column is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "columns.h"
#include "input.h"
#include "message.h"
#include "number.h"

/* ---- Cells ------------------------------------------------------------------------------------------------------ */

/* Fast path for most numbers: nonzero, and within the integers that the float type holds exactly. */
static bool loses_nothing(rowpool_dtype dtype, double real)
{
    const double integers = dtype == ROWPOOL_FLOAT16 ? 0x1p11 : dtype == ROWPOOL_FLOAT32 ? 0x1p24 : 0x1p53;
    return real != 0 && real > -integers && real < integers;
}

/* Records the first loss of each kind. int64 is watched too unless --type asks for it, since it may become float64. */
static void watch_losses(table *t, size_t column, const char *text, const void *element, bool missing)
{
    if (t->options->type_given && t->dtype < ROWPOOL_FLOAT16)
        return;
    int64_t integer = 0;
    if (t->dtype == ROWPOOL_INT64)
        memcpy(&integer, element, sizeof integer);
    const double real = t->dtype == ROWPOOL_INT64 ? (double)integer : float_value(element, t->dtype);
    if (loses_nothing(t->dtype, real))
        return;
    const parse_loss loss = loss_of(text, real);
    lost_cell *cell = loss == LOSS_ROUNDED ? &t->rounded : &t->vanished;
    if (loss == LOSS_NONE || cell->line != 0)
        return;
    cell->line = t->line;
    cell->column = column;
    (void)snprintf(cell->text, sizeof cell->text, "%s%.60s", missing ? "--missing " : "", text);
}

/* Turns int64 into float64, rounded to nearest. */
static void turn_into_doubles(const buffer *elements)
{
    for (char *at = elements->bytes; at < elements->bytes + elements->used; at += sizeof(double)) {
        int64_t integer;
        memcpy(&integer, at, sizeof integer);
        const double real = (double)integer;
        memcpy(at, &real, sizeof real);
    }
}

/* Without --type: int64 until a cell is not an integer, then float64. *tried: the type that the cell looks like. */
static parse_outcome parse_any(table *t, void *element, rowpool_dtype *tried, const char *cell)
{
    int64_t integer;
    *tried = ROWPOOL_INT64;
    parse_outcome outcome = parse_element(&integer, ROWPOOL_INT64, cell);
    if (outcome == PARSED) {
        const double real = (double)integer;
        memcpy(element, t->dtype == ROWPOOL_INT64 ? (const void *)&integer : (const void *)&real, sizeof integer);
    }
    if (outcome != PARSED_NOTHING)
        return outcome;
    *tried = ROWPOOL_FLOAT64;
    outcome = parse_element(element, ROWPOOL_FLOAT64, cell);
    if (outcome == PARSED && t->dtype == ROWPOOL_INT64) {
        turn_into_doubles(&t->elements);
        t->dtype = ROWPOOL_FLOAT64;
    }
    return outcome;
}

static bool refuse_beyond(table *t, size_t column, const char *cell, rowpool_dtype type)
{
    const char *hint = t->options->type_given    ? ""
                       : type == ROWPOOL_FLOAT64 ? "; write inf or -inf for infinity"
                                                 : "; --type uint64 or float64 may hold it";
    return refuse_at(t, column, "'%.60s' is beyond %s%s", cell, rowpool_dtype_name(type), hint);
}

static bool refuse_text(table *t, size_t column, const char *cell)
{
    const char *type = t->options->type_given ? rowpool_dtype_name(t->dtype) : "a number";
    return refuse_at(t, column, "'%.60s' is not %s%s", cell, type,
                     kind_in(t, cell) == CELL_NUMBER ? "" : hints_for(t, column, cell));
}

static bool refuse_missing(table *t, size_t column, const char *cell)
{
    return refuse_at(t, column,
                     "the cell is missing%s%.60s%s; --missing gives the value to use instead, as in --missing nan%s",
                     cell[0] != '\0' ? " ('" : "", cell, cell[0] != '\0' ? "')" : "",
                     t->may_be_names && t->line == t->first_line ? ", --header yes takes this row as names" : "");
}

static bool take_element(table *t, size_t column, const char *cell)
{
    const char *plain = plain_cell(&t->scratch, cell, t->options->decimal);
    const bool missing = is_missing(plain);
    if (missing && t->options->missing == NULL)
        return refuse_missing(t, column, cell);
    if (missing)
        plain = plain_cell(&t->scratch, t->options->missing, t->options->decimal);
    unsigned char element[8];
    rowpool_dtype type = t->dtype;
    const parse_outcome outcome = t->options->type_given ? parse_element(element, type, plain)
                                                         : parse_any(t, element, &type, plain);
    if (outcome == PARSED_BEYOND)
        return refuse_beyond(t, column, plain, type);
    if (outcome == PARSED_NOTHING)
        return refuse_text(t, column, cell);
    watch_losses(t, column, plain, element, missing);
    append_bytes(&t->elements, element, rowpool_dtype_size(t->dtype));
    return true;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static size_t element_count(const table *t)
{
    return t->elements.used / rowpool_dtype_size(t->dtype);
}

/* Ends a ragged row. */
static void append_offset(table *t)
{
    const int64_t offset = (int64_t)element_count(t);
    append_bytes(&t->in->own_offsets, &offset, sizeof offset);
}

/* The number of cells; missing cells at the end of a ragged row do not count. */
static size_t count_cells(table *t, const char *cell, size_t count)
{
    size_t counted = 0;
    if (!t->options->ragged)
        return count;
    for (size_t i = 0; i < count; i++, cell = next_text(cell)) {
        if (!is_missing(plain_cell(&t->scratch, cell, t->options->decimal)))
            counted = i + 1;
    }
    return counted;
}

static bool refuse_count(table *t, size_t count)
{
    const char *hint = t->columns == 1 && t->names.count == 1 ? hints_for(t, 0, t->names.bytes) : "";
    if (t->columns > 1)
        hint = "; --ragged takes rows of any length";
    else if (hint[0] == '\0')
        hint = "; --delimiter says what separates cells";
    return refuse_at(t, NO_COLUMN, "line %zu has %zu cell%s where the first row has %zu%s", t->line, count,
                     count == 1 ? "" : "s", t->columns, hint);
}

static bool take_data(table *t, const char *cell, size_t count)
{
    if (!t->options->ragged && count != t->columns)
        return refuse_count(t, count);
    const size_t before = element_count(t);
    const char *label = "";
    const size_t counted = count_cells(t, cell, count);
    for (size_t i = 0; i < count; i++, cell = next_text(cell)) {
        const bool known = i < t->columns;
        if (i == t->label)
            label = cell;
        else if (known && t->words[i] && !check_word(t, i, cell))
            return false;
        else if (i < counted && !(known && t->skipped[i]) && !take_element(t, i, cell))
            return false;
    }
    if (t->label != NO_COLUMN) {
        if (!check_label(t, label))
            return false;
        append_bytes(&t->in->labels, label, strlen(label));
        end_text(&t->in->labels);
    }
    t->rows++;
    if (t->options->ragged) {
        const size_t width = element_count(t) - before;
        t->widest = width > t->widest ? width : t->widest;
        append_offset(t);
    }
    return true;
}

/* ---- Rows that are kept until the first column is decided -------------------------------------------------------- */

static void keep_row(table *t, const char *cells, size_t count)
{
    const kept_row row = {t->line, count};
    append_bytes(&t->kept, &row, sizeof row);
    t->kept_count++;
    for (size_t i = 0; i < count; i++, cells = next_text(cells))
        append_bytes(&t->kept_cells, cells, strlen(cells) + 1);
}

/* Begins the elements, once it is known what every column is. */
static bool begin_data(table *t)
{
    if (t->options->ragged) {
        append_offset(t);
        return true;
    }
    for (size_t i = 0; i < t->columns; i++)
        t->widest += !t->skipped[i];
    if (t->widest > 0)
        return true;
    return refuse_at(t, NO_COLUMN, "there is no column of numbers: %s",
                     t->columns == 1 ? "its only column holds labels; --delimiter says what separates cells"
                                     : "all are labels, words or skipped");
}

/* Decides on the first column, and takes the rows that were kept. */
static bool settle_labels(table *t, label_rule rule)
{
    const size_t line = t->line;
    t->rule = rule;
    if (rule != LABELS_NONE)
        take_as_labels(t, 0, rule);
    if (!begin_data(t))
        return false;
    const char *cell = t->kept_cells.bytes;
    for (size_t i = 0; i < t->kept_count; i++) {
        kept_row row;
        memcpy(&row, t->kept.bytes + i * sizeof row, sizeof row);
        t->line = row.line;
        if (!take_data(t, cell, row.count))
            return false;
        for (; row.count > 0; row.count--)
            cell = next_text(cell);
    }
    free_buffer(&t->kept_cells);
    t->line = line;
    return true;
}

static bool take_cells(table *t, const char *cells, size_t count)
{
    if (t->rule == LABELS_UNDECIDED) {
        const label_rule rule = choose_rule(t, count > 0 ? cells : NULL);
        if (rule == LABELS_UNDECIDED) {
            keep_row(t, cells, count);
            return true;
        }
        if (!settle_labels(t, rule))
            return false;
    }
    return take_data(t, cells, count);
}

/* ---- The file --------------------------------------------------------------------------------------------------- */

/* Takes the empty lines before a row: missing cells if there is one column, ragged rows without cells, or an error. */
static bool take_empty_lines(table *t)
{
    const size_t line = t->line;
    t->line = t->empty_line;
    if (t->empty > 0 && !t->options->ragged && t->columns > 1)
        return refuse_at(t, NO_COLUMN, "line %zu is empty; --ragged takes it as a row without cells", t->line);
    for (; t->empty > 0; t->empty--) {
        if (!take_cells(t, "", t->options->ragged ? 0 : 1))
            return false;
    }
    t->line = line;
    return true;
}

static bool begin_columns(table *t, bool is_there)
{
    return choose_columns(t, is_there) && (t->rule == LABELS_UNDECIDED || begin_data(t));
}

static bool take_row(table *t)
{
    if (t->hash_line == 0 && t->reader.like_comment && !is_missing(t->cells.bytes))
        t->hash_line = t->line;
    if (t->columns == 0 && take_first_row(t)) {
        t->empty = 0;
        return true;
    }
    return (t->begun || begin_columns(t, true)) && take_empty_lines(t) && take_cells(t, t->cells.bytes, t->cells.count);
}

static void note_reading(table *t)
{
    const cell_reader *r = &t->reader;
    char name[COLUMN_NAME];
    if (t->hash_line != 0)
        add_note(t->in, "line %zu begins with %c and is taken as a row; --comment '%c' skips such lines", t->hash_line,
                 r->dialect.comment, r->dialect.comment);
    if (r->separator != '\0' && t->columns == 1)
        add_note(t->in,
                 "the first line, sep=%c, sets the separator and is not a row; after an empty line it would be one",
                 r->separator);
    if (r->spread_line != 0)
        add_note(t->in,
                 "line %zu, column %zu%s: the quoted cell spans several lines; --quote none takes quotes as ordinary "
                 "characters",
                 r->spread_line, r->spread_column + 1, column_name(name, t, r->spread_column));
}

static void note_loss(table *t, const lost_cell *cell, const char *what, const char *hint)
{
    char name[COLUMN_NAME];
    if (cell->line != 0 && t->dtype >= ROWPOOL_FLOAT16)
        add_note(t->in, "line %zu, column %zu%s: %s %s: %s cannot represent it%s", cell->line, cell->column + 1,
                 column_name(name, t, cell->column), cell->text, what, rowpool_dtype_name(t->dtype), hint);
}

static bool refuse_empty_file(table *t)
{
    char more[96] = "";
    if (t->reader.comments > 0)
        (void)snprintf(more, sizeof more, ", only comment lines, which are skipped; --comment none takes them as rows");
    else if (t->reader.separator != '\0')
        (void)snprintf(more, sizeof more, ", only a first line, sep=%c, that sets the separator", t->reader.separator);
    return refuse_at(t, NO_COLUMN, "the file is empty: there is not even a header%s", more);
}

static bool end_table(table *t)
{
    if (t->columns == 0)
        return refuse_empty_file(t);
    if ((!t->begun && !begin_columns(t, false)) ||
        (t->rule == LABELS_UNDECIDED && !settle_labels(t, t->begins_with_0 ? LABELS_ROW_NUMBERS : LABELS_NONE)))
        return false;
    const bool widest = t->dtype == ROWPOOL_FLOAT64;
    note_reading(t);
    note_loss(t, &t->rounded, "is rounded",
              widest ? "; --type int64 keeps integers as they are" : "; --type float64 holds integers up to 2^53");
    note_loss(t, &t->vanished, "becomes 0", widest ? "" : "; --type float64 holds smaller numbers");
    return true;
}

static bool read_rows(table *t)
{
    for (;;) {
        const row_outcome outcome = read_cells(&t->reader, &t->cells);
        t->line = t->reader.row_line;
        if (outcome == ROW_NONE)
            return end_table(t);
        if (outcome == ROW_WRONG && t->reader.problem != NULL)
            return refuse_at(t, t->cells.count, "%s", t->reader.problem);
        if (outcome == ROW_WRONG)
            return false;
        if (outcome == ROW_EMPTY && t->empty++ == 0)
            t->empty_line = t->line;
        if (outcome == ROW_READ && !take_row(t))
            return false;
    }
}

/* Checked only now, since the file may have set the delimiter. */
static bool check_dialect(table *t)
{
    const unsigned char delimiter = t->reader.dialect.delimiter;
    const char *also = delimiter == RUNS_OF_BLANKS                       ? NULL
                       : delimiter == (unsigned char)t->options->decimal ? "--decimal"
                       : delimiter == t->reader.dialect.comment          ? "--comment"
                                                                         : NULL;
    return also == NULL ||
           refuse_at(t, NO_COLUMN, "%s and the delimiter are the same character, '%c'; choose another with --delimiter",
                     also, delimiter);
}

/* Returns the whole pages within these bytes to the system. */
static void release_pages(const char *bytes, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)bytes + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)bytes + size) / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* Moves the elements to memory that every worker reaches without a copy. Pages are released as they are copied, so that
 * the elements never take their memory twice. */
static rowpool_status move_elements(table *t, void **memory)
{
    enum { STEP = 1 << 20 };
    const size_t bytes = t->elements.used;
    rowpool_error refusal;
    if (bytes == 0)
        return ROWPOOL_OK;
    if ((*memory = rowpool_alloc(bytes, &refusal)) == NULL)
        return rp_fail(t->error, refusal.status, "no memory for %zu elements: %s", element_count(t), refusal.message);
    for (size_t at = 0, step; at < bytes; at += step) {
        step = bytes - at < STEP ? bytes - at : STEP;
        memcpy((char *)*memory + at, t->elements.bytes + at, step);
        release_pages(t->elements.bytes + at, step);
    }
    return ROWPOOL_OK;
}

static rowpool_status end_input(table *t)
{
    npy_array *array = &t->in->array;
    array->header = (npy_header){.dtype = t->dtype,
                                 .dimensions = 2,
                                 .shape = {t->rows, t->widest},
                                 .rows = t->rows,
                                 .width = t->widest,
                                 .data_bytes = t->elements.used};
    t->in->offsets = (const int64_t *)(const void *)t->in->own_offsets.bytes;
    rowpool_status status = move_elements(t, &array->memory);
    array->data = array->memory;
    return status;
}

static cell_dialect choose_dialect(const input_options *options)
{
    cell_dialect dialect = options->format->dialect;
    dialect.comment = '#';
    if (options->comment != NULL)
        dialect.comment = strcmp(options->comment, "none") == 0 ? '\0' : (unsigned char)*options->comment;
    dialect.comments_anywhere = options->comment != NULL;
    dialect.delimiter_given = options->delimiter != NULL;
    if (dialect.delimiter_given)
        dialect.delimiter = strcmp(options->delimiter, "space") == 0 ? RUNS_OF_BLANKS
                                                                     : (unsigned char)*options->delimiter;
    dialect.quotes = options->quote_none ? QUOTES_NONE : dialect.quotes;
    return dialect;
}

rowpool_status open_table(input *in, int fd, const input_options *options, rowpool_error *error)
{
    table t = {.options = options, .in = in, .error = error};
    const byte_stream stream = {read_descriptor, &fd};
    const cell_dialect dialect = choose_dialect(options);
    t.dtype = options->type_given ? options->type : ROWPOOL_INT64;
    if (begin_cells(&t.reader, &dialect, &stream, error) && check_dialect(&t) && read_rows(&t))
        t.status = end_input(&t);
    else if (t.status == ROWPOOL_OK)
        t.status = t.reader.status;
    buffer *const buffers[] = {&t.cells, &t.scratch, &t.hints, &t.names, &t.first, &t.kept, &t.kept_cells, &t.elements};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free_buffer(buffers[i]);
    free(t.skipped);
    return t.status;
}
