#include "input.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"
#include "gzip.h"
#include "message.h"
#include "number.h"
#include "offsets.h"
#include "options.h"
#include "words.h"

/* ---- Formats ---------------------------------------------------------------------------------------------------- */

struct input_format {
    const char *name;
    const char *suffixes[2];
    open_input_format *open;
};

enum { NPY, NPZ, CSV, TSV, TXT, RAW, FORMAT_COUNT };

static const input_format FORMATS[FORMAT_COUNT] = {
    [NPY] = {"npy", {".npy"}, open_npy}, [NPZ] = {"npz", {".npz"}, open_npz},
    [CSV] = {"csv", {".csv"}, open_csv}, [TSV] = {"tsv", {".tsv", ".tab"}, open_tsv},
    [TXT] = {"txt", {".txt"}, open_txt}, [RAW] = {"raw", {NULL}, open_raw},
};

rowpool_status open_npy(input *in, int fd, const input_options *options, rowpool_error *error)
{
    (void)options;
    return npy_open(&in->array, fd, error);
}

rowpool_status open_raw(input *in, int fd, const input_options *options, rowpool_error *error)
{
    return npy_open_headless(&in->array, options->type, options->rows, options->width, fd, error);
}

static bool is_compressed(const char *path)
{
    return ends_with(path, ".gz");
}

/* Whether the name ends so, .gz not counted. */
static bool has_suffix(const char *path, const char *suffix)
{
    char compressed[16];
    (void)snprintf(compressed, sizeof compressed, "%s.gz", suffix);
    return ends_with(path, suffix) || ends_with(path, compressed);
}

static const input_format *format_of_path(const char *path)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const input_format *format = &FORMATS[i];
        for (size_t k = 0; k < sizeof format->suffixes / sizeof *format->suffixes; k++) {
            if (format->suffixes[k] != NULL && has_suffix(path, format->suffixes[k]))
                return format;
        }
    }
    return &FORMATS[NPY];
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

enum { TEXT = 1 << CSV | 1 << TSV | 1 << TXT, BINARY = 1 << NPY | 1 << NPZ | 1 << RAW };

/* What goes with which formats. */
static const struct {
    char letter;
    const char *name;
    unsigned formats;
} OPTIONS[] = {
    {'T', "--type", TEXT | 1 << RAW}, {'S', "--shape", 1 << RAW}, {'e', "--member", 1 << NPZ},
    {'H', "--header", TEXT},          {'L', "--labels", TEXT},    {'k', "--skip", TEXT},
    {'i', "--missing", TEXT},         {'D', "--delimiter", TEXT}, {'g', "--ragged", TEXT},
    {'N', "--decimal", TEXT},         {'Q', "--quote", TEXT},     {'C', "--comment", TEXT},
    {'O', "--offsets", BINARY},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static unsigned bit_of(int option)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (OPTIONS[i].letter == option)
            return 1U << i;
    }
    return 0;
}

static bool is_given(const input_options *options, int option)
{
    return (options->given & bit_of(option)) != 0;
}

static bool read_format(input_options *options, const char *text)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(FORMATS[i].name, text) == 0) {
            options->format = &FORMATS[i];
            return true;
        }
    }
    (void)usage_error(options->command, "--format '%s' is none of npy, npz, csv, tsv, txt, raw", text);
    return false;
}

/* R:C */
static bool read_shape(input_options *options, const char *text)
{
    const char *colon = strchr(text, ':');
    char *rows = colon != NULL ? strndup(text, (size_t)(colon - text)) : NULL;
    const bool read = rows != NULL && parse_size(&options->rows, rows) && parse_size(&options->width, colon + 1);
    free(rows);
    if (!read)
        (void)usage_error(options->command, "--shape '%s' is not R:C, two whole numbers", text);
    return read;
}

static bool read_header(input_options *options, const char *text)
{
    static const char *const words[] = {[HEADER_AUTO] = "auto", [HEADER_YES] = "yes", [HEADER_NO] = "no"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            options->header = (header_choice)i;
            return true;
        }
    }
    (void)usage_error(options->command, "--header '%s' is none of auto, yes, no", text);
    return false;
}

