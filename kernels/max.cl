/* The largest number of a row; NaNs are passed over. */
#define ROW_ORDERED
#define ROW_RESULT_DTYPE ROWPOOL_DTYPE

typedef ordered_t accumulator_t;
typedef ordered_t result_t;  /* the element's bits */
typedef uint8_t arguments_t; /* none */

static inline accumulator_t identity(arguments_t none)
{
    (void)none;
    return ROW_LEAST;
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    (void)none;
    return b > a ? b : a;
}

static inline accumulator_t element(accumulator_t largest, ordered_t x, size_t index, arguments_t none)
{
    (void)index;
    return combine(largest, ROW_IS_NUMBER(x) ? x : ROW_LEAST, none);
}

static inline result_t finish(accumulator_t largest, size_t width, arguments_t none)
{
    (void)width;
    (void)none;
    return ROW_ORDER(largest);
}
