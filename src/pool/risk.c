/* Whether OpenCL drivers may end this process: what PoCL cannot bear, looked at before anything of it is loaded. Each
 * figure leaves it several times what it was seen to need. */
#include <ctype.h>
#include <dirent.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/settings.h"
#include "pool/pool.h"

enum { LEAST_FILES = 64 };
static const uint64_t least_address_space = (uint64_t)4 << 30, least_memory = (uint64_t)512 << 20;
static const uint64_t least_disk = (uint64_t)64 << 20;

/* ---- Limits of the process -------------------------------------------------------------------------------------- */

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

/* ---- What control groups allow ---------------------------------------------------------------------------------- */

/* Of all groups, the one that has the least left. */
typedef struct {
    uint64_t most, used;
} allowance;

static uint64_t left_of(const allowance *of)
{
    return of->most - rp_min(of->used, of->most);
}

static void tighten(allowance *tightest, uint64_t most, uint64_t used)
{
    const allowance other = {most, used};
    if (left_of(&other) < left_of(tightest))
        *tightest = other;
}

static FILE *open_in(const char *folder, const char *name)
{
    char path[RP_CGROUP_FOLDER + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "re");
}

/* The number in a file; false when there is none, or "max" in its place. */
static bool number_in(const char *folder, const char *name, uint64_t *number)
{
    unsigned long long read = 0;
    FILE *file = open_in(folder, name);
    if (file == NULL)
        return false;
    bool found = fscanf(file, "%llu", &read) == 1;
    fclose(file);
    *number = read;
    return found;
}

/* What a control group holds of files, and gives up when memory is wanted. */
static uint64_t file_pages(const char *folder, bool unified)
{
    const char *wanted = unified ? "inactive_file" : "total_inactive_file";
    char name[64] = "";
    unsigned long long bytes = 0;
    FILE *file = open_in(folder, "memory.stat");
    if (file == NULL)
        return 0;
    while (strcmp(name, wanted) != 0 && fscanf(file, "%63s %llu", name, &bytes) == 2)
        continue;
    fclose(file);
    return strcmp(name, wanted) == 0 ? bytes : 0;
}

static void look_at_memory(const char *folder, bool unified, void *context)
{
    uint64_t most, used;
    if (number_in(folder, unified ? "memory.max" : "memory.limit_in_bytes", &most) &&
        number_in(folder, unified ? "memory.current" : "memory.usage_in_bytes", &used))
        tighten(context, most, used - rp_min(used, file_pages(folder, unified)));
}

static bool has_little_memory(char why[RP_RISK_TEXT])
{
    allowance memory = {.most = UINT64_MAX};
    rp_cgroup_each("memory", look_at_memory, &memory);
    if (left_of(&memory) >= least_memory)
        return false;
    snprintf(why, RP_RISK_TEXT, "of the %llu MiB of memory that its control group has %llu are used",
             (unsigned long long)memory.most >> 20, (unsigned long long)memory.used >> 20);
    return true;
}

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

/* PoCL has a thread for each CPU of the machine. */
static uint64_t least_threads(void)
{
    enum { EACH = 2, MORE = 32 };
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return EACH * (cpus > 0 ? (uint64_t)cpus : 1) + MORE;
}

static void look_at_threads(const char *folder, bool unified, void *context)
{
    uint64_t most, used;
    (void)unified;
    if (number_in(folder, "pids.max", &most) && number_in(folder, "pids.current", &used))
        tighten(context, most, used);
}

static bool has_few_threads(char why[RP_RISK_TEXT])
{
    allowance threads = {.most = UINT64_MAX};
    rp_cgroup_each("pids", look_at_threads, &threads);
    if (left_of(&threads) >= least_threads())
        return false;
    snprintf(why, RP_RISK_TEXT, "of the %llu processes and threads that its control group may have %llu are there",
             (unsigned long long)threads.most, (unsigned long long)threads.used);
    return true;
}

/* In a user namespace of its own nobody has rights over the machine. */
static bool is_in_first_namespace(void)
{
    unsigned long long inside, outside, length;
    FILE *file = fopen("/proc/self/uid_map", "re");
    if (file == NULL)
        return true;
    int numbers = fscanf(file, "%llu %llu %llu", &inside, &outside, &length);
    fclose(file);
    return numbers != 3 || length == UINT32_MAX;
}

/* Whom the kernel does not hold to the user's limit on processes. */
static bool may_exceed_limits(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3] = {{0}};
    const uint32_t enough = CAP_TO_MASK(CAP_SYS_RESOURCE) | CAP_TO_MASK(CAP_SYS_ADMIN);
    if (!is_in_first_namespace())
        return false;
    return getuid() == 0 || (syscall(SYS_capget, &header, rights) == 0 && (rights[0].effective & enough) != 0);
}

/* Threads of this user's, as far as they can be seen: other containers may have more of them. A folder of tasks has a
 * link for each, and the two that any folder has. */
static uint64_t threads_of_user(void)
{
    uint64_t threads = 0;
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        char path[sizeof entry->d_name + 8];
        struct stat tasks;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "%s/task", entry->d_name);
        if (fstatat(dirfd(processes), path, &tasks, 0) == 0 && tasks.st_uid == getuid() && tasks.st_nlink > 2)
            threads += tasks.st_nlink - 2;
    }
    if (processes != NULL)
        closedir(processes);
    return threads;
}

static bool has_user_with_few_threads(char why[RP_RISK_TEXT])
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || may_exceed_limits())
        return false;
    const allowance threads = {limit.rlim_cur, threads_of_user()};
    if (left_of(&threads) >= least_threads())
        return false;
    snprintf(why, RP_RISK_TEXT, "of the %llu processes and threads that its user may have %llu are there (ulimit -u)",
             (unsigned long long)threads.most, (unsigned long long)threads.used);
    return true;
}

/* ---- The disk --------------------------------------------------------------------------------------------------- */

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
    return has_few_files(why) || has_little_address_space(why) || has_little_memory(why) || has_few_threads(why) ||
           has_user_with_few_threads(why) || has_little_disk(why) || lacks_sysfs(why);
}
