#include "company.h"

#include <unistd.h>

static bool agree_alone(bool done)
{
    return done;
}

static size_t most_alone(size_t own)
{
    return own;
}

static rowpool_status share_alone(row_part *own, const rowpool_rows *all, rowpool_error *error)
{
    (void)error;
    *own = (row_part){.rows = *all, .begins = true, .ends = true};
    return ROWPOOL_OK;
}

static rowpool_status gather_workers_alone(worker_list *list, rowpool_error *error)
{
    (void)list;
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

static const company ALONE = {
    .agree = agree_alone,
    .most = most_alone,
    .open_pool = rowpool_open,
    .close_pool = rowpool_close,
    .share = share_alone,
    .gather_workers = gather_workers_alone,
    .print = print_alone,
    .begin_file = replace_begin,
    .end_file = end_file_alone,
};

static const company *joined = &ALONE;

const company *the_company(void)
{
    return joined;
}

void join_company(const company *which)
{
    joined = which;
}
