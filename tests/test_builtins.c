/* The contract of the built-in row functions: each on every device and backend, checked against exact references.
 *     test_builtins [DEVICE...]     all devices, or those named as in ROWPOOL_DEVICE
 * ROWPOOL_TEST_CASES is the number of random arrays, ROWPOOL_TEST_SEED their seed. A program is built for each pair of
 * a function and a dtype, which takes half a second if the driver has not cached it. An OpenCL device therefore runs
 * only every ROWPOOL_TEST_PAIRS-th pair, starting at ROWPOOL_TEST_PAIRS_FROM. pools.h lists the other variables. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"
#include "pools.h"
#include "sched/pool.h"
#include "support.h"

/* ---- Exact sums ------------------------------------------------------------------------------------------------- */

__extension__ typedef __int128 whole;
__extension__ typedef unsigned __int128 product;

/* An exact sum of doubles: a fixed-point number in two's complement whose lowest bit is the smallest double. */
enum { EXACT_WORDS = 36, EXACT_ONE = 1074 }; /* 2^-1074 ... 2^1229; the bit of 1.0 */
typedef struct {
    uint64_t word[EXACT_WORDS];
} exact;

/* Adds or subtracts bits * 2^(bit - 1074). */
static void exact_add_bits(exact *to, unsigned bit, uint64_t bits, bool negative)
{
    unsigned at = bit / 64, shift = bit % 64;
    const uint64_t words[2] = {bits << shift, shift > 0 ? bits >> (64 - shift) : 0};
    uint64_t carry = 0;
    for (unsigned i = at; i < EXACT_WORDS && (i < at + 2 || carry != 0); i++) {
        product added = (product)(i < at + 2 ? words[i - at] : 0) + carry;
        uint64_t was = to->word[i], low = (uint64_t)added;
        to->word[i] = negative ? was - low : was + low;
        carry = (uint64_t)(added >> 64) + (negative ? was < low : to->word[i] < was);
    }
}

/* Adds value * times. The value is finite. */
static void exact_add(exact *to, double value, uint64_t times)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned field = (unsigned)(bits >> 52 & 0x7ff), bit = field > 0 ? field - 1 : 0;
    uint64_t hidden = UINT64_C(1) << 52, fraction = (bits & (hidden - 1)) | (field > 0 ? hidden : 0);
    product size = (product)fraction * times;
    exact_add_bits(to, bit, (uint64_t)size, bits >> 63 != 0);
    if (size >> 64 != 0)
        exact_add_bits(to, bit + 64, (uint64_t)(size >> 64), bits >> 63 != 0);
}

static void exact_add_whole(exact *to, whole value)
{
    product size = value < 0 ? -(product)value : (product)value;
    exact_add_bits(to, EXACT_ONE, (uint64_t)size, value < 0);
    exact_add_bits(to, EXACT_ONE + 64, (uint64_t)(size >> 64), value < 0);
}

static exact exact_times(exact x, uint64_t times)
{
    uint64_t carry = 0;
    for (unsigned i = 0; i < EXACT_WORDS; i++) {
        product size = (product)x.word[i] * times + carry;
        x.word[i] = (uint64_t)size;
        carry = (uint64_t)(size >> 64);
    }
    return x;
}

static exact exact_magnitude(exact x)
{
    uint64_t carry = 1;
    if (x.word[EXACT_WORDS - 1] >> 63 == 0)
        return x;
    for (unsigned i = 0; i < EXACT_WORDS; i++) {
        x.word[i] = ~x.word[i] + carry;
        carry = carry != 0 && x.word[i] == 0;
    }
    return x;
}

/* Whether a's magnitude is at most b's. */
static bool exact_at_most(exact a, exact b)
{
    a = exact_magnitude(a);
    b = exact_magnitude(b);
    for (unsigned i = EXACT_WORDS; i-- > 0;)
        if (a.word[i] != b.word[i])
            return a.word[i] < b.word[i];
    return true;
}

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* Everything that the functions can depend on in a row. */
typedef struct {
    size_t width;
    int64_t first_smallest, first_largest; /* -1: there is no number */
    uint64_t smallest, largest;            /* bits; -0.0 is less than +0.0 */
    bool nan, above, below;                /* whether the row has a NaN, +infinity, -infinity */
    whole sum;                             /* of integers */
    exact total, size;                     /* sum of the finite floats, and of their magnitudes */
} row_facts;

static bool is_negative(rowpool_dtype dtype, uint64_t bits)
{
    return test_is_signed(dtype) && bits >> (8 * test_size(dtype) - 1) != 0;
}

static whole integer_of(rowpool_dtype dtype, uint64_t bits)
{
    return is_negative(dtype, bits) ? (whole)bits - ((whole)1 << 8 * test_size(dtype)) : (whole)bits;
}

static void add_float(row_facts *row, double value)
{
    row->nan |= isnan(value) != 0;
    row->above |= value > 0 && isinf(value);
    row->below |= value < 0 && isinf(value);
    if (isfinite(value)) {
        exact_add(&row->total, value, 1);
        exact_add(&row->size, fabs(value), 1);
    }
}

static void find_facts(const rowpool_rows *rows, size_t i, row_facts *row)
{
    const rowpool_dtype dtype = rows->dtype;
    size_t begin = test_row_begin(rows, i);
    test_place smallest = 0, largest = 0;
    *row = (row_facts){.width = test_row_width(rows, i), .first_smallest = -1, .first_largest = -1};
    for (size_t j = 0; j < row->width; j++) {
        uint64_t bits = test_load(dtype, rows->data, begin + j);
        test_place place;
        if (test_is_float(dtype))
            add_float(row, test_value(dtype, bits));
        else
            row->sum += integer_of(dtype, bits);
        if (!test_place_element(dtype, bits, &place))
            continue;
        bool first = row->first_smallest < 0, zero = place == 0;
        if (first || place < smallest || (zero && smallest == 0 && is_negative(dtype, bits)))
            row->smallest = bits;
        if (first || place > largest || (zero && largest == 0 && !is_negative(dtype, bits)))
            row->largest = bits;
        if (first || place < smallest) {
            row->first_smallest = (int64_t)j;
            smallest = place;
        }
        if (first || place > largest) {
            row->first_largest = (int64_t)j;
            largest = place;
        }
    }
}

/* ---- Checks ----------------------------------------------------------------------------------------------------- */

/* What a result may depend on. */
typedef struct {
    const row_facts *row;
    rowpool_dtype dtype;
    uint64_t inside; /* elements in the range, for functions that take ranges */
} judged;

typedef bool judge(const judged *of, const void *result);

static bool equals(rowpool_dtype dtype, const void *result, uint64_t bits)
{
    return test_load(dtype, result, 0) == bits;
}

static double double_at(const void *result)
{
    double value;
    memcpy(&value, result, sizeof value);
    return value;
}

static bool count_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_UINT32, result, of->inside);
}

static bool count64_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_UINT64, result, of->inside);
}

static bool any_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_UINT8, result, of->inside > 0);
}

static bool all_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_UINT8, result, of->inside == of->row->width);
}

