/* How many elements of a row lie in a range, for rows of more than 2^32 - 1 elements. */
typedef uint64_t accumulator_t;
typedef uint64_t result_t;

#include "within.cl"

static inline result_t finish(accumulator_t count, size_t width, arguments_t range)
{
    return count;
}
