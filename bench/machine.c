#include "machine.h"

#include <rowpool.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler.h"

const char *bench_compiler(void)
{
    return BENCH_PEER_FLAGS[0] ? BENCH_COMPILER " " BENCH_PEER_FLAGS : BENCH_COMPILER;
}

/* Copies what follows the first ':' of the first line that begins with key; false where there is none. */
static bool read_field(const char *path, const char *key, char *value, size_t size)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "re");

    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file)) {
        const char *colon = strncmp(line, key, strlen(key)) ? NULL : strchr(line, ':');

        if (!colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        (void)snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    fclose(file);
    return found;
}

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, (int)size, file);

    if (file)
        fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

/* The word in brackets is the one in force: "always [madvise] never". */
static void read_huge_pages(char *value, size_t size)
{
    char line[128];
    const char *open = NULL;

    if (read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line))
        open = strchr(line, '[');
    if (open)
        (void)snprintf(value, size, "%.*s", (int)strcspn(open + 1, "]"), open + 1);
    else
        (void)snprintf(value, size, "unknown");
}

static size_t from_sysconf(int name)
{
    long value = sysconf(name);

    return value > 0 ? (size_t)value : 0;
}

void bench_machine_read(bench_machine *machine)
{
    *machine = (bench_machine){.cores = from_sysconf(_SC_NPROCESSORS_ONLN), .usable = rowpool_cpu_count()};
    machine->memory = from_sysconf(_SC_PHYS_PAGES) * from_sysconf(_SC_PAGESIZE);
    read_huge_pages(machine->huge_pages, sizeof machine->huge_pages);
    /* Other architectures than x86 name the field differently, or not at all. */
    if (!read_field("/proc/cpuinfo", "model name", machine->cpu, sizeof machine->cpu) &&
        !read_field("/proc/cpuinfo", "Model", machine->cpu, sizeof machine->cpu))
        (void)snprintf(machine->cpu, sizeof machine->cpu, "unknown processor");
}

/* A limit on this process's control group; SIZE_MAX where there is none ("max", or no such file). */
static size_t read_limit(const char *path)
{
    char line[64], *end;

    if (!read_line(path, line, sizeof line))
        return SIZE_MAX;
    unsigned long long limit = strtoull(line, &end, 10);
    return end != line && *end == '\0' && limit < SIZE_MAX ? (size_t)limit : SIZE_MAX;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t bench_memory_free(void)
{
    char field[64];
    size_t free_bytes = SIZE_MAX;

    if (read_field("/proc/meminfo", "MemAvailable", field, sizeof field))
        free_bytes = (size_t)strtoull(field, NULL, 10) * 1024;
    free_bytes = least(free_bytes, read_limit("/sys/fs/cgroup/memory.max"));
    return least(free_bytes, read_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}