static bool fraction_is_right(const judged *of, const void *result)
{
    double share = double_at(result);
    return of->row->width == 0 ? isnan(share) != 0 : share == (double)of->inside / (double)of->row->width;
}

/* Whether a partial sum could overflow, in any order. */
static bool may_overflow(const row_facts *row)
{
    exact near_largest = {0};
    exact_add(&near_largest, 0x1p1023, 1);
    return exact_at_most(near_largest, row->size);
}

/* Whether value * times is the sum of the floats, within the rounding error of each addition and of `divisions`
 * divisions that may underflow. */
static bool float_sum_is_right(const row_facts *row, double value, uint64_t times, uint64_t divisions)
{
    if (row->nan || (row->above && row->below))
        return isnan(value) != 0;
    if (!isfinite(value) && may_overflow(row))
        return true;
    if (row->above || row->below)
        return value == (row->above ? (double)INFINITY : -(double)INFINITY);
    if (!isfinite(value))
        return false;
    exact off = row->total, max_elements = exact_times(row->size, row->width);
    exact_add(&off, -value, times);
    exact_add_bits(&max_elements, 52, divisions, false); /* half of the smallest double for each; times 2^53 */
    return exact_at_most(exact_times(off, UINT64_C(1) << 53), max_elements);
}

static bool sum_is_right(const judged *of, const void *result)
{
    if (!test_is_float(of->dtype))
        return equals(ROWPOOL_UINT64, result, (uint64_t)of->row->sum);
    return float_sum_is_right(of->row, double_at(result), 1, 0);
}

/* Whether the error is at most 2^-51 of the mean's magnitude; everything is multiplied by the width. */
static bool integer_mean_is_right(const row_facts *row, double mean)
{
    if (!isfinite(mean))
        return false;
    exact off = {0}, own = {0};
    exact_add_whole(&own, row->sum);
    exact_add_whole(&off, row->sum);
    exact_add(&off, -mean, row->width);
    return exact_at_most(exact_times(off, UINT64_C(1) << 51), own);
}

static bool mean_is_right(const judged *of, const void *result)
{
    double mean = double_at(result);
    if (of->row->width == 0)
        return isnan(mean) != 0;
    return test_is_float(of->dtype) ? float_sum_is_right(of->row, mean, of->row->width, of->row->width)
                                    : integer_mean_is_right(of->row, mean);
}

/* The bits of the largest and the smallest number of the type. */
static uint64_t utmost(rowpool_dtype dtype, bool smallest)
{
    unsigned bits = 8 * (unsigned)test_size(dtype);
    uint64_t sign = UINT64_C(1) << (bits - 1), one = test_small(dtype, 1);
    uint64_t infinity = 2 * one + (test_small(dtype, 2) - one);
    if (test_is_float(dtype))
        return smallest ? sign | infinity : infinity;
    if (test_is_signed(dtype))
        return smallest ? sign : sign - 1;
    return smallest ? 0 : sign | (sign - 1);
}

static bool min_is_right(const judged *of, const void *result)
{
    return equals(of->dtype, result, of->row->first_smallest < 0 ? utmost(of->dtype, false) : of->row->smallest);
}

static bool max_is_right(const judged *of, const void *result)
{
    return equals(of->dtype, result, of->row->first_smallest < 0 ? utmost(of->dtype, true) : of->row->largest);
}

static bool argmin_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_INT64, result, (uint64_t)of->row->first_smallest);
}

static bool argmax_is_right(const judged *of, const void *result)
{
    return equals(ROWPOOL_INT64, result, (uint64_t)of->row->first_largest);
}

/* ---- The functions ---------------------------------------------------------------------------------------------- */

enum { AS_ELEMENTS = -1, BY_KIND = -2 }; /* the element's dtype; the widest dtype of its kind */

static const struct {
    const char *name;
    bool ranges;
    int gives; /* the dtype of results */
    judge *is_right;
} builtins[] = {
    {"count", true, ROWPOOL_UINT32, count_is_right},
    {"count64", true, ROWPOOL_UINT64, count64_is_right},
    {"any", true, ROWPOOL_UINT8, any_is_right},
    {"all", true, ROWPOOL_UINT8, all_is_right},
    {"fraction", true, ROWPOOL_FLOAT64, fraction_is_right},
    {"sum", false, BY_KIND, sum_is_right},
    {"mean", false, ROWPOOL_FLOAT64, mean_is_right},
    {"min", false, AS_ELEMENTS, min_is_right},
    {"max", false, AS_ELEMENTS, max_is_right},
    {"argmin", false, ROWPOOL_INT64, argmin_is_right},
    {"argmax", false, ROWPOOL_INT64, argmax_is_right},
};
enum { BUILTINS = COUNT_OF(builtins) };

static rowpool_dtype result_dtype(size_t function, rowpool_dtype dtype)
{
    int gives = builtins[function].gives;
    if (gives == AS_ELEMENTS)
        return dtype;
    if (gives != BY_KIND)
        return (rowpool_dtype)gives;
    if (test_is_float(dtype))
        return ROWPOOL_FLOAT64;
    return test_is_signed(dtype) ? ROWPOOL_INT64 : ROWPOOL_UINT64;
}

/* ---- Random elements -------------------------------------------------------------------------------------------- */

typedef enum {
    ANYTHING,
    FINITE,    /* no NaN, no infinity */
    ALIKE,     /* of similar size, both signs: their sum nearly cancels */
    SKEWED,    /* nearly all one value, a few others */
    ZEROS,     /* of both signs, and their neighbours */
    NO_NUMBER, /* NaNs, perhaps one number */
    INFINITE,  /* infinities of one sign or both, among others */
    EXTREME,   /* the largest values: sums wrap or overflow */
    STAIRS,    /* ascending or descending steps: the extremes occur several times */
    FLAVOURS
} flavour;

static uint64_t alike_element(test_random *random, rowpool_dtype dtype)
{
    if (!test_is_float(dtype)) {
        uint64_t value = test_below(random, 121), all = UINT64_MAX >> (64 - 8 * test_size(dtype));
        return test_is_signed(dtype) ? (value - 60) & all : value;
    }
    uint64_t one = test_small(dtype, 1), power = test_small(dtype, 2) - one;
    uint64_t sign = test_chance(random, 2) ? UINT64_C(1) << (8 * test_size(dtype) - 1) : 0;
    return sign | (one + (test_below(random, 17) - 8) * power + test_below(random, power));
}

static uint64_t finite_element(test_random *random, rowpool_dtype dtype)
{
    uint64_t bits;
    do
        bits = test_element(random, dtype);
    while (!isfinite(test_value(dtype, bits)));
    return bits;
}

static uint64_t zero_element(test_random *random, rowpool_dtype dtype)
{
    uint64_t sign = UINT64_C(1) << (8 * test_size(dtype) - 1), next = test_chance(random, 16);
    return next | (test_is_float(dtype) && test_chance(random, 2) ? sign : 0);
}

static uint64_t nan_element(test_random *random, rowpool_dtype dtype)
{
    uint64_t infinity = utmost(dtype, test_chance(random, 2));
    uint64_t payloads = test_small(dtype, 2) - test_small(dtype, 1);
    return infinity + 1 + test_below(random, payloads - 1);
}

