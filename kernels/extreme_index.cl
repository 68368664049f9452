/* The index of the largest or the smallest number of a row, the first of equal ones; NaNs are skipped.
 * Parameter:
 *
 *   EXTREME_IS_BETTER(x, y)   whether x is to be preferred to y
 */
#define ROW_ORDERED

typedef struct {
    int64_t index; /* -1: there was no number */
    ordered_t best;
} accumulator_t;
typedef int64_t result_t;
typedef uint8_t arguments_t; /* none */

static inline accumulator_t identity(arguments_t none)
{
    accumulator_t nothing = {-1, 0};
    return nothing;
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    return b.index >= 0 && (a.index < 0 || EXTREME_IS_BETTER(b.best, a.best)) ? b : a;
}

static inline accumulator_t element(accumulator_t a, ordered_t x, size_t index, arguments_t none)
{
#if ROW_IS_FLOAT
    x = x == -1 ? 0 : x; /* -0.0 */
#endif
    accumulator_t one = {ROW_IS_NUMBER(x) ? (int64_t)index : -1, x};
    return combine(a, one, none);
}

static inline result_t finish(accumulator_t a, size_t width, arguments_t none)
{
    return a.index;
}
