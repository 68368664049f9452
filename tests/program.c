#include "program.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Running the program ---------------------------------------------------------------------------------------- */

static char program[PATH_MAX];
static char folder[] = "/tmp/rowpool-test-program-XXXXXX"; /* the working directory of every run */

const circumstances DEFAULTS = {.standard_input = -1, .standard_output = -1, .standard_error = -1};

const circumstances DEFAULT_DEVICE = {.standard_input = -1,
                                      .standard_output = -1,
                                      .standard_error = -1,
                                      .environment = (const char *const[]){"ROWPOOL_DEVICE=", NULL}};

/* In the child: runs the program, or exits with a status that the program never uses. */
static void become_program(const char *const *arguments, const circumstances *with, int out, int err)
{
    int in = with->standard_input >= 0 ? with->standard_input : open("/dev/null", O_RDONLY);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    if (with->close_standard_output)
        (void)close(STDOUT_FILENO);
    for (const char *const *entry = with->environment; entry != NULL && *entry != NULL; entry++)
        (void)putenv(strdup(*entry));
    if (with->largest_file > 0)
        (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){with->largest_file, with->largest_file});
    const char *path = with->program != NULL ? with->program : program;
    const char *argv[512] = {path};
    for (size_t i = 0; arguments[i] != NULL && i + 2 < COUNT_OF(argv); i++)
        argv[i + 1] = arguments[i];
    (void)execv(path, (char *const *)(uintptr_t)argv);
    _exit(111);
}

pid_t start_program(const char *const *arguments, const circumstances *with, int out, int err)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_program(arguments, with, out, err);
    return child;
}

/* The thread sanitizer may take a thread started in a forked child for one of the parent's. Removes that warning. */
static void drop_sanitizers_words(char *text)
{
    const char *words = strstr(text, "ThreadSanitizer: dup thread with used id");
    if (words == NULL)
        return;
    char *line = text;
    for (char *end = strchr(line, '\n'); end != NULL && end < words; end = strchr(line, '\n'))
        line = end + 1;
    const char *next = strchr(words, '\n');
    memmove(line, next != NULL ? next + 1 : "", next != NULL ? strlen(next + 1) + 1 : 1);
}

outcome run_with(const circumstances *with, const char *const *arguments)
{
    int out = with->standard_output >= 0 ? with->standard_output : test_open_nameless();
    int err = with->standard_error >= 0 ? with->standard_error : test_open_nameless();
    pid_t child = start_program(arguments, with, out, err);
    const int status = test_wait(child);
    outcome result = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    result.out = with->standard_output >= 0 ? strdup("") : test_read_all(out);
    if (with->standard_output < 0)
        assert_int_equal(close(out), 0);
    result.err = with->standard_error >= 0 ? strdup("") : test_read_all(err);
    if (with->standard_error < 0)
        assert_int_equal(close(err), 0);
    drop_sanitizers_words(result.err);
    return result;
}

void release(outcome *result)
{
    free(result->out);
    free(result->err);
}

/* ---- Checking a run --------------------------------------------------------------------------------------------- */

void show(const outcome *result, int line)
{
    print_error("line %d: exit status %d, signal %d\nstandard output: %.300s\nstandard error: %.2000s\n", line,
                result->exit_status, result->signal, result->out, result->err);
}

bool is_one_line(const char *text)
{
    const char *end = strchr(text, '\n');
    return end != NULL && end[1] == '\0';
}

void check_prints(outcome result, const char *text, int line)
{
    if (result.exit_status != 0 || strcmp(result.out, text) != 0 || result.err[0] != '\0') {
        show(&result, line);
        fail_msg("line %d: expected: %.300s", line, text);
    }
    release(&result);
}

void check_refuses(outcome result, int exit_status, const char *begin, const char *text, int line)
{
    if (result.exit_status != exit_status || result.out[0] != '\0' || !is_one_line(result.err) ||
        strncmp(result.err, begin, strlen(begin)) != 0 || strstr(result.err, text) == NULL) {
        show(&result, line);
        fail_msg("line %d: expected exit status %d and: %s...%s", line, exit_status, begin, text);
    }
    release(&result);
}

void check_tells(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is missing in:\n%s", part, text);
}

bool exists(const char *path)
{
    struct stat entry;
    return lstat(path, &entry) == 0;
}

size_t leftovers(void)
{
    size_t found = 0;
    DIR *directory = opendir(".");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        found += strncmp(entry->d_name, ".rowpool", 8) == 0;
    assert_int_equal(closedir(directory), 0);
    return found;
}

bool has_nameless_files(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    return fd >= 0 && close(fd) == 0;
}

void assert_no_output(const char *path)
{
    assert_false(exists(path));
    assert_int_equal(leftovers(), 0);
}

/* ---- Making files ----------------------------------------------------------------------------------------------- */

void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

void write_npy(const char *path, const char *descr, bool fortran, const char *shape, const void *data, size_t bytes)
{
    char text[1024];
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                          fortran ? "True" : "False", shape);
    size_t end = ((size_t)length + 11 + 63) / 64 * 64 - 10;
    char header[2048];
    memcpy(header, "\x93NUMPY\1", 8);
    header[8] = (char)(end & 255);
    header[9] = (char)(end >> 8);
    (void)snprintf(header + 10, sizeof header - 10, "%-*s\n", (int)end - 1, text);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(header, 1, 10 + end, file), 10 + end);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* ---- The folder ------------------------------------------------------------------------------------------------- */

int enter_folder(__attribute__((unused)) void **state)
{
    const char *given = getenv("ROWPOOL_PROGRAM");
    if (given == NULL || realpath(given, program) == NULL) {
        print_error("ROWPOOL_PROGRAM must name the program\n");
        return -1;
    }
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    char cache[PATH_MAX];
    (void)snprintf(cache, sizeof cache, "%s/pocl-cache", folder);
    if (mkdir(cache, 0777) != 0 || setenv("POCL_CACHE_DIR", cache, 0) != 0)
        return -1;
    return setenv("ROWPOOL_DEVICE", "host", 1);
}

int remove_folder(__attribute__((unused)) void **state)
{
    return chdir("/") == 0 && test_remove_folder(folder) ? 0 : -1;
}
