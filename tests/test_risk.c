/* Where drivers may end their process: each surrounding that PoCL is known not to bear is told, by its own words, and
 * where all is well nothing is. The linker leads rowpool's questions to the system here (--wrap), so that the limits, the
 * control groups and the disk are those that a test sets up; the CPUs that the groups leave are told by them too. */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/pool.h"
#include "support.h"

/* ---- The machine as rowpool sees it ----------------------------------------------------------------------------- */

enum { MOST_FILES = 16, GIB = 1 << 30, MIB = 1 << 20 };

static struct {
    struct {
        const char *path, *text;
    } files[MOST_FILES];
    rlim_t limits[RLIM_NLIMITS];
    const char *disk;   /* the one folder that is there, of those where a cache may be */
    uint64_t disk_left; /* bytes */
    bool disk_is_mute;
    bool without_sysfs;
} machine;

static void all_is_well(void)
{
    memset(&machine, 0, sizeof machine);
    for (size_t i = 0; i < COUNT_OF(machine.limits); i++)
        machine.limits[i] = RLIM_INFINITY;
    machine.disk = "/";
    machine.disk_left = GIB;
}

static void put_file(const char *path, const char *text)
{
    size_t i = 0;
    while (machine.files[i].path != NULL && strcmp(machine.files[i].path, path) != 0)
        i++;
    assert_true(i < MOST_FILES);
    machine.files[i].path = path;
    machine.files[i].text = text;
}

FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    (void)mode;
    for (size_t i = 0; i < MOST_FILES && machine.files[i].path != NULL; i++)
        if (strcmp(machine.files[i].path, path) == 0)
            return fmemopen((void *)(uintptr_t)machine.files[i].text, strlen(machine.files[i].text), "r");
    errno = ENOENT;
    return NULL;
}

int __wrap_getrlimit(__rlimit_resource_t what, struct rlimit *limit);
int __wrap_getrlimit(__rlimit_resource_t what, struct rlimit *limit)
{
    *limit = (struct rlimit){machine.limits[what], RLIM_INFINITY};
    return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *disk);
int __wrap_statvfs(const char *path, struct statvfs *disk)
{
    enum { FRAGMENT = 512 };
    if (strcmp(path, machine.disk) != 0) {
        errno = ENOENT;
        return -1;
    }
    memset(disk, 0, sizeof *disk);
    disk->f_bsize = MIB;
    disk->f_frsize = FRAGMENT;
    disk->f_blocks = machine.disk_is_mute ? 0 : GIB;
    disk->f_bfree = GIB; /* for root alone */
    disk->f_bavail = machine.disk_is_mute ? 0 : machine.disk_left / FRAGMENT;
    return 0;
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
    (void)mode;
    return strncmp(path, "/sys", 4) == 0 && machine.without_sysfs ? -1 : 0;
}

/* ---- What is asserted ------------------------------------------------------------------------------------------- */

static void expect_risk(const char *words, int line)
{
    char why[RP_RISK_TEXT] = "";
    if (!rp_at_risk(why))
        fail_msg("line %d: no risk is seen; '%s' is one", line, words);
    if (strstr(why, words) == NULL)
        fail_msg("line %d: '%s' lacks '%s'", line, why, words);
}

static void expect_none(int line)
{
    char why[RP_RISK_TEXT] = "";
    if (rp_at_risk(why))
        fail_msg("line %d: all is well, but '%s'", line, why);
}

#define assert_risk(words) expect_risk(words, __LINE__)
#define assert_no_risk() expect_none(__LINE__)

/* ---- Limits ----------------------------------------------------------------------------------------------------- */

TEST(where_all_is_well_there_is_no_risk)
{
    all_is_well();
    assert_no_risk();
    put_file("/proc/self/cgroup", "0::/\n");
    assert_no_risk();
    put_file("/proc/self/cgroup", "this is no line of it\n1:\n:\n0::\n");
    assert_no_risk();
}

