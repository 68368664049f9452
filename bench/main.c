/* rowpool-bench: the range count on every device beside its peers, for each element type and shape. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "options.h"
#include "page.h"
#include "scaling.h"

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

/* Whether it is one OpenCL device, with the caller's memory. */
static bool is_device(const bench_peer *peer)
{
    char label[sizeof peer->label];

    (void)snprintf(label, sizeof label, "rowpool/%s", peer->index);
    return strchr(peer->index, ':') && !strcmp(peer->label, label);
}

/* The OpenCL devices among them, as --balance takes them; false where there are not two. */
static bool list_together(const bench_peers *peers, char *list, size_t size)
{
    size_t used = 0, count = 0;

    for (size_t i = 0; i < peers->count && used < size; i++)
        if (is_device(&peers->items[i]))
            used += (size_t)snprintf(list + used, size - used, "%s%s", count++ ? "," : "", peers->items[i].index);
    return count > 1 && used < size;
}

/* What a report has beside its sweep where there are several devices: all of them on one map. */
static bool sweep_together(const bench_options *options, const bench_context *context)
{
    char devices[64] = "";
    bench_options together = *options;
    bench_peers *peers;
    rowpool_error error;
    bool good;

    if (!options->together || !list_together(context->peers, devices, sizeof devices))
        return true;
    together.devices = devices;
    together.balance = true;
    together.peers = "";
    together.peers_named = false;
    together.shapes = options->together;
    together.shape_count = options->together_count;
    peers = calloc(1, sizeof *peers);
    if (!peers)
        bench_fail(&error, ROWPOOL_ENOMEM, "no memory for the list of peers");
    good = peers && !find_peers(&together, peers, &error);
    if (!good)
        bench_complain("%s", error.message);
    good = good && sweep(&together, context, peers);
    free(peers);
    return good;
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
    good = output_is_written() && sweep(options, context, peers) && sweep_together(options, context);
    /* After a failure too: what was measured before it stays readable. */
    if (options->format->end)
        options->format->end(context);
    return good && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const bench_options *options, bench_page *page)
{
    bench_peers *peers = calloc(1, sizeof *peers);
    bench_context context = {.peers = peers, .rounds = options->rounds, .command = options->command};
    int code = EXIT_FAILURE;

    if (peers)
        code = measure(options, &context, peers);
    else
        bench_complain("no memory for the list of peers");
    if (code == EXIT_SUCCESS && page && !bench_page_of_record(page, context.record))
        code = EXIT_FAILURE;
    json_decref(context.record);
    free(peers);
    return code;
}

/* With a page that is wanted, which is opened before anything is measured. */
static int run_or_read(const bench_options *options)
{
    bench_page *page = NULL;
    int code;

    if (options->page_kind && !(page = bench_page_begin(options->page_kind, options->page)))
        return EXIT_FAILURE;
    if (options->from)
        code = bench_page_of_file(page, options->from) ? EXIT_SUCCESS : EXIT_FAILURE;
    else
        code = run(options, page);
    bench_page_end(page);
    return code;
}

/* As a program finds it that does only this. */
static int run_first(const bench_options *options)
{
    rowpool_error error;

    unsetenv("ROWPOOL_BUILD_WAIT");

    if (!bench_first_run(&options->first, options->dtypes[0], &options->shapes[0], &error))
        return EXIT_SUCCESS;
    bench_complain("%s", error.message);
    return EXIT_FAILURE;
}

static int run_check(const bench_options *options)
{
    return bench_check_run(&options->check) && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_ranks(const bench_options *options)
{
    return bench_scaling_run(options) && output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
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
        return options->is_first   ? run_first(options)
               : options->is_check ? run_check(options)
               : options->ranks    ? run_ranks(options)
                                   : run_or_read(options);
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
    /* What is timed is a device that has its kernels, not the host that would serve until they are built. */
    setenv("ROWPOOL_BUILD_WAIT", "1", 0);
    /* A closed pipe then is an error that can be reported. */
    signal(SIGPIPE, SIG_IGN);
    /* getopt_long begins its messages with it. */
    if (argc > 0)
        argv[0] = name;
    code = answer(bench_options_read(&options, argc, argv), &options);
    bench_options_free(&options);
    return code;
}
