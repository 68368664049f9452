/* Peers that are loops in C: on one core, on all cores by OpenMP, and the limit, which reads and writes as many bytes
 * without counting. */
#include <string.h>

#include "loops.h"
#include "peer.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static const bench_loops *const compilers[] = {
    &bench_loops_own,
#ifdef BENCH_HAVE_CLANG
    &bench_loops_clang,
#endif
};
enum { COMPILERS = sizeof compilers / sizeof *compilers };

/* bench_peer.variant: one of these, plus WAYS times the index of the compiler. */
enum { SERIAL, OPENMP, FIXED_WIDTH, INTRINSICS, WAYS };

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

/* One call: what each thread gets. */
typedef struct {
    const bench_case *work;
    bench_loop *loop;
    uint32_t *counts;
} loop_call;

typedef void thread_function(const loop_call *call, size_t thread, size_t threads);

/* Calls the function once in each thread. */
static void run_team(thread_function *function, const loop_call *call)
{
#ifdef _OPENMP
#pragma omp parallel
    function(call, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
#else
    function(call, 0, 1);
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

/* One thread's consecutive part of a number of things; all parts are as equal as possible. */
static part part_of(size_t things, size_t thread, size_t threads)
{
    const size_t each = things / threads, over = things % threads;

    return (part){thread * each + (thread < over ? thread : over), each + (thread < over)};
}

/* ---- Counting --------------------------------------------------------------------------------------------------- */

static void count_own_rows(const loop_call *call, size_t thread, size_t threads)
{
    const bench_case *work = call->work;
    const part rows = part_of(work->shape.rows, thread, threads);
    const bench_range range = bench_case_range(work, 0);

    call->loop((const char *)work->data + rows.first * work->row_bytes, rows.count, work->shape.width, range.lo,
               range.hi, call->counts + rows.first);
}

/* Each thread has its columns of every row. The counts are zero. */
static void count_own_columns(const loop_call *call, size_t thread, size_t threads)
{
    const bench_case *work = call->work;
    const part columns = part_of(work->shape.width, thread, threads);
    const size_t before = columns.first * rowpool_dtype_size(work->dtype);
    const bench_range range = bench_case_range(work, 0);

    for (size_t row = 0; row < work->shape.rows; row++) {
        uint32_t count;

        call->loop((const char *)work->data + row * work->row_bytes + before, 1, columns.count, range.lo, range.hi,
                   &count);
        __atomic_fetch_add(&call->counts[row], count, __ATOMIC_RELAXED);
    }
}

/* NULL: there is none. */
static bench_loop *find_loop(const bench_peer *peer, const bench_case *work)
{
    const bench_loops *compiler = compilers[peer->variant / WAYS];
    const size_t width = peer->variant % WAYS == FIXED_WIDTH ? work->shape.width : 0;

    if (peer->variant == INTRINSICS)
        return work->dtype == ROWPOOL_INT32 ? bench_intrinsics : NULL;
    for (size_t i = 0; i < BENCH_WIDTH_COUNT; i++)
        if (compiler->loops[i].width == width)
            return compiler->loops[i].by_dtype[work->dtype];
    return NULL;
}

static bool loop_applies(const bench_peer *peer, const bench_case *work)
{
    return find_loop(peer, work) != NULL;
}

static rowpool_status loop_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    enum { ROWS_MAX = 1024, WIDTH_MIN = 65536 }; /* rows to split: too few and too long to divide among threads */
    const loop_call call = {work, find_loop(peer, work), counts};
    const bool cut = work->shape.rows <= ROWS_MAX && work->shape.width >= WIDTH_MIN;

    if (peer->variant == SERIAL) {
        count_own_rows(&call, 0, 1);
    } else if (cut) {
        memset(counts, 0, work->counts * sizeof *counts);
        run_team(count_own_columns, &call);
    } else {
        run_team(count_own_rows, &call);
    }
    return ROWPOOL_OK;
}

/* ---- The limit -------------------------------------------------------------------------------------------------- */

/* The bytes folded into one word. */
static uint64_t read_bytes(const char *from, size_t bytes)
{
    uint64_t word = 0, one;
    size_t at = 0;

    for (; at + sizeof one <= bytes; at += sizeof one) {
        memcpy(&one, from + at, sizeof one);
        word ^= one;
    }
    for (; at < bytes; at++)
        word ^= (unsigned char)from[at];
    return word;
}

/* Reads a block, and writes the counts that belong to it. */
static void read_and_write(const loop_call *call, size_t thread, size_t threads)
{
    enum { BLOCK = 64 * 1024 };
    const part bytes = part_of(call->work->bytes, thread, threads);
    const part counts = part_of(call->work->counts, thread, threads);
    const size_t blocks = bytes.count / BLOCK + 1;

    for (size_t i = 0; i < blocks; i++) {
        const size_t size = i + 1 < blocks ? BLOCK : bytes.count - i * BLOCK;
        const part out = part_of(counts.count, i, blocks);
        const uint64_t word = read_bytes((const char *)call->work->data + bytes.first + i * BLOCK, size);

        /* The compiler does not know the word: it can drop neither the loads nor the stores. */
        memset(call->counts + counts.first + out.first, (int)(word & 0xff), out.count * sizeof *call->counts);
    }
}

static rowpool_status limit_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    run_team(read_and_write, &(loop_call){work, NULL, counts});
    return ROWPOOL_OK;
}

/* ---- The peers -------------------------------------------------------------------------------------------------- */

static const bench_peer_type limit_peer = {.run = limit_run, .counts_nothing = true, .takes_any_shape = true};

/* note: what follows the number of threads. */
static rowpool_status add_loop(bench_peers *peers, const bench_peer_type *type, int variant, const char *name,
                               const char *note, rowpool_error *error)
{
    const bench_loops *compiler = compilers[variant / WAYS];
    const int threads = variant == SERIAL ? 1 : thread_count();
    bench_peer peer = {.type = type, .variant = variant, .required = true};

    BENCH_PRINT(peer.label, "%s%s", name, name[strlen(name) - 1] == '/' ? compiler->compiler : "");
    BENCH_PRINT(peer.device, "%d thread%s%s", threads, threads == 1 ? "" : "s", note);
    BENCH_PRINT(peer.driver, "%s", compiler->version);
    return threads > 0 ? bench_peers_add(peers, &peer, error) : ROWPOOL_OK;
}

static rowpool_status loops_available(bench_peers *peers, rowpool_error *error)
{
    BENCH_TRY(add_loop(peers, &bench_peer_loop, SERIAL, "serial", "", error));
    for (int i = 0; i < COMPILERS; i++) {
        BENCH_TRY(add_loop(peers, &bench_peer_loop, OPENMP + WAYS * i, "openmp/", "", error));
        BENCH_TRY(add_loop(peers, &bench_peer_loop, FIXED_WIDTH + WAYS * i, "openmp-width/", "", error));
    }
    if (bench_intrinsics != NULL)
        BENCH_TRY(add_loop(peers, &bench_peer_loop, INTRINSICS, "intrinsics", bench_instructions, error));
    return add_loop(peers, &limit_peer, OPENMP, "limit", ", only reading and writing", error);
}

const bench_peer_type bench_peer_loop = {.available = loops_available, .applies = loop_applies, .run = loop_run};
