/* Small parts of the program: formatted amounts, and the output file. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replace.h"
#include "support.h"
#include "units.h"

typedef void format_amount(char text[UNITS_TEXT], double amount);

static void check_amount(format_amount *format, double amount, const char *expected)
{
    char text[UNITS_TEXT];
    format(text, amount);
    assert_string_equal(text, expected);
}

TEST(bytes_are_counted_in_powers_of_1024)
{
    check_amount(format_bytes, 0, "0 bytes");
    check_amount(format_bytes, 1023, "1023 bytes");
    check_amount(format_bytes, 1024, "1.0 KiB");
    check_amount(format_bytes, 1.5 * 1024 * 1024, "1.5 MiB");
    check_amount(format_bytes, 0x1p30, "1.0 GiB");
    check_amount(format_bytes, 0x1p64, "16384.0 PiB");
}

TEST(rates_are_counted_in_powers_of_1000)
{
    check_amount(format_rate, 0, "0.0 B/s");
    check_amount(format_rate, 999, "999 B/s");
    check_amount(format_rate, 1000, "1.0 kB/s");
    check_amount(format_rate, 12.34e9, "12.3 GB/s");
    check_amount(format_rate, 410.4e6, "410 MB/s");
    check_amount(format_rate, 1e20, "100000 PB/s");
}

TEST(seconds_are_shown_in_a_suitable_unit)
{
    check_amount(format_seconds, 0, "0.00 ms");
    check_amount(format_seconds, 0.000421, "0.42 ms");
    check_amount(format_seconds, 1, "1.0 s");
    check_amount(format_seconds, 59.9, "59.9 s");
    check_amount(format_seconds, 60, "1 min 00 s");
    check_amount(format_seconds, 3725.9, "62 min 05 s");
}

/* If a standard stream were closed the file could get its descriptor, and messages would be written to the file. */
TEST(output_files_avoid_standard_descriptors)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static replacement files[2];
        for (int fd = 0; fd <= STDERR_FILENO; fd++)
            (void)close(fd);
        const bool begun = replace_begin(&files[0], "/tmp/rowpool-test-units", NULL) == ROWPOOL_OK &&
                           replace_begin_named(&files[1], "/tmp/rowpool-test-units", NULL) == ROWPOOL_OK;
        const bool apart = files[0].fd > STDERR_FILENO && files[1].fd > STDERR_FILENO;
        replace_discard(&files[1]);
        replace_discard(&files[0]);
        _exit(begun && apart ? 0 : 1);
    }
    status = test_wait(child);
    assert_int_equal(status, 0);
}

/* ---- A file that is written to in place ------------------------------------------------------------------------- */

static size_t copied_at_once, copies_left; /* of sendfile: bytes for each call; calls before it finds the end */

ssize_t __real_sendfile(int to, int from, off_t *at, size_t bytes);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t bytes);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t bytes)
{
    if (copies_left == 0)
        return 0;
    copies_left--;
    return __real_sendfile(to, from, at, bytes < copied_at_once ? bytes : copied_at_once);
}

static rowpool_status copy_in_place(const char *path, const char *text, rowpool_error *error)
{
    replacement file = {.kind = REPLACE_COPY, .note = "its folder cannot be written"};
    file.fd = memfd_create("test", MFD_CLOEXEC);
    (void)strcpy(file.target, path);
    assert_int_equal(write(file.fd, text, strlen(text)), strlen(text));
    return replace_commit(&file, error);
}

TEST(a_short_copy_is_an_error)
{
    char path[] = "/tmp/rowpool-test-units-XXXXXX";
    rowpool_error error;
    struct stat copy;
    assert_true(close(mkstemp(path)) == 0);
    copied_at_once = 1;
    copies_left = SIZE_MAX;
    assert_ok(copy_in_place(path, "results", &error), error);
    assert_true(stat(path, &copy) == 0 && copy.st_size == 7);
    copies_left = 6;
    assert_refused(copy_in_place(path, "results", &error), ROWPOOL_ESYSTEM, error, "the file is incomplete");
    copies_left = 0;
    assert_refused(copy_in_place(path, "results", &error), ROWPOOL_ESYSTEM, error, "the file is incomplete");
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_counted_in_powers_of_1024),
        cmocka_unit_test(rates_are_counted_in_powers_of_1000),
        cmocka_unit_test(seconds_are_shown_in_a_suitable_unit),
        cmocka_unit_test(output_files_avoid_standard_descriptors),
        cmocka_unit_test(a_short_copy_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
