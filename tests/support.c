#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- The process ------------------------------------------------------------------------------------------------ */

/* A shell starts background jobs with SIGINT and SIGQUIT ignored, nohup ignores SIGHUP, and the programs that a test
 * starts would inherit that. */
__attribute__((constructor)) static void expect_signals(void)
{
    static const int expected[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        signal(expected[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- Random numbers --------------------------------------------------------------------------------------------- */

uint64_t test_seed(void)
{
    static bool known;
    static uint64_t seed = 20240613;
    if (!known) {
        const char *text = getenv("ROWPOOL_TEST_SEED");
        if (text != NULL && strcmp(text, "new") == 0)
            seed = (uint64_t)time(NULL);
        else if (text != NULL && *text != '\0')
            seed = strtoull(text, NULL, 10);
        known = true;
        printf("ROWPOOL_TEST_SEED=%" PRIu64 "\n", seed);
        fflush(stdout);
    }
    return seed;
}

test_random test_random_begin(uint64_t salt)
{
    test_random random = {test_seed() ^ salt * UINT64_C(0xd1342543de82ef95)};
    test_next(&random);
    return random;
}

uint64_t test_next(test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t test_below(test_random *random, uint64_t n)
{
    return test_next(random) % n;
}

bool test_chance(test_random *random, unsigned one_in)
{
    return test_below(random, one_in) == 0;
}

size_t test_setting(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL && *text != '\0' ? (size_t)strtoull(text, NULL, 10) : otherwise;
}

/* ---- Elements --------------------------------------------------------------------------------------------------- */

typedef enum { SIGNED_INTEGER, UNSIGNED_INTEGER, IEEE } element_kind;

static const struct {
    const char *name;
    size_t size;
    element_kind kind;
    int fraction, bias; /* floats only: bits of the fraction, exponent bias */
} types[TEST_DTYPES] = {
    [ROWPOOL_INT8] = {"int8", 1, SIGNED_INTEGER, 0, 0},       [ROWPOOL_INT16] = {"int16", 2, SIGNED_INTEGER, 0, 0},
    [ROWPOOL_INT32] = {"int32", 4, SIGNED_INTEGER, 0, 0},     [ROWPOOL_INT64] = {"int64", 8, SIGNED_INTEGER, 0, 0},
    [ROWPOOL_UINT8] = {"uint8", 1, UNSIGNED_INTEGER, 0, 0},   [ROWPOOL_UINT16] = {"uint16", 2, UNSIGNED_INTEGER, 0, 0},
    [ROWPOOL_UINT32] = {"uint32", 4, UNSIGNED_INTEGER, 0, 0}, [ROWPOOL_UINT64] = {"uint64", 8, UNSIGNED_INTEGER, 0, 0},
    [ROWPOOL_FLOAT16] = {"float16", 2, IEEE, 10, 15},         [ROWPOOL_FLOAT32] = {"float32", 4, IEEE, 23, 127},
    [ROWPOOL_FLOAT64] = {"float64", 8, IEEE, 52, 1023},
};

size_t test_size(rowpool_dtype dtype)
{
    return types[dtype].size;
}

const char *test_name(rowpool_dtype dtype)
{
    return types[dtype].name;
}

bool test_is_float(rowpool_dtype dtype)
{
    return types[dtype].kind == IEEE;
}

bool test_is_signed(rowpool_dtype dtype)
{
    return types[dtype].kind != UNSIGNED_INTEGER;
}

static uint64_t low_bits(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static unsigned bits_of(rowpool_dtype dtype)
{
    return 8 * (unsigned)types[dtype].size;
}

uint64_t test_load(rowpool_dtype dtype, const void *data, size_t i)
{
    uint64_t bits = 0;
    memcpy(&bits, (const char *)data + i * types[dtype].size, types[dtype].size);
    return bits;
}

void test_store(rowpool_dtype dtype, void *data, size_t i, uint64_t bits)
{
    memcpy((char *)data + i * types[dtype].size, &bits, types[dtype].size);
}

static int64_t sign_extended(rowpool_dtype dtype, uint64_t bits)
{
    uint64_t sign = UINT64_C(1) << (bits_of(dtype) - 1);
    return (int64_t)((bits ^ sign) - sign);
}

/* Splits a float into its parts. */
static void take_apart(rowpool_dtype dtype, uint64_t bits, bool *negative, int *field, uint64_t *fraction)
{
    unsigned width = bits_of(dtype), low = (unsigned)types[dtype].fraction;
    *negative = (bits >> (width - 1) & 1) != 0;
    *field = (int)(bits >> low & low_bits(width - 1 - low));
    *fraction = bits & low_bits(low);
}

double test_value(rowpool_dtype dtype, uint64_t bits)
{
    if (types[dtype].kind == UNSIGNED_INTEGER)
        return (double)bits;
    if (types[dtype].kind == SIGNED_INTEGER)
        return (double)sign_extended(dtype, bits);
    bool negative;
    int field;
    uint64_t fraction;
    take_apart(dtype, bits, &negative, &field, &fraction);
    double size;
    if (field == 2 * types[dtype].bias + 1)
        size = fraction != 0 ? (double)NAN : (double)INFINITY;
    else if (field == 0)
        size = ldexp((double)fraction, 1 - types[dtype].bias - types[dtype].fraction);
    else
        size = ldexp((double)(fraction | UINT64_C(1) << types[dtype].fraction),
                     field - types[dtype].bias - types[dtype].fraction);
    return negative ? -size : size;
}

uint64_t test_small(rowpool_dtype dtype, unsigned value)
{
    if (types[dtype].kind != IEEE || value == 0)
        return value;
    int top = 31 - __builtin_clz(value);
    uint64_t fraction = ((uint64_t)value << types[dtype].fraction >> top) & low_bits((unsigned)types[dtype].fraction);
    return (uint64_t)(top + types[dtype].bias) << types[dtype].fraction | fraction;
}

static uint64_t special_float(test_random *random, rowpool_dtype dtype)
{
    unsigned fraction = (unsigned)types[dtype].fraction;
    uint64_t infinity = (uint64_t)(2 * types[dtype].bias + 1) << fraction;
    uint64_t sign = test_next(random) << (bits_of(dtype) - 1) & low_bits(bits_of(dtype));
    uint64_t smallest_normal = UINT64_C(1) << fraction;
    switch (test_below(random, 10)) {
    case 0:
        return sign; /* a zero */
    case 1:
        return sign | infinity;
    case 2:
        return sign | (infinity - 1); /* the largest */
    case 3:
        return sign | infinity | 1; /* a signalling NaN */
    case 4:
        return sign | infinity | smallest_normal >> 1; /* the default NaN */
    case 5:
        return sign | infinity | (test_below(random, smallest_normal - 1) + 1); /* any NaN */
    case 6:
        return sign | 1; /* the smallest subnormal */
    case 7:
        return sign | (smallest_normal - 1); /* the largest subnormal */
    case 8:
        return sign | smallest_normal;
    default:
        return sign | test_below(random, smallest_normal); /* any subnormal */
    }
}

static uint64_t special_integer(test_random *random, rowpool_dtype dtype)
{
    unsigned bits = bits_of(dtype);
    uint64_t power = UINT64_C(1) << test_below(random, bits);
    uint64_t value = power + test_below(random, 5) - 2; /* near a power of two, near 0, near the limits */
    return (test_chance(random, 2) ? value : 0 - value) & low_bits(bits);
}

uint64_t test_element(test_random *random, rowpool_dtype dtype)
{
    switch (test_below(random, 4)) {
    case 0:
        return test_small(dtype, (unsigned)test_below(random, 10));
    case 1:
        return test_next(random) & low_bits(bits_of(dtype));
    default:
        return types[dtype].kind == IEEE ? special_float(random, dtype) : special_integer(random, dtype);
    }
}

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* (-1)^negative * size * 2^exponent. */
static test_place place_of(bool negative, uint64_t size, int exponent)
{
    if (size == 0)
        return 0;
    int shift = __builtin_clzll(size);
    /* positive for every double: the smallest is 2^-1074, shift is at most 63 */
    test_place power = exponent - shift + 1200;
    test_place place = (power << 64) + (size << shift);
    return negative ? -place : place;
}

static test_place place_of_integer(int64_t value)
{
    return place_of(value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 0);
}

bool test_place_element(rowpool_dtype dtype, uint64_t bits, test_place *place)
{
    if (types[dtype].kind == UNSIGNED_INTEGER) {
        *place = place_of(false, bits, 0);
        return true;
    }
    if (types[dtype].kind == SIGNED_INTEGER) {
        *place = place_of_integer(sign_extended(dtype, bits));
        return true;
    }
    bool negative;
    int field, lowest = 1 - types[dtype].bias - types[dtype].fraction;
    uint64_t fraction;
    take_apart(dtype, bits, &negative, &field, &fraction);
    if (field == 2 * types[dtype].bias + 1) {
        *place = place_of(negative, 1, 4000); /* infinity: larger than any other value */
        return fraction == 0;
    }
    if (field != 0)
        fraction |= UINT64_C(1) << types[dtype].fraction;
    *place = place_of(negative, fraction, field != 0 ? field - 1 + lowest : lowest);
    return true;
}

bool test_place_number(rowpool_number number, test_place *place)
{
    uint64_t bits;
    switch (number.kind) {
    case ROWPOOL_NUMBER_I64:
        *place = place_of_integer(number.value.i64);
        return true;
    case ROWPOOL_NUMBER_U64:
        *place = place_of(false, number.value.u64, 0);
        return true;
    case ROWPOOL_NUMBER_F64:
        memcpy(&bits, &number.value.f64, sizeof bits);
        return test_place_element(ROWPOOL_FLOAT64, bits, place);
    }
    return false;
}

static bool between(test_place lo, test_place x, test_place hi, rowpool_closed closed)
{
    bool with_lo = closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_LEFT;
    bool with_hi = closed == ROWPOOL_CLOSED_BOTH || closed == ROWPOOL_CLOSED_RIGHT;
    return (with_lo ? lo <= x : lo < x) && (with_hi ? x <= hi : x < hi);
}

bool test_place_within(test_place x, const rowpool_range *range)
{
    test_place lo, hi;
    return test_place_number(range->lo, &lo) && test_place_number(range->hi, &hi) && between(lo, x, hi, range->closed);
}

bool test_within(rowpool_dtype dtype, uint64_t bits, const rowpool_range *range)
{
    test_place x;
    return test_place_element(dtype, bits, &x) && test_place_within(x, range);
}

size_t test_row_begin(const rowpool_rows *rows, size_t row)
{
    return rows->offsets != NULL ? (size_t)rows->offsets[row] : row * (rows->stride != 0 ? rows->stride : rows->width);
}

size_t test_row_width(const rowpool_rows *rows, size_t row)
{
    return rows->offsets != NULL ? (size_t)(rows->offsets[row + 1] - rows->offsets[row]) : rows->width;
}

size_t test_elements(const rowpool_rows *rows)
{
    size_t elements = 0;
    for (size_t i = 0; i < rows->count; i++)
        elements += test_row_width(rows, i);
    return elements;
}

void test_expect(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges, uint64_t *expected)
{
    enum { MAX = 256 }; /* ranges */
    static const rowpool_range four_to_eight = {
        {ROWPOOL_NUMBER_I64, {4}}, {ROWPOOL_NUMBER_I64, {8}}, ROWPOOL_CLOSED_BOTH};
    size_t columns = n_ranges != 0 ? n_ranges : 1;
    test_place lo[MAX], hi[MAX];
    if (n_ranges == 0)
        ranges = &four_to_eight;
    if (columns > MAX)
        abort();
    for (size_t k = 0; k < columns; k++)
        if (!test_place_number(ranges[k].lo, &lo[k]) || !test_place_number(ranges[k].hi, &hi[k]))
            abort();
    for (size_t i = 0; i < rows->count; i++) {
        uint64_t *row = expected + i * columns;
        memset(row, 0, columns * sizeof *row);
        size_t begin = test_row_begin(rows, i), width = test_row_width(rows, i);
        for (size_t j = begin; j < begin + width; j++) {
            test_place x;
            if (!test_place_element(rows->dtype, test_load(rows->dtype, rows->data, j), &x))
                continue;
            for (size_t k = 0; k < columns; k++)
                row[k] += between(lo[k], x, hi[k], ranges[k].closed);
        }
    }
}

/* ---- Ranges ----------------------------------------------------------------------------------------------------- */

rowpool_number test_i64(int64_t value)
{
    return (rowpool_number){ROWPOOL_NUMBER_I64, {.i64 = value}};
}

rowpool_number test_u64(uint64_t value)
{
    return (rowpool_number){ROWPOOL_NUMBER_U64, {.u64 = value}};
}

rowpool_number test_f64(double value)
{
    return (rowpool_number){ROWPOOL_NUMBER_F64, {.f64 = value}};
}

static rowpool_number any_number(test_random *random)
{
    switch (test_below(random, 4)) {
    case 0:
        return test_i64((int64_t)test_element(random, ROWPOOL_INT64));
    case 1:
        return test_u64(test_element(random, ROWPOOL_UINT64));
    case 2: {
        double value = test_value(ROWPOOL_FLOAT64, test_element(random, ROWPOOL_FLOAT64));
        return test_f64(isnan(value) ? 0.5 : value);
    }
    default: /* about as large as small elements, with or without a fraction */
        return test_f64(((double)test_below(random, 4096) - 2048) / 8);
    }
}

/* The next double up or down, by its bits: nextafter depends on the flush-to-zero setting. */
static double neighbour(double value, uint64_t steps)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += steps;
    double moved;
    memcpy(&moved, &bits, sizeof moved);
    return isnan(moved) ? value : moved;
}

static rowpool_number near_integer(test_random *random, rowpool_dtype dtype, uint64_t element)
{
    bool is_unsigned = types[dtype].kind == UNSIGNED_INTEGER;
    uint64_t near = (is_unsigned ? element : (uint64_t)sign_extended(dtype, element)) + test_below(random, 3) - 1;
    return is_unsigned && (element > INT64_MAX || test_chance(random, 2)) ? test_u64(near) : test_i64((int64_t)near);
}

/* Rounds towards zero, if the result fits in an int64 or a uint64. */
static rowpool_number near_whole(test_random *random, double value)
{
    uint64_t step = test_below(random, 3) - 1;
    if (value >= 0 && value < 0x1p64)
        return value < 0x1p63 && test_chance(random, 2) ? test_i64((int64_t)((uint64_t)value + step))
                                                        : test_u64((uint64_t)value + step);
    if (value >= -0x1p63 && value < 0)
        return test_i64((int64_t)((uint64_t)(int64_t)value + step));
    return test_f64(value);
}

rowpool_number test_number_near(test_random *random, rowpool_dtype dtype, uint64_t element)
{
    double value = test_value(dtype, element);
    if (isnan(value))
        return any_number(random);
    switch (test_below(random, 8)) {
    case 0:
        return any_number(random);
    case 1:
        return test_f64(neighbour(value, test_below(random, 3) - 1));
    case 2: /* halfway to a neighbour of the element's own type */
        if (types[dtype].kind == IEEE) {
            double other = test_value(dtype, test_chance(random, 2) || (element << 1 & low_bits(bits_of(dtype))) == 0
                                                 ? element + 1
                                                 : element - 1);
            double half = value / 2 + other / 2;
            return test_f64(isnan(half) ? value : half);
        }
        return test_f64(value + (test_chance(random, 2) ? 0.5 : -0.5));
    case 3:
        return near_whole(random, value);
    case 4:
        return test_f64(test_chance(random, 2) ? -value : value);
    default:
        return types[dtype].kind == IEEE ? test_f64(value) : near_integer(random, dtype, element);
    }
}

static rowpool_number bound_for(test_random *random, const rowpool_rows *rows)
{
    size_t row = rows->count != 0 ? (size_t)test_below(random, rows->count) : 0;
    size_t width = rows->count != 0 ? test_row_width(rows, row) : 0;
    uint64_t element = width != 0 ? test_load(rows->dtype, rows->data,
                                              test_row_begin(rows, row) + (size_t)test_below(random, width))
                                  : test_element(random, rows->dtype);
    return test_number_near(random, rows->dtype, element);
}

rowpool_range test_range_for(test_random *random, const rowpool_rows *rows)
{
    rowpool_range range = {bound_for(random, rows), bound_for(random, rows), (rowpool_closed)test_below(random, 4)};
    test_place lo, hi;
    test_place_number(range.lo, &lo);
    test_place_number(range.hi, &hi);
    if (lo > hi && !test_chance(random, 10)) {
        rowpool_number swapped = range.lo;
        range.lo = range.hi;
        range.hi = swapped;
    }
    if (test_chance(random, 10))
        range.hi = range.lo; /* a single value: the closure decides */
    return range;
}

/* ---- Arrays ----------------------------------------------------------------------------------------------------- */

static void *allocate(size_t bytes)
{
    void *memory = malloc(bytes != 0 ? bytes : 1);
    if (memory == NULL)
        abort();
    return memory;
}

void *test_allocate(size_t bytes)
{
    return memset(allocate(bytes + 1), 0xa5, bytes + 1);
}

/* Numbers 0 to 9, anything, or copies of a few values, so that ranges hold none, some and all of them. */
static void fill(test_random *random, rowpool_dtype dtype, void *data, size_t n)
{
    uint64_t few[4];
    for (size_t i = 0; i < COUNT_OF(few); i++)
        few[i] = test_element(random, dtype);
    unsigned choice = (unsigned)test_below(random, 3);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = choice == 0   ? test_small(dtype, (unsigned)test_below(random, 10))
                        : choice == 1 ? test_element(random, dtype)
                                      : few[test_below(random, COUNT_OF(few))];
        test_store(dtype, data, i, bits);
    }
}

static size_t ragged_width(test_random *random, size_t width)
{
    if (test_chance(random, 3))
        return 0;
    if (test_chance(random, 50))
        return 10 * width + 100;
    return (size_t)test_below(random, 2 * width + 1);
}

static size_t make_offsets(test_random *random, test_array *array, size_t width)
{
    size_t count = array->rows.count;
    size_t at = test_chance(random, 2) ? 0
                                       : (size_t)test_below(random, 9); /* not every array begins at its first row */
    array->offsets = allocate((count + 1) * sizeof *array->offsets);
    array->offsets[0] = (int64_t)at;
    for (size_t i = 0; i < count; i++) {
        at += width != 0 ? ragged_width(random, width) : 0;
        array->offsets[i + 1] = (int64_t)at;
    }
    if (count > 0 && test_chance(random, 4)) { /* an empty last row */
        array->offsets[count] = array->offsets[count - 1];
        at = (size_t)array->offsets[count];
    }
    array->rows.offsets = array->offsets;
    array->rows.width = test_chance(random, 2) ? at : 0; /* both are valid: the capacity, or unknown */
    return at;
}

static void give_memory(test_random *random, test_array *array, size_t span, size_t shift)
{
    size_t size = types[array->rows.dtype].size;
    array->memory = allocate((shift + span) * size);
    fill(random, array->rows.dtype, array->memory, shift + span);
    array->rows.data = (char *)array->memory + shift * size;
    if (span == 0 && test_chance(random, 2))
        array->rows.data = NULL;
}

test_array test_array_make(test_random *random, rowpool_dtype dtype, test_layout layout, size_t count, size_t width,
                           size_t shift)
{
    test_array array = {.rows = {.dtype = dtype, .count = count, .width = width}, .layout = layout};
    size_t span;
    if (layout == TEST_RAGGED) {
        span = make_offsets(random, &array, width);
    } else {
        if (layout == TEST_STRIDED)
            array.rows.stride = width + (size_t)test_below(random, width / 2 + 5);
        else if (test_chance(random, 4))
            array.rows.stride = width;
        span = count == 0 || width == 0 ? 0 : test_row_begin(&array.rows, count - 1) + width;
    }
    give_memory(random, &array, span, shift);
    return array;
}

test_array test_array_of_widths(test_random *random, rowpool_dtype dtype, const size_t *widths, size_t count,
                                size_t shift)
{
    test_array array = {.rows = {.dtype = dtype, .count = count}, .layout = TEST_RAGGED};
    size_t at = (size_t)test_below(random, 5);
    array.offsets = allocate((count + 1) * sizeof *array.offsets);
    array.offsets[0] = (int64_t)at;
    for (size_t i = 0; i < count; i++)
        array.offsets[i + 1] = (int64_t)(at += widths[i]);
    array.rows.offsets = array.offsets;
    give_memory(random, &array, at, shift);
    return array;
}

void test_array_free(test_array *array)
{
    free(array->memory);
    free(array->offsets);
}

enum { GUARD = 128, GUARD_BYTE = 0xa5 };

test_counts test_counts_make(size_t n, size_t size, size_t shift)
{
    test_counts counts = {.n = n, .size = size, .bytes = GUARD + (shift + n) * size + GUARD};
    counts.memory = allocate(counts.bytes);
    memset(counts.memory, GUARD_BYTE, counts.bytes);
    counts.counts = counts.memory + GUARD + shift * size;
    return counts;
}

void test_counts_free(test_counts *counts)
{
    free(counts->memory);
}

static const char *number_text(rowpool_number number, char *text, size_t size)
{
    switch (number.kind) {
    case ROWPOOL_NUMBER_I64:
        snprintf(text, size, "int64 %" PRId64, number.value.i64);
        break;
    case ROWPOOL_NUMBER_U64:
        snprintf(text, size, "uint64 %" PRIu64, number.value.u64);
        break;
    case ROWPOOL_NUMBER_F64:
        snprintf(text, size, "double %a (%.17g)", number.value.f64, number.value.f64);
        break;
    }
    return text;
}

static void print_case(const char *what, const rowpool_rows *rows, const rowpool_range *range)
{
    static const char *const closures[] = {"[lo, hi]", "[lo, hi)", "(lo, hi]", "(lo, hi)"};
    char lo[64], hi[64];
    fprintf(stderr, "%s: %s, %s, %zu rows, width %zu, stride %zu; ", what, test_name(rows->dtype),
            rows->offsets != NULL        ? "ragged"
            : rows->stride > rows->width ? "strided"
                                         : "dense",
            rows->count, rows->width, rows->stride);
    if (range == NULL)
        fprintf(stderr, "default range; ");
    else
        fprintf(stderr, "%s lo = %s, hi = %s; ", closures[range->closed], number_text(range->lo, lo, sizeof lo),
                number_text(range->hi, hi, sizeof hi));
}

bool test_counts_right(const test_counts *counts, const uint64_t *expected, const char *what, const rowpool_rows *rows,
                       const rowpool_range *ranges, size_t n_ranges)
{
    size_t columns = n_ranges != 0 ? n_ranges : 1;
    for (size_t i = 0; i < counts->n; i++) {
        uint64_t count = 0;
        memcpy(&count, (const char *)counts->counts + i * counts->size, counts->size);
        if (count == expected[i])
            continue;
        print_case(what, rows, n_ranges != 0 ? &ranges[i % columns] : NULL);
        fprintf(stderr, "row %zu, range %zu: %" PRIu64 " instead of %" PRIu64 "\n", i / columns, i % columns, count,
                expected[i]);
        return false;
    }
    const unsigned char *first = counts->counts, *end = first + counts->n * counts->size;
    for (const unsigned char *byte = counts->memory; byte < counts->memory + counts->bytes; byte++)
        if ((byte < first || byte >= end) && *byte != GUARD_BYTE) {
            print_case(what, rows, ranges);
            fprintf(stderr, "the guard byte at offset %td was overwritten\n", byte - first);
            return false;
        }
    return true;
}

/* ---- Leaks ------------------------------------------------------------------------------------------------------ */

bool test_has_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0;
}

bool test_has_zombie(void)
{
    siginfo_t info = {0};
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

size_t test_count_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* The limit of a control group, at most `limit`. */
static size_t group_limit(const char *folder, const char *file, size_t limit)
{
    char path[5000];
    unsigned long long bytes;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *opened = fopen(path, "re");
    if (opened == NULL)
        return limit;                                                    /* the container does not see this group */
    bool limited = fscanf(opened, "%llu", &bytes) == 1 && bytes < limit; /* or it is "max" */
    fclose(opened);
    return limited ? (size_t)bytes : limit;
}

size_t test_memory(void)
{
    size_t limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    char line[4096], folder[4200];
    FILE *groups = fopen("/proc/self/cgroup", "re");
    while (groups != NULL && fgets(line, sizeof line, groups) != NULL) { /* number:controllers:path */
        const bool unified = strstr(line, "::/") != NULL;
        char *path = unified ? strstr(line, "::/") + 2 : strstr(line, ":memory:/");
        if (path == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        path = strchr(path, '/');
        int root = snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", unified ? "" : "/memory");
        snprintf(folder + root, sizeof folder - (size_t)root, "%s", path);
        for (char *end = folder + strlen(folder); end >= folder + root; end = strrchr(folder, '/')) {
            *end = '\0'; /* the parent groups limit it too */
            limit = group_limit(folder, unified ? "memory.max" : "memory.limit_in_bytes", limit);
        }
    }
    if (groups != NULL)
        fclose(groups);
    return limit;
}

int test_wait(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

void test_sleep_us(uint64_t us)
{
    nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000}, NULL);
}

size_t test_count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    size_t n = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        n += c == '\n';
    fclose(file);
    return n;
}

/* ---- Output of programs ----------------------------------------------------------------------------------------- */

int test_open_nameless(void)
{
    char path[] = "/tmp/rowpool-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

char *test_read_all(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    char *text = malloc((size_t)file.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)file.st_size, 0), file.st_size);
    text[file.st_size] = '\0';
    return text;
}

size_t test_read_to_end(int fd, char *text, size_t size)
{
    size_t length = 0;
    for (ssize_t n; (n = read(fd, text + length, size - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    return length;
}

static int remove_entry(const char *path, __attribute__((unused)) const struct stat *entry,
                        __attribute__((unused)) int kind, __attribute__((unused)) struct FTW *place)
{
    return remove(path);
}

bool test_remove_folder(const char *path)
{
    return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

rowpool_error test_error_fresh(void)
{
    rowpool_error error;
    memset(&error, 0x5a, sizeof error);
    error.message[sizeof error.message - 1] = '\0';
    return error;
}

bool test_error_untouched(const rowpool_error *error)
{
    rowpool_error fresh = test_error_fresh();
    return memcmp(error, &fresh, sizeof fresh) == 0;
}

void test_refused(rowpool_status status, rowpool_status expected, const rowpool_error *error, const char *text,
                  int line)
{
    if (status != expected)
        fail_msg("line %d: %s instead of %s: %s", line, rowpool_status_name(status), rowpool_status_name(expected),
                 status == ROWPOOL_OK ? "" : error->message);
    if (error->status != expected)
        fail_msg("line %d: the error's status is %d", line, (int)error->status);
    if (strstr(error->message, text) == NULL)
        fail_msg("line %d: '%s' does not contain '%s'", line, error->message, text);
    if (strchr(error->message, '\n') != NULL)
        fail_msg("line %d: '%s' is more than one line", line, error->message);
}
