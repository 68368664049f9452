/* NumPy archives, .npz: zip files whose members are .npy files, stored or compressed. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "input.h"
#include "message.h"
#include "options.h"

/* ---- The archive ------------------------------------------------------------------------------------------------ */

static rowpool_status open_archive(zip_t **archive, int fd, rowpool_error *error)
{
    struct stat file;
    int code = 0;
    int own;
    if (fstat(fd, &file) != 0)
        return fail_errno(error);
    if (!S_ISREG(file.st_mode) || lseek(fd, 0, SEEK_CUR) != 0) {
        /* A zip file is read from its end, so a pipe is stored first. */
        const byte_stream stream = {read_descriptor, &fd};
        RP_TRY(store_stream(&own, &stream, error));
    } else if ((own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
        return fail_errno(error);
    }
    if (fstat(own, &file) == 0 && file.st_size > 0 && (*archive = zip_fdopen(own, 0, &code)) != NULL)
        return ROWPOOL_OK;
    (void)close(own);
    if (file.st_size == 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the file is empty; a .npz file was expected");
    zip_error_t failure;
    zip_error_init_with_code(&failure, code);
    rowpool_status status = rp_fail(error, ROWPOOL_EINVAL, "the .npz file cannot be read: %s",
                                    zip_error_strerror(&failure));
    zip_error_fini(&failure);
    return status;
}

/* ---- Its members ------------------------------------------------------------------------------------------------ */

/* As NumPy does, recognises a member without .npy in its name as an array by its first bytes. */
static bool begins_as_array(zip_t *archive, zip_uint64_t i)
{
    char bytes[sizeof NPY_MAGIC - 1];
    zip_file_t *file = zip_fopen_index(archive, i, 0);
    if (file == NULL)
        return false;
    const bool begins = zip_fread(file, bytes, sizeof bytes) == sizeof bytes && npy_begins(bytes, sizeof bytes);
    (void)zip_fclose(file);
    return begins;
}

/* *length: of the name without .npy. False if the member is not an array. */
static bool array_name(const char **name, size_t *length, zip_t *archive, zip_uint64_t i)
{
    static const char suffix[] = ".npy";
    *name = zip_get_name(archive, i, 0);
    if (*name == NULL)
        return false;
    *length = strlen(*name);
    if (!path_ends_with(*name, suffix))
        return begins_as_array(archive, i);
    *length -= strlen(suffix);
    return true;
}

/* The number of matching arrays, and the last of them. */
typedef struct {
    size_t count;
    zip_uint64_t last;
} array_set;

static void add_to_set(array_set *set, zip_uint64_t member)
{
    set->count++;
    set->last = member;
}

/* Finds the array by its whole name, or else by its name without .npy. wanted NULL: the only array. */
static rowpool_status choose_member(zip_uint64_t *member, zip_t *archive, const char *wanted, rowpool_error *error)
{
    enum { LISTED = 600 /* bytes of names in a message */ };
    array_set all = {0}, whole = {0}, shorter = {0};
    buffer names = {0};
    const zip_int64_t members = zip_get_num_entries(archive, 0);
    for (zip_uint64_t i = 0; (zip_int64_t)i < members; i++) {
        const char *name;
        size_t length;
        if (!array_name(&name, &length, archive, i))
            continue;
        append_format(&names, "%s%.*s", all.count > 0 ? ", " : "", (int)length, name);
        add_to_set(&all, i);
        if (wanted != NULL && strcmp(name, wanted) == 0)
            add_to_set(&whole, i);
        if (wanted != NULL && strlen(wanted) == length && memcmp(name, wanted, length) == 0)
            add_to_set(&shorter, i);
    }
    end_text(&names);
    const array_set found = wanted == NULL ? all : whole.count > 0 ? whole : shorter;
    const char *more = names.used > LISTED ? ", ..." : "";
    rowpool_status status = ROWPOOL_OK;
    *member = found.last;
    if (all.count == 0)
        status = rp_fail(error, ROWPOOL_EINVAL, "the .npz file has no array");
    else if (found.count != 1 && wanted == NULL)
        status = rp_fail(error, ROWPOOL_EINVAL, "the .npz file has %zu arrays; choose one with --member: %.*s%s",
                         found.count, LISTED, names.bytes, more);
    else if (found.count != 1)
        status = rp_fail(error, ROWPOOL_EINVAL, "the .npz file has %s array '%.100s'; it has %.*s%s",
                         found.count == 0 ? "no" : "more than one", wanted, LISTED, names.bytes, more);
    free_buffer(&names);
    return status;
}

static rowpool_status read_member(void *context, void *bytes, size_t size, size_t *found, rowpool_error *error)
{
    zip_file_t *file = context;
    zip_int64_t got = zip_fread(file, bytes, size);
    if (got < 0)
        return rp_fail(error, ROWPOOL_EINVAL, "the array cannot be read: %s", zip_file_strerror(file));
    *found = (size_t)got;
    return ROWPOOL_OK;
}

static rowpool_status open_member(npy_array *array, zip_t *archive, const char *wanted, rowpool_error *error)
{
    zip_uint64_t member = 0;
    rowpool_status status = choose_member(&member, archive, wanted, error);
    if (status != ROWPOOL_OK)
        return status;
    zip_file_t *file = zip_fopen_index(archive, member, 0);
    if (file == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "the array cannot be read: %s", zip_strerror(archive));
    const byte_stream stream = {read_member, file};
    status = npy_open_stream(array, &stream, error);
    (void)zip_fclose(file);
    return status;
}

rowpool_status open_npz(input *in, int fd, const input_options *options, rowpool_error *error)
{
    zip_t *archive = NULL;
    rowpool_status status = open_archive(&archive, fd, error);
    if (status != ROWPOOL_OK)
        return status;
    status = open_member(&in->array, archive, options->member, error);
    zip_discard(archive);
    return status;
}
