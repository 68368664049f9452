/* A text table while it is read, and which of its columns are what. */
#ifndef ROWPOOL_CLI_COLUMNS_H
#define ROWPOOL_CLI_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "cells.h"
#include "input.h"
#include "rowpool.h"
#include "words.h"

typedef enum {
    LABELS_UNDECIDED,  /* the cells of the first column are missing so far: their rows are kept */
    LABELS_NONE,       /* no column names the rows */
    LABELS_CHOSEN,     /* it does, whatever it holds */
    LABELS_WORDS,      /* it does, for it holds words */
    LABELS_ROW_NUMBERS /* it does, for it holds 0, 1, 2 ... and is called row, as rowpool writes it */
} label_rule;

typedef struct {
    size_t line, count; /* of cells */
} kept_row;

/* A cell whose number is not what was read. */
typedef struct {
    size_t line, column; /* line 0: there is none */
    char text[96];
} lost_cell;

typedef struct {
    const input_options *options;
    input *in;
    cell_reader reader;
    rowpool_status status; /* of what was found wrong */
    rowpool_error *error;
    size_t line;  /* at which the row begins that is looked at, from 1 */
    buffer cells; /* of the row that was read last */
    buffer scratch, hints;
    size_t empty, empty_line; /* lines that were empty since then, and the first of them */
    size_t hash_line;         /* the first row of data that begins with # and no word for a missing cell; 0: none */

    /* Once the first row is there: */
    buffer names;      /* from the header; none: there is no header */
    size_t columns;    /* 0: there was no row yet */
    bool may_be_names; /* the first row has no number, and is none */
    /* Once the first row of data is there: */
    bool begun;
    size_t first_line; /* of that row */
    buffer first;      /* its cells */
    bool *skipped;     /* by column */
    bool *words;       /* those of them that nobody asked to skip */
    label_rule rule;
    size_t label;               /* the column of labels, or NO_COLUMN */
    size_t word_row, word_line; /* of LABELS_WORDS: where the first word is */
    bool begins_with_0;         /* the first column may hold row numbers: its first row is kept */
    buffer kept, kept_cells;    /* of LABELS_UNDECIDED: each kept_row, and their cells */
    size_t kept_count;

    rowpool_dtype dtype;
    buffer elements;
    size_t rows, widest;
    lost_cell rounded, vanished; /* the first integer that a float does not hold, the first number that becomes 0 */
} table;

/* ---- What is wrong: false ---------------------------------------------------------------------------------------- */

/* At the cell of that column, from 0, of the row that is looked at; NO_COLUMN: the text says where. */
#define NO_COLUMN SIZE_MAX
__attribute__((format(printf, 3, 4))) bool refuse_at(table *t, size_t column, const char *format, ...);

/* " (name)" where the column has one. */
enum { COLUMN_NAME = 80 };
const char *column_name(char text[COLUMN_NAME], const table *t, size_t column);

/* "; --skip 2 leaves the column out, ...": what may help where a cell is no number. The text stands until the next one. */
const char *hints_for(table *t, size_t column, const char *cell);

/* ---- What is what: false after a failure ------------------------------------------------------------------------- */

cell_kind kind_in(table *t, const char *cell);

/* The first row; whether it is a header, which is kept. */
bool take_first_row(table *t);

/* The first row of data is among the cells; or there is none. */
bool choose_columns(table *t, bool is_there);

/* The rule by the next cell of the first column, which may leave it undecided; NULL: the row has none. */
label_rule choose_rule(table *t, const char *cell);

/* Takes the column as labels, by a rule of those. */
void take_as_labels(table *t, size_t column, label_rule rule);

/* Looks whether the label goes with the rule. */
bool check_label(table *t, const char *cell);

/* Looks at a cell of a column that is left out because it holds words. */
bool check_word(table *t, size_t column, const char *cell);

#endif
