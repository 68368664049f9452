/* The environment variables: one table of them, which the program prints and rowpool(3) has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/settings.h"
#include "support.h"

/* ---- The table -------------------------------------------------------------------------------------------------- */

TEST(every_variable_is_told)
{
    rowpool_variable variable;
    for (size_t i = 0; i < RP_SETTINGS; i++) {
        assert_true(rowpool_variable_at(i, &variable));
        assert_string_equal(variable.name, rp_setting_name((rp_setting)i));
        assert_non_null(variable.option);
        assert_true(strlen(variable.meaning) > 10);
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(variable.name, rp_setting_name((rp_setting)other));
    }
    assert_false(rowpool_variable_at(RP_SETTINGS, &variable));
    assert_false(rowpool_variable_at(SIZE_MAX, &variable));
    assert_false(rowpool_variable_at(0, NULL));
}

TEST(values_are_told_where_they_are_set)
{
    rowpool_variable variable;
    setenv("ROWPOOL_WORKERS", "3", 1);
    assert_true(rowpool_variable_at(RP_SETTING_WORKERS, &variable));
    assert_string_equal(variable.option, "workers");
    assert_string_equal(variable.value, "3");
    setenv("ROWPOOL_WORKERS", "", 1);
    assert_true(rowpool_variable_at(RP_SETTING_WORKERS, &variable));
    assert_null(variable.value);
    unsetenv("ROWPOOL_WORKERS");
    assert_true(rowpool_variable_at(RP_SETTING_WORKERS, &variable));
    assert_null(variable.value);
}

TEST(the_log_has_the_categories_that_its_variable_names)
{
    rowpool_variable variable;
    assert_true(rowpool_variable_at(RP_SETTING_LOG, &variable));
#define NAME_AND_COMMA(NAME, name, text) #name ", "
    assert_non_null(strstr(variable.meaning, RP_LOG_CATEGORIES(NAME_AND_COMMA)));
#undef NAME_AND_COMMA
}

/* ---- The man page ----------------------------------------------------------------------------------------------- */

/* The variables as rowpool(3) has them, line ends being spaces. */
static char *expected_section(void)
{
    char *text;
    size_t length;
    FILE *section = open_memstream(&text, &length);
    rowpool_variable variable;
    assert_non_null(section);
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++)
        (void)fprintf(section, ".TP .B %s %s ", variable.name, variable.meaning);
    (void)fprintf(section, ".SH ");
    assert_int_equal(fclose(section), 0);
    return text;
}

/* A man page without the backslashes of its escapes, and with a space for each line end. */
static char *read_page(const char *path)
{
    char *text;
    size_t length;
    assert_non_null(path);
    FILE *file = fopen(path, "r"), *plain = open_memstream(&text, &length);
    assert_non_null(file);
    assert_non_null(plain);
    for (int c; (c = fgetc(file)) != EOF;)
        if (c != '\\')
            (void)fputc(c == '\n' ? ' ' : c, plain);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(fclose(plain), 0);
    return text;
}

TEST(the_man_page_has_the_same_texts)
{
    char *expected = expected_section(), *page = read_page(getenv("ROWPOOL_TEST_MAN_PAGE"));
    if (strstr(page, expected) == NULL)
        fail_msg("the variables of rowpool.3 are not\n%s", expected);
    free(expected);
    free(page);
}

/* ---- The program ------------------------------------------------------------------------------------------------ */

/* What the program writes; words that were wrapped stand on one line again. */
static char *environment_text(void)
{
    char *text;
    size_t length;
    FILE *unwrapped = open_memstream(&text, &length), *out = popen("\"$ROWPOOL_PROGRAM\" environment", "r");
    assert_non_null(unwrapped);
    assert_non_null(out);
    for (int c, before = ' '; (c = fgetc(out)) != EOF; before = c) {
        c = c == '\n' ? ' ' : c;
        if (c != ' ' || before != ' ')
            (void)fputc(c, unwrapped);
    }
    assert_int_equal(pclose(out), 0);
    assert_int_equal(fclose(unwrapped), 0);
    return text;
}

TEST(the_program_prints_the_table)
{
    setenv("ROWPOOL_CPU", "some\nform", 1);
    char *text = environment_text();
    rowpool_variable variable;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++) {
        char line[512];
        (void)snprintf(line, sizeof line, "%s %s ", variable.name, variable.meaning);
        if (strstr(text, line) == NULL)
            fail_msg("rowpool environment does not say: %s", line);
    }
    assert_non_null(strstr(text, "CPU has is set: some?form ROWPOOL_LOG"));
    unsetenv("ROWPOOL_CPU");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variable_is_told),
        cmocka_unit_test(values_are_told_where_they_are_set),
        cmocka_unit_test(the_log_has_the_categories_that_its_variable_names),
        cmocka_unit_test(the_man_page_has_the_same_texts),
        cmocka_unit_test(the_program_prints_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
