/* rowpool-bench: that it refuses what it does not understand, and that what it writes is well formed. No figure is
 * judged: the machine that runs the tests has other things to do. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static char program[PATH_MAX];

/* ---- Running it ------------------------------------------------------------------------------------------------- */

typedef struct {
    int exit_status; /* -1: it was killed */
    char *out, *err;
} outcome;

/* In the child: becomes the program, or leaves with a status that the program never has. */
static void become_program(const char *path, const char *const *arguments, int out, int err)
{
    const char *argv[32] = {path};
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    for (size_t i = 0; arguments[i] != NULL && i + 2 < COUNT_OF(argv); i++)
        argv[i + 1] = arguments[i];
    (void)execvp(path, (char *const *)(uintptr_t)argv);
    _exit(111);
}

static outcome run(const char *const *arguments)
{
    int out = test_open_nameless(), err = test_open_nameless(), status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_program(program, arguments, out, err);
    assert_int_equal(waitpid(child, &status, 0), child);
    outcome result = {WIFEXITED(status) ? WEXITSTATUS(status) : -1, test_read_all(out), test_read_all(err)};
    assert_int_equal(close(out), 0);
    assert_int_equal(close(err), 0);
    return result;
}

static void release(outcome *result)
{
    free(result->out);
    free(result->err);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void succeeds(const outcome *result)
{
    if (result->exit_status != 0)
        fail_msg("exit status %d; standard error: %.2000s", result->exit_status, result->err);
}

/* ---- Usage ------------------------------------------------------------------------------------------------------ */

static void wrong_usage_is_refused(void **state)
{
    static const struct {
        const char *arguments[7], *says;
    } cases[] = {
        {{"--peers", ""}, "--peers: the list is empty"},
        {{"--peers", "nobody", "--device", "host"}, "there is no 'nobody'"},
        {{"--peers", "serial,,limit", "--device", "host"}, "there is no ''"},
        {{"--check=nothing"}, "there is no 'nothing', but rows-5"},
        {{"--check=open,"}, "there is no 'open'"},
        {{"--check", "--shape", "5:5"}, "--check: error: unrecognized arguments: --shape 5:5"},
        {{"--check", "--ranks", "2"}, "--check: error: unrecognized arguments: --ranks 2"},
        {{"--ranks", "1,0"}, "--ranks: '0' is not a whole number from 1 to 65536"},
        {{"--ranks", ""}, "--ranks: '' is not a whole number"},
        {{"--ranks", "2", "--peers", "all"}, "--ranks: error: unrecognized arguments: --peers all"},
        {{"--launcher", "mpirun"}, "the following arguments are required: --ranks"},
        {{"--from", "a"}, "--from needs --check or --plot"},
        {{"--format", "csv"}, "--format: 'csv' is neither table nor json"},
        {{"--device", "host", "--balance", "host,fork"}, "--device and --balance cannot be given together"},
        {{"--balance", "host"}, "--balance: 'host' is one device"},
        {{"--shape", "5"}, "--shape: '5' is not a shape"},
        {{"--shape", "5:5:"}, "--shape: '5:5:' is not a shape"},
        {{"--shape", "5:5:17"}, "--shape: '5:5:17' is not a shape"},
        {{"--shape", "5:5:zip"}, "--shape: '5:5:zip' is not a shape"},
        {{"--shape", "5:5:zipf5"}, "--shape: '5:5:zipf5' is not a shape"},
        {{"--rounds", "-1"}, "--rounds: '-1'"},
        {{"more"}, "'more' is not an option"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        outcome result = run(cases[i].arguments);
        if (result.exit_status != 2 || !strstr(result.err, cases[i].says) || result.out[0])
            fail_msg("case %zu: exit status %d: %s%s", i, result.exit_status, result.err, result.out);
        release(&result);
    }
}

/* ---- Reports ---------------------------------------------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    while ((text = strstr(text, what))) {
        count++;
        text += strlen(what);
    }
    return count;
}

/* The shape of Google Benchmark: a context, then entries that all have a name, a type and times. */
static void json_has_its_members(void **state)
{
    outcome result = RUN("--format", "json", "--rounds", "2", "--shape", "100:5", "--device", "host", "--peers",
                         "serial,limit");
    (void)state;
    succeeds(&result);
    size_t entries = occurrences(result.out, "\"name\":");
    assert_int_equal(occurrences(result.out, "\"context\":"), 1);
    assert_int_equal(occurrences(result.out, "\"benchmarks\":"), 1);
    assert_int_equal(occurrences(result.out, "\"run_name\":"), entries);
    assert_int_equal(occurrences(result.out, "\"run_type\":"), entries);
    assert_int_equal(occurrences(result.out, "\"real_time\":"), entries);
    assert_int_equal(occurrences(result.out, "\"time_unit\": \"ns\""), entries);
    assert_int_equal(occurrences(result.out, "{"), occurrences(result.out, "}"));
    assert_int_equal(occurrences(result.out, "nan"), 0);
    assert_int_equal(occurrences(result.out, ",\n    }"), 0);
    release(&result);
}

static void every_dtype_is_counted_by_every_peer(void **state)
{
    outcome result = RUN("--rounds", "1", "--type", "all", "--shape", "100:3,50:5,30:8,20:64,7:1001", "--device",
                         "host", "--peers", "serial,openmp,intrinsics,limit");
    (void)state;
    succeeds(&result);
    assert_int_equal(occurrences(result.out, "\nserial "), 11 * 5);
    assert_int_equal(occurrences(result.out, "\nrowpool/host "), 11 * 5);
    release(&result);
}

static void ragged_rows_and_several_ranges_are_verified(void **state)
{
    outcome result = RUN("--rounds", "1", "--type", "int8,float64", "--shape",
                         "1000:7:zipf,300:9:3,55:3:zipf:5,40:6:16", "--device", "host", "--peers", "limit", "--format",
                         "json");
    (void)state;
    succeeds(&result);
    /* The device and the limit. */
    assert_int_equal(occurrences(result.out, "\"run_type\": \"aggregate\""), 2 * 4 * 2);
    assert_int_equal(occurrences(result.out, "\"layout\": \"zipf\""), 2 * 2 * 2 * 2);
    assert_true(occurrences(result.out, "/40:6:16/rowpool/host\"") > 0);
    release(&result);
}

static void peers_none_leaves_the_devices(void **state)
{
    outcome result = RUN("--rounds", "1", "--shape", "100:5", "--device", "host", "--peers", "none");
    (void)state;
    succeeds(&result);
    assert_int_equal(occurrences(result.out, "\nrowpool/host "), 1);
    assert_int_equal(occurrences(result.out, "\nserial "), 0);
    release(&result);
}

/* ---- The table of targets --------------------------------------------------------------------------------------- */

/* A line ends in its verdict; a check of what this machine has not says so. */
static void judge_line(const char *line, size_t *measured)
{
    const char *last = strrchr(line, ' ');
    bool good = strstr(line, ">= ") || strstr(line, "<= ");
    if (last && (!strcmp(last, " pass") || !strcmp(last, " short")))
        (*measured)++;
    else
        good = good && strstr(line, "skipped: ");
    if (!good)
        fail_msg("this is no line of the table: '%s'", line);
}

static size_t judge_table(char *out, size_t *lines)
{
    size_t measured = 0;
    char *line = strstr(out, "\ncheck ");
    assert_non_null(line);
    assert_non_null(strtok(line + 1, "\n"));
    for (*lines = 0; (line = strtok(NULL, "\n")); (*lines)++)
        judge_line(line, &measured);
    return measured;
}

static void all_checks_give_a_verdict(void **state)
{
    outcome result = RUN("--check", "--quick", "--rounds", "1");
    size_t lines, measured;
    (void)state;
    succeeds(&result);
    measured = judge_table(result.out, &lines);
    /* 17 for int32 alone, and 4 for each of two types; without OpenCL, OpenMP or NumPy fewer are measured. */
    assert_true(lines >= 17 + 4 * 2);
    assert_true(measured >= 8);
    release(&result);
}

static void checks_are_picked_by_name_and_judged_again(void **state)
{
    char folder[] = "/tmp/rowpool-test-bench-XXXXXX", results[sizeof folder + 8];
    size_t lines;
    (void)state;
    outcome result = RUN("--check=small-1,small-10000", "--rounds", "2");
    succeeds(&result);
    assert_int_equal(judge_table(result.out, &lines), 2);
    assert_int_equal(lines, 2);
    release(&result);

    assert_non_null(mkdtemp(folder));
    (void)snprintf(results, sizeof results, "%s/results", folder);
    result = RUN("--device", "auto", "--peers", "serial", "--shape", "1:5", "--rounds", "1", "--format", "json");
    succeeds(&result);
    FILE *file = fopen(results, "w");
    assert_non_null(file);
    assert_true(fputs(result.out, file) >= 0 && fclose(file) == 0);
    release(&result);
    result = RUN("--check=small-1,small-10000", "--from", results);
    succeeds(&result);
    assert_int_equal(judge_table(result.out, &lines), 1); /* the others were not measured */
    assert_int_equal(lines, 3);
    release(&result);
    assert_int_equal(unlink(results), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- Ranks of an MPI job ---------------------------------------------------------------------------------------- */

static size_t count_lines(const char *text, const char *begin)
{
    size_t count = 0;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        count += strncmp(line, begin, strlen(begin)) == 0;
    }
    return count;
}

static void ranks_scale_both_ways(void **state)
{
    const char *launcher = getenv("ROWPOOL_TEST_LAUNCHER");
    (void)state;
    if (launcher == NULL)
        skip_since("there is no MPI launcher");
    outcome table = RUN("--ranks", "1,2", "--rounds", "1", "--shape", "1001:5", "--launcher", launcher);
    succeeds(&table);
    assert_int_equal(count_lines(table.out, "strong "), 2);
    assert_int_equal(count_lines(table.out, "weak "), 1);
    assert_non_null(strstr(table.out, "1001 x 5"));
    assert_non_null(strstr(table.out, "2002 x 5"));
    outcome other = RUN("--ranks", "2", "--rounds", "2", "--shape", "100:5", "--type", "int8", "--launcher", launcher);
    succeeds(&other);
    assert_non_null(strstr(other.out, "200 x 5"));
    release(&table);
    release(&other);
}

static void jobs_that_fail_are_told(void **state)
{
    const char *launcher = getenv("ROWPOOL_TEST_LAUNCHER");
    (void)state;
    if (launcher == NULL)
        skip_since("there is no MPI launcher");
    outcome few = RUN("--ranks", "3", "--rounds", "1", "--shape", "2:5", "--launcher", launcher);
    assert_int_equal(few.exit_status, 1);
    assert_non_null(strstr(few.err, "2 rows are not enough for 3 ranks"));
    assert_non_null(strstr(few.err, "with 3 ranks failed"));
    assert_string_equal(few.out, "");
    outcome none = RUN("--ranks", "2", "--launcher", "/nowhere/mpirun -x");
    assert_int_equal(none.exit_status, 1);
    assert_non_null(strstr(none.err, "--launcher: /nowhere/mpirun: No such file"));
    outcome silent = RUN("--ranks", "2", "--launcher", "true");
    assert_int_equal(silent.exit_status, 1);
    assert_non_null(strstr(silent.err, "true with 1 ranks failed"));
    outcome blank = RUN("--ranks", "2", "--launcher", " ");
    assert_int_equal(blank.exit_status, 1);
    assert_non_null(strstr(blank.err, "--launcher: ' ' is not a command"));
    release(&few);
    release(&none);
    release(&silent);
    release(&blank);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_refused),
        cmocka_unit_test(json_has_its_members),
        cmocka_unit_test(every_dtype_is_counted_by_every_peer),
        cmocka_unit_test(ragged_rows_and_several_ranges_are_verified),
        cmocka_unit_test(peers_none_leaves_the_devices),
        cmocka_unit_test(all_checks_give_a_verdict),
        cmocka_unit_test(checks_are_picked_by_name_and_judged_again),
        cmocka_unit_test(ranks_scale_both_ways),
        cmocka_unit_test(jobs_that_fail_are_told),
    };
    const char *path = getenv("ROWPOOL_BENCH_PROGRAM");
    if (path == NULL || realpath(path, program) == NULL) {
        print_error("ROWPOOL_BENCH_PROGRAM does not name the program\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
