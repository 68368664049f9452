/* Input formats other than .npy: text tables, members of archives, raw files. Anything else in such a file is refused
 * with its position, or read as exactly what it says. */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include "support.h"

#include "input.h"
#include "number.h"

/* ---- Reading bytes as a format ---------------------------------------------------------------------------------- */

/* Option letters and their values; the format comes first. */
typedef struct {
    char letter;
    const char *value;
} setting;
enum { MAX_SETTINGS = 4 };

static input_options options_of(const char *format, const setting *settings)
{
    input_options options = {.command = "count"};
    bool read;
    assert_true(take_input_option(&options, 'F', format, &read) && read);
    for (size_t i = 0; i < MAX_SETTINGS && settings != NULL && settings[i].letter != 0; i++)
        assert_true(take_input_option(&options, settings[i].letter, settings[i].value, &read) && read);
    assert_true(choose_format(&options, "file"));
    return options;
}

static int open_nameless_with(const void *bytes, size_t size)
{
    int fd = test_open_nameless();
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static rowpool_status read_descriptor_as(input *in, int fd, const input_options *options, rowpool_error *error)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
    rowpool_status status = open_input(in, path, options, error);
    assert_int_equal(close(fd), 0);
    return status;
}

static rowpool_status read_as(input *in, const void *bytes, size_t size, const input_options *options,
                              rowpool_error *error)
{
    return read_descriptor_as(in, open_nameless_with(bytes, size), options, error);
}

/* Through a pipe, which must hold all of it. */
static rowpool_status read_stream_as(input *in, const void *bytes, size_t size, const input_options *options,
                                     rowpool_error *error)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, size), size);
    assert_int_equal(close(ends[1]), 0);
    return read_descriptor_as(in, ends[0], options, error);
}

/* ---- Describing the result -------------------------------------------------------------------------------------- */

static size_t describe_element(char *text, const rowpool_rows *rows, size_t i)
{
    const uint64_t bits = test_load(rows->dtype, rows->data, i);
    if (rows->dtype == ROWPOOL_UINT64)
        return (size_t)sprintf(text, "%" PRIu64, bits);
    if (!test_is_float(rows->dtype)) {
        const unsigned shift = 64 - 8 * (unsigned)test_size(rows->dtype);
        const int64_t value = test_is_signed(rows->dtype) ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
        return (size_t)sprintf(text, "%" PRId64, value);
    }
    char number[NUMBER_TEXT];
    format_real(number, test_value(rows->dtype, bits), rows->dtype);
    return (size_t)sprintf(text, "%s", number);
}

/* "int64 2x2 (title) | a: 1 2 | b: 3 4" */
static char *describe(const input *in)
{
    const rowpool_rows rows = input_rows(in);
    char *text = calloc(1, 4096);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "%s %zux%zu%s", test_name(rows.dtype), rows.count, in->array.header.width,
                                  rows.offsets != NULL ? " ragged" : "");
    if (in->notes.bytes != NULL)
        used += (size_t)sprintf(text + used, " <%s>", in->notes.bytes);
    if (in->title.count > 0)
        used += (size_t)sprintf(text + used, " (%s)", in->title.bytes);
    const char *label = in->labels.bytes;
    assert_true(in->labels.count == 0 || in->labels.count == rows.count);
    for (size_t row = 0; row < rows.count && used < 3000; row++) {
        used += (size_t)sprintf(text + used, " |");
        if (in->labels.count > 0) {
            used += (size_t)sprintf(text + used, " %s:", label);
            label = next_text(label);
        }
        for (size_t i = test_row_begin(&rows, row); i < test_row_begin(&rows, row + 1) && used < 3000; i++) {
            text[used++] = ' ';
            used += describe_element(text + used, &rows, i);
        }
    }
    return text;
}

typedef struct {
    const char *text, *expected;
    setting settings[MAX_SETTINGS];
} text_case;

static void check_text(const char *format, const text_case *c, int line)
{
    const input_options options = options_of(format, c->settings);
    for (int piped = 0; piped < 2; piped++) {
        input in;
        rowpool_error error;
        rowpool_status status = (piped ? read_stream_as : read_as)(&in, c->text, strlen(c->text), &options, &error);
        char *found = status == ROWPOOL_OK ? describe(&in) : strdup(error.message);
        if (status != ROWPOOL_OK || strcmp(found, c->expected) != 0)
            fail_msg("line %d: '%s' is '%s', not '%s'", line, c->text, found, c->expected);
        free(found);
        close_input(&in);
    }
}

/* Expects exactly this message, and nothing left to free. */
static void check_refused(const char *format, const char *bytes, size_t size, const text_case *c, int line)
{
    const input_options options = options_of(format, c->settings);
    input in;
    rowpool_error error = test_error_fresh();
    rowpool_status status = read_as(&in, bytes, size, &options, &error);
    char *found = status == ROWPOOL_OK ? describe(&in) : strdup(error.message);
    if (status != ROWPOOL_EINVAL || strcmp(found, c->expected) != 0)
        fail_msg("line %d: '%s' gives '%s', not '%s'", line, c->text, found, c->expected);
    static const input nothing;
    assert_memory_equal(&in, &nothing, sizeof in);
    free(found);
}

#define CHECK_ALL(cases, format)                             \
    for (size_t case_ = 0; case_ < COUNT_OF(cases); case_++) \
    check_text(format, &(cases)[case_], __LINE__)
#define CHECK_ALL_REFUSED(cases, format)                     \
    for (size_t case_ = 0; case_ < COUNT_OF(cases); case_++) \
    check_refused(format, (cases)[case_].text, strlen((cases)[case_].text), &(cases)[case_], __LINE__)

/* ---- Text ------------------------------------------------------------------------------------------------------- */

