/* The words that a row function is written in, read by C and by OpenCL C alike. ROWPOOL_DTYPE is the dtype of the rows:
 * the file of the function is read once for each. See the section "Row functions" of rowpool.h.
 *
 *   element_t            an element as a value: int8_t ... uint64_t, float, double; float16 comes as float
 *   ordered_t            an element as an integer that orders the values: the element itself, or a float's bits, those
 *                        of negative numbers with all but the sign flipped. -0.0 is -1 and +0.0 is 0; NaNs lie beyond
 *                        the infinities, and no device needs half or double for it, or flushes a subnormal
 *   ROW_ORDERED          defined by a fold that takes ordered_t instead of element_t
 *   ROW_COMMUTES         defined by a fold whose combine gives the same in either order (sums of floats: nearly so):
 *                        then elements may be taken out of order, several at a time
 *   ROW_LEAST, ROW_MOST  the ordered_t of the least and the largest number, infinities included
 *   ROW_ORDER(x)         from a float's bits to ordered_t and back again; integers stay
 *   ROW_IS_NUMBER(x)     whether an ordered_t is no NaN
 *   ROW_IS_FLOAT, ROW_IS_SIGNED, ROW_BITS   what the dtype is, also for #if
 *   ROW_BODY             begins a free body, which sees ROW(i), an element of the row (ROW_ORDERED_AT(i): as ordered_t),
 *                        width, index (of the row) and args; of further inputs ROW1(i), width1 ... ROW3(i), width3
 *   ROW_INPUTS           defined by a free body that takes so many inputs
 *   ROW_RANGES           defined by a function that takes ranges: arguments_t is then two ordered_t
 *   ROW_NAME(x)          a name for x that is this instance's own: for functions of the file's that help
 */
#ifndef ROWPOOL_VOCABULARY_H
#define ROWPOOL_VOCABULARY_H

#define ROWPOOL_JOIN_(a, b) a##b
#define ROWPOOL_JOIN(a, b) ROWPOOL_JOIN_(a, b)

/* ---- What each dtype is: ROWPOOL_<what>_<dtype> ----------------------------------------------------------------- */

#define ROWPOOL_VALUE_int8 int8_t
#define ROWPOOL_VALUE_int16 int16_t
#define ROWPOOL_VALUE_int32 int32_t
#define ROWPOOL_VALUE_int64 int64_t
#define ROWPOOL_VALUE_uint8 uint8_t
#define ROWPOOL_VALUE_uint16 uint16_t
#define ROWPOOL_VALUE_uint32 uint32_t
#define ROWPOOL_VALUE_uint64 uint64_t
#define ROWPOOL_VALUE_float16 float
#define ROWPOOL_VALUE_float32 float
#define ROWPOOL_VALUE_float64 double

#define ROWPOOL_ORDERED_int8 int8_t
#define ROWPOOL_ORDERED_int16 int16_t
#define ROWPOOL_ORDERED_int32 int32_t
#define ROWPOOL_ORDERED_int64 int64_t
#define ROWPOOL_ORDERED_uint8 uint8_t
#define ROWPOOL_ORDERED_uint16 uint16_t
#define ROWPOOL_ORDERED_uint32 uint32_t
#define ROWPOOL_ORDERED_uint64 uint64_t
#define ROWPOOL_ORDERED_float16 int16_t
#define ROWPOOL_ORDERED_float32 int32_t
#define ROWPOOL_ORDERED_float64 int64_t

#define ROWPOOL_BITS_int8 8
#define ROWPOOL_BITS_int16 16
#define ROWPOOL_BITS_int32 32
#define ROWPOOL_BITS_int64 64
#define ROWPOOL_BITS_uint8 8
#define ROWPOOL_BITS_uint16 16
#define ROWPOOL_BITS_uint32 32
#define ROWPOOL_BITS_uint64 64
#define ROWPOOL_BITS_float16 16
#define ROWPOOL_BITS_float32 32
#define ROWPOOL_BITS_float64 64

/* 0 signed, 1 unsigned, 2 float */
#define ROWPOOL_KIND_int8 0
#define ROWPOOL_KIND_int16 0
#define ROWPOOL_KIND_int32 0
#define ROWPOOL_KIND_int64 0
#define ROWPOOL_KIND_uint8 1
#define ROWPOOL_KIND_uint16 1
#define ROWPOOL_KIND_uint32 1
#define ROWPOOL_KIND_uint64 1
#define ROWPOOL_KIND_float16 2
#define ROWPOOL_KIND_float32 2
#define ROWPOOL_KIND_float64 2

