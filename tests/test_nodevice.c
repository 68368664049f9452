/* Without any OpenCL device: run with OCL_ICD_VENDORS at an empty folder. Worker processes are then the default and no
 * program needs a change; a program that asks for OpenCL gets an error that says what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { MAX_DEVICES = 64 };

TEST(worker_processes_are_the_default)
{
    rowpool *pool;
    rowpool_error error;
    assert_ok(rowpool_open(&pool, NULL, &error), error);
    rowpool_device found[MAX_DEVICES];
    size_t count;
    assert_ok(rowpool_devices(pool, found, MAX_DEVICES, &count, &error), error);
    assert_int_equal(found[0].type, ROWPOOL_DEVICE_FORK);
    assert_true(found[0].in_use);
    assert_false(found[1].in_use);
    assert_non_null(strstr(found[0].reason, "no OpenCL device"));

    test_random random = test_random_begin(1);
    static const size_t counts[] = {10, 50000};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (int d = 0; d < TEST_DTYPES; d++) {
            test_array array = test_array_make(&random, (rowpool_dtype)d, TEST_DENSE, counts[i], 5, 0);
            rowpool_range range = test_range_for(&random, &array.rows);
            uint64_t *expected = malloc(counts[i] * sizeof *expected);
            assert_non_null(expected);
            test_expect(&array.rows, &range, 1, expected);
            test_counts result = test_counts_make(counts[i], sizeof(uint32_t), 0);
            assert_ok(rowpool_range_count(pool, &array.rows, &range, 1, result.counts, &error), error);
            assert_true(test_counts_right(&result, expected, "auto", &array.rows, &range, 1));
            test_counts_free(&result);
            free(expected);
            test_array_free(&array);
        }
    assert_ok(rowpool_devices(pool, found, MAX_DEVICES, &count, &error), error);
    assert_int_equal(found[0].rows, TEST_DTYPES * counts[1]); /* the host did the small maps */
    rowpool_close(pool);
}

TEST(errors_say_how_to_get_a_device)
{
    static const char *const words[] = {"gpu", "cpu", "accelerator", "all", "0:0", "fork,gpu"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        rowpool_options options = {.size = sizeof options, .device = words[i]};
        rowpool *pool;
        rowpool_error error;
        const char *word = strrchr(words[i], ',');
        char quoted[32];
        snprintf(quoted, sizeof quoted, "'%s'", word != NULL ? word + 1 : words[i]);
        assert_refused(rowpool_open(&pool, &options, &error), ROWPOOL_ENODEVICE, error, quoted);
        assert_null(pool);
        assert_non_null(strstr(error.message, "fork")); /* what is available */
        /* And what to do: install a driver, or use a library built with OpenCL. */
        assert_true(strstr(error.message, "install") != NULL || strstr(error.message, "built without") != NULL);
    }
}

int main(void)
{
    rowpool_device found[MAX_DEVICES];
    size_t count;
    if (rowpool_devices(NULL, found, MAX_DEVICES, &count, NULL) != ROWPOOL_OK || count == 0)
        return 1;
    if (found[0].type <= ROWPOOL_DEVICE_OTHER && found[0].in_use) {
        printf("skipped: there is the OpenCL device %s; set OCL_ICD_VENDORS to an empty folder\n", found[0].name);
        return TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worker_processes_are_the_default),
        cmocka_unit_test(errors_say_how_to_get_a_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
