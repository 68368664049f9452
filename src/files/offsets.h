/* Where ragged rows begin, in a .npy file of its own: int64 or int32, one more than there are rows. Row i has the elements
 * from offset i up to offset i + 1, and every element belongs to a row. */
#ifndef ROWPOOL_FILES_OFFSETS_H
#define ROWPOOL_FILES_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "npy.h"
#include "rowpool.h"

/* Opens the array of an open file, which is not needed afterwards; what can be said without reading all of it is
 * checked. The array is of int64, whatever the file is of. */
rowpool_status open_offsets(npy_array *offsets, int fd, size_t elements, rowpool_error *error);

/* Copies an array of int32 to one of int64; other arrays are left alone. */
rowpool_status widen_offsets(npy_array *offsets, rowpool_error *error);

/* Checks those of `count` rows from `first` on, and names one that is wrong. *widest: the elements of the widest of
 * these rows. */
rowpool_status check_offsets(const int64_t *offsets, size_t first, size_t count, size_t elements, size_t *widest,
                             rowpool_error *error);

#endif
