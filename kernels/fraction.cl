/* The share of a row's elements that lie in a range. */
typedef uint64_t accumulator_t;
typedef double result_t;

#include "within.cl"

static inline result_t finish(accumulator_t count, size_t width, arguments_t range)
{
    return (double)count / (double)width;
}
