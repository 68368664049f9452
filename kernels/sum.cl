/* The sum of a row: integers in 64 bits, modulo 2^64; floats in double. */
#if ROW_IS_FLOAT
#define ROW_COMMUTES /* a chain of dependent additions of floats is slow */
typedef double accumulator_t;
#elif ROW_IS_SIGNED
typedef int64_t accumulator_t;
#else
typedef uint64_t accumulator_t;
#endif
typedef accumulator_t result_t;
typedef uint8_t arguments_t; /* none */

/* Signed overflow is undefined in C: integers are added as unsigned, which wraps. */
static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
#if ROW_IS_FLOAT
    return a + b;
#else
    return (accumulator_t)((uint64_t)a + (uint64_t)b);
#endif
}

static inline accumulator_t identity(arguments_t none)
{
    return 0;
}

static inline accumulator_t element(accumulator_t sum, element_t x, size_t index, arguments_t none)
{
    return combine(sum, (accumulator_t)x, none);
}

static inline result_t finish(accumulator_t sum, size_t width, arguments_t none)
{
    return sum;
}