/* The largest number's ordered_t; for floats the bits of infinity. */
#define ROWPOOL_MOST_int8 127
#define ROWPOOL_MOST_int16 32767
#define ROWPOOL_MOST_int32 2147483647
#define ROWPOOL_MOST_int64 9223372036854775807
#define ROWPOOL_MOST_uint8 255
#define ROWPOOL_MOST_uint16 65535
#define ROWPOOL_MOST_uint32 4294967295u
#define ROWPOOL_MOST_uint64 18446744073709551615u
#define ROWPOOL_MOST_float16 0x7c00
#define ROWPOOL_MOST_float32 0x7f800000
#define ROWPOOL_MOST_float64 0x7ff0000000000000

/* ---- The value of an element as it is stored -------------------------------------------------------------------- */

#if defined(__OPENCL_VERSION__)
#define ROWPOOL_VALUE_OF_float32(bits) as_float(bits)
#define ROWPOOL_VALUE_OF_float64(bits) as_double(bits)
#else
static inline float rowpool_as_float(int32_t bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double rowpool_as_double(int64_t bits)
{
    double value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

#define ROWPOOL_VALUE_OF_float32(bits) rowpool_as_float(bits)
#define ROWPOOL_VALUE_OF_float64(bits) rowpool_as_double(bits)
#endif

/* Half to float, exactly: the exponent is biased anew; a subnormal is a small multiple of 2^-24. */
static inline float rowpool_half(int16_t bits)
{
    int32_t magnitude = bits & 0x7fff;
    int32_t special = magnitude >= 0x7c00 ? 112 << 23 : 0;
    float normal = ROWPOOL_VALUE_OF_float32((magnitude << 13) + (112 << 23) + special);
    float value = magnitude < 0x0400 ? (float)magnitude * 0x1p-24f : normal;
    return bits < 0 ? -value : value;
}

#define ROWPOOL_VALUE_OF_int8(x) (x)
#define ROWPOOL_VALUE_OF_int16(x) (x)
#define ROWPOOL_VALUE_OF_int32(x) (x)
#define ROWPOOL_VALUE_OF_int64(x) (x)
#define ROWPOOL_VALUE_OF_uint8(x) (x)
#define ROWPOOL_VALUE_OF_uint16(x) (x)
#define ROWPOOL_VALUE_OF_uint32(x) (x)
#define ROWPOOL_VALUE_OF_uint64(x) (x)
#define ROWPOOL_VALUE_OF_float16(x) rowpool_half(x)

/* ---- The order of values ---------------------------------------------------------------------------------------- */

#define ROWPOOL_LARGEST(type) ((type)(((uint64_t)1 << (8 * sizeof(type) - 1)) - 1)) /* of a signed type */
#define ROWPOOL_ORDER_0(type, x) (x)
#define ROWPOOL_ORDER_1(type, x) (x)
#define ROWPOOL_ORDER_2(type, x) ((type)((x) ^ (((x) >> (8 * sizeof(type) - 1)) & ROWPOOL_LARGEST(type))))
#define ROWPOOL_IS_NUMBER_0(x) ((void)(x), true)
#define ROWPOOL_IS_NUMBER_1(x) ((void)(x), true)
#define ROWPOOL_IS_NUMBER_2(x) (ROW_LEAST <= (x) && (x) <= ROW_MOST)
#define ROWPOOL_LEAST_0(most) (-(most)-1)
#define ROWPOOL_LEAST_1(most) 0
#define ROWPOOL_LEAST_2(most) (-(most)-1)

/* ---- The words, for the dtype at hand --------------------------------------------------------------------------- */

#define element_t ROWPOOL_JOIN(ROWPOOL_VALUE_, ROWPOOL_DTYPE)
#define ordered_t ROWPOOL_JOIN(ROWPOOL_ORDERED_, ROWPOOL_DTYPE)
#define ROW_BITS ROWPOOL_JOIN(ROWPOOL_BITS_, ROWPOOL_DTYPE)
#define ROW_KIND ROWPOOL_JOIN(ROWPOOL_KIND_, ROWPOOL_DTYPE)
#define ROW_IS_FLOAT (ROW_KIND == 2)
#define ROW_IS_SIGNED (ROW_KIND != 1)
#define ROW_MOST ((ordered_t)ROWPOOL_JOIN(ROWPOOL_MOST_, ROWPOOL_DTYPE))
#define ROW_LEAST ((ordered_t)ROWPOOL_JOIN(ROWPOOL_LEAST_, ROW_KIND)(ROWPOOL_JOIN(ROWPOOL_MOST_, ROWPOOL_DTYPE)))
#define ROW_ORDER(x) ROWPOOL_JOIN(ROWPOOL_ORDER_, ROW_KIND)(ordered_t, x)
#define ROW_IS_NUMBER(x) ROWPOOL_JOIN(ROWPOOL_IS_NUMBER_, ROW_KIND)(x)
#define ROW_VALUE(bits) ROWPOOL_JOIN(ROWPOOL_VALUE_OF_, ROWPOOL_DTYPE)(bits)

#define arguments_t ROW_NAME(arguments_t)
#define accumulator_t ROW_NAME(accumulator_t)
#define result_t ROW_NAME(result_t)
#define narrow_t ROW_NAME(narrow_t)
#define identity ROW_NAME(identity)
#define element ROW_NAME(element)
#define combine ROW_NAME(combine)
#define finish ROW_NAME(finish)
#define narrow ROW_NAME(narrow)
#define combine_narrow ROW_NAME(combine_narrow)
#define widen ROW_NAME(widen)

/* ---- The free body ---------------------------------------------------------------------------------------------- */

/* Elements as they are stored: whatever type the caller's own are. */
#if defined(__OPENCL_VERSION__)
#define ROWPOOL_STORED(dtype) __global const ROWPOOL_JOIN(ROWPOOL_ORDERED_, dtype)
#else
#define ROWPOOL_STORED(dtype) const ROWPOOL_JOIN(rowpool_stored_, dtype)
typedef int8_t rowpool_stored_int8 __attribute__((may_alias));
typedef int16_t rowpool_stored_int16 __attribute__((may_alias));
typedef int32_t rowpool_stored_int32 __attribute__((may_alias));
typedef int64_t rowpool_stored_int64 __attribute__((may_alias));
typedef uint8_t rowpool_stored_uint8 __attribute__((may_alias));
typedef uint16_t rowpool_stored_uint16 __attribute__((may_alias));
typedef uint32_t rowpool_stored_uint32 __attribute__((may_alias));
typedef uint64_t rowpool_stored_uint64 __attribute__((may_alias));
typedef int16_t rowpool_stored_float16 __attribute__((may_alias));
typedef int32_t rowpool_stored_float32 __attribute__((may_alias));
typedef int64_t rowpool_stored_float64 __attribute__((may_alias));
#endif

/* Rows of up to four inputs. The dtype of the others is that of the first, unless the file defines ROW1_DTYPE ...
 * ROW3_DTYPE: what is not defined is the end of a name below. */
#define ROWPOOL_DTYPE_OF(number) ROWPOOL_JOIN(ROWPOOL_DTYPE_, ROW##number##_DTYPE)
#define ROWPOOL_DTYPE_ROW1_DTYPE ROWPOOL_DTYPE
#define ROWPOOL_DTYPE_ROW2_DTYPE ROWPOOL_DTYPE
#define ROWPOOL_DTYPE_ROW3_DTYPE ROWPOOL_DTYPE
#define ROWPOOL_DTYPE_int8 int8
#define ROWPOOL_DTYPE_int16 int16
#define ROWPOOL_DTYPE_int32 int32
#define ROWPOOL_DTYPE_int64 int64
#define ROWPOOL_DTYPE_uint8 uint8
#define ROWPOOL_DTYPE_uint16 uint16
#define ROWPOOL_DTYPE_uint32 uint32
#define ROWPOOL_DTYPE_uint64 uint64
#define ROWPOOL_DTYPE_float16 float16
#define ROWPOOL_DTYPE_float32 float32
#define ROWPOOL_DTYPE_float64 float64

#define ROWPOOL_AT(dtype, x) ROWPOOL_JOIN(ROWPOOL_VALUE_OF_, dtype)(x)

#define ROWPOOL_ROW(dtype, row, width) \
    ROWPOOL_STORED(dtype) * row __attribute__((unused)), size_t width __attribute__((unused))
#define ROW_BODY                                                                                                 \
    static inline result_t ROW_NAME(body)(                                                                       \
        ROWPOOL_ROW(ROWPOOL_DTYPE, rowpool_row0, width), ROWPOOL_ROW(ROWPOOL_DTYPE_OF(1), rowpool_row1, width1), \
        ROWPOOL_ROW(ROWPOOL_DTYPE_OF(2), rowpool_row2, width2),                                                  \
        ROWPOOL_ROW(ROWPOOL_DTYPE_OF(3), rowpool_row3, width3), size_t index __attribute__((unused)),            \
        arguments_t args __attribute__((unused)))
#define ROW(i) ROWPOOL_AT(ROWPOOL_DTYPE, rowpool_row0[i])
#define ROW1(i) ROWPOOL_AT(ROWPOOL_DTYPE_OF(1), rowpool_row1[i])
#define ROW2(i) ROWPOOL_AT(ROWPOOL_DTYPE_OF(2), rowpool_row2[i])
#define ROW3(i) ROWPOOL_AT(ROWPOOL_DTYPE_OF(3), rowpool_row3[i])
#define ROW_ORDERED_AT(i) ROW_ORDER(rowpool_row0[i])

#endif
