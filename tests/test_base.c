/* The base layer: errors, settings, checked sizes, the clock, the queue, threads, the log. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/self.h"
#include "base/settings.h"
#include "base/source.h"
#include "base/thread.h"
#include "support.h"

/* ---- This process ----------------------------------------------------------------------------------------------- */

/* A child of vfork shares its parent's memory: asking for its own id must not change what the parent sees. */
TEST(a_vfork_child_changes_nothing)
{
    rp_self_watch();
    assert_int_equal(rp_self(), getpid());
    pid_t child = vfork();
    if (child == 0) {
        (void)rp_self();
        _exit(0);
    }
    (void)test_wait(child);
    assert_int_equal(rp_self(), getpid());
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

TEST(statuses_have_names_and_texts)
{
    assert_string_equal(rowpool_status_name(ROWPOOL_OK), "ROWPOOL_OK");
    assert_string_equal(rowpool_status_text(ROWPOOL_OK), "success");
    assert_string_equal(rowpool_status_name(ROWPOOL_EFORKED), "ROWPOOL_EFORKED");
    assert_string_equal(rowpool_status_name(ROWPOOL_ESYSTEM), "ROWPOOL_ESYSTEM");
    for (int status = 0; status <= ROWPOOL_ENOTREADY; status++) {
        assert_memory_equal(rowpool_status_name((rowpool_status)status), "ROWPOOL_", 8);
        assert_string_not_equal(rowpool_status_text((rowpool_status)status), "unknown status");
        for (int other = 0; other < status; other++)
            assert_string_not_equal(rowpool_status_name((rowpool_status)status),
                                    rowpool_status_name((rowpool_status)other));
    }
    static const int none[] = {-1, ROWPOOL_ENOTREADY + 1, 12345};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_string_equal(rowpool_status_name((rowpool_status)none[i]), "unknown status");
        assert_string_equal(rowpool_status_text((rowpool_status)none[i]), "unknown status");
    }
}

TEST(a_failure_fills_the_error)
{
    rowpool_error error;
    assert_refused(rp_fail(&error, ROWPOOL_ENODEVICE, "no device '%s' of %d", "9:9", 3), ROWPOOL_ENODEVICE, error,
                   "no device '9:9' of 3");
    assert_refused(rp_fail(&error, ROWPOOL_EBUILD, "one\r\ntwo\n"), ROWPOOL_EBUILD, error, "one  two ");
    assert_int_equal(rp_fail(NULL, ROWPOOL_EINVAL, "nobody reads this: %d", 1), ROWPOOL_EINVAL);
}

TEST(a_long_message_is_cut)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rowpool_error error;
    rp_fail(&error, ROWPOOL_EINVAL, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
}

static rowpool_status tries(rowpool_status status, bool *reached)
{
    RP_TRY(status);
    *reached = true;
    return ROWPOOL_OK;
}

TEST(try_returns_on_failure_only)
{
    bool reached = false;
    assert_int_equal(tries(ROWPOOL_EDEVICE, &reached), ROWPOOL_EDEVICE);
    assert_false(reached);
    assert_int_equal(tries(ROWPOOL_OK, &reached), ROWPOOL_OK);
    assert_true(reached);
}

/* ---- Settings --------------------------------------------------------------------------------------------------- */

TEST(settings_have_their_names)
{
    assert_string_equal(rp_setting_name(RP_SETTING_DEVICE), "ROWPOOL_DEVICE");
    assert_string_equal(rp_setting_name(RP_SETTING_WORKERS), "ROWPOOL_WORKERS");
    assert_string_equal(rp_setting_name(RP_SETTING_CHUNK_BYTES), "ROWPOOL_CHUNK_BYTES");
    assert_string_equal(rp_setting_name(RP_SETTING_LOG), "ROWPOOL_LOG");
    for (int i = 0; i < RP_SETTINGS; i++)
        assert_non_null(rp_setting_name((rp_setting)i));
}

TEST(an_empty_setting_is_unset)
{
    unsetenv("ROWPOOL_DEVICE");
    assert_null(rp_setting_text(RP_SETTING_DEVICE));
    setenv("ROWPOOL_DEVICE", "", 1);
    assert_null(rp_setting_text(RP_SETTING_DEVICE));
    setenv("ROWPOOL_DEVICE", "fork", 1);
    assert_string_equal(rp_setting_text(RP_SETTING_DEVICE), "fork");
    unsetenv("ROWPOOL_DEVICE");
}

