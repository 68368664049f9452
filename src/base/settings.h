/* Settings from the environment: the one place that reads it. */
#ifndef RP_BASE_SETTINGS_H
#define RP_BASE_SETTINGS_H

#include "base/error.h"

typedef enum {
    RP_SETTING_DEVICE,
    RP_SETTING_WORKERS,
    RP_SETTING_CHUNK_BYTES,
    RP_SETTING_STRICT,
    RP_SETTING_ISOLATE,
    RP_SETTING_ISOLATED_DEVICE,
    RP_SETTING_HELPER,
    RP_SETTING_TRACE,
    RP_SETTING_COPY,
    RP_SETTING_BUILD_WAIT,
    RP_SETTING_CPU,
    RP_SETTING_LOG,
    RP_SETTING_MPI_PIECE_BYTES,
    RP_SETTING_POCL_CACHE_DIR, /* where PoCL writes: the first of these */
    RP_SETTING_XDG_CACHE_HOME,
    RP_SETTING_HOME,
    RP_SETTING_OCL_ICD_VENDORS,
    RP_SETTINGS
} rp_setting;

/* Whether whoever started this program may say what it loads: not where the program has more rights (setuid). No variable
 * has a value then; but loaders and drivers of OpenCL read theirs all the same. */
bool rp_environment_is_trusted(void);

/* The variable's name, "ROWPOOL_DEVICE". */
const char *rp_setting_name(rp_setting setting);
const char *rp_setting_option(rp_setting setting);
const char *rp_setting_meaning(rp_setting setting);

/* Its value; NULL when it is unset or empty. */
const char *rp_setting_text(rp_setting setting);

/* Its value as a whole number in [1, most]; *value is left alone when it is unset or empty. */
rowpool_status rp_setting_size(rp_setting setting, size_t most, size_t *value, rowpool_error *error);

#endif
