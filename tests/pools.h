/* The pools that the contracts ask: every device and backend, each with several sizes of chunks. What the surroundings
 * say about the cases is read here too: for devices or checkers that are slow, ROWPOOL_TEST_ONE_IN takes only each
 * so-manieth of the given cases, ROWPOOL_TEST_ELEMENTS only those of so many elements, ROWPOOL_TEST_DTYPES only those
 * of the element types that it names ("int32,float64"). */
#ifndef ROWPOOL_TESTS_POOLS_H
#define ROWPOOL_TESTS_POOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "rowpool.h"

/* A pool: each device with its own choice of chunks, and with chunks so small that nearly every row or element is one.
 */
typedef struct {
    char what[64], device[24];
    rowpool *pool;
    size_t most; /* elements of a case: tiny chunks take long */
} test_pool;

/* Opens pools of the devices that the arguments of a program name as ROWPOOL_DEVICE names them; where they name none,
 * of all devices. Exits, with the reason said, where there is no such device; as one that is skipped where the CPU has
 * not what ROWPOOL_CPU names. */
void test_pools_open(int argc, char **argv);
void test_pools_close(void);

size_t test_pools(void);
const test_pool *test_pool_at(size_t i);

/* Whether a case of so many elements is for this pool; and whether this given one is among those to be taken, as the
 * first is after test_pools_again. */
bool test_pool_fits(const test_pool *asked, size_t elements);
bool test_pool_due(const test_pool *asked, size_t elements);
void test_pools_again(void);
bool test_dtype_due(rowpool_dtype dtype);
rowpool_dtype test_dtype_turn(size_t turn); /* those that are due, one after the other, again and again */

#endif