TEST(sizes_are_whole_numbers)
{
    static const char *const bad[] = {"0",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1k",
                                      "0x10",
                                      "1.0",
                                      "1e3",
                                      "1025",
                                      "abc",
                                      "1,2",
                                      "\t5",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    size_t value = 7;
    rowpool_error error;
    unsetenv("ROWPOOL_WORKERS");
    assert_ok(rp_setting_size(RP_SETTING_WORKERS, 1024, &value, &error), error);
    assert_int_equal(value, 7);
    setenv("ROWPOOL_WORKERS", "", 1);
    assert_ok(rp_setting_size(RP_SETTING_WORKERS, 1024, &value, &error), error);
    assert_int_equal(value, 7);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char text[64];
        setenv("ROWPOOL_WORKERS", bad[i], 1);
        snprintf(text, sizeof text, "ROWPOOL_WORKERS is '%s'", bad[i]);
        assert_refused(rp_setting_size(RP_SETTING_WORKERS, 1024, &value, &error), ROWPOOL_EINVAL, error, text);
        assert_int_equal(value, 7);
    }
    setenv("ROWPOOL_WORKERS", "1024", 1);
    assert_ok(rp_setting_size(RP_SETTING_WORKERS, 1024, &value, &error), error);
    assert_int_equal(value, 1024);
    setenv("ROWPOOL_WORKERS", "1", 1);
    assert_ok(rp_setting_size(RP_SETTING_WORKERS, 1024, &value, &error), error);
    assert_int_equal(value, 1);
    setenv("ROWPOOL_WORKERS", "18446744073709551615", 1);
    assert_ok(rp_setting_size(RP_SETTING_WORKERS, SIZE_MAX, &value, &error), error);
    assert_true(value == SIZE_MAX);
    unsetenv("ROWPOOL_WORKERS");
}

TEST(words_for_tests_are_checked)
{
    static const char *const bad[] = {"1",
                                      "copy,",
                                      ",copy",
                                      "Copy",
                                      "build",
                                      "mpi-piece-bytes=",
                                      "mpi-piece-bytes=0",
                                      "mpi-piece-bytes=2147483648",
                                      "copy,mpi-piece-bytes=1x"};
    rp_test_setting test;
    rowpool_error error;
    unsetenv("ROWPOOL_TEST");
    assert_ok(rp_setting_test(&test, &error), error);
    assert_false(test.copy || test.build_wait);
    assert_int_equal(test.mpi_piece_bytes, 1 << 30);
    setenv("ROWPOOL_TEST", "build-wait", 1);
    assert_ok(rp_setting_test(&test, &error), error);
    assert_true(test.build_wait && !test.copy);
    setenv("ROWPOOL_TEST", "mpi-piece-bytes=7,copy", 1);
    assert_ok(rp_setting_test(&test, &error), error);
    assert_true(test.copy && !test.build_wait);
    assert_int_equal(test.mpi_piece_bytes, 7);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        setenv("ROWPOOL_TEST", bad[i], 1);
        assert_refused(rp_setting_test(&test, &error), ROWPOOL_EINVAL, error, "ROWPOOL_TEST has the word '");
    }
    setenv("ROWPOOL_TEST", "copy,typo,build-wait", 1);
    rowpool *pool = NULL;
    assert_refused(rowpool_open(&pool, NULL, &error), ROWPOOL_EINVAL, error,
                   "ROWPOOL_TEST has the word 'typo'; it takes");
    unsetenv("ROWPOOL_TEST");
}

/* ---- Checked sizes, the clock ----------------------------------------------------------------------------------- */

TEST(sizes_never_wrap)
{
    size_t result = 7;
    assert_false(rp_mul(SIZE_MAX, 2, &result));
    assert_false(rp_mul((size_t)1 << 32, (size_t)1 << 32, &result));
    assert_false(rp_add(SIZE_MAX, 1, &result));
    assert_true(rp_mul(SIZE_MAX, 1, &result));
    assert_true(result == SIZE_MAX);
    assert_true(rp_mul(SIZE_MAX, 0, &result));
    assert_true(result == 0);
    assert_true(rp_mul(((size_t)1 << 32) - 1, ((size_t)1 << 32) + 1, &result));
    assert_true(result == SIZE_MAX);
    assert_true(rp_add(SIZE_MAX - 5, 5, &result));
    assert_true(result == SIZE_MAX);
}

