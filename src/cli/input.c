#include "input.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"
#include "find_word.h"
#include "message.h"
#include "number.h"
#include "offsets.h"
#include "options.h"
#include "words.h"

/* ---- Formats ---------------------------------------------------------------------------------------------------- */

static rowpool_status open_npy(input *in, int fd, const input_options *options, rowpool_error *error)
{
    (void)options;
    return npy_open(&in->array, fd, error);
}

static rowpool_status open_raw(input *in, int fd, const input_options *options, rowpool_error *error)
{
    return npy_open_headless(&in->array, options->type, options->rows, options->width, fd, error);
}

enum { NPY, NPZ, CSV, TSV, TXT, RAW, FORMAT_COUNT };
#define FORMAT_NAMES "npy npz csv tsv txt raw"

static const input_format FORMATS[FORMAT_COUNT] = {
    [NPY] = {"npy", {".npy"}, open_npy, {0}},
    [NPZ] = {"npz", {".npz"}, open_npz, {0}},
    [CSV] = {"csv", {".csv"}, open_table, {.delimiter = ','}},
    [TSV] = {"tsv", {".tsv", ".tab"}, open_table, {.delimiter = '\t', .quotes = QUOTES_BEFORE}},
    [TXT] = {"txt", {".txt"}, open_table, {.delimiter = RUNS_OF_BLANKS}},
    [RAW] = {"raw", {NULL}, open_raw, {0}},
};

/* Whether the path has this suffix, with or without .gz. */
static bool is_named_so(const char *path, const char *suffix)
{
    char compressed[16];
    (void)snprintf(compressed, sizeof compressed, "%s.gz", suffix);
    return path_ends_with(path, suffix) || path_ends_with(path, compressed);
}

static const input_format *format_of_path(const char *path)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const input_format *format = &FORMATS[i];
        for (size_t k = 0; k < 2 && format->suffixes[k] != NULL; k++) {
            if (is_named_so(path, format->suffixes[k]))
                return format;
        }
    }
    return &FORMATS[NPY];
}

/* ---- Options: whether the value is understood -------------------------------------------------------------------- */

static bool take_format(input_options *options, const char *text)
{
    const int found = find_word(FORMAT_NAMES, text, strlen(text));
    options->format = found >= 0 ? &FORMATS[found] : NULL;
    return found >= 0;
}

static bool take_type(input_options *options, const char *text)
{
    return options->type_given = find_dtype_name(&options->type, text, strlen(text));
}

static bool take_shape(input_options *options, const char *text)
{
    char rows[32];
    const size_t length = strcspn(text, ":");
    (void)snprintf(rows, sizeof rows, "%.*s", length < sizeof rows ? (int)length : 0, text);
    options->shape_given = true;
    return text[length] == ':' && parse_size(&options->rows, rows) && parse_size(&options->width, text + length + 1);
}

static bool take_header(input_options *options, const char *text)
{
    const int found = find_word("auto yes no", text, strlen(text));
    options->header = (header_choice)found;
    return found >= 0;
}

static bool is_single(const char *text)
{
    return can_delimit(text[0]) && text[1] == '\0';
}

static bool take_delimiter(input_options *options, const char *text)
{
    (void)options;
    return is_single(text) || strcmp(text, "space") == 0;
}

static bool take_comment(input_options *options, const char *text)
{
    (void)options;
    return is_single(text) || strcmp(text, "none") == 0;
}

static bool take_decimal(input_options *options, const char *text)
{
    options->decimal = text[0];
    return strcmp(text, ",") == 0 || strcmp(text, ".") == 0;
}

static bool take_quote(input_options *options, const char *text)
{
    return options->quote_none = strcmp(text, "none") == 0;
}

static bool set_ragged(input_options *options, const char *text)
{
    (void)text;
    return options->ragged = true;
}

enum { TEXT = 1 << CSV | 1 << TSV | 1 << TXT, BINARY = 1 << NPY | 1 << NPZ | 1 << RAW };

#define FIELD(name) offsetof(input_options, name)
static const struct {
    char letter;
    const char *name;
    unsigned formats;                                       /* a bit for each format that takes the option */
    size_t field;                                           /* receives the text; 0: none */
    bool (*take)(input_options *options, const char *text); /* NULL: any text is valid */
    const char *problem;                                    /* "... is PROBLEM" */
} OPTIONS[] = {
    {'F', "--format", TEXT | BINARY, 0, take_format, "not one of npy, npz, csv, tsv, txt, raw"},
    {'T', "--type", TEXT | 1 << RAW, 0, take_type, "not one of int8 to int64, uint8 to uint64, float16 to float64"},
    {'S', "--shape", 1 << RAW, 0, take_shape, "not R:C, two whole numbers"},
    {'e', "--member", 1 << NPZ, FIELD(member), NULL, NULL},
    {'O', "--offsets", BINARY, FIELD(offsets), NULL, NULL},
    {'H', "--header", TEXT, 0, take_header, "not one of auto, yes, no"},
    {'L', "--labels", TEXT, FIELD(labels), NULL, NULL},
    {'k', "--skip", TEXT, FIELD(skip), NULL, NULL},
    {'i', "--missing", TEXT, FIELD(missing), NULL, NULL},
    {'D', "--delimiter", TEXT, FIELD(delimiter), take_delimiter,
     "neither space nor a single character that can separate numbers"},
    {'N', "--decimal", TEXT, 0, take_decimal, "neither a comma nor a point"},
    {'Q', "--quote", TEXT, 0, take_quote, "not none"},
    {'C', "--comment", TEXT, FIELD(comment), take_comment,
     "neither none nor a single character that cannot begin a number"},
    {'g', "--ragged", TEXT, 0, set_ragged, NULL},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

bool take_input_option(input_options *options, int option, const char *value, bool *read)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (OPTIONS[i].letter != option)
            continue;
        options->given |= 1U << i;
        if (OPTIONS[i].field != 0)
            *(const char **)((char *)options + OPTIONS[i].field) = value;
        *read = OPTIONS[i].take == NULL || OPTIONS[i].take(options, value);
        if (!*read)
            (void)usage_error(options->command, "%s '%s' is %s", OPTIONS[i].name, value, OPTIONS[i].problem);
        return true;
    }
    return false;
}

