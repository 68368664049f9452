/* The library over MPI: checks on every rank, for any number of ranks. Started by a launcher.
 *     test_mpi                                          everything except the following
 *     test_mpi devices                                  with several devices each rank gets its share
 *     test_mpi map|write FILE RANK MICROSECONDS         the rank is killed that long after it began to map or to write
 * A check that fails on any rank ends all of them. */
#include <fcntl.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "files/npy.h"
#include "index_of_row.h"
#include "rowpool_mpi.h"
#include "support.h"

static int rank, ranks;
static rowpool_mpi *cluster;
static rowpool_error error;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: rank %d of %d: %s; last error: %s\n", __FILE__, __LINE__, rank, ranks, #condition, \
                    error.message);                                                                                    \
            MPI_Abort(MPI_COMM_WORLD, 1);                                                                              \
        }                                                                                                              \
    } while (0)
#define CHECK_OK(call) CHECK((call) == ROWPOOL_OK)

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    CHECK(memory != NULL);
    return memory;
}

/* Expects the same failure on every rank, caused by rank `whose`. */
static void check_failure(rowpool_status status, rowpool_status expected, int whose, const char *words)
{
    char common[sizeof error.message], begin[32];
    snprintf(begin, sizeof begin, "rank %d (", whose);
    CHECK(status == expected && error.status == expected);
    CHECK(strncmp(error.message, begin, strlen(begin)) == 0);
    CHECK(strstr(error.message, words) != NULL);
    memcpy(common, error.message, sizeof common);
    MPI_Bcast(common, sizeof common, MPI_CHAR, 0, MPI_COMM_WORLD);
    CHECK(strcmp(common, error.message) == 0);
}

/* ---- Rows that every rank has ----------------------------------------------------------------------------------- */

/* Counts every rank's share of the rows; compares what the last rank gathers with what a single process finds. */
static void check_counts(const test_array *array, const rowpool_range *ranges, size_t n)
{
    const rowpool_rows *all = &array->rows;
    const size_t results = all->count * n;
    const int root = ranks - 1;
    rowpool_rows own;
    size_t first;
    CHECK_OK(rowpool_mpi_share(cluster, all, &own, &first, &error));
    uint32_t *counts = allocate(own.count * n * sizeof *counts), *gathered = allocate(results * sizeof *gathered);
    uint64_t *longs = allocate(own.count * n * sizeof *longs), *expected = allocate(results * sizeof *expected);
    test_expect(all, ranges, n, expected);
    CHECK_OK(rowpool_mpi_range_count(cluster, &own, ranges, n, counts, &error));
    CHECK_OK(rowpool_mpi_gather(cluster, counts, own.count * n * sizeof *counts, root, rank == root ? gathered : NULL,
                                rank == root ? results * sizeof *gathered : 0, &error));
    for (size_t i = 0; rank == root && i < results; i++)
        CHECK(gathered[i] == expected[i]);
    CHECK_OK(rowpool_mpi_range_count_u64(cluster, &own, ranges, n, longs, &error));
    for (size_t i = 0; i < own.count * n; i++)
        CHECK(longs[i] == expected[first * n + i]);
    free(counts);
    free(gathered);
    free(longs);
    free(expected);
}

static void every_dtype_and_layout(void)
{
    static const struct {
        size_t count, width;
    } shapes[] = {{0, 5}, {1, 7}, {2, 0}, {3, 1}, {101, 5}, {17, 300}};
    test_random random = test_random_begin(81);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++)
        for (int layout = 0; layout < TEST_LAYOUTS; layout++)
            for (size_t i = 0; i < COUNT_OF(shapes); i++) {
                test_array array = test_array_make(&random, (rowpool_dtype)dtype, (test_layout)layout, shapes[i].count,
                                                   shapes[i].width, i % 3);
                const rowpool_range ranges[] = {test_range_for(&random, &array.rows),
                                                test_range_for(&random, &array.rows)};
                check_counts(&array, ranges, 1 + i % 2);
                test_array_free(&array);
            }
}

