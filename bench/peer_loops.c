/* Peers that are loops in C: on one core, on all cores by OpenMP, and the limit, which reads and writes as many bytes
 * without counting. */
#include <stdio.h>
#include <string.h>

#include "loops.h"
#include "peer.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* By peer.variant. */
static const bench_loops *const compilers[] = {
    &bench_loops_own,
#ifdef BENCH_HAVE_CLANG
    &bench_loops_clang,
#endif
};
enum { COMPILERS = sizeof compilers / sizeof *compilers };

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

/* One call: what each thread gets. */
typedef struct {
    const bench_case *work;
    bench_loop *loop;
    uint32_t *counts;
} task;

typedef void thread_function(const task *own, size_t thread, size_t threads);

/* Calls the function once in each thread. */
static void run_team(thread_function *function, const task *own)
{
#ifdef _OPENMP
#pragma omp parallel
    function(own, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
#else
    function(own, 0, 1);
#endif
}

/* 0: the compiler has no OpenMP. */
static int thread_count(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 0;
#endif
}

typedef struct {
    size_t first, count;
} part;

/* One thread's part of so many things, in order and as even as can be. */
static part part_of(size_t things, size_t thread, size_t threads)
{
    const size_t each = things / threads, over = things % threads;

    return (part){thread * each + (thread < over ? thread : over), each + (thread < over)};
}

/* ---- Rows dealt out --------------------------------------------------------------------------------------------- */

static void count_rows(const task *own, size_t thread, size_t threads)
{
    const bench_case *work = own->work;
    const part rows = part_of(work->shape.rows, thread, threads);
    const bench_range range = bench_case_range(work, 0);

    own->loop((const char *)work->data + rows.first * work->row_bytes, rows.count, work->shape.width, range.lo,
              range.hi, own->counts + rows.first);
}

static bench_loop *loop_of_width(const bench_peer *peer, const bench_case *work, size_t width)
{
    for (size_t i = 0; i < BENCH_WIDTH_COUNT; i++)
        if (compilers[peer->variant]->loops[i].width == width)
            return compilers[peer->variant]->loops[i].by_dtype[work->dtype];
    return NULL;
}

static rowpool_status serial_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    count_rows(&(task){work, loop_of_width(peer, work, 0), counts}, 0, 1);
    return ROWPOOL_OK;
}

static rowpool_status openmp_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    run_team(count_rows, &(task){work, loop_of_width(peer, work, 0), counts});
    return ROWPOOL_OK;
}

static bool width_applies(const bench_peer *peer, const bench_case *work)
{
    return loop_of_width(peer, work, work->shape.width) != NULL;
}

static rowpool_status width_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    run_team(count_rows, &(task){work, loop_of_width(peer, work, work->shape.width), counts});
    return ROWPOOL_OK;
}

static bool intrinsics_applies(const bench_peer *peer, const bench_case *work)
{
    return work->dtype == ROWPOOL_INT32;
}

static rowpool_status intrinsics_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    run_team(count_rows, &(task){work, bench_intrinsics, counts});
    return ROWPOOL_OK;
}

/* ---- Each row cut up among the threads -------------------------------------------------------------------------- */

static void count_parts(const task *own, size_t thread, size_t threads)
{
    const bench_case *work = own->work;
    const part columns = part_of(work->shape.width, thread, threads);
    const size_t before = columns.first * rowpool_dtype_size(work->dtype);
    const bench_range range = bench_case_range(work, 0);

    for (size_t row = 0; row < work->shape.rows; row++) {
        uint32_t count;

        own->loop((const char *)work->data + row * work->row_bytes + before, 1, columns.count, range.lo, range.hi,
                  &count);
        __atomic_fetch_add(&own->counts[row], count, __ATOMIC_RELAXED);
    }
}

static bool split_applies(const bench_peer *peer, const bench_case *work)
{
    return work->shape.rows <= 1024; /* with more there is nothing to gain */
}

static rowpool_status split_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    memset(counts, 0, work->counts * sizeof *counts);
    run_team(count_parts, &(task){work, loop_of_width(peer, work, 0), counts});
    return ROWPOOL_OK;
}

/* ---- The limit -------------------------------------------------------------------------------------------------- */

/* Bytes of the processor's widest register. */
#if defined(__AVX512F__)
#define WIDE 64
#elif defined(__AVX__)
#define WIDE 32
#else
#define WIDE 16
#endif

