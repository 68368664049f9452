/* Whether any element of a row lies in a range. */
typedef uint64_t accumulator_t;
typedef uint8_t result_t;

#include "within.cl"

static inline result_t finish(accumulator_t count, size_t width, arguments_t range)
{
    return count > 0;
}
