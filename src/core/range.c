#include "core/range.h"

#include <string.h>

#include "base/checked.h"

/* Holds every int64 and uint64, and a step beyond either end. */
__extension__ typedef __int128 wide;

/* A number of any kind, exactly: (-1)^negative * mantissa * 2^exponent. The mantissa's top bit is set, or it is 0. */
typedef struct {
    bool negative, infinite;
    uint64_t mantissa;
    int exponent;
} real;

static real real_of_integer(bool negative, uint64_t magnitude)
{
    real value = {.negative = negative};
    if (magnitude != 0) {
        int shift = __builtin_clzll(magnitude);
        value.mantissa = magnitude << shift;
        value.exponent = -shift;
    }
    return value;
}

/* False for a NaN. */
static bool real_of_double(double number, real *value)
{
    enum { FRACTION = 52, EXPONENT_ONES = 0x7ff, BIAS = 1023 };
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << FRACTION) - 1);
    int exponent = (int)(bits >> FRACTION & EXPONENT_ONES);
    bool negative = bits >> 63 != 0;
    if (exponent == EXPONENT_ONES) {
        *value = (real){.negative = negative, .infinite = true};
        return fraction == 0;
    }
    *value = real_of_integer(negative, exponent == 0 ? fraction : fraction | UINT64_C(1) << FRACTION);
    value->exponent += (exponent == 0 ? 1 : exponent) - BIAS - FRACTION;
    return true;
}

