/* The data of a .npy file: mapped if it can be used in place, else copied. */
#include "npy.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

/* ---- Converting the data: C order, this machine's byte order, bools as 0 and 1 ----------------------------------- */

/* Copies `count` elements of `size` bytes to adjacent places, reading one every `stride` elements. */
static inline void gather_sized(unsigned char *to, const unsigned char *from, size_t stride, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * size, from + i * stride * size, size);
}

static void gather_elements(unsigned char *to, const unsigned char *from, size_t stride, size_t count, size_t size)
{
    switch (size) { /* a copy of constant size is one load and one store */
    case 1:
        gather_sized(to, from, stride, count, 1);
        break;
    case 2:
        gather_sized(to, from, stride, count, 2);
        break;
    case 4:
        gather_sized(to, from, stride, count, 4);
        break;
    default:
        gather_sized(to, from, stride, count, 8);
        break;
    }
}

static void swap_byte_order(unsigned char *bytes, size_t count, size_t size)
{
    for (; count-- > 0; bytes += size) {
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char kept = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = kept;
        }
    }
}

/* The C-order number of a row that is numbered in Fortran order, where the first axis varies fastest. */
static size_t row_in_c_order(const npy_header *header, size_t row)
{
    size_t place = 0;
    size_t stride = header->rows; /* rows between neighbours on the axis */
    for (size_t axis = 0; axis + 1 < header->dimensions; axis++) {
        stride /= header->shape[axis];
        place += row % header->shape[axis] * stride;
        row /= header->shape[axis];
    }
    return place;
}

/* Copies to C order. In the file the elements of a row are header->rows apart; tiles keep both sides in the cache. */
static void copy_fortran(unsigned char *to, const unsigned char *from, const npy_header *header)
{
    enum { TILE = 32 };
    const size_t size = rowpool_dtype_size(header->dtype);
    size_t tile_rows[TILE];
    for (size_t first = 0; first < header->rows; first += TILE) {
        size_t height = header->rows - first < TILE ? header->rows - first : TILE;
        for (size_t i = 0; i < height; i++)
            tile_rows[i] = row_in_c_order(header, first + i);
        for (size_t column = 0; column < header->width; column += TILE) {
            size_t breadth = header->width - column < TILE ? header->width - column : TILE;
            for (size_t i = 0; i < height; i++)
                gather_elements(to + (tile_rows[i] * header->width + column) * size,
                                from + (column * header->rows + first + i) * size, header->rows, breadth, size);
        }
    }
}

/* Whether every byte is 0 or 1. One pass that the compiler can vectorise. */
static bool are_truths(const unsigned char *bytes, size_t count)
{
    unsigned char any = 0;
    for (size_t i = 0; i < count; i++)
        any |= bytes[i];
    return any <= 1;
}

/* Copies and converts the data of a file. `to` may equal `from` except in Fortran order. */
static void convert(unsigned char *to, const unsigned char *from, const npy_header *header)
{
    const size_t size = rowpool_dtype_size(header->dtype);
    if (header->fortran_order)
        copy_fortran(to, from, header);
    else if (to != from)
        memcpy(to, from, header->data_bytes);
    if (header->foreign_order)
        swap_byte_order(to, header->data_bytes / size, size);
    for (size_t i = 0; header->boolean && i < header->data_bytes; i++)
        to[i] = to[i] != 0;
}

