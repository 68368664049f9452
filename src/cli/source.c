#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* ---- Text that grows: the functions return false when memory is out --------------------------------------------- */

static bool append(function_source *source, const char *text, size_t size)
{
    char *longer = realloc(source->text, source->size + size + 1);
    if (longer == NULL)
        return false;
    memcpy(longer + source->size, text, size);
    longer[source->size + size] = '\0';
    source->text = longer;
    source->size += size;
    return true;
}

static bool append_text(function_source *source, const char *text)
{
    return append(source, text, strlen(text));
}

static bool append_line_number(function_source *source, size_t line)
{
    char text[64];
    (void)snprintf(text, sizeof text, "\n#line %zu ", line);
    return append_text(source, text);
}

/* ---- Comments and literals: what they hold is no code ----------------------------------------------------------- */

/* Turns what ends at `end` into blanks, all but its line breaks. */
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

/* A literal ends at its line's end at the latest: an apostrophe alone is not the beginning of one. */
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

/* ---- What stands in a line -------------------------------------------------------------------------------------- */

static bool is_of_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* What follows the word, where it stands here; else NULL. */
static const char *after_word(const char *at, const char *word)
{
    const size_t length = strlen(word);
    return strncmp(at, word, length) == 0 && !is_of_word(at[length]) ? at + length : NULL;
}

static bool has_word(const char *code, const char *word)
{
    for (const char *at = code; (at = strstr(at, word)) != NULL; at++) {
        if ((at == code || !is_of_word(at[-1])) && after_word(at, word) != NULL)
            return true;
    }
    return false;
}

/* What follows #directive in a line that has it; else NULL. */
static const char *after_directive(const char *line, const char *directive)
{
    line = skip_blanks(line);
    if (*line != '#')
        return NULL;
    line = after_word(skip_blanks(line + 1), directive);
    return line != NULL ? skip_blanks(line) : NULL;
}

/* What follows #define name in a line that has it; else NULL. */
static const char *after_definition(const char *line, const char *name)
{
    const char *defined = after_directive(line, "define");
    return defined != NULL ? after_word(defined, name) : NULL;
}

/* ---- The file with those that it includes ----------------------------------------------------------------------- */

typedef struct {
    const char *path;
    size_t depth;
    const char *text; /* begins with a #line of its own */
    const char *code; /* with blanks for comments and literals; as long as the text */
} source_file;

static bool append_file(function_source *source, source_file file, rowpool_error *error);

static bool out_of_memory(rowpool_error *error)
{
    (void)rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    return false;
}

/* A file of that name beside the one that names it; NULL: out of memory. */
static char *path_beside(const char *path, const char *name, size_t length)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = name[0] != '/' && slash != NULL ? (size_t)(slash - path) + 1 : 0;
    char *beside = calloc(1, folder + length + 1);
    if (beside == NULL)
        return NULL;
    memcpy(beside, path, folder);
    memcpy(beside + folder, name, length);
    return beside;
}

/* Goes on in the file, for which it has a #line, after what the line includes. */
static bool append_included(function_source *source, const source_file *file, size_t line, const char *name,
                            rowpool_error *error)
{
    enum { MOST_DEPTH = 16 };
    char *path = path_beside(file->path, name, strcspn(name, "\"\n"));
    if (path == NULL)
        return out_of_memory(error);
    rowpool_error refusal = {.message = "it includes itself"};
    char *text = file->depth < MOST_DEPTH ? rowpool_read_source(path, &refusal) : NULL;
    const char *title = strchr(file->text, '"'); /* of the file's own #line */
    bool done = false;
    if (text == NULL)
        (void)rp_fail(error, ROWPOOL_EINVAL, "%s:%zu: %s", file->path, line, refusal.message);
    else if (append_file(source, (source_file){.path = path, .depth = file->depth + 1, .text = text}, error))
        done = (append_line_number(source, line + 1) && append(source, title, strcspn(title, "\n") + 1)) ||
               out_of_memory(error);
    free(text);
    free(path);
    return done;
}

/* Takes note of what the line defines, and appends it. at: where it begins in the text. */
static bool append_line(function_source *source, const source_file *file, size_t line, size_t at, rowpool_error *error)
{
    const char *text = file->text + at;
    const char *code = file->code + at;
    const char *inputs = after_definition(code, "ROW_INPUTS");
    if (inputs != NULL && strtoul(inputs, NULL, 10) != 1) {
        (void)rp_fail(error, ROWPOOL_EINVAL, "%s:%zu: it takes several arrays (ROW_INPUTS); rowpool map has one",
                      file->path, line);
        return false;
    }
    source->has_ranges |= after_definition(code, "ROW_RANGES") != NULL;
    const char *included = after_directive(code, "include");
    if (included != NULL && *included == '"')
        return append_included(source, file, line, text + (included - code) + 1, error);
    return (append(source, text, strcspn(text, "\n")) && append_text(source, "\n")) || out_of_memory(error);
}

static bool append_file(function_source *source, source_file file, rowpool_error *error)
{
    char *code = strdup(file.text);
    if (code == NULL)
        return out_of_memory(error);
    blank_comments_and_literals(code);
    file.code = code;
    source->has_body |= has_word(code, "ROW_BODY");
    bool done = true;
    size_t line = 0; /* the text's own #line */
    for (size_t at = 0; file.text[at] != '\0' && done; at += file.text[at] == '\n', line++) {
        done = append_line(source, &file, line, at, error);
        at += strcspn(file.text + at, "\n");
    }
    free(code);
    return done;
}

/* A device's compiler gets the name too, as a string. */
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
    bool done = text != NULL && append_file(source, (source_file){.path = path, .text = text}, &error);
    free(text);
    if (done)
        return true;
    say(NULL, "%s", error.message);
    free_source(source);
    return false;
}

void free_source(function_source *source)
{
    free(source->text);
    source->text = NULL;
}

/* ---- Its types -------------------------------------------------------------------------------------------------- */

#define CHECK_NAME "result_t_is_not_the_output_type"

/* A function may be declared twice, if it is both times the same. */
bool demand_result_type(function_source *source, rowpool_dtype dtype)
{
    static const char *const types[] = {"int8_t",   "int16_t",  "int32_t", "int64_t", "uint8_t", "uint16_t",
                                        "uint32_t", "uint64_t", NULL,      "float",   "double"};
    if (types[dtype] == NULL)
        return true;
    char check[256];
    (void)snprintf(check, sizeof check, "void " CHECK_NAME "(result_t);\nvoid " CHECK_NAME "(%s);\n", types[dtype]);
    if (append_line_number(source, 1) && append_text(source, "\"rowpool map\"\n") && append_text(source, check))
        return true;
    say(NULL, "out of memory");
    return false;
}

/* Whether the first error in the log is that. Those that come after another error may be no more than its consequence.
 */
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