static void fill_row(test_random *random, rowpool_dtype dtype, void *data, size_t begin, size_t width)
{
    flavour chosen = (flavour)test_below(random, FLAVOURS);
    bool one_way = test_chance(random, 2), up = test_chance(random, 2);
    uint64_t typical = test_element(random, dtype), other = test_element(random, dtype);
    if (!test_is_float(dtype) && (chosen == NO_NUMBER || chosen == INFINITE))
        chosen = EXTREME;
    for (size_t i = 0; i < width; i++) {
        uint64_t bits = 0, step = i / 3 < 100 ? i / 3 : 100;
        switch (chosen) {
        case ANYTHING:
            bits = test_element(random, dtype);
            break;
        case FINITE:
            bits = finite_element(random, dtype);
            break;
        case ALIKE:
            bits = alike_element(random, dtype);
            break;
        case SKEWED:
            bits = test_chance(random, 20) ? other : typical;
            break;
        case ZEROS:
            bits = zero_element(random, dtype);
            break;
        case NO_NUMBER:
            bits = one_way || !test_chance(random, (unsigned)(width < 1000 ? width : 1000))
                       ? nan_element(random, dtype)
                       : finite_element(random, dtype);
            break;
        case INFINITE:
            bits = test_chance(random, 10) ? utmost(dtype, one_way ? up : test_chance(random, 2))
                                           : alike_element(random, dtype);
            break;
        case EXTREME:
            bits = utmost(dtype, one_way ? up : test_chance(random, 2));
            if (test_is_float(dtype))
                bits -= 1; /* the largest finite one */
            break;
        case STAIRS:
        case FLAVOURS:
            bits = test_small(dtype, (unsigned)(up ? step : 100 - step));
            break;
        }
        test_store(dtype, data, begin + i, bits);
    }
}

/* In most arrays each row has a flavour of its own. */
static void fill(test_random *random, const test_array *array)
{
    const rowpool_rows *rows = &array->rows;
    if (rows->data == NULL || test_chance(random, 4))
        return;
    char *data = (char *)array->memory + ((const char *)rows->data - (const char *)array->memory);
    for (size_t i = 0; i < rows->count; i++)
        fill_row(random, rows->dtype, data, test_row_begin(rows, i), test_row_width(rows, i));
}

/* ---- An array and its reference --------------------------------------------------------------------------------- */

enum { MAX_RANGES = 40 };

typedef struct {
    test_array array;
    row_facts *facts; /* for each row */
    rowpool_range ranges[MAX_RANGES];
    size_t n_ranges;  /* 0: the default range */
    uint64_t *inside; /* for each row and range */
} subject;

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Takes ownership of the array. */
static subject make_subject(test_random *random, test_array array, size_t n_ranges)
{
    const rowpool_rows *rows = &array.rows;
    subject made = {.array = array, .n_ranges = n_ranges};
    fill(random, &array);
    for (size_t k = 0; k < n_ranges; k++)
        made.ranges[k] = test_range_for(random, rows);
    made.facts = allocate(rows->count, sizeof *made.facts);
    made.inside = allocate(rows->count * (n_ranges + 1), sizeof *made.inside);
    for (size_t i = 0; i < rows->count; i++)
        find_facts(rows, i, &made.facts[i]);
    test_expect(rows, made.ranges, n_ranges, made.inside);
    return made;
}

static void free_subject(subject *made)
{
    free(made->facts);
    free(made->inside);
    test_array_free(&made->array);
}

/* ---- One call --------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t function, columns;
    test_counts results;
    rowpool_job *job;
    rowpool_status status;
    rowpool_error error;
} question;

static size_t cases, wrong;

static void begin(question *q, test_random *random, const subject *about, rowpool *pool, size_t function, bool async)
{
    static const unsigned char nothing[3]; /* argument structs for functions without arguments */
    const rowpool_rows *rows = &about->array.rows;
    const rowpool_function *code = rowpool_builtin(builtins[function].name);
    *q = (question){.function = function, .columns = 1, .error = test_error_fresh()};
    rowpool_call call = {.size = sizeof call, .function = code, .inputs = rows, .n_inputs = test_below(random, 2)};
    if (builtins[function].ranges) {
        q->columns = about->n_ranges != 0 ? about->n_ranges : 1;
        call.ranges = about->n_ranges != 0 ? about->ranges : NULL;
        call.n_ranges = about->n_ranges;
    } else if (test_chance(random, 3)) {
        q->columns = 1 + (size_t)test_below(random, sizeof nothing);
        call.arguments = nothing;
        call.arguments_size = q->columns * code->compiled[rows->dtype]->arguments_size;
    }
    if (test_chance(random, 8))
        call.chunk_rows = 1 + (size_t)test_below(random, rows->count + 1);
    size_t size = test_size(result_dtype(function, rows->dtype));
    q->results = test_counts_make(rows->count * q->columns, size, (size_t)test_below(random, 4));
    call.results = rows->count == 0 && test_chance(random, 2) ? NULL : q->results.counts;
    call.results_size = q->results.n * size;
    q->status = async ? rowpool_map_async(pool, &call, NULL, NULL, &q->job, &q->error)
                      : rowpool_map(pool, &call, &q->error);
}

static const char *layout_name(const rowpool_rows *rows)
{
    if (rows->offsets != NULL)
        return "ragged";
    return rows->stride > rows->width ? "strided" : "dense";
}

static void print_wrong(const question *q, const subject *about, const char *what, size_t i)
{
    const rowpool_rows *rows = &about->array.rows;
    size_t row = i / q->columns;
    const row_facts *facts = &about->facts[row];
    fprintf(stderr, "%s: %s of %s, %s, %zu rows: row %zu of %zu elements, result %zu of %zu: ", what,
            builtins[q->function].name, test_name(rows->dtype), layout_name(rows), rows->count, row, facts->width,
            i % q->columns, q->columns);
    rowpool_dtype dtype = result_dtype(q->function, rows->dtype);
    uint64_t bits = test_load(dtype, q->results.counts, i);
    fprintf(stderr, "0x%" PRIx64 " (%.17g); ", bits, test_value(dtype, bits));
    if (builtins[q->function].ranges)
        fprintf(stderr, "%" PRIu64 " in the range\n", about->inside[i]);
    else
        fprintf(stderr,
                "least 0x%" PRIx64 " at %" PRId64 ", largest 0x%" PRIx64 " at %" PRId64 ", integers' sum 0x%" PRIx64
                "%s%s%s\n",
                facts->smallest, facts->first_smallest, facts->largest, facts->first_largest, (uint64_t)facts->sum,
                facts->nan ? ", NaN" : "", facts->above ? ", inf" : "", facts->below ? ", -inf" : "");
}