/* The replacement of a missing cell must be a valid element. */
static bool check_missing(const input_options *options)
{
    buffer scratch = {0};
    unsigned char element[8];
    rowpool_dtype type = options->type_given ? options->type : ROWPOOL_INT64;
    if (options->missing == NULL)
        return true;
    const char *plain = plain_cell(&scratch, options->missing, options->decimal);
    parse_outcome outcome = parse_element(element, type, plain);
    if (outcome == PARSED_NOTHING && !options->type_given)
        outcome = parse_element(element, type = ROWPOOL_FLOAT64, plain);
    free_buffer(&scratch);
    if (outcome != PARSED)
        (void)usage_error(options->command, "--missing '%s' is %s %s", options->missing,
                          outcome == PARSED_BEYOND ? "beyond" : "not",
                          outcome == PARSED_BEYOND || options->type_given ? rowpool_dtype_name(type) : "a number");
    return outcome == PARSED;
}

bool choose_format(input_options *options, const char *path)
{
    if (options->format == NULL)
        options->format = options->shape_given ? &FORMATS[RAW] : format_of_path(path);
    const unsigned format = 1U << (options->format - FORMATS);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options->given & 1U << i) != 0 && (OPTIONS[i].formats & format) == 0) {
            (void)usage_error(options->command, "%s cannot be given for %s; --format says what FILE is",
                              OPTIONS[i].name, options->format->name);
            return false;
        }
    }
    if (options->format != &FORMATS[RAW] || (options->shape_given && options->type_given))
        return check_missing(options);
    (void)usage_error(options->command, "%s is missing: a raw file needs it",
                      options->shape_given ? "--type" : "--shape");
    return false;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* A compressed file is expanded into a file in memory. */
static rowpool_status open_path(int *fd, const char *path, rowpool_error *error)
{
    const int own = open(path, O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return fail_errno(error);
    *fd = own;
    if (!path_ends_with(path, ".gz"))
        return ROWPOOL_OK;
    rowpool_status status = expand_gzip(fd, own, error);
    (void)close(own);
    return status;
}

/* Prefixes an error with the path of the --offsets file. */
static rowpool_status blame_offsets(const char *path, rowpool_status status, rowpool_error *error)
{
    if (status == ROWPOOL_OK || error == NULL)
        return status;
    const rowpool_error cause = *error;
    return rp_fail(error, status, "--offsets %.400s: %.600s", path, cause.message);
}

/* Divides the single row by the offsets. Only the first and the last of them are checked here; see check_rows. */
static rowpool_status divide_rows(input *in, const char *path, rowpool_error *error)
{
    npy_header *header = &in->array.header;
    if (header->rows != 1)
        return rp_fail(error, ROWPOOL_EINVAL, "it has %zu rows; --offsets needs an array of one row", header->rows);
    int fd;
    rowpool_status status = open_path(&fd, path, error);
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
    rowpool_status status = standard ? ROWPOOL_OK : open_path(&fd, path, error);
    if (status != ROWPOOL_OK)
        return status;
    status = options->format->open(in, fd, options, error);
    if (!standard)
        (void)close(fd);
    if (status == ROWPOOL_OK && in->array.more)
        add_note(in, "the first array is read; another one follows it in the file");
    if (status == ROWPOOL_OK && options->offsets != NULL)
        status = divide_rows(in, options->offsets, error);
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

void add_note(input *in, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (in->notes.used > 0)
        in->notes.bytes[in->notes.used - 1] = ';';
    append_format(&in->notes, "%s%s", in->notes.used > 0 ? " " : "", text);
    end_text(&in->notes);
}

void close_input(input *in)
{
    npy_close(&in->array);
    npy_close(&in->offset_file);
    free_buffer(&in->own_offsets);
    free_buffer(&in->labels);
    free_buffer(&in->title);
    free_buffer(&in->notes);
    *in = (input){0};
}

rowpool_rows input_rows(const input *in)
{
    const npy_header *header = &in->array.header;
    return (rowpool_rows){.data = in->array.data,
                          .dtype = header->dtype,
                          .count = header->rows,
                          .width = in->offsets == NULL ? header->width : 0,
                          .offsets = in->offsets};
}
