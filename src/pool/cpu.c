/* How many CPUs this process may use. */
#include <sched.h>
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

/* Whole CPUs that a group's "QUOTA PERIOD" allows, where there is such a file and a limit in it. */
static void look_at_quota(const char *folder, bool unified, void *context)
{
    char path[RP_CGROUP_FOLDER + 16];
    size_t *tightest = context;
    unsigned long long quota, period;
    (void)unified;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    int numbers = fscanf(file, "%llu %llu", &quota, &period); /* "max 100000" is no number: no limit */
    fclose(file);
    if (numbers == 2 && period > 0)
        *tightest = rp_min(*tightest, (size_t)((quota + period - 1) / period));
}

size_t rowpool_cpu_count(void)
{
    size_t quota = SIZE_MAX;
    rp_cgroup_each("cpu", look_at_quota, &quota);
    return rp_max(1, rp_min(affinity_count(), quota));
}
