/* Peers: the ways to count that are measured side by side. To add one, write its functions and name them in peers.c. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "data.h"

typedef struct bench_peer bench_peer;
typedef struct bench_peers bench_peers;

/* One kind of peer. Functions that return a status set the error when they fail. */
typedef struct {
    /* Required for types in the list of peers.c. Adds the peers that this machine offers, of this type and of related ones. */
    rowpool_status (*available)(bench_peers *peers, rowpool_error *error);

    /* Optional. Whether the peer can do the case; otherwise it is silently left out. */
    bool (*applies)(const bench_peer *peer, const bench_case *work);

    /* Optional. Prepares one case; not timed. peer->state is zeroed. cleanup follows also after a failure. */
    rowpool_status (*prepare)(bench_peer *peer, const bench_case *work, rowpool_error *error);

    /* Required. Counts once; timed. */
    rowpool_status (*run)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. Called after the warm-up, to record what timed calls do not show: stages or shares. May count again. */
    rowpool_status (*settle)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. Releases what prepare took. */
    void (*cleanup)(bench_peer *peer);

    size_t state_size;    /* of peer->state */
    bool counts_nothing;  /* there is nothing to verify */
    bool takes_any_shape; /* also ragged rows and several ranges */
} bench_peer_type;

/* Seconds of the stages of one call: transfer to the device, kernel, transfer back. NAN: the device does not report it. */
typedef struct {
    double upload, kernel, read;
} bench_stages;

/* One device's share of a peer's work. */
typedef struct {
    char device[16];
    uint64_t rows;
} bench_share;

enum { BENCH_SHARES_MAX = 8 };

struct bench_peer {
    const bench_peer_type *type;
    char label[64];   /* unique: "serial", "rowpool/0:0" */
    char device[256]; /* what does the work */
    char driver[128]; /* the driver and its version, or the compiler and its flags */
    char index[16];   /* the device that does the work, as rowpool names it; "" if there are several */
    bool shared;      /* that device works in the host's memory */
    bool required;    /* named by the user: if it cannot be prepared, the run ends; other peers are left out then */
    size_t rounds;    /* of a slow peer, which gets no warm-up; 0: as many as the others */
    double seconds;   /* of the last call, set by a run function that measures the time itself; otherwise 0 */

    bench_stages stages; /* set by settle */

    /* For devices together: the number of peers just before this one that are these devices alone. 0: any other peer. */
    size_t parts;
    bench_share shares[BENCH_SHARES_MAX]; /* set by settle, and for the last time by cleanup */
    size_t share_count;

    /* For the functions of the type. */
    char argument[1024];
    int variant;
    void *state; /* from before prepare until after cleanup */
};

enum { BENCH_PEERS_MAX = 96 };

struct bench_peers {
    const char *wanted;  /* comma-separated prefixes of labels; rowpool's devices are always wanted */
    const char *devices; /* of rowpool, comma-separated; NULL: all */
    bool balance;        /* each device alone, and all together */
    bench_peer items[BENCH_PEERS_MAX];
    size_t count;
};

extern const char bench_peers_default[], bench_peers_all[];

/* Fills the list. */
rowpool_status bench_peers_find(bench_peers *peers, rowpool_error *error);

/* Whether a peer with that label is wanted. */
bool bench_peers_want(const bench_peers *peers, const char *label);

/* EINVAL if a wanted prefix matches no peer in the list; the message names it. */
rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error);

/* Copies a peer to the end of the list if it is wanted. EINVAL if the list is full or has that label already. */
rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error);

extern const bench_peer_type bench_peer_loop;
extern const bench_peer_type bench_peer_rowpool;
extern const bench_peer_type bench_peer_python; /* a Python process for each map */

/* Only if BENCH_HAVE_OPENCL is defined. The raw OpenCL program finds its device by peer->index. */
extern const bench_peer_type bench_peer_opencl;

#endif
