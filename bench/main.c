/* rowpool-bench: the range count on every device beside its peers, for each element type and shape. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "message.h"
#include "options.h"
#include "report.h"
#include "script.h"

/* An OpenMP team that spins while it waits takes CPU time from the next peer. The runtime reads OMP_WAIT_POLICY before
 * main begins, so the program sets it and executes itself again. */
static bool wait_without_spinning(char **argv)
{
    static const char variable[] = "OMP_WAIT_POLICY", passive[] = "passive";
    const char *policy = getenv(variable);

    if (policy != NULL && strcasecmp(policy, passive) == 0)
        return true;
    if (setenv(variable, passive, 1) == 0)
        execv("/proc/self/exe", argv);
    say(NULL, "cannot start again with %s=%s: %s; set it yourself", variable, passive, strerror(errno));
    return false;
}

/* A full disk or a closed pipe is noticed only when the buffered output is written. */
static int flush_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    say(NULL, "cannot write the output: %s", strerror(errno));
    return EXIT_FAILED;
}

/* ---- Scripts ---------------------------------------------------------------------------------------------------- */

/* The first of these options that is given decides which script reads the command line. */
static const struct {
    const char *option, *script, *imports;
} scripts[] = {
    {"--check", "check.py", ""},
    {"--ranks", "scaling.py", ""},
    {"--launcher", "scaling.py", ""},
    {"--plot", "plot.py", "import matplotlib; matplotlib.rcParams['text.parse_math']"}, /* from 3.6 on */
    {"--from", "check.py", ""},
};

static bool option_is_given(const char *option, char **argv)
{
    const size_t length = strlen(option);

    for (char **argument = argv + 1; *argument != NULL; argument++)
        if (strncmp(*argument, option, length) == 0 && ((*argument)[length] == '\0' || (*argument)[length] == '='))
            return true;
    return false;
}

/* Becomes the script: python SCRIPT PROGRAM LIBEXEC ARGUMENT... Returns the exit status if that fails. */
static int become_script(size_t i, char **argv)
{
    static char libexec[] = BENCH_LIBEXEC_FROM_PROGRAM;
    static char no_bytecode[] = "-B";
    char program[PATH_MAX];
    bench_script script;
    rowpool_error error;
    size_t count = 5;

    if (realpath("/proc/self/exe", program) == NULL) {
        say(scripts[i].option, "%s", strerror(errno));
        return EXIT_FAILED;
    }
    if (bench_script_find(&script, scripts[i].script, scripts[i].imports, &error) != ROWPOOL_OK) {
        say(scripts[i].option, "%s", error.message);
        return EXIT_FAILED;
    }
    char *arguments[256] = {(char *)(uintptr_t)script.python, no_bytecode, script.path, program, libexec};
    for (char **argument = argv + 1; *argument != NULL && count < 255; argument++)
        arguments[count++] = *argument;
    execvp(script.python, arguments);
    say(scripts[i].option, "%s: %s", script.python, strerror(errno));
    return EXIT_FAILED;
}

/* ---- The sweep -------------------------------------------------------------------------------------------------- */

static rowpool_status measure_case(const bench_options *options, json_t *record, bench_peers *peers,
                                   rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    bench_results results = {.count = 0};
    bench_case work;
    rowpool_status status = bench_case_make(&work, dtype, shape, error);

    if (status == ROWPOOL_OK)
        status = bench_measure(&work, peers, options->rounds, &results, error);
    if (status == ROWPOOL_OK && !options->json)
        bench_table_add(&work, &results);
    if (status == ROWPOOL_OK && fflush(stdout) != 0)
        status = rp_fail(error, ROWPOOL_ESYSTEM, "cannot write the output: %s", strerror(errno));
    if (status == ROWPOOL_OK && !bench_record_add(record, &work, &results))
        status = rp_fail(error, ROWPOOL_ENOMEM, "no memory for the results");
    bench_results_free(&results);
    bench_case_free(&work);
    return status;
}

static rowpool_status find_peers(const bench_options *options, bench_peers *peers, rowpool_error *error)
{
    /* Check all cases before measuring the first: otherwise the user would learn only after a long wait that a later one
     * does not fit. */
    for (size_t i = 0; i < options->dtype_count; i++)
        for (size_t j = 0; j < options->shape_count; j++)
            BENCH_TRY(bench_case_fits(options->dtypes[i], &options->shapes[j], error));
    *peers = (bench_peers){.wanted = options->peers, .devices = options->devices, .balance = options->balance};
    BENCH_TRY(bench_peers_find(peers, error));
    return options->peers_named ? bench_peers_check_wanted(peers, error) : ROWPOOL_OK;
}

/* Finds, measures and prints; returns the exit status. */
static int measure_all_cases(const bench_options *options, json_t *record, bench_peers *peers)
{
    rowpool_error error;
    rowpool_status status = find_peers(options, peers, &error);

    if (status != ROWPOOL_OK) {
        say(NULL, "%s", error.message);
        return status == ROWPOOL_EINVAL ? EXIT_USAGE : EXIT_FAILED;
    }
    if (!options->json)
        bench_table_begin(record, peers);
    for (size_t i = 0; i < options->dtype_count; i++)
        for (size_t j = 0; j < options->shape_count && status == ROWPOOL_OK; j++)
            status = measure_case(options, record, peers, options->dtypes[i], &options->shapes[j], &error);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    /* After a failure, too: the results measured before it are not lost. */
    if (options->json)
        bench_record_print(record);
    return flush_output(status == ROWPOOL_OK ? EXIT_DONE : EXIT_FAILED);
}

static int run_benchmark(const bench_options *options)
{
    bench_peers *peers = calloc(1, sizeof *peers);
    json_t *record = bench_record_new(options->command, options->rounds);
    int code = EXIT_FAILED;

    if (peers == NULL || record == NULL)
        say(NULL, "no memory for the results");
    else
        code = measure_all_cases(options, record, peers);
    json_decref(record);
    free(peers);
    return code;
}

int main(int argc, char **argv)
{
    static char name[] = BENCH_PROGRAM;
    bench_options options;
    int code;

    speak_as(BENCH_PROGRAM);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (option_is_given(scripts[i].option, argv))
            return become_script(i, argv);
    if (!wait_without_spinning(argv))
        return EXIT_FAILED;
    /* Maps wait for their kernels: otherwise the host would be timed until they are built. */
    setenv("ROWPOOL_TEST", "build-wait", 0);
    /* So that a closed pipe is an error that can be reported. */
    signal(SIGPIPE, SIG_IGN);
    /* getopt_long begins its messages with argv[0]. */
    if (argc > 0)
        argv[0] = name;
    switch (bench_options_read(&options, argc, argv)) {
    case BENCH_MEASURE:
        code = run_benchmark(&options);
        break;
    case BENCH_DONE:
        code = flush_output(EXIT_DONE);
        break;
    default:
        code = EXIT_USAGE;
    }
    bench_options_free(&options);
    return code;
}
