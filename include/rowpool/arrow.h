/* Rows in the memory of an Arrow array, as any Arrow library gives it through the Arrow C data interface:
 *
 *     rowpool_arrow *arrow;
 *     if (rowpool_arrow_open(&arrow, &schema, &array, &error)) ...error.message says what to do...
 *     rowpool_range_count(pool, rowpool_arrow_rows(arrow), &range, 1, counts, &error);
 *     rowpool_arrow_close(arrow);
 *
 *   FixedSizeList     dense rows
 *   List, LargeList   ragged rows
 *
 * Elements are int8 ... int64, uint8 ... uint64, float16, float32 or float64. An extension type is what it is stored
 * as. Slices are taken as they are. There are no null rows and no null elements: an array that has one is refused, and
 * the message says where. */
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

/* An array of that type: `length` values from `offset` on. null_count is -1 where nobody has counted. */
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

/* Looks at an array; *arrow is NULL after a failure. The structs stay the caller's: nothing is moved or released, and
 * they are not needed any more when this returns. What the array holds is borrowed: it must not be released before the
 * rows have been used for the last time. Nothing is copied but the offsets of a List, which are 32-bit; they belong to
 * the handle. Null counts of 0 are believed, others are looked up in the validity bitmaps.
 * EINVAL: it is no array of such rows, has nulls, has been released, contradicts itself, or its elements or offsets are
 * not aligned to their type (the interface does not demand that they are; rows do). ENOMEM: no memory for offsets. */
ROWPOOL_API ROWPOOL_CHECKED rowpool_status rowpool_arrow_open(rowpool_arrow **arrow, const struct ArrowSchema *schema,
                                                              const struct ArrowArray *array, rowpool_error *error);

/* Valid as long as the handle is. NULL for NULL. */
ROWPOOL_API const rowpool_rows *rowpool_arrow_rows(const rowpool_arrow *arrow);

/* Gives the handle back, once no call or job uses the rows. The array is still the caller's to release. NULL is fine. */
ROWPOOL_API void rowpool_arrow_close(rowpool_arrow *arrow);

#ifdef __cplusplus
}
#endif

#endif
