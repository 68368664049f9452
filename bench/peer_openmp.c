/* Loops on all cores by OpenMP, by each compiler. Three kinds: rows dealt out evenly, with the width known when the
 * program runs; the same with the width compiled in, which few programs can have; and each row cut up among the
 * threads, for a few long rows. Not available where the compiler of this program has no OpenMP. */
#include <stdio.h>

#include "deal.h"
#include "peer.h"
#include "team.h"

static const bench_loops *loops_of(const bench_peer *peer)
{
    return bench_all_loops[peer->variant];
}

/* Adds one peer for each compiler, "<name>/gcc" and so on. */
static rowpool_status add_compilers(bench_peers *peers, const bench_peer_type *type, rowpool_error *error)
{
    rowpool_status status = ROWPOOL_OK;

    for (int i = 0; bench_all_loops[i] && bench_threads() && !status; i++) {
        bench_peer peer = {.type = type, .variant = i, .required = true};

        (void)snprintf(peer.label, sizeof peer.label, "%s/%s", type->name, bench_all_loops[i]->compiler);
        (void)snprintf(peer.device, sizeof peer.device, "%d thread%s", bench_threads(),
                       bench_threads() == 1 ? "" : "s");
        (void)snprintf(peer.driver, sizeof peer.driver, "%s", bench_all_loops[i]->version);
        status = bench_peers_add(peers, &peer, error);
    }
    return status;
}

/* ---- Rows dealt out --------------------------------------------------------------------------------------------- */

/* What a thread needs. */
typedef struct {
    const bench_case *work;
    bench_loop *loop;
    uint32_t *counts;
} rows_task;

static void count_rows(void *argument, size_t thread, size_t threads)
{
    const rows_task *task = argument;
    const bench_case *work = task->work;
    const bench_part rows = bench_part_of(work->rows, thread, threads);
    const size_t row_bytes = work->bytes / work->rows;

    task->loop((const char *)work->data + rows.first * row_bytes, rows.count, work->width, work->lo, work->hi,
               task->counts + rows.first);
}

void bench_count_rows(const bench_case *work, bench_loop *loop, uint32_t *counts)
{
    rows_task task = {work, loop, counts};

    bench_team_run(count_rows, &task);
}

static rowpool_status openmp_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    (void)devices;
    return add_compilers(peers, &bench_peer_openmp, error);
}

static rowpool_status openmp_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    (void)error;
    bench_count_rows(work, loops_of(peer)->any_width[work->dtype], counts);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_openmp = {
    .name = "openmp",
    .available = openmp_available,
    .run = openmp_run,
};

/* ---- The width compiled in -------------------------------------------------------------------------------------- */

static rowpool_status width_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    (void)devices;
    return add_compilers(peers, &bench_peer_openmp_width, error);
}

static bool width_applies(const bench_peer *peer, const bench_case *work)
{
    return bench_loop_of_width(loops_of(peer), work->dtype, work->width) != NULL;
}

static rowpool_status width_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    (void)error;
    bench_count_rows(work, bench_loop_of_width(loops_of(peer), work->dtype, work->width), counts);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_openmp_width = {
    .name = "openmp-width",
    .available = width_available,
    .applies = width_applies,
    .run = width_run,
};

/* ---- Rows cut up ------------------------------------------------------------------------------------------------ */

enum { FEW_ROWS = 1024 }; /* with more there is nothing to gain */

static void count_parts(void *argument, size_t thread, size_t threads)
{
    const rows_task *task = argument;
    const bench_case *work = task->work;
    const bench_part part = bench_part_of(work->width, thread, threads);
    const size_t element = rowpool_dtype_size(work->dtype);

    for (size_t row = 0; row < work->rows; row++) {
        uint32_t count;

        task->loop((const char *)work->data + (row * work->width + part.first) * element, 1, part.count, work->lo,
                   work->hi, &count);
        __atomic_fetch_add(&task->counts[row], count, __ATOMIC_RELAXED);
    }
}

static rowpool_status split_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    (void)devices;
    return add_compilers(peers, &bench_peer_openmp_split, error);
}

static bool split_applies(const bench_peer *peer, const bench_case *work)
{
    (void)peer;
    return work->rows <= FEW_ROWS;
}

static rowpool_status split_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    rows_task task = {work, loops_of(peer)->any_width[work->dtype], counts};

    (void)error;
    for (size_t row = 0; row < work->rows; row++)
        counts[row] = 0;
    bench_team_run(count_parts, &task);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_openmp_split = {
    .name = "openmp-split",
    .available = split_available,
    .applies = split_applies,
    .run = split_run,
};