TEST(limits_of_the_process)
{
    all_is_well();
    machine.limits[RLIMIT_NOFILE] = 63;
    assert_risk("the limit on open files is 63 (ulimit -n)");
    machine.limits[RLIMIT_NOFILE] = 64;
    assert_no_risk();
    machine.limits[RLIMIT_AS] = (rlim_t)4 * GIB - 1;
    assert_risk("the limit on memory is 4095 MiB (ulimit -v)");
    machine.limits[RLIMIT_AS] = (rlim_t)4 * GIB;
    assert_no_risk();
}

TEST(the_public_call_tells_the_same)
{
    char why[16] = "as it was";
    all_is_well();
    assert_false(rowpool_at_risk(why, sizeof why));
    assert_string_equal(why, "as it was");
    machine.limits[RLIMIT_NOFILE] = 63;
    assert_true(rowpool_at_risk(why, sizeof why));
    assert_string_equal(why, "the limit on op");
    assert_true(rowpool_at_risk(NULL, 0));
}

TEST(no_sysfs)
{
    all_is_well();
    machine.without_sysfs = true;
    assert_risk("/sys is not mounted");
}

/* ---- Control groups --------------------------------------------------------------------------------------------- */

TEST(memory_of_a_control_group)
{
    all_is_well();
    put_file("/proc/self/cgroup", "0::/\n");
    put_file("/sys/fs/cgroup/memory.max", "1073741824\n");
    put_file("/sys/fs/cgroup/memory.current", "537919488\n"); /* 513 MiB: 511 are left */
    assert_risk("of the 1024 MiB of memory that its control group has 513 are used");
    put_file("/sys/fs/cgroup/memory.current", "536870912\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/memory.current", "2147483648\n"); /* it was lowered since */
    assert_risk("of the 1024 MiB of memory that its control group has 2048 are used");
    put_file("/sys/fs/cgroup/memory.max", "max\n");
    assert_no_risk();
}

/* Files that were read lie in memory only until it is wanted. */
TEST(memory_that_holds_files_is_free)
{
    all_is_well();
    put_file("/proc/self/cgroup", "0::/\n");
    put_file("/sys/fs/cgroup/memory.max", "1073741824\n");
    put_file("/sys/fs/cgroup/memory.current", "1073741824\n");
    put_file("/sys/fs/cgroup/memory.stat",
             "anon 1\ninactive_anon 2\nactive_file 3\ninactive_file 1000000000\nslab 4\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/memory.stat",
             "anon 1\ninactive_anon 1000000000\nactive_file 1000000000\nslab 1000000000\n");
    assert_risk("of the 1024 MiB of memory that its control group has 1024 are used");
}

/* A service has a group below the first, and one above it may be the tighter. */
TEST(each_group_above_counts)
{
    all_is_well();
    put_file("/proc/self/cgroup", "0::/some.slice/rowpool.service\n");
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/memory.max", "4294967296\n");
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/memory.current", "1048576\n");
    put_file("/sys/fs/cgroup/some.slice/memory.max", "4294967296\n");
    put_file("/sys/fs/cgroup/some.slice/memory.current", "1048576\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/some.slice/memory.current", "4294967296\n");
    assert_risk("of the 4096 MiB of memory that its control group has 4096 are used");
    put_file("/sys/fs/cgroup/some.slice/memory.current", "1048576\n");
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/memory.max", "2097152\n");
    assert_risk("of the 2 MiB of memory that its control group has 1 are used");
}

