/* The cells of a text table, row by row. A cell in quotes holds whatever stands between them, a quote doubled; around any
 * other, and around quotes, spaces and tabs are dropped unless they separate cells. A line ends with \n, \r\n or \r. */
#ifndef ROWPOOL_CLI_CELLS_H
#define ROWPOOL_CLI_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "rowpool.h"
#include "stream.h"

typedef enum {
    QUOTES_AROUND, /* around a whole cell; within another they are an error */
    QUOTES_BEFORE, /* within another they are characters like others */
    QUOTES_NONE    /* they are everywhere */
} quote_rule;

enum { RUNS_OF_BLANKS = '\0' };
typedef struct {
    unsigned char delimiter; /* or RUNS_OF_BLANKS: any number of spaces and tabs is one separator */
    bool delimiter_given;    /* else a first line sep=C says it, and in a run of blanks two tabs are an error */
    quote_rule quotes;
    unsigned char comment;  /* lines that begin with it are skipped; '\0': none are */
    bool comments_anywhere; /* else only before the first row */
} cell_dialect;

/* Whether it can stand between numbers. */
bool can_delimit(char c);

typedef struct {
    cell_dialect dialect; /* with the delimiter that the file says */
    size_t row_line;      /* at which the last row begins, from 1 */
    size_t comments;      /* lines that were skipped before the first row */
    size_t first_comment; /* the line of the first of them */
    char separator;       /* that a first line sep=C says; '\0': there is none */
    bool like_comment;    /* the last row begins as a line that is skipped before the first row */
    size_t spread_line;   /* of the first quoted cell of QUOTES_BEFORE that goes over a line end; 0: there is none */
    size_t spread_column; /* of that cell, from 0 */
    rowpool_status status;
    const char *problem; /* of a ROW_WRONG with ROWPOOL_EINVAL: what is wrong in the cell after those that are there */

    /* Own to the reader. */
    const byte_stream *stream;
    rowpool_error *error;
    char bytes[64 * 1024];
    size_t at, end; /* of what is not read yet in them */
    bool is_last;   /* there is no more in the stream */
    size_t line;    /* in which `at` is */
    bool begun;     /* there was a row */
    bool ends[256]; /* whether a byte ends a run of a cell's bytes */
} cell_reader;

/* Both stay where they are while the reader is used. False: status says what went wrong. */
bool begin_cells(cell_reader *reader, const cell_dialect *dialect, const byte_stream *stream, rowpool_error *error);

typedef enum { ROW_READ, ROW_EMPTY /* a line of blanks */, ROW_NONE /* the file ends */, ROW_WRONG } row_outcome;
row_outcome read_cells(cell_reader *reader, buffer *cells);

#endif
