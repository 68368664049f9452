#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* An integer before it has a type. */
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

/* Reads digits of the base up to the end of the text; false where something else is among them or there are none. */
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

/* strtod with a decimal point, whatever the locale; errno is 0 or strtod's. */
static double read_double(const char *text, char **end)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    errno = 0;
    double value = plain != (locale_t)0 ? strtod_l(text, end, plain) : strtod(text, end);
    int failure = errno;
    if (plain != (locale_t)0)
        freelocale(plain);
    errno = failure;
    return value;
}

const char *number_parse(rowpool_number *number, const char *text)
{
    if (*text == '\0')
        return "is no number: it is empty";
    integer value;
    if (read_integer(&value, text))
        return number_from_integer(number, &value);

    /* strtod skips blanks in front; a bound has none. */
    if (strchr(" \t\n\v\f\r", *text) != NULL)
        return "is no number";
    char *end;
    double real = read_double(text, &end);
    if (*end != '\0' || end == text)
        return "is no number";
    if (isnan(real))
        return "is no bound: nothing lies above or below a NaN";
    if (isinf(real) && errno == ERANGE)
        return "is beyond double; write inf or -inf for no bound";
    number->kind = ROWPOOL_NUMBER_F64;
    number->value.f64 = real;
    return NULL;
}

bool parse_uint64(uint64_t *value, const char *text)
{
    integer parsed;
    if (!read_digits(&parsed, text, 10) || parsed.too_large)
        return false;
    *value = parsed.magnitude;
    return true;
}

/* ---- Comparing -------------------------------------------------------------------------------------------------- */

static int order(bool less, bool greater)
{
    return (int)greater - (int)less;
}

static integer integer_of(const rowpool_number *number)
{
    if (number->kind == ROWPOOL_NUMBER_U64)
        return (integer){.magnitude = number->value.u64};
    int64_t value = number->value.i64;
    return (integer){.negative = value < 0, .magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value};
}

static int compare_integers(integer a, integer b)
{
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    int by_magnitude = order(a.magnitude<b.magnitude, a.magnitude> b.magnitude);
    return a.negative ? -by_magnitude : by_magnitude;
}

/* How |a| and b >= 0 compare. */
static int compare_magnitude(uint64_t a, double b)
{
    if (b >= 0x1p64)
        return -1;
    uint64_t whole = (uint64_t)b;
    if (a != whole)
        return a < whole ? -1 : 1;
    return b > (double)whole ? -1 : 0;
}

static int compare_integer_double(integer a, double b)
{
    if (a.negative != (b < 0))
        return a.negative ? -1 : 1;
    int by_magnitude = compare_magnitude(a.magnitude, fabs(b));
    return a.negative ? -by_magnitude : by_magnitude;
}

int number_compare(const rowpool_number *a, const rowpool_number *b)
{
    bool a_real = a->kind == ROWPOOL_NUMBER_F64;
    bool b_real = b->kind == ROWPOOL_NUMBER_F64;
    if (a_real && b_real)
        return order(a->value.f64<b->value.f64, a->value.f64> b->value.f64);
    if (a_real)
        return -compare_integer_double(integer_of(b), a->value.f64);
    if (b_real)
        return compare_integer_double(integer_of(a), b->value.f64);
    return compare_integers(integer_of(a), integer_of(b));
}

/* ---- Showing ---------------------------------------------------------------------------------------------------- */

/* The shortest of the forms that reads back as the same double, marked as one: 4.0, not 4. */
static void format_double(char text[NUMBER_TEXT], double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (text[strspn(text, "-0123456789")] == '\0')
        (void)strcat(text, ".0");
}

void number_format(char text[NUMBER_TEXT], const rowpool_number *number)
{
    switch (number->kind) {
    case ROWPOOL_NUMBER_I64:
        (void)snprintf(text, NUMBER_TEXT, "%" PRId64, number->value.i64);
        break;
    case ROWPOOL_NUMBER_U64:
        (void)snprintf(text, NUMBER_TEXT, "%" PRIu64, number->value.u64);
        break;
    case ROWPOOL_NUMBER_F64:
        format_double(text, number->value.f64);
        break;
    }
}
