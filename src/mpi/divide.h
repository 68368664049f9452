/* How the ranks of a node share its cores: pure computation. */
#ifndef RP_MPI_DIVIDE_H
#define RP_MPI_DIVIDE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of CPUs, for the macros of sched.h that end in _S. */
enum { RP_MPI_MAX_CPUS = 8192 };
typedef struct {
    cpu_set_t cpus[RP_MPI_MAX_CPUS / CPU_SETSIZE];
} rp_mpi_mask;

/* The key by which CPUs are sorted; CPUs of one core have the same key. */
typedef uint64_t rp_mpi_core_of_cpu(size_t cpu);

/* The share of rank `own` of n ranks with these masks; false if its mask overlaps with no other. Ranks whose masks
 * overlap, directly or through others, divide the union of their masks, sorted by core. */
bool rp_mpi_divide(const rp_mpi_mask *masks, size_t n, size_t own, rp_mpi_core_of_cpu *core_of, rp_mpi_mask *share);

#endif
