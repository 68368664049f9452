/* Archives of NumPy, .npz: zip files whose members are .npy files, stored or compressed, whatever their names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "input.h"
#include "message.h"
#include "options.h"

/* ---- The archive ------------------------------------------------------------------------------------------------ */

static rowpool_status fail_zip(zip_error_t *failure, rowpool_error *error)
{
    rowpool_status status = rp_fail(error, ROWPOOL_EINVAL, "the .npz file cannot be read: %s",
                                    zip_error_strerror(failure));
    zip_error_fini(failure);
    return status;
}

static rowpool_status fail_code(int code, rowpool_error *error)
{
    zip_error_t failure;
    zip_error_init_with_code(&failure, code);
    return fail_zip(&failure, error);
}

static rowpool_status is_empty(rowpool_error *error)
{
    return rp_fail(error, ROWPOOL_EINVAL, "the file is empty; a .npz file was expected");
}

/* All that is left to read, to be freed. */
static rowpool_status read_whole(void **bytes, size_t *size, int fd, rowpool_error *error)
{
    const byte_stream stream = {read_descriptor, &fd};
    size_t capacity = 1 << 16;
    size_t found = 0;
    *bytes = NULL;
    *size = 0;
    do {
        capacity *= 2; /* memory ends long before 64 bits do */
        void *longer = realloc(*bytes, capacity);
        if (longer == NULL)
            return fail_errno(error);
        *bytes = longer;
        rowpool_status status = read_stream(&stream, (unsigned char *)*bytes + *size, capacity - *size, &found, error);
        if (status != ROWPOOL_OK)
            return status;
        *size += found;
    } while (*size == capacity);
    return ROWPOOL_OK;
}

/* A zip file is read from its end: one that comes through a pipe has to be there first. */
static rowpool_status open_memory(zip_t **archive, int fd, rowpool_error *error)
{
    void *bytes;
    size_t size;
    rowpool_status status = read_whole(&bytes, &size, fd, error);
    if (status == ROWPOOL_OK && size == 0)
        status = is_empty(error);
    if (status != ROWPOOL_OK) {
        free(bytes);
        return status;
    }
    zip_error_t failure;
    zip_error_init(&failure);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 1, &failure);
    if (source == NULL) {
        free(bytes);
        return fail_zip(&failure, error);
    }
    *archive = zip_open_from_source(source, ZIP_RDONLY, &failure);
    if (*archive != NULL)
        return ROWPOOL_OK;
    zip_source_free(source);
    return fail_zip(&failure, error);
}

static rowpool_status open_archive(zip_t **archive, int fd, rowpool_error *error)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return fail_errno(error);
    if (!S_ISREG(file.st_mode) || lseek(fd, 0, SEEK_CUR) != 0)
        return open_memory(archive, fd, error);
    if (file.st_size == 0)
        return is_empty(error);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return fail_errno(error);
    int code;
    *archive = zip_fdopen(own, 0, &code);
    if (*archive != NULL)
        return ROWPOOL_OK;
    (void)close(own);
    return fail_code(code, error);
}

/* ---- Its members ------------------------------------------------------------------------------------------------ */

/* As NumPy tells an array that has another name. */
static bool begins_as_array(zip_t *archive, zip_uint64_t i)
{
    static const char magic[] = "\x93NUMPY";
    char bytes[sizeof magic - 1];
    zip_file_t *file = zip_fopen_index(archive, i, 0);
    if (file == NULL)
        return false;
    const bool begins = zip_fread(file, bytes, sizeof bytes) == sizeof bytes && memcmp(bytes, magic, sizeof bytes) == 0;
    (void)zip_fclose(file);
    return begins;
}

/* The length of the member's name without .npy; false where it is no array. */
static bool array_name(const char **name, size_t *length, zip_t *archive, zip_uint64_t i)
{
    static const char suffix[] = ".npy";
    *name = zip_get_name(archive, i, 0);
    if (*name == NULL)
        return false;
    *length = strlen(*name);
    if (!ends_with(*name, suffix))
        return begins_as_array(archive, i);
    *length -= strlen(suffix);
    return true;
}

static zip_uint64_t member_count(zip_t *archive)
{
    const zip_int64_t count = zip_get_num_entries(archive, 0);
    return count > 0 ? (zip_uint64_t)count : 0;
}

/* "a, b, c", cut where it is long. */
enum { MEMBERS_TEXT = 600 };
static void list_members(char text[MEMBERS_TEXT], zip_t *archive)
{
    size_t used = 0;
    text[0] = '\0';
    for (zip_uint64_t i = 0; i < member_count(archive); i++) {
        const char *name;
        size_t length;
        if (!array_name(&name, &length, archive, i))
            continue;
        if (used + length + sizeof ", ..." >= MEMBERS_TEXT) {
            (void)strcpy(text + used, ", ...");
            return;
        }
        used += (size_t)sprintf(text + used, "%s%.*s", used > 0 ? ", " : "", (int)length, name);
    }
}

/* How many arrays have that name, or any where it is NULL; *found is the last of them. whole: .npy is part of a name. */
static size_t find_members(zip_uint64_t *found, zip_t *archive, const char *wanted, bool whole)
{
    size_t count = 0;
    for (zip_uint64_t i = 0; i < member_count(archive); i++) {
        const char *name;
        size_t length;
        if (!array_name(&name, &length, archive, i))
            continue;
        if (whole)
            length = strlen(name);
        if (wanted != NULL && !(strlen(wanted) == length && memcmp(name, wanted, length) == 0))
            continue;
        *found = i;
        count++;
    }
    return count;
}

static rowpool_status choose_member(zip_uint64_t *member, zip_t *archive, const char *wanted, rowpool_error *error)
{
    size_t count = find_members(member, archive, wanted, true);
    if (count == 0)
        count = find_members(member, archive, wanted, false);
    if (count == 1)
        return ROWPOOL_OK;
    char names[MEMBERS_TEXT];
    list_members(names, archive);
    if (names[0] == '\0')
        return rp_fail(error, ROWPOOL_EINVAL, "the .npz file has no array");
    if (wanted == NULL)
        return rp_fail(error, ROWPOOL_EINVAL, "the .npz file has %zu arrays, --member says which: %s", count, names);
    return rp_fail(error, ROWPOOL_EINVAL, "the .npz file has %s array '%.100s'; it has %s",
                   count == 0 ? "no" : "more than one", wanted, names);
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
