/* The range count, compiled for the host and for worker processes. */
#include "core/kernels.h"

#define RP_BODY "range_count.cl"
#define RP_TEMPLATE "core/fold.h"
#include "core/each_dtype.h"

const rp_function rp_range_count = {
    .name = "range_count",
    .file = "range_count.cl",
    .source = rp_kernel_range_count,
    .fold = {RP_DTYPES(RP_FOLD_ROW)},
    .combine = {RP_DTYPES(RP_COMBINE_ROW)},
};
