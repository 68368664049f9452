#include "support.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

rowpool_status bench_fail(rowpool_error *error, rowpool_status status, const char *format, ...)
{
    va_list arguments;

    error->status = status;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

void bench_complain(const char *format, ...)
{
    va_list arguments;

    fputs(BENCH_PROGRAM ": ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* Finds the first line that begins with the key; returns what follows the key, ':' and spaces, "" where there is none. */
static const char *find_line(const char *path, const char *key, char *line, int size)
{
    const char *value = "";
    FILE *file = fopen(path, "re");

    while (file != NULL && value[0] == '\0' && fgets(line, size, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, key, strlen(key)) == 0)
            value = line + strlen(key) + strspn(line + strlen(key), ": \t");
    }
    if (file != NULL)
        fclose(file);
    return value;
}

static size_t from_sysconf(int name)
{
    const long value = sysconf(name);

    return value > 0 ? (size_t)value : 0;
}

void bench_machine_read(bench_machine *machine)
{
    char line[512];
    /* Other architectures than x86 name the field differently, or not at all. */
    const char *cpu = find_line("/proc/cpuinfo", "model name", line, sizeof line);

    if (cpu[0] == '\0')
        cpu = find_line("/proc/cpuinfo", "Model", line, sizeof line);
    (void)snprintf(machine->cpu, sizeof machine->cpu, "%s", cpu[0] != '\0' ? cpu : "unknown processor");

    /* The setting in force is in brackets: "always [madvise] never". */
    const char *setting = strchr(find_line("/sys/kernel/mm/transparent_hugepage/enabled", "", line, sizeof line), '[');
    (void)snprintf(machine->huge_pages, sizeof machine->huge_pages, "%.*s",
                   setting != NULL ? (int)strcspn(setting + 1, "]") : 7, setting != NULL ? setting + 1 : "unknown");

    machine->cores = from_sysconf(_SC_NPROCESSORS_ONLN);
    machine->usable = rowpool_cpu_count();
    machine->memory = from_sysconf(_SC_PHYS_PAGES) * from_sysconf(_SC_PAGESIZE);
}

size_t bench_memory_free(void)
{
    /* "max", and a file that is not there, are no limit. */
    static const struct {
        const char *path, *key;
        unsigned long long unit;
    } limits[] = {{"/proc/meminfo", "MemAvailable", 1024},
                  {"/sys/fs/cgroup/memory.max", "", 1},
                  {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "", 1}};
    size_t free_bytes = SIZE_MAX;

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char line[512];
        unsigned long long value;

        if (sscanf(find_line(limits[i].path, limits[i].key, line, sizeof line), "%llu", &value) == 1 &&
            value < free_bytes / limits[i].unit)
            free_bytes = (size_t)(value * limits[i].unit);
    }
    return free_bytes;
}
