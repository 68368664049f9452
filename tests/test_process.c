/* Process objects: start, end, signals, the pipe; and the example of two processes started and joined in turn. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static rowpool_process *start(rowpool_process_run *run, void *argument, int (*init)(void *))
{
    rowpool_process *process;
    rowpool_error error = {0};
    rowpool_process_options options = {.size = sizeof options, .init = init};
    if (rowpool_process_start(&process, run, argument, init != NULL ? &options : NULL, &error) != ROWPOOL_OK)
        fail_msg("%s", error.message);
    return process;
}

static rowpool_process_state joined(rowpool_process *process)
{
    rowpool_process_state how;
    assert_int_equal(rowpool_process_join(process, -1, NULL), ROWPOOL_OK);
    assert_int_equal(rowpool_process_status(process, &how, NULL), ROWPOOL_OK);
    assert_false(how.alive);
    assert_false(rowpool_process_alive(process));
    return how;
}

/* ---- The first moments of a child ------------------------------------------------------------------------------- */

static volatile sig_atomic_t *handled; /* shared with children */
static bool in_its_first_moment;       /* a child sends itself a signal */

static void handle(int signal_number)
{
    (void)signal_number;
    *handled = 1;
}

static void send_in_child(void)
{
    if (in_its_first_moment)
        kill(getpid(), SIGUSR2);
}

static int nothing(void *argument, int pipe)
{
    (void)argument, (void)pipe;
    return 0;
}

/* The application's handlers never run in a child, however early the signal comes. */
TEST(an_early_signal_finds_no_handler)
{
    struct sigaction ours = {.sa_handler = handle}, before;
    handled = rowpool_alloc(sizeof *handled, NULL);
    assert_non_null((void *)(uintptr_t)handled);
    assert_int_equal(pthread_atfork(NULL, NULL, send_in_child), 0);
    assert_int_equal(sigaction(SIGUSR2, &ours, &before), 0);
    in_its_first_moment = true;
    rowpool_process *process = start(nothing, NULL, NULL);
    in_its_first_moment = false;
    rowpool_process_state how = joined(process);
    assert_int_equal(how.end_signal, SIGUSR2);
    assert_int_equal(*handled, 0);
    rowpool_process_close(process);
    sigaction(SIGUSR2, &before, NULL);
    rowpool_free((void *)(uintptr_t)handled);
}

/* ---- What children do ------------------------------------------------------------------------------------------- */

static int give_status(void *argument, int pipe)
{
    (void)pipe;
    return *(int *)argument;
}

static int write_words(void *argument, int pipe)
{
    const char *words = argument;
    return write(pipe, words, strlen(words)) == (ssize_t)strlen(words) ? 0 : 1;
}

static int sleep_for_ever(void *argument, int pipe)
{
    (void)argument;
    (void)pipe;
    while (pause() < 0)
        continue;
    return 0;
}

static int raise_signal(void *argument, int pipe)
{
    (void)pipe;
    raise(*(int *)argument);
    return 0;
}

static int print_line(void *argument, int pipe)
{
    (void)argument;
    if (dup2(pipe, STDOUT_FILENO) < 0)
        return 1;
    printf("printed, and not flushed by hand");
    return 0;
}

static int double_it(void *argument)
{
    *(int *)argument *= 2;
    return 0;
}

static int refuse(void *argument)
{
    (void)argument;
    return 7;
}

/* Counts the writable pipe ends, except for the standard streams. */
static int count_writing_ends(void)
{
    enum { ENOUGH = 256 };
    int n = 0;
    for (int fd = STDERR_FILENO + 1; fd < ENOUGH; fd++) {
        struct stat is;
        int flags = fcntl(fd, F_GETFL);
        n += flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fstat(fd, &is) == 0 && S_ISFIFO(is.st_mode);
    }
    return n;
}

static int report_writing_ends(void *argument, int pipe)
{
    (void)argument;
    (void)pipe;
    return count_writing_ends();
}

/* Counts handlers that ran; NULL: the test itself exits. Shared with children. */
static volatile int *exits;

static void note_exit(void)
{
    if (exits != NULL)
        ++*exits;
}

static int print_and_exit(void *argument, int pipe)
{
    if (dup2(pipe, STDOUT_FILENO) < 0)
        return 1;
    printf("printed");
    exit(*(int *)argument);
}