static bool real_of_number(rowpool_number number, real *value)
{
    switch (number.kind) {
    case ROWPOOL_NUMBER_I64: {
        int64_t i = number.value.i64;
        *value = real_of_integer(i < 0, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
        return true;
    }
    case ROWPOOL_NUMBER_U64:
        *value = real_of_integer(false, number.value.u64);
        return true;
    case ROWPOOL_NUMBER_F64:
        return real_of_double(number.value.f64, value);
    }
    return false;
}

/* A magnitude in the element type, rounded towards zero, and whether that lost anything. */
typedef struct {
    wide floor;
    bool inexact;
} magnitude;

static magnitude shifted_right(uint64_t mantissa, int shift)
{
    if (shift >= 64)
        return (magnitude){0, mantissa != 0};
    return (magnitude){mantissa >> shift, (mantissa & ((UINT64_C(1) << shift) - 1)) != 0};
}

static magnitude integer_magnitude(const real *value)
{
    if (value->infinite || value->exponent > 0) /* 2^64 and more are beyond every integer type, as 2^65 is */
        return (magnitude){(wide)1 << 65, false};
    return shifted_right(value->mantissa, -value->exponent);
}

/* The magnitude of a float is its bits without the sign: they increase with the values from 0 to infinity. */
static magnitude float_magnitude(const real *value, const rp_dtype *dtype)
{
    int fraction = (int)dtype->fraction_bits;
    int bias = (1 << (8 * (int)dtype->size - 2 - fraction)) - 1;
    wide infinity = (wide)(2 * bias + 1) << fraction;
    int leading = value->exponent + 63; /* 2^leading <= |value| < 2^(leading + 1) */
    if (value->infinite)
        return (magnitude){infinity, false};
    if (value->mantissa != 0 && leading > bias)
        return (magnitude){infinity - 1, true};
    if (leading >= 1 - bias) { /* normal: the fraction's implied top bit adds one to the exponent field */
        magnitude rounded = shifted_right(value->mantissa, 63 - fraction);
        rounded.floor += (wide)(leading + bias - 1) << fraction;
        return rounded;
    }
    return shifted_right(value->mantissa, 63 - fraction + (1 - bias - leading));
}

/* The smallest key that is >= the value (upper false), or the largest that is <= it; for an open bound, > and <. */
static wide bound_key(const real *value, const rp_dtype *dtype, bool upper, bool open)
{
    int step = upper ? -1 : 1;
    bool is_float = dtype->kind == RP_FLOAT;
    if (value->mantissa == 0 && !value->infinite) {
        /* Floats have two zeros, keys -1 and 0, which are equal: a closed bound includes both, an open one neither. */
        if (!open)
            return is_float && !upper ? -1 : 0;
        return (is_float && upper ? -1 : 0) + step;
    }
    magnitude size = is_float ? float_magnitude(value, dtype) : integer_magnitude(value);
    bool away = size.inexact && value->negative == upper; /* round away from zero */
    wide rounded = size.floor + away;
    wide key = !value->negative ? rounded : is_float ? -1 - rounded : -rounded;
    return open && !size.inexact ? key + step : key;
}

static void key_limits(const rp_dtype *dtype, wide *min, wide *max)
{
    int bits = 8 * (int)dtype->size;
    switch (dtype->kind) {
    case RP_SIGNED:
        *min = -((wide)1 << (bits - 1));
        *max = -*min - 1;
        break;
    case RP_UNSIGNED:
        *min = 0;
        *max = ((wide)1 << bits) - 1;
        break;
    case RP_FLOAT: /* from -infinity to infinity */
        *max = ((wide)1 << (bits - 1)) - ((wide)1 << dtype->fraction_bits);
        *min = -1 - *max;
        break;
    }
}

/* The first and the last key of a range; last < first where it is empty. False: a bound is not a number; *wrong names
 * it. */
static bool end_keys(const rowpool_range *range, const rp_dtype *dtype, wide *first, wide *last, const char **wrong)
{
    bool open_lo = range->closed == ROWPOOL_CLOSED_RIGHT || range->closed == ROWPOOL_CLOSED_NEITHER;
    bool open_hi = range->closed == ROWPOOL_CLOSED_LEFT || range->closed == ROWPOOL_CLOSED_NEITHER;
    /* Fast path: the conversion to reals is measurable on small maps. */
    if (dtype->kind != RP_FLOAT && range->lo.kind == ROWPOOL_NUMBER_I64 && range->hi.kind == ROWPOOL_NUMBER_I64) {
        *first = (wide)range->lo.value.i64 + open_lo;
        *last = (wide)range->hi.value.i64 - open_hi;
        return true;
    }
    real lo, hi;
    bool lo_is_number = real_of_number(range->lo, &lo);
    *wrong = lo_is_number ? "hi" : "lo";
    if (!lo_is_number || !real_of_number(range->hi, &hi))
        return false;
    *first = bound_key(&lo, dtype, false, open_lo);
    *last = bound_key(&hi, dtype, true, open_hi);
    return true;
}

rowpool_status rp_range_normalise(const rowpool_range *range, size_t index, const rp_dtype *dtype,
                                  rp_interval *interval, rowpool_error *error)
{
    wide min = 0, max = 0, first, last;
    const char *wrong;
    if ((unsigned)range->closed > ROWPOOL_CLOSED_NEITHER)
        return rp_fail(error, ROWPOOL_EINVAL, "ranges[%zu].closed is %u, which is none of ROWPOOL_CLOSED_*", index,
                       (unsigned)range->closed);
    if (!end_keys(range, dtype, &first, &last, &wrong))
        return rp_fail(error, ROWPOOL_EINVAL, "ranges[%zu].%s is not a number", index, wrong);
    key_limits(dtype, &min, &max);
    first = first < min ? min : first;
    last = last > max ? max : last;
    *interval = first <= last ? (rp_interval){(uint64_t)first, (uint64_t)last} : (rp_interval){1, 0};
    return ROWPOOL_OK;
}

/* The sign of |a| - |b|. */
static int compare_magnitudes(const real *a, const real *b)
{
    if (a->infinite || b->infinite)
        return a->infinite - b->infinite;
    if (a->mantissa == 0 || b->mantissa == 0)
        return (a->mantissa != 0) - (b->mantissa != 0);
    if (a->exponent != b->exponent)
        return a->exponent < b->exponent ? -1 : 1;
    return (a->mantissa > b->mantissa) - (a->mantissa < b->mantissa);
}

bool rp_number_at_most(const rowpool_number *a, const rowpool_number *b)
{
    real x, y;
    if (!real_of_number(*a, &x) || !real_of_number(*b, &y))
        return false;
    bool both_zero = !x.infinite && !y.infinite && x.mantissa == 0 && y.mantissa == 0;
    if (x.negative != y.negative)
        return both_zero || x.negative;
    return x.negative ? compare_magnitudes(&x, &y) >= 0 : compare_magnitudes(&x, &y) <= 0;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an element is the low bytes of a word, which come first");

void rp_interval_store(const rp_interval *interval, const rp_dtype *dtype, void *pair)
{
    memcpy(pair, &interval->lo, dtype->size);
    memcpy((char *)pair + dtype->size, &interval->hi, dtype->size);
}