TEST(reads_numbers)
{
    static const text_case cases[] = {
        {"1,2\n3,4\n", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"1,2\n3,4", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"1,2\r\n3,4\r\n", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"1,2\r3,4\r", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"1,2\n3,4\n\n \r\n\t\n", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"\n\na,b\n1,2\n", "int64 1x2 | 1 2", {{0}}},
        {" 1 ,\t2\n3 , 4\n", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"\"1\",2\n3,\"4\"\n", "int64 2x2 | 1 2 | 3 4", {{0}}},
        {"\xef\xbb\xbf"
         "1,2\n",
         "int64 1x2 | 1 2",
         {{0}}},
        {"7", "int64 1x1 | 7", {{0}}},
        {"-9223372036854775808,9223372036854775807\n", "int64 1x2 | -9223372036854775808 9223372036854775807", {{0}}},
        {"+5,-0,007\n", "int64 1x3 | 5 0 7", {{0}}},
        {"0x1F,-0Xa\n", "int64 1x2 | 31 -10", {{0}}},
        {"0x1F,-0Xa\n", "float32 1x2 | 31 -10", {{'T', "float32"}}},
        {"0x1F,0x1.8p3\n", "float64 1x2 | 31 12", {{0}}},
        {"1,2.5\n3,4\n", "float64 2x2 | 1 2.5 | 3 4", {{0}}},
        {"1,2\n3,4e0\n5,6\n", "float64 3x2 | 1 2 | 3 4 | 5 6", {{0}}},
        {"nan,inf\n-inf,1e308\n", "float64 2x2 | nan inf | -inf 1e+308", {{0}}},
        {"4.9e-324,0e-400,0x.0p1\n", "float64 1x3 | 5e-324 0 0", {{0}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(recognises_headers_and_labels)
{
    static const text_case cases[] = {
        {"a,b\n1,2\n", "int64 1x2 | 1 2", {{0}}},
        {"a,b\n", "int64 0x2", {{0}}},
        {"a\n1\n2\n", "int64 2x1 | 1 | 2", {{0}}},
        {"day,t\nmon,1\ntue,2\n", "int64 2x1 (day) | mon: 1 | tue: 2", {{0}}},
        {",t\nmon,1\n", "int64 1x1 (label) | mon: 1", {{0}}},
        {"mon,1\ntue,2\n", "int64 2x1 | mon: 1 | tue: 2", {{0}}},
        {"\"a, \"\"b\"\"\nc\",1\n", "int64 1x1 | a, \"b\"\nc: 1", {{0}}},
        {"a,b\n1,2\n", "int64 1x2 | 1 2", {{'H', "yes"}}},
        {"1,2\n3,4\n", "int64 1x2 | 3 4", {{'H', "yes"}}},
        {"city,2010,2011\nRome,1,2\n",
         "int64 2x2 <the first row is taken as data; --header yes takes it as names> | city: 2010 2011 | Rome: 1 2",
         {{0}}},
        {"city,2010,2011\nRome,1,2\n", "int64 1x2 (city) | Rome: 1 2", {{'H', "yes"}}},
        {"id,a\n17,1\n18,2\n", "int64 2x1 (id) | 17: 1 | 18: 2", {{'L', "1"}}},
        {"a,id\n1,17\n2,18\n", "int64 2x1 (id) | 17: 1 | 18: 2", {{'L', "id"}}},
        {"a,2\n1,17\n2,18\n", "int64 2x1 (2) | 17: 1 | 18: 2", {{'L', "2"}, {'H', "yes"}}},
        {"1,x\n2,y\n", "int64 2x1 | x: 1 | y: 2", {{'L', "2"}}},
        {"17,1\n18,2\n", "int64 2x2 | 17 1 | 18 2", {{'L', "none"}}},
        {"1,2\n3,4\n", "int64 2x2 | 1 2 | 3 4", {{'H', "no"}}},
        {"t,w\nmon,1\n", "int64 1x1 | 1", {{'k', "t"}}},
        {"t,a,w,b\nmon,1,x,2\n", "int64 1x2 (t) | mon: 1 2", {{'k', "w"}}},
        {"t,a,w,b\nmon,1,x,2\n", "int64 1x1 (t) | mon: 2", {{'k', "w,2"}}},
        {"a,b\n", "int64 0x1", {{'k', "a"}}},
        {"a,b\n", "int64 0x1 (b)", {{'L', "b"}}},
        {"a,b\n", "float32 0x2", {{'T', "float32"}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(skips_columns_of_words)
{
    static const text_case cases[] = {
        {"a,b\n1,x\n2,y\n", "int64 2x1 <column 2 (b) holds words and is left out> | 1 | 2", {{0}}},
        {"a,b\n1,x\n2,\n3,4/5\n", "int64 3x1 <column 2 (b) holds words and is left out> | 1 | 2 | 3", {{0}}},
        {"n,2010,2011,2012\nx,1,5,9\n",
         "int64 2x3 <the first row is taken as data; --header yes takes it as names> | n: 2010 2011 2012 | x: 1 5 9",
         {{0}}},
        {"n,2010,2011,2012\nx,1,5,9\n", "int64 1x3 (n) | x: 1 5 9", {{'H', "yes"}}},
        {"n,2010,2011,2012\nx,1,5,9\n", "int64 2x3 | n: 2010 2011 2012 | x: 1 5 9", {{'H', "no"}}},
        {"n,1,3,3\nx,1,5,9\n", "int64 2x3 | n: 1 3 3 | x: 1 5 9", {{0}}},
        {"class,0,1\ncat,5,3\n",
         "int64 2x2 <the first row is taken as data; --header yes takes it as names> | class: 0 1 | cat: 5 3",
         {{0}}},
        {"actual,False,True\nno,5,3\n",
         "int64 2x2 <the first row is taken as data; --header yes takes it as names> | actual: 0 1 | no: 5 3",
         {{0}}},
        {"freq,0.5,1.0,2e1\nx,1,2,3\n",
         "float64 2x3 <the first row is taken as data; --header yes takes it as names> | freq: 0.5 1 20 | x: 1 2 3",
         {{0}}},
        {"n,9223372036854775807,1,2\n", "int64 1x3 | n: 9223372036854775807 1 2", {{0}}},
        {"name,inf\nx,1\n",
         "float64 2x1 <the first row is taken as data; --header yes takes it as names> | name: inf | x: 1",
         {{0}}},
        {"name,nan,Size\nx,1,y\n",
         "float64 2x1 <the first row is taken as data; --header yes takes it as names; column 3 holds words and is "
         "left "
         "out> | name: nan | x: 1",
         {{0}}},
        {"name,\nx,1\n",
         "int64 2x1 <the first row is taken as data; --header yes takes it as names> | name: 0 | x: 1",
         {{'i', "0"}}},
        {"name,inf\nx,1\n", "float64 2x1 | name: inf | x: 1", {{'H', "no"}}},
        {"mon,,4\ntue,1,5\n", "int64 2x2 | mon: 0 4 | tue: 1 5", {{'i', "0"}}},
        {"mon,1,x\n", "int64 1x1 <column 3 holds words and is left out> | mon: 1", {{0}}},
        {"d,a,b,c\nmon,x,1,y\n", "int64 1x1 <column 2 (a) and 1 more hold words and are left out> (d) | mon: 1", {{0}}},
        {"a,b\n1,\xc3\xa9\n", "int64 1x1 <column 2 (b) holds words and is left out> | 1", {{0}}},
        {"a,b\n1,x\n2,3\n", "int64 2x1 | 1 | 2", {{'k', "b"}}},
        {"1,x,2\n3,y\n", "int64 2x2 ragged <column 2 holds words and is left out> | 1 2 | 3", {{'g', NULL}}},
        {"1,NA\n2,3\n", "int64 2x2 | 1 0 | 2 3", {{'i', "0"}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(reads_other_separators)
{
    static const text_case tabs[] = {
        {"a\tb\n1\t2\n", "int64 1x2 | 1 2", {{0}}},
        {"x, y\t1\n", "int64 1x1 | x, y: 1", {{0}}},
        {"\"x\ty\"\t 1 \n", "int64 1x1 | x\ty: 1", {{0}}},
    };
    static const text_case others[] = {
        {"a;b\n1;2\n", "int64 1x2 | 1 2", {{'D', ";"}}},
        {"1 2\n3 4\n", "int64 2x2 | 1 2 | 3 4", {{'D', " "}}},
        {"1|2\n", "int64 1x2 | 1 2", {{'D', "|"}}},
    };
    /* No hint if the file already has a separator. */
    static const text_case refused_tabs[] = {
        {"a\tb\n1\t\"2\t3\"\n", "line 2, column 2 (b): '2\t3' is not a number; --skip 2 leaves the column out", {{0}}},
        {"\"2\t3;4\"\n",
         "line 1, column 1: '2\t3;4' is not a number; --delimiter ';' separates cells there, --header yes takes this "
         "row "
         "as "
         "names",
         {{0}}},
    };
    static const text_case refused_others[] = {
        {"a\n\"1,2\"\n3\n", "line 2, column 1 (a): '1,2' is not a number", {{0}}},
        {"a\n\"1;2\"\n3\n", "line 2, column 1 (a): '1;2' is not a number", {{'D', ";"}}},
        {"a\n1,2,3\n", "line 2, column 1 (a): '1,2,3' is not a number", {{'D', ";"}, {'N', ","}}},
    };
    static const text_case refused_blanks[] = {
        {"a\n\"1 2\"\n\"3\t4\"\n", "line 2, column 1 (a): '1 2' is not a number", {{0}}},
    };
    CHECK_ALL(tabs, "tsv");
    CHECK_ALL(others, "csv");
    CHECK_ALL_REFUSED(refused_tabs, "tsv");
    CHECK_ALL_REFUSED(refused_others, "csv");
    CHECK_ALL_REFUSED(refused_blanks, "txt");
}

TEST(reads_missing_cells_and_ragged_rows)
{
    static const text_case cases[] = {
        {"1,\nNA,4\n", "float64 2x2 | 1 nan | nan 4", {{'i', "nan"}}},
        {"1,\n,4\n", "int64 2x2 | 1 0 | 0 4", {{'i', "0"}}},
        {"a,b\n,\"\"\n", "int64 1x2 | -7 -7", {{'i', "-7"}}},
        {"1,2,3\n4\n5,6\n", "int64 3x3 ragged | 1 2 3 | 4 | 5 6", {{'g', NULL}}},
        {"1\n2,3,4,5\n", "int64 2x4 ragged | 1 | 2 3 4 5", {{'g', NULL}}},
        {"1,2,,\n3,,,\n,,,\n4,NA\n", "int64 4x2 ragged | 1 2 | 3 | | 4", {{'g', NULL}}},
        {"x,1,2\ny\nz,3\n",
         "int64 3x2 ragged <the first row is taken as data; --header yes takes it as names> | x: 1 2 | y: | z: 3",
         {{'g', NULL}}},
        {"1,,2\n", "int64 1x3 ragged | 1 0 2", {{'g', NULL}, {'i', "0"}}},
        {"a,b\n", "int64 0x0 ragged", {{'g', NULL}}},
        {"a,b,c\n1,2,3,4\n", "int64 1x3 ragged | 1 3 4", {{'g', NULL}, {'k', "b"}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(reads_the_type_that_is_asked_for)
{
    static const text_case cases[] = {
        {"-128,127\n", "int8 1x2 | -128 127", {{'T', "int8"}}},
        {"-32768,32767\n", "int16 1x2 | -32768 32767", {{'T', "int16"}}},
        {"-2147483648,2147483647\n", "int32 1x2 | -2147483648 2147483647", {{'T', "int32"}}},
        {"0,255\n", "uint8 1x2 | 0 255", {{'T', "uint8"}}},
        {"0,65535\n", "uint16 1x2 | 0 65535", {{'T', "uint16"}}},
        {"0,4294967295\n", "uint32 1x2 | 0 4294967295", {{'T', "uint32"}}},
        {"18446744073709551615\n", "uint64 1x1 | 18446744073709551615", {{'T', "uint64"}}},
        {"1,0.1\n", "float32 1x2 | 1 0.1", {{'T', "float32"}}},
        {"9223372036854775808,36893488147419103232,0x100000000000000000\n",
         "float64 1x3 | 9.223372036854776e+18 3.6893488147419103e+19 2.9514790517935283e+20",
         {{'T', "float64"}}},
        {"65504,-65504,6e-8,0.1,65519.\n", "float16 1x5 | 65500 -65500 6e-08 0.1 65500", {{'T', "float16"}}},
        {"inf,-inf,nan,-0\n", "float16 1x4 | inf -inf nan -0", {{'T', "float16"}}},
    };
    CHECK_ALL(cases, "csv");
}

/* ---- Ambiguous text --------------------------------------------------------------------------------------------- */

/* A first column holds labels if no cell in any row is a number or could be meant as one. */
TEST(takes_labels_where_no_cell_is_a_number)
{
    static const text_case cases[] = {
        {"a,b\n,1\nx,2\nNA,3\n", "int64 3x1 (a) | : 1 | x: 2 | NA: 3", {{0}}},
        {"a,b\n,1\n4,2\n", "int64 2x2 | 0 1 | 4 2", {{'i', "0"}}},
        {"a,b\n-,1\n?,2\n", "int64 2x2 | 0 1 | 0 2", {{'i', "0"}}},
        {"a,b\n-,2\n3,4\n5,6\n", "int64 3x2 | 0 2 | 3 4 | 5 6", {{'i', "0"}}},
        {"a,b\nx,2\n3,4\n", "int64 2x1 (a) | x: 2 | 3: 4", {{'L', "1"}}},
        {"a,b\nx,2\n$5,4\n", "int64 2x1 (a) | x: 2 | $5: 4", {{'L', "a"}}},
        {"a,b\nx,2\n3,4\n", "int64 2x1 | 2 | 4", {{'k', "1"}}},
        {"d,b\n2020-01-31,1\n2020-02,2\n", "int64 2x1 (d) | 2020-01-31: 1 | 2020-02: 2", {{0}}},
        {"d,b\n2020/1/31,1\n31.12.2020,2\n12:30,3\n", "int64 3x1 (d) | 2020/1/31: 1 | 31.12.2020: 2 | 12:30: 3", {{0}}},
        {"d,b\n31-Jan-2020,1\n2020-01-31T12:30:00.5Z,2\n",
         "int64 2x1 (d) | 31-Jan-2020: 1 | 2020-01-31T12:30:00.5Z: 2",
         {{0}}},
        {"\xc2\xb0"
         "C,\xc2\xb5m\n1,2\n",
         "int64 1x2 | 1 2",
         {{0}}},
        {"\xe2\x84\x83,%,\xe2\x82\xac,\xc2\xb5g/m3\n1,2,3,4\n", "int64 1x4 | 1 2 3 4", {{0}}},
        {"d,b\n\xb0"
         "C,1\n\xe0\xa4\xa6,2\n\xe0\xb8\x81,3\n",
         "int64 3x1 (d) | \xb0"
         "C: 1 | \xe0\xa4\xa6: 2 | \xe0\xb8\x81: 3",
         {{0}}},
        {"d,b\nrow-1,1\n(Intercept),2\n\xc3\xa9t\xc3\xa9,3\n\xe9,4\n",
         "int64 4x1 (d) | row-1: 1 | (Intercept): 2 | \xc3\xa9t\xc3\xa9: 3 | \xe9: 4",
         {{0}}},
    };
    static const text_case refused[] = {
        {"a,b\nx,2\n3,4\n",
         "line 2, column 1 (a): 'x' is not a number, but line 3 has '3' there; --labels 1 takes the column as labels, "
         "--skip 1 leaves the column out",
         {{0}}},
        {"a,b\n,1\nx,2\ny,3\nnan,4\n",
         "line 3, column 1 (a): 'x' is not a number, but line 5 has 'nan' there; --labels 1 takes the column as "
         "labels, "
         "--skip 1 leaves the column out",
         {{0}}},
        {"a,,c\n1,2,3\n",
         "line 1, column 2: the cell is missing; --missing gives the value to use instead, as in --missing nan, "
         "--header "
         "yes "
         "takes this row as names",
         {{0}}},
        {"mon,NA\ntue,2\n",
         "line 1, column 2: the cell is missing ('NA'); --missing gives the value to use instead, as in --missing nan, "
         "--header yes takes this row as names",
         {{0}}},
        {"a,b\n3,4\nx,2\n",
         "line 3, column 1 (a): 'x' is not a number; --labels 1 takes the column as labels, --skip 1 leaves the column "
         "out",
         {{0}}},
        {"a,b\n-,1\n3,2\n",
         "line 2, column 1 (a): the cell is missing ('-'); --missing gives the value to use instead, as in --missing "
         "nan",
         {{0}}},
        {"a,b\ntotal,1\n$5,2\n",
         "line 3, column 1 (a): '$5' is neither a number nor a label; --labels 1 takes the column as labels, --skip 1 "
         "leaves "
         "the column out",
         {{0}}},
        {"mon,1\n5,2\n",
         "line 1, column 1: 'mon' is not a number, but line 2 has '5' there; --labels 1 takes the column as labels, "
         "--skip "
         "1 leaves the column out, --header yes takes this row as names",
         {{0}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

/* With --missing all of these are missing values; without it the first one is refused, whatever else is in its column.
 */
TEST(knows_missing_cells_and_damaged_numbers)
{
    static const char *const missing[] = {"",     "NA",   "N/A",  "n/a", "#N/A", "<NA>", "NULL",
                                          "null", "None", "none", "?",   ".",    "-",    "\\N"};
    static const char *const damaged[] = {"$5",
                                          "5%",
                                          "1_000",
                                          "\"1,234\"",
                                          "1.0D+02",
                                          "5kg",
                                          "3rd",
                                          "#7",
                                          "1/2",
                                          "1 000",
                                          "(5)",
                                          "5-",
                                          "1.5-103",
                                          "1.2e",
                                          "#DIV/0!",
                                          "\xe2\x82\xac"
                                          "5",
                                          "\xa3"
                                          "5",
                                          "1'000",
                                          "1.234.567",
                                          "\xef\xbc\x95",
                                          "\xd9\xa5",
                                          "\xdb\xb5",
                                          "\xe0\xa5\xa7",
                                          "\xe0\xb5\xaf",
                                          "\xe0\xb9\x95",
                                          "\xe2\x82\xac\xe0\xb9\x95",
                                          "\xc2\xbd",
                                          "\xbd",
                                          "\xc2\xb2",
                                          "\xe2\x88\x9e",
                                          "\xe2\x91\xa0",
                                          "\xc2\xb0"
                                          "5",
                                          "2020-001",
                                          "+-5"};
    char text[128];
    char expected[256];
    for (size_t i = 0; i < COUNT_OF(missing); i++) {
        for (int column = 1; column <= 2; column++) {
            (void)snprintf(text, sizeof text, column == 1 ? "a,b\n%s,2\n3,4\n" : "a,b\n2,%s\n3,4\n", missing[i]);
            check_text(
                "csv",
                &(text_case){text, column == 1 ? "int64 2x2 | -7 2 | 3 4" : "int64 2x2 | 2 -7 | 3 4", {{'i', "-7"}}},
                __LINE__);
            const bool shown = missing[i][0] != '\0';
            (void)snprintf(expected, sizeof expected,
                           "line 2, column %d (%c): the cell is missing%s%s%s; --missing gives the value to use "
                           "instead, as in --missing nan",
                           column, "ab"[column - 1], shown ? " ('" : "", missing[i], shown ? "')" : "");
            check_refused("csv", text, strlen(text), &(text_case){text, expected, {{0}}}, __LINE__);
        }
    }
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        for (int rows = 1; rows <= 2; rows++) { /* other cells may be damaged too */
            (void)snprintf(text, sizeof text, "a,b\n%s,2\n%s,4\n", damaged[i], rows == 1 ? damaged[i] : "3");
            char cell[32];
            (void)snprintf(cell, sizeof cell, "%s", damaged[i] + (damaged[i][0] == '"'));
            cell[strcspn(cell, "\"")] = '\0';
            (void)snprintf(
                expected, sizeof expected,
                "line 2, column 1 (a): '%s' is not a number%s; --labels 1 takes the column as labels, --skip 1 "
                "leaves the column out",
                cell, cell[0] == '#' ? "; --comment '#' skips such lines" : "");
            if (cell[0] == '#')
                *strrchr(expected, ';') = ',';
            check_refused("csv", text, strlen(text), &(text_case){text, expected, {{'i', "0"}}}, __LINE__);
        }
    }
}

/* pandas leaves the first column's name empty, R even leaves out its separator, and rowpool calls it row. */
TEST(takes_first_columns_without_a_name_as_labels)
{
    static const text_case cases[] = {
        {",a,b\n0,1,2\n1,3,4\n", "int64 2x2 (label) | 0: 1 2 | 1: 3 4", {{0}}},
        {"\"\",\"a\",\"b\"\n\"1\",1,2\n\"2\",3,4\n", "int64 2x2 (label) | 1: 1 2 | 2: 3 4", {{0}}},
        {"a,b\n5,1,2\n$6,3,4\n",
         "int64 2x2 <the header has one name fewer than the rows have cells: column 1 is unnamed> (label) | 5: 1 2 | "
         "$6: 3 "
         "4",
         {{0}}},
        {"a,b\n5,1,2\n",
         "int64 1x2 <the header has one name fewer than the rows have cells: column 1 is unnamed> (label) | 5: 1 2",
         {{'L', "1"}}},
        {",a,b\n0,1,2\n", "int64 1x3 | 0 1 2", {{'L', "none"}}},
        {",a,b\n0,1,2\n", "int64 1x2 | 1 2", {{'k', "1"}}},
        {",0,1\n0,5,6\n1,7,8\n",
         "int64 2x2 <the first row is taken as names; --header no takes it as data> (label) | 0: 5 6 | 1: 7 8",
         {{0}}},
        {",0\n0,5\n",
         "int64 1x1 <the first row is taken as names; --header no takes it as data> (label) | 0: 5",
         {{0}}},
        {",1990,2000,2010\nFrance,1,2,3\n",
         "int64 1x3 <the first row is taken as names; --header no takes it as data> (label) | France: 1 2 3",
         {{0}}},
        {",2020,5\n1,5,2\n", "int64 2x3 | -1 2020 5 | 1 5 2", {{'i', "-1"}}},
        {",0\n0,5\n", "int64 2x2 | -1 0 | 0 5", {{'H', "no"}, {'i', "-1"}}},
        {",a\n1,2\n3\n", "int64 2x1 ragged (label) | 1: 2 | 3:", {{'g', NULL}}},
        {"row,count\n0,2\n1,3\n",
         "int64 2x1 <column 1 (row) holds row numbers and is taken as labels; --labels none takes it as numbers> (row) "
         "| "
         "0: 2 | 1: 3",
         {{0}}},
        {"row,day,count\n0,mon,2\n",
         "int64 1x1 <column 2 (day) holds words and is left out; column 1 (row) holds row numbers and is taken as "
         "labels; "
         "--labels none takes it as numbers> (row) | 0: 2",
         {{0}}},
        {"row,count\n0,2\n1,3\n", "int64 2x2 | 0 2 | 1 3", {{'L', "none"}}},
        {"row,col\n0,2\n0,3\n", "int64 2x2 | 0 2 | 0 3", {{0}}},
        {"row,col\n1,2\n2,3\n", "int64 2x2 | 1 2 | 2 3", {{0}}},
    };
    static const text_case refused[] = {
        {"row,count\n0,2\n1,3\n7,4\n",
         "line 4, column 1 (row): '7' is not the row number 2, and those above are row numbers; --labels 1 takes the "
         "column as labels, --labels none as numbers",
         {{0}}},
        {"a,b\n5,1,2\n6,3\n", "line 3 has 2 cells where the first row has 3; --ragged takes rows of any length", {{0}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

TEST(keeps_empty_lines_where_they_are)
{
    static const text_case cases[] = {
        {"a\n1\n\n3\n", "float64 3x1 | 1 | nan | 3", {{'i', "nan"}}},
        {"a\n\n\n3\n\n\n", "int64 3x1 | 0 | 0 | 3", {{'i', "0"}}},
        {"\n1\n \n3\n", "int64 4x1 | 0 | 1 | 0 | 3", {{'i', "0"}}},
        {"\n\na\n1\n", "int64 1x1 | 1", {{0}}},
        {"1\n\"\"\n", "int64 2x1 | 1 | 0", {{'i', "0"}}},
        {"1,2\n\n3\n\r\n\r\n", "int64 3x2 ragged | 1 2 | | 3", {{'g', NULL}}},
        {"a,b\n\r\nx,2\r\n\r\ny,3\r\n", "int64 4x1 ragged (a) | : | x: 2 | : | y: 3", {{'g', NULL}}},
    };
    static const text_case refused[] = {
        {"a\n1\n\n3\n",
         "line 3, column 1 (a): the cell is missing; --missing gives the value to use instead, as in --missing nan",
         {{0}}},
        {"1,2\n\n\n3,4\n", "line 2 is empty; --ragged takes it as a row without cells", {{'i', "0"}}},
        {"\n1,2\n", "line 1 is empty; --ragged takes it as a row without cells", {{0}}},
        {"a,b\n\n1,2\n", "line 2 is empty; --ragged takes it as a row without cells", {{0}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

TEST(skips_comments)
{
    static const text_case cases[] = {
        {"# run, 2020\n1,2\n", "int64 1x2 <line 1 begins with # and is skipped> | 1 2", {{0}}},
        {"# a\n\n #\na,b\n1,2\n", "int64 1x2 <line 1 begins with # and is skipped and 1 more like it> | 1 2", {{0}}},
        {"# \"a\n1,2\n", "int64 1x2 <line 1 begins with # and is skipped> | 1 2", {{0}}},
        {"id,b\n#a,2\nb,3\n #c,4\n",
         "int64 3x1 <line 2 begins with # and is taken as a row; --comment '#' skips such lines> (id) | #a: 2 | b: 3 | "
         "#c: 4",
         {{0}}},
        {"x,1\n\n# end,5\n",
         "int64 3x1 ragged <line 3 begins with # and is taken as a row; --comment '#' skips such lines> | x: 1 | : | # "
         "end: 5",
         {{'g', NULL}}},
        {"id,b\n#a,2\n", "int64 1x1 (id) | #a: 2", {{'C', "none"}}},
        {"id,b\n#a,2\n", "int64 1x1 (id) | #a: 2", {{'C', "%"}}},
        {"id,b\n\"#a\",2\n\"x\n#y\",3\n", "int64 2x1 (id) | #a: 2 | x\n#y: 3", {{0}}},
        {"\"#a\",1\n", "int64 1x1 | #a: 1", {{0}}},
        {"#a,b\n1,2\n", "int64 1x2 | 1 2", {{'C', "none"}}},
        {"#a,b\n#1,2\n3,4\n# end\n", "int64 1x2 | 3 4", {{'C', "#"}}},
        {"% a\n1,2\n%3,4\n", "int64 1x2 | 1 2", {{'C', "%"}}},
        {"% a\n#\n1\n", "int64 1x1 | 1", {{'C', "%"}, {'H', "yes"}}},
        {"1\n\n% a\n\n2\n", "int64 4x1 | 1 | 0 | 0 | 2", {{'C', "%"}, {'i', "0"}}},
    };
    static const text_case refused[] = {
        {"# a\n#b\n",
         "the file is empty: there is not even a header, only comment lines, which are skipped; --comment none takes "
         "them as rows",
         {{0}}},
        {"1\n# end\n",
         "line 2, column 1: '# end' is not a number; --delimiter ' ' separates cells there, --comment '#' skips such "
         "lines",
         {{0}}},
        {"1;2\n",
         "--comment and the delimiter are the same character, ';'; choose another with --delimiter",
         {{'D', ";"}, {'C', ";"}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

TEST(reads_decimal_commas)
{
    static const text_case cases[] = {
        {"a;b\n1,5;2\n-3,5e1;4\n", "float64 2x2 | 1.5 2 | -35 4", {{'D', ";"}, {'N', ","}}},
        {"31.12.2020;1,5\n", "float64 1x1 | 31.12.2020: 1.5", {{'D', ";"}, {'N', ","}}},
        {"sep=;\r\n1,5;.\r\n", "float64 1x2 | 1.5 0.5", {{'N', ","}, {'i', "0,5"}}},
        {"1.5;2\n", "float64 1x2 | 1.5 2", {{'D', ";"}, {'N', "."}}},
        {"1;Elm St\n2;5,7a\n3;5,6,7\n4;5 Elm St, 1\n",
         "int64 4x1 <column 2 holds words and is left out> | 1 | 2 | 3 | 4",
         {{'D', ";"}}},
        {"1,Elm St\n2,\"1,5\"\n", "int64 2x1 <column 2 holds words and is left out> | 1 | 2", {{0}}},
    };
    static const text_case refused[] = {
        {"a;b\n1,5;2\n3,5;4\n",
         "line 2, column 1 (a): '1,5' is not a number; --decimal , takes the comma as the decimal point, --labels 1 "
         "takes "
         "the column as labels, --skip 1 leaves the column out",
         {{'D', ";"}}},
        {"a;b\n1;2\n3;2,5\n",
         "line 3, column 2 (b): '2,5' is not a number; --decimal , takes the comma as the decimal point, --skip 2 "
         "leaves "
         "the column out",
         {{'D', ";"}}},
        {"a;b\n1;k.A.\n2;1,5\n",
         "line 2, column 2 (b): 'k.A.' is not a number, but line 3 has '1,5' there; --decimal , takes the comma as the "
         "decimal point, --skip 2 leaves the column out",
         {{'D', ";"}}},
        {"a;b\nk.A.;2\n1,5;3\n",
         "line 3, column 1 (a): '1,5' is neither a number nor a label; --decimal , takes the comma as the decimal "
         "point, "
         "--labels 1 takes the column as labels, --skip 1 leaves the column out",
         {{'D', ";"}}},
        {"1;1.5\n",
         "line 1, column 2: '1.5' is not a number; --skip 2 leaves the column out, --header yes takes this row as "
         "names",
         {{'D', ";"}, {'N', ","}}},
        {"1;1.234,5\n",
         "line 1, column 2: '1.234,5' is not a number; --skip 2 leaves the column out, --header yes takes this row as "
         "names",
         {{'D', ";"}, {'N', ","}}},
        {"a;b\n1,5;2\n", "line 2 has 2 cells where the first row has 1; --delimiter ';' separates cells there", {{0}}},
        {"1,2\n",
         "--decimal and the delimiter are the same character, ','; choose another with --delimiter",
         {{'N', ","}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

/* 2^53 is the largest integer with no gaps below it. */
TEST(warns_of_integers_that_are_rounded)
{
    static const text_case cases[] = {
        {"9007199254740993\n0.5\n",
         "float64 2x1 <line 1, column 1: 9007199254740993 is rounded: float64 cannot represent it; --type int64 keeps "
         "integers as they are> | 9007199254740992 | 0.5",
         {{0}}},
        {"a,id\n0.5,1\n1,9007199254740992\n2,1234567890123456789\n3,1234567890123456787\n",
         "float64 4x2 <line 4, column 2 (id): 1234567890123456789 is rounded: float64 cannot represent it; --type "
         "int64 "
         "keeps "
         "integers as they are> | 0.5 1 | 1 9007199254740992 | 2 1.2345678901234568e+18 | 3 1.2345678901234568e+18",
         {{0}}},
        {"1234567890123456789,\n",
         "float64 1x2 <line 1, column 1: 1234567890123456789 is rounded: float64 cannot represent it; --type int64 "
         "keeps "
         "integers as they are> | 1.2345678901234568e+18 nan",
         {{'i', "nan"}}},
        {"9223372036854775807,0.5\n",
         "float64 1x2 <line 1, column 1: 9223372036854775807 is rounded: float64 cannot represent it; --type int64 "
         "keeps "
         "integers as they are> | 9.223372036854776e+18 0.5",
         {{0}}},
        {"1234567890123456789,\n", "int64 1x2 | 1234567890123456789 -1", {{'T', "int64"}, {'i', "-1"}}},
        {"1234567890123456789,\n", "int64 1x2 | 1234567890123456789 -1", {{'i', "-1"}}},
        {"9007199254740992,-9223372036854775808,0.5\n",
         "float64 1x3 | 9007199254740992 -9.223372036854776e+18 0.5",
         {{0}}},
        {"a,b\n9007199254740992,0.1\n-9007199254740993,0x20000000000001\n",
         "float64 2x2 <line 3, column 1 (a): -9007199254740993 is rounded: float64 cannot represent it; --type int64 "
         "keeps "
         "integers as they are> | 9007199254740992 0.1 | -9007199254740992 9007199254740992",
         {{'T', "float64"}}},
        {"18446744073709551617\n",
         "float64 1x1 <line 1, column 1: 18446744073709551617 is rounded: float64 cannot represent it; --type int64 "
         "keeps "
         "integers as they are> | 1.8446744073709552e+19",
         {{'T', "float64"}}},
        {"16777216,16777217,16777219\n",
         "float32 1x3 <line 1, column 2: 16777217 is rounded: float32 cannot represent it; --type float64 holds "
         "integers "
         "up to 2^53> | 16777216 16777216 16777220",
         {{'T', "float32"}}},
        {"0x800,65519\n",
         "float16 1x2 <line 1, column 2: 65519 is rounded: float16 cannot represent it; --type float64 holds integers "
         "up "
         "to 2^53> | 2048 65500",
         {{'T', "float16"}}},
        {"1,\n2,NA\n",
         "float32 2x2 <line 1, column 2: --missing 16777217 is rounded: float32 cannot represent it; --type float64 "
         "holds "
         "integers up to 2^53> | 1 16777216 | 2 16777216",
         {{'T', "float32"}, {'i', "16777217"}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(warns_of_numbers_that_become_0)
{
    static const text_case cases[] = {
        {"1,1e-400\n-1e-401,2\n",
         "float64 2x2 <line 1, column 2: 1e-400 becomes 0: float64 cannot represent it> | 1 0 | -0 2",
         {{0}}},
        {"0x.00p9,0x.08p-2000\n",
         "float64 1x2 <line 1, column 2: 0x.08p-2000 becomes 0: float64 cannot represent it> | 0 0",
         {{'T', "float64"}}},
        {"a\n0\n1e-50\n",
         "float32 2x1 <line 3, column 1 (a): 1e-50 becomes 0: float32 cannot represent it; --type float64 holds "
         "smaller "
         "numbers> | 0 | 0",
         {{'T', "float32"}}},
        {"2e-8,65519\n",
         "float16 1x2 <line 1, column 2: 65519 is rounded: float16 cannot represent it; --type float64 holds integers "
         "up "
         "to 2^53; line 1, column 1: 2e-8 becomes 0: float16 cannot represent it; --type float64 holds smaller "
         "numbers> | "
         "0 65500",
         {{'T', "float16"}}},
        {"1,\n",
         "float64 1x2 <line 1, column 2: --missing 1e-400 becomes 0: float64 cannot represent it> | 1 0",
         {{'i', "1e-400"}}},
        {"1,2\n", "int64 1x2 | 1 2", {{'i', "1e-400"}}},
    };
    CHECK_ALL(cases, "csv");
}

TEST(distinguishes_columns_of_the_same_name)
{
    static const text_case cases[] = {
        {"a,b,a\n1,2,3\n", "int64 1x1 | 2", {{'k', "a"}}},
        {"a,b,a\n1,2,3\n", "int64 1x2 | 1 2", {{'k', "3"}}},
        {"a,b,a\n1,2,3\n", "int64 1x2 (a) | 3: 1 2", {{'L', "3"}}},
        {"id,0,1\n5,6,7\n",
         "int64 1x2 <--skip 1 takes column 3, which has that name; --skip 01 takes column 1> | 5 6",
         {{'k', "1"}, {'H', "yes"}}},
        {"id,0,1\n5,6,7\n",
         "int64 1x2 <--labels 1 takes column 3, which has that name; --labels 01 takes column 1> (1) | 7: 5 6",
         {{'L', "1"}, {'H', "yes"}}},
        {"id,0,1\n5,6,7\n", "int64 1x2 (id) | 5: 6 7", {{'L', "01"}, {'H', "yes"}}},
        {"1,2010\n5,6\n", "int64 1x1 | 6", {{'k', "1"}, {'H', "yes"}}},
        {"id,2010\n5,6\n", "int64 1x1 | 5", {{'k', "2010"}, {'H', "yes"}}},
        {"2,1,1\n5,6,7\n",
         "int64 1x1 <--skip 1 takes column 2, which has that name; --skip 01 takes column 1> | 5",
         {{'k', "1"}, {'H', "yes"}}},
    };
    static const text_case refused[] = {
        {"b,a,a\n1,2,3\n",
         "--labels: 2 columns are named 'a'; give the column's number (2 is the first)",
         {{'L', "a"}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

TEST(reads_text_between_blanks)
{
    static const text_case cases[] = {
        {"  1   2\n 10  20  \n", "int64 2x2 | 1 2 | 10 20", {{0}}},
        {"a\tb\n1\t2\n", "int64 1x2 | 1 2", {{0}}},
        {"name x\n\"two words\" 1\n\"a\"\"b\" 2\n", "int64 2x1 (name) | two words: 1 | a\"b: 2", {{0}}},
        {"1 2\n\n3\n", "int64 3x2 ragged | 1 2 | | 3", {{'g', NULL}}},
        {"\t1\t\t2\t\n", "int64 1x2 | 1 2", {{'D', "space"}}},
        {"1,5 2,5\n", "float64 1x2 | 1.5 2.5", {{'N', ","}}},
        {"1,2\n", "int64 1x2 | 1 2", {{'D', ","}}},
    };
    static const text_case refused[] = {
        {"1 2\n3\t\t4\n",
         "line 2, column 2: several tabs in a row, or a tab at an end of the line: --format tsv takes them as empty "
         "cells, --delimiter space takes all blanks in a row as one separator",
         {{0}}},
        {"1 2\n3 4\t\n",
         "line 2, column 3: several tabs in a row, or a tab at an end of the line: --format tsv takes them as empty "
         "cells, --delimiter space takes all blanks in a row as one separator",
         {{0}}},
        {"\t1 2\n",
         "line 1, column 1: several tabs in a row, or a tab at an end of the line: --format tsv takes them as empty "
         "cells, --delimiter space takes all blanks in a row as one separator",
         {{0}}},
        {"1,2\n3,4\n",
         "line 1, column 1: '1,2' is not a number; --decimal , takes the comma as the decimal point, --delimiter ',' "
         "separates cells there, --header yes takes this row as names",
         {{0}}},
        {"\"1\"2 3\n",
         "line 1, column 1: stray quote: within a quoted cell a quote is written twice; --quote none takes quotes as "
         "ordinary characters",
         {{0}}},
    };
    CHECK_ALL(cases, "txt");
    CHECK_ALL_REFUSED(refused, "txt");
}

TEST(interprets_quotes)
{
    static const text_case tabs[] = {
        {"5\" disk\t1\n\"x\ty\"\t2\n", "int64 2x1 | 5\" disk: 1 | x\ty: 2", {{'L', "1"}}},
        {"\"x\t1\n\"\"\t2\n", "int64 2x1 | \"x: 1 | \"\": 2", {{'Q', "none"}}},
    };
    /* Programs that do not quote tsv write these; with others a quoted cell may contain line ends. */
    static const text_case lines[] = {
        {"a\tb\nx\t1\n\"y\t2\nz\"\t3\n\"p\nq\"\t4\n",
         "int64 3x1 <line 3, column 1 (a): the quoted cell spans several lines; --quote none takes quotes as ordinary "
         "characters> "
         "(a) | x: 1 | y\t2\nz: 3 | p\nq: 4",
         {{0}}},
        {"1\t\"x\r\n\"\n",
         "int64 1x1 <column 2 holds words and is left out; line 1, column 2: the quoted cell spans several lines; "
         "--quote none takes quotes as ordinary characters> | 1",
         {{0}}},
    };
    static const text_case commas[] = {
        {"\"x\ny\",1\n", "int64 1x1 | x\ny: 1", {{0}}},
        {"a\"b,1\n\"\"\"x\",2\n", "int64 2x1 | a\"b: 1 | \"\"\"x\": 2", {{'Q', "none"}}},
    };
    static const text_case refused[] = {
        {"\"x\" y\t1\n",
         "line 1, column 1: stray quote: within a quoted cell a quote is written twice; --quote none takes quotes as "
         "ordinary characters",
         {{0}}},
    };
    CHECK_ALL(tabs, "tsv");
    CHECK_ALL(lines, "tsv");
    CHECK_ALL(commas, "csv");
    CHECK_ALL_REFUSED(refused, "tsv");
}

TEST(reads_other_ways_to_write_numbers)
{
    static const text_case cases[] = {
        {"True,False\ntrue,FALSE\n", "int64 2x2 | 1 0 | 1 0", {{0}}},
        {"a,b\nTRUE,2\n", "int8 1x2 | 1 2", {{'T', "int8"}}},
        {"\xe2\x88\x92"
         "5,1e\xe2\x88\x92"
         "1\n",
         "float64 1x2 | -5 0.1",
         {{0}}},
        {"\xc2\xa0"
         "5\xe2\x80\xaf\xc2\xa0,1\n",
         "int64 1x2 | 5 1",
         {{0}}},
        {"1,\xc2\xa0\n2,\xe2\x88\x92\n", "int64 2x2 | 1 0 | 2 0", {{'i', "0"}}},
        {"sep=;\n1;2\n", "int64 1x2 | 1 2", {{0}}},
        {"\xef\xbb\xbf"
         "sep=;\r\na;b\r\n1;2\r\n",
         "int64 1x2 | 1 2",
         {{0}}},
        {"\"sep=\t\"\r\n1\t2\r\n", "int64 1x2 | 1 2", {{0}}},
        {"sep=;\n1|2\n", "int64 1x2 | 1 2", {{'D', "|"}}},
        {"sep=x\n1\n2\n",
         "int64 2x1 <the first line, sep=x, sets the separator and is not a row; after an empty line it would be one> "
         "| "
         "1 "
         "| 2",
         {{0}}},
        {"sep=x\n1\n",
         "int64 1x1 <the first line, sep=x, sets the separator and is not a row; after an empty line it would be one> "
         "| "
         "1",
         {{'D', ","}}},
        {"\nsep=x\n1\n", "int64 1x1 | 1", {{0}}},
        {"sep=,x\n1,2\n", "int64 1x1 | 1", {{'H', "yes"}, {'k', "x"}}},
    };
    static const text_case refused[] = {
        {"1,1\xe2\x80\xaf"
         "000\n",
         "line 1, column 2: '1\xe2\x80\xaf"
         "000' is not a number; --skip 2 leaves the column out, --header yes takes this row "
         "as names",
         {{0}}},
        {"sep=x",
         "the file is empty: there is not even a header, only a first line, sep=x, that sets the separator",
         {{0}}},
        {"sep=;\n1;2\n3\n", "line 3 has 1 cell where the first row has 2; --ragged takes rows of any length", {{0}}},
    };
    CHECK_ALL(cases, "csv");
    CHECK_ALL_REFUSED(refused, "csv");
}

/* In the forms that their manuals document: pandas, R, NumPy, PostgreSQL, LibreOffice, Excel. */
TEST(reads_tables_of_other_programs)
{
    static const struct {
        const char *format;
        text_case c;
    } files[] = {
        /* DataFrame.to_csv() */
        {"csv",
         {",x,y,ok\n0,1.5,,True\n1,2.0,3,False\n", "float64 2x3 (label) | 0: 1.5 nan 1 | 1: 2 3 0", {{'i', "nan"}}}},
        /* DataFrame(array).to_csv() of an array without names */
        {"csv",
         {",0,1\n0,5,6\n1,7,8\n",
          "int64 2x2 <the first row is taken as names; --header no takes it as data> (label) | 0: 5 6 | 1: 7 8",
          {{0}}}},
        /* write.csv(d) */
        {"csv",
         {"\"\",\"name\",\"x\",\"ok\"\n\"1\",\"a, b\",1.5,TRUE\n\"2\",\"say \"\"c\"\"\",NA,FALSE\n",
          "float64 2x2 <column 2 (name) holds words and is left out> (label) | 1: 1.5 1 | 2: nan 0",
          {{'i', "nan"}}}},
        /* write.table(d) */
        {"txt",
         {"\"x\" \"y\"\n\"Mazda RX4\" 21 6\n\"Datsun 710\" 22.8 4\n",
          "float64 2x2 <the header has one name fewer than the rows have cells: column 1 is unnamed> (label) | Mazda "
          "RX4: "
          "21 6 "
          "| Datsun 710: 22.8 4",
          {{0}}}},
        /* savetxt(path, a) */
        {"txt",
         {"1.000000000000000000e+00 2.500000000000000000e+00\nnan -1.000000000000000056e-01\n",
          "float64 2x2 | 1 2.5 | nan -0.1",
          {{0}}}},
        /* savetxt(path, a, fmt="%5d", delimiter=",", header="run, 2020\na,b") */
        {"csv",
         {"# run, 2020\n# a,b\n    1,    2\n   30,    4\n",
          "int64 2x2 <line 1 begins with # and is skipped and 1 more like it> | 1 2 | 30 4",
          {{0}}}},
        /* COPY t TO STDOUT */
        {"tsv",
         {"alpha\t1\t\\N\nsay \"b\"\t2\t2.5\n", "float64 2x2 | alpha: 1 nan | say \"b\": 2 2.5", {{'i', "nan"}}}},
        /* COPY t TO STDOUT (FORMAT csv, HEADER) */
        {"csv",
         {"name,x,day\nalpha,1,2020-01-31\n\"be,ta\",,2020-02-01\n",
          "int64 2x1 <column 3 (day) holds words and is left out> (name) | alpha: 1 | be,ta: -1",
          {{'i', "-1"}}}},
        /* LibreOffice, German (Germany), semicolons between fields */
        {"csv",
         {"Tag;Wert;Anteil\n01.02.2020;1,5;-0,25\n02.02.2020;1000,5;3\n",
          "float64 2x2 (Tag) | 01.02.2020: 1.5 -0.25 | 02.02.2020: 1000.5 3",
          {{'D', ";"}, {'N', ","}}}},
        /* Excel with a semicolon as list separator */
        {"csv", {"\xef\xbb\xbfsep=;\r\nName;\"A; B\"\r\nx;1\r\ny;2\r\n", "int64 2x1 (Name) | x: 1 | y: 2", {{0}}}},
    };
    static const struct {
        const char *format;
        text_case c;
    } refused[] = {
        /* LibreOffice, with no sign of the decimal comma */
        {"csv",
         {"Wert;Anteil\n1,5;2\n3,5;4\n",
          "line 2, column 1 (Wert): '1,5' is not a number; --decimal , takes the comma as the decimal point, --labels "
          "1 "
          "takes "
          "the column as labels, --skip 1 leaves the column out",
          {{'D', ";"}}}},
        /* numbers from R with thousands separators, format(x, big.mark = ",") */
        {"csv",
         {"\"\",\"x\"\n\"1\",\"1,234\"\n",
          "line 2, column 2 (x): '1,234' is not a number; --skip 2 leaves the column out",
          {{0}}}},
    };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        check_text(files[i].format, &files[i].c, __LINE__);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        check_refused(refused[i].format, refused[i].c.text, strlen(refused[i].c.text), &refused[i].c, __LINE__);
}

TEST(refuses_bad_text_with_its_place)
{
    static const text_case cases[] = {
        {"", "the file is empty: there is not even a header", {{0}}},
        {"\n\r\n\n", "the file is empty: there is not even a header", {{0}}},
        {"\xef\xbb\xbf", "the file is empty: there is not even a header", {{0}}},
        {"a\nb\n",
         "there is no column of numbers: its only column holds labels; --delimiter says what separates cells",
         {{0}}},
        {"1;2\n3;4\n",
         "line 1, column 1: '1;2' is not a number; --delimiter ';' separates cells there, --header yes takes this row "
         "as "
         "names",
         {{0}}},
        {"Berlin;20,5\nMainz;18,3\n",
         "line 1, column 1: 'Berlin;20' may be several cells, and the comma after it a decimal comma; --delimiter ';' "
         "separates cells there, --labels 1 takes the column as labels, --skip 1 leaves the column out, --header yes "
         "takes this row as names",
         {{0}}},
        {"2020-01-01\t1,5\n2020-01-02\t2,5\n",
         "line 1, column 1: '2020-01-01\t1' may be several cells, and the comma after it a decimal comma; --format tsv "
         "separates cells at tabs, --labels 1 takes the column as labels, --skip 1 leaves the column out, "
         "--header yes takes this row as names",
         {{0}}},
        {"Stadt;Temp, max\nBerlin;20,5\n",
         "line 2, column 1 (Stadt;Temp): 'Berlin;20' may be several cells, and the comma after it a decimal comma; "
         "--delimiter ';' separates cells there, --labels 1 takes the column as labels, --skip 1 leaves the column out",
         {{0}}},
        {"Zeit|Wert\n12:00|1,5\n",
         "there is no column of numbers: its only column holds labels; --delimiter says what separates cells",
         {{0}}},
        {"x\n1,5\n2,5\n", "line 2 has 2 cells where the first row has 1; --delimiter says what separates cells", {{0}}},
        {"a,b\n1,2,\n3,4,\n", "line 2 has 3 cells where the first row has 2; --ragged takes rows of any length", {{0}}},
        {"a,b\nx,1\n", "there is no column of numbers: all are labels, words or skipped", {{'k', "b"}}},
        {"1,2\n3\n", "line 2 has 1 cell where the first row has 2; --ragged takes rows of any length", {{0}}},
        {"a\n\"1\"\n2\n3\n4\n2,3\n",
         "line 6 has 2 cells where the first row has 1; --delimiter says what separates cells",
         {{0}}},
        {"1,2\n3,x\n", "line 2, column 2: 'x' is not a number; --skip 2 leaves the column out", {{0}}},
        {"a,b\r\n1,2\r\n3,x\r\n", "line 3, column 2 (b): 'x' is not a number; --skip 2 leaves the column out", {{0}}},
        {"a,b\r1,2\r3,x\r", "line 3, column 2 (b): 'x' is not a number; --skip 2 leaves the column out", {{0}}},
        {"\"p\nq\",1\n\"r\ns\",y\n", "line 3, column 2: 'y' is not a number; --skip 2 leaves the column out", {{0}}},
        {"a,b\nx,y\n", "there is no column of numbers: all are labels, words or skipped", {{0}}},
        {"a,b\n1,x\n2,3\n",
         "line 2, column 2 (b): 'x' is not a number, but line 3 has '3' there; --skip 2 leaves the column out",
         {{0}}},
        {"1,x\n2,nan\n",
         "line 1, column 2: 'x' is not a number, but line 2 has 'nan' there; --skip 2 leaves the column out, --header "
         "yes "
         "takes this row as names",
         {{0}}},
        {"a,b\n1,2/3\n", "line 2, column 2 (b): '2/3' is not a number; --skip 2 leaves the column out", {{0}}},
        {"1,2 3\n",
         "line 1, column 2: '2 3' is not a number; --skip 2 leaves the column out, --header yes takes this row as "
         "names",
         {{0}}},
        {"1,\"2,5\"\n2,3\n",
         "line 1, column 2: '2,5' is not a number; --skip 2 leaves the column out, --header yes takes this row as "
         "names",
         {{0}}},
        {"1\n0x\n", "line 2, column 1: '0x' is not a number", {{0}}},
        {"1\nnan(0x7)\n", "line 2, column 1: 'nan(0x7)' is not a number", {{0}}},
        {"1\n-NaN()\n", "line 2, column 1: '-NaN()' is not float32", {{'T', "float32"}}},
        {"0x1F\n0x1.8p3\n", "line 2, column 1: '0x1.8p3' is not int64", {{'T', "int64"}}},
        {"1\n\" 2\"\n", "line 2, column 1: ' 2' is not a number", {{0}}},
        {"1,2\n3,\n",
         "line 2, column 2: the cell is missing; --missing gives the value to use instead, as in --missing nan",
         {{0}}},
        {"1,,2\n",
         "line 1, column 2: the cell is missing; --missing gives the value to use instead, as in --missing nan",
         {{'g', NULL}}},
        {"1e400\n", "line 1, column 1: '1e400' is beyond float64; write inf or -inf for infinity", {{0}}},
        {"1\n-1e400\n", "line 2, column 1: '-1e400' is beyond float64; write inf or -inf for infinity", {{0}}},
        {"9223372036854775808\n",
         "line 1, column 1: '9223372036854775808' is beyond int64; --type uint64 or float64 may hold it",
         {{0}}},
        {"0.5\n-9223372036854775809\n",
         "line 2, column 1: '-9223372036854775809' is beyond int64; --type uint64 or float64 may hold it",
         {{0}}},
        {"128\n", "line 1, column 1: '128' is beyond int8", {{'T', "int8"}}},
        {"0\n-1\n", "line 2, column 1: '-1' is beyond uint8", {{'T', "uint8"}}},
        {"1\n1.5\n", "line 2, column 1: '1.5' is not int32", {{'T', "int32"}}},
        {"1\nnan\n", "line 2, column 1: 'nan' is not uint64", {{'T', "uint64"}}},
        {"65520\n", "line 1, column 1: '65520' is beyond float16", {{'T', "float16"}}},
        {"1e39\n", "line 1, column 1: '1e39' is beyond float32", {{'T', "float32"}}},
        {"1,2\n3,\"4\n",
         "line 2, column 2: the cell begins with a quote that is not closed; --quote none takes quotes as ordinary "
         "characters",
         {{0}}},
        {"1,2\n\"3,4\n5,6\n",
         "line 2, column 1: the cell begins with a quote that is not closed; --quote none takes quotes as ordinary "
         "characters",
         {{0}}},
        {"1,2\n3,4\"5\n",
         "line 2, column 2: stray quote: within a quoted cell a quote is written twice; --quote none takes quotes as "
         "ordinary characters",
         {{0}}},
        {"1,2\n\"3\"4,5\n",
         "line 2, column 1: stray quote: within a quoted cell a quote is written twice; --quote none takes quotes as "
         "ordinary characters",
         {{0}}},
        {"1,2\n", "--skip: there is no column '3'; there are 1 to 2 and no header", {{'k', "3"}}},
        {"1,2\n", "--skip: there is no column '0'; there are 1 to 2 and no header", {{'k', "1,0"}}},
        {"1,2\n", "--skip: there is no column ''; there are 1 to 2 and no header", {{'k', "1,"}}},
        {"1,2\n",
         "--skip: there is no column '99999999999999999999999'; there are 1 to 2 and no header",
         {{'k', "99999999999999999999999"}}},
        {"a,b\n1,2\n", "--labels: there is no column 'c'; there are 1 to 2, and the names in the header", {{'L', "c"}}},
    };
    CHECK_ALL_REFUSED(cases, "csv");
}

TEST(refuses_bytes_that_are_not_text)
{
    static const char nul[] = "1,2\n3,4\0005\n";
    check_refused(
        "csv", nul, sizeof nul - 1,
        &(text_case){
            "NUL", "line 2, column 2: there is a NUL byte: the file is not text in UTF-8 or a similar encoding", {{0}}},
        __LINE__);
}

/* A name that ends in .csv proves nothing. */
TEST(recognises_files_that_are_not_text_tables)
{
    static const char UTF16[] = "the file is UTF-16 text; convert it with iconv -f UTF-16 -t UTF-8";
    static const char UTF32[] = "the file is UTF-32 text; convert it with iconv -f UTF-32 -t UTF-8";
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
        {"\x1f\x8b\x08\0\0", 5, "the file is compressed by gzip; give it a name that ends in .gz, or use gzip -dc"},
        {"PK\3\4\0", 5, "the file is a zip archive, as .xlsx and .npz files are; save a spreadsheet as CSV"},
        {"\xff\xfe\061\0,\0", 6, UTF16},
        {"\xfe\xff\0\061\0,", 6, UTF16},
        {"\xff\xfe\0\0\061\0\0\0", 8, UTF32},
        {"\0\0\xfe\xff\0\0\0\061", 8, UTF32},
        {"\xff\xfe", 2, UTF16},
    };
    static const char *const formats[] = {"csv", "tsv", "txt"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t k = 0; k < COUNT_OF(formats); k++)
            check_refused(formats[k], cases[i].bytes, cases[i].size, &(text_case){"signature", cases[i].message, {{0}}},
                          __LINE__);
    }
    check_text("csv", &(text_case){"PK,\xff\n\x1f,1\n", "int64 1x1 (PK) | \x1f: 1", {{0}}}, __LINE__);
}

/* A quote that is never closed would swallow the rest of the file. */
TEST(refuses_endless_cells)
{
    enum { SIZE = 3 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, '1', SIZE);
    memcpy(text, "4\n\"", 3);
    for (size_t i = 100; i < SIZE; i += 100)
        text[i] = '\n';
    check_refused(
        "csv", text, SIZE,
        &(text_case){"quote", "line 2, column 1: the cell is longer than 1048576 bytes: is a quote not closed?", {{0}}},
        __LINE__);
    free(text);
}

/* The file is read in blocks: line ends, quotes and byte-order marks are recognised wherever a block ends. */
TEST(reads_across_blocks)
{
    enum { BLOCK = 64 * 1024, ROWS = 4 };
    static const char tail[] = "5,\"6\"\r\n\r\n\"7\r\n8\",9\r\n10,x\r\n";
    for (size_t shift = 0; shift < sizeof tail + 2; shift++) {
        size_t size = BLOCK - shift;
        char *text = malloc(size + sizeof tail);
        assert_non_null(text);
        memset(text, ' ', size);
        memcpy(text, "x,1", 3);
        memcpy(text + size - 2, "\r\n", 2);
        memcpy(text + size, tail, sizeof tail);
        check_refused("csv", text, size + strlen(tail),
                      &(text_case){"pieces",
                                   "line 6, column 2: 'x' is not a number; --skip 2 leaves the column out",
                                   {{'g', NULL}, {'L', "1"}}},
                      __LINE__);
        const size_t good = size + strlen(tail) - strlen("10,x\r\n");
        const input_options options = options_of("csv", (const setting[MAX_SETTINGS]){{'g', NULL}, {'L', "1"}});
        input in;
        rowpool_error error;
        assert_ok(read_as(&in, text, good, &options, &error), error);
        char *found = describe(&in);
        assert_string_equal(found, "int64 4x1 ragged | x: 1 | 5: 6 | : | 7\r\n8: 9");
        assert_int_equal(input_rows(&in).count, ROWS);
        free(found);
        close_input(&in);
        free(text);
    }
}

/* Only the beginning of a file can have a byte-order mark; at the beginning of a later block it is part of a cell. */
TEST(keeps_byte_order_marks_after_the_beginning)
{
    enum { BLOCK = 64 * 1024 };
    static const char tail[] = "\xef\xbb\xbf"
                               "5\n";
    for (size_t blocks = 1; blocks <= 2; blocks++) {
        const size_t size = blocks * BLOCK;
        char *text = malloc(size + sizeof tail);
        assert_non_null(text);
        memset(text, ' ', size);
        memcpy(text, "1\n", 2);
        memcpy(text + size, tail, sizeof tail);
        check_refused("csv", text, size + strlen(tail),
                      &(text_case){"a mark",
                                   "line 2, column 1: '\xef\xbb\xbf"
                                   "5' is not a number",
                                   {{0}}},
                      __LINE__);
        free(text);
    }
}

/* More elements than fit in a block; integers that become doubles at the very end. */
TEST(reads_many_numbers)
{
    enum { ROWS = 100000, WIDTH = 3, LONGEST = 64 };
    char *text = malloc((size_t)ROWS * LONGEST);
    assert_non_null(text);
    size_t size = 0;
    for (int64_t row = 0; row < ROWS; row++)
        size += (size_t)sprintf(text + size, "%" PRId64 ",%" PRId64 ",%" PRId64 "\n", row, -row, row * row);
    for (int real = 0; real < 2; real++) {
        size += real ? (size_t)sprintf(text + size, "0.5,0,0\n") : 0;
        const input_options options = options_of("csv", NULL);
        input in;
        rowpool_error error;
        assert_ok(read_as(&in, text, size, &options, &error), error);
        const rowpool_rows rows = input_rows(&in);
        assert_int_equal(rows.dtype, real ? ROWPOOL_FLOAT64 : ROWPOOL_INT64);
        assert_int_equal(rows.count, ROWS + real);
        assert_int_equal(rows.width, WIDTH);
        for (int64_t row = 0; row < ROWS; row++) {
            const int64_t *integers = (const int64_t *)rows.data + WIDTH * row;
            const double *reals = (const double *)rows.data + WIDTH * row;
            assert_true(real ? reals[1] == (double)-row && reals[2] == (double)(row * row)
                             : integers[1] == -row && integers[2] == row * row);
        }
        close_input(&in);
    }
    free(text);
}

/* Every float16 is read back from its printed form; a value halfway between two becomes the even one. */
TEST(reads_every_half)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const double value = half_value((uint16_t)bits);
        char text[NUMBER_TEXT];
        format_real(text, value, ROWPOOL_FLOAT16);
        uint16_t found = 0;
        assert_int_equal(parse_element(&found, ROWPOOL_FLOAT16, text), PARSED);
        if (isnan(value))
            assert_true(isnan(half_value(found)));
        else
            assert_true(found == bits || (value == 0 && half_value(found) == 0));
        if ((bits & 0x7fff) >= 0x7bff)
            continue;
        (void)snprintf(text, sizeof text, "%a", (value + half_value((uint16_t)(bits + 1))) / 2);
        assert_int_equal(parse_element(&found, ROWPOOL_FLOAT16, text), PARSED);
        assert_int_equal(found, bits + (bits & 1));
    }
}

/* ---- Archives --------------------------------------------------------------------------------------------------- */

typedef struct {
    unsigned char bytes[8192];
    size_t size;
} file_bytes;

typedef struct {
    const char *name;
    bool compressed;
    const char *shape; /* of int32 */
    size_t elements;   /* 0, 1, 2 ... */
} member;

static const member TWO[] = {{"first.npy", false, "(2, 3)", 6}, {"second.npy", true, "(3, 2)", 6}};
static const member ONE_STORED[] = {{"arr_0.npy", false, "(2, 3)", 6}};
static const member ONE_COMPRESSED[] = {{"arr_0.npy", true, "(2, 3)", 6}};

static size_t make_npy(unsigned char *to, const member *m)
{
    char text[256];
    (void)snprintf(text, sizeof text, "{'descr': '<i4', 'fortran_order': False, 'shape': %s, }", m->shape);
    memcpy(to, "\x93NUMPY\1\0", 8);
    (void)sprintf((char *)to + 10, "%-117s\n", text);
    to[8] = 118;
    to[9] = 0;
    for (size_t i = 0; i < m->elements; i++)
        memcpy(to + 128 + 4 * i, &(int32_t){(int32_t)i}, 4);
    return 128 + 4 * m->elements;
}

static void add_member(zip_t *archive, unsigned char *bytes, const member *m)
{
    const size_t size = m->shape != NULL ? make_npy(bytes, m) : (size_t)sprintf((char *)bytes, "words");
    zip_source_t *source = zip_source_buffer(archive, bytes, size, 0);
    assert_non_null(source);
    const zip_int64_t index = zip_file_add(archive, m->name, source, ZIP_FL_ENC_UTF_8);
    assert_true(index >= 0);
    const zip_int32_t method = m->compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE;
    assert_int_equal(zip_set_file_compression(archive, (zip_uint64_t)index, method, 0), 0);
}

static file_bytes make_npz(const member *members, size_t count)
{
    enum { MAX_MEMBERS = 8, MEMBER_BYTES = 1024 };
    static unsigned char contents[MAX_MEMBERS][MEMBER_BYTES];
    char path[] = "/tmp/rowpool-test-input-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    int code;
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(archive);
    for (size_t i = 0; i < count; i++)
        add_member(archive, contents[i], &members[i]);
    assert_int_equal(zip_close(archive), 0);
    assert_int_equal(close(fd), 0);
    fd = open(path, O_RDONLY); /* the file was replaced */
    file_bytes file;
    file.size = (size_t)read(fd, file.bytes, sizeof file.bytes);
    assert_in_range(file.size, 1, sizeof file.bytes - 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    return file;
}

static void check_npz(const file_bytes *file, const char *wanted, const char *expected)
{
    const input_options options = options_of("npz",
                                             wanted != NULL ? (const setting[MAX_SETTINGS]){{'e', wanted}} : NULL);
    for (int piped = 0; piped < 2; piped++) {
        input in;
        rowpool_error error;
        rowpool_status status = (piped ? read_stream_as : read_as)(&in, file->bytes, file->size, &options, &error);
        char *found = status == ROWPOOL_OK ? describe(&in) : strdup(error.message);
        if (strcmp(found, expected) != 0)
            fail_msg("'%s' is '%s', not '%s'", wanted != NULL ? wanted : "", found, expected);
        free(found);
        close_input(&in);
    }
}

TEST(reads_members_of_archives)
{
    const file_bytes stored = make_npz(ONE_STORED, 1);
    const file_bytes compressed = make_npz(ONE_COMPRESSED, 1);
    const file_bytes two = make_npz(TWO, 2);
    check_npz(&stored, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&compressed, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&compressed, "arr_0", "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&two, "first", "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&two, "second.npy", "int32 3x2 | 0 1 | 2 3 | 4 5");
    static const member with_words[] = {{"notes.txt", false, NULL, 0}, {"a.npy", true, "(0, 3)", 0}};
    const file_bytes words = make_npz(with_words, 2);
    check_npz(&words, NULL, "int32 0x3");
}

TEST(refuses_missing_members)
{
    const file_bytes two = make_npz(TWO, 2);
    check_npz(&two, NULL, "the .npz file has 2 arrays; choose one with --member: first, second");
    check_npz(&two, "third", "the .npz file has no array 'third'; it has first, second");
    check_npz(&two, "", "the .npz file has no array ''; it has first, second");
    static const member words[] = {{"notes.txt", false, NULL, 0}};
    const file_bytes without = make_npz(words, 1);
    check_npz(&without, NULL, "the .npz file has no array");
    static const member both[] = {{"a.npy", false, "(1, 1)", 1}, {"b.npy", false, "(1, 1)", 1}};
    file_bytes unclear = make_npz(both, 2);
    for (char *name; (name = memmem(unclear.bytes, unclear.size, "b.npy", 5)) != NULL;)
        *name = 'a';
    check_npz(&unclear, "a.npy", "the .npz file has more than one array 'a.npy'; it has a, a");
    check_npz(&unclear, "a", "the .npz file has more than one array 'a'; it has a, a");
    check_npz(&(file_bytes){.size = 0}, NULL, "the file is empty; a .npz file was expected");
}

/* As in NumPy: a member is an array if its content begins as one, and an exact name takes precedence over one without
 * .npy. */
TEST(reads_members_of_any_name)
{
    static const member plain[] = {{"notes.txt", false, NULL, 0}, {"folder/a", true, "(2, 3)", 6}};
    static const member both[] = {
        {"a", false, "(1, 1)", 1}, {"a.npy", true, "(1, 2)", 2}, {"b.npy.npy", false, "(2, 1)", 2}};
    const file_bytes one = make_npz(plain, 2);
    const file_bytes several = make_npz(both, 3);
    check_npz(&one, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&one, "folder/a", "int32 2x3 | 0 1 2 | 3 4 5");
    check_npz(&several, "a", "int32 1x1 | 0");
    check_npz(&several, "a.npy", "int32 1x2 | 0 1");
    check_npz(&several, "b.npy", "int32 2x1 | 0 | 1");
    check_npz(&several, "b.npy.npy", "int32 2x1 | 0 | 1");
    check_npz(&several, "b", "the .npz file has no array 'b'; it has a, a, b.npy");
}

TEST(refuses_wrong_arrays_in_archives)
{
    static const member cases[] = {
        {"a.npy", false, "(2, 4)", 6}, {"a.npy", true, "(2, 2)", 6}, {"a.npy", true, "()", 1}};
    static const char *const messages[] = {
        "the file is cut short: 24 bytes of data where shape (2, 4) of int32 needs 32",
        "stray bytes follow the data: shape (2, 2) of int32 has 16",
        "the array is a single value without rows (its shape is ())",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const file_bytes file = make_npz(&cases[i], 1);
        check_npz(&file, NULL, messages[i]);
    }
}

/* The offsets 0, 2, 2, 6. */
static int open_offsets_of(rowpool_dtype dtype)
{
    char bytes[NPY_MAX_WRITTEN + 32];
    const size_t header = npy_format_header_of(bytes, dtype, (const size_t[]){4}, 1);
    if (dtype == ROWPOOL_INT64)
        memcpy(bytes + header, (const int64_t[]){0, 2, 2, 6}, 32);
    else
        memcpy(bytes + header, (const int32_t[]){0, 2, 2, 6}, 16);
    return open_nameless_with(bytes, header + 4 * test_size(dtype));
}

/* SciPy's offsets are int32 if that is large enough. */
TEST(splits_members_of_archives_into_rows)
{
    static const member elements[] = {{"elements.npy", true, "(6,)", 6}};
    static const rowpool_dtype dtypes[] = {ROWPOOL_INT64, ROWPOOL_INT32};
    const file_bytes file = make_npz(elements, 1);
    for (size_t i = 0; i < COUNT_OF(dtypes); i++) {
        int fd = open_offsets_of(dtypes[i]);
        char path[64];
        (void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
        const input_options options = options_of("npz", (const setting[MAX_SETTINGS]){{'O', path}});
        input in;
        rowpool_error error;
        size_t widest;
        assert_ok(read_as(&in, file.bytes, file.size, &options, &error), error);
        assert_ok(check_rows(&in, 1, 1, &widest, &error), error);
        assert_int_equal(widest, 0);
        assert_ok(check_rows(&in, 0, 3, &widest, &error), error);
        set_width(&in, widest);
        char *found = describe(&in);
        assert_string_equal(found, "int32 3x4 ragged | 0 1 | | 2 3 4 5");
        free(found);
        close_input(&in);
        assert_int_equal(close(fd), 0);
    }
    int fd = open_offsets_of(ROWPOOL_FLOAT32);
    char path[64];
    (void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
    const input_options options = options_of("npz", (const setting[MAX_SETTINGS]){{'O', path}});
    input in;
    rowpool_error error;
    assert_refused(read_as(&in, file.bytes, file.size, &options, &error), ROWPOOL_EINVAL, error,
                   "it holds float32, but offsets are int64 or int32");
    assert_int_equal(close(fd), 0);
}

/* A truncated archive, or one with a flipped bit, is refused or gives the same array. */
TEST(refuses_damaged_archives)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        const file_bytes whole = make_npz(compressed ? ONE_COMPRESSED : ONE_STORED, 1);
        const input_options options = options_of("npz", NULL);
        input in;
        rowpool_error error;
        for (size_t size = 0; size < whole.size; size++)
            assert_int_equal(read_as(&in, whole.bytes, size, &options, &error), ROWPOOL_EINVAL);
        size_t refused = 0;
        for (size_t bit = 0; bit < 8 * whole.size; bit++) {
            file_bytes changed = whole;
            changed.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
            if (read_as(&in, changed.bytes, changed.size, &options, &error) != ROWPOOL_OK) {
                refused++;
                continue;
            }
            const rowpool_rows rows = input_rows(&in);
            for (int32_t i = 0; i < 6; i++)
                assert_int_equal(((const int32_t *)rows.data)[i], i);
            close_input(&in);
        }
        assert_in_range(refused, whole.size, 8 * whole.size - 1); /* times and similar fields do not matter */
    }
}

TEST(verifies_the_checksum_of_a_member)
{
    file_bytes file = make_npz(ONE_STORED, 1);
    unsigned char *data = memmem(file.bytes, file.size, "\4\0\0\0\5\0\0\0", 8);
    assert_non_null(data);
    data[0] = 7;
    check_npz(&file, NULL, "the array cannot be read: CRC error");
}

/* ---- Raw files -------------------------------------------------------------------------------------------------- */

static void check_raw(size_t size, const char *type, const char *shape, const char *expected)
{
    static const int16_t values[] = {1, -2, 3, 4, 5, 6};
    const input_options options = options_of("raw", (const setting[MAX_SETTINGS]){{'T', type}, {'S', shape}});
    for (int piped = 0; piped < 2; piped++) {
        input in;
        rowpool_error error;
        rowpool_status status = (piped ? read_stream_as : read_as)(&in, values, size, &options, &error);
        char *found = status == ROWPOOL_OK ? describe(&in) : strdup(error.message);
        if (strcmp(found, expected) != 0)
            fail_msg("%s of %s is '%s', not '%s'", shape, type, found, expected);
        free(found);
        close_input(&in);
    }
}

TEST(reads_raw_files_of_exactly_that_size)
{
    check_raw(12, "int16", "2:3", "int16 2x3 | 1 -2 3 | 4 5 6");
    check_raw(12, "uint16", "6:1", "uint16 6x1 | 1 | 65534 | 3 | 4 | 5 | 6");
    check_raw(0, "int16", "0:3", "int16 0x3");
    check_raw(0, "int16", "2:0", "int16 2x0 | |");
    check_raw(12, "int16", "2:2", "stray bytes follow the data: shape (2, 2) of int16 has 8");
    check_raw(12, "int16", "0:2", "stray bytes follow the data: shape (0, 2) of int16 has 0");
    check_raw(11, "int16", "2:3", "the file is cut short: 11 bytes of data where shape (2, 3) of int16 needs 12");
    check_raw(0, "int16", "2:3", "the file is cut short: 0 bytes of data where shape (2, 3) of int16 needs 12");
    check_raw(12, "int16", "4294967296:4294967296", "the shape is too large: its bytes are beyond 64 bits");
    check_raw(12, "int16", "18446744073709551615:1", "the shape is too large: its bytes are beyond 64 bits");
}

/* ---- Compressed files ------------------------------------------------------------------------------------------- */

/* A gzip file with one member. */
static void append_gzip(file_bytes *file, const void *bytes, size_t size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)bytes;
    stream.avail_in = (uInt)size;
    stream.next_out = file->bytes + file->size;
    stream.avail_out = (uInt)(sizeof file->bytes - file->size);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    file->size = sizeof file->bytes - stream.avail_out;
    assert_int_equal(deflateEnd(&stream), Z_OK);
}

/* Reads a file through its name; settings may be NULL. */
static rowpool_status read_named(input *in, const char *name, const file_bytes *file, const setting *settings,
                                 rowpool_error *error)
{
    char folder[] = "/tmp/rowpool-test-input-XXXXXX";
    char path[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, file->bytes, file->size), file->size);
    assert_int_equal(close(fd), 0);
    input_options options = {.command = "count"};
    bool read;
    for (size_t i = 0; i < MAX_SETTINGS && settings != NULL && settings[i].letter != 0; i++)
        assert_true(take_input_option(&options, settings[i].letter, settings[i].value, &read) && read);
    assert_true(choose_format(&options, path));
    rowpool_status status = open_input(in, path, &options, error);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    return status;
}

static void check_named(const char *name, const file_bytes *file, const setting *settings, const char *expected)
{
    input in;
    rowpool_error error;
    rowpool_status status = read_named(&in, name, file, settings, &error);
    char *found = status == ROWPOOL_OK ? describe(&in) : strdup(error.message);
    if (strcmp(found, expected) != 0)
        fail_msg("%s is '%s', not '%s'", name, found, expected);
    free(found);
    close_input(&in);
}

TEST(reads_compressed_files_of_any_format)
{
    file_bytes npy, text = {.size = 0}, tabs = {.size = 0}, array = {.size = 0}, archive = {.size = 0},
                    raw = {.size = 0};
    npy.size = make_npy(npy.bytes, &ONE_STORED[0]);
    const file_bytes npz = make_npz(ONE_STORED, 1);
    append_gzip(&text, "a,b\n1,2\n", 8);
    append_gzip(&tabs, "1\t2\n", 4);
    append_gzip(&array, npy.bytes, npy.size);
    append_gzip(&archive, npz.bytes, npz.size);
    append_gzip(&raw, "\1\2\3\4", 4);
    check_named("file.csv.gz", &text, NULL, "int64 1x2 | 1 2");
    check_named("file.txt.gz", &tabs, NULL, "int64 1x2 | 1 2");
    check_named("file.gz", &text, (const setting[MAX_SETTINGS]){{'F', "csv"}}, "int64 1x2 | 1 2");
    check_named("file.tsv.gz", &tabs, NULL, "int64 1x2 | 1 2");
    check_named("file.tab.gz", &tabs, NULL, "int64 1x2 | 1 2");
    check_named("file.npy.gz", &array, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_named("file.gz", &array, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_named("file.npz.gz", &archive, NULL, "int32 2x3 | 0 1 2 | 3 4 5");
    check_named("file.bin.gz", &raw, (const setting[MAX_SETTINGS]){{'T', "int8"}, {'S', "2:2"}},
                "int8 2x2 | 1 2 | 3 4");
}

TEST(reads_compressed_offsets)
{
    static const member elements[] = {{"elements.npy", true, "(6,)", 6}};
    const file_bytes archive = make_npz(elements, 1);
    unsigned char offsets[NPY_MAX_WRITTEN + 16];
    const size_t header = npy_format_header_of((char *)offsets, ROWPOOL_INT32, (const size_t[]){4}, 1);
    memcpy(offsets + header, (const int32_t[]){0, 2, 2, 6}, 16);
    file_bytes compressed = {.size = 0};
    append_gzip(&compressed, offsets, header + 16);
    char path[] = "/tmp/rowpool-test-input-XXXXXX.npy.gz";
    int fd = mkstemps(path, 7);
    assert_int_equal(write(fd, compressed.bytes, compressed.size), compressed.size);
    assert_int_equal(close(fd), 0);
    check_named("file.npz", &archive, (const setting[MAX_SETTINGS]){{'O', path}}, "int32 3x6 ragged | 0 1 | | 2 3 4 5");
    assert_int_equal(unlink(path), 0);
}

/* Several members, as cat concatenates them, and trailing zeros, as tapes add them. */
TEST(reads_all_members_of_compressed_files)
{
    file_bytes file = {.size = 0};
    append_gzip(&file, "1,2\n3", 5);
    append_gzip(&file, "", 0);
    append_gzip(&file, "4,5\n", 4);
    check_named("file.csv.gz", &file, NULL, "int64 2x2 | 1 2 | 34 5");
    memset(file.bytes + file.size, 0, 100);
    file.size += 100;
    check_named("file.csv.gz", &file, NULL, "int64 2x2 | 1 2 | 34 5");
    append_gzip(&file, "6,7\n", 4);
    check_named("file.csv.gz", &file, NULL, "int64 3x2 | 1 2 | 34 5 | 6 7");
}

TEST(refuses_damaged_compressed_files)
{
    static const char rows[] = "1,2\n3,4\n5,6\n";
    file_bytes whole = {.size = 0};
    append_gzip(&whole, rows, sizeof rows - 1);
    const size_t first = whole.size;
    append_gzip(&whole, rows, sizeof rows - 1);
    for (size_t size = 0; size < whole.size; size++) {
        file_bytes cut = whole;
        cut.size = size;
        check_named("file.csv.gz", &cut, NULL,
                    size == 0       ? "the file is empty; a .gz file was expected"
                    : size != first ? "the compressed file is cut short"
                                    : "int64 3x2 | 1 2 | 3 4 | 5 6");
    }
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * whole.size; bit++) {
        file_bytes changed = whole;
        changed.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        input in;
        rowpool_error error;
        if (read_named(&in, "file.csv.gz", &changed, NULL, &error) != ROWPOOL_OK) {
            refused++;
            continue;
        }
        char *found = describe(&in); /* the change was in a time or a similar field */
        assert_string_equal(found, "int64 6x2 | 1 2 | 3 4 | 5 6 | 1 2 | 3 4 | 5 6");
        free(found);
        close_input(&in);
    }
    assert_in_range(refused, 6 * whole.size, 8 * whole.size - 1);
    file_bytes stray = whole;
    memcpy(stray.bytes + stray.size, "stray", 5);
    stray.size += 5;
    check_named("file.csv.gz", &stray, NULL, "stray bytes follow the compressed data");
    file_bytes plain = {.size = sizeof rows - 1};
    memcpy(plain.bytes, rows, plain.size);
    check_named("file.csv.gz", &plain, NULL, "the file is not compressed by gzip, as the .gz in its name says");
}

TEST(notes_that_other_arrays_follow)
{
    file_bytes file;
    file.size = make_npy(file.bytes, &ONE_STORED[0]);
    file.size += make_npy(file.bytes + file.size, &ONE_STORED[0]);
    check_named("file.npy", &file, NULL,
                "int32 2x3 <the first array is read; another one follows it in the file> | 0 1 2 | 3 4 5");
}

/* ---- Random input ----------------------------------------------------------------------------------------------- */

/* Whatever was accepted is consistent. */
static void check_sound(const input *in)
{
    const rowpool_rows rows = input_rows(in);
    const npy_header *header = &in->array.header;
    assert_true(rows.offsets != NULL || rows.count * rows.width * test_size(rows.dtype) == header->data_bytes);
    for (size_t row = 0; rows.offsets != NULL && row < rows.count; row++) {
        assert_true(rows.offsets[row] <= rows.offsets[row + 1]);
        assert_true((size_t)(rows.offsets[row + 1] - rows.offsets[row]) <= header->width);
    }
    assert_true(in->labels.count == 0 || in->labels.count == rows.count);
    free(describe(in));
}

static const char SNIPPETS[][12] = {"1",     "-2",   "3.5",          "x",    ",",        ",",     "\n",
                                    "\n",    "\r\n", "\r",           "\"",   "\"",       " ",     "\t",
                                    "1e400", "NA",   "nan",          "0x",   "inf",      ";",     "\xff",
                                    "#",     "-",    "\xe2\x88\x92", "True", "\xc2\xa0", "sep=;", "99999999999"};

TEST(reads_or_refuses_any_text)
{
    const size_t cases = test_setting("ROWPOOL_TEST_CASES", TEST_SANITIZED ? 20000 : 60000);
    static const setting choices[][MAX_SETTINGS] = {
        {{0}},
        {{'g', NULL}},
        {{'i', "nan"}},
        {{'H', "yes"}},
        {{'H', "no"}, {'L', "1"}},
        {{'k', "2"}},
        {{'T', "int8"}},
        {{'D', "space"}, {'i', "0"}},
        {{'Q', "none"}, {'C', "#"}},
        {{'D', ";"}, {'N', ","}, {'g', NULL}},
    };
    static const char *const formats[] = {"csv", "csv", "csv", "tsv", "txt"};
    test_random random = test_random_begin(0x63737600);
    size_t accepted = 0;
    for (size_t i = 0; i < cases; i++) {
        char text[512];
        size_t size = 0;
        const uint64_t blocks = test_below(&random, 30);
        for (uint64_t k = 0; k < blocks; k++) {
            const char *snippet = SNIPPETS[test_below(&random, test_chance(&random, 3) ? COUNT_OF(SNIPPETS) : 8)];
            memcpy(text + size, snippet, strlen(snippet));
            size += strlen(snippet);
            if (test_chance(&random, 400))
                text[size++] = '\0';
        }
        const input_options options = options_of(formats[test_below(&random, COUNT_OF(formats))],
                                                 choices[test_below(&random, COUNT_OF(choices))]);
        input in;
        rowpool_error error = test_error_fresh();
        rowpool_status status = read_as(&in, text, size, &options, &error);
        if (status == ROWPOOL_OK) {
            accepted++;
            check_sound(&in);
            close_input(&in);
        } else {
            assert_int_equal(status, ROWPOOL_EINVAL);
        }
    }
    assert_in_range(accepted, cases / 100, cases);
}

/* Several bytes of an archive changed at random. */
TEST(reads_or_refuses_any_archive)
{
    const size_t cases = test_setting("ROWPOOL_TEST_CASES", TEST_SANITIZED ? 5000 : 20000);
    test_random random = test_random_begin(0x6e707a00);
    const file_bytes whole = make_npz(TWO, 2);
    for (size_t i = 0; i < cases; i++) {
        file_bytes changed = whole;
        for (uint64_t k = 0; k <= test_below(&random, 4); k++)
            changed.bytes[test_below(&random, whole.size)] = (unsigned char)test_next(&random);
        if (test_chance(&random, 4))
            changed.size = test_below(&random, whole.size);
        const input_options options = options_of(
            "npz", (const setting[MAX_SETTINGS]){{'e', test_chance(&random, 2) ? "first" : "second"}});
        input in;
        rowpool_error error;
        if (read_as(&in, changed.bytes, changed.size, &options, &error) == ROWPOOL_OK) {
            check_sound(&in);
            close_input(&in);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(recognises_headers_and_labels),
        cmocka_unit_test(skips_columns_of_words),
        cmocka_unit_test(reads_other_separators),
        cmocka_unit_test(reads_missing_cells_and_ragged_rows),
        cmocka_unit_test(reads_the_type_that_is_asked_for),
        cmocka_unit_test(takes_labels_where_no_cell_is_a_number),
        cmocka_unit_test(knows_missing_cells_and_damaged_numbers),
        cmocka_unit_test(takes_first_columns_without_a_name_as_labels),
        cmocka_unit_test(keeps_empty_lines_where_they_are),
        cmocka_unit_test(skips_comments),
        cmocka_unit_test(reads_decimal_commas),
        cmocka_unit_test(warns_of_integers_that_are_rounded),
        cmocka_unit_test(warns_of_numbers_that_become_0),
        cmocka_unit_test(distinguishes_columns_of_the_same_name),
        cmocka_unit_test(reads_text_between_blanks),
        cmocka_unit_test(interprets_quotes),
        cmocka_unit_test(reads_other_ways_to_write_numbers),
        cmocka_unit_test(reads_tables_of_other_programs),
        cmocka_unit_test(refuses_bad_text_with_its_place),
        cmocka_unit_test(refuses_bytes_that_are_not_text),
        cmocka_unit_test(recognises_files_that_are_not_text_tables),
        cmocka_unit_test(refuses_endless_cells),
        cmocka_unit_test(reads_across_blocks),
        cmocka_unit_test(keeps_byte_order_marks_after_the_beginning),
        cmocka_unit_test(reads_many_numbers),
        cmocka_unit_test(reads_every_half),
        cmocka_unit_test(reads_members_of_archives),
        cmocka_unit_test(refuses_missing_members),
        cmocka_unit_test(reads_members_of_any_name),
        cmocka_unit_test(refuses_wrong_arrays_in_archives),
        cmocka_unit_test(splits_members_of_archives_into_rows),
        cmocka_unit_test(refuses_damaged_archives),
        cmocka_unit_test(verifies_the_checksum_of_a_member),
        cmocka_unit_test(reads_raw_files_of_exactly_that_size),
        cmocka_unit_test(reads_compressed_files_of_any_format),
        cmocka_unit_test(reads_compressed_offsets),
        cmocka_unit_test(reads_all_members_of_compressed_files),
        cmocka_unit_test(refuses_damaged_compressed_files),
        cmocka_unit_test(notes_that_other_arrays_follow),
        cmocka_unit_test(reads_or_refuses_any_text),
        cmocka_unit_test(reads_or_refuses_any_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
