#include "environment.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "options.h"
#include "output_json.h"

static const char HELP[] = "Lists the environment variables that rowpool reads, what they mean, and their values where "
                           "they are set.\n"
                           "\n"
                           "  --json          print one JSON object\n"
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

static json_t *variable_as_json(const rowpool_variable *variable)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "name", variable->name, "option", variable->option, "meaning",
                     variable->meaning, "value", variable->value != NULL ? text_as_json(variable->value) : json_null());
}

static int print_all_as_json(void)
{
    json_t *variables = json_array();
    rowpool_variable variable;
    rowpool_error error;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++)
        (void)json_array_append_new(variables, variable_as_json(&variable));
    if (print_json(json_pack("{s:o}", "variables", variables), &error) == ROWPOOL_OK)
        return EXIT_DONE;
    say(NULL, "%s", error.message);
    return EXIT_FAILED;
}

static int print_all(void)
{
    rowpool_variable variable;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++)
        print_variable(&variable);
    return EXIT_DONE;
}

const char *variable_value(const char *name)
{
    rowpool_variable variable;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++) {
        if (strcmp(variable.name, name) == 0)
            return variable.value;
    }
    return NULL;
}

int run_environment(int argc, char **argv)
{
    static const command_line environment = {
        "environment", {"environment [--json]"}, HELP, JSON_ALONE, read_json_option};
    bool json = false;
    int understood = read_options(&environment, &json, NULL, argc, argv);
    if (understood != GO_ON)
        return understood;
    return json ? print_all_as_json() : print_all();
}
