/* What the tests share: random numbers, arrays of every layout, and an exact reference for the range count. The
 * reference is independent: nothing here uses src/. */
#ifndef ROWPOOL_TESTS_SUPPORT_H
#define ROWPOOL_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Last: it needs the headers above and does not include them. */
#include <cmocka.h>

#include "rowpool.h"

/* Defines a cmocka test; most do not use the state. */
#define TEST(name) static void name(__attribute__((unused)) void **state)

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { TEST_SKIPPED = 77, TEST_DTYPES = ROWPOOL_FLOAT64 + 1 };

/* Whether a sanitizer is active: it changes memory use and timing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TEST_SANITIZED = true };
#else
enum { TEST_SANITIZED = false };
#endif

/* Skips a test that cannot run here and prints the reason. */
#define skip_since(...)                  \
    do {                                 \
        printf("skipped: " __VA_ARGS__); \
        putchar('\n');                   \
        fflush(stdout);                  \
        skip();                          \
    } while (0)

/* ---- Random numbers: SplitMix64 --------------------------------------------------------------------------------- */

typedef struct {
    uint64_t state;
} test_random;

/* Seeds from ROWPOOL_TEST_SEED: a number, or "new" for the clock. The default is a constant, so that tests are
 * reproducible. The seed is printed once. salt: distinguishes the tests' numbers from each other. */
test_random test_random_begin(uint64_t salt);
uint64_t test_seed(void);

uint64_t test_next(test_random *random);
uint64_t test_below(test_random *random, uint64_t n); /* in [0, n), n > 0 */
bool test_chance(test_random *random, unsigned one_in);

/* The whole number in an environment variable, or `otherwise` if it is unset. */
size_t test_setting(const char *variable, size_t otherwise);

/* ---- Elements --------------------------------------------------------------------------------------------------- */

size_t test_size(rowpool_dtype dtype);
const char *test_name(rowpool_dtype dtype);
bool test_is_float(rowpool_dtype dtype);
bool test_is_signed(rowpool_dtype dtype); /* floats are */

/* An element is passed as its bits, in the low bytes of a word. */
uint64_t test_load(rowpool_dtype dtype, const void *data, size_t i);
void test_store(rowpool_dtype dtype, void *data, size_t i, uint64_t bits);

/* test_value: the element as a double, rounded if necessary. test_small: a small whole number as an element. */
double test_value(rowpool_dtype dtype, uint64_t bits);
uint64_t test_small(rowpool_dtype dtype, unsigned value);

/* Any element: limits, zeros, infinities, NaNs of both signs and many payloads, subnormals, small numbers, noise. */
uint64_t test_element(test_random *random, rowpool_dtype dtype);

/* ---- The reference ---------------------------------------------------------------------------------------------- */

/* A number's position on the number line: an integer with the same order as the values, across all kinds and types. It
 * is exact: it combines the sign, the power of two, and 64 bits of mantissa, and uses no floating-point arithmetic. */
__extension__ typedef __int128 test_place;

/* False for a NaN. */
bool test_place_element(rowpool_dtype dtype, uint64_t bits, test_place *place);
bool test_place_number(rowpool_number number, test_place *place);

bool test_place_within(test_place x, const rowpool_range *range);
bool test_within(rowpool_dtype dtype, uint64_t bits, const rowpool_range *range);

/* expected[i * max(n_ranges, 1) + k]: the exact range count of the rows. */
void test_expect(const rowpool_rows *rows, const rowpool_range *ranges, size_t n_ranges, uint64_t *expected);

/* ---- Ranges ----------------------------------------------------------------------------------------------------- */

rowpool_number test_i64(int64_t value);
rowpool_number test_u64(uint64_t value);
rowpool_number test_f64(double value);

/* A bound of any kind: often an element's own value, a neighbour of it, or a value halfway to one. Never NaN. */
rowpool_number test_number_near(test_random *random, rowpool_dtype dtype, uint64_t element);

/* A range with bounds near elements of the rows, of any closure; sometimes lo > hi. */
rowpool_range test_range_for(test_random *random, const rowpool_rows *rows);

