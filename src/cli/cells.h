/* The cells of a text table, row by row. A quoted cell holds everything between its quotes; a quote within it is written
 * twice. Spaces and tabs around a cell are dropped unless they separate cells. Lines end with \n, \r\n or \r. */
#ifndef ROWPOOL_CLI_CELLS_H
#define ROWPOOL_CLI_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "rowpool.h"
#include "stream.h"

typedef enum {
    QUOTES_AROUND, /* enclose a whole cell; elsewhere they are an error */
    QUOTES_BEFORE, /* enclose a whole cell; elsewhere they are ordinary characters */
    QUOTES_NONE    /* are always ordinary characters */
} quote_rule;

enum { RUNS_OF_BLANKS = '\0' };
typedef struct {
    unsigned char delimiter; /* or RUNS_OF_BLANKS: any run of spaces and tabs separates */
    bool delimiter_given;    /* false: a first line sep=C may set it, and two tabs in a run of blanks are an error */
    quote_rule quotes;
    unsigned char comment;  /* lines that begin with it are skipped; '\0': none are */
    bool comments_anywhere; /* skip them everywhere, not only before the first row */
} cell_dialect;

/* Whether the character can separate numbers. */
bool can_delimit(char c);

typedef struct {
    cell_dialect dialect; /* the delimiter may come from the file */
    size_t row_line;      /* where the last row begins, from 1 */
    size_t comments;      /* lines that were skipped before the first row */
    size_t first_comment; /* the line of the first of them */
    char separator;       /* set by a first line sep=C; '\0': none */
    bool like_comment;    /* the last row begins like a comment that would be skipped before the first row */
    size_t spread_line;   /* QUOTES_BEFORE: the first quoted cell with a line end in it; 0: none */
    size_t spread_column; /* of that cell, from 0 */
    rowpool_status status;
    const char *problem; /* EINVAL: what is wrong with the next cell */

    /* Private. */
    const byte_stream *stream;
    rowpool_error *error;
    char bytes[64 * 1024];
    size_t at, end; /* the unread part of bytes */
    bool is_last;   /* the stream has ended */
    size_t line;    /* of `at` */
    bool begun;     /* a row was read */
    bool ends[256]; /* bytes that end a run within an unquoted cell */
} cell_reader;

/* The reader must not move, and the stream must outlive it. False: see reader->status. */
bool begin_cells(cell_reader *reader, const cell_dialect *dialect, const byte_stream *stream, rowpool_error *error);

typedef enum { ROW_READ, ROW_EMPTY /* a line of blanks */, ROW_NONE /* the file ends */, ROW_WRONG } row_outcome;
row_outcome read_cells(cell_reader *reader, buffer *cells);

#endif
