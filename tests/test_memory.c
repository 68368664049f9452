/* Shared memory: rowpool_alloc and rowpool_free, how a worker reaches memory of any kind, and how it maps it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/memory.h"
#include "process/reach.h"
#include "process/view.h"
#include "support.h"

static size_t page;

static bool all_zero(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Runs a function in a forked child; returns its exit status, or -1 if it was killed. */
static int in_child(int (*run)(void *), void *argument)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(600); /* a hang is a failure too */
        _exit(run(argument));
    }
    int status = 0;
    status = test_wait(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- rowpool_alloc, rowpool_free -------------------------------------------------------------------------------- */

TEST(memory_is_zeroed_aligned_and_writable)
{
    const size_t sizes[] = {0, 1, 17, 4096, 4097, 3 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        rowpool_error error;
        char *memory = rowpool_alloc(sizes[i], &error);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % page, 0);
        assert_true(all_zero(memory, sizes[i]));
        memset(memory, 0x5a, sizes[i]);
        rowpool_free(memory);
    }
    rowpool_free(NULL);
}

TEST(sizes_beyond_memory_are_refused)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 100, PTRDIFF_MAX, (size_t)1 << 60};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        rowpool_error error = test_error_fresh();
        assert_null(rowpool_alloc(sizes[i], &error));
        test_refused(error.status, ROWPOOL_ENOMEM, &error, "bytes", __LINE__);
        assert_null(rowpool_alloc(sizes[i], NULL));
    }
}

static int alloc_under_file_limit(void *unused)
{
    (void)unused;
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
    rowpool_error error;
    setrlimit(RLIMIT_FSIZE, &limit);
    rp_region region;
    if (rp_region_open(&region, 1 << 20, &error) == ROWPOOL_OK)
        return 1;
    if (error.status != ROWPOOL_ENOMEM || strstr(error.message, "ulimit -f") == NULL)
        return 2;
    char *memory = rowpool_alloc(1 << 20, &error); /* it works without a file */
    size_t offset;
    if (memory == NULL || memory[0] != 0 || memory[(1 << 20) - 1] != 0 || rp_region_find(memory, 1, &region, &offset))
        return 3;
    memory[0] = 1;
    rowpool_free(memory);
    return 0;
}

TEST(limit_on_file_sizes_is_an_error_not_a_signal)
{
    assert_int_equal(in_child(alloc_under_file_limit, NULL), 0);
}

TEST(free_takes_the_pages_from_every_mapping)
{
    rowpool_error error;
    char *memory = rowpool_alloc(8 * page, &error);
    assert_non_null(memory);
    memset(memory, 1, 8 * page);
    rp_region region;
    size_t offset;
    assert_true(rp_region_find(memory, 8 * page, &region, &offset));
    char *kept = mmap(NULL, 8 * page, PROT_READ, MAP_SHARED, region.fd, 0);
    assert_true(kept != MAP_FAILED);
    assert_int_equal(kept[5 * page], 1);
    rowpool_free(memory);
    struct stat is;
    assert_int_equal(fstat(region.fd, &is), 0);
    assert_int_equal(is.st_blocks, 0);
    munmap(kept, 8 * page);
    close(region.fd);
}

TEST(foreign_pointers_are_left_alone)
{
    rowpool_error error;
    char *mine = malloc(100);
    memset(mine, 7, 100);
    char *memory = rowpool_alloc(2 * page, &error);
    memory[page] = 3;
    fprintf(stderr, "(two warnings are expected)\n");
    rowpool_free(mine);
    rowpool_free(memory + page); /* an address inside, not the beginning */
    assert_int_equal(mine[99], 7);
    assert_int_equal(memory[page], 3);
    rowpool_free(memory);
    free(mine);
}

static int free_in_child(void *memory)
{
    char *bytes = memory;
    if (bytes[0] != 1)
        return 1;
    bytes[1] = 2; /* shared with the parent */
    rowpool_free(memory);
    rowpool_error error;
    char *own = rowpool_alloc(page, &error); /* a child may have its own */
    if (own == NULL)
        return 2;
    rowpool_free(own);
    return 0;
}