static int print_word(void *argument, int pipe)
{
    (void)argument;
    (void)pipe;
    return printf("child ") < 0;
}

/* exit() in the child has the same effect as returning from the function. */
TEST(a_child_that_calls_exit_runs_no_handler)
{
    char text[16];
    int status = 7;
    exits = rowpool_alloc(sizeof *exits, NULL);
    assert_non_null((void *)(uintptr_t)exits);
    atexit(note_exit);
    rowpool_process *process = start(print_and_exit, &status, NULL);
    test_read_to_end(rowpool_process_pipe(process), text, sizeof text);
    assert_int_equal(joined(process).exit_code, 7);
    assert_string_equal(text, "printed");
    assert_int_equal(*exits, 0);
    rowpool_process_close(process);
    rowpool_free((void *)(uintptr_t)exits);
    exits = NULL;
}

/* ---- Streams that are in use ------------------------------------------------------------------------------------ */

typedef struct {
    FILE *stream;
    sem_t has_it, let_go;
} holder;

static void *hold(void *argument)
{
    holder *h = argument;
    flockfile(h->stream);
    sem_post(&h->has_it);
    while (sem_wait(&h->let_go) != 0)
        continue;
    funlockfile(h->stream);
    return NULL;
}

static void *read_a_line(void *argument)
{
    char line[16];
    (void)argument;
    assert_non_null(fgets(line, sizeof line, stdin));
    return NULL;
}

/* A thread waits for input and holds the stream's lock meanwhile. */
TEST(start_does_not_wait_for_a_thread_that_reads)
{
    int ends[2], before = dup(STDIN_FILENO);
    pthread_t reader;
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    assert_int_equal(pthread_create(&reader, NULL, read_a_line, NULL), 0);
    while (ftrylockfile(stdin) == 0) { /* the thread does not hold it yet */
        funlockfile(stdin);
        sched_yield();
    }
    rowpool_process *process = start(nothing, NULL, NULL);
    assert_int_equal(joined(process).exit_code, 0);
    rowpool_process_close(process);
    assert_int_equal(write(ends[1], "line\n", 5), 5);
    pthread_join(reader, NULL);
    dup2(before, STDIN_FILENO);
    close(before);
    close(ends[0]);
    close(ends[1]);
}

/* What another thread is about to print stays with that thread: the child neither waits for it nor prints it again. */
TEST(start_does_not_wait_for_a_thread_that_prints)
{
    fflush(stdout);
    int file = test_open_nameless(), before = dup(STDOUT_FILENO);
    holder h = {.stream = stdout};
    pthread_t thread;
    sem_init(&h.has_it, 0, 0);
    sem_init(&h.let_go, 0, 0);
    assert_true(dup2(file, STDOUT_FILENO) == STDOUT_FILENO);
    printf("parent ");
    assert_int_equal(pthread_create(&thread, NULL, hold, &h), 0);
    while (sem_wait(&h.has_it) != 0)
        continue;
    rowpool_process *process = start(print_word, NULL, NULL);
    rowpool_process_state how = joined(process);
    sem_post(&h.let_go);
    pthread_join(thread, NULL);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    char *text = test_read_all(file);
    assert_string_equal(text, "child parent ");
    assert_int_equal(how.exit_code, 0);
    free(text);
    close(file);
    rowpool_process_close(process);
}

/* ---- Several at once -------------------------------------------------------------------------------------------- */

static void *start_some(void *argument)
{
    enum { STARTS = 100 };
    int *max = argument;
    for (int i = 0; i < STARTS; i++) {
        rowpool_process *process = start(report_writing_ends, NULL, NULL);
        int ends = joined(process).exit_code;
        if (ends > *max)
            *max = ends;
        rowpool_process_close(process);
    }
    return NULL;
}

/* A pipe ends when its child does: no other child has its write end. */
TEST(a_child_inherits_no_other_pipe)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int max[THREADS] = {0}, inherited = count_writing_ends();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_some, &max[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(max[i], inherited + 1);
    }
}

/* ---- Tests ------------------------------------------------------------------------------------------------------ */

TEST(the_exit_status_is_reported)
{
    for (int status = 0; status < 256; status += 51) {
        rowpool_process *process = start(give_status, &status, NULL);
        assert_true(rowpool_process_id(process) > 0);
        rowpool_process_state how = joined(process);
        assert_true(how.known);
        assert_int_equal(how.exit_code, status);
        assert_int_equal(how.end_signal, 0);
        rowpool_process_close(process);
    }
}

