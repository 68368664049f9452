#include "pools.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { MAX_DEVICES = 32 };
static const struct {
    size_t chunk_bytes, max_elements;
} chunkings[] = {{0, 2000000}, {4096, 100000}, {64, 512}, {1, 40}};
static test_pool pools[MAX_DEVICES * COUNT_OF(chunkings)];
static size_t n_pools;

bool test_pool_fits(const test_pool *target, size_t elements)
{
    return elements <= target->max_elements && elements <= test_setting("ROWPOOL_TEST_ELEMENTS", SIZE_MAX);
}

static size_t seen; /* cases that fit since the last test_pools_again */

void test_pools_again(void)
{
    seen = 0;
}

bool test_pool_due(const test_pool *target, size_t elements)
{
    static size_t one_in;
    if (one_in == 0)
        one_in = test_setting("ROWPOOL_TEST_ONE_IN", 1);
    return test_pool_fits(target, elements) && seen++ % one_in == 0;
}

void test_pools_conclude(const char *what, size_t *cases, size_t *wrong)
{
    const size_t ran = *cases, failures = *wrong;
    printf("%s: %zu cases on %zu pools, %zu wrong\n", what, ran, n_pools, failures);
    fflush(stdout);
    *cases = *wrong = 0;
    test_pools_again();
    assert_int_equal(failures, 0);
    assert_true(ran > 0);
}

bool test_dtype_due(rowpool_dtype dtype)
{
    const char *names = getenv("ROWPOOL_TEST_DTYPES"), *name = test_name(dtype);
    if (names == NULL)
        return true;
    for (const char *at = names; (at = strstr(at, name)) != NULL; at++)
        if ((at == names || at[-1] == ',') && (at[strlen(name)] == ',' || at[strlen(name)] == '\0'))
            return true;
    return false;
}

rowpool_dtype test_dtype_turn(size_t turn)
{
    rowpool_dtype due[TEST_DTYPES];
    size_t n = 0;
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++)
        if (test_dtype_due((rowpool_dtype)dtype))
            due[n++] = (rowpool_dtype)dtype;
    assert_true(n > 0);
    return due[turn % n];
}

/* Whether the pool was refused because this CPU lacks what ROWPOOL_CPU asks for. */
static bool cpu_is_unsupported(const char *message)
{
    return strstr(message, "ROWPOOL_CPU") != NULL;
}

static void add_device(const char *device)
{
    for (size_t i = 0; i < COUNT_OF(chunkings) && n_pools < COUNT_OF(pools); i++) {
        test_pool *added = &pools[n_pools];
        rowpool_options options = {.size = sizeof options, .device = device, .chunk_bytes = chunkings[i].chunk_bytes};
        rowpool_error error;
        if (rowpool_open(&added->pool, &options, &error) != ROWPOOL_OK) {
            fprintf(stderr, "%s: %s\n", device, error.message);
            exit(cpu_is_unsupported(error.message) ? 77 : 1);
        }
        snprintf(added->what, sizeof added->what, "%s, chunk_bytes %zu", device, options.chunk_bytes);
        snprintf(added->device, sizeof added->device, "%s", device);
        added->max_elements = chunkings[i].max_elements;
        n_pools++;
    }
}

static void add_every_device(void)
{
    rowpool_device devices[MAX_DEVICES];
    size_t count, opencl = 0;
    rowpool_error error;
    if (rowpool_devices(NULL, devices, MAX_DEVICES, &count, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    for (size_t i = 0; i < count && i < MAX_DEVICES; i++) {
        bool named = strchr(devices[i].index, ':') != NULL;
        rowpool *pool;
        rowpool_options options = {.size = sizeof options, .device = devices[i].index};
        if (named && rowpool_open(&pool, &options, &error) != ROWPOOL_OK) {
            printf("skipped: %s\n", error.message);
            continue;
        }
        if (named) {
            rowpool_close(pool);
            printf("device %s: %s, %s\n", devices[i].index, devices[i].name, devices[i].platform);
            add_device(devices[i].index);
            opencl++;
        }
    }
    if (opencl > 0)
        add_device("all");
    else
        printf("no OpenCL device: processes and host only\n");
    add_device("auto");
    add_device("fork");
    add_device("host");
}

void test_pools_open(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        add_device(argv[i]);
    if (argc <= 1)
        add_every_device();
}

void test_pools_close(void)
{
    for (size_t i = 0; i < n_pools; i++)
        rowpool_close(pools[i].pool);
    n_pools = 0;
}

size_t test_pools(void)
{
    return n_pools;
}

const test_pool *test_pool_at(size_t i)
{
    return &pools[i];
}
