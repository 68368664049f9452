/* The pools that the contract tests use: every device and backend, each with several chunk sizes.
 *
 * Environment variables reduce the number of cases for slow devices and checkers: ROWPOOL_TEST_ONE_IN=N runs every Nth
 * of the fixed cases, ROWPOOL_TEST_ELEMENTS limits the elements of a case, ROWPOOL_TEST_DTYPES lists the element types
 * to test ("int32,float64"). */
#ifndef ROWPOOL_TESTS_POOLS_H
#define ROWPOOL_TESTS_POOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* A pool: a device with its default chunk size, or with chunks down to one row or element. */
typedef struct {
    char what[64], device[24];
    rowpool *pool;
    size_t max_elements; /* max elements of a case: tiny chunks are slow */
} test_pool;

/* Opens pools on the devices that the program's arguments name, in the syntax of ROWPOOL_DEVICE; without arguments, on
 * all devices. If a device is missing it prints the reason and exits; if this CPU lacks what ROWPOOL_CPU asks for, with
 * the exit status of a skipped test. */
void test_pools_open(int argc, char **argv);
void test_pools_close(void);

size_t test_pools(void);
const test_pool *test_pool_at(size_t i);

/* test_pool_fits: whether a case of this size suits the pool. test_pool_due: whether to run this fixed case; after
 * test_pools_again the next one always runs. */
bool test_pool_fits(const test_pool *target, size_t elements);
bool test_pool_due(const test_pool *target, size_t elements);
void test_pools_again(void);
/* Prints a summary of the cases and resets the counters; fails if a case was wrong or none ran. */
void test_pools_conclude(const char *what, size_t *cases, size_t *wrong);

bool test_dtype_due(rowpool_dtype dtype);
rowpool_dtype test_dtype_turn(size_t turn); /* cycles through the dtypes that are due */

#endif
