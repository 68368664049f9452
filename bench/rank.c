/* rowpool-bench-rank: one rank of what rowpool-bench --ranks measures. Each rank counts rows of its own, as those of a part
 * of the whole; rank 0 prints the medians of the slowest rank's times.
 *
 *     mpirun -n 2 rowpool-bench-rank TYPE ROWS LENGTH ROUNDS */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rowpool_mpi.h>

#include "data.h"
#include "median.h"
#include "rank_times.h"

enum { AGREEMENTS = 64, WARM_UPS = 2 };

typedef struct {
    rowpool_mpi *cluster;
    int rank, ranks;
    bench_case work; /* this rank's rows */
    uint32_t *counts;
    uint32_t *all; /* on rank 0: those of every rank */
    size_t all_rows, rounds;
} ranked;

/* ---- The command line ------------------------------------------------------------------------------------------- */

static bool read_number(const char *text, size_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

static rowpool_status read_arguments(ranked *own, int argc, char **argv, rowpool_error *error)
{
    bench_shape shape = {.width = 0};
    int dtype = 0;
    const char *name;

    if (argc != 5 || !read_number(argv[2], &own->all_rows) || !read_number(argv[3], &shape.width) ||
        !read_number(argv[4], &own->rounds) || !own->rounds)
        return bench_fail(error, ROWPOOL_EINVAL, "Usage: rowpool-bench-rank TYPE ROWS LENGTH ROUNDS");
    while ((name = rowpool_dtype_name((rowpool_dtype)dtype)) && strcmp(name, argv[1]) != 0)
        dtype++;
    if (!name)
        return bench_fail(error, ROWPOOL_EINVAL, "'%s' is no element type", argv[1]);
    if (own->all_rows < (size_t)own->ranks)
        return bench_fail(error, ROWPOOL_EINVAL, "%zu rows are not enough for %d ranks", own->all_rows, own->ranks);
    shape.rows = own->all_rows / (size_t)own->ranks + ((size_t)own->rank < own->all_rows % (size_t)own->ranks);
    return bench_case_make(&own->work, (rowpool_dtype)dtype, &shape, error);
}

/* ---- What is timed: all ranks begin together, and the last one's end counts ---------------------------------------- */

typedef rowpool_status timed_call(ranked *own, rowpool_error *error);

static rowpool_status count(ranked *own, rowpool_error *error)
{
    const rowpool_rows rows = bench_case_rows(&own->work);
    const rowpool_range range = rowpool_range_i64(own->work.lo, own->work.hi);

    return rowpool_mpi_range_count(own->cluster, &rows, &range, 1, own->counts, error);
}

static rowpool_status agree(ranked *own, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    for (int i = 0; i < AGREEMENTS && !status; i++)
        status = rowpool_mpi_agree(own->cluster, ROWPOOL_OK, error);
    return status;
}

static rowpool_status gather(ranked *own, rowpool_error *error)
{
    return rowpool_mpi_gather(own->cluster, own->counts, own->work.rows * sizeof *own->counts, 0, own->all,
                              own->all ? own->all_rows * sizeof *own->all : 0, error);
}

static rowpool_status time_call(ranked *own, timed_call *call, double *median, rowpool_error *error)
{
    double *seconds = calloc(own->rounds, sizeof *seconds);
    rowpool_status status = ROWPOOL_OK;

    if (!seconds)
        status = bench_fail(error, ROWPOOL_ENOMEM, "no memory for %zu rounds", own->rounds);
    status = rowpool_mpi_agree(own->cluster, status, error);
    for (size_t round = 0; round < own->rounds + WARM_UPS && !status; round++) {
        double taken = 0, longest = 0;

        MPI_Barrier(MPI_COMM_WORLD);
        taken = -MPI_Wtime();
        status = call(own, error);
        taken += MPI_Wtime();
        MPI_Allreduce(&taken, &longest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (round >= WARM_UPS)
            seconds[round - WARM_UPS] = longest;
    }
    if (!status) {
        *median = bench_median(seconds, own->rounds);
    }
    free(seconds);
    return status;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static rowpool_status prepare(ranked *own, int argc, char **argv, rowpool_error *error)
{
    rowpool_status status = read_arguments(own, argc, argv, error);

    if (!status && !(own->counts = bench_counts_new(own->work.rows, error)))
        status = ROWPOOL_ENOMEM;
    if (!status && own->rank == 0 && !(own->all = bench_counts_new(own->all_rows, error)))
        status = ROWPOOL_ENOMEM;
    return rowpool_mpi_agree(own->cluster, status, error);
}

static rowpool_status verify(const ranked *own, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    if (memcmp(own->counts, own->work.expected, own->work.rows * sizeof *own->counts) != 0)
        status = bench_fail(error, ROWPOOL_EDEVICE, "the counts are wrong");
    else if (own->all && memcmp(own->all, own->work.expected, own->work.rows * sizeof *own->all) != 0)
        status = bench_fail(error, ROWPOOL_EDEVICE, "the counts are wrong where they are gathered");
    return rowpool_mpi_agree(own->cluster, status, error);
}

static double crowd(void)
{
    MPI_Comm node;
    int ranks = 1;
    double own, most;

    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &ranks);
    MPI_Comm_free(&node);
    own = (double)ranks / (double)sysconf(_SC_NPROCESSORS_ONLN);
    MPI_Allreduce(&own, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return most;
}

static rowpool_status measure(ranked *own, rowpool_error *error)
{
    bench_rank_times times = {.crowd = crowd()};
    rowpool_status status = time_call(own, count, &times.count, error);

    if (!status)
        status = time_call(own, agree, &times.agree, error);
    if (!status)
        status = time_call(own, gather, &times.gather, error);
    if (!status)
        status = verify(own, error);
    if (!status && own->rank == 0) {
        times.agree /= AGREEMENTS;
        bench_rank_times_write(&times, stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    ranked own = {.cluster = NULL};
    rowpool_error error;
    rowpool_status status;
    int provided = MPI_THREAD_SINGLE;

    setenv("ROWPOOL_BUILD_WAIT", "1", 0);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &own.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &own.ranks);
    status = rowpool_mpi_open(&own.cluster, MPI_COMM_WORLD, NULL, &error);
    if (!status)
        status = prepare(&own, argc, argv, &error);
    if (!status)
        status = measure(&own, &error);
    if (status && own.rank == 0)
        bench_complain("%s", error.message);
    bench_counts_free(own.all, own.all_rows);
    bench_counts_free(own.counts, own.work.rows);
    bench_case_free(&own.work);
    rowpool_mpi_close(own.cluster);
    MPI_Finalize();
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
