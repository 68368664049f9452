#include "options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command.h"
#include "message.h"
#include "number.h"
#include "output.h"

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

static bool is_device_word(const char *item, size_t length)
{
    static const char *const words[] = {"auto", "cpu", "gpu", "accelerator", "all", "isolated", "fork", "host"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == length && memcmp(words[i], item, length) == 0)
            return true;
    }
    return false;
}

/* P:D */
static bool is_device_index(const char *item, size_t length)
{
    size_t platform = strspn(item, "0123456789");
    if (platform == 0 || item[platform] != ':')
        return false;
    size_t device = strspn(item + platform + 1, "0123456789");
    return device > 0 && platform + 1 + device == length;
}

/* Whether the list could name devices: words that rowpool.h knows, or P:D, between commas. */
static bool device_list_is_sound(const char *list)
{
    for (;;) {
        size_t length = strcspn(list, ",");
        if (!is_device_word(list, length) && !is_device_index(list, length))
            return false;
        if (list[length] == '\0')
            return true;
        list += length + 1;
    }
}

/* ---- The command line ------------------------------------------------------------------------------------------- */

/* For what getopt_long answers with '?' or ':'. */
static int refuse_option(const char *command, int answer, char **argv)
{
    const char *given = argv[optind - 1];
    if (answer == ':')
        return usage_error(command, "option '%s' needs a value", given);
    /* getopt_long leaves optopt 0 at a long option that it does not know. */
    if (optopt == 0)
        return usage_error(command, "unknown option '%s'", given);
    if (strncmp(given, "--", 2) == 0)
        return usage_error(command, "option '%s' takes no value", given);
    return usage_error(command, "unknown option '-%c'", optopt);
}

static int show_command_help(const command_line *line, bool takes_file)
{
    const program *which = the_program();
    int status = EXIT_DONE;
    for (size_t i = 0; i < 2 && line->usage[i] != NULL && status == EXIT_DONE; i++) {
        char usage[256];
        (void)snprintf(usage, sizeof usage, "%s%s %s\n", i == 0 ? "Usage: " : "       ", which->start, line->usage[i]);
        status = show_help(usage);
    }
    if (status == EXIT_DONE)
        status = show_help("\n");
    if (status == EXIT_DONE)
        status = show_help(line->help);
    return status == EXIT_DONE && takes_file ? show_help(which->file_help) : status;
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

bool ends_with(const char *text, const char *end)
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
    (void)usage_error(command, "%s '%s' is no whole number from 0 to %zu", option, text, SIZE_MAX);
    return false;
}

bool read_device_option(const char **device, const char *command, const char *text)
{
    if (device_list_is_sound(text)) {
        *device = text;
        return true;
    }
    (void)usage_error(command, "unknown device '%s'", text);
    return false;
}

bool find_dtype_name(rowpool_dtype *dtype, const char *name, size_t length)
{
    for (int i = ROWPOOL_INT8; i <= ROWPOOL_FLOAT64; i++) {
        const char *known = rowpool_dtype_name((rowpool_dtype)i);
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            *dtype = (rowpool_dtype)i;
            return true;
        }
    }
    return false;
}

bool read_dtype_option(rowpool_dtype *dtype, const char *command, const char *option, const char *text)
{
    if (find_dtype_name(dtype, text, strlen(text)))
        return true;
    (void)usage_error(command, "%s '%s' is none of int8 to int64, uint8 to uint64, float16 to float64", option, text);
    return false;
}

int show_help(const char *text)
{
    rowpool_error error;
    if (print_text(text, &error) == ROWPOOL_OK)
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
