/* How many CPUs this process may use. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "rowpool.h"

/* CPUs in the affinity mask; the kernel's mask may be larger than a cpu_set_t, so the set grows until it fits. */
static size_t affinity_count(void)
{
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (set == NULL)
            break;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (size_t)count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

/* Whole CPUs that a cgroup's "QUOTA PERIOD" allows; SIZE_MAX when there is no such file or no limit in it. */
static size_t quota_in(const char *path)
{
    unsigned long long quota, period;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return SIZE_MAX;
    int numbers = fscanf(file, "%llu %llu", &quota, &period); /* "max 100000" is no number: no limit */
    fclose(file);
    return numbers == 2 && period > 0 ? rp_max(1, (size_t)((quota + period - 1) / period)) : SIZE_MAX;
}

/* The tightest quota from this process's cgroup up to the root (cgroup v2). */
static size_t quota_count(void)
{
    char group[4096] = "", path[4200];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return SIZE_MAX;
    while (fgets(group, sizeof group, file) != NULL && strncmp(group, "0::/", 4) != 0)
        group[0] = '\0';
    fclose(file);
    group[strcspn(group, "\n")] = '\0';
    size_t tightest = SIZE_MAX;
    char *at = strchr(group, '/');
    while (at != NULL) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", at);
        tightest = rp_min(tightest, quota_in(path));
        char *slash = strrchr(at, '/');
        if (at[0] == '\0')
            break;
        *slash = '\0';
    }
    return tightest;
}

size_t rowpool_cpu_count(void)
{
    return rp_max(1, rp_min(affinity_count(), quota_count()));
}
