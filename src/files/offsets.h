/* Offsets of ragged rows in a .npy file: count + 1 numbers of int64 or int32. Row i has the elements from offset i up to,
 * but not including, offset i + 1; every element belongs to a row. */
#ifndef ROWPOOL_FILES_OFFSETS_H
#define ROWPOOL_FILES_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "npy.h"
#include "rowpool.h"

/* Opens an offsets file as int64. Only type, shape and the first and last offset are checked. */
rowpool_status open_offsets(npy_array *offsets, int fd, size_t elements, rowpool_error *error);

/* Converts int32 to int64; other arrays are left alone. */
rowpool_status widen_offsets(npy_array *offsets, rowpool_error *error);

/* Checks `count` rows from `first` on; an error names the offset. *widest: the width of the widest of them. */
rowpool_status check_offsets(const int64_t *offsets, size_t first, size_t count, size_t elements, size_t *widest,
                             rowpool_error *error);

#endif