TEST(groups_of_version_1)
{
    all_is_well();
    put_file("/proc/self/cgroup",
             "9:name=systemd:/\n8:pids:/here\n4:hugetlb,memory:/here\n3:memory_of_others:/there\n0::/\n");
    put_file("/sys/fs/cgroup/memory/here/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put_file("/sys/fs/cgroup/memory/here/memory.usage_in_bytes", "1073741824\n");
    put_file("/sys/fs/cgroup/memory/there/memory.limit_in_bytes", "1\n");
    put_file("/sys/fs/cgroup/memory/there/memory.usage_in_bytes", "1\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/memory/here/memory.limit_in_bytes", "1073741824\n");
    assert_risk("of the 1024 MiB of memory that its control group has 1024 are used");
    put_file("/sys/fs/cgroup/memory/here/memory.stat", "inactive_file 0\ntotal_inactive_file 1000000000\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/pids/here/pids.max", "5\n");
    put_file("/sys/fs/cgroup/pids/here/pids.current", "3\n");
    assert_risk("of the 5 processes and threads that its control group may have 3 are there");
    put_file("/sys/fs/cgroup/pids/here/pids.max", "max\n");
    assert_no_risk();
}

/* As many as PoCL has: two for each CPU, and some. */
static long least_threads(void)
{
    return 2 * sysconf(_SC_NPROCESSORS_ONLN) + 32;
}

TEST(threads_of_a_control_group)
{
    char most[32];
    all_is_well();
    put_file("/proc/self/cgroup", "0::/container\n");
    put_file("/sys/fs/cgroup/container/pids.current", "100\n");
    snprintf(most, sizeof most, "%ld\n", 100 + least_threads());
    put_file("/sys/fs/cgroup/container/pids.max", most);
    assert_no_risk();
    snprintf(most, sizeof most, "%ld\n", 100 + least_threads() - 1);
    assert_risk("processes and threads that its control group may have 100 are there");
    put_file("/sys/fs/cgroup/container/pids.max", "max\n");
    assert_no_risk();
    put_file("/sys/fs/cgroup/pids.max", "100\n"); /* the first group's */
    put_file("/sys/fs/cgroup/pids.current", "100\n");
    assert_risk("of the 100 processes and threads that its control group may have 100 are there");
}

/* Part of a CPU is one, and the tightest group counts. */
TEST(cpus_of_a_control_group)
{
    all_is_well();
    const size_t all = rowpool_cpu_count();
    put_file("/proc/self/cgroup", "0::/some.slice/rowpool.service\n");
    put_file("/sys/fs/cgroup/some.slice/cpu.max", "max 100000\n");
    assert_int_equal(rowpool_cpu_count(), all);
    put_file("/sys/fs/cgroup/some.slice/cpu.max", "100001 100000\n");
    assert_int_equal(rowpool_cpu_count(), all < 2 ? all : 2);
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/cpu.max", "1000 100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/cpu.max", "0 100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
}

/* ---- Threads of a user ------------------------------------------------------------------------------------------ */

enum { USER = 54321, THREADS = 6 };

/* A sanitizer has one of its own. */
static size_t count_threads(void)
{
    size_t n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(tasks);
    return n;
}

static void *wait_for_ever(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return NULL;
}

/* In a process of a user that may be nobody else's: whether the limit is minded, and all its threads are counted. */
static void as_a_user(void)
{
    char words[64];
    for (size_t i = 1; i < THREADS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    }
    size_t threads = count_threads();
    assert_true(threads >= THREADS);
    all_is_well();
    machine.limits[RLIMIT_NPROC] = (rlim_t)threads + (rlim_t)least_threads();
    assert_no_risk();
    machine.limits[RLIMIT_NPROC]--;
    snprintf(words, sizeof words, "that its user may have %zu are there (ulimit -u)", threads);
    assert_risk(words);
    machine.limits[RLIMIT_NPROC] = 1; /* fewer than there are */
    assert_risk("of the 1 processes and threads");
}

/* The test's own program, begun once more as that user, so that a sanitizer has its threads from the beginning. */
TEST(threads_of_a_user)
{
    int status;
    if (getuid() != 0)
        skip_since("only root can become another user");
    pid_t child = fork();
    if (child == 0) {
        if (setgid(USER) != 0 || setuid(USER) != 0)
            _exit(2);
        unsetenv("TSAN_OPTIONS"); /* a file that they name may be in a folder that is closed to that user */
        execl("/proc/self/exe", "test_risk", "as-a-user", (char *)NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static uint32_t own_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3];
    assert_int_equal(syscall(SYS_capget, &header, own), 0);
    return own[0].permitted;
}

/* Whether a process of that user with just these rights is held to the limit. */
static bool is_held(uid_t user, uint32_t rights)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3] = {{.effective = rights, .permitted = rights}};
        char why[RP_RISK_TEXT];
        if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setuid(user) != 0 || syscall(SYS_capset, &header, own) != 0)
            _exit(2);
        _exit(rp_at_risk(why));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

