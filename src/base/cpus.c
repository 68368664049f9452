#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/lock.h"
#include "base/settings.h"

/* ---- Affinity --------------------------------------------------------------------------------------------------- */

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

/* ---- Control groups --------------------------------------------------------------------------------------------- */

enum { PATH_LENGTH = 4096, FOLDER_LENGTH = PATH_LENGTH + 64 };

/* The numbers in a file of a control group; 0 where there is no such file. */
static int read_numbers(const char *folder, const char *name, unsigned long long *first, unsigned long long *second)
{
    char path[FOLDER_LENGTH + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int numbers = fscanf(file, "%llu %llu", first, second);
    fclose(file);
    return numbers < 0 ? 0 : numbers;
}

/* Version 2 has both in one file, and "max 100000" means no limit; version 1 has two files, and a quota of -1 means no
 * limit. */
static bool read_quota(const char *folder, bool unified, unsigned long long *quota, unsigned long long *period)
{
    unsigned long long none;
    if (unified)
        return read_numbers(folder, "cpu.max", quota, period) == 2;
    return read_numbers(folder, "cpu.cfs_quota_us", quota, &none) == 1 &&
           read_numbers(folder, "cpu.cfs_period_us", period, &none) == 1 && *quota <= INT64_MAX;
}

/* Lowers *tightest to the CPUs that a group allows in each period, rounded up. */
static void apply_quota(const char *folder, bool unified, size_t *tightest)
{
    unsigned long long quota, period;
    if (read_quota(folder, unified, &quota, &period) && period > 0)
        *tightest = rp_min(*tightest, (size_t)((quota + period - 1) / period));
}

/* From the process's own group up to the root: the strictest limit applies. A container may see its own group as the
 * root, and those above it not at all. */
static void apply_quotas(bool unified, char *path, size_t *tightest)
{
    char folder[FOLDER_LENGTH];
    if (strcmp(path, "/") == 0)
        path[0] = '\0';
    for (char *slash = path; slash != NULL;) {
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s", unified ? "" : "/cpu", path);
        apply_quota(folder, unified, tightest);
        slash = strrchr(path, '/');
        if (slash != NULL)
            *slash = '\0';
    }
}

static bool is_in_list(const char *list, const char *text)
{
    for (rp_word word; rp_word_next(&list, &word);)
        if (rp_word_is(&word, text))
            return true;
    return false;
}

/* CPUs that the control groups of this process allow; SIZE_MAX: no limit. */
static size_t quota_count(void)
{
    size_t tightest = SIZE_MAX;
    char line[PATH_LENGTH];
    rp_assert_no_lock("/proc/self/cgroup is read");
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) { /* number:controllers:path */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        controllers++;
        const bool unified = controllers[0] == '\0'; /* version 2: one hierarchy for all controllers */
        if (unified || is_in_list(controllers, "cpu"))
            apply_quotas(unified, path, &tightest);
    }
    if (file != NULL)
        fclose(file);
    return tightest;
}

size_t rp_count_cpus(void)
{
    return rp_max(1, rp_min(affinity_count(), quota_count()));
}
