#include "core/dtype.h"

static const rp_dtype dtypes[] = {
#define RP_DTYPE_ROW(NAME, name, storage, kind, fraction) \
    [ROWPOOL_##NAME] = {#name, sizeof(storage), RP_##kind, fraction},
    RP_DTYPES(RP_DTYPE_ROW)
#undef RP_DTYPE_ROW
};
_Static_assert(sizeof dtypes / sizeof *dtypes == RP_DTYPE_TOTAL, "a row for each rowpool_dtype");

const rp_dtype *rp_dtype_of(rowpool_dtype dtype)
{
    return (size_t)dtype < RP_DTYPE_TOTAL ? &dtypes[dtype] : NULL;
}
