/* Text tables, .csv and .tsv: cells by libcsv, numbers and what stands around them here. The file is read once, and kept
 * are its numbers, its labels and one row of text. */
#include <csv.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elements.h"
#include "input.h"
#include "message.h"
#include "number.h"

enum { MOST_CELL = 1 << 20 /* bytes; a longer one is a quote that nobody closed */ };

typedef struct {
    const input_options *options;
    input *in;
    struct csv_parser parser;
    rowpool_status status; /* of what a callback found wrong */
    rowpool_error *error;
    size_t line;     /* at which the row begins that is read, from 1 */
    text_list cells; /* of that row */

    /* Once the first row is there: */
    text_list names; /* from the header; none: there is no header */
    size_t columns;  /* 0: there was no row yet */
    /* Once the first row of data is there: */
    bool begun;
    bool *skipped; /* by column */
    bool *words;   /* those of them that nobody asked to skip */
    size_t label;  /* the column of labels; SIZE_MAX: none */

    rowpool_dtype dtype;
    element_list elements;
    size_t rows, widest;
    size_t offset_capacity;
} table;

/* ---- What is wrong ---------------------------------------------------------------------------------------------- */

static bool out_of_memory(table *t)
{
    t->status = fail(t->error, ROWPOOL_ENOMEM, "out of memory at line %zu", t->line);
    return false;
}

/* " (name)" where the column has one. */
enum { COLUMN_NAME = 80 };
static const char *column_name(char text[COLUMN_NAME], const table *t, size_t column)
{
    text[0] = '\0';
    if (column < t->names.count)
        (void)snprintf(text, COLUMN_NAME, " (%.60s)", text_at(&t->names, column));
    return text;
}

/* At the cell of that column, from 0. */
__attribute__((format(printf, 3, 4))) static bool refuse(table *t, size_t column, const char *format, ...)
{
    char what[512];
    char name[COLUMN_NAME];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    t->status = fail(t->error, ROWPOOL_EINVAL, "line %zu, column %zu%s: %s", t->line, column + 1,
                     column_name(name, t, column), what);
    return false;
}

/* ---- Columns ---------------------------------------------------------------------------------------------------- */

static bool is_missing(const char *cell)
{
    return cell[0] == '\0' || strcmp(cell, "NA") == 0;
}

static bool is_number(const char *cell)
{
    double value;
    return parse_element(&value, ROWPOOL_FLOAT64, cell) != PARSED_NOTHING;
}

/* The column of that name or number; false after a failure. */
static bool find_column(table *t, size_t *column, const char *option, const char *text, size_t length)
{
    const char *name = t->names.bytes;
    for (*column = 0; *column < t->names.count; ++*column, name = next_text(name)) {
        if (strlen(name) == length && memcmp(name, text, length) == 0)
            return true;
    }
    *column = 0;
    for (size_t i = 0; i < length && text[i] >= '0' && text[i] <= '9' && *column <= t->columns; i++)
        *column = 10 * *column + (size_t)(text[i] - '0');
    if (length > 0 && strspn(text, "0123456789") >= length && *column >= 1 && --*column < t->columns)
        return true;
    t->status = fail(t->error, ROWPOOL_EINVAL, "%s: there is no column '%.*s'; there are 1 to %zu%s", option,
                     length < 100 ? (int)length : 100, text, t->columns,
                     t->names.count > 0 ? ", and the names in the header" : " and no header");
    return false;
}

static bool choose_skipped(table *t)
{
    t->skipped = calloc(t->columns, sizeof *t->skipped);
    t->words = calloc(t->columns, sizeof *t->words);
    if (t->skipped == NULL || t->words == NULL)
        return out_of_memory(t);
    for (const char *item = t->options->skip; item != NULL;) {
        const size_t length = strcspn(item, ",");
        size_t column;
        if (!find_column(t, &column, "--skip", item, length))
            return false;
        t->skipped[column] = true;
        item = item[length] == ',' ? item + length + 1 : NULL;
    }
    return true;
}

static bool choose_label(table *t, const char *first_cell)
{
    const char *wanted = t->options->labels;
    t->label = SIZE_MAX;
    if (wanted == NULL && first_cell != NULL && !t->skipped[0] && !is_missing(first_cell) && !is_number(first_cell))
        t->label = 0;
    else if (wanted != NULL && strcmp(wanted, "none") != 0 &&
             !find_column(t, &t->label, "--labels", wanted, strlen(wanted)))
        return false;
    if (t->label == SIZE_MAX)
        return true;
    t->skipped[t->label] = true;
    if (t->names.count > 0 && (t->in->title = strdup(text_at(&t->names, t->label))) == NULL)
        return out_of_memory(t);
    return true;
}

