/* rowpool-bench-rank: one rank of a job that rowpool-bench --ranks measures. Each rank counts its part of the rows; rank 0
 * prints the medians of the slowest rank's times as a line of JSON, which scaling.py reads.
 *
 *     mpirun -n 2 rowpool-bench-rank TYPE ROWS LENGTH ROUNDS */
#include <string.h>
#include <unistd.h>

#include <rowpool_mpi.h>

#include "data.h"

enum { AGREEMENTS = 64, WARM_UPS = 2 };

typedef struct {
    rowpool_mpi *cluster;
    int number, ranks;
    bench_case work;  /* this rank's rows */
    uint32_t *counts; /* of these rows */
    uint32_t *all;    /* on rank 0: the counts of all ranks */
    size_t all_rows, rounds;
} bench_rank;

/* Ends the job if the status of this rank is a failure. */
static void require(rowpool_status status, const rowpool_error *error)
{
    if (status == ROWPOOL_OK)
        return;
    fprintf(stderr, "rowpool-bench-rank: %s\n", error->message);
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
}

static rowpool_status make_rows(bench_rank *rank, int argc, char **argv, rowpool_error *error)
{
    const size_t ranks = (size_t)rank->ranks, number = (size_t)rank->number;
    bench_shape shape = {.ranges = 1};
    rowpool_dtype dtype;

    if (argc != 5 || !bench_find_dtype(argv[1], &dtype) || !bench_read_size(argv[2], &rank->all_rows) ||
        !bench_read_size(argv[3], &shape.width) || !bench_read_size(argv[4], &rank->rounds))
        return rp_fail(error, ROWPOOL_EINVAL, "usage: rowpool-bench-rank TYPE ROWS LENGTH ROUNDS");
    if (rank->all_rows < ranks)
        return rp_fail(error, ROWPOOL_EINVAL, "%zu rows are not enough for %zu ranks", rank->all_rows, ranks);
    shape.rows = rank->all_rows / ranks + (number < rank->all_rows % ranks);
    BENCH_TRY(bench_case_make(&rank->work, dtype, &shape, error));
    rank->counts = bench_pages_new(rank->work.counts * sizeof *rank->counts, error);
    rank->all = number == 0 ? bench_pages_new(rank->all_rows * sizeof *rank->all, error) : NULL;
    return rank->counts == NULL || (number == 0 && rank->all == NULL) ? ROWPOOL_ENOMEM : ROWPOOL_OK;
}

/* ---- What is timed ---------------------------------------------------------------------------------------------- */

typedef rowpool_status timed_call(bench_rank *rank, rowpool_error *error);

static rowpool_status count_rows(bench_rank *rank, rowpool_error *error)
{
    const rowpool_rows rows = bench_case_rows(&rank->work);
    const bench_range ends = bench_case_range(&rank->work, 0);
    const rowpool_range range = rowpool_range_i64(ends.lo, ends.hi);

    return rowpool_mpi_range_count(rank->cluster, &rows, &range, 1, rank->counts, error);
}

static rowpool_status agree_often(bench_rank *rank, rowpool_error *error)
{
    for (int i = 0; i < AGREEMENTS; i++)
        BENCH_TRY(rowpool_mpi_agree(rank->cluster, ROWPOOL_OK, error));
    return ROWPOOL_OK;
}

static rowpool_status gather_counts(bench_rank *rank, rowpool_error *error)
{
    return rowpool_mpi_gather(rank->cluster, rank->counts, rank->work.counts * sizeof *rank->counts, 0, rank->all,
                              rank->all != NULL ? rank->all_rows * sizeof *rank->all : 0, error);
}

/* The median over the rounds. All ranks begin a round together; it lasts until the last one ends. */
static double time_call(bench_rank *rank, timed_call *call)
{
    double *seconds = calloc(rank->rounds, sizeof *seconds);
    rowpool_error error;

    if (seconds == NULL)
        require(rp_fail(&error, ROWPOOL_ENOMEM, "no memory for %zu rounds", rank->rounds), &error);
    for (size_t round = 0; round < rank->rounds + WARM_UPS; round++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double taken = -MPI_Wtime(), longest;
        require(call(rank, &error), &error);
        taken += MPI_Wtime();
        MPI_Allreduce(&taken, &longest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        seconds[round < WARM_UPS ? 0 : round - WARM_UPS] = longest;
    }
    const double median = bench_median(seconds, rank->rounds);
    free(seconds);
    return median;
}

/* The max over the nodes. Above 1 the ranks of a node compete for processors. */
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

static rowpool_status verify_counts(const bench_rank *rank, rowpool_error *error)
{
    const size_t size = rank->work.counts * sizeof *rank->counts;

    if (memcmp(rank->counts, rank->work.expected, size) != 0)
        return rp_fail(error, ROWPOOL_EDEVICE, "the counts are wrong");
    if (rank->all != NULL && memcmp(rank->all, rank->work.expected, size) != 0)
        return rp_fail(error, ROWPOOL_EDEVICE, "the gathered counts are wrong");
    return ROWPOOL_OK;
}

int main(int argc, char **argv)
{
    bench_rank rank = {.cluster = NULL};
    rowpool_error error;
    int provided;

    setenv("ROWPOOL_TEST", "build-wait", 0);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank.number);
    MPI_Comm_size(MPI_COMM_WORLD, &rank.ranks);
    require(rowpool_mpi_open(&rank.cluster, MPI_COMM_WORLD, NULL, &error), &error);
    require(make_rows(&rank, argc, argv, &error), &error);
    const double crowd = ranks_per_processor(), count = time_call(&rank, count_rows);
    const double agree = time_call(&rank, agree_often) / AGREEMENTS, gather = time_call(&rank, gather_counts);
    require(verify_counts(&rank, &error), &error);
    if (rank.number == 0)
        printf("rowpool-bench-rank: {\"count\": %.9g, \"agree\": %.9g, \"gather\": %.9g, \"crowd\": %.9g}\n", count,
               agree, gather, crowd);
    bench_pages_free(rank.all, rank.all_rows * sizeof *rank.all);
    bench_pages_free(rank.counts, rank.work.counts * sizeof *rank.counts);
    bench_case_free(&rank.work);
    rowpool_mpi_close(rank.cluster);
    MPI_Finalize();
    return EXIT_SUCCESS;
}
