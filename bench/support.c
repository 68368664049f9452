#include "support.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

bool bench_find_dtype(const char *name, rowpool_dtype *dtype)
{
    const char *known;

    for (int i = 0; (known = rowpool_dtype_name((rowpool_dtype)i)) != NULL; i++) {
        if (strcmp(known, name) == 0) {
            *dtype = (rowpool_dtype)i;
            return true;
        }
    }
    return false;
}

bool bench_read_size(const char *text, size_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *value > 0 && errno == 0 && *end == '\0';
}

/* The text after the key, ':' and blanks in the first line that begins with the key; "": there is none. */
static const char *find_line(const char *path, const char *key, char line[static 512])
{
    const char *value = "";
    FILE *file = fopen(path, "re");

    while (file != NULL && value[0] == '\0' && fgets(line, 512, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, key, strlen(key)) == 0)
            value = line + strlen(key) + strspn(line + strlen(key), ": \t");
    }
    if (file != NULL)
        fclose(file);
    return value;
}

void bench_cpu_name(char name[BENCH_CPU_SIZE])
{
    char line[512];
    /* Architectures other than x86 name the field differently, or do not have it. */
    const char *cpu = find_line("/proc/cpuinfo", "model name", line);

    if (cpu[0] == '\0')
        cpu = find_line("/proc/cpuinfo", "Model", line);
    (void)snprintf(name, BENCH_CPU_SIZE, "%s", cpu[0] != '\0' ? cpu : "unknown processor");
}

rowpool_status bench_memory_check(double bytes, const char *what, rowpool_error *error)
{
    /* "max" or a missing file means no limit. */
    static const struct {
        const char *path, *key;
        double unit;
    } limits[] = {{"/proc/meminfo", "MemAvailable", 1024},
                  {"/sys/fs/cgroup/memory.max", "", 1},
                  {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "", 1}};
    double available = HUGE_VAL;

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char line[512];
        unsigned long long value;

        if (sscanf(find_line(limits[i].path, limits[i].key, line), "%llu", &value) == 1)
            available = fmin(available, (double)value * limits[i].unit);
    }
    if (bytes <= available)
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_ENOMEM, "%s needs %.3g GB of memory and %.3g GB are free", what, bytes / 1e9,
                   available / 1e9);
}
