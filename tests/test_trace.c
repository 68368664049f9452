/* Writes a trace, to the path in ROWPOOL_TRACE, of maps on every kind of device and of a worker that dies: trace.cmake
 * checks the file. */
#include <locale.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/trace.h"
#include "support.h"

enum { ROWS = 60000, WIDTH = 7 };
static int32_t data[ROWS * WIDTH];
static uint32_t counts[ROWS];
static const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};

static rowpool *open_pool(const char *device)
{
    rowpool *pool = NULL;
    rowpool_error error;
    rowpool_options options = {.size = sizeof options, .device = device, .workers = 2, .chunk_bytes = 200000};
    assert_ok(rowpool_open(&pool, &options, &error), error);
    return pool;
}

/* A row function's name may be any text: it must not break the file. */
static void die_once(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    atomic_bool *const *died = arguments;
    (void)row;
    if (index == 4321 && !atomic_exchange(*died, true))
        raise(SIGKILL);
    *(uint32_t *)result = (uint32_t)index;
}

/* A locale with a decimal comma for the rest of this program: the file must still be JSON. */
TEST(a_locale_with_a_decimal_comma)
{
    static const char source[] = "LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"<U002E>\"\ngrouping 3\n"
                                 "END LC_NUMERIC\n";
    char folder[] = "/tmp/rowpool-test-locale-XXXXXX", command[256];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(command, sizeof command, "cd %s && cat >source && localedef -c -i source ./comma >/dev/null 2>&1",
                   folder);
    FILE *definer = popen(command, "w");
    assert_non_null(definer);
    fputs(source, definer);
    pclose(definer); /* localedef complains about the missing categories */
    setenv("LOCPATH", folder, 1);
    const char *found = setlocale(LC_NUMERIC, "comma");
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    if (found == NULL)
        skip_since("localedef is missing");
    (void)snprintf(command, sizeof command, "%.1f", 0.5);
    assert_string_equal(command, "0,5");
}

TEST(maps_on_every_kind_of_device)
{
    static const char *const devices[] = {"auto", "fork", "host", "auto,fork"};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        rowpool *pool = open_pool(devices[i]);
        rowpool_error error;
        rowpool_job *job;
        assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
        assert_ok(rowpool_range_count_async(pool, &rows, NULL, 0, counts, NULL, NULL, &job, &error), error);
        assert_ok(rowpool_job_wait(job, -1, &error), error);
        rowpool_job_release(job);
        rowpool_close(pool);
    }
}

TEST(a_worker_that_dies)
{
    atomic_bool *died = rowpool_alloc(sizeof *died, NULL);
    assert_non_null(died);
    const rowpool_function function = {.size = sizeof function,
                                       .name = "\"die\"\n\\once\t\x01",
                                       .row = die_once,
                                       .arguments_size = sizeof died,
                                       .result_size = sizeof *counts};
    rowpool *pool = open_pool("fork");
    rowpool_error error;
    rowpool_call call = {.size = sizeof call,
                         .function = &function,
                         .inputs = &rows,
                         .arguments = &died,
                         .arguments_size = sizeof died,
                         .results = counts,
                         .results_size = sizeof counts};
    assert_ok(rowpool_map(pool, &call, &error), error);
    for (uint32_t i = 0; i < ROWS; i++)
        assert_int_equal(counts[i], i);
    rowpool_close(pool);
    rowpool_free(died);
}

/* The first two of three spans in a track overlap: the track is split in two of the same name. */
TEST(overlapping_spans_get_separate_tracks)
{
    const struct timespec at[] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
    rp_trace_span("overlapping", "first", at[0], at[2], "");
    rp_trace_span("overlapping", "second", at[1], at[2], "");
    rp_trace_span("overlapping", "third", at[2], at[3], "");
}

static off_t trace_size(void)
{
    struct stat file;
    assert_int_equal(stat(getenv("ROWPOOL_TRACE"), &file), 0);
    return file.st_size;
}

/* What a child traces must not appear between the parent's lines. */
TEST(a_forked_child_writes_nothing)
{
    const off_t before = trace_size();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        rowpool *pool = NULL;
        rowpool_error error;
        rowpool_options options = {.size = sizeof options, .device = "host"};
        bool right = rowpool_open(&pool, &options, &error) == ROWPOOL_OK &&
                     rowpool_range_count(pool, &rows, NULL, 0, counts, &error) == ROWPOOL_OK;
        rowpool_close(pool);
        _exit(right ? 0 : 1);
    }
    const int status = test_wait(child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(trace_size(), before);
}

int main(void)
{
    if (getenv("ROWPOOL_TRACE") == NULL) {
        fprintf(stderr, "ROWPOOL_TRACE must name the file\n");
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_locale_with_a_decimal_comma),
        cmocka_unit_test(maps_on_every_kind_of_device),
        cmocka_unit_test(a_worker_that_dies),
        cmocka_unit_test(overlapping_spans_get_separate_tracks),
        cmocka_unit_test(a_forked_child_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
