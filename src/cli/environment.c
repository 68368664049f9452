/* rowpool environment */
#include "environment.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "options.h"
#include "output_json.h"

enum { INDENT = 25, LINE = 100 };

/* Prints the text from column INDENT on, in lines of at most LINE characters. Control characters do not reach the
 * terminal. */
static void print_wrapped(const char *text)
{
    for (size_t column = INDENT; *text != '\0';) {
        const size_t spaces = strspn(text, " "), word = strcspn(text + spaces, " ");
        const bool fits = column + spaces + word <= LINE || column == INDENT;
        (void)printf("%s%*s", fits ? "" : "\n", fits ? (int)spaces : INDENT, "");
        for (size_t i = 0; i < word; i++) {
            const unsigned char c = (unsigned char)text[spaces + i];
            (void)putchar(c < 0x20 || c == 0x7f ? '?' : c);
        }
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

static rowpool_status print_variables_as_json(rowpool_error *error)
{
    json_t *variables = json_array();
    rowpool_variable variable;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++)
        (void)json_array_append_new(variables,
                                    json_pack("{s:s, s:s, s:s, s:o}", "name", variable.name, "option", variable.option,
                                              "meaning", variable.meaning, "value",
                                              variable.value != NULL ? text_as_json(variable.value) : json_null()));
    return print_json(json_pack("{s:o}", "variables", variables), error);
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
    static const char help[] =
        "Lists the environment variables that rowpool reads, what they mean, and their values where they are set.\n"
        "\n"
        "  --json          print one JSON object\n"
        "  --help          show this text\n";
    static const command_line line = {"environment", {"environment [--json]"}, help, JSON_ALONE, read_json_option};
    bool json = false;
    rowpool_variable variable;
    rowpool_error error = {.status = ROWPOOL_OK};
    int understood = read_options(&line, &json, NULL, argc, argv);
    if (understood != GO_ON)
        return understood;
    if (json && print_variables_as_json(&error) != ROWPOOL_OK) {
        say(NULL, "%s", error.message);
        return EXIT_FAILED;
    }
    for (size_t i = 0; !json && rowpool_variable_at(i, &variable); i++)
        print_variable(&variable);
    return EXIT_DONE;
}
