#include "base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static const char *const names[RP_SETTINGS] = {
    [RP_SETTING_DEVICE] = "ROWPOOL_DEVICE",
    [RP_SETTING_WORKERS] = "ROWPOOL_WORKERS",
    [RP_SETTING_CHUNK_BYTES] = "ROWPOOL_CHUNK_BYTES",
    [RP_SETTING_LOG] = "ROWPOOL_LOG",
    [RP_SETTING_COPY] = "ROWPOOL_COPY",
    [RP_SETTING_BUILD_WAIT] = "ROWPOOL_BUILD_WAIT",
    [RP_SETTING_STRICT] = "ROWPOOL_STRICT",
    [RP_SETTING_CPU] = "ROWPOOL_CPU",
    [RP_SETTING_TRACE] = "ROWPOOL_TRACE",
    [RP_SETTING_HELPER] = "ROWPOOL_HELPER",
    [RP_SETTING_ISOLATED_DEVICE] = "ROWPOOL_ISOLATED_DEVICE",
    [RP_SETTING_ISOLATE] = "ROWPOOL_ISOLATE",
    [RP_SETTING_POCL_CACHE_DIR] = "POCL_CACHE_DIR",
    [RP_SETTING_XDG_CACHE_HOME] = "XDG_CACHE_HOME",
    [RP_SETTING_HOME] = "HOME",
};

const char *rp_setting_name(rp_setting setting)
{
    return names[setting];
}

const char *rp_setting_text(rp_setting setting)
{
    const char *text = secure_getenv(names[setting]); /* they name files and programs */
    return text != NULL && *text != '\0' ? text : NULL;
}

rowpool_status rp_setting_size(rp_setting setting, size_t most, size_t *value, rowpool_error *error)
{
    const char *text = rp_setting_text(setting);
    if (text == NULL)
        return ROWPOOL_OK;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 || number < 1 || number > most)
        return rp_fail(error, ROWPOOL_EINVAL, "%s is '%s'; it must be a whole number from 1 to %zu", names[setting],
                       text, most);
    *value = (size_t)number;
    return ROWPOOL_OK;
}
