/* rowpool-bench: the range count on every device beside its peers, for each element type and shape. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "options.h"
#include "page.h"
#include "process.h"

enum { EXIT_USAGE = 2 };

/* Where the program of a rank is installed, from this one's folder. */
#ifndef BENCH_RANK_FROM_PROGRAM
#define BENCH_RANK_FROM_PROGRAM "."
#endif

/* An OpenMP team that waits by spinning takes the cores from the peer whose turn is next. The runtime reads its setting
 * before main begins, so the program starts itself again with the right one. */
static bool wait_without_spinning(char **argv)
{
    static const char variable[] = "OMP_WAIT_POLICY", passive[] = "passive";
    const char *policy = getenv(variable);

    if (policy != NULL && strcasecmp(policy, passive) == 0)
        return true;
    if (setenv(variable, passive, 1) == 0)
        execv("/proc/self/exe", argv);
    bench_complain("cannot start again with %s=%s: %s; set it yourself", variable, passive, strerror(errno));
    return false;
}

/* A full disk or a closed pipe shows only when the output is really written. */
static bool output_is_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    bench_complain("cannot write the output: %s", strerror(errno));
    return false;
}

/* ---- The sweep -------------------------------------------------------------------------------------------------- */

static rowpool_status measure_case(const bench_options *options, const bench_context *context, bench_peers *peers,
                                   rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    bench_results results = {.count = 0};
    bench_case work;
    rowpool_status status = bench_case_make(&work, dtype, shape, error);

    if (status == ROWPOOL_OK)
        status = bench_measure(&work, peers, options->rounds, &results, error);
    if (status == ROWPOOL_OK && options->format->results != NULL)
        options->format->results(&work, &results);
    if (status == ROWPOOL_OK && !bench_record_add(context->record, &work, &results))
        status = bench_fail(error, ROWPOOL_ENOMEM, "no memory for the results");
    bench_results_free(&results);
    bench_case_free(&work);
    return status;
}

static rowpool_status sweep(const bench_options *options, const bench_context *context, bench_peers *peers,
                            const bench_shapes *shapes, rowpool_error *error)
{
    for (size_t i = 0; i < options->dtype_count; i++) {
        for (size_t j = 0; j < shapes->count; j++) {
            BENCH_TRY(measure_case(options, context, peers, options->dtypes[i], &shapes->items[j], error));
            if (fflush(stdout) != 0)
                return bench_fail(error, ROWPOOL_ESYSTEM, "cannot write the output: %s", strerror(errno));
        }
    }
    return ROWPOOL_OK;
}

static rowpool_status find_peers(const bench_options *options, bench_peers *peers, rowpool_error *error)
{
    *peers = (bench_peers){.wanted = options->peers, .devices = options->devices, .balance = options->balance};
    BENCH_TRY(bench_peers_find(peers, error));
    return options->peers_named ? bench_peers_check_wanted(peers, error) : ROWPOOL_OK;
}

/* What a report has beside its sweep where there are several OpenCL devices: all of them on one map. */
static rowpool_status sweep_together(const bench_options *options, const bench_context *context, bench_peers *peers,
                                     rowpool_error *error)
{
    char devices[16 * BENCH_PEERS_MAX] = "";

    for (size_t i = 0; i < peers->count; i++) {
        const size_t used = strlen(devices);

        if (bench_is_rowpool_device(&peers->items[i]))
            (void)snprintf(devices + used, sizeof devices - used, "%s%s", used > 0 ? "," : "", peers->items[i].index);
    }
    if (options->together.count == 0 || strchr(devices, ',') == NULL)
        return ROWPOOL_OK;
    *peers = (bench_peers){.wanted = "", .devices = devices, .balance = true};
    BENCH_TRY(bench_peers_find(peers, error));
    return sweep(options, context, peers, &options->together, error);
}

static rowpool_status find_and_record(const bench_options *options, bench_context *context, bench_peers *peers,
                                      rowpool_error *error)
{
    /* All cases before the first: nobody should wait for the small ones to learn that a large one does not fit. */
    for (size_t i = 0; i < options->dtype_count; i++)
        for (size_t j = 0; j < options->shapes.count; j++)
            BENCH_TRY(bench_case_fits(options->dtypes[i], &options->shapes.items[j], error));
    BENCH_TRY(find_peers(options, peers, error));
    context->record = bench_record_new(context);
    return context->record != NULL ? ROWPOOL_OK : bench_fail(error, ROWPOOL_ENOMEM, "no memory for the results");
}