/* No damaged number: it begins with a letter. */
static bool is_word(const char *cell)
{
    const unsigned char first = (unsigned char)cell[0];
    const bool letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z') || first >= 0x80;
    return letter && !is_missing(cell) && !is_number(cell);
}

static bool set_note(table *t, const char *note)
{
    free(t->in->note);
    t->in->note = strdup(note);
    return t->in->note != NULL || out_of_memory(t);
}

static bool note_words(table *t, size_t first, size_t count)
{
    char name[COLUMN_NAME];
    char note[2 * COLUMN_NAME];
    (void)column_name(name, t, first);
    if (count == 1)
        (void)snprintf(note, sizeof note, "column %zu%s holds words and is left out", first + 1, name);
    else
        (void)snprintf(note, sizeof note, "column %zu%s and %zu more hold words and are left out", first + 1, name,
                       count - 1);
    return set_note(t, note);
}

/* Leaves out what begins with a word in the row, the first of data. */
static bool choose_words(table *t)
{
    size_t first = 0;
    size_t count = 0;
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < t->cells.count && i < t->columns; i++, cell = next_text(cell)) {
        if (t->skipped[i] || !is_word(cell))
            continue;
        t->skipped[i] = t->words[i] = true;
        first = count++ == 0 ? i : first;
    }
    return count == 0 || note_words(t, first, count);
}

/* Notes where the next ragged row begins. */
static bool append_offset(table *t, size_t row)
{
    if (row >= t->offset_capacity) {
        const size_t capacity = 2 * row + 64; /* as many rows are there already: no overflow */
        int64_t *offsets = reallocarray(t->in->own_offsets, capacity, sizeof *offsets);
        if (offsets == NULL)
            return out_of_memory(t);
        t->in->offsets = t->in->own_offsets = offsets;
        t->offset_capacity = capacity;
    }
    t->in->own_offsets[row] = (int64_t)t->elements.count;
    return true;
}

/* first_cell: of the first row of data; NULL: there is no such row. */
static bool begin_data(table *t, const char *first_cell)
{
    t->begun = true;
    if (!choose_skipped(t) || !choose_label(t, first_cell) || (first_cell != NULL && !choose_words(t)))
        return false;
    if (t->options->ragged)
        return append_offset(t, 0);
    for (size_t i = 0; i < t->columns; i++)
        t->widest += !t->skipped[i];
    if (t->widest > 0)
        return true;
    t->status = fail(t->error, ROWPOOL_EINVAL, "there is no column of numbers: %s",
                     t->columns == 1 ? "the only one holds labels; --delimiter says what separates cells"
                                     : "all are labels, words or skipped");
    return false;
}

/* ---- The first row ---------------------------------------------------------------------------------------------- */

/* A header has words and no number. */
static bool is_header(const table *t)
{
    if (t->options->header != HEADER_AUTO)
        return t->options->header == HEADER_YES;
    bool words = false;
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < t->cells.count; i++, cell = next_text(cell)) {
        if (is_number(cell))
            return false;
        words |= !is_missing(cell);
    }
    return words;
}

/* Whether it looks like names that are numbers, as years are: a word, and then one integer after the other. */
static bool counts_up(const table *t)
{
    const char *cell = t->cells.bytes;
    if (t->cells.count < 4 || !is_word(cell))
        return false;
    int64_t before = 0;
    for (size_t i = 1; i < t->cells.count; i++) {
        int64_t number;
        cell = next_text(cell);
        if (parse_element(&number, ROWPOOL_INT64, cell) != PARSED ||
            (i > 1 && (before == INT64_MAX || number != before + 1)))
            return false;
        before = number;
    }
    return true;
}

/* *header: whether the row is one, which is kept. */
static bool take_first_row(table *t, bool *header)
{
    t->columns = t->cells.count;
    *header = is_header(t);
    if (!*header)
        return t->options->header != HEADER_AUTO || !counts_up(t) ||
               set_note(t, "the first row is taken as data; --header yes takes it as names");
    t->names = t->cells;
    t->cells = (text_list){0};
    return true;
}

/* ---- Cells ------------------------------------------------------------------------------------------------------ */

/* As nobody chose a type: integers as long as there is nothing else, then doubles; *tried is what the cell looks like.
 */
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
                       : type == ROWPOOL_FLOAT64 ? "; inf is what is above every number"
                                                 : "; --type uint64 or float64 may hold it";
    return refuse(t, column, "'%.60s' is beyond %s%s", cell, rowpool_dtype_name(type), hint);
}