static bool is_single(const char *text)
{
    return can_delimit(text[0]) && text[1] == '\0';
}

/* A number could not be told from what stands between numbers. */
static bool read_delimiter(input_options *options, const char *text)
{
    options->delimiter = text;
    if (is_single(text) || strcmp(text, "space") == 0)
        return true;
    (void)usage_error(options->command,
                      "--delimiter '%s' is no single character that can stand between numbers, nor space", text);
    return false;
}

static bool read_comment(input_options *options, const char *text)
{
    options->comment = text;
    if (is_single(text) || strcmp(text, "none") == 0)
        return true;
    (void)usage_error(options->command, "--comment '%s' is no single character that no number begins with, nor none",
                      text);
    return false;
}

static bool read_decimal(input_options *options, const char *text)
{
    options->decimal = text[0];
    if (strcmp(text, ",") == 0 || strcmp(text, ".") == 0)
        return true;
    (void)usage_error(options->command, "--decimal '%s' is neither a comma nor a point", text);
    return false;
}

static bool read_quote(input_options *options, const char *text)
{
    options->quote_none = true;
    if (strcmp(text, "none") == 0)
        return true;
    (void)usage_error(options->command, "--quote '%s' is not none", text);
    return false;
}

static bool read_input_option(input_options *options, int option, const char *value)
{
    switch (option) {
    case 'F':
        return read_format(options, value);
    case 'T':
        options->type_given = true;
        return read_dtype_option(&options->type, options->command, "--type", value);
    case 'S':
        return read_shape(options, value);
    case 'e':
        options->member = value;
        return true;
    case 'O':
        options->offsets = value;
        return true;
    case 'H':
        return read_header(options, value);
    case 'L':
        options->labels = value;
        return true;
    case 'k':
        options->skip = value;
        return true;
    case 'i':
        options->missing = value;
        return true;
    case 'D':
        return read_delimiter(options, value);
    case 'N':
        return read_decimal(options, value);
    case 'Q':
        return read_quote(options, value);
    case 'C':
        return read_comment(options, value);
    default:
        return options->ragged = true;
    }
}

bool take_input_option(input_options *options, int option, const char *value, bool *read)
{
    const unsigned bit = bit_of(option);
    if (bit == 0 && option != 'F')
        return false;
    options->given |= bit;
    *read = read_input_option(options, option, value);
    return true;
}

/* What stands in for a missing cell is an element like others. Where memory is out, opening the file says so. */
static bool check_missing(const input_options *options)
{
    text_list scratch = {0};
    unsigned char element[8];
    rowpool_dtype type = options->type_given ? options->type : ROWPOOL_INT64;
    const char *plain = options->missing != NULL ? plain_cell(&scratch, options->missing, options->decimal) : NULL;
    parse_outcome outcome = plain != NULL ? parse_element(element, type, plain) : PARSED;
    if (outcome == PARSED_NOTHING && !options->type_given)
        outcome = parse_element(element, type = ROWPOOL_FLOAT64, plain);
    free_texts(&scratch);
    if (outcome == PARSED_BEYOND)
        (void)usage_error(options->command, "--missing '%s' is beyond %s", options->missing, rowpool_dtype_name(type));
    else if (outcome == PARSED_NOTHING)
        (void)usage_error(options->command, "--missing '%s' is no %s", options->missing,
                          options->type_given ? rowpool_dtype_name(type) : "number");
    return outcome == PARSED;
}

bool choose_format(input_options *options, const char *path)
{
    if (options->format == NULL)
        options->format = is_given(options, 'S') ? &FORMATS[RAW] : format_of_path(path);
    const unsigned format = 1U << (options->format - FORMATS);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options->given & 1U << i) != 0 && (OPTIONS[i].formats & format) == 0) {
            (void)usage_error(options->command, "%s cannot be given for %s; --format says what FILE is",
                              OPTIONS[i].name, options->format->name);
            return false;
        }
    }
    if (options->format != &FORMATS[RAW] || (is_given(options, 'S') && options->type_given))
        return check_missing(options);
    (void)usage_error(options->command, "%s is missing: a raw file does not say it",
                      is_given(options, 'S') ? "--type" : "--shape");
    return false;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* A file in memory takes the place of one that is compressed. *fd is -1 after a failure. */
