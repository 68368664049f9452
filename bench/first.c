#include "first.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void bench_first_write(const bench_first *first, char *text, size_t size)
{
    (void)snprintf(text, size, "%s,%s,%d,%d,%d", first->raw ? "opencl" : "rowpool", first->raw ? first->index : "auto",
                   first->shared, first->data_fd, first->counts_fd);
}

bool bench_first_read(bench_first *first, const char *text)
{
    char kind[16];

    if (sscanf(text, "%15[^,],%15[^,],%d,%d,%d", kind, first->index, &first->shared, &first->data_fd,
               &first->counts_fd) != 5)
        return false;
    first->raw = !strcmp(kind, "opencl");
    return first->raw || !strcmp(kind, "rowpool");
}

static rowpool_status map_file(int fd, size_t bytes, int protection, void **pages, rowpool_error *error)
{
    *pages = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (*pages != MAP_FAILED)
        return ROWPOOL_OK;
    return bench_fail(error, ROWPOOL_EINVAL, "--first: file %d cannot be mapped: %s", fd, strerror(errno));
}

static rowpool_status peer_for(const bench_first *first, bench_peer *peer, rowpool_error *error)
{
    *peer = (bench_peer){.shared = first->shared};
    (void)snprintf(peer->index, sizeof peer->index, "%s", first->index);
    (void)snprintf(peer->argument, sizeof peer->argument, "%s", first->index);
    if (!first->raw)
        peer->type = &bench_peer_rowpool;
#ifdef BENCH_HAVE_OPENCL
    else
        peer->type = &bench_peer_opencl;
#endif
    return peer->type ? ROWPOOL_OK : bench_fail(error, ROWPOOL_ENODEVICE, "--first: built without OpenCL");
}

static rowpool_status count(const bench_first *first, const bench_case *work, uint32_t *counts, rowpool_error *error)
{
    bench_peer peer;
    rowpool_status status = peer_for(first, &peer, error);

    if (!status)
        status = peer.type->prepare(&peer, work, error);
    if (status)
        return status;
    status = peer.type->run(&peer, work, counts, error);
    peer.type->cleanup(&peer);
    return status;
}

/* The pages go with the process. */
rowpool_status bench_first_run(const bench_first *first, rowpool_dtype dtype, const bench_shape *shape,
                               rowpool_error *error)
{
    bench_case work;
    void *counts;
    rowpool_status status = bench_case_describe(&work, dtype, shape, error);

    if (!status)
        status = map_file(first->data_fd, work.bytes, PROT_READ, &work.data, error);
    if (!status)
        status = map_file(first->counts_fd, work.rows * sizeof(uint32_t), PROT_READ | PROT_WRITE, &counts, error);
    return status ? status : count(first, &work, counts, error);
}