TEST(the_pipe_delivers_the_bytes)
{
    char words[] = "five integers in a row", text[100];
    rowpool_process *process = start(write_words, words, NULL);
    assert_int_equal(test_read_to_end(rowpool_process_pipe(process), text, sizeof text), strlen(words));
    assert_string_equal(text, words);
    assert_int_equal(joined(process).exit_code, 0);
    rowpool_process_close(process);
}

TEST(streams_are_flushed_once)
{
    char text[100];
    rowpool_process *process = start(print_line, NULL, NULL);
    test_read_to_end(rowpool_process_pipe(process), text, sizeof text);
    assert_string_equal(text, "printed, and not flushed by hand");
    assert_int_equal(joined(process).exit_code, 0);
    rowpool_process_close(process);
}

TEST(init_runs_first_and_memory_is_the_childs_own)
{
    int value = 21;
    rowpool_process *process = start(give_status, &value, double_it);
    assert_int_equal(joined(process).exit_code, 42);
    assert_int_equal(value, 21);
    rowpool_process_close(process);
}

TEST(init_that_fails_ends_the_child)
{
    int value = 21;
    rowpool_process *process = start(give_status, &value, refuse);
    assert_int_equal(joined(process).exit_code, 7);
    rowpool_process_close(process);
}

TEST(join_times_out_and_terminate_ends_the_child)
{
    rowpool_error error;
    rowpool_process *process = start(sleep_for_ever, NULL, NULL);
    assert_true(rowpool_process_alive(process));
    assert_int_equal(rowpool_process_join(process, 0, &error), ROWPOOL_ENOTREADY);
    assert_int_equal(rowpool_process_join(process, 30, NULL), ROWPOOL_ENOTREADY);
    rowpool_process_state how;
    assert_int_equal(rowpool_process_status(process, &how, NULL), ROWPOOL_OK);
    assert_true(how.alive);
    assert_int_equal(rowpool_process_terminate(process, NULL), ROWPOOL_OK);
    how = joined(process);
    assert_int_equal(how.end_signal, SIGTERM);
    assert_int_equal(how.exit_code, -1);
    assert_int_equal(rowpool_process_terminate(process, NULL), ROWPOOL_OK); /* no other process gets the signal */
    rowpool_process_close(process);
}

TEST(end_signals_are_reported)
{
    static int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGUSR1};
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        rowpool_process *process = start(raise_signal, &signals[i], NULL);
        assert_int_equal(joined(process).end_signal, signals[i]);
        rowpool_process_close(process);
    }
}

TEST(kill_ends_a_stopped_child)
{
    int stop = SIGSTOP;
    rowpool_process *process = start(raise_signal, &stop, NULL);
    assert_int_equal(waitpid((pid_t)rowpool_process_id(process), NULL, WUNTRACED), rowpool_process_id(process));
    assert_true(rowpool_process_alive(process));
    assert_int_equal(rowpool_process_kill(process, NULL), ROWPOOL_OK);
    assert_int_equal(joined(process).end_signal, SIGKILL);
    rowpool_process_close(process);
}

TEST(close_leaves_no_child)
{
    rowpool_process_close(start(sleep_for_ever, NULL, NULL));
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    rowpool_process_close(NULL);
}

static void ignore(int number)
{
    (void)number;
}

