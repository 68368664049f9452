/* Rows in the memory of an Arrow array, through the Arrow C data interface:
 *
 *     rowpool_arrow *arrow;
 *     if (rowpool_arrow_open(&arrow, &schema, &array, &error)) ...error.message says what to do...
 *     rowpool_range_count(pool, rowpool_arrow_rows(arrow), &range, 1, counts, &error);
 *     rowpool_arrow_close(arrow);
 *
 *   FixedSizeList     dense rows
 *   List, LargeList   ragged rows
 *
 * Elements are int8 ... int64, uint8 ... uint64, float16, float32 or float64. An extension type is taken as its storage
 * type, a slice as it is. An array with a null row or element is refused; the message says where the null is. */
#ifndef ROWPOOL_ARROW_H
#define ROWPOOL_ARROW_H

#include <rowpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The two structs of the interface, fixed by it; headers of Arrow's own may define them first. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

/* A type. release is NULL once the struct has been released, or moved. */
struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

/* An array of that type: `length` values from `offset` on. null_count is -1 where it is unknown. */
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

/* The rows of an Arrow array: plain memory, tied to no pool and no process. */
typedef struct rowpool_arrow rowpool_arrow;

/* Reads the structs, which stay the caller's and are not needed afterwards. The array's buffers are borrowed: release
 * it after the rows were used for the last time. Only the 32-bit offsets of a List are copied. A null count of 0 is
 * trusted; others are checked in the validity bitmaps. *arrow is NULL after a failure. EINVAL: the array holds no such
 * rows, has nulls, was released, is inconsistent, or its elements or offsets are not aligned to their type. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_arrow_open(rowpool_arrow **arrow, const struct ArrowSchema *schema,
                                                              const struct ArrowArray *array, rowpool_error *error);

/* Valid as long as the handle. NULL for NULL. */
ROWPOOL_API const rowpool_rows *rowpool_arrow_rows(const rowpool_arrow *arrow);

/* Gives the handle back, once no call or job uses the rows. The array is still the caller's to release. */
ROWPOOL_API void rowpool_arrow_close(rowpool_arrow *arrow);

#ifdef __cplusplus
}
#endif

#endif
