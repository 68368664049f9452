/* Peers: the ways to count that are measured side by side. To add one, write its file and name it in peers.c. */
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

/* One kind of peer. Functions that return a status set the error when they fail. */
typedef struct {
    const char *name;

    /* Required. Adds what this machine offers of the kind, which may be nothing, with bench_peers_add. devices: what the
     * user named for rowpool, comma-separated, or NULL. */
    rowpool_status (*available)(bench_peers *peers, const char *devices, rowpool_error *error);

    /* Optional. Whether it is meant for this case; where it is not it is left out without a word. */
    bool (*applies)(const bench_peer *peer, const bench_case *work);

    /* Optional. Gets ready for one case; not timed. When it fails, cleanup is not called. */
    rowpool_status (*prepare)(bench_peer *peer, const bench_case *work, rowpool_error *error);

    /* Required. Counts once: the part that is timed. */
    rowpool_status (*run)(bench_peer *peer, const bench_case *work, uint32_t *counts, rowpool_error *error);

    /* Optional. The warm-up is over: what the peer says of itself is to be of the calls from here on. Not timed. */
    void (*settle)(bench_peer *peer);

    /* Optional. Counts once more, and asks the device how long each stage took: apart from the calls that are timed,
     * since the question costs time too. */
    rowpool_status (*profile)(bench_peer *peer, const bench_case *work, uint32_t *counts, bench_stages *stages,
                              rowpool_error *error);

    /* Optional. Gives back what prepare took. */
    void (*cleanup)(bench_peer *peer);

    bool no_counts;    /* what it writes is not meant to be right, and not verified */
    bool times_itself; /* run sets the peer's seconds to what counts of it */
    bool ragged;       /* rows of unequal length too */
    bool columns;      /* several ranges at once too */
    bool raw;          /* what the overhead of rowpool on the same device is the time beyond */
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

    size_t most_rounds; /* of a peer so slow that these are enough, without a warm-up; 0: as many as the others */
    double seconds;     /* set by the run of a type that times itself */

    /* The rest belongs to the type. */
    char argument[64];
    int variant;
    void *state;
};

enum { BENCH_PEERS_MAX = 96 };

struct bench_peers {
    const char *wanted; /* comma-separated patterns of labels; others are not added. Rowpool's always are */
    bench_peer items[BENCH_PEERS_MAX];
    size_t count;
};

/* The patterns that hold where nobody names any. */
extern const char bench_peers_usual[];

/* And those of "all": every one that counts. */
extern const char bench_peers_all[];

/* All wanted peers of this machine; the serial loop, if among them, is the first, and the one that ratios refer to. */
rowpool_status bench_peers_find(bench_peers *peers, const char *devices, rowpool_error *error);

/* The serial loop, each of these devices alone, and all of them together, which is required to work. */
rowpool_status bench_peers_find_balance(bench_peers *peers, const char *devices, rowpool_error *error);

/* Whether the label fits one of the comma-separated patterns. */
bool bench_label_fits(const char *patterns, const char *label);

/* Whether a peer of that label would be added. A pattern is a label's beginning, or has the wildcards of the shell. */
bool bench_peers_want(const bench_peers *peers, const char *label);

/* EINVAL, naming the pattern, where one fits no peer of the list. */
rowpool_status bench_peers_check_wanted(const bench_peers *peers, rowpool_error *error);

/* Copies one peer to the end of the list, if it is wanted; EINVAL where the list is full or has that label already. */
rowpool_status bench_peers_add(bench_peers *peers, const bench_peer *peer, rowpool_error *error);

/* Whether the list has a peer of that label. */
bool bench_peers_have(const bench_peers *peers, const char *label);

/* For bench_peers_find_balance: rowpool on each device, then on all. */
rowpool_status bench_rowpool_balance(bench_peers *peers, const char *devices, rowpool_error *error);

extern const bench_peer_type bench_peer_serial;
extern const bench_peer_type bench_peer_openmp;
extern const bench_peer_type bench_peer_openmp_width;
extern const bench_peer_type bench_peer_openmp_split;
extern const bench_peer_type bench_peer_intrinsics;
extern const bench_peer_type bench_peer_limit;
extern const bench_peer_type bench_peer_rowpool;
extern const bench_peer_type bench_peer_rowpool_open;
extern const bench_peer_type bench_peer_passes;
extern const bench_peer_type bench_peer_process;
extern const bench_peer_type bench_peer_python;

/* Only where BENCH_HAVE_OPENCL is defined. */
extern const bench_peer_type bench_peer_opencl;
extern const bench_peer_type bench_peer_opencl_open;

#endif
