/* The largest or the smallest number of a row; NaNs are skipped. Parameters:
 *
 *   EXTREME_IS_BETTER(x, y)   whether x is to be preferred to y
 *   EXTREME_NONE              the result of a row without a number; not better than any number
 */
#define ROW_ORDERED
#define ROW_RESULT_DTYPE ROWPOOL_DTYPE

typedef ordered_t accumulator_t;
typedef ordered_t result_t;  /* the element's bits */
typedef uint8_t arguments_t; /* none */

static inline accumulator_t identity(arguments_t none)
{
    return EXTREME_NONE;
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    return EXTREME_IS_BETTER(b, a) ? b : a;
}

static inline accumulator_t element(accumulator_t best, ordered_t x, size_t index, arguments_t none)
{
    return combine(best, ROW_IS_NUMBER(x) ? x : EXTREME_NONE, none);
}

static inline result_t finish(accumulator_t best, size_t width, arguments_t none)
{
    return ROW_ORDER(best);
}
