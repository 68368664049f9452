/* A fold: how often a row enters a range from outside. */
#define ROW_RANGES
#define ROW_ORDERED

typedef struct {
    ordered_t lo, hi;
} arguments_t;
typedef uint32_t result_t;
typedef struct {
    uint32_t entries;
    uint8_t any, first, last; /* whether there was an element; whether the first and the last lay inside */
} accumulator_t;

static accumulator_t identity(arguments_t range)
{
    accumulator_t nothing = {0, 0, 0, 0};
    (void)range;
    return nothing;
}

/* a's elements stand before b's: where a ended inside, b's first entry is none. */
static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t range)
{
    (void)range;
    if (!a.any || !b.any)
        return a.any ? a : b;
    a.entries += b.entries - (uint32_t)(a.last & b.first);
    a.last = b.last;
    return a;
}

static accumulator_t element(accumulator_t a, ordered_t x, size_t index, arguments_t range)
{
    uint8_t inside = range.lo <= x && x <= range.hi;
    accumulator_t one = {inside, 1, inside, inside};
    (void)index;
    return combine(a, one, range);
}

static result_t finish(accumulator_t a, size_t width, arguments_t range)
{
    (void)width;
    (void)range;
    return a.entries;
}
