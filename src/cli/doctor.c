/* rowpool doctor: the command, and the checks of processes, limits and variables. */
#include "doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "command.h"
#include "devices.h"
#include "environment.h"
#include "message.h"
#include "options.h"
#include "output_json.h"

/* ---- The report ------------------------------------------------------------------------------------------------- */

void add_finding(report *to, finding_kind kind, const char *subject, const char *remedy, const char *format, ...)
{
    static const char *const words[] = {[FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_WRONG] = "wrong"};
    enum { SUBJECT = 16 }; /* the longest */
    char text[1024], fix[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)snprintf(fix, sizeof fix, "%s", remedy != NULL ? remedy : "");
    keep_to_one_line(text);
    keep_to_one_line(fix);
    to->count[kind]++;
    if (to->findings != NULL) {
        (void)json_array_append_new(to->findings,
                                    json_pack("{s:s, s:s, s:o, s:o}", "kind", words[kind], "subject", subject, "text",
                                              text_as_json(text), "remedy", text_as_json(fix)));
        return;
    }
    (void)printf("%-5s  %-*s  %s\n", words[kind], SUBJECT, subject, text);
    if (fix[0] != '\0')
        (void)printf("%*s  fix: %s\n", 7 + SUBJECT, "", fix);
    (void)fflush(stdout);
}

/* ---- Worker processes ------------------------------------------------------------------------------------------- */

static const int32_t numbers[] = {4, 1, 8, 0, 9, 5};
enum { NUMBERS = sizeof numbers / sizeof *numbers, BETWEEN_4_AND_8 = 3 };

static void examine_workers(report *to)
{
    const rowpool_options options = {.size = sizeof options, .device = "fork", .workers = 1, .strict = true};
    const rowpool_rows rows = {.data = numbers, .dtype = ROWPOOL_INT32, .count = 1, .width = NUMBERS};
    rowpool *pool;
    rowpool_error error;
    uint32_t count = 0;
    rowpool_status status = rowpool_open(&pool, &options, &error);
    if (status == ROWPOOL_OK)
        status = rowpool_range_count(pool, &rows, NULL, 0, &count, &error);
    rowpool_close(pool);
    if (status != ROWPOOL_OK)
        add_finding(to, FINDING_WRONG, "worker processes", "raise ulimit -n and ulimit -u; allow memfd_create", "%s",
                    error.message);
    else if (count != BETWEEN_4_AND_8)
        add_finding(to, FINDING_WRONG, "worker processes", NULL, "a worker counted %u instead of %d", count,
                    BETWEEN_4_AND_8);
    else
        add_finding(to, FINDING_OK, "worker processes", NULL, "one was started and counted correctly");
}

/* Runs in a child: reads the parent's memory as a worker process does, or writes why it cannot. */
static int read_parent(void *argument, int pipe)
{
    int32_t copy[NUMBERS];
    struct iovec into = {copy, sizeof copy}, from = {argument, sizeof copy};
    if (process_vm_readv(getppid(), &into, 1, &from, 1, 0) != sizeof copy)
        (void)dprintf(pipe, "%s", strerror(errno));
    return 0;
}

/* The first line of a file in /proc or /sys; "" if there is none. */
static const char *kernel_line(char line[128], const char *path)
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file != NULL && fgets(line, 128, file) != NULL)
        line[strcspn(line, "\n")] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return line;
}

static void examine_reading(report *to)
{
    static int32_t own[NUMBERS];
    char line[128], *why;
    size_t size;
    rowpool_error error;
    rowpool_status status = ask_in_child(read_parent, own, &why, &size, &error);
    if (status != ROWPOOL_OK)
        add_finding(to, FINDING_WRONG, "memory access", "raise ulimit -n and ulimit -u", "%s", error.message);
    else if (size == 0)
        add_finding(to, FINDING_OK, "memory access", NULL,
                    "worker processes can read this program's memory (process_vm_readv)");
    else
        add_finding(to, FINDING_NOTE, "memory access",
                    atoi(kernel_line(line, "/proc/sys/kernel/yama/ptrace_scope")) > 0
                        ? "sysctl kernel.yama.ptrace_scope=0, or rowpool_alloc in the program"
                        : "docker run --cap-add SYS_PTRACE, or rowpool_alloc in the program",
                    "process_vm_readv is refused (%s): worker processes read this program's memory more slowly", why);
    free(why);
}

