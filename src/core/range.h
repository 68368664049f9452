/* Ranges: exact bounds become one closed interval of an element type's keys, once, on entry. */
#ifndef RP_CORE_RANGE_H
#define RP_CORE_RANGE_H

#include "base/error.h"
#include "core/dtype.h"

/* The keys that lie in a range: lo <= key <= hi, compared as the dtype's storage type. Each is in the low bytes of its
 * word. Empty: lo = 1, hi = 0, for every dtype. */
typedef struct {
    uint64_t lo, hi;
} rp_interval;

/* Integer arithmetic only: the caller's rounding mode and flush-to-zero setting do not matter. index names the range in
 * a message. EINVAL: a NaN bound, an unknown kind of number or closure. */
rowpool_status rp_range_normalise(const rowpool_range *range, size_t index, const rp_dtype *dtype,
                                  rp_interval *interval, rowpool_error *error);

/* Whether a <= b, exactly, of any kinds; false where either is a NaN. */
bool rp_number_at_most(const rowpool_number *a, const rowpool_number *b);

/* Writes lo, hi as two elements of the dtype's storage type: the argument that kernels and folds read. */
void rp_interval_store(const rp_interval *interval, const rp_dtype *dtype, void *pair);

#endif
