#include "base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>

/* README.md has the same table. */
static const struct {
    const char *name, *option, *meaning;
} variables[RP_SETTINGS] = {
    [RP_SETTING_DEVICE] =
        {"ROWPOOL_DEVICE", "device",
         "auto, cpu, gpu, accelerator, all, isolated, fork, host, P:D, or a comma-separated list of these"},
    [RP_SETTING_WORKERS] = {"ROWPOOL_WORKERS", "workers",
                            "worker processes; by default the CPUs that affinity and cgroup allow"},
    [RP_SETTING_CHUNK_BYTES] = {"ROWPOOL_CHUNK_BYTES", "chunk_bytes",
                                "the most bytes of data that a device gets at once"},
    [RP_SETTING_STRICT] = {"ROWPOOL_STRICT", "strict", "anything: a device that fails ends the map with its error"},
    [RP_SETTING_ISOLATE] =
        {"ROWPOOL_ISOLATE", "isolate",
         "never or always: whether OpenCL runs in a helper process instead of in this one. The default is never, that "
         "of the program rowpool always"},
    [RP_SETTING_ISOLATED_DEVICE] = {"ROWPOOL_ISOLATED_DEVICE", "",
                                    "the OpenCL devices of the device isolated: auto, gpu, P:D ..."},
    [RP_SETTING_HELPER] = {"ROWPOOL_HELPER", "",
                           "the path of the helper program, where it is neither installed nor beside the library"},
    [RP_SETTING_TRACE] =
        {"ROWPOOL_TRACE", "",
         "a file for a timeline of devices and processes, in the Chrome trace format (opens in Perfetto)"},
    [RP_SETTING_COPY] =
        {"ROWPOOL_COPY", "",
         "anything: copy data to OpenCL devices even where they could work in the host's memory (for tests)"},
    [RP_SETTING_BUILD_WAIT] =
        {"ROWPOOL_BUILD_WAIT", "",
         "anything: maps wait for kernels that are worth building, instead of using something else until they are "
         "there (for benchmarks and tests)"},
    [RP_SETTING_CPU] = {"ROWPOOL_CPU", "",
                        "baseline, avx2 or avx512: the form of the built-in functions that the calling thread and "
                        "worker processes run, and the widest vectors of counts on a CPU's OpenCL device; by default "
                        "the most that the CPU has"},
    [RP_SETTING_LOG] = {"ROWPOOL_LOG", "",
                        "lines on standard error: device, build, run, worker, or all; help lists them"},
    [RP_SETTING_MPI_PIECE_BYTES] = {"ROWPOOL_MPI_PIECE_BYTES", "",
                                    "over MPI: the most bytes that are sent or written at once (for tests)"},
    [RP_SETTING_POCL_CACHE_DIR] = {"POCL_CACHE_DIR", "",
                                   "PoCL's: the folder of what it compiled, which needs room on its disk"},
    [RP_SETTING_XDG_CACHE_HOME] = {"XDG_CACHE_HOME", "",
                                   "where POCL_CACHE_DIR is not set, that folder is pocl in this one"},
    [RP_SETTING_HOME] = {"HOME", "", "where neither is set, it is .cache/pocl in this one"},
    [RP_SETTING_OCL_ICD_VENDORS] =
        {"OCL_ICD_VENDORS", "",
         "the OpenCL loader's: the folder of the files that name drivers, or one of them; rowpool doctor looks there"},
};

bool rp_environment_is_trusted(void)
{
    return getauxval(AT_SECURE) == 0;
}

const char *rp_setting_name(rp_setting setting)
{
    return variables[setting].name;
}

const char *rp_setting_text(rp_setting setting)
{
    const char *text = secure_getenv(variables[setting].name); /* they name files and programs */
    return text != NULL && *text != '\0' ? text : NULL;
}

const char *rp_setting_option(rp_setting setting)
{
    return variables[setting].option;
}

const char *rp_setting_meaning(rp_setting setting)
{
    return variables[setting].meaning;
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
        return rp_fail(error, ROWPOOL_EINVAL, "%s is '%s'; it must be a whole number from 1 to %zu",
                       rp_setting_name(setting), text, most);
    *value = (size_t)number;
    return ROWPOOL_OK;
}