TEST(child_shares_and_frees_only_its_own_mapping)
{
    rowpool_error error;
    char *memory = rowpool_alloc(4 * page, &error);
    memory[0] = 1;
    memory[3 * page] = 4;
    assert_int_equal(in_child(free_in_child, memory), 0);
    assert_int_equal(memory[1], 2);
    assert_int_equal(memory[3 * page], 4);
    rowpool_free(memory);
}

static atomic_bool churning;

/* Searches the whole registry, and so holds its lock most of the time. */
static void *churn(void *unused)
{
    int local = 0;
    rp_region region;
    size_t offset;
    while (atomic_load(&churning))
        rp_region_find(&local, sizeof local, &region, &offset);
    return unused;
}

static int alloc_once(void *unused)
{
    (void)unused;
    void *memory = rowpool_alloc(1, NULL);
    rowpool_free(memory);
    return memory == NULL;
}

TEST(fork_while_other_threads_allocate)
{
    void *many[300];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = rowpool_alloc(1, NULL);
    pthread_t threads[2];
    atomic_store(&churning, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    int failures = 0;
    for (int i = 0; i < 50 && failures == 0; i++)
        failures += in_child(alloc_once, NULL) != 0;
    atomic_store(&churning, false);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        rowpool_free(many[i]);
    assert_int_equal(failures, 0);
}

TEST(regions_are_found_by_address)
{
    rp_region region;
    size_t offset;
    char *a = rowpool_alloc(3 * page, NULL), *b = rowpool_alloc(page, NULL);
    uint64_t id_a, id_b;
    assert_true(rp_region_find(a, 3 * page, &region, &offset));
    id_a = region.id;
    close(region.fd);
    assert_true(rp_region_find(b, 1, &region, &offset));
    id_b = region.id;
    close(region.fd);
    assert_true(id_a != id_b && id_a != 0 && id_b != 0);
    assert_true(rp_region_find(a + page + 3, page, &region, &offset));
    assert_int_equal(offset, page + 3);
    assert_int_equal(region.id, id_a);
    assert_int_equal(region.length, 3 * page);
    close(region.fd);
    assert_false(rp_region_find(a, 3 * page + 1, &region, &offset));
    assert_false(rp_region_find(a + 1, SIZE_MAX, &region, &offset));
    assert_false(rp_region_find(a - 1, 2, &region, &offset)); /* not even when b is next to it */
    int local = 0;
    assert_false(rp_region_find(&local, sizeof local, &region, &offset));
    rowpool_free(a);
    assert_false(rp_region_find(a, 1, &region, &offset));
    char *c = rowpool_alloc(3 * page, NULL);
    assert_true(rp_region_find(c, 1, &region, &offset));
    assert_true(region.id != id_a && region.id != id_b); /* ids are not reused */
    close(region.fd);
    rowpool_free(b);
    rowpool_free(c);
}

/* ---- How a worker reaches memory -------------------------------------------------------------------------------- */

/* A file in which every page holds its own number. */
typedef struct {
    char path[64];
    int fd;
} test_file;

static test_file make_file(size_t pages)
{
    test_file file = {.path = "/tmp/rowpool test XXXXXX"};
    file.fd = mkstemp(file.path);
    assert_true(file.fd >= 0);
    for (size_t i = 0; i < pages; i++) {
        char bytes[1 << 16];
        memset(bytes, (int)i + 1, page);
        assert_int_equal(write(file.fd, bytes, page), page);
    }
    return file;
}

static void remove_file(test_file *file)
{
    unlink(file->path);
    close(file->fd);
}

static char *map_file(const test_file *file, void *at, size_t first, size_t pages, int flags)
{
    char *memory = mmap(at, pages * page, PROT_READ, flags, file->fd, (off_t)(first * page));
    assert_true(memory != MAP_FAILED);
    return memory;
}

static rp_reach_kind kind_of(const void *address, size_t bytes, bool files)
{
    rp_reach reach;
    rp_reach_find(address, bytes, files, &reach);
    rp_reach_kind kind = reach.place.kind;
    rp_reach_release(&reach);
    return kind;
}

TEST(regions_are_reached_by_descriptor)
{
    char *memory = rowpool_alloc(4 * page, NULL);
    rp_reach reach;
    rp_reach_find(memory + page, page, false, &reach);
    assert_int_equal(reach.place.kind, RP_REACH_REGION);
    assert_int_equal(reach.place.offset, page);
    assert_int_equal(reach.place.length, 4 * page);
    assert_true(reach.fd >= 0);
    rp_reach_release(&reach);
    assert_int_equal(kind_of(memory + page, 4 * page, true), RP_REACH_COPY);
    assert_int_equal(kind_of(NULL, 0, true), RP_REACH_COPY);
    rowpool_free(memory);
}

TEST(shared_file_mappings_are_reached_by_path)
{
    test_file file = make_file(8);
    struct stat is;
    assert_int_equal(fstat(file.fd, &is), 0);
    char *memory = map_file(&file, NULL, 2, 6, MAP_SHARED);
    rp_reach reach;
    rp_reach_find(memory + page + 5, 3 * page, true, &reach);
    assert_int_equal(reach.place.kind, RP_REACH_FILE);
    assert_int_equal(reach.place.offset, 3 * page + 5);
    assert_int_equal(reach.place.device, is.st_dev);
    assert_int_equal(reach.place.inode, is.st_ino);
    assert_string_equal(reach.path, file.path); /* with the spaces in it */
    rp_reach_release(&reach);
    assert_int_equal(kind_of(memory, 6 * page, true), RP_REACH_FILE);
    assert_int_equal(kind_of(memory, page, false), RP_REACH_COPY);
    /* Different protections split the mapping in two; it is still one range of the file. */
    assert_int_equal(mprotect(memory + 3 * page, 3 * page, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(kind_of(memory, 6 * page, true), RP_REACH_FILE);
    assert_int_equal(mprotect(memory + 3 * page, page, PROT_NONE), 0);
    assert_int_equal(kind_of(memory, 6 * page, true), RP_REACH_COPY);
    munmap(memory, 6 * page);
    remove_file(&file);
}

TEST(whatever_is_not_one_file_is_copied)
{
    test_file file = make_file(8), other = make_file(8);
    char *memory = map_file(&file, NULL, 0, 8, MAP_SHARED);
    map_file(&file, memory + 4 * page, 5, 3, MAP_SHARED | MAP_FIXED); /* pages 4 ... are now 5 ... */
    assert_int_equal(kind_of(memory, 4 * page, true), RP_REACH_FILE);
    assert_int_equal(kind_of(memory + 4 * page, 3 * page, true), RP_REACH_FILE);
    assert_int_equal(kind_of(memory, 5 * page, true), RP_REACH_COPY);
    map_file(&other, memory + 4 * page, 4, 4, MAP_SHARED | MAP_FIXED); /* another file at the matching offset */
    assert_int_equal(kind_of(memory, 5 * page, true), RP_REACH_COPY);
    munmap(memory + 2 * page, page); /* a hole */
    assert_int_equal(kind_of(memory, 4 * page, true), RP_REACH_COPY);
    munmap(memory, 8 * page);
    memory = map_file(&file, NULL, 0, 8, MAP_PRIVATE);
    assert_int_equal(kind_of(memory, page, true), RP_REACH_COPY);
    munmap(memory, 8 * page);
    memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(kind_of(memory, page, true), RP_REACH_COPY);
    munmap(memory, page);
    memory = map_file(&file, NULL, 0, 8, MAP_SHARED);
    remove_file(&file);
    assert_int_equal(kind_of(memory, page, true), RP_REACH_COPY); /* deleted */
    munmap(memory, 8 * page);
    remove_file(&other);
}

/* ---- How a worker maps memory: these functions also work in this process ---------------------------------------- */

static char *view_region(rp_view_table *table, uint64_t id, int descriptor, size_t length, size_t offset, bool writable)
{
    const rp_place place = {.kind = RP_REACH_REGION, .id = id, .length = length, .offset = offset};
    return rp_view_map(table, &place, descriptor, NULL, writable);
}

static char *view_file(rp_view_table *table, uint64_t device, uint64_t inode, const char *path, size_t offset,
                       size_t bytes)
{
    const rp_place place = {.kind = RP_REACH_FILE, .device = device, .inode = inode, .offset = offset, .bytes = bytes};
    return rp_view_map(table, &place, -1, path, false);
}

TEST(region_views_are_kept_and_never_mistaken)
{
    enum { REGIONS = 3 * RP_VIEWS };
    static rp_region regions[REGIONS];
    static rp_view_table table;
    for (int i = 0; i < REGIONS; i++) {
        assert_int_equal(rp_region_open(&regions[i], page, NULL), ROWPOOL_OK);
        memcpy(regions[i].base + 8, &i, sizeof i);
    }
    test_random random = test_random_begin(1);
    for (int round = 0; round < 2000; round++) {
        int i = (int)test_below(&random, REGIONS), seen;
        const rp_region *r = &regions[i];
        const char *view = view_region(&table, r->id, r->fd, r->length, 8, test_chance(&random, 2));
        assert_non_null(view);
        memcpy(&seen, view, sizeof seen);
        assert_int_equal(seen, i);
    }
    const rp_region *r = &regions[0];
    char *first = view_region(&table, r->id, r->fd, r->length, 0, true);
    assert_ptr_equal(view_region(&table, r->id, -1, r->length, 4, true), first + 4); /* kept: no descriptor needed */
    first[0] = 9;
    assert_int_equal(r->base[0], 9);
    assert_null(view_region(&table, 1u << 30, -1, page, 0, false));
    for (int i = 0; i < RP_VIEWS; i++)
        if (table.views[i].base != NULL)
            munmap(table.views[i].base, table.views[i].length);
    for (int i = 0; i < REGIONS; i++)
        rp_region_close(&regions[i]);
}

TEST(file_views_are_of_the_right_file_only)
{
    static rp_view_table table;
    test_file file = make_file(4), other = make_file(4);
    struct stat is;
    fstat(file.fd, &is);
    uint64_t device = is.st_dev, inode = is.st_ino;
    assert_null(view_file(&table, device, inode, other.path, 0, page));
    assert_null(view_file(&table, device, inode, "/tmp", 0, page));
    char *view = view_file(&table, device, inode, file.path, 2 * page, page);
    assert_non_null(view);
    assert_int_equal(view[0], 3);
    assert_ptr_equal(view_file(&table, device, inode, "/nowhere", 3 * page, page), view + page); /* kept */
    assert_null(view_file(&table, device, inode, "/nowhere", 4 * page, page));                   /* not that long */
    assert_null(view_file(&table, device, inode, file.path, 4 * page, page));
    assert_null(view_file(&table, device, inode, file.path, SIZE_MAX - 10, page));
    char *first = view_file(&table, device, inode, file.path, 0, page);
    assert_non_null(first);
    assert_int_equal(ftruncate(file.fd, (off_t)(6 * page - 100)), 0);   /* it grows */
    view = view_file(&table, device, inode, file.path, 5 * page, page); /* the last page as a whole */
    assert_non_null(view);
    assert_int_equal(view[page - 1], 0);
    assert_int_equal(pwrite(file.fd, "x", 1, (off_t)(5 * page)), 1);
    assert_int_equal(view[0], 'x');
    bool stays = false; /* the shorter view: another input of the same task may lie in it */
    for (int i = 0; i < RP_VIEWS; i++)
        stays |= table.views[i].base == first && table.views[i].length == 4 * page;
    assert_true(stays);
    for (int i = 0; i < RP_VIEWS; i++)
        if (table.views[i].base != NULL)
            munmap(table.views[i].base, table.views[i].length);
    remove_file(&file);
    remove_file(&other);
}

static void check_copies(rp_view_parent *parent)
{
    size_t bytes = 64 * page;
    char *memory = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *into = malloc(bytes);
    munmap(memory + bytes, page); /* what follows is missing */
    for (size_t i = 0; i < bytes; i++)
        memory[i] = (char)(i * 31 + i / 251);
    uint64_t address = (uintptr_t)memory;
    assert_int_equal(rp_view_copy(parent, into, address + 3, bytes - 3), 0);
    assert_memory_equal(into, memory + 3, bytes - 3);
    assert_int_equal(rp_view_copy(parent, into, 0, 0), 0);
    assert_int_equal(rp_view_copy(parent, into, address + 1, bytes), EFAULT);
    assert_int_equal(rp_view_copy(parent, into, 0, 1), EFAULT);
    memset(into, 0, bytes);
    assert_int_equal(rp_view_gather(parent, into, address + 7, 11, 301, 600), 0);
    for (size_t i = 0; i < 600; i++)
        assert_memory_equal(into + i * 11, memory + 7 + i * 301, 11);
    assert_int_equal(rp_view_gather(parent, into, address, 11, bytes / 4, 4), 0);
    assert_int_equal(rp_view_gather(parent, into, address, 11, bytes / 4, 5), EFAULT);
    munmap(memory, bytes);
    free(into);
}

TEST(copies_by_either_way)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(memory >= 0);
    rp_view_parent direct = {.pid = getpid(), .memory = -1};
    rp_view_parent by_file = {.pid = getpid(), .memory = memory, .refused = true};
    rp_view_parent neither = {.pid = getpid(), .memory = -1, .refused = true};
    char probe;
    if (rp_view_copy(&direct, &probe, (uintptr_t)&page, 1) == 0)
        check_copies(&direct);
    else
        print_message("process_vm_readv is not allowed here\n");
    check_copies(&by_file);
    char byte;
    assert_int_equal(rp_view_copy(&neither, &byte, (uintptr_t)&page, 1), EPERM);
    close(memory);
}

TEST(scratch_grows)
{
    rp_view_scratch scratch = {0};
    char *memory = rp_view_scratch_of(&scratch, 100);
    assert_non_null(memory);
    assert_ptr_equal(rp_view_scratch_of(&scratch, 50), memory);
    memory = rp_view_scratch_of(&scratch, 1 << 20);
    assert_non_null(memory);
    memset(memory, 1, 1 << 20);
    assert_null(rp_view_scratch_of(&scratch, SIZE_MAX / 2));
    assert_non_null(rp_view_scratch_of(&scratch, 10));
    munmap(scratch.base, scratch.length);
}

int main(void)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_writable),
        cmocka_unit_test(sizes_beyond_memory_are_refused),
        cmocka_unit_test(limit_on_file_sizes_is_an_error_not_a_signal),
        cmocka_unit_test(free_takes_the_pages_from_every_mapping),
        cmocka_unit_test(foreign_pointers_are_left_alone),
        cmocka_unit_test(child_shares_and_frees_only_its_own_mapping),
        cmocka_unit_test(fork_while_other_threads_allocate),
        cmocka_unit_test(regions_are_found_by_address),
        cmocka_unit_test(regions_are_reached_by_descriptor),
        cmocka_unit_test(shared_file_mappings_are_reached_by_path),
        cmocka_unit_test(whatever_is_not_one_file_is_copied),
        cmocka_unit_test(region_views_are_kept_and_never_mistaken),
        cmocka_unit_test(file_views_are_of_the_right_file_only),
        cmocka_unit_test(copies_by_either_way),
        cmocka_unit_test(scratch_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
