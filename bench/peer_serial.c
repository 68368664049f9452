/* The serial loop: what one core does, and what every ratio refers to. */
#include <stdio.h>

#include "dtypes.h"
#include "machine.h"
#include "peer.h"

typedef void count_function(const bench_case *work, uint32_t *counts);

#define COUNT(name, type, kind)                                              \
    static void count_##name(const bench_case *work, uint32_t *counts)       \
    {                                                                        \
        const type *data = work->data;                                       \
        const type lo = BENCH_KEY_##kind(BENCH_FROM_##kind(type, work->lo)); \
        const type hi = BENCH_KEY_##kind(BENCH_FROM_##kind(type, work->hi)); \
        const size_t rows = work->rows, width = work->width;                 \
                                                                             \
        for (size_t i = 0; i < rows; i++)                                    \
            counts[i] = bench_row_##name(data + i * width, width, lo, hi);   \
    }
BENCH_DTYPES(COUNT)
#undef COUNT

#define COUNT_ENTRY(name, type, kind) [ROWPOOL_##name] = count_##name,
static count_function *const loops[] = {BENCH_DTYPES(COUNT_ENTRY)};
#undef COUNT_ENTRY

static rowpool_status serial_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_serial, .label = "serial", .device = "1 thread", .required = true};

    (void)devices;
    (void)snprintf(peer.driver, sizeof peer.driver, "%s", bench_compiler());
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status serial_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    (void)peer;
    (void)error;
    loops[work->dtype](work, counts);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_serial = {
    .name = "serial",
    .available = serial_available,
    .run = serial_run,
};
