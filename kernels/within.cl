/* The common part of the functions of a range: how many elements lie in the closed interval [lo, hi]. */
#define ROW_RANGES
#define ROW_ORDERED
#define ROW_NARROW
#define ROW_NARROW_SUMS

typedef struct {
    ordered_t lo, hi;
} arguments_t;

typedef uint8_t narrow_t;

#define ROW_COUNTS(x, range) (((range).lo <= (x)) & ((x) <= (range).hi))

static inline narrow_t narrow(ordered_t x, arguments_t range)
{
    return (narrow_t)ROW_COUNTS(x, range);
}

static inline narrow_t combine_narrow(narrow_t a, narrow_t b)
{
    return (narrow_t)(a + b);
}

static inline accumulator_t widen(narrow_t count)
{
    return count;
}

static inline accumulator_t identity(arguments_t range)
{
    return 0;
}

static inline accumulator_t element(accumulator_t count, ordered_t x, size_t index, arguments_t range)
{
    return count + narrow(x, range);
}

static inline accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t range)
{
    return a + b;
}
