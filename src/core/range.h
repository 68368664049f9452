/* Ranges: exact bounds, made once into one closed interval of an element type's keys, or into the empty one. */
#ifndef RP_CORE_RANGE_H
#define RP_CORE_RANGE_H

#include "base/error.h"
#include "core/dtype.h"

/* The keys that lie in a range: lo <= key <= hi, compared as the dtype's storage type. The bits of each stand in the
 * low bytes of a word. The empty interval is lo = 1, hi = 0 for every dtype. */
typedef struct {
    uint64_t lo, hi;
} rp_interval;

/* Everything in integer arithmetic: no rounding mode or flush-to-zero setting of the caller can change the answer.
 * index names the range in a message. EINVAL: a NaN bound, an unknown kind of number or closure. */
rowpool_status rp_range_normalise(const rowpool_range *range, size_t index, const rp_dtype *dtype,
                                  rp_interval *interval, rowpool_error *error);

/* Whether a <= b, exactly, of whatever kinds they are; false where either is no number. */
bool rp_number_at_most(const rowpool_number *a, const rowpool_number *b);

/* Writes lo, hi as two elements of the dtype's storage type: the argument that kernels and folds read. */
void rp_interval_store(const rp_interval *interval, const rp_dtype *dtype, void *pair);

#endif
