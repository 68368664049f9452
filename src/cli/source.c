#include "source.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* ---- Comments and literals: they are blanked, since they are not code ------------------------------------------- */

/* Overwrites the text up to `end` with blanks, except line breaks. */
static void blank(char *begin, const char *end)
{
    for (; begin < end; begin++) {
        if (*begin != '\n')
            *begin = ' ';
    }
}

static char *end_of_line(char *at)
{
    while (*at != '\0' && (*at != '\n' || at[-1] == '\\'))
        at++;
    return at;
}

static char *end_of_comment(char *at)
{
    char *end = strstr(at + 2, "*/");
    return end != NULL ? end + 2 : at + strlen(at);
}

/* A literal ends at the latest with its line: an apostrophe may stand alone. */
static char *end_of_literal(char *at)
{
    const char quote = *at++;
    while (*at != '\0' && *at != '\n' && *at != quote)
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    return *at == quote ? at + 1 : at;
}

static void blank_comments_and_literals(char *code)
{
    for (char *at = code; *at != '\0';) {
        char *end = at + 1;
        if (at[0] == '/' && at[1] == '/')
            blank(at, end = end_of_line(at + 1));
        else if (at[0] == '/' && at[1] == '*')
            blank(at, end = end_of_comment(at));
        else if (*at == '"' || *at == '\'')
            blank(at + 1, end = end_of_literal(at)); /* the quote stays: #include needs it */
        at = end;
    }
}

/* ---- What the code defines: found by regular expressions, line by line ------------------------------------------ */

#define DIRECTIVE "^[ \t]*#[ \t]*"
#define DEFINITION(name) DIRECTIVE "define[ \t]+" name
#define NO_LETTER "[^A-Za-z0-9_]"

/* found[1]: the first group. */
static bool find_pattern(const char *at, const char *pattern, regmatch_t found[2])
{
    regex_t compiled;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NEWLINE) != 0)
        end_out_of_memory();
    const bool is_found = regexec(&compiled, at, 2, found, 0) == 0;
    regfree(&compiled);
    return is_found;
}

static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Notes what the code defines. Its first line, a #line, counts as line 0. */
static bool note_definitions(function_source *source, const char *path, const char *code, rowpool_error *error)
{
    regmatch_t found[2];
    source->has_body |= find_pattern(code, "(^|" NO_LETTER ")ROW_BODY(" NO_LETTER "|$)", found);
    source->has_ranges |= find_pattern(code, DEFINITION("ROW_RANGES(" NO_LETTER "|$)"), found);
    if (!find_pattern(code, DEFINITION("ROW_INPUTS(" NO_LETTER ".*|)$"), found) ||
        strtoul(code + found[1].rm_so, NULL, 10) == 1)
        return true;
    (void)rp_fail(error, ROWPOOL_EINVAL, "%s:%zu: it takes several arrays (ROW_INPUTS); rowpool map has one", path,
                  count_lines(code, (size_t)found[1].rm_so));
    return false;
}

/* ---- The file, with the files that it includes ------------------------------------------------------------------ */

/* text: as rowpool_read_source returns it, beginning with a #line. */
static bool append_source(function_source *source, const char *path, const char *text, size_t depth,
                          rowpool_error *error);

/* Appends the file of that name, looked up beside the file that includes it. */
static bool append_included(function_source *source, const char *path, size_t line, const char *name, size_t depth,
                            rowpool_error *error)
{
    enum { MAX_DEPTH = 16 };
    const char *slash = strrchr(path, '/');
    buffer beside = {0};
    if (name[0] != '/' && slash != NULL)
        append_bytes(&beside, path, (size_t)(slash - path) + 1);
    append_bytes(&beside, name, strcspn(name, "\"\n"));
    end_text(&beside);
    rowpool_error refusal = {.message = "it includes itself"};
    char *text = depth < MAX_DEPTH ? rowpool_read_source(beside.bytes, &refusal) : NULL;
    const bool done = text != NULL && append_source(source, beside.bytes, text, depth + 1, error);
    if (text == NULL)
        (void)rp_fail(error, ROWPOOL_EINVAL, "%s:%zu: %s", path, line, refusal.message);
    free(text);
    free_buffer(&beside);
    return done;
}

static bool append_source(function_source *source, const char *path, const char *text, size_t depth,
                          rowpool_error *error)
{
    const char *title = strchr(text, '"'); /* of its #line */
    char *code = strdup(text);
    if (code == NULL)
        end_out_of_memory();
    blank_comments_and_literals(code);
    bool done = note_definitions(source, path, code, error);
    size_t at = 0;
    regmatch_t found[2];
    while (done && find_pattern(code + at, DIRECTIVE "include[ \t]*\"()", found)) {
        const size_t begin = at + (size_t)found[0].rm_so; /* of the line */
        const size_t line = count_lines(text, begin);
        append_bytes(&source->text, text + at, begin - at);
        done = append_included(source, path, line, text + at + found[1].rm_so, depth, error);
        append_format(&source->text, "\n#line %zu ", line + 1);
        append_bytes(&source->text, title, strcspn(title, "\n") + 1);
        at = begin + strcspn(text + begin, "\n");
        at += text[at] == '\n';
    }
    append_bytes(&source->text, text + at, strlen(text + at));
    append_bytes(&source->text, "\n", 1);
    free(code);
    return done;
}

/* The name also becomes a string literal in the device's source. */
static void set_name(function_source *source, const char *path)
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(source->name, sizeof source->name, "%s", slash != NULL ? slash + 1 : path);
    for (char *c = source->name; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
            *c = '?';
    }
}

bool read_source(function_source *source, const char *path)
{
    *source = (function_source){0};
    set_name(source, path);
    rowpool_error error;
    char *text = rowpool_read_source(path, &error);
    const bool done = text != NULL && append_source(source, path, text, 0, &error);
    free(text);
    if (!done)
        say(NULL, "%s", error.message);
    return done;
}

void free_source(function_source *source)
{
    free_buffer(&source->text);
}

/* ---- Its types -------------------------------------------------------------------------------------------------- */

#define CHECK_NAME "result_t_is_not_the_output_type"

/* Two declarations of one function conflict unless result_t is the expected type. */
void end_source(function_source *source, rowpool_dtype dtype)
{
    static const char *const types[] = {"int8_t",   "int16_t",  "int32_t", "int64_t", "uint8_t", "uint16_t",
                                        "uint32_t", "uint64_t", NULL,      "float",   "double"};
    if (types[dtype] != NULL)
        append_format(&source->text,
                      "\n#line 1 \"rowpool map\"\nvoid " CHECK_NAME "(result_t);\nvoid " CHECK_NAME "(%s);\n",
                      types[dtype]);
    end_text(&source->text);
}

/* Whether this is the first error in the log; later ones may be its consequences. */
static bool is_first_error(const char *log, const char *text)
{
    static const char mark[] = "error: ";
    const char *found = strstr(log, text);
    const char *first = strstr(log, mark);
    const char *second = first != NULL ? strstr(first + 1, mark) : NULL;
    return found != NULL && (second == NULL || found < second);
}

bool is_about_result_type(const char *log)
{
    return is_first_error(log, "conflicting types for '" CHECK_NAME "'") ||
           is_first_error(log, "'rp_size_of_result_t_differs' declared as");
}

bool is_about_arguments_type(const char *log)
{
    return is_first_error(log, "'rp_size_of_arguments_t_differs' declared as");
}
