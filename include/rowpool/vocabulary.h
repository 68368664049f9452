/* The words that a row function is written in, the same in C and in OpenCL C. The function's file is read once for each
 * dtype of the rows, ROWPOOL_DTYPE. rowpool/row_function.h says what a function consists of.
 *
 *   element_t            an element as a value: int8_t ... uint64_t, float, double; float16 comes as float
 *   ordered_t            an element as an integer that orders the values: an integer itself; of a float the bits, with
 *                        all but the sign flipped where it is negative. -0.0 is -1 and +0.0 is 0; NaNs lie beyond the
 *                        infinities. Devices need no half or double for it, and flush no subnormals
 *   ROW_ORDERED          defined by a fold that takes ordered_t instead of element_t
 *   ROW_COMMUTES         defined by a fold whose combine gives the same in either order (sums of floats: nearly):
 *                        elements may then be taken out of order, several at a time
 *   ROW_LEAST, ROW_MOST  the ordered_t of the smallest and the largest number, infinities included
 *   ROW_ORDER(x)         from a float's bits to ordered_t and back; integers stay as they are
 *   ROW_VALUE(x)         from the stored form, a float's bits, to element_t; for an ordered_t: ROW_VALUE(ROW_ORDER(x))
 *   ROW_IS_NUMBER(x)     whether an ordered_t is not a NaN
 *   ROW_IS_FLOAT, ROW_IS_SIGNED, ROW_BITS   the kind and size of the dtype, also for #if
 *   ROW_BODY             begins a free body, which sees ROW(i), an element of the row (ROW_ORDERED_AT(i): as
 *                        ordered_t), width, index (of the row) and args; of further inputs ROW1(i), width1 ... ROW3(i),
 *                        width3
 *   ROW_INPUTS           defined by a free body with several inputs: how many
 *   ROW1_DTYPE ... ROW3_DTYPE   defined where an input has a fixed dtype instead of that of the first
 *   ROW_RANGES           defined by a function that takes ranges: arguments_t is then two ordered_t
 *   ROW_NAME(x)          a name for x that is unique to this dtype, for helper functions in the file
 */
#ifndef ROWPOOL_VOCABULARY_H
#define ROWPOOL_VOCABULARY_H

#define ROWPOOL_JOIN_(a, b) a##b
#define ROWPOOL_JOIN(a, b) ROWPOOL_JOIN_(a, b)

/* ---- The dtypes ------------------------------------------------------------------------------------------------- */

/* (element_t, ordered_t, bits, kind, largest, value, id). kind: 0 signed, 1 unsigned, 2 float. largest: the ordered_t
 * of the largest number, for floats the bits of infinity. value: makes an element_t of what is stored. */
#define ROWPOOL_TRAITS_int8 (int8_t, int8_t, 8, 0, 127, ROWPOOL_SAME, ROWPOOL_INT8)
#define ROWPOOL_TRAITS_int16 (int16_t, int16_t, 16, 0, 32767, ROWPOOL_SAME, ROWPOOL_INT16)
#define ROWPOOL_TRAITS_int32 (int32_t, int32_t, 32, 0, 2147483647, ROWPOOL_SAME, ROWPOOL_INT32)
#define ROWPOOL_TRAITS_int64 (int64_t, int64_t, 64, 0, 9223372036854775807, ROWPOOL_SAME, ROWPOOL_INT64)
#define ROWPOOL_TRAITS_uint8 (uint8_t, uint8_t, 8, 1, 255, ROWPOOL_SAME, ROWPOOL_UINT8)
#define ROWPOOL_TRAITS_uint16 (uint16_t, uint16_t, 16, 1, 65535, ROWPOOL_SAME, ROWPOOL_UINT16)
#define ROWPOOL_TRAITS_uint32 (uint32_t, uint32_t, 32, 1, 4294967295u, ROWPOOL_SAME, ROWPOOL_UINT32)
#define ROWPOOL_TRAITS_uint64 (uint64_t, uint64_t, 64, 1, 18446744073709551615u, ROWPOOL_SAME, ROWPOOL_UINT64)
#define ROWPOOL_TRAITS_float16 (float, int16_t, 16, 2, 0x7c00, rowpool_half, ROWPOOL_FLOAT16)
#define ROWPOOL_TRAITS_float32 (float, int32_t, 32, 2, 0x7f800000, rowpool_float, ROWPOOL_FLOAT32)
#define ROWPOOL_TRAITS_float64 (double, int64_t, 64, 2, 0x7ff0000000000000, rowpool_double, ROWPOOL_FLOAT64)

/* A further input for which the file does not define ROW1_DTYPE ... has the dtype of the first. */
#define ROWPOOL_TRAITS_ROW1_DTYPE ROWPOOL_TRAITS(ROWPOOL_DTYPE)
#define ROWPOOL_TRAITS_ROW2_DTYPE ROWPOOL_TRAITS(ROWPOOL_DTYPE)
#define ROWPOOL_TRAITS_ROW3_DTYPE ROWPOOL_TRAITS(ROWPOOL_DTYPE)
#define ROWPOOL_TRAITS(dtype) ROWPOOL_TRAITS_OF(dtype)
#define ROWPOOL_TRAITS_OF(dtype) ROWPOOL_TRAITS_##dtype

