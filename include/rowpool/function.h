/* Template: what fold.h and body.h have in common. The file of the function and the traversal of rows, ROWPOOL_ROWS,
 * are read once for each dtype; then the table of what came of it. */
#ifndef ROWPOOL_FUNCTION_H
#define ROWPOOL_FUNCTION_H

#include <rowpool.h>
#include <tgmath.h>
#undef I /* nobody expects a macro of that name */

#include <rowpool/vocabulary.h>

#define ROW_NAME(x) ROWPOOL_NAME(x, ROWPOOL_FUNCTION, ROWPOOL_DTYPE)
#define ROWPOOL_NAME(x, function, dtype) ROWPOOL_NAME_(x, function, dtype)
#define ROWPOOL_NAME_(x, function, dtype) x##_##function##_##dtype

/* A dtype plus 1; 0 where there is none to name: another input's is that of the first, and a result is a struct. */
#define ROWPOOL_ID_int8 (ROWPOOL_INT8 + 1)
#define ROWPOOL_ID_int16 (ROWPOOL_INT16 + 1)
#define ROWPOOL_ID_int32 (ROWPOOL_INT32 + 1)
#define ROWPOOL_ID_int64 (ROWPOOL_INT64 + 1)
#define ROWPOOL_ID_uint8 (ROWPOOL_UINT8 + 1)
#define ROWPOOL_ID_uint16 (ROWPOOL_UINT16 + 1)
#define ROWPOOL_ID_uint32 (ROWPOOL_UINT32 + 1)
#define ROWPOOL_ID_uint64 (ROWPOOL_UINT64 + 1)
#define ROWPOOL_ID_float16 (ROWPOOL_FLOAT16 + 1)
#define ROWPOOL_ID_float32 (ROWPOOL_FLOAT32 + 1)
#define ROWPOOL_ID_float64 (ROWPOOL_FLOAT64 + 1)
#define ROWPOOL_ID_ROW1_DTYPE 0
#define ROWPOOL_ID_ROW2_DTYPE 0
#define ROWPOOL_ID_ROW3_DTYPE 0
#define ROWPOOL_OTHER(number) ROWPOOL_JOIN(ROWPOOL_ID_, ROW##number##_DTYPE)
#define ROWPOOL_RESULT_DTYPE ROWPOOL_JOIN(ROWPOOL_ID_, ROW_RESULT_DTYPE)
/* clang-format off */
#define ROWPOOL_ID_ROW_RESULT_DTYPE \
    _Generic(*(result_t *)0, \
             int8_t: ROWPOOL_ID_int8, \
             int16_t: ROWPOOL_ID_int16, \
             int32_t: ROWPOOL_ID_int32, \
             int64_t: ROWPOOL_ID_int64, \
             uint8_t: ROWPOOL_ID_uint8, \
             uint16_t: ROWPOOL_ID_uint16, \
             uint32_t: ROWPOOL_ID_uint32, \
             uint64_t: ROWPOOL_ID_uint64, \
             float: ROWPOOL_ID_float32, \
             double: ROWPOOL_ID_float64, \
             default: 0)
/* clang-format on */

/* Row r of an input of the block: where it lies, and its elements. */
static inline const void *rowpool_block_row(const rowpool_block *block, size_t input, size_t r, size_t size,
                                            size_t *width)
{
    const rowpool_block_input *from = &block->input[input];
    size_t begin = from->offsets == NULL ? r * from->stride : (size_t)(from->offsets[r] - from->origin);
    *width = from->offsets == NULL ? from->width : (size_t)(from->offsets[r + 1] - from->offsets[r]);
    return *width == 0 ? NULL : (const char *)from->data + begin * size;
}

#endif

