#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "number.h"

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

static bool is_device_word(const char *item, size_t length)
{
    static const char *const words[] = {"auto", "cpu", "gpu", "accelerator", "all", "fork", "host"};
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

bool device_list_is_sound(const char *list)
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

/* ---- Option values ---------------------------------------------------------------------------------------------- */

int refuse_option(const char *command, int answer, char **argv)
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

bool read_size_option(size_t *value, const char *command, const char *option, const char *text)
{
    uint64_t parsed;
    if (parse_uint64(&parsed, text) && parsed <= SIZE_MAX) {
        *value = (size_t)parsed;
        return true;
    }
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

int show_help(const char *text)
{
    (void)fputs(text, stdout);
    return EXIT_DONE;
}