/* Every row exactly once, in the order of the ranks, and no rank with more than its share plus the longest row. */
static void ragged_rows_are_balanced_by_elements(void)
{
    enum { COUNT = 4000, LONG = 700 };
    static size_t widths[COUNT];
    test_random random = test_random_begin(82);
    for (size_t i = 0; i < COUNT; i++)
        widths[i] = i < COUNT / 4 ? LONG : i % 3;
    test_array array = test_array_of_widths(&random, ROWPOOL_INT8, widths, COUNT, 0);
    rowpool_rows own;
    size_t first, end = 0;
    CHECK_OK(rowpool_mpi_share(cluster, &array.rows, &own, &first, &error));
    size_t limit = (test_elements(&array.rows) + COUNT) / (size_t)ranks + LONG + 1;
    CHECK(test_elements(&own) + own.count <= limit);
    size_t last = first + own.count;
    MPI_Scan(&own.count, &end, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    CHECK(last == end);
    CHECK(rank < ranks - 1 || end == COUNT);
    test_array_free(&array);

    const int64_t wrong[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
    const rowpool_rows decreasing = {.dtype = ROWPOOL_INT8, .count = COUNT_OF(wrong) - 1, .offsets = wrong};
    uint64_t shared[] = {rowpool_mpi_share(cluster, &decreasing, &own, &first, &error) != ROWPOOL_OK, own.count};
    MPI_Allreduce(MPI_IN_PLACE, shared, 2, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    CHECK(shared[0] > 0 || shared[1] == decreasing.count); /* refused somewhere, or each row belongs to a rank */
    CHECK(rowpool_mpi_share(cluster, &(rowpool_rows){.dtype = (rowpool_dtype)99}, &own, &first, &error) ==
          ROWPOOL_EINVAL);
    CHECK(rowpool_mpi_share(cluster, &(rowpool_rows){.count = SIZE_MAX, .width = 2}, &own, &first, &error) ==
          ROWPOOL_EINVAL);
}

/* ---- Different rows on each rank -------------------------------------------------------------------------------- */

typedef struct {
    int64_t index, width;
} index_result;

/* Rank r has 3 r rows. */
static void indexes_continue_from_rank_to_rank(void)
{
    const size_t count = 3 * (size_t)rank, first = 3 * (size_t)rank * (size_t)(rank - 1) / 2;
    static const int32_t data[3 * 64][2];
    index_result results[3 * 64];
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = count, .width = 2};
    rowpool_call call = {.size = sizeof call,
                         .function = &index_of_row,
                         .inputs = &rows,
                         .results = results,
                         .results_size = sizeof results,
                         .allow_host = true,
                         .first_row = 5000000000};
    CHECK_OK(rowpool_mpi_map(cluster, &call, &error));
    for (size_t i = 0; i < count; i++)
        CHECK(results[i].index == (int64_t)(5000000000 + first + i) && results[i].width == 2);
    call.size = offsetof(rowpool_call, first_row);
    CHECK_OK(rowpool_mpi_map(cluster, &call, &error));
    for (size_t i = 0; i < count; i++)
        CHECK(results[i].index == (int64_t)(first + i));
    call.size = sizeof call;
    call.first_row = rank == 0 ? SIZE_MAX : 0;
    CHECK(rank > 0 || count == 0);
    CHECK_OK(rowpool_mpi_map(cluster, &call, &error));
    call.first_row = SIZE_MAX - 2;
    if (ranks > 1)
        check_failure(rowpool_mpi_map(cluster, &call, &error), ROWPOOL_EINVAL, 1, "first_row");
}

static void argmax_counts_within_rows(void)
{
    const int8_t data[][3] = {{1, 9, 3}, {5, 5, 6}};
    int64_t found[2];
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT8, .count = 2, .width = 3};
    const rowpool_call call = {.size = sizeof call,
                               .function = rowpool_builtin("argmax"),
                               .inputs = &rows,
                               .results = found,
                               .results_size = sizeof found};
    CHECK_OK(rowpool_mpi_map(cluster, &call, &error));
    CHECK(found[0] == 1 && found[1] == 2);
}

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

static void errors_reach_every_rank(void)
{
    const int last = ranks - 1;
    uint32_t counts[2];
    const int8_t data[2][2] = {{0, 0}, {0, 0}};
    const rowpool_rows good = {.data = data, .dtype = ROWPOOL_INT8, .count = 2, .width = 2};
    rowpool_rows bad = good;
    bad.dtype = (rowpool_dtype)99;
    const rowpool_rows *rows = rank == last ? &bad : &good;
    check_failure(rowpool_mpi_range_count(cluster, rows, NULL, 0, counts, &error), ROWPOOL_EINVAL, last, "dtype is 99");
    CHECK(rowpool_mpi_range_count(cluster, rows, NULL, 0, counts, NULL) == ROWPOOL_EINVAL);
    CHECK_OK(rowpool_mpi_range_count(cluster, &good, NULL, 0, counts, &error));
    check_failure(rowpool_mpi_range_count(cluster, NULL, NULL, 0, counts, &error), ROWPOOL_EINVAL, 0, "rows is NULL");
    check_failure(rowpool_mpi_map(cluster, rank == last ? NULL : &(rowpool_call){.size = 1}, &error), ROWPOOL_EINVAL, 0,
                  ranks > 1 ? "call.size is 1" : "call is NULL");

    CHECK_OK(rowpool_mpi_agree(cluster, ROWPOOL_OK, NULL));
    error = (rowpool_error){ROWPOOL_EDEVICE, "it is broken"};
    rowpool_status own = rank == last ? ROWPOOL_EDEVICE : ROWPOOL_OK;
    check_failure(rowpool_mpi_agree(cluster, own, &error), ROWPOOL_EDEVICE, last, "): it is broken");
    CHECK(rowpool_mpi_agree(cluster, own, NULL) == ROWPOOL_EDEVICE);
    error = (rowpool_error){ROWPOOL_ETIMEDOUT, "too late"};
    check_failure(rowpool_mpi_agree(cluster, ROWPOOL_ETIMEDOUT, &error), ROWPOOL_ETIMEDOUT, 0, "too late");
}

static void bad_clusters_are_refused(void)
{
    rowpool_mpi *other;
    const rowpool_options options = {.size = sizeof options, .device = rank == ranks - 1 ? "9:9" : "host"};
    rowpool_status status = rowpool_mpi_open(&other, MPI_COMM_WORLD, &options, &error);
    CHECK(other == NULL);
    check_failure(status, ROWPOOL_ENODEVICE, ranks - 1, "9:9");
    CHECK(rowpool_mpi_open(NULL, MPI_COMM_WORLD, NULL, &error) == ROWPOOL_EINVAL);
    CHECK(rowpool_mpi_open(&other, MPI_COMM_NULL, NULL, &error) == ROWPOOL_EINVAL && other == NULL);
    CHECK(rowpool_mpi_agree(NULL, ROWPOOL_OK, &error) == ROWPOOL_EINVAL);
    CHECK(rowpool_mpi_pool(NULL) == NULL && rowpool_mpi_file_rows(NULL) == NULL && rowpool_mpi_file_first(NULL) == 0 &&
          rowpool_mpi_file_count(NULL) == 0);
    rowpool_mpi_close(NULL);
    rowpool_mpi_file_close(NULL);
}

static int use_in_child(void *argument, int pipe)
{
    (void)argument;
    (void)pipe;
    rowpool_status status = rowpool_mpi_agree(cluster, ROWPOOL_OK, &error);
    return status == ROWPOOL_EFORKED ? 0 : 1;
}

static void a_forked_child_is_refused(void)
{
    rowpool_process *child;
    rowpool_process_state state;
    CHECK_OK(rowpool_process_start(&child, use_in_child, NULL, NULL, &error));
    CHECK_OK(rowpool_process_join(child, -1, &error));
    CHECK_OK(rowpool_process_status(child, &state, &error));
    CHECK(!state.known || state.exit_code == 0);
    rowpool_process_close(child);
}

/* ---- Gathering and writing: in pieces, as mpi-piece-bytes of ROWPOOL_TEST says ------------------------------------- */

/* Rank r has 13 r bytes, so all bytes are numbered in sequence. */
static size_t bytes_of(int r)
{
    return 13 * (size_t)r;
}

static size_t bytes_before(int r)
{
    size_t bytes = 0;
    for (int before = 0; before < r; before++)
        bytes += bytes_of(before);
    return bytes;
}

static unsigned char *own_bytes(void)
{
    unsigned char *bytes = allocate(bytes_of(rank));
    for (size_t i = 0; i < bytes_of(rank); i++)
        bytes[i] = (unsigned char)(bytes_before(rank) + i);
    return bytes;
}

static void bytes_are_gathered_in_order(void)
{
    const size_t all = bytes_before(ranks);
    unsigned char *own = own_bytes(), *gathered = allocate(all);
    for (int root = 0; root < ranks; root++) {
        bool here = rank == root;
        memset(gathered, 0xa5, all);
        CHECK_OK(
            rowpool_mpi_gather(cluster, own, bytes_of(rank), root, here ? gathered : NULL, here ? all : 0, &error));
        for (size_t i = 0; here && i < all; i++)
            CHECK(gathered[i] == (unsigned char)i);
        check_failure(
            rowpool_mpi_gather(cluster, own, bytes_of(rank), root, here ? gathered : NULL, here ? all + 1 : 0, &error),
            ROWPOOL_EINVAL, root, "all_bytes is");
    }
    check_failure(rowpool_mpi_gather(cluster, own, 0, ranks, NULL, 0, &error), ROWPOOL_EINVAL, 0, "root is");
    check_failure(rowpool_mpi_gather(cluster, NULL, 1, 0, rank == 0 ? gathered : NULL, rank == 0 ? 1 : 0, &error),
                  ROWPOOL_EINVAL, 0, "own is NULL");
    if (ranks > 1)
        check_failure(rowpool_mpi_gather(cluster, NULL, 0, rank == 1, NULL, 0, &error), ROWPOOL_EINVAL, 0,
                      "not the same on all ranks");
    free(own);
    free(gathered);
}

static char folder[256], path[300];

static void make_folder(void)
{
    if (rank == 0) {
        snprintf(folder, sizeof folder, "%s/rowpool-mpi-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
        CHECK(mkdtemp(folder) != NULL);
    }
    MPI_Bcast(folder, sizeof folder, MPI_CHAR, 0, MPI_COMM_WORLD);
    snprintf(path, sizeof path, "%s/file", folder);
}

/* Expects only the file, with these bytes, in the folder; NULL: nothing. */
static void check_folder(const void *bytes, size_t size)
{
    char found[1024];
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        FILE *file = fopen(path, "rb");
        CHECK((file != NULL) == (bytes != NULL));
        if (file != NULL) {
            CHECK(fread(found, 1, sizeof found, file) == size);
            CHECK(memcmp(found, bytes, size) == 0);
            fclose(file);
            CHECK(unlink(path) == 0);
        }
        CHECK(rmdir(folder) == 0); /* nothing else is in it */
        CHECK(mkdir(folder, 0700) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void files_appear_whole(void)
{
    static const char head[] = "a head of more than one piece";
    const size_t all = bytes_before(ranks), head_bytes = sizeof head;
    unsigned char *own = own_bytes(), *expected = allocate(head_bytes + all);
    memcpy(expected, head, head_bytes);
    for (size_t i = 0; i < all; i++)
        expected[head_bytes + i] = (unsigned char)i;
    for (int turn = 0; turn < 2; turn++) { /* the second one replaces it */
        CHECK_OK(rowpool_mpi_write(cluster, path, rank == 0 ? head : NULL, rank == 0 ? head_bytes : 0, own,
                                   bytes_of(rank), &error));
    }
    check_folder(expected, head_bytes + all);
    CHECK_OK(rowpool_mpi_write(cluster, path, NULL, 0, NULL, 0, &error));
    check_folder("", 0);

    char wrong[320];
    snprintf(wrong, sizeof wrong, "%s/no/file", folder);
    check_failure(rowpool_mpi_write(cluster, wrong, NULL, 0, own, bytes_of(rank), &error), ROWPOOL_ESYSTEM, 0, wrong);
    check_failure(rowpool_mpi_write(cluster, "/dev/null", NULL, 0, own, bytes_of(rank), &error), ROWPOOL_EINVAL, 0,
                  "/dev/null: ");
    check_failure(rowpool_mpi_write(cluster, NULL, NULL, 0, own, bytes_of(rank), &error), ROWPOOL_EINVAL, 0, "path is");
    check_failure(rowpool_mpi_write(cluster, path, NULL, 1, own, bytes_of(rank), &error), ROWPOOL_EINVAL, 0, "head is");
    check_failure(rowpool_mpi_write(cluster, path, NULL, 0, NULL, 1, &error), ROWPOOL_EINVAL, 0, "own is NULL");
    if (ranks > 1)
        check_failure(rowpool_mpi_write(cluster, path, head, 1, own, bytes_of(rank), &error), ROWPOOL_EINVAL, 1,
                      "only rank 0 may pass head");
    check_folder(NULL, 0);
    free(own);
    free(expected);
}

/* The last rank may only write the beginning of the file. */
static void failed_writes_leave_no_file(void)
{
    enum { EACH = 20000 };
    char bytes[EACH] = "new";
    struct rlimit before, low;
    CHECK_OK(rowpool_mpi_write(cluster, path, rank == 0 ? "old" : NULL, rank == 0 ? 3 : 0, NULL, 0, &error));
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = EACH / 2;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK(rank < ranks - 1 || setrlimit(RLIMIT_FSIZE, &low) == 0);
    rowpool_status status = rowpool_mpi_write(cluster, path, NULL, 0, bytes, sizeof bytes, &error);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    check_failure(status, ROWPOOL_ESYSTEM, ranks - 1, "");
    check_folder("old", 3);
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

static void write_npy(const char *name, rowpool_dtype dtype, const size_t *shape, size_t dimensions, const void *data)
{
    char header[NPY_MAX_WRITTEN];
    size_t size = npy_format_header_of(header, dtype, shape, dimensions), bytes = test_size(dtype);
    for (size_t i = 0; i < dimensions; i++)
        bytes *= shape[i];
    FILE *file = fopen(name, "wb");
    CHECK(file != NULL && fwrite(header, 1, size, file) == size);
    CHECK(bytes == 0 || fwrite(data, 1, bytes, file) == bytes);
    CHECK(fclose(file) == 0);
}

/* Expects each rank's rows of the file, and the same counts. */
static void check_file(const test_array *array, const char *data_path, const char *offsets_path)
{
    const rowpool_range range = rowpool_range_i64(0, 50);
    const size_t count = array->rows.count;
    rowpool_mpi_file *file;
    CHECK_OK(rowpool_mpi_file_open(&file, cluster, data_path, offsets_path, &error));
    const rowpool_rows *own = rowpool_mpi_file_rows(file);
    const size_t first = rowpool_mpi_file_first(file);
    CHECK(rowpool_mpi_file_count(file) == count && first + own->count <= count);
    uint32_t *counts = allocate(own->count * sizeof *counts);
    uint64_t *expected = allocate(count * sizeof *expected), counted = own->count;
    test_expect(&array->rows, &range, 1, expected);
    CHECK_OK(rowpool_mpi_range_count(cluster, own, &range, 1, counts, &error));
    for (size_t i = 0; i < own->count; i++)
        CHECK(counts[i] == expected[first + i]);
    MPI_Allreduce(MPI_IN_PLACE, &counted, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    CHECK(counted == count);
    free(counts);
    free(expected);
    rowpool_mpi_file_close(file);
}

/* SciPy's offsets are int32 if that is large enough. */
static void write_offsets(const char *name, const int64_t *offsets, size_t entries, bool narrow)
{
    int32_t *some = allocate(entries * sizeof *some);
    for (size_t i = 0; i < entries; i++)
        some[i] = (int32_t)offsets[i];
    write_npy(name, narrow ? ROWPOOL_INT32 : ROWPOOL_INT64, &entries, 1, narrow ? (const void *)some : offsets);
    free(some);
}

static void files_are_divided(void)
{
    char offsets_path[310];
    snprintf(offsets_path, sizeof offsets_path, "%s/offsets", folder);
    test_random random = test_random_begin(83);
    for (int dtype = 0; dtype < TEST_DTYPES; dtype++)
        for (size_t count = 0; count < 50; count = 3 * count + 1)
            for (int layout = TEST_DENSE; layout <= TEST_RAGGED; layout += TEST_RAGGED - TEST_DENSE) {
                test_array array = test_array_make(&random, (rowpool_dtype)dtype, (test_layout)layout, count, 6, 0);
                const bool ragged = array.offsets != NULL;
                const size_t elements = ragged ? (size_t)array.offsets[count] : count * 6;
                const size_t shape[] = {count, 6};
                if (rank == 0) {
                    write_npy(path, (rowpool_dtype)dtype, ragged ? &elements : shape, ragged ? 1 : 2, array.rows.data);
                    if (ragged)
                        write_offsets(offsets_path, array.offsets, count + 1, dtype % 2 == 0);
                }
                MPI_Barrier(MPI_COMM_WORLD);
                check_file(&array, path, ragged ? offsets_path : NULL);
                MPI_Barrier(MPI_COMM_WORLD);
                test_array_free(&array);
            }
    if (rank == 0)
        CHECK(unlink(path) == 0 && unlink(offsets_path) == 0);
}

static void any_byte_but_0_of_a_bool_is_1(void)
{
    enum { ROWS = 7 };
    static const uint8_t expected[] = {0, 1, 1, 1};
    const size_t shape[] = {ROWS, 4};
    uint8_t data[ROWS][4];
    for (int i = 0; i < ROWS; i++)
        memcpy(data[i], (const uint8_t[]){0, 1, 2, 255}, 4);
    if (rank == 0) {
        write_npy(path, ROWPOOL_UINT8, shape, 2, data);
        FILE *file = fopen(path, "r+b");
        CHECK(file != NULL && fseek(file, 10 + sizeof "{'descr': '|" - 1, SEEK_SET) == 0 && fputc('b', file) == 'b');
        CHECK(fclose(file) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    rowpool_mpi_file *file;
    CHECK_OK(rowpool_mpi_file_open(&file, cluster, path, NULL, &error));
    const rowpool_rows *own = rowpool_mpi_file_rows(file);
    CHECK(own->dtype == ROWPOOL_UINT8 && own->width == 4);
    for (size_t i = 0; i < own->count; i++)
        CHECK(memcmp((const uint8_t *)own->data + 4 * i, expected, 4) == 0);
    rowpool_mpi_file_close(file);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        CHECK(unlink(path) == 0);
}

/* As repeated numpy.save writes them to one file. */
static void append_array(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(name, "ab");
    CHECK(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void refuse_file(const char *data_path, const char *offsets_path, const char *words)
{
    rowpool_mpi_file *file;
    rowpool_status status = rowpool_mpi_file_open(&file, cluster, data_path, offsets_path, &error);
    CHECK(status == ROWPOOL_EINVAL && file == NULL);
    CHECK(strstr(error.message, words) != NULL);
}

static void bad_files_are_refused(void)
{
    enum { ROWS = 40 };
    char offsets_path[310];
    int64_t offsets[ROWS + 1];
    int8_t data[ROWS] = {0};
    const size_t elements = ROWS, entries = ROWS + 1, square[] = {ROWS / 2, 2};
    snprintf(offsets_path, sizeof offsets_path, "%s/offsets", folder);
    refuse_file(path, NULL, "No such file");
    refuse_file(NULL, NULL, "path is NULL");
    for (int wrong = 0; wrong < 4; wrong++) {
        const char *words[] = {"offset 37 is 3, less than the 36", "offset 0 is -1", "offset 40 is 41",
                               "one axis of int64"};
        for (int i = 0; i <= ROWS; i++)
            offsets[i] = i;
        offsets[37] = wrong == 0 ? 3 : 37;
        offsets[0] = wrong == 1 ? -1 : 0;
        offsets[ROWS] = wrong == 2 ? ROWS + 1 : ROWS;
        if (rank == 0) {
            write_npy(path, ROWPOOL_INT8, &elements, 1, data);
            write_npy(offsets_path, wrong == 3 ? ROWPOOL_UINT64 : ROWPOOL_INT64, &entries, 1, offsets);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        refuse_file(path, offsets_path, words[wrong]);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        write_npy(path, ROWPOOL_INT8, square, 2, data);
    MPI_Barrier(MPI_COMM_WORLD);
    refuse_file(path, offsets_path, "ragged rows need an array of one axis");
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        append_array(path, "\x93NUMPY\1", 8);
    MPI_Barrier(MPI_COMM_WORLD);
    refuse_file(path, NULL, "the file has several arrays");
    if (ranks > 1) { /* a file that only this rank has */
        char own_path[320];
        const size_t rows = rank == 0 ? ROWS : ROWS - 1;
        snprintf(own_path, sizeof own_path, "%s/own%d", folder, rank);
        write_npy(own_path, ROWPOOL_INT8, &rows, 1, data);
        refuse_file(own_path, NULL, "not the same file on all ranks");
        CHECK(unlink(own_path) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0)
        CHECK(unlink(path) == 0 && unlink(offsets_path) == 0);
    check_folder(NULL, 0);
}

/* ---- Cores and devices of a node -------------------------------------------------------------------------------- */

static int cpus(void)
{
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    return CPU_COUNT(&set);
}

static void report_cpus(const void *argument, size_t argument_size, void *result, size_t result_size)
{
    cpu_set_t set;
    (void)argument;
    (void)argument_size;
    memset(result, 0, result_size);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        memcpy(result, &set, result_size < sizeof set ? result_size : sizeof set);
}

/* The launcher binds no rank: all ranks have the same cores and divide them. */
static void cores_are_divided(void)
{
    cpu_set_t before, after, mine, all;
    rowpool_mpi *processes;
    const rowpool_options options = {.size = sizeof options, .device = "fork"};
    CPU_ZERO(&before); /* both are compared whole */
    CPU_ZERO(&after);
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    CHECK_OK(rowpool_mpi_open(&processes, MPI_COMM_WORLD, &options, &error));
    CHECK(sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&before, &after));
    rowpool *pool = rowpool_mpi_pool(processes);
    CHECK_OK(rowpool_apply(pool, report_cpus, NULL, 0, &mine, sizeof mine, &error));
    const int have = cpus(), least = have / ranks > 0 ? have / ranks : 1;
    CHECK(CPU_COUNT(&mine) >= least && CPU_COUNT(&mine) <= least + (have > ranks));
    rowpool_device devices[16];
    size_t count;
    CHECK_OK(rowpool_devices(pool, devices, COUNT_OF(devices), &count, &error));
    CHECK(devices[0].in_use && (int)devices[0].units <= CPU_COUNT(&mine));
    MPI_Allreduce(&mine, &all, sizeof all / sizeof(unsigned long), MPI_UNSIGNED_LONG, MPI_BOR, MPI_COMM_WORLD);
    CHECK(CPU_EQUAL(&all, &before));
    rowpool_mpi_close(processes);
}

/* Run where there are two OpenCL devices. */
static void devices_are_divided(void)
{
    rowpool_device devices[16];
    size_t count, used = 0;
    int which[2] = {0, 0};
    const rowpool_options options = {.size = sizeof options, .device = "all"};
    rowpool_mpi *shared;
    CHECK_OK(rowpool_mpi_open(&shared, MPI_COMM_WORLD, &options, &error));
    CHECK_OK(rowpool_devices(rowpool_mpi_pool(shared), devices, COUNT_OF(devices), &count, &error));
    while (used < count && devices[used].in_use)
        used++;
    CHECK(used == (ranks == 1 ? 2 : 1));
    for (size_t i = 0; i < used; i++) {
        CHECK(strcmp(devices[i].index, "0:0") == 0 || strcmp(devices[i].index, "0:1") == 0);
        which[devices[i].index[2] - '0']++;
    }
    CHECK(ranks == 1 || which[rank % 2] == 1);
    MPI_Allreduce(MPI_IN_PLACE, which, 2, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CHECK(which[0] > 0 && which[1] > 0);
    uint32_t counts[1];
    const int32_t data[] = {4, 9, 8};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 1, .width = 3};
    CHECK_OK(rowpool_mpi_range_count(shared, &rows, NULL, 0, counts, &error));
    CHECK(counts[0] == 2);
    rowpool_mpi_close(shared);
}

/* ---- Ranks that are killed -------------------------------------------------------------------------------------- */

static void die(int signal_number)
{
    (void)signal_number;
    (void)kill(getpid(), SIGKILL);
}

/* Maps, or writes the file, again and again until this rank is killed. */
static void be_killed_at_work(const char *file, bool writes, int who, long microseconds)
{
    enum { BYTES = 1 << 20, COUNT = BYTES / 4096 };
    static uint32_t counts[COUNT];
    char *bytes = allocate(BYTES);
    const rowpool_rows rows = {.data = bytes, .dtype = ROWPOOL_INT8, .count = COUNT, .width = BYTES / COUNT};
    const struct itimerval when = {.it_value = {microseconds / 1000000, microseconds % 1000000}};
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0); /* no rank outlives its launcher */
    CHECK(signal(SIGALRM, die) != SIG_ERR);
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK(rank != who || setitimer(ITIMER_REAL, &when, NULL) == 0);
    while (!writes)
        CHECK_OK(rowpool_mpi_range_count(cluster, &rows, NULL, 0, counts, &error));
    for (;;)
        CHECK_OK(rowpool_mpi_write(cluster, file, NULL, 0, bytes, BYTES, &error));
}

int main(int argc, char **argv)
{
    int provided;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc == 2 && strcmp(argv[1], "devices") == 0) {
        devices_are_divided();
        MPI_Finalize();
        return 0;
    }
    CHECK_OK(rowpool_mpi_open(&cluster, MPI_COMM_WORLD, NULL, &error));
    if (argc == 5) {
        be_killed_at_work(argv[2], strcmp(argv[1], "write") == 0, atoi(argv[3]), atol(argv[4]));
    } else {
        make_folder();
        every_dtype_and_layout();
        ragged_rows_are_balanced_by_elements();
        indexes_continue_from_rank_to_rank();
        argmax_counts_within_rows();
        errors_reach_every_rank();
        bad_clusters_are_refused();
        a_forked_child_is_refused();
        bytes_are_gathered_in_order();
        files_appear_whole();
        failed_writes_leave_no_file();
        files_are_divided();
        any_byte_but_0_of_a_bool_is_1();
        bad_files_are_refused();
        cores_are_divided();
        if (rank == 0)
            CHECK(rmdir(folder) == 0);
    }
    rowpool_mpi_close(cluster);
    MPI_Finalize();
    return 0;
}
