/* Reads text tables that another program has made, and says what is in them: for tables_agree.py.
 * Standard input has one after the other, a line "SIZE FORMAT[\tLETTERVALUE]...", LETTER that of an option, and as many
 * bytes. Standard output gets a line for each: "error\tMESSAGE", or the dtype, offsets or the width, labels in hexadecimal
 * or -, elements, and the note, a tab between them and spaces between items. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"
#include "message.h"

static void end_with(const char *what)
{
    (void)fprintf(stderr, "read_tables: %s\n", what);
    exit(2);
}

static input_options read_settings(char *line)
{
    input_options options = {.command = "count"};
    char *rest = NULL;
    char *word = strtok_r(line, "\t\n", &rest);
    bool read;
    if (word == NULL || !take_input_option(&options, 'F', word, &read) || !read)
        end_with("a format is missing");
    while ((word = strtok_r(NULL, "\t\n", &rest)) != NULL) {
        if (!take_input_option(&options, word[0], word + 1, &read) || !read)
            end_with("an option is wrong");
    }
    if (!choose_format(&options, "file"))
        end_with("options do not go together");
    return options;
}

static void print_labels(const buffer *labels)
{
    const char *label = labels->bytes;
    if (labels->count == 0)
        (void)putchar('-');
    for (size_t i = 0; i < labels->count; i++, label = next_text(label)) {
        for (const char *c = label; *c != '\0'; c++)
            (void)printf("%02x", (unsigned char)*c);
        (void)putchar(' ');
    }
}

static void print_table(const input *in)
{
    const rowpool_rows rows = input_rows(in);
    const size_t elements = rows.offsets != NULL ? (size_t)rows.offsets[rows.count] : rows.count * rows.width;
    (void)printf("%s\t", rowpool_dtype_name(rows.dtype));
    for (size_t i = 0; rows.offsets != NULL && i <= rows.count; i++)
        (void)printf("%" PRId64 " ", rows.offsets[i]);
    if (rows.offsets == NULL)
        (void)printf("%zux%zu", rows.count, rows.width);
    (void)putchar('\t');
    print_labels(&in->labels);
    (void)putchar('\t');
    for (size_t i = 0; i < elements; i++) {
        if (rows.dtype == ROWPOOL_INT64)
            (void)printf("%" PRId64 " ", ((const int64_t *)rows.data)[i]);
        else
            (void)printf("%a ", ((const double *)rows.data)[i]);
    }
    (void)printf("\t%s\n", in->notes.bytes != NULL ? in->notes.bytes : "");
}

static void read_table(int fd, const input_options *options)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
    input in;
    rowpool_error error;
    if (open_input(&in, path, options, &error) != ROWPOOL_OK) {
        keep_to_one_line(error.message);
        (void)printf("error\t%s\n", error.message);
        return;
    }
    if (in.notes.bytes != NULL)
        keep_to_one_line(in.notes.bytes);
    print_table(&in);
    close_input(&in);
}

int main(void)
{
    static char bytes[1 << 20];
    char *line = NULL;
    size_t capacity = 0;
    const int fd = memfd_create("table", MFD_CLOEXEC);
    if (fd < 0)
        end_with("no memory file");
    while (getline(&line, &capacity, stdin) > 0) {
        char *settings;
        const size_t size = strtoul(line, &settings, 10);
        if (size > sizeof bytes || fread(bytes, 1, size, stdin) != size)
            end_with("a table is cut short");
        if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
            end_with("no memory for a table");
        const input_options options = read_settings(settings + 1);
        read_table(fd, &options);
    }
    free(line);
    return close(fd) == 0 && fclose(stdout) == 0 ? 0 : 1;
}
