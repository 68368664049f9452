/* Whether OpenCL drivers may end this process: what PoCL cannot bear, looked at before anything of it is loaded. Each
 * figure leaves it several times what it was seen to need. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/settings.h"
#include "pool/pool.h"

enum { LEAST_FILES = 64 };
static const uint64_t least_address_space = (uint64_t)4 << 30, least_memory = (uint64_t)512 << 20;
static const uint64_t least_disk = (uint64_t)64 << 20;

static bool has_few_files(char why[RP_RISK_TEXT])
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= LEAST_FILES)
        return false;
    snprintf(why, RP_RISK_TEXT, "the limit on open files is %llu (ulimit -n)", (unsigned long long)limit.rlim_cur);
    return true;
}

static bool has_little_address_space(char why[RP_RISK_TEXT])
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= least_address_space)
        return false;
    snprintf(why, RP_RISK_TEXT, "the limit on memory is %llu MiB (ulimit -v)",
             (unsigned long long)limit.rlim_cur >> 20);
    return true;
}

/* The number in a file; UINT64_MAX when there is none. */
static uint64_t number_in(const char *path)
{
    unsigned long long number = UINT64_MAX;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return UINT64_MAX;
    if (fscanf(file, "%llu", &number) != 1)
        number = UINT64_MAX;
    fclose(file);
    return number;
}

/* What a control group holds of files, and gives up when memory is wanted. */
static uint64_t file_pages(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/sys/fs/cgroup/memory.stat", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "inactive_file %llu", &bytes) != 1)
        continue;
    if (file != NULL)
        fclose(file);
    return bytes;
}

/* A container sees its own control group there. */
static bool has_little_memory(char why[RP_RISK_TEXT])
{
    uint64_t most = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
    if (most == UINT64_MAX || used == UINT64_MAX)
        return false;
    used -= rp_min(used, file_pages());
    if (used < most && most - used >= least_memory)
        return false;
    snprintf(why, RP_RISK_TEXT, "of the %llu MiB of memory that its control group has %llu are used",
             (unsigned long long)most >> 20, (unsigned long long)used >> 20);
    return true;
}

/* The folder where PoCL keeps what it compiled. */
static void cache_folder(char *path, size_t size)
{
    const char *own = rp_setting_text(RP_SETTING_POCL_CACHE_DIR), *all = rp_setting_text(RP_SETTING_XDG_CACHE_HOME);
    const char *home = rp_setting_text(RP_SETTING_HOME);
    if (own != NULL)
        snprintf(path, size, "%s", own);
    else if (all != NULL)
        snprintf(path, size, "%s/pocl", all);
    else
        snprintf(path, size, "%s/.cache/pocl", home != NULL ? home : "/tmp");
}

/* It may not be there yet: then what counts is the folder that it will be in. */
static bool has_little_disk(char why[RP_RISK_TEXT])
{
    char path[4096];
    struct statvfs disk;
    cache_folder(path, sizeof path);
    while (statvfs(path, &disk) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || path[1] == '\0')
            return false;
        slash[slash == path] = '\0';
    }
    if (disk.f_blocks == 0) /* it does not say */
        return false;
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (left >= least_disk)
        return false;
    snprintf(why, RP_RISK_TEXT, "%.100s has %llu KiB left", path, (unsigned long long)left >> 10);
    return true;
}

static bool lacks_sysfs(char why[RP_RISK_TEXT])
{
    if (access("/sys/devices/system/cpu", R_OK) == 0)
        return false;
    snprintf(why, RP_RISK_TEXT, "/sys is not mounted");
    return true;
}

bool rp_at_risk(char why[RP_RISK_TEXT])
{
    return has_few_files(why) || has_little_address_space(why) || has_little_memory(why) || has_little_disk(why) ||
           lacks_sysfs(why);
}
