#include "doctor.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "environment.h"
#include "message.h"
#include "options.h"
#include "output_json.h"

/* ---- Variables -------------------------------------------------------------------------------------------------- */

static bool is_variable(const char *name, size_t length)
{
    rowpool_variable variable;
    for (size_t i = 0; rowpool_variable_at(i, &variable); i++) {
        if (strlen(variable.name) == length && memcmp(variable.name, name, length) == 0)
            return true;
    }
    return false;
}

/* A name that is misspelt says nothing to anybody else. */
static void examine_variables(finding_list *list)
{
    static const char prefix[] = "ROWPOOL_";
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, prefix, sizeof prefix - 1) == 0 && !is_variable(*entry, length))
            find(list, FINDING_NOTE, "environment", "rowpool environment", "%.*s is no variable of rowpool's",
                 (int)length, *entry);
    }
}

/* ---- Limits ----------------------------------------------------------------------------------------------------- */

static void describe_limit(char *text, size_t size, __rlimit_resource_t which, unsigned shift, const char *unit)
{
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        (void)snprintf(text, size, "no limit");
    else
        (void)snprintf(text, size, "%llu%s", (unsigned long long)limit.rlim_cur >> shift, unit);
}

static void show_limits(finding_list *list)
{
    enum { MEBI = 20 };
    char files[32], processes[32], memory[32];
    describe_limit(files, sizeof files, RLIMIT_NOFILE, 0, "");
    describe_limit(processes, sizeof processes, RLIMIT_NPROC, 0, "");
    describe_limit(memory, sizeof memory, RLIMIT_AS, MEBI, " MiB");
    find(list, FINDING_OK, "limits", NULL, "open files: %s; processes and threads: %s; address space: %s", files,
         processes, memory);
}

static void examine_cpus(finding_list *list)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t allowed = rowpool_cpu_count();
    if (online > 0 && allowed < (size_t)online)
        find(list, FINDING_NOTE, "CPUs", "taskset, docker run --cpus, or systemctl set-property UNIT CPUQuota=",
             "%zu of %ld: affinity or a control group's quota allows no more", allowed, online);
    else
        find(list, FINDING_OK, "CPUs", NULL, "%zu, all that there are", allowed);
}

/* ---- PoCL's cache ----------------------------------------------------------------------------------------------- */

static void cache_folder(char *path, size_t size)
{
    const char *own = variable_value("POCL_CACHE_DIR"), *all = variable_value("XDG_CACHE_HOME");
    const char *home = variable_value("HOME");
    if (own != NULL)
        (void)snprintf(path, size, "%s", own);
    else if (all != NULL)
        (void)snprintf(path, size, "%s/pocl", all);
    else
        (void)snprintf(path, size, "%s/.cache/pocl", home != NULL ? home : "/tmp");
}

/* Makes the path that of the nearest folder above it that is there. */
static void climb(char *path)
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path) {
            (void)strcpy(path, slash == NULL ? "." : "/");
            return;
        }
        *slash = '\0';
    }
}

/* By doing it: permissions alone do not say, least of all to root. */
static bool can_be_written(const char *folder)
{
    char path[4096 + 16];
    (void)snprintf(path, sizeof path, "%s/.rowpool-XXXXXX", folder);
    int fd = mkstemp(path);
    if (fd < 0)
        return false;
    (void)close(fd);
    (void)unlink(path);
    return true;
}

static void examine_cache(finding_list *list)
{
    char path[4096], there[4096];
    cache_folder(path, sizeof path);
    (void)snprintf(there, sizeof there, "%s", path);
    climb(there);
    if (can_be_written(there))
        find(list, FINDING_OK, "cache of PoCL", NULL, "%s can be written", path);
    else
        find(list, FINDING_WRONG, "cache of PoCL", "POCL_CACHE_DIR=FOLDER, one that can be written",
             "%s cannot be written: PoCL has no device then", path);
}

/* ---- The list --------------------------------------------------------------------------------------------------- */

static void examine_all(finding_list *list)
{
    if (examine_drivers(list)) {
        examine_gpus(list);
        examine_cache(list);
    }
    show_limits(list);
    examine_cpus(list);
    examine_processes(list);
    examine_variables(list);
}

static void print_findings(const finding_list *list)
{
    int subject = 0;
    for (size_t i = 0; i < list->count; i++) {
        int length = (int)strlen(list->items[i].subject);
        subject = length > subject ? length : subject;
    }
    for (size_t i = 0; i < list->count; i++) {
        const finding *one = &list->items[i];
        (void)printf("%-5s  %-*s  %s\n", finding_word(one->kind), subject, one->subject, one->text);
        if (one->remedy[0] != '\0')
            (void)printf("%*s  mend: %s\n", 7 + subject, "", one->remedy);
    }
}

static rowpool_status print_findings_as_json(const finding_list *list, rowpool_error *error)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const finding *one = &list->items[i];
        json_t *value = json_pack("{s:s, s:s, s:o, s:o}", "kind", finding_word(one->kind), "subject", one->subject,
                                  "text", text_as_json(one->text), "remedy", text_as_json(one->remedy));
        (void)json_array_append_new(findings, value);
    }
    return print_json(json_pack("{s:o, s:I, s:I}", "findings", findings, "wrong",
                                (json_int_t)count_findings(list, FINDING_WRONG), "to_note",
                                (json_int_t)count_findings(list, FINDING_NOTE)),
                      error);
}

static rowpool_status print_all(const finding_list *list, bool json, rowpool_error *error)
{
    if (json)
        return print_findings_as_json(list, error);
    print_findings(list);
    (void)printf("\n%zu wrong, %zu to note\n", count_findings(list, FINDING_WRONG), count_findings(list, FINDING_NOTE));
    return ROWPOOL_OK;
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static const char HELP[] =
    "Looks at what rowpool needs: OpenCL drivers and their devices, a kernel that is built and run in the helper\n"
    "process, PoCL's cache, the limits of the process, worker processes and memory that they share. One line for "
    "each:\n"
    "\n"
    "  ok      it is as it should be\n"
    "  note    rowpool works, but less fast, or not as somebody may have meant it\n"
    "  wrong   it does not work; below it stands what mends it\n"
    "\n"
    "  --json  print one JSON object\n"
    "  --help  show this text\n"
    "\n"
    "Exit status: 0 nothing is wrong, 1 something is.\n";

int run_doctor(int argc, char **argv)
{
    static const command_line doctor = {"doctor", {"doctor [--json]"}, HELP, JSON_ALONE, read_json_option};
    bool json = false;
    int understood = read_options(&doctor, &json, NULL, argc, argv);
    if (understood != GO_ON)
        return understood;
    finding_list list = {0};
    rowpool_error error;
    examine_all(&list);
    rowpool_status status = print_all(&list, json, &error);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    if (list.cut)
        say(NULL, "out of memory: there may be more");
    bool healthy = count_findings(&list, FINDING_WRONG) == 0 && !list.cut && status == ROWPOOL_OK;
    free_findings(&list);
    return healthy ? EXIT_DONE : EXIT_FAILED;
}
