/* A fold whose order shows, with a struct as its result: the first and the last element and their indices. */
typedef uint8_t arguments_t; /* none */
typedef struct {
    int64_t first_index, last_index; /* -1: there is none */
    ordered_t first, last;           /* bits */
} accumulator_t;
typedef accumulator_t result_t;

#define ROW_ORDERED

static accumulator_t identity(arguments_t none)
{
    accumulator_t nothing = {-1, -1, 0, 0};
    (void)none;
    return nothing;
}

static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t none)
{
    (void)none;
    if (a.first_index < 0)
        return b;
    if (b.first_index >= 0) {
        a.last_index = b.last_index;
        a.last = b.last;
    }
    return a;
}

static accumulator_t element(accumulator_t a, ordered_t x, size_t index, arguments_t none)
{
    accumulator_t one = {(int64_t)index, (int64_t)index, ROW_ORDER(x), ROW_ORDER(x)};
    return combine(a, one, none);
}

static result_t finish(accumulator_t a, size_t width, arguments_t none)
{
    (void)width;
    (void)none;
    return a;
}
