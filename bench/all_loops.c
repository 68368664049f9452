#include "loops.h"

const bench_loops *const bench_all_loops[] = {
    &bench_loops_own,
#ifdef BENCH_HAVE_CLANG
    &bench_loops_clang,
#endif
    NULL,
};

bench_loop *bench_loop_of_width(const bench_loops *loops, rowpool_dtype dtype, size_t width)
{
    for (size_t i = 0; i < BENCH_LOOP_WIDTHS; i++)
        if (loops->of_width[i].width == width)
            return loops->of_width[i].loops[dtype];
    return NULL;
}
