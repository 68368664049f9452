/* Element types: the one table. */
#ifndef RP_CORE_DTYPE_H
#define RP_CORE_DTYPE_H

#include "rowpool.h"

/* Kernels and folds see every element as an integer, its *key*, whose order is the order of the values:
 *
 *   signed, unsigned   the element itself
 *   float              the bits as a signed integer, with all but the sign flipped where it is negative. -0.0 is -1 and
 *                      +0.0 is 0, infinities are ordinary keys, and every NaN lies beyond an infinity. */
typedef enum { RP_SIGNED, RP_UNSIGNED, RP_FLOAT } rp_dtype_kind;

/* X(NAME, name, storage, kind, bits of a float's fraction) */
#define RP_DTYPES(X)                         \
    X(INT8, int8, int8_t, SIGNED, 0)         \
    X(INT16, int16, int16_t, SIGNED, 0)      \
    X(INT32, int32, int32_t, SIGNED, 0)      \
    X(INT64, int64, int64_t, SIGNED, 0)      \
    X(UINT8, uint8, uint8_t, UNSIGNED, 0)    \
    X(UINT16, uint16, uint16_t, UNSIGNED, 0) \
    X(UINT32, uint32, uint32_t, UNSIGNED, 0) \
    X(UINT64, uint64, uint64_t, UNSIGNED, 0) \
    X(FLOAT16, float16, int16_t, FLOAT, 10)  \
    X(FLOAT32, float32, int32_t, FLOAT, 23)  \
    X(FLOAT64, float64, int64_t, FLOAT, 52)

enum { RP_DTYPE_TOTAL = ROWPOOL_FLOAT64 + 1 };

typedef struct {
    const char *name;
    size_t size; /* bytes */
    rp_dtype_kind kind;
    unsigned fraction_bits; /* of a float */
} rp_dtype;

/* NULL for an unknown value. */
const rp_dtype *rp_dtype_of(rowpool_dtype dtype);

#endif
