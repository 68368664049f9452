#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "terminal.h"

static const char *speaker = "rowpool";

enum { LINE = 8192 };
static bool holding;
static char held[LINE];

void speak_as(const char *program)
{
    speaker = program;
}

void hold_messages(void)
{
    holding = true;
}

bool messages_are_held(void)
{
    return holding;
}

void keep_to_one_line(char *text)
{
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
}

/* A failure to write to standard error cannot be reported. */
__attribute__((format(printf, 3, 0))) static void say_at(colour which, const char *where, const char *format,
                                                         va_list arguments)
{
    char line[LINE];
    int used = where != NULL ? snprintf(line, sizeof line / 2, "%s: ", where) : 0;
    used = used < LINE / 2 ? used : LINE / 2 - 1;
    (void)vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    keep_to_one_line(line);
    if (!holding)
        (void)fprintf(stderr, "%s%s:%s %s\n", which != COLOUR_NONE ? colour_on(STDERR_FILENO, which) : "", speaker,
                      which != COLOUR_NONE ? colour_on(STDERR_FILENO, COLOUR_NONE) : "", line);
    else if (which == COLOUR_RED && held[0] == '\0')
        (void)snprintf(held, sizeof held, "%s", line);
}

void say_held(const char *who)
{
    holding = false;
    say(who, "%s", held[0] != '\0' ? held : "failed");
}

void say(const char *where, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_at(COLOUR_RED, where, format, arguments);
    va_end(arguments);
}

void say_in_handler(const char *where, const char *what)
{
    const char *const parts[] = {speaker, ": ", where, ": ", what};
    char line[LINE];
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const size_t length = strnlen(parts[i], LINE - 2 - used);
        memcpy(line + used, parts[i], length);
        used += length;
    }
    line[used] = '\0';
    keep_to_one_line(line);
    line[used] = '\n';
    (void)!write(STDERR_FILENO, line, used + 1);
}

void end_out_of_memory(void)
{
    say_in_handler("out of memory", "free some, or convert the file to .npy, which is mapped");
    remove_interrupted_file();
    _exit(EXIT_FAILED);
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_at(COLOUR_YELLOW, "warning", format, arguments);
    va_end(arguments);
}

void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_at(COLOUR_NONE, NULL, format, arguments);
    va_end(arguments);
}

int usage_error(const char *command, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say(NULL, "%s; see %s %s%s--help", text, speaker, command != NULL ? command : "", command != NULL ? " " : "");
    return EXIT_USAGE;
}