/* Finds, measures and writes; returns the exit status. */
static int measure(const bench_options *options, bench_context *context, bench_peers *peers)
{
    rowpool_error error;
    rowpool_status status = find_and_record(options, context, peers, &error);

    if (status != ROWPOOL_OK) {
        bench_complain("%s", error.message);
        return status == ROWPOOL_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    if (options->format->begin != NULL)
        options->format->begin(context);
    status = sweep(options, context, peers, &options->shapes, &error);
    if (status == ROWPOOL_OK)
        status = sweep_together(options, context, peers, &error);
    if (status != ROWPOOL_OK)
        bench_complain("%s", error.message);
    /* After a failure too: what was measured before it stays readable. */
    if (options->format->end != NULL)
        options->format->end(context);
    return status == ROWPOOL_OK && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Scripts ---------------------------------------------------------------------------------------------------- */

/* A file of the record, to be read from its beginning. */
static FILE *write_record(const json_t *record)
{
    FILE *file = tmpfile();

    if (file != NULL && bench_record_write(record, file) && fseek(file, 0, SEEK_SET) == 0)
        return file;
    bench_complain("no temporary file for the results: %s", strerror(errno));
    if (file != NULL)
        fclose(file);
    return NULL;
}

/* Runs check.py or scaling.py; returns its exit status. */
static int run_script(const char *name, const char *const *arguments, int in)
{
    bench_script script;
    rowpool_error error;
    int code = EXIT_FAILURE;

    if (bench_script_find(&script, name, "", &error) != ROWPOOL_OK ||
        bench_script_run(&script, arguments, in, STDOUT_FILENO, &code, &error) != ROWPOOL_OK)
        bench_complain("%s", error.message);
    return code;
}

static int check(const bench_options *options, const char *program)
{
    char rounds[24];
    const char *const arguments[] = {"--rounds", rounds, options->check, program, options->from, NULL};

    BENCH_PRINT(rounds, "%zu", options->rounds);
    return run_script("check.py", arguments, STDIN_FILENO);
}

static int scale(const bench_options *options, bench_context *context, const char *program)
{
    const bench_shape *shape = options->shapes.items;
    char rows[24], width[24], rounds[24];
    const char *const arguments[] = {program,
                                     BENCH_RANK_FROM_PROGRAM,
                                     options->launcher,
                                     options->ranks,
                                     rowpool_dtype_name(options->dtypes[0]),
                                     rows,
                                     width,
                                     rounds,
                                     options->format->name,
                                     NULL};
    FILE *file;
    int code = EXIT_FAILURE;

    BENCH_PRINT(rows, "%zu", shape->rows);
    BENCH_PRINT(width, "%zu", shape->width);
    BENCH_PRINT(rounds, "%zu", options->rounds);
    context->record = bench_record_new(context);
    file = write_record(context->record);
    if (file != NULL) {
        code = run_script("scaling.py", arguments, fileno(file));
        fclose(file);
    }
    return code;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

/* With a page that is wanted, which is opened before anything is measured. */
static int measure_or_read(const bench_options *options, bench_context *context, bench_peers *peers)
{
    bench_page *page = options->page_kind != NULL ? bench_page_begin(options->page_kind, options->page) : NULL;
    int code = options->page_kind != NULL && page == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
    FILE *file = NULL;

    if (code == EXIT_SUCCESS && options->from == NULL)
        code = measure(options, context, peers);
    if (code == EXIT_SUCCESS && page != NULL && options->from == NULL)
        file = write_record(context->record);
    if (code == EXIT_SUCCESS && page != NULL &&
        ((file == NULL && options->from == NULL) || !bench_page_draw(page, file, options->from)))
        code = EXIT_FAILURE;
    if (file != NULL)
        fclose(file);
    bench_page_end(page);
    return code;
}

/* As a program finds it that does only this. */
static int first(const bench_options *options)
{
    rowpool_error error;

    unsetenv("ROWPOOL_TEST");
    if (bench_first_run(options->first, options->dtypes[0], options->shapes.items, &error) == ROWPOOL_OK)
        return EXIT_SUCCESS;
    bench_complain("%s", error.message);
    return EXIT_FAILURE;
}

static int run(bench_action action, const bench_options *options)
{
    bench_peers *peers = calloc(1, sizeof *peers);
    bench_context context = {.peers = peers, .rounds = options->rounds, .command = options->command};
    char program[PATH_MAX];
    int code = EXIT_USAGE;

    if (peers == NULL || realpath("/proc/self/exe", program) == NULL) {
        bench_complain("cannot begin: %s", strerror(errno));
        free(peers);
        return EXIT_FAILURE;
    }
    switch (action) {
    case BENCH_MEASURE:
    case BENCH_FROM:
        code = measure_or_read(options, &context, peers);
        break;
    case BENCH_CHECK:
        code = check(options, program);
        break;
    case BENCH_RANKS:
        code = scale(options, &context, program);
        break;
    case BENCH_FIRST:
        code = first(options);
        break;
    case BENCH_HELP:
        code = output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
        break;
    case BENCH_USAGE:
        break;
    }
    json_decref(context.record);
    free(peers);
    return code;
}

int main(int argc, char **argv)
{
    static char name[] = BENCH_PROGRAM;
    bench_options options;

    if (!wait_without_spinning(argv))
        return EXIT_FAILURE;
    /* What is timed is a device that has its kernels, not the host that would serve until they are built. */
    setenv("ROWPOOL_TEST", "build-wait", 0);
    /* A closed pipe then is an error that can be reported. */
    signal(SIGPIPE, SIG_IGN);
    /* getopt_long begins its messages with it. */
    if (argc > 0)
        argv[0] = name;
    const int code = run(bench_options_read(&options, argc, argv), &options);
    bench_options_free(&options);
    return code;
}