static bool results_are_right(const question *q, const subject *about, const char *what)
{
    const rowpool_dtype dtype = about->array.rows.dtype;
    bool ranged = builtins[q->function].ranges;
    for (size_t i = 0; i < q->results.n; i++) {
        const char *result = (const char *)q->results.counts + i * q->results.size;
        const judged of = {&about->facts[i / q->columns], dtype, ranged ? about->inside[i] : 0};
        if (!builtins[q->function].is_right(&of, result)) {
            print_wrong(q, about, what, i);
            return false;
        }
    }
    test_counts guards = q->results; /* the results are checked already: now their guards */
    uint64_t *same = allocate(guards.n, sizeof *same);
    for (size_t i = 0; i < guards.n; i++)
        memcpy(&same[i], (const char *)guards.counts + i * guards.size, guards.size);
    bool right = test_counts_right(&guards, same, what, &about->array.rows, NULL, 0);
    free(same);
    return right;
}

static void end(question *q, const subject *about, const test_pool *target)
{
    char what[128];
    bool async = q->job != NULL;
    if (async)
        q->status = rowpool_job_wait(q->job, -1, &q->error);
    rowpool_job_release(q->job);
    snprintf(what, sizeof what, "%s, %s", target->what, async ? "asynchronous" : "synchronous");
    bool right = q->status == ROWPOOL_OK;
    if (!right)
        fprintf(stderr, "%s: %s of %s: %s: %s\n", what, builtins[q->function].name, test_name(about->array.rows.dtype),
                rowpool_status_name(q->status), q->error.message);
    else
        right = results_are_right(q, about, what);
    cases++;
    wrong += !right;
    test_counts_free(&q->results);
}

/* ---- The share of each pool ------------------------------------------------------------------------------------- */

enum { MAX_POOLS = 1024, PAIRS = BUILTINS * TEST_DTYPES };
static bool asked_pairs[MAX_POOLS][PAIRS];

static size_t pair_of(size_t function, rowpool_dtype dtype)
{
    return function * TEST_DTYPES + (size_t)dtype;
}

static size_t one_pair_in(void)
{
    size_t one_in = test_setting("ROWPOOL_TEST_PAIRS", 1);
    return one_in > 0 ? one_in : 1;
}

static bool is_in_share(size_t pair)
{
    static size_t one_in, from;
    if (one_in == 0) {
        one_in = one_pair_in();
        from = test_setting("ROWPOOL_TEST_PAIRS_FROM", 0) % one_in;
    }
    return pair % one_in == from;
}

/* Whether a device of the pool builds programs, in this process or in a helper. */
static bool is_opencl(const test_pool *target)
{
    rowpool_device devices[64];
    size_t count;
    if (rowpool_devices(target->pool, devices, COUNT_OF(devices), &count, NULL) != ROWPOOL_OK)
        return false;
    for (size_t i = 0; i < count && i < COUNT_OF(devices); i++)
        if (devices[i].in_use && devices[i].type != ROWPOOL_DEVICE_FORK && devices[i].type != ROWPOOL_DEVICE_HOST)
            return true;
    return false;
}

/* Whether to test this function and dtype on a pool. An OpenCL device builds a program for each pair; further pools on
 * the same device, which differ in chunk size only, share the pairs of the first. */
static bool is_taken(size_t s, size_t function, rowpool_dtype dtype)
{
    static char known[MAX_POOLS]; /* 'o' OpenCL, 'n' not */
    size_t pair = pair_of(function, dtype);
    if (known[s] == '\0')
        known[s] = is_opencl(test_pool_at(s)) ? 'o' : 'n';
    return known[s] == 'n' || (is_in_share(pair) && (s == 0 || (pair / one_pair_in() + s) % 5 == 0));
}

static bool takes_some(size_t s, rowpool_dtype dtype)
{
    size_t f = 0;
    while (f < BUILTINS && !is_taken(s, f, dtype))
        f++;
    return f < BUILTINS;
}

/* Calls all functions on one array, one at a time or all in flight at once. */
static void ask(test_random *random, const subject *about, size_t s, bool async)
{
    const test_pool *target = test_pool_at(s);
    question questions[BUILTINS];
    size_t n = 0;
    for (size_t f = 0; f < BUILTINS; f++) {
        if (!is_taken(s, f, about->array.rows.dtype))
            continue;
        asked_pairs[s][pair_of(f, about->array.rows.dtype)] = true;
        begin(&questions[n], random, about, target->pool, f, async);
        if (async)
            n++;
        else
            end(&questions[n], about, target);
    }
    for (size_t i = 0; i < n; i++)
        end(&questions[i], about, target);
}

/* Tests one array on every pool that is due; the reference is computed once. */
static void ask_pools(test_random *random, test_array array, const bool *due, size_t turn)
{
    static const size_t range_counts[] = {1, 0, 2, 7, 1, 3, MAX_RANGES};
    subject about = make_subject(random, array, range_counts[turn % COUNT_OF(range_counts)]);
    for (size_t s = 0; s < test_pools(); s++)
        if (due[s])
            ask(random, &about, s, (turn + s) % 3 == 0);
    free_subject(&about);
}

/* ---- The list of functions -------------------------------------------------------------------------------------- */

TEST(the_names_are_known)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        assert_non_null(rowpool_builtin_name(i));
        assert_string_equal(rowpool_builtin_name(i), builtins[i].name);
        assert_non_null(rowpool_builtin(builtins[i].name));
        assert_string_equal(rowpool_builtin(builtins[i].name)->name, builtins[i].name);
    }
    assert_null(rowpool_builtin_name(BUILTINS));
    assert_null(rowpool_builtin_name(SIZE_MAX));
    static const char *const none[] = {"", "Sum", "sum ", "su", "sums", "count32", "argmi"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_null(rowpool_builtin(none[i]));
    assert_null(rowpool_builtin(NULL));
}

TEST(the_builtins_describe_themselves)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        const rowpool_function *function = rowpool_builtin(builtins[i].name);
        assert_int_equal(function->size, sizeof *function);
        assert_int_equal(function->form, ROWPOOL_FOLD);
        assert_true(function->ranges == builtins[i].ranges);
        assert_true(function->n_inputs <= 1);
        assert_non_null(function->source);
        for (int d = 0; d < TEST_DTYPES; d++) {
            const rowpool_compiled *compiled = function->compiled[d];
            rowpool_dtype gives = result_dtype(i, (rowpool_dtype)d);
            assert_non_null(compiled);
            assert_int_equal(compiled->result_dtype, gives + 1);
            assert_int_equal(compiled->result_size, test_size(gives));
            assert_int_equal(test_size(gives) % compiled->result_alignment, 0);
            assert_true(compiled->accumulator_size > 0); /* rows can be split */
            assert_true(!function->ranges || compiled->arguments_size == 2 * test_size((rowpool_dtype)d));
        }
    }
}

/* ---- Given shapes ----------------------------------------------------------------------------------------------- */

static const size_t widths[] = {0, 1, 2, 3, 5, 8, 17, 24, 25, 33, 64, 127, 255, 256, 513, 1000, 4097, 20000, 70000};
static const size_t row_counts[] = {0, 1, 2, 3, 64, 65, 300};

