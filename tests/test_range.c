/* Ranges converted to closed intervals of keys: a table of difficult cases, every value of the small types, random
 * values of the wide types. */
#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/range.h"
#include "support.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define I(value) test_i64(value)
#define U(value) test_u64(value)
#define F(value) test_f64(value)

enum {
    BOTH = ROWPOOL_CLOSED_BOTH,
    LEFT = ROWPOOL_CLOSED_LEFT,
    RIGHT = ROWPOOL_CLOSED_RIGHT,
    NEITHER = ROWPOOL_CLOSED_NEITHER
};

static uint64_t sign_of(rowpool_dtype dtype)
{
    return UINT64_C(1) << (8 * test_size(dtype) - 1);
}

/* The key of an element, computed independently of dtype.h: an integer is its own key; a float's key is its bits, with
 * all bits below the sign flipped if it is negative. The function is its own inverse. */
static uint64_t key_of(rowpool_dtype dtype, uint64_t bits)
{
    uint64_t sign = sign_of(dtype);
    return test_is_float(dtype) && (bits & sign) != 0 ? bits ^ (sign - 1) : bits;
}

/* An unsigned number with the same order as the keys. Also its own inverse. */
static uint64_t rank_of(rowpool_dtype dtype, uint64_t key)
{
    return test_is_signed(dtype) ? key ^ sign_of(dtype) : key;
}

/* Whether an element lies in the interval as a kernel sees it: the stored pair, compared as the storage type. */
static bool inside(rowpool_dtype dtype, uint64_t bits, const void *pair)
{
    uint64_t x = rank_of(dtype, key_of(dtype, bits));
    return rank_of(dtype, test_load(dtype, pair, 0)) <= x && x <= rank_of(dtype, test_load(dtype, pair, 1));
}

static void normalise(const rowpool_range *range, rowpool_dtype dtype, void *pair)
{
    rp_interval interval;
    rowpool_error error;
    assert_ok(rp_range_normalise(range, 0, rp_dtype_of(dtype), &interval, &error), error);
    rp_interval_store(&interval, rp_dtype_of(dtype), pair);
}

/* The first and last element in the range, as bits; `empty` if there is none. */
typedef struct {
    rowpool_dtype dtype;
    rowpool_range range;
    uint64_t first, last;
    bool empty;
    int line;
} expectation;

#define SPAN(dtype, lo, hi, closed, first, last)                                          \
    (expectation)                                                                         \
    {                                                                                     \
        ROWPOOL_##dtype, {lo, hi, (rowpool_closed)(closed)}, first, last, false, __LINE__ \
    }
#define NONE(dtype, lo, hi, closed)                                               \
    (expectation)                                                                 \
    {                                                                             \
        ROWPOOL_##dtype, {lo, hi, (rowpool_closed)(closed)}, 0, 0, true, __LINE__ \
    }

enum { HALF_MAX = 0x7bff, HALF_INF = 0x7c00, HALF_MINUS = 0x8000 };
#define FLOAT_INF UINT64_C(0x7f800000)
#define FLOAT_MAX UINT64_C(0x7f7fffff)
#define FLOAT_MINUS UINT64_C(0x80000000)
#define DOUBLE_INF UINT64_C(0x7ff0000000000000)
#define DOUBLE_MAX UINT64_C(0x7fefffffffffffff)
#define DOUBLE_MINUS UINT64_C(0x8000000000000000)
#define INF ((double)INFINITY)

static void show(const expectation *row, const char *what)
{
    fail_msg("%s:%d (%s): %s", __FILE__, row->line, test_name(row->dtype), what);
}