TEST(small_arithmetic)
{
    assert_int_equal(rp_min(3, 5), 3);
    assert_int_equal(rp_min(5, 3), 3);
    assert_int_equal(rp_max(3, 5), 5);
    assert_int_equal(rp_max(5, 3), 5);
    assert_int_equal(rp_ceil_div(0, 5), 0);
    assert_int_equal(rp_ceil_div(1, 5), 1);
    assert_int_equal(rp_ceil_div(5, 5), 1);
    assert_int_equal(rp_ceil_div(6, 5), 2);
    assert_true(rp_ceil_div(SIZE_MAX, 2) == SIZE_MAX / 2 + 1); /* a + b - 1 would wrap */
}

TEST(the_clock_goes_forward)
{
    struct timespec now = rp_clock_now();
    assert_true(rp_clock_seconds(now, rp_clock_now()) >= 0);
    static const int64_t waits[] = {0, 1, 999, 1000, 1001, 12345678};
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        struct timespec later = rp_clock_after_ms(waits[i]);
        assert_true(later.tv_nsec >= 0 && later.tv_nsec < 1000000000);
        assert_true(rp_clock_seconds(now, later) >= 1e-3 * (double)waits[i] - 1e-6);
    }
}

/* ---- The queue -------------------------------------------------------------------------------------------------- */

typedef struct {
    rp_link link; /* first: a cast converts the link to the item */
    unsigned pusher, number;
} item;

TEST(the_queue_is_first_in_first_out)
{
    rp_queue queue;
    rp_queue_init(&queue);
    item items[3];
    for (unsigned round = 0; round < 3; round++) { /* it must be usable again after it was empty */
        for (unsigned i = 0; i <= round; i++)
            rp_queue_push(&queue, &items[i].link);
        for (unsigned i = 0; i <= round; i++)
            assert_ptr_equal(rp_queue_pop(&queue), &items[i].link);
    }
    rp_queue_destroy(&queue);
}

enum { PUSHERS = 8, ITEMS = 5000 };

typedef struct {
    rp_queue *queue;
    item *items;
} pusher;

static void *push_all(void *argument)
{
    pusher *mine = argument;
    for (size_t i = 0; i < ITEMS; i++)
        rp_queue_push(mine->queue, &mine->items[i].link);
    return NULL;
}

TEST(many_push_one_pops)
{
    static item items[PUSHERS][ITEMS];
    rp_queue queue;
    pthread_t threads[PUSHERS];
    pusher pushers[PUSHERS];
    rp_queue_init(&queue);
    for (unsigned i = 0; i < PUSHERS; i++) {
        for (unsigned j = 0; j < ITEMS; j++)
            items[i][j] = (item){.pusher = i, .number = j};
        pushers[i] = (pusher){&queue, items[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, &pushers[i]), 0);
    }
    unsigned next[PUSHERS] = {0};
    for (size_t i = 0; i < (size_t)PUSHERS * ITEMS; i++) {
        item *popped = (item *)(void *)rp_queue_pop(&queue);
        assert_int_equal(popped->number, next[popped->pusher]++); /* each thread's items stay in order */
    }
    for (size_t i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    rp_queue_destroy(&queue);
}

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

typedef struct {
    sigset_t mask;
} thread_facts;

static void *look_around(void *argument)
{
    thread_facts *facts = argument;
    pthread_sigmask(SIG_SETMASK, NULL, &facts->mask);
    return facts;
}

TEST(threads_leave_signals_to_the_application)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    thread_facts facts;
    pthread_t thread;
    rowpool_error error;
    assert_ok(rp_thread_start(&thread, "rowpool-test", look_around, &facts, &error), error);
    void *returned;
    assert_int_equal(pthread_join(thread, &returned), 0);
    assert_ptr_equal(returned, &facts);
    static const int blocked[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                                  SIGUSR2, SIGCHLD, SIGPIPE, SIGALRM, SIGXCPU};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    for (size_t i = 0; i < COUNT_OF(blocked); i++)
        assert_true(sigismember(&facts.mask, blocked[i]));
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        assert_false(sigismember(&facts.mask, faults[i]));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < NSIG; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
}