/* Selects pools for this array in turn: all of them would take minutes. */
static bool find_due(bool *due, rowpool_dtype dtype, size_t elements, size_t turn)
{
    bool some = false;
    for (size_t s = 0; s < test_pools(); s++) {
        due[s] = (turn + s) % 5 == 0 && takes_some(s, dtype) && test_pool_due(test_pool_at(s), elements);
        some |= due[s];
    }
    return some;
}

TEST(given_shapes)
{
    test_random random = test_random_begin(31);
    static bool due[MAX_POOLS];
    size_t turn = 0, large = 0;
    for (int d = 0; d < TEST_DTYPES; d++)
        for (int layout = 0; layout < TEST_LAYOUTS; layout++)
            for (size_t i = 0; i < COUNT_OF(widths); i++)
                for (size_t j = 0; j < COUNT_OF(row_counts); j++) {
                    size_t elements = widths[i] * row_counts[j];
                    if ((elements > 2000 && large++ % 11 != 0) || !find_due(due, (rowpool_dtype)d, elements, turn++))
                        continue;
                    ask_pools(&random,
                              test_array_make(&random, (rowpool_dtype)d, (test_layout)layout, row_counts[j], widths[i],
                                              turn % 3),
                              due, turn);
                }
    test_pools_conclude("given shapes", &cases, &wrong);
}

/* Ragged rows of one width only, or of two very different ones. */
TEST(ragged_extremes)
{
    enum { ROWS = 700 };
    static const struct {
        size_t count, typical, every, other; /* every `every`-th row has `other` elements, the rest `typical` */
    } patterns[] = {{ROWS, 0, 1000, 0}, {ROWS, 0, 100, 1}, {ROWS, 1, 2, 0}, {ROWS, 0, 350, 30000}, {3, 0, 3, 70000},
                    {ROWS, 5, 7, 0},    {64, 64, 8, 1000}, {65, 0, 64, 1},  {2, 0, 2, 100},        {1, 0, 10, 0},
                    {33, 3, 33, 65536}, {12, 1, 12, 2},    {20, 0, 19, 3}};
    test_random random = test_random_begin(32);
    static bool due[MAX_POOLS];
    size_t turn = 0;
    for (size_t p = 0; p < COUNT_OF(patterns); p++)
        for (int d = 0; d < TEST_DTYPES; d++) {
            size_t given[ROWS], elements = 0;
            for (size_t i = 0; i < patterns[p].count; i++) {
                given[i] = (i + 1) % patterns[p].every == 0 ? patterns[p].other : patterns[p].typical;
                elements += given[i];
            }
            /* With tiny chunks empty rows take time too. */
            if (!find_due(due, (rowpool_dtype)d, elements + patterns[p].count / 4, turn++))
                continue;
            ask_pools(&random, test_array_of_widths(&random, (rowpool_dtype)d, given, patterns[p].count, turn % 3), due,
                      turn);
        }
    test_pools_conclude("ragged extremes", &cases, &wrong);
}

/* ---- Huge rows -------------------------------------------------------------------------------------------------- */

/* On every pool that takes large arrays. */
TEST(huge_rows)
{
    static const struct {
        int dtype; /* -1: all */
        size_t widths[3];
    } shapes[] = {{-1, {100003, 0, 150000}}, {ROWPOOL_INT8, {5000011, 1, 0}}, {ROWPOOL_FLOAT32, {7, 3000017, 0}}};
    test_random random = test_random_begin(33);
    static bool due[MAX_POOLS];
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        for (int d = 0; d < TEST_DTYPES; d++) {
            bool some = false;
            if (shapes[i].dtype != -1 && shapes[i].dtype != d)
                continue;
            for (size_t s = 0; s < test_pools(); s++) {
                due[s] = takes_some(s, (rowpool_dtype)d) && test_pool_due(test_pool_at(s), 1000000);
                some |= due[s];
            }
            if (some)
                ask_pools(&random,
                          test_array_of_widths(&random, (rowpool_dtype)d, shapes[i].widths, COUNT_OF(shapes[i].widths),
                                               (size_t)test_below(&random, 4)),
                          due, (size_t)d + i);
        }
    test_pools_conclude("huge rows", &cases, &wrong);
}

/* ---- Recurring widths ------------------------------------------------------------------------------------------- */

/* The first dtype for which OpenCL devices run this function; TEST_DTYPES: none. */
static int dtype_in_share(size_t function)
{
    int dtype = 0;
    while (dtype < TEST_DTYPES && !is_in_share(pair_of(function, (rowpool_dtype)dtype)))
        dtype++;
    return dtype;
}

/* The last case is too large for the host shortcut. */
static void ask_widths(test_random *random, const test_pool *target, size_t function, rowpool_dtype dtype, size_t width)
{
    const size_t counts[] = {1, 64, 129, 6000, width < 3 ? 100001 : 40001};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        subject about = make_subject(random, test_array_make(random, dtype, TEST_DENSE, counts[i], width, i),
                                     1 + i % 4);
        question q;
        begin(&q, random, &about, target->pool, function, i % 2 != 0);
        end(&q, &about, target);
        free_subject(&about);
    }
}

/* A device may build a program for a width that it has met often enough: enough bytes of zeros make it do so. The
 * functions are divided among the devices; the pools wait for what they build. */
TEST(a_recurring_width_is_specialised)
{
    enum { BYTES = 9000000, WIDTH = 5, RESULT = 8 };
    test_random random = test_random_begin(34);
    size_t devices[MAX_POOLS], n_devices = 0, turn = 0;
    for (size_t s = 0; s < test_pools(); s++)
        if (test_pool_fits(test_pool_at(s), 1000000) && is_opencl(test_pool_at(s)))
            devices[n_devices++] = s;
    if (n_devices == 0)
        skip_since("no pool has an OpenCL device");
    char *zeros = allocate(BYTES, 1), *ignored = allocate(BYTES / WIDTH, RESULT);
    const bool copies = getenv("ROWPOOL_TEST") != NULL; /* this test runs with the word copy, too */
    setenv("ROWPOOL_TEST", copies ? "copy,build-wait" : "build-wait", 1);
    for (size_t f = 0; f < BUILTINS; f++) {
        if (dtype_in_share(f) == TEST_DTYPES)
            continue;
        rowpool_dtype dtype = (rowpool_dtype)dtype_in_share(f);
        test_pool target = *test_pool_at(devices[turn++ % n_devices]);
        rowpool_options options = {.size = sizeof options, .device = target.device};
        size_t count = BYTES / WIDTH / test_size(dtype);
        rowpool_rows rows = {.data = zeros, .dtype = dtype, .count = count, .width = WIDTH};
        rowpool_call call = {.size = sizeof call,
                             .function = rowpool_builtin(builtins[f].name),
                             .inputs = &rows,
                             .results = ignored,
                             .results_size = count * test_size(result_dtype(f, dtype))};
        rowpool_error error;
        assert_ok(rowpool_open(&target.pool, &options, &error), error);
        assert_ok(rowpool_map(target.pool, &call, &error), error);
        ask_widths(&random, &target, f, dtype, WIDTH);
        rowpool_close(target.pool);
    }
    setenv("ROWPOOL_TEST", copies ? "copy" : "", 1);
    free(zeros);
    free(ignored);
    test_pools_conclude("a width that comes again", &cases, &wrong);
}

