/* A fold whose structs are as large as they may be. */
typedef struct {
    uint32_t x[4096];
} arguments_t;
typedef arguments_t accumulator_t, result_t;

static accumulator_t identity(arguments_t args)
{
    for (int i = 0; i < 4096; i++)
        args.x[i] = 0;
    return args;
}

static accumulator_t element(accumulator_t a, element_t x, size_t index, arguments_t args)
{
    a.x[index % 4096] += (uint32_t)x + args.x[index % 4096];
    return a;
}

static accumulator_t combine(accumulator_t a, accumulator_t b, arguments_t args)
{
    (void)args;
    for (int i = 0; i < 4096; i++)
        a.x[i] += b.x[i];
    return a;
}

static result_t finish(accumulator_t a, size_t width, arguments_t args)
{
    (void)width;
    (void)args;
    return a;
}
