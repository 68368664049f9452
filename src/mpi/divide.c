#include "mpi/divide.h"

#include <stdlib.h>

static bool overlap(const rp_mpi_mask *a, const rp_mpi_mask *b)
{
    rp_mpi_mask both;
    CPU_AND_S(sizeof both, both.cpus, a->cpus, b->cpus);
    return CPU_COUNT_S(sizeof both, both.cpus) > 0;
}

/* The union of the masks that overlap with this rank's, directly or through others. */
static rp_mpi_mask union_around(const rp_mpi_mask *masks, size_t n, size_t own)
{
    rp_mpi_mask all = masks[own];
    for (int before = 0, now = CPU_COUNT_S(sizeof all, all.cpus); now > before;) {
        for (size_t i = 0; i < n; i++)
            if (overlap(&masks[i], &all))
                CPU_OR_S(sizeof all, all.cpus, all.cpus, masks[i].cpus);
        before = now;
        now = CPU_COUNT_S(sizeof all, all.cpus);
    }
    return all;
}

typedef struct {
    uint64_t core;
    size_t cpu;
} placed_cpu;

static int compare_places(const void *a, const void *b)
{
    const placed_cpu *x = a, *y = b;
    if (x->core != y->core)
        return x->core < y->core ? -1 : 1;
    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

bool rp_mpi_divide(const rp_mpi_mask *masks, size_t n, size_t own, rp_mpi_core_of_cpu *core_of, rp_mpi_mask *share)
{
    const rp_mpi_mask all = union_around(masks, n, own);
    size_t ranks = 0, position = 0, cpus = 0;
    for (size_t i = 0; i < n; i++) {
        position += i < own && overlap(&masks[i], &all);
        ranks += overlap(&masks[i], &all);
    }
    if (ranks < 2)
        return false;
    placed_cpu sorted[RP_MPI_MAX_CPUS];
    for (size_t cpu = 0; cpu < RP_MPI_MAX_CPUS; cpu++)
        if (CPU_ISSET_S(cpu, sizeof all, all.cpus))
            sorted[cpus++] = (placed_cpu){core_of(cpu), cpu};
    qsort(sorted, cpus, sizeof *sorted, compare_places);
    size_t begin = cpus * position / ranks, end = cpus * (position + 1) / ranks;
    if (cpus < ranks) {
        begin = position % cpus;
        end = begin + 1;
    }
    CPU_ZERO_S(sizeof *share, share->cpus);
    for (size_t i = begin; i < end; i++)
        CPU_SET_S(sorted[i].cpu, sizeof *share, share->cpus);
    return true;
}
