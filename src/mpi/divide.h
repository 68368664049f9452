/* How the ranks of a node share its cores: pure computation. */
#ifndef RP_MPI_DIVIDE_H
#define RP_MPI_DIVIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RP_MPI_MOST_CPUS = 8192, RP_MPI_MASK_WORDS = RP_MPI_MOST_CPUS / 64 };

/* A set of CPUs. */
typedef struct {
    uint64_t words[RP_MPI_MASK_WORDS];
} rp_mpi_mask;

static inline bool rp_mpi_mask_has(const rp_mpi_mask *mask, size_t cpu)
{
    return (mask->words[cpu / 64] >> cpu % 64 & 1) != 0;
}

static inline void rp_mpi_mask_add(rp_mpi_mask *mask, size_t cpu)
{
    mask->words[cpu / 64] |= (uint64_t)1 << cpu % 64;
}

size_t rp_mpi_mask_count(const rp_mpi_mask *mask);

/* What two CPUs that compare equal do not have: sorted by it, those that share a core lie side by side. */
typedef uint64_t rp_mpi_place_of_cpu(size_t cpu);

/* The share of rank `own` of n ranks with these masks; false where it shares no CPU with any other. The ranks whose masks
 * overlap, directly or by way of others, divide all that these have, in the order of the CPUs' places. */
bool rp_mpi_divide(const rp_mpi_mask *masks, size_t n, size_t own, rp_mpi_place_of_cpu *place_of, rp_mpi_mask *share);

#endif
