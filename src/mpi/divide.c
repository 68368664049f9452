#include "mpi/divide.h"

#include <stdlib.h>

size_t rp_mpi_mask_count(const rp_mpi_mask *mask)
{
    size_t count = 0;
    for (size_t i = 0; i < RP_MPI_MASK_WORDS; i++)
        count += (size_t)__builtin_popcountll(mask->words[i]);
    return count;
}

static bool overlap(const rp_mpi_mask *a, const rp_mpi_mask *b)
{
    for (size_t i = 0; i < RP_MPI_MASK_WORDS; i++)
        if ((a->words[i] & b->words[i]) != 0)
            return true;
    return false;
}

/* What the ranks have together whose masks overlap with the own one, directly or by way of others. */
static rp_mpi_mask union_around(const rp_mpi_mask *masks, size_t n, size_t own)
{
    rp_mpi_mask all = masks[own];
    for (size_t before = 0, now = rp_mpi_mask_count(&all); now > before; now = rp_mpi_mask_count(&all)) {
        before = now;
        for (size_t i = 0; i < n; i++)
            for (size_t w = 0; overlap(&masks[i], &all) && w < RP_MPI_MASK_WORDS; w++)
                all.words[w] |= masks[i].words[w];
    }
    return all;
}

typedef struct {
    uint64_t place;
    size_t cpu;
} placed_cpu;

static int compare(const void *a, const void *b)
{
    const placed_cpu *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

bool rp_mpi_divide(const rp_mpi_mask *masks, size_t n, size_t own, rp_mpi_place_of_cpu *place_of, rp_mpi_mask *share)
{
    const rp_mpi_mask all = union_around(masks, n, own);
    size_t ranks = 0, position = 0, cpus = 0;
    for (size_t i = 0; i < n; i++) {
        position += i < own && overlap(&masks[i], &all);
        ranks += overlap(&masks[i], &all);
    }
    if (ranks < 2)
        return false;
    placed_cpu sorted[RP_MPI_MOST_CPUS];
    for (size_t cpu = 0; cpu < RP_MPI_MOST_CPUS; cpu++)
        if (rp_mpi_mask_has(&all, cpu))
            sorted[cpus++] = (placed_cpu){place_of(cpu), cpu};
    qsort(sorted, cpus, sizeof *sorted, compare);
    size_t begin = cpus * position / ranks, end = cpus * (position + 1) / ranks;
    if (cpus < ranks) {
        begin = position % cpus;
        end = begin + 1;
    }
    *share = (rp_mpi_mask){{0}};
    for (size_t i = begin; i < end; i++)
        rp_mpi_mask_add(share, sorted[i].cpu);
    return true;
}