/* ---- Arrays ----------------------------------------------------------------------------------------------------- */

typedef enum { TEST_DENSE, TEST_STRIDED, TEST_RAGGED, TEST_LAYOUTS } test_layout;

/* Rows in memory that ends with the last row, so that a sanitizer detects a read past the end. */
typedef struct {
    rowpool_rows rows;
    test_layout layout;
    void *memory;
    int64_t *offsets;
} test_array;

/* Ragged rows are up to twice as wide as width, many are empty, and a few are much longer. shift: elements between an
 * aligned address and the first element. */
test_array test_array_make(test_random *random, rowpool_dtype dtype, test_layout layout, size_t count, size_t width,
                           size_t shift);
/* Ragged rows of exactly these widths. */
test_array test_array_of_widths(test_random *random, rowpool_dtype dtype, const size_t *widths, size_t count,
                                size_t shift);
void test_array_free(test_array *array);

/* A row's first element in rows.data; its width. */
size_t test_row_begin(const rowpool_rows *rows, size_t row);
size_t test_row_width(const rowpool_rows *rows, size_t row);

/* The number of elements in all rows. */
size_t test_elements(const rowpool_rows *rows);

/* Memory filled with a byte that is not 0, never NULL. */
void *test_allocate(size_t bytes);

/* Counts of uint32 or uint64 with guard bytes on both sides. shift: as above. */
typedef struct {
    unsigned char *memory;
    void *counts;
    size_t n, size, bytes;
} test_counts;

test_counts test_counts_make(size_t n, size_t size, size_t shift);
void test_counts_free(test_counts *counts);

/* Compares counts and guards with what is expected; reports a difference on standard error. True if all are right. */
bool test_counts_right(const test_counts *counts, const uint64_t *expected, const char *what, const rowpool_rows *rows,
                       const rowpool_range *ranges, size_t n_ranges);

/* ---- Leaks ------------------------------------------------------------------------------------------------------ */

/* Whether this process has any child; whether it has one that ended and was not waited for. */
bool test_has_child(void);
bool test_has_zombie(void);

/* Bytes of memory that this process may use: the machine's total, or the limit of its control groups. Independent of
 * how much is free now. */
size_t test_memory(void);

size_t test_count_descriptors(void);
size_t test_count_mappings(void);

/* Waits for a child; returns its wait status. */
int test_wait(pid_t child);
void test_sleep_us(uint64_t us);

/* ---- Output of programs ----------------------------------------------------------------------------------------- */

/* test_open_nameless: an empty temporary file that goes away when it is closed. test_read_all: the contents of a file,
 * to be freed. */
int test_open_nameless(void);
char *test_read_all(int fd);

/* Reads a pipe or terminal to its end and terminates the text; returns its length. */
size_t test_read_to_end(int fd, char *text, size_t size);

/* Removes a folder and all that is in it. */
bool test_remove_folder(const char *path);

/* ---- Errors ----------------------------------------------------------------------------------------------------- */

/* An error that no call has written to; whether that still holds. */
rowpool_error test_error_fresh(void);
bool test_error_untouched(const rowpool_error *error);

/* Asserts that a call failed with this status, that the error agrees, and that its message contains the text. */
#define assert_refused(call, expected_status, error, text)                \
    do {                                                                  \
        (error) = test_error_fresh();                                     \
        rowpool_status status_ = (call);                                  \
        test_refused(status_, expected_status, &(error), text, __LINE__); \
    } while (0)
void test_refused(rowpool_status status, rowpool_status expected, const rowpool_error *error, const char *text,
                  int line);

/* Asserts that a call succeeded; on failure shows the error's message. */
#define assert_ok(call, error)                                                            \
    do {                                                                                  \
        (error) = test_error_fresh();                                                     \
        rowpool_status status_ = (call);                                                  \
        if (status_ != ROWPOOL_OK)                                                        \
            fail_msg("%s: %s: %s", #call, rowpool_status_name(status_), (error).message); \
        assert_true(test_error_untouched(&(error)));                                      \
    } while (0)

#endif
