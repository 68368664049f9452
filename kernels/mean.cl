/* The mean of a row, in double. Floats add up in double. Integers add up exactly: narrow ones in 64 bits; wide ones as
 * halves of 32 bits, high and low, each in 64 bits of its own, enough for 2^31 elements. */
#if ROW_IS_FLOAT
#define ROW_COMMUTES /* a chain of dependent additions of floats is slow */
typedef double accumulator_t;
#elif ROW_BITS < 64
typedef int64_t accumulator_t;
#else
typedef struct {
    int64_t high;
    uint64_t low;
} accumulator_t;
#endif
typedef double result_t;
typedef uint8_t arguments_t; /* none */

#if !ROW_IS_FLOAT && ROW_BITS == 64
static inline accumulator_t identity(arguments_t none)
{
    accumulator_t zero = {0, 0};
    return zero;
}

static inline accumulator_t element(accumulator_t sum, element_t x, size_t index, arguments_t none)
{
    sum.high += (int64_t)(x >> 32);
    sum.low += (uint64_t)x & 0xffffffff;
    return sum;
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    a.high += b.high;
    a.low += b.low;
    return a;
}

/* The low halves' carry is added to the high ones first: otherwise the two could nearly cancel after rounding. */
static inline result_t finish(accumulator_t sum, size_t width, arguments_t none)
{
    double high = (double)(sum.high + (int64_t)(sum.low >> 32));
    return (high * 4294967296.0 + (double)(sum.low & 0xffffffff)) / (double)width;
}
#else
static inline accumulator_t identity(arguments_t none)
{
    return 0;
}

static inline accumulator_t element(accumulator_t sum, element_t x, size_t index, arguments_t none)
{
    return sum + (accumulator_t)x;
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    return a + b;
}

static inline result_t finish(accumulator_t sum, size_t width, arguments_t none)
{
    return (double)sum / (double)width;
}
#endif
