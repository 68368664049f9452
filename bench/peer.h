/* Peers: the ways to count that are measured side by side. To add one, write its file and name it in peers.c. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>

#include "data.h"

typedef struct bench_peer bench_peer;
typedef struct bench_peers bench_peers;

/* One kind of peer. Every slot is required. Functions that return a status set the error when they fail. */
typedef struct {
    const char *name;

    /* Adds what this machine offers of the kind, which may be nothing, with bench_peers_add. devices: what the user
     * named for rowpool, comma-separated, or NULL. */
    rowpool_status (*available)(bench_peers *peers, const char *devices, rowpool_error *error);

    /* Optional. Gets ready for one case; not timed. When it fails, cleanup is not called. */
    rowpool_status (*prepare)(bench_peer *peer, const bench_case *work, rowpool_error *error);

    /* Counts once: the part that is timed. */
    rowpool_status (*run)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. The warm-up is over: what the peer says of itself is to be of the calls from here on. Not timed. */
    void (*settle)(bench_peer *peer);

    /* Optional. Gives back what prepare took. */
    void (*cleanup)(bench_peer *peer);
} bench_peer_type;

/* What one device did of a peer's work. */
typedef struct {
    char device[16];
    uint64_t rows;
} bench_share;

enum { BENCH_SHARES_MAX = 8 };

struct bench_peer {
    const bench_peer_type *type;
    char label[64];   /* unique: "serial", "rowpool/0:0" */
    char device[256]; /* what does the work */
    char driver[128]; /* driver and version, or compiler and flags */
    bool required;    /* asked for by name: that it cannot be prepared is a failure, otherwise it is left out */
    char index[16];   /* the one device that does the work, as rowpool names it; "" where there are several */
    bool shared;      /* and that device works in the host's memory */

    /* Devices together: how many of the peers just before this one are these devices alone; 0 for any other peer. */
    size_t parts;
    bench_share shares[BENCH_SHARES_MAX]; /* set by settle and cleanup */
    size_t n_shares;

    /* The rest belongs to the type. */
    char argument[64];
    int variant;
    void *state;
};

enum { BENCH_PEERS_MAX = 64 };

struct bench_peers {
    bench_peer items[BENCH_PEERS_MAX];
    size_t count;
};

/* All peers of this machine; the serial loop is the first, and the one that ratios refer to. */
rowpool_status bench_peers_find(bench_peers *peers, const char *devices, rowpool_error *error);

/* The serial loop, each of these devices alone, and all of them together, which is required to work. */
rowpool_status bench_peers_find_balance(bench_peers *peers, const char *devices, rowpool_error *error);

/* Copies one peer to the end of the list; EINVAL where the list is full or has that label already. */
rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error);

/* Whether the list has a peer of that label. */
bool bench_peers_have(const bench_peers *peers, const char *label);

/* For bench_peers_find_balance: rowpool on each device, then on all. */
rowpool_status bench_rowpool_balance(bench_peers *peers, const char *devices, rowpool_error *error);

extern const bench_peer_type bench_peer_serial;
extern const bench_peer_type bench_peer_openmp;
extern const bench_peer_type bench_peer_rowpool;
extern const bench_peer_type bench_peer_opencl; /* only where BENCH_HAVE_OPENCL is defined */

#endif