/* In the first row of data it may be the column that is meant to have no numbers. */
static bool refuse_word(table *t, size_t column, const char *cell)
{
    char hint[128] = "";
    if (t->rows == 0)
        (void)snprintf(
            hint, sizeof hint, "; --skip %zu leaves the column out%s", column + 1,
            t->names.count == 0 && t->options->header == HEADER_AUTO ? ", --header yes takes this row as names" : "");
    if (t->options->type_given)
        return refuse(t, column, "'%.60s' is no %s%s", cell, rowpool_dtype_name(t->dtype), hint);
    return refuse(t, column, "'%.60s' is no number%s", cell, hint);
}

static bool refuse_missing(table *t, size_t column)
{
    const char *type = t->options->type_given ? rowpool_dtype_name(t->dtype) : "number";
    return refuse(t, column, "the cell is missing, and --missing '%.60s' is no %s", t->options->missing, type);
}

static bool take_cell(table *t, size_t column, const char *cell)
{
    const bool missing = is_missing(cell);
    if (missing && t->options->missing == NULL)
        return refuse(t, column, "the cell is missing; --missing says what stands in for it, as in --missing nan");
    if (missing)
        cell = t->options->missing;
    unsigned char element[8];
    rowpool_dtype type = t->dtype;
    const parse_outcome outcome = t->options->type_given ? parse_element(element, type, cell)
                                                         : parse_any(t, element, &type, cell);
    if (outcome == PARSED_BEYOND)
        return refuse_beyond(t, column, cell, type);
    if (outcome == PARSED_NOTHING)
        return missing ? refuse_missing(t, column) : refuse_word(t, column, cell);
    return append_element(&t->elements, element, rowpool_dtype_size(t->dtype)) || out_of_memory(t);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static bool end_row(table *t, size_t width)
{
    t->rows++;
    if (!t->options->ragged)
        return true;
    t->widest = width > t->widest ? width : t->widest;
    return append_offset(t, t->rows);
}

/* Cells of the row that count; empty ones at the end of a ragged one do not. */
static size_t count_cells(const table *t)
{
    if (!t->options->ragged)
        return t->cells.count;
    size_t count = 0;
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < t->cells.count; i++, cell = next_text(cell)) {
        if (!is_missing(cell))
            count = i + 1;
    }
    return count;
}

static bool take_data(table *t)
{
    if (!t->options->ragged && t->cells.count != t->columns) {
        t->status = fail(t->error, ROWPOOL_EINVAL, "line %zu has %zu cell%s where the first row has %zu; %s", t->line,
                         t->cells.count, t->cells.count == 1 ? "" : "s", t->columns,
                         t->columns == 1 ? "--delimiter says what separates cells"
                                         : "--ragged takes rows of any length");
        return false;
    }
    const size_t before = t->elements.count;
    const size_t count = count_cells(t);
    const char *label = "";
    const char *cell = t->cells.bytes;
    for (size_t i = 0; i < count; i++, cell = next_text(cell)) {
        const bool known = i < t->columns;
        if (i == t->label)
            label = cell;
        else if (known && t->words[i] && is_number(cell))
            return refuse(t, i, "'%.60s' is a number, and the column begins with a word; --skip %zu leaves it out",
                          cell, i + 1);
        else if ((!known || !t->skipped[i]) && !take_cell(t, i, cell))
            return false;
    }
    if (t->label != SIZE_MAX && !add_text(&t->in->labels, label, strlen(label)))
        return out_of_memory(t);
    return end_row(t, t->elements.count - before);
}

static bool take_row(table *t)
{
    bool header = false;
    if (t->columns == 0 && !take_first_row(t, &header))
        return false;
    if (header)
        return true;
    return (t->begun || begin_data(t, t->cells.bytes)) && take_data(t);
}

/* ---- The parser's callbacks: they cannot end it, so they do nothing once something is wrong ------------------------ */

static void on_cell(void *text, size_t length, void *context)
{
    table *t = context;
    if (t->status != ROWPOOL_OK)
        return;
    if (length > 0 && memchr(text, '\0', length) != NULL)
        (void)refuse(t, t->cells.count, "there is a NUL byte: it is no text in UTF-8 or the like");
    else if (!add_text(&t->cells, text, length))
        (void)out_of_memory(t);
}

static void on_row(int terminator, void *context)
{
    (void)terminator;
    table *t = context;
    if (t->status == ROWPOOL_OK)
        (void)take_row(t);
    clear_texts(&t->cells);
}

