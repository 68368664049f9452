#include "team.h"

#ifdef _OPENMP
#include <omp.h>

int bench_threads(void)
{
    return omp_get_max_threads();
}

void bench_team_run(bench_team_function *function, void *argument)
{
#pragma omp parallel
    function(argument, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
}
#else
int bench_threads(void)
{
    return 0;
}

void bench_team_run(bench_team_function *function, void *argument)
{
    function(argument, 0, 1);
}
#endif

/* Without a product that could overflow: the first few parts take what division leaves over. */
bench_part bench_part_of(size_t things, size_t thread, size_t threads)
{
    const size_t each = things / threads, over = things % threads;
    const size_t before = thread < over ? thread : over;

    return (bench_part){thread * each + before, each + (thread < over)};
}
