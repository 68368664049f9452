/* The text of row functions, from files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/source.h"

enum { MAX_BYTES = 16 << 20 };

/* #line 1 "path". Quotes and backslashes are escaped as octal numbers: newer compilers end the path at a quote even
 * after a backslash. Returns the length. */
static size_t write_line_directive(char *text, const char *path)
{
    char *to = text;
    to += sprintf(to, "#line 1 \"");
    for (; *path != '\0'; path++) {
        if (*path == '"' || *path == '\\')
            to += sprintf(to, "\\%03o", (unsigned)*path);
        else
            *to++ = *path == '\n' ? ' ' : *path;
    }
    to += sprintf(to, "\"\n");
    return (size_t)(to - text);
}

void rp_source_unescape(char *text)
{
    char *to = text;
    for (; *text != '\0'; text++) {
        bool quote = strncmp(text, "\\042", 4) == 0, backslash = strncmp(text, "\\134", 4) == 0;
        *to++ = (char)(quote ? '"' : *text);
        text += quote || backslash ? 3 : 0;
    }
    *to = '\0';
}

static rowpool_status read_text(FILE *file, const char *path, char **text, rowpool_error *error)
{
    struct stat about;
    if (fstat(fileno(file), &about) != 0)
        return rp_fail(error, ROWPOOL_ESYSTEM, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode) || about.st_size > MAX_BYTES)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is not a text file of at most %d bytes", path, MAX_BYTES);
    size_t size = (size_t)about.st_size, head = 4 * strlen(path) + sizeof "#line 1 \"\"\n";
    char *whole = malloc(head + size + 1);
    if (whole == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for the text of %s", path);
    size_t begin = write_line_directive(whole, path);
    size_t got = fread(whole + begin, 1, size, file);
    whole[begin + got] = '\0';
    rowpool_status status = ROWPOOL_OK;
    if (ferror(file))
        status = rp_fail(error, ROWPOOL_ESYSTEM, "cannot read %s: %s", path, strerror(errno));
    else if (memchr(whole + begin, '\0', got) != NULL)
        status = rp_fail(error, ROWPOOL_EINVAL, "%s is not a text file: it has a byte 0", path);
    if (status != ROWPOOL_OK) {
        free(whole);
        return status;
    }
    *text = whole;
    return ROWPOOL_OK;
}

char *rp_source_read(const char *path, rowpool_error *error)
{
    char *text = NULL;
    if (path == NULL) {
        rp_fail(error, ROWPOOL_EINVAL, "path is NULL");
        return NULL;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        rp_fail(error, ROWPOOL_ESYSTEM, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    if (read_text(file, path, &text, error) != ROWPOOL_OK)
        text = NULL;
    fclose(file);
    return text;
}