/* *memory is NULL for 0 bytes. */
static rowpool_status allocate_data(void **memory, size_t bytes, rowpool_error *error)
{
    rowpool_error refusal;
    *memory = bytes > 0 ? rowpool_alloc(bytes, &refusal) : NULL;
    if (*memory == NULL && bytes > 0)
        return rp_fail(error, refusal.status, "no memory for %zu bytes of data: %s", bytes, refusal.message);
    return ROWPOOL_OK;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* "(200000, 5)", truncated. */
static void describe_shape(char *text, size_t capacity, const npy_header *header)
{
    size_t used = 0;
    for (size_t i = 0; i < header->dimensions && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%zu", i == 0 ? "(" : ", ", header->shape[i]);
    if (used < capacity)
        (void)snprintf(text + used, capacity - used, "%s", header->dimensions == 1 ? ",)" : ")");
}

static void unmap(npy_array *array)
{
    if (array->mapping == NULL)
        return;
    (void)munmap(array->mapping, array->mapped_bytes);
    (void)close(array->fd);
    array->mapping = NULL;
}

/* found: bytes from the start of the data to the end of the file. more: another array follows the data. */
static rowpool_status check_length(const npy_header *header, size_t found, bool more, rowpool_error *error)
{
    char shape[200];
    if (found == header->data_bytes || (found > header->data_bytes && more))
        return ROWPOOL_OK;
    describe_shape(shape, sizeof shape, header);
    if (found > header->data_bytes)
        return rp_fail(error, ROWPOOL_EINVAL, "stray bytes follow the data: shape %s of %s has %zu", shape,
                       rowpool_dtype_name(header->dtype), header->data_bytes);
    return rp_fail(error, ROWPOOL_EINVAL, "the file is cut short: %zu bytes of data where shape %s of %s needs %zu",
                   found, shape, rowpool_dtype_name(header->dtype), header->data_bytes);
}

static bool usable_in_place(const npy_header *header, const void *data)
{
    return !header->fortran_order && !header->foreign_order &&
           (uintptr_t)data % rowpool_dtype_size(header->dtype) == 0 &&
           (!header->boolean || are_truths(data, header->data_bytes));
}

/* Whether these bytes after the data begin another array; a file without a header has only one. */
static bool another_begins(const npy_header *header, const unsigned char *bytes, size_t size)
{
    return header->data_offset > 0 && npy_begins(bytes, size);
}

/* Opens an array whose whole file is in memory. */
static rowpool_status take_bytes(npy_array *array, const npy_header *header, const unsigned char *bytes, size_t size,
                                 rowpool_error *error)
{
    const size_t found = size - header->data_offset;
    const unsigned char *data = bytes + header->data_offset;
    const bool more = found > header->data_bytes &&
                      another_begins(header, data + header->data_bytes, found - header->data_bytes);
    RP_TRY(check_length(header, found, more, error));
    void *memory = NULL;
    if (header->data_bytes > 0 && !usable_in_place(header, data)) {
        RP_TRY(allocate_data(&memory, header->data_bytes, error));
        convert(memory, data, header);
        data = memory;
    }
    *array = (npy_array){
        .header = *header, .data = header->data_bytes > 0 ? data : NULL, .more = more, .memory = memory};
    return ROWPOOL_OK;
}

rowpool_status npy_open_bytes(npy_array *array, const unsigned char *bytes, size_t size, rowpool_error *error)
{
    *array = (npy_array){0};
    npy_header header;
    RP_TRY(npy_read_header(&header, bytes, size, error));
    return take_bytes(array, &header, bytes, size, error);
}

static rowpool_status read_stream_header(npy_header *header, const byte_stream *stream, rowpool_error *error)
{
    unsigned char preamble[NPY_PREAMBLE];
    size_t found, rest, data_offset;
    /* A version 1.0 preamble has 10 bytes; every header has at least 2. */
    RP_TRY(read_stream(stream, preamble, sizeof preamble, &found, error));
    RP_TRY(npy_read_preamble(&data_offset, preamble, found, error));
    if (data_offset < found)
        return rp_fail(error, ROWPOOL_EINVAL, "the header is malformed: it is not a dictionary");
    unsigned char *bytes = malloc(data_offset);
    if (bytes == NULL)
        return fail_errno(error);
    memcpy(bytes, preamble, found);
    rowpool_status status = read_stream(stream, bytes + found, data_offset - found, &rest, error);
    if (status == ROWPOOL_OK)
        status = npy_read_header(header, bytes, found + rest, error);
    free(bytes);
    return status;
}

/* Reads the data and checks what follows it. *memory is NULL if there is no data. */
static rowpool_status read_stream_data(void **memory, bool *more, const npy_header *header, const byte_stream *stream,
                                       rowpool_error *error)
{
    unsigned char next[NPY_PREAMBLE];
    size_t found, beyond = 0;
    RP_TRY(allocate_data(memory, header->data_bytes, error));
    RP_TRY(read_stream(stream, *memory, header->data_bytes, &found, error));
    if (found == header->data_bytes)
        RP_TRY(read_stream(stream, next, sizeof next, &beyond, error));
    *more = another_begins(header, next, beyond);
    return check_length(header, found + beyond, *more, error);
}

/* Converts *memory in place, or into new memory if the axes are reordered. */
static rowpool_status convert_memory(void **memory, const npy_header *header, rowpool_error *error)
{
    void *converted = *memory;
    if (header->fortran_order)
        RP_TRY(allocate_data(&converted, header->data_bytes, error));
    convert(converted, *memory, header);
    if (converted != *memory)
        rowpool_free(*memory);
    *memory = converted;
    return ROWPOOL_OK;
}

/* known: the header of a file without one; NULL: the file begins with its header. */
static rowpool_status open_stream(npy_array *array, const npy_header *known, const byte_stream *stream,
                                  rowpool_error *error)
{
    npy_header header;
    if (known != NULL)
        header = *known;
    else
        RP_TRY(read_stream_header(&header, stream, error));
    void *memory = NULL;
    bool more = false;
    rowpool_status status = read_stream_data(&memory, &more, &header, stream, error);
    if (status == ROWPOOL_OK && memory != NULL)
        status = convert_memory(&memory, &header, error);
    if (status == ROWPOOL_OK)
        *array = (npy_array){.header = header, .data = memory, .more = more, .memory = memory};
    else
        rowpool_free(memory);
    return status;
}

/* Takes over the mapping and the descriptor. */
static rowpool_status open_mapping(npy_array *array, const npy_header *known, void *mapping, int fd,
                                   const struct stat *entry, size_t begin, rowpool_error *error)
{
    const size_t bytes = (size_t)entry->st_size;
    const unsigned char *file = (const unsigned char *)mapping + begin;
    rowpool_status status = known != NULL ? take_bytes(array, known, file, bytes - begin, error)
                                          : npy_open_bytes(array, file, bytes - begin, error);
    array->mapping = mapping;
    array->mapped_bytes = bytes;
    array->fd = fd;
    array->modified = entry->st_mtim;
    if (status == ROWPOOL_OK && array->memory != NULL) {
        bool changed;
        status = npy_check_mapping(array, &changed, error);
        unmap(array);
    }
    if (status != ROWPOOL_OK)
        npy_close(array);
    return status;
}

/* Standard input may have been read in part. A directory fails when it is read. */
static rowpool_status open_descriptor(npy_array *array, const npy_header *known, int fd, rowpool_error *error)
{
    *array = (npy_array){0};
    struct stat file;
    if (fstat(fd, &file) != 0)
        return fail_errno(error);
    const byte_stream stream = {read_descriptor, &fd};
    off_t begin = S_ISREG(file.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (begin < 0 || begin >= file.st_size)
        return open_stream(array, known, &stream, error);
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    /* Shared, so that worker processes can map the same pages. */
    void *mapping = own >= 0 ? mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (mapping != MAP_FAILED)
        return open_mapping(array, known, mapping, own, &file, (size_t)begin, error);
    if (own >= 0)
        (void)close(own);
    return open_stream(array, known, &stream, error);
}

rowpool_status npy_open(npy_array *array, int fd, rowpool_error *error)
{
    return open_descriptor(array, NULL, fd, error);
}

rowpool_status npy_open_stream(npy_array *array, const byte_stream *stream, rowpool_error *error)
{
    *array = (npy_array){0};
    return open_stream(array, NULL, stream, error);
}

rowpool_status npy_open_headless(npy_array *array, rowpool_dtype dtype, size_t rows, size_t width, int fd,
                                 rowpool_error *error)
{
    npy_header header = {.dtype = dtype, .dimensions = 2, .shape = {rows, width}};
    *array = (npy_array){0};
    rowpool_status status = npy_measure(&header, error);
    return status == ROWPOOL_OK ? open_descriptor(array, &header, fd, error) : status;
}

rowpool_status npy_check_mapping(const npy_array *array, bool *changed, rowpool_error *error)
{
    struct stat file;
    *changed = false;
    if (array->mapping == NULL)
        return ROWPOOL_OK;
    if (fstat(array->fd, &file) != 0)
        return fail_errno(error);
    if ((size_t)file.st_size < array->mapped_bytes)
        return rp_fail(error, ROWPOOL_EINVAL,
                       "the file was truncated while it was read: it had %zu bytes, and has %lld", array->mapped_bytes,
                       (long long)file.st_size);
    *changed = file.st_mtim.tv_sec != array->modified.tv_sec || file.st_mtim.tv_nsec != array->modified.tv_nsec;
    return ROWPOOL_OK;
}

void npy_close(npy_array *array)
{
    unmap(array);
    rowpool_free(array->memory);
    *array = (npy_array){0};
}
