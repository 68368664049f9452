/* The number of CPUs available to this process when control groups allow fewer than the machine has. The linker
 * redirects rowpool's fopen (--wrap), so that the test provides the groups' files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/pool.h"
#include "support.h"

/* ---- The control groups as rowpool sees them -------------------------------------------------------------------- */

enum { MAX_FILES = 16 };

static struct {
    const char *path, *text;
} files[MAX_FILES];

static void no_groups(void)
{
    memset(files, 0, sizeof files);
}

static void put_file(const char *path, const char *text)
{
    size_t i = 0;
    while (files[i].path != NULL && strcmp(files[i].path, path) != 0)
        i++;
    assert_true(i < MAX_FILES);
    files[i].path = path;
    files[i].text = text;
}

FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    (void)mode;
    for (size_t i = 0; i < MAX_FILES && files[i].path != NULL; i++)
        if (strcmp(files[i].path, path) == 0)
            return fmemopen((void *)(uintptr_t)files[i].text, strlen(files[i].text), "r");
    errno = ENOENT;
    return NULL;
}

/* What the affinity mask allows, at most `limit`. */
static size_t at_most(size_t limit)
{
    no_groups();
    const size_t all = rowpool_cpu_count();
    return all < limit ? all : limit;
}

/* ---- The tests -------------------------------------------------------------------------------------------------- */

/* A fraction of a CPU counts as one. The tightest group decides; it may be a parent of the process's own. */
TEST(groups_of_version_2)
{
    const size_t all = at_most(SIZE_MAX), two = at_most(2);
    put_file("/proc/self/cgroup", "0::/some.slice/rowpool.service\n");
    assert_int_equal(rowpool_cpu_count(), all);
    put_file("/sys/fs/cgroup/some.slice/cpu.max", "max 100000\n");
    assert_int_equal(rowpool_cpu_count(), all);
    put_file("/sys/fs/cgroup/some.slice/cpu.max", "100001 100000\n");
    assert_int_equal(rowpool_cpu_count(), two);
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/cpu.max", "1000 100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
    put_file("/sys/fs/cgroup/some.slice/rowpool.service/cpu.max", "0 100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
}

TEST(groups_of_version_1)
{
    const size_t all = at_most(SIZE_MAX), two = at_most(2);
    put_file("/proc/self/cgroup",
             "9:name=systemd:/\n8:cpuset:/here\n4:cpu,cpuacct:/here/deeper\n3:cpu_of_others:/there\n0::/\n");
    put_file("/sys/fs/cgroup/cpu/here/deeper/cpu.cfs_quota_us", "-1\n"); /* no limit */
    put_file("/sys/fs/cgroup/cpu/here/deeper/cpu.cfs_period_us", "100000\n");
    put_file("/sys/fs/cgroup/cpu/there/cpu.cfs_quota_us", "1\n");
    put_file("/sys/fs/cgroup/cpu/there/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rowpool_cpu_count(), all);
    put_file("/sys/fs/cgroup/cpu/here/cpu.cfs_quota_us", "100001\n");
    assert_int_equal(rowpool_cpu_count(), all); /* a quota without a period */
    put_file("/sys/fs/cgroup/cpu/here/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rowpool_cpu_count(), two);
    put_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"); /* the root group: a container sees only this one */
    put_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
}

/* A group cannot use more than its parent allows. */
TEST(the_tightest_group_decides)
{
    no_groups();
    put_file("/proc/self/cgroup", "4:cpu:/v1/deeper\n0::/v2/deeper\n");
    put_file("/sys/fs/cgroup/v2/cpu.max", "100000 100000\n");
    put_file("/sys/fs/cgroup/v2/deeper/cpu.max", "6400000 100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
    no_groups();
    put_file("/proc/self/cgroup", "4:cpu:/v1/deeper\n0::/v2/deeper\n");
    put_file("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "100000\n");
    put_file("/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n");
    put_file("/sys/fs/cgroup/cpu/v1/deeper/cpu.cfs_quota_us", "6400000\n");
    put_file("/sys/fs/cgroup/cpu/v1/deeper/cpu.cfs_period_us", "100000\n");
    assert_int_equal(rowpool_cpu_count(), 1);
}

TEST(malformed_lines_are_ignored)
{
    const size_t all = at_most(SIZE_MAX);
    put_file("/proc/self/cgroup", "this is no line of it\n1:\n:\n0::\n");
    assert_int_equal(rowpool_cpu_count(), all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_version_2),
        cmocka_unit_test(groups_of_version_1),
        cmocka_unit_test(the_tightest_group_decides),
        cmocka_unit_test(malformed_lines_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