/* ---- The log ---------------------------------------------------------------------------------------------------- */

/* Logs in a child process, since the setting is read once for each process, and returns its standard error. */
static void logged(const char *setting, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        if (setting != NULL)
            setenv("ROWPOOL_LOG", setting, 1);
        else
            unsetenv("ROWPOOL_LOG");
        rp_log(RP_LOG_DEVICE, "found %d", 3);
        rp_log(RP_LOG_RUN, "chunks %s", "many");
        rp_warn("careful: %d", 7);
        bool on = rp_log_on(RP_LOG_WORKER);
        rp_log(RP_LOG_BUILD, "%s", on ? "workers are on" : "workers are off");
        _exit(0);
    }
    close(ends[1]);
    test_read_to_end(ends[0], text, size);
    close(ends[0]);
    assert_int_equal(test_wait(child), 0);
}

TEST(the_log_is_silent_unless_asked)
{
    char text[4096];
    logged(NULL, text, sizeof text);
    assert_string_equal(text, "rowpool: careful: 7\n");
    logged("", text, sizeof text);
    assert_string_equal(text, "rowpool: careful: 7\n");
}

TEST(the_log_prints_the_selected_categories)
{
    char text[4096];
    logged("run", text, sizeof text);
    assert_string_equal(text, "rowpool: run: chunks many\nrowpool: careful: 7\n");
    logged("device,worker,build", text, sizeof text);
    assert_string_equal(text, "rowpool: device: found 3\nrowpool: careful: 7\nrowpool: build: workers are on\n");
    logged("all", text, sizeof text);
    assert_string_equal(text, "rowpool: device: found 3\nrowpool: run: chunks many\nrowpool: careful: 7\n"
                              "rowpool: build: workers are on\n");
}

TEST(an_unknown_category_gets_the_list)
{
    static const char *const words[] = {"help", "runs", "ru", "help,devices,run"};
    char text[4096];
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        logged(words[i], text, sizeof text);
        assert_non_null(strstr(text, "rowpool: ROWPOOL_LOG takes"));
        assert_null(strstr(strstr(text, "ROWPOOL_LOG takes") + 1, "ROWPOOL_LOG takes"));
        assert_non_null(strstr(text, "  device "));
        assert_non_null(strstr(text, "  worker "));
        assert_non_null(strstr(text, "  all "));
    }
    assert_non_null(strstr(text, "rowpool: run: chunks many\n")); /* the valid category beside it is on */
    assert_non_null(strstr(text, "rowpool: ROWPOOL_LOG: there is no category 'devices'\n"));
    assert_null(strstr(text, "'help'"));
}

/* ---- Text from files -------------------------------------------------------------------------------------------- */

/* A quote in the path must not end the string in the #line, even for a reader that knows no escapes. */
TEST(a_path_with_quotes_is_one_string)
{
    char path[] = "/tmp/rowpool \\042 \"a\\b\" XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    rowpool_error error;
    char *text = rowpool_read_source(path, &error);
    unlink(path);
    assert_non_null(text);
    char *label = strchr(text, '"') + 1, *end = strchr(label, '"');
    assert_non_null(end);
    assert_string_equal(end, "\"\n");
    *end = '\0';
    rp_source_unescape(label);
    assert_string_equal(label, path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vfork_child_changes_nothing),
        cmocka_unit_test(statuses_have_names_and_texts),
        cmocka_unit_test(a_failure_fills_the_error),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(try_returns_on_failure_only),
        cmocka_unit_test(settings_have_their_names),
        cmocka_unit_test(an_empty_setting_is_unset),
        cmocka_unit_test(sizes_are_whole_numbers),
        cmocka_unit_test(words_for_tests_are_checked),
        cmocka_unit_test(sizes_never_wrap),
        cmocka_unit_test(small_arithmetic),
        cmocka_unit_test(the_clock_goes_forward),
        cmocka_unit_test(the_queue_is_first_in_first_out),
        cmocka_unit_test(many_push_one_pops),
        cmocka_unit_test(threads_leave_signals_to_the_application),
        cmocka_unit_test(the_log_is_silent_unless_asked),
        cmocka_unit_test(the_log_prints_the_selected_categories),
        cmocka_unit_test(an_unknown_category_gets_the_list),
        cmocka_unit_test(a_path_with_quotes_is_one_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
