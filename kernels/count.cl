/* How many elements of a row lie in a range. */
typedef uint32_t accumulator_t;
typedef uint32_t result_t;

#include "within.cl"

static inline result_t finish(accumulator_t count, size_t width, arguments_t range)
{
    return count;
}
