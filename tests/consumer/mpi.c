/* The same over MPI, on any number of ranks. */
#include <rowpool_mpi.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    static const int data[2][5] = {{0, 4, 8, 9, 5}, {6, 1, 2, 3, 3}};
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 2, .width = 5};
    unsigned counts[2] = {0, 0};
    rowpool_error error;
    rowpool_mpi *cluster;
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    if (rowpool_mpi_open(&cluster, MPI_COMM_WORLD, NULL, &error) != ROWPOOL_OK ||
        rowpool_mpi_range_count(cluster, &rows, NULL, 0, counts, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    rowpool_mpi_close(cluster);
    MPI_Finalize();
    printf("rowpool %s over MPI: %u %u\n", rowpool_version(), counts[0], counts[1]);
    return counts[0] == 3 && counts[1] == 1 ? 0 : 1;
}