static rowpool_status open_bytes(int *fd, const char *path, rowpool_error *error)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return fail_errno(error);
    if (!is_compressed(path))
        return ROWPOOL_OK;
    const int compressed = *fd;
    rowpool_status status = expand_gzip(fd, compressed, error);
    (void)close(compressed);
    return status;
}

/* Says whose error it is, where there is one. */
static rowpool_status blame_offsets(const char *path, rowpool_status status, rowpool_error *error)
{
    if (status == ROWPOOL_OK || error == NULL)
        return status;
    const rowpool_error cause = *error;
    return rp_fail(error, status, "--offsets %.400s: %.600s", path, cause.message);
}

/* Into the rows that the file tells, of which only the ends are known to be right. */
static rowpool_status divide(input *in, const char *path, rowpool_error *error)
{
    npy_header *header = &in->array.header;
    if (header->rows != 1)
        return rp_fail(error, ROWPOOL_EINVAL, "it has %zu rows; --offsets divides the elements of one", header->rows);
    int fd;
    rowpool_status status = open_bytes(&fd, path, error);
    if (status == ROWPOOL_OK) {
        status = open_offsets(&in->offset_file, fd, header->width, error);
        (void)close(fd);
    }
    if (status != ROWPOOL_OK)
        return blame_offsets(path, status, error);
    in->offset_path = path;
    in->offsets = in->offset_file.data;
    header->rows = in->offset_file.header.width - 1;
    header->dimensions = 2;
    header->shape[0] = header->rows;
    header->shape[1] = header->width;
    return ROWPOOL_OK;
}

rowpool_status open_input(input *in, const char *path, const input_options *options, rowpool_error *error)
{
    *in = (input){0};
    const bool standard = strcmp(path, "-") == 0;
    int fd = STDIN_FILENO;
    rowpool_status status = standard ? ROWPOOL_OK : open_bytes(&fd, path, error);
    if (status != ROWPOOL_OK)
        return status;
    status = options->format->open(in, fd, options, error);
    if (!standard)
        (void)close(fd);
    if (status == ROWPOOL_OK && in->array.more &&
        !add_note(in, "the first array is read; another one follows it in the file"))
        status = rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    if (status == ROWPOOL_OK && options->offsets != NULL)
        status = divide(in, options->offsets, error);
    if (status != ROWPOOL_OK)
        close_input(in);
    return status;
}

rowpool_status check_rows(const input *in, size_t first, size_t count, size_t *widest, rowpool_error *error)
{
    const npy_header *header = &in->array.header;
    *widest = header->width;
    if (in->offset_path == NULL)
        return ROWPOOL_OK;
    const size_t elements = header->data_bytes / rowpool_dtype_size(header->dtype);
    return blame_offsets(in->offset_path, check_offsets(in->offsets, first, count, elements, widest, error), error);
}

void set_width(input *in, size_t widest)
{
    npy_header *header = &in->array.header;
    header->width = header->shape[header->dimensions - 1] = widest;
}

bool add_note(input *in, const char *format, ...)
{
    char *text;
    char *both;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (text == NULL || in->note == NULL) {
        in->note = text != NULL ? text : in->note;
        return text != NULL;
    }
    const bool made = asprintf(&both, "%s; %s", in->note, text) >= 0;
    free(text);
    if (made) {
        free(in->note);
        in->note = both;
    }
    return made;
}

void close_input(input *in)
{
    npy_close(&in->array);
    npy_close(&in->offset_file);
    free(in->own_offsets);
    free_texts(&in->labels);
    free(in->title);
    free(in->note);
    *in = (input){0};
}

rowpool_rows rows_of(const input *in)
{
    const npy_header *header = &in->array.header;
    return (rowpool_rows){.data = in->array.data,
                          .dtype = header->dtype,
                          .count = header->rows,
                          .width = in->offsets == NULL ? header->width : 0,
                          .offsets = in->offsets};
}
