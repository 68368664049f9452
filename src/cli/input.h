/* The rows of an input file. Each format is a function that opens a file. */
#ifndef ROWPOOL_CLI_INPUT_H
#define ROWPOOL_CLI_INPUT_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "cells.h"
#include "npy.h"
#include "rowpool.h"

/* The rows in memory. */
typedef struct {
    npy_array array;         /* its width is that of the widest row */
    const int64_t *offsets;  /* of ragged rows, count + 1 of them; NULL: dense */
    buffer own_offsets;      /* the memory of offsets, if they come from the table itself */
    npy_array offset_file;   /* of --offsets */
    const char *offset_path; /* NULL: no --offsets */
    buffer labels;           /* one for each row, or none */
    buffer title;            /* of the label column, one text or none */
    buffer notes;            /* one text or none: what was skipped, or interpreted without an option that says so */
} input;

typedef struct input_options input_options;

/* Opens a file. After a failure *in can still be closed. */
typedef rowpool_status open_input_format(input *in, int fd, const input_options *options, rowpool_error *error);
open_input_format open_npz, open_table;

/* Decompresses all members of a .gz file into a file in memory, which is open at its beginning. Checksums are
 * verified. */
rowpool_status expand_gzip(int *expanded, int fd, rowpool_error *error);

typedef struct {
    const char *name;
    const char *suffixes[2];
    open_input_format *open;
    cell_dialect dialect; /* of text: the default */
} input_format;

/* What the options say. */
typedef enum { HEADER_AUTO, HEADER_YES, HEADER_NO } header_choice;
struct input_options {
    const char *command;        /* for messages */
    unsigned given;             /* a bit for each option below that was given */
    const input_format *format; /* NULL: chosen by the file name */
    bool type_given;
    rowpool_dtype type;
    bool shape_given;
    size_t rows, width;    /* of --shape */
    const char *member;    /* NULL: the only one */
    const char *offsets;   /* the path of their file; NULL: none */
    const char *delimiter; /* one character, or "space": any number of blanks; NULL: the format's own */
    char decimal;          /* ',' or '.'; 0: '.' */
    bool quote_none;       /* quotes are ordinary characters */
    const char *comment;   /* the first character of lines to skip, or "none"; NULL: # before the first row */
    header_choice header;
    const char *labels;  /* the name or number of a column, or "none"; NULL: a first column of words */
    const char *skip;    /* names and numbers of columns, separated by commas, or NULL */
    const char *missing; /* replaces missing cells; NULL: they are errors */
    bool ragged;
};

/* Appends to in->notes. */
__attribute__((format(printf, 2, 3))) void add_note(input *in, const char *format, ...);

/* The options in getopt_long's table, and in every help text. */
/* clang-format off */
#define INPUT_OPTIONS                            \
    {"format", required_argument, NULL, 'F'},    \
    {"type", required_argument, NULL, 'T'},      \
    {"shape", required_argument, NULL, 'S'},     \
    {"member", required_argument, NULL, 'e'},    \
    {"offsets", required_argument, NULL, 'O'},   \
    {"header", required_argument, NULL, 'H'},    \
    {"labels", required_argument, NULL, 'L'},    \
    {"skip", required_argument, NULL, 'k'},      \
    {"missing", required_argument, NULL, 'i'},   \
    {"delimiter", required_argument, NULL, 'D'}, \
    {"decimal", required_argument, NULL, 'N'},   \
    {"quote", required_argument, NULL, 'Q'},     \
    {"comment", required_argument, NULL, 'C'},   \
    {"ragged", no_argument, NULL, 'g'}
/* clang-format on */
#define INPUT_HELP                                                                                                    \
    "  --format WHICH  what FILE is: npy, npz, csv, tsv, txt or raw (default: as its name ends, before any .gz)\n"    \
    "  --type TYPE     of raw and text: int8 to int64, uint8 to uint64, float16 to float64 (default of text: int64, " \
    "or\n"                                                                                                            \
    "                  float64 if a cell is not an integer)\n"                                                        \
    "  --shape R:C     of raw: R rows of C elements\n"                                                                \
    "  --member NAME   of npz: which array, where there are several\n"                                                \
    "  --offsets FILE  of npy, npz and raw: a .npy file with the offsets where ragged rows begin, and the end\n"      \
    "  --header WHICH  of text: whether the first row names the columns: yes, no or auto (default)\n"                 \
    "  --labels COLUMN of text: the column that names the rows, by its name or number (from 1), or none\n"            \
    "  --skip LIST     of text: columns to leave out, by their names or numbers\n"                                    \
    "  --missing VALUE of text: the value for a missing cell, such as nan or 0; without it such a cell is an error\n" \
    "  --delimiter C   of text: what separates cells; space is any number of spaces and tabs\n"                       \
    "  --decimal C     of text: the decimal point, a comma or a point (default)\n"                                    \
    "  --quote none    of text: quotes are ordinary characters\n"                                                     \
    "  --comment C     of text: lines that begin with C are skipped; none takes all lines as rows\n"                  \
    "  --ragged        of text: rows may differ in their number of cells\n"

/* Takes one of the options above; false if it is another. *read: whether its value is valid; if not, a message was
 * printed. */
bool take_input_option(input_options *options, int option, const char *value, bool *read);

/* Call it after all options are read. Chooses the format by the name of the file, unless --format did, and checks that
 * the options apply to it. False after a message. */
bool choose_format(input_options *options, const char *path);

/* Opens a file; "-" is standard input. The contents of an --offsets file are not checked yet: the width is the number of
 * all elements until check_rows has found the widest row and set_width has set it. */
rowpool_status open_input(input *in, const char *path, const input_options *options, rowpool_error *error);

/* Checks `count` rows from `first` on; an error names the offset. *widest: the elements of the widest of them. */
rowpool_status check_rows(const input *in, size_t first, size_t count, size_t *widest, rowpool_error *error);
void set_width(input *in, size_t widest);
void close_input(input *in);

/* The rows as the library takes them. */
rowpool_rows input_rows(const input *in);

#endif
