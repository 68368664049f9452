/* Peers: the ways to count that are measured side by side. To add one, write its functions and name them in peers.c. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "data.h"

typedef struct bench_peer bench_peer;
typedef struct bench_peers bench_peers;

/* One kind of peer. Functions that return a status set the error when they fail. */
typedef struct {
    /* Required for types in the list of peers.c. Adds what this machine offers, of this type and those beside it. */
    rowpool_status (*available)(bench_peers *peers, rowpool_error *error);

    /* Optional. Whether the peer takes the case; one that does not is silently left out. */
    bool (*applies)(const bench_peer *peer, const bench_case *work);

    /* Optional. Prepares one case; not timed. peer->state is zeroed. cleanup follows whether it fails or not. */
    rowpool_status (*prepare)(bench_peer *peer, const bench_case *work, rowpool_error *error);

    /* Required. Counts once; timed. */
    rowpool_status (*run)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. The warm-up is over: notes what timed calls do not tell, stages or shares; may count once more. */
    rowpool_status (*settle)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. Releases what prepare took. */
    void (*cleanup)(bench_peer *peer);

    size_t state_size;    /* of peer->state */
    bool counts_nothing;  /* there is nothing to verify */
    bool takes_any_shape; /* also ragged rows and several ranges */
} bench_peer_type;

/* Seconds of one call on the way to the device, on it and back; NAN where the device does not tell. */
typedef struct {
    double upload, kernel, read;
} bench_stages;

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
    char index[16];   /* the one device that does the work, as rowpool names it; "" where there are several */
    bool shared;      /* that device works in the host's memory */
    bool required;    /* named by the user: a failure to prepare it ends the run; any other peer is left out */
    size_t rounds;    /* of a slow peer, without a warm-up; 0: as many as the others */
    double seconds;   /* of the last call, set by a run that takes the time itself; otherwise 0 */

    bench_stages stages; /* set by settle */

    /* Devices together: how many of the peers just before this one are these devices alone; 0 for any other peer. */
    size_t parts;
    bench_share shares[BENCH_SHARES_MAX]; /* set by settle, and at last by cleanup */
    size_t share_count;

    /* Of the type. */
    char argument[1024];
    int variant;
    void *state; /* from before prepare until after cleanup */
};

enum { BENCH_PEERS_MAX = 96 };

struct bench_peers {
    const char *wanted;  /* comma-separated beginnings of labels; rowpool's devices are always wanted */
    const char *devices; /* of rowpool, comma-separated; NULL: all */
    bool balance;        /* each device alone, and all together */
    bench_peer items[BENCH_PEERS_MAX];
    size_t count;
};

extern const char bench_peers_default[], bench_peers_all[];

/* Fills the list. */
rowpool_status bench_peers_find(bench_peers *peers, rowpool_error *error);

/* Whether a peer of that label is wanted. */
bool bench_peers_want(const bench_peers *peers, const char *label);

/* EINVAL, naming the beginning, where one is that of no peer in the list. */
rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error);

/* Copies a peer to the end of the list, if it is wanted. EINVAL where the list is full or has that label already. */
rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error);

extern const bench_peer_type bench_peer_loop;
extern const bench_peer_type bench_peer_rowpool;
extern const bench_peer_type bench_peer_python; /* a Python process for each map */

/* Only where BENCH_HAVE_OPENCL is defined. The raw program finds its device by peer->index. */
extern const bench_peer_type bench_peer_opencl;

#endif
