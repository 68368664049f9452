/* How many CPUs this process may use. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "base/checked.h"
#include "pool/pool.h"

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

/* The numbers in a file of a control group; 0 where there is no such file. */
static int read_numbers(const char *folder, const char *name, unsigned long long *first, unsigned long long *second)
{
    char path[RP_CGROUP_FOLDER + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int numbers = fscanf(file, "%llu %llu", first, second);
    fclose(file);
    return numbers < 0 ? 0 : numbers;
}

/* Version 2 has both in one file, where "max 100000" is no limit; version 1 has two files, where a quota of -1 is none. */
static bool read_quota(const char *folder, bool unified, unsigned long long *quota, unsigned long long *period)
{
    unsigned long long none;
    if (unified)
        return read_numbers(folder, "cpu.max", quota, period) == 2;
    return read_numbers(folder, "cpu.cfs_quota_us", quota, &none) == 1 &&
           read_numbers(folder, "cpu.cfs_period_us", period, &none) == 1 && *quota <= INT64_MAX;
}

/* Whole CPUs that a group allows in each period; part of one counts as one. */
static void look_at_quota(const char *folder, bool unified, void *context)
{
    size_t *tightest = context;
    unsigned long long quota, period;
    if (read_quota(folder, unified, &quota, &period) && period > 0)
        *tightest = rp_min(*tightest, (size_t)((quota + period - 1) / period));
}

size_t rowpool_cpu_count(void)
{
    size_t quota = SIZE_MAX;
    rp_cgroup_each("cpu", look_at_quota, &quota);
    return rp_max(1, rp_min(affinity_count(), quota));
}