/* ---- Random arrays ---------------------------------------------------------------------------------------------- */

TEST(random_arrays)
{
    test_random random = test_random_begin(35);
    static bool due[MAX_POOLS];
    size_t n = test_setting("ROWPOOL_TEST_CASES", 4000);
    for (size_t i = 0; i < n; i++) {
        size_t s = (size_t)test_below(&random, test_pools());
        bool tiny = test_pool_at(s)->max_elements <= 64;
        size_t count = (size_t)test_below(&random, tiny ? 6 : 40), width = (size_t)test_below(&random, tiny ? 6 : 40);
        test_array array = test_array_make(&random, (rowpool_dtype)test_below(&random, TEST_DTYPES),
                                           (test_layout)test_below(&random, TEST_LAYOUTS), count, width,
                                           (size_t)test_below(&random, 4));
        memset(due, 0, sizeof due);
        due[s] = true;
        ask_pools(&random, array, due, (size_t)test_below(&random, 1000));
    }
    test_pools_conclude("random arrays", &cases, &wrong);
}

/* ---- Histograms ------------------------------------------------------------------------------------------------- */

static int compare_edges(const void *a, const void *b)
{
    test_place x, y;
    test_place_number(*(const rowpool_number *)a, &x);
    test_place_number(*(const rowpool_number *)b, &y);
    return (x > y) - (x < y);
}

/* By definition: bin k is [edges[k], edges[k + 1]), the last bin is closed. */
static void expect_bins(const rowpool_rows *rows, const rowpool_number *edges, size_t n_edges, uint64_t *expected)
{
    size_t bins = n_edges - 1;
    memset(expected, 0, rows->count * bins * sizeof *expected);
    for (size_t i = 0; i < rows->count; i++)
        for (size_t j = test_row_begin(rows, i); j < test_row_begin(rows, i) + test_row_width(rows, i); j++) {
            test_place x, lower, upper;
            if (!test_place_element(rows->dtype, test_load(rows->dtype, rows->data, j), &x))
                continue;
            for (size_t k = 0; k < bins; k++) {
                test_place_number(edges[k], &lower);
                test_place_number(edges[k + 1], &upper);
                expected[i * bins + k] += lower <= x && (x < upper || (k + 1 == bins && x == upper));
            }
        }
}

static void check_histogram(const test_pool *target, const rowpool_rows *rows, const rowpool_number *edges,
                            size_t n_edges, size_t shift)
{
    uint64_t *expected = allocate(rows->count * (n_edges - 1), sizeof *expected);
    test_counts counts = test_counts_make(rows->count * (n_edges - 1), sizeof(uint32_t), shift);
    rowpool_range bins[MAX_RANGES]; /* for messages only */
    rowpool_error error = test_error_fresh();
    for (size_t k = 0; k + 1 < n_edges; k++)
        bins[k] = (rowpool_range){edges[k], edges[k + 1], k + 2 < n_edges ? ROWPOOL_CLOSED_LEFT : ROWPOOL_CLOSED_BOTH};
    expect_bins(rows, edges, n_edges, expected);
    bool right = rowpool_histogram(target->pool, rows, edges, n_edges, counts.counts, &error) == ROWPOOL_OK;
    if (!right)
        fprintf(stderr, "%s: histogram of %s: %s\n", target->what, test_name(rows->dtype), error.message);
    else
        right = test_counts_right(&counts, expected, target->what, rows, bins, n_edges - 1);
    cases++;
    wrong += !right;
    test_counts_free(&counts);
    free(expected);
}

/* Edges of mixed kinds near the elements, some of them twice. */
TEST(histograms)
{
    test_random random = test_random_begin(36);
    size_t n = test_setting("ROWPOOL_TEST_CASES", 4000) / 4;
    for (size_t i = 0; i < n; i++) {
        size_t s = (size_t)test_below(&random, test_pools());
        rowpool_dtype dtype = (rowpool_dtype)test_below(&random, TEST_DTYPES);
        const test_pool *target = test_pool_at(s);
        bool tiny = target->max_elements <= 64, long_row = target->max_elements >= 100000 && test_chance(&random, 20);
        test_array array = test_array_make(&random, dtype, (test_layout)test_below(&random, TEST_LAYOUTS),
                                           (size_t)test_below(&random, tiny ? 6 : 30),
                                           long_row ? 2000 : (size_t)test_below(&random, tiny ? 6 : 40), i % 3);
        rowpool_number edges[MAX_RANGES];
        size_t n_edges = 2 + (size_t)test_below(&random, test_chance(&random, 5) ? MAX_RANGES - 1 : 6);
        fill(&random, &array);
        for (size_t k = 0; k < n_edges; k++) {
            rowpool_range near = test_range_for(&random, &array.rows);
            edges[k] = k > 0 && test_chance(&random, 5) ? edges[k - 1] : near.lo;
        }
        qsort(edges, n_edges, sizeof *edges, compare_edges);
        if (is_taken(s, 0, dtype)) /* a histogram is a count of several ranges */
            check_histogram(target, &array.rows, edges, n_edges, i % 4);
        test_array_free(&array);
    }
    test_pools_conclude("histograms", &cases, &wrong);
}

/* ---- Refused calls ---------------------------------------------------------------------------------------------- */

enum { ROWS = 100, WIDTH = 5, PLACE = 8 * ROWS, UNTOUCHED = 0x3c };
static int32_t digits[ROWS * WIDTH];
static const rowpool_rows digit_rows = {.data = digits, .dtype = ROWPOOL_INT32, .count = ROWS, .width = WIDTH};
static const rowpool_range one_range[] = {{{ROWPOOL_NUMBER_I64, {4}}, {ROWPOOL_NUMBER_I64, {8}}, ROWPOOL_CLOSED_BOTH}};
static _Alignas(16) unsigned char place[PLACE + 16];

static void never(rowpool_job *job, rowpool_status status, const rowpool_error *error, void *payload)
{
    (void)job, (void)status, (void)error;
    *(bool *)payload = true;
}

/* Both forms of the call refuse it alike, with an error struct and without, and write nothing. */
static void refused_on(rowpool *pool, const rowpool_call *call, const char *text)
{
    rowpool_error error;
    bool called = false;
    rowpool_job *job = (rowpool_job *)(uintptr_t)16;
    memset(place, UNTOUCHED, sizeof place);
    assert_refused(rowpool_map(pool, call, &error), ROWPOOL_EINVAL, error, text);
    assert_refused(rowpool_map_async(pool, call, never, &called, &job, &error), ROWPOOL_EINVAL, error, text);
    assert_null(job);
    assert_int_equal(rowpool_map(pool, call, NULL), ROWPOOL_EINVAL);
    assert_int_equal(rowpool_map_async(pool, call, never, &called, NULL, NULL), ROWPOOL_EINVAL);
    assert_false(called);
    for (size_t i = 0; i < sizeof place; i++)
        assert_int_equal(place[i], UNTOUCHED);
}

static void refused(const rowpool_call *call, const char *text)
{
    for (size_t s = 0; s < test_pools(); s++)
        refused_on(test_pool_at(s)->pool, call, text);
}

