#include "environment.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "options.h"

static const char HELP[] = "Usage: rowpool environment\n"
                           "\n"
                           "Lists the environment variables that rowpool reads, what they mean, and their values where "
                           "they are set.\n"
                           "  --help          show this text\n";

enum { INDENT = 25, LINE = 100 };

/* What is no text does not reach the terminal. */
static void print_word(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        (void)putchar((unsigned char)word[i] < 0x20 || word[i] == 0x7f ? '?' : word[i]);
}

/* Text from the column of meanings on, in as many lines as it takes. */
static void print_wrapped(const char *text)
{
    size_t column = INDENT;
    while (*text != '\0') {
        size_t spaces = strspn(text, " "), word = strcspn(text + spaces, " ");
        bool fits = column + spaces + word <= LINE || column == INDENT;
        (void)printf("%s%*s", fits ? "" : "\n", fits ? (int)spaces : INDENT, "");
        print_word(text + spaces, word);
        column = (fits ? column + spaces : INDENT) + word;
        text += spaces + word;
    }
    (void)putchar('\n');
}

static void print_variable(const rowpool_variable *variable)
{
    (void)printf("%-*s", INDENT, variable->name);
    print_wrapped(variable->meaning);
    if (variable->value != NULL) {
        (void)printf("%*s", INDENT, "is set: ");
        print_wrapped(variable->value);
    }
}

int run_environment(int argc, char **argv)
{
    static const struct option known[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    static const command_line environment = {"environment", HELP, known, NULL};
    int understood = read_options(&environment, NULL, NULL, argc, argv);
    rowpool_variable variable;
    for (size_t i = 0; understood == GO_ON && rowpool_variable_at(i, &variable); i++)
        print_variable(&variable);
    return understood == GO_ON ? EXIT_DONE : understood;
}
