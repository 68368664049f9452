/* rowpool-bench: the range count on every device beside its peers, for each element type and shape. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "options.h"
#include "record.h"

enum { EXIT_USAGE = 2 };

/* An OpenMP team that waits by spinning takes the cores from the peer whose turn is next. The runtime reads its setting
 * before main begins, so the program starts itself again with the right one. */
static bool wait_without_spinning(char **argv)
{
    static const char variable[] = "OMP_WAIT_POLICY", passive[] = "passive";
    const char *policy = getenv(variable);

    if (policy && !strcasecmp(policy, passive))
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

/* All cases before the first: nobody should wait for the small ones to learn that the large one cannot be had. */
static rowpool_status check_memory(const bench_options *options, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    for (size_t i = 0; i < options->dtype_count; i++)
        for (size_t j = 0; j < options->shape_count && !status; j++)
            status = bench_case_fits(options->dtypes[i], &options->shapes[j], error);
    return status;
}

static rowpool_status measure_case(const bench_options *options, const bench_context *context, bench_peers *peers,
                                   rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error)
{
    bench_case work;
    bench_results results;
    rowpool_status status = bench_case_make(&work, dtype, shape, error);

    if (status)
        return status;
    status = bench_measure(&work, peers, options->rounds, &results, error);
    if (!status && options->format->results)
        options->format->results(&work, &results);
    if (!status && !bench_record_add(context->record, &work, &results))
        status = bench_fail(error, ROWPOOL_ENOMEM, "no memory for the results");
    bench_results_free(&results);
    bench_case_free(&work);
    return status;
}

/* Returns whether all went well, and says what did not. */
static bool sweep(const bench_options *options, const bench_context *context, bench_peers *peers)
{
    rowpool_error error;

    for (size_t i = 0; i < options->dtype_count; i++) {
        for (size_t j = 0; j < options->shape_count; j++) {
            if (measure_case(options, context, peers, options->dtypes[i], &options->shapes[j], &error)) {
                bench_complain("%s", error.message);
                return false;
            }
            if (!output_is_written())
                return false;
        }
    }
    return true;
}

static rowpool_status find_peers(const bench_options *options, bench_peers *peers, rowpool_error *error)
{
    rowpool_status status;

    peers->wanted = options->peers;
    status = (options->balance ? bench_peers_find_balance : bench_peers_find)(peers, options->devices, error);
    return status || !options->peers_named ? status : bench_peers_check_wanted(peers, error);
}

/* Finds, measures and writes; returns the exit status. */
static int measure(const bench_options *options, bench_context *context, bench_peers *peers)
{
    rowpool_error error;
    rowpool_status status = check_memory(options, &error);
    bool good;

    if (!status)
        status = find_peers(options, peers, &error);
    bench_machine_read(&context->machine);
    if (!status && !(context->record = bench_record_new(context)))
        status = bench_fail(&error, ROWPOOL_ENOMEM, "no memory for the results");
    if (status) {
        bench_complain("%s", error.message);
        return status == ROWPOOL_EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    if (options->format->begin)
        options->format->begin(context);
    good = output_is_written() && sweep(options, context, peers);
    /* After a failure too: what was measured before it stays readable. */
    if (options->format->end)
        options->format->end(context);
    return good && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const bench_options *options)
{
    bench_peers *peers = calloc(1, sizeof *peers);
    bench_context context = {.peers = peers, .rounds = options->rounds, .command = options->command};
    int code = EXIT_FAILURE;

    if (peers)
        code = measure(options, &context, peers);
    else
        bench_complain("no memory for the list of peers");
    json_decref(context.record);
    free(peers);
    return code;
}

static int run_first(const bench_options *options)
{
    rowpool_error error;

    if (!bench_first_run(&options->first, options->dtypes[0], &options->shapes[0], &error))
        return EXIT_SUCCESS;
    bench_complain("%s", error.message);
    return EXIT_FAILURE;
}

static int run_check(const bench_options *options)
{
    return bench_check_run(&options->check) && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int answer(bench_request request, const bench_options *options)
{
    switch (request) {
    case BENCH_HELP:
        fputs(bench_help, stdout);
        return output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
    case BENCH_VERSION:
        printf("%s %s\n", BENCH_PROGRAM, rowpool_version());
        return output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
    case BENCH_RUN:
        return options->is_first ? run_first(options) : options->is_check ? run_check(options) : run(options);
    case BENCH_USAGE:
        break;
    }
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static char name[] = BENCH_PROGRAM;
    bench_options options;
    int code;

    if (!wait_without_spinning(argv))
        return EXIT_FAILURE;
    /* A closed pipe then is an error that can be reported. */
    signal(SIGPIPE, SIG_IGN);
    /* getopt_long begins its messages with it. */
    if (argc > 0)
        argv[0] = name;
    code = answer(bench_options_read(&options, argc, argv), &options);
    bench_options_free(&options);
    return code;
}