/* ---- The file --------------------------------------------------------------------------------------------------- */

static bool refuse_parse(table *t)
{
    if (t->status != ROWPOOL_OK)
        return false;
    if (csv_error(&t->parser) != CSV_EPARSE)
        return out_of_memory(t);
    return refuse(t, t->cells.count,
                  "a quote stands within the cell; one that belongs to it is doubled, within quotes");
}

/* What belongs to one line: with its end, if that is there. */
static size_t piece_length(const char *bytes, size_t size)
{
    const char *end = memchr(bytes, '\n', size);
    const size_t length = end != NULL ? (size_t)(end - bytes) + 1 : size;
    end = memchr(bytes, '\r', length);
    return end != NULL ? (size_t)(end - bytes) + 1 : length;
}

/* The parser gets the lines one by one, so that it is known which one it is in. before: the last byte in front. */
static bool take_bytes(table *t, const char *bytes, size_t size, char *before, size_t *lines)
{
    while (size > 0) {
        const size_t length = piece_length(bytes, size);
        const bool begins = *before == '\n' || (*before == '\r' && bytes[0] != '\n');
        *lines += begins;
        if (begins && !t->parser.quoted)
            t->line = *lines;
        if (csv_parse(&t->parser, bytes, length, on_cell, on_row, t) != length || t->status != ROWPOOL_OK)
            return refuse_parse(t);
        if (t->parser.entry_pos > MOST_CELL)
            return refuse(t, t->cells.count, "a cell of more than %d bytes: is a quote not closed?", MOST_CELL);
        *before = bytes[length - 1];
        bytes += length;
        size -= length;
    }
    return true;
}

static bool end_file(table *t)
{
    if (csv_fini(&t->parser, on_cell, on_row, t) != 0)
        return refuse(t, t->cells.count, "the cell begins with a quote that is not closed");
    if (t->status != ROWPOOL_OK)
        return false;
    if (t->columns > 0)
        return t->begun || begin_data(t, NULL);
    t->status = fail(t->error, ROWPOOL_EINVAL, "the file is empty: there is not even a header");
    return false;
}

static bool read_file(table *t, int fd)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that some programs put before UTF-8 */
    const byte_stream stream = {read_descriptor, &fd};
    char bytes[64 * 1024];
    char before = '\n';
    size_t lines = 0;
    size_t found;
    bool first = true;
    do {
        t->status = read_stream(&stream, bytes, sizeof bytes, &found, t->error);
        if (t->status != ROWPOOL_OK)
            return false;
        const size_t begin = first && found >= strlen(mark) && memcmp(bytes, mark, strlen(mark)) == 0 ? strlen(mark)
                                                                                                      : 0;
        first = false;
        if (!take_bytes(t, bytes + begin, found - begin, &before, &lines))
            return false;
    } while (found == sizeof bytes);
    return end_file(t);
}

static rowpool_status finish(table *t)
{
    npy_array *array = &t->in->array;
    const size_t size = rowpool_dtype_size(t->dtype);
    array->header = (npy_header){.dtype = t->dtype,
                                 .dimensions = 2,
                                 .shape = {t->rows, t->widest},
                                 .rows = t->rows,
                                 .width = t->widest,
                                 .data_bytes = t->elements.count * size};
    rowpool_status status = collect_elements(&array->memory, &t->elements, size, t->error);
    array->data = array->memory;
    return status;
}

static rowpool_status open_table(input *in, int fd, char delimiter, const input_options *options, rowpool_error *error)
{
    table t = {.options = options, .in = in, .error = error};
    t.dtype = options->type_given ? options->type : ROWPOOL_INT64;
    if (csv_init(&t.parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL) != 0)
        return fail(error, ROWPOOL_ESYSTEM, "libcsv does not start");
    csv_set_delim(&t.parser, (unsigned char)(options->delimiter != '\0' ? options->delimiter : delimiter));
    if (read_file(&t, fd))
        t.status = finish(&t);
    csv_free(&t.parser);
    free_texts(&t.cells);
    free_texts(&t.names);
    free(t.skipped);
    free(t.words);
    free_elements(&t.elements);
    return t.status;
}

rowpool_status open_csv(input *in, int fd, const input_options *options, rowpool_error *error)
{
    return open_table(in, fd, ',', options, error);
}

rowpool_status open_tsv(input *in, int fd, const input_options *options, rowpool_error *error)
{
    return open_table(in, fd, '\t', options, error);
}
