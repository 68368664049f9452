/* Results as a .npy file. */
#include <string.h>

#include "npy.h"
#include "output.h"

/* The array's last axis goes, and the list of ranges, where there is one, takes its place. */
static size_t format_header(char text[NPY_MAX_WRITTEN], const result_table *table)
{
    const npy_header *header = &table->in->array.header;
    const size_t last = header->dimensions - 1;
    size_t shape[NPY_MAX_DIMENSIONS];
    memcpy(shape, header->shape, sizeof shape);
    shape[last] = table->results->columns;
    return npy_format_header_of(text, table->results->dtype, shape, ranges_are_listed(table->ranges) ? last + 1 : last);
}

rowpool_status write_npy(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    (void)rows;
    char header[NPY_MAX_WRITTEN];
    writer to;
    begin_writing(&to, fd, error);
    if (table->begins)
        put_bytes(&to, header, format_header(header, table));
    put_bytes(&to, table->results->values, table->results->bytes);
    return end_writing(&to);
}