#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_int8)
#define ROWPOOL_DTYPE int8
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_INT8 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, int8)
#else
#define ROWPOOL_COMPILED_INT8 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_int16)
#define ROWPOOL_DTYPE int16
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_INT16 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, int16)
#else
#define ROWPOOL_COMPILED_INT16 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_int32)
#define ROWPOOL_DTYPE int32
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_INT32 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, int32)
#else
#define ROWPOOL_COMPILED_INT32 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_int64)
#define ROWPOOL_DTYPE int64
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_INT64 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, int64)
#else
#define ROWPOOL_COMPILED_INT64 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_uint8)
#define ROWPOOL_DTYPE uint8
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_UINT8 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, uint8)
#else
#define ROWPOOL_COMPILED_UINT8 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_uint16)
#define ROWPOOL_DTYPE uint16
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_UINT16 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, uint16)
#else
#define ROWPOOL_COMPILED_UINT16 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_uint32)
#define ROWPOOL_DTYPE uint32
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_UINT32 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, uint32)
#else
#define ROWPOOL_COMPILED_UINT32 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_uint64)
#define ROWPOOL_DTYPE uint64
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_UINT64 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, uint64)
#else
#define ROWPOOL_COMPILED_UINT64 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_float16)
#define ROWPOOL_DTYPE float16
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_FLOAT16 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, float16)
#else
#define ROWPOOL_COMPILED_FLOAT16 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_float32)
#define ROWPOOL_DTYPE float32
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_FLOAT32 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, float32)
#else
#define ROWPOOL_COMPILED_FLOAT32 NULL
#endif
#if !defined(ROWPOOL_SOME_DTYPES) || defined(ROWPOOL_WITH_float64)
#define ROWPOOL_DTYPE float64
#include ROWPOOL_FILE
#include ROWPOOL_ROWS
#undef ROWPOOL_DTYPE
#define ROWPOOL_COMPILED_FLOAT64 &ROWPOOL_NAME(compiled, ROWPOOL_FUNCTION, float64)
#else
#define ROWPOOL_COMPILED_FLOAT64 NULL
#endif

#ifndef ROW_INPUTS
#define ROW_INPUTS 1
#endif
#define ROWPOOL_STRING_(x) #x
#define ROWPOOL_STRING(x) ROWPOOL_STRING_(x)

#ifndef ROWPOOL_TITLE
#define ROWPOOL_TITLE ROWPOOL_STRING(ROWPOOL_FUNCTION)
#endif

extern const rowpool_function ROWPOOL_FUNCTION;
const rowpool_function ROWPOOL_FUNCTION = {
    .size = sizeof(rowpool_function),
    .name = ROWPOOL_TITLE,
    .form = ROWPOOL_FORM,
    .n_inputs = ROW_INPUTS,
    .others = {ROWPOOL_OTHER(1), ROWPOOL_OTHER(2), ROWPOOL_OTHER(3)},
#ifdef ROW_RANGES
    .ranges = true,
#endif
#ifdef ROWPOOL_TEXT
    .source = ROWPOOL_TEXT,
#endif
    .compiled =
        {
            [ROWPOOL_INT8] = ROWPOOL_COMPILED_INT8,
            [ROWPOOL_INT16] = ROWPOOL_COMPILED_INT16,
            [ROWPOOL_INT32] = ROWPOOL_COMPILED_INT32,
            [ROWPOOL_INT64] = ROWPOOL_COMPILED_INT64,
            [ROWPOOL_UINT8] = ROWPOOL_COMPILED_UINT8,
            [ROWPOOL_UINT16] = ROWPOOL_COMPILED_UINT16,
            [ROWPOOL_UINT32] = ROWPOOL_COMPILED_UINT32,
            [ROWPOOL_UINT64] = ROWPOOL_COMPILED_UINT64,
            [ROWPOOL_FLOAT16] = ROWPOOL_COMPILED_FLOAT16,
            [ROWPOOL_FLOAT32] = ROWPOOL_COMPILED_FLOAT32,
            [ROWPOOL_FLOAT64] = ROWPOOL_COMPILED_FLOAT64,
        },
};
