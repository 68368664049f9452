#include "cells.h"

#include <string.h>
#include <strings.h>

#include "fail.h"

enum { MAX_CELL = 1 << 20 /* bytes; a longer cell means an unclosed quote */ };

static const char STRAY_QUOTE[] =
    "stray quote: within a quoted cell a quote is written twice; --quote none takes quotes as ordinary characters";

bool can_delimit(char c)
{
    return c != '\0' && strchr("\"\r\n.+-0123456789", c) == NULL;
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

static bool fill_bytes(cell_reader *r)
{
    size_t found = 0;
    if (!r->is_last && r->status == ROWPOOL_OK)
        r->status = read_stream(r->stream, r->bytes, sizeof r->bytes, &found, r->error);
    r->at = 0;
    r->end = r->status == ROWPOOL_OK ? found : 0;
    r->is_last = r->end < sizeof r->bytes;
    return r->end > 0;
}

/* The next byte, or -1 at the end of the file and after a failure. */
static int peek(cell_reader *r)
{
    return r->at < r->end || fill_bytes(r) ? (unsigned char)r->bytes[r->at] : -1;
}

/* Stops reading; only the first problem is kept. */
static void refuse_cell(cell_reader *r, const char *problem)
{
    if (r->status == ROWPOOL_OK) {
        r->status = ROWPOOL_EINVAL;
        r->problem = problem;
    }
    r->at = r->end;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

static bool is_line_end(int c)
{
    return c == '\n' || c == '\r' || c < 0;
}

static void skip_line_end(cell_reader *r)
{
    if (peek(r) == '\r') {
        r->at++;
        r->at += peek(r) == '\n';
    } else if (peek(r) == '\n') {
        r->at++;
    }
    r->line++;
}

/* Whether the character is dropped around a cell. */
static bool is_padding(const cell_reader *r, int c)
{
    return is_blank(c) && c != r->dialect.delimiter;
}

/* Returns how many tabs it skipped. */
static size_t skip_padding(cell_reader *r)
{
    size_t tabs = 0;
    for (int c = peek(r); is_padding(r, c); c = peek(r)) {
        tabs += c == '\t';
        r->at++;
    }
    return tabs;
}

/* ---- Cells ------------------------------------------------------------------------------------------------------ */

/* Appends bytes up to the next one in `ends`, which is left unread. begin: where the cell begins in `cells`. */
static void take_run(cell_reader *r, buffer *cells, size_t begin, const bool ends[256])
{
    while (peek(r) >= 0) {
        size_t length = 0;
        while (r->at + length < r->end && !ends[(unsigned char)r->bytes[r->at + length]])
            length++;
        append_bytes(cells, r->bytes + r->at, length);
        r->at += length;
        if (cells->used - begin > MAX_CELL)
            refuse_cell(r, "the cell is longer than 1048576 bytes: is a quote not closed?");
        else if (r->at < r->end)
            break;
    }
    if (peek(r) == '\0')
        refuse_cell(r, "there is a NUL byte: the file is not text in UTF-8 or a similar encoding");
}

static void take_bare(cell_reader *r, buffer *cells)
{
    const size_t begin = cells->used;
    take_run(r, cells, begin, r->ends);
    if (r->dialect.quotes == QUOTES_AROUND && peek(r) == '"')
        refuse_cell(r, STRAY_QUOTE);
    while (cells->used > begin && is_padding(r, cells->bytes[cells->used - 1]))
        cells->used--;
}

/* Appends one byte unchanged. */
static void take_byte(cell_reader *r, buffer *cells)
{
    append_bytes(cells, r->bytes + r->at++, 1);
}

/* Appends a line end within a quoted cell. line: where the cell begins. */
static void take_line_end(cell_reader *r, buffer *cells, size_t line)
{
    const bool pair = peek(r) == '\r';
    if (r->dialect.quotes == QUOTES_BEFORE && r->spread_line == 0) {
        r->spread_line = line;
        r->spread_column = cells->count;
    }
    r->line++;
    take_byte(r, cells);
    if (pair && peek(r) == '\n')
        take_byte(r, cells);
}

static void take_quoted(cell_reader *r, buffer *cells)
{
    static const bool ends[256] = {['\0'] = true, ['\n'] = true, ['\r'] = true, ['"'] = true};
    const size_t begin = cells->used;
    const size_t line = r->line;
    r->at++;
    for (bool open = true; open;) {
        take_run(r, cells, begin, ends);
        const int c = peek(r);
        if (c == '\n' || c == '\r') {
            take_line_end(r, cells, line);
            continue;
        }
        if (c < 0)
            refuse_cell(
                r, "the cell begins with a quote that is not closed; --quote none takes quotes as ordinary characters");
        else
            r->at++;
        open = peek(r) == '"';
        if (open)
            take_byte(r, cells);
    }
    if (r->dialect.delimiter != RUNS_OF_BLANKS)
        (void)skip_padding(r);
    const int c = peek(r);
    if (!is_line_end(c) && c != r->dialect.delimiter && !(r->dialect.delimiter == RUNS_OF_BLANKS && is_blank(c)))
        refuse_cell(r, STRAY_QUOTE);
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static bool is_comment(cell_reader *r)
{
    const bool like_comment = r->dialect.comment != '\0' && peek(r) == r->dialect.comment;
    r->like_comment = like_comment && r->begun && !r->dialect.comments_anywhere;
    return like_comment && !r->like_comment;
}

static void skip_comment(cell_reader *r)
{
    if (r->comments == 0)
        r->first_comment = r->line;
    r->comments++;
    while (!is_line_end(peek(r)))
        r->at++;
    skip_line_end(r);
}

/* Skips blanks before a cell or the line end. Two tabs in a row are refused unless --delimiter space was given: they may
 * stand for an empty cell. */
static void skip_cell_blanks(cell_reader *r, bool first)
{
    const size_t tabs = skip_padding(r);
    if (r->dialect.delimiter == RUNS_OF_BLANKS && !r->dialect.delimiter_given &&
        tabs > (first || is_line_end(peek(r)) ? 0 : 1))
        refuse_cell(r, "several tabs in a row, or a tab at an end of the line: --format tsv takes them as empty cells, "
                       "--delimiter space takes all blanks in a row as one separator");
}

/* Moves to the next cell of the row; false if there is none. */
static bool next_cell(cell_reader *r)
{
    if (r->dialect.delimiter != RUNS_OF_BLANKS && peek(r) == r->dialect.delimiter) {
        r->at++;
        (void)skip_padding(r);
        return r->status == ROWPOOL_OK;
    }
    skip_cell_blanks(r, false);
    return !is_line_end(peek(r));
}

row_outcome read_cells(cell_reader *r, buffer *cells)
{
    clear_buffer(cells);
    for (;;) {
        r->row_line = r->line;
        skip_cell_blanks(r, true);
        if (!is_comment(r))
            break;
        skip_comment(r);
    }
    const row_outcome outcome = !is_line_end(peek(r)) ? ROW_READ : peek(r) < 0 ? ROW_NONE : ROW_EMPTY;
    for (bool more = outcome == ROW_READ; more; more = next_cell(r)) {
        if (r->dialect.quotes != QUOTES_NONE && peek(r) == '"')
            take_quoted(r, cells);
        else
            take_bare(r, cells);
        if (r->status == ROWPOOL_OK)
            end_text(cells);
    }
    skip_line_end(r);
    r->begun |= outcome == ROW_READ;
    return r->status == ROWPOOL_OK ? outcome : ROW_WRONG;
}

/* ---- The beginning ---------------------------------------------------------------------------------------------- */

static bool begins_with(const cell_reader *r, const char *text)
{
    const size_t length = strlen(text);
    return r->end - r->at >= length && strncasecmp(r->bytes + r->at, text, length) == 0;
}

/* Refuses files that are not plain text, by their first bytes. UTF-32 is checked first: its mark begins with
 * UTF-16's. */
static bool check_signature(cell_reader *r)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *what;
    } signatures[] = {
        {"\x1f\x8b", 2, "compressed by gzip; give it a name that ends in .gz, or use gzip -dc"},
        {"PK\3\4", 4, "a zip archive, as .xlsx and .npz files are; save a spreadsheet as CSV"},
        {"\xff\xfe\0\0", 4, "UTF-32 text; convert it with iconv -f UTF-32 -t UTF-8"},
        {"\0\0\xfe\xff", 4, "UTF-32 text; convert it with iconv -f UTF-32 -t UTF-8"},
        {"\xff\xfe", 2, "UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8"},
        {"\xfe\xff", 2, "UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8"},
    };
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        if (r->end < signatures[i].size || memcmp(r->bytes, signatures[i].bytes, signatures[i].size) != 0)
            continue;
        r->status = rp_fail(r->error, ROWPOOL_EINVAL, "the file is %s", signatures[i].what);
        return false;
    }
    return true;
}

