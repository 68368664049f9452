/* rowpool doctor: worker processes and the memory that they share with the program. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "doctor.h"
#include "rowpool.h"

/* ---- Workers ---------------------------------------------------------------------------------------------------- */

static const int32_t numbers[] = {4, 1, 8, 0, 9, 5};
enum { NUMBERS = sizeof numbers / sizeof *numbers, BETWEEN_4_AND_8 = 3 };

static void examine_workers(finding_list *list)
{
    const rowpool_options options = {.size = sizeof options, .device = "fork", .workers = 1};
    const rowpool_rows rows = {.data = numbers, .dtype = ROWPOOL_INT32, .count = 1, .width = NUMBERS};
    rowpool *pool;
    rowpool_error error;
    uint32_t count = 0;
    rowpool_status status = rowpool_open(&pool, &options, &error);
    if (status == ROWPOOL_OK)
        status = rowpool_range_count(pool, &rows, NULL, 0, &count, &error);
    rowpool_close(pool);
    if (status != ROWPOOL_OK)
        find(list, FINDING_WRONG, "worker processes", NULL, "%s", error.message);
    else if (count != BETWEEN_4_AND_8)
        find(list, FINDING_WRONG, "worker processes", NULL, "one counted %u instead of %d", count, BETWEEN_4_AND_8);
    else
        find(list, FINDING_OK, "worker processes", NULL, "one was started, and counted right");
}

/* ---- Memory of the program -------------------------------------------------------------------------------------- */

/* In a child: as a worker process reads its parent. */
static int read_parent(void *argument, int pipe)
{
    int32_t copy[NUMBERS];
    struct iovec into = {copy, sizeof copy}, from = {argument, sizeof copy};
    (void)pipe;
    if (process_vm_readv(getppid(), &into, 1, &from, 1, 0) == sizeof copy)
        return 0;
    return errno != 0 && errno < 256 ? errno : EIO;
}

/* Has the kernel's own rules, where they are why; else a filter of system calls or the container's rights are. */
static const char *reading_remedy(void)
{
    int scope = 0;
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    bool known = file != NULL && fscanf(file, "%d", &scope) == 1;
    if (file != NULL)
        (void)fclose(file);
    return known && scope > 0 ? "sysctl kernel.yama.ptrace_scope=0, or rowpool_alloc in the program"
                              : "docker run --cap-add SYS_PTRACE, or rowpool_alloc in the program";
}

static void examine_reading(finding_list *list)
{
    static int32_t own[NUMBERS];
    rowpool_process *process;
    rowpool_process_state state = {0};
    rowpool_error error;
    rowpool_status status = rowpool_process_start(&process, read_parent, own, NULL, &error);
    if (status == ROWPOOL_OK)
        status = rowpool_process_join(process, -1, &error);
    if (status == ROWPOOL_OK)
        status = rowpool_process_status(process, &state, &error);
    rowpool_process_close(process);
    if (status != ROWPOOL_OK)
        find(list, FINDING_WRONG, "memory across", NULL, "%s", error.message);
    else if (state.exit_code == 0)
        find(list, FINDING_OK, "memory across", NULL, "worker processes may read the program's (process_vm_readv)");
    else
        find(list, FINDING_NOTE, "memory across", reading_remedy(),
             "process_vm_readv is refused (%s): workers read the program's by /proc/PID/mem, where they may",
             strerror(state.exit_code));
}

static void examine_sharing(finding_list *list)
{
    int memory = memfd_create("rowpool", MFD_CLOEXEC);
    if (memory < 0)
        find(list, FINDING_WRONG, "shared memory", "allow memfd_create to the process, and more open files (ulimit -n)",
             "memfd_create: %s: the calling thread does all", strerror(errno));
    else
        find(list, FINDING_OK, "shared memory", NULL, "rowpool_alloc has it (memfd_create)");
    if (memory >= 0)
        (void)close(memory);
}

static void examine_pages(finding_list *list)
{
    char modes[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    bool known = file != NULL && fgets(modes, sizeof modes, file) != NULL;
    if (file != NULL)
        (void)fclose(file);
    modes[strcspn(modes, "\n")] = '\0';
    if (!known)
        find(list, FINDING_NOTE, "huge pages", NULL, "the kernel does not say whether it has them");
    else if (strstr(modes, "[never]") != NULL)
        find(list, FINDING_NOTE, "huge pages", "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
             "none: workers copy the program's memory at half the rate");
    else
        find(list, FINDING_OK, "huge pages", NULL, "%s", modes);
}

void examine_processes(finding_list *list)
{
    examine_workers(list);
    examine_reading(list);
    examine_sharing(list);
    examine_pages(list);
}
