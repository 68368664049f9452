/* The benchmark's element types, once, and the row loop that the peers written in C share.
 *
 * The benchmark stands on the public header alone, so it has a table of its own. Everything that differs from one type
 * to the next is derived from it: filling, the serial loop, the OpenMP loop. */
#ifndef BENCH_DTYPES_H
#define BENCH_DTYPES_H

#include <stddef.h>
#include <stdint.h>

/* X(name after ROWPOOL_, C type that stores an element, how it is made and compared) */
#define BENCH_DTYPES(X)        \
    X(INT8, int8_t, PLAIN)     \
    X(INT16, int16_t, PLAIN)   \
    X(INT32, int32_t, PLAIN)   \
    X(INT64, int64_t, PLAIN)   \
    X(UINT8, uint8_t, PLAIN)   \
    X(UINT16, uint16_t, PLAIN) \
    X(UINT32, uint32_t, PLAIN) \
    X(UINT64, uint64_t, PLAIN) \
    X(FLOAT16, uint16_t, HALF) \
    X(FLOAT32, float, PLAIN)   \
    X(FLOAT64, double, PLAIN)

/* BENCH_FROM_*: the element that holds a digit 0..9. BENCH_KEY_*: what of an element is compared; keys keep the order
 * of the elements and have the same C type. */
#define BENCH_FROM_PLAIN(type, digit) ((type)(digit))
#define BENCH_KEY_PLAIN(element) (element)
#define BENCH_FROM_HALF(type, digit) bench_half_from_digit(digit)
#define BENCH_KEY_HALF(element) bench_half_key(element)

static inline uint16_t bench_half_from_digit(int digit)
{
    static const uint16_t halves[10] = {0,      0x3c00, 0x4000, 0x4200, 0x4400, /* 0 1 2 3 4 */
                                        0x4500, 0x4600, 0x4700, 0x4800, 0x4880 /* 5 6 7 8 9 */};

    return halves[digit];
}

/* Not every compiler has a half type, and comparing bits is also the quicker way where the processor has none:
 * negative numbers count downwards, so all their bits are flipped; of the others only the sign. */
static inline uint16_t bench_half_key(uint16_t bits)
{
    uint32_t flip = (0u - ((uint32_t)bits >> 15)) | 0x8000u;

    return (uint16_t)(bits ^ flip);
}

/* bench_row_INT8 and so on: what a C programmer writes who learns the width when the program runs. */
#define BENCH_ROW(name, type, kind)                                                          \
    static inline uint32_t bench_row_##name(const type *row, size_t width, type lo, type hi) \
    {                                                                                        \
        uint32_t count = 0;                                                                  \
                                                                                             \
        for (size_t j = 0; j < width; j++) {                                                 \
            type key = BENCH_KEY_##kind(row[j]);                                             \
            count += key >= lo && key <= hi;                                                 \
        }                                                                                    \
        return count;                                                                        \
    }
BENCH_DTYPES(BENCH_ROW)
#undef BENCH_ROW

#endif
