/* A text table while it is read, and what its columns are. */
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
    LABELS_UNDECIDED,  /* not known yet: rows are kept until the first column shows it */
    LABELS_NONE,       /* no column names the rows */
    LABELS_CHOSEN,     /* a column that --labels names, or the first one if it has no name */
    LABELS_WORDS,      /* the first column, which holds words */
    LABELS_ROW_NUMBERS /* the first column, which is named row and holds 0, 1, 2 ... */
} label_rule;

typedef struct {
    size_t line, count; /* of cells */
} kept_row;

/* A number that its dtype cannot hold. */
typedef struct {
    size_t line, column; /* line 0: there is none */
    char text[96];
} lost_cell;

typedef struct {
    const input_options *options;
    input *in;
    cell_reader reader;
    rowpool_status status; /* of the first error outside the reader, which has its own */
    rowpool_error *error;
    size_t line;  /* where the current row begins, from 1 */
    buffer cells; /* of the row that was read last */
    buffer scratch, hints;
    size_t empty, empty_line; /* empty lines since the last row, and the first of them */
    size_t hash_line;         /* the first row of data that looks like a comment; 0: none */

    /* Set by the first row. */
    buffer names;      /* of the header; empty: there is none */
    size_t columns;    /* 0: no row yet */
    bool may_be_names; /* the first row has no number, but is not taken as a header */
    /* Set by the first row of data. */
    bool begun;
    size_t first_line; /* of that row */
    buffer first;      /* its cells */
    bool *skipped;     /* by column */
    bool *words;       /* those skipped because they hold words */
    label_rule rule;
    size_t label;               /* the column of labels, or NO_COLUMN */
    size_t word_row, word_line; /* LABELS_WORDS: the first word */
    bool begins_with_0;         /* the first column may be row numbers: its first row is kept */
    buffer kept, kept_cells;    /* LABELS_UNDECIDED: an array of kept_row, and their cells */
    size_t kept_count;

    rowpool_dtype dtype;
    buffer elements;
    size_t rows, widest;
    lost_cell rounded, vanished; /* the first integer that is rounded, the first number that becomes 0 */
} table;

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/* Fails at that column, from 0, of the current row, and returns false. NO_COLUMN: the text says where. */
#define NO_COLUMN SIZE_MAX
__attribute__((format(printf, 3, 4))) bool refuse_at(table *t, size_t column, const char *format, ...);

/* " (name)" if the column has a name. */
enum { COLUMN_NAME = 80 };
const char *column_name(char text[COLUMN_NAME], const table *t, size_t column);

/* "; --skip 2 leaves the column out, ...": options that may help where a cell is not a number. Valid until the next
 * call. */
const char *hints_for(table *t, size_t column, const char *cell);

/* ---- The roles of columns: functions that return bool return false after a failure ------------------------------- */

cell_kind kind_in(table *t, const char *cell);

/* Whether the first row is a header; its cells then move to t->names. */
bool take_first_row(table *t);

/* Decides what each column is. is_there: there is a first row of data, in t->cells. */
bool choose_columns(table *t, bool is_there);

/* Decides what the first column is by its next cell, which may leave it undecided. NULL: the row has no cell. */
label_rule choose_rule(table *t, const char *cell);

/* Makes the column the labels, under that rule. */
void take_as_labels(table *t, size_t column, label_rule rule);

/* Checks a label against the rule. */
bool check_label(table *t, const char *cell);

/* Checks a cell of a column that is skipped because it holds words. */
bool check_word(table *t, size_t column, const char *cell);

#endif