#define ROWPOOL_VALUE_TYPE(value, ordered, bits, kind, largest, convert, id) value
#define ROWPOOL_ORDERED_TYPE(value, ordered, bits, kind, largest, convert, id) ordered
#define ROWPOOL_BITS(value, ordered, bits, kind, largest, convert, id) bits
#define ROWPOOL_KIND(value, ordered, bits, kind, largest, convert, id) kind
#define ROWPOOL_LARGEST_NUMBER(value, ordered, bits, kind, largest, convert, id) largest
#define ROWPOOL_CONVERT(value, ordered, bits, kind, largest, convert, id) convert
#define ROWPOOL_ID(value, ordered, bits, kind, largest, convert, id) id
#define ROWPOOL_TRAIT(member, dtype) ROWPOOL_TRAIT_(member, ROWPOOL_JOIN(ROWPOOL_TRAITS_, dtype))
#define ROWPOOL_TRAIT_(member, traits) member traits

/* ---- The value of an element as it is stored -------------------------------------------------------------------- */

#define ROWPOOL_SAME(x) (x)

#if defined(__OPENCL_VERSION__)
#define rowpool_float(bits) as_float(bits)
#define rowpool_double(bits) as_double(bits)
#else
static inline float rowpool_float(int32_t bits)
{
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double rowpool_double(int64_t bits)
{
    double value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
#endif

/* Half to float, exactly: the exponent is re-biased; a subnormal is a small multiple of 2^-24. */
static inline float rowpool_half(int16_t bits)
{
    int32_t magnitude = bits & 0x7fff;
    int32_t special = magnitude >= 0x7c00 ? 112 << 23 : 0;
    float normal = rowpool_float((magnitude << 13) + (112 << 23) + special);
    float value = magnitude < 0x0400 ? (float)magnitude * 0x1p-24f : normal;
    return bits < 0 ? -value : value;
}

/* ---- The order of values, by kind ------------------------------------------------------------------------------- */

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

#define element_t ROWPOOL_TRAIT(ROWPOOL_VALUE_TYPE, ROWPOOL_DTYPE)
#define ordered_t ROWPOOL_TRAIT(ROWPOOL_ORDERED_TYPE, ROWPOOL_DTYPE)
#define ROW_BITS ROWPOOL_TRAIT(ROWPOOL_BITS, ROWPOOL_DTYPE)
#define ROW_KIND ROWPOOL_TRAIT(ROWPOOL_KIND, ROWPOOL_DTYPE)
#define ROW_IS_FLOAT (ROW_KIND == 2)
#define ROW_IS_SIGNED (ROW_KIND != 1)
#define ROW_MOST ((ordered_t)ROWPOOL_TRAIT(ROWPOOL_LARGEST_NUMBER, ROWPOOL_DTYPE))
#define ROW_LEAST \
    ((ordered_t)ROWPOOL_JOIN(ROWPOOL_LEAST_, ROW_KIND)(ROWPOOL_TRAIT(ROWPOOL_LARGEST_NUMBER, ROWPOOL_DTYPE)))
#define ROW_ORDER(x) ROWPOOL_JOIN(ROWPOOL_ORDER_, ROW_KIND)(ordered_t, x)
#define ROW_IS_NUMBER(x) ROWPOOL_JOIN(ROWPOOL_IS_NUMBER_, ROW_KIND)(x)
#define ROW_VALUE(stored) ROWPOOL_TRAIT(ROWPOOL_CONVERT, ROWPOOL_DTYPE)(stored)

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

/* Elements as they are stored. In C they may alias the caller's type, whatever it is. */
#if defined(__OPENCL_VERSION__)
#define ROWPOOL_STORED(dtype) __global const ROWPOOL_TRAIT(ROWPOOL_ORDERED_TYPE, dtype)
#else
#define ROWPOOL_STORED(dtype) const ROWPOOL_JOIN(rowpool_stored_, ROWPOOL_TRAIT(ROWPOOL_ORDERED_TYPE, dtype))
typedef int8_t rowpool_stored_int8_t __attribute__((may_alias));
typedef int16_t rowpool_stored_int16_t __attribute__((may_alias));
typedef int32_t rowpool_stored_int32_t __attribute__((may_alias));
typedef int64_t rowpool_stored_int64_t __attribute__((may_alias));
typedef uint8_t rowpool_stored_uint8_t __attribute__((may_alias));
typedef uint16_t rowpool_stored_uint16_t __attribute__((may_alias));
typedef uint32_t rowpool_stored_uint32_t __attribute__((may_alias));
typedef uint64_t rowpool_stored_uint64_t __attribute__((may_alias));
#endif

#define ROWPOOL_ROW(dtype, row, width) \
    ROWPOOL_STORED(dtype) * row __attribute__((unused)), size_t width __attribute__((unused))
#define ROW_BODY                                                                                        \
    static inline result_t ROW_NAME(body)(                                                              \
        ROWPOOL_ROW(ROWPOOL_DTYPE, rowpool_row0, width), ROWPOOL_ROW(ROW1_DTYPE, rowpool_row1, width1), \
        ROWPOOL_ROW(ROW2_DTYPE, rowpool_row2, width2), ROWPOOL_ROW(ROW3_DTYPE, rowpool_row3, width3),   \
        size_t index __attribute__((unused)), arguments_t args __attribute__((unused)))
#define ROW(i) ROWPOOL_TRAIT(ROWPOOL_CONVERT, ROWPOOL_DTYPE)(rowpool_row0[i])
#define ROW1(i) ROWPOOL_TRAIT(ROWPOOL_CONVERT, ROW1_DTYPE)(rowpool_row1[i])
#define ROW2(i) ROWPOOL_TRAIT(ROWPOOL_CONVERT, ROW2_DTYPE)(rowpool_row2[i])
#define ROW3(i) ROWPOOL_TRAIT(ROWPOOL_CONVERT, ROW3_DTYPE)(rowpool_row3[i])
#define ROW_ORDERED_AT(i) ROW_ORDER(rowpool_row0[i])

#endif
