/* A .npy file that every rank maps into memory, and the rows of it that are this rank's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "files/npy.h"
#include "files/offsets.h"
#include "mpi/cluster.h"

struct rowpool_mpi_file {
    npy_array data, offsets; /* all zero: none */
    rowpool_rows own;
    size_t first, count;
};

/* ---- One file --------------------------------------------------------------------------------------------------- */

static rowpool_status open_array(npy_array *array, const char *path, rowpool_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rp_fail(error, errno == ENOENT ? ROWPOOL_EINVAL : ROWPOOL_ESYSTEM, "%s: %s", path, strerror(errno));
    rowpool_status status = npy_open(array, fd, error);
    close(fd);
    RP_TRY(rp_mpi_name_file(path, status, error));
    return array->more ? rp_fail(error, ROWPOOL_EINVAL, "%s: the file has several arrays; it must have one", path)
                       : ROWPOOL_OK;
}

static rowpool_status open_row_offsets(rowpool_mpi_file *file, const char *path, rowpool_error *error)
{
    const npy_header *header = &file->offsets.header;
    RP_TRY(open_array(&file->offsets, path, error));
    RP_TRY(rp_mpi_name_file(path, widen_offsets(&file->offsets, error), error));
    if (header->dimensions != 1 || header->dtype != ROWPOOL_INT64 || header->width == 0)
        return rp_fail(
            error, ROWPOOL_EINVAL,
            "%s: offsets have one axis of int64 or int32, one more than there are rows; this array has %zu axes "
            "of %s, the last of %zu",
            path, header->dimensions, rowpool_dtype_name(header->dtype), header->width);
    return ROWPOOL_OK;
}

static rowpool_status open_both(rowpool_mpi_file *file, const char *path, const char *offsets, rowpool_error *error)
{
    if (path == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "path is NULL");
    RP_TRY(open_array(&file->data, path, error));
    if (offsets == NULL)
        return ROWPOOL_OK;
    if (file->data.header.dimensions != 1)
        return rp_fail(error, ROWPOOL_EINVAL, "%s: ragged rows need an array of one axis; this one has %zu", path,
                       file->data.header.dimensions);
    return open_row_offsets(file, offsets, error);
}

static rowpool_rows npy_rows(const rowpool_mpi_file *file)
{
    const npy_header *header = &file->data.header;
    rowpool_rows rows = {
        .data = file->data.data, .dtype = header->dtype, .count = header->rows, .width = header->width};
    if (file->offsets.data != NULL) {
        rows.offsets = file->offsets.data;
        rows.count = file->offsets.header.width - 1;
    }
    return rows;
}

/* ---- Together --------------------------------------------------------------------------------------------------- */

static rowpool_status check_same(const rowpool_mpi *cluster, const rowpool_rows *rows, const char *path,
                                 rowpool_error *error)
{
    const uint64_t shape[] = {rows->count, rows->width, rows->dtype};
    bool same;
    RP_TRY(rp_mpi_same(cluster, shape, 3, &same, error));
    return same ? ROWPOOL_OK
                : rp_fail(error, ROWPOOL_EINVAL,
                          "%s is not the same file on all ranks: here it has %zu rows, its last axis %zu %s", path,
                          rows->count, rows->width, rowpool_dtype_name(rows->dtype));
}

/* Each rank checks its part of the offsets; after an agreement all of them are known to be valid. */
static rowpool_status check_row_offsets(const rowpool_mpi *cluster, const rowpool_rows *rows, const char *path,
                                        rowpool_error *error)
{
    const rowpool_rows all = {.dtype = ROWPOOL_INT64, .count = rows->count, .width = 1};
    rowpool_rows part;
    size_t first, widest;
    RP_TRY(rowpool_mpi_share(cluster, &all, &part, &first, error));
    return rp_mpi_name_file(path, check_offsets(rows->offsets, first, part.count, rows->width, &widest, error), error);
}

static rowpool_status find_own_rows(rowpool_mpi *cluster, rowpool_mpi_file *file, const char *path, const char *offsets,
                                    rowpool_error *error)
{
    const rowpool_rows all = npy_rows(file);
    RP_TRY(rowpool_mpi_agree(cluster, check_same(cluster, &all, path, error), error));
    rowpool_status status = ROWPOOL_OK;
    if (all.offsets != NULL)
        status = check_row_offsets(cluster, &all, offsets, error);
    RP_TRY(rowpool_mpi_agree(cluster, status, error));
    file->count = all.count;
    status = rowpool_mpi_share(cluster, &all, &file->own, &file->first, error);
    return rowpool_mpi_agree(cluster, status, error);
}

rowpool_status rowpool_mpi_file_open(rowpool_mpi_file **file, rowpool_mpi *cluster, const char *path,
                                     const char *offsets, rowpool_error *error)
{
    rowpool_error own;
    if (file == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "file is NULL: there is no place for the handle");
    *file = NULL;
    RP_TRY(rp_mpi_enter(cluster, &error, &own));
    rowpool_mpi_file *fresh = calloc(1, sizeof *fresh);
    rowpool_status status = fresh != NULL ? open_both(fresh, path, offsets, error)
                                          : rp_fail(error, ROWPOOL_ENOMEM, "out of memory for a file");
    status = rowpool_mpi_agree(cluster, status, error);
    if (status == ROWPOOL_OK)
        status = find_own_rows(cluster, fresh, path, offsets, error);
    if (status == ROWPOOL_OK)
        *file = fresh;
    else
        rowpool_mpi_file_close(fresh);
    return status;
}

const rowpool_rows *rowpool_mpi_file_rows(const rowpool_mpi_file *file)
{
    return file != NULL ? &file->own : NULL;
}

size_t rowpool_mpi_file_first(const rowpool_mpi_file *file)
{
    return file != NULL ? file->first : 0;
}

size_t rowpool_mpi_file_count(const rowpool_mpi_file *file)
{
    return file != NULL ? file->count : 0;
}

void rowpool_mpi_file_close(rowpool_mpi_file *file)
{
    if (file == NULL)
        return;
    npy_close(&file->data);
    npy_close(&file->offsets);
    free(file);
}
