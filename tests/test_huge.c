/* 12 GiB on each kind of worker, or on those named by the arguments: exact results in little memory. The array is never
 * written except for marks where chunks are likely to meet, so it takes no memory: all that may be resident is the
 * counts and what rowpool and the drivers take. Skipped with less than 16 GiB of memory and under sanitizers, which
 * take memory of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sched/pool.h"
#include "support.h"
#include "workers.h"

enum { MARK = 5, WIDTH = 1000, MIB = 1 << 20, MARKS_APART = 32 * MIB, ALLOWED = 512 * MIB };
static const size_t bytes = (size_t)12 << 30, min_memory = (size_t)16 << 30;
static char *data;
static int named;
static char **names;

/* ---- Marks ------------------------------------------------------------------------------------------------------ */

/* Writes the elements on both sides of each boundary; the rest of the array is never written. */
static void set_marks(rowpool_dtype dtype, uint64_t value)
{
    for (size_t at = MARKS_APART; at < bytes; at += MARKS_APART) {
        size_t element = at / test_size(dtype);
        test_store(dtype, data, element - 1, value);
        test_store(dtype, data, element, value);
    }
}

/* Subtracts the marks from the counts; returns how many are then not 0. */
static size_t count_wrong(rowpool_dtype dtype, uint32_t *counts, size_t rows)
{
    size_t wrong = 0;
    for (size_t at = MARKS_APART; at < bytes; at += MARKS_APART)
        for (size_t i = at / test_size(dtype) - 1; i <= at / test_size(dtype); i++)
            if (i / WIDTH < rows)
                counts[i / WIDTH]--;
    for (size_t i = 0; i < rows; i++)
        wrong += counts[i] != 0;
    return wrong;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* A process's peak resident memory: anonymous, shared, and files, including the drivers'. Memory that workers share
 * with the parent is counted twice, so the figure can only be too large. */
static size_t peak_resident(const char *process)
{
    char path[64], line[256];
    size_t kib = 0;
    snprintf(path, sizeof path, "/proc/%s/status", process);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %zu", &kib) == 1)
            break;
    fclose(file);
    assert_true(kib > 0);
    return kib << 10;
}

/* Resets the peak to what is resident now. */
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    assert_non_null(file);
    assert_true(fputs("5", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static size_t overall_peak(rowpool *pool)
{
    enum { MAX_WORKERS = 1024 };
    static pid_t pids[MAX_WORKERS];
    size_t sum = peak_resident("self");
    for (size_t i = 0; i < pool->devices.used; i++) {
        if (pool->devices.items[i].backend != &rp_backend_fork)
            continue;
        size_t n = test_worker_pids(&pool->devices.items[i], pids, MAX_WORKERS);
        for (size_t k = 0; k < n; k++) {
            char process[32];
            snprintf(process, sizeof process, "%d", (int)pids[k]);
            sum += peak_resident(process);
        }
    }
    return sum;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static void map_all(rowpool *pool, const char *device, rowpool_dtype dtype)
{
    rowpool_error error;
    size_t count = bytes / test_size(dtype) / WIDTH, counts_bytes = count * sizeof(uint32_t);
    rowpool_rows rows = {.data = data, .dtype = dtype, .count = count, .width = WIDTH};
    uint32_t *counts = malloc(counts_bytes);
    assert_non_null(counts);
    memset(counts, 0xff, counts_bytes);
    set_marks(dtype, test_small(dtype, MARK));
    reset_peak();
    assert_ok(rowpool_range_count(pool, &rows, NULL, 0, counts, &error), error);
    size_t peak = overall_peak(pool);
    printf("%s, %s: at most %zu MiB resident, %zu of them counts\n", device, test_name(dtype), peak / MIB,
           counts_bytes / MIB);
    assert_int_equal(count_wrong(dtype, counts, count), 0);
    assert_in_range(peak, counts_bytes, counts_bytes + ALLOWED);
    set_marks(dtype, 0);
    free(counts);
}

TEST(much_data_in_little_memory)
{
    /* fork comes first: workers inherit the memory that OpenCL takes */
    static const char *const all[] = {"fork", "host", "cpu"};
    size_t found = 0;
    for (size_t i = 0; i < (named > 0 ? (size_t)named : COUNT_OF(all)); i++) {
        rowpool *pool;
        rowpool_error error;
        rowpool_options options = {.size = sizeof options, .device = named > 0 ? names[i] : all[i]};
        rowpool_status status = rowpool_open(&pool, &options, &error);
        if (status == ROWPOOL_ENODEVICE) {
            printf("%s: skipped: %s\n", options.device, error.message);
            continue;
        }
        found++;
        assert_int_equal(status, ROWPOOL_OK);
        map_all(pool, options.device, ROWPOOL_INT8);
        map_all(pool, options.device, ROWPOOL_INT32);
        rowpool_close(pool);
    }
    if (found == 0)
        skip_since("none of the named devices exists");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(much_data_in_little_memory)};
    named = argc - 1;
    names = argv + 1;
    if (TEST_SANITIZED) {
        printf("skipped: sanitizers take memory of their own\n");
        return TEST_SKIPPED;
    }
    if (test_memory() < min_memory) {
        printf("skipped: this machine or control group has %zu bytes of memory; it takes %zu\n", test_memory(),
               min_memory);
        return TEST_SKIPPED;
    }
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    madvise(data, bytes, MADV_NOHUGEPAGE); /* a mark takes a page, not a huge page */
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    munmap(data, bytes);
    return failures;
}
