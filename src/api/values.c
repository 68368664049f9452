/* Names, constants and settings: public calls that need no pool. */
#include <string.h>

#include "base/settings.h"
#include "base/source.h"
#include "base/version.h"
#include "core/builtin.h"
#include "core/dtype.h"

const char *rowpool_version(void)
{
    return RP_VERSION;
}

static const struct {
    const char *name, *text;
} statuses[] = {
#define RP_STATUS_ROW(name, text) [ROWPOOL_##name] = {"ROWPOOL_" #name, text},
    ROWPOOL_STATUSES(RP_STATUS_ROW)
#undef RP_STATUS_ROW
};

static bool known(rowpool_status status)
{
    return (size_t)status < sizeof statuses / sizeof *statuses;
}

const char *rowpool_status_name(rowpool_status status)
{
    return known(status) ? statuses[status].name : "unknown status";
}

const char *rowpool_status_text(rowpool_status status)
{
    return known(status) ? statuses[status].text : "unknown status";
}

const char *rowpool_dtype_name(rowpool_dtype dtype)
{
    const rp_dtype *known = rp_dtype_of(dtype);
    return known != NULL ? known->name : NULL;
}

size_t rowpool_dtype_size(rowpool_dtype dtype)
{
    const rp_dtype *known = rp_dtype_of(dtype);
    return known != NULL ? known->size : 0;
}

static rowpool_number number_f64(double f64)
{
    return (rowpool_number){ROWPOOL_NUMBER_F64, {.f64 = f64}};
}

rowpool_range rowpool_range_i64(int64_t lo, int64_t hi)
{
    return (rowpool_range){{ROWPOOL_NUMBER_I64, {.i64 = lo}}, {ROWPOOL_NUMBER_I64, {.i64 = hi}}, ROWPOOL_CLOSED_BOTH};
}

rowpool_range rowpool_range_u64(uint64_t lo, uint64_t hi)
{
    return (rowpool_range){{ROWPOOL_NUMBER_U64, {.u64 = lo}}, {ROWPOOL_NUMBER_U64, {.u64 = hi}}, ROWPOOL_CLOSED_BOTH};
}

rowpool_range rowpool_range_f64(double lo, double hi)
{
    return (rowpool_range){number_f64(lo), number_f64(hi), ROWPOOL_CLOSED_BOTH};
}

const rowpool_function *rowpool_builtin(const char *name)
{
    const rowpool_function *builtin;
    for (size_t i = 0; name != NULL && (builtin = rp_builtin_at(i)) != NULL; i++)
        if (strcmp(builtin->name, name) == 0)
            return builtin;
    return NULL;
}

const char *rowpool_builtin_name(size_t i)
{
    const rowpool_function *builtin = rp_builtin_at(i);
    return builtin != NULL ? builtin->name : NULL;
}

bool rowpool_variable_at(size_t i, rowpool_variable *variable)
{
    const rp_setting setting = (rp_setting)i;
    if (variable == NULL || i >= RP_SETTINGS)
        return false;
    *variable = (rowpool_variable){rp_setting_name(setting), rp_setting_option(setting), rp_setting_meaning(setting),
                                   rp_setting_text(setting)};
    return true;
}

char *rowpool_read_source(const char *path, rowpool_error *error)
{
    return rp_source_read(path, error);
}
