/* Reads .npy files from standard input for npy_agrees.py and prints their contents.
 *
 * A file is sent as one byte for the way to read it ('m' in memory, 'f' mapped, 'p' through a pipe), its size in four
 * bytes, and its bytes. An answer is its size in four bytes and a line: "no MESSAGE", or "ok DTYPE LENGTHS MORE"
 * followed by the elements. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "npy.h"

enum { LINE = 2048, PIPE_HOLDS = 4096 };

static void leave(const char *why)
{
    perror(why);
    exit(1);
}

static rowpool_status open_mapped(npy_array *array, const void *bytes, size_t size, rowpool_error *error)
{
    int fd = memfd_create("npy", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        leave("memfd");
    rowpool_status status = npy_open(array, fd, error);
    (void)close(fd);
    return status;
}

static rowpool_status open_piped(npy_array *array, const void *bytes, size_t size, rowpool_error *error)
{
    int ends[2];
    if (size > PIPE_HOLDS || pipe(ends) != 0 || write(ends[1], bytes, size) != (ssize_t)size || close(ends[1]) != 0)
        leave("pipe");
    rowpool_status status = npy_open(array, ends[0], error);
    (void)close(ends[0]);
    return status;
}

static rowpool_status open_case(npy_array *array, char way, const void *bytes, size_t size, rowpool_error *error)
{
    if (way == 'f')
        return open_mapped(array, bytes, size, error);
    return way == 'p' ? open_piped(array, bytes, size, error) : npy_open_bytes(array, bytes, size, error);
}

static void answer(const char *line, const void *data, size_t bytes)
{
    const size_t length = strlen(line);
    const uint32_t size = (uint32_t)(length + bytes);
    if (fwrite(&size, 1, sizeof size, stdout) != sizeof size || fwrite(line, 1, length, stdout) != length ||
        (bytes > 0 && fwrite(data, 1, bytes, stdout) != bytes))
        leave("standard output");
}

static void read_case(char way, const void *bytes, size_t size)
{
    char line[LINE];
    npy_array array;
    rowpool_error error;
    if (open_case(&array, way, bytes, size, &error) != ROWPOOL_OK) {
        (void)snprintf(line, sizeof line, "no %s\n", error.message);
        answer(line, NULL, 0);
        return;
    }
    const npy_header *header = &array.header;
    size_t used = (size_t)snprintf(line, sizeof line, "ok %s ", rowpool_dtype_name(header->dtype));
    for (size_t i = 0; i < header->dimensions; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%zu", i > 0 ? "," : "", header->shape[i]);
    (void)snprintf(line + used, sizeof line - used, " %d\n", array.more);
    answer(line, array.data, header->data_bytes);
    npy_close(&array);
}

int main(void)
{
    char way;
    uint32_t size;
    while (fread(&way, 1, 1, stdin) == 1 && fread(&size, 1, sizeof size, stdin) == sizeof size) {
        /* Exactly this size, so that a sanitizer detects a read past the end. */
        void *bytes = malloc(size > 0 ? size : 1);
        if (bytes == NULL || fread(bytes, 1, size, stdin) != size)
            leave("standard input");
        read_case(way, bytes, size);
        free(bytes);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
