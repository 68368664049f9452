/* Template: compiles a row function for each dtype, into one rowpool_function. fold.h and body.h use it; it includes
 * itself for each dtype. Parameters:
 *
 *   ROWPOOL_FORM   ROWPOOL_FOLD or ROWPOOL_BODY
 *   ROWPOOL_ROWS   the traversal of rows: <rowpool/fold_rows.h> or <rowpool/body_rows.h>
 *
 * and those of fold.h: ROWPOOL_FUNCTION, _FILE, _TITLE, _TEXT, _SOME_DTYPES, _WITH_int32 ...
 */
#ifdef ROWPOOL_DTYPE

#if ROWPOOL_IS_WANTED(ROWPOOL_DTYPE)
/* A function need not use all of its parameters. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include ROWPOOL_FILE
#pragma GCC diagnostic pop
#include ROWPOOL_ROWS
#endif
#undef ROWPOOL_DTYPE

#else

#include <rowpool.h>
#include <tgmath.h>
#undef I /* from <complex.h>: a row function may have a variable I */

#include <rowpool/vocabulary.h>

#define ROW_NAME(x) ROWPOOL_NAME(x, ROWPOOL_FUNCTION, ROWPOOL_DTYPE)
#define ROWPOOL_NAME(x, function, dtype) ROWPOOL_NAME_(x, function, dtype)
#define ROWPOOL_NAME_(x, function, dtype) x##_##function##_##dtype

/* 1 for a dtype that is to be compiled, else 0. Where ROWPOOL_WITH_int32 is defined, empty or as 1, ROWPOOL_DEFINED_ or
 * ROWPOOL_DEFINED_1 expands to two arguments, the second of which is 1; else the second argument is the 0. */
#ifdef ROWPOOL_SOME_DTYPES
#define ROWPOOL_IS_WANTED(dtype) ROWPOOL_IS_DEFINED(ROWPOOL_JOIN(ROWPOOL_WITH_, dtype))
#else
#define ROWPOOL_IS_WANTED(dtype) 1
#endif
#define ROWPOOL_IS_DEFINED(value) ROWPOOL_PROBE(value)
#define ROWPOOL_PROBE(value) ROWPOOL_PROBED(ROWPOOL_DEFINED_##value)
#define ROWPOOL_PROBED(name) ROWPOOL_SECOND(name, 0, )
#define ROWPOOL_SECOND(first, second, ...) second
#define ROWPOOL_DEFINED_ , 1
#define ROWPOOL_DEFINED_1 , 1

/* The dtype of a result, plus 1: what the file says, or that of the C type; 0 for a struct. */
#define ROWPOOL_RESULT_DTYPE (ROWPOOL_TRAIT(ROWPOOL_ID, ROW_RESULT_DTYPE) + 1)
/* clang-format off */
#define ROWPOOL_TRAITS_ROW_RESULT_DTYPE                                                              \
    (, , , , , , _Generic(*(result_t *)0,                                                            \
        int8_t: ROWPOOL_INT8, int16_t: ROWPOOL_INT16, int32_t: ROWPOOL_INT32, int64_t: ROWPOOL_INT64, \
        uint8_t: ROWPOOL_UINT8, uint16_t: ROWPOOL_UINT16, uint32_t: ROWPOOL_UINT32,                  \
        uint64_t: ROWPOOL_UINT64, float: ROWPOOL_FLOAT32, double: ROWPOOL_FLOAT64, default: -1))
/* clang-format on */

/* Row r of an input of the block: its address, and in *width its number of elements. */
static inline const void *rowpool_block_row(const rowpool_block *block, size_t input, size_t r, size_t size,
                                            size_t *width)
{
    const rowpool_block_input *from = &block->input[input];
    size_t begin = from->offsets == NULL ? r * from->stride : (size_t)(from->offsets[r] - from->origin);
    *width = from->offsets == NULL ? from->width : (size_t)(from->offsets[r + 1] - from->offsets[r]);
    return *width == 0 ? NULL : (const char *)from->data + begin * size;
}

#define ROWPOOL_DTYPE int8
#include <rowpool/function.h>
#define ROWPOOL_DTYPE int16
#include <rowpool/function.h>
#define ROWPOOL_DTYPE int32
#include <rowpool/function.h>
#define ROWPOOL_DTYPE int64
#include <rowpool/function.h>
#define ROWPOOL_DTYPE uint8
#include <rowpool/function.h>
#define ROWPOOL_DTYPE uint16
#include <rowpool/function.h>
#define ROWPOOL_DTYPE uint32
#include <rowpool/function.h>
#define ROWPOOL_DTYPE uint64
#include <rowpool/function.h>
#define ROWPOOL_DTYPE float16
#include <rowpool/function.h>
#define ROWPOOL_DTYPE float32
#include <rowpool/function.h>
#define ROWPOOL_DTYPE float64
#include <rowpool/function.h>

#define ROWPOOL_COMPILED(dtype) ROWPOOL_JOIN(ROWPOOL_COMPILED_, ROWPOOL_IS_WANTED(dtype))(dtype)
#define ROWPOOL_COMPILED_0(dtype) NULL
#define ROWPOOL_COMPILED_1(dtype) &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, dtype)

/* The dtype of a further input, plus 1; 0 where the file does not fix it. */
#define ROWPOOL_OTHER(dtype) (ROWPOOL_TRAIT(ROWPOOL_ID, dtype) + 1)
#define ROWPOOL_TRAITS_ROWPOOL_DTYPE (, , , , , , -1)

#ifndef ROW_INPUTS
#define ROW_INPUTS 1
#endif
#ifndef ROWPOOL_TITLE
#define ROWPOOL_TITLE ROWPOOL_STRING(ROWPOOL_FUNCTION)
#endif
#define ROWPOOL_STRING_(x) #x
#define ROWPOOL_STRING(x) ROWPOOL_STRING_(x)

extern const rowpool_function ROWPOOL_FUNCTION;
const rowpool_function ROWPOOL_FUNCTION = {
    .size = sizeof(rowpool_function),
    .name = ROWPOOL_TITLE,
    .form = ROWPOOL_FORM,
    .n_inputs = ROW_INPUTS,
    .others = {ROWPOOL_OTHER(ROW1_DTYPE), ROWPOOL_OTHER(ROW2_DTYPE), ROWPOOL_OTHER(ROW3_DTYPE)},
#ifdef ROW_RANGES
    .ranges = true,
#endif
#ifdef ROWPOOL_TEXT
    .source = ROWPOOL_TEXT,
#endif
    .compiled =
        {
            [ROWPOOL_INT8] = ROWPOOL_COMPILED(int8),
            [ROWPOOL_INT16] = ROWPOOL_COMPILED(int16),
            [ROWPOOL_INT32] = ROWPOOL_COMPILED(int32),
            [ROWPOOL_INT64] = ROWPOOL_COMPILED(int64),
            [ROWPOOL_UINT8] = ROWPOOL_COMPILED(uint8),
            [ROWPOOL_UINT16] = ROWPOOL_COMPILED(uint16),
            [ROWPOOL_UINT32] = ROWPOOL_COMPILED(uint32),
            [ROWPOOL_UINT64] = ROWPOOL_COMPILED(uint64),
            [ROWPOOL_FLOAT16] = ROWPOOL_COMPILED(float16),
            [ROWPOOL_FLOAT32] = ROWPOOL_COMPILED(float32),
            [ROWPOOL_FLOAT64] = ROWPOOL_COMPILED(float64),
        },
};

#endif