/* The first user and those with certain rights are not held to it, unless in a namespace only. */
TEST(who_is_held_to_the_limit)
{
    const uint32_t others = CAP_TO_MASK(CAP_NET_RAW),
                   enough[] = {CAP_TO_MASK(CAP_SYS_RESOURCE), CAP_TO_MASK(CAP_SYS_ADMIN)};
    if (getuid() != 0)
        skip_since("only root can become another user");
    all_is_well();
    machine.limits[RLIMIT_NPROC] = 1;
    assert_false(is_held(0, 0));
    assert_true(is_held(USER, others & own_rights()));
    for (size_t i = 0; i < COUNT_OF(enough); i++)
        if ((enough[i] & own_rights()) != 0) /* a container may deny them to its root */
            assert_false(is_held(USER, enough[i]));
    put_file("/proc/self/uid_map", "         0          0 4294967295\n");
    assert_false(is_held(0, 0));
    put_file("/proc/self/uid_map", "         0       1000          1\n");
    assert_true(is_held(0, own_rights()));
}

/* ---- The disk --------------------------------------------------------------------------------------------------- */

static void set_folders(const char *own, const char *all, const char *home)
{
    const char *names[] = {"POCL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"}, *values[] = {own, all, home};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (values[i] == NULL)
            unsetenv(names[i]);
        else
            setenv(names[i], values[i], 1);
}

/* Each folder that the cache may be in, or its nearest that is there. */
TEST(the_disk_of_the_cache)
{
    static const struct {
        const char *own, *all, *home, *disk;
    } cases[] = {
        {"/own", "/all", "/home/me", "/own"},
        {"/own/deep/down", "/all", "/home/me", "/own/deep"},
        {NULL, "/all", "/home/me", "/all/pocl"},
        {NULL, "/all", "/home/me", "/all"},
        {NULL, NULL, "/home/me", "/home/me/.cache/pocl"},
        {NULL, NULL, "/home/me", "/home"},
        {NULL, NULL, "/home/me", "/"},
        {NULL, NULL, NULL, "/tmp"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char words[64];
        all_is_well();
        set_folders(cases[i].own, cases[i].all, cases[i].home);
        machine.disk = cases[i].disk;
        machine.disk_left = 64 * MIB;
        assert_no_risk();
        machine.disk_left--;
        snprintf(words, sizeof words, "%s has 65535 KiB left", cases[i].disk);
        assert_risk(words);
        machine.disk_is_mute = true;
        assert_no_risk();
    }
    machine.disk = "/of/another"; /* none of them is there */
    assert_no_risk();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_all_is_well_there_is_no_risk),
        cmocka_unit_test(limits_of_the_process),
        cmocka_unit_test(the_public_call_tells_the_same),
        cmocka_unit_test(no_sysfs),
        cmocka_unit_test(memory_of_a_control_group),
        cmocka_unit_test(memory_that_holds_files_is_free),
        cmocka_unit_test(each_group_above_counts),
        cmocka_unit_test(groups_of_version_1),
        cmocka_unit_test(threads_of_a_control_group),
        cmocka_unit_test(cpus_of_a_control_group),
        cmocka_unit_test(threads_of_a_user),
        cmocka_unit_test(who_is_held_to_the_limit),
        cmocka_unit_test(the_disk_of_the_cache),
    };
    if (argc > 1 && strcmp(argv[1], "as-a-user") == 0) {
        as_a_user();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
