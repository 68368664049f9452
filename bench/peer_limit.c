/* The limit: a sweep by the same threads that reads every byte of the data with wide loads and writes as many bytes as
 * the counts have. Nothing that counts can do with less, so what it takes is what the memory allows. */
#include <stdio.h>
#include <string.h>

#include "compiler.h"
#include "peer.h"
#include "team.h"

/* Bytes of the processor's widest register: vectors that need two are kept in memory by the compiler. */
#if defined(__AVX512F__)
#define WIDE 64
#elif defined(__AVX__)
#define WIDE 32
#else
#define WIDE 16
#endif

enum {
    STRIDE = 4 * WIDE, /* bytes read abreast: loads that do not wait for each other */
    BLOCK = 64 * 1024  /* bytes that are read before the counts that belong to them are written */
};

_Static_assert(BLOCK % STRIDE == 0, "a block is a whole number of strides");

/* Wherever it lies: rows of one byte may begin at any address. */
typedef uint64_t wide __attribute__((vector_size(WIDE)));
typedef uint64_t wide_anywhere __attribute__((vector_size(WIDE), aligned(1), may_alias));

static wide load(const char *from)
{
    return *(const wide_anywhere *)(const void *)from;
}

/* The bytes folded into one word, which the caller must use: otherwise the compiler would drop the loads. */
static uint64_t read_bytes(const char *from, size_t bytes)
{
    wide a = {0}, b = {0}, c = {0}, d = {0};
    uint64_t word = 0;
    size_t at = 0;

    for (; at + STRIDE <= bytes; at += STRIDE) {
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

/* What a thread needs. */
typedef struct {
    const bench_case *work;
    uint32_t *counts;
} task;

static void sweep(void *argument, size_t thread, size_t threads)
{
    const task *own = argument;
    const bench_part bytes = bench_part_of(own->work->bytes, thread, threads);
    const bench_part counts = bench_part_of(bench_case_counts(own->work), thread, threads);
    const size_t blocks = bytes.count / BLOCK + 1;

    for (size_t i = 0; i < blocks; i++) {
        const size_t at = i * BLOCK, in = i + 1 < blocks ? BLOCK : bytes.count - at;
        const bench_part out = bench_part_of(counts.count, i, blocks);
        const uint64_t word = read_bytes((const char *)own->work->data + bytes.first + at, in);

        /* The compiler does not know the word, so it can drop neither the loads nor the stores. */
        memset(own->counts + counts.first + out.first, (int)(word & 0xff), out.count * sizeof *own->counts);
    }
}

static rowpool_status limit_available(bench_peers *peers, const char *devices, rowpool_error *error)
{
    bench_peer peer = {.type = &bench_peer_limit, .label = "limit", .required = true};

    (void)devices;
    if (bench_threads() == 0)
        return ROWPOOL_OK;
    (void)snprintf(peer.device, sizeof peer.device, "%d thread%s, only reading and writing", bench_threads(),
                   bench_threads() == 1 ? "" : "s");
    (void)snprintf(peer.driver, sizeof peer.driver, "%s", BENCH_COMPILER " " BENCH_PEER_FLAGS);
    return bench_peers_add(peers, &peer, error);
}

static rowpool_status limit_run(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    task own = {work, counts};

    (void)peer;
    (void)error;
    bench_team_run(sweep, &own);
    return ROWPOOL_OK;
}

const bench_peer_type bench_peer_limit = {
    .name = "limit",
    .available = limit_available,
    .run = limit_run,
    .no_counts = true,
    .ragged = true,
    .columns = true,
};
