/* Template: compiles the row function in the file RP_BODY for one dtype and both result types. */
#ifndef RP_CORE_FOLD_H
#define RP_CORE_FOLD_H

#include "core/function.h"

#define RP_NAME(x) RP_NAME_JOIN(x, RP_DTYPE, RP_RESULT)
#define RP_NAME_JOIN(x, dtype, result) RP_NAME_JOIN_(x, dtype, result)
#define RP_NAME_JOIN_(x, dtype, result) x##_##dtype##_##result

/* The table rows of a function's instances, for RP_DTYPES. */
#define RP_FOLD_ROW(NAME, name, c, cl, kind, fraction) \
    [ROWPOOL_##NAME] = {fold_##name##_uint32_t, fold_##name##_uint64_t},
#define RP_COMBINE_ROW(NAME, name, c, cl, kind, fraction) \
    [ROWPOOL_##NAME] = {combine_parts_##name##_uint32_t, combine_parts_##name##_uint64_t},

#endif

#define RP_RESULT uint32_t
#include RP_BODY
#include "core/fold_rows.h"
#undef RP_RESULT
#define RP_RESULT uint64_t
#include RP_BODY
#include "core/fold_rows.h"
#undef RP_RESULT
