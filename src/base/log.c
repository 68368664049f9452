#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/settings.h"

static const struct {
    const char *name, *text;
} categories[] = {
#define RP_LOG_ROW(NAME, name, text) [RP_LOG_##NAME] = {#name, text},
    RP_LOG_CATEGORIES(RP_LOG_ROW)
#undef RP_LOG_ROW
};
enum { CATEGORIES = sizeof categories / sizeof *categories };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned enabled; /* one bit for each category, written once */
static const char *program = "rowpool";

void rp_log_as(const char *name)
{
    program = name;
}

static void print_help(void)
{
    fprintf(stderr, "rowpool: %s takes a comma-separated list of:\n", rp_setting_name(RP_SETTING_LOG));
    for (size_t i = 0; i < CATEGORIES; i++)
        fprintf(stderr, "  %-8s %s\n", categories[i].name, categories[i].text);
    fprintf(stderr, "  %-8s every category\n  %-8s this list\n", "all", "help");
}

/* False: the word is no category, and the list of them is wanted. */
static bool enable(const rp_word *word)
{
    for (size_t i = 0; i < CATEGORIES; i++)
        if (rp_word_is(word, categories[i].name)) {
            enabled |= 1u << i;
            return true;
        }
    if (rp_word_is(word, "all")) {
        enabled |= (1u << CATEGORIES) - 1;
        return true;
    }
    if (!rp_word_is(word, "help"))
        rp_warn("%s: there is no category '%.*s'", rp_setting_name(RP_SETTING_LOG), (int)rp_min(word->length, 100),
                word->text);
    return false;
}

static void read_setting(void)
{
    const char *list = rp_setting_text(RP_SETTING_LOG);
    bool understood = true;
    for (rp_word word; rp_word_next(&list, &word);)
        understood &= word.length == 0 || enable(&word);
    if (!understood)
        print_help();
}

bool rp_log_on(rp_log_category category)
{
    pthread_once(&once, read_setting);
    return (enabled >> category & 1u) != 0;
}

__attribute__((format(printf, 2, 0))) static void write_log_line(const char *category, const char *format,
                                                                 va_list arguments)
{
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    fprintf(stderr, "%s: %s%s\n", program, category, line);
}

void rp_log(rp_log_category category, const char *format, ...)
{
    if (!rp_log_on(category))
        return;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s: ", categories[category].name);
    va_list arguments;
    va_start(arguments, format);
    write_log_line(prefix, format, arguments);
    va_end(arguments);
}

void rp_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_log_line("", format, arguments);
    va_end(arguments);
}
