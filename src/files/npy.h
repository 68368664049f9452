/* Arrays in the .npy format of NumPy, versions 1.0, 2.0 and 3.0.
 *
 *     npy_array array;
 *     if (npy_open(&array, fd, &error)) ...error.message says what is wrong with the file...
 *     ...array.data holds array.header.rows rows of array.header.width elements of array.header.dtype...
 *     npy_close(&array);
 *
 * Files are not trusted: every length is checked against the bytes that exist.
 *
 * What numpy.load reads is read as the same numbers, or refused with a message. Refused although NumPy reads it:
 * - dtypes other than int8 to int64, uint8 to uint64, float16 to float64 and bool; a dtype as a list or tuple, with a
 *   count, or with a size that is not one plain digit ('1i4', 'i08', 'i+4', 'i4,');
 * - an array without an axis, and bytes after the data that are not another array;
 * - in the header, Python syntax that NumPy does not write: escapes in strings, string prefixes, adjacent strings,
 *   comments, further brackets, repeated keys, and lengths that are not plain decimal numbers.
 * Read although NumPy may refuse it: a longer header, up to 64 axes, lengths with leading zeros or with Python 2's L, and
 * names of dtypes that only some versions of NumPy have. */
#ifndef ROWPOOL_FILES_NPY_H
#define ROWPOOL_FILES_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "rowpool.h"
#include "stream.h"

#define NPY_MAGIC "\x93NUMPY"
enum {
    NPY_MAX_DIMENSIONS = 64,      /* as in NumPy 2 */
    NPY_PREAMBLE = 12,            /* magic, version and header length take 10 bytes in version 1.0, 12 later */
    NPY_MAX_HEADER = 1024 * 1024, /* longer headers are refused */
    NPY_ALIGNMENT = 64            /* of the data that we write */
};

typedef struct {
    rowpool_dtype dtype;
    bool boolean;       /* uint8, 0 or 1 in memory; in the file any nonzero byte is true */
    bool foreign_order; /* not this machine's byte order */
    bool fortran_order; /* the first axis varies fastest; false if it makes no difference */
    size_t dimensions;  /* at least 1 */
    size_t shape[NPY_MAX_DIMENSIONS];
    size_t rows;        /* product of all axes but the last */
    size_t width;       /* the last axis */
    size_t data_offset; /* from the start of the file */
    size_t data_bytes;
} npy_header;

/* Whether an array may begin with these bytes. */
bool npy_begins(const void *bytes, size_t size);

/* Finds where the data begins. bytes: the first NPY_PREAMBLE bytes of the file, fewer only if the file is shorter. */
rowpool_status npy_read_preamble(size_t *data_offset, const unsigned char *bytes, size_t size, rowpool_error *error);

/* Reads the whole header. bytes: the first `size` bytes of the file; too few is an error. */
rowpool_status npy_read_header(npy_header *header, const unsigned char *bytes, size_t size, rowpool_error *error);

/* Sets rows, width and data_bytes from shape and dtype; EINVAL on overflow. */
rowpool_status npy_measure(npy_header *header, rowpool_error *error);

/* An array in memory: C order, this machine's byte order, aligned to its element type. */
typedef struct {
    npy_header header;
    const void *data; /* NULL where there is no element */
    bool more;        /* another array follows in the file; it is not read */
    void *mapping;    /* NULL, or the mapped file that data points into */
    size_t mapped_bytes;
    int fd;                   /* of the mapping */
    struct timespec modified; /* modification time when it was mapped */
    void *memory;             /* NULL, or the rowpool_alloc memory that data points to */
} npy_array;

/* Opens the first array of an open file, whose descriptor is not needed afterwards. Regular files are mapped, others
 * are read. Elements that are not stored as promised above are copied. The array is all zero after a failure. */
rowpool_status npy_open(npy_array *array, int fd, rowpool_error *error);
rowpool_status npy_open_stream(npy_array *array, const byte_stream *stream, rowpool_error *error);

/* The same for a file without a header, in this machine's byte order. */
rowpool_status npy_open_headless(npy_array *array, rowpool_dtype dtype, size_t rows, size_t width, int fd,
                                 rowpool_error *error);

/* The same for bytes in memory, which must outlive the array. */
rowpool_status npy_open_bytes(npy_array *array, const unsigned char *bytes, size_t size, rowpool_error *error);

/* Checks a mapped file after its data has been read: EINVAL if it was truncated, since zeros may have been read past its new end.
 * *changed: whether it was modified, by its modification time. */
rowpool_status npy_check_mapping(const npy_array *array, bool *changed, rowpool_error *error);

/* May be called twice, and on an array that is all zero. */
void npy_close(npy_array *array);

/* Writes the version 1.0 header of a C-order array of the dtype; 0 dimensions make an array of one element. Returns its
 * size, a multiple of NPY_ALIGNMENT and at most NPY_MAX_WRITTEN. */
enum { NPY_MAX_WRITTEN = 2048 };
size_t npy_format_header_of(char header[NPY_MAX_WRITTEN], rowpool_dtype dtype, const size_t *shape, size_t dimensions);

/* The same for uint32. */
static inline size_t npy_format_header(char header[NPY_MAX_WRITTEN], const size_t *shape, size_t dimensions)
{
    return npy_format_header_of(header, ROWPOOL_UINT32, shape, dimensions);
}

#endif
