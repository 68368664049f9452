#include "options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "command.h"
#include "find_word.h"
#include "message.h"
#include "number.h"
#include "output.h"

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

/* Whether the item is a device name that rowpool.h lists, or P:D. */
static bool is_device_item(const char *item, size_t length)
{
    const size_t platform = strspn(item, "0123456789");
    const size_t device = item[platform] == ':' ? strspn(item + platform + 1, "0123456789") : 0;
    return find_word("auto cpu gpu accelerator all isolated fork host", item, length) >= 0 ||
           (platform > 0 && device > 0 && platform + 1 + device == length);
}

/* ---- The command line ------------------------------------------------------------------------------------------- */

/* answer: '?' or ':' from getopt_long. */
static int refuse_option(const char *command, int answer, char **argv)
{
    const char *given = argv[optind - 1];
    if (answer == ':')
        return usage_error(command, "option '%s' needs a value", given);
    /* getopt_long leaves optopt 0 for an unknown long option */
    if (optopt == 0)
        return usage_error(command, "unknown option '%s'", given);
    if (strncmp(given, "--", 2) == 0)
        return usage_error(command, "option '%s' takes no value", given);
    return usage_error(command, "unknown option '-%c'", optopt);
}

static int show_command_help(const command_line *line, bool takes_file)
{
    const program *which = the_program();
    buffer text = {0};
    append_format(&text, "Usage: %s %s\n", which->start, line->usage[0]);
    if (line->usage[1] != NULL)
        append_format(&text, "       %s %s\n", which->start, line->usage[1]);
    append_bytes(&text, "\n", 1);
    append_bytes(&text, line->help, strlen(line->help));
    if (takes_file)
        append_bytes(&text, which->file_help, strlen(which->file_help));
    end_text(&text);
    int status = show_help(text.bytes);
    free_buffer(&text);
    return status;
}

static int read_file_argument(const char *command, const char **file, int argc, char **argv)
{
    const int wanted = file != NULL;
    if (argc - optind < wanted)
        return usage_error(command, "FILE is missing");
    if (argc - optind > wanted)
        return usage_error(command, "unexpected argument '%s'", argv[optind + wanted]);
    if (file != NULL)
        *file = argv[optind];
    return GO_ON;
}

int read_options(const command_line *line, void *options, const char **file, int argc, char **argv)
{
    for (int answer; (answer = getopt_long(argc, argv, ":h", line->known, NULL)) != -1;) {
        if (answer == '?' || answer == ':')
            return refuse_option(line->name, answer, argv);
        if (answer == 'h')
            return show_command_help(line, file != NULL);
        if (!line->read(options, answer, optarg))
            return EXIT_USAGE;
    }
    return read_file_argument(line->name, file, argc, argv);
}

/* ---- Option values ---------------------------------------------------------------------------------------------- */

bool path_ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    return length >= strlen(end) && strcasecmp(text + length - strlen(end), end) == 0;
}

bool has_suffix(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot > name && dot[1] != '\0';
}

bool parse_size(size_t *value, const char *text)
{
    uint64_t parsed;
    if (!parse_uint64(&parsed, text) || parsed > SIZE_MAX)
        return false;
    *value = (size_t)parsed;
    return true;
}

bool read_size_option(size_t *value, const char *command, const char *option, const char *text)
{
    if (parse_size(value, text))
        return true;
    (void)usage_error(command, "%s '%s' is not a whole number from 0 to %zu", option, text, SIZE_MAX);
    return false;
}

bool read_device_option(const char **device, const char *command, const char *text)
{
    *device = text;
    for (const char *item = text;; item++) {
        const size_t length = strcspn(item, ",");
        if (!is_device_item(item, length)) {
            (void)usage_error(command, "unknown device '%s'", text);
            return false;
        }
        item += length;
        if (*item == '\0')
            return true;
    }
}

bool find_dtype_name(rowpool_dtype *dtype, const char *name, size_t length)
{
    const int found = find_word("int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64", name,
                                length);
    *dtype = (rowpool_dtype)found;
    return found >= 0;
}

bool read_dtype_option(rowpool_dtype *dtype, const char *command, const char *option, const char *text)
{
    if (find_dtype_name(dtype, text, strlen(text)))
        return true;
    (void)usage_error(command, "%s '%s' is not one of int8 to int64, uint8 to uint64, float16 to float64", option,
                      text);
    return false;
}

int show_help(const char *text)
{
    rowpool_error error;
    if (print_string(text, &error) == ROWPOOL_OK)
        return EXIT_DONE;
    say(NULL, "%s", error.message);
    return EXIT_FAILED;
}

const struct option JSON_ALONE[] = {
    {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};

bool read_json_option(void *json, int option, const char *value)
{
    (void)value;
    return *(bool *)json = option == 'j';
}
