/* rowpool-bench-rank: one rank of what rowpool-bench --ranks measures. Each rank counts rows of its own, a part of the
 * whole; rank 0 prints the medians of the slowest rank's times as a line of JSON, which scaling.py reads.
 *
 *     mpirun -n 2 rowpool-bench-rank TYPE ROWS LENGTH ROUNDS */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rowpool_mpi.h>

#include "data.h"

enum { AGREEMENTS = 64, WARM_UPS = 2 };

typedef struct {
    rowpool_mpi *cluster;
    int rank, ranks;
    bench_case work; /* this rank's rows */
    uint32_t *counts;
    uint32_t *all; /* on rank 0: those of every rank */
    size_t all_rows, rounds;
} ranked;

static bool read_number(const char *text, size_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number > 0;
}

static rowpool_status read_arguments(ranked *own, int argc, char **argv, rowpool_error *error)
{
    bench_shape shape = {.ranges = 1};
    int dtype = 0;
    const char *name;

    if (argc != 5 || !read_number(argv[2], &own->all_rows) || !read_number(argv[3], &shape.width) ||
        !read_number(argv[4], &own->rounds))
        return bench_fail(error, ROWPOOL_EINVAL, "Usage: rowpool-bench-rank TYPE ROWS LENGTH ROUNDS");
    while ((name = rowpool_dtype_name((rowpool_dtype)dtype)) != NULL && strcmp(name, argv[1]) != 0)
        dtype++;
    if (name == NULL)
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
    const bench_range ends = bench_case_range(&own->work, 0);
    const rowpool_range range = rowpool_range_i64(ends.lo, ends.hi);

    return rowpool_mpi_range_count(own->cluster, &rows, &range, 1, own->counts, error);
}

static rowpool_status agree(ranked *own, rowpool_error *error)
{
    for (int i = 0; i < AGREEMENTS; i++)
        BENCH_TRY(rowpool_mpi_agree(own->cluster, ROWPOOL_OK, error));
    return ROWPOOL_OK;
}

static rowpool_status gather(ranked *own, rowpool_error *error)
{
    return rowpool_mpi_gather(own->cluster, own->counts, own->work.counts * sizeof *own->counts, 0, own->all,
                              own->all != NULL ? own->all_rows * sizeof *own->all : 0, error);
}

static rowpool_status time_call(ranked *own, timed_call *call, double *median, rowpool_error *error)
{
    double *seconds = calloc(own->rounds, sizeof *seconds);
    rowpool_status status = ROWPOOL_OK;

    if (seconds == NULL)
        status = bench_fail(error, ROWPOOL_ENOMEM, "no memory for %zu rounds", own->rounds);
    status = rowpool_mpi_agree(own->cluster, status, error);
    for (size_t round = 0; round < own->rounds + WARM_UPS && status == ROWPOOL_OK; round++) {
        double taken, longest;

        MPI_Barrier(MPI_COMM_WORLD);
        taken = -MPI_Wtime();
        status = call(own, error);
        taken += MPI_Wtime();
        MPI_Allreduce(&taken, &longest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (round >= WARM_UPS)
            seconds[round - WARM_UPS] = longest;
    }
    if (status == ROWPOOL_OK)
        *median = bench_median(seconds, own->rounds);
    free(seconds);
    return status;
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

static rowpool_status prepare(ranked *own, int argc, char **argv, rowpool_error *error)
{
    rowpool_status status = read_arguments(own, argc, argv, error);

    if (status == ROWPOOL_OK)
        own->counts = bench_pages_new(own->work.counts * sizeof *own->counts, error);
    if (status == ROWPOOL_OK && own->rank == 0)
        own->all = bench_pages_new(own->all_rows * sizeof *own->all, error);
    if (status == ROWPOOL_OK && (own->counts == NULL || (own->rank == 0 && own->all == NULL)))
        status = ROWPOOL_ENOMEM;
    return rowpool_mpi_agree(own->cluster, status, error);
}

static rowpool_status verify(const ranked *own, rowpool_error *error)
{
    const size_t size = own->work.counts * sizeof *own->counts;
    rowpool_status status = ROWPOOL_OK;

    if (memcmp(own->counts, own->work.expected, size) != 0)
        status = bench_fail(error, ROWPOOL_EDEVICE, "the counts are wrong");
    else if (own->all != NULL && memcmp(own->all, own->work.expected, size) != 0)
        status = bench_fail(error, ROWPOOL_EDEVICE, "the counts are wrong where they are gathered");
    return rowpool_mpi_agree(own->cluster, status, error);
}

/* The max over the nodes; above 1 ranks wait for each other. */
static double ranks_per_processor(void)
{
    MPI_Comm node;
    int ranks = 1;
    double own, max;

    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &ranks);
    MPI_Comm_free(&node);
    own = (double)ranks / (double)sysconf(_SC_NPROCESSORS_ONLN);
    MPI_Allreduce(&own, &max, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return max;
}

static rowpool_status measure(ranked *own, rowpool_error *error)
{
    const double crowd = ranks_per_processor();
    double counting, agreeing, gathering;

    BENCH_TRY(time_call(own, count, &counting, error));
    BENCH_TRY(time_call(own, agree, &agreeing, error));
    BENCH_TRY(time_call(own, gather, &gathering, error));
    BENCH_TRY(verify(own, error));
    if (own->rank == 0)
        printf(
            "rowpool-bench-rank: {\"count\": %.9g, \"agree\": %.9g, \"gather\": %.9g, \"ranks_per_processor\": %.9g}\n",
            counting, agreeing / AGREEMENTS, gathering, crowd);
    return ROWPOOL_OK;
}

int main(int argc, char **argv)
{
    ranked own = {.cluster = NULL};
    rowpool_error error;
    rowpool_status status;
    int provided;

    setenv("ROWPOOL_TEST", "build-wait", 0);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &own.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &own.ranks);
    status = rowpool_mpi_open(&own.cluster, MPI_COMM_WORLD, NULL, &error);
    if (status == ROWPOOL_OK)
        status = prepare(&own, argc, argv, &error);
    if (status == ROWPOOL_OK)
        status = measure(&own, &error);
    if (status != ROWPOOL_OK && own.rank == 0)
        bench_complain("%s", error.message);
    bench_pages_free(own.all, own.all_rows * sizeof *own.all);
    bench_pages_free(own.counts, own.work.counts * sizeof *own.counts);
    bench_case_free(&own.work);
    rowpool_mpi_close(own.cluster);
    MPI_Finalize();
    return status == ROWPOOL_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
