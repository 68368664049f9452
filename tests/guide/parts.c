/* The functions that the guide shows, in a program that calls them. */
#include "arrow.c"
#include "data.c"

#include <stdio.h>

static const int32_t elements[6] = {4, 8, 3, 9, 5, 0};

static void release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_no_type(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

/* Counts over `elements` as an Arrow fixed-size list of two rows. */
static rowpool_status count_list(rowpool *pool, uint32_t *counts, rowpool_error *error)
{
    const rowpool_range range = rowpool_range_i64(0, 5);
    const void *no_bitmap[1] = {NULL}, *buffers[2] = {NULL, elements};
    struct ArrowSchema element_schema = {.format = "i", .release = release_no_type}, *schemas[1] = {&element_schema};
    struct ArrowArray element_array = {.length = 6, .n_buffers = 2, .buffers = buffers, .release = release_nothing};
    struct ArrowArray *arrays[1] = {&element_array};
    struct ArrowSchema schema = {.format = "+w:3", .n_children = 1, .children = schemas, .release = release_no_type};
    struct ArrowArray array = {.length = 2,
                               .n_buffers = 1,
                               .buffers = no_bitmap,
                               .n_children = 1,
                               .children = arrays,
                               .release = release_nothing};
    return count_arrow(pool, &schema, &array, &range, counts, error);
}

int main(void)
{
    const rowpool_rows rows = {.data = elements, .dtype = ROWPOOL_INT32, .count = 2, .width = 3};
    const rowpool_range ranges[2] = {rowpool_range_i64(0, 9), rowpool_range_i64(4, 8)};
    uint32_t all[2], some[2], list[2], *counts[2] = {all, some};
    rowpool *pool = NULL;
    rowpool_error error;
    rowpool_status status = rowpool_open(&pool, NULL, &error);
    if (status == ROWPOOL_OK)
        status = count_twice(pool, &rows, ranges, counts, &error);
    if (status == ROWPOOL_OK)
        status = count_list(pool, list, &error);
    if (status == ROWPOOL_OK)
        printf("%u %u\n%u %u\n%u %u\n", all[0], all[1], some[0], some[1], list[0], list[1]); /* 3 3, 2 1, 2 2 */
    else
        fprintf(stderr, "%s\n", error.message);
    rowpool_close(pool);
    return status != ROWPOOL_OK;
}