/* Reads a first line such as sep=; which Excel writes. */
static void take_separator_line(cell_reader *r)
{
    const bool quoted = begins_with(r, "\"sep=");
    if (!quoted && !begins_with(r, "sep="))
        return;
    const char *at = r->bytes + r->at + strlen("sep=") + quoted;
    const char *end = r->bytes + r->end;
    if (at >= end || !can_delimit(*at))
        return;
    const unsigned char delimiter = (unsigned char)*at++;
    if (quoted && at < end && *at++ != '"')
        return;
    if (at < end && !is_line_end((unsigned char)*at))
        return;
    r->at = (size_t)(at - r->bytes);
    skip_line_end(r);
    r->separator = (char)delimiter;
    if (!r->dialect.delimiter_given)
        r->dialect.delimiter = delimiter;
}

bool begin_cells(cell_reader *r, const cell_dialect *dialect, const byte_stream *stream, rowpool_error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* the byte order mark of UTF-8 */
    *r = (cell_reader){.dialect = *dialect, .stream = stream, .error = error, .line = 1};
    if (!fill_bytes(r) && r->status != ROWPOOL_OK)
        return false;
    if (!check_signature(r))
        return false;
    if (begins_with(r, mark))
        r->at += strlen(mark);
    take_separator_line(r);
    const unsigned char delimiter = r->dialect.delimiter;
    r->ends['\0'] = r->ends['\n'] = r->ends['\r'] = r->ends[delimiter] = true;
    if (delimiter == RUNS_OF_BLANKS)
        r->ends[' '] = r->ends['\t'] = true;
    r->ends['"'] = dialect->quotes == QUOTES_AROUND;
    return true;
}
