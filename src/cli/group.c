#include "group.h"

#include <unistd.h>

static bool agree_alone(bool done)
{
    return done;
}

static size_t max_alone(size_t own)
{
    return own;
}

static rowpool_status share_alone(const rowpool_rows *all, rowpool_rows *own, size_t *first, rowpool_error *error)
{
    (void)error;
    *own = *all;
    *first = 0;
    return ROWPOOL_OK;
}

static rowpool_status gather_alone(void **bytes, size_t *size, rowpool_error *error)
{
    (void)bytes;
    (void)size;
    (void)error;
    return ROWPOOL_OK;
}

static rowpool_status print_alone(write_table *write, const result_table *own, size_t rows, rowpool_error *error)
{
    return write(STDOUT_FILENO, own, rows, error);
}

static rowpool_status end_file_alone(replacement *file, const char *path, const result_table *own, size_t rows,
                                     rowpool_error *error)
{
    rowpool_status status = output_format_of(path)(file->fd, own, rows, error);
    return status == ROWPOOL_OK ? replace_commit(file, error) : status;
}

static const process_group alone = {
    .size = 1,
    .agree = agree_alone,
    .max = max_alone,
    .open_pool = rowpool_open,
    .close_pool = rowpool_close,
    .share = share_alone,
    .gather = gather_alone,
    .print = print_alone,
    .begin_file = replace_begin,
    .end_file = end_file_alone,
};

static const process_group *joined = &alone;

const process_group *the_group(void)
{
    return joined;
}

void join_group(const process_group *group)
{
    joined = group;
}