TEST(a_child_starts_with_default_signal_handling)
{
    int number = SIGUSR1;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    signal(SIGUSR1, ignore);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    rowpool_process *process = start(raise_signal, &number, NULL);
    assert_int_equal(joined(process).end_signal, SIGUSR1);
    rowpool_process_close(process);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(an_ignored_sigchld_hides_how_it_ended)
{
    int status = 3;
    signal(SIGCHLD, SIG_IGN);
    rowpool_process *process = start(give_status, &status, NULL);
    assert_false(joined(process).known);
    rowpool_process_close(process);
    signal(SIGCHLD, SIG_DFL);
}

TEST(misuse_is_refused)
{
    rowpool_process *process = (rowpool_process *)1;
    rowpool_error error;
    rowpool_process_options options = {.size = 1};
    assert_int_equal(rowpool_process_start(NULL, give_status, NULL, NULL, &error), ROWPOOL_EINVAL);
    assert_int_equal(rowpool_process_start(&process, NULL, NULL, NULL, &error), ROWPOOL_EINVAL);
    assert_null(process);
    assert_int_equal(rowpool_process_start(&process, give_status, NULL, &options, &error), ROWPOOL_EINVAL);
    assert_non_null(strstr(error.message, "size"));
    assert_int_equal(rowpool_process_join(NULL, -1, NULL), ROWPOOL_EINVAL);
    assert_int_equal(rowpool_process_kill(NULL, NULL), ROWPOOL_EINVAL);
    assert_false(rowpool_process_alive(NULL));
    assert_int_equal(rowpool_process_id(NULL), -1);
    assert_int_equal(rowpool_process_pipe(NULL), -1);
}

/* In a child the parent's object is refused, and closing it has no effect on the parent. */
static int use_parents_object(void *argument, int pipe)
{
    rowpool_process *other = argument;
    (void)pipe;
    bool refused = rowpool_process_join(other, -1, NULL) == ROWPOOL_EFORKED &&
                   rowpool_process_kill(other, NULL) == ROWPOOL_EFORKED && !rowpool_process_alive(other);
    rowpool_process_close(other);
    return refused ? 0 : 1;
}

TEST(a_child_cannot_use_its_siblings_object)
{
    rowpool_process *other = start(sleep_for_ever, NULL, NULL);
    rowpool_process *process = start(use_parents_object, other, NULL);
    assert_int_equal(joined(process).exit_code, 0);
    assert_true(rowpool_process_alive(other));
    rowpool_process_close(process);
    rowpool_process_close(other);
}

TEST(no_descriptor_leaks)
{
    int before = dup(0);
    close(before);
    for (int i = 0; i < 20; i++) {
        rowpool_process *process = start(give_status, &i, NULL);
        joined(process);
        rowpool_process_close(process);
    }
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

/* ---- The tutorial's example: two processes, started and joined in turn, each printing its id -------------------- */

static int print_id(void *argument, int pipe)
{
    dprintf(pipe, "I'm the process with id: %d\n", *(int *)argument);
    return 0;
}

static void *look_while_cancelled(void *process)
{
    (void)pthread_cancel(pthread_self());
    (void)rowpool_process_alive(process);
    rowpool_process_state state;
    return rowpool_process_status(process, &state, NULL) == ROWPOOL_OK ? NULL : process;
}

TEST(a_cancelled_thread_holds_no_lock)
{
    pthread_t thread;
    rowpool_process *process = start(nothing, NULL, NULL);
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, look_while_cancelled, process), 0);
    pthread_join(thread, &result);
    assert_null(result); /* not cancelled within a call, with the lock held */
    assert_int_equal(joined(process).exit_code, 0);
    rowpool_process_close(process);
}

TEST(two_processes_in_turn)
{
    char text[2][100];
    for (int id = 0; id < 2; id++) {
        rowpool_process *process = start(print_id, &id, NULL);
        joined(process);
        test_read_to_end(rowpool_process_pipe(process), text[id], sizeof text[id]);
        rowpool_process_close(process);
    }
    assert_string_equal(text[0], "I'm the process with id: 0\n");
    assert_string_equal(text[1], "I'm the process with id: 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_reported),
        cmocka_unit_test(the_pipe_delivers_the_bytes),
        cmocka_unit_test(streams_are_flushed_once),
        cmocka_unit_test(init_runs_first_and_memory_is_the_childs_own),
        cmocka_unit_test(init_that_fails_ends_the_child),
        cmocka_unit_test(join_times_out_and_terminate_ends_the_child),
        cmocka_unit_test(end_signals_are_reported),
        cmocka_unit_test(kill_ends_a_stopped_child),
        cmocka_unit_test(close_leaves_no_child),
        cmocka_unit_test(a_child_starts_with_default_signal_handling),
        cmocka_unit_test(an_ignored_sigchld_hides_how_it_ended),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(a_child_cannot_use_its_siblings_object),
        cmocka_unit_test(no_descriptor_leaks),
        cmocka_unit_test(an_early_signal_finds_no_handler),
        cmocka_unit_test(a_child_that_calls_exit_runs_no_handler),
        cmocka_unit_test(start_does_not_wait_for_a_thread_that_reads),
        cmocka_unit_test(start_does_not_wait_for_a_thread_that_prints),
        cmocka_unit_test(a_child_inherits_no_other_pipe),
        cmocka_unit_test(a_cancelled_thread_holds_no_lock),
        cmocka_unit_test(two_processes_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
