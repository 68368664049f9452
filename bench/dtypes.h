/* The element types. All code that depends on the type is generated from this table. */
#ifndef BENCH_DTYPES_H
#define BENCH_DTYPES_H

#include <rowpool.h>
#include <stdint.h>

/* X(extra, name after ROWPOOL_, C type that stores an element, kind: which BENCH_FROM_ and BENCH_KEY_ apply) */
#define BENCH_DTYPES(X, extra)        \
    X(extra, INT8, int8_t, PLAIN)     \
    X(extra, INT16, int16_t, PLAIN)   \
    X(extra, INT32, int32_t, PLAIN)   \
    X(extra, INT64, int64_t, PLAIN)   \
    X(extra, UINT8, uint8_t, PLAIN)   \
    X(extra, UINT16, uint16_t, PLAIN) \
    X(extra, UINT32, uint32_t, PLAIN) \
    X(extra, UINT64, uint64_t, PLAIN) \
    X(extra, FLOAT16, uint16_t, HALF) \
    X(extra, FLOAT32, float, PLAIN)   \
    X(extra, FLOAT64, double, PLAIN)

enum { BENCH_DTYPE_COUNT = ROWPOOL_FLOAT64 + 1 };

/* BENCH_FROM_*: the element for a digit 0..9. BENCH_KEY_*: the value that is compared, of the element's C type. */
#define BENCH_FROM_PLAIN(type, digit) ((type)(digit))
#define BENCH_KEY_PLAIN(element) (element)
#define BENCH_FROM_HALF(type, digit) bench_half_from_digit(digit)
#define BENCH_KEY_HALF(element) bench_half_key(element)

static inline uint16_t bench_half_from_digit(int digit)
{
    static const uint16_t halves[10] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800, 0x4880};

    return halves[digit];
}

/* An integer in the order of the halves: all bits of a negative number are flipped, and the sign bit of any other. Not
 * every compiler has a half type, and not every CPU can compare halves. */
static inline uint16_t bench_half_key(uint16_t bits)
{
    const uint32_t flip = (0u - ((uint32_t)bits >> 15)) | 0x8000u;

    return (uint16_t)(bits ^ flip);
}

#endif
