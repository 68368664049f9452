#include "number.h"

#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* An integer before its type is known. */
typedef struct {
    bool negative;
    bool too_large; /* beyond 64 bits, whatever the sign */
    uint64_t magnitude;
} integer;

/* The value of a digit, or 99. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

/* Reads the whole text as digits of the base; false if it is empty or holds anything else. */
static bool read_digits(integer *value, const char *text, unsigned base)
{
    value->magnitude = 0;
    value->too_large = false;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = digit_value(*text);
        if (digit >= base)
            return false;
        if (__builtin_mul_overflow(value->magnitude, base, &value->magnitude) ||
            __builtin_add_overflow(value->magnitude, digit, &value->magnitude))
            value->too_large = true;
    }
    return true;
}

static bool read_integer(integer *value, const char *text)
{
    value->negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return read_digits(value, text + 2, 16);
    return read_digits(value, text, 10);
}

static const char *number_from_integer(rowpool_number *number, const integer *value)
{
    const uint64_t int64_limit = (uint64_t)INT64_MAX + value->negative;
    if (!value->too_large && value->magnitude <= int64_limit) {
        number->kind = ROWPOOL_NUMBER_I64;
        number->value.i64 = (int64_t)(value->negative ? 0 - value->magnitude : value->magnitude);
        return NULL;
    }
    if (!value->too_large && !value->negative) {
        number->kind = ROWPOOL_NUMBER_U64;
        number->value.u64 = value->magnitude;
        return NULL;
    }
    return "is beyond int64 and uint64; write it as a decimal number with a point or exponent for a double";
}

/* Clears errno first. The decimal point is '.': the program leaves the locale at C, and drivers, which might set it, run
 * in another process. */
static double read_real(const char *text, bool single, char **end)
{
    errno = 0;
    return single ? (double)strtof(text, end) : strtod(text, end);
}

/* Reads the whole text as the nearest double, or the nearest float if `single`. */
static parse_outcome parse_real(double *value, const char *text, bool single)
{
    /* Refuse leading blanks, which strtod would skip. */
    if (*text == '\0' || strchr(" \t\n\v\f\r", *text) != NULL)
        return PARSED_NOTHING;
    char *end;
    *value = read_real(text, single, &end);
    if (*end != '\0' || end == text || end[-1] == ')') /* nan(...) */
        return PARSED_NOTHING;
    return isinf(*value) && errno == ERANGE ? PARSED_BEYOND : PARSED;
}

const char *number_parse(rowpool_number *number, const char *text)
{
    if (*text == '\0')
        return "is not a number: it is empty";
    integer value;
    if (read_integer(&value, text))
        return number_from_integer(number, &value);

    double real;
    parse_outcome outcome = parse_real(&real, text, false);
    if (outcome == PARSED_NOTHING)
        return "is not a number";
    if (outcome == PARSED_BEYOND)
        return "is beyond double; write inf or -inf for no bound";
    if (isnan(real))
        return "cannot be a bound: nothing lies above or below a NaN";
    number->kind = ROWPOOL_NUMBER_F64;
    number->value.f64 = real;
    return NULL;
}

static parse_outcome parse_integer_element(void *element, rowpool_dtype dtype, const char *text)
{
    integer value;
    if (!read_integer(&value, text))
        return PARSED_NOTHING;
    const size_t size = rowpool_dtype_size(dtype);
    const bool is_signed = dtype <= ROWPOOL_INT64;
    const uint64_t max = UINT64_MAX >> (64 - 8 * size + is_signed);
    const uint64_t limit = !value.negative ? max : is_signed ? max + 1 : 0;
    if (value.too_large || value.magnitude > limit)
        return PARSED_BEYOND;
    const uint64_t bits = value.negative ? 0 - value.magnitude : value.magnitude;
    memcpy(element, &bits, size); /* little-endian */
    return PARSED;
}

/* ---- float16 ---------------------------------------------------------------------------------------------------- */

double half_value(uint16_t bits)
{
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31)
        magnitude = fraction == 0 ? INFINITY : NAN;
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

/* Rounds to nearest, ties to even. The implied first bit of a normal number adds one to the exponent field. */
static uint16_t half_bits(double value)
{
    enum { INFINITE = 0x7c00, NO_NUMBER = 0x7e00 };
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    int exponent;
    if (!isfinite(value))
        return sign | (isnan(value) ? NO_NUMBER : INFINITE);
    (void)frexp(value, &exponent);
    exponent = value == 0 || exponent < -13 ? -13 : exponent; /* of subnormal numbers */
    const int bits = ((exponent + 13) << 10) + (int)nearbyint(ldexp(fabs(value), 11 - exponent));
    return (uint16_t)(sign | (bits < INFINITE ? bits : INFINITE));
}

static parse_outcome parse_half(void *element, const char *text)
{
    double value;
    parse_outcome outcome = parse_real(&value, text, false);
    const uint16_t bits = outcome == PARSED ? half_bits(value) : 0;
    if (outcome == PARSED && isfinite(value) && isinf(half_value(bits)))
        return PARSED_BEYOND;
    memcpy(element, &bits, sizeof bits);
    return outcome;
}