/* A valid call. */
static rowpool_call good_call(const char *name)
{
    return (rowpool_call){.size = sizeof(rowpool_call),
                          .function = rowpool_builtin(name),
                          .inputs = &digit_rows,
                          .results = place,
                          .results_size = PLACE};
}

/* The calls below are refused for what they change: unchanged, the call succeeds, and the pool still works. */
TEST(a_good_call_is_not_refused)
{
    for (size_t s = 0; s < test_pools(); s++)
        for (size_t i = 0; i < BUILTINS; i++) {
            rowpool_call call = good_call(builtins[i].name);
            rowpool_error error;
            if (!is_taken(s, i, ROWPOOL_INT32) || !test_pool_fits(test_pool_at(s), (size_t)ROWS * WIDTH))
                continue;
            assert_ok(rowpool_map(test_pool_at(s)->pool, &call, &error), error);
            assert_int_equal(rowpool_map(test_pool_at(s)->pool, &call, NULL), ROWPOOL_OK);
        }
}

TEST(calls_of_another_size_are_refused)
{
    static const size_t sizes[] = {0, 1, sizeof(rowpool_call) - 1, sizeof(rowpool_call) + 8, SIZE_MAX};
    rowpool_call call = good_call("sum");
    refused_on(NULL, &call, "pool is NULL");
    refused(NULL, "call is NULL");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char text[64];
        call.size = sizes[i];
        snprintf(text, sizeof text, "call.size is %zu;", sizes[i]);
        refused(&call, text);
    }
}

TEST(wrong_functions_are_refused)
{
    static const size_t sizes[] = {0, sizeof(rowpool_function) - 8, sizeof(rowpool_function) + 8};
    rowpool_call call = good_call("sum");
    call.function = NULL;
    refused(&call, "call.function is NULL");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        rowpool_function function = *rowpool_builtin("sum");
        char text[64];
        function.size = sizes[i];
        call.function = &function;
        snprintf(text, sizeof text, "function.size is %zu;", sizes[i]);
        refused(&call, text);
    }
}

TEST(wrong_inputs_are_refused)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        rowpool_call call = good_call(builtins[i].name);
        char text[64];
        call.inputs = NULL;
        refused(&call, "call.inputs is NULL");
        call = good_call(builtins[i].name);
        call.n_inputs = 2;
        snprintf(text, sizeof text, "%s takes 1 input", builtins[i].name);
        refused(&call, text);
        refused(&call, "call.n_inputs is 2");
        call.n_inputs = SIZE_MAX;
        refused(&call, text);
    }
    static const int64_t decreasing[] = {0, 5, 3, 8};
    rowpool_call call = good_call("max");
    rowpool_rows rows = digit_rows;
    call.inputs = &rows;
    rows.dtype = (rowpool_dtype)TEST_DTYPES;
    refused(&call, "rows.dtype is 11");
    rows = digit_rows;
    rows.data = (const char *)digits + 2;
    refused(&call, "rows.data is not aligned");
    rows.data = NULL;
    refused(&call, "rows.data is NULL");
    rows = digit_rows;
    rows.stride = WIDTH - 1;
    refused(&call, "rows.stride");
    rows = (rowpool_rows){.data = digits, .dtype = ROWPOOL_INT32, .count = 3, .offsets = decreasing};
    refused(&call, "rows.offsets[2]");
}

static void write_first(const rowpool_row *row, size_t index, const void *arguments, void *result)
{
    (void)row, (void)index, (void)arguments;
    memset(result, 0, sizeof(int64_t));
}

TEST(wrong_arguments_are_refused)
{
    static const char arguments[24];
    rowpool_function function = {.size = sizeof function,
                                 .name = "plain",
                                 .row = write_first,
                                 .arguments_size = 8,
                                 .result_size = sizeof(int64_t)};
    rowpool_call call = good_call("sum");
    call.function = &function;
    call.allow_host = true;
    call.arguments = arguments;
    static const size_t sizes[] = {1, 7, 9, 12, 23, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char text[128];
        call.arguments_size = sizes[i];
        snprintf(text, sizeof text, "call.arguments_size is %zu: it must be a multiple of the 8 bytes", sizes[i]);
        refused(&call, text);
        refused(&call, "plain");
    }
    for (size_t i = 0; i < BUILTINS; i++) {
        if (builtins[i].ranges)
            continue;
        call = good_call(builtins[i].name);
        call.arguments = arguments;
        refused(&call, "call.arguments_size is 0");
        call.arguments = NULL;
        call.arguments_size = 1;
        refused(&call, "call.arguments is NULL, but call.arguments_size is 1");
    }
}

TEST(unexpected_ranges_are_refused)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        rowpool_call call = good_call(builtins[i].name);
        char text[64];
        if (builtins[i].ranges)
            continue;
        snprintf(text, sizeof text, "%s takes no ranges", builtins[i].name);
        call.ranges = one_range;
        call.n_ranges = 1;
        refused(&call, text);
        call.n_ranges = 0;
        refused(&call, text);
        call.ranges = NULL;
        call.n_ranges = 1;
        refused(&call, text);
    }
}

TEST(wrong_ranges_are_refused)
{
    static const char arguments[8];
    for (size_t i = 0; i < BUILTINS; i++) {
        rowpool_call call = good_call(builtins[i].name);
        rowpool_range ranges[] = {rowpool_range_i64(4, 8), rowpool_range_f64(0, 1)};
        char text[64];
        if (!builtins[i].ranges)
            continue;
        snprintf(text, sizeof text, "%s takes ranges, not arguments", builtins[i].name);
        call.arguments = arguments;
        call.arguments_size = sizeof arguments;
        refused(&call, text);
        call.ranges = ranges;
        call.n_ranges = 1;
        refused(&call, text);
        call = good_call(builtins[i].name);
        call.n_ranges = 1;
        refused(&call, "ranges is NULL, but n_ranges is 1");
        call.ranges = ranges;
        call.n_ranges = 0;
        refused(&call, "n_ranges is 0");
        call.n_ranges = 2;
        ranges[1].lo.value.f64 = (double)NAN;
        refused(&call, "ranges[1].lo");
        ranges[1] = rowpool_range_f64(0, (double)NAN);
        refused(&call, "ranges[1].hi");
        ranges[1] = ranges[0];
        ranges[0].closed = (rowpool_closed)9;
        refused(&call, "ranges[0].closed");
        ranges[0] = ranges[1];
        ranges[1].hi.kind = (rowpool_number_kind)3;
        refused(&call, "ranges[1].hi");
    }
}

