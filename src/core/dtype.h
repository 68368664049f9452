/* Element types: the one table. */
#ifndef RP_CORE_DTYPE_H
#define RP_CORE_DTYPE_H

#include "rowpool.h"

/* Kernels and folds see every element as an integer, its *key*, whose order is the order of the values:
 *
 *   signed, unsigned   the element itself
 *   float              the bits read as a signed integer, those of negative numbers with all but the sign flipped. Then
 *                      -0.0 is -1 and +0.0 is 0, infinities are just numbers, and every NaN lies beyond an infinity. */
typedef enum { RP_SIGNED, RP_UNSIGNED, RP_FLOAT } rp_dtype_kind;

/* X(NAME, name, storage in C, storage in OpenCL C, kind, bits of a float's fraction) */
#define RP_DTYPES(X)                                   \
    X(INT8, int8, int8_t, "char", SIGNED, 0)           \
    X(INT16, int16, int16_t, "short", SIGNED, 0)       \
    X(INT32, int32, int32_t, "int", SIGNED, 0)         \
    X(INT64, int64, int64_t, "long", SIGNED, 0)        \
    X(UINT8, uint8, uint8_t, "uchar", UNSIGNED, 0)     \
    X(UINT16, uint16, uint16_t, "ushort", UNSIGNED, 0) \
    X(UINT32, uint32, uint32_t, "uint", UNSIGNED, 0)   \
    X(UINT64, uint64, uint64_t, "ulong", UNSIGNED, 0)  \
    X(FLOAT16, float16, int16_t, "short", FLOAT, 10)   \
    X(FLOAT32, float32, int32_t, "int", FLOAT, 23)     \
    X(FLOAT64, float64, int64_t, "long", FLOAT, 52)

enum {
#define RP_DTYPE_COUNT(NAME, name, c, cl, kind, fraction) +1
    RP_DTYPE_TOTAL = 0 RP_DTYPES(RP_DTYPE_COUNT)
#undef RP_DTYPE_COUNT
};

typedef struct {
    const char *name;
    const char *opencl; /* the storage type in OpenCL C */
    size_t size;        /* bytes */
    rp_dtype_kind kind;
    unsigned fraction_bits;
} rp_dtype;

/* NULL for a value that is no dtype. */
const rp_dtype *rp_dtype_of(rowpool_dtype dtype);

#endif