parse_outcome parse_element(void *element, rowpool_dtype dtype, const char *text)
{
    if (dtype < ROWPOOL_FLOAT16)
        return parse_integer_element(element, dtype, text);
    if (dtype == ROWPOOL_FLOAT16)
        return parse_half(element, text);
    double value;
    parse_outcome outcome = parse_real(&value, text, dtype == ROWPOOL_FLOAT32);
    const float single = (float)value;
    if (outcome == PARSED)
        memcpy(element, dtype == ROWPOOL_FLOAT32 ? (const void *)&single : (const void *)&value,
               rowpool_dtype_size(dtype));
    return outcome;
}

bool parse_uint64(uint64_t *value, const char *text)
{
    integer parsed;
    if (!read_digits(&parsed, text, 10) || parsed.too_large)
        return false;
    *value = parsed.magnitude;
    return true;
}

/* ---- What is lost ---------------------------------------------------------------------------------------------- */

/* Whether the mantissa is not 0. */
static bool has_nonzero_digit(const char *text)
{
    text += *text == '-' || *text == '+';
    const bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    text += hexadecimal ? 2 : 0;
    return strchr(hexadecimal ? "pP" : "eE", text[strspn(text, "0.")]) == NULL;
}

/* Whether the text is exactly that value: it reads the same rounded down and rounded up. */
static bool is_exactly(const char *text, double value)
{
    const int callers = fegetround();
    char *end;
    (void)fesetround(FE_DOWNWARD);
    const double below = read_real(text, false, &end);
    (void)fesetround(FE_UPWARD);
    const double above = read_real(text, false, &end);
    (void)fesetround(callers);
    return below == value && above == value;
}

parse_loss loss_of(const char *text, double value)
{
    integer whole;
    if (!read_integer(&whole, text))
        return value == 0 && has_nonzero_digit(text) ? LOSS_ALL : LOSS_NONE;
    const double magnitude = fabs(value);
    const bool held = whole.too_large ? is_exactly(text, value)
                                      : magnitude < 0x1p64 && (uint64_t)magnitude == whole.magnitude;
    return held ? LOSS_NONE : LOSS_ROUNDED;
}

/* ---- Showing ---------------------------------------------------------------------------------------------------- */

double float_value(const void *element, rowpool_dtype dtype)
{
    uint16_t half;
    float single;
    double real;
    if (dtype == ROWPOOL_FLOAT64) {
        memcpy(&real, element, sizeof real);
        return real;
    }
    if (dtype == ROWPOOL_FLOAT32) {
        memcpy(&single, element, sizeof single);
        return (double)single;
    }
    memcpy(&half, element, sizeof half);
    return half_value(half);
}

static double read_back(const char *text, rowpool_dtype dtype)
{
    if (dtype == ROWPOOL_FLOAT32)
        return (double)strtof(text, NULL);
    const double value = strtod(text, NULL);
    return dtype == ROWPOOL_FLOAT16 ? half_value(half_bits(value)) : value;
}

void format_real(char text[NUMBER_TEXT], double value, rowpool_dtype dtype)
{
    /* kept: decimal digits that survive in every normal number; enough: digits that identify every number. %g drops
     * trailing zeros. */
    static const struct {
        int kept, enough;
        double min_normal;
    } formats[] = {{3, 5, 0x1p-14}, {FLT_DIG, FLT_DECIMAL_DIG, FLT_MIN}, {DBL_DIG, DBL_DECIMAL_DIG, DBL_MIN}};
    if (isnan(value) || isinf(value)) {
        (void)strcpy(text, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    const size_t format = dtype - ROWPOOL_FLOAT16;
    int digits = fabs(value) < formats[format].min_normal ? 1 : formats[format].kept;
    for (; digits <= formats[format].enough; digits++) {
        (void)snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
        if (read_back(text, dtype) == value)
            break;
    }
    /* Avoid an exponent, which %g writes for 65500 with three digits. */
    if (fabs(value) >= 1 && fabs(value) < 1e16 && strchr(text, 'e') != NULL)
        (void)snprintf(text, NUMBER_TEXT, "%.0f", strtod(text, NULL));
}

void number_format(char text[NUMBER_TEXT], const rowpool_number *number)
{
    if (number->kind == ROWPOOL_NUMBER_I64) {
        (void)snprintf(text, NUMBER_TEXT, "%" PRId64, number->value.i64);
    } else if (number->kind == ROWPOOL_NUMBER_U64) {
        (void)snprintf(text, NUMBER_TEXT, "%" PRIu64, number->value.u64);
    } else {
        format_real(text, number->value.f64, ROWPOOL_FLOAT64);
        if (text[strspn(text, "-0123456789")] == '\0') /* it would read back as an integer */
            (void)strcat(text, ".0");
    }
}
