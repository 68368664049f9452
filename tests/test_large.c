/* 3 GB of int8, more than PoCL's largest buffer, on the default devices: millions of rows, and one row of all elements.
 * Element i is i mod 11, so the results are known without another pass over the data. Skipped if the machine or the
 * process's control group has less than 7 GiB of memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

enum { PERIOD = 11, LO = 4, HI = 8 };
static const size_t elements = (size_t)3 << 30, min_memory = (size_t)7 << 30;
static int8_t *data;

/* How many of the first n elements lie in [LO, HI]. */
static uint64_t counted_before(size_t n)
{
    size_t rest = n % PERIOD;
    return n / PERIOD * (HI - LO + 1) + (rest <= LO ? 0 : rest > HI ? HI - LO + 1 : rest - LO);
}

static void expect_rows(rowpool *pool, size_t width)
{
    size_t count = elements / width;
    uint32_t *counts = malloc(count * sizeof *counts);
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = count, .width = width};
    rowpool_error error = {0};
    assert_non_null(counts);
    if (rowpool_range_count(pool, &rows, NULL, 0, counts, &error) != ROWPOOL_OK)
        fail_msg("%s", error.message);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += counts[i] != counted_before((i + 1) * width) - counted_before(i * width);
    assert_int_equal(wrong, 0);
    free(counts);
}

static rowpool *open_pool(size_t chunk_bytes)
{
    rowpool *pool;
    rowpool_error error = {0};
    rowpool_options options = {.size = sizeof options, .chunk_bytes = chunk_bytes};
    if (rowpool_open(&pool, &options, &error) != ROWPOOL_OK)
        fail_msg("%s", error.message);
    rowpool_device first;
    size_t count;
    assert_int_equal(rowpool_devices(pool, &first, 1, &count, NULL), ROWPOOL_OK);
    printf("on %s, %s, largest buffer %llu bytes\n", first.index, first.name, (unsigned long long)first.largest_buffer);
    return pool;
}

TEST(many_rows_in_default_chunks)
{
    rowpool *pool = open_pool(0);
    expect_rows(pool, 1000);
    rowpool_close(pool);
}

/* Only the device's limit splits the data. */
TEST(many_rows_in_the_largest_chunks)
{
    rowpool *pool = open_pool(SIZE_MAX);
    expect_rows(pool, 1000);
    rowpool_close(pool);
}

TEST(one_row_of_everything)
{
    rowpool *pool = open_pool(0);
    expect_rows(pool, elements);
    rowpool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_rows_in_default_chunks),
        cmocka_unit_test(many_rows_in_the_largest_chunks),
        cmocka_unit_test(one_row_of_everything),
    };
    if (test_memory() < min_memory) {
        printf("skipped: this machine or control group has %zu bytes of memory; it takes %zu\n", test_memory(),
               min_memory);
        return TEST_SKIPPED;
    }
    data = mmap(NULL, elements, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    size_t block = (size_t)PERIOD << 20;
    for (size_t i = 0; i < block; i++)
        data[i] = (int8_t)(i % PERIOD);
    for (size_t at = block; at < elements; at += block)
        memcpy(data + at, data, elements - at < block ? elements - at : block);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    munmap(data, elements);
    return failures;
}
