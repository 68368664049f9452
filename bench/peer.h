/* Peers: the ways to count that are measured side by side. To add one, write its functions and name them in peers.c. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>

#include "data.h"

typedef struct bench_peer bench_peer;
typedef struct bench_peers bench_peers;

/* Seconds that one call spends on the way to the device, on it and back; NAN where nobody can tell. */
typedef struct {
    double upload, kernel, read;
} bench_stages;

/* What other peers are compared with. */
typedef enum { BENCH_NO_REFERENCE, BENCH_SERIAL, BENCH_LIMIT, BENCH_RAW_OPENCL } bench_reference;

/* What a peer writes. */
typedef enum {
    BENCH_BY_ROW,     /* the counts of a row side by side */
    BENCH_BY_RANGE,   /* the counts of a range side by side */
    BENCH_NOT_COUNTED /* not the counts: nothing is verified */
} bench_counts;

/* One kind of peer. Functions that return a status set the error when they fail. */
typedef struct {
    /* Required for types in the list of peers.c. Adds what this machine offers, of this type and those beside it. */
    rowpool_status (*available)(bench_peers *peers, rowpool_error *error);

    /* Optional. Whether the peer is meant for the case; where it is not, it is left out silently. */
    bool (*applies)(const bench_peer *peer, const bench_case *work);

    /* Optional. Prepares one case; not timed. peer->state is zeroed. cleanup follows whether it fails or not. */
    rowpool_status (*prepare)(bench_peer *peer, const bench_case *work, rowpool_error *error);

    /* Required. Counts once; timed. */
    rowpool_status (*run)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. The warm-up is over: what the peer reports of itself is of the calls from here on. */
    void (*settle)(bench_peer *peer);

    /* Optional. Counts once more and asks the device how long each stage took; apart from the timed calls, since asking
     * costs time. */
    rowpool_status (*profile)(bench_peer *peer, const bench_case *work, uint32_t *counts, bench_stages *stages,
                              rowpool_error *error);

    /* Optional. Releases what prepare took. */
    void (*cleanup)(bench_peer *peer);

    size_t state_size; /* of peer->state */
    bench_reference reference;
    bench_counts counts;
    bool times_itself; /* run sets peer->seconds to the time that counts */
    bool ragged;       /* takes rows of unequal length too */
    bool many_ranges;  /* takes several ranges at once too */
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
    char index[16];   /* the one device that does the work, as rowpool names it; "" where there are several */
    bool shared;      /* that device works in the host's memory */
    bool required;    /* named by the user: that it cannot be prepared is a failure; otherwise it is left out */
    size_t rounds;    /* enough for a peer so slow, without a warm-up; 0: as many as the others */
    double seconds;   /* see times_itself */

    /* Devices together: how many of the peers just before this one are these devices alone; 0 for any other peer. */
    size_t parts;
    bench_share shares[BENCH_SHARES_MAX]; /* set by settle and cleanup */
    size_t share_count;

    /* Of the type. */
    char argument[1024];
    int variant;
    void *state; /* from before prepare until after cleanup */
};

enum { BENCH_PEERS_MAX = 96 };

struct bench_peers {
    /* Comma-separated patterns of labels. rowpool's devices are always wanted. After a minus: not wanted, not even those. */
    const char *wanted;
    const char *devices; /* of rowpool, comma-separated; NULL: all */
    bool balance;        /* each device alone, and all together */
    bench_peer items[BENCH_PEERS_MAX];
    size_t count;
};

/* The default patterns, and those of "all". */
extern const char bench_peers_default[], bench_peers_all[];

/* Fills the list. The serial loop, if wanted, is the first. */
rowpool_status bench_peers_find(bench_peers *peers, rowpool_error *error);

/* Whether a peer of that label is wanted. A pattern is a label's beginning, or has the wildcards of the shell. */
bool bench_peers_want(const bench_peers *peers, const char *label);

/* EINVAL, naming the pattern, where one fits no peer of the list. */
rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error);

/* Copies a peer to the end of the list, if it is wanted. EINVAL where the list is full or has that label already. */
rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error);

/* Whether it is rowpool on one OpenCL device, with the caller's memory. */
bool bench_is_rowpool_device(const bench_peer *peer);

extern const bench_peer_type bench_peer_serial;  /* and all loops in C */
extern const bench_peer_type bench_peer_rowpool; /* and what is a map in another way */
extern const bench_peer_type bench_peer_process; /* a process for each map, also of Python */

/* What a process for each map does: it counts the data in descriptor 3 and leaves the counts in 4. what: "opencl:INDEX",
 * "rowpool:", "rowpool:FOLDER" with the drivers' caches in this folder. */
rowpool_status bench_first_run(const char *what, rowpool_dtype dtype, const bench_shape *shape, rowpool_error *error);

/* Only where BENCH_HAVE_OPENCL is defined. The raw program finds its device by peer->index. */
extern const bench_peer_type bench_peer_opencl;

#endif