/* Unaligned: rows of one byte may begin at any address. */
typedef uint64_t wide __attribute__((vector_size(WIDE)));
typedef uint64_t unaligned_wide __attribute__((vector_size(WIDE), aligned(1), may_alias));

static wide load(const char *from)
{
    return *(const unaligned_wide *)(const void *)from;
}

/* The bytes folded into one word. Four loads are under way at a time. */
static uint64_t read_bytes(const char *from, size_t bytes)
{
    wide a = {0}, b = {0}, c = {0}, d = {0};
    uint64_t word = 0;
    size_t at = 0;

    for (; at + 4 * WIDE <= bytes; at += 4 * WIDE) {
        a ^= load(from + at);
        b ^= load(from + at + WIDE);
        c ^= load(from + at + 2 * WIDE);
        d ^= load(from + at + 3 * WIDE);
    }
    for (; at < bytes; at++)
        word ^= (unsigned char)from[at];
    a ^= b ^ c ^ d;
    for (size_t i = 0; i < WIDE / sizeof word; i++)
        word ^= a[i];
    return word;
}

/* Reads a block, and writes the counts that belong to it. */
static void sweep(const task *own, size_t thread, size_t threads)
{
    enum { BLOCK = 64 * 1024 };
    const part bytes = part_of(own->work->bytes, thread, threads), counts = part_of(own->work->counts, thread, threads);
    const size_t blocks = bytes.count / BLOCK + 1;

    for (size_t i = 0; i < blocks; i++) {
        const size_t size = i + 1 < blocks ? BLOCK : bytes.count - i * BLOCK;
        const part out = part_of(counts.count, i, blocks);
        const uint64_t word = read_bytes((const char *)own->work->data + bytes.first + i * BLOCK, size);

        /* The compiler does not know the word: it can drop neither the loads nor the stores. */
        memset(own->counts + counts.first + out.first, (int)(word & 0xff), out.count * sizeof *own->counts);
    }
}

static rowpool_status limit_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    run_team(sweep, &(task){work, NULL, counts});
    return ROWPOOL_OK;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static rowpool_status loops_available(bench_peers *peers, rowpool_error *error);

const bench_peer_type bench_peer_serial = {.available = loops_available, .run = serial_run, .reference = BENCH_SERIAL};
static const bench_peer_type openmp = {.run = openmp_run}, width = {.run = width_run, .applies = width_applies},
                             split = {.run = split_run, .applies = split_applies},
                             intrinsics = {.run = intrinsics_run, .applies = intrinsics_applies},
                             limit = {.run = limit_run,
                                      .reference = BENCH_LIMIT,
                                      .counts = BENCH_NOT_COUNTED,
                                      .ragged = true,
                                      .many_ranges = true};

/* note: what stands behind the number of threads. */
static rowpool_status add(bench_peers *peers, const bench_peer_type *type, int compiler, const char *name,
                          const char *note, rowpool_error *error)
{
    const int threads = type == &bench_peer_serial ? 1 : thread_count();
    bench_peer peer = {.type = type, .variant = compiler, .required = true};

    BENCH_PRINT(peer.label, "%s%s", name, name[strlen(name) - 1] == '/' ? compilers[compiler]->compiler : "");
    BENCH_PRINT(peer.device, "%d thread%s%s%s", threads, threads == 1 ? "" : "s", note[0] != '\0' ? ", " : "", note);
    BENCH_PRINT(peer.driver, "%s", compilers[compiler]->version);
    return threads > 0 ? bench_peers_add(peers, &peer, error) : ROWPOOL_OK;
}

static rowpool_status loops_available(bench_peers *peers, rowpool_error *error)
{
    static const struct {
        const bench_peer_type *type;
        const char *name;
    } by_compiler[] = {{&openmp, "openmp/"}, {&width, "openmp-width/"}, {&split, "openmp-split/"}};

    BENCH_TRY(add(peers, &bench_peer_serial, 0, "serial", "", error));
    for (size_t i = 0; i < sizeof by_compiler / sizeof *by_compiler; i++)
        for (int compiler = 0; compiler < COMPILERS; compiler++)
            BENCH_TRY(add(peers, by_compiler[i].type, compiler, by_compiler[i].name, "", error));
    if (bench_intrinsics != NULL)
        BENCH_TRY(add(peers, &intrinsics, 0, "intrinsics", bench_instructions, error));
    return add(peers, &limit, 0, "limit", "only reading and writing", error);
}