static void examine_pages(report *to)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    char modes[128];
    if (strstr(kernel_line(modes, path), "[never]") != NULL)
        add_finding(to, FINDING_NOTE, "huge pages", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
                    "disabled: worker processes copy memory at half the rate");
    else
        add_finding(to, FINDING_OK, "huge pages", NULL, "%s",
                    modes[0] != '\0' ? modes : "unknown: the kernel does not report them");
}

/* ---- Limits ----------------------------------------------------------------------------------------------------- */

static const char *limit_text(char text[32], __rlimit_resource_t which, unsigned shift, const char *unit)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return "no limit";
    (void)snprintf(text, 32, "%llu%s", (unsigned long long)limit.rlim_cur >> shift, unit);
    return text;
}

static void examine_limits(report *to)
{
    enum { MEBI = 20 };
    char files[32], processes[32], memory[32];
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t allowed = rowpool_cpu_count();
    add_finding(to, FINDING_OK, "limits", NULL, "open files: %s; processes and threads: %s; address space: %s",
                limit_text(files, RLIMIT_NOFILE, 0, ""), limit_text(processes, RLIMIT_NPROC, 0, ""),
                limit_text(memory, RLIMIT_AS, MEBI, " MiB"));
    if (online > 0 && allowed < (size_t)online)
        add_finding(to, FINDING_NOTE, "CPUs", "taskset, docker run --cpus, or systemctl set-property UNIT CPUQuota=",
                    "%zu of %ld may be used: the affinity mask or a cgroup quota allows no more", allowed, online);
    else
        add_finding(to, FINDING_OK, "CPUs", NULL, "all %zu may be used", allowed);
}

/* A misspelt variable is silently ignored elsewhere. */
static void examine_variables(report *to)
{
    static const char prefix[] = "ROWPOOL_";
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        char name[256];
        bool known = strncmp(*entry, prefix, sizeof prefix - 1) != 0;
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        rowpool_variable variable;
        for (size_t i = 0; !known && rowpool_variable_at(i, &variable); i++)
            known = strcmp(variable.name, name) == 0;
        if (!known)
            add_finding(to, FINDING_NOTE, "environment", "rowpool environment", "%s is not a variable of rowpool",
                        name);
    }
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static rowpool_status end_report(report *to, rowpool_error *error)
{
    if (to->findings != NULL)
        return print_json(json_pack("{s:o, s:I, s:I}", "findings", to->findings, "wrong",
                                    (json_int_t)to->count[FINDING_WRONG], "to_note",
                                    (json_int_t)to->count[FINDING_NOTE]),
                          error);
    (void)printf("\n%zu wrong, %zu notes\n", to->count[FINDING_WRONG], to->count[FINDING_NOTE]);
    return ROWPOOL_OK;
}

static const char doctor_help[] =
    "Checks what rowpool needs: OpenCL drivers, each of their devices by a kernel that it builds and runs in a helper\n"
    "process, the files of GPUs, PoCL's cache, worker processes, the limits of this process and its environment\n"
    "variables. It prints a line for each:\n"
    "\n"
    "  ok      works\n"
    "  note    works, but more slowly, or perhaps not as you meant it\n"
    "  wrong   does not work; the line below says how to fix it\n"
    "\n"
    "  --json  print one JSON object\n"
    "  --help  show this text\n"
    "\n"
    "Exit status: 0 nothing is wrong, 1 something is.\n";

int run_doctor(int argc, char **argv)
{
    static const command_line line = {"doctor", {"doctor [--json]"}, doctor_help, JSON_ALONE, read_json_option};
    bool json = false;
    int understood = read_options(&line, &json, NULL, argc, argv);
    if (understood != GO_ON)
        return understood;
    report to = {.findings = json ? json_array() : NULL};
    rowpool_error error;
    examine_opencl(&to);
    examine_workers(&to);
    examine_reading(&to);
    examine_pages(&to);
    examine_limits(&to);
    examine_variables(&to);
    rowpool_status status = end_report(&to, &error);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    return status == ROWPOOL_OK && to.count[FINDING_WRONG] == 0 ? EXIT_DONE : EXIT_FAILED;
}
