/* The OpenMP loop: rows dealt out evenly, the width known when the program runs. Not available where the compiler has
 * no OpenMP. */
#include <stdio.h>

#include "dtypes.h"
#include "machine.h"
#include "peer.h"

#ifdef _OPENMP
#include <omp.h>

static int threads(void)
{
    return omp_get_max_threads();
}
#else
static int threads(void)
{
    return 0;
}
#endif

#ifdef _OPENMP
#define DEAL_OUT_ROWS _Pragma("omp parallel for schedule(static)")
#else
#define DEAL_OUT_ROWS
#endif

typedef void count_function(const bench_case *work, uint32_t *counts);

#define COUNT(name, type, kind)                                              \
    static void count_##name(const bench_case *work, uint32_t *counts)       \
    {                                                                        \
        const type *data = work->data;                                       \
        const type lo = BENCH_KEY_##kind(BENCH_FROM_##kind(type, work->lo)); \
        const type hi = BENCH_KEY_##kind(BENCH_FROM_##kind(type, work->hi)); \
        const size_t rows = work->rows, width = work->width;                 \
                                                                             \
        DEAL_OUT_ROWS                                                        \
        for (size_t i = 0; i < rows; i++)                                    \
            counts[i] = bench_row_##name(data + i * width, width, lo, hi);   \
    }
BENCH_DTYPES(COUNT)
#undef COUNT

#define COUNT_ENTRY(name, type, kind) [ROWPOOL_##name] = count_##name,
static count_function *const loops[] = {BENCH_DTYPES(COUNT_ENTRY)};
#undef COUNT_ENTRY

static rowpool_status openmp_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_openmp, .label = "openmp", .required = true};

    (void)devices;
    if (threads() == 0)
        return ROWPOOL_OK;
    (void)snprintf(peer.device, sizeof peer.device, "%d thread%s", threads(), threads() == 1 ? "" : "s");
    (void)snprintf(peer.driver, sizeof peer.driver, "%s", bench_compiler());
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status openmp_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    (void)peer;
    (void)error;
    loops[work->dtype](work, counts);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_openmp = {
    .name = "openmp",
    .available = openmp_available,
    .run = openmp_run,
};
