/* Files compressed by gzip, .gz. */
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "fail.h"
#include "input.h"
#include "stream.h"

typedef struct {
    byte_stream source;
    z_stream inflater;
    bool begun, within; /* begun: a member was read to its end; within: a member has begun and not ended */
    unsigned char compressed[64 * 1024];
} gzip_reader;

/* Reads compressed bytes if none are left. At the end of the file avail_in stays 0. */
static rowpool_status refill(gzip_reader *in, rowpool_error *error)
{
    size_t found;
    if (in->inflater.avail_in > 0)
        return ROWPOOL_OK;
    rowpool_status status = read_stream(&in->source, in->compressed, sizeof in->compressed, &found, error);
    in->inflater.next_in = in->compressed;
    in->inflater.avail_in = status == ROWPOOL_OK ? (uInt)found : 0;
    return status;
}

/* Zero bytes may pad the file after a member, as on tapes. */
static rowpool_status skip_zeros(gzip_reader *in, rowpool_error *error)
{
    rowpool_status status;
    while ((status = refill(in, error)) == ROWPOOL_OK && in->inflater.avail_in > 0 && *in->inflater.next_in == 0) {
        in->inflater.next_in++;
        in->inflater.avail_in--;
    }
    return status;
}

static rowpool_status say_damage(const gzip_reader *in, int code, rowpool_error *error)
{
    if (code == Z_MEM_ERROR)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory to decompress the file");
    if (in->inflater.total_out > 0 || in->inflater.msg == NULL || strstr(in->inflater.msg, "header") == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "the compressed file is damaged: %s",
                       in->inflater.msg != NULL ? in->inflater.msg : zError(code));
    return rp_fail(error, ROWPOOL_EINVAL, "%s",
                   in->begun ? "stray bytes follow the compressed data"
                             : "the file is not compressed by gzip, as the .gz in its name says");
}

/* A read_some that yields the decompressed bytes. */
static rowpool_status read_expanded(void *context, void *bytes, size_t size, size_t *found, rowpool_error *error)
{
    gzip_reader *in = context;
    const uInt room = size < 1 << 30 ? (uInt)size : 1 << 30;
    in->inflater.next_out = bytes;
    in->inflater.avail_out = room;
    while (in->inflater.avail_out == room) {
        rowpool_status status = in->begun && !in->within ? skip_zeros(in, error) : refill(in, error);
        if (status != ROWPOOL_OK)
            return status;
        if (in->inflater.avail_in == 0)
            break;
        in->within = true;
        int code = inflate(&in->inflater, Z_NO_FLUSH);
        if (code != Z_OK && code != Z_STREAM_END)
            return say_damage(in, code, error);
        in->begun |= code == Z_STREAM_END;
        in->within = code == Z_OK;
        if (code == Z_STREAM_END)
            (void)inflateReset(&in->inflater);
    }
    *found = room - in->inflater.avail_out;
    if (*found > 0 || (in->begun && !in->within))
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_EINVAL, "%s",
                   in->within ? "the compressed file is cut short" : "the file is empty; a .gz file was expected");
}

rowpool_status expand_gzip(int *expanded, int fd, rowpool_error *error)
{
    enum { GZIP_ONLY = 16 };
    static gzip_reader in;
    const byte_stream stream = {read_expanded, &in};
    in = (gzip_reader){.source = {read_descriptor, &fd}};
    if (inflateInit2(&in.inflater, MAX_WBITS + GZIP_ONLY) != Z_OK)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory to decompress the file");
    rowpool_status status = store_stream(expanded, &stream, error);
    (void)inflateEnd(&in.inflater);
    return status;
}