/* Checks the table against the reference too: a mistake in the table must not look like a fault of the library. */
static void check_reference(const expectation *row)
{
    rowpool_dtype dtype = row->dtype;
    if (row->empty)
        return;
    if (!test_within(dtype, row->first, &row->range) || !test_within(dtype, row->last, &row->range))
        show(row, "the reference leaves out the first or the last");
    uint64_t first = rank_of(dtype, key_of(dtype, row->first)), last = rank_of(dtype, key_of(dtype, row->last));
    if (first > 0 && test_within(dtype, key_of(dtype, rank_of(dtype, first - 1)), &row->range))
        show(row, "the reference takes one before the first");
    if (last < 2 * sign_of(dtype) - 1 && test_within(dtype, key_of(dtype, rank_of(dtype, last + 1)), &row->range))
        show(row, "the reference takes one after the last");
}

static void check_row(const expectation *row)
{
    unsigned char pair[16], expected[16];
    normalise(&row->range, row->dtype, pair);
    check_reference(row);
    test_store(row->dtype, expected, 0, row->empty ? 1 : key_of(row->dtype, row->first));
    test_store(row->dtype, expected, 1, row->empty ? 0 : key_of(row->dtype, row->last));
    if (memcmp(pair, expected, 2 * test_size(row->dtype)) != 0)
        show(row, "another interval");
}