TEST(results_without_enough_space_are_refused)
{
    static const rowpool_range ranges[3];
    static const unsigned char arguments[3];
    for (size_t i = 0; i < BUILTINS; i++) {
        rowpool_call call = good_call(builtins[i].name);
        size_t size = test_size(result_dtype(i, ROWPOOL_INT32));
        char text[128];
        call.results = NULL;
        refused(&call, "call.results is NULL");
        call.results = place;
        for (size_t columns = 1; columns <= 3; columns += 2) {
            size_t needed = ROWS * columns * size;
            const size_t sizes[] = {0, 1, needed - size, needed - 1};
            if (columns > 1 && builtins[i].ranges) {
                call.ranges = ranges;
                call.n_ranges = columns;
            } else if (columns > 1) {
                call.arguments = arguments;
                call.arguments_size = columns;
            }
            for (size_t k = 0; k < COUNT_OF(sizes); k++) {
                call.results_size = sizes[k];
                snprintf(text, sizeof text, "call.results_size is %zu: %d rows with %zu results of %zu bytes", sizes[k],
                         ROWS, columns, size);
                refused(&call, text);
                snprintf(text, sizeof text, "need %zu", needed);
                refused(&call, text);
            }
        }
    }
}

TEST(misaligned_results_are_refused)
{
    for (size_t i = 0; i < BUILTINS; i++)
        for (int d = 0; d < TEST_DTYPES; d++) {
            static const uint64_t data[WIDTH];
            const rowpool_rows rows = {.data = data, .dtype = (rowpool_dtype)d, .count = 1, .width = WIDTH};
            rowpool_call call = good_call(builtins[i].name);
            size_t size = test_size(result_dtype(i, (rowpool_dtype)d));
            call.inputs = &rows;
            call.results_size = size;
            for (size_t shift = 1; shift < size; shift++) {
                char text[64];
                call.results = place + shift;
                snprintf(text, sizeof text, "call.results is not aligned to %zu bytes", size);
                refused_on(test_pool_at(0)->pool, &call, text);
            }
        }
}

/* The addresses are never read: the calls are refused before. */
TEST(sizes_beyond_memory_are_refused)
{
    rowpool_rows rows = {.data = digits, .dtype = ROWPOOL_INT8, .count = 1, .width = (size_t)UINT32_MAX + 1};
    rowpool_call call = good_call("count");
    call.inputs = &rows;
    refused(&call, "4294967296");
    rows = (rowpool_rows){.dtype = ROWPOOL_INT8, .count = SIZE_MAX / 8};
    call = good_call("sum");
    call.inputs = &rows;
    call.results_size = SIZE_MAX - 1;
    refused(&call, "more than memory can hold");
}

TEST(bad_edges_are_refused)
{
    const double nan = (double)NAN;
    const rowpool_number good[] = {test_i64(1), test_f64(2.5), test_u64(7)};
    const rowpool_number falling[] = {test_i64(1), test_u64(7), test_f64(6.5)};
    const rowpool_number hardly[] = {test_i64((INT64_C(1) << 53) + 1), test_f64(0x1p53)};
    const rowpool_number below_zero[] = {test_u64(UINT64_MAX), test_i64(-1)};
    const rowpool_number no_number[][3] = {{test_f64(nan), test_i64(1), test_i64(2)},
                                           {test_i64(0), test_f64(nan), test_i64(2)},
                                           {test_i64(0), test_i64(1), test_f64(nan)}};
    rowpool_number no_kind[] = {test_i64(0), test_i64(1)};
    uint32_t *counts = (uint32_t *)(void *)place;
    rowpool_error error;
    no_kind[1].kind = (rowpool_number_kind)3;
    memset(place, UNTOUCHED, sizeof place);
    for (size_t s = 0; s < test_pools(); s++) {
        rowpool *pool = test_pool_at(s)->pool;
#define assert_edges_refused(edges, n, text)                                                                         \
    do {                                                                                                             \
        assert_refused(rowpool_histogram(pool, &digit_rows, edges, n, counts, &error), ROWPOOL_EINVAL, error, text); \
        assert_int_equal(rowpool_histogram(pool, &digit_rows, edges, n, counts, NULL), ROWPOOL_EINVAL);              \
    } while (0)
        assert_edges_refused(NULL, 3, "edges is NULL");
        assert_edges_refused(NULL, 0, "edges");
        assert_edges_refused(good, 0, "n_edges is 0");
        assert_edges_refused(good, 1, "n_edges is 1");
        assert_edges_refused(falling, 3, "edges[2]");
        assert_edges_refused(hardly, 2, "edges[1]");
        assert_edges_refused(below_zero, 2, "edges[1]");
        assert_edges_refused(no_kind, 2, "edges[1]");
        for (size_t i = 0; i < COUNT_OF(no_number); i++)
            assert_edges_refused(no_number[i], 3, "edges[");
#undef assert_edges_refused
        assert_refused(rowpool_histogram(pool, NULL, good, 3, counts, &error), ROWPOOL_EINVAL, error, "rows is NULL");
        assert_refused(rowpool_histogram(pool, &digit_rows, good, 3, NULL, &error), ROWPOOL_EINVAL, error,
                       "counts is NULL");
    }
    assert_refused(rowpool_histogram(NULL, &digit_rows, good, 3, counts, &error), ROWPOOL_EINVAL, error,
                   "pool is NULL");
    for (size_t i = 0; i < sizeof place; i++)
        assert_int_equal(place[i], UNTOUCHED);
}

/* ---- The number of programs ------------------------------------------------------------------------------------- */

static bool builds_programs(const rowpool *pool)
{
    for (size_t i = 0; i < pool->devices.used; i++)
        if (pool->devices.items[i].backend != &rp_backend_fork && pool->devices.items[i].backend != &rp_backend_host)
            return true;
    return false;
}

/* Devices that build programs, whatever their name, ran their share of the pairs and no more. */
TEST(devices_that_build_run_their_share)
{
    size_t share = 0;
    for (size_t pair = 0; pair < PAIRS; pair++)
        share += is_in_share(pair);
    for (size_t s = 0; s < test_pools(); s++) {
        size_t n = 0;
        for (size_t pair = 0; pair < PAIRS; pair++)
            n += asked_pairs[s][pair];
        bool builds = builds_programs(test_pool_at(s)->pool);
        printf("%s: ran %zu of %d pairs\n", test_pool_at(s)->what, n, PAIRS);
        assert_in_range(n, builds && s > 0 ? 0 : 1, builds ? share : PAIRS);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_are_known),
        cmocka_unit_test(the_builtins_describe_themselves),
        cmocka_unit_test(given_shapes),
        cmocka_unit_test(ragged_extremes),
        cmocka_unit_test(huge_rows),
        cmocka_unit_test(a_recurring_width_is_specialised),
        cmocka_unit_test(random_arrays),
        cmocka_unit_test(histograms),
        cmocka_unit_test(a_good_call_is_not_refused),
        cmocka_unit_test(calls_of_another_size_are_refused),
        cmocka_unit_test(wrong_functions_are_refused),
        cmocka_unit_test(wrong_inputs_are_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(unexpected_ranges_are_refused),
        cmocka_unit_test(wrong_ranges_are_refused),
        cmocka_unit_test(results_without_enough_space_are_refused),
        cmocka_unit_test(misaligned_results_are_refused),
        cmocka_unit_test(sizes_beyond_memory_are_refused),
        cmocka_unit_test(bad_edges_are_refused),
        cmocka_unit_test(devices_that_build_run_their_share),
    };
    test_seed();
    test_pools_open(argc, argv);
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    test_pools_close();
    return failures;
}