TEST(tabulated_ranges_are_normalised)
{
    const expectation table[] = {
        /* The flagship for every type: 4 to 8 and its three open forms. */
        SPAN(INT32, I(4), I(8), BOTH, 4, 8),
        SPAN(INT32, I(4), I(8), LEFT, 4, 7),
        SPAN(INT32, I(4), I(8), RIGHT, 5, 8),
        SPAN(INT32, I(4), I(8), NEITHER, 5, 7),
        SPAN(UINT64, I(4), I(8), NEITHER, 5, 7),
        SPAN(FLOAT32, I(4), I(8), BOTH, 0x40800000, 0x41000000),
        SPAN(FLOAT32, I(4), I(8), NEITHER, 0x40800001, 0x40ffffff),
        SPAN(FLOAT16, I(4), I(8), NEITHER, 0x4401, 0x47ff),

        /* Fractional bounds on integers: the closure does not matter, since no element equals them. */
        SPAN(INT8, F(3.5), F(7.5), BOTH, 4, 7),
        SPAN(INT8, F(3.5), F(7.5), NEITHER, 4, 7),
        SPAN(INT8, F(-3.5), F(3.5), BOTH, 0xfd, 3),
        SPAN(INT8, F(-3.5), F(3.5), NEITHER, 0xfd, 3),
        SPAN(INT8, F(-0.5), F(0.5), NEITHER, 0, 0),
        SPAN(UINT8, F(-0.5), F(0.5), BOTH, 0, 0),
        NONE(INT8, F(0.25), F(0.75), BOTH),
        NONE(UINT8, F(-0.75), F(-0.25), BOTH),
        SPAN(INT64, F(-1e-300), F(1e-300), NEITHER, 0, 0),
        NONE(INT64, F(1e-300), F(0.5), BOTH),
        SPAN(INT64, F(0x1p-1074), F(2), BOTH, 1, 2),
        SPAN(INT64, F(-0x1p-1074), F(0x1p-1074), BOTH, 0, 0),

        /* Bounds beyond the type. */
        NONE(UINT8, I(300), I(400), BOTH),
        NONE(UINT8, F(300), F(INF), BOTH),
        SPAN(UINT8, I(-5), I(300), BOTH, 0, 255),
        NONE(UINT8, I(-5), I(-1), BOTH),
        NONE(UINT8, I(-5), I(0), LEFT),
        SPAN(UINT8, I(-5), I(0), BOTH, 0, 0),
        NONE(UINT8, I(255), I(300), RIGHT),
        SPAN(UINT8, I(254), I(300), RIGHT, 255, 255),
        SPAN(UINT8, I(255), I(255), BOTH, 255, 255),
        NONE(INT8, U(128), U(UINT64_MAX), BOTH),
        SPAN(INT8, U(127), U(UINT64_MAX), BOTH, 127, 127),
        SPAN(INT8, I(-128), U(UINT64_MAX), BOTH, 0x80, 0x7f),
        NONE(INT8, I(-128), I(-128), RIGHT),
        NONE(INT8, I(INT64_MIN), I(-129), BOTH),
        SPAN(INT8, I(-129), I(-128), RIGHT, 0x80, 0x80),
        SPAN(INT16, F(-INF), F(INF), NEITHER, 0x8000, 0x7fff),
        SPAN(INT64, F(-INF), F(INF), BOTH, UINT64_C(1) << 63, INT64_MAX),
        NONE(INT64, F(INF), F(INF), BOTH),
        NONE(UINT64, F(-INF), F(-INF), BOTH),
        SPAN(UINT64, F(-1e308), F(1e308), NEITHER, 0, UINT64_MAX),

        /* The limits of the widest types, from both sides and as doubles. */
        SPAN(UINT64, U(UINT64_MAX), U(UINT64_MAX), BOTH, UINT64_MAX, UINT64_MAX),
        NONE(UINT64, U(UINT64_MAX), F(INF), RIGHT),
        SPAN(UINT64, U(UINT64_MAX - 1), F(INF), NEITHER, UINT64_MAX, UINT64_MAX),
        NONE(UINT64, F(0x1p64), F(INF), BOTH),
        SPAN(UINT64, I(0), F(0x1p64), LEFT, 0, UINT64_MAX),
        SPAN(UINT64, I(INT64_MIN), I(INT64_MAX), BOTH, 0, INT64_MAX),
        NONE(UINT64, I(INT64_MIN), I(0), LEFT),
        SPAN(INT64, I(INT64_MIN), I(INT64_MIN), BOTH, UINT64_C(1) << 63, UINT64_C(1) << 63),
        NONE(INT64, I(INT64_MIN), I(INT64_MIN), LEFT),
        NONE(INT64, F(-INF), I(INT64_MIN), LEFT),
        NONE(INT64, I(INT64_MAX), F(INF), RIGHT),
        NONE(INT64, F(0x1p63), F(INF), BOTH),
        SPAN(INT64, F(-0x1p63), F(0x1p63), NEITHER, (UINT64_C(1) << 63) + 1, INT64_MAX),
        SPAN(INT64, F(-0x1p63), F(0x1p63), BOTH, UINT64_C(1) << 63, INT64_MAX),
        SPAN(INT64, I(0), U(UINT64_MAX), BOTH, 0, INT64_MAX),
        NONE(INT64, U(UINT64_C(1) << 63), U(UINT64_MAX), BOTH),

        /* Integers that no double represents. */
        SPAN(INT64, I((INT64_C(1) << 53) + 1), I((INT64_C(1) << 53) + 1), BOTH, (UINT64_C(1) << 53) + 1,
             (UINT64_C(1) << 53) + 1),
        NONE(INT64, F(0x1p53), I((INT64_C(1) << 53) + 1), NEITHER),
        NONE(FLOAT64, I((INT64_C(1) << 53) + 1), I((INT64_C(1) << 53) + 1), BOTH),
        NONE(FLOAT32, I((1 << 24) + 1), I((1 << 24) + 1), BOTH),
        SPAN(FLOAT32, I((1 << 24) + 1), I((1 << 24) + 3), BOTH, 0x4b800001, 0x4b800001),
        NONE(FLOAT16, I(2049), I(2049), BOTH),
        SPAN(FLOAT64, U(UINT64_MAX), F(0x1p64), BOTH, UINT64_C(0x43f0000000000000), UINT64_C(0x43f0000000000000)),
        NONE(FLOAT64, U(UINT64_MAX), F(0x1p64), LEFT),

        /* Doubles that no float32 represents: 0.1 as float32 is larger than 0.1 as double, 0.3 too, 0.7 smaller. */
        SPAN(FLOAT32, F(0.1), F(0.2), BOTH, 0x3dcccccd, 0x3e4ccccc),
        SPAN(FLOAT32, F(0.1), F(0.2), NEITHER, 0x3dcccccd, 0x3e4ccccc),
        NONE(FLOAT32, F(0.1), F(0.1), BOTH),
        SPAN(FLOAT32, F((double)0.1f), F((double)0.1f), BOTH, 0x3dcccccd, 0x3dcccccd),
        NONE(FLOAT32, F((double)0.1f), F((double)0.1f), NEITHER),
        SPAN(FLOAT32, F(-0.2), F(-0.1), BOTH, FLOAT_MINUS | 0x3e4ccccc, FLOAT_MINUS | 0x3dcccccd),
        SPAN(FLOAT64, F(0.1), F(0.1), BOTH, UINT64_C(0x3fb999999999999a), UINT64_C(0x3fb999999999999a)),

        /* Both zeros belong or neither does, whatever the sign and the kind of the bound. */
        SPAN(FLOAT32, F(0.0), F(0.0), BOTH, FLOAT_MINUS, 0),
        SPAN(FLOAT32, F(-0.0), F(-0.0), BOTH, FLOAT_MINUS, 0),
        SPAN(FLOAT32, I(0), U(0), BOTH, FLOAT_MINUS, 0),
        NONE(FLOAT32, F(0.0), F(0.0), LEFT),
        NONE(FLOAT32, F(-0.0), F(0.0), RIGHT),
        NONE(FLOAT32, F(-0.0), F(0.0), NEITHER),
        SPAN(FLOAT32, F(0.0), F(1), BOTH, FLOAT_MINUS, 0x3f800000),
        SPAN(FLOAT32, F(0.0), F(1), RIGHT, 1, 0x3f800000),
        SPAN(FLOAT32, F(-0.0), F(1), NEITHER, 1, 0x3f7fffff),
        SPAN(FLOAT32, F(-1), F(-0.0), BOTH, 0xbf800000, 0),
        SPAN(FLOAT32, F(-1), F(0.0), LEFT, 0xbf800000, FLOAT_MINUS | 1),
        SPAN(FLOAT16, F(-1), I(0), LEFT, 0xbc00, HALF_MINUS | 1),
        SPAN(FLOAT64, F(-0.0), F(INF), RIGHT, 1, DOUBLE_INF),

        /* Subnormals. */
        SPAN(FLOAT64, F(0x1p-1074), F(0x1p-1073), BOTH, 1, 2),
        NONE(FLOAT64, F(0x1p-1074), F(0x1p-1073), NEITHER),
        SPAN(FLOAT64, F(-0x1p-1074), F(0x1p-1074), NEITHER, DOUBLE_MINUS, 0),
        SPAN(FLOAT64, F(0x0.fffffffffffffp-1022), F(0x1p-1022), BOTH, 0xfffffffffffff, 0x10000000000000),
        SPAN(FLOAT32, F(0x1p-149), F(0x1p-149), BOTH, 1, 1),
        SPAN(FLOAT32, F(0x1p-150), F(0x1.8p-149), BOTH, 1, 1),
        SPAN(FLOAT32, F(0x1p-126), F(0x1p-126), BOTH, 0x00800000, 0x00800000),
        SPAN(FLOAT32, F(0x1p-127), F(0x1p-126), LEFT, 0x00400000, 0x007fffff),
        SPAN(FLOAT16, F(0x1p-24), F(0x1p-14), LEFT, 1, 0x03ff),
        SPAN(FLOAT16, F(0x1p-25), F(0x1.8p-24), NEITHER, 1, 1),
        /* Too small for the type, yet not zero. */
        SPAN(FLOAT32, F(1e-300), F(1), BOTH, 1, 0x3f800000),
        SPAN(FLOAT32, F(-1), F(1e-300), BOTH, 0xbf800000, 0),
        SPAN(FLOAT32, F(-1e-300), F(1e-300), NEITHER, FLOAT_MINUS, 0),
        SPAN(FLOAT32, F(-1), F(-1e-300), BOTH, 0xbf800000, FLOAT_MINUS | 1),
        NONE(FLOAT32, F(1e-300), F(1e-200), BOTH),
        SPAN(FLOAT16, F(0x1p-1074), F(0x1p-24), BOTH, 1, 1),

        /* Too large for the type, yet not infinite. */
        SPAN(FLOAT32, F(0), F(1e300), BOTH, FLOAT_MINUS, FLOAT_MAX),
        SPAN(FLOAT32, F(1e300), F(INF), BOTH, FLOAT_INF, FLOAT_INF),
        NONE(FLOAT32, F(1e300), F(INF), NEITHER),
        NONE(FLOAT32, F(1e300), F(1e301), BOTH),
        SPAN(FLOAT32, F(-1e300), F(1e300), BOTH, FLOAT_MINUS | FLOAT_MAX, FLOAT_MAX),
        SPAN(FLOAT32, F(-INF), F(-1e300), BOTH, FLOAT_MINUS | FLOAT_INF, FLOAT_MINUS | FLOAT_INF),
        SPAN(FLOAT32, F(0x1.fffffep127), F(INF), LEFT, FLOAT_MAX, FLOAT_MAX),
        SPAN(FLOAT32, F(0x1.fffffep127), F(INF), RIGHT, FLOAT_INF, FLOAT_INF),
        SPAN(FLOAT32, F(0x1.ffffffp127), F(INF), BOTH, FLOAT_INF, FLOAT_INF),
        SPAN(FLOAT16, I(65504), I(65504), BOTH, HALF_MAX, HALF_MAX),
        NONE(FLOAT16, I(65504), I(65520), RIGHT),
        NONE(FLOAT16, I(65505), I(65535), BOTH),
        NONE(FLOAT16, I(65520), I(65520), BOTH),
        SPAN(FLOAT16, I(65520), F(INF), BOTH, HALF_INF, HALF_INF),
        SPAN(FLOAT16, I(-65520), I(65520), BOTH, HALF_MINUS | HALF_MAX, HALF_MAX),
        SPAN(FLOAT16, I(-70000), U(UINT64_MAX), BOTH, HALF_MINUS | HALF_MAX, HALF_MAX),
        NONE(FLOAT16, U(UINT64_MAX), U(UINT64_MAX), BOTH),

        /* Infinities are ordinary values. */
        SPAN(FLOAT64, F(-INF), F(INF), BOTH, DOUBLE_MINUS | DOUBLE_INF, DOUBLE_INF),
        SPAN(FLOAT64, F(-INF), F(INF), NEITHER, DOUBLE_MINUS | DOUBLE_MAX, DOUBLE_MAX),
        SPAN(FLOAT64, F(INF), F(INF), BOTH, DOUBLE_INF, DOUBLE_INF),
        NONE(FLOAT64, F(INF), F(INF), LEFT),
        NONE(FLOAT64, F(INF), F(INF), NEITHER),
        SPAN(FLOAT16, F(-INF), F(-INF), BOTH, HALF_MINUS | HALF_INF, HALF_MINUS | HALF_INF),
        SPAN(FLOAT32, F(-INF), I(0), NEITHER, FLOAT_MINUS | FLOAT_MAX, FLOAT_MINUS | 1),

        /* lo > hi, and different kinds. */
        NONE(INT32, I(8), I(4), BOTH),
        NONE(FLOAT64, F(INF), F(-INF), BOTH),
        NONE(FLOAT32, F(1e-300), F(0), BOTH),
        NONE(INT64, U(UINT64_MAX), I(-1), BOTH),
        SPAN(INT64, I(-1), U(1), BOTH, UINT64_MAX, 1),
        SPAN(UINT32, F(2.5), U(7), LEFT, 3, 6),
        SPAN(FLOAT32, I(-2), F(2.5), RIGHT, 0xbfffffff, 0x40200000),
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_row(&table[i]);
}

TEST(nan_bounds_are_refused)
{
    static const uint64_t payloads[] = {DOUBLE_INF | 1, DOUBLE_INF | UINT64_C(1) << 51, UINT64_MAX,
                                        DOUBLE_MINUS | DOUBLE_INF | 7};
    rp_interval interval;
    rowpool_error error;
    for (size_t i = 0; i < COUNT_OF(payloads); i++)
        for (int d = 0; d < TEST_DTYPES; d++) {
            double nan_value;
            memcpy(&nan_value, &payloads[i], sizeof nan_value);
            const rp_dtype *dtype = rp_dtype_of((rowpool_dtype)d);
            rowpool_range lo = {test_f64(nan_value), test_i64(1), ROWPOOL_CLOSED_BOTH};
            rowpool_range hi = {test_i64(1), test_f64(nan_value), ROWPOOL_CLOSED_NEITHER};
            assert_refused(rp_range_normalise(&lo, 3, dtype, &interval, &error), ROWPOOL_EINVAL, error, "ranges[3].lo");
            assert_refused(rp_range_normalise(&hi, 12, dtype, &interval, &error), ROWPOOL_EINVAL, error,
                           "ranges[12].hi");
            assert_int_equal(rp_range_normalise(&hi, 12, dtype, &interval, NULL), ROWPOOL_EINVAL);
        }
}

TEST(unknown_kinds_and_closures_are_refused)
{
    rp_interval interval;
    rowpool_error error;
    const rp_dtype *dtype = rp_dtype_of(ROWPOOL_INT32);
    rowpool_range range = rowpool_range_i64(4, 8);
    range.closed = (rowpool_closed)4;
    assert_refused(rp_range_normalise(&range, 7, dtype, &interval, &error), ROWPOOL_EINVAL, error, "ranges[7].closed");
    range.closed = (rowpool_closed)-1;
    assert_refused(rp_range_normalise(&range, 0, dtype, &interval, &error), ROWPOOL_EINVAL, error, "ranges[0].closed");
    range = rowpool_range_i64(4, 8);
    range.lo.kind = (rowpool_number_kind)3;
    assert_refused(rp_range_normalise(&range, 1, dtype, &interval, &error), ROWPOOL_EINVAL, error, "ranges[1].lo");
    range = rowpool_range_i64(4, 8);
    range.hi.kind = (rowpool_number_kind)77;
    assert_refused(rp_range_normalise(&range, 2, dtype, &interval, &error), ROWPOOL_EINVAL, error, "ranges[2].hi");
}

/* Every pair of edge cases of every kind; a histogram compares its edges in this way. */
TEST(numbers_are_ordered)
{
    const rowpool_number numbers[] = {
        F(-INF), I(INT64_MIN), F(-0x1p63), I(-1), F(-1.5),       F(-0x1p-1074), F(-0.0),
        F(0.0),  I(0),         U(0),       I(1),  F(0x1p-1074),  F(1.5),        F(0x1p53),
        F(INF),  I(INT64_MAX), F(0x1p63),  U(1),  U(UINT64_MAX), F(0x1p64),     I((1LL << 53) + 1)};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        for (size_t j = 0; j < COUNT_OF(numbers); j++) {
            test_place a, b;
            assert_true(test_place_number(numbers[i], &a));
            assert_true(test_place_number(numbers[j], &b));
            if (rp_number_at_most(&numbers[i], &numbers[j]) != (a <= b))
                fail_msg("number %zu should %sbe at most number %zu", i, a <= b ? "" : "not ", j);
        }
}

TEST(the_constructors_close_both_sides)
{
    rowpool_range i64 = rowpool_range_i64(INT64_MIN, 8), u64 = rowpool_range_u64(4, UINT64_MAX);
    rowpool_range f64 = rowpool_range_f64(-0.5, INF);
    assert_int_equal(i64.lo.kind, ROWPOOL_NUMBER_I64);
    assert_int_equal(i64.hi.kind, ROWPOOL_NUMBER_I64);
    assert_true(i64.lo.value.i64 == INT64_MIN && i64.hi.value.i64 == 8);
    assert_int_equal(u64.lo.kind, ROWPOOL_NUMBER_U64);
    assert_int_equal(u64.hi.kind, ROWPOOL_NUMBER_U64);
    assert_true(u64.lo.value.u64 == 4 && u64.hi.value.u64 == UINT64_MAX);
    assert_int_equal(f64.lo.kind, ROWPOOL_NUMBER_F64);
    assert_int_equal(f64.hi.kind, ROWPOOL_NUMBER_F64);
    assert_true(f64.lo.value.f64 == -0.5 && f64.hi.value.f64 == INF);
    assert_int_equal(i64.closed, ROWPOOL_CLOSED_BOTH);
    assert_int_equal(u64.closed, ROWPOOL_CLOSED_BOTH);
    assert_int_equal(f64.closed, ROWPOOL_CLOSED_BOTH);
}

/* ---- Against the reference -------------------------------------------------------------------------------------- */

static void fail_element(rowpool_dtype dtype, uint64_t bits, const rowpool_range *range, bool expected)
{
    fail_msg("%s, element 0x%llx, closed %d, lo kind %d 0x%llx, hi kind %d 0x%llx: should %sbelong", test_name(dtype),
             (unsigned long long)bits, (int)range->closed, (int)range->lo.kind, (unsigned long long)range->lo.value.u64,
             (int)range->hi.kind, (unsigned long long)range->hi.value.u64, expected ? "" : "not ");
}

static rowpool_range random_range(test_random *random, rowpool_dtype dtype)
{
    uint64_t few[2] = {test_element(random, dtype), test_element(random, dtype)};
    unsigned char data[16];
    test_store(dtype, data, 0, few[0]);
    test_store(dtype, data, 1, few[1]);
    rowpool_rows rows = {.data = data, .dtype = dtype, .count = 1, .width = 2};
    return test_range_for(random, &rows);
}

/* Every value of a type of at most 16 bits, with many ranges and every closure. */
static void every_value(rowpool_dtype dtype, size_t n_ranges)
{
    size_t total = (size_t)1 << (8 * test_size(dtype));
    test_place *places = malloc(total * sizeof *places);
    bool *numbers = malloc(total * sizeof *numbers);
    assert_non_null(places);
    assert_non_null(numbers);
    for (size_t bits = 0; bits < total; bits++)
        numbers[bits] = test_place_element(dtype, bits, &places[bits]);
    test_random random = test_random_begin((uint64_t)dtype);
    for (size_t i = 0; i < n_ranges; i++) {
        rowpool_range range = random_range(&random, dtype);
        for (int closed = 0; closed < 4; closed++) {
            range.closed = (rowpool_closed)closed;
            unsigned char pair[16];
            normalise(&range, dtype, pair);
            for (size_t bits = 0; bits < total; bits++) {
                bool expected = numbers[bits] && test_place_within(places[bits], &range);
                if (inside(dtype, bits, pair) != expected)
                    fail_element(dtype, bits, &range, expected);
            }
        }
    }
    free(places);
    free(numbers);
}

TEST(every_int8)
{
    every_value(ROWPOOL_INT8, 20000);
}

TEST(every_uint8)
{
    every_value(ROWPOOL_UINT8, 20000);
}

TEST(every_int16)
{
    every_value(ROWPOOL_INT16, 50);
}

TEST(every_uint16)
{
    every_value(ROWPOOL_UINT16, 50);
}

TEST(every_float16)
{
    every_value(ROWPOOL_FLOAT16, 300);
}

/* Wide types: the elements tested are the bounds' neighbours. */
TEST(random_elements_of_every_type)
{
    test_random random = test_random_begin(99);
    for (size_t i = 0; i < 2000000; i++) {
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        unsigned char data[8], pair[16];
        uint64_t bits = test_element(&random, dtype);
        test_store(dtype, data, 0, bits);
        rowpool_rows rows = {.data = data, .dtype = dtype, .count = 1, .width = 1};
        rowpool_range range = test_range_for(&random, &rows);
        normalise(&range, dtype, pair);
        bool expected = test_within(dtype, bits, &range);
        if (inside(dtype, bits, pair) != expected)
            fail_element(dtype, bits, &range, expected);
    }
}

/* ---- The reference itself --------------------------------------------------------------------------------------- */

static long double as_long_double(rowpool_number number)
{
    return number.kind == ROWPOOL_NUMBER_I64   ? (long double)number.value.i64
           : number.kind == ROWPOOL_NUMBER_U64 ? (long double)number.value.u64
                                               : (long double)number.value.f64;
}

/* A long double with a mantissa of 64 bits holds every number of each kind, so the machine's comparison is exact too.
 */
TEST(the_reference_agrees_with_long_double)
{
    volatile long double largest = (long double)UINT64_MAX;
    if (largest - 1 == largest)
        skip_since("a long double has fewer than 64 bits, as under valgrind");
    test_random random = test_random_begin(5);
    for (size_t i = 0; i < 1000000; i++) {
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        uint64_t element = test_element(&random, dtype);
        rowpool_number a = test_number_near(&random, dtype, element), b = test_number_near(&random, dtype, element);
        test_place place_a, place_b, place_x;
        assert_true(test_place_number(a, &place_a));
        assert_true(test_place_number(b, &place_b));
        assert_int_equal(place_a < place_b, as_long_double(a) < as_long_double(b));
        assert_int_equal(place_a == place_b, as_long_double(a) == as_long_double(b));
        double value = test_value(dtype, element);
        assert_int_equal(test_place_element(dtype, element, &place_x), !isnan(value));
        if (isnan(value) || test_size(dtype) == 8) /* a 64-bit integer was rounded when converted to double */
            continue;
        assert_int_equal(place_x < place_a, (long double)value < as_long_double(a));
        assert_int_equal(place_x == place_a, (long double)value == as_long_double(a));
    }
}

/* ---- The caller's floating-point settings ----------------------------------------------------------------------- */

enum { SAMPLE = 20000 };

static void sample(rp_interval *intervals, const rowpool_range *ranges, const rowpool_dtype *dtypes)
{
    for (size_t i = 0; i < SAMPLE; i++)
        assert_int_equal(rp_range_normalise(&ranges[i], i, rp_dtype_of(dtypes[i]), &intervals[i], NULL), ROWPOOL_OK);
}

TEST(rounding_and_flushing_change_nothing)
{
    static rowpool_range ranges[SAMPLE];
    static rowpool_dtype dtypes[SAMPLE];
    static rp_interval before[SAMPLE], after[SAMPLE];
    test_random random = test_random_begin(6);
    for (size_t i = 0; i < SAMPLE; i++) {
        dtypes[i] = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        ranges[i] = random_range(&random, dtypes[i]);
    }
    sample(before, ranges, dtypes);
    static const int roundings[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (size_t i = 0; i < COUNT_OF(roundings); i++) {
        assert_int_equal(fesetround(roundings[i]), 0);
        sample(after, ranges, dtypes);
        fesetround(FE_TONEAREST);
        assert_memory_equal(before, after, sizeof before);
    }
#if defined(__x86_64__)
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    volatile double smallest = 0x1p-1074;
    volatile bool flushes = smallest == 0; /* otherwise this tests nothing; volatile: computed here, not later */
    sample(after, ranges, dtypes);
    _mm_setcsr(saved);
    assert_true(flushes);
    assert_memory_equal(before, after, sizeof before);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tabulated_ranges_are_normalised),
        cmocka_unit_test(nan_bounds_are_refused),
        cmocka_unit_test(unknown_kinds_and_closures_are_refused),
        cmocka_unit_test(numbers_are_ordered),
        cmocka_unit_test(the_constructors_close_both_sides),
        cmocka_unit_test(the_reference_agrees_with_long_double),
        cmocka_unit_test(every_int8),
        cmocka_unit_test(every_uint8),
        cmocka_unit_test(every_int16),
        cmocka_unit_test(every_uint16),
        cmocka_unit_test(every_float16),
        cmocka_unit_test(random_elements_of_every_type),
        cmocka_unit_test(rounding_and_flushing_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
